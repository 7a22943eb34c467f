//! Alerts that were sent here, and silences.

use super::rule::Sent;
use super::wire::{AlertBody, Refused, SilenceBody};
use crate::domain::Labels;
use crate::domain::alert::{Matcher, SilenceState};
use crate::sim::rng::Rng;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// An alert without an end counts as resolved after so long.
const RESOLVE_TIMEOUT: TimeDelta = TimeDelta::minutes(5);
/// Silences that are over are kept for so long.
const RETENTION: TimeDelta = TimeDelta::hours(120);

/// An alert.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) fingerprint: String,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) generator_url: String,
}

impl Held {
    /// Whom it is routed to.
    pub(crate) fn receiver(&self) -> &'static str {
        if matches!(self.labels.get("severity").map(String::as_str), Some("critical" | "page")) { "pager" } else { "chat" }
    }
}

/// A silence.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) id: String,
    pub(crate) body: SilenceBody,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Kept {
    /// Where it stands.
    pub(crate) fn state(&self, now: DateTime<Utc>) -> SilenceState {
        if now < self.body.starts_at {
            SilenceState::Pending
        } else if now < self.body.ends_at {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }
}

/// An Alertmanager's memory.
#[derive(Debug)]
pub struct Manager {
    alerts: BTreeMap<String, Held>,
    silences: BTreeMap<String, Kept>,
    rng: Rng,
}

/// FNV-1a over the sorted labels: the fingerprint that Prometheus's own library makes.
fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    for (name, value) in labels {
        name.bytes().for_each(&mut add);
        add(255);
        value.bytes().for_each(&mut add);
        add(255);
    }
    format!("{hash:016x}")
}

fn is_label_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

impl Manager {
    /// One without alerts and silences; ids of silences follow from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { alerts: BTreeMap::new(), silences: BTreeMap::new(), rng: Rng::new(seed, 0x616c_7274) }
    }

    /// Takes what rules sent.
    pub(crate) fn receive(&mut self, sent: Vec<Sent>, now: DateTime<Utc>) {
        for alert in sent {
            let time = |ms| DateTime::from_timestamp_millis(ms);
            let body = AlertBody {
                labels: alert.labels,
                annotations: alert.annotations,
                starts_at: time(alert.starts_at),
                ends_at: time(alert.ends_at),
                generator_url: alert.generator_url,
            };
            self.put(body, now);
        }
    }

    /// Takes posted alerts: the good ones are kept even when others are refused.
    pub(crate) fn post(&mut self, alerts: Vec<AlertBody>, now: DateTime<Utc>) -> Result<(), Refused> {
        let mut wrong = Vec::new();
        for alert in alerts {
            let starts = alert.starts_at.or(alert.ends_at).unwrap_or(now);
            if alert.labels.is_empty() {
                wrong.push("at least one label pair required".to_owned());
            } else if let Some(name) = alert.labels.keys().find(|name| !is_label_name(name)) {
                wrong.push(format!("invalid label set: invalid name {name:?}"));
            } else if alert.ends_at.is_some_and(|ends| ends < starts) {
                wrong.push("start time must be before end time".to_owned());
            } else {
                self.put(alert, now);
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Refused::handler(400, wrong.join("; "))) }
    }

    fn put(&mut self, alert: AlertBody, now: DateTime<Utc>) {
        let fingerprint = fingerprint(&alert.labels);
        let starts_at = alert.starts_at.or(alert.ends_at).unwrap_or(now);
        let ends_at = alert.ends_at.unwrap_or(now + RESOLVE_TIMEOUT);
        // One that overlaps what is known goes on with it: it began when that began.
        let known = self.alerts.get(&fingerprint).filter(|old| starts_at <= old.ends_at && ends_at >= old.starts_at);
        let starts_at = known.map_or(starts_at, |old| old.starts_at.min(starts_at));
        let held = Held {
            fingerprint: fingerprint.clone(),
            labels: alert.labels,
            annotations: alert.annotations,
            starts_at,
            ends_at,
            updated_at: now,
            generator_url: alert.generator_url,
        };
        self.alerts.insert(fingerprint, held);
        self.alerts.retain(|_, held| now - held.ends_at < TimeDelta::minutes(30));
    }

    /// What is not resolved, in order of fingerprints, each with the active silences that are about it.
    pub(crate) fn alerts(&self, now: DateTime<Utc>) -> Vec<(&Held, Vec<String>)> {
        let active: Vec<&Kept> = self.silences.values().filter(|s| s.state(now) == SilenceState::Active).collect();
        let by = |held: &Held| {
            let about = |s: &&&Kept| s.body.matchers.iter().all(|m| m.matches(&held.labels));
            active.iter().filter(about).map(|s| s.id.clone()).collect()
        };
        self.alerts.values().filter(|held| held.ends_at >= now).map(|held| (held, by(held))).collect()
    }

    /// All silences: active ones by their end, then those to come, then those that are over, the latest first.
    pub(crate) fn silences(&mut self, now: DateTime<Utc>) -> Vec<&Kept> {
        self.silences.retain(|_, kept| now - kept.body.ends_at < RETENTION);
        let mut all: Vec<&Kept> = self.silences.values().collect();
        all.sort_by_key(|kept| match kept.state(now) {
            SilenceState::Active => (0, kept.body.ends_at.timestamp_millis()),
            SilenceState::Pending => (1, kept.body.starts_at.timestamp_millis()),
            SilenceState::Expired => (2, -kept.body.ends_at.timestamp_millis()),
        });
        all
    }

    /// One silence.
    pub(crate) fn silence(&self, id: &str) -> Option<&Kept> {
        self.silences.get(id)
    }

    /// Makes a silence, or changes one; gives its id, which is another one when it could not be changed in place.
    pub(crate) fn set_silence(&mut self, body: SilenceBody, now: DateTime<Utc>) -> Result<String, Refused> {
        if body.ends_at < body.starts_at {
            return Err(Refused::handler(400, "Failed to create silence: start time must be before end time"));
        }
        if body.ends_at < now {
            return Err(Refused::handler(400, "Failed to create silence: end time can't be in the past"));
        }
        check(&body.matchers)?;
        let mut body = body;
        if let Some(id) = body.id.clone() {
            let Some(old) = self.silences.get_mut(&id) else { return Err(Refused::handler(404, "silence not found")) };
            if may_change(old, &body, now) {
                old.body = body;
                old.updated_at = now;
                return Ok(id);
            }
            expire(old, now);
        }
        body.starts_at = body.starts_at.max(now);
        let id = self.rng.uuid();
        self.silences.insert(id.clone(), Kept { id: id.clone(), body, updated_at: now });
        Ok(id)
    }

    /// Ends a silence now. One that is over stays as it is.
    pub(crate) fn expire_silence(&mut self, id: &str, now: DateTime<Utc>) -> Result<(), Refused> {
        let Some(kept) = self.silences.get_mut(id) else { return Err(Refused::handler(500, "silence not found")) };
        expire(kept, now);
        Ok(())
    }
}

fn check(matchers: &[Matcher]) -> Result<(), Refused> {
    let invalid = |why: String| Refused::handler(400, format!("silence invalid: {why}"));
    for (i, matcher) in matchers.iter().enumerate() {
        if !is_label_name(&matcher.name) {
            return Err(invalid(format!("invalid label matcher {i}: invalid label name {:?}", matcher.name)));
        }
        if matcher.is_regex && regex::Regex::new(&matcher.value).is_err() {
            return Err(invalid(format!(
                "invalid label matcher {i}: invalid regular expression {:?}: error parsing regexp: `{}`",
                matcher.value, matcher.value
            )));
        }
    }
    if matchers.iter().all(|m| m.matches(&Labels::new())) {
        return Err(invalid("at least one matcher must not match the empty string".into()));
    }
    Ok(())
}

fn may_change(old: &Kept, new: &SilenceBody, now: DateTime<Utc>) -> bool {
    old.body.matchers == new.matchers
        && match old.state(now) {
            SilenceState::Active => old.body.starts_at.timestamp() == new.starts_at.timestamp() && new.ends_at >= now,
            SilenceState::Pending => new.starts_at >= now,
            SilenceState::Expired => false,
        }
}

fn expire(kept: &mut Kept, now: DateTime<Utc>) {
    match kept.state(now) {
        SilenceState::Expired => return,
        SilenceState::Active => kept.body.ends_at = now,
        SilenceState::Pending => (kept.body.starts_at, kept.body.ends_at) = (now, now),
    }
    kept.updated_at = now;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_the_real_one() {
        let labels = [("alertname", "A"), ("service", "checkout"), ("severity", "critical")];
        let labels: Labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(fingerprint(&labels), "ab73c766571453fe");
    }

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
    }

    fn alert(starts: i64, ends: i64) -> AlertBody {
        AlertBody {
            labels: Labels::from([("alertname".into(), "A".into())]),
            annotations: Labels::new(),
            starts_at: Some(at(starts)),
            ends_at: Some(at(ends)),
            generator_url: String::new(),
        }
    }

    #[test]
    fn an_alert_that_goes_on_keeps_its_beginning_and_one_that_ended_begins_anew() {
        let mut manager = Manager::new(1);
        manager.post(vec![alert(0, 4)], at(0)).unwrap();
        manager.post(vec![alert(2, 6)], at(2)).unwrap();
        assert_eq!(manager.alerts(at(5))[0].0.starts_at, at(0));
        assert!(manager.alerts(at(7)).is_empty());
        manager.post(vec![alert(9, 12)], at(9)).unwrap();
        assert_eq!(manager.alerts(at(10))[0].0.starts_at, at(9));
    }
}
