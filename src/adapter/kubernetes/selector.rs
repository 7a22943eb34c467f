//! The selector of a Service as a route: all requests go to one side or to the other.

use super::Core;
use super::mechanism::{Change, Look, Mechanism, Place, last_writer, owner, stamp};
use super::patch::{escaped, test};
use crate::domain::text::clean_bounded;
use crate::domain::{Action, DiffLine, Labels, Percent, Route, RouteSpec, ServiceSpec, Track};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pods of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// That exist.
    pub(super) all: usize,
    /// That are ready and stay.
    pub(super) ready: usize,
}

/// What stands behind the Service now and what would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Pods that the canary's selector picks, or why that is not known.
    pub(super) canary: Option<Result<Count, String>>,
    /// Pods that the baseline's selector picks, or why that is not known.
    pub(super) baseline: Option<Result<Count, String>>,
    /// Ready endpoints of the Service: of the canary, of the baseline, of neither.
    pub(super) endpoints: Option<[usize; 3]>,
}

/// A switch of a Service.
pub(super) struct Switch {
    place: Place,
    spec: Arc<ServiceSpec>,
    survey: Survey,
}

impl Switch {
    pub(super) fn new(core: &Core, service: &str, survey: Survey) -> Self {
        Self { place: Place::new(core, "", &["v1"], "services", "Service", service), spec: Arc::clone(&core.spec), survey }
    }
}

/// The labels of both sides: canary, baseline.
pub(super) fn sides(spec: &ServiceSpec) -> Option<(&Labels, &Labels)> {
    match &spec.route {
        RouteSpec::Selector { canary, baseline, .. } => Some((canary, baseline)),
        _ => None,
    }
}

/// The selector as it stands.
pub(super) fn current(service: &Value) -> BTreeMap<String, String> {
    let pairs = service.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The selector with the labels of a side put in.
pub(super) fn with(selector: &BTreeMap<String, String>, side: &Labels) -> BTreeMap<String, String> {
    let mut selector = selector.clone();
    selector.extend(side.iter().map(|(key, value)| (key.clone(), value.clone())));
    selector
}

/// `app=checkout,version=green`.
pub(super) fn written(selector: &BTreeMap<String, String>) -> String {
    selector.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

impl Mechanism for Switch {
    fn place(&self) -> &Place {
        &self.place
    }

    fn look(&self, object: Value, action: &Action) -> Look {
        let mut route = read(&object, &self.spec);
        let selector = current(&object);
        let wanted = match action {
            Action::SetWeight { canary } => side(&self.spec, *canary),
            _ => Ok(None),
        };
        let (mut change, mut warnings) = (Change::default(), vec![]);
        match wanted {
            Err(why) => route.trouble = Some(why),
            Ok(Some((track, labels))) => {
                change = switch(&route, &selector, labels, &self.spec);
                // Where nothing would change there is nothing to refuse.
                if !change.lines.is_empty() {
                    let target = written(&with(&selector, labels));
                    match self.ready(track, &target) {
                        Ok(()) => {}
                        // Going back on a doubt is better than staying: only certain emptiness stops it.
                        Err(Doubt::Unknown(why)) if track == Track::Baseline => warnings.push(why),
                        Err(Doubt::Unknown(why) | Doubt::Empty(why)) => route.trouble = route.trouble.or(Some(why)),
                    }
                    warnings.extend(self.short(track));
                    warnings
                        .push("all or nothing, at once; connections that are kept open stay on the old side until they close".to_owned());
                }
            }
            Ok(None) => {}
        }
        let mut subject = route.subject(action);
        subject.fields.extend(selector.iter().map(|(key, value)| (format!("selector {key}"), clean_bounded(value, 120))));
        if let Some([canary, baseline, others]) = self.survey.endpoints {
            let others = if others > 0 { format!(", {others} others") } else { String::new() };
            subject.shown = format!("{} (endpoints: {canary} canary, {baseline} baseline{others})", subject.shown);
        }
        Look { subject, action: action.clone(), consequence: None, warnings, change, object }
    }

    fn between(&self, before: &Look, after: &Look) -> Vec<DiffLine> {
        let (was, is) = (current(&before.object), current(&after.object));
        lines(&before.subject.object, &was, &is)
    }
}

/// Why a switch may not be wise.
enum Doubt {
    /// Nothing ready stands there.
    Empty(String),
    /// It is not known what stands there.
    Unknown(String),
}

impl Switch {
    fn of(&self, track: Track) -> Option<&Result<Count, String>> {
        if track == Track::Canary { self.survey.canary.as_ref() } else { self.survey.baseline.as_ref() }
    }

    fn ready(&self, track: Track, target: &str) -> Result<(), Doubt> {
        match self.of(track) {
            None => Ok(()),
            Some(Err(why)) => Err(Doubt::Unknown(format!("what {target} would pick is not known: {why}"))),
            Some(Ok(Count { ready: 0, all })) => Err(Doubt::Empty(format!(
                "the selector {target} picks no ready pod ({all} exist): switching would leave the service empty"
            ))),
            Some(Ok(_)) => Ok(()),
        }
    }

    /// A side that is smaller than the one that serves now.
    fn short(&self, track: Track) -> Option<String> {
        let other = if track == Track::Canary { Track::Baseline } else { Track::Canary };
        let (Some(Ok(new)), Some(Ok(old))) = (self.of(track), self.of(other)) else { return None };
        (new.ready > 0 && new.ready < old.ready).then(|| format!("{track} has {} ready pods, {other} has {}", new.ready, old.ready))
    }
}

/// The side that a weight stands for.
fn side(spec: &ServiceSpec, weight: Percent) -> Result<Option<(Track, &Labels)>, String> {
    let Some((canary, baseline)) = sides(spec) else { return Ok(None) };
    match weight {
        Percent::FULL => Ok(Some((Track::Canary, canary))),
        Percent::ZERO => Ok(Some((Track::Baseline, baseline))),
        other => Err(format!("the selector of a Service is all or nothing: {other}% cannot be set, only 0 and 100")),
    }
}

/// Tests every key that is there, and sets those in which the sides differ.
fn switch(route: &Route, selector: &BTreeMap<String, String>, wanted: &Labels, spec: &ServiceSpec) -> Change {
    let differs = |key: &String| sides(spec).is_none_or(|(canary, baseline)| canary.get(key) != baseline.get(key));
    let path = |key: &str| format!("/spec/selector/{}", escaped(key));
    // A key that somebody adds in between would pick less: only the version tells.
    let mut change = Change { untested: true, ..Change::default() };
    change.tests.extend(selector.iter().map(|(key, value)| test(&path(key), &json!(value))));
    for (key, value) in wanted.iter().filter(|(key, value)| differs(key) || selector.get(*key) != Some(*value)) {
        let op = if selector.contains_key(key) { "replace" } else { "add" };
        change.changes.push(json!({"op": op, "path": path(key), "value": value}));
        change.covered.push(path(key));
    }
    change.lines = lines(&route.object, selector, &with(selector, wanted));
    change
}

fn lines(object: &str, was: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Vec<DiffLine> {
    let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let text = |value: Option<&String>| value.map_or_else(|| "(absent)".to_owned(), |value| clean_bounded(value, 120));
    let line = |key: &String| DiffLine {
        field: format!("{object} selector {}", clean_bounded(key, 120)),
        before: text(was.get(key)),
        after: text(is.get(key)),
    };
    keys.into_iter().filter(|key| was.get(*key) != is.get(*key)).map(line).collect()
}

/// Reads a Service. What is wrong with it becomes the route's `trouble`.
fn read(object: &Value, spec: &ServiceSpec) -> Route {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let selector = current(object);
    let mut route = Route {
        object: format!("service/{}", clean_bounded(text("/metadata/name"), 253)),
        uid: text("/metadata/uid").to_owned(),
        version: text("/metadata/resourceVersion").to_owned(),
        rule: "selector".to_owned(),
        canary: 0,
        baseline: 0,
        others: 0,
        stamp: None,
        pinned: vec![],
        last_writer: last_writer(object),
        trouble: None,
    };
    let stamp = stamp(object).map(|stamp| route.stamp = stamp);
    let picks = |labels: &Labels| labels.iter().all(|(key, value)| selector.get(key) == Some(value));
    match sides(spec) {
        Some((canary, _)) if picks(canary) => route.canary = 100,
        Some((_, baseline)) if picks(baseline) => route.baseline = 100,
        Some((canary, baseline)) => {
            route.others = 100;
            let selects = if selector.is_empty() { "nothing".to_owned() } else { clean_bounded(&written(&selector), 160) };
            let (canary, baseline) = (written(&pairs(canary)), written(&pairs(baseline)));
            route.trouble = Some(format!("it selects {selects}: neither the canary ({canary}) nor the baseline ({baseline})"));
        }
        None => route.trouble = Some("traffic of this service is not switched by a selector".to_owned()),
    }
    if text("/spec/type") == "ExternalName" {
        route.trouble = Some("it is an ExternalName: no selector counts there".to_owned());
    }
    if route.trouble.is_none() {
        route.trouble = stamp.err().or_else(|| owner(object));
    }
    route
}

fn pairs(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
pub(super) mod tests;
