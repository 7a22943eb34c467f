use super::*;
use crate::domain::verdict::Verdict;

fn percent(value: u32) -> Percent {
    Percent::new(value).unwrap()
}

/// 20 %, a pause, 50 %, an analysis, 80 %, ten minutes.
fn rollout(step: u32) -> Progressive {
    let weight = |value| RolloutStep::SetWeight { weight: percent(value) };
    Progressive {
        object: "rollout/checkout".into(),
        uid: "u".into(),
        phase: RolloutPhase::Paused,
        message: String::new(),
        observed: true,
        steps: vec![
            weight(20),
            RolloutStep::Pause { lasts: PauseFor::Ever },
            weight(50),
            RolloutStep::Analysis { templates: vec!["errors".into()] },
            weight(80),
            RolloutStep::Pause { lasts: PauseFor::Lasting(Duration::from_secs(600)) },
        ],
        step: Some(step),
        step_hash: "s".into(),
        blue_green: None,
        weights: None,
        newest: "new".into(),
        stable: "old".into(),
        desired: 4,
        replicas: 4,
        updated: 1,
        available: 4,
        pauses: vec![],
        controller_pause: false,
        paused: false,
        aborted: false,
        aborted_at: None,
        promote_full: false,
        workload: None,
        step_analysis: None,
        remarks: vec![],
    }
}

#[test]
fn the_share_asked_for_is_that_of_the_last_weight_step() {
    for (step, asked) in [(0, 20), (1, 20), (2, 50), (3, 50), (5, 80), (6, 100)] {
        assert_eq!(rollout(step).asked(), Some(percent(asked)), "step {step}");
    }
    let mut aborted = rollout(3);
    aborted.aborted = true;
    assert_eq!(aborted.asked(), Some(Percent::ZERO));
    let mut settled = rollout(6);
    settled.stable = "new".into();
    assert_eq!(settled.asked(), Some(Percent::ZERO), "what is proven is the baseline of the next release");
}

#[test]
fn the_next_stop_is_the_next_place_where_it_may_stay() {
    assert_eq!(rollout(1).next_stop(), (percent(50), 3), "an analysis may end badly: nothing beyond it is promised");
    assert_eq!(rollout(3).next_stop(), (percent(80), 5));
    assert_eq!(rollout(5).next_stop(), (Percent::FULL, 6));
}

fn metric(phase: AnalysisPhase, successful: u64) -> AnalysisMetric {
    AnalysisMetric {
        name: "errors".into(),
        phase,
        message: String::new(),
        dry_run: false,
        success: None,
        failure: None,
        counts: Counts { successful, ..Counts::default() },
        errors_in_a_row: 0,
        limits: Limits::default(),
        measurements: vec![],
    }
}

fn analysis(phase: AnalysisPhase, metrics: Vec<AnalysisMetric>) -> Analysis {
    Analysis {
        uid: "a".into(),
        name: "run".into(),
        role: AnalysisRole::Background,
        step: None,
        revision: None,
        phase,
        message: String::new(),
        started: None,
        metrics,
    }
}

#[test]
fn success_without_a_good_measurement_is_only_watched() {
    let good = analysis(AnalysisPhase::Successful, vec![metric(AnalysisPhase::Successful, 3)]);
    assert_eq!((good.verdict(), good.vacuous()), (Verdict::Go, vec![]));
    let ended_early = analysis(AnalysisPhase::Successful, vec![metric(AnalysisPhase::Running, 0)]);
    assert_eq!((ended_early.verdict(), ended_early.vacuous()), (Verdict::Watch, vec!["errors"]));
    assert_eq!(analysis(AnalysisPhase::Successful, vec![]).vacuous(), ["run"]);
    let mut tried = metric(AnalysisPhase::Successful, 0);
    tried.dry_run = true;
    let beside = analysis(AnalysisPhase::Successful, vec![tried, metric(AnalysisPhase::Successful, 1)]);
    assert!(beside.vacuous().is_empty(), "a dry run counts for nothing either way");
}

#[test]
fn analyses_of_an_earlier_version_are_not_shown_as_this_ones() {
    let mut picture = ProgressivePicture::default();
    picture.take(ProgressiveUpdate::Rollout(Some(Box::new(rollout(1)))), DateTime::UNIX_EPOCH);
    let of = |uid: &str, revision: &str| Analysis {
        uid: uid.into(),
        revision: Some(revision.into()),
        ..analysis(AnalysisPhase::Failed, vec![])
    };
    picture.take(ProgressiveUpdate::Analyses(vec![of("a", "new"), of("b", "before")]), DateTime::UNIX_EPOCH);
    let shown: Vec<&str> = picture.current_analyses().iter().map(|it| it.uid.as_str()).collect();
    assert_eq!(shown, ["a"]);
}
