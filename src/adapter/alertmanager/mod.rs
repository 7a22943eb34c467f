//! Alertmanager's API, version 2.
//!
//! It has no conditional writes, so conditions are checked by reading just before: a silence is made only when none with our stamp is
//! there, and ended only when it is still the one that was seen. Nothing is sent twice.

mod decode;

use crate::adapter::http::{self, Auth, Http, Reply, Request, SetupError, WriteRequest, shown_url};
use crate::domain::alert::{Alert, Silence, SilenceDraft, SilenceState, carries};
use crate::domain::{Clock, Failure, Refusal, SourceId};
use crate::port::{Alerts, AlertsAnswer};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use decode::{MOST_ALERTS, MOST_SILENCES, WireAlert, WireSilence, alert, refusal, silence};
use futures::future::BoxFuture;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is asked: alerts change at the pace of rule evaluations.
pub const INTERVAL: Duration = Duration::from_secs(15);

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
    /// For one request.
    pub timeout: Duration,
    /// The clock that the server's is compared with.
    pub clock: Arc<dyn Clock>,
    /// Whether anything may be written; without, silences are refused here already.
    pub writes: bool,
}

/// A connection to one server.
pub struct Alertmanager {
    source: SourceId,
    base: Url,
    http: Http,
    clock: Arc<dyn Clock>,
    writes: bool,
    /// The server's clock in its newest answer: one that does not move on comes from a cache.
    last_date: Mutex<Option<DateTime<Utc>>>,
}

impl fmt::Debug for Alertmanager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alertmanager").field("source", &self.source).field("base", &shown_url(&self.base)).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStatus {
    version_info: WireVersion,
}

#[derive(Deserialize)]
struct WireVersion {
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct WireMade {
    #[serde(rename = "silenceID")]
    id: String,
}

/// Sets the connection up. Nothing is sent yet.
pub fn new(settings: Settings) -> Result<Alertmanager, SetupError> {
    let base = http::address(&settings.url)?;
    let options = http::Options { ca_file: settings.ca_file, timeout: settings.timeout, auth: settings.auth, ..http::Options::default() };
    Ok(Alertmanager {
        http: Http::new(&base, options)?,
        source: settings.source,
        base,
        clock: settings.clock,
        writes: settings.writes,
        last_date: Mutex::new(None),
    })
}

impl Alertmanager {
    /// The version that the server says it has.
    pub async fn version(&self) -> Result<String, Failure> {
        let operation = format!("status of {}", self.source);
        let url = self.endpoint(&["status"]);
        let reply = self.get(&operation, &url).await?;
        let status: WireStatus = read(&operation, &url, &reply)?;
        Ok(crate::domain::text::clean_bounded(&status.version_info.version, 60))
    }

    fn endpoint(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v2"]).extend(parts);
        }
        url
    }

    async fn get(&self, operation: &str, url: &Url) -> Result<Reply, Failure> {
        self.http.read(Request { operation, method: Method::GET, url: url.clone(), form: None }).await
    }

    async fn alerts(&self) -> Result<(Vec<Alert>, usize, Reply), Failure> {
        let operation = format!("alerts of {}", self.source);
        let url = self.endpoint(&["alerts"]);
        let reply = self.get(&operation, &url).await?;
        let wire: Vec<WireAlert> = read(&operation, &url, &reply)?;
        let left_out = wire.len().saturating_sub(MOST_ALERTS);
        Ok((wire.into_iter().take(MOST_ALERTS).map(alert).collect(), left_out, reply))
    }

    /// Silences in force first, then those to come, then those that ended, the latest first.
    async fn silences(&self) -> Result<(Vec<Silence>, usize), Failure> {
        let operation = format!("silences of {}", self.source);
        let url = self.endpoint(&["silences"]);
        let reply = self.get(&operation, &url).await?;
        let wire: Vec<WireSilence> = read(&operation, &url, &reply)?;
        let mut all: Vec<Silence> = wire.into_iter().filter_map(silence).collect();
        all.sort_by_key(|s| (s.state, std::cmp::Reverse(s.ends_at)));
        let left_out = all.len().saturating_sub(MOST_SILENCES);
        all.truncate(MOST_SILENCES);
        Ok((all, left_out))
    }

    async fn with_stamp(&self, stamp: &str) -> Result<Option<Silence>, Failure> {
        let operation = format!("silences of {}", self.source);
        let url = self.endpoint(&["silences"]);
        let reply = self.get(&operation, &url).await?;
        let wire: Vec<WireSilence> = read(&operation, &url, &reply)?;
        Ok(wire.into_iter().filter_map(silence).find(|s| carries(&s.comment, stamp)))
    }

    async fn by_id(&self, id: &str) -> Result<Option<Silence>, Failure> {
        let operation = format!("silence {id} of {}", self.source);
        let url = self.endpoint(&["silence", id]);
        let reply = self.get(&operation, &url).await?;
        if reply.status == 404 {
            return Ok(None);
        }
        let wire: WireSilence = read(&operation, &url, &reply)?;
        Ok(silence(wire))
    }

    fn may_write(&self) -> Result<(), Failure> {
        if self.writes { Ok(()) } else { Err(Failure::NotSent { why: format!("{} is open for reading only", self.source) }) }
    }

    /// When the answer was true by our clock, and the difference of the clocks.
    fn dated(&self, reply: &Reply, asked: DateTime<Utc>) -> (Option<DateTime<Utc>>, Option<TimeDelta>) {
        let Some(date) = reply.date else { return (Some(asked), None) };
        let mut last = self.last_date.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = last.is_none_or(|last| date > last);
        *last = Some(date);
        // The header has whole seconds: half of one is what it leaves out on average.
        (moved.then_some(asked), Some(date + TimeDelta::milliseconds(500) - asked))
    }
}

/// The body of a success, or what the answer is instead.
fn read<T: DeserializeOwned>(operation: &str, url: &Url, reply: &Reply) -> Result<T, Failure> {
    if !reply.is_success() {
        return Err(failed(operation, url, reply));
    }
    serde_json::from_slice(&reply.body).map_err(|e| Failure::Unreadable {
        why: format!("{operation} at {}: {e} ({}); is this the address of an Alertmanager?", shown_url(url), reply.describe()),
    })
}

/// Why an answer is no success. A write that met 5xx may have been carried out.
fn failed(operation: &str, url: &Url, reply: &Reply) -> Failure {
    let words = refusal(&reply.body).unwrap_or_else(|| reply.describe());
    let advice = match reply.status {
        401 => "; check `auth` of this connection",
        403 => "; the login lacks the right",
        404 => "; check the path of its `url`",
        _ => "",
    };
    Failure::from_status(reply.status, format!("{operation} at {}: {words}{advice}", shown_url(url)))
}

fn changed(operation: &str, what: String) -> Failure {
    Failure::Refused { code: 409, reason: Refusal::Conflict, why: format!("{operation}: {what}") }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Alerts for Alertmanager {
    fn source(&self) -> SourceId {
        self.source.clone()
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<AlertsAnswer, Failure>> {
        Box::pin(async move {
            let asked = self.clock.now().wall;
            let (alerts, silences) = futures::future::try_join(self.alerts(), self.silences()).await?;
            let (alerts, more_alerts, reply) = alerts;
            let (silences, more_silences) = silences;
            let (at, skew) = self.dated(&reply, asked);
            Ok(AlertsAnswer { alerts, silences, at, skew, left_out: more_alerts + more_silences })
        })
    }

    fn create_silence(&self, draft: SilenceDraft, stamp: String) -> BoxFuture<'_, Result<String, Failure>> {
        Box::pin(async move {
            self.may_write()?;
            let operation = format!("silence in {}", self.source);
            // A failed look before is no unknown outcome: nothing was sent yet.
            let there = self.with_stamp(&stamp).await.map_err(|e| Failure::NotSent { why: format!("{operation}: looked first, {e}") })?;
            if let Some(there) = there {
                return Ok(there.id);
            }
            let matchers: Vec<_> = draft
                .matchers
                .iter()
                .map(|m| json!({ "name": m.name, "value": m.value, "isRegex": m.is_regex, "isEqual": m.is_equal }))
                .collect();
            let body = json!({
                "matchers": matchers, "startsAt": time(draft.starts_at), "endsAt": time(draft.ends_at),
                "createdBy": draft.created_by, "comment": draft.comment,
            });
            let url = self.endpoint(&["silences"]);
            let request = WriteRequest { operation: &operation, method: Method::POST, url: url.clone(), json: Some(&body) };
            let reply = self.http.write(request).await?;
            let made: WireMade = read(&operation, &url, &reply)?;
            Ok(crate::domain::text::clean_bounded(&made.id, 100))
        })
    }

    fn expire_silence(&self, seen: Silence) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.may_write()?;
            let operation = format!("end silence {} in {}", seen.id, self.source);
            let now = self.by_id(&seen.id).await.map_err(|e| Failure::NotSent { why: format!("{operation}: looked first, {e}") })?;
            let Some(now) = now else {
                return Err(Failure::Refused {
                    code: 404,
                    reason: Refusal::Missing,
                    why: format!("{operation}: it is not there any more"),
                });
            };
            if now.state == SilenceState::Expired {
                return Ok(());
            }
            if now.matchers != seen.matchers || now.ends_at != seen.ends_at {
                return Err(changed(&operation, format!("{} changed it meanwhile: look at it again", now.created_by)));
            }
            let url = self.endpoint(&["silence", &seen.id]);
            let request = WriteRequest { operation: &operation, method: Method::DELETE, url: url.clone(), json: None };
            let reply = self.http.write(request).await?;
            if reply.is_success() { Ok(()) } else { Err(failed(&operation, &url, &reply)) }
        })
    }

    fn find_silence(&self, stamp: String) -> BoxFuture<'_, Result<Option<Silence>, Failure>> {
        Box::pin(async move { self.with_stamp(&stamp).await })
    }

    fn read_silence(&self, id: String) -> BoxFuture<'_, Result<Option<Silence>, Failure>> {
        Box::pin(async move { self.by_id(&id).await })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
