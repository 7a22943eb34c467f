//! Against answers that a well-behaved server does not give. What it does give is in `tests/contract_prometheus.rs`.

use super::*;
use crate::domain::{Refusal, Stamp};
use wiremock::matchers::{body_string_contains, method, path};
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

fn prometheus(server: &MockServer) -> Prometheus {
    http::install_tls_provider();
    let settings = Settings {
        source: "prom-eu".into(),
        url: server.uri(),
        auth: None,
        ca_file: None,
        scrape_interval: Duration::from_secs(15),
        timeout: Duration::from_secs(5),
        clock: Arc::new(Fixed),
    };
    new(settings).unwrap()
}

fn vector(value: &str) -> ResponseTemplate {
    let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{NOW},"{value}"]}}]}}}}"#);
    ResponseTemplate::new(200).set_body_raw(body, "application/json")
}

/// Answers every question with this, and gives what `up` led to.
async fn answered(response: ResponseTemplate) -> (Result<Answer<Vec<(Labels, Sample)>>, Failure>, String) {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(response).mount(&server).await;
    let target = format!("query of prom-eu at {}/api/v1/query", server.uri());
    (prometheus(&server).instant("up", None).await, target)
}

#[tokio::test]
async fn a_page_instead_of_an_answer_says_what_it_is() {
    let page = "<html><head><title>Sign in</title><script>x()</script></head><body><h1>Welcome\u{1b}[2J</h1></body></html>";
    let (answer, target) = answered(ResponseTemplate::new(200).set_body_raw(page, "text/html; charset=utf-8")).await;
    let why = format!(
        "{target}: no answer of a PromQL server: expected value at line 1 column 1 (status 200, text/html: Sign in Welcome); is this the address of a Prometheus server?"
    );
    assert_eq!(answer.unwrap_err(), Failure::Unreadable { why });
}

#[tokio::test]
async fn refusals_of_proxies_keep_their_status_and_words() {
    for (status, reason, tail) in [
        (401, Refusal::Login, "status 401, text/plain: no such luck; check `auth` of this connection"),
        (404, Refusal::Missing, "status 404, text/plain: no such luck; check the path of its `url`"),
        (429, Refusal::Throttled, "status 429, text/plain: no such luck; too many queries, trying less often"),
    ] {
        let (answer, target) = answered(ResponseTemplate::new(status).set_body_raw("no such\nluck", "text/plain")).await;
        assert_eq!(answer.unwrap_err(), Failure::Refused { code: status, reason, why: format!("{target}: {tail}") });
    }
    let (answer, target) = answered(ResponseTemplate::new(503).set_body_raw("Service Unavailable", "text/plain")).await;
    assert_eq!(answer.unwrap_err(), Failure::Unknown { why: format!("{target}: status 503, text/plain: Service Unavailable") });
    let (answer, _) = answered(ResponseTemplate::new(502)).await;
    assert!(answer.unwrap_err().to_string().ends_with("status 502: empty body"));
}

#[tokio::test]
async fn an_error_of_the_server_is_told_in_its_words_even_with_data() {
    let body = r#"{"status":"error","errorType":"execution","error":"many-to-many","data":{"resultType":"vector","result":[]}}"#;
    let (answer, target) = answered(ResponseTemplate::new(422).set_body_raw(body, "application/json")).await;
    let why = format!("{target}: execution: many-to-many");
    assert_eq!(answer.unwrap_err(), Failure::Refused { code: 422, reason: Refusal::Other, why });
    let (answer, target) = answered(ResponseTemplate::new(200).set_body_raw(body, "application/json")).await;
    assert_eq!(answer.unwrap_err(), Failure::Unknown { why: format!("{target}: execution: many-to-many") });
}

#[tokio::test]
async fn remarks_reach_whoever_asked() {
    let body = r#"{"status":"success","warnings":["partial data: one store did not answer"],"infos":["metric might not be a counter"],
        "data":{"resultType":"vector","result":[]}}"#;
    let (answer, _) = answered(ResponseTemplate::new(200).set_body_raw(body, "application/json")).await;
    assert_eq!(answer.unwrap().warnings, ["partial data: one store did not answer", "metric might not be a counter"]);
}

#[tokio::test]
async fn fifty_megabytes_are_not_read() {
    for encoding in [None, Some("gzip")] {
        let body = if encoding.is_some() { gzip_of_zeros() } else { vec![b' '; 50 * 1024 * 1024] };
        let mut response = ResponseTemplate::new(200).set_body_raw(body, "application/json");
        if let Some(encoding) = encoding {
            response = response.insert_header("content-encoding", encoding);
        }
        let (answer, target) = answered(response).await;
        let why = format!("{target}: the answer is larger than 8 MB; ask for less, or for something else");
        assert_eq!(answer.unwrap_err(), Failure::Unreadable { why }, "{encoding:?}");
    }
}

/// 16 MB of zero bytes, compressed to a few kilobytes by the system's gzip.
fn gzip_of_zeros() -> Vec<u8> {
    let script = "head -c 16777216 /dev/zero | gzip";
    std::process::Command::new("sh").args(["-c", script]).output().unwrap().stdout
}

#[tokio::test]
async fn gzip_is_understood() {
    let json = format!(r#"{{"status":"success","data":{{"resultType":"scalar","result":[{NOW},"4"]}}}}"#);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), json).unwrap();
    let packed = std::process::Command::new("gzip").arg("-c").arg(dir.path().join("a")).output().unwrap().stdout;
    let response = ResponseTemplate::new(200).set_body_raw(packed, "application/json").insert_header("content-encoding", "gzip");
    let (answer, _) = answered(response).await;
    assert_eq!(answer.unwrap().value[0].1.value, 4.0);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_lost_answer() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    http::install_tls_provider();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = async {
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await.unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"status\":\"succ").await.unwrap();
        }
    };
    let settings = Settings {
        source: "prom-eu".into(),
        url: url.clone(),
        auth: None,
        ca_file: None,
        scrape_interval: Duration::from_secs(15),
        timeout: Duration::from_secs(5),
        clock: Arc::new(Fixed),
    };
    let connection = new(settings).unwrap();
    let (answer, ()) = futures::future::join(connection.instant("up", None), serve).await;
    assert!(
        matches!(answer, Err(Failure::Unknown { why }) if why.starts_with(&format!("query of prom-eu at {url}/api/v1/query: the answer was lost")))
    );
}

#[tokio::test]
async fn where_only_get_passes_it_is_used_from_then_on() {
    for (status, body) in [(405, "method not allowed"), (403, "<html>forbidden</html>")] {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(status).set_body_string(body)).mount(&server).await;
        Mock::given(method("GET")).and(wiremock::matchers::query_param("query", "1 + 2")).respond_with(vector("3")).mount(&server).await;
        let connection = prometheus(&server);
        assert_eq!(connection.instant("1 + 2", None).await.unwrap().value[0].1.value, 3.0);
        assert_eq!(connection.instant("1 + 2", None).await.unwrap().value[0].1.value, 3.0);
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.iter().filter(|r| r.method.as_str() == "POST").count(), 1);
    }
}

#[tokio::test]
async fn a_right_that_is_missing_stays_a_refusal() {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(ResponseTemplate::new(403).set_body_string("no")).mount(&server).await;
    let failure = prometheus(&server).instant("1", None).await.unwrap_err();
    assert!(matches!(failure, Failure::Refused { code: 403, reason: Refusal::Right, .. }), "{failure}");
}

#[tokio::test]
async fn the_age_comes_from_the_samples_and_is_asked_for_once() {
    let server = MockServer::start().await;
    let newest = format!("{}.500", NOW - 40);
    Mock::given(body_string_contains("max%28timestamp%28a%29%29")).respond_with(vector(&newest)).expect(1).mount(&server).await;
    Mock::given(body_string_contains("max%28timestamp%28b%29%29"))
        .respond_with(vector(&(NOW - 5).to_string()))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/query")).respond_with(vector("0.5")).mount(&server).await;
    let connection = prometheus(&server);
    let (one, two) = futures::future::join(connection.instant("rate(a[1m]) / b", None), connection.instant("a + a + b", None)).await;
    let expected = DateTime::from_timestamp_millis((NOW - 40) * 1000 + 500);
    assert_eq!((one.unwrap().newest, two.unwrap().newest), (expected, expected));
}

#[tokio::test]
async fn a_window_longer_than_the_lookback_is_asked_about_itself() {
    let server = MockServer::start().await;
    let nothing = ResponseTemplate::new(200).set_body_string(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#);
    Mock::given(body_string_contains("%5B600s%3A1m%5D")).respond_with(vector(&(NOW - 400).to_string())).mount(&server).await;
    Mock::given(body_string_contains("timestamp")).respond_with(nothing).mount(&server).await;
    Mock::given(path("/api/v1/query")).respond_with(vector("0.5")).mount(&server).await;
    let answer = prometheus(&server).instant("sum(rate(a[10m]))", None).await.unwrap();
    assert_eq!(answer.newest, DateTime::from_timestamp(NOW - 400, 0), "the value rests on samples that ended 400 s ago");
}

#[tokio::test]
async fn an_age_that_cannot_be_found_is_said_and_not_guessed() {
    let server = MockServer::start().await;
    Mock::given(body_string_contains("timestamp")).respond_with(ResponseTemplate::new(500)).mount(&server).await;
    Mock::given(path("/api/v1/query")).respond_with(vector("0.5")).mount(&server).await;
    let answer = prometheus(&server).instant("a", None).await.unwrap();
    assert_eq!((answer.value.len(), answer.newest), (1, None));
    assert!(
        answer.warnings[0].starts_with("the age of its samples is not known: outcome unknown: query of prom-eu at"),
        "{:?}",
        answer.warnings
    );
}

#[tokio::test]
async fn the_difference_of_clocks_comes_from_the_date_header() {
    let date = "Tue, 14 Nov 2023 22:13:30 GMT"; // ten seconds after NOW
    let (answer, _) = answered(vector("1").insert_header("date", date)).await;
    assert_eq!(answer.unwrap().skew, Some(TimeDelta::milliseconds(10_500)));
}

#[tokio::test]
async fn more_points_than_a_server_gives_are_not_asked_for() {
    let server = MockServer::start().await;
    let connection = prometheus(&server);
    let end = DateTime::from_timestamp(NOW, 0).unwrap();
    let failure = connection.range("up", end - TimeDelta::days(1), end, Duration::from_secs(1)).await.unwrap_err();
    let why = "query of prom-eu: 86401 points are more than the 11000 a server gives; use a step of 8s or more";
    assert_eq!(failure, Failure::NotSent { why: why.into() });
    let failure = connection.range("up", end, end - TimeDelta::seconds(1), Duration::from_secs(1)).await.unwrap_err();
    assert!(failure.certainly_not_applied());
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_path_prefix_is_kept_and_a_foreign_build_info_is_read() {
    let server = MockServer::start().await;
    let body = r#"{"status":"success","data":{"application":"Grafana Mimir","version":"2.14.0","features":{"ruler":"true"}}}"#;
    Mock::given(path("/mimir/api/v1/status/buildinfo")).respond_with(ResponseTemplate::new(200).set_body_string(body)).mount(&server).await;
    let mut connection = prometheus(&server);
    connection.base = Url::parse(&format!("{}/mimir/", server.uri())).unwrap();
    assert_eq!(connection.build_info().await, Ok(BuildInfo { product: "Grafana Mimir".into(), version: "2.14.0".into() }));
}
