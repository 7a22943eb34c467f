//! Kubernetes quantities: `500m`, `1`, `256Mi`, `1e3`.

use serde_json::Value;

/// Number and factor of the unit; `None` for what is no quantity.
fn parse(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    // `1E` is an exa, `1E3` an exponent.
    let (number, unit) = match number.strip_suffix(['E', 'e']) {
        Some(number) => (number, "E"),
        None => (number, unit),
    };
    let factor = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|n| n * factor)
}

fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| parse(value.as_str()?)).unwrap_or(0.0).max(0.0)
}

/// Thousandths: of CPUs, mostly.
pub(crate) fn milli(value: &Value) -> u64 {
    (number(value) * 1000.0).round() as u64
}

/// Whole units: bytes, mostly.
pub(crate) fn whole(value: &Value) -> u64 {
    number(value).round() as u64
}

/// Thousandths as the server writes them.
pub(crate) fn milli_text(milli: u64) -> String {
    if milli.is_multiple_of(1000) { (milli / 1000).to_string() } else { format!("{milli}m") }
}

/// Bytes as the server writes them, in the largest binary unit that holds them exactly.
pub(crate) fn bytes_text(bytes: u64) -> String {
    for (unit, factor) in [("Gi", 1_u64 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if bytes > 0 && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities_of_every_unit() {
        for (text, thousandths) in
            [(json!("500m"), 500), (json!("1"), 1000), (json!(2), 2000), (json!("0.25"), 250), (json!("1k"), 1_000_000), (json!("x"), 0)]
        {
            assert_eq!(milli(&text), thousandths, "{text}");
        }
        assert_eq!((whole(&json!("256Mi")), whole(&json!("1e3")), whole(&json!("1G"))), (268_435_456, 1000, 1_000_000_000));
        assert_eq!(
            (milli_text(1500), milli_text(2000), bytes_text(3 << 20), bytes_text(5)),
            ("1500m".into(), "2".into(), "3Mi".into(), "5".into())
        );
    }
}
