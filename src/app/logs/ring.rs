//! Lines in the order of their time, bounded by number and bytes.

use super::filter::LogFilter;
use crate::domain::Track;
use crate::domain::log::{LogLevel, LogLine};
use crate::judge::patterns::PatternId;
use std::collections::VecDeque;

/// Lines kept.
const LINES: usize = 8000;
/// Bytes of text kept.
const BYTES: usize = 4 << 20;

/// A line in the ring.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRow {
    /// Its identity on screen; grows with arrival.
    pub seq: u64,
    /// The line.
    pub line: LogLine,
    /// Its template.
    pub pattern: Option<PatternId>,
    /// The filter lets it through.
    pub shown: bool,
}

/// A line on screen with those of its kind that follow it directly and are not shown apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Folded<'a> {
    /// The newest of them.
    pub row: &'a LogRow,
    /// How many they are.
    pub times: usize,
}

/// The ring.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    rows: VecDeque<LogRow>,
    bytes: usize,
    next: u64,
    /// Lines that were pushed out by newer ones.
    pub pushed_out: u64,
}

impl Ring {
    /// Takes lines in, wherever their time puts them.
    pub fn extend(&mut self, lines: impl IntoIterator<Item = (LogLine, Option<PatternId>)>, filter: &LogFilter) {
        let mut fresh: Vec<LogRow> = lines
            .into_iter()
            .map(|(line, pattern)| {
                self.next += 1;
                let mut row = LogRow { seq: self.next, line, pattern, shown: true };
                row.shown = filter.takes(&row);
                row
            })
            .collect();
        self.bytes += fresh.iter().map(|row| row.line.text.len()).sum::<usize>();
        fresh.sort_by_key(|row| (row.line.at, row.seq));
        let Some(first) = fresh.first().map(|row| row.line.at) else { return };
        // Streams run side by side: what is newer than the first of these is sorted in among them.
        let stays = self.rows.partition_point(|row| row.line.at <= first);
        let mut newer = self.rows.split_off(stays).into_iter().peekable();
        for row in fresh {
            while newer.peek().is_some_and(|there| there.line.at <= row.line.at) {
                self.rows.extend(newer.next());
            }
            self.rows.push_back(row);
        }
        self.rows.extend(newer);
        while self.rows.len() > LINES || self.bytes > BYTES {
            let Some(oldest) = self.rows.pop_front() else { break };
            self.bytes -= oldest.line.text.len();
            self.pushed_out += 1;
        }
    }

    /// Applies another filter.
    pub fn refilter(&mut self, filter: &LogFilter) {
        for row in &mut self.rows {
            row.shown = filter.takes(row);
        }
    }

    /// Lines held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Lines held, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &LogRow> {
        self.rows.iter()
    }

    /// Whether a line is there and shown.
    #[must_use]
    pub fn shows(&self, seq: u64) -> bool {
        self.rows.iter().any(|row| row.seq == seq && row.shown)
    }

    /// Where a line stands in what is on screen: itself, or the one that it is folded into.
    #[must_use]
    pub fn place(&self, list: &[Folded<'_>], seq: u64) -> usize {
        let Some(row) = self.rows.iter().find(|row| row.seq == seq) else { return list.len().saturating_sub(1) };
        let newer = list.partition_point(|folded| (folded.row.line.at, folded.row.seq) > (row.line.at, row.seq));
        let is_it = list.get(newer).is_some_and(|folded| folded.row.seq == seq);
        if is_it { newer } else { newer.saturating_sub(1) }
    }

    /// What is on screen, newest first: of one side or of both.
    #[must_use]
    pub fn folded(&self, track: Option<Track>) -> Vec<Folded<'_>> {
        let mut list: Vec<Folded<'_>> = Vec::new();
        for row in self.rows.iter().rev().filter(|row| row.shown && track.is_none_or(|track| track == row.line.track)) {
            match list.last_mut() {
                Some(last) if folds(last.row, row) => last.times += 1,
                _ => list.push(Folded { row, times: 1 }),
            }
        }
        list
    }
}

/// Whether the older of two neighbours goes without saying: the very same words, or another warning or error of one kind.
fn folds(newer: &LogRow, older: &LogRow) -> bool {
    let same = newer.line.instance == older.line.instance && newer.line.level == older.line.level;
    let kind = newer.line.level >= LogLevel::Warn && newer.pattern.is_some() && newer.pattern == older.pattern;
    same && (kind || newer.line.text == older.line.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use proptest::prelude::*;

    fn line(at: i64, instance: &str, level: LogLevel, text: &str) -> (LogLine, Option<PatternId>) {
        let line = LogLine {
            at: DateTime::from_timestamp(at, 0).unwrap(),
            instance: instance.into(),
            name: instance.into(),
            track: if instance.starts_with('c') { Track::Canary } else { Track::Baseline },
            container: "app".into(),
            level,
            text: text.into(),
            seq: 0,
        };
        (line, Some(u32::from(text.len() > 3)))
    }

    #[test]
    fn what_does_not_fit_pushes_the_oldest_out_and_is_counted() {
        let mut ring = Ring::default();
        let filter = LogFilter::default();
        for part in 0..12 {
            ring.extend((0..1000).map(|n| line(part * 1000 + n, "c", LogLevel::Info, "x")), &filter);
        }
        assert_eq!((ring.len(), ring.pushed_out), (LINES, 4000));
        ring.extend((0..2000).map(|n| line(20_000 + n, "c", LogLevel::Info, &"y".repeat(4096))), &filter);
        assert!(ring.len() <= 1024 && ring.rows.iter().map(|row| row.line.text.len()).sum::<usize>() <= BYTES);
    }

    #[test]
    fn warnings_of_one_kind_fold_and_requests_do_not() {
        let mut ring = Ring::default();
        let lines = [
            line(1, "c1", LogLevel::Info, "GET 31"),
            line(2, "c1", LogLevel::Info, "GET 32"),
            line(3, "c1", LogLevel::Warn, "waited 1"),
            line(4, "c1", LogLevel::Warn, "waited 2"),
            line(5, "c2", LogLevel::Warn, "waited 3"),
            line(6, "b1", LogLevel::Info, "ping"),
            line(7, "b1", LogLevel::Info, "ping"),
        ];
        ring.extend(lines, &LogFilter::default());
        let seen = |track| ring.folded(track).iter().map(|f| (f.row.line.text.to_string(), f.times)).collect::<Vec<_>>();
        let expected = [("ping", 2), ("waited 3", 1), ("waited 2", 2), ("GET 32", 1), ("GET 31", 1)];
        assert_eq!(seen(None), expected.map(|(text, times)| (text.to_owned(), times)));
        assert_eq!(seen(Some(Track::Baseline)), [("ping".to_owned(), 2)]);
    }

    proptest! {
        #[test]
        fn lines_stand_in_the_order_of_their_time_whatever_order_they_came_in(batches in prop::collection::vec(prop::collection::vec(0i64..50, 0..20), 0..12)) {
            let mut ring = Ring::default();
            let count: usize = batches.iter().map(Vec::len).sum();
            for batch in batches {
                ring.extend(batch.into_iter().map(|at| line(at, "c", LogLevel::Info, "x")), &LogFilter::default());
            }
            prop_assert_eq!(ring.len(), count);
            prop_assert!(ring.iter().collect::<Vec<_>>().windows(2).all(|w| (w[0].line.at, w[0].seq) < (w[1].line.at, w[1].seq)));
        }
    }
}
