//! The times of a release: T-0, the window in which it may begin, freezes, and how long a way back may take.

use crate::domain::StepId;
use crate::domain::millis;
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Windows are looked for so many days ahead.
const AHEAD: u64 = 15;

/// The times of a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClockPlan {
    /// T-0 is the beginning of this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t0: Option<StepId>,
    /// A run may begin to act in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// No run may begin to act in these, whatever the window says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
    /// Users have to be told so long before T-0.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "millis::optional")]
    pub notice: Option<Duration>,
    /// A way back that takes longer missed its target.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "millis::optional")]
    pub rto: Option<Duration>,
    /// Data may be lost for no longer than this: how old the last backup may be.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "millis::optional")]
    pub rpo: Option<Duration>,
}

/// Days and times at which a run may begin to act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Days of the week, in the window's own zone; the day on which it opens.
    pub days: Vec<Weekday>,
    /// Opens, wall time.
    pub from: NaiveTime,
    /// Closes, wall time; on the next day when it is not after `from`.
    pub to: NaiveTime,
    /// Name of the time zone, such as `Europe/Berlin`.
    pub tz: Tz,
    /// Who may set it aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_role: Option<String>,
}

/// A time in which no release begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// What for.
    pub why: String,
    /// Begins.
    pub from: DateTime<Utc>,
    /// Ends.
    pub until: DateTime<Utc>,
}

/// Whether a release may begin now, and when that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// It may, until then; for ever when nothing is planned.
    Open(Option<DateTime<Utc>>),
    /// It may not.
    Closed {
        /// In words.
        why: String,
        /// When it may, as far as that can be told.
        opens: Option<DateTime<Utc>>,
    },
}

impl ClockPlan {
    /// Whether the file says nothing about time.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a release may begin at this moment. A freeze beats the window.
    #[must_use]
    pub fn opening(&self, at: DateTime<Utc>) -> Opening {
        if let Some(freeze) = self.freeze.iter().filter(|f| f.from <= at && at < f.until).max_by_key(|f| f.until) {
            let until = freeze.until.format("%Y-%m-%d %H:%MZ");
            return Opening::Closed { why: format!("freeze until {until}: {}", freeze.why), opens: self.opens_after(freeze.until) };
        }
        let frozen_next = self.freeze.iter().map(|f| f.from).filter(|from| *from > at).min();
        let Some(window) = &self.window else { return Opening::Open(frozen_next) };
        match window.around(at) {
            Some((_, closes)) => Opening::Open(Some(frozen_next.map_or(closes, |from| from.min(closes)))),
            None => Opening::Closed { why: format!("outside the release window ({})", window.words()), opens: self.opens_after(at) },
        }
    }

    /// The first moment from then on at which it is open.
    fn opens_after(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut at = from;
        // Each turn passes one window or one freeze.
        for _ in 0..100 {
            if let Some(window) = &self.window {
                at = if window.around(at).is_some() { at } else { window.next_after(at)? };
            }
            match self.freeze.iter().filter(|f| f.from <= at && at < f.until).map(|f| f.until).max() {
                Some(until) => at = until,
                None => return Some(at),
            }
        }
        None
    }
}

impl Window {
    /// For people: `mon,tue 09:00-16:00 Europe/Berlin`.
    #[must_use]
    pub fn words(&self) -> String {
        let days: Vec<String> = self.days.iter().map(|day| day.to_string().to_ascii_lowercase()).collect();
        format!("{} {}-{} {}", days.join(","), self.from.format("%H:%M"), self.to.format("%H:%M"), self.tz)
    }

    /// Beginning and end of the window that a moment lies in.
    fn around(&self, at: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let today = at.with_timezone(&self.tz).date_naive();
        // One that opened yesterday may go on past midnight.
        [today.checked_sub_days(Days::new(1)), Some(today)]
            .into_iter()
            .flatten()
            .filter_map(|day| self.on(day))
            .find(|(opens, closes)| *opens <= at && at < *closes)
    }

    fn next_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = at.with_timezone(&self.tz).date_naive();
        (0..AHEAD).filter_map(|n| self.on(today.checked_add_days(Days::new(n))?)).map(|(opens, _)| opens).find(|opens| *opens > at)
    }

    fn on(&self, day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        if !self.days.contains(&day.weekday()) {
            return None;
        }
        let closing = if self.to > self.from { day } else { day.checked_add_days(Days::new(1))? };
        Some((self.moment(day, self.from)?, self.moment(closing, self.to)?))
    }

    /// Wall time as a moment. One that the change to summer time leaves out is the first one after it; of two the earlier.
    fn moment(&self, day: NaiveDate, time: NaiveTime) -> Option<DateTime<Utc>> {
        let local = day.and_time(time);
        (0..=4_i64).find_map(|half_hours| {
            let later = local.checked_add_signed(TimeDelta::minutes(30 * half_hours))?;
            self.tz.from_local_datetime(&later).earliest().map(|at| at.with_timezone(&Utc))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn plan(from: &str, to: &str) -> ClockPlan {
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
        let window = Window {
            days: vec![Weekday::Mon, Weekday::Tue, Weekday::Sat],
            from: time(from),
            to: time(to),
            tz: chrono_tz::Europe::Berlin,
            override_role: None,
        };
        ClockPlan { window: Some(window), ..ClockPlan::default() }
    }

    #[test]
    fn a_window_is_meant_in_its_own_zone_summer_and_winter() {
        let plan = plan("09:00", "16:00");
        // Monday, winter: 09:00 in Berlin is 08:00 UTC; the end is not part of it.
        assert_eq!(plan.opening(at("2026-11-16T08:00:00Z")), Opening::Open(Some(at("2026-11-16T15:00:00Z"))));
        assert!(
            matches!(plan.opening(at("2026-11-16T07:59:59Z")), Opening::Closed { opens: Some(opens), .. } if opens == at("2026-11-16T08:00:00Z"))
        );
        assert!(matches!(plan.opening(at("2026-11-16T15:00:00Z")), Opening::Closed { .. }));
        // Summer: one hour earlier.
        assert_eq!(plan.opening(at("2026-07-13T07:00:00Z")), Opening::Open(Some(at("2026-07-13T14:00:00Z"))));
        // From Wednesday the next one is on Saturday.
        assert!(
            matches!(plan.opening(at("2026-11-18T12:00:00Z")), Opening::Closed { opens: Some(opens), .. } if opens == at("2026-11-21T08:00:00Z"))
        );
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
        let plan = plan("22:00", "02:00");
        assert_eq!(plan.opening(at("2026-11-18T00:30:00Z")), Opening::Open(Some(at("2026-11-18T01:00:00Z"))), "Tuesday's");
        assert!(matches!(plan.opening(at("2026-11-19T00:30:00Z")), Opening::Closed { .. }), "Wednesday has none");
    }

    #[test]
    fn an_opening_time_that_summer_time_leaves_out_is_the_next_one_that_exists() {
        let mut plan = plan("02:30", "06:00");
        plan.window.as_mut().unwrap().days = vec![Weekday::Sun];
        assert_eq!(plan.opening(at("2026-03-29T01:00:00Z")), Opening::Open(Some(at("2026-03-29T04:00:00Z"))));
        assert!(matches!(plan.opening(at("2026-03-29T00:59:00Z")), Opening::Closed { .. }));
    }

    #[test]
    fn a_freeze_beats_the_window_and_says_when_it_is_over() {
        let mut plan = plan("09:00", "16:00");
        let freeze = |from: &str, until: &str| Freeze { why: "quarter end".into(), from: at(from), until: at(until) };
        plan.freeze = vec![freeze("2026-11-16T10:00:00Z", "2026-11-17T18:00:00Z")];
        assert_eq!(plan.opening(at("2026-11-16T09:00:00Z")), Opening::Open(Some(at("2026-11-16T10:00:00Z"))), "it begins in an hour");
        let Opening::Closed { why, opens } = plan.opening(at("2026-11-16T10:00:00Z")) else { panic!("frozen") };
        assert!(why.contains("quarter end"), "{why}");
        assert_eq!(opens, Some(at("2026-11-21T08:00:00Z")), "Tuesday's window is over when the freeze ends");
        let no_window = ClockPlan { window: None, ..plan };
        assert_eq!(no_window.opening(at("2026-11-18T10:00:00Z")), Opening::Open(None));
    }
}
