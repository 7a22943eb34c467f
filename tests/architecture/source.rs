//! Reads a Rust source file into the paths that it names. A scanner, not a parser: it knows comments, literals, `use` trees, module
//! nesting and `#[cfg(test)]`, which is all that the borders need.

use std::collections::BTreeSet;

/// A path as written, made absolute where it starts with `crate`, `self` or `super`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// Its segments; `crate` first if it is ours. A glob ends in `*`.
    pub(crate) path: Vec<String>,
}

/// What the checker knows of one file.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Path from the package's root, with forward slashes.
    pub(crate) name: String,
    /// Module path without `crate`: `src/adapter/kubernetes/watch.rs` is `adapter, kubernetes, watch`.
    pub(crate) module: Vec<String>,
    /// Every path named outside tests.
    pub(crate) named: Vec<Named>,
    /// Names that the file declares or imports from our own code; such a name is no external crate.
    pub(crate) own_names: BTreeSet<String>,
    /// Files that exist for tests only (`#[cfg(test)] mod name;`), as candidate paths from the package's root.
    pub(crate) test_files: Vec<String>,
}

impl SourceFile {
    /// Scans `text`, the contents of `name` (such as `src/app/update.rs`).
    pub(crate) fn read(name: &str, text: &str) -> Self {
        let module = module_of(name);
        let tokens = tokens(&blank_literals(text));
        let mut file = Self { name: name.to_owned(), module, named: Vec::new(), own_names: BTreeSet::new(), test_files: Vec::new() };
        let tokens = file.without_tests(&tokens);
        file.collect(&tokens);
        file
    }

    /// Drops every item under `#[cfg(test)]` and remembers the files of test modules.
    fn without_tests(&mut self, tokens: &[Token]) -> Vec<Token> {
        let mut kept = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let Some((end, inner)) = cfg_test(tokens, at) else {
                kept.push(tokens[at].clone());
                at += 1;
                continue;
            };
            if inner {
                return kept;
            }
            let item_end = end_of_item(tokens, end);
            let words: Vec<&str> = tokens[end..item_end].iter().map(|token| token.text.as_str()).collect();
            if let Some(mod_at) = words.iter().position(|word| *word == "mod")
                && words.get(mod_at + 2) == Some(&";")
            {
                self.test_files.extend(files_of_submodule(&self.name, words[mod_at + 1]));
            }
            at = item_end;
        }
        kept
    }

    fn collect(&mut self, tokens: &[Token]) {
        let mut nesting: Vec<Option<String>> = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let token = &tokens[at];
            match token.text.as_str() {
                "mod" if is_word(tokens, at + 1) => {
                    let name = tokens[at + 1].text.clone();
                    self.own_names.insert(name.clone());
                    if text(tokens, at + 2) == "{" {
                        nesting.push(Some(name));
                        at += 1;
                    }
                    at += 2;
                }
                "{" => {
                    nesting.push(None);
                    at += 1;
                }
                "}" => {
                    nesting.pop();
                    at += 1;
                }
                "extern" if text(tokens, at + 1) == "crate" => {
                    let path = vec![text(tokens, at + 2).to_owned(), "*".to_owned()];
                    self.named.push(Named { line: token.line, path });
                    at += 3;
                }
                "use" => {
                    let here = self.here(&nesting);
                    at = self.collect_use(tokens, at + 1, &here);
                }
                _ if is_word(tokens, at) && text(tokens, at + 1) == "::" && !after_join(tokens, at) => {
                    let here = self.here(&nesting);
                    at = self.collect_path(tokens, at, &here);
                }
                _ => at += 1,
            }
        }
    }

    /// The module that code at this nesting stands in.
    fn here(&self, nesting: &[Option<String>]) -> Vec<String> {
        self.module.iter().cloned().chain(nesting.iter().flatten().cloned()).collect()
    }

    /// A path in an expression, type, pattern or macro call, from its first word; returns where it ends.
    fn collect_path(&mut self, tokens: &[Token], start: usize, here: &[String]) -> usize {
        let mut path = vec![tokens[start].text.clone()];
        let mut at = start + 1;
        while text(tokens, at) == "::" && is_word(tokens, at + 1) {
            path.push(tokens[at + 1].text.clone());
            at += 2;
        }
        self.named.push(Named { line: tokens[start].line, path: absolute(&path, here) });
        at
    }

    /// A `use` tree, from behind the word `use`; returns where it ends. (`use<'a>` in a return type has no path and ends at once.)
    fn collect_use(&mut self, tokens: &[Token], start: usize, here: &[String]) -> usize {
        let mut stack: Vec<Vec<String>> = Vec::new();
        let mut prefix: Vec<String> = Vec::new();
        let mut line = None;
        let mut at = start;
        loop {
            let token = text(tokens, at);
            match token {
                "{" => stack.push(prefix.clone()),
                "::" => {}
                "as" => {
                    self.import(&prefix, &mut line, here, Some(text(tokens, at + 1)));
                    prefix.clear();
                    at += 1;
                }
                "," | "}" | ";" => {
                    if line.is_some() {
                        self.import(&prefix, &mut line, here, None);
                    }
                    if token == "}" {
                        stack.pop();
                    }
                    prefix = stack.last().cloned().unwrap_or_default();
                    if token == ";" {
                        return at + 1;
                    }
                }
                "*" => {
                    prefix.push("*".to_owned());
                    line = Some(tokens[at].line);
                }
                _ if is_word(tokens, at) => {
                    prefix.push(token.to_owned());
                    line = Some(tokens[at].line);
                }
                _ => return at,
            }
            at += 1;
        }
    }

    /// One leaf of a `use` tree.
    fn import(&mut self, path: &[String], line: &mut Option<usize>, here: &[String], alias: Option<&str>) {
        let Some(line) = line.take() else { return };
        let mut path = path.to_vec();
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let path = absolute(&path, here);
        if path.first().is_some_and(|first| first == "crate") {
            let name = alias.map(ToOwned::to_owned).or_else(|| path.last().cloned());
            self.own_names.extend(name);
        }
        self.named.push(Named { line, path });
    }
}

/// `src/adapter/kubernetes/mod.rs` -> `adapter, kubernetes`; `src/lib.rs` and `src/main.rs` -> nothing.
fn module_of(name: &str) -> Vec<String> {
    let inner = name.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = inner.split('/').map(ToOwned::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || matches!(inner, "lib" | "main") {
        module.pop();
    }
    module
}

/// Where `mod name;` in `file` may live.
fn files_of_submodule(file: &str, name: &str) -> Vec<String> {
    let (folder, stem) = file.rsplit_once('/').unwrap_or(("", file));
    let folder = match stem {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        other => format!("{folder}/{}", other.trim_end_matches(".rs")),
    };
    vec![format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
}

/// Resolves `self` and `super` against the module a path stands in.
fn absolute(path: &[String], here: &[String]) -> Vec<String> {
    let ups = path.iter().take_while(|segment| *segment == "super").count();
    let first = path.first().map(String::as_str);
    let (keep, skip) = match first {
        Some("self") => {
            let ups = path[1..].iter().take_while(|segment| *segment == "super").count();
            (here.len().saturating_sub(ups), ups + 1)
        }
        Some("super") => (here.len().saturating_sub(ups), ups),
        _ => return path.to_vec(),
    };
    std::iter::once("crate".to_owned()).chain(here[..keep].iter().cloned()).chain(path[skip..].iter().cloned()).collect()
}

/// A word or a sign with its line.
#[derive(Debug, Clone)]
struct Token {
    text: String,
    line: usize,
}

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

fn is_word(tokens: &[Token], at: usize) -> bool {
    text(tokens, at).starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Whether the word at `at` continues a path or follows a dot (`value.collect::<..>()`).
fn after_join(tokens: &[Token], at: usize) -> bool {
    match at.checked_sub(1).map(|before| text(tokens, before)) {
        Some(".") => true,
        Some("::") => at >= 2 && (is_word(tokens, at - 2) || text(tokens, at - 2) == ">"),
        _ => false,
    }
}

/// Splits blanked source into words, `::` and single signs. Raw identifiers lose their `r#`.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < chars.len() {
        let character = chars[at];
        if character == '\n' {
            line += 1;
            at += 1;
        } else if character.is_whitespace() {
            at += 1;
        } else if character.is_alphanumeric() || character == '_' {
            let start = at;
            while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                at += 1;
            }
            let word: String = chars[start..at].iter().collect();
            if word == "r" && chars.get(at) == Some(&'#') {
                at += 1;
            } else {
                found.push(Token { text: word, line });
            }
        } else if character == ':' && chars.get(at + 1) == Some(&':') {
            found.push(Token { text: "::".to_owned(), line });
            at += 2;
        } else {
            found.push(Token { text: character.to_string(), line });
            at += 1;
        }
    }
    found
}

/// If an attribute that holds for tests only starts at `at`: where it ends, and whether it is an inner one (`#![cfg(test)]`).
fn cfg_test(tokens: &[Token], at: usize) -> Option<(usize, bool)> {
    if text(tokens, at) != "#" {
        return None;
    }
    let inner = text(tokens, at + 1) == "!";
    let open = at + 1 + usize::from(inner);
    if text(tokens, open) != "[" || text(tokens, open + 1) != "cfg" {
        return None;
    }
    let end = end_of_group(tokens, open);
    let words: Vec<&str> = tokens[open + 2..end].iter().map(|token| token.text.as_str()).collect();
    // `cfg(test)` and `cfg(all(test, ..))`: never `any(test, ..)` or `not(test)`, which also hold without tests.
    let only_tests = words.starts_with(&["(", "test", ")"]) || (words.starts_with(&["(", "all"]) && words.contains(&"test"));
    (only_tests && !words.contains(&"not") && !words.contains(&"any")).then_some((end, inner))
}

/// The index behind the bracket that closes the one at `open`.
fn end_of_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// The index behind the item that starts at `start`: its block, its `;`, or (a field, an arm) its `,`.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let is_use = tokens[start..].iter().take(8).take_while(|token| token.text != ";").any(|token| token.text == "use");
    let mut at = start;
    while at < tokens.len() {
        match text(tokens, at) {
            "(" | "[" => at = end_of_group(tokens, at),
            "{" if is_use => at = end_of_group(tokens, at),
            "{" => return end_of_group(tokens, at),
            ";" | "," => return at + 1,
            "}" => return at,
            _ => at += 1,
        }
    }
    at
}

/// The source with comments and the insides of string and character literals replaced by blanks; lines stay where they are.
fn blank_literals(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none does.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => (at..chars.len()).find(|&i| chars[i] == '\n').unwrap_or(chars.len()),
        '/' if next == Some('*') => block_comment_end(chars, at),
        '"' => quoted_end(chars, at, '"'),
        '\'' if next == Some('\\') => quoted_end(chars, at, '\''),
        '\'' if chars.get(at + 2) == Some(&'\'') => at + 3,
        'r' | 'b' | 'c' if !chars[..at].last().is_some_and(|c| c.is_alphanumeric() || *c == '_') => raw_string_end(chars, at),
        _ => at,
    }
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => {
                depth += 1;
                at += 2;
            }
            ('*', '/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// `r".."`, `r#".."#`, `br".."`, `b".."`, `c".."`; `start` if none of them starts there.
fn raw_string_end(chars: &[char], start: usize) -> usize {
    let mut at = start;
    while matches!(chars.get(at), Some('r' | 'b' | 'c')) && at < start + 2 {
        at += 1;
    }
    let raw = chars[start..at].contains(&'r');
    let hashes = if raw { chars[at..].iter().take_while(|c| **c == '#').count() } else { 0 };
    at += hashes;
    if chars.get(at) != Some(&'"') {
        return start;
    }
    if !raw {
        return quoted_end(chars, at, '"');
    }
    at += 1;
    while at < chars.len() {
        if chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    chars.len()
}
