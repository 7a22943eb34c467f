//! The canary annotations of ingress-nginx as a route: a second Ingress for the same host and path takes a part of its requests.
//!
//! The controller tells nothing about what it made of an annotation: only the observed requests do.

use super::Core;
use super::mechanism::{Change, Look, Mechanism, Place, last_writer_of, owner, stamp};
use super::patch::{annotation, test, weight_lines};
use crate::domain::text::clean_bounded;
use crate::domain::{Action, DiffLine, Percent, Route};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The API group of Ingress.
const GROUP: &str = "networking.k8s.io";
/// What nginx takes for the whole where nothing is written.
const TOTAL: u32 = 100;
/// Totals above this are a mistake; below it no sum can overflow.
const MOST: u32 = 1_000_000;

const CANARY: &str = "nginx.ingress.kubernetes.io/canary";
/// The annotation of the weight.
pub(super) const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";
/// The annotation of what the weight is a part of.
pub(super) const WHOLE: &str = "nginx.ingress.kubernetes.io/canary-weight-total";
const HEADER: &str = "nginx.ingress.kubernetes.io/canary-by-header";
const HEADER_VALUE: &str = "nginx.ingress.kubernetes.io/canary-by-header-value";
const HEADER_PATTERN: &str = "nginx.ingress.kubernetes.io/canary-by-header-pattern";
const COOKIE: &str = "nginx.ingress.kubernetes.io/canary-by-cookie";
const AFFINITY: &str = "nginx.ingress.kubernetes.io/affinity";
const BEHAVIOUR: &str = "nginx.ingress.kubernetes.io/affinity-canary-behavior";
/// All that the choice of a side depends on, in the controller's precedence.
const RELIED: [&str; 7] = [CANARY, HEADER, HEADER_VALUE, HEADER_PATTERN, COOKIE, WEIGHT, WHOLE];

/// The other Ingresses of the namespace, as far as they were looked at.
#[derive(Debug, Clone, Default)]
pub(super) enum Neighbours {
    /// Not looked at.
    #[default]
    Unread,
    /// Every Ingress of the namespace.
    Read(Vec<Value>),
    /// They cannot be read.
    Failed(String),
}

/// Weights of a canary Ingress.
pub(super) struct Canary {
    place: Place,
    neighbours: Neighbours,
}

impl Canary {
    pub(super) fn new(core: &Core, name: &str, neighbours: Neighbours) -> Self {
        Self { place: Place::new(core, GROUP, &["v1"], "ingresses", "Ingress", name), neighbours }
    }
}

impl Mechanism for Canary {
    fn place(&self) -> &Place {
        &self.place
    }

    fn look(&self, object: Value, action: &Action) -> Look {
        let mut route = read(&object);
        let mut warnings = vec![
            "ingress-nginx was retired in March 2026 and gets no more fixes; the Gateway API is the way on".to_owned(),
            "its controller does not tell when it has reloaded: only the observed requests show that the weight is in force".to_owned(),
        ];
        match &self.neighbours {
            Neighbours::Unread => {}
            Neighbours::Failed(why) => warnings.push(format!("whether another Ingress serves the same host and path is not known: {why}")),
            Neighbours::Read(all) => match partners(&object, all) {
                Ok(stable) => warnings.extend(sessions(stable, &object)),
                Err(why) => route.trouble = route.trouble.or(Some(why)),
            },
        }
        let change = match action {
            Action::SetWeight { canary } => change(&route, &object, *canary),
            _ => Change::default(),
        };
        Look { subject: route.subject(action), action: action.clone(), consequence: None, warnings, change, object }
    }

    fn between(&self, before: &Look, after: &Look) -> Vec<DiffLine> {
        let (Some(was), Some(is)) = (&before.subject.route, &after.subject.route) else { return before.change.lines.clone() };
        weight_lines(was, &was.rule, is.canary, is.baseline)
    }
}

fn note<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations").and_then(|notes| notes.get(key)).and_then(Value::as_str)
}

fn change(route: &Route, object: &Value, wanted: Percent) -> Change {
    let mut change = Change::default();
    for key in RELIED {
        match note(object, key) {
            Some(value) => change.tests.push(test(&annotation(key), &json!(value))),
            // An annotation that comes in between would change what the weight means.
            None => change.untested = true,
        }
    }
    let (canary, baseline) = route.split(wanted);
    let mut set = |key: &str, value: u32| {
        let op = if note(object, key).is_some() { "replace" } else { "add" };
        change.changes.push(json!({"op": op, "path": annotation(key), "value": value.to_string()}));
        change.covered.push(annotation(key));
    };
    set(WEIGHT, canary);
    if canary + baseline != route.sum() {
        set(WHOLE, canary + baseline);
    }
    change.lines = weight_lines(route, &route.rule, canary, baseline);
    change
}

/// Reads a canary Ingress. What is wrong with it becomes the route's `trouble`.
fn read(object: &Value) -> Route {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut route = Route {
        object: format!("ingress/{}", clean_bounded(text("/metadata/name"), 253)),
        uid: text("/metadata/uid").to_owned(),
        version: text("/metadata/resourceVersion").to_owned(),
        rule: label(object),
        canary: 0,
        baseline: 0,
        others: 0,
        stamp: None,
        pinned: pinned(object)
            .into_iter()
            .map(|(words, canary)| format!("{words} -> {}", if canary { "canary" } else { "baseline" }))
            .collect(),
        last_writer: last_writer_of(object, "f:metadata"),
        trouble: None,
    };
    let stamp = stamp(object).map(|stamp| route.stamp = stamp);
    match weights(object) {
        Ok((weight, whole)) => (route.canary, route.baseline) = (weight, whole - weight),
        Err(why) => route.trouble = Some(why),
    }
    if route.trouble.is_none() {
        route.trouble = stamp.err().or_else(|| owner(object));
    }
    route
}

/// Weight and whole. All values of annotations are texts.
pub(super) fn weights(object: &Value) -> Result<(u32, u32), String> {
    if note(object, CANARY) != Some("true") {
        let said = note(object, CANARY).map_or_else(|| "is missing".to_owned(), |value| format!("is `{}`", clean_bounded(value, 40)));
        let weight = if note(object, WEIGHT).is_some() { "; with a weight nginx refuses it" } else { "" };
        return Err(format!("its annotation {CANARY} {said} instead of `true`: it is no canary{weight}"));
    }
    let number = |key: &str, none: u32| {
        let Some(text) = note(object, key) else { return Ok(none) };
        let number = text.parse::<u32>().ok().filter(|number| *number <= MOST);
        number.ok_or_else(|| format!("its annotation {key} is `{}`, which is no number", clean_bounded(text, 40)))
    };
    let (weight, whole) = (number(WEIGHT, 0)?, number(WHOLE, TOTAL)?);
    if whole == 0 {
        return Err(format!("its annotation {WHOLE} is 0"));
    }
    if weight > whole {
        return Err(format!("its weight {weight} is more than the whole, {whole}"));
    }
    Ok((weight, whole))
}

/// What sends requests to one side whatever the weight is, in the controller's precedence: header, then cookie. True: to the canary.
pub(super) fn pinned(object: &Value) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    let clean = |text: &str| clean_bounded(text, 80);
    if let Some(header) = note(object, HEADER).filter(|header| !header.is_empty()).map(clean) {
        match (note(object, HEADER_VALUE), note(object, HEADER_PATTERN)) {
            (Some(value), _) if !value.is_empty() => lines.push((format!("header {header}={}", clean(value)), true)),
            (_, Some(pattern)) if !pattern.is_empty() => lines.push((format!("header {header} ~ {}", clean(pattern)), true)),
            _ => {
                lines.push((format!("header {header}=always"), true));
                lines.push((format!("header {header}=never"), false));
            }
        }
    }
    if let Some(cookie) = note(object, COOKIE).filter(|cookie| !cookie.is_empty()).map(clean) {
        lines.push((format!("cookie {cookie}=always"), true));
        lines.push((format!("cookie {cookie}=never"), false));
    }
    lines
}

/// Host and path of every rule.
fn places(object: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut places = BTreeSet::new();
    for rule in object.pointer("/spec/rules").and_then(Value::as_array).into_iter().flatten() {
        for path in rule.pointer("/http/paths").and_then(Value::as_array).into_iter().flatten() {
            let path = Some(text(path, "path")).filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
            places.insert((text(rule, "host"), path));
        }
    }
    places
}

/// `shop.example/checkout`, of all its rules.
pub(super) fn label(object: &Value) -> String {
    let mut words: Vec<String> = places(object).into_iter().map(|(host, path)| format!("{host}{path}")).collect();
    words.truncate(8);
    clean_bounded(&words.join(", "), 160)
}

fn class(object: &Value) -> &str {
    let spec = object.pointer("/spec/ingressClassName").and_then(Value::as_str);
    spec.or_else(|| note(object, "kubernetes.io/ingress.class")).unwrap_or_default()
}

fn name(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// The Ingress whose requests the canary takes a part of.
///
/// # Errors
/// There is none, or another canary takes them too: nginx allows one for a rule.
pub(super) fn partners<'a>(canary: &Value, all: &'a [Value]) -> Result<&'a Value, String> {
    let ours = places(canary);
    if ours.is_empty() {
        return Err("it has no rule with a path: it takes no requests".to_owned());
    }
    let same = all.iter().filter(|other| name(other) != name(canary) && class(other) == class(canary) && !places(other).is_disjoint(&ours));
    let (canaries, stable): (Vec<&Value>, Vec<&Value>) = same.partition(|other| note(other, CANARY) == Some("true"));
    if let Some(second) = canaries.first() {
        let second = clean_bounded(name(second), 120);
        return Err(format!("ingress/{second} is a canary of the same host and path: nginx takes one, and nobody can tell which"));
    }
    let whole = stable.iter().find(|other| places(other).is_superset(&ours)).or(stable.first());
    whole.copied().ok_or_else(|| format!("no other Ingress serves {}: without one nginx ignores a canary", label(canary)))
}

/// A session that is kept on its side does not follow the weight.
fn sessions(stable: &Value, canary: &Value) -> Option<String> {
    let sticky = note(stable, AFFINITY).is_some() && note(canary, BEHAVIOUR) != Some("legacy");
    sticky.then(|| "sessions are sticky: those that exist stay where they are, whatever the weight".to_owned())
}

#[cfg(test)]
pub(super) mod tests;
