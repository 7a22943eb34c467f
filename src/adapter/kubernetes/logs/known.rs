//! Which lines were seen before a break, so that none comes twice: a node goes on from a whole second, not from a line.

use chrono::{DateTime, Utc};
use std::hash::{BuildHasher as _, DefaultHasher, Hasher as _};

/// Lines of one moment that are told apart.
const SAME_MOMENT: usize = 4096;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    last: Option<DateTime<Utc>>,
    /// Prints of the lines of that moment.
    prints: Vec<u64>,
    /// After a break: those of them that did not come again yet. `None` once something newer came.
    again: Option<Vec<u64>>,
    met: bool,
}

impl Known {
    /// Everything up to a moment, that included.
    pub(super) fn up_to(since: Option<DateTime<Utc>>) -> Self {
        Self { last: since, ..Self::default() }
    }

    /// From where to go on.
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        self.last
    }

    /// A connection begins: old lines may come again.
    pub(super) fn resume(&mut self) {
        self.again = self.last.map(|_| self.prints.clone());
        self.met = false;
    }

    /// Whether a line that was known came since the connection began.
    pub(super) fn met(&self) -> bool {
        self.met
    }

    /// Takes note of a line; false when it was known.
    pub(super) fn is_news(&mut self, at: DateTime<Utc>, text: &str) -> bool {
        let print = print(text);
        if let (Some(again), Some(last)) = (&mut self.again, self.last) {
            if at < last || at == last && (again.is_empty() && self.prints.is_empty()) {
                self.met = true;
                return false;
            }
            if at == last {
                if let Some(place) = again.iter().position(|known| *known == print) {
                    again.swap_remove(place);
                    self.met = true;
                    return false;
                }
            } else {
                self.again = None;
            }
        }
        if self.last.is_none_or(|last| at > last) {
            self.last = Some(at);
            self.prints.clear();
        }
        // A node writes its streams side by side: a line may be a little older than the one before.
        if self.last == Some(at) && self.prints.len() < SAME_MOMENT {
            self.prints.push(print);
        }
        true
    }
}

fn print(text: &str) -> u64 {
    let mut hasher = std::hash::BuildHasherDefault::<DefaultHasher>::default().build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(ms).unwrap()
    }

    fn take(known: &mut Known, lines: &[(i64, &str)]) -> Vec<String> {
        lines.iter().filter(|(ms, text)| known.is_news(at(*ms), text)).map(|(_, text)| (*text).to_owned()).collect()
    }

    #[test]
    fn what_comes_again_after_a_break_is_left_out_and_equal_lines_of_one_moment_are_counted() {
        let mut known = Known::default();
        assert_eq!(take(&mut known, &[(1000, "a"), (1500, "b"), (1500, "b")]).len(), 3, "nothing is known before a break");
        known.resume();
        let again = take(&mut known, &[(1000, "a"), (1500, "b"), (1500, "b"), (1500, "b"), (1500, "c"), (1600, "d")]);
        assert_eq!(again, ["b", "c", "d"]);
        assert!(known.met());
    }

    #[test]
    fn what_somebody_else_has_read_up_to_a_moment_is_known() {
        let mut known = Known::up_to(Some(at(1500)));
        known.resume();
        assert_eq!(take(&mut known, &[(1400, "a"), (1500, "b"), (1501, "c")]), ["c"]);
    }

    #[test]
    fn a_line_that_is_a_little_late_is_no_repeat() {
        let mut known = Known::default();
        known.resume();
        assert_eq!(take(&mut known, &[(1500, "out"), (1499, "err")]).len(), 2);
    }

    proptest! {
        #[test]
        fn every_line_comes_once_however_often_the_connection_breaks(
            steps in prop::collection::vec(0i64..3, 1..40),
            breaks in prop::collection::vec(0usize..40, 0..8),
        ) {
            let mut time = 10_000;
            let log: Vec<(i64, String)> = steps.iter().enumerate().map(|(i, step)| { time += step * 400; (time, format!("line {i}")) }).collect();
            let mut known = Known::default();
            let mut told = Vec::new();
            let mut ends: Vec<usize> = breaks.into_iter().map(|end| end.min(log.len())).collect();
            ends.sort_unstable();
            ends.push(log.len());
            for end in ends {
                // The node starts at the whole second of what was seen last.
                let from = known.since().map_or(i64::MIN, |last| last.timestamp() * 1000);
                known.resume();
                for (ms, text) in log[..end].iter().filter(|(ms, _)| *ms >= from) {
                    if known.is_news(at(*ms), text) {
                        told.push(text.clone());
                    }
                }
            }
            prop_assert_eq!(told, log.into_iter().map(|(_, text)| text).collect::<Vec<_>>());
        }
    }
}
