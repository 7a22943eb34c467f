//! The few signs that are no letters, in two sets: box drawing, and plain ASCII.

use super::line::{Line, Role};
use crate::domain::{Series, Threshold, Verdict};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// A set of signs. No emoji, nothing whose width depends on a font's mood: status signs are of neutral width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// Only ASCII.
    pub ascii: bool,
}

/// What one cell of a sparkline stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bucket {
    /// Share of the limit, 0 to 1.
    Level(f64),
    /// Over the limit.
    Breach,
    /// Before the first sample.
    Before,
    /// Nothing between two samples.
    Gap,
    /// Nothing since the newest sample.
    Missing,
}

impl Glyphs {
    fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }

    /// Good.
    #[must_use]
    pub fn ok(self) -> &'static str {
        self.pick("✓", "+")
    }

    /// Bad.
    #[must_use]
    pub fn bad(self) -> &'static str {
        self.pick("✗", "X")
    }

    /// Here, now.
    #[must_use]
    pub fn here(self) -> &'static str {
        self.pick("▸", ">")
    }

    /// No data in a span.
    #[must_use]
    pub fn hatch(self) -> &'static str {
        self.pick("╱", "/")
    }

    /// From one value to another.
    #[must_use]
    pub fn arrow(self) -> &'static str {
        self.pick("→", "->")
    }

    fn full(self) -> &'static str {
        self.pick("█", "#")
    }

    /// The sign of a verdict.
    pub(super) fn verdict(self, verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Go => self.ok(),
            Verdict::Watch => "!",
            Verdict::Hold => ".",
            Verdict::Unknown => "?",
            Verdict::NoGo => self.bad(),
        }
    }

    /// `[████░░░░]`, `cells` cells with the brackets. `done` from 0 to 1.
    pub(super) fn progress(self, done: f64, cells: usize) -> Line {
        let room = cells.saturating_sub(2);
        let filled = part(done, room);
        let rest = self.pick("░", "-");
        Line::of("[").mark(Role::Info, self.full().repeat(filled)).mark(Role::Border, rest.repeat(room - filled)).text("]")
    }

    /// `[░░░░████]`: the baseline's share at the left, the canary's at the right.
    pub(super) fn split(self, canary: f64, cells: usize) -> Line {
        let room = cells.saturating_sub(2);
        let filled = part(canary, room);
        Line::of("[")
            .mark(Role::Baseline, self.pick("░", "=").repeat(room - filled))
            .mark(Role::Canary, self.full().repeat(filled))
            .text("]")
    }

    /// A bar that grows from the left.
    pub(super) fn weight(self, share: f64, cells: usize) -> Line {
        let room = cells.saturating_sub(2);
        let filled = part(share, room);
        Line::of("[")
            .mark(Role::Canary, self.full().repeat(filled))
            .mark(Role::Baseline, self.pick("░", "=").repeat(room - filled))
            .text("]")
    }

    /// A sparkline.
    pub(super) fn spark(self, buckets: &[Bucket]) -> Line {
        const UNICODE: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
        const ASCII: [&str; 8] = [".", ".", "-", "=", "+", "*", "#", "#"];
        let levels = if self.ascii { ASCII } else { UNICODE };
        buckets.iter().fold(Line::default(), |line, bucket| match bucket {
            Bucket::Level(level) => line.mark(Role::Canary, levels[((level * 8.0).floor() as usize).clamp(1, 8) - 1]),
            Bucket::Breach => line.mark(Role::Breach, "!"),
            Bucket::Before => line.text(" "),
            Bucket::Gap => line.mark(Role::Stale, self.hatch()),
            Bucket::Missing => line.mark(Role::Stale, "?"),
        })
    }
}

/// `share` (0 to 1) of `room` cells; something is never nothing, and not all is never all.
fn part(share: f64, room: usize) -> usize {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let cells = (share * room as f64).round() as usize;
    if share > 0.0 && cells == 0 && room > 0 {
        1
    } else if share < 1.0 && cells == room && room > 1 {
        room - 1
    } else {
        cells.min(room)
    }
}

/// The slots of a series in `cells` buckets that end at `end` and reach `reach` back: each keeps its worst slot, so that a spike cannot vanish.
/// `f` folds the samples of one bucket.
pub(super) fn buckets<T: Copy>(
    series: &Series,
    end: DateTime<Utc>,
    reach: Duration,
    cells: usize,
    f: impl Fn(Option<T>, f64) -> Option<T>,
) -> Vec<Option<T>> {
    let mut out = vec![None; cells];
    let span = reach.as_millis() as f64;
    if cells == 0 || span <= 0.0 {
        return out;
    }
    let step = series.step.as_millis() as f64;
    let first = (series.start - end).num_milliseconds() as f64 + span;
    for (i, value) in series.values.iter().enumerate() {
        let Some(value) = value.filter(|v| !v.is_nan()) else { continue };
        let at = first + step * i as f64;
        if at < 0.0 || at > span {
            continue;
        }
        let cell = ((at / span * cells as f64) as usize).min(cells - 1);
        out[cell] = f(out[cell], value);
    }
    // A slot that is wider than a cell stands for all the cells up to the next slot.
    let cell_span = span / cells as f64;
    if step > cell_span {
        let fill = (step / cell_span).ceil() as usize;
        spread(&mut out, series, first, span, fill);
    }
    out
}

fn spread<T: Copy>(out: &mut [Option<T>], series: &Series, first: f64, span: f64, fill: usize) {
    let cells = out.len();
    let step = series.step.as_millis() as f64;
    let mut i = 0;
    while i < cells {
        if let Some(value) = out[i] {
            let mut last = i;
            for offset in 1..fill {
                let at = i + offset;
                if at >= cells || out[at].is_some() {
                    break;
                }
                // Only up to where the next slot would begin; never beyond the newest sample's own slot.
                let time = (at as f64 + 0.5) / cells as f64 * span;
                let slot = ((time - first) / step).floor();
                let known = slot >= 0.0 && series.values.get(slot as usize).copied().flatten().is_some();
                if !known {
                    break;
                }
                out[at] = Some(value);
                last = at;
            }
            i = last + 1;
        } else {
            i += 1;
        }
    }
}

/// A sparkline's cells. Full height is the limit. `stale`: the time since the newest sample counts as missing.
pub(super) fn spark_buckets(series: Option<&Series>, threshold: &Threshold, now: DateTime<Utc>, stale: bool, cells: usize) -> Vec<Bucket> {
    let missing = if stale { Bucket::Missing } else { Bucket::Before };
    let Some(series) = series else { return vec![missing; cells] };
    let Some(newest) = series.last() else { return vec![missing; cells] };
    let chart = crate::app::model::Model::CHART;
    // Stale is one cell of question marks at least, however wide a cell is: the newest sample never stands where now is.
    let silence = if stale { crate::domain::time::age(now, newest.at).min(chart) } else { Duration::ZERO };
    let silent = (silence.as_secs_f64() / chart.as_secs_f64() * cells as f64).round() as usize;
    let silent = if stale { silent.clamp(1, cells.max(1)).min(cells) } else { 0 };
    let found = buckets(series, newest.at, chart.saturating_sub(silence), cells - silent, |kept: Option<f64>, value| {
        let level = of_limit(threshold, value);
        Some(kept.map_or(level, |k| k.max(level)))
    });
    let (first, last) = (found.iter().position(Option::is_some), found.iter().rposition(Option::is_some));
    let bucket = |(i, level): (usize, &Option<f64>)| match level {
        Some(level) if *level > 1.0 => Bucket::Breach,
        Some(level) => Bucket::Level(*level),
        None if first.is_none_or(|f| i < f) && last.is_some() => Bucket::Before,
        None if last.is_some_and(|l| i < l) => Bucket::Gap,
        None => missing,
    };
    let mut out: Vec<Bucket> = found.iter().enumerate().map(bucket).collect();
    out.resize(cells, missing);
    out
}

/// How much of its limit a value uses; above 1 is bad.
fn of_limit(threshold: &Threshold, value: f64) -> f64 {
    const OVER: f64 = 2.0;
    if !threshold.op.holds(value, threshold.limit) {
        return OVER;
    }
    let ratio = match threshold.op {
        crate::domain::Op::Greater | crate::domain::Op::GreaterOrEqual if threshold.limit > 0.0 => threshold.limit / value,
        _ if threshold.limit == 0.0 => 0.0,
        _ => value / threshold.limit,
    };
    if ratio.is_finite() { ratio.clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Op, Unit};
    use chrono::TimeDelta;

    fn threshold() -> Threshold {
        Threshold { query: "q".into(), op: Op::Less, limit: 1.0, unit: Unit::Number, lookback: Duration::ZERO }
    }

    fn series(values: Vec<Option<f64>>) -> Series {
        Series { labels: crate::domain::Labels::new(), start: DateTime::UNIX_EPOCH, step: Duration::from_secs(60), values }
    }

    fn end(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    #[test]
    fn a_spike_survives_any_width_and_is_an_exclamation_mark() {
        let mut values = vec![Some(0.5); 16];
        values[7] = Some(3.0);
        for cells in 1..80 {
            let text =
                Glyphs { ascii: true }.spark(&spark_buckets(Some(&series(values.clone())), &threshold(), end(15), false, cells)).plain();
            assert!(text.contains('!'), "{cells}: {text}");
            assert_eq!(text.chars().count(), cells);
        }
    }

    #[test]
    fn a_gap_stays_a_gap_and_silence_up_to_now_is_a_question_mark() {
        let mut values = vec![Some(0.5); 12];
        values[5] = None;
        values[6] = None;
        let cells = spark_buckets(Some(&series(values)), &threshold(), end(15), true, 15);
        let text = Glyphs { ascii: true }.spark(&cells).plain();
        assert_eq!(text, "=====//====????");
    }

    #[test]
    fn stale_is_seen_in_few_cells_too() {
        for cells in 1..80 {
            let buckets = spark_buckets(Some(&series(vec![Some(0.5); 15])), &threshold(), end(15), true, cells);
            assert_eq!((buckets.len(), buckets.last()), (cells, Some(&Bucket::Missing)));
        }
        assert!(spark_buckets(Some(&series(vec![Some(0.5)])), &threshold(), end(15), true, 0).is_empty());
    }

    #[test]
    fn the_last_value_is_never_extended() {
        let cells = spark_buckets(Some(&series(vec![Some(0.5); 2])), &threshold(), end(15), true, 60);
        assert!(cells[8..].iter().all(|b| *b == Bucket::Missing), "{cells:?}");
    }

    #[test]
    fn something_is_never_drawn_as_nothing() {
        let bar = |share| Glyphs { ascii: true }.split(share, 12).plain();
        assert_eq!(bar(0.0), "[==========]");
        assert_eq!(bar(0.01), "[=========#]");
        assert_eq!(bar(0.99), "[=#########]");
        assert_eq!(bar(f64::NAN), "[==========]");
    }
}
