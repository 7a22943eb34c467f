//! A chart of letters: `c` canary, `b` baseline, a dashed limit, gaps as gaps.

use super::glyph::buckets;
use super::line::{Line, Role};
use super::sight::Sight;
use crate::app::model::Model;
use crate::domain::{Series, Unit};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// What a chart shows.
pub(super) struct Chart<'a> {
    pub(super) canary: Option<&'a Series>,
    pub(super) base: Option<&'a Series>,
    pub(super) limit: Option<f64>,
    pub(super) unit: Unit,
    /// Good is below the limit; above otherwise.
    pub(super) good_below: bool,
    /// The time since the newest sample counts as missing.
    pub(super) stale: bool,
    /// The highest and lowest value that must be in the picture.
    pub(super) range: Option<(f64, f64)>,
}

const LABEL: usize = 8;

impl Chart<'_> {
    /// The chart in `cells` columns and `rows` rows, the time axis in the last one.
    pub(super) fn lines(&self, sight: &Sight<'_>, cells: usize, rows: usize) -> Vec<Line> {
        let columns = cells.saturating_sub(LABEL + 2);
        if rows < 4 || columns < 8 {
            return Vec::new();
        }
        let end = self.end(sight);
        let reach = Model::CHART;
        let canary = self.columns(self.canary, end, reach, columns);
        let base = self.columns(self.base, end, reach, columns);
        if canary.iter().chain(&base).all(Option::is_none) {
            return Self::nothing(sight, rows);
        }
        let (low, high) = self.bounds(&canary, &base);
        let plot = rows - 1;
        let row_of = |value: f64| {
            let share = if high > low { (high - value) / (high - low) } else { 0.5 };
            ((share * (plot - 1) as f64).round().clamp(0.0, (plot - 1) as f64)) as usize
        };
        let newest = canary.iter().rposition(Option::is_some);
        let limit_row = self.limit.map(row_of);
        let mut lines = Vec::with_capacity(rows);
        for row in 0..plot {
            let label = if row % 2 == 0 { self.unit.show(high - (high - low) * row as f64 / (plot - 1) as f64) } else { String::new() };
            let mut line = Line::of(format!("{label:>width$} ", width = LABEL - 1));
            for column in 0..columns {
                let here = |values: &[Option<f64>]| values[column].is_some_and(|v| row_of(v) == row);
                line = if here(&canary) {
                    let over = self.limit.zip(canary[column]).is_some_and(|(l, v)| if self.good_below { v > l } else { v < l });
                    line.mark(if over { Role::Breach } else { Role::Canary }, "c")
                } else if here(&base) {
                    line.mark(Role::Baseline, "b")
                } else if self.stale && newest.is_none_or(|n| column > n) && (row + column) % 2 == 0 {
                    line.mark(Role::Stale, "?")
                } else if limit_row == Some(row) && column % 2 == 0 {
                    line.mark(Role::Threshold, "-")
                } else {
                    line.text(" ")
                };
            }
            lines.push(line);
        }
        lines.push(axis(columns, reach));
        lines
    }

    fn end(&self, sight: &Sight<'_>) -> DateTime<Utc> {
        let newest = self.canary.into_iter().chain(self.base).filter_map(|s| s.last().map(|l| l.at)).max();
        if self.stale { sight.now.wall } else { newest.unwrap_or(sight.now.wall) }
    }

    fn columns(&self, series: Option<&Series>, end: DateTime<Utc>, reach: Duration, columns: usize) -> Vec<Option<f64>> {
        let Some(series) = series else { return vec![None; columns] };
        buckets(series, end, reach, columns, |kept: Option<f64>, value| {
            if !value.is_finite() {
                return kept;
            }
            Some(kept.map_or(value, |k| if self.good_below { k.max(value) } else { k.min(value) }))
        })
    }

    fn bounds(&self, canary: &[Option<f64>], base: &[Option<f64>]) -> (f64, f64) {
        let values = canary.iter().chain(base).flatten().copied().chain(self.limit);
        let (mut low, mut high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if let Some((a, b)) = self.range {
            return (low.min(a), high.max(b));
        }
        let margin = ((high - low) * 0.08).max(high.abs() * 0.02);
        if low >= 0.0 && low - margin < 0.0 {
            low = 0.0;
        } else {
            low -= margin;
        }
        high += margin;
        (low, high)
    }

    fn nothing(sight: &Sight<'_>, rows: usize) -> Vec<Line> {
        let hatch = sight.glyphs.hatch().repeat(2);
        let mut lines = vec![Line::default(); rows / 2];
        lines.push(Line::of(format!("   {hatch} no samples in the last 15 minutes {hatch}")));
        lines
    }
}

fn axis(columns: usize, reach: Duration) -> Line {
    let minutes = reach.as_secs() / 60;
    let (left, right) = (format!("-{minutes}m"), "now");
    let middle = format!("-{}m{:02}s", minutes / 2, reach.as_secs() / 2 % 60);
    let mut text = " ".repeat(LABEL) + &left;
    let centre = LABEL + columns / 2 - middle.len().min(columns) / 2;
    if centre > text.len() + 1 && columns > 30 {
        text = format!("{text:<centre$}{middle}");
    }
    let end = LABEL + columns - right.len();
    if end > text.len() {
        text = format!("{text:<end$}{right}");
    }
    Line::of(text)
}
