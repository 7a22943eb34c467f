//! `[[service]]` and its gates.

use super::connections::{AlertsConnection, MetricsConnection, Named, PlatformConnection};
use super::reading::{Source, Table, Text};
use crate::domain::promql::{QueryFacts, inspect};
use crate::domain::{AlertsSpec, HarmSpec, Labels, Op, RouteSpec, ServiceGate, ServiceKey, ServiceSpec, Threshold, TrackSpec, Unit};
use toml::de::DeValue;

/// The words for comparisons.
const OPS: [(&str, Op); 6] =
    [("<", Op::Less), ("<=", Op::LessOrEqual), (">", Op::Greater), (">=", Op::GreaterOrEqual), ("==", Op::Equal), ("!=", Op::NotEqual)];
/// Stands in a request query for the window it is asked over.
const WINDOW: &str = "${window}";

pub(super) fn read(
    top: &Table<'_, '_>,
    platforms: &Named<PlatformConnection>,
    metrics: &Named<MetricsConnection>,
    alerts: &Named<AlertsConnection>,
) -> Vec<ServiceSpec> {
    let mut names: Vec<String> = vec![];
    let mut services = vec![];
    let mut with = vec![];
    for table in top.tables("service", "[[service]]") {
        let watched = table.text("alerts").and_then(|name| alerts.find(&table, &name));
        if let Some(name) = table.required_name("name") {
            if names.contains(&name.value) {
                table.source().report("duplicate-name", name.span, format!("a second [[service]] is named {:?}", name.value), None);
            }
            names.push(name.value);
        }
        let others = table.texts("with");
        let alerts = watched.map(|c| AlertsSpec { source: c.name.as_str().into(), matchers: c.matchers.clone() });
        if let Some(service) = service(&table, platforms, metrics) {
            with.push((services.len(), table.source(), others));
            services.push(ServiceSpec { alerts, ..service });
        }
        table.finish();
    }
    together(&mut services, with);
    services
}

/// Names of other services become what their locks belong to.
fn together(services: &mut [ServiceSpec], with: Vec<(usize, &Source<'_>, Vec<Text>)>) {
    let keys: Vec<ServiceKey> = services.iter().map(ServiceSpec::key).collect();
    for (at, source, names) in with {
        for name in names {
            match keys.iter().position(|key| key.service == name.value) {
                Some(own) if own == at => {
                    source.report("with", name.span, format!("{:?} is this service itself", name.value), None);
                }
                Some(other) if services[at].with.contains(&keys[other]) => {
                    source.report("with", name.span, format!("{:?} is named twice", name.value), None);
                }
                Some(other) => services[at].with.push(keys[other].clone()),
                None => {
                    let help = super::reading::did_you_mean(&name.value, keys.iter().map(|key| key.service.as_str()));
                    source.report("unknown-name", name.span, format!("no [[service]] is named {:?}", name.value), help.as_deref());
                }
            }
        }
    }
}

/// Reads every part before giving up on one, so that all that is wrong is reported.
fn service(table: &Table<'_, '_>, platforms: &Named<PlatformConnection>, metrics: &Named<MetricsConnection>) -> Option<ServiceSpec> {
    let platform = table.required_text("platform").and_then(|name| platforms.find(table, &name));
    let connection = table.required_text("metrics").and_then(|name| metrics.find(table, &name));
    let namespace = table.required_name("namespace");
    let route = match table.table("route", "route") {
        Some(table) => route(table),
        None => Some(RouteSpec::Rolling),
    };
    // Where one object runs both versions, that object is named once, and metrics may not tell the versions apart.
    let one = route.as_ref().is_some_and(RouteSpec::is_one_workload);
    let rollout = match &route {
        Some(RouteSpec::Rollout { name }) => Some(name.clone()),
        _ => None,
    };
    let canary = table.required_table("canary", "canary").and_then(|table| track(table, one, rollout.as_deref()));
    let baseline = match table.table("baseline", "baseline") {
        None if one => canary.as_ref().map(|canary| TrackSpec { deployment: canary.deployment.clone(), labels: Labels::new() }),
        None => {
            table.missing("baseline");
            None
        }
        Some(table) => track(table, one, rollout.as_deref().or(canary.as_ref().map(|canary| canary.deployment.as_str()))),
    };
    let requests = requests(table);
    let harm = harm(table);
    let gates = gates(table);
    let policy = super::people::policy(table);
    let (baseline, canary) = (baseline?, canary?);
    let overlap = |a: &TrackSpec, b: &TrackSpec| !a.labels.is_empty() && a.labels.iter().all(|(k, v)| b.labels.get(k) == Some(v));
    if overlap(&baseline, &canary) || overlap(&canary, &baseline) {
        let message = "the labels of baseline and canary do not tell them apart".into();
        table.source().report("labels", table.span(), message, Some("give each a label of its own, such as { version = \"canary\" }"));
    }
    if baseline.deployment != canary.deployment && one {
        let message = format!("one object runs both versions, and it cannot be both {:?} and {:?}", baseline.deployment, canary.deployment);
        table.source().report("tracks", table.span(), message, Some("leave `baseline` out, or give it labels alone"));
    } else if baseline.deployment == canary.deployment && !one {
        let message = format!("baseline and canary are the same deployment {:?}", canary.deployment);
        table.source().report("tracks", table.span(), message, None);
    }
    let (platform, connection) = (platform?, connection?);
    Some(ServiceSpec {
        name: table.text("name")?.value,
        platform: platform.name.as_str().into(),
        context: platform.context.clone().unwrap_or_else(|| platform.name.clone()),
        namespace: namespace?.value,
        environment: platform.environment.clone(),
        protection: platform.protection,
        metrics: connection.name.as_str().into(),
        scrape_interval: connection.scrape_interval,
        alerts: None,
        baseline,
        canary,
        route: route?,
        requests: requests?,
        gates,
        harm,
        policy,
        with: vec![],
    })
}

/// One side. `one`: one object runs both versions, which `known` names where it is said elsewhere.
fn track(table: Table<'_, '_>, one: bool, known: Option<&str>) -> Option<TrackSpec> {
    let deployment = match (table.text("deployment"), known) {
        (None, Some(known)) => Some(known.to_owned()),
        _ => table.required_name("deployment").map(|name| name.value),
    };
    let labels = if one { table.table("labels", "labels") } else { table.required_table("labels", "labels") };
    if one && labels.is_none() {
        table.finish();
        return Some(TrackSpec { deployment: deployment?, labels: Labels::new() });
    }
    let labels = labels.map(|t| (t.span(), t.text_pairs()));
    if let Some((span, _)) = labels.as_ref().filter(|(_, pairs)| pairs.is_empty()) {
        table.source().report(
            "labels",
            span.clone(),
            "`labels` names no label".into(),
            Some("say how metrics name this side: { version = \"canary\" }"),
        );
    }
    table.finish();
    let labels = labels?.1;
    Some(TrackSpec { deployment: deployment?, labels: labels.into_iter().collect() })
}

/// Keys that say what splits traffic: exactly one is given.
const ROUTES: [&str; 5] = ["virtualservice", "httproute", "ingress", "selector", "rollout"];

fn route(table: Table<'_, '_>) -> Option<RouteSpec> {
    let given: Vec<&str> = ROUTES.into_iter().filter(|key| table.get(key).is_some()).collect();
    match given.as_slice() {
        ["httproute"] => http_route(table),
        ["ingress"] => {
            let name = table.required_name("ingress");
            table.finish();
            Some(RouteSpec::Ingress { name: name?.value })
        }
        ["selector"] => selector(table),
        ["rollout"] => {
            let name = table.required_name("rollout");
            table.finish();
            Some(RouteSpec::Rollout { name: name?.value })
        }
        ["virtualservice"] | [] => virtual_service(table),
        [first, second, ..] => {
            let message = format!("`route` is one thing, and this one is `{first}` and `{second}`");
            table.source().report("route", table.span(), message, None);
            None
        }
        [_] => None,
    }
}

fn http_route(table: Table<'_, '_>) -> Option<RouteSpec> {
    let name = table.required_name("httproute");
    let rule = table.text("rule").map(|t| t.value);
    let (baseline, canary) = (table.required_name("baseline_service"), table.required_name("canary_service"));
    if let Some((one, _)) = canary.as_ref().zip(baseline.as_ref()).filter(|(c, b)| c.value == b.value) {
        table.source().report("tracks", one.span.clone(), format!("both services are {:?}", one.value), None);
    }
    table.finish();
    Some(RouteSpec::HttpRoute { name: name?.value, rule, baseline: baseline?.value, canary: canary?.value })
}

/// The selector of a Service: the labels of each side have the same keys, so that a switch replaces all of them.
fn selector(table: Table<'_, '_>) -> Option<RouteSpec> {
    let service = table.required_name("selector");
    let pairs = |key: &'static str| table.required_table(key, key).map(|t| t.text_pairs().into_iter().collect::<Labels>());
    let (baseline, canary) = (pairs("baseline"), pairs("canary"));
    if let Some((b, c)) = baseline.as_ref().zip(canary.as_ref()) {
        if b.is_empty() || c.is_empty() || b.keys().ne(c.keys()) {
            let message = "`baseline` and `canary` must have the same label keys, at least one".to_owned();
            table.source().report(
                "tracks",
                table.span(),
                message,
                Some("baseline = { version = \"blue\" }, canary = { version = \"green\" }"),
            );
        } else if b == c {
            table.source().report("tracks", table.span(), "both sides have the same labels".to_owned(), None);
        }
    }
    table.finish();
    Some(RouteSpec::Selector { service: service?.value, baseline: baseline?, canary: canary? })
}

fn virtual_service(table: Table<'_, '_>) -> Option<RouteSpec> {
    let virtualservice = table.required_name("virtualservice");
    let http = table.text("http").map(|t| t.value);
    let (baseline_subset, canary_subset) = (table.required_name("baseline_subset"), table.required_name("canary_subset"));
    if let Some((one, _)) = canary_subset.as_ref().zip(baseline_subset.as_ref()).filter(|(c, b)| c.value == b.value) {
        table.source().report("tracks", one.span.clone(), format!("both subsets are {:?}", one.value), None);
    }
    table.finish();
    Some(RouteSpec::VirtualService {
        name: virtualservice?.value,
        http,
        baseline_subset: baseline_subset?.value,
        canary_subset: canary_subset?.value,
    })
}

/// The query of requests by version.
fn requests(table: &Table<'_, '_>) -> Option<String> {
    let Some(text) = table.long_text("requests") else {
        table.missing("requests");
        return None;
    };
    windowed(table, "requests", text, "write increase(http_requests_total{…}[${window}])")
}

/// A query that is asked over a window. It must be about it, or what was before an older shift would be counted.
fn windowed(table: &Table<'_, '_>, key: &str, text: Text, help: &'static str) -> Option<String> {
    if !text.value.contains(WINDOW) {
        let message = format!("`{key}` does not say over which window: {WINDOW} is missing");
        table.source().report("window", text.span, message, Some(help));
        return None;
    }
    checked_query(table.source(), &text)?;
    Some(text.value)
}

/// `errors` and `[service.harm]`: what harm is counted by, and how much of it is accepted.
fn harm(service: &Table<'_, '_>) -> HarmSpec {
    let errors = service
        .long_text("errors")
        .and_then(|text| windowed(service, "errors", text, "write increase(http_requests_total{…,code=~\"5..\"}[${window}])"));
    let Some(table) = service.table("harm", "[service.harm]") else { return HarmSpec { errors, budget: None } };
    let budget = table.integer("budget").and_then(|(value, span)| {
        let budget = u32::try_from(value).ok();
        if budget.is_none() {
            table.source().report("type", span, "`budget` is a number of failed requests".into(), Some("write 500"));
        }
        budget
    });
    if budget.is_some() && service.get("errors").is_none() {
        let help = Some("add `errors`, a query like `requests` that counts failed ones");
        table.source().report("harm", table.span(), "a budget of harm needs a count of errors".into(), help);
    }
    table.finish();
    HarmSpec { errors, budget }
}

/// Parses a query and reports what is wrong at its place.
fn checked_query(source: &Source<'_>, text: &Text) -> Option<QueryFacts> {
    // As many characters as what it stands for, so that positions stay right.
    match inspect(&text.value.replace(WINDOW, "00000060s")) {
        Ok(facts) => Some(facts),
        Err(error) => {
            source.report("promql", source.inside(text, error.position), format!("the query does not parse: {}", error.why), None);
            None
        }
    }
}

fn gates(service: &Table<'_, '_>) -> Vec<ServiceGate> {
    let mut gates: Vec<ServiceGate> = vec![];
    for table in service.tables("gate", "[[service.gate]]") {
        let id = table.required_name("id");
        let title = table.text("title").map(|t| t.value);
        let threshold = threshold(&table);
        table.finish();
        let Some((id, threshold)) = id.zip(threshold) else { continue };
        if gates.iter().any(|gate| gate.id == id.value) {
            service.source().report("duplicate-name", id.span, format!("a second gate of this service is named {:?}", id.value), None);
        }
        gates.push(ServiceGate { title: title.unwrap_or_else(|| id.value.clone()), id: id.value, threshold });
    }
    gates
}

fn threshold(table: &Table<'_, '_>) -> Option<Threshold> {
    let query = table.long_text("promql");
    if query.is_none() {
        table.missing("promql");
    }
    let facts = query.as_ref().and_then(|text| checked_query(table.source(), text));
    let op = table.choice("op", &OPS);
    if op.is_none() {
        table.missing("op");
    }
    let limit = limit(table);
    let unit = table.choice("unit", &[("number", Unit::Number), ("ratio", Unit::Ratio), ("seconds", Unit::Seconds)]);
    let (query, facts, (limit, implied)) = (query?, facts?, limit?);
    let unit = unit.or(implied).unwrap_or_else(|| facts.guess_unit(limit));
    Some(Threshold { query: query.value, op: op?, limit, unit, lookback: facts.longest_range })
}

/// A number, or a duration in seconds, which implies its unit.
fn limit(table: &Table<'_, '_>) -> Option<(f64, Option<Unit>)> {
    let Some(value) = table.get("value") else {
        table.missing("value");
        return None;
    };
    let limit = match value.get_ref() {
        DeValue::Float(f) => f.as_str().parse().ok().map(|v: f64| (v, None)),
        DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok().map(|v| (v as f64, None)),
        DeValue::String(s) => humantime::parse_duration(s).ok().map(|d| (d.as_secs_f64(), Some(Unit::Seconds))),
        _ => None,
    };
    let limit = limit.filter(|(v, _)| v.is_finite());
    if limit.is_none() {
        let help = Some("write 0.005 for 0.5 %, or \"250ms\"");
        table.source().report("type", value.span(), "`value` is a number or a duration".into(), help);
    }
    limit
}
