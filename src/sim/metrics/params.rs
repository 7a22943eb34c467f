//! Request parameters: from the query string and from a posted form, read as Prometheus reads them.

use super::encode::failure;
use super::value::{Failed, Grid};
use axum::Form;
use axum::extract::{FromRequest, Query, Request};
use axum::response::Response;
use chrono::DateTime;
use http::Method;
use http::header::CONTENT_TYPE;

/// Most steps a range query may have.
const MAX_STEPS: i128 = 11_000;
/// Bounds of times in milliseconds: far enough from overflow for every offset that a query can have.
const MAX_TIME_MS: i64 = 1 << 53;
/// What clients send for "from the beginning" and "to the end".
const BEGINNING: &str = "-292273086-05-16T16:47:06Z";
const END: &str = "292277025-08-18T07:12:54.999999999Z";

type Pairs = Vec<(String, String)>;

/// All parameters of a request, those of the form first.
pub(super) struct Params(Pairs);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let query = Query::<Pairs>::try_from_uri(request.uri()).map(|Query(pairs)| pairs).unwrap_or_default();
        let form_type = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let mut pairs = Pairs::new();
        if request.method() == Method::POST && form_type.starts_with("application/x-www-form-urlencoded") {
            let form = Form::<Pairs>::from_request(request, state).await;
            pairs = form.map_err(|cause| failure(&Failed::bad(format!("error parsing form values: {}", cause.body_text()))))?.0;
        }
        pairs.extend(query);
        Ok(Self(pairs))
    }
}

impl Params {
    /// The first value of a parameter, empty when it is missing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A moment in milliseconds since 1970, `default` when the parameter is missing.
    pub(super) fn time_or(&self, name: &str, default: i64) -> Result<i64, Failed> {
        match self.get(name) {
            "" => Ok(default),
            text => time(text).map_err(|cause| invalid(name, &format!("Invalid time value for '{name}': {cause}"))),
        }
    }

    /// The grid of a range query.
    pub(super) fn grid(&self) -> Result<Grid, Failed> {
        let start = time(self.get("start")).map_err(|cause| invalid("start", &cause))?;
        let end = time(self.get("end")).map_err(|cause| invalid("end", &cause))?;
        if end < start {
            return Err(invalid("end", "end timestamp must not be before start time"));
        }
        let step = duration_ns(self.get("step")).map_err(|cause| invalid("step", &cause))?;
        // Steps below the clock's resolution of a millisecond cannot be taken either.
        if step < 1_000_000 {
            return Err(invalid("step", "zero or negative query resolution step widths are not accepted. Try a positive integer"));
        }
        if i128::from(end - start) * 1_000_000 / i128::from(step) > MAX_STEPS {
            return Err(Failed::bad(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            ));
        }
        Ok(Grid::range(start, end, step / 1_000_000))
    }

    /// Checks `timeout`. Queries here take no time worth measuring, so that only one without any time is timed out.
    pub(super) fn check_timeout(&self) -> Result<(), Failed> {
        match self.get("timeout") {
            "" => Ok(()),
            text => match duration_ns(text).map_err(|cause| invalid("timeout", &cause))? {
                ..=0 => Err(Failed { kind: super::value::Kind::Timeout, text: "query timed out in expression evaluation".to_owned() }),
                _ => Ok(()),
            },
        }
    }

    /// Most results wanted (a parameter of Prometheus 3); `None`: all.
    pub(super) fn limit(&self) -> Result<Option<usize>, Failed> {
        match self.get("limit") {
            "" => Ok(None),
            text => match text.parse::<i64>() {
                Ok(0) => Ok(None),
                Ok(limit) => usize::try_from(limit).map(Some).map_err(|_| invalid("limit", "limit must be non-negative")),
                Err(_) => Err(invalid("limit", &format!("cannot parse {text:?} to a number"))),
            },
        }
    }
}

pub(super) fn invalid(name: &str, cause: &str) -> Failed {
    Failed::bad(format!("invalid parameter {name:?}: {cause}"))
}

/// RFC 3339, or seconds since 1970 with a fraction.
fn time(text: &str) -> Result<i64, String> {
    let refused = || format!("cannot parse {text:?} to a valid timestamp");
    match text {
        BEGINNING => return Ok(-MAX_TIME_MS),
        END => return Ok(MAX_TIME_MS),
        _ => {}
    }
    let ms = match text.parse::<f64>() {
        Ok(seconds) => {
            let ms = (seconds * 1000.0).round();
            if ms.is_finite() && ms.abs() <= MAX_TIME_MS as f64 { ms as i64 } else { return Err(refused()) }
        }
        Err(_) => DateTime::parse_from_rfc3339(text).map_err(|_| refused())?.timestamp_millis(),
    };
    Ok(ms)
}

/// Seconds with a fraction, or `1h30m`; in nanoseconds.
fn duration_ns(text: &str) -> Result<i64, String> {
    let refused = || format!("cannot parse {text:?} to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        let ns = seconds * 1e9;
        return if ns.is_nan() {
            Err(refused())
        } else if ns > i64::MAX as f64 || ns < i64::MIN as f64 {
            Err(format!("{}. It overflows int64", refused()))
        } else {
            Ok(ns as i64)
        };
    }
    let parsed = promql_parser::util::parse_duration(text).map_err(|_| refused())?;
    i64::try_from(parsed.as_nanos()).map_err(|_| refused())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc3339() {
        assert_eq!(time("1700000000.25"), Ok(1_700_000_000_250));
        assert_eq!(time("2023-11-14T22:13:20.5+00:00"), Ok(1_700_000_000_500));
        assert_eq!(time("yesterday").unwrap_err(), "cannot parse \"yesterday\" to a valid timestamp");
        assert!(time("NaN").is_err());
        assert!(time("1e300").is_err());
    }

    #[test]
    fn durations_are_seconds_or_units() {
        assert_eq!(duration_ns("1.5"), Ok(1_500_000_000));
        assert_eq!(duration_ns("1m30s"), Ok(90_000_000_000));
        assert_eq!(duration_ns("1e300").unwrap_err(), "cannot parse \"1e300\" to a valid duration. It overflows int64");
        assert!(duration_ns("").is_err());
    }
}
