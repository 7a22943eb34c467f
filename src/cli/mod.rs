//! The command line: arguments in, exit code out. What joins the outside to the core is `wire`.

mod act;
mod acts;
mod agree;
mod answer;
mod args;
#[cfg(feature = "failpoints")]
mod crash;
#[cfg(feature = "sim")]
mod demo;
mod desk;
mod doctor;
mod exit;
mod first;
mod fly;
mod incident;
mod lint;
mod local_time;
mod logs;
mod plan;
#[cfg(all(test, feature = "sim"))]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod playbook_tests;
mod print_undo;
mod runbook;
mod runs;
mod show;
mod signals;
mod signing;
mod status;
mod wire;

pub use args::Cli;
pub use exit::Exit;

use args::{Command, Global};
use clap::Parser as _;
use exit::{Failed, Outcome};
use std::io::Write as _;
use std::process::ExitCode;

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    wire::prepare();
    let _logs = logs::start(&cli.global);
    #[cfg(feature = "failpoints")]
    if let Err(Failed { exit, message }) = crash::arm() {
        say(&format!("gonogo: {message}"));
        return exit.into();
    }
    let outcome = runtime().and_then(|runtime| runtime.block_on(within(cli)));
    match outcome {
        Ok(exit) => exit.into(),
        Err(Failed { exit, message }) => {
            if !message.is_empty() {
                say(&format!("gonogo: {message}"));
            }
            exit.into()
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// `--timeout` bounds commands without a screen; the cockpit stays as long as its operator.
async fn within(cli: Cli) -> Outcome {
    let bounded = !matches!(cli.command, None | Some(Command::Run(_) | Command::Resume(_)));
    #[cfg(feature = "sim")]
    let bounded = bounded && !matches!(cli.command, Some(Command::Demo(_) | Command::Sim(_)));
    match cli.global.timeout.filter(|_| bounded) {
        None => dispatch(cli).await,
        Some(time) => match tokio::time::timeout(time, dispatch(cli)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failed::new(Exit::Timeout, "the time given with --timeout is over")),
        },
    }
}

async fn dispatch(cli: Cli) -> Outcome {
    let global: &Global = &cli.global;
    match &cli.command {
        None => fly::bare(global).await,
        #[cfg(feature = "sim")]
        Some(Command::Demo(args)) => demo::demo(global, args).await,
        #[cfg(feature = "sim")]
        Some(Command::Sim(args)) => demo::sim(global, args).await,
        Some(Command::Run(args)) => fly::run(global, args).await,
        Some(Command::Resume(args)) => fly::resume(global, args).await,
        Some(Command::Plan(args)) => plan::plan(global, args).await,
        Some(Command::Lint { files }) => lint::lint(global, files).await,
        Some(Command::Sign(args)) => signing::sign(global, args).await,
        Some(Command::Promote(args)) => acts::promote(global, args).await,
        Some(Command::Act(args)) => act::act(global, args).await,
        Some(Command::Backout { confirm }) => acts::backout(global, confirm.clone()).await,
        Some(Command::Hold { reason }) => acts::hold(global, reason).await,
        Some(Command::Answer(args)) => answer::answer(global, args).await,
        Some(Command::Poll(args)) => agree::poll(global, args).await,
        Some(Command::Approve(args)) => agree::approve(global, args).await,
        Some(Command::Shorten { reason }) => agree::shorten(global, reason).await,
        Some(Command::Status) => status::status(global).await,
        Some(Command::Runs) => runs::runs(global).await,
        Some(Command::Show { run }) => show::show(global, run.as_deref()).await,
        Some(Command::PrintUndo { run }) => print_undo::print_undo(global, run.as_deref()).await,
        Some(Command::Incident(args)) => incident::incident(global, args).await,
        Some(Command::Note { text }) => incident::note(global, text).await,
        Some(Command::Doctor) => doctor::doctor(global).await,
    }
}

/// A result, to standard output. A reader that went away is no error of ours.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A message, to standard error.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
