//! Durations, written as whole milliseconds, so that records stay readable. For `#[serde(with = "...")]`.

use serde::{Deserialize, Deserializer, Serializer};
use std::time::Duration;

/// Writes whole milliseconds; finer parts are dropped.
pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(whole(*value))
}

/// Reads whole milliseconds.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}

fn whole(value: Duration) -> u64 {
    u64::try_from(value.as_millis()).unwrap_or(u64::MAX)
}

/// The same for a duration that may be absent.
pub mod optional {
    use super::{Deserialize, Deserializer, Duration, Serializer, whole};

    /// Writes whole milliseconds, or null.
    pub fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.serialize_some(&whole(*value)),
            None => to.serialize_none(),
        }
    }

    /// Reads whole milliseconds, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde::{Deserialize, Serialize};
    use std::time::Duration;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Times {
        #[serde(with = "super")]
        hold: Duration,
        #[serde(with = "super::optional")]
        timeout: Option<Duration>,
    }

    #[test]
    fn a_duration_is_a_whole_number_of_milliseconds() {
        let times = Times { hold: Duration::from_millis(1_500), timeout: None };
        let json = serde_json::to_string(&times).unwrap();
        assert_eq!(json, r#"{"hold":1500,"timeout":null}"#);
        assert_eq!(serde_json::from_str::<Times>(&json).unwrap(), times);
    }
}
