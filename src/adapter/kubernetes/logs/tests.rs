//! The reader of logs over real HTTP, against answers written by hand.

use super::super::tests::Rig;
use super::*;
use crate::domain::{LogLevel, Track};
use serde_json::json;
use std::fmt::Write as _;
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, ResponseTemplate};

const POD: &str = "/api/v1/namespaces/shop/pods/checkout-canary-x";

fn selection(previous: bool) -> LogSelection {
    let source = LogSource { uid: "u".into(), name: "checkout-canary-x".into(), track: Track::Canary, since: None, previous };
    LogSelection { instances: vec![source], tail: 500 }
}

async fn pod(rig: &Rig) {
    let pod = json!({ "metadata": { "uid": "u" }, "spec": { "containers": [{ "name": "istio-proxy" }, { "name": "app" }] } });
    Mock::given(method("GET")).and(path(POD)).respond_with(ResponseTemplate::new(200).set_body_json(pod)).mount(&rig.server).await;
}

fn log(body: impl Into<Vec<u8>>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "text/plain")
}

fn lines(updates: &[LogUpdate]) -> Vec<&LogLine> {
    updates.iter().flat_map(|update| if let LogUpdate::Lines(lines) = update { lines.as_slice() } else { &[] }).collect()
}

/// Updates up to the first that `last` is true for.
async fn until(stream: &mut BoxStream<'static, LogUpdate>, last: impl Fn(&LogUpdate) -> bool) -> Vec<LogUpdate> {
    let mut updates = Vec::new();
    while let Some(update) = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.expect("in time") {
        let done = last(&update);
        updates.push(update);
        if done {
            break;
        }
    }
    updates
}

#[tokio::test]
async fn the_past_comes_first_and_what_a_follower_repeats_does_not_come_twice() {
    let rig = Rig::new().await;
    pod(&rig).await;
    let past = "2026-03-14T03:07:40.118000000Z 2026-03-14T03:07:40.118Z WARN  pool: waited\n2026-03-14T03:07:40.500000000Z {\"level\":\"error\",\"msg\":\"boom\"}\n";
    let at = || {
        Mock::given(method("GET"))
            .and(path(format!("{POD}/log")))
            .and(query_param("container", "app"))
            .and(query_param("timestamps", "true"))
    };
    at().and(query_param("tailLines", "500")).and(query_param_is_missing("sinceTime")).respond_with(log(past)).mount(&rig.server).await;
    let more = format!("{past}2026-03-14T03:07:41.000000000Z after\n");
    let follow = at().and(query_param("follow", "true")).and(query_param("sinceTime", "2026-03-14T03:07:40Z"));
    follow.respond_with(log(more)).expect(1..).mount(&rig.server).await;
    let mut stream = rig.connect().await.stream(selection(false));
    let mut updates = until(&mut stream, |update| matches!(update, LogUpdate::Following { .. })).await;
    updates.extend(until(&mut stream, |update| matches!(update, LogUpdate::Lines(_))).await);
    let seen: Vec<_> = lines(&updates).into_iter().map(|line| (line.level, &*line.text, line.seq)).collect();
    assert_eq!(seen, [(LogLevel::Warn, "pool: waited", 1), (LogLevel::Error, "boom", 2), (LogLevel::None, "after", 3)]);
    assert_eq!((&*lines(&updates)[0].container, lines(&updates)[0].track), ("app", Track::Canary));
}

#[tokio::test]
async fn the_container_before_is_read_first_and_need_not_exist() {
    let rig = Rig::new().await;
    pod(&rig).await;
    let at = || Mock::given(method("GET")).and(path(format!("{POD}/log")));
    at().and(query_param("previous", "true")).respond_with(log("2026-03-14T03:00:00Z heap full\n")).mount(&rig.server).await;
    at().and(query_param_is_missing("previous")).respond_with(log("2026-03-14T03:01:00Z starting\n")).mount(&rig.server).await;
    let mut stream = rig.connect().await.stream(selection(true));
    let updates = until(&mut stream, |update| matches!(update, LogUpdate::Following { .. })).await;
    assert_eq!(lines(&updates).iter().map(|line| &*line.text).collect::<Vec<_>>(), ["heap full", "starting"]);
}

#[tokio::test]
async fn a_missing_right_is_named_and_a_missing_pod_ends_the_stream() {
    let rig = Rig::new().await;
    pod(&rig).await;
    let status = json!({ "kind": "Status", "reason": "Forbidden", "code": 403, "details": { "name": "checkout-canary-x", "kind": "pods" },
        "message": "pods \"checkout-canary-x\" is forbidden: User \"mira\" cannot get resource \"pods/log\" in API group \"\"" });
    Mock::given(path(format!("{POD}/log"))).respond_with(ResponseTemplate::new(403).set_body_json(status)).mount(&rig.server).await;
    let mut stream = rig.connect().await.stream(selection(false));
    let updates = until(&mut stream, |update| matches!(update, LogUpdate::Trouble { .. })).await;
    let Some(LogUpdate::Trouble { failure, .. }) = updates.last() else { panic!("{updates:?}") };
    let said = failure.to_string();
    assert!(
        said.starts_with("refused (403): read the log of pod checkout-canary-x: ")
            && said.ends_with("the right to get pods/log in namespace shop"),
        "{said}"
    );

    let rig = Rig::new().await;
    let gone = json!({ "kind": "Status", "reason": "NotFound", "code": 404, "details": { "name": "checkout-canary-x", "kind": "pods" }, "message": "not found" });
    Mock::given(path(POD)).respond_with(ResponseTemplate::new(404).set_body_json(gone)).mount(&rig.server).await;
    let stream = rig.connect().await.stream(selection(false));
    assert_eq!(stream.collect::<Vec<_>>().await, [LogUpdate::Ended { instance: "u".into() }]);
}

#[tokio::test]
async fn another_pod_of_the_same_name_is_another_instance() {
    let rig = Rig::new().await;
    let other = json!({ "metadata": { "uid": "other" }, "spec": { "containers": [{ "name": "app" }] } });
    Mock::given(path(POD)).respond_with(ResponseTemplate::new(200).set_body_json(other)).mount(&rig.server).await;
    let stream = rig.connect().await.stream(selection(false));
    assert_eq!(stream.collect::<Vec<_>>().await, [LogUpdate::Ended { instance: "u".into() }]);
}

#[tokio::test]
async fn a_container_that_waits_is_told_in_the_nodes_words() {
    let rig = Rig::new().await;
    pod(&rig).await;
    let status = json!({ "kind": "Status", "reason": "BadRequest", "code": 400,
        "message": "container \"app\" in pod \"checkout-canary-x\" is waiting to start: ContainerCreating" });
    Mock::given(path(format!("{POD}/log"))).respond_with(ResponseTemplate::new(400).set_body_json(status)).mount(&rig.server).await;
    let mut stream = rig.connect().await.stream(selection(false));
    let updates = until(&mut stream, |_| true).await;
    assert!(format!("{updates:?}").contains("is waiting to start: ContainerCreating"), "{updates:?}");
}

#[tokio::test]
async fn a_hundred_thousand_lines_and_lines_of_a_megabyte_stay_within_bounds() {
    let rig = Rig::new().await;
    pod(&rig).await;
    let mut body = String::from("2026-03-14T03:07:40Z ");
    body.push_str(&"x".repeat(1 << 20));
    body.push_str("\nno time stamp \u{1b}[31mat all\u{1b}]52;c;AAAA\u{7}\n");
    for n in 0..100_000 {
        let _ = writeln!(body, "2026-03-14T03:07:41.{n:06}Z line {n}");
    }
    Mock::given(path(format!("{POD}/log"))).respond_with(log(body)).mount(&rig.server).await;
    let mut stream = rig.connect().await.stream(selection(false));
    let updates = until(&mut stream, |update| matches!(update, LogUpdate::Following { .. })).await;
    let taken = lines(&updates);
    let dropped: u64 = updates.iter().map(|update| if let LogUpdate::Dropped { lines } = update { *lines } else { 0 }).sum();
    // The hand-made clock of these tests stands, so that nothing is allowed beyond the burst.
    assert_eq!((taken.len(), dropped), (BURST as usize, 100_002 - BURST as u64));
    assert!(updates.iter().all(|update| !matches!(update, LogUpdate::Lines(lines) if lines.len() > BATCH)));
    assert!(taken[0].text.len() < 4300 && taken[0].text.ends_with("[cut: the line has 1048576 bytes]"), "{}", taken[0].text.len());
    assert_eq!(&*taken[1].text, "no time stamp at all");
}
