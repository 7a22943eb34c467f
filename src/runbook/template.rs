//! `${params.name}`: the only thing a runbook's text can be filled with.
//!
//! A value is escaped for the place it stands in, so that it can never become part of the language around it: in PromQL it
//! stands inside a quoted text, or as a whole number or duration, and nowhere else.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Number,
    Ratio,
    Duration,
    Integer,
    Boolean,
}

impl Kind {
    /// The words of a file.
    pub(crate) const WORDS: [(&'static str, Self); 6] = [
        ("string", Self::String),
        ("number", Self::Number),
        ("ratio", Self::Ratio),
        ("duration", Self::Duration),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
    ];

    /// The word of a file.
    pub(crate) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// What a parameter stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filling {
    Text(String),
    Number(f64),
    Duration(Duration),
    Boolean(bool),
}

/// A parameter with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    pub(crate) kind: Kind,
    pub(crate) filling: Filling,
    /// As people and the journal see it.
    pub(crate) shown: String,
    /// No value was given: this one only lets the rest be checked.
    pub(crate) placeholder: bool,
    /// Not even its type is known, because its declaration is wrong: its uses are not judged.
    pub(crate) untyped: bool,
}

impl Bound {
    /// Its number; a duration's in seconds.
    pub(crate) fn number(&self) -> Option<f64> {
        match self.filling {
            Filling::Number(value) => Some(value),
            Filling::Duration(value) => Some(value.as_secs_f64()),
            Filling::Text(_) | Filling::Boolean(_) => None,
        }
    }
}

/// The parameters of a runbook by name.
pub(crate) type Bindings = BTreeMap<String, Bound>;

/// A template that cannot be filled, and where in the text it stands (bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) range: Range<usize>,
    pub(crate) rule: &'static str,
    pub(crate) why: String,
    pub(crate) help: String,
}

impl Fault {
    fn new(range: Range<usize>, rule: &'static str, why: impl Into<String>, help: impl Into<String>) -> Self {
        Self { range, rule, why: why.into(), help: help.into() }
    }
}

/// More faults of one text help nobody.
const MOST_FAULTS: usize = 20;

/// A `${params.name}` in a text.
struct Reference<'b> {
    range: Range<usize>,
    name: &'b str,
    bound: &'b Bound,
}

/// Finds every reference; those that are none are faults.
fn references<'b>(text: &'b str, bindings: &'b Bindings) -> Result<Vec<Reference<'b>>, Vec<Fault>> {
    let (mut found, mut faults, mut from) = (Vec::new(), Vec::new(), 0);
    while let Some(start) = text[from..].find("${").map(|i| from + i).filter(|_| faults.len() < MOST_FAULTS) {
        let line = text[start..].lines().next().unwrap_or_default();
        let Some(length) = line.find('}') else {
            faults.push(Fault::new(start..start + 2, "invalid-template", "`${` is not closed in this line", "write `${params.name}`"));
            // Nothing later in this line is closed either.
            from = start + line.len();
            continue;
        };
        let range = start..start + length + 1;
        from = range.end;
        match reference(&text[start + 2..range.end - 1], bindings) {
            Ok((name, bound)) => found.push(Reference { range, name, bound }),
            Err((rule, why, help)) => faults.push(Fault::new(range, rule, why, help)),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

fn reference<'b>(inside: &'b str, bindings: &'b Bindings) -> Result<(&'b str, &'b Bound), (&'static str, String, String)> {
    let form = "write `${params.name}`, without blanks".to_owned();
    let Some((root, name)) = inside.split_once('.') else {
        return Err(("invalid-template", format!("`${{{inside}}}` does not say what it stands for"), form));
    };
    match root {
        "params" => bindings.get_key_value(name).map(|(name, bound)| (name.as_str(), bound)).ok_or_else(|| {
            let help = match nearest(name, bindings.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `${{params.{near}}}`?"),
                None => format!("declare it under `params:`, as `{name}: {{ type: string, required: true }}`"),
            };
            ("unknown-parameter", format!("there is no parameter `{name}`"), help)
        }),
        "run" | "step" => {
            let why = format!("this version of gonogo does not fill in `${{{root}.…}}` yet");
            Err(("not-supported-yet", why, "use a parameter: `${params.name}`".to_owned()))
        }
        _ => Err(("invalid-template", format!("`${{{inside}}}` is none of the names that can be filled in"), form)),
    }
}

/// The name most like a misspelt one.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let length = name.chars().count();
    let most = |candidate: &str| 1 + candidate.chars().count().min(length) / 4;
    known
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= most(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= most(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The parameter that a text consists of, when it is nothing but one.
pub(crate) fn whole<'b>(text: &'b str, bindings: &'b Bindings) -> Option<Result<&'b Bound, Vec<Fault>>> {
    let inside = text.strip_prefix("${")?.strip_suffix('}')?;
    if inside.contains(['$', '{', '}']) {
        return None;
    }
    Some(references(text, bindings).and_then(|found| match found.as_slice() {
        [one] => Ok(one.bound),
        _ => Err(vec![Fault::new(0..text.len(), "invalid-template", "`${` is not closed", "write `${params.name}`")]),
    }))
}

/// Fills in a text that people read, or a name.
pub(crate) fn fill(text: &str, bindings: &Bindings) -> Result<String, Vec<Fault>> {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for reference in references(text, bindings)? {
        out.push_str(&text[from..reference.range.start]);
        out.push_str(&reference.bound.shown);
        from = reference.range.end;
    }
    out.push_str(&text[from..]);
    Ok(out)
}

/// Whether a text is filled with a value that nobody gave.
pub(crate) fn is_guess(text: &str, bindings: &Bindings) -> bool {
    references(text, bindings).is_ok_and(|found| found.iter().any(|r| r.bound.placeholder))
}

/// A query with its parameters filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Query {
    pub(crate) text: String,
    /// Where each piece of the text begins, here and in the file's text, and whether it was filled in.
    pieces: Vec<(usize, usize, bool)>,
}

impl Query {
    /// Drops blanks and line breaks at the end: a `|` block always ends in one.
    pub(crate) fn trim_end(&mut self) {
        self.text.truncate(self.text.trim_end().len());
    }

    /// The byte of the file's text that a byte of the query comes from.
    pub(crate) fn origin(&self, at: usize) -> usize {
        let index = self.pieces.partition_point(|(start, _, _)| *start <= at).saturating_sub(1);
        self.pieces.get(index).map_or(at, |(start, origin, filled)| if *filled { *origin } else { origin + (at - start) })
    }
}

/// Where in a query the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    Comment,
    Quoted { quote: char, regex: bool, escaped: bool },
}

/// Reads a query just far enough to know where a value would stand.
struct Reader {
    place: Place,
    brackets: u32,
    /// The last characters of code, blanks left out.
    tail: String,
}

impl Reader {
    fn read(&mut self, text: &str) {
        for c in text.chars() {
            self.place = match self.place {
                Place::Comment if c == '\n' || c == '\r' => Place::Code,
                Place::Comment => Place::Comment,
                Place::Quoted { quote, regex, escaped: true } => Place::Quoted { quote, regex, escaped: false },
                Place::Quoted { quote, .. } if c == quote => {
                    self.tail.clear();
                    Place::Code
                }
                Place::Quoted { quote, regex, .. } => Place::Quoted { quote, regex, escaped: c == '\\' && quote != '`' },
                Place::Code => self.code(c),
            };
        }
    }

    fn code(&mut self, c: char) -> Place {
        match c {
            '#' => return Place::Comment,
            '"' | '\'' | '`' => {
                let regex = self.tail.ends_with("=~") || self.tail.ends_with("!~");
                return Place::Quoted { quote: c, regex, escaped: false };
            }
            '[' => self.brackets += 1,
            ']' => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        if !c.is_whitespace() {
            self.tail.push(c.to_ascii_lowercase());
        }
        Place::Code
    }
}

/// Fills in a query. Where a value may stand is in the module's text.
pub(crate) fn fill_query(text: &str, bindings: &Bindings) -> Result<Query, Vec<Fault>> {
    let found = references(text, bindings)?;
    let mut query = Query::default();
    let mut reader = Reader { place: Place::Code, brackets: 0, tail: String::new() };
    let (mut from, mut faults) = (0, Vec::new());
    for Reference { range, name, bound } in found {
        let before = &text[from..range.start];
        query.pieces.push((query.text.len(), from, false));
        query.text.push_str(before);
        reader.read(before);
        let glued = matches!(reader.place, Place::Code) && (ends_in_word(&text[..range.start]) || starts_with_word(&text[range.end..]));
        let value = if glued { Err(format!("`{name}` would melt into the word beside it")) } else { stand_in(&reader, name, bound) };
        match value {
            Ok(value) => {
                query.pieces.push((query.text.len(), range.start, true));
                query.text.push_str(&value);
                if reader.place == Place::Code {
                    reader.tail.push('0');
                }
            }
            Err(why) => {
                let help =
                    "put it inside a quoted label value, as in {service=\"${params.service}\"}, or let a number or duration stand alone";
                faults.push(Fault::new(range.clone(), "unsafe-parameter", why, help));
            }
        }
        from = range.end;
    }
    query.pieces.push((query.text.len(), from, false));
    query.text.push_str(&text[from..]);
    if faults.is_empty() { Ok(query) } else { Err(faults) }
}

fn ends_in_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '}'))
        // The colon of a subquery stands before its step.
        && !(text.ends_with(':') && text.rfind('[') > text.rfind(']'))
}

fn starts_with_word(text: &str) -> bool {
    text.starts_with("${") || text.chars().next().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '\'' | '`' | '{'))
}

fn stand_in(reader: &Reader, name: &str, bound: &Bound) -> Result<String, String> {
    match reader.place {
        Place::Comment => Err(format!("`{name}` stands in a comment of the query")),
        Place::Quoted { escaped: true, .. } => Err(format!("the backslash before `{name}` would change its first character")),
        Place::Quoted { quote: '`', regex, .. } => {
            let value = if regex { regex::escape(&bound.shown) } else { bound.shown.clone() };
            if value.contains('`') { Err(format!("the value of `{name}` holds a backtick and would end the text")) } else { Ok(value) }
        }
        Place::Quoted { quote, regex, .. } => {
            let value = if regex { regex::escape(&bound.shown) } else { bound.shown.clone() };
            Ok(value.replace('\\', "\\\\").replace(quote, &format!("\\{quote}")))
        }
        Place::Code => match &bound.filling {
            Filling::Duration(d) if reader.brackets > 0 || reader.tail.ends_with("offset") => Ok(range_text(*d)),
            Filling::Duration(d) => Ok(d.as_secs_f64().to_string()),
            Filling::Number(_) if reader.brackets > 0 => Err(format!("`{name}` is a number, but a range needs a duration")),
            Filling::Number(n) => Ok(n.to_string()),
            Filling::Text(_) if bound.untyped => Ok("1".to_owned()),
            Filling::Text(_) | Filling::Boolean(_) => {
                Err(format!("`{name}` is a {} and stands outside quotes, where it would become part of the query", bound.kind.word()))
            }
        },
    }
}

/// A duration as PromQL writes ranges.
fn range_text(duration: Duration) -> String {
    if duration.subsec_millis() == 0 { format!("{}s", duration.as_secs()) } else { format!("{}ms", duration.as_millis()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bindings() -> Bindings {
        let bound = |kind, filling, shown: &str| Bound { kind, filling, shown: shown.to_owned(), placeholder: false, untyped: false };
        BTreeMap::from([
            ("service".to_owned(), bound(Kind::String, Filling::Text("a\"b\\c.*".into()), "a\"b\\c.*")),
            ("floor".to_owned(), bound(Kind::Number, Filling::Number(0.5), "0.5")),
            ("window".to_owned(), bound(Kind::Duration, Filling::Duration(Duration::from_secs(120)), "2m")),
            ("p99".to_owned(), bound(Kind::Duration, Filling::Duration(Duration::from_millis(450)), "450ms")),
        ])
    }

    #[test]
    fn a_value_in_a_label_is_escaped_and_in_a_pattern_stands_for_itself() {
        let filled = |text: &str| fill_query(text, &bindings()).unwrap().text;
        assert_eq!(filled(r#"up{s="${params.service}"}"#), r#"up{s="a\"b\\c.*"}"#);
        assert_eq!(filled(r#"up{s=~"x-${params.service}"}"#), r#"up{s=~"x-a\"b\\\\c\\.\\*"}"#);
        assert_eq!(filled("up{s='${params.service}'}"), r#"up{s='a"b\\c.*'}"#);
        assert_eq!(filled("up{s=`${params.service}`}"), r#"up{s=`a"b\c.*`}"#);
    }

    #[test]
    fn numbers_and_durations_stand_alone_and_a_range_takes_a_duration() {
        let filled = |text: &str| fill_query(text, &bindings()).unwrap().text;
        assert_eq!(filled("up > ${params.floor}"), "up > 0.5");
        assert_eq!(filled("rate(a[${params.window}]) < ${params.p99}"), "rate(a[120s]) < 0.45");
        assert_eq!(
            filled("max_over_time(a[${params.window}:${params.p99}] offset ${params.window})"),
            "max_over_time(a[120s:450ms] offset 120s)"
        );
    }

    #[test]
    fn a_value_never_becomes_part_of_the_query() {
        for text in [
            "${params.service}",
            "sum(${params.service})",
            "up{${params.service}=\"x\"}",
            "up > 1${params.floor}",
            "up > ${params.floor}5",
            "${params.floor}${params.floor}",
            "rate(a[${params.floor}])",
            "up # ${params.service}",
            r#"up{s="\${params.service}"}"#,
        ] {
            let faults = fill_query(text, &bindings()).unwrap_err();
            assert_eq!(faults[0].rule, "unsafe-parameter", "{text}");
        }
    }

    #[test]
    fn names_are_strict() {
        let rule = |text: &str| fill(text, &bindings()).unwrap_err()[0].rule;
        assert_eq!(rule("${params.servise}"), "unknown-parameter");
        assert_eq!(rule("${ params.service }"), "invalid-template");
        assert_eq!(rule("${service}"), "invalid-template");
        assert_eq!(rule("${params.service"), "invalid-template");
        assert_eq!(rule("${run.id}"), "not-supported-yet");
        assert_eq!(rule("${step.a.b}"), "not-supported-yet");
        assert!(fill("${params.servise}", &bindings()).unwrap_err()[0].help.contains("params.service"));
        assert_eq!(fill("costs 5 $ {x}", &bindings()).unwrap(), "costs 5 $ {x}");
    }

    #[test]
    fn a_place_in_the_filled_query_leads_back_to_the_file() {
        let text = r#"up{s="${params.service}"} > x"#;
        let query = fill_query(text, &bindings()).unwrap();
        let at = query.text.find('x').unwrap();
        assert_eq!(query.origin(at), text.find('x').unwrap());
        assert_eq!(query.origin(query.text.find("a\\").unwrap()), text.find('$').unwrap());
    }
}
