//! The table: what each top folder of `src/` may name of ours, and which crates and standard modules it never names.

use crate::source::{Named, SourceFile};
use std::collections::BTreeSet;
use std::fmt;

/// Crates of the outside world that a pure module never names, beside every optional dependency of the package.
const OUTSIDE: &[&str] = &["tokio", "ratatui", "crossterm", "reqwest", "kube", "axum", "rusqlite", "tokio_postgres", "sqlx"];
/// Modules of the standard library that do I/O or read the surroundings.
const OUTSIDE_STD: &[&str] = &["fs", "net", "env", "process", "thread"];
/// Adapters that the other adapters share.
const SHARED_ADAPTERS: &[&str] = &["http", "promql"];

/// A row of the table.
struct Row {
    folder: &'static str,
    /// Paths below `crate` that it may name; its own folder is always allowed.
    may_name: &'static [&'static str],
    /// External crates that it never names.
    never: &'static [&'static str],
    /// Modules of `std` that it never names.
    never_std: &'static [&'static str],
    /// Neither optional dependencies nor any `::now`: it must build without the outside world.
    pure: bool,
}

const fn pure(folder: &'static str, may_name: &'static [&'static str]) -> Row {
    Row { folder, may_name, never: OUTSIDE, never_std: OUTSIDE_STD, pure: true }
}

const fn edge(folder: &'static str, may_name: &'static [&'static str], never: &'static [&'static str]) -> Row {
    Row { folder, may_name, never, never_std: &[], pure: false }
}

const EVERYTHING: &[&str] = &["domain", "judge", "runbook", "port", "app", "present", "ui", "adapter", "config", "runtime", "cli", "sim"];

const TABLE: &[Row] = &[
    pure("domain", &[]),
    pure("judge", &["domain"]),
    pure("runbook", &["domain"]),
    pure("port", &["domain"]),
    pure("app", &["domain", "judge", "runbook"]),
    pure("present", &["app", "domain", "judge", "runbook"]),
    Row {
        folder: "ui",
        may_name: &["present", "domain", "app::command", "app::key", "app::keymap"],
        never: &["tokio", "reqwest", "kube", "k8s_openapi"],
        never_std: &["fs", "env"],
        pure: false,
    },
    edge("adapter", &["port", "domain"], &[]),
    edge("config", &["domain"], &[]),
    edge("sim", &["domain"], &[]),
    edge(
        "runtime",
        &["port", "app", "present", "ui", "runbook", "domain"],
        &["kube", "k8s_openapi", "reqwest", "rusqlite", "tokio_postgres", "sqlx"],
    ),
    edge("cli", EVERYTHING, &[]),
];

/// A path that crosses a border.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) named: String,
    pub(crate) rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: names `{}`; {}", self.file, self.line, self.named, self.rule)
    }
}

/// The table together with what `Cargo.toml` says about the dependencies.
pub(crate) struct Rules {
    /// Crates that the pure build does not have.
    optional: BTreeSet<String>,
}

impl Rules {
    /// Reads the optional dependencies out of a `Cargo.toml`.
    pub(crate) fn from_manifest(manifest: &str) -> Self {
        let manifest: toml::Table = manifest.parse().expect("a manifest in TOML");
        let dependencies = manifest["dependencies"].as_table().expect("a table of dependencies");
        let optional = dependencies
            .iter()
            .filter(|(_, entry)| entry.get("optional").and_then(toml::Value::as_bool) == Some(true))
            .map(|(name, _)| name.replace('-', "_"))
            .collect();
        Self { optional }
    }

    /// Every path of `file` that its row forbids.
    pub(crate) fn check(&self, file: &SourceFile) -> Vec<Violation> {
        let Some(folder) = file.module.first() else { return check_root(file) };
        let Some(row) = TABLE.iter().find(|row| row.folder == folder) else {
            return vec![violation(file, 1, folder, "no row of the table says what this folder may name".to_owned())];
        };
        let mut found: Vec<Violation> = file
            .named
            .iter()
            .filter_map(|named| self.breach(row, file, named).map(|rule| violation(file, named.line, &named.path.join("::"), rule)))
            .collect();
        found.extend(check_join(file));
        found
    }

    fn breach(&self, row: &Row, file: &SourceFile, named: &Named) -> Option<String> {
        match named.path.first().map(String::as_str) {
            Some("crate") => breach_of_ours(row, file, &named.path[1..]),
            Some("gonogo") => Some("inside the library say `crate`".to_owned()),
            Some("std" | "core" | "alloc") => breach_of_std(row, &named.path),
            Some(first) if file.own_names.contains(first) => breach_of_now(row, &named.path),
            Some(first) if row.never.contains(&first) || (row.pure && self.optional.contains(first)) => {
                Some(format!("`{}` never names the crate `{first}`", row.folder))
            }
            _ => breach_of_now(row, &named.path),
        }
    }
}

fn violation(file: &SourceFile, line: usize, named: &str, rule: String) -> Violation {
    Violation { file: file.name.clone(), line, named: named.to_owned(), rule }
}

/// `path` is ours, without the leading `crate`.
fn breach_of_ours(row: &Row, file: &SourceFile, path: &[String]) -> Option<String> {
    let Some(target) = path.first().filter(|first| *first != "*") else {
        return Some("name the module itself: the whole crate under one name hides what is used".to_owned());
    };
    if !EVERYTHING.contains(&target.as_str()) {
        return Some("the crate's root holds modules only".to_owned());
    }
    if row.folder == "adapter" && target == "adapter" {
        return breach_between_adapters(file, path);
    }
    let allowed =
        row.may_name.iter().any(|allowed| allowed.split("::").eq(path.iter().take(allowed.split("::").count()).map(String::as_str)));
    if target == row.folder || allowed {
        return breach_of_now(row, path);
    }
    let allowed = if row.may_name.is_empty() { "nothing of ours".to_owned() } else { row.may_name.join(", ") };
    Some(format!("`{}` may name {allowed}", row.folder))
}

/// One system's adapter never names another's.
fn breach_between_adapters(file: &SourceFile, path: &[String]) -> Option<String> {
    let own = file.module.get(1);
    let Some(other) = path.get(1).filter(|other| *other != "*") else {
        return Some("name the adapter itself".to_owned());
    };
    if own == Some(other) || SHARED_ADAPTERS.contains(&other.as_str()) {
        return None;
    }
    let own = own.map_or("adapter", String::as_str);
    Some(format!("of the adapters, `adapter::{own}` may name only itself, {}", SHARED_ADAPTERS.join(" and ")))
}

fn breach_of_std(row: &Row, path: &[String]) -> Option<String> {
    if row.never_std.is_empty() {
        return None;
    }
    match path.get(1).map(String::as_str) {
        None | Some("*") => Some("name the module of the standard library itself".to_owned()),
        Some(module) if row.never_std.contains(&module) => Some(format!("`{}` never names `std::{module}`", row.folder)),
        _ => breach_of_now(row, path),
    }
}

/// Pure code is told the time.
fn breach_of_now(row: &Row, path: &[String]) -> Option<String> {
    (row.pure && path.iter().skip(1).any(|segment| segment == "now"))
        .then(|| format!("`{}` reads no clock: take a `domain::Stamp`", row.folder))
}

/// `lib.rs` declares modules; `main.rs` hands over to `cli`.
fn check_root(file: &SourceFile) -> Vec<Violation> {
    let is_binary = file.name.ends_with("main.rs");
    file.named
        .iter()
        .filter_map(|named| {
            let path: Vec<&str> = named.path.iter().map(String::as_str).collect();
            let rule = match path.as_slice() {
                ["gonogo", "cli", ..] if is_binary => return None,
                ["gonogo" | "crate", ..] if is_binary => "the binary names `gonogo::cli` alone",
                ["crate", ..] if !is_binary => "the crate's root holds modules only",
                _ => return None,
            };
            Some(violation(file, named.line, &named.path.join("::"), rule.to_owned()))
        })
        .collect()
}

/// Only `cli::wire` knows both the runtime and the adapters.
fn check_join(file: &SourceFile) -> Option<Violation> {
    if file.module.first().is_none_or(|folder| folder != "cli") || file.module.get(1).is_some_and(|part| part == "wire") {
        return None;
    }
    let first_use = |folder: &str| {
        file.named.iter().find(|named| named.path.first().is_some_and(|f| f == "crate") && named.path.get(1).is_some_and(|f| f == folder))
    };
    let (runtime, adapter) = (first_use("runtime")?, first_use("adapter")?);
    let later = if runtime.line > adapter.line { runtime } else { adapter };
    Some(violation(file, later.line, &later.path.join("::"), "only `cli::wire` joins `runtime` and `adapter`".to_owned()))
}
