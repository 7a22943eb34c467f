//! The route seen through: what matches, which weight, where to, and what is ready there.

use super::line::{Line, Role, pad};
use super::sight::{Sight, percent};
use crate::domain::text::{clean_bounded, width};
use crate::domain::{Verdict, XrayDestination, XrayRule, XraySelector};
use crate::judge::XrayFinding;

/// The block's lines: what is wrong first, then rule by rule. Empty while nothing is known.
pub(super) fn lines(sight: &Sight<'_>, cells: usize) -> Vec<Line> {
    let Some(xray) = &sight.model.picture.xray else { return vec![] };
    let found = crate::judge::xray(xray);
    let mut lines: Vec<Line> = found.iter().map(|finding| finding_line(sight, finding)).collect();
    // The widest column gives way to narrow screens.
    let match_cells = if cells >= 110 { 44 } else { 27 };
    let to_cells = xray.rules.iter().flat_map(|rule| &rule.to).map(|to| width(&to.name)).max().unwrap_or(12).clamp(8, 32);
    for (at, rule) in xray.rules.iter().enumerate() {
        let bad = found.iter().filter(|finding| finding.rule == Some(at)).map(|finding| finding.verdict).max();
        lines.extend(rule_lines(sight, rule, bad, match_cells, to_cells));
    }
    if xray.rules.is_empty() {
        lines.push(Line::of(format!(" {} has no rules that can be read", xray.object)));
    }
    lines.extend(xray.unread.iter().map(|why| Line::of(" ").mark(Role::Unknown, "?").text(format!(" not seen: {why}"))));
    lines
}

/// The block's title.
pub(super) fn title(sight: &Sight<'_>) -> Line {
    let arrow = sight.glyphs.arrow();
    let order = match &sight.model.picture.xray {
        Some(xray) if xray.first_match_wins => "   first match wins",
        Some(xray) if xray.rules.len() > 1 => "   the most exact match wins",
        _ => "",
    };
    Line::of(format!("ROUTES match {arrow} weight {arrow} back-end {arrow} ready{order}"))
}

fn sign(sight: &Sight<'_>, verdict: Verdict) -> (Role, &'static str) {
    if verdict == Verdict::NoGo { (Role::Bad, sight.glyphs.bad()) } else { (Role::Watch, "!") }
}

fn finding_line(sight: &Sight<'_>, finding: &XrayFinding) -> Line {
    let (role, sign) = sign(sight, finding.verdict);
    Line::of(" ").mark(role, sign).text(" ").word(role, finding.verdict.to_string()).text(format!(" {}", finding.text))
}

fn rule_lines(sight: &Sight<'_>, rule: &XrayRule, bad: Option<Verdict>, match_cells: usize, to_cells: usize) -> Vec<Line> {
    let matches = if rule.matches.is_empty() { "everything".to_owned() } else { rule.matches.join(" or ") };
    let matches = if rule.name.is_empty() || rule.matches.is_empty() { format!("{matches} [{}]", rule.name) } else { matches };
    let mut lines = Vec::new();
    let mut left = matches;
    for to in &rule.to {
        let share = rule.share(to).map_or_else(|| "-".to_owned(), percent);
        let mark = match bad {
            Some(verdict) if lines.is_empty() => {
                let (role, sign) = sign(sight, verdict);
                Line::of(" ").mark(role, sign).text(" ")
            }
            _ => Line::of("   "),
        };
        let text = format!("{} {share:>6}  {}  ", pad(&short(&left, match_cells), match_cells), pad(&short(&to.name, to_cells), to_cells));
        lines.push(mark.text(text).then(standing(to)));
        left = String::new();
    }
    if rule.to.is_empty() {
        lines.push(Line::of(format!("   {} -", pad(&short(&left, match_cells), match_cells))));
    }
    lines.extend(rule.besides.iter().map(|words| Line::of(format!("   {}   {words}", " ".repeat(match_cells)))));
    lines
}

fn short(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        text.to_owned()
    } else {
        format!("{}~", clean_bounded(text, cells.saturating_sub(2)).trim_end_matches('…'))
    }
}

/// What stands behind a destination: `3/3 ready v2.42.0`.
fn standing(to: &XrayDestination) -> Line {
    match (&to.picks, &to.instances) {
        (XraySelector::Undefined(why), _) => Line::of("").word(Role::Bad, why),
        (XraySelector::Unknown(why), _) => Line::of("").word(Role::Unknown, format!("? {why}")),
        (XraySelector::Labels(labels), None) => Line::of("").word(Role::Unknown, format!("? {labels}")),
        (XraySelector::Labels(labels), Some(known)) => {
            let ready = format!("{}/{} ready", known.ready, known.all);
            let role = if known.ready == 0 { Role::Bad } else { Role::Primary };
            Line::of("").word(role, ready).text(format!(" {}  {labels}", known.versions.join(", ")))
        }
    }
}
