//! A VirtualService as a route: which rule, which destinations, which shares, and why they cannot be set if so.

use super::Core;
use super::mechanism::{Change, Look, Mechanism, Place, last_writer, owner, stamp};
use super::patch::{test, weight_lines};
use crate::domain::text::clean_bounded;
use crate::domain::{Action, DiffLine, Percent, Route, RouteSpec, ServiceSpec};
use serde_json::{Value, json};
use std::sync::Arc;

/// Weights above this are a mistake; below it no sum of them can overflow.
const MOST_WEIGHT: u64 = 1_000_000;
/// Versions of Istio's API, the preferred first.
pub(super) const VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha3"];
/// Istio's API group for traffic.
pub(super) const GROUP: &str = "networking.istio.io";

/// The names by which a VirtualService splits the service's traffic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    http: Option<&'a str>,
    baseline: &'a str,
    canary: &'a str,
    namespace: &'a str,
}

impl<'a> Names<'a> {
    /// Of a service; `None` where a VirtualService is not what splits its traffic.
    pub(super) fn of(spec: &'a ServiceSpec) -> Option<Self> {
        let RouteSpec::VirtualService { http, baseline_subset, canary_subset, .. } = &spec.route else { return None };
        Some(Self { http: http.as_deref(), baseline: baseline_subset, canary: canary_subset, namespace: &spec.namespace })
    }
}

impl Names<'_> {
    /// A `jq` program that sets both weights where the place of the rule is not known: it finds it by name and subsets.
    pub(super) fn program(&self, canary: u32, baseline: u32) -> String {
        let rule = match self.http {
            Some(name) => format!(".spec.http[] | select(.name == {})", json!(name)),
            None => ".spec.http[] | select((.match // []) == [])".to_owned(),
        };
        let set = |subset: &str, weight: u32| {
            format!("({rule} | .route[] | select(.destination.subset == {}) | .weight) = {weight}", json!(subset))
        };
        format!("{} | {}", set(self.canary, canary), set(self.baseline, baseline))
    }
}

/// Weights of a VirtualService.
pub(super) struct Mesh {
    place: Place,
    spec: Arc<ServiceSpec>,
}

impl Mesh {
    pub(super) fn new(core: &Core, name: &str) -> Self {
        Self { place: Place::new(core, GROUP, VERSIONS, "virtualservices", "VirtualService", name), spec: Arc::clone(&core.spec) }
    }
}

impl Mechanism for Mesh {
    fn place(&self) -> &Place {
        &self.place
    }

    fn look(&self, object: Value, action: &Action) -> Look {
        let reading = read(object, &self.spec);
        let change = match action {
            Action::SetWeight { canary } => change(&reading, *canary),
            _ => Change::default(),
        };
        let subject = reading.route.subject(action);
        Look { subject, action: action.clone(), consequence: None, warnings: vec![], change, object: reading.object }
    }

    fn between(&self, before: &Look, after: &Look) -> Vec<DiffLine> {
        let (Some(was), Some(is)) = (&before.subject.route, &after.subject.route) else { return before.change.lines.clone() };
        weight_lines(was, &label_of(was), is.canary, is.baseline)
    }
}

fn change(reading: &Reading, wanted: Percent) -> Change {
    let mut change = Change::default();
    let Some(spot) = &reading.spot else { return change };
    change.untested = !test_rule(reading, spot, &mut change.tests);
    let (canary, baseline) = reading.route.split(wanted);
    for (at, weight) in [(spot.canary, canary), (spot.baseline, baseline)] {
        let path = format!("/spec/http/{}/route/{at}/weight", spot.rule);
        let op = if reading.object.pointer(&path).is_some() { "replace" } else { "add" };
        change.changes.push(json!({"op": op, "path": path, "value": weight}));
        change.covered.push(path);
    }
    change.lines = weight_lines(&reading.route, &label_of(&reading.route), canary, baseline);
    change
}

/// `http[primary]`.
fn label_of(route: &Route) -> String {
    if route.rule.starts_with("http[") { route.rule.clone() } else { format!("http[{}]", route.rule) }
}

/// Tests the rule's name and every destination's subset and weight. False where something that is relied on is absent and
/// cannot be tested: then the object's version has to be.
fn test_rule(reading: &Reading, spot: &Spot, tests: &mut Vec<Value>) -> bool {
    let rule = format!("/spec/http/{}", spot.rule);
    let mut all_there = spot.name.is_some();
    if let Some(name) = &spot.name {
        tests.push(test(&format!("{rule}/name"), &json!(name)));
    }
    let routes = reading.object.pointer(&format!("{rule}/route")).and_then(Value::as_array);
    for at in 0..routes.map_or(0, Vec::len) {
        for field in ["destination/subset", "weight"] {
            let path = format!("{rule}/route/{at}/{field}");
            match reading.object.pointer(&path) {
                Some(value) => tests.push(test(&path, value)),
                None => all_there = false,
            }
        }
    }
    all_there
}

/// Where in the object the two weights stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// Index of the rule in `spec.http`.
    pub(super) rule: usize,
    /// Name of the rule, if it has one.
    pub(super) name: Option<String>,
    /// Index of the canary's destination.
    pub(super) canary: usize,
    /// Index of the baseline's destination.
    pub(super) baseline: usize,
}

/// A VirtualService, read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// For the port.
    pub(super) route: Route,
    /// Where to write; `None` when the destinations are not both there.
    pub(super) spot: Option<Spot>,
    /// The object as it came.
    pub(super) object: Value,
}

/// Reads a VirtualService. What is wrong with it becomes the route's `trouble`.
pub(super) fn read(object: Value, spec: &ServiceSpec) -> Reading {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut route = Route {
        object: format!("virtualservice/{}", clean_bounded(text("/metadata/name"), 253)),
        uid: text("/metadata/uid").to_owned(),
        version: text("/metadata/resourceVersion").to_owned(),
        rule: Names::of(spec).and_then(|names| names.http).unwrap_or("http").to_owned(),
        canary: 0,
        baseline: 0,
        others: 0,
        stamp: None,
        pinned: vec![],
        last_writer: last_writer(&object),
        trouble: None,
    };
    let mut spot = None;
    let stamp = stamp(&object).map(|stamp| route.stamp = stamp);
    let found = match Names::of(spec) {
        Some(names) => rule(&object, names).and_then(|index| destinations(&object, index, names, &mut route)),
        None => Err("traffic of this service is not split by a VirtualService".to_owned()),
    };
    match found {
        Ok(found) => spot = Some(found),
        Err(why) => route.trouble = Some(why),
    }
    if route.trouble.is_none() {
        route.trouble = stamp.err().or_else(|| owner(&object));
    }
    Reading { route, spot, object }
}

fn rules(object: &Value) -> &[Value] {
    object.pointer("/spec/http").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn named(rule: &Value) -> Option<&str> {
    rule.get("name").and_then(Value::as_str).filter(|name| !name.is_empty())
}

/// The rule's name, else its place.
pub(super) fn label(rule: &Value, index: usize) -> String {
    named(rule).map_or_else(|| format!("http[{index}]"), |name| clean_bounded(name, 120))
}

fn has_match(rule: &Value) -> bool {
    rule.get("match").and_then(Value::as_array).is_some_and(|matches| !matches.is_empty())
}

/// Index of the rule that splits the traffic.
fn rule(object: &Value, names: Names<'_>) -> Result<usize, String> {
    let rules = rules(object);
    if rules.is_empty() {
        let other = ["tcp", "tls"].iter().find(|kind| object.pointer(&format!("/spec/{kind}")).is_some());
        return Err(match other {
            Some(kind) => format!("it has no http rules, only {kind}: shares of connections cannot be set here"),
            None => "it has no http rules".to_owned(),
        });
    }
    let fits = |rule: &Value| match names.http {
        Some(name) => named(rule) == Some(name),
        None => !has_match(rule),
    };
    let found: Vec<usize> = rules.iter().enumerate().filter(|(_, rule)| fits(rule)).map(|(index, _)| index).collect();
    let listed = || rules.iter().enumerate().map(|(index, rule)| label(rule, index)).collect::<Vec<_>>().join(", ");
    match (found.as_slice(), names.http) {
        ([one], _) => Ok(*one),
        ([], Some(name)) => Err(format!("no http rule is named `{name}`; there are: {}", clean_bounded(&listed(), 200))),
        (many, Some(name)) => Err(format!("{} http rules are named `{name}`", many.len())),
        ([], None) => Err("every http rule has a match: name the one that splits traffic in the service's `route.http`".to_owned()),
        (many, None) => {
            Err(format!("{} http rules have no match: name the one that splits traffic in the service's `route.http`", many.len()))
        }
    }
}

/// Reads the rule's destinations into the route, and finds ours among them.
fn destinations(object: &Value, index: usize, spec: Names<'_>, route: &mut Route) -> Result<Spot, String> {
    let rule = &rules(object)[index];
    route.rule = label(rule, index);
    route.pinned = pinned(&rules(object)[..index], spec);
    let Some(routes) = rule.get("route").and_then(Value::as_array).filter(|routes| !routes.is_empty()) else {
        return Err(format!("rule {} has no destinations (a redirect, a delegate, a direct response?)", route.rule));
    };
    let weights = routes.iter().map(|to| weight(to, routes.len())).collect::<Result<Vec<_>, _>>()?;
    let all = |wanted: &str| routes.iter().enumerate().filter(|(_, to)| subset(to) == Some(wanted)).map(|(at, _)| at).collect::<Vec<_>>();
    let (canary, baseline) = (all(spec.canary), all(spec.baseline));
    let sum_of = |places: &[usize]| places.iter().map(|at| weights[*at]).sum::<u64>().min(MOST_WEIGHT) as u32;
    let others: Vec<usize> = (0..routes.len()).filter(|at| !canary.contains(at) && !baseline.contains(at)).collect();
    (route.canary, route.baseline, route.others) = (sum_of(&canary), sum_of(&baseline), sum_of(&others));
    let there = || routes.iter().map(destination).collect::<Vec<_>>().join(", ");
    let one = |places: &[usize], subset: &str| match places {
        [at] => Ok(*at),
        [] => Err(format!(
            "rule {} has no destination with subset `{subset}`; it sends to: {}. add one with weight 0",
            route.rule,
            clean_bounded(&there(), 200)
        )),
        many => Err(format!("rule {} has {} destinations with subset `{subset}`", route.rule, many.len())),
    };
    let spot = Spot {
        rule: index,
        name: named(rule).map(str::to_owned),
        canary: one(&canary, spec.canary)?,
        baseline: one(&baseline, spec.baseline)?,
    };
    let (to_canary, to_baseline) = (host(&routes[spot.canary], spec), host(&routes[spot.baseline], spec));
    if to_canary != to_baseline {
        route.trouble = Some(format!("canary and baseline are different hosts: {to_canary} and {to_baseline}"));
    } else if route.others > 0 {
        let names = others.iter().map(|at| destination(&routes[*at])).collect::<Vec<_>>().join(", ");
        let names = clean_bounded(&names, 160);
        route.trouble = Some(format!("other destinations get {} of {}: {names}; the shares are not ours alone", route.others, route.sum()));
    } else if route.sum() == 0 {
        route.trouble = Some(format!("all weights of rule {} are 0: no traffic is split there", route.rule));
    }
    Ok(spot)
}

/// The relative weight of a destination. A single one gets everything; among several, none written is 0.
pub(super) fn weight(to: &Value, among: usize) -> Result<u64, String> {
    match to.get("weight") {
        None | Some(Value::Null) => Ok(if among == 1 { 100 } else { 0 }),
        Some(value) => value
            .as_u64()
            .filter(|weight| *weight <= MOST_WEIGHT)
            .ok_or_else(|| format!("the weight of {} is {}, which is no weight", destination(to), clean_bounded(&value.to_string(), 40))),
    }
}

fn subset(to: &Value) -> Option<&str> {
    to.pointer("/destination/subset").and_then(Value::as_str)
}

/// `host/subset`, for people.
pub(super) fn destination(to: &Value) -> String {
    let host = to.pointer("/destination/host").and_then(Value::as_str).unwrap_or("?");
    clean_bounded(&subset(to).map_or_else(|| host.to_owned(), |subset| format!("{host}/{subset}")), 120)
}

fn host(to: &Value, spec: Names<'_>) -> String {
    full_host(to.pointer("/destination/host").and_then(Value::as_str).unwrap_or_default(), spec.namespace)
}

/// A host in its full form: `checkout`, `checkout.shop` and `checkout.shop.svc.cluster.local` are one.
pub(super) fn full_host(host: &str, namespace: &str) -> String {
    let host = clean_bounded(host.trim_end_matches(".svc.cluster.local").trim_end_matches(".svc"), 253);
    if host.contains('.') { host } else { format!("{host}.{namespace}") }
}

/// Rules before ours that send some requests to one side whatever the weights are. The first rule that matches wins.
fn pinned(before: &[Value], spec: Names<'_>) -> Vec<String> {
    let side = |subset: Option<&str>| match subset {
        Some(name) if name == spec.canary => Some("canary"),
        Some(name) if name == spec.baseline => Some("baseline"),
        _ => None,
    };
    let mut lines = Vec::new();
    for rule in before {
        let routes = rule.get("route").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut taking = routes.iter().filter(|to| weight(to, routes.len()).is_ok_and(|weight| weight > 0));
        let (Some(to), None) = (taking.next(), taking.next()) else { continue };
        let Some(side) = side(subset(to)) else { continue };
        let matches = rule.get("match").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let words = if matches.is_empty() { vec!["everything".to_owned()] } else { matches.iter().map(condition).collect() };
        lines.extend(words.into_iter().take(8).map(|words| format!("{words} -> {side}")));
    }
    lines
}

/// One match in words: `header x-canary=true and uri prefix /api`.
pub(super) fn condition(case: &Value) -> String {
    let mut words = Vec::new();
    for (key, value) in case.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("headers" | "withoutHeaders" | "queryParams", Value::Object(entries)) => {
                let kind = match key.as_str() {
                    "headers" => "header",
                    "withoutHeaders" => "no header",
                    _ => "query",
                };
                words.extend(entries.iter().map(|(name, test)| format!("{kind} {name}{}", test_words(test, "="))));
            }
            ("uri" | "scheme" | "method" | "authority", test) => words.push(format!("{key}{}", test_words(test, " "))),
            ("name" | "ignoreUriCase" | "statPrefix", _) => {}
            (key, value) => words.push(format!("{key} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))),
        }
    }
    if words.is_empty() { "everything".to_owned() } else { clean_bounded(&words.join(" and "), 120) }
}

/// `{exact: "1"}` as `=1`; a test without a value asks only for presence.
fn test_words(test: &Value, exact: &str) -> String {
    match test.as_object().and_then(|test| test.iter().next()) {
        Some((kind, value)) => {
            let value = value.as_str().unwrap_or_default();
            match kind.as_str() {
                "exact" => format!("{exact}{value}"),
                "prefix" => format!(" starts with {value}"),
                "regex" => format!(" ~ {value}"),
                other => format!(" {other} {value}"),
            }
        }
        None => String::new(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::adapter::kubernetes::mechanism::EPOCH;
    use crate::adapter::kubernetes::tests::spec;
    use crate::domain::Epoch;
    use serde_json::json;

    pub(in crate::adapter::kubernetes) fn mesh() -> Mesh {
        let place = Place {
            group: GROUP,
            resource: "virtualservices",
            kind: "VirtualService",
            collection: "/apis/networking.istio.io/v1/namespaces/shop/virtualservices".to_owned(),
            name: "checkout".to_owned(),
            namespace: "shop".to_owned(),
        };
        Mesh { place, spec: Arc::new(spec()) }
    }

    pub(in crate::adapter::kubernetes) fn object() -> Value {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1", "resourceVersion": "41",
                "annotations": {"gonogo.dev/run": "r", "gonogo.dev/op": "r/s/1", "gonogo.dev/epoch": "3", "team": "shop"},
                "managedFields": [
                    {"manager": "kubectl", "time": "2026-03-14T03:07:12Z", "fieldsV1": {"f:spec": {}}},
                    {"manager": "gonogo", "time": "2026-03-14T04:00:00Z", "fieldsV1": {"f:spec": {}}}]},
            "spec": {"hosts": ["checkout"], "http": [
                {"name": "insiders", "match": [{"headers": {"x-canary": {"exact": "true"}}}],
                    "route": [{"destination": {"host": "checkout", "subset": "canary"}}]},
                {"name": "primary", "route": [
                    {"destination": {"host": "checkout", "subset": "stable"}, "weight": 75, "unknown": {"kept": true}},
                    {"destination": {"host": "checkout.shop.svc.cluster.local", "subset": "canary"}, "weight": 25}]}]},
        })
    }

    fn trouble(change: impl FnOnce(&mut Value)) -> String {
        let mut object = object();
        change(&mut object);
        read(object, &spec()).route.trouble.expect("trouble")
    }

    #[test]
    fn the_rule_is_found_by_name_and_read_whole() {
        let Reading { route, spot, .. } = read(object(), &spec());
        assert_eq!((route.canary, route.baseline, route.others, route.trouble), (25, 75, 0, None));
        assert_eq!(spot, Some(Spot { rule: 1, name: Some("primary".into()), canary: 1, baseline: 0 }));
        assert_eq!(route.pinned, ["header x-canary=true -> canary"]);
        assert_eq!(route.stamp.unwrap().epoch, Epoch(3));
        assert_eq!(route.last_writer.as_deref(), Some("kubectl at 2026-03-14T03:07:12Z"));
    }

    #[test]
    fn without_a_name_the_only_rule_without_a_match_is_taken() {
        let mut spec = spec();
        if let RouteSpec::VirtualService { http, .. } = &mut spec.route {
            *http = None;
        }
        assert_eq!(read(object(), &spec).spot.unwrap().rule, 1);
        let mut two = object();
        two["spec"]["http"][0].as_object_mut().unwrap().remove("match");
        assert!(read(two, &spec).route.trouble.unwrap().contains("2 http rules have no match"));
    }

    #[test]
    fn a_single_destination_without_a_weight_gets_everything() {
        let mut object = object();
        object["spec"]["http"][1]["route"] = json!([{"destination": {"host": "checkout", "subset": "stable"}}]);
        let route = read(object, &spec()).route;
        assert_eq!((route.canary, route.baseline), (0, 100));
        assert!(route.trouble.unwrap().contains("no destination with subset `canary`; it sends to: checkout/stable"));
    }

    #[test]
    fn every_way_in_which_weights_cannot_be_set_is_said() {
        let route = "/spec/http/1/route";
        assert!(trouble(|o| o["spec"]["http"][1]["name"] = json!("other")).contains("there are: insiders, other"));
        assert!(trouble(|o| o["spec"]["http"][0]["name"] = json!("primary")).contains("2 http rules are named"));
        assert!(trouble(|o| o["spec"] = json!({"tcp": []})).contains("only tcp"));
        assert!(trouble(|o| o["spec"]["http"][1] = json!({"name": "primary", "redirect": {}})).contains("no destinations"));
        assert!(trouble(|o| o.pointer_mut(route).unwrap()[1]["destination"]["host"] = json!("other")).contains("different hosts"));
        assert!(trouble(|o| o.pointer_mut(route).unwrap()[1]["weight"] = json!("25")).contains("which is no weight"));
        assert!(trouble(|o| o.pointer_mut(route).unwrap()[1]["weight"] = json!(4_000_000_000_u64)).contains("no weight"));
        let third = json!({"destination": {"host": "checkout", "subset": "old"}, "weight": 10});
        assert!(
            trouble(|o| o.pointer_mut(route).unwrap().as_array_mut().unwrap().push(third)).contains("other destinations get 10 of 110")
        );
        let zero = |o: &mut Value| (0..2).for_each(|at| o["spec"]["http"][1]["route"][at]["weight"] = json!(0));
        assert!(trouble(zero).contains("are 0"));
        assert!(trouble(|o| o["metadata"]["annotations"][EPOCH] = json!("x")).contains("no number"));
        let flagger = json!([{"kind": "Canary", "name": "checkout", "controller": true}]);
        assert!(trouble(|o| o["metadata"]["ownerReferences"] = flagger).contains("belongs to canary/checkout"));
    }
}
