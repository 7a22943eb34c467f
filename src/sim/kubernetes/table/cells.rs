//! Cells of built-in kinds that are no workloads, and what all cells share: ages and lists.

use crate::sim::kubernetes::cluster::{count, text};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// `<none>`, as the server prints what is not there.
pub(super) const NONE: &str = "<none>";

/// A duration as `kubectl` prints it: two units at most, fewer the longer it is.
pub(super) fn human(duration: TimeDelta) -> String {
    let (seconds, minutes, hours) = (duration.num_seconds(), duration.num_minutes(), duration.num_hours());
    let two = |large: i64, unit: &str, small: i64, part: &str| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{part}") }
    };
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => two(hours / 24, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        () if hours < 24 * 365 * 8 => two(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        () => format!("{}y", hours / 24 / 365),
    }
}

/// Time since a timestamp, or `<unknown>`.
pub(super) fn since(time: &Value, now: DateTime<Utc>) -> String {
    let parsed = DateTime::parse_from_rfc3339(text(time)).ok();
    parsed.map_or_else(|| "<unknown>".to_owned(), |time| human(now - time.to_utc()))
}

/// Age of an object.
pub(super) fn created(object: &Value, now: DateTime<Utc>) -> Value {
    json!(since(&object["metadata"]["creationTimestamp"], now))
}

/// Number of entries of a map.
pub(super) fn size(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

pub(super) fn or_none(text: String) -> String {
    if text.is_empty() { NONE.to_owned() } else { text }
}

/// `a=1,b=2`, or `<none>`.
pub(super) fn labels(map: &Value) -> String {
    or_none(map.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", text(v))).collect::<Vec<_>>().join(","))
}

pub(super) fn joined(list: &Value, field: &str) -> String {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| text(if field.is_empty() { item } else { &item[field] })).filter(|t| !t.is_empty()).collect::<Vec<_>>().join(",")
}

pub(super) fn event(event: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let time = |field: &str| if event[field].is_string() { &event[field] } else { &event["eventTime"] };
    let (first, last) = (since(time("firstTimestamp"), now), since(time("lastTimestamp"), now));
    let times = count(&event["count"]);
    let seen = if times > 1 { format!("{last} (x{times} over {first})") } else { last };
    let object = format!("{}/{}", text(&event["involvedObject"]["kind"]).to_lowercase(), text(&event["involvedObject"]["name"]));
    let component = match text(&event["source"]["component"]) {
        "" => text(&event["reportingComponent"]),
        component => component,
    };
    let source = match text(&event["source"]["host"]) {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    };
    vec![
        json!(seen),
        event["type"].clone(),
        event["reason"].clone(),
        json!(object),
        json!(text(&event["involvedObject"]["fieldPath"])),
        json!(source),
        json!(text(&event["message"]).trim()),
        json!(first),
        json!(times),
        event["metadata"]["name"].clone(),
    ]
}

pub(super) fn service(service: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let spec = &service["spec"];
    let own = joined(&spec["externalIPs"], "");
    let external = match text(&spec["type"]) {
        "ExternalName" => text(&spec["externalName"]).to_owned(),
        "LoadBalancer" => {
            let balancer = joined(&service["status"]["loadBalancer"]["ingress"], "ip");
            let name = joined(&service["status"]["loadBalancer"]["ingress"], "hostname");
            let all = [balancer, name, own].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(",");
            if all.is_empty() { "<pending>".to_owned() } else { all }
        }
        _ => or_none(own),
    };
    let ports = spec["ports"].as_array().into_iter().flatten().map(|port| {
        let protocol = if port["protocol"].is_string() { text(&port["protocol"]) } else { "TCP" };
        match count(&port["nodePort"]) {
            0 => format!("{}/{protocol}", port["port"]),
            node => format!("{}:{node}/{protocol}", port["port"]),
        }
    });
    vec![
        spec["type"].clone(),
        json!(or_none(text(&spec["clusterIP"]).to_owned())),
        json!(external),
        json!(or_none(ports.collect::<Vec<_>>().join(","))),
        created(service, now),
        json!(labels(&spec["selector"])),
    ]
}

pub(super) fn ingress(ingress: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let hosts: Vec<&str> = ingress["spec"]["rules"].as_array().into_iter().flatten().map(|rule| text(&rule["host"])).collect();
    let hosts = if hosts.is_empty() || hosts.iter().all(|host| host.is_empty()) {
        "*".to_owned()
    } else {
        let shown = hosts.iter().take(3).map(|host| if host.is_empty() { "*" } else { host }).collect::<Vec<_>>().join(",");
        if hosts.len() > 3 { format!("{shown} + {} more...", hosts.len() - 3) } else { shown }
    };
    let balancer = &ingress["status"]["loadBalancer"]["ingress"];
    let address = match joined(balancer, "ip") {
        ip if ip.is_empty() => joined(balancer, "hostname"),
        ip => ip,
    };
    let ports = if ingress["spec"]["tls"].as_array().is_some_and(|tls| !tls.is_empty()) { "80, 443" } else { "80" };
    let class = or_none(text(&ingress["spec"]["ingressClassName"]).to_owned());
    vec![json!(class), json!(hosts), json!(address), json!(ports), created(ingress, now)]
}

pub(super) fn endpoint_slice(slice: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let more = |all: Vec<String>| {
        if all.is_empty() {
            return "<unset>".to_owned();
        }
        let shown = all.iter().take(3).cloned().collect::<Vec<_>>().join(",");
        if all.len() > 3 { format!("{shown} + {} more...", all.len() - 3) } else { shown }
    };
    let ports = slice["ports"].as_array().into_iter().flatten().map(|port| match count(&port["port"]) {
        0 => "*".to_owned(),
        number => number.to_string(),
    });
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    let addresses = endpoints.flat_map(|e| e["addresses"].as_array().into_iter().flatten()).map(|a| text(a).to_owned());
    vec![slice["addressType"].clone(), json!(more(ports.collect())), json!(more(addresses.collect())), created(slice, now)]
}

pub(super) fn quota(quota: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (name, hard) in quota["status"]["hard"].as_object().into_iter().flatten() {
        let entry = format!("{name}: {}/{}", text(&quota["status"]["used"][name]), text(hard));
        if name.starts_with("limits.") { limits.push(entry) } else { requests.push(entry) }
    }
    vec![json!(requests.join(", ")), json!(limits.join(", ")), created(quota, now)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_kubectl_writes_them() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (700, "11m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 240, "3h4m"),
            (9 * 3600, "9h"),
            (49 * 3600, "2d1h"),
            (9 * 86_400, "9d"),
            (3 * 365 * 86_400, "3y"),
            (-5, "<invalid>"),
        ] {
            assert_eq!(human(TimeDelta::seconds(seconds)), text, "{seconds}");
        }
    }
}
