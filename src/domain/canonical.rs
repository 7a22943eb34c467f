//! One byte sequence per value, for hashing.
//!
//! RFC 8785 (JSON Canonicalization Scheme) with one rule of our own: numbers are integers. A quantity with a fraction is
//! written as a decimal string, so that no reader's floating point can change a hash.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A value that has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A floating point number; write it as a decimal string.
    #[error("a floating point number at {0} has no canonical form; write it as a decimal string")]
    Float(String),
    /// The value cannot be serialised at all.
    #[error("cannot be serialised: {0}")]
    Serialise(String),
}

/// Canonical JSON of a value.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, CanonicalError> {
    let value = serde_json::to_value(value).map_err(|e| CanonicalError::Serialise(e.to_string()))?;
    let mut out = String::new();
    write_value(&value, "$", &mut out)?;
    Ok(out)
}

/// SHA-256 over the canonical JSON of a value, in lower-case hexadecimal.
pub fn hash<T: Serialize>(value: &T) -> Result<String, CanonicalError> {
    Ok(sha256(to_string(value)?.as_bytes()))
}

/// SHA-256 of bytes, in lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn write_value(value: &Value, at: &str, out: &mut String) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) if n.is_f64() => return Err(CanonicalError::Float(at.to_owned())),
        Value::Number(n) => {
            let _ = write!(out, "{n}");
        }
        Value::String(s) => write_string(s, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(item, &format!("{at}[{i}]"), out)?;
            }
            out.push(']');
        }
        Value::Object(map) => {
            // RFC 8785 orders keys by UTF-16 code units.
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write_value(&map[key], &format!("{at}.{key}"), out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_strings_escaped_as_rfc_8785_says() {
        let text = to_string(&json!({"b": 1, "a": ["x\n\u{1}\"\\", null, true], "\u{20ac}": -3})).unwrap();
        assert_eq!(text, "{\"a\":[\"x\\n\\u0001\\\"\\\\\",null,true],\"b\":1,\"\u{20ac}\":-3}");
    }

    #[test]
    fn a_float_is_refused_with_its_place() {
        assert_eq!(to_string(&json!({"a": [1, 0.5]})), Err(CanonicalError::Float("$.a[1]".into())));
    }

    #[test]
    fn the_hash_is_the_one_sha256sum_gives() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
