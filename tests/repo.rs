//! The house around the code: what the documents promise is there, and no file says what it should not.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/left_out.rs"]
mod left_out;

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name} cannot be read: {error}"))
}

/// Every file of the package but build products and git's own.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().unwrap_or_default();
            if name == "target" || name == ".git" {
                continue;
            }
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The commands of the README: the lines of its fenced `sh` blocks.
fn readme_commands() -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in read("README.md").lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside && !command.is_empty() && !command.starts_with('#') => commands.push(command.to_owned()),
            _ => {}
        }
    }
    commands
}

#[cfg(unix)]
fn is_executable(name: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(root().join(name)).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(name: &str) -> bool {
    root().join(name).is_file()
}

#[test]
fn the_two_commands_of_the_readme_exist() {
    let commands = readme_commands();
    assert!(commands.contains(&"cargo run --release -- demo".to_owned()), "the README does not open the demo: {commands:?}");
    assert!(commands.contains(&"tests/run".to_owned()), "the README does not run the tests: {commands:?}");
    assert!(is_executable("tests/run"), "tests/run is not an executable file");
}

#[test]
fn ci_runs_the_readme_command_and_nothing_else() {
    assert!(is_executable(".ci/run"), ".ci/run is not an executable file");
    let script = read(".ci/run");
    let acts: Vec<&str> = script
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#') && !l.starts_with("set ") && !l.starts_with("cd "))
        .collect();
    assert_eq!(acts, ["exec tests/run"]);
}

#[test]
fn the_scripts_are_well_formed() {
    for script in ["tests/run", ".ci/run"] {
        let Ok(checked) = std::process::Command::new("bash").arg("-n").arg(root().join(script)).output() else {
            return left_out::left_out("syntax of the scripts", "there is no bash");
        };
        assert!(checked.status.success(), "{script}: {}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/adr/README.md"] {
        let text = read(name);
        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(root().join(folder).join(file).exists(), "{name} links to {link}, which does not exist");
        }
    }
}

#[test]
fn every_decision_is_in_the_index() {
    let index = read("docs/adr/README.md");
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("docs/adr")).expect("the folder of decisions") {
        let name = entry.expect("a readable entry").file_name().to_string_lossy().into_owned();
        if name != "README.md" {
            assert!(index.contains(&format!("]({name})")), "docs/adr/README.md does not list {name}");
            count += 1;
        }
    }
    assert!(count >= 8, "only {count} decisions were found");
}

#[test]
fn the_changelog_is_open() {
    assert!(read("CHANGELOG.md").contains("## [Unreleased]"), "CHANGELOG.md has no Unreleased section");
}

#[test]
fn the_architecture_fits_in_one_sitting() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= 300, "ARCHITECTURE.md has {lines} lines; at most 300 are read");
}

#[test]
fn both_licences_are_whole() {
    let mit = read("LICENSE-MIT");
    assert!(mit.contains("The gonogo authors") && mit.contains("WITHOUT WARRANTY OF"));
    let apache = read("LICENSE-APACHE");
    assert!(apache.contains("Version 2.0, January 2004") && apache.contains("END OF TERMS AND CONDITIONS"));
    assert!(read("Cargo.toml").contains("license = \"MIT OR Apache-2.0\""));
}

#[test]
fn one_crypto_stack_and_no_dead_yaml() {
    let lock: toml::Table = read("Cargo.lock").parse().expect("a lock file in TOML");
    let packages = lock["package"].as_array().expect("a list of packages");
    assert!(packages.len() > 50, "the lock file was not understood");
    let banned = ["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys", "serde_yaml", "serde_yml"];
    let found: Vec<&str> = packages.iter().filter_map(|p| p["name"].as_str()).filter(|name| banned.contains(name)).collect();
    assert!(found.is_empty(), "deny.toml bans what Cargo.lock holds: {found:?}");
}

/// Text of the project speaks of the project alone. The words are put together here so that this file does not hold them.
fn words_that_do_not_belong() -> Vec<String> {
    [
        ("/wo", "rk/"),
        ("../sha", "red"),
        ("sub", "agent"),
        ("farm", "-studio"),
        ("farm", "-bench"),
        ("helper ses", "sion"),
        ("this work", "place"),
        ("run", "books.md"),
        ("`u", "x.md"),
        ("design/pro", "duct.md"),
        ("design/deci", "sions.md"),
        ("design/archi", "tecture.md"),
        ("platform", "-apis.md"),
    ]
    .iter()
    .map(|(first, second)| format!("{first}{second}"))
    .collect()
}

/// `line: word` of every word in `text` that does not belong.
fn misplaced(text: &str) -> Vec<String> {
    let words = words_that_do_not_belong();
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(at, line)| words.iter().filter(|word| line.contains(word.as_str())).map(move |word| format!("{}: {word}", at + 1)))
        .collect()
}

#[test]
fn no_file_speaks_of_the_place_it_was_written_in() {
    let mut read_files = 0;
    let mut found = Vec::new();
    for path in files() {
        let bytes = std::fs::read(&path).expect("a readable file");
        let Ok(text) = String::from_utf8(bytes) else { continue };
        read_files += 1;
        found.extend(misplaced(&text).iter().map(|what| format!("{}:{what}", path.display())));
    }
    assert!(read_files > 50, "only {read_files} text files were found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn misplaced_words_are_seen() {
    let text = format!("one\ntwo {} three\n", words_that_do_not_belong()[0]);
    assert_eq!(misplaced(&text), [format!("2: {}", words_that_do_not_belong()[0])]);
    assert_eq!(misplaced("a workshop, shared by agents of the farm"), [""; 0]);
}
