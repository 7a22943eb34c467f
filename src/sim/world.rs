//! The world: one cluster, the traffic through it, and the timers that move both through simulated time.

use super::alerts::{self, Manager, Rules};
use super::clock::SimClock;
use super::fault::{Fault, FaultKind};
use super::kubernetes::{Answer, Cluster, Job, Key, Kind, Now, Picture, Target, Used, Verb, Write};
use super::logbook::{self, Container, Habits};
use super::metrics::{Tsdb, values};
use super::options::{Options, Prelude};
use super::rolling;
use super::scene::{Behaviour, Happened, Scene, baseline};
use super::shop::{self, Sizes};
use super::split::TrafficBy;
use super::switchboard::{Face, Switchboard};
use super::traffic::{Samples, Serving, Side, Traffic};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::Notify;

/// Simulated time between scrapes.
pub(crate) const SCRAPE: i64 = 15_000;
/// Scrapes happen this long before whole quarter minutes, so that the newest sample is a few seconds old at t = 0.
const SCRAPE_PHASE: i64 = -4_000;
/// Rules are evaluated this long after a scrape.
const RULES_AFTER: i64 = 1_000;
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
    /// Rules are evaluated, and alerts go to the alertmanager.
    Rules,
    /// What is configured reaches traffic.
    Propagate,
    /// The scripted history sets a weight.
    Script(u64),
    DeployCanary,
    StartCrashes,
    /// Somebody edits the header rule, and it leads nowhere.
    BreakHeaderRule,
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
    rules: Arc<RwLock<Rules>>,
    manager: Arc<Mutex<Manager>>,
    wake: Arc<Notify>,
    seed: u64,
    scene: Scene,
    sizes: Sizes,
    faults: Vec<Fault>,
    churn: u32,
    traffic: Traffic,
    happened: Happened,
    by: TrafficBy,
    timers: BTreeMap<(i64, u64), Timer>,
    next_timer: u64,
    /// Samples that a fault holds back: when they are released, when they were taken.
    delayed: VecDeque<(i64, i64, Samples)>,
    pictures: VecDeque<(i64, Picture)>,
    /// Alerts that a fault holds back: when they are handed over, and what.
    late_alerts: VecDeque<(i64, Vec<alerts::Sent>)>,
}

/// What a world stands on.
pub(crate) struct Ground {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) board: Arc<Switchboard>,
    pub(crate) tsdb: Arc<RwLock<Tsdb>>,
    pub(crate) rules: Arc<RwLock<Rules>>,
    pub(crate) manager: Arc<Mutex<Manager>>,
    pub(crate) wake: Arc<Notify>,
}

impl World {
    /// The world at the beginning of a scene's history.
    pub(crate) fn new(options: &Options, ground: Ground) -> Self {
        let script = options.script();
        let begin = -i64::try_from(script.prelude.as_millis()).unwrap_or(0);
        let now = Now { t: begin, wall: ground.clock.wall_at(begin) };
        let sizes = Sizes::of(options.instances);
        let mut world = Self {
            cluster: Cluster::new(options.seed, now),
            clock: ground.clock,
            board: ground.board,
            tsdb: ground.tsdb,
            rules: ground.rules,
            manager: ground.manager,
            wake: ground.wake,
            seed: options.seed,
            scene: options.scene,
            sizes,
            faults: options.faults.clone(),
            churn: options.churn.unwrap_or(0),
            traffic: Traffic::new(options.seed, begin),
            happened: Happened::default(),
            by: options.traffic,
            timers: BTreeMap::new(),
            next_timer: 0,
            delayed: VecDeque::new(),
            pictures: VecDeque::new(),
            late_alerts: VecDeque::new(),
        };
        world.cluster.full_size = options.full_size;
        match options.traffic {
            TrafficBy::Rolling => rolling::furnish(&mut world.cluster, sizes),
            TrafficBy::Argo => super::argo::furnish(&mut world.cluster, sizes),
            by => shop::furnish(&mut world.cluster, sizes, by),
        }
        world.collect();
        let zero = world.clock.wall_at(0);
        alerts::furnish(&mut world.manager.lock().unwrap_or_else(PoisonError::into_inner), now.wall, zero);
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
        if let Some(at) = options.scene.header_rule_breaks_at() {
            world.plan(at, Timer::BreakHeaderRule);
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
            Timer::Cluster(Job::Analysis(run)) => self.measure(run),
            Timer::Cluster(job @ Job::Rollout(_)) => {
                let before = self.configured();
                self.cluster.perform(job);
                self.follow(before);
            }
            Timer::Cluster(job) => self.cluster.perform(job),
            Timer::Scrape => {
                self.scrape();
                self.plan(now.t + RULES_AFTER, Timer::Rules);
                self.plan(now.t + SCRAPE, Timer::Scrape);
            }
            Timer::Rules => self.evaluate_rules(),
            Timer::Propagate => self.propagate(),
            Timer::Script(weight) => self.set_weight(*weight, "release-script"),
            Timer::DeployCanary if self.by == TrafficBy::Rolling => {
                self.act(rolling::PATH, Verb::JsonPatch, &rolling::deploy_serving(), "helm");
            }
            // Its new version comes when somebody releases it.
            Timer::DeployCanary if self.by == TrafficBy::Argo => {}
            Timer::DeployCanary => shop::deploy_canary(&mut self.cluster, self.sizes),
            Timer::StartCrashes => {
                if self.traffic.share() > 0.0 {
                    self.cluster.start_crashes(&shop::canary_key());
                }
            }
            Timer::BreakHeaderRule => {
                for (path, patch) in shop::header_rule_to_nothing(&self.cluster) {
                    self.act(&path, Verb::JsonPatch, &patch, "kubectl-edit");
                }
            }
            Timer::FaultBegins(index) => self.begin_fault(*index),
            Timer::FaultEnds(index) => self.end_fault(*index),
            Timer::Picture => self.show_delayed(),
            Timer::Churn => self.churn(now.t),
            Timer::AutoscaleBack => self.scale_baseline(self.sizes.baseline),
        }
    }

    /// What a container wrote from `from` on and before `to`, in ms since t = 0. Nothing is written while the wall clock stands.
    pub(crate) fn written(&self, container: &Container, from: i64, to: i64) -> Vec<(i64, String)> {
        let to = if self.clock.is_frozen() { to.min(0) } else { to };
        let (scene, happened) = (self.scene, self.happened);
        let canary = container.version == "canary";
        let part = f64::from(self.sizes.canary) / f64::from((self.sizes.canary + self.sizes.baseline).max(1));
        let habits = |t: i64| {
            let share = self.traffic.share_then(t);
            let (share, part) = if canary { (share, part) } else { (1.0 - share, 1.0 - part) };
            Habits {
                load: if part > 0.0 { share / part } else { 0.0 },
                behaviour: if canary { scene.canary(t, happened) } else { baseline() },
                silent_errors: if canary { scene.silent_errors(t) } else { 0.0 },
            }
        };
        logbook::lines(self.seed, container, &habits, from, to)
    }

    /// Takes the measurements of an analysis that are due from the metrics as they are.
    fn measure(&mut self, run: &Key) {
        let questions = self.cluster.analysis_questions(run);
        if questions.is_empty() {
            return;
        }
        let at = self.cluster.now.wall.timestamp_millis();
        let answers = {
            let tsdb = self.tsdb.read().unwrap_or_else(PoisonError::into_inner);
            questions.into_iter().map(|(place, query)| (place, values(&tsdb, &query, at))).collect()
        };
        self.cluster.analysis_answers(run, answers);
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
        self.by.configured(&self.cluster)
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

    /// Serving instances of a side: by their label, or by their version where one Deployment runs both.
    fn serving(&self, side: &str) -> Serving {
        if self.by != TrafficBy::Rolling {
            return self.cluster.serving(shop::NAMESPACE, side);
        }
        let mut all = self.cluster.serving_by(shop::NAMESPACE, |version| rolling::is_old(version) == (side == "stable"));
        all.sort();
        all
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
                let canary = self.serving("canary").len() as f64;
                canary / (canary + self.serving("stable").len() as f64).max(1.0)
            }
        };
        self.traffic.set_share(self.cluster.now.t, share);
        if share <= 0.0 {
            self.cluster.end_crashes();
        }
    }

    fn set_weight(&mut self, canary: u64, manager: &str) {
        let Some((path, patch)) = self.by.patch(&self.cluster, canary) else { return };
        self.act(&path, Verb::JsonPatch, &patch, manager);
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
        if self.by == TrafficBy::Rolling {
            self.propagate();
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
        if self.by == TrafficBy::Rolling {
            // Nothing labels the versions here.
            self.cluster.loads.push((shop::NAMESPACE.to_owned(), String::new(), used(stable(now.t))));
        }
        let samples = self.traffic.scrape(
            now.t,
            Side { version: "canary", serving: self.serving("canary"), behaviour: &canary },
            Side { version: "stable", serving: self.serving("stable"), behaviour: &stable },
        );
        let mut samples = samples;
        samples.extend(alerts::node_samples(now.t));
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

    /// What the metrics backend does with its rules after each scrape, and what the alertmanager gets of it. A stale one gets
    /// nothing new; a delayed one gets it late.
    fn evaluate_rules(&mut self) {
        if self.clock.is_frozen() {
            return;
        }
        let now = self.cluster.now;
        let sent = {
            let tsdb = self.tsdb.read().unwrap_or_else(PoisonError::into_inner);
            self.rules.write().unwrap_or_else(PoisonError::into_inner).evaluate(&tsdb, now.wall.timestamp_millis())
        };
        if self.board.on(Face::Alerts, FaultKind::Stale) {
            return;
        }
        let late = self.board.on(Face::Alerts, FaultKind::Delayed);
        self.late_alerts.push_back((if late { now.t + DELAY } else { now.t }, sent));
        let mut manager = self.manager.lock().unwrap_or_else(PoisonError::into_inner);
        while self.late_alerts.front().is_some_and(|(due, _)| !late || *due <= now.t) {
            if let Some((_, sent)) = self.late_alerts.pop_front() {
                manager.receive(sent, now.wall);
            }
        }
    }

    fn store_samples(&self, at: i64, samples: &Samples) {
        let mut tsdb = self.tsdb.write().unwrap_or_else(PoisonError::into_inner);
        for (labels, value) in samples {
            tsdb.append_shared(labels, at, *value);
        }
        if (at / SCRAPE) % 20 == 0 {
            tsdb.prune(at - RETENTION);
        }
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
