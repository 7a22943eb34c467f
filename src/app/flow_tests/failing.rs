//! A new version that cannot start is told from its instances, before any deadline of the platform is over.

use super::world::*;
use crate::app::Msg;
use crate::domain::{Instance, InstanceState, PlatformUpdate, Protection, Track, Verdict};
use crate::runbook::state::Question;

fn instance(track: Track, version: &str, state: InstanceState, reason: Option<&str>) -> Instance {
    Instance {
        uid: "a".into(),
        name: "pod-a".into(),
        track,
        version: version.into(),
        state,
        reason: reason.map(Into::into),
        restarts: 0,
        last_exit: None,
        node: None,
        created: "2026-03-14T02:00:00Z".parse().unwrap(),
    }
}

fn shown(flow: &Flow) -> (Verdict, String) {
    let view = &flow.model.verdict;
    (view.verdict, view.reasons.first().map(|reason| reason.text.clone()).unwrap_or_default())
}

fn saw(flow: &mut Flow, instance: Instance) {
    flow.send(Msg::Platform(vec![PlatformUpdate::Instances(vec![instance])]));
}

#[test]
fn an_instance_that_cannot_start_is_a_no_go_at_once_and_only_as_long_as_it_lasts() {
    let mut flow = Flow::ready();
    let good = shown(&flow);
    assert!(good.0.permits_go(), "{good:?}");
    for reason in ["CrashLoopBackOff", "ImagePullBackOff", "CreateContainerConfigError", "OOMKilled, exit 137"] {
        saw(&mut flow, instance(Track::Canary, "v2", InstanceState::Failing, Some(reason)));
        assert_eq!(shown(&flow), (Verdict::NoGo, format!("pod-a: {reason}")));
    }
    saw(&mut flow, instance(Track::Canary, "v2", InstanceState::Ready, None));
    assert!(shown(&flow).0.permits_go());
    saw(&mut flow, instance(Track::Canary, "v1", InstanceState::Failing, Some("CrashLoopBackOff")));
    assert!(shown(&flow).0.permits_go(), "an instance of an older version that is on its way out");
    saw(&mut flow, instance(Track::Baseline, "v2", InstanceState::Failing, Some("CrashLoopBackOff")));
    assert!(shown(&flow).0.permits_go(), "the other side");
}

#[test]
fn an_instance_that_no_node_takes_blocks_and_is_a_no_go_only_when_none_serves() {
    let mut flow = Flow::ready();
    let mut second = instance(Track::Canary, "v2", InstanceState::Ready, None);
    second.uid = "b".into();
    let unplaced = instance(Track::Canary, "v2", InstanceState::Pending, Some("Unschedulable: 0/3 nodes"));
    flow.send(Msg::Platform(vec![PlatformUpdate::Instances(vec![unplaced.clone(), second])]));
    assert_eq!(shown(&flow), (Verdict::Hold, "pod-a: Unschedulable: 0/3 nodes".to_owned()));
    saw(&mut flow, unplaced);
    assert_eq!(shown(&flow).0, Verdict::NoGo);
}

#[test]
fn without_a_run_it_is_no_news_of_ours() {
    let mut flow = Flow::new(Protection::Private, |_| {});
    saw(&mut flow, instance(Track::Canary, "v2", InstanceState::Failing, Some("CrashLoopBackOff")));
    assert_eq!(flow.model.verdict.verdict, Verdict::Hold);
    assert!(flow.model.verdict.reasons.iter().any(|reason| reason.text.contains("CrashLoopBackOff")));
}

#[test]
fn a_check_fails_when_the_platform_gives_up_and_not_when_its_time_is_over() {
    let mut flow = Flow::ready();
    flow.promote("25");
    flow.pass(3);
    assert_eq!(flow.step(), "look-25");
    let mut stuck = flow.model.picture.workloads.values().find(|workload| workload.track == Track::Canary).unwrap().clone();
    stuck.trouble = Some("ProgressDeadlineExceeded: timed out".into());
    stuck.rollout = stuck.status_of(9, stuck.trouble.as_deref());
    flow.send(Msg::Platform(vec![PlatformUpdate::Workload(stuck)]));
    assert_eq!(shown(&flow).1, "deployment/checkout-canary: ProgressDeadlineExceeded: timed out");
    flow.pass(7);
    match flow.state().question() {
        Some(Question::Failed { why, .. }) => assert!(why.contains("timed out"), "{why}"),
        other => panic!("the step has five minutes, and seven seconds are over: {other:?}"),
    }
}
