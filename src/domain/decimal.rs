//! Numbers with a fraction, written as decimal strings.
//!
//! Canonical JSON knows integers only ([`super::canonical`]), so a limit such as `0.005` is written `"0.005"`. Rust prints the
//! shortest text that reads back to the same number, so the round trip is exact. For `#[serde(with = "...")]`.

use serde::{Deserialize, Deserializer, Serializer};

/// Writes the number as its shortest decimal text.
pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// Reads decimal text.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    read(&String::deserialize(from)?)
}

fn read<E: serde::de::Error>(text: &str) -> Result<f64, E> {
    text.parse().map_err(|_| E::custom(format_args!("{text:?} is not a decimal number")))
}

/// The same for a number that may be absent.
pub mod optional {
    use super::{Deserialize, Deserializer, Serializer, read};

    /// Writes the number as its shortest decimal text, or null.
    pub fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    /// Reads decimal text, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        Option::<String>::deserialize(from)?.as_deref().map(read).transpose()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Limits {
        #[serde(with = "super")]
        limit: f64,
        #[serde(with = "super::optional")]
        min: Option<f64>,
    }

    #[test]
    fn a_fraction_is_text_and_nothing_is_null() {
        let json = serde_json::to_string(&Limits { limit: 0.005, min: None }).unwrap();
        assert_eq!(json, r#"{"limit":"0.005","min":null}"#);
        assert!(serde_json::from_str::<Limits>(r#"{"limit":"5 %","min":null}"#).is_err());
    }

    proptest! {
        #[test]
        fn every_number_comes_back_bit_for_bit(limit in any::<f64>().prop_filter("NaN differs from itself", |n| !n.is_nan())) {
            let json = serde_json::to_string(&Limits { limit, min: Some(limit) }).unwrap();
            let back: Limits = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(back.limit.to_bits(), limit.to_bits());
            prop_assert_eq!(back.min.map(f64::to_bits), Some(limit.to_bits()));
        }
    }
}
