//! Keeps the borders of the module table in `ARCHITECTURE.md`: every `use` and every path under `src/` is read against it.
//!
//! The compiler cannot: all top folders are modules of one package and may see each other. `source` reads a file (without comments,
//! strings and test modules) into the paths it names, `rules` says which of them a folder may name, and the tests at the end prove
//! on small samples that a breach is seen.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/samples.rs"]
mod samples;
#[path = "architecture/source.rs"]
mod source;

use rules::{Rules, Violation};
use source::SourceFile;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every `.rs` file below `dir`, sorted.
fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("a readable source folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The source tree of this package, without the files that only tests compile.
fn source_tree() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<SourceFile> = rust_files(&root.join("src"))
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a source file in UTF-8");
            let name = path.strip_prefix(root).expect("a path below the package").to_string_lossy().replace('\\', "/");
            SourceFile::read(&name, &text)
        })
        .collect();
    let only_tests: BTreeSet<String> = files.iter().flat_map(|file| file.test_files.iter().cloned()).collect();
    files.into_iter().filter(|file| !only_tests.contains(&file.name)).collect()
}

#[test]
fn every_module_names_only_what_its_row_allows() {
    let manifest = include_str!("../Cargo.toml");
    let rules = Rules::from_manifest(manifest);
    let files = source_tree();
    assert!(files.len() > 10, "only {} source files were found: the walk is broken", files.len());
    let violations: Vec<Violation> = files.iter().flat_map(|file| rules.check(file)).collect();
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} border(s) crossed:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn the_binary_stays_thin() {
    let lines = include_str!("../src/main.rs").lines().count();
    assert!(lines <= 60, "src/main.rs has {lines} lines; at most 60 are allowed: move the rest to `cli`");
}
