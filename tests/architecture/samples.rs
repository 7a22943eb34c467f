//! The checker checked: samples that cross a border, and samples that only look like it.

use crate::rules::Rules;
use crate::source::SourceFile;

const MANIFEST: &str = r#"
[dependencies]
serde = "1"
hyper = { version = "1", optional = true }
tokio-util = { version = "1", optional = true }
"#;

/// `line: path` of every violation in `text`, read as the file `name`.
fn breaches(name: &str, text: &str) -> Vec<String> {
    let file = SourceFile::read(name, text);
    Rules::from_manifest(MANIFEST).check(&file).iter().map(|found| format!("{}: {}", found.line, found.named)).collect()
}

#[test]
fn a_pure_module_names_no_outside_crate() {
    assert_eq!(breaches("src/domain/time.rs", "use tokio::time::sleep;"), ["1: tokio::time::sleep"]);
    assert_eq!(breaches("src/judge/mod.rs", "fn f() { ratatui::init(); }"), ["1: ratatui::init"]);
    assert_eq!(breaches("src/app/x.rs", "type T = Vec<::kube::Client>;"), ["1: kube::Client"]);
    assert_eq!(breaches("src/port/x.rs", "extern crate axum;"), ["1: axum::*"]);
    assert_eq!(breaches("src/app/x.rs", "use serde::Serialize;"), [""; 0]);
}

#[test]
fn optional_dependencies_are_outside_the_pure_build() {
    assert_eq!(breaches("src/runbook/x.rs", "use hyper::Uri;\nuse tokio_util::sync;"), ["1: hyper::Uri", "2: tokio_util::sync"]);
    assert_eq!(breaches("src/runtime/x.rs", "use hyper::Uri;"), [""; 0]);
}

#[test]
fn a_pure_module_does_no_io_and_reads_no_clock() {
    assert_eq!(breaches("src/domain/x.rs", "use std::{fmt, fs};"), ["1: std::fs"]);
    assert_eq!(breaches("src/app/x.rs", "fn f() { std::thread::yield_now() }"), ["1: std::thread::yield_now"]);
    assert_eq!(breaches("src/app/x.rs", "use std as s;"), ["1: std"]);
    assert_eq!(breaches("src/app/x.rs", "use std::*;"), ["1: std::*"]);
    assert_eq!(breaches("src/present/x.rs", "let t = chrono::Utc::now();"), ["1: chrono::Utc::now"]);
    assert_eq!(breaches("src/present/x.rs", "use std::time::Instant;\nlet t = Instant::now;"), ["2: Instant::now"]);
    assert_eq!(breaches("src/adapter/x.rs", "let t = std::time::Instant::now();"), [""; 0]);
}

#[test]
fn the_drawing_reads_no_files_and_no_environment() {
    assert_eq!(breaches("src/ui/x.rs", "use std::{env, fs};\nuse std::io;"), ["1: std::env", "1: std::fs"]);
    assert_eq!(breaches("src/ui/x.rs", "use tokio::sync::mpsc;"), ["1: tokio::sync::mpsc"]);
    assert_eq!(breaches("src/ui/x.rs", "use ratatui::Frame;"), [""; 0]);
}

#[test]
fn layers_name_only_their_row() {
    assert_eq!(breaches("src/domain/x.rs", "use crate::judge::Judge;"), ["1: crate::judge::Judge"]);
    assert_eq!(breaches("src/app/x.rs", "use crate::port::Platform;"), ["1: crate::port::Platform"]);
    assert_eq!(breaches("src/runtime/x.rs", "use crate::{adapter::http, port, ui};"), ["1: crate::adapter::http"]);
    assert_eq!(breaches("src/sim/x.rs", "use crate::port::Platform;"), ["1: crate::port::Platform"]);
    assert_eq!(breaches("src/config/x.rs", "use crate::domain::Diagnostic;"), [""; 0]);
    assert_eq!(breaches("src/present/x.rs", "use crate::{app::Model, judge, domain::{self, Verdict}};"), [""; 0]);
}

#[test]
fn ui_names_two_parts_of_app() {
    assert_eq!(breaches("src/ui/x.rs", "use crate::app::{command::Command, keymap};"), [""; 0]);
    assert_eq!(breaches("src/ui/x.rs", "use crate::app::{command::Command,\n    model::Model};"), ["2: crate::app::model::Model"]);
    assert_eq!(breaches("src/ui/x.rs", "use crate::app;"), ["1: crate::app"]);
}

#[test]
fn relative_paths_are_followed() {
    assert_eq!(breaches("src/judge/burn.rs", "use super::super::port::Metrics;"), ["1: crate::port::Metrics"]);
    assert_eq!(breaches("src/judge/mod.rs", "fn f() { super::port::x() }"), ["1: crate::port::x"]);
    assert_eq!(breaches("src/judge/mod.rs", "mod inner { use super::super::app::Model; }"), ["1: crate::app::Model"]);
    assert_eq!(breaches("src/judge/mod.rs", "mod inner { use super::super::domain::Verdict; }\nuse self::inner::X;"), [""; 0]);
}

#[test]
fn the_whole_crate_has_no_other_name() {
    assert_eq!(breaches("src/app/x.rs", "use crate as c;"), ["1: crate"]);
    assert_eq!(breaches("src/app/x.rs", "use crate::*;"), ["1: crate::*"]);
    assert_eq!(breaches("src/app/x.rs", "use crate::Shortcut;"), ["1: crate::Shortcut"]);
    assert_eq!(breaches("src/app/x.rs", "use gonogo::domain;"), ["1: gonogo::domain"]);
    assert_eq!(breaches("src/lib.rs", "pub use crate::domain::Verdict;"), ["1: crate::domain::Verdict"]);
}

#[test]
fn adapters_keep_to_themselves() {
    assert_eq!(breaches("src/adapter/prometheus/mod.rs", "use crate::adapter::kubernetes::X;"), ["1: crate::adapter::kubernetes::X"]);
    assert_eq!(breaches("src/adapter/prometheus.rs", "use super::sqlite::X;"), ["1: crate::adapter::sqlite::X"]);
    assert_eq!(breaches("src/adapter/prometheus.rs", "use super::{http, promql::decode, prometheus::Y};"), [""; 0]);
    assert_eq!(breaches("src/adapter/sqlite.rs", "use crate::runtime::X;"), ["1: crate::runtime::X"]);
    assert_eq!(breaches("src/adapter/kubernetes/mesh.rs", "use super::core::X;"), [""; 0]);
}

#[test]
fn wire_alone_joins_runtime_and_adapters() {
    let both = "use crate::runtime::Runtime;\nuse crate::adapter::sqlite::Store;";
    assert_eq!(breaches("src/cli/demo.rs", both), ["2: crate::adapter::sqlite::Store"]);
    assert_eq!(breaches("src/cli/wire.rs", both), [""; 0]);
    assert_eq!(breaches("src/cli/wire/demo.rs", both), [""; 0]);
    assert_eq!(breaches("src/cli/doctor.rs", "use crate::adapter::sqlite::Store;"), [""; 0]);
}

#[test]
fn the_binary_names_the_command_line_alone() {
    assert_eq!(breaches("src/main.rs", "fn main() { gonogo::cli::run() }"), [""; 0]);
    assert_eq!(breaches("src/main.rs", "use gonogo::runtime;"), ["1: gonogo::runtime"]);
}

#[test]
fn a_folder_without_a_row_is_a_violation() {
    assert_eq!(breaches("src/utils/mod.rs", ""), ["1: utils"]);
}

#[test]
fn comments_and_literals_name_nothing() {
    let text = r##"
        //! tokio::spawn in a doc comment
        /* use std::fs; /* nested: kube::Client */ still a comment */
        const A: &str = "crate::port::X \" tokio::x";
        const B: &str = r#"std::env::var(" ")"#;
        const C: &[u8] = br"kube::Client";
        const D: [char; 3] = ['"', '\'', 'x'];
        fn f<'tokio>(x: &'tokio str) -> &'tokio str { x }
        fn g(x: X) { x.tokio::<u8>() }
    "##;
    assert_eq!(breaches("src/app/x.rs", text), [""; 0]);
}

#[test]
fn code_behind_a_literal_is_still_read() {
    assert_eq!(breaches("src/app/x.rs", "const A: char = '\"';\nuse std::fs;"), ["2: std::fs"]);
    assert_eq!(breaches("src/app/x.rs", "let a = \"\\\\\"; tokio::x();"), ["1: tokio::x"]);
    assert_eq!(breaches("src/app/x.rs", "let a = \"one\ntwo\";\nlet b = r#\"\"\"#; tokio::x();"), ["3: tokio::x"]);
    assert_eq!(breaches("src/app/x.rs", "let barber = b\"\"; r#tokio::x();"), ["1: tokio::x"]);
}

#[test]
fn tests_may_name_more() {
    let text = "#[cfg(test)]\n#[allow(clippy::unwrap_used)]\nmod tests { use tokio::time; fn f() { { } } }\nuse std::fs;";
    assert_eq!(breaches("src/app/x.rs", text), ["4: std::fs"]);
    assert_eq!(breaches("src/app/x.rs", "#[cfg(test)]\nuse tokio::{time, sync};\nuse std::fs;"), ["3: std::fs"]);
    assert_eq!(breaches("src/app/x.rs", "#[cfg(all(test, unix))]\nfn f() { std::fs::x() }"), [""; 0]);
    assert_eq!(breaches("src/app/tests.rs", "#![cfg(test)]\nuse std::fs;"), [""; 0]);
}

#[test]
fn a_switch_that_also_holds_without_tests_hides_nothing() {
    assert_eq!(breaches("src/app/x.rs", "#[cfg(not(test))]\nuse std::fs;"), ["2: std::fs"]);
    assert_eq!(breaches("src/app/x.rs", "#[cfg(any(test, unix))]\nuse std::fs;"), ["2: std::fs"]);
    assert_eq!(breaches("src/app/x.rs", "#[cfg(feature = \"test\")]\nuse std::fs;"), ["2: std::fs"]);
}

#[test]
fn files_of_test_modules_are_known() {
    let file = SourceFile::read("src/runbook/engine.rs", "#[cfg(test)]\nmod worlds;\nmod real;");
    assert_eq!(file.test_files, ["src/runbook/engine/worlds.rs", "src/runbook/engine/worlds/mod.rs"]);
    let file = SourceFile::read("src/judge/mod.rs", "#[cfg(test)] pub(crate) mod vectors;");
    assert_eq!(file.test_files, ["src/judge/vectors.rs", "src/judge/vectors/mod.rs"]);
}

#[test]
fn a_module_of_ours_may_be_called_like_a_crate() {
    assert_eq!(breaches("src/app/screen/mod.rs", "mod hyper;\nfn f() { hyper::draw() }"), [""; 0]);
    assert_eq!(breaches("src/app/x.rs", "use super::screen::hyper;\nfn f() { hyper::draw() }"), [""; 0]);
}

#[test]
fn a_message_says_where_what_and_what_is_allowed() {
    let file = SourceFile::read("src/app/update.rs", "\nuse crate::port::Platform;");
    let said: Vec<String> = Rules::from_manifest(MANIFEST).check(&file).iter().map(ToString::to_string).collect();
    assert_eq!(said, ["src/app/update.rs:2: names `crate::port::Platform`; `app` may name domain, judge, runbook"]);
}
