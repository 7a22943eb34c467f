//! A cockpit with ten thousand instances and a run, built by messages alone.

use chrono::{DateTime, TimeDelta, Utc};
use gonogo::app::msg::MetricsAnswer;
use gonogo::app::{Effect, Envelope, Model, Msg, Options, first_draft, update};
use gonogo::domain::record::{Actor, Draft, Entry, EntryTime, GENESIS};
use gonogo::domain::{
    Epoch, HarmSpec, Instance, InstanceState, Labels, Op, PlatformUpdate, Policy, Probe, Protection, Route, RouteSpec, Series, ServiceGate,
    ServiceSpec, Stamp, Ticket, Track, TrackSpec,
};
use gonogo::runbook::{Context, load};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How many instances.
pub const INSTANCES: u32 = 10_000;
const PLAYBOOK: &str = include_str!("../../assets/playbooks/kubernetes-canary-mesh.yaml");

/// The cockpit, its clock, and what its updates asked of the outside.
pub struct World {
    /// The model.
    pub model: Model,
    /// Milliseconds since the beginning.
    pub ms: u64,
    seq: u64,
    asked: Vec<Effect>,
}

fn labels(version: &str) -> Labels {
    Labels::from([("version".to_owned(), version.to_owned())])
}

fn spec() -> ServiceSpec {
    let track = |version: &str| TrackSpec { deployment: format!("checkout-{version}"), labels: labels(version) };
    ServiceSpec {
        name: "checkout".into(),
        platform: "sim".into(),
        context: "sim".into(),
        namespace: "shop".into(),
        environment: "production".into(),
        protection: Protection::Protected,
        metrics: "prom".into(),
        scrape_interval: Duration::from_secs(15),
        baseline: track("stable"),
        canary: track("canary"),
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

/// Instance number `index`; a quarter are canaries.
pub fn instance(index: u32, restarts: u32) -> Instance {
    let (track, version) = if index.is_multiple_of(4) { (Track::Canary, "v2.42.0") } else { (Track::Baseline, "v2.41.3") };
    Instance {
        uid: format!("8a1f4c6e-0000-4000-8000-{index:012}").into(),
        name: format!("checkout-{track}-6f9c7d5b84-{index:05}").into(),
        track,
        version: version.into(),
        state: InstanceState::Ready,
        reason: None,
        restarts,
        last_exit: None,
        node: Some(format!("node-{}", index % 200).into()),
        created: DateTime::UNIX_EPOCH,
    }
}

impl World {
    /// Ten thousand instances, both sources live, a run at its first check, every question answered once.
    pub fn new() -> Self {
        let mut world = Self { model: Model::new(spec(), Options::default(), stamp(0)), ms: 0, seq: 0, asked: Vec::new() };
        world.tell(Msg::Started);
        world.tell(Msg::Resized { width: 200, height: 60 });
        let route = Route {
            object: "virtualservice/checkout".into(),
            uid: "vs-1".into(),
            version: "8841".into(),
            rule: "primary".into(),
            canary: 25,
            baseline: 75,
            others: 0,
            stamp: None,
            pinned: vec![],
            last_writer: None,
            trouble: None,
        };
        let all = (0..INSTANCES).map(|i| instance(i, 0)).collect();
        world.tell(Msg::Platform(vec![
            PlatformUpdate::Instances(all),
            PlatformUpdate::Route(Some(route)),
            PlatformUpdate::Alive { at: stamp(0).wall, skew: None },
        ]));
        let loaded = load("playbook.yaml", PLAYBOOK, &BTreeMap::new(), &Context::default());
        let runbook = loaded.runbook.expect("the bundled playbook loads");
        let first = entry(first_draft(&world.model, &runbook, false));
        world.tell(Msg::RunOpened { entries: vec![first], epoch: Epoch(1), boot_id: "bench".into(), resumed: false });
        for probe in runbook.guards.iter().map(|g| &g.probe) {
            if let Probe::Promql(threshold) = probe {
                let gate = ServiceGate { id: threshold.query.len().to_string(), title: "gate".into(), threshold: threshold.clone() };
                world
                    .model
                    .spec
                    .gates
                    .push(ServiceGate { threshold: gonogo::domain::Threshold { op: Op::Less, ..gate.threshold.clone() }, ..gate });
            }
        }
        world.tell(Msg::Tick);
        world.answer();
        world
    }

    /// One message, now.
    pub fn tell(&mut self, msg: Msg) {
        self.seq += 1;
        let effects = update(&mut self.model, &Envelope { seq: self.seq, stamp: stamp(self.ms), msg });
        self.asked.extend(effects);
    }

    /// Answers every question to the metrics backend that is open.
    pub fn answer(&mut self) {
        for _ in 0..4 {
            let open: Vec<Ticket> =
                self.asked.drain(..).filter_map(|e| if let Effect::Query { ticket, .. } = e { Some(ticket) } else { None }).collect();
            for ticket in open {
                let now = stamp(self.ms).wall;
                let values = (0..60).map(|i| Some(0.001 + 0.0001 * (f64::from(i) / 7.0).sin())).collect();
                let series =
                    Series { labels: labels("canary"), start: now - TimeDelta::minutes(15), step: Duration::from_secs(15), values };
                let answer = MetricsAnswer { series: vec![series], newest: Some(now), warnings: vec![], skew: None };
                self.tell(Msg::Answered { ticket, result: Ok(answer) });
            }
        }
        self.asked.clear();
    }
}

/// `ms` after the beginning.
pub fn stamp(ms: u64) -> Stamp {
    let begin: DateTime<Utc> = "2026-03-14T03:07:41Z".parse().expect("a time");
    let boot = Duration::from_secs(1000) + Duration::from_millis(ms);
    Stamp { wall: begin + TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(0)), boot, mono: boot }
}

fn entry(draft: Draft) -> Entry {
    let mut entry = Entry {
        run: "checkout-20260314-1".into(),
        seq: 1,
        epoch: Epoch(1),
        prev: GENESIS.to_owned(),
        time: EntryTime { wall: stamp(0).wall, boot: 1_000_000, boot_id: "bench".into(), store: stamp(0).wall },
        actor: Actor { id: "mira".into(), strength: "asserted".into(), client: "mira@ops 1".into() },
        kind: draft.kind,
        step: draft.step,
        body: draft.body,
        hash: String::new(),
    };
    entry.hash = entry.compute_hash().expect("an entry has a hash");
    entry
}

/// The uid of instance number `index`.
pub fn uid(index: u32) -> Arc<str> {
    instance(index, 0).uid
}
