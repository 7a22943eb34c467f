//! Prometheus and everything that answers its HTTP API v1 (Thanos, Mimir, VictoriaMetrics).

mod age;
mod rules;

use crate::adapter::http::{self, Auth, Http, Reply, Request, SetupError, shown_url};
use crate::adapter::promql::{self, Data, DecodeError, Decoded, MOST_POINTS, MOST_SERIES};
use crate::domain::alert::AlertRule;
use crate::domain::{Clock, Failure, Labels, Sample, Series, SourceId, text};
use crate::port::{Answer, Metrics};
use age::Ages;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use futures::future::BoxFuture;
use reqwest::{Method, Url};
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How the connection is configured.
pub struct Settings {
    /// Its name.
    pub source: SourceId,
    /// Address of the server, with a path prefix where it has one.
    pub url: String,
    /// Credential, by reference.
    pub auth: Option<Auth>,
    /// Trusted in addition to the system's roots.
    pub ca_file: Option<PathBuf>,
    /// How often the server takes a sample.
    pub scrape_interval: Duration,
    /// For a whole query.
    pub timeout: Duration,
    /// The clock that samples are compared with.
    pub clock: Arc<dyn Clock>,
}

/// A connection to one server.
pub struct Prometheus {
    source: SourceId,
    base: Url,
    http: Http,
    interval: Duration,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    /// Some proxies let only GET through.
    get_only: AtomicBool,
    ages: Ages,
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus").field("source", &self.source).field("base", &shown_url(&self.base)).finish_non_exhaustive()
    }
}

/// What the server says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildInfo {
    /// Its product name, where it tells one; else `Prometheus`.
    pub product: String,
    /// Its version, or `unknown`.
    pub version: String,
}

#[derive(Deserialize)]
struct WireBuildInfo {
    #[serde(default)]
    version: String,
    #[serde(default)]
    application: String,
}

/// A decoded answer with the difference of clocks.
struct Told<T> {
    decoded: Decoded<T>,
    skew: Option<TimeDelta>,
}

/// Sets the connection up. Nothing is sent yet.
pub fn new(settings: Settings) -> Result<Prometheus, SetupError> {
    let base = http::address(&settings.url)?;
    let options = http::Options { ca_file: settings.ca_file, timeout: settings.timeout, auth: settings.auth, ..http::Options::default() };
    Ok(Prometheus {
        http: Http::new(&base, options)?,
        source: settings.source,
        base,
        interval: settings.scrape_interval,
        timeout: settings.timeout,
        clock: settings.clock,
        get_only: AtomicBool::new(false),
        ages: Ages::default(),
    })
}

impl Prometheus {
    /// Asks the server what it is. Servers that do not know this question are `unknown`.
    pub async fn build_info(&self) -> Result<BuildInfo, Failure> {
        let operation = format!("build info of {}", self.source);
        let url = self.endpoint("status/buildinfo");
        let reply = self.http.read(Request { operation: &operation, method: Method::GET, url: url.clone(), form: None }).await?;
        if reply.status == 404 {
            return Ok(BuildInfo { product: "Prometheus".into(), version: "unknown".into() });
        }
        let decoded = decode(&operation, &url, &reply, promql::envelope::<WireBuildInfo>)?;
        let or = |value: &str, otherwise: &str| if value.is_empty() { otherwise.to_owned() } else { text::clean_bounded(value, 60) };
        Ok(BuildInfo { product: or(&decoded.value.application, "Prometheus"), version: or(&decoded.value.version, "unknown") })
    }

    fn endpoint(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_path(&format!("{}/api/v1/{name}", self.base.path().trim_end_matches('/')));
        url
    }

    /// The server gives up a little before we do, so that it can say so.
    fn server_timeout(&self) -> String {
        let left = self.timeout.saturating_sub(Duration::from_secs(1)).max(self.timeout / 2);
        format!("{}ms", left.as_millis())
    }

    /// Asks by POST; where a proxy refuses that, by GET from then on.
    async fn ask(&self, name: &str, mut fields: Vec<(&str, String)>) -> Result<Told<Data>, Failure> {
        fields.push(("timeout", self.server_timeout()));
        fields.push(("limit", MOST_SERIES.to_string()));
        let operation = format!("query of {}", self.source);
        let url = self.endpoint(name);
        let before = self.clock.now().wall;
        let posted = if self.get_only.load(Ordering::Relaxed) {
            None
        } else {
            let request = Request { operation: &operation, method: Method::POST, url: url.clone(), form: Some(&fields) };
            Some(self.http.read(request).await?).filter(|reply| !only_get_allowed(reply))
        };
        let reply = if let Some(reply) = posted {
            reply
        } else {
            let mut with_fields = url.clone();
            with_fields.query_pairs_mut().extend_pairs(&fields);
            let request = Request { operation: &operation, method: Method::GET, url: with_fields, form: None };
            let reply = self.http.read(request).await?;
            self.get_only.fetch_or(reply.is_success(), Ordering::Relaxed);
            reply
        };
        let skew = skew(&reply, before, self.clock.now().wall);
        let decoded = decode(&operation, &url, &reply, promql::query)?;
        Ok(Told { decoded, skew })
    }

    async fn ask_instant(&self, query: &str, at: Option<DateTime<Utc>>) -> Result<Told<Data>, Failure> {
        let mut fields = vec![("query", query.to_owned())];
        fields.extend(at.map(|at| ("time", seconds(at))));
        self.ask("query", fields).await
    }

    async fn ask_range(&self, query: &str, window: &Window) -> Result<(Vec<Series>, Vec<String>, Option<TimeDelta>), Failure> {
        let fields = vec![
            ("query", query.to_owned()),
            ("start", seconds(window.start)),
            ("end", seconds(window.end)),
            ("step", format!("{}.{:03}", window.step.as_secs(), window.step.subsec_millis())),
        ];
        let told = self.ask("query_range", fields).await?;
        let Data::Matrix(rows) = told.decoded.value else {
            return Err(Failure::Unreadable { why: format!("query of {}: the answer to a range query is no matrix", self.source) });
        };
        let series =
            rows.into_iter().map(|(labels, samples)| promql::into_slots(labels, &samples, window.start, window.step, window.count));
        Ok((series.collect(), told.decoded.remarks, told.skew))
    }
}

/// Reads an answer, or says what it is instead.
fn decode<T>(
    operation: &str,
    url: &Url,
    reply: &Reply,
    with: impl FnOnce(&[u8]) -> Result<Decoded<T>, DecodeError>,
) -> Result<Decoded<T>, Failure> {
    let at = format!("{operation} at {}", shown_url(url));
    match with(&reply.body) {
        Ok(decoded) if reply.is_success() => Ok(decoded),
        Err(DecodeError::Server { kind, text }) => Err(match reply.status {
            200..300 => Failure::Unknown { why: format!("{at}: {kind}: {text}") },
            status => Failure::from_status(status, format!("{at}: {kind}: {text}")),
        }),
        Err(DecodeError::Foreign(why)) if reply.is_success() => {
            Err(Failure::Unreadable { why: format!("{at}: {why} ({}); is this the address of a Prometheus server?", reply.describe()) })
        }
        Err(why @ DecodeError::Histogram) if reply.is_success() => Err(Failure::Unreadable { why: format!("{at}: {why}") }),
        _ => Err(Failure::from_status(reply.status, format!("{at}: {}{}", reply.describe(), advice(reply.status)))),
    }
}

/// What a range query asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Window {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    step: Duration,
    count: usize,
}

impl Window {
    fn new(source: &SourceId, start: DateTime<Utc>, end: DateTime<Utc>, step: Duration) -> Result<Self, Failure> {
        let not_sent = |why: String| Failure::NotSent { why: format!("query of {source}: {why}") };
        if end < start || step.as_millis() == 0 {
            return Err(not_sent("a range needs an end that is not before its start, and a step of at least 1 ms".into()));
        }
        let (start, end) = (start.trunc_subsecs(3), end.trunc_subsecs(3));
        let count = promql::slots(start, end, step);
        if count > MOST_POINTS {
            let step = (end - start).num_seconds().unsigned_abs() / (MOST_POINTS as u64 - 1) + 1;
            return Err(not_sent(format!("{count} points are more than the {MOST_POINTS} a server gives; use a step of {step}s or more")));
        }
        Ok(Self { start, end, step, count })
    }
}

/// A refusal of POST that is not Prometheus' own.
fn only_get_allowed(reply: &Reply) -> bool {
    let own_words = || matches!(promql::envelope::<serde::de::IgnoredAny>(&reply.body), Err(DecodeError::Server { .. }));
    reply.status == 405 || (reply.status == 403 && !own_words())
}

/// What to do about a status that comes from a proxy as often as from the server.
fn advice(status: u16) -> &'static str {
    match status {
        401 => "; check `auth` of this connection",
        403 => "; the login lacks the right to query",
        404 => "; check the path of its `url`",
        429 => "; too many queries, trying less often",
        _ => "",
    }
}

fn seconds(at: DateTime<Utc>) -> String {
    let ms = at.timestamp_millis();
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

/// Server's clock minus ours, at the middle of the exchange. The Date header has whole seconds: half of one is added.
fn skew(reply: &Reply, before: DateTime<Utc>, after: DateTime<Utc>) -> Option<TimeDelta> {
    let middle = before + (after - before) / 2;
    Some(reply.date? + TimeDelta::milliseconds(500) - middle)
}

impl Metrics for Prometheus {
    fn source(&self) -> SourceId {
        self.source.clone()
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn instant(&self, query: &str, at: Option<DateTime<Utc>>) -> BoxFuture<'_, Result<Answer<Vec<(Labels, Sample)>>, Failure>> {
        let query = query.to_owned();
        Box::pin(async move {
            let (told, newest) = futures::future::join(self.ask_instant(&query, at), self.newest_behind(&query, at)).await;
            let told = told?;
            let no_vector = |what: &str| Failure::Unreadable {
                why: format!("query of {}: it gives {what}; one value per series is needed", self.source),
            };
            let value = match told.decoded.value {
                Data::Vector(rows) => rows,
                Data::Scalar(sample) => vec![(Labels::new(), sample)],
                Data::Matrix(_) => return Err(no_vector("a range of samples")),
                Data::Text(_) => return Err(no_vector("a text")),
            };
            let (newest, remark) = newest;
            let warnings = told.decoded.remarks.into_iter().chain(remark).collect();
            Ok(Answer { value, newest, warnings, skew: told.skew })
        })
    }

    fn range(
        &self,
        query: &str,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        step: Duration,
    ) -> BoxFuture<'_, Result<Answer<Vec<Series>>, Failure>> {
        let query = query.to_owned();
        Box::pin(async move {
            let window = Window::new(&self.source, start, end, step)?;
            let (told, (history, remark)) =
                futures::future::join(self.ask_range(&query, &window), self.history_behind(&query, window)).await;
            let (mut value, remarks, skew) = told?;
            for series in &mut value {
                history.cut(series, self.interval);
            }
            Ok(Answer { value, newest: history.newest(), warnings: remarks.into_iter().chain(remark).collect(), skew })
        })
    }

    fn alert_rules(&self) -> BoxFuture<'_, Result<Vec<AlertRule>, Failure>> {
        Box::pin(async move {
            let operation = format!("rules of {}", self.source);
            let mut url = self.endpoint("rules");
            url.set_query(Some("type=alert"));
            let reply = self.http.read(Request { operation: &operation, method: Method::GET, url: url.clone(), form: None }).await?;
            decode(&operation, &url, &reply, rules::decode).map(|decoded| decoded.value)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::float_cmp)]
mod tests;
