//! All rules, and what the Prometheus API says about them.

use super::rule::{Rule, RuleAlert, RuleSpec, Sent, Stage};
use super::template::scientific;
use crate::domain::Labels;
use crate::sim::metrics::Tsdb;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

/// The one group that the rules are in.
const GROUP: &str = "shop";
const FILE: &str = "/etc/prometheus/rules/shop.yml";

/// Rules that are evaluated together.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    all: Vec<Rule>,
    /// In ms.
    interval: i64,
    external_url: String,
}

/// Which rules a client wants to see.
#[derive(Debug, Default)]
pub(crate) struct Filter<'a> {
    /// Only recording rules, of which there are none.
    pub(crate) recording: bool,
    pub(crate) names: Vec<&'a str>,
    pub(crate) groups: Vec<&'a str>,
    pub(crate) files: Vec<&'a str>,
    pub(crate) without_alerts: bool,
}

fn time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Rules {
    /// Rules that are evaluated every `interval` ms by the server at `external_url`.
    pub(crate) fn new(specs: Vec<RuleSpec>, interval: i64, external_url: &str) -> Result<Self, String> {
        let all = specs.into_iter().map(Rule::new).collect::<Result<_, _>>()?;
        Ok(Self { all, interval, external_url: external_url.to_owned() })
    }

    /// Evaluates all of them at `at` (ms since 1970); what has to be sent to the alertmanager.
    pub(crate) fn evaluate(&mut self, tsdb: &Tsdb, at: i64) -> Vec<Sent> {
        let mut out = Vec::new();
        for rule in &mut self.all {
            rule.evaluate(tsdb, at, self.interval);
            out.extend(rule.send(at, self.interval, &self.external_url));
        }
        out
    }

    fn shown(rule: &Rule) -> impl Iterator<Item = &RuleAlert> {
        rule.active.values().filter(|alert| alert.stage != Stage::Resolved)
    }

    /// `data` of `/api/v1/alerts`.
    pub(crate) fn alerts(&self) -> Value {
        let alerts: Vec<Value> = self.all.iter().flat_map(Self::shown).map(alert).collect();
        json!({ "alerts": alerts })
    }

    /// `data` of `/api/v1/rules`.
    pub(crate) fn groups(&self, filter: &Filter<'_>) -> Value {
        let wanted = |list: &[&str], name: &str| list.is_empty() || list.contains(&name);
        let rules: Vec<Value> = self
            .all
            .iter()
            .filter(|rule| !filter.recording && wanted(&filter.names, rule.spec.name))
            .map(|rule| described(rule, filter))
            .collect();
        if self.all.is_empty() || rules.is_empty() || !wanted(&filter.groups, GROUP) || !wanted(&filter.files, FILE) {
            return json!({ "groups": [] });
        }
        let evaluated = self.all.iter().filter_map(|rule| rule.evaluated).max().unwrap_or_default();
        let interval = self.interval as f64 / 1000.0;
        json!({ "groups": [{
            "name": GROUP, "file": FILE, "rules": rules, "interval": interval, "limit": 0, "evaluationTime": 0.001,
            "lastEvaluation": time(evaluated),
        }] })
    }
}

fn described(rule: &Rule, filter: &Filter<'_>) -> Value {
    let alerts: Vec<Value> = if filter.without_alerts { Vec::new() } else { Rules::shown(rule).map(alert).collect() };
    let state =
        match Rules::shown(rule).map(|a| a.stage).fold(None, |worst, stage| if worst == Some(Stage::Firing) { worst } else { Some(stage) })
        {
            Some(Stage::Firing) => "firing",
            Some(_) => "pending",
            None => "inactive",
        };
    let health = match (&rule.error, rule.evaluated) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    let pairs = |pairs: &[(&str, &str)]| -> Labels { pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect() };
    let mut told = json!({
        "state": state, "name": rule.spec.name, "query": rule.query.text(), "duration": rule.spec.hold as f64 / 1000.0,
        "keepFiringFor": rule.spec.keep_firing as f64 / 1000.0, "labels": pairs(rule.spec.labels),
        "annotations": pairs(rule.spec.annotations), "alerts": alerts, "health": health, "evaluationTime": 0.001,
        "lastEvaluation": time(rule.evaluated.unwrap_or_default()), "type": "alerting",
    });
    if let Some(error) = &rule.error {
        told["lastError"] = json!(error);
    }
    told
}

fn alert(alert: &RuleAlert) -> Value {
    let state = if alert.stage == Stage::Firing { "firing" } else { "pending" };
    let mut told = json!({
        "labels": alert.labels, "annotations": alert.annotations, "state": state, "activeAt": time(alert.active_at),
        "value": scientific(alert.value),
    });
    if let Some(since) = alert.keep_firing_since {
        told["keepFiringSince"] = json!(time(since));
    }
    told
}
