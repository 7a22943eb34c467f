//! A journal, a platform and a metrics backend in one piece, answering what the core asks for.

use crate::app::effect::Span;
use crate::app::key::{Key, KeyCode};
use crate::app::model::{Mode, Seat};
use crate::app::msg::MetricsAnswer;
use crate::app::{Effect, Envelope, Model, Msg, Options, first_draft, update};
use crate::domain::record::{Actor, Draft, Entry, EntryTime, GENESIS};
use crate::domain::*;
use crate::runbook::io::AppendRefusal;
use crate::runbook::record::Event;
use crate::runbook::state::{Phase, RunState};
use crate::runbook::{Context, Runbook, load};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(super) const RUN: &str = "checkout-20260314-1";

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const BOOK: &str = r#"
gonogo: 1
kind: runbook
id: small
version: "1.0.0"
title: Small canary
owner: release
doc: "**Blast radius:** small."
target: { platform: sim, service: checkout, environment: production }
guards:
  - id: errors
    title: error rate
    promql: 'sum(rate(errors_total{version="canary"}[1m]))'
    op: "<"
    value: 0.01
    every: 5s
    bad_for: 30s
    on_no_data: ignore
    on_error: hold
    active: { from: shift-25 }
    then: hold
steps:
  - id: preflight
    title: Checklist
    manual:
      mode: do-confirm
      items:
        - { challenge: "Dashboard open", answer: { type: done } }
        - { challenge: "Backup age, hours", answer: { type: number, min: 0, max: 24 } }
  - id: shift-25
    title: Send 25 %
    do: { set_weight: { canary: 25 } }
    confirm: consequence
    undo: { set_weight: { canary: 0 } }
    timeout: 1m
    on_failure: { offer: [retry, skip, rollback, abort] }
  - id: look-25
    title: Healthy at 25 %
    check:
      all:
        - { id: ready, platform: { track: canary, ready: all }, hold: 30s, every: 5s }
    timeout: 5m
    on_failure: { offer: [retry, skip, rollback, abort] }
  - id: bake-25
    title: Bake
    wait: { for: 2m }
  - id: shift-100
    title: Send 100 %
    do: { set_weight: { canary: 100 } }
    confirm: consequence
    undo: { set_weight: { canary: 0 } }
    timeout: 1m
    on_failure: { offer: [retry, skip, rollback, abort] }
rollback:
  confirm: consequence
  steps:
    - id: rb-weight
      title: All traffic back
      do: { set_weight: { canary: 0 } }
      timeout: 1m
"#;

pub(super) fn book() -> Runbook {
    let loaded = load("small.yaml", BOOK, &BTreeMap::new(), &Context::default());
    loaded.runbook.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn labels(version: &str) -> Labels {
    Labels::from([("version".to_owned(), version.to_owned())])
}

pub(super) fn spec(protection: Protection) -> ServiceSpec {
    ServiceSpec {
        name: "checkout".into(),
        platform: "sim".into(),
        context: "sim".into(),
        namespace: "shop".into(),
        environment: "production".into(),
        protection,
        metrics: "prom".into(),
        scrape_interval: secs(15),
        baseline: TrackSpec { deployment: "checkout-stable".into(), labels: labels("stable") },
        canary: TrackSpec { deployment: "checkout-canary".into(), labels: labels("canary") },
        route: RouteSpec::VirtualService {
            name: "checkout".into(),
            http: Some("primary".into()),
            baseline_subset: "stable".into(),
            canary_subset: "canary".into(),
        },
        requests: "sum by (version) (increase(http_requests_total[${window}]))".into(),
        alerts: None,
        gates: vec![],
        harm: HarmSpec::default(),
        policy: Policy::default(),
        with: vec![],
    }
}

fn workload(track: Track, ready: u32) -> Workload {
    Workload {
        track,
        object: format!("deployment/checkout-{track}"),
        uid: track.word().into(),
        version: "v2".into(),
        image: "shop/checkout:v2".into(),
        revision: None,
        desired: 4,
        ready,
        updated: 4,
        available: ready,
        observed_latest: true,
        paused: false,
        trouble: None,
        rollout: RolloutStatus::Complete,
    }
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Applied,
    /// It happens, and the answer never comes as such.
    Lost,
    Conflict,
}

pub(super) struct Flow {
    pub(super) model: Model,
    pub(super) at: Stamp,
    seq: u64,
    pub(super) open: VecDeque<Effect>,
    /// Every effect so far.
    pub(super) all: Vec<Effect>,
    pub(super) journal: Vec<Entry>,
    pub(super) seat: Epoch,
    pub(super) route: Route,
    /// Writes that reached the platform.
    pub(super) writes: Vec<Write>,
    pub(super) reply: Reply,
    /// Share of errors that the backend tells.
    pub(super) errors: f64,
    /// Traffic follows the weight.
    pub(super) follows: bool,
    /// Traffic stays at 25 % whatever the weight.
    pub(super) stays: bool,
    pub(super) platform_lives: bool,
    /// Newest sample of the backend when it stopped; live when absent.
    pub(super) frozen: Option<DateTime<Utc>>,
    /// The backend answers with failures.
    pub(super) metrics_fail: bool,
    /// Appends fail.
    pub(super) full_disk: bool,
    pub(super) queries: BTreeMap<String, u32>,
    pub(super) am: super::alerts::Am,
    /// Share of failed requests of canary and baseline that the count of errors by version tells; it answers nothing when absent.
    pub(super) failing: Option<(f64, f64)>,
    /// When the weight became what.
    shifts: Vec<(DateTime<Utc>, u32)>,
}

pub(super) fn actor(id: &str) -> Actor {
    Actor { id: id.into(), strength: "asserted".into(), client: format!("{id}@host 1") }
}

impl Flow {
    /// A cockpit that has seen platform and metrics, and no run.
    pub(super) fn new(protection: Protection, change: impl FnOnce(&mut Options)) -> Self {
        let wall: DateTime<Utc> = "2026-03-14T03:00:00Z".parse().unwrap();
        let at = Stamp { wall, boot: secs(1000), mono: secs(500) };
        let mut options = Options { operator: "maria".into(), starts_armed: protection != Protection::Protected, ..Options::default() };
        change(&mut options);
        let route = Route {
            object: "virtualservice/checkout".into(),
            uid: "uid-1".into(),
            version: "1".into(),
            rule: "primary".into(),
            canary: 0,
            baseline: 100,
            others: 0,
            stamp: None,
            pinned: vec![],
            last_writer: None,
            trouble: None,
        };
        let mut flow = Self {
            model: Model::new(spec(protection), options, at),
            at,
            seq: 0,
            open: VecDeque::new(),
            all: vec![],
            journal: vec![],
            seat: Epoch(4),
            route,
            writes: vec![],
            reply: Reply::Applied,
            errors: 0.001,
            follows: true,
            stays: false,
            platform_lives: true,
            frozen: None,
            metrics_fail: false,
            full_disk: false,
            queries: BTreeMap::new(),
            am: super::alerts::Am::default(),
            failing: None,
            shifts: vec![],
        };
        flow.send(Msg::Started);
        flow.send(Msg::JournalRead);
        let updates = vec![
            PlatformUpdate::Workload(workload(Track::Canary, 4)),
            PlatformUpdate::Workload(workload(Track::Baseline, 4)),
            PlatformUpdate::Instances(vec![]),
        ];
        flow.send(Msg::Platform(updates));
        flow.told_route();
        flow.settle();
        flow
    }

    /// Driving a run of the small book, armed, with its checklist open.
    pub(super) fn started() -> Self {
        let mut flow = Self::new(Protection::Protected, |_| {});
        let first = first_draft(&flow.model, &book(), false);
        flow.send(Msg::Start { first });
        flow.settle();
        flow.arm();
        flow
    }

    /// The checklist is done: the first shift waits for its person.
    pub(super) fn ready() -> Self {
        let mut flow = Self::started();
        for (item, answer) in [(0, "done"), (1, "3")] {
            flow.key('D');
            flow.wait(400);
            let _ = item;
            flow.send(Msg::TextChanged(answer.into()));
            flow.press(KeyCode::Enter);
        }
        flow.pass(3);
        flow
    }

    /// At 25 %, baking.
    pub(super) fn baking() -> Self {
        let mut flow = Self::ready();
        flow.promote("25");
        flow.pass(130);
        assert_eq!(flow.step(), "bake-25", "{:?}", flow.model.verdict);
        flow
    }

    /// Looking on while somebody else drives a run at 25 %; or nobody does.
    pub(super) fn following(attended: bool, change: impl FnOnce(&mut Options)) -> Self {
        let driver = Self::baking();
        let mut flow = Self::new(Protection::Protected, change);
        (flow.at, flow.journal, flow.route, flow.seat) = (driver.at, driver.journal.clone(), driver.route.clone(), driver.seat);
        flow.told_route();
        flow.send(Msg::RunFollowed { entries: driver.journal, attended });
        flow.settle();
        flow.pass(3);
        flow
    }

    pub(super) fn arm(&mut self) {
        self.key('A');
        self.wait(400);
        self.key('y');
        assert!(matches!(self.model.mode, Mode::Armed { .. }));
    }

    /// `P`, the number, Enter; everything answered.
    pub(super) fn promote(&mut self, weight: &str) {
        self.key('P');
        self.wait(800);
        self.type_in(weight);
        self.press(KeyCode::Enter);
        self.pass(3);
    }

    /// `B`, `0`, Enter.
    pub(super) fn back_out(&mut self) {
        self.key('B');
        self.wait(800);
        self.type_in("0");
        self.press(KeyCode::Enter);
        self.pass(5);
    }

    /// One message; its effects wait to be answered.
    pub(super) fn send(&mut self, msg: Msg) -> Vec<Effect> {
        self.seq += 1;
        let effects = update(&mut self.model, &Envelope { seq: self.seq, stamp: self.at, msg });
        self.check();
        self.all.extend(effects.iter().cloned());
        self.open.extend(effects.iter().cloned());
        effects
    }

    /// What must hold after every message.
    fn check(&self) {
        let deadlines = crate::app::deadlines(&self.model);
        assert!(deadlines.boot.is_none_or(|at| at > self.at.boot), "a deadline that has passed: the core would spin");
        assert!(deadlines.mono.is_none_or(|at| at > self.at.mono), "a deadline that has passed: the core would spin");
        assert!(self.model.messages.len() <= 200);
        if let Some(run) = &self.model.run {
            let folded: Vec<u64> = run.entries.iter().map(|e| e.seq).collect();
            assert!(folded.windows(2).all(|w| w[0] + 1 == w[1]), "entries with gaps: {folded:?}");
            assert!(run.entries.len() as u64 >= run.state.head, "entries {} behind the state's head {}", run.entries.len(), run.state.head);
        }
    }

    pub(super) fn key(&mut self, c: char) -> Vec<Effect> {
        self.code(Key::char(c))
    }

    pub(super) fn press(&mut self, code: KeyCode) -> Vec<Effect> {
        self.code(Key::plain(code))
    }

    /// A key as people type: a tenth of a second after the one before, then everything is answered.
    pub(super) fn code(&mut self, key: Key) -> Vec<Effect> {
        self.at = self.at.later(ms(100));
        let effects = self.send(Msg::Key(key));
        self.at = self.at.later(ms(40));
        self.send(Msg::Tick);
        self.settle();
        effects
    }

    pub(super) fn type_in(&mut self, text: &str) {
        for c in text.chars() {
            self.key(c);
        }
    }

    /// A short while, without ticks.
    pub(super) fn wait(&mut self, millis: u64) {
        self.at = self.at.later(ms(millis));
    }

    /// Seconds, with everything answered and the platform alive.
    pub(super) fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.at = self.at.later(secs(1));
            if self.platform_lives {
                self.send(Msg::Platform(vec![PlatformUpdate::Alive { at: self.at.wall, skew: None }]));
            } else {
                self.send(Msg::Tick);
            }
            self.settle();
        }
    }

    /// The watch tells of the route.
    pub(super) fn told_route(&mut self) {
        let updates = vec![PlatformUpdate::Route(Some(self.route.clone())), PlatformUpdate::Alive { at: self.at.wall, skew: None }];
        self.send(Msg::Platform(updates));
    }

    pub(super) fn canary_ready(&mut self, ready: u32) {
        self.send(Msg::Platform(vec![PlatformUpdate::Workload(workload(Track::Canary, ready))]));
    }

    /// Somebody else moves the weight.
    pub(super) fn foreign_change(&mut self, to: u32) {
        self.bump();
        self.route.canary = to;
        self.route.baseline = 100 - to;
        self.route.last_writer = Some("kubectl at 2026-03-14T03:07:12Z".into());
    }

    fn bump(&mut self) {
        self.route.version = (self.route.version.parse::<u64>().unwrap() + 1).to_string();
    }

    pub(super) fn settle(&mut self) {
        for _ in 0..2000 {
            let Some(effect) = self.open.pop_front() else { return };
            self.answer(effect);
        }
        panic!("the core asks for ever");
    }

    pub(super) fn answer(&mut self, effect: Effect) {
        let msg = match effect {
            Effect::Append { ticket, after, epoch, drafts, .. } => self.append(ticket, after, epoch, drafts),
            Effect::Plan { ticket, action, .. } => {
                let line = DiffLine { field: "weight".into(), before: self.route.canary.to_string(), after: action.wanted() };
                let plan = ActionPlan {
                    before: self.route.subject(&action),
                    consequence: action.consequence(),
                    warnings: vec![],
                    action,
                    diff: vec![line],
                    dry_run: Preflight::Accepted,
                    access: Preflight::Accepted,
                    request: "PATCH".into(),
                };
                Msg::Planned { ticket, result: self.reachable().map(|()| Box::new(plan)) }
            }
            Effect::Read { ticket, action, .. } => {
                Msg::SubjectRead { ticket, result: self.reachable().map(|()| Box::new(self.route.subject(&action))) }
            }
            Effect::Send { ticket, write, .. } => {
                let result = self.arrive(&write);
                self.told_route();
                Msg::Sent { ticket, result }
            }
            Effect::AdvanceEpoch { ticket, .. } => {
                self.seat = self.seat.next();
                Msg::EpochAdvanced { ticket, result: Ok(self.seat) }
            }
            Effect::Query { ticket, query, span } => self.query(ticket, query, span),
            Effect::StartRun { first } => {
                self.journal.clear();
                self.seat = self.seat.next();
                let taken = Event::LeaseAcquired { epoch: self.seat, taken_from: None }.draft();
                self.write_entries(vec![first, taken], "maria");
                self.opened(false)
            }
            Effect::TakeSeat { .. } => {
                let attended = self.model.run.as_ref().is_some_and(|r| r.seat == Seat::Following);
                self.seat = self.seat.next();
                let taken_from = attended.then(|| "maria@host 1".to_owned());
                let taken = Event::LeaseAcquired { epoch: self.seat, taken_from };
                self.write_entries(vec![taken.draft(), Event::RunResumed { epoch: self.seat }.draft()], "ada");
                self.opened(true)
            }
            other => match self.am.answer(self.at.wall, other) {
                Some(msg) => msg,
                None => return,
            },
        };
        self.send(msg);
    }

    fn opened(&self, resumed: bool) -> Msg {
        Msg::RunOpened { entries: self.journal.clone(), epoch: self.seat, boot_id: "boot-1".into(), resumed }
    }

    fn reachable(&self) -> Result<(), Failure> {
        if self.platform_lives { Ok(()) } else { Err(Failure::Unknown { why: "connection reset".into() }) }
    }

    fn append(&mut self, ticket: Ticket, after: u64, epoch: Option<Epoch>, drafts: Vec<Draft>) -> Msg {
        if self.full_disk {
            return Msg::AppendRefused { ticket, why: AppendRefusal::Store { why: "no space left on device".into() } };
        }
        if epoch.is_some_and(|e| e != self.seat) {
            return Msg::AppendRefused { ticket, why: AppendRefusal::Fenced { current: self.seat } };
        }
        if after != self.journal.len() as u64 {
            let entries = self.journal.get(after as usize..).unwrap_or_default().to_vec();
            return Msg::AppendRefused { ticket, why: AppendRefusal::Moved { entries } };
        }
        let who = if self.model.options.operator.is_empty() { "maria".to_owned() } else { self.model.options.operator.clone() };
        let entries = self.write_entries(drafts, &who);
        Msg::Appended { ticket, entries }
    }

    pub(super) fn write_entries(&mut self, drafts: Vec<Draft>, who: &str) -> Vec<Entry> {
        let from = self.journal.len();
        for draft in drafts {
            let mut entry = Entry {
                run: RUN.into(),
                seq: self.journal.len() as u64 + 1,
                epoch: self.seat,
                prev: self.journal.last().map_or_else(|| GENESIS.to_owned(), |e| e.hash.clone()),
                time: EntryTime {
                    wall: self.at.wall,
                    boot: self.at.boot.as_millis() as u64,
                    boot_id: "boot-1".into(),
                    store: self.at.wall,
                },
                actor: actor(who),
                kind: draft.kind,
                step: draft.step,
                body: draft.body,
                hash: String::new(),
            };
            entry.hash = entry.compute_hash().unwrap();
            self.journal.push(entry);
        }
        RunState::of(&self.journal).expect("a journal that folds");
        self.journal[from..].to_vec()
    }

    fn arrive(&mut self, write: &Write) -> Result<Accepted, Failure> {
        if self.reply == Reply::Conflict || write.before.relied() != self.route.subject(write.action()).relied() {
            return Err(Failure::Refused { code: 409, reason: Refusal::Conflict, why: "test failed".into() });
        }
        self.writes.push(write.clone());
        self.bump();
        if let WriteKind::Act { action } = &write.kind {
            self.route.canary = action.weight().expect("a weight").get().into();
            self.route.baseline = 100 - self.route.canary;
            self.shifts.push((self.at.wall, self.route.canary));
        }
        self.route.stamp = Some(WriteStamp { run: write.run.clone(), op: write.op.clone(), epoch: write.epoch });
        match self.reply {
            Reply::Lost => Err(Failure::Unknown { why: "connection reset".into() }),
            _ => Ok(Accepted { version: Some(self.route.version.clone()), after: None }),
        }
    }

    fn query(&mut self, ticket: Ticket, query: String, span: Span) -> Msg {
        let slot = self.at.boot.as_secs() / 15;
        let _ = slot;
        *self.queries.entry(query.clone()).or_default() += 1;
        if self.metrics_fail {
            return Msg::Answered { ticket, result: Err(Failure::Unknown { why: "connection refused".into() }) };
        }
        let newest = self.frozen.unwrap_or(self.at.wall);
        if self.model.spec.harm.errors.is_some()
            && (query.contains("failed") || matches!(span, Span::Range { .. }))
            && query.starts_with("sum by")
        {
            return self.counts(ticket, &query, span);
        }
        let series = match span {
            Span::At(at) => {
                let share = if self.stays {
                    25.0
                } else if self.follows {
                    f64::from(self.route.canary)
                } else {
                    0.0
                };
                let one =
                    |version: &str, value: f64| Series { labels: labels(version), start: at, step: secs(1), values: vec![Some(value)] };
                vec![one("canary", share * 100.0), one("stable", (100.0 - share) * 100.0)]
            }
            Span::Range { start, end, step } => {
                let slots = (end - start).num_milliseconds() / step.as_millis() as i64;
                let value = |i: i64| {
                    let at = start + chrono::TimeDelta::from_std(step * i as u32).unwrap();
                    (at <= newest).then_some(self.errors)
                };
                vec![Series { labels: Labels::new(), start, step, values: (0..=slots).map(value).collect() }]
            }
        };
        Msg::Answered { ticket, result: Ok(MetricsAnswer { series, newest: Some(newest), warnings: vec![], skew: None }) }
    }

    /// Requests, or failed ones, by version: 10 000 in every window. In a window that ends at a shift, what was before it.
    fn counts(&self, ticket: Ticket, query: &str, span: Span) -> Msg {
        let newest = self.frozen.unwrap_or(self.at.wall);
        let (start, end, step) = match span {
            Span::At(at) => (at, at, secs(1)),
            Span::Range { start, end, step } => (start, end, step),
        };
        let slots = (end - start).num_milliseconds() / step.as_millis() as i64;
        let failing = query.contains("failed");
        let of = |canary: bool| {
            let value = |i: i64| {
                let at = start + chrono::TimeDelta::from_std(step * i as u32).unwrap();
                let share = self.shifts.iter().rev().find(|(from, _)| at > *from).map_or(0, |(_, share)| *share);
                let share = f64::from(if canary { share } else { 100 - share });
                let ratio = self.failing.map(|(c, b)| if canary { c } else { b });
                let factor = if failing { ratio? } else { 1.0 };
                (at <= newest).then_some((share * 100.0 * factor).round())
            };
            let values = (0..=slots).map(value).collect();
            Series { labels: labels(if canary { "canary" } else { "stable" }), start, step, values }
        };
        let series = vec![of(true), of(false)];
        Msg::Answered { ticket, result: Ok(MetricsAnswer { series, newest: Some(newest), warnings: vec![], skew: None }) }
    }

    pub(super) fn state(&self) -> &RunState {
        &self.model.run.as_ref().expect("a run").state
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().phase
    }

    pub(super) fn step(&self) -> String {
        self.state().current().map_or_else(String::new, |(s, _)| s.id.to_string())
    }

    /// Acts that reached the platform, as weights; fences as -1.
    pub(super) fn acts(&self) -> Vec<i32> {
        let weight = |w: &Write| match &w.kind {
            WriteKind::Act { action } => i32::from(action.weight().expect("a weight").get()),
            WriteKind::Fence { .. } => -1,
        };
        self.writes.iter().map(weight).collect()
    }

    pub(super) fn sends(&self) -> usize {
        self.all.iter().filter(|e| matches!(e, Effect::Send { .. })).count()
    }

    pub(super) fn count(&self, kind: &str) -> usize {
        self.journal.iter().filter(|e| e.kind == kind).count()
    }

    pub(super) fn said(&self, part: &str) -> bool {
        self.model.messages.iter().any(|m| m.text.contains(part))
    }

    pub(super) fn blocked(&self) -> String {
        self.model.blocked.join("; ")
    }
}
