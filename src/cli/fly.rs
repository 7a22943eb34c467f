//! Opening the cockpit: bare, to start a run, to continue one.

use super::args::{Global, Resume, Run, When};
use super::exit::{Exit, Failed, Outcome};
use super::wire::{self, Wired};
use crate::app::{Effect, Msg};
use crate::config::Config;
use crate::domain::record::Draft;
use crate::runbook::state::Phase;
use crate::runtime::{Core, Ending, View, fly};
use crate::ui::Theme;
use std::io::IsTerminal as _;

/// How the screen is drawn, from flags, configuration and terminal.
pub(super) fn view(global: &Global, config: &Config) -> View {
    let set = |name: &str| wire::env(name).is_some_and(|v| !v.is_empty());
    let colour = match global.color {
        When::Always => true,
        When::Never => false,
        When::Auto => !set("NO_COLOR") && wire::env("TERM").is_none_or(|t| t != "dumb"),
    };
    crossterm::style::force_color_output(colour);
    let ascii = global.ascii
        || match config.ui.ascii {
            crate::config::Ascii::Always => true,
            crate::config::Ascii::Never => false,
            crate::config::Ascii::Auto => !utf8() || wire::env("TERM").is_some_and(|t| t == "linux"),
        };
    let default_fps = if set("SSH_CONNECTION") { 4 } else { 10 };
    let fps = global.fps.or(config.ui.fps.map(u32::from)).unwrap_or(default_fps);
    View { theme: if colour { Theme::terminal() } else { Theme::mono() }, ascii, fps }
}

/// The first of these that is set decides, as in the C library.
fn utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| wire::env(name).filter(|v| !v.is_empty()));
    locale.is_some_and(|l| {
        let l = l.to_string_lossy().to_lowercase();
        l.contains("utf-8") || l.contains("utf8")
    })
}

/// The bare command: the cockpit on the configured service, or what to do next.
pub(super) async fn bare(global: &Global) -> Outcome {
    let path = wire::config_path(global)?;
    if !path.exists() && global.config.is_none() {
        return super::first::no_configuration(&path);
    }
    open(global, None).await
}

/// What to do once the cockpit is connected.
enum Then {
    Start(Box<StartRun>),
    Resume { run: Option<String>, take_over: Option<String> },
}

struct StartRun {
    title: String,
    lines: Vec<String>,
    make: Box<dyn Fn(&crate::app::Model) -> Draft + Send>,
}

/// `gonogo run RUNBOOK`
pub(super) async fn run(global: &Global, args: &Run) -> Outcome {
    let path = wire::config_path(global)?;
    let config = wire::config(global, &path)?;
    let selected = wire::select(global, &config)?;
    let text = super::runbook::text(&args.runbook)?;
    let (standing, refused) = super::signing::standing(&config, selected.spec, &args.runbook, &text).await;
    let loaded = super::runbook::load_text(&args.runbook.display().to_string(), &text, &args.params, selected.spec, &config.people)?;
    if let Some(refused) = refused {
        return Err(refused);
    }
    super::signing::answerable(selected.spec, &loaded.runbook)?;
    let runbook = loaded.runbook;
    let auto = args.auto_back_out;
    let mut lines = vec![
        format!("{} v{}, {} steps, target {}", runbook.id, runbook.version, runbook.steps.len(), selected.spec.name),
        format!("hash {}", loaded.hash.get(..12).unwrap_or_default()),
        standing.to_string(),
    ];
    for guard in runbook.guards.iter().filter(|g| g.then == crate::runbook::GuardThen::Rollback) {
        lines.push(if auto {
            format!("guard {} ({}) BACKS OUT BY ITSELF after 10 s", guard.id, guard.probe.describe())
        } else {
            format!("guard {} ({}) holds and asks", guard.id, guard.probe.describe())
        });
    }
    let title = runbook.title.clone();
    let make = Box::new(move |model: &crate::app::Model| {
        crate::runbook::record::with_signature(crate::app::first_draft(model, &runbook, auto), &standing)
    });
    open(global, Some(Then::Start(Box::new(StartRun { title, lines, make })))).await
}

/// `gonogo resume [RUN]`
pub(super) async fn resume(global: &Global, args: &Resume) -> Outcome {
    open(global, Some(Then::Resume { run: args.run.clone(), take_over: args.take_over.clone() })).await
}

async fn open(global: &Global, then: Option<Then>) -> Outcome {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failed::new(Exit::Usage, "the cockpit needs a terminal; gonogo status works without"));
    }
    let path = wire::config_path(global)?;
    let config = wire::config(global, &path)?;
    let clock = wire::clock(&config).await?;
    let journal = wire::journal(&config, clock.clone(), None)?;
    let wired = wire::connect(global, &config, clock, journal).await?;
    let mut core = Core::start(&wired.ports, wired.spec.clone(), wired.options.clone());
    match then {
        None => {}
        Some(Then::Start(start)) => {
            // The cockpit asks first; what the service looks like then belongs into the first entry.
            let first = (start.make)(&core.model);
            core.ask_to_start(&start.title, start.lines, first);
        }
        Some(Then::Resume { run, take_over }) => resume_in(&mut core, &wired, run, take_over).await?,
    }
    let view = view(global, &config);
    land(core, view).await
}

async fn resume_in(core: &mut Core, wired: &Wired, run: Option<String>, take_over: Option<String>) -> Result<(), Failed> {
    let run = super::runs::unfinished(&*wired.ports.journal, &wired.spec.key(), run).await?;
    core.take_seat(run, take_over);
    Ok(())
}

/// Flies, leaves properly, and turns the end into an exit code.
pub(super) async fn land(mut core: Core, view: View) -> Outcome {
    let ending = fly(&mut core, view).await;
    let phase = core.model.run.as_ref().map(|r| r.state.phase);
    let last = core.model.run.as_ref().map(|r| r.state.run.clone());
    let driving = core.model.run.as_ref().is_some_and(|r| r.seat == crate::app::model::Seat::Driving);
    core.stop().await;
    let ending = ending?;
    if let (Some(run), Some(phase)) = (last, phase)
        && driving
        && !phase.is_final()
    {
        super::say(&format!("traffic stays as it is; run {run} holds, unattended: gonogo resume {run} continues it"));
    }
    Ok(match (ending, phase) {
        (Ending::Signal(number), _) => Exit::Signal(number),
        (Ending::Left, Some(Phase::RolledBack | Phase::Aborted)) => Exit::BackedOut,
        (Ending::Left, _) => Exit::Done,
    })
}

impl Core {
    /// Opens the prompt that starts a run.
    fn ask_to_start(&mut self, title: &str, lines: Vec<String>, first: Draft) {
        let effects = self.dispatch(Msg::AskStart { title: title.to_owned(), lines, first });
        debug_assert!(effects.iter().all(|e| matches!(e, Effect::Bell)), "nothing else can follow from a question");
    }

    /// Asks for the seat.
    fn take_seat(&mut self, run: crate::domain::RunId, reason: Option<String>) {
        let _ = self.dispatch(Msg::AskSeat { run, take_over: reason.is_some(), reason });
    }
}
