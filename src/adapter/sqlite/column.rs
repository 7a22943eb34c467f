//! How values stand in columns: numbers as SQLite's signed 64 bits, times as RFC 3339 in UTC with all their digits.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use rusqlite::Row;

/// A count as SQLite holds it. Counts beyond 2^63 do not occur; they would fail the table's checks or the chain's.
pub(super) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A count from its column. A negative one was forged and becomes 0, which the chain check then refuses.
pub(super) fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

/// A time as text that [`time`] reads back unchanged; nothing for years that RFC 3339 cannot write.
pub(super) fn time_text(at: DateTime<Utc>) -> Option<String> {
    (0..=9999).contains(&at.year()).then(|| at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// A time from its text.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_comes_back_to_the_nanosecond(secs in -60_000_000_000i64..250_000_000_000, nanos in 0u32..1_000_000_000) {
            let at = DateTime::from_timestamp(secs, nanos).unwrap();
            prop_assert_eq!(time(&time_text(at).unwrap()), Some(at));
        }
    }

    #[test]
    fn a_year_that_cannot_be_read_back_is_not_written() {
        assert_eq!(time_text(DateTime::<Utc>::MAX_UTC), None);
    }
}
