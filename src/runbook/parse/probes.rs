//! What checks and guards ask: PromQL, the platform, alerts.

use super::Walk;
use super::draft::{ConditionDraft, Given, GuardDraft};
use super::node::{At, Node, Span};
use super::scalars::Fields;
use crate::domain::promql::{self, QueryFacts};
use crate::domain::{Op, Percent, PlatformCondition, Probe, StepId, Threshold, Track, Unit};
use crate::runbook::check::queries;
use crate::runbook::plan::{Guard, GuardBlind, GuardThen, OnNoData};
use crate::runbook::template::{self, Kind, Query};
use std::time::Duration;

/// What can be asked, each under its own key.
const ASKED: [&str; 3] = ["promql", "platform", "alert"];
const OPS: [(&str, Op); 6] =
    [("<", Op::Less), ("<=", Op::LessOrEqual), (">", Op::Greater), (">=", Op::GreaterOrEqual), ("==", Op::Equal), ("!=", Op::NotEqual)];
const TRACKS: [(&str, Track); 3] = [("canary", Track::Canary), ("baseline", Track::Baseline), ("stable", Track::Baseline)];
const BLIND: [(&str, GuardBlind); 3] = [("ignore", GuardBlind::Ignore), ("hold", GuardBlind::Hold), ("trip", GuardBlind::Trip)];
const THEN: [(&str, GuardThen); 3] = [("hold", GuardThen::Hold), ("rollback", GuardThen::Rollback), ("warn", GuardThen::Warn)];
const NO_DATA: [(&str, OnNoData); 3] = [("wait", OnNoData::Wait), ("fail", OnNoData::Fail), ("pass", OnNoData::Pass)];

impl Walk<'_> {
    /// A condition of a check.
    pub(crate) fn condition(&mut self, node: &Node) -> Option<ConditionDraft> {
        const KNOWN: &[&str] = &["id", "promql", "op", "value", "platform", "alert", "hold", "every", "on_no_data"];
        let fields = self.fields(node, "a condition", KNOWN, &["http", "connection"])?;
        let id = self.required(&fields, "id", "a condition", "err").and_then(|n| self.id(n, "`id`"));
        let probe = self.probe(&fields, "a condition");
        let hold = fields.value("hold").map_or(Given::Absent, |n| self.duration(n, "`hold`", Duration::ZERO));
        let every = self.every(&fields).unwrap_or_default();
        let on_no_data = fields.value("on_no_data").and_then(|n| self.word(n, "`on_no_data`", &NO_DATA, &[]));
        let on_no_data = on_no_data.map_or(OnNoData::Wait, |word| word.value);
        Some(ConditionDraft { id, span: node.span, probe, hold, every, on_no_data })
    }

    /// The guards of a runbook.
    pub(crate) fn guards(&mut self, node: &Node) -> Vec<GuardDraft> {
        self.list(node, "`guards`").iter().filter_map(|node| self.guard(node)).collect()
    }

    fn guard(&mut self, node: &Node) -> Option<GuardDraft> {
        const KNOWN: &[&str] =
            &["id", "title", "promql", "op", "value", "platform", "alert", "every", "bad_for", "on_no_data", "on_error", "active", "then"];
        let fields = self.fields(node, "a guard", KNOWN, &["http", "connection"])?;
        let id = self.required(&fields, "id", "a guard", "error-rate").and_then(|n| self.id(n, "`id`"));
        let place = id.as_ref().map_or(node.span, |id| id.span);
        let title = fields.value("title").map_or(Some(None), |n| self.line(n, "`title`").map(Some));
        let probe = self.probe(&fields, "a guard");
        let every = self.every(&fields);
        let bad_for = self.required(&fields, "bad_for", "a guard", "1m").map(|n| self.duration(n, "`bad_for`", Duration::ZERO));
        let on_no_data = self.blind(&fields, place, "on_no_data", "its query finds no data");
        let on_error = self.blind(&fields, place, "on_error", "its source cannot be asked");
        let then = self.required(&fields, "then", "a guard", "hold").and_then(|n| self.word(n, "`then`", &THEN, &[]));
        let active = fields.value("active").map_or(Some((None, None)), |n| self.active(n));
        let (from, until) = active.clone().unwrap_or_default();
        let guard = || {
            let id = id.as_ref()?.value.clone();
            let (from, until) = active?;
            Some(Guard {
                title: title?.unwrap_or_else(|| id.clone()),
                id,
                probe: probe?,
                every: every?,
                bad_for: bad_for?.value()?.value,
                on_no_data: on_no_data?,
                on_error: on_error?,
                from: from.map(|at| at.value),
                until: until.map(|at| at.value),
                then: then?.value,
            })
        };
        let guard = guard();
        Some(GuardDraft { id, from, until, guard })
    }

    /// What a guard does when it cannot see must be written: nobody should learn it during an outage.
    fn blind(&mut self, fields: &Fields<'_>, place: Span, key: &str, case: &str) -> Option<GuardBlind> {
        if let Some(node) = fields.value(key) {
            return self.word(node, &format!("`{key}`"), &BLIND, &[]).map(|word| word.value);
        }
        let why = format!("this guard does not say what happens when {case}");
        self.report.error("guard-blind", place, why, format!("write `{key}: ignore`, `hold` or `trip`"));
        None
    }

    #[expect(clippy::type_complexity, reason = "first and last step of one window, read together")]
    fn active(&mut self, node: &Node) -> Option<(Option<At<StepId>>, Option<At<StepId>>)> {
        let fields = self.fields(node, "`active`", &["from", "until"], &[])?;
        let mut step = |key: &str| match fields.value(key) {
            None => Some(None),
            Some(node) => self.id(node, &format!("`{key}`")).map(|id| Some(At::new(StepId(id.value), id.span))),
        };
        let (from, until) = (step("from"), step("until"));
        Some((from?, until?))
    }

    /// What is asked, and what is good.
    fn probe(&mut self, fields: &Fields<'_>, what: &str) -> Option<Probe> {
        let mut given = ASKED.iter().filter_map(|key| fields.get(key));
        let Some(first) = given.next() else {
            // One that only a later version knows is reported already.
            if fields.get("http").is_none() {
                let why = format!("{what} needs `promql`, `platform` or `alert`: what it asks");
                let help = "write `promql: ...` with `op` and `value`, or `platform: { track: canary, ready: all }`";
                self.report.error("missing-key", fields.span, why, help);
            }
            return None;
        };
        if let Some(second) = given.next() {
            let why = format!("{what} asks one thing, and this one asks `{}` and `{}`", first.key.value, second.key.value);
            self.report.error("misplaced-key", second.key.span, why, "make two of them");
            return None;
        }
        let kind = first.key.value.as_str();
        if kind == "promql" {
            return self.threshold(&first.value, fields, what).map(Probe::Promql);
        }
        for key in ["op", "value"] {
            if let Some(entry) = fields.get(key) {
                let why = format!("`{key}` belongs to `promql`; what is good is said inside `{kind}`");
                self.report.error("misplaced-key", entry.key.span, why, format!("remove `{key}`"));
            }
        }
        match kind {
            "platform" => self.platform(&first.value).map(Probe::Platform),
            _ => self.alert(&first.value).map(Probe::Alert),
        }
    }

    fn threshold(&mut self, node: &Node, fields: &Fields<'_>, what: &str) -> Option<Threshold> {
        let query = self.query(node);
        let op = self.required(fields, "op", what, "\"<\"").and_then(|n| self.word(n, "`op`", &OPS, &[]));
        let limit = self.required(fields, "value", what, "0.01").and_then(|n| self.limit(n, "`value`"));
        let (query, facts) = query?;
        let (limit, kind) = limit?;
        let unit = match kind {
            Some(Kind::Duration) => Unit::Seconds,
            Some(Kind::Ratio) => Unit::Ratio,
            _ => facts.guess_unit(limit),
        };
        let lookback = Duration::from_millis(u64::try_from(facts.longest_range.as_millis()).unwrap_or(u64::MAX));
        Some(Threshold { query: query.text, op: op?.value, limit, unit, lookback })
    }

    /// A query, filled in and parsed.
    pub(super) fn query(&mut self, node: &Node) -> Option<(Query, QueryFacts)> {
        let Some(scalar) = node.scalar().filter(|s| !s.text.trim().is_empty()) else {
            let why = format!("`promql` must be a query, not {}", node.shape());
            self.report.error("wrong-type", node.span, why, "write the query behind the colon, or below it after `|`");
            return None;
        };
        let mut query = match template::fill_query(&scalar.text, &self.bindings) {
            Ok(query) => query,
            Err(faults) => {
                self.faults(node, faults);
                return None;
            }
        };
        query.trim_end();
        if query.text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.report.error("invalid-text", node.span, "`promql` holds control characters", "remove them");
            return None;
        }
        match promql::inspect(&query.text) {
            Ok(facts) => {
                queries::lint(&query.text, node.span, &mut self.report);
                Some((query, facts))
            }
            Err(error) => {
                let span = self.place_in_query(node, &query, error.position);
                let why = format!("this is not PromQL: {}", error.why);
                self.report.error("promql-syntax", span, why, "try the query in the metrics server's own console");
                None
            }
        }
    }

    /// The character of the file behind a character of the filled query; the whole query for the first one, which stands for any.
    fn place_in_query(&self, node: &Node, query: &Query, position: usize) -> Span {
        let text = node.scalar().map_or("", |scalar| scalar.text.as_str());
        if position == 0 {
            return self.source.within(node, 0, text.trim_end().len());
        }
        let byte = query.text.char_indices().nth(position).map_or(query.text.len(), |(byte, _)| byte);
        let origin = query.origin(byte);
        let length = text.get(origin..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        self.source.within(node, origin, origin + length)
    }

    fn platform(&mut self, node: &Node) -> Option<PlatformCondition> {
        const KNOWN: &[&str] =
            &["track", "ready", "rollout", "min_replicas", "restarts_max", "version", "version_present", "weight", "paused"];
        const LATER: [&str; 2] = ["route_mapped", "selector"];
        let fields = self.fields(node, "`platform`", KNOWN, &LATER)?;
        let asks = KNOWN[1..].iter().chain(&LATER).any(|key| fields.get(key).is_some());
        if !asks {
            let why = "`platform` asks nothing, so it would always be good";
            self.report.error("missing-key", node.span, why, "write `ready: all`, `min_replicas: 4` or `restarts_max: 0`");
            return None;
        }
        let track =
            fields.value("track").map_or(Some(None), |n| self.word(n, "`track`", &TRACKS, &["blue", "green"]).map(|w| Some(w.value)));
        let ready = fields.value("ready").map_or(Some(false), |n| self.word(n, "`ready`", &[("all", true)], &[]).map(|w| w.value));
        // Two words for one thing: that all are ready is told by how the platform tells that a rollout is complete.
        let rollout =
            fields.value("rollout").map_or(Some(false), |n| self.word(n, "`rollout`", &[("complete", true)], &[]).map(|w| w.value));
        let mut count = |key: &str| fields.value(key).map_or(Some(None), |n| self.integer(n, &format!("`{key}`"), 1_000_000).map(Some));
        let (min_replicas, restarts_max) = (count("min_replicas"), count("restarts_max"));
        let mut version = |key: &str| fields.value(key).map_or(Some(None), |n| self.line(n, &format!("`{key}`")).map(Some));
        let (all_run, present) = (version("version"), version("version_present"));
        let weight = fields.value("weight").map_or(Some(None), |n| self.integer(n, "`weight`", 100).map(Percent::new));
        let paused = fields.value("paused").map_or(Some(None), |n| self.boolean(n, "`paused`").map(Some));
        if let (Some(entry), Some(Some(Track::Baseline))) = (fields.get("weight"), track) {
            let why = "`weight` is the canary's share, and this asks the baseline";
            self.report.error("misplaced-key", entry.key.span, why, "write `track: canary`, or remove `track`");
        }
        Some(PlatformCondition {
            on: None,
            track: track?,
            ready_all: ready? | rollout?,
            min_replicas: min_replicas?,
            restarts_max: restarts_max?,
            version: all_run?,
            version_present: present?,
            weight: weight?,
            paused: paused?,
        })
    }
}
