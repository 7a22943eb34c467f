//! One alerting rule and its alerts over time.

use super::template::expand;
use crate::domain::Labels;
use crate::sim::metrics::{Query, Tsdb};
use std::collections::BTreeMap;

/// A resolved alert is still sent, and kept, for so long.
const RETENTION: i64 = 15 * 60 * 1000;
/// An alert that did not change is sent again after so long.
const RESEND: i64 = 60 * 1000;

/// How a rule is written.
#[derive(Debug, Clone)]
pub(crate) struct RuleSpec {
    pub(crate) name: &'static str,
    pub(crate) query: &'static str,
    /// How long the expression must hold, in ms.
    pub(crate) hold: i64,
    /// How long the alert goes on after the expression stopped holding, in ms.
    pub(crate) keep_firing: i64,
    pub(crate) labels: &'static [(&'static str, &'static str)],
    pub(crate) annotations: &'static [(&'static str, &'static str)],
    /// What is true when the simulation begins has been so for this long, in ms: the shop is older than the simulation.
    pub(crate) seated: Option<i64>,
}

/// Where one alert of a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Pending,
    Firing,
    /// Its expression does not hold any more.
    Resolved,
}

/// One alert of a rule. Times in ms since 1970.
#[derive(Debug, Clone)]
pub(crate) struct RuleAlert {
    pub(crate) stage: Stage,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) value: f64,
    pub(crate) active_at: i64,
    fired_at: i64,
    resolved_at: i64,
    pub(crate) keep_firing_since: Option<i64>,
    sent_at: Option<i64>,
}

/// An alert on its way to the alertmanager. Times in ms since 1970.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) starts_at: i64,
    pub(crate) ends_at: i64,
    pub(crate) generator_url: String,
}

/// A rule with its alerts.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) spec: RuleSpec,
    pub(crate) query: Query,
    pub(crate) active: BTreeMap<Labels, RuleAlert>,
    /// Why the latest evaluation failed.
    pub(crate) error: Option<String>,
    pub(crate) evaluated: Option<i64>,
}

impl Rule {
    pub(crate) fn new(spec: RuleSpec) -> Result<Self, String> {
        let query = Query::parse(spec.query)?;
        Ok(Self { spec, query, active: BTreeMap::new(), error: None, evaluated: None })
    }

    /// Evaluates it at `at`, every `interval` ms.
    pub(crate) fn evaluate(&mut self, tsdb: &Tsdb, at: i64, interval: i64) {
        let first = self.evaluated.is_none();
        self.evaluated = Some(at);
        let found = self.query.at(tsdb, at, interval).and_then(|rows| self.label(rows));
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                self.error = Some(why);
                return;
            }
        };
        self.error = None;
        for (labels, (annotations, value)) in &found {
            let known = self.active.get_mut(labels).filter(|a| a.stage != Stage::Resolved);
            if let Some(known) = known {
                known.value = *value;
                known.annotations.clone_from(annotations);
            } else {
                let since = self.spec.seated.filter(|_| first).map_or(at, |ago| at - ago);
                let fresh = RuleAlert {
                    stage: Stage::Pending,
                    labels: labels.clone(),
                    annotations: annotations.clone(),
                    value: *value,
                    active_at: since,
                    fired_at: 0,
                    resolved_at: 0,
                    keep_firing_since: None,
                    sent_at: None,
                };
                self.active.insert(labels.clone(), fresh);
            }
        }
        let spec = &self.spec;
        self.active.retain(|labels, alert| step(alert, found.contains_key(labels), at, spec));
    }

    /// The rule's labels and texts put on what its expression gave.
    fn label(&self, rows: Vec<(Labels, f64)>) -> Result<BTreeMap<Labels, (Labels, f64)>, String> {
        let mut found = BTreeMap::new();
        for (sample, value) in rows {
            let expanded = |pairs: &[(&str, &str)]| -> Labels {
                pairs.iter().map(|(name, text)| ((*name).to_owned(), expand(text, &sample, value))).collect()
            };
            let mut labels = sample.clone();
            labels.extend(expanded(self.spec.labels));
            labels.insert("alertname".to_owned(), self.spec.name.to_owned());
            labels.retain(|_, value| !value.is_empty());
            if found.insert(labels, (expanded(self.spec.annotations), value)).is_some() {
                return Err("vector contains metrics with the same labelset after applying alert labels".to_owned());
            }
        }
        Ok(found)
    }

    /// What has to be sent now; it counts as sent.
    pub(crate) fn send(&mut self, at: i64, interval: i64, external_url: &str) -> Vec<Sent> {
        let generator_url = format!("{external_url}/graph?g0.expr={}&g0.tab=1", encode(&self.query.text()));
        let mut out = Vec::new();
        for alert in self.active.values_mut().filter(|a| a.stage != Stage::Pending) {
            let resolved = alert.stage == Stage::Resolved;
            let news = resolved && alert.sent_at.is_some_and(|sent| alert.resolved_at > sent);
            if !news && alert.sent_at.is_some_and(|sent| sent + RESEND >= at) {
                continue;
            }
            alert.sent_at = Some(at);
            out.push(Sent {
                labels: alert.labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at: alert.fired_at,
                ends_at: if resolved { alert.resolved_at } else { at + 4 * interval.max(RESEND) },
                generator_url: generator_url.clone(),
            });
        }
        out
    }
}

/// One alert's next step; `false`: it is forgotten.
fn step(alert: &mut RuleAlert, holds: bool, at: i64, spec: &RuleSpec) -> bool {
    if holds {
        alert.keep_firing_since = None;
        if alert.stage == Stage::Pending && at - alert.active_at >= spec.hold {
            alert.stage = Stage::Firing;
            // Of what was so before the simulation began, the hold is long over too.
            alert.fired_at = if spec.seated.is_some_and(|ago| alert.active_at + ago == at) { alert.active_at + spec.hold } else { at };
        }
        return true;
    }
    match alert.stage {
        Stage::Pending => false,
        Stage::Resolved => at - alert.resolved_at <= RETENTION,
        Stage::Firing => {
            if spec.keep_firing > 0 && at - *alert.keep_firing_since.get_or_insert(at) < spec.keep_firing {
                return true;
            }
            alert.stage = Stage::Resolved;
            alert.resolved_at = at;
            alert.keep_firing_since = None;
            true
        }
    }
}

/// Percent-encoding as Go's `url.QueryEscape` does it.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => {
                use std::fmt::Write as _;
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EVERY: i64 = 15_000;

    fn spec() -> RuleSpec {
        RuleSpec {
            name: "High",
            query: "x > 1",
            hold: 60_000,
            keep_firing: 0,
            labels: &[("severity", "warning")],
            annotations: &[("summary", "{{ $labels.pod }} at {{ $value }}")],
            seated: None,
        }
    }

    struct Rig {
        rule: Rule,
        tsdb: Tsdb,
        at: i64,
    }

    impl Rig {
        fn new(spec: RuleSpec) -> Self {
            Self { rule: Rule::new(spec).unwrap(), tsdb: Tsdb::new(), at: 1_700_000_000_000 }
        }

        /// One sample and one evaluation; what was sent.
        fn tick(&mut self, value: f64) -> Vec<Sent> {
            self.at += EVERY;
            let labels = Labels::from([("__name__".to_owned(), "x".to_owned()), ("pod".to_owned(), "a".to_owned())]);
            self.tsdb.append(&labels, self.at, value);
            self.rule.evaluate(&self.tsdb, self.at, EVERY);
            self.rule.send(self.at, EVERY, "http://prom")
        }

        fn stage(&self) -> Option<Stage> {
            self.rule.active.values().next().map(|a| a.stage)
        }
    }

    #[test]
    fn it_fires_only_after_its_hold_and_says_since_when() {
        let mut rig = Rig::new(spec());
        assert_eq!(rig.tick(0.5), vec![]);
        for _ in 0..4 {
            assert_eq!(rig.tick(2.0), vec![]);
            assert_eq!(rig.stage(), Some(Stage::Pending));
        }
        let sent = rig.tick(2.5);
        assert_eq!(rig.stage(), Some(Stage::Firing));
        assert_eq!((sent[0].starts_at, sent[0].ends_at), (rig.at, rig.at + 240_000));
        assert_eq!(sent[0].annotations["summary"], "a at 2.5");
        assert_eq!(sent[0].labels["alertname"], "High");
        assert!(sent[0].generator_url.starts_with("http://prom/graph?g0.expr=x+%3E+1"));
        assert_eq!(rig.tick(2.5), vec![], "not sent again within a minute");
    }

    #[test]
    fn a_dip_begins_the_hold_anew_and_the_end_is_sent_once_at_once() {
        let mut rig = Rig::new(spec());
        for value in [2.0, 2.0, 0.0, 2.0, 2.0, 2.0, 2.0] {
            assert_eq!(rig.tick(value), vec![]);
        }
        assert_eq!(rig.tick(2.0).len(), 1);
        let end = rig.tick(0.0);
        assert_eq!((end.len(), end[0].ends_at), (1, rig.at));
        assert_eq!(rig.tick(0.0), vec![]);
    }

    #[test]
    fn it_may_keep_firing_for_a_while() {
        let mut rig = Rig::new(RuleSpec { hold: 0, keep_firing: 30_000, ..spec() });
        rig.tick(2.0);
        for _ in 0..2 {
            rig.tick(0.0);
            assert_eq!(rig.stage(), Some(Stage::Firing));
        }
        rig.tick(0.0);
        assert_eq!(rig.stage(), Some(Stage::Resolved));
    }

    #[test]
    fn what_was_so_before_the_beginning_fires_since_then() {
        let mut rig = Rig::new(RuleSpec { seated: Some(86_400_000), ..spec() });
        let sent = rig.tick(2.0);
        assert_eq!(sent[0].starts_at, rig.at - 86_400_000 + 60_000);
    }
}
