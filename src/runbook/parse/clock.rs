//! The times of a runbook: `clock`, and `t` of a step.

use super::draft::ClockDraft;
use super::node::{At, Node};
use super::{Given, Walk};
use crate::domain::StepId;
use crate::runbook::clock::{ClockPlan, Freeze, Window};
use crate::runbook::template::nearest;
use chrono::{DateTime, NaiveTime, Utc, Weekday};
use chrono_tz::{TZ_VARIANTS, Tz};
use std::time::Duration;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];

impl Walk<'_> {
    /// `clock`.
    pub(super) fn clock(&mut self, node: &Node) -> Option<ClockDraft> {
        let fields = self.fields(node, "`clock`", &["window", "freeze"], &["t0", "notice", "rto", "rpo"])?;
        let t0 = fields.value("t0").and_then(|n| self.id(n, "`t0`")).map(|id| At::new(StepId(id.value), id.span));
        let mut span = |key: &str| match fields.value(key) {
            None => Some(None),
            Some(node) => match self.duration(node, &format!("`{key}`"), Duration::from_secs(1)) {
                Given::Is(at) => Some(Some(at.value)),
                Given::Absent | Given::Broken => None,
            },
        };
        let (notice, rto, rpo) = (span("notice")?, span("rto")?, span("rpo")?);
        let window = match fields.value("window") {
            Some(node) => Some(self.window(node)?),
            None => None,
        };
        let freeze = match fields.value("freeze") {
            Some(node) => self.list(node, "`freeze`").iter().filter_map(|n| self.freeze(n)).collect(),
            None => Vec::new(),
        };
        let plan = ClockPlan { t0: t0.as_ref().map(|at| at.value.clone()), window, freeze, notice, rto, rpo };
        Some(ClockDraft { plan, t0 })
    }

    fn window(&mut self, node: &Node) -> Option<Window> {
        let fields = self.fields(node, "`window`", &["days", "from", "to", "tz", "override"], &[])?;
        let days = self.required(&fields, "days", "`window`", "[mon, tue, wed, thu]")?;
        let named = self.list(days, "`days`");
        let days: Vec<Weekday> = named.iter().filter_map(|n| self.word(n, "`days`", &DAYS, &[])).map(|day| day.value).collect();
        if days.is_empty() {
            self.report.error("empty-value", node.span, "a window without days never opens", "write days: [mon, tue, wed, thu]");
        }
        let from = self.required(&fields, "from", "`window`", "\"09:00\"").and_then(|n| self.time(n, "`from`"));
        let to = self.required(&fields, "to", "`window`", "\"16:00\"").and_then(|n| self.time(n, "`to`"));
        let tz = self.required(&fields, "tz", "`window`", "Europe/Berlin").and_then(|n| self.zone(n));
        let override_role = match fields.value("override") {
            Some(node) => Some(self.role_name(node, "`override`")?),
            None => None,
        };
        Some(Window { days, from: from?, to: to?, tz: tz?, override_role })
    }

    fn zone(&mut self, node: &Node) -> Option<Tz> {
        let name = self.line(node, "`tz`")?;
        if let Ok(zone) = name.parse() {
            return Some(zone);
        }
        let help = match nearest(&name, TZ_VARIANTS.iter().map(|tz| tz.name())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write a name such as Europe/Berlin or UTC".to_owned(),
        };
        self.report.error("invalid-value", node.span, format!("`{name}` is no time zone"), help);
        None
    }

    fn time(&mut self, node: &Node, what: &str) -> Option<NaiveTime> {
        let text = self.line(node, what)?;
        let time = NaiveTime::parse_from_str(&text, "%H:%M").ok().filter(|_| text.len() == 5);
        if time.is_none() {
            self.report.error("invalid-value", node.span, format!("{what}: `{text}` is no time of day"), "write \"09:00\", in quotes");
        }
        time
    }

    fn freeze(&mut self, node: &Node) -> Option<Freeze> {
        let fields = self.fields(node, "a freeze", &["why", "from", "until"], &[])?;
        let why = self.required(&fields, "why", "a freeze", "quarter end").and_then(|n| self.line(n, "`why`"));
        let from = self.required(&fields, "from", "a freeze", "\"2026-12-24T00:00:00+01:00\"").and_then(|n| self.moment(n, "`from`"));
        let until = self.required(&fields, "until", "a freeze", "\"2026-12-27T00:00:00+01:00\"").and_then(|n| self.moment(n, "`until`"));
        let (from, until) = (from?, until?);
        if until <= from {
            self.report.error("empty-window", node.span, "this freeze ends before it begins", "exchange `from` and `until`");
        }
        Some(Freeze { why: why?, from, until })
    }

    /// A moment with its offset from UTC: one without is another moment on another desk.
    fn moment(&mut self, node: &Node, what: &str) -> Option<DateTime<Utc>> {
        let text = self.line(node, what)?;
        let moment = DateTime::parse_from_rfc3339(&text).ok().map(|at| at.with_timezone(&Utc));
        if moment.is_none() {
            let why = format!("{what}: `{text}` is no moment with its offset from UTC");
            self.report.error("invalid-value", node.span, why, "write \"2026-12-24T00:00:00+01:00\", in quotes");
        }
        moment
    }

    /// `T-15m`, `T-0` or `T+5m`, in milliseconds after T-0.
    pub(super) fn t_mark(&mut self, node: &Node) -> Option<At<i64>> {
        let text = self.line(node, "`t`")?;
        let millis = |rest: &str| match rest {
            "0" => Some(0),
            rest => super::words::duration(rest).ok().and_then(|d| i64::try_from(d.as_millis()).ok()),
        };
        let mark = match (text.strip_prefix("T-"), text.strip_prefix("T+")) {
            (Some(before), _) => millis(before).map(|ms| -ms),
            (_, Some(after)) => millis(after),
            _ => None,
        };
        if mark.is_none() {
            self.report.error("invalid-duration", node.span, format!("`t`: `{text}` is no place on the clock"), "write T-15m, T-0 or T+5m");
        }
        mark.map(|ms| At::new(ms, node.span))
    }
}
