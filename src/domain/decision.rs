//! A person's decision in the form in which it is signed.

use super::canonical::{self, CanonicalError};
use super::ids::{RunId, StepId};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

/// What somebody decided, about what, and when. The signature covers all of it, so none of it can be moved to another run, step
/// or plan, or be used again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The run.
    pub run: RunId,
    /// The step, such as a gate.
    pub step: StepId,
    /// SHA-256 of the plan that was shown.
    pub plan_hash: String,
    /// All that was decided, in one line: `go as sre`, `no-go as qa: error budget is spent`.
    pub decision: String,
    /// When, by the signer's clock; to the millisecond.
    pub time: DateTime<Utc>,
}

#[derive(Serialize)]
struct Message<'a> {
    decision: &'a str,
    gonogo: u32,
    plan_hash: &'a str,
    run: &'a RunId,
    step: &'a StepId,
    time: String,
}

impl Decision {
    /// The bytes that are signed: canonical JSON, the same for everybody who has the same decision before them.
    pub fn message(&self) -> Result<Vec<u8>, CanonicalError> {
        let Self { run, step, plan_hash, decision, time } = self;
        let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
        canonical::to_string(&Message { decision, gonogo: 1, plan_hash, run, step, time }).map(String::into_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision() -> Decision {
        Decision {
            run: "checkout-20261120-1".into(),
            step: "approve-50".into(),
            plan_hash: "3f2a".into(),
            decision: "go as sre".into(),
            time: DateTime::parse_from_rfc3339("2026-11-20T14:00:09.1234567Z").unwrap().to_utc(),
        }
    }

    #[test]
    fn the_message_is_one_line_that_never_changes() {
        // Signatures of earlier versions have to stay good.
        let message = String::from_utf8(decision().message().unwrap()).unwrap();
        assert_eq!(
            message,
            r#"{"decision":"go as sre","gonogo":1,"plan_hash":"3f2a","run":"checkout-20261120-1","step":"approve-50","time":"2026-11-20T14:00:09.123Z"}"#
        );
    }

    #[test]
    fn every_part_is_signed() {
        let plain = decision();
        let others = [
            Decision { run: "checkout-20261120-2".into(), ..plain.clone() },
            Decision { step: "approve-100".into(), ..plain.clone() },
            Decision { plan_hash: "3f2b".into(), ..plain.clone() },
            Decision { decision: "no-go as sre".into(), ..plain.clone() },
            Decision { time: plain.time + chrono::TimeDelta::milliseconds(1), ..plain.clone() },
        ];
        for other in others {
            assert_ne!(other.message(), plain.message(), "{other:?}");
        }
    }
}
