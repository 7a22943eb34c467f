//! Everything the screens show, and nothing they could work out themselves.

use super::alerts::AlertBoard;
use super::card::Capacity;
use super::command::View;
use super::counts::Counts;
use super::effect::Span;
use super::instances::Instances;
use super::landing::Learnt;
use super::logs::Logs;
use super::prompt::Prompt;
use super::update::Driver;
use crate::domain::around::Around;
use crate::domain::record::Entry;
use crate::domain::{
    Finding, Labels, ObservedShare, Percent, PlatformEvent, Probe, Route, Series, ServiceSpec, SourceHealth, Stamp, Ticket, Tickets,
    Verdict, Workload, Xray,
};
use crate::runbook::io::Level;
use crate::runbook::state::RunState;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What was decided before the cockpit opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Who we are.
    pub operator: String,
    /// Nothing can be written, by wiring.
    pub read_only: bool,
    /// Nothing can be written and nothing asked for.
    pub spectator: bool,
    /// Starts armed (private and shared environments, and the tour).
    pub starts_armed: bool,
    /// The first-minute tour: call-outs in the message row.
    pub tour: bool,
    /// Local time is this many seconds east of UTC, under this name.
    pub local_offset: i32,
    /// Name of the local time zone: `CEST`.
    pub local_zone: String,
    /// Prefix that makes other commands find this cockpit's run: `gonogo --config DIR/config.toml`.
    pub command: String,
    /// How often an incident is reported on, and who is called when.
    pub incident: crate::domain::incident::Rules,
    /// The boot that this cockpit's boot clock counts from.
    pub boot_id: String,
}

/// May this cockpit act?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Looks on. Back-out and hold work.
    Observe,
    /// May act until then (boot clock; wall time for display), and until it was idle for too long.
    Armed {
        /// Boot clock.
        until: Duration,
    },
    /// Holds no write credentials.
    Spectator,
}

impl Mode {
    /// How long a cockpit stays armed.
    pub const ARMED_FOR: Duration = Duration::from_secs(60 * 60);
    /// It disarms after so long without a key.
    pub const IDLE: Duration = Duration::from_secs(15 * 60);
}

/// What the platform shows.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// Workloads by uid.
    pub workloads: BTreeMap<String, Workload>,
    /// All instances.
    pub instances: Instances,
    /// The first list of instances has arrived.
    pub listed: bool,
    /// The route as configured; `None` while not read or when there is no such object.
    pub route: Option<Route>,
    /// The route was read at least once: without a route there is no such object.
    pub route_read: bool,
    /// Where the route leads; `None` until it was worked out.
    pub xray: Option<Xray>,
    /// Newest first, bounded.
    pub events: VecDeque<PlatformEvent>,
    /// Restarts that an instance had when it was first seen: older ones are not this release's.
    pub first_restarts: BTreeMap<Arc<str>, u32>,
    /// Difference of the server's clock to ours.
    pub skew: Option<chrono::TimeDelta>,
    /// What stands around the workload.
    pub around: Around,
    /// Progressive delivery.
    pub progressive: crate::domain::ProgressivePicture,
}

/// One expression of the metrics backend, asked once however many gates show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The latest answer: one series per label set, cut where the newest sample ends.
    pub series: Vec<Series>,
    /// Time of the newest sample behind it.
    pub newest: Option<DateTime<Utc>>,
    /// When it was answered (wall).
    pub answered: Option<DateTime<Utc>>,
    /// The request in flight.
    pub outstanding: Option<Ticket>,
    /// When it is asked next (boot clock).
    pub due: Duration,
    /// How far back it is asked: the chart's length, or the longest hold.
    pub reach: Duration,
    /// Remarks of the backend.
    pub warnings: Vec<String>,
    /// Why the latest request failed.
    pub trouble: Option<String>,
    /// Wanted by somebody since the last sweep.
    pub wanted: bool,
}

/// Where a gate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GateOrigin {
    /// A condition of the current step.
    Check,
    /// A guard of the run.
    Guard,
    /// The service's own.
    Service,
}

impl GateOrigin {
    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Guard => "guard",
            Self::Service => "service",
        }
    }
}

/// One line of the gates panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Unique on this screen: origin and id.
    pub key: String,
    /// Its name.
    pub title: String,
    /// Where it comes from.
    pub origin: GateOrigin,
    /// What is asked, and what is good.
    pub probe: Probe,
    /// What was found now, without any hold: the gate's own colour.
    pub finding: Finding,
    /// The same expression for the baseline, when the expression names the canary: value for people and the series.
    pub baseline: Option<Baseline>,
    /// The canary's series, for sparkline and chart.
    pub series: Option<Series>,
    /// For how long good is asked for; zero for plain gates.
    pub hold: Duration,
    /// Whether it has a say in the verdict now: a guard that is not watched yet, or a canary without traffic, has none.
    pub counts: bool,
}

impl Gate {
    /// Its verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.finding.verdict()
    }
}

/// The baseline beside a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// The newest value, for people.
    pub shown: String,
    /// Its series.
    pub series: Option<Series>,
    /// The expression.
    pub query: String,
}

/// Observed shares over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The newest one. Never shown as current when it is older than its source allows.
    pub share: Option<ObservedShare>,
    /// Requests per second over both tracks.
    pub rps: Option<f64>,
    /// Requests of versions that belong to neither track.
    pub strangers: Vec<String>,
    /// `(time, share in percent)`, oldest first, bounded.
    pub history: VecDeque<(DateTime<Utc>, f64)>,
    /// The request in flight, and the window it asks for.
    pub outstanding: Option<(Ticket, Duration)>,
    /// When it is asked next (boot clock).
    pub due: Duration,
    /// Why the latest request failed.
    pub trouble: Option<String>,
}

/// Whose run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// We drive.
    Driving,
    /// Somebody else drives.
    Following,
    /// Nobody drives: it holds.
    Unattended,
}

/// The run on screen.
#[derive(Debug, Clone)]
pub struct RunView {
    /// Folded from the journal.
    pub state: RunState,
    /// The journal.
    pub entries: Vec<Entry>,
    /// Whose it is.
    pub seat: Seat,
    /// This boot, for bakes.
    pub boot_id: String,
    /// What the engine is doing now: `re-reading the platform`.
    pub doing: Option<String>,
}

/// Where an act stands, for the message row: sent, accepted, seen.
#[derive(Debug, Clone, PartialEq)]
pub struct ActFeedback {
    /// `canary 25% -> 50%`.
    pub what: String,
    /// The weight asked for, where it was about that.
    pub weight: Option<Percent>,
    /// When it was sent (wall).
    pub sent: Option<DateTime<Utc>>,
    /// How long the platform took to accept.
    pub accepted: Option<Duration>,
    /// When the platform had accepted (boot clock).
    pub accepted_boot: Option<Duration>,
    /// What the traffic showed, and how long after the acceptance.
    pub seen: Option<(String, Duration)>,
    /// Traffic did not follow within the settle time.
    pub not_observed: bool,
    /// The outcome is not known.
    pub unknown: Option<String>,
}

/// One line for the operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// When (wall).
    pub at: DateTime<Utc>,
    /// How loud.
    pub level: Level,
    /// What.
    pub text: String,
}

/// Rows of a view, chosen by identity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// Identity of the selected row.
    pub id: Option<String>,
    /// Its place when it was last there: where the cursor stays if it vanishes.
    pub place: usize,
    /// Details of the selected row are shown.
    pub details: bool,
}

/// What the screens remember that is no data.
#[derive(Debug, Clone)]
pub struct Screen {
    /// Size in cells.
    pub size: (u16, u16),
    /// The view.
    pub view: View,
    /// The one before.
    pub last_view: View,
    /// Selected rows by view.
    pub selections: BTreeMap<View, Selection>,
    /// Text filter of the current view's rows.
    pub filter: String,
    /// The filter is being typed.
    pub filtering: bool,
    /// How instances are sorted.
    pub sort: InstanceSort,
    /// The help is open.
    pub help: bool,
    /// Queries and calls are shown in place of the picture.
    pub source: bool,
    /// Times are local.
    pub local_time: bool,
    /// Since when the current wait for the first data goes on (mono).
    pub opened: Duration,
}

/// How instances are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstanceSort {
    /// Canary first, problems first, then age.
    #[default]
    Group,
    /// By restarts, most first.
    Restarts,
    /// By age, youngest first.
    Age,
    /// By name.
    Name,
}

impl InstanceSort {
    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Group => "group, then age",
            Self::Restarts => "restarts",
            Self::Age => "age",
            Self::Name => "name",
        }
    }
}

/// The verdict and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictView {
    /// The worst of all reasons.
    pub verdict: Verdict,
    /// What it rests on, worst first. Empty for GO.
    pub reasons: Vec<Reason>,
}

/// One reason for a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// How bad.
    pub verdict: Verdict,
    /// Short, for the line `blocked: …`.
    pub text: String,
}

/// A tripped guard or a failed operation that asks for a person now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// `error rate 2.31% >= 0.50% for 45 s`.
    pub what: String,
    /// `HELD at 25% by guard error-rate 03:09:02Z`, or the countdown.
    pub state: String,
    /// Since when (wall).
    pub since: DateTime<Utc>,
    /// The share that was configured when it began.
    pub at_weight: Option<Percent>,
    /// A back-out by itself follows at this boot time unless `H` is pressed.
    pub countdown: Option<Duration>,
}

/// The model.
#[derive(Debug, Clone)]
pub struct Model {
    /// The service.
    pub spec: ServiceSpec,
    /// Decided before.
    pub options: Options,
    /// May we act?
    pub mode: Mode,
    /// Boot clock of the last key: idle cockpits disarm.
    pub last_key: Duration,
    /// Other services that are shown beside it, in the order of the configuration.
    pub targets: Vec<super::targets::Target>,
    /// Another service that what is said now is about.
    pub about: Option<String>,
    /// The platform connection.
    pub platform: SourceHealth,
    /// The metrics connection.
    pub metrics: SourceHealth,
    /// The alerts connection and what it told; `None`: the service has none.
    pub alerts: Option<AlertBoard>,
    /// What the platform shows.
    pub picture: Picture,
    /// Expressions, by text.
    pub panels: BTreeMap<String, Panel>,
    /// Observed shares.
    pub observed: Observed,
    /// What instances write.
    pub logs: Logs,
    /// Requests and errors of the release.
    pub counts: Counts,
    /// What earlier runs of the service taught.
    pub learnt: Learnt,
    /// What instances were seen to carry.
    pub capacity: Capacity,
    /// Gates on screen, in their order.
    pub gates: Vec<Gate>,
    /// The verdict.
    pub verdict: VerdictView,
    /// What blocks going forward beyond the verdict (mode, seat, weights); empty when `P` would ask.
    pub blocked: Vec<String>,
    /// An incident.
    pub incident: Option<Incident>,
    /// The run.
    pub run: Option<RunView>,
    /// The act under way or just done.
    pub act: Option<ActFeedback>,
    /// An open prompt.
    pub prompt: Option<Prompt>,
    /// What the screens remember.
    pub screen: Screen,
    /// Newest last, bounded; the last one is the message row.
    pub messages: VecDeque<Message>,
    /// Hands out tickets for queries.
    pub tickets: Tickets,
    /// When the model was last brought up to date.
    pub now: Stamp,
    /// What the journal has of this service was told.
    pub journal_read: bool,
    /// Why the run or its seat was refused last.
    pub seat_refused: Option<String>,
    /// Whether somebody looks at charts. Without them only what is judged is asked for: a tenth of the work.
    pub charts: bool,
    /// What drives the run and the keys, and is not shown.
    pub driver: Driver,
}

impl Model {
    /// The share that is intended: what a rollout's own steps ask for where it moves the traffic by itself, else what the run asked
    /// for last, else what is configured.
    #[must_use]
    pub fn intended(&self) -> Option<Percent> {
        if let Some(rollout) = &self.picture.progressive.rollout {
            return rollout.asked();
        }
        if let Some(weight) = self.run.as_ref().filter(|r| !r.state.phase.is_final()).and_then(|r| r.state.intended) {
            return Some(weight);
        }
        let share = self.picture.route.as_ref()?.canary_share()?;
        Percent::new(share.round() as u32)
    }

    /// The canary's share as configured, rounded for people.
    #[must_use]
    pub fn configured(&self) -> Option<f64> {
        self.picture.route.as_ref()?.canary_share()
    }

    /// Labels of the canary in metrics.
    #[must_use]
    pub fn canary_labels(&self) -> &Labels {
        &self.spec.canary.labels
    }

    /// How far back charts reach.
    pub const CHART: Duration = Duration::from_secs(15 * 60);

    /// The selection of the current view.
    #[must_use]
    pub fn selection(&self) -> Option<&Selection> {
        self.screen.selections.get(&self.screen.view)
    }
}

/// The span of a panel's next question: up to `now`, aligned to the interval so that slots stay where they were.
#[must_use]
pub fn panel_span(now: DateTime<Utc>, reach: Duration, step: Duration) -> Span {
    let step_ms = i64::try_from(step.as_millis()).unwrap_or(15_000).max(1000);
    let end_ms = now.timestamp_millis() / step_ms * step_ms;
    let end = DateTime::from_timestamp_millis(end_ms).unwrap_or(now);
    let start = end - chrono::TimeDelta::from_std(reach).unwrap_or_default();
    Span::Range { start, end, step }
}
