//! The line to the API server: one session at a time, renewed when files change or the login ends; bounded answers, no repeats.

use super::answer::{self, Intent, Problem, Reply};
use super::kubeconfig::{ConnectError, Fingerprint, Loaded, Place, fingerprint};
use super::login;
use crate::domain::{Clock, Failure, Refusal};
use chrono::TimeDelta;
use http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use kube::client::{Body, ClientBuilder};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Most that is read of a single object.
pub(super) const OBJECT_LIMIT: usize = 4 << 20;
/// Most that is read of a page of a list, decompressed: five hundred fat pods are a third of it.
pub(super) const PAGE_LIMIT: usize = 32 << 20;
/// Credentials are renewed this long before they end.
const RENEW_BEFORE: TimeDelta = TimeDelta::seconds(30);

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// `list pods in shop`: operation and target, for messages.
    pub(super) what: String,
    /// Path below the server's address, with its query.
    pub(super) path: String,
    /// Body to post; a read without one.
    pub(super) post: Option<serde_json::Value>,
    /// Most bytes of an answer.
    pub(super) limit: usize,
    /// The form that is asked for.
    pub(super) accept: &'static str,
}

/// The usual form of answers.
pub(super) const JSON: &str = "application/json";

impl Ask {
    /// Reads one object.
    pub(super) fn object(what: String, path: String) -> Self {
        Self { what, path, post: None, limit: OBJECT_LIMIT, accept: JSON }
    }

    /// Asks a question that is a POST in Kubernetes but changes nothing (a review).
    pub(super) fn review(what: String, path: &str, body: serde_json::Value) -> Self {
        Self { what, path: path.to_owned(), post: Some(body), limit: OBJECT_LIMIT, accept: JSON }
    }

    fn request(&self) -> Result<Request<Body>, http::Error> {
        let accept = Request::builder().uri(&self.path).header(header::ACCEPT, self.accept);
        match &self.post {
            None => accept.method(Method::GET).body(Body::empty()),
            Some(body) => {
                accept.method(Method::POST).header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string().into_bytes()))
            }
        }
    }
}

/// A client with credentials that were good when it was made.
#[derive(Clone)]
pub(super) struct Session {
    generation: u64,
    client: kube::Client,
    /// With resolved credentials: a second client from it needs no login.
    config: kube::Config,
    expires: Option<chrono::DateTime<chrono::Utc>>,
    /// What to do when the login is refused.
    how: Arc<str>,
}

struct State {
    loaded: Loaded,
    seen: Fingerprint,
    session: Option<Session>,
    generation: u64,
}

/// The line.
pub(super) struct Link {
    place: Place,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl Link {
    /// Reads the settings and checks that certificates can be used. Neither logs in nor talks to the server.
    pub(super) async fn open(mut place: Place, timeout: Duration, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        let loaded = load(place.clone()).await?;
        // Another current context, chosen in another terminal, must not lead a release to another cluster.
        place.context = place.context.or_else(|| loaded.context.clone());
        let mut dry = loaded.config.clone();
        // A plugin is not run now, and a token file may come later; everything else has to be usable.
        (dry.auth_info.exec, dry.auth_info.auth_provider, dry.auth_info.token_file) = (None, None, None);
        client(&dry).map_err(|why| ConnectError::Credentials { user: loaded.user.clone(), why })?;
        let seen = fingerprint(&loaded.watched);
        let state = Mutex::new(State { loaded, seen, session: None, generation: 0 });
        Ok(Self { place, timeout, clock, state })
    }

    /// How long an ordinary request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The clock everything here is measured by.
    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// A session: the last one, unless files changed or its login ends.
    async fn session(&self) -> Result<Session, Failure> {
        let mut state = self.state.lock().await;
        let now = self.clock.now().wall;
        let seen = fingerprint(&state.loaded.watched);
        let changed = seen != state.seen;
        if let Some(session) = &state.session {
            let ends = session.expires.is_some_and(|end| now + RENEW_BEFORE >= end);
            if !changed && !ends {
                return Ok(session.clone());
            }
        }
        if changed {
            match load(self.place.clone()).await {
                Ok(loaded) => {
                    state.seen = fingerprint(&loaded.watched);
                    state.loaded = loaded;
                }
                // A file that is being written, or was broken: what was read before still holds until it is refused.
                Err(why) => match &state.session {
                    Some(session) => return Ok(session.clone()),
                    None => return Err(Failure::NotSent { why: why.to_string() }),
                },
            }
        }
        self.renew(&mut state).await
    }

    async fn renew(&self, state: &mut State) -> Result<Session, Failure> {
        let (written, user) = (&state.loaded.config.auth_info, &state.loaded.user);
        let how: Arc<str> = login::how_to_log_in(written, user, &state.loaded.origin).into();
        let refused = |why: String| Failure::Refused { code: 401, reason: Refusal::Login, why: format!("{why}; {how}") };
        let login = login::log_in(written).await.map_err(refused)?;
        let mut config = state.loaded.config.clone();
        config.auth_info = login.auth;
        config.default_retry = false;
        config.connect_timeout = Some((self.timeout / 2).clamp(Duration::from_millis(500), Duration::from_secs(10)));
        config.write_timeout = Some(self.timeout);
        let client = client(&config).map_err(|why| Failure::NotSent { why: format!("credentials of {user}: {why}") })?;
        state.generation += 1;
        let session = Session { generation: state.generation, client, config, expires: login.expires, how };
        state.session = Some(session.clone());
        Ok(session)
    }

    /// After a refused login: reads files and asks plugins again, unless somebody else just did.
    async fn log_in_again(&self, refused: u64) -> Result<Session, Failure> {
        {
            let mut state = self.state.lock().await;
            if state.session.as_ref().is_some_and(|session| session.generation == refused) {
                state.session = None;
                state.seen.clear();
            }
        }
        self.session().await
    }

    /// Reads, or asks a review. After a refused login once more with a new one.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Reply, Problem> {
        let (response, session) = self.start(ask, self.timeout).await?;
        self.finish(ask, Intent::Read, response, &session).await
    }

    /// Starts a read whose body comes in pieces, for as long as the server likes.
    pub(super) async fn stream(&self, ask: &Ask) -> Result<Body, Problem> {
        Ok(self.pieces(ask).await?.body)
    }

    /// As [`Self::stream`], where the answer itself may take so long to begin.
    pub(super) async fn stream_within(&self, ask: &Ask, patience: Duration) -> Result<Body, Problem> {
        Ok(self.pieces_within(ask, patience).await?.body)
    }

    /// As [`Self::stream`], with what it takes to tell how it broke off.
    pub(super) async fn pieces(&self, ask: &Ask) -> Result<Pieces, Problem> {
        self.pieces_within(ask, self.timeout).await
    }

    async fn pieces_within(&self, ask: &Ask, patience: Duration) -> Result<Pieces, Problem> {
        let (response, session) = self.start(ask, patience).await?;
        if response.status().is_success() {
            return Ok(Pieces {
                body: response.into_body(),
                address: address(&session),
                what: ask.what.clone(),
                left: ask.limit,
                limit: ask.limit,
            });
        }
        match self.finish(ask, Intent::Read, response, &session).await {
            Err(problem) => Err(problem),
            Ok(_) => Err(Failure::Unknown { why: format!("{}: no answer", ask.what) }.into()),
        }
    }

    async fn start(&self, ask: &Ask, patience: Duration) -> Result<(Response<Body>, Session), Problem> {
        let session = self.session().await?;
        let (first, session) = self.once(ask, session, patience).await?;
        if first.status() != http::StatusCode::UNAUTHORIZED {
            return Ok((first, session));
        }
        let again = self.log_in_again(session.generation).await?;
        self.once(ask, again, patience).await
    }

    async fn once(&self, ask: &Ask, session: Session, patience: Duration) -> Result<(Response<Body>, Session), Problem> {
        let request = ask.request().map_err(|why| Failure::NotSent { why: format!("{}: {why}", ask.what) })?;
        let sent = self.in_time(&ask.what, patience, async {
            session.client.send(request).await.map_err(|error| Problem::from(answer::broken_off(&ask.what, &error, &address(&session))))
        });
        let response = sent.await?;
        Ok((response, session))
    }

    async fn finish(&self, ask: &Ask, intent: Intent, response: Response<Body>, session: &Session) -> Result<Reply, Problem> {
        let (parts, body) = response.into_parts();
        let success = parts.status.is_success();
        // Words of a refusal need no room.
        let limit = if success { ask.limit } else { 1 << 16 };
        let read = self.in_time(&ask.what, self.timeout, async { Ok(read_body(body, limit).await) });
        let body = match read.await? {
            Ok(body) => body,
            Err(Unread::TooLarge(start)) if !success => start,
            Err(Unread::TooLarge(_)) => return Err(answer::too_large(&ask.what, limit).into()),
            Err(Unread::Cut(error)) => return Err(answer::broken_off(&ask.what, &error, &address(session)).into()),
        };
        if success {
            return Ok(Reply { date: answer::date(&parts.headers), body });
        }
        Err(answer::refused(intent, &ask.what, parts.status, &parts.headers, &body, &session.how))
    }

    /// What is not done in this time is unknown.
    pub(super) async fn in_time<T>(
        &self,
        what: &str,
        limit: Duration,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(limit, work).await {
            Ok(done) => done,
            Err(_) => Err(Failure::Unknown { why: format!("{what}: no answer within {} s", limit.as_secs_f32()) }.into()),
        }
    }
}

/// A body that is read piece by piece, bounded.
pub(super) struct Pieces {
    body: Body,
    address: String,
    what: String,
    left: usize,
    limit: usize,
}

impl Pieces {
    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<bytes::Bytes>, Problem> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| answer::broken_off(&self.what, &error, &self.address))?;
            let Ok(data) = frame.into_data() else { continue };
            let Some(left) = self.left.checked_sub(data.len()) else { return Err(answer::too_large(&self.what, self.limit).into()) };
            self.left = left;
            return Ok(Some(data));
        }
        Ok(None)
    }
}

/// The only thing here that can change anything. A cockpit that only reads has none.
pub(super) struct Writer {
    link: Arc<Link>,
}

impl Writer {
    /// A writer on a line.
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Sends a JSON Patch, once, whatever comes back. It goes on a connection of its own: an idle one that the server is just
    /// closing would leave open whether the patch arrived, while a connection that cannot be made leaves no doubt.
    pub(super) async fn patch(&self, what: &str, path: &str, patch: &serde_json::Value, limit: Duration) -> Result<Reply, Problem> {
        let session = self.link.session().await?;
        let not_sent = |why: String| Problem::from(Failure::NotSent { why: format!("{what}: {why}") });
        let mut config = session.config.clone();
        config.connect_timeout = Some((limit / 2).min(Duration::from_secs(10)));
        let own = client(&config).map_err(not_sent)?;
        let request = Request::patch(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json-patch+json")
            .body(Body::from(patch.to_string().into_bytes()))
            .map_err(|why| not_sent(why.to_string()))?;
        let ask = Ask::object(what.to_owned(), path.to_owned());
        let work = async {
            let sent = own.send(request).await;
            let response = sent.map_err(|error| Problem::from(answer::broken_off(what, &error, &address(&session))))?;
            self.link.finish(&ask, Intent::Patch, response, &session).await
        };
        self.link.in_time(what, limit, work).await
    }
}

async fn load(place: Place) -> Result<Loaded, ConnectError> {
    let lost = ConnectError::Unreadable { file: "the kubeconfig".to_owned(), why: "the reader was stopped".to_owned() };
    tokio::task::spawn_blocking(move || place.load()).await.unwrap_or(Err(lost))
}

/// Builds a client that never repeats a request. The error has no secrets.
fn client(config: &kube::Config) -> Result<kube::Client, String> {
    let mut config = config.clone();
    config.default_retry = false;
    ClientBuilder::try_from(config).map(ClientBuilder::build).map_err(|error| match error {
        kube::Error::Auth(why) => format!("cannot be sent: {why}"),
        kube::Error::RustlsTls(why) => format!("cannot be used for TLS: {why}"),
        other => crate::domain::text::clean_bounded(&other.to_string(), 200),
    })
}

fn address(session: &Session) -> String {
    let url = &session.config.cluster_url;
    format!("{}:{}", url.host().unwrap_or("?"), url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 }))
}

enum Unread {
    TooLarge(Vec<u8>),
    Cut(kube::Error),
}

async fn read_body(mut body: Body, limit: usize) -> Result<Vec<u8>, Unread> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Unread::Cut)?.into_data() else { continue };
        let room = limit.saturating_sub(read.len());
        read.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Err(Unread::TooLarge(read));
        }
    }
    Ok(read)
}

/// `name=value` pairs as a query string.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
