//! A release in the middle of its way, built by hand: what screens are tested and measured on.

use chrono::{DateTime, TimeDelta, Utc};
use gonogo::app::command::View;
use gonogo::app::counts::Counts;
use gonogo::app::instances::Instances;
use gonogo::app::landing::{BackOut, Learnt};
use gonogo::app::model::{Observed, *};
use gonogo::domain::around::{Around, AroundUpdate, Near, SettingRef, Shape, Used};
use gonogo::domain::record::{Actor, Entry, EntryTime, GENESIS};
use gonogo::domain::*;
use gonogo::judge::{Slot, Tally};
use gonogo::runbook::io::{Level, Proposal, Purpose};
use gonogo::runbook::plan::*;
use gonogo::runbook::record::{Event, SendOutcome, TargetRecord};
use gonogo::runbook::state::*;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn at(text: &str) -> DateTime<Utc> {
    format!("2026-03-14T{text}Z").parse().unwrap()
}

/// The moment of all pictures.
pub fn now() -> Stamp {
    Stamp { wall: at("03:07:41"), boot: secs(100_000), mono: secs(5_000) }
}

pub fn percent(n: u32) -> Percent {
    Percent::new(n).unwrap()
}

fn labels(version: &str) -> Labels {
    Labels::from([("version".to_owned(), version.to_owned())])
}

fn threshold(query: &str, op: Op, limit: f64, unit: Unit) -> Threshold {
    Threshold { query: query.into(), op, limit, unit, lookback: secs(60) }
}

pub fn spec() -> ServiceSpec {
    ServiceSpec {
        name: "checkout-api".into(),
        platform: "prod-eu".into(),
        context: "eu-west-1/prod-a".into(),
        namespace: "shop".into(),
        environment: "production".into(),
        protection: Protection::Protected,
        metrics: "prom-eu".into(),
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
        policy: Policy::default(),
        harm: HarmSpec {
            errors: Some("sum by (version) (increase(http_requests_total{code=~\"5..\"}[${window}]))".into()),
            budget: Some(500),
        },
        with: vec![],
    }
}

pub fn route(canary: u32) -> Route {
    Route {
        object: "virtualservice/checkout".into(),
        uid: "vs-1".into(),
        version: "8841".into(),
        rule: "primary".into(),
        canary,
        baseline: 100 - canary,
        others: 0,
        stamp: Some(WriteStamp { run: "checkout-api-20260314-1".into(), op: "checkout-api-20260314-1/to-25/1".into(), epoch: Epoch(7) }),
        pinned: vec!["header x-canary=true -> canary".into()],
        last_writer: None,
        trouble: None,
    }
}

fn series(values: Vec<Option<f64>>, newest: DateTime<Utc>) -> Series {
    let count = i64::try_from(values.len()).unwrap();
    Series { labels: Labels::new(), start: newest - TimeDelta::seconds(15 * (count - 1)), step: secs(15), values }
}

/// Fifteen minutes that wander around `middle`, the last sample at `newest`.
pub fn wandering(middle: f64, spread: f64, newest: DateTime<Utc>) -> Series {
    series((0..60).map(|i| Some(middle + spread * (f64::from(i) / 7.0).sin())).collect(), newest)
}

pub fn gate(id: &str, title: &str, t: Threshold, value: f64, base: f64) -> Gate {
    let newest = at("03:07:37");
    let (shown, base_shown) = (t.unit.show(value), t.unit.show(base));
    let of_limit = value / t.limit * 100.0;
    let good = t.op.holds(value, t.limit);
    let query = t.query.replace("canary", "stable");
    let spread = value.abs() * 0.06;
    let finding = Finding {
        outcome: if good { Outcome::Pass } else { Outcome::Fail },
        value: Some(value),
        shown,
        of_limit: Some(of_limit),
        at: Some(newest),
        held: secs(120),
        bad: Duration::ZERO,
        why: format!("{} of 60 samples good", if good { 60 } else { 52 }),
        lasting: false,
    };
    let mut line = wandering(value, spread, newest);
    *line.values.last_mut().unwrap() = Some(value);
    Gate {
        key: format!("guard/{id}"),
        title: title.into(),
        origin: GateOrigin::Guard,
        probe: Probe::Promql(t),
        finding,
        baseline: Some(Baseline { shown: base_shown, series: Some(wandering(base, base.abs() * 0.04, newest)), query }),
        series: Some(line),
        hold: Duration::ZERO,
        counts: true,
    }
}

pub fn gates() -> Vec<Gate> {
    let p99 =
        "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{service=\"checkout\",version=\"canary\"}[1m])))";
    let errors =
        "sum(rate(http_requests_total{version=\"canary\",code=~\"5..\"}[1m])) / sum(rate(http_requests_total{version=\"canary\"}[1m]))";
    vec![
        gate("errors", "error rate", threshold(errors, Op::Less, 0.005, Unit::Ratio), 0.0021, 0.0019),
        gate("p99", "p99 latency", threshold(p99, Op::Less, 0.45, Unit::Seconds), 0.412, 0.365),
        gate("cpu", "cpu/instance", threshold("avg(cpu{version=\"canary\"})", Op::Less, 0.8, Unit::Ratio), 0.61, 0.58),
        Gate {
            key: "guard/ready".into(),
            title: "canary ready".into(),
            origin: GateOrigin::Guard,
            probe: Probe::Platform(PlatformCondition {
                track: Some(Track::Canary),
                ready_all: true,
                restarts_max: Some(2),
                ..PlatformCondition::default()
            }),
            finding: Finding {
                outcome: Outcome::Pass,
                value: None,
                shown: "3/3 ready, 1 restart".into(),
                of_limit: None,
                at: Some(at("03:07:40")),
                held: secs(0),
                bad: secs(0),
                why: "3 of 3 ready".into(),
                lasting: false,
            },
            baseline: None,
            series: None,
            hold: secs(0),
            counts: true,
        },
    ]
}

fn step(id: &str, title: &str, kind: StepKind) -> Step {
    Step {
        confirm: if matches!(kind, StepKind::Do(_)) { Confirm::Consequence } else { Confirm::None },
        undo: match &kind {
            StepKind::Do(_) => Undo::Action(Action::SetWeight { canary: percent(0) }),
            _ => Undo::None,
        },
        ..Step::new(id.into(), title.into(), kind)
    }
}

fn weight(n: u32) -> StepKind {
    StepKind::Do(Action::SetWeight { canary: percent(n) })
}

fn item(challenge: &str, answer: AnswerKind) -> Item {
    Item::asking(challenge.into(), answer)
}

pub fn runbook() -> Runbook {
    let guard = |id: &str, title: &str, gate: &Gate| Guard {
        id: id.into(),
        title: title.into(),
        probe: gate.probe.clone(),
        every: secs(15),
        bad_for: secs(45),
        on_no_data: GuardBlind::Hold,
        on_error: GuardBlind::Hold,
        from: None,
        until: None,
        then: GuardThen::Hold,
    };
    let gates = gates();
    let check = Check {
        all: true,
        conditions: vec![
            Condition { id: "p99".into(), probe: gates[1].probe.clone(), hold: secs(300), every: secs(15), on_no_data: OnNoData::Wait },
            Condition { id: "errors".into(), probe: gates[0].probe.clone(), hold: secs(300), every: secs(15), on_no_data: OnNoData::Fail },
        ],
    };
    let ready = Check {
        all: true,
        conditions: vec![Condition {
            id: "ready".into(),
            probe: gates[3].probe.clone(),
            hold: secs(30),
            every: secs(5),
            on_no_data: OnNoData::Wait,
        }],
    };
    let preflight = Manual {
        mode: ManualMode::ReadDo,
        items: vec![
            item("DB migration 0147 applied and verified", AnswerKind::Done),
            item("Feature flags default OFF", AnswerKind::Choice { of: vec!["off".into(), "on".into()], expect: Some("off".into()) }),
            item("On-call primary and secondary staffed", AnswerKind::Text { equals: None, pattern: None }),
            item("Error budget left in percent", AnswerKind::Number { min: Some(10.0), max: Some(100.0) }),
            item("Support team briefed", AnswerKind::Done),
            item("Status page draft approved", AnswerKind::Done),
        ],
    };
    let close = Manual {
        mode: ManualMode::DoConfirm,
        items: vec![item("Alerts unsilenced", AnswerKind::Done), item("Notes written", AnswerKind::Done)],
    };
    let mut steps = vec![
        step("preflight", "Pre-flight", StepKind::Manual(preflight)),
        step("ready", "Canary instances ready", StepKind::Check(ready)),
        step("to-5", "Shift 0% -> 5%", weight(5)),
        step("bake-5", "Bake at 5% for 5 min", StepKind::Wait { duration: secs(300), shorten: None }),
        step("to-25", "Shift 5% -> 25%", weight(25)),
        step("bake-25", "Bake at 25% for 10 min", StepKind::Wait { duration: secs(600), shorten: None }),
        step("good-25", "Canary within limits at 25%", StepKind::Check(check)),
        step("to-50", "Shift 25% -> 50%", weight(50)),
        step("bake-50", "Bake at 50% for 15 min", StepKind::Wait { duration: secs(900), shorten: None }),
        step("to-100", "Shift 50% -> 100%", weight(100)),
        step("close", "Close out", StepKind::Manual(close)),
    ];
    steps[6].timeout = Some(secs(1200));
    steps[5].doc = "Watch p99 and the error rate. Memory of the canary grows in the first minutes; that is the cache.".into();
    let target = Target {
        platform: "prod-eu".into(),
        service: "checkout-api".into(),
        environment: "production".into(),
        harm_budget: None,
        with: vec![],
    };
    let to_nought = Action::SetWeight { canary: percent(0) };
    Runbook {
        version: "3".into(),
        guards: vec![guard("error-rate", "error rate", &gates[0]), guard("p99", "p99 latency", &gates[1])],
        steps,
        rollback: Rollback { confirm: Confirm::Consequence, steps: vec![step("back", "Canary to 0%", weight(0))], last_resort: None },
        ..Runbook::unwritten("checkout-canary".into(), "checkout canary".into(), "team-checkout".into(), target, to_nought)
    }
}

pub fn mira() -> Actor {
    Actor { id: "mira".into(), strength: "asserted".into(), client: "mira@ops-1 4711".into() }
}

pub fn auto() -> Actor {
    Actor { id: "gonogo".into(), ..mira() }
}

fn done(from: &str, to: &str) -> StepState {
    StepState { phase: StepPhase::Passed, attempts: 1, entered: Some(at(from)), ended: Some(at(to)), ..StepState::default() }
}

pub fn run_state() -> RunState {
    let book = runbook();
    let answer = |text: &str, by: &str, when: &str| ItemAnswer {
        answer: text.into(),
        ok: true,
        by: Actor { id: by.into(), ..mira() },
        at: at(when),
        expired: false,
        disputed: None,
    };
    let mut steps = vec![StepState::default(); book.steps.len()];
    steps[0] = done("02:52:00", "02:54:10");
    steps[0].answers = [("done", "lena"), ("off", "mira"), ("jonas, mira", "jonas"), ("43", "mira"), ("done", "ana"), ("done", "omar")]
        .iter()
        .enumerate()
        .map(|(i, (text, by))| (i, answer(text, by, "02:53:10")))
        .collect();
    steps[1] = done("02:54:10", "02:55:30");
    steps[2] = done("02:55:30", "02:55:42");
    steps[3] = done("02:55:42", "03:00:45");
    steps[4] = done("03:00:45", "03:01:00");
    steps[5] = StepState {
        phase: StepPhase::Active,
        attempts: 1,
        entered: Some(at("03:01:00")),
        bake: Some(Bake {
            left: secs(600),
            counting_since: Some((at("03:01:00"), secs(100_000 - 401))),
            boot_id: "boot-1".into(),
            stopped: None,
        }),
        ..StepState::default()
    };
    // Begun as every run is, then moved to where the pictures are taken.
    let mut state = RunState::begin(&entries()[0]).unwrap();
    state.hash = "3f2a1c9d77aa0b1c2d3e4f5061728394a5b6c7d8e9f00112233445566778899a".into();
    state.head = 12;
    state.in_force = vec!["to-5".into(), "to-25".into()];
    state.intended = Some(percent(25));
    state.shifted_at = Some(at("03:01:00"));
    state.exposed_at = Some(at("02:55:30"));
    state.landing = Some(LandingState { op: "checkout-api-20260314-1/to-25/1".into(), took: Some(secs(34)), text: "landed".into() });
    state.landed = Some((true, "24.6% of 24720 requests".into()));
    state.started = at("02:55:00");
    state.driver_at = at("03:01:00");
    state.steps = steps;
    state
}

/// A chained journal of these events.
pub fn journal(events: &[(&str, Actor, Event)]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (i, (when, actor, event)) in events.iter().enumerate() {
        let draft = event.draft();
        let mut entry = Entry {
            run: "checkout-api-20260314-1".into(),
            seq: i as u64 + 1,
            epoch: Epoch(7),
            prev: entries.last().map_or_else(|| GENESIS.to_owned(), |e| e.hash.clone()),
            time: EntryTime { wall: at(when), boot: 1, boot_id: "boot-1".into(), store: at(when) },
            actor: actor.clone(),
            kind: draft.kind,
            step: draft.step,
            body: draft.body,
            hash: String::new(),
        };
        entry.hash = entry.compute_hash().unwrap();
        entries.push(entry);
    }
    entries
}

pub fn entries() -> Vec<Entry> {
    let shift = |n| Action::SetWeight { canary: percent(n) };
    let op = OpId::from("checkout-api-20260314-1/to-25/1");
    let started = Event::RunStarted {
        runbook: gonogo::runbook::pin::to_journal(&runbook()),
        hash: "3f2a1c9d77aa".into(),
        target: TargetRecord { platform: "prod-eu".into(), service: "checkout-api".into(), environment: "production".into() },
        auto_back_out: false,
        configured: Some(percent(0)),
        restarts: 0,
        signature: None,
    };
    let relied = route(5).subject(&shift(25)).relied();
    let planned = Event::ActionPlanned {
        op: op.clone(),
        step: "to-25".into(),
        action: shift(25),
        plan_hash: "abc".into(),
        before: relied,
        shown: "5%".into(),
    };
    journal(&[
        ("02:52:00", mira(), started),
        ("02:54:10", auto(), Event::StepPassed { step: "preflight".into(), why: "6 of 6 answered".into() }),
        ("02:55:02", mira(), Event::ModeChanged { armed_until: Some(at("03:55:02")) }),
        ("03:00:45", auto(), Event::StepPassed { step: "bake-5".into(), why: "5 min of live data".into() }),
        ("03:00:54", auto(), planned),
        (
            "03:00:58",
            mira(),
            Event::ActionConfirmed { op: op.clone(), plan_hash: "abc".into(), typed: "25".into(), shown_ms: 4100, evidence: "GO".into() },
        ),
        (
            "03:00:59",
            mira(),
            Event::ActionIntent {
                op: op.clone(),
                step: "to-25".into(),
                attempt: 1,
                fence: false,
                action: shift(25),
                epoch: Epoch(7),
                plan_hash: "abc".into(),
                confirmed: Some(4),
                before: Box::new(route(5).subject(&shift(25))),
                deadline_ms: 30_000,
            },
        ),
        ("03:00:59", auto(), Event::ActionOutcome { op: op.clone(), outcome: SendOutcome::Accepted { version: Some("8841".into()) } }),
        ("03:01:00", auto(), Event::ActionVerified { op, weight: Some(percent(25)), took_ms: 1800 }),
        ("03:02:31", auto(), Event::TrafficObserved { agreed: true, shown: "24.6% of 24720 requests".into() }),
        ("03:03:01", mira(), Event::Note { text: "p99 creeping up, watching tz4vw".into() }),
        (
            "03:07:12",
            auto(),
            Event::CheckSample {
                step: "bake-25".into(),
                condition: "p99".into(),
                outcome: Outcome::Pass,
                shown: "412ms < 450ms".into(),
                why: String::new(),
            },
        ),
    ])
}

pub fn instance(name: &str, track: Track, age: i64) -> Instance {
    Instance {
        uid: format!("uid-{name}").into(),
        name: name.into(),
        track,
        version: if track == Track::Canary { "v2.42.0".into() } else { "v2.41.3".into() },
        state: InstanceState::Ready,
        reason: None,
        restarts: 0,
        last_exit: None,
        node: Some("ip-10-4-2-17".into()),
        created: now().wall - TimeDelta::seconds(age),
    }
}

fn instances() -> Instances {
    let mut all = Instances::default();
    for name in ["2xk8p", "9qlmd"] {
        all.put(instance(&format!("checkout-canary-6f9c7-{name}"), Track::Canary, 718));
    }
    let mut restarted = instance("checkout-canary-6f9c7-tz4vw", Track::Canary, 718);
    restarted.restarts = 1;
    restarted.last_exit = Some((at("03:05:36"), "OOMKilled, exit 137".into()));
    all.put(restarted);
    for name in ["0aa1c", "1bb7d", "2cc9e", "3dd2f", "4ee5g", "5ff8h", "6gg1j", "7hh4k", "8jj6m"] {
        all.put(instance(&format!("checkout-stable-5d4b8-{name}"), Track::Baseline, 533_000));
    }
    all
}

fn workload(track: Track, object: &str, version: &str, count: u32) -> Workload {
    Workload {
        track,
        object: object.into(),
        uid: object.into(),
        version: version.into(),
        image: format!("registry.example/checkout-api:{}", version.trim_start_matches('v')),
        revision: Some(12),
        desired: count,
        ready: count,
        updated: count,
        available: count,
        observed_latest: true,
        paused: false,
        trouble: None,
        rollout: RolloutStatus::Complete,
    }
}

pub fn health(source: &str, short: &str, interval: u64, newest: &str) -> SourceHealth {
    let mut health = SourceHealth::new(source.into(), short, secs(interval));
    health.newest = Some(at(newest));
    health
}

pub fn picture() -> Picture {
    let canary = workload(Track::Canary, "deployment/checkout-canary", "v2.42.0", 3);
    let base = workload(Track::Baseline, "deployment/checkout-stable", "v2.41.3", 9);
    let event = |uid: &str, when: &str, warning, reason: &str, message: &str, count| PlatformEvent {
        uid: uid.into(),
        at: at(when),
        warning,
        about: "pod/checkout-canary-6f9c7-tz4vw".into(),
        reason: reason.into(),
        message: message.into(),
        count,
    };
    Picture {
        progressive: ProgressivePicture::default(),
        workloads: [canary, base].into_iter().map(|w| (w.uid.clone(), w)).collect(),
        instances: instances(),
        listed: true,
        route: Some(route(25)),
        route_read: true,
        xray: None,
        events: VecDeque::from([
            event("e2", "03:05:38", false, "Pulled", "container image already present on machine", 1),
            event("e1", "03:05:36", true, "BackOff", "back-off restarting failed container checkout", 2),
        ]),
        skew: None,
        first_restarts: BTreeMap::new(),
        around: around(),
    }
}

/// One Service, an autoscaler at its limit, a setting that was changed during the release, and what a few instances use.
fn around() -> Around {
    let setting = |name: &str, secret| SettingRef { secret, name: name.into() };
    let shape = |track: Track| {
        let object = format!("deployment/checkout-{}", if track == Track::Canary { "canary" } else { "stable" });
        let settings = vec![setting("checkout-config", false), setting("checkout-keys", true)];
        Near::Shape(track, Shape { object, settings, cpu_limit: Some(1000), memory_limit: Some(512 << 20), pinned: track == Track::Canary })
    };
    let all = [
        shape(Track::Canary),
        shape(Track::Baseline),
        Near::Service { name: "checkout".into(), tracks: Track::ALL.to_vec() },
        Near::Endpoints { name: "checkout-x1".into(), service: "checkout".into(), ready: 12, not_ready: 0 },
        Near::Autoscaler {
            name: "checkout".into(),
            target: "checkout-stable".into(),
            min: 3,
            max: 9,
            desired: 9,
            current: 9,
            limited: Some("TooManyReplicas".into()),
            capped: true,
            blind: None,
        },
        Near::Budget { name: "checkout".into(), tracks: Track::ALL.to_vec(), allowed: 3, healthy: 12, needed: 9 },
        Near::Setting {
            of: setting("checkout-config", false),
            version: "77".into(),
            changed: Some(at("03:04:10")),
            by: Some("kubectl-edit".into()),
        },
        Near::Node { name: "ip-10-4-2-17".into(), zone: Some("eu-west-1a".into()) },
    ];
    let mut around = Around::default();
    for near in all {
        around.apply(&AroundUpdate::Near(Box::new(near)));
    }
    around.apply(&AroundUpdate::Unread { part: "ingresses", why: "list ingresses: mira may not do that (403)".into() });
    let used = |cpu, memory: u64| Used { cpu, memory: memory << 20 };
    let by_name = instances().iter().map(|i| (i.name.clone(), if i.restarts > 0 { used(640, 488) } else { used(580, 300) })).collect();
    around.apply(&AroundUpdate::Usage { at: at("03:07:30"), used: by_name });
    around
}

/// What the release cost so far, and the quarter of an hour before it.
fn counts() -> Counts {
    let tally = |requests, errors| Some(Tally { requests, errors });
    let mut counts = Counts::default();
    let before =
        |i: i64| Slot { at: at("02:40:00") + TimeDelta::seconds(i * 15), service: tally(12_000.0, 22.0), baseline: None, canary: None };
    counts.before = (0..60).map(before).collect();
    let canary = tally(40_000.0, 114.0);
    let baseline = tally(260_000.0, 494.0);
    counts.total = Some(Slot { at: now().wall, service: tally(300_000.0, 608.0), baseline, canary });
    counts.newest = Some(at("03:07:37"));
    counts
}

pub fn screen(view: View) -> Screen {
    Screen {
        size: (80, 24),
        view,
        last_view: View::Cockpit,
        selections: BTreeMap::new(),
        filter: String::new(),
        filtering: false,
        sort: InstanceSort::Group,
        help: false,
        source: false,
        local_time: false,
        opened: secs(4_000),
    }
}

/// Baking at 25 %, p99 near its limit, in OBSERVE: the picture of the cockpit.
pub fn baking() -> Model {
    let gates = gates();
    let panels = gates
        .iter()
        .filter_map(|g| if let Probe::Promql(t) = &g.probe { Some((t.query.clone(), g.series.clone())) } else { None })
        .map(|(query, series)| {
            let panel = Panel {
                series: series.into_iter().collect(),
                newest: Some(at("03:07:37")),
                answered: Some(at("03:07:40")),
                outstanding: None,
                due: secs(0),
                reach: Model::CHART,
                warnings: vec![],
                trouble: None,
                wanted: true,
            };
            (query, panel)
        })
        .collect();
    Model {
        targets: vec![],
        about: None,
        alerts: None,
        counts: counts(),
        learnt: Learnt {
            slowest_landing: Some(secs(52)),
            back_outs: vec![
                BackOut { at: at("02:21:00"), took: secs(47), landed: true },
                BackOut { at: at("01:02:00"), took: secs(39), landed: true },
            ],
        },
        capacity: gonogo::app::card::Capacity { carried: Some(58.9), warm_up: Some(secs(41)) },
        spec: spec(),
        options: Options {
            operator: "mira".into(),
            local_offset: 7200,
            local_zone: "CEST".into(),
            command: "gonogo".into(),
            ..Options::default()
        },
        mode: Mode::Observe,
        last_key: secs(99_990),
        platform: health("prod-eu", "k8s", 10, "03:07:40"),
        metrics: health("prom-eu", "prom", 15, "03:07:37"),
        picture: picture(),
        panels,
        observed: Observed {
            share: Some(ObservedShare { canary: 6_081.0, total: 24_720.0, window: secs(60), newest: at("03:07:37") }),
            rps: Some(412.0),
            strangers: vec![],
            history: history(),
            outstanding: None,
            due: secs(0),
            trouble: None,
        },
        logs: gonogo::app::logs::Logs::default(),
        gates,
        verdict: VerdictView {
            verdict: Verdict::Hold,
            reasons: vec![
                Reason { verdict: Verdict::Hold, text: "bake 03:19 left".into() },
                Reason { verdict: Verdict::Watch, text: "p99 latency WATCH".into() },
            ],
        },
        blocked: vec!["bake 03:19 left".into(), "OBSERVE: A arms this cockpit".into()],
        incident: None,
        run: Some(RunView { state: run_state(), entries: entries(), seat: Seat::Driving, boot_id: "boot-1".into(), doing: None }),
        act: None,
        prompt: None,
        screen: screen(View::Cockpit),
        messages: VecDeque::from([Message { at: at("03:07:12"), level: Level::Info, text: "p99 latency GO -> WATCH".into() }]),
        tickets: Tickets::default(),
        now: now(),
        journal_read: true,
        seat_refused: None,
        charts: true,
        driver: gonogo::app::update::Driver::default(),
    }
}

fn history() -> VecDeque<(DateTime<Utc>, f64)> {
    let share = |i: i64| match i {
        0..14 => 0.0,
        14..34 => 5.0 + f64::from(i32::try_from(i).unwrap()).sin() * 0.4,
        _ => 24.8 + f64::from(i32::try_from(i).unwrap()).sin() * 0.6,
    };
    (0..60).map(|i| (at("03:07:37") - TimeDelta::seconds(15 * (59 - i)), share(i))).collect()
}

/// Bake done, armed, all gates good: waits for the person.
pub fn ready() -> Model {
    let mut model = baking();
    model.mode = Mode::Armed { until: secs(100_000 + 47 * 60) };
    model.verdict = VerdictView { verdict: Verdict::Go, reasons: vec![] };
    model.blocked = vec![];
    model.gates[1] = gate("p99", "p99 latency", threshold("p99{version=\"canary\"}", Op::Less, 0.45, Unit::Seconds), 0.402, 0.365);
    let run = model.run.as_mut().unwrap();
    run.state.steps[5] = done("03:01:00", "03:07:00");
    run.state.steps[6] = done("03:07:00", "03:07:20");
    run.state.steps[7] = StepState { phase: StepPhase::Active, attempts: 1, entered: Some(at("03:07:20")), ..StepState::default() };
    model
}

/// A tripped guard, held, over the limit.
pub fn no_go() -> Model {
    let mut model = baking();
    let query = "errors{version=\"canary\"}";
    model.gates[0] = gate("errors", "error rate", threshold(query, Op::Less, 0.005, Unit::Ratio), 0.0231, 0.0019);
    let series = model.gates[0].series.as_mut().unwrap();
    for value in series.values.iter_mut().take(48) {
        *value = Some(0.0021);
    }
    model.verdict =
        VerdictView { verdict: Verdict::NoGo, reasons: vec![Reason { verdict: Verdict::NoGo, text: "error rate 2.31% NO-GO".into() }] };
    model.blocked = vec!["error rate 2.31% NO-GO".into(), "held: guard error-rate".into()];
    model.incident = Some(Incident {
        what: "error rate 2.31% >= 0.50% for 45 s".into(),
        state: "HELD at 25% by guard error-rate 03:07:02Z".into(),
        since: at("03:07:02"),
        at_weight: Some(percent(25)),
        countdown: None,
    });
    let run = model.run.as_mut().unwrap();
    run.state.hold = Some(Hold { reason: "guard error-rate".into(), guard: Some("error-rate".into()), by: auto(), since: at("03:07:02") });
    let bake = run.state.steps[5].bake.as_mut().unwrap();
    *bake = Bake {
        left: secs(238),
        counting_since: None,
        boot_id: "boot-1".into(),
        stopped: Some("held by guard error-rate 03:07:02Z".into()),
    };
    model.messages.push_back(Message {
        at: at("03:07:02"),
        level: Level::Alarm,
        text: "held by guard error-rate; traffic was not moved".into(),
    });
    model
}

/// Metrics stopped 47 s ago, the platform is fine.
pub fn stale() -> Model {
    let mut model = baking();
    let newest = at("03:06:54");
    model.metrics.newest = Some(newest);
    model.metrics.failures = 1;
    model.metrics.trouble = Some("query prom-eu: http 504 from https://prometheus.example".into());
    model.metrics.next_attempt = Some(at("03:07:47"));
    for gate in &mut model.gates {
        if matches!(gate.probe, Probe::Promql(_)) {
            gate.finding.outcome = Outcome::Stale;
            gate.finding.of_limit = None;
            gate.finding.at = Some(newest);
            gate.finding.why = "the newest sample is 47 s old".into();
            for series in gate.series.iter_mut().chain(gate.baseline.iter_mut().filter_map(|b| b.series.as_mut())) {
                series.start -= TimeDelta::seconds(43);
                let cut = series.values.len() - 8;
                series.values.truncate(cut);
            }
        }
    }
    if let Some(share) = &mut model.observed.share {
        share.newest = newest;
    }
    model.verdict =
        VerdictView { verdict: Verdict::Unknown, reasons: vec![Reason { verdict: Verdict::Unknown, text: "prom-eu STALE".into() }] };
    model.blocked = vec!["prom-eu STALE".into()];
    let run = model.run.as_mut().unwrap();
    run.state.steps[5].bake =
        Some(Bake { left: secs(199), counting_since: None, boot_id: "boot-1".into(), stopped: Some("no live data".into()) });
    model
}

/// Neither platform nor metrics answer for 2 min 14 s.
pub fn lost() -> Model {
    let mut model = stale();
    for (source, short, next) in [(&mut model.platform, 9, "03:07:53"), (&mut model.metrics, 7, "03:08:01")] {
        source.newest = Some(at("03:05:27"));
        source.failures = short;
        source.next_attempt = Some(at(next));
        source.trouble = Some("watch pods: connect 10.0.0.1:6443: connection refused".into());
    }
    model.verdict.reasons = vec![Reason { verdict: Verdict::Unknown, text: "prod-eu LOST".into() }];
    model
}

/// The login ran out.
pub fn auth() -> Model {
    let mut model = lost();
    model.metrics = health("prom-eu", "prom", 15, "03:07:37");
    model.platform.login = Some("token expired: run \"aws sso login\"".into());
    model
}

/// Opened three seconds ago; nothing came yet.
pub fn loading() -> Model {
    let mut model = empty();
    model.platform = SourceHealth::new("prod-eu".into(), "k8s", secs(10));
    model.metrics = SourceHealth::new("prom-eu".into(), "prom", secs(15));
    model.picture = Picture::default();
    model.observed = Observed::default();
    model.gates = vec![];
    model.journal_read = false;
    model.screen.opened = now().mono.saturating_sub(secs(3));
    model
}

/// No run.
pub fn empty() -> Model {
    let mut model = baking();
    model.run = None;
    model.picture.route = Some(route(0));
    model.observed.share = None;
    model.verdict =
        VerdictView { verdict: Verdict::Hold, reasons: vec![Reason { verdict: Verdict::Hold, text: "nothing is being released".into() }] };
    model.blocked = vec!["no run: gonogo run RUNBOOK starts one".into()];
    model.messages.clear();
    model
}

/// Ten thousand instances, 40 of them in trouble.
pub fn huge() -> Model {
    let mut model = baking();
    let mut all = Instances::default();
    for i in 0..10_000 {
        let track = if i % 10 == 0 { Track::Canary } else { Track::Baseline };
        let mut one = instance(&format!("checkout-{i:05}-x7k{}", i % 97), track, 60 + i64::from(i) * 7);
        if i % 250 == 0 {
            one.state = InstanceState::Failing;
            one.reason = Some("CrashLoopBackOff".into());
            one.restarts = 5;
        }
        all.put(one);
    }
    model.picture.instances = all;
    model
}

pub fn plan(from: u32, to: u32) -> ActionPlan {
    ActionPlan {
        action: Action::SetWeight { canary: percent(to) },
        consequence: to.to_string(),
        before: route(from).subject(&Action::SetWeight { canary: percent(to) }),
        warnings: vec![],
        diff: vec![
            DiffLine { field: "virtualservice/checkout http[primary] canary weight".into(), before: from.to_string(), after: to.to_string() },
            DiffLine {
                field: "virtualservice/checkout http[primary] stable weight".into(),
                before: (100 - from).to_string(),
                after: (100 - to).to_string(),
            },
        ],
        dry_run: Preflight::Accepted,
        access: Preflight::Accepted,
        request: "PATCH /apis/networking.istio.io/v1/namespaces/shop/virtualservices/checkout\n[\n  {\"op\":\"test\",\"path\":\"/spec/http/0/route/1/weight\",\"value\":25},\n  {\"op\":\"replace\",\"path\":\"/spec/http/0/route/1/weight\",\"value\":50}\n]".into(),
    }
}

pub fn proposal(purpose: Purpose, from: u32, to: u32) -> Box<Proposal> {
    Box::new(Proposal {
        op: "checkout-api-20260314-1/to-50/1".into(),
        step: if purpose == Purpose::Forward { "to-50".into() } else { "back".into() },
        purpose,
        confirm: Confirm::Consequence,
        plan: plan(from, to),
        plan_hash: "9c1f00aa9c1f00aa9c1f00aa".into(),
    })
}
