//! How a test says that it could not run for want of a real system.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "a test fails by panicking and speaks on standard error")]

use std::io::Write;

/// Says that `what` was left out because of `why`: on standard error, and as a line of the file named in `GONOGO_LEFT_OUT`, which
/// `tests/run` shows at its very end. The calling test returns afterwards.
///
/// # Panics
/// When `GONOGO_REQUIRE_REAL=1` says that nothing may be left out, or when the line cannot be written.
#[expect(clippy::disallowed_methods, reason = "the test run hands its wishes over in the environment")]
pub(crate) fn left_out(what: &str, why: &str) {
    let line = format!("SUITE LEFT OUT: {what} ({why})");
    assert!(std::env::var("GONOGO_REQUIRE_REAL").as_deref() != Ok("1"), "{line}, but GONOGO_REQUIRE_REAL=1");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("GONOGO_LEFT_OUT") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the file named in GONOGO_LEFT_OUT");
        writeln!(file, "{line}").expect("a line more in the file named in GONOGO_LEFT_OUT");
    }
}
