//! Judging an answer to an item of a checklist.

use crate::runbook::plan::AnswerKind;

/// Whether an answer lets the step pass; an error when it is no answer to the question at all.
pub(super) fn judge(kind: &AnswerKind, answer: &str) -> Result<bool, String> {
    if answer.is_empty() {
        return Err("an empty answer answers nothing".into());
    }
    match kind {
        AnswerKind::Done => Ok(["done", "yes", "y"].iter().any(|word| answer.eq_ignore_ascii_case(word))),
        AnswerKind::Text { equals } => Ok(equals.as_ref().is_none_or(|right| right == answer)),
        AnswerKind::Choice { of, expect } if of.iter().any(|one| one == answer) => Ok(expect.as_ref().is_none_or(|right| right == answer)),
        AnswerKind::Choice { of, .. } => Err(format!("answer one of {}", of.join(", "))),
        AnswerKind::Number { min, max } => {
            let number: f64 = answer.parse().map_err(|_| "answer with a number".to_owned())?;
            if !number.is_finite() {
                return Err("answer with a number".into());
            }
            Ok(min.is_none_or(|m| number >= m) && max.is_none_or(|m| number <= m))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_stays_open_and_a_senseless_one_is_refused() {
        let number = AnswerKind::Number { min: Some(20.0), max: None };
        assert_eq!(judge(&number, "20"), Ok(true));
        assert_eq!(judge(&number, "19.9"), Ok(false));
        assert!(judge(&number, "plenty").is_err());
        assert!(judge(&number, "NaN").is_err());
        let choice = AnswerKind::Choice { of: vec!["on".into(), "off".into()], expect: Some("off".into()) };
        assert_eq!(judge(&choice, "off"), Ok(true));
        assert_eq!(judge(&choice, "on"), Ok(false));
        assert!(judge(&choice, "maybe").is_err());
        assert_eq!(judge(&AnswerKind::Text { equals: Some("OPS-1".into()) }, "OPS-2"), Ok(false));
        assert_eq!(judge(&AnswerKind::Done, "no"), Ok(false));
        assert!(judge(&AnswerKind::Done, "").is_err());
    }
}
