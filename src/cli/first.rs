//! The first minute: no configuration yet.

use super::exit::{Exit, Outcome};
use std::path::Path;

/// What to do next. Not an error.
pub(super) fn no_configuration(path: &Path) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    super::print(&format!(
        "gonogo {version}  release cockpit: watch a release, decide go or no-go, back out fast

  gonogo demo            try it now: a simulated release, no network, nothing to break
  gonogo status          what is happening, in 8 lines (also --json)
  gonogo doctor          check terminal, login, rights, data
  gonogo lint FILE       check a runbook

no configuration found at {}
help: gonogo --help",
        path.display()
    ));
    Ok(Exit::Done)
}
