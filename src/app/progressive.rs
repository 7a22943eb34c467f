//! What progressive delivery says about going on, beside the service's own gates.

use super::model::Reason;
use crate::domain::progressive::{AnalysisPhase, Progressive, RolloutPhase};
use crate::domain::{ProgressivePicture, Verdict};

/// Reasons of the rollout, of its analyses, and of others who move the traffic.
pub(super) fn reasons(picture: &ProgressivePicture, reasons: &mut Vec<Reason>) {
    let mut add = |verdict, text: String| reasons.push(Reason { verdict, text });
    if let Some(rollout) = &picture.rollout {
        rollout_reasons(rollout, &mut add);
        if !rollout.is_settled() {
            for analysis in picture.current_analyses() {
                let name = &analysis.name;
                match analysis.phase {
                    AnalysisPhase::Failed | AnalysisPhase::Error => {
                        let why = if analysis.message.is_empty() { String::new() } else { format!(": {}", analysis.message) };
                        add(analysis.verdict(), format!("analysis {name} {}{why}", analysis.phase.word()));
                    }
                    AnalysisPhase::Inconclusive => add(analysis.verdict(), format!("analysis {name} could not tell")),
                    _ if !analysis.vacuous().is_empty() => {
                        let what = analysis.vacuous().join(", ");
                        add(analysis.verdict(), format!("analysis {name} passed without one good measurement of {what}"));
                    }
                    _ => {}
                }
            }
        }
    }
    if let Some(canary) = &picture.flagger {
        if canary.failed() {
            add(Verdict::NoGo, format!("flagger gave the new version up: {}", canary.message));
        } else if canary.is_moving() {
            add(Verdict::Hold, format!("flagger moves the traffic by itself: {} at {}%", canary.phase, canary.weight));
        }
    }
}

fn rollout_reasons(rollout: &Progressive, add: &mut impl FnMut(Verdict, String)) {
    let object = &rollout.object;
    if rollout.aborted {
        add(Verdict::NoGo, format!("{object} was aborted"));
    } else if rollout.phase == RolloutPhase::Degraded {
        add(Verdict::NoGo, format!("{object} is Degraded: {}", rollout.message));
    } else if rollout.phase == RolloutPhase::Other {
        add(Verdict::Unknown, format!("{object}: {}", rollout.message));
    }
    if rollout.paused {
        add(Verdict::Hold, format!("{object} is paused by hand (spec.paused)"));
    }
    if let Some(pause) = rollout.pauses.iter().find(|pause| pause.is_inconclusive()) {
        add(Verdict::Hold, format!("{object} waits: {}", pause.words()));
    } else if !rollout.is_settled() && !rollout.aborted && rollout.phase == RolloutPhase::Progressing {
        let place = rollout.place().map_or_else(String::new, |place| format!(" at {place}"));
        add(Verdict::Hold, format!("{object} is on its way{place}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProgressiveUpdate;
    use crate::domain::progressive::{Analysis, AnalysisRole, PauseFor, PauseReason, RolloutStep};
    use chrono::DateTime;

    /// At a pause without an end.
    fn rollout() -> Progressive {
        Progressive {
            object: "rollout/checkout".into(),
            uid: "u".into(),
            phase: RolloutPhase::Paused,
            message: "CanaryPauseStep".into(),
            observed: true,
            steps: vec![RolloutStep::Pause { lasts: PauseFor::Ever }],
            step: Some(0),
            step_hash: "s".into(),
            blue_green: None,
            weights: None,
            newest: "new".into(),
            stable: "old".into(),
            desired: 1,
            replicas: 1,
            updated: 1,
            available: 1,
            pauses: vec![PauseReason { reason: "CanaryPauseStep".into(), since: None }],
            controller_pause: true,
            paused: false,
            aborted: false,
            aborted_at: None,
            promote_full: false,
            workload: None,
            step_analysis: None,
            remarks: vec![],
        }
    }

    fn verdict(change: impl FnOnce(&mut Progressive), analyses: Vec<Analysis>) -> Verdict {
        let mut picture = ProgressivePicture::default();
        let mut it = rollout();
        change(&mut it);
        picture.take(ProgressiveUpdate::Rollout(Some(Box::new(it))), DateTime::UNIX_EPOCH);
        picture.take(ProgressiveUpdate::Analyses(analyses), DateTime::UNIX_EPOCH);
        let mut found = Vec::new();
        reasons(&picture, &mut found);
        Verdict::worst(found.into_iter().map(|reason| reason.verdict))
    }

    fn analysis(phase: AnalysisPhase) -> Vec<Analysis> {
        vec![Analysis {
            uid: "a".into(),
            name: "run".into(),
            role: AnalysisRole::Step,
            step: None,
            revision: Some("new".into()),
            phase,
            message: String::new(),
            started: None,
            metrics: vec![],
        }]
    }

    #[test]
    fn a_rollout_weighs_in_with_its_own_account() {
        assert_eq!(verdict(|_| {}, vec![]), Verdict::Go, "a pause waits for a person alone");
        assert_eq!(verdict(|it| it.aborted = true, vec![]), Verdict::NoGo);
        assert_eq!(verdict(|it| it.phase = RolloutPhase::Degraded, vec![]), Verdict::NoGo);
        assert_eq!(verdict(|it| it.phase = RolloutPhase::Progressing, vec![]), Verdict::Hold);
        assert_eq!(verdict(|it| it.phase = RolloutPhase::Other, vec![]), Verdict::Unknown);
        assert_eq!(verdict(|it| it.paused = true, vec![]), Verdict::Hold);
        assert_eq!(verdict(|it| it.pauses[0].reason = "InconclusiveAnalysisRun".into(), vec![]), Verdict::Hold);
    }

    #[test]
    fn analyses_weigh_in_while_their_version_is_on_its_way() {
        assert_eq!(verdict(|_| {}, analysis(AnalysisPhase::Failed)), Verdict::NoGo);
        assert_eq!(verdict(|_| {}, analysis(AnalysisPhase::Inconclusive)), Verdict::Hold);
        assert_eq!(verdict(|_| {}, analysis(AnalysisPhase::Successful)), Verdict::Watch, "nothing was measured");
        assert_eq!(verdict(|it| it.stable = "new".into(), analysis(AnalysisPhase::Failed)), Verdict::Go, "of a release that is over");
    }
}
