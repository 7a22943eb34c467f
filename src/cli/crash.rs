//! Ends the process at a named point, for the tests that kill the shipped program at every durable step. Only with the feature
//! `failpoints`; ordinary builds have neither this module nor the points.

use super::exit::{Exit, Failed};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// `POINT:N`: the process ends at the N-th pass of that point, `any` counts the passes of all points together.
const VARIABLE: &str = "GONOGO_CRASH";

/// Before and after everything that outlives the process.
const POINTS: [&str; 6] = [
    "journal::before_commit",
    "journal::after_commit",
    "seat::before_commit",
    "seat::after_commit",
    "platform::before_send",
    "platform::after_send",
];

/// Sets the point that the environment names, and what the crate's own variable `FAILPOINTS` asks for.
pub(super) fn arm() -> Result<(), Failed> {
    if super::wire::env("FAILPOINTS").is_some() {
        // It lasts as long as the process.
        std::mem::forget(fail::FailScenario::setup());
    }
    let Some(wish) = super::wire::env(VARIABLE) else { return Ok(()) };
    let wish = wish.to_string_lossy().into_owned();
    let (points, pass) = parse(&wish).ok_or_else(|| {
        Failed::new(Exit::Usage, format!("{VARIABLE}={wish}: write it as POINT:N with N from 1; points: any, {}", POINTS.join(", ")))
    })?;
    let left = Arc::new(AtomicU32::new(pass));
    for point in points {
        let left = left.clone();
        fail::cfg_callback(*point, move || {
            if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1) {
                end(point);
            }
        })
        .map_err(|why| Failed::new(Exit::Internal, format!("{VARIABLE}={wish}: {why}")))?;
    }
    Ok(())
}

fn parse(wish: &str) -> Option<(&'static [&'static str], u32)> {
    let (point, pass) = wish.rsplit_once(':')?;
    let pass = pass.parse().ok().filter(|pass| *pass > 0)?;
    let points = if point == "any" {
        &POINTS[..]
    } else {
        let at = POINTS.iter().position(|known| *known == point)?;
        &POINTS[at..=at]
    };
    Some((points, pass))
}

/// As if the machine had been switched off: nothing unwinds, nothing is flushed, nothing is released.
fn end(point: &str) {
    let _ = writeln!(std::io::stderr(), "crash point {point}");
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal ends this thread before it returns; whatever happens, it does not go on.
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_names_points_and_a_pass() {
        assert_eq!(parse("journal::after_commit:3"), Some((&POINTS[1..2], 3)));
        assert_eq!(parse("any:1").unwrap().0.len(), POINTS.len());
        for wrong in ["any", "any:0", "journal::commit:1", "platform::before_send", ""] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
