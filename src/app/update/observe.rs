//! What the platform tells.

use super::super::card;
use super::super::effect::Effect;
use super::super::model::Model;
use super::super::targets::Target;
use super::run;
use crate::domain::text::clean_bounded;
use crate::domain::{Failure, Instance, PlatformUpdate, Stamp, Subject, Ticket};
use crate::runbook::io::{Input, Level};
use chrono::{DateTime, Utc};

/// Platform events kept.
const EVENTS: usize = 200;

pub(super) fn platform(model: &mut Model, stamp: &Stamp, updates: &[PlatformUpdate]) {
    for update in updates {
        match update {
            PlatformUpdate::Workload(workload) => {
                model.picture.workloads.insert(workload.uid.clone(), workload.clone());
            }
            PlatformUpdate::WorkloadGone { uid } => {
                model.picture.workloads.remove(uid);
            }
            PlatformUpdate::Instances(all) => {
                let known = std::mem::take(&mut model.picture.first_restarts);
                model.picture.first_restarts =
                    all.iter().map(|i| (i.uid.clone(), known.get(&i.uid).copied().unwrap_or(i.restarts))).collect();
                model.picture.instances.replace(all.clone());
                model.picture.listed = true;
            }
            PlatformUpdate::SomeInstances(some) => {
                for instance in some {
                    model.picture.first_restarts.entry(instance.uid.clone()).or_insert(instance.restarts);
                    model.picture.instances.put(instance.clone());
                }
            }
            PlatformUpdate::Instance(instance) => {
                model.picture.first_restarts.entry(instance.uid.clone()).or_insert(instance.restarts);
                let before = model.picture.instances.put(instance.clone());
                tell(model, before.as_ref(), instance);
                card::warmed(model, before.as_ref(), instance, stamp.wall);
            }
            PlatformUpdate::InstanceGone { uid } => {
                model.picture.instances.remove(uid);
                model.picture.first_restarts.remove(uid);
            }
            PlatformUpdate::Route(route) => {
                model.driver.routes_told += 1;
                model.picture.route.clone_from(route);
                model.picture.route_read = true;
            }
            PlatformUpdate::Xray(xray) => model.picture.xray = Some(xray.as_ref().clone()),
            PlatformUpdate::Event(event) => {
                model.picture.events.retain(|e| e.uid != event.uid);
                model.picture.events.push_front(event.clone());
                model.picture.events.truncate(EVENTS);
            }
            PlatformUpdate::Around(update) => model.picture.around.apply(update),
            PlatformUpdate::Progressive(update) => model.picture.progressive.take(update.clone(), stamp.wall),
            PlatformUpdate::Alive { at, skew } => {
                let source = &mut model.platform;
                source.newest = source.newest.max(Some(*at));
                source.failures = 0;
                source.trouble = None;
                source.login = None;
                source.next_attempt = None;
                if skew.is_some() {
                    model.picture.skew = *skew;
                }
            }
            PlatformUpdate::Trouble { failure, part, retry_in } => trouble(model, stamp, failure, part, *retry_in),
        }
    }
}

/// The same for another service: its picture and its connection stand in the place of our own meanwhile, so that whatever is told of
/// one is told of all in the same way.
pub(super) fn target(model: &mut Model, stamp: &Stamp, name: &str, updates: &[PlatformUpdate]) {
    let Some(place) = model.targets.iter().position(|target| target.spec.name == name) else { return };
    let mut target = model.targets.remove(place);
    swap(model, &mut target);
    let told = model.driver.routes_told;
    model.about = Some(name.to_owned());
    platform(model, stamp, updates);
    model.about = None;
    model.driver.routes_told = told;
    swap(model, &mut target);
    model.targets.insert(place, target);
}

fn swap(model: &mut Model, target: &mut Target) {
    std::mem::swap(&mut model.picture, &mut target.picture);
    std::mem::swap(&mut model.platform, &mut target.platform);
}

fn trouble(model: &mut Model, stamp: &Stamp, failure: &Failure, part: &str, retry_in: std::time::Duration) {
    let source = &mut model.platform;
    source.failures += 1;
    source.trouble = Some(clean_bounded(&format!("{part}: {failure}"), 300));
    source.login = failure.login().map(str::to_owned);
    source.next_attempt = chrono::TimeDelta::from_std(retry_in).ok().map(|d| stamp.wall + d);
    if let Some(login) = model.platform.login.clone() {
        model.say(Level::Warning, &format!("login needed: {login}"));
    }
}

/// Only transitions that a person acts on.
fn tell(model: &mut Model, before: Option<&Instance>, now: &Instance) {
    let restarted = before.is_some_and(|b| now.restarts > b.restarts);
    if restarted {
        let how = now.last_exit.as_ref().map_or_else(String::new, |(_, how)| format!(" ({how})"));
        model.say(Level::Warning, &format!("{} restarted{how}", now.name));
    } else if now.is_problem() && !before.is_some_and(Instance::is_problem) {
        let why = now.reason.as_deref().unwrap_or("failing");
        model.say(Level::Warning, &format!("{}: {why}", now.name));
    }
}

/// A fresh read is also the newest picture, unless the watch told of the route since it was asked for: what was read may be older.
pub(super) fn subject_read(model: &mut Model, ticket: Ticket, result: &Result<Box<Subject>, Failure>) {
    let asked = model.driver.reads.remove(&ticket);
    if let Some(route) = result.as_ref().ok().and_then(|subject| subject.route.as_deref())
        && asked == Some(model.driver.routes_told)
    {
        model.picture.route = Some(route.clone());
        model.picture.route_read = true;
    }
}

/// Nothing was seen in the future: after a jump of the clock, ages count from the jump.
pub(super) fn no_future(model: &mut Model, stamp: &Stamp) {
    let now = stamp.wall;
    let clamp = |at: &mut Option<DateTime<Utc>>| *at = at.map(|at| at.min(now));
    clamp(&mut model.platform.newest);
    clamp(&mut model.metrics.newest);
    if let Some(board) = &mut model.alerts {
        clamp(&mut board.source.newest);
    }
    model.panels.values_mut().for_each(|p| clamp(&mut p.newest));
    if let Some(share) = &mut model.observed.share {
        share.newest = share.newest.min(now);
    }
}

/// Back from sleep or suspension: nothing on screen counts until it was read again.
pub(super) fn woke(model: &mut Model, stamp: &Stamp, what: &str) -> Vec<Effect> {
    model.say(Level::Warning, &format!("{what}: everything is read again"));
    for panel in model.panels.values_mut() {
        panel.due = stamp.boot;
    }
    model.observed.due = stamp.boot;
    if let Some(board) = &mut model.alerts {
        board.ask_now(stamp.boot);
    }
    let mut effects = run::feed(model, stamp, Input::ClockJumped { what: what.to_owned() });
    effects.push(Effect::Refresh);
    effects
}
