//! The command line.

use crate::domain::incident::Severity;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The release cockpit for the terminal: watch a release, decide go or no-go, back out fast.
#[derive(Debug, Parser)]
#[command(
    name = "gonogo",
    version,
    disable_help_subcommand = true,
    after_help = "Without a command: the cockpit on the configured service.\nTry it now: gonogo demo   (a simulated release, no network, nothing to break)"
)]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// If the terminal can.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE", env = "GONOGO_CONFIG")]
    pub config: Option<PathBuf>,
    /// Service, when the configuration has several
    #[arg(long, global = true, value_name = "NAME")]
    pub service: Option<String>,
    /// Who works here [default: `as` of the configuration, else the login name]
    #[arg(long = "as", global = true, value_name = "NAME", env = "GONOGO_AS", value_parser = own_name)]
    pub name: Option<String>,
    /// Nothing can be written from this process
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Look on only: no write credentials in the process
    #[arg(long, global = true)]
    pub spectator: bool,
    /// Colours; NO_COLOR counts as never
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    pub color: When,
    /// Only ASCII characters on screen
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Most frames a second [default: 10, over ssh 4]
    #[arg(long, global = true, value_name = "N")]
    pub fps: Option<u32>,
    /// Give up after this time, exit 124
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Result as JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
}

/// A name that the journal can show.
fn own_name(name: &str) -> Result<String, String> {
    match crate::domain::person::unfit(name) {
        None => Ok(name.to_owned()),
        Some(why) => Err(format!("the name {why}")),
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A simulated release in this process, and the cockpit on it
    #[cfg(feature = "sim")]
    Demo(Sim),
    /// The simulator alone, for other clients and tests
    #[cfg(feature = "sim")]
    Sim(Sim),
    /// Start a runbook in the cockpit
    Run(Run),
    /// Continue an unattended run
    Resume(Resume),
    /// What a runbook would do: the real difference of its first act, rights, times
    Plan(Plan),
    /// Check runbook files
    Lint {
        /// Runbook files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Sign runbook files with your SSH key, as ssh-keygen -Y sign -n runbook@gonogo does
    Sign(Sign),
    /// Go one step on, without a screen
    Promote(Promote),
    /// Change one thing outside a runbook, without a screen: a run of one step
    Act(Act),
    /// Take the canary's traffic away, without a screen
    Backout {
        /// The new canary weight, typed out: 0
        #[arg(long, value_name = "0")]
        confirm: Option<String>,
    },
    /// Hold the run
    Hold {
        /// Why, for the record
        #[arg(long, default_value = "held from the command line")]
        reason: String,
    },
    /// Answer an item of the open checklist in your own name; alone: what is open
    Answer(Answer),
    /// Say go, no-go or hold at the open gate in your own name; alone: the board
    Poll(PollArgs),
    /// Approve what the open gate is about, by the code of its plan; alone: what there is to approve
    Approve(Approval),
    /// End the current wait early, where the runbook lets you
    Shorten {
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
    /// One snapshot
    Status,
    /// Runs in the journal
    Runs,
    /// What happened in a run
    Show {
        /// The run [default: the unfinished one, else the latest]
        run: Option<String>,
    },
    /// How to go back by hand, with the platform's own client; works offline
    PrintUndo {
        /// The run [default: the unfinished one, else the latest]
        run: Option<String>,
    },
    /// An incident: declare it, tell how it stands, escalate, hand over
    Incident(Incident),
    /// Write a note into the record of the run under way, or of the open incident
    Note {
        /// What
        text: String,
    },
    /// Check terminal, configuration, connections, rights, clocks
    Doctor,
}

/// An incident.
#[derive(Debug, Clone, Args)]
pub struct Incident {
    /// What to do
    #[command(subcommand)]
    pub deal: Deal,
}

/// What can be done about an incident.
#[derive(Debug, Clone, Subcommand)]
pub enum Deal {
    /// Declare one: in the run under way, else in a record of its own
    Declare {
        /// How bad it is: P0 to P3
        #[arg(long, value_name = "P0|P1|P2|P3")]
        severity: Severity,
        /// One line: what is wrong
        title: String,
    },
    /// Write down what those who wait were told; the clock of the next update begins anew
    Update {
        /// What
        text: String,
    },
    /// It is worse, or less bad
    Severity {
        /// P0 to P3
        #[arg(value_name = "P0|P1|P2|P3")]
        severity: Severity,
    },
    /// Record that the next person on the ladder was called
    Escalate,
    /// It is over
    Resolve {
        /// How
        text: String,
    },
    /// Clocks: since the declaration, next update, next escalation
    Status,
    /// The brief for whoever takes over, as Markdown, from the journal
    Brief {
        /// The run [default: the unfinished one, else the latest]
        run: Option<String>,
    },
}

/// An answer.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit: 0 answered, 3 recorded but it does not let the item pass, 5 disputed, 9 refused.")]
pub struct Answer {
    /// The step (the one at work when left out), the item's number from 1, and the answer
    #[arg(value_name = "[STEP] ITEM VALUE", num_args = 0..=3, allow_hyphen_values = true)]
    pub what: Vec<String>,
}

/// What is said at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spoken {
    /// Go on.
    Go,
    /// Do not; needs a reason.
    NoGo,
    /// Not yet; needs a reason.
    Hold,
    /// Take back what you said.
    Withdraw,
}

/// Speaking at a gate.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit alone: 0 go, 3 a no-go stands, 5 it waits. With a vote: 0 written, 9 refused, 10 the plan is another one.")]
pub struct PollArgs {
    /// What you say
    #[arg(value_enum)]
    pub vote: Option<Spoken>,
    /// The role you speak for, where you have several
    #[arg(long, value_name = "R")]
    pub role: Option<String>,
    /// Why: a no-go and a hold need it
    #[arg(long, value_name = "T")]
    pub reason: Option<String>,
    /// Code of the plan that you saw: the go is refused when it is another one by now
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
}

/// Approving a plan.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit: 0 written, 9 refused, 10 the code is not that of the plan now.")]
pub struct Approval {
    /// Code of the plan: the first characters of its hash, as the board shows them
    pub code: Option<String>,
    /// The role you speak for, where you have several
    #[arg(long, value_name = "R")]
    pub role: Option<String>,
    /// A remark for the record
    #[arg(long, value_name = "T")]
    pub reason: Option<String>,
}

/// Starting a run.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Runbook file
    pub runbook: PathBuf,
    /// Parameter, repeatable
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// Guards that say so may back out by themselves (after a countdown of 10 s that H stops)
    #[arg(long)]
    pub auto_back_out: bool,
}

/// Continuing a run.
#[derive(Debug, Clone, Args)]
pub struct Resume {
    /// The run [default: the unfinished one of the service]
    pub run: Option<String>,
    /// Take the seat even while somebody else drives
    #[arg(long, value_name = "REASON")]
    pub take_over: Option<String>,
}

/// Looking ahead.
#[derive(Debug, Clone, Args)]
pub struct Plan {
    /// Runbook file
    pub runbook: PathBuf,
    /// Parameter, repeatable
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// Exit 12 if something would change
    #[arg(long)]
    pub exit_code: bool,
}

/// Signing.
#[derive(Debug, Clone, Args)]
pub struct Sign {
    /// Runbook files; each signature is written beside its file, as FILE.sig
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Private key, or public key whose private half is in the ssh-agent [default: `key` of the configuration, else the agent's first key, else ~/.ssh/id_ed25519]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// Going on.
#[derive(Debug, Clone, Args)]
pub struct Promote {
    /// The new canary weight, in percent
    #[arg(long, value_name = "W")]
    pub to: u32,
    /// The same number again: what a person types in the prompt
    #[arg(long, value_name = "W")]
    pub confirm: Option<String>,
    /// Take the seat even while somebody else drives
    #[arg(long, value_name = "REASON")]
    pub take_over: Option<String>,
}

/// One act outside a runbook.
#[derive(Debug, Clone, Args)]
pub struct Act {
    /// What to do
    #[command(subcommand)]
    pub deed: Deed,
}

/// What can be done outside a runbook.
#[derive(Debug, Clone, Subcommand)]
pub enum Deed {
    /// Run another image; confirmed with its version
    SetImage {
        /// The image, with tag or digest
        #[arg(long)]
        image: String,
        /// Name of the container, where there are several
        #[arg(long)]
        container: Option<String>,
        /// Which side, and the confirmation
        #[command(flatten)]
        sure: Sure,
    },
    /// Ask for so many instances; confirmed with the count
    Scale {
        /// How many
        #[arg(long)]
        replicas: u32,
        /// Which side, and the confirmation
        #[command(flatten)]
        sure: Sure,
    },
    /// Replace all instances; confirmed with their number
    Restart {
        /// Which side, and the confirmation
        #[command(flatten)]
        sure: Sure,
    },
    /// Run an earlier revision again; confirmed with its number
    Undo {
        /// The revision [default: the one before]
        #[arg(long)]
        to: Option<u64>,
        /// Which side, and the confirmation
        #[command(flatten)]
        sure: Sure,
    },
    /// Stop the platform's own progress; confirmed with the word pause
    Pause {
        /// Which side, and the confirmation
        #[command(flatten)]
        sure: Sure,
    },
    /// Let the platform go on; confirmed with the word resume
    Resume {
        /// Which side, and the confirmation
        #[command(flatten)]
        sure: Sure,
    },
    /// Let a progressive rollout go past its step; confirmed with the new weight
    Promote {
        /// Which side, and the confirmation
        #[command(flatten)]
        sure: Sure,
    },
    /// Let a progressive rollout go past all steps; confirmed with 100
    PromoteFull {
        /// Which side, and the confirmation
        #[command(flatten)]
        sure: Sure,
    },
    /// Send a progressive rollout back; confirmed with 0
    Abort {
        /// Which side, and the confirmation
        #[command(flatten)]
        sure: Sure,
    },
    /// Let an aborted progressive rollout begin again; confirmed with the word retry
    Retry {
        /// Which side, and the confirmation
        #[command(flatten)]
        sure: Sure,
    },
}

/// Which side an act is for, and what a person would type.
#[derive(Debug, Clone, Args)]
pub struct Sure {
    /// The version that served before, instead of the new one
    #[arg(long)]
    pub baseline: bool,
    /// The consequence: what a person types in the prompt
    #[arg(long, value_name = "CONSEQUENCE")]
    pub confirm: Option<String>,
}

/// The simulator's options.
#[derive(Debug, Clone, Args)]
pub struct Sim {
    /// Platform: kubernetes
    #[arg(long, default_value = "kubernetes")]
    pub platform: String,
    /// Scene at the start: tour, idle, pre-launch, bake-25, ready-50, no-go, slow-leak, crash-loop, bad-logs, header-route, checklist
    #[arg(long)]
    pub scene: Option<String>,
    /// What splits the traffic: mesh, gateway, ingress, selector, rolling, argo
    #[arg(long, default_value = "mesh", value_name = "KIND")]
    pub traffic: String,
    /// The same seed gives the same numbers
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Simulated seconds per second (demo)
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// The wall clock stands at this moment
    #[arg(long, value_name = "RFC3339")]
    pub freeze_clock: Option<String>,
    /// Fault SOURCE:KIND@T[+D], repeatable: platform, metrics, alerts or all; seconds since the start
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<String>,
    /// One JSON line per write that reaches the simulated platform
    #[arg(long, value_name = "FILE")]
    pub calls: Option<PathBuf>,
    /// Folder for what other processes need: config.toml, kubeconfig, endpoints.json
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Address of the platform's API
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Instances in all, for load tests
    #[arg(long, hide = true)]
    pub instances: Option<u32>,
    /// Instances replaced per second, for load tests
    #[arg(long, hide = true)]
    pub churn: Option<u32>,
}
