//! Against a server of our own on loopback.

use super::*;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn http(server: &MockServer, options: Options) -> (Http, Url) {
    install_tls_provider();
    let base = address(&server.uri()).unwrap();
    (Http::new(&base, options).unwrap(), base.join("/x").unwrap())
}

fn get(url: Url) -> Request<'static> {
    Request { operation: "query prom", method: Method::GET, url, form: None }
}

#[test]
fn an_address_is_checked_and_its_credentials_are_not_repeated() {
    for (text, why) in [
        ("prometheus:9090", "\"prometheus:9090\" is no http or https address: write http://host or https://host"),
        ("not an address", "\"not an address\" is no http or https address: relative URL without a base"),
        (
            "https://me:canary@host/p",
            "\"https://host/p\" is no http or https address: credentials do not belong into an address: use `auth` with a reference",
        ),
    ] {
        assert_eq!(address(text).unwrap_err().to_string(), why);
    }
    assert!(!address("https://me:canary@:bad").unwrap_err().to_string().contains("canary"));
}

#[tokio::test]
async fn a_token_file_is_read_anew_and_a_401_is_asked_again_only_with_another_token() {
    let server = MockServer::start().await;
    Mock::given(header("authorization", "Bearer new")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(401)).mount(&server).await;
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "old\n").unwrap();
    let auth = Some(Auth::Bearer(Secret::File(token.clone())));
    let (http, url) = http(&server, Options { auth, ..Options::default() });
    assert_eq!(http.read(get(url.clone())).await.unwrap().status, 401);
    assert_eq!(server.received_requests().await.unwrap().len(), 1, "the same token is not tried twice");
    std::fs::write(&token, "new\n").unwrap();
    assert_eq!(http.read(get(url)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_command_is_run_again_after_a_401() {
    let server = MockServer::start().await;
    Mock::given(header("x-key", "2")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(401)).mount(&server).await;
    let dir = tempfile::tempdir().unwrap();
    let count = dir.path().join("count");
    let script = format!("echo >> {0}; wc -l < {0} | tr -d ' '", count.display());
    let value = Secret::Cmd(vec!["sh".into(), "-c".into(), script]);
    let auth = Some(Auth::Header { name: "X-Key".into(), value });
    let (http, url) = http(&server, Options { auth, ..Options::default() });
    assert_eq!(http.read(get(url.clone())).await.unwrap().status, 200);
    assert_eq!(http.read(get(url)).await.unwrap().status, 200);
    assert_eq!(std::fs::read_to_string(count).unwrap().len(), 2, "once at first, once after the refusal, then kept");
}

#[tokio::test]
async fn a_redirect_elsewhere_is_not_followed_and_says_where_to() {
    let (server, other) = (MockServer::start().await, MockServer::start().await);
    let to = format!("{}/login?next=canary", other.uri());
    Mock::given(path("/x")).respond_with(ResponseTemplate::new(307).insert_header("location", to.as_str())).mount(&server).await;
    let auth = Some(Auth::Header { name: "x-key".into(), value: Secret::Env("PATH".into()) });
    let (http, url) = http(&server, Options { auth, ..Options::default() });
    let failure = http.read(get(url.clone())).await.unwrap_err();
    let why = format!(
        "query prom at {url}: redirected (307) to {}/login, which is not followed; configure the address that answers itself, or log in",
        other.uri()
    );
    assert_eq!(failure, Failure::Unreadable { why });
    assert!(other.received_requests().await.unwrap().is_empty(), "no credential reached the other host");
}

#[tokio::test]
async fn a_redirect_on_the_same_server_keeps_method_and_form() {
    let server = MockServer::start().await;
    Mock::given(path("/x")).respond_with(ResponseTemplate::new(308).insert_header("location", "/y")).mount(&server).await;
    let body = wiremock::matchers::body_string("a=1+2");
    Mock::given(method("POST")).and(path("/y")).and(body).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let (http, url) = http(&server, Options::default());
    let form = [("a", "1 2".to_owned())];
    let request = Request { method: Method::POST, form: Some(&form), ..get(url) };
    assert_eq!(http.read(request).await.unwrap().status, 200);
}

#[tokio::test]
async fn nobody_there_is_certainly_not_sent() {
    install_tls_provider();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = address(&format!("http://{}/x", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let http = Http::new(&base, Options::default()).unwrap();
    let failure = http.read(get(base.clone())).await.unwrap_err();
    assert_eq!(failure, Failure::NotSent { why: format!("query prom: cannot connect to {base}: Connection refused (os error 111)") });
}

#[tokio::test]
async fn silence_ends_at_the_timeout_as_unknown() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(60))).mount(&server).await;
    let (http, url) = http(&server, Options { timeout: Duration::from_millis(50), ..Options::default() });
    assert!(matches!(http.read(get(url)).await, Err(Failure::Unknown { why }) if why.contains("no complete answer within 0s")));
}

#[test]
fn a_ca_file_without_certificates_is_refused_at_the_start() {
    install_tls_provider();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    std::fs::write(&path, "nothing").unwrap();
    let base = address("https://localhost").unwrap();
    let error = Http::new(&base, Options { ca_file: Some(path), ..Options::default() }).unwrap_err();
    assert!(error.to_string().ends_with("ca.pem: no certificate in PEM form in it"), "{error}");
    let missing = Http::new(&base, Options { ca_file: Some("/nonexistent.pem".into()), ..Options::default() }).unwrap_err();
    assert!(missing.to_string().contains("No such file"), "{missing}");
}

/// Accepts so many connections with this certificate, and answers those that trust it.
#[cfg(feature = "sim")]
async fn serve_tls(listener: tokio::net::TcpListener, identity: rcgen::CertifiedKey<rcgen::KeyPair>, connections: usize) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(identity.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![identity.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    for _ in 0..connections {
        let (socket, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(socket).await else { continue };
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
    }
}

#[cfg(feature = "sim")]
#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_only_when_it_is_named() {
    install_tls_provider();
    let identity = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, identity.cert.pem()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = address(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    let ask = async {
        let stranger = Http::new(&base, Options::default()).unwrap().read(get(base.clone())).await.unwrap_err();
        let told = matches!(&stranger, Failure::NotSent { why } if why.ends_with("if the authority is your own, name its file as ca_file"));
        assert!(told, "{stranger}");
        let trusting = Http::new(&base, Options { ca_file: Some(ca_file), ..Options::default() }).unwrap();
        assert_eq!(trusting.read(get(base.clone())).await.unwrap().status, 200);
    };
    futures::future::join(ask, serve_tls(listener, identity, 2)).await;
}
