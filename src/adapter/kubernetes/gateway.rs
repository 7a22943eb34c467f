//! An HTTPRoute of the Gateway API as a route: which rule, which back-ends, which shares, and whether a gateway has taken it up.

use super::Core;
use super::mechanism::{Change, Look, Mechanism, Place, last_writer, owner, stamp};
use super::patch::{test, weight_lines};
use crate::domain::text::clean_bounded;
use crate::domain::{Action, DiffLine, Percent, Route, RouteSpec, ServiceSpec};
use serde_json::{Value, json};
use std::sync::Arc;

/// The API group.
pub(super) const GROUP: &str = "gateway.networking.k8s.io";
/// Its versions, the preferred first.
pub(super) const VERSIONS: &[&str] = &["v1", "v1beta1"];
/// The largest weight that the API takes.
const MOST_WEIGHT: u64 = 1_000_000;

/// The names by which an HTTPRoute splits the service's traffic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    rule: Option<&'a str>,
    baseline: &'a str,
    canary: &'a str,
    namespace: &'a str,
}

impl<'a> Names<'a> {
    /// Of a service; `None` where an HTTPRoute is not what splits its traffic.
    pub(super) fn of(spec: &'a ServiceSpec) -> Option<Self> {
        let RouteSpec::HttpRoute { rule, baseline, canary, .. } = &spec.route else { return None };
        Some(Self { rule: rule.as_deref(), baseline, canary, namespace: &spec.namespace })
    }

    /// A `jq` program that sets both weights where the place of the rule is not known.
    pub(super) fn program(&self, canary: u32, baseline: u32) -> String {
        let rule = match self.rule {
            Some(name) => format!(".spec.rules[] | select(.name == {})", json!(name)),
            None => {
                let sends = |to: &str| format!("any(.backendRefs[]?; .name == {})", json!(to));
                format!(".spec.rules[] | select({} and {})", sends(self.canary), sends(self.baseline))
            }
        };
        let set =
            |service: &str, weight: u32| format!("({rule} | .backendRefs[] | select(.name == {}) | .weight) = {weight}", json!(service));
        format!("{} | {}", set(self.canary, canary), set(self.baseline, baseline))
    }

    fn sends_to(&self, backend: &Value, service: &str) -> bool {
        let text = |key: &str| backend.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        text("name") == Some(service)
            && text("kind").is_none_or(|kind| kind == "Service")
            && text("group").is_none_or(|group| group == "core")
            && text("namespace").is_none_or(|namespace| namespace == self.namespace)
    }
}

/// Weights of an HTTPRoute.
pub(super) struct Gateway {
    place: Place,
    spec: Arc<ServiceSpec>,
}

impl Gateway {
    pub(super) fn new(core: &Core, name: &str) -> Self {
        Self { place: Place::new(core, GROUP, VERSIONS, "httproutes", "HTTPRoute", name), spec: Arc::clone(&core.spec) }
    }
}

impl Mechanism for Gateway {
    fn place(&self) -> &Place {
        &self.place
    }

    fn look(&self, object: Value, action: &Action) -> Look {
        let Reading { route, spot, object } = read(object, &self.spec);
        let change = match (action, &spot) {
            (Action::SetWeight { canary }, Some(spot)) => change(&route, spot, &object, *canary),
            _ => Change::default(),
        };
        let mut subject = route.subject(action);
        let mut warnings = mirrors(&object, spot.as_ref());
        match acceptance(&object) {
            Acceptance::Accepted => {}
            Acceptance::Pending(why) => {
                subject.shown = format!("{} (not accepted by the gateway yet)", subject.shown);
                warnings.push(format!("not accepted by the gateway yet: {why}"));
            }
            Acceptance::Refused(why) => {
                subject.shown = format!("{} (refused by the gateway)", subject.shown);
                // The way back stays open: some gateways go on serving the part that they understand.
                if action.raises_traffic() && subject.trouble.is_none() {
                    subject.trouble = Some(format!("the gateway refuses this route: {why}"));
                } else {
                    warnings.push(format!("the gateway refuses this route: {why}"));
                }
            }
        }
        Look { subject, action: action.clone(), consequence: None, warnings, change, object }
    }

    fn between(&self, before: &Look, after: &Look) -> Vec<DiffLine> {
        let (Some(was), Some(is)) = (&before.subject.route, &after.subject.route) else { return before.change.lines.clone() };
        weight_lines(was, &label_of(was), is.canary, is.baseline)
    }
}

/// `rule[split]`.
fn label_of(route: &Route) -> String {
    if route.rule.starts_with("rule[") { route.rule.clone() } else { format!("rule[{}]", route.rule) }
}

fn change(route: &Route, spot: &Spot, object: &Value, wanted: Percent) -> Change {
    let mut change = Change::default();
    let rule = format!("/spec/rules/{}", spot.rule);
    // A rule without a name is known by what it matches.
    let identity = if spot.name.is_some() { "name" } else { "matches" };
    match object.pointer(&format!("{rule}/{identity}")) {
        Some(value) => change.tests.push(test(&format!("{rule}/{identity}"), value)),
        None => change.untested = true,
    }
    let backends = object.pointer(&format!("{rule}/backendRefs")).and_then(Value::as_array).map_or(0, Vec::len);
    for at in 0..backends {
        for field in ["name", "namespace", "weight"] {
            let path = format!("{rule}/backendRefs/{at}/{field}");
            match object.pointer(&path) {
                Some(value) => change.tests.push(test(&path, value)),
                None if field == "namespace" => {}
                None => change.untested = true,
            }
        }
    }
    let (canary, baseline) = route.split(wanted);
    for (at, weight) in [(spot.canary, canary), (spot.baseline, baseline)] {
        let path = format!("{rule}/backendRefs/{at}/weight");
        let op = if object.pointer(&path).is_some() { "replace" } else { "add" };
        change.changes.push(json!({"op": op, "path": path, "value": weight}));
        change.covered.push(path);
    }
    change.lines = weight_lines(route, &label_of(route), canary, baseline);
    change
}

/// Where in the object the two weights stand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    rule: usize,
    name: Option<String>,
    canary: usize,
    baseline: usize,
}

struct Reading {
    route: Route,
    spot: Option<Spot>,
    object: Value,
}

/// Reads an HTTPRoute. What is wrong with it becomes the route's `trouble`.
fn read(object: Value, spec: &ServiceSpec) -> Reading {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut route = Route {
        object: format!("httproute/{}", clean_bounded(text("/metadata/name"), 253)),
        uid: text("/metadata/uid").to_owned(),
        version: text("/metadata/resourceVersion").to_owned(),
        rule: Names::of(spec).and_then(|names| names.rule).unwrap_or("rule").to_owned(),
        canary: 0,
        baseline: 0,
        others: 0,
        stamp: None,
        pinned: vec![],
        last_writer: last_writer(&object),
        trouble: None,
    };
    let stamp = stamp(&object).map(|stamp| route.stamp = stamp);
    let found = match Names::of(spec) {
        Some(names) => rule(&object, names).and_then(|index| backends(&object, index, names, &mut route)),
        None => Err("traffic of this service is not split by an HTTPRoute".to_owned()),
    };
    let spot = match found {
        Ok(found) => Some(found),
        Err(why) => {
            route.trouble = Some(why);
            None
        }
    };
    if route.trouble.is_none() {
        route.trouble = stamp.err().or_else(|| owner(&object));
    }
    Reading { route, spot, object }
}

fn rules(object: &Value) -> &[Value] {
    object.pointer("/spec/rules").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn refs(rule: &Value) -> &[Value] {
    rule.get("backendRefs").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn named(rule: &Value) -> Option<&str> {
    rule.get("name").and_then(Value::as_str).filter(|name| !name.is_empty())
}

/// The rule's name, else its place.
pub(super) fn label(rule: &Value, index: usize) -> String {
    named(rule).map_or_else(|| format!("rule[{index}]"), |name| clean_bounded(name, 120))
}

/// Index of the rule that splits the traffic.
fn rule(object: &Value, names: Names<'_>) -> Result<usize, String> {
    let rules = rules(object);
    let to = |rule: &Value, service: &str| refs(rule).iter().any(|backend| names.sends_to(backend, service));
    let fits = |rule: &Value| match names.rule {
        Some(name) => named(rule) == Some(name),
        None => to(rule, names.canary) && to(rule, names.baseline),
    };
    let found: Vec<usize> = rules.iter().enumerate().filter(|(_, rule)| fits(rule)).map(|(index, _)| index).collect();
    let listed = || clean_bounded(&rules.iter().enumerate().map(|(at, rule)| label(rule, at)).collect::<Vec<_>>().join(", "), 200);
    match (found.as_slice(), names.rule) {
        ([one], _) => Ok(*one),
        ([], Some(name)) => Err(format!("no rule is named `{name}`; there are: {}", listed())),
        (many, Some(name)) => Err(format!("{} rules are named `{name}`", many.len())),
        ([], None) => {
            Err(format!("no rule sends to both service/{} and service/{}: add the missing one with weight 0", names.baseline, names.canary))
        }
        (many, None) => Err(format!(
            "{} rules send to both services: name the one that splits traffic in the service's `route.rule`; there are: {}",
            many.len(),
            listed()
        )),
    }
}

/// Reads the rule's back-ends into the route, and finds ours among them.
fn backends(object: &Value, index: usize, names: Names<'_>, route: &mut Route) -> Result<Spot, String> {
    let rule = &rules(object)[index];
    route.rule = label(rule, index);
    route.pinned = pinned(object, index, names);
    let refs = refs(rule);
    let weights = refs.iter().map(weight).collect::<Result<Vec<_>, _>>()?;
    let all = |service: &str| (0..refs.len()).filter(|at| names.sends_to(&refs[*at], service)).collect::<Vec<_>>();
    let (canary, baseline) = (all(names.canary), all(names.baseline));
    let others: Vec<usize> = (0..refs.len()).filter(|at| !canary.contains(at) && !baseline.contains(at)).collect();
    let sum_of = |places: &[usize]| u32::try_from(places.iter().map(|at| weights[*at]).sum::<u64>()).unwrap_or(u32::MAX / 4);
    (route.canary, route.baseline, route.others) = (sum_of(&canary), sum_of(&baseline), sum_of(&others));
    let there = || clean_bounded(&refs.iter().map(backend).collect::<Vec<_>>().join(", "), 200);
    let one = |places: &[usize], service: &str| match places {
        [at] => Ok(*at),
        [] => Err(format!("rule {} does not send to service/{service}; it sends to: {}. add it with weight 0", route.rule, there())),
        many => Err(format!("rule {} names service/{service} {} times", route.rule, many.len())),
    };
    let (canary, baseline) = (one(&canary, names.canary)?, one(&baseline, names.baseline)?);
    let spot = Spot { rule: index, name: named(rule).map(str::to_owned), canary, baseline };
    if route.others > 0 {
        let listed = others.iter().map(|at| backend(&refs[*at])).collect::<Vec<_>>().join(", ");
        let listed = clean_bounded(&listed, 160);
        route.trouble = Some(format!("other back-ends get {} of {}: {listed}; the shares are not ours alone", route.others, route.sum()));
    } else if route.sum() == 0 {
        route.trouble = Some(format!("all weights of rule {} are 0: requests are answered with status 500", route.rule));
    }
    Ok(spot)
}

/// The relative weight of a back-end: 1 where none is written.
pub(super) fn weight(to: &Value) -> Result<u64, String> {
    match to.get("weight") {
        None | Some(Value::Null) => Ok(1),
        Some(value) => value
            .as_u64()
            .filter(|weight| *weight <= MOST_WEIGHT)
            .ok_or_else(|| format!("the weight of {} is {}, which is no weight", backend(to), clean_bounded(&value.to_string(), 40))),
    }
}

/// `service/checkout`, with its namespace where it says one.
pub(super) fn backend(to: &Value) -> String {
    let text = |key: &str| to.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let kind = text("kind").unwrap_or("Service").to_lowercase();
    let namespace = text("namespace").map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    clean_bounded(&format!("{kind}/{}{namespace}", text("name").unwrap_or("?")), 160)
}

/// Other rules that send some requests to one side whatever the weights are. Not the order decides here: the more exact match wins.
fn pinned(object: &Value, ours: usize, names: Names<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, rule) in rules(object).iter().enumerate().filter(|(at, _)| *at != ours) {
        let refs = refs(rule);
        let mut taking = refs.iter().filter(|to| weight(to).is_ok_and(|weight| weight > 0));
        let (Some(to), None) = (taking.next(), taking.next()) else { continue };
        let side = if names.sends_to(to, names.canary) {
            "canary"
        } else if names.sends_to(to, names.baseline) {
            "baseline"
        } else {
            continue;
        };
        lines.extend(conditions(rule).into_iter().take(8).map(|words| format!("{words} -> {side}")));
        if lines.len() > 16 || at > 16 {
            break;
        }
    }
    lines
}

/// What a rule matches, in words; alternatives apart.
pub(super) fn conditions(rule: &Value) -> Vec<String> {
    let matches = rule.get("matches").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if matches.is_empty() { vec!["everything".to_owned()] } else { matches.iter().map(condition).collect() }
}

/// One match in words: `header x-canary=true and path starts with /api`.
fn condition(case: &Value) -> String {
    let mut words = Vec::new();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    for (key, kind) in [("headers", "header"), ("queryParams", "query")] {
        for one in case.get(key).and_then(Value::as_array).into_iter().flatten() {
            let sign = if text(one, "type") == "RegularExpression" { " ~ " } else { "=" };
            words.push(format!("{kind} {}{sign}{}", text(one, "name"), text(one, "value")));
        }
    }
    if let Some(method) = case.get("method").and_then(Value::as_str) {
        words.push(format!("method {method}"));
    }
    if let Some(path) = case.get("path") {
        match (text(path, "type").as_str(), text(path, "value")) {
            ("" | "PathPrefix", value) if value.is_empty() || value == "/" => {}
            ("Exact", value) => words.push(format!("path {value}")),
            ("RegularExpression", value) => words.push(format!("path ~ {value}")),
            (_, value) => words.push(format!("path starts with {value}")),
        }
    }
    if words.is_empty() { "everything".to_owned() } else { clean_bounded(&words.join(" and "), 120) }
}

/// Copies of requests that the rule sends elsewhere.
fn mirrors(object: &Value, spot: Option<&Spot>) -> Vec<String> {
    let rule = spot.and_then(|spot| rules(object).get(spot.rule));
    let filters = rule.and_then(|rule| rule.get("filters")).and_then(Value::as_array);
    let mirror = |filter: &Value| filter.pointer("/requestMirror/backendRef").map(backend);
    let mirrored = filters.into_iter().flatten().filter_map(mirror);
    mirrored.take(4).map(|to| format!("requests of this rule are also mirrored to {to}")).collect()
}

/// What the gateways say of the route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Acceptance {
    /// All of them took it up as it is now.
    Accepted,
    /// Not all said so yet.
    Pending(String),
    /// One of them refuses it, or a part of it.
    Refused(String),
}

/// Reads the status: it holds one entry per parent and controller, each with conditions of its own.
pub(super) fn acceptance(object: &Value) -> Acceptance {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
    let wanted = object.pointer("/spec/parentRefs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let told = object.pointer("/status/parents").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut pending = None;
    for parent in wanted {
        let name = text(parent, "name");
        let kind = Some(text(parent, "kind")).filter(|kind| !kind.is_empty()).unwrap_or_else(|| "Gateway".to_owned()).to_lowercase();
        let words = clean_bounded(&format!("{kind}/{name}"), 160);
        let same = |entry: &&Value| entry.get("parentRef").is_some_and(|about| same_parent(about, parent));
        let entries: Vec<&Value> = told.iter().filter(same).collect();
        if entries.is_empty() {
            pending.get_or_insert_with(|| format!("{words} has said nothing about it"));
        }
        for condition in entries.iter().filter_map(|entry| entry.get("conditions").and_then(Value::as_array)).flatten() {
            let (kind, status, reason) = (text(condition, "type"), text(condition, "status"), text(condition, "reason"));
            let message = clean_bounded(&format!("{words}: {reason}: {}", text(condition, "message")), 300);
            match (kind.as_str(), status.as_str()) {
                // Waiting for the controller is told as a refusal with this reason.
                ("Accepted", "False") if reason == "Pending" => pending = Some(message),
                ("Accepted" | "ResolvedRefs", "False") | ("PartiallyInvalid", "True") => return Acceptance::Refused(message),
                ("Accepted" | "ResolvedRefs", "Unknown") => pending = Some(message),
                _ => {}
            }
            let seen = condition.get("observedGeneration").and_then(Value::as_i64);
            if matches!(kind.as_str(), "Accepted" | "ResolvedRefs") && seen.is_some_and(|seen| seen < generation) {
                pending.get_or_insert_with(|| format!("{words} has not taken up the latest change"));
            }
        }
    }
    match pending {
        Some(why) => Acceptance::Pending(why),
        None if wanted.is_empty() => Acceptance::Pending("it names no gateway".to_owned()),
        None => Acceptance::Accepted,
    }
}

/// Whether a status entry is about this parent: the fields that the reference gives are the same.
fn same_parent(about: &Value, parent: &Value) -> bool {
    ["name", "namespace", "sectionName", "kind", "port"]
        .iter()
        .all(|key| about.get(key).is_none() || parent.get(key).is_none() || about.get(key) == parent.get(key))
}

#[cfg(test)]
pub(super) mod tests;
