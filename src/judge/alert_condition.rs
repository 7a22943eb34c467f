//! What fires against what is asked of it.

use crate::domain::alert::{Alert, AlertRule, AlertState};
use crate::domain::{AlertCondition, AlertWanted, Finding, Freshness, Outcome, text};

/// Names of alerts that are told.
const NAMED: usize = 3;

/// What is known of the alerts.
#[derive(Debug, Clone, Copy)]
pub struct AlertsKnown<'a> {
    /// Those that the alerts source told: firing and suppressed.
    pub told: &'a [Alert],
    /// The rules with what is pending; `None` while the metrics backend does not tell them.
    pub rules: Option<&'a [AlertRule]>,
    /// Alerts that are not in there because there were too many.
    pub left_out: usize,
    /// How old the source's word is.
    pub freshness: Freshness,
}

/// Judges a condition on alerts. Silence of the source is no proof that nothing fires, and a rule that cannot be evaluated never fires.
#[must_use]
pub fn alert_condition(condition: &AlertCondition, known: &AlertsKnown<'_>) -> Finding {
    match known.freshness {
        Freshness::Live | Freshness::Late => {}
        Freshness::Stale => return Finding::without_value(Outcome::Stale, "the alerts source's last word is too old"),
        Freshness::NoData => return Finding::without_value(Outcome::NoData, "the alerts source has not answered yet"),
        Freshness::Lost => return Finding::without_value(Outcome::Error, "the alerts source does not answer"),
        Freshness::Auth => return Finding::without_value(Outcome::Error, "the alerts source wants a login"),
    }
    let firing: Vec<&Alert> = known.told.iter().filter(|alert| condition.is_about(alert) && counts(condition, alert)).collect();
    match (condition.state, firing.is_empty()) {
        (AlertWanted::Firing, false) => return finding(Outcome::Pass, &firing, "firing"),
        (AlertWanted::Firing, true) if known.left_out == 0 => {
            return finding(Outcome::Fail, &[], &format!("nothing fires that matches {}", condition.labels()));
        }
        (AlertWanted::Inactive | AlertWanted::NotFiring, false) => return finding(Outcome::Fail, &firing, "firing"),
        _ => {}
    }
    if known.left_out > 0 {
        let why = format!("{} alerts are more than are read: one of them may match", known.left_out);
        return Finding::without_value(Outcome::NoData, &why);
    }
    let blind = known.rules.unwrap_or_default().iter().find(|rule| rule.trouble.is_some() && may_make(condition, rule));
    if let Some(rule) = blind {
        let why = format!("rule {} cannot be evaluated, so nobody knows whether it would fire", rule.name);
        return Finding::without_value(Outcome::NoData, &why);
    }
    if condition.state == AlertWanted::Inactive {
        let Some(rules) = known.rules else {
            let why = "pending alerts are not known: the metrics backend does not tell its rules";
            return Finding::without_value(Outcome::NoData, why);
        };
        let pending: Vec<&Alert> = rules.iter().flat_map(|rule| &rule.pending).filter(|alert| condition.is_about(alert)).collect();
        if !pending.is_empty() {
            return finding(Outcome::Fail, &pending, "pending");
        }
    }
    finding(Outcome::Pass, &[], "none")
}

/// Whether an alert that is told counts as firing. One that another alert inhibits fires as well.
fn counts(condition: &AlertCondition, alert: &Alert) -> bool {
    match alert.state {
        AlertState::Firing => true,
        AlertState::Suppressed => !condition.ignore_silenced || alert.silenced_by.is_empty(),
        AlertState::Pending => false,
    }
}

/// Whether an alert of this rule could be meant: a label that the rule does not set comes from its series, and may be any.
fn may_make(condition: &AlertCondition, rule: &AlertRule) -> bool {
    condition.matching.iter().all(|(name, value)| {
        let fixed = if name == "alertname" { Some(&rule.name) } else { rule.labels.get(name).filter(|text| !text.contains("{{")) };
        fixed.is_none_or(|fixed| fixed == value)
    })
}

fn finding(outcome: Outcome, alerts: &[&Alert], what: &str) -> Finding {
    let silenced = alerts.iter().filter(|alert| alert.state == AlertState::Suppressed).count();
    let mut names: Vec<&str> = alerts.iter().take(NAMED).map(|alert| alert.name()).collect();
    if alerts.len() > NAMED {
        names.push("...");
    }
    let silenced = if silenced > 0 { format!(" ({silenced} silenced)") } else { String::new() };
    let shown = if alerts.is_empty() { what.to_owned() } else { format!("{} {what}{silenced}", alerts.len()) };
    let why = if names.is_empty() { shown.clone() } else { format!("{shown}: {}", names.join(", ")) };
    Finding {
        value: Some(alerts.len() as f64),
        shown: if alerts.is_empty() && outcome == Outcome::Fail { "none".into() } else { text::clean_bounded(&shown, 60) },
        ..Finding::without_value(outcome, &why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Labels;
    use chrono::DateTime;
    use std::time::Duration;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn alert(name: &str, severity: &str, state: AlertState) -> Alert {
        Alert {
            fingerprint: name.into(),
            labels: labels(&[("alertname", name), ("severity", severity), ("service", "checkout")]),
            annotations: Labels::new(),
            state,
            silenced_by: if state == AlertState::Suppressed { vec!["s1".into()] } else { vec![] },
            inhibited_by: vec![],
            starts_at: DateTime::UNIX_EPOCH,
            ends_at: None,
            generator_url: None,
        }
    }

    fn rule(name: &str, severity: &str) -> AlertRule {
        AlertRule {
            name: name.into(),
            query: "up == 0".into(),
            hold: Duration::ZERO,
            labels: labels(&[("severity", severity)]),
            trouble: None,
            pending: vec![],
        }
    }

    fn condition(state: AlertWanted) -> AlertCondition {
        AlertCondition { matching: labels(&[("severity", "critical"), ("service", "checkout")]), state, ignore_silenced: false }
    }

    fn judge(condition: &AlertCondition, told: &[Alert], rules: Option<&[AlertRule]>) -> (Outcome, String) {
        let found = alert_condition(condition, &AlertsKnown { told, rules, left_out: 0, freshness: Freshness::Live });
        (found.outcome, found.why)
    }

    #[test]
    fn what_fires_is_bad_and_a_silence_does_not_make_it_good() {
        use AlertState::{Firing, Suppressed};
        let rules = [rule("Down", "critical")];
        for (told, ignore, outcome, why) in [
            (vec![], false, Outcome::Pass, "none"),
            (vec![alert("Slow", "warning", Firing)], false, Outcome::Pass, "none"),
            (vec![alert("Down", "critical", Firing)], false, Outcome::Fail, "1 firing: Down"),
            (vec![alert("Down", "critical", Suppressed)], false, Outcome::Fail, "1 firing (1 silenced): Down"),
            (vec![alert("Down", "critical", Suppressed)], true, Outcome::Pass, "none"),
        ] {
            for state in [AlertWanted::Inactive, AlertWanted::NotFiring] {
                let condition = AlertCondition { ignore_silenced: ignore, ..condition(state) };
                assert_eq!(judge(&condition, &told, Some(&rules)), (outcome, why.into()), "{told:?} {ignore} {state:?}");
            }
        }
        let mut inhibited = alert("Down", "critical", Suppressed);
        inhibited.silenced_by.clear();
        inhibited.inhibited_by.push("x".into());
        let condition = AlertCondition { ignore_silenced: true, ..condition(AlertWanted::NotFiring) };
        assert_eq!(judge(&condition, &[inhibited], None).0, Outcome::Fail, "nobody silenced it");
    }

    #[test]
    fn pending_is_not_inactive_and_must_be_known() {
        let mut pending = rule("Down", "critical");
        pending.pending.push(alert("Down", "critical", AlertState::Pending));
        let rules = [pending];
        assert_eq!(judge(&condition(AlertWanted::Inactive), &[], Some(&rules)), (Outcome::Fail, "1 pending: Down".into()));
        assert_eq!(judge(&condition(AlertWanted::NotFiring), &[], Some(&rules)).0, Outcome::Pass);
        let unknown = "pending alerts are not known: the metrics backend does not tell its rules";
        assert_eq!(judge(&condition(AlertWanted::Inactive), &[], None), (Outcome::NoData, unknown.into()));
        assert_eq!(judge(&condition(AlertWanted::NotFiring), &[], None).0, Outcome::Pass);
    }

    #[test]
    fn a_watchdog_must_fire() {
        let watchdog = condition(AlertWanted::Firing);
        let why = "nothing fires that matches service=checkout severity=critical";
        assert_eq!(judge(&watchdog, &[], None), (Outcome::Fail, why.into()));
        assert_eq!(judge(&watchdog, &[alert("Dog", "critical", AlertState::Firing)], None), (Outcome::Pass, "1 firing: Dog".into()));
    }

    #[test]
    fn what_cannot_be_known_is_no_proof_that_nothing_fires() {
        let mut broken = rule("Down", "critical");
        broken.trouble = Some("parse error".into());
        let mut other = rule("Else", "warning");
        other.trouble = Some("parse error".into());
        for state in [AlertWanted::Inactive, AlertWanted::NotFiring] {
            assert_eq!(judge(&condition(state), &[], Some(&[broken.clone()])).0, Outcome::NoData);
            assert_eq!(judge(&condition(state), &[], Some(&[other.clone()])).0, Outcome::Pass, "it would be another alert");
        }
        for state in [AlertWanted::Inactive, AlertWanted::NotFiring, AlertWanted::Firing] {
            let known = AlertsKnown { told: &[], rules: Some(&[]), left_out: 3, freshness: Freshness::Live };
            assert_eq!(alert_condition(&condition(state), &known).outcome, Outcome::NoData);
            for (freshness, outcome) in [
                (Freshness::Late, Outcome::Pass),
                (Freshness::Stale, Outcome::Stale),
                (Freshness::NoData, Outcome::NoData),
                (Freshness::Lost, Outcome::Error),
                (Freshness::Auth, Outcome::Error),
            ] {
                let told = if state == AlertWanted::Firing { vec![alert("Dog", "critical", AlertState::Firing)] } else { vec![] };
                let known = AlertsKnown { told: &told, rules: Some(&[]), left_out: 0, freshness };
                assert_eq!(alert_condition(&condition(state), &known).outcome, outcome, "{state:?}");
            }
        }
    }
}
