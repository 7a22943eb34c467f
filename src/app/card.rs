//! The rollback card: what backing out goes to, whether that can carry the load, what would undo it, what it does not bring back, and
//! how long it took before.

use super::landing::{BackOut, Learnt};
use super::model::Model;
use super::verdict;
use super::wanted::current_share;
use crate::domain::record::Entry;
use crate::domain::text::clean_bounded;
use crate::domain::time::age;
use crate::domain::{Instance, InstanceState, OpId, RouteSpec, Stamp, Track, Workload};
use crate::judge::Matter;
use crate::runbook::plan::{StepKind, Undo};
use crate::runbook::record::Event;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Words of a checklist's item that tell of something that going back does not bring back.
const STAYS: [&str; 5] = ["migrat", "schema", "flag", "backfill", "cron"];
/// Back-outs that are remembered.
const MOST: usize = 10;

/// What was seen of how much an instance carries and how fast one is there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Capacity {
    /// Most requests per second that a ready instance carried, averaged over its track.
    pub carried: Option<f64>,
    /// Longest time from creation to ready.
    pub warm_up: Option<Duration>,
}

/// The card.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Version, and digest where the image names one: `v2.41.3 sha256:9b1f2c4d5e6f`.
    pub target: String,
    /// When it last served and how much.
    pub served: String,
    /// Its ready instances.
    pub ready: u32,
    /// All of its instances.
    pub total: u32,
    /// Instances that the present load needs, as far as an instance was seen to carry.
    pub needed: Option<u32>,
    /// The present load in requests per second.
    pub rps: Option<f64>,
    /// How long a missing instance takes to be ready.
    pub warm_up: Option<Duration>,
    /// What would undo it or stand in its way.
    pub undone_by: Vec<String>,
    /// What it does not bring back.
    pub not_restored: Vec<String>,
    /// Back-outs of this service that were measured, newest first.
    pub measured: Vec<BackOut>,
}

impl Card {
    /// Instances that are missing for the present load.
    #[must_use]
    pub fn short(&self) -> Option<u32> {
        self.needed.map(|needed| needed.saturating_sub(self.ready)).filter(|n| *n > 0)
    }

    /// The slowest measured back-out: what to reckon with.
    #[must_use]
    pub fn slowest(&self) -> Option<Duration> {
        self.measured.iter().map(|b| b.took).max()
    }

    /// `about 47 s, measured twice`, or that it was not.
    #[must_use]
    pub fn takes(&self) -> String {
        let Some(slowest) = self.slowest() else { return "not measured yet".into() };
        let times = match self.measured.len() {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            n => format!("{n} times"),
        };
        let landed = if self.measured.iter().any(|b| b.landed) { "" } else { " until the platform was set" };
        format!("up to {} s{landed}, measured {times}", (slowest.as_millis() + 999) / 1000)
    }

    /// `9 ready, needs 7 at 412 rps`, or how many are short and for how long.
    #[must_use]
    pub fn capacity(&self) -> String {
        let ready = if self.ready == self.total { format!("{} ready", self.ready) } else { format!("{}/{} ready", self.ready, self.total) };
        let Some((needed, rps)) = self.needed.zip(self.rps) else { return format!("{ready}, load not known") };
        match self.short() {
            None => format!("{ready}, needs {needed} at {rps:.0} rps"),
            Some(short) => {
                let warm = self.warm_up.map_or_else(|| "warm-up not known".to_owned(), |w| format!("{} s to warm up", w.as_secs()));
                format!("{ready}, needs {needed} at {rps:.0} rps: SHORT BY {short}, {warm}")
            }
        }
    }
}

/// The card as things stand.
#[must_use]
pub fn card(model: &Model, now: &Stamp) -> Card {
    let target = model.picture.workloads.values().find(|w| w.track == Track::Baseline);
    let count = model.picture.instances.of(Track::Baseline);
    let rps = current_share(model, now.wall).and(model.observed.rps);
    let needed = rps.zip(model.capacity.carried).map(|(rps, carried)| (rps / carried - 1e-6).ceil().max(1.0) as u32);
    Card {
        target: target_of(model, target),
        served: served(model, now),
        ready: count.ready,
        total: count.total,
        needed,
        rps,
        warm_up: model.capacity.warm_up,
        undone_by: undone_by(model, target),
        not_restored: not_restored(model),
        measured: measured(model),
    }
}

fn target_of(model: &Model, target: Option<&Workload>) -> String {
    if model.spec.route.is_one_workload() {
        let what = if matches!(model.spec.route, RouteSpec::Rolling) { "the revision before this one" } else { "the stable revision" };
        return what.to_owned();
    }
    let Some(workload) = target else { return "no baseline: it was not found".into() };
    match workload.image.rsplit_once("@sha256:") {
        Some((_, digest)) => format!("{} sha256:{}", workload.version, digest.get(..12).unwrap_or(digest)),
        None => format!("{} (a tag, no digest)", workload.version),
    }
}

/// When the version that is gone back to served last, and how much.
fn served(model: &Model, now: &Stamp) -> String {
    let Some(share) = model.configured() else { return "whether it serves is not known".into() };
    let state = model.run.as_ref().map(|r| &r.state);
    if share < 100.0 {
        let rps = current_share(model, now.wall).zip(model.observed.rps).filter(|(s, _)| s.total > 0.0);
        let rps = rps.map(|(seen, rps)| format!(", {:.0} rps", rps * (1.0 - seen.canary / seen.total))).unwrap_or_default();
        return format!("serves {:.0}% now{rps}", 100.0 - share);
    }
    match state.and_then(|s| s.shifted_at) {
        Some(at) => format!("served until {}, {} s ago", at.format("%H:%M:%SZ"), age(now.wall, at).as_secs()),
        None => "does not serve; since when is not known".into(),
    }
}

fn undone_by(model: &Model, target: Option<&Workload>) -> Vec<String> {
    let mut list = Vec::new();
    if let Some(workload) = target.filter(|_| !model.spec.route.is_one_workload()) {
        if workload.desired == 0 {
            list.push(format!("{} is scaled to 0: nothing would serve", workload.object));
        }
        if workload.paused {
            list.push(format!("{} is paused: it replaces nothing", workload.object));
        }
    }
    let remarks = verdict::around(model).into_iter().filter(|r| r.matter == Matter::Undoes);
    list.extend(remarks.map(|r| r.text));
    if let Some(trouble) = model.picture.route.as_ref().and_then(|r| r.trouble.as_ref()) {
        list.push(trouble.clone());
    }
    list
}

fn not_restored(model: &Model) -> Vec<String> {
    let Some(run) = &model.run else { return Vec::new() };
    let state = &run.state;
    let remarks = verdict::around(model).into_iter().filter(|r| r.matter == Matter::Stays);
    let mut list: Vec<String> = remarks.map(|r| r.text).collect();
    for step in state.in_force.iter().filter_map(|id| state.runbook.step(id)) {
        if matches!(step.undo, Undo::Irreversible) {
            list.push(format!("{} cannot be taken back", step.title));
        }
    }
    for (step, known) in state.runbook.steps.iter().zip(&state.steps) {
        let StepKind::Manual(manual) = &step.kind else { continue };
        for (index, item) in manual.items.iter().enumerate() {
            let done = known.answers.get(&index).is_some_and(|a| a.ok);
            let said = item.challenge.to_lowercase();
            if done && STAYS.iter().any(|word| said.contains(word)) {
                list.push(clean_bounded(&format!("ticked: {}", item.challenge), 120));
            }
        }
    }
    list
}

/// Back-outs of earlier runs, and of the one on screen.
fn measured(model: &Model) -> Vec<BackOut> {
    let mut all = model.run.as_ref().map(|r| back_outs(&r.entries)).unwrap_or_default();
    all.extend(model.learnt.back_outs.iter().cloned());
    all.sort_by_key(|b| std::cmp::Reverse(b.at));
    all.dedup_by_key(|b| b.at);
    all.truncate(MOST);
    all
}

/// What the journals of earlier runs teach.
#[must_use]
pub fn learn(runs: &[Vec<Entry>]) -> Learnt {
    let mut learnt = Learnt::default();
    for entries in runs {
        learnt.back_outs.extend(back_outs(entries));
        for event in entries.iter().filter_map(|e| Event::of(e).ok()) {
            if let Event::LandingProved { took_ms, .. } = event {
                learnt.slowest_landing = learnt.slowest_landing.max(Some(Duration::from_millis(took_ms)));
            }
        }
    }
    learnt.back_outs.sort_by_key(|b| std::cmp::Reverse(b.at));
    learnt.back_outs.truncate(MOST);
    learnt
}

/// Kinds of entries that [`learn`] looks at.
pub const TELLING: [&str; 3] = ["rollback.began", "action.verified", "landing.proved"];

/// The back-outs of one run: proved ones, and those of which only the platform's own state is recorded.
fn back_outs(entries: &[Entry]) -> Vec<BackOut> {
    let mut found: Vec<(OpId, BackOut)> = Vec::new();
    let mut back = false;
    for entry in entries.iter().filter(|e| TELLING.contains(&e.kind.as_str())) {
        let at = entry.time.store;
        match Event::of(entry) {
            Ok(Event::RollbackBegan { .. }) => back = true,
            Ok(Event::ActionVerified { op, took_ms, weight }) if back && weight.is_none_or(|w| w.get() == 0) => {
                found.push((op, BackOut { at, took: Duration::from_millis(took_ms), landed: false }));
            }
            Ok(Event::LandingProved { op, back: true, took_ms, .. }) => {
                let proved = BackOut { at, took: Duration::from_millis(took_ms), landed: true };
                match found.iter_mut().find(|(known, _)| *known == op) {
                    Some((_, known)) => *known = BackOut { at: known.at, ..proved },
                    None => found.push((op, proved)),
                }
            }
            _ => {}
        }
    }
    found.into_iter().map(|(_, back_out)| back_out).collect()
}

/// Learns what instances carry from the newest share, and how fast they are there.
pub(super) fn watch(model: &mut Model, now: &Stamp) {
    /// Too few requests tell nothing about what an instance carries.
    const LEAST: f64 = 100.0;
    let Some(share) = current_share(model, now.wall).filter(|s| !s.window.is_zero()) else { return };
    let seconds = share.window.as_secs_f64();
    for (track, requests) in [(Track::Canary, share.canary), (Track::Baseline, share.total - share.canary)] {
        let ready = model.picture.instances.of(track).ready;
        if ready > 0 && requests >= LEAST {
            let each = requests / seconds / f64::from(ready);
            model.capacity.carried = Some(model.capacity.carried.map_or(each, |known| known.max(each)));
        }
    }
}

/// An instance that became ready before our eyes.
pub(super) fn warmed(model: &mut Model, before: Option<&Instance>, instance: &Instance, now: DateTime<Utc>) {
    let fresh = before.is_some_and(|b| b.state != InstanceState::Ready) && instance.state == InstanceState::Ready && instance.restarts == 0;
    if fresh {
        model.capacity.warm_up = model.capacity.warm_up.max(Some(age(now, instance.created)));
    }
}
