//! The world: one cluster, the traffic through it, and the timers that move both through simulated time.

use super::clock::SimClock;
use super::fault::{Fault, FaultKind};
use super::kubernetes::{Answer, Cluster, Job, Key, Kind, Now, Picture, Target, Used, Verb, Write, key};
use super::metrics::Tsdb;
use super::options::{Options, Prelude};
use super::scene::{Behaviour, Happened, Scene, baseline};
use super::shop::{self, Sizes};
use super::switchboard::{Face, Switchboard};
use super::traffic::{Samples, Side, Traffic};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Notify;

/// Simulated time between scrapes.
pub(crate) const SCRAPE: i64 = 15_000;
/// Scrapes happen this long before whole quarter minutes, so that the newest sample is a few seconds old at t = 0.
const SCRAPE_PHASE: i64 = -4_000;
/// How long a new weight takes to reach the proxies.
const PROPAGATION: i64 = 2_000;
/// How late delayed data is.
const DELAY: i64 = 90_000;
/// How often a delayed platform shows a newer picture.
const PICTURE_EVERY: i64 = 5_000;
/// Samples are kept this long.
const RETENTION: i64 = 6 * 3600 * 1000;
/// The baseline under the autoscaler's fault, relative to its size, and how long that lasts by itself.
const AUTOSCALED: (u32, u32) = (14, 9);
const AUTOSCALED_FOR: i64 = 120_000;

/// How late a replacement of Pods for load tests may be, in ms.
const OVERDUE: i64 = 500;

/// Something that happens by itself.
#[derive(Debug, Clone)]
enum Timer {
    Cluster(Job),
    Scrape,
    /// What is configured reaches traffic.
    Propagate,
    /// The scripted history sets a weight.
    Script(u64),
    DeployCanary,
    StartCrashes,
    FaultBegins(usize),
    FaultEnds(usize),
    Picture,
    Churn,
    AutoscaleBack,
}

/// The simulated world.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    clock: Arc<SimClock>,
    board: Arc<Switchboard>,
    tsdb: Arc<RwLock<Tsdb>>,
    wake: Arc<Notify>,
    scene: Scene,
    sizes: Sizes,
    faults: Vec<Fault>,
    churn: u32,
    traffic: Traffic,
    happened: Happened,
    timers: BTreeMap<(i64, u64), Timer>,
    next_timer: u64,
    /// Samples that a fault holds back: when they are released, when they were taken.
    delayed: VecDeque<(i64, i64, Samples)>,
    pictures: VecDeque<(i64, Picture)>,
}

/// What a world stands on.
pub(crate) struct Ground {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) board: Arc<Switchboard>,
    pub(crate) tsdb: Arc<RwLock<Tsdb>>,
    pub(crate) wake: Arc<Notify>,
}

impl World {
    /// The world at the beginning of a scene's history.
    pub(crate) fn new(options: &Options, ground: Ground) -> Self {
        let script = options.scene.script();
        let begin = -i64::try_from(script.prelude.as_millis()).unwrap_or(0);
        let now = Now { t: begin, wall: ground.clock.wall_at(begin) };
        let sizes = Sizes::of(options.instances);
        let mut world = Self {
            cluster: Cluster::new(options.seed, now),
            clock: ground.clock,
            board: ground.board,
            tsdb: ground.tsdb,
            wake: ground.wake,
            scene: options.scene,
            sizes,
            faults: options.faults.clone(),
            churn: options.churn.unwrap_or(0),
            traffic: Traffic::new(options.seed, begin),
            happened: Happened::default(),
            timers: BTreeMap::new(),
            next_timer: 0,
            delayed: VecDeque::new(),
            pictures: VecDeque::new(),
        };
        world.cluster.full_size = options.instances.is_some();
        shop::furnish(&mut world.cluster, sizes);
        world.collect();
        world.plan(begin.div_euclid(SCRAPE) * SCRAPE + SCRAPE + SCRAPE_PHASE, Timer::Scrape);
        world.plan(begin + 120_000, Timer::DeployCanary);
        if options.prelude == Prelude::Scripted {
            for (at, weight) in [(script.confirm_5, 5), (script.confirm_25, 25)] {
                if let Some(at) = at {
                    world.plan(at.num_milliseconds(), Timer::Script(weight));
                }
            }
        }
        if let Some(at) = options.scene.crashes_from() {
            world.plan(at, Timer::StartCrashes);
        }
        for (index, fault) in options.faults.iter().enumerate() {
            let at = millis(fault.at);
            world.plan(at, Timer::FaultBegins(index));
            if let Some(lasts) = fault.lasts {
                world.plan(at + millis(lasts), Timer::FaultEnds(index));
            }
        }
        if world.churn > 0 {
            world.plan(1000, Timer::Churn);
        }
        world
    }

    fn plan(&mut self, at: i64, timer: Timer) {
        self.next_timer += 1;
        self.timers.insert((at, self.next_timer), timer);
    }

    /// Takes over what the cluster planned.
    fn collect(&mut self) {
        let planned = self.cluster.planned();
        if planned.is_empty() {
            return;
        }
        for (at, job) in planned {
            self.plan(at, Timer::Cluster(job));
        }
        self.wake.notify_one();
    }

    /// When something happens next, in ms since t = 0.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    /// Lets everything happen up to `t`, in order.
    pub(crate) fn advance(&mut self, t: i64) {
        while let Some(((at, _), timer)) = self.timers.first_key_value().filter(|((at, _), _)| *at <= t).map(|(k, v)| (*k, v.clone())) {
            self.timers.pop_first();
            self.set_now(at);
            self.fire(&timer);
            self.collect();
        }
        self.set_now(t);
    }

    fn set_now(&mut self, t: i64) {
        let t = t.max(self.cluster.now.t);
        self.cluster.now = Now { t, wall: self.clock.wall_at(t) };
    }

    fn fire(&mut self, timer: &Timer) {
        let now = self.cluster.now;
        match timer {
            Timer::Cluster(job) => self.cluster.perform(job),
            Timer::Scrape => {
                self.scrape();
                self.plan(now.t + SCRAPE, Timer::Scrape);
            }
            Timer::Propagate => self.propagate(),
            Timer::Script(weight) => self.set_weight(*weight, "release-script"),
            Timer::DeployCanary => shop::deploy_canary(&mut self.cluster, self.sizes),
            Timer::StartCrashes => {
                if self.traffic.share() > 0.0 {
                    self.cluster.start_crashes(&shop::canary_key());
                }
            }
            Timer::FaultBegins(index) => self.begin_fault(*index),
            Timer::FaultEnds(index) => self.end_fault(*index),
            Timer::Picture => self.show_delayed(),
            Timer::Churn => self.churn(now.t),
            Timer::AutoscaleBack => self.scale_baseline(self.sizes.baseline),
        }
    }

    /// Replaces Pods. A machine that cannot keep up is not given yet more of it: what is overdue is left out.
    fn churn(&mut self, t: i64) {
        let pods = self.churn.div_ceil(10).max(1);
        let due = if self.clock.is_live() { self.clock.now_t_ms() } else { t };
        if due - t <= OVERDUE {
            for _ in 0..pods {
                self.cluster.churn_one();
            }
        }
        let every = (i64::from(pods) * 1000 / i64::from(self.churn.max(1))).max(1);
        let next = if due - t <= OVERDUE { t + every } else { due + every };
        self.plan(next, Timer::Churn);
    }

    /// A write that came over the API.
    pub(crate) fn write(&mut self, write: &Write<'_>) -> Answer {
        let before = self.configured();
        let answer = self.cluster.write(write);
        self.collect();
        self.follow(before);
        answer
    }

    /// A write of another client inside the simulated world.
    fn act(&mut self, path: &str, verb: Verb, body: &Value, manager: &str) {
        let Some(target) = Target::parse(path) else { return };
        let write = Write { target: &target, verb, body, manager, dry_run: false, force: false };
        if let Err(status) = self.write(&write) {
            tracing::debug!(?status, path, "an act inside the simulation was refused");
        }
    }

    /// Another client changes an object a little: an annotation and, of a route, a timeout.
    pub(crate) fn touch(&mut self, kind: Kind, at: &Key) {
        let Some(object) = self.cluster.store.get(kind, at) else { return };
        let mut value = object.value();
        value["metadata"]["annotations"]["example.com/reviewed-by"] = json!("mira");
        if kind == Kind::VirtualService {
            for rule in value["spec"]["http"].as_array_mut().into_iter().flatten().filter(|rule| rule["timeout"].is_string()) {
                rule["timeout"] = if rule["timeout"] == "5s" { json!("6s") } else { json!("5s") };
            }
        }
        let resource = kind.resource();
        let prefix =
            if resource.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/{}", resource.group, resource.versions[0]) };
        let place = if resource.namespaced { format!("/namespaces/{}", at.0) } else { String::new() };
        self.act(&format!("{prefix}{place}/{}/{}", resource.plural, at.1), Verb::Replace, &value, "kubectl-edit");
    }

    /// The route's relative weights: baseline, canary.
    fn configured(&self) -> Option<(u64, u64)> {
        let route = self.cluster.store.get(Kind::VirtualService, &key(shop::NAMESPACE, shop::SERVICE))?;
        shop::weights(&route.value())
    }

    /// Notices what a write did to the weights.
    fn follow(&mut self, before: Option<(u64, u64)>) {
        let after = self.configured();
        if before == after {
            return;
        }
        let t = self.cluster.now.t;
        self.plan(t + PROPAGATION, Timer::Propagate);
        self.wake.notify_one();
        if !self.clock.is_live() {
            return;
        }
        let canary = |weights: Option<(u64, u64)>| weights.map_or(0, |(_, canary)| canary);
        if canary(after) > canary(before) {
            self.happened.promoted.get_or_insert(t);
        } else if canary(after) == 0 {
            self.happened.backed_out.get_or_insert(t);
        }
    }

    /// Traffic follows what is configured, unless a fault keeps it where it is.
    fn propagate(&mut self) {
        if self.board.on(Face::Platform, FaultKind::NotObserved) {
            return;
        }
        let share = match self.configured() {
            Some((baseline, canary)) if baseline + canary > 0 => canary as f64 / (baseline + canary) as f64,
            // Without a rule the Service spreads requests over all ready instances.
            _ => {
                let canary = self.cluster.serving(shop::NAMESPACE, "canary").len() as f64;
                canary / (canary + self.cluster.serving(shop::NAMESPACE, "stable").len() as f64).max(1.0)
            }
        };
        self.traffic.set_share(self.cluster.now.t, share);
        if share <= 0.0 {
            self.cluster.end_crashes();
        }
    }

    fn set_weight(&mut self, canary: u64, manager: &str) {
        let Some(route) = self.cluster.store.get(Kind::VirtualService, &key(shop::NAMESPACE, shop::SERVICE)) else { return };
        let patch = shop::weight_patch(&route.value(), canary);
        self.act(shop::ROUTE_PATH, Verb::JsonPatch, &patch, manager);
    }

    fn scale_baseline(&mut self, replicas: u32) {
        self.act(shop::BASELINE_SCALE_PATH, Verb::MergePatch, &json!({ "spec": { "replicas": replicas } }), "kube-controller-manager");
    }

    fn begin_fault(&mut self, index: usize) {
        let Some(fault) = self.faults.get(index).copied() else { return };
        self.board.begin(index, fault);
        let t = self.cluster.now.t;
        match fault.kind {
            FaultKind::Stale | FaultKind::Delayed if self.board.on(Face::Platform, fault.kind) => {
                let picture = self.cluster.store.take_picture();
                self.pictures = VecDeque::from([(t, picture.clone())]);
                self.cluster.store.show(Some(picture));
                if fault.kind == FaultKind::Delayed {
                    self.plan(t + PICTURE_EVERY, Timer::Picture);
                }
            }
            FaultKind::ForeignChange => {
                let weight = if self.configured().is_some_and(|(_, canary)| canary == 10) { 20 } else { 10 };
                self.set_weight(weight, "kubectl-edit");
            }
            FaultKind::Autoscaler => {
                let (up, of) = AUTOSCALED;
                self.scale_baseline(self.sizes.baseline * up / of);
                if fault.lasts.is_none() {
                    self.plan(t + AUTOSCALED_FOR, Timer::AutoscaleBack);
                }
            }
            _ => {}
        }
    }

    fn end_fault(&mut self, index: usize) {
        let Some(fault) = self.faults.get(index).copied() else { return };
        self.board.end(index);
        match fault.kind {
            FaultKind::Stale | FaultKind::Delayed => {
                let still = [FaultKind::Stale, FaultKind::Delayed].iter().any(|kind| self.board.on(Face::Platform, *kind));
                if !still {
                    self.pictures.clear();
                    self.cluster.store.show(None);
                }
                self.release_delayed();
            }
            FaultKind::NotObserved => self.propagate(),
            FaultKind::Autoscaler => self.scale_baseline(self.sizes.baseline),
            _ => {}
        }
    }

    /// Shows the newest picture that is old enough, and takes another.
    fn show_delayed(&mut self) {
        if !self.board.on(Face::Platform, FaultKind::Delayed) {
            return;
        }
        let t = self.cluster.now.t;
        self.pictures.push_back((t, self.cluster.store.take_picture()));
        while self.pictures.get(1).is_some_and(|(taken, _)| *taken + DELAY <= t) {
            self.pictures.pop_front();
        }
        if let Some((_, picture)) = self.pictures.front() {
            self.cluster.store.show(Some(picture.clone()));
        }
        self.plan(t + PICTURE_EVERY, Timer::Picture);
    }

    /// One scrape of everything. Samples stop while the wall clock stands, and while a fault says so; what they count goes on.
    fn scrape(&mut self) {
        self.release_delayed();
        if self.clock.is_frozen() {
            return;
        }
        let now = self.cluster.now;
        let (scene, happened) = (self.scene, self.happened);
        let canary = |t| scene.canary(t, happened);
        let stable = |_| baseline();
        let used = |behaviour: Behaviour| Used {
            cpu: (behaviour.cpu * 1000.0).max(0.0) as u64,
            memory: (behaviour.memory * 1_048_576.0).max(0.0) as u64,
        };
        self.cluster.loads = [("canary", canary(now.t)), ("stable", stable(now.t))]
            .map(|(version, behaviour)| (shop::NAMESPACE.to_owned(), version.to_owned(), used(behaviour)))
            .to_vec();
        let samples = self.traffic.scrape(
            now.t,
            Side { version: "canary", serving: self.cluster.serving(shop::NAMESPACE, "canary"), behaviour: &canary },
            Side { version: "stable", serving: self.cluster.serving(shop::NAMESPACE, "stable"), behaviour: &stable },
        );
        let at = now.wall.timestamp_millis();
        if self.board.on(Face::Metrics, FaultKind::Stale) || scene.scrapes_stopped(now.t, happened) {
            return;
        }
        if self.board.on(Face::Metrics, FaultKind::Delayed) {
            self.delayed.push_back((now.t + DELAY, at, samples));
            return;
        }
        self.store_samples(at, &samples);
    }

    fn release_delayed(&mut self) {
        let all = !self.board.on(Face::Metrics, FaultKind::Delayed);
        let t = self.cluster.now.t;
        while self.delayed.front().is_some_and(|(release, ..)| all || *release <= t) {
            if let Some((_, at, samples)) = self.delayed.pop_front() {
                self.store_samples(at, &samples);
            }
        }
    }

    fn store_samples(&self, at: i64, samples: &Samples) {
        let mut tsdb = self.tsdb.write().unwrap_or_else(PoisonError::into_inner);
        for (labels, value) in samples {
            tsdb.append(labels, at, *value);
        }
        if (at / SCRAPE) % 20 == 0 {
            tsdb.prune(at - RETENTION);
        }
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
