//! The rules of each kind of route, and what picks the instances behind them.

use super::super::census::LabelSet;
use super::super::selector::{current, sides};
use super::super::{gateway, ingress, mesh};
use super::{Board, Picks};
use crate::domain::text::clean_bounded;
use crate::domain::{RouteSpec, ServiceSpec, Track, Xray, XrayDestination, XrayRule};
use serde_json::Value;

/// Most rules and destinations that are shown: the limits of the Gateway API, doubled.
const MOST: usize = 32;

/// Makes a destination: name, weight, the side it is meant to be, what picks its instances.
type Make<'a> = &'a mut dyn FnMut(String, u32, Option<Track>, Picks) -> XrayDestination;

/// Reads the rules of a route object into the picture.
pub(super) fn read(spec: &ServiceSpec, object: &Value, board: &Board, xray: &mut Xray, make: Make<'_>) {
    match &spec.route {
        RouteSpec::VirtualService { canary_subset, baseline_subset, .. } => {
            (xray.first_match_wins, xray.whole) = (true, Some(100));
            let meant = |subset: &str| side(subset, canary_subset, baseline_subset);
            for (at, rule) in list(object, "/spec/http").iter().enumerate().take(MOST) {
                xray.rules.push(mesh_rule(spec, rule, at, board, &meant, make));
            }
        }
        RouteSpec::HttpRoute { canary, baseline, .. } => {
            if let gateway::Acceptance::Refused(why) = gateway::acceptance(object) {
                xray.refused = Some(why);
            }
            let meant = |service: &str| side(service, canary, baseline);
            for (at, rule) in list(object, "/spec/rules").iter().enumerate().take(MOST) {
                xray.rules.push(gateway_rule(spec, rule, at, board, &meant, make));
            }
        }
        RouteSpec::Ingress { .. } => {
            xray.first_match_wins = true;
            ingress_rules(object, board, xray, make);
        }
        RouteSpec::Selector { service, .. } => {
            let selector = current(object);
            let picks = |labels: &LabelSet| labels.iter().all(|(key, value)| selector.get(key) == Some(value));
            let meant = sides(spec).and_then(
                |(canary, baseline)| {
                    if picks(canary) { Some(Track::Canary) } else { picks(baseline).then_some(Track::Baseline) }
                },
            );
            let to = make(format!("service/{service}"), 100, meant, Picks::Labels(selector.clone()));
            xray.rules.push(XrayRule { name: "selector".to_owned(), to: vec![to], ..XrayRule::default() });
        }
        RouteSpec::Rollout { .. } | RouteSpec::Rolling => {}
    }
}

fn side(name: &str, canary: &str, baseline: &str) -> Option<Track> {
    if name == canary { Some(Track::Canary) } else { (name == baseline).then_some(Track::Baseline) }
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn labels(object: &Value, pointer: &str) -> LabelSet {
    let pairs = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// What a Service of the namespace picks.
fn service(name: &str, board: &Board) -> Picks {
    let Some(services) = board.others.get("services") else {
        return Picks::Unknown(board.unread.get("services").cloned().unwrap_or_else(|| "services were not read yet".to_owned()));
    };
    match services.get(name) {
        None => Picks::Undefined(format!("there is no service/{}", clean_bounded(name, 120))),
        Some(service) => {
            let selector = labels(service, "/spec/selector");
            if selector.is_empty() { Picks::Unknown("the Service has no selector".to_owned()) } else { Picks::Labels(selector) }
        }
    }
}

fn mesh_rule(
    spec: &ServiceSpec,
    rule: &Value,
    at: usize,
    board: &Board,
    meant: &dyn Fn(&str) -> Option<Track>,
    make: Make<'_>,
) -> XrayRule {
    let matches = list(rule, "/match");
    let routes = list(rule, "/route");
    let destination = |to: &Value| {
        let weight = mesh::weight(to, routes.len()).ok().and_then(|weight| u32::try_from(weight).ok()).unwrap_or_default();
        let subset = Some(text(to, "/destination/subset")).filter(|subset| !subset.is_empty());
        (mesh::destination(to), weight, subset.and_then(meant), subset_picks(spec, text(to, "/destination/host"), subset, board))
    };
    let mut besides = Vec::new();
    if let Some(mirror) = rule.get("mirror") {
        besides.push(format!("mirrored to {}", clean_bounded(text(mirror, "/host"), 120)));
    }
    if rule.get("fault").is_some() {
        besides.push("faults are injected".to_owned());
    }
    for (key, words) in
        [("redirect", "redirected"), ("directResponse", "answered by the proxy"), ("delegate", "decided by another VirtualService")]
    {
        if rule.get(key).is_some() {
            besides.push(words.to_owned());
        }
    }
    XrayRule {
        name: mesh::label(rule, at),
        matches: matches.iter().take(8).map(mesh::condition).collect(),
        chosen: matches.iter().any(|case| case.get("headers").is_some()),
        to: routes.iter().take(MOST).map(destination).map(|(name, weight, meant, picks)| make(name, weight, meant, picks)).collect(),
        besides,
    }
}

/// What a subset of a host picks: its labels among what the Service picks.
fn subset_picks(spec: &ServiceSpec, host: &str, subset: Option<&str>, board: &Board) -> Picks {
    let full = mesh::full_host(host, &spec.namespace);
    let Some(name) = full.strip_suffix(&format!(".{}", spec.namespace)).filter(|name| !name.contains('.')) else {
        return Picks::Unknown(format!("{} is not of this namespace", clean_bounded(host, 120)));
    };
    let picks = service(name, board);
    let Some(subset) = subset else { return picks };
    let Picks::Labels(mut all) = picks else { return picks };
    let Some(rules) = board.others.get("destinationrules") else {
        let why = board.unread.get("destinationrules").cloned();
        return Picks::Unknown(why.unwrap_or_else(|| "destinationrules were not read yet".to_owned()));
    };
    let ours = rules.values().filter(|rule| mesh::full_host(text(rule, "/spec/host"), &spec.namespace) == full);
    let found = ours.flat_map(|rule| list(rule, "/spec/subsets")).find(|one| text(one, "/name") == subset);
    match found {
        Some(found) => {
            all.extend(labels(found, "/labels"));
            Picks::Labels(all)
        }
        None => Picks::Undefined(format!("no DestinationRule defines the subset {}", clean_bounded(subset, 120))),
    }
}

fn gateway_rule(
    spec: &ServiceSpec,
    rule: &Value,
    at: usize,
    board: &Board,
    meant: &dyn Fn(&str) -> Option<Track>,
    make: Make<'_>,
) -> XrayRule {
    let destination = |to: &Value| {
        let weight = gateway::weight(to).ok().and_then(|weight| u32::try_from(weight).ok()).unwrap_or_default();
        let name = text(to, "/name");
        let namespace = Some(text(to, "/namespace")).filter(|namespace| !namespace.is_empty());
        let here = namespace.is_none_or(|namespace| namespace == spec.namespace);
        let is_service = matches!(text(to, "/kind"), "" | "Service");
        let (meant, picks) = if here && is_service {
            (meant(name), service(name, board))
        } else {
            (None, Picks::Unknown("it is not a Service of this namespace".to_owned()))
        };
        (gateway::backend(to), weight, meant, picks)
    };
    let filter = |filter: &Value| match text(filter, "/type") {
        "RequestMirror" => Some(format!("mirrored to {}", filter.pointer("/requestMirror/backendRef").map(gateway::backend)?)),
        "RequestRedirect" => Some("redirected".to_owned()),
        _ => None,
    };
    let matches: Vec<String> = gateway::conditions(rule).into_iter().filter(|words| words != "everything").take(8).collect();
    XrayRule {
        name: gateway::label(rule, at),
        matches,
        chosen: list(rule, "/matches").iter().any(|case| !list(case, "/headers").is_empty()),
        to: list(rule, "/backendRefs")
            .iter()
            .take(MOST)
            .map(destination)
            .map(|(name, weight, meant, picks)| make(name, weight, meant, picks))
            .collect(),
        besides: list(rule, "/filters").iter().filter_map(filter).take(8).collect(),
    }
}

/// The pair of Ingresses as rules, in nginx's precedence: header, cookie, weight.
fn ingress_rules(canary: &Value, board: &Board, xray: &mut Xray, make: Make<'_>) {
    let all: Vec<Value> = board.others.get("ingresses").into_iter().flat_map(|all| all.values().cloned()).collect();
    let stable = ingress::partners(canary, &all).ok();
    let backend = |object: &Value| text(object, "/spec/rules/0/http/paths/0/backend/service/name").to_owned();
    let new = backend(canary);
    let to_canary = |weight: u32, make: Make<'_>| make(format!("service/{new}"), weight, Some(Track::Canary), service(&new, board));
    let to_stable = |weight: u32, make: Make<'_>| match stable {
        Some(stable) => {
            let old = backend(stable);
            make(format!("service/{old}"), weight, Some(Track::Baseline), service(&old, board))
        }
        None => make("?".to_owned(), weight, None, Picks::Unknown("the other Ingress is not known".to_owned())),
    };
    for (words, canary) in ingress::pinned(canary) {
        let to = if canary { to_canary(100, make) } else { to_stable(100, make) };
        let name = words.split(['=', '~']).next().unwrap_or_default().trim().to_owned();
        xray.rules.push(XrayRule { name, matches: vec![words], chosen: true, to: vec![to], besides: vec![] });
    }
    if let Ok((weight, whole)) = ingress::weights(canary) {
        let to = vec![to_stable(whole - weight, make), to_canary(weight, make)];
        xray.rules.push(XrayRule { name: ingress::label(canary), to, ..XrayRule::default() });
    }
}
