//! Against answers that a well-behaved server does not give. What it does give is in `tests/contract_alertmanager`.

use super::*;
use crate::domain::Stamp;
use crate::domain::alert::{AlertState, Matcher, stamp};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const NOW: i64 = 1_700_000_000;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Stamp {
        Stamp { wall: DateTime::from_timestamp(NOW, 0).unwrap(), boot: Duration::ZERO, mono: Duration::ZERO }
    }
    fn boot_id(&self) -> String {
        "boot".into()
    }
}

fn connect(server: &MockServer, writes: bool) -> Alertmanager {
    http::install_tls_provider();
    new(Settings {
        source: "am-eu".into(),
        url: format!("{}/prefix/", server.uri()),
        auth: None,
        ca_file: None,
        timeout: Duration::from_secs(5),
        clock: Arc::new(Fixed),
        writes,
    })
    .unwrap()
}

fn json(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(text.to_owned(), "application/json")
}

async fn on(server: &MockServer, verb: &str, at: &str, response: ResponseTemplate) {
    Mock::given(method(verb)).and(path(format!("/prefix/api/v2{at}"))).respond_with(response).mount(server).await;
}

/// How many requests that change something came.
async fn writes(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().iter().filter(|r| r.method.as_str() != "GET").count()
}

fn draft() -> SilenceDraft {
    let now = Fixed.now().wall;
    SilenceDraft {
        matchers: vec![Matcher::equal("alertname", "A")],
        starts_at: now,
        ends_at: now + TimeDelta::minutes(30),
        created_by: "mira".into(),
        comment: format!("known ({})", mine()),
    }
}

fn mine() -> String {
    stamp("checkout-1", "s4")
}

fn wire(comment: &str, ends: &str, state: &str) -> String {
    format!(
        r#"{{"id":"id-1","status":{{"state":"{state}"}},"comment":"{comment}","createdBy":"noor","startsAt":"2023-11-14T22:00:00.000Z",
        "endsAt":"{ends}","matchers":[{{"name":"alertname","value":"A","isRegex":false}}]}}"#
    )
}

#[tokio::test]
async fn texts_are_cleaned_and_bounded() {
    let server = MockServer::start().await;
    let long = "x".repeat(5000);
    let alert = format!(
        r#"[{{"labels":{{"alertname":"A\u001b[2J","severity":"page"}},"annotations":{{"summary":"{long}"}},"startsAt":"2023-11-14T22:00:00Z",
        "endsAt":"2023-11-14T23:00:00Z","fingerprint":"f1","generatorURL":"http://p/g",
        "status":{{"state":"suppressed","silencedBy":[],"inhibitedBy":["f2"],"mutedBy":["night"]}}}}]"#
    );
    on(&server, "GET", "/alerts", json(&alert)).await;
    on(
        &server,
        "GET",
        "/silences",
        json(&format!("[{},{}]", wire("a\\u202eb", "2023-11-14T22:30:00Z", "active"), wire("", "2023-11-14T22:30:00Z", "odd"))),
    )
    .await;
    let told = connect(&server, true).snapshot().await.unwrap();
    let alert = &told.alerts[0];
    assert_eq!((alert.name(), alert.state), ("A", AlertState::Suppressed));
    assert_eq!(alert.inhibited_by, ["f2", "night"]);
    assert_eq!(alert.summary().chars().count(), 500);
    assert_eq!((told.silences.len(), told.silences[0].comment.as_str()), (1, "ab"), "a state nobody knows is left out");
    assert!(told.silences[0].matchers[0].is_equal, "equality is what is meant when nothing is said");
}

#[tokio::test]
async fn both_shapes_of_refusals_are_read_and_pages_are_named() {
    for (status, body, part) in [
        (400, r#""bad matcher format: {""#, "bad matcher format: {"),
        (422, r#"{"code":612,"message":"matchers in body should have at least 1 items"}"#, "should have at least 1 items (612)"),
        (502, "<html><title>502 Bad Gateway</title></html>", "502 Bad Gateway"),
        (401, "Unauthorized", "check `auth`"),
    ] {
        let server = MockServer::start().await;
        on(&server, "GET", "/silences", ResponseTemplate::new(status).set_body_raw(body, "application/json")).await;
        let failure = connect(&server, true).find_silence(mine()).await.unwrap_err().to_string();
        assert!(failure.contains(part), "{failure}");
    }
    let server = MockServer::start().await;
    on(&server, "GET", "/silences", ResponseTemplate::new(200).set_body_raw("<html>Sign in</html>", "text/html")).await;
    let failure = connect(&server, true).find_silence(mine()).await.unwrap_err();
    assert!(matches!(&failure, Failure::Unreadable { why } if why.contains("Sign in") && why.contains("Alertmanager?")), "{failure}");
}

#[tokio::test]
async fn an_answer_out_of_a_cache_says_nothing_about_now() {
    let server = MockServer::start().await;
    let dated = |second: u32| json("[]").insert_header("date", format!("Tue, 14 Nov 2023 22:13:{second:02} GMT").as_str());
    on(&server, "GET", "/silences", json("[]")).await;
    Mock::given(path("/prefix/api/v2/alerts")).respond_with(dated(30)).up_to_n_times(2).mount(&server).await;
    Mock::given(path("/prefix/api/v2/alerts")).respond_with(dated(45)).mount(&server).await;
    let am = connect(&server, true);
    let first = am.snapshot().await.unwrap();
    assert_eq!(first.at, Some(Fixed.now().wall));
    assert_eq!(first.skew.unwrap().num_milliseconds(), 10_500);
    assert_eq!(am.snapshot().await.unwrap().at, None, "its clock stood still");
    assert!(am.snapshot().await.unwrap().at.is_some());
}

#[tokio::test]
async fn a_silence_is_sent_once_whatever_the_answer() {
    for response in [ResponseTemplate::new(500), ResponseTemplate::new(504), json("no json")] {
        let server = MockServer::start().await;
        on(&server, "GET", "/silences", json("[]")).await;
        on(&server, "POST", "/silences", response).await;
        let failure = connect(&server, true).create_silence(draft(), mine()).await.unwrap_err();
        assert!(!failure.certainly_not_applied(), "{failure}");
        assert_eq!(writes(&server).await, 1);
    }
}

#[tokio::test]
async fn a_silence_that_is_there_already_is_not_sent_again() {
    let server = MockServer::start().await;
    on(&server, "GET", "/silences", json(&format!("[{}]", wire(&format!("known ({})", mine()), "2023-11-14T22:30:00Z", "active")))).await;
    assert_eq!(connect(&server, true).create_silence(draft(), mine()).await.unwrap(), "id-1");
    assert_eq!(writes(&server).await, 0);
}

#[tokio::test]
async fn a_look_that_fails_before_sending_is_no_unknown_outcome() {
    let server = MockServer::start().await;
    on(&server, "GET", "/silences", ResponseTemplate::new(503)).await;
    let failure = connect(&server, true).create_silence(draft(), mine()).await.unwrap_err();
    assert!(matches!(failure, Failure::NotSent { .. }), "{failure}");
    assert_eq!(writes(&server).await, 0);
}

#[tokio::test]
async fn a_silence_that_somebody_changed_is_not_ended() {
    let server = MockServer::start().await;
    on(&server, "GET", "/silence/id-1", json(&wire("c", "2023-11-14T23:30:00Z", "active"))).await;
    let am = connect(&server, true);
    let seen = Silence { ends_at: DateTime::from_timestamp(NOW, 0).unwrap(), ..am.by_id("id-1").await.unwrap().unwrap() };
    let failure = am.expire_silence(seen).await.unwrap_err();
    assert!(matches!(failure, Failure::Refused { reason: Refusal::Conflict, .. }), "{failure}");
    assert_eq!(writes(&server).await, 0);
}

#[tokio::test]
async fn without_the_right_to_write_nothing_leaves() {
    let server = MockServer::start().await;
    let am = connect(&server, false);
    assert!(matches!(am.create_silence(draft(), mine()).await, Err(Failure::NotSent { .. })));
    assert!(server.received_requests().await.unwrap().is_empty());
}
