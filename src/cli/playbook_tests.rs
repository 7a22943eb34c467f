//! The bundled flight plans, flown in the simulator from their start to their end, and back.

use super::args::Cli;
use super::demo::good_answer;
use super::wire;
use crate::app::{Model, Msg, Request, ScriptEnd};
use crate::domain::{Action, StepId, Track};
use crate::runbook::StepKind;
use crate::runbook::plan::Runbook;
use crate::runbook::state::{Phase, Question};
use crate::runtime::{Core, Pace, Step, until};
use crate::sim::{self, Prelude};
use chrono::TimeDelta;
use clap::Parser as _;
use std::sync::Arc;
use std::time::Duration;

const ARGO: &str = include_str!("../../assets/playbooks/kubernetes-argo-rollouts.yaml");
const ROLLING: &str = include_str!("../../assets/playbooks/kubernetes-rolling.yaml");
/// What a flight may really take.
const PATIENCE: Duration = Duration::from_secs(180);

/// Does what the runbook asks for, and backs out where it is told to.
struct Pilot {
    runbook: Runbook,
    auto_back_out: bool,
    started: bool,
    back_at: Option<StepId>,
    answered: Option<(StepId, usize)>,
    refused: Option<String>,
}

impl Pilot {
    fn next(&mut self, model: &mut Model) -> Step<Phase> {
        match model.script_end().cloned() {
            Some(ScriptEnd::Done(_)) => model.script_clear(),
            Some(ScriptEnd::Refused(why) | ScriptEnd::Moved(why) | ScriptEnd::Unknown(why)) => {
                self.refused = Some(why);
                model.script_clear();
            }
            None if model.script_running() => return Step::Wait,
            None => {}
        }
        if !self.started && model.picture.listed && model.picture.route_read {
            self.started = true;
            return Step::Say(Box::new(Msg::Start { first: crate::app::first_draft(model, &self.runbook, self.auto_back_out) }));
        }
        let Some(run) = &model.run else { return Step::Wait };
        if run.state.phase.is_final() {
            return Step::Done(run.state.phase);
        }
        let here = run.state.current().map(|(step, _)| step.id.clone());
        if self.back_at.is_some() && here == self.back_at && run.state.phase == Phase::Running {
            self.back_at = None;
            return Step::Say(Box::new(Msg::Requested(Request::BackOut { confirm: "0".into() })));
        }
        match run.state.question() {
            Some(Question::Items { step, open }) => {
                let item = open[0];
                let this = Some((step.clone(), item));
                if self.answered == this {
                    return Step::Wait;
                }
                self.answered = this;
                let StepKind::Manual(manual) = &self.runbook.step(&step).unwrap().kind else { panic!("{step} has no items") };
                let answer = good_answer(&manual.items[item]);
                Step::Say(Box::new(Msg::Requested(Request::Answer { step, item, answer })))
            }
            Some(Question::Act { action, .. }) if model.blocked.iter().all(|why| why.starts_with("OBSERVE")) => {
                let next = || model.picture.progressive.rollout.as_ref().map(|rollout| rollout.next_stop().0.to_string());
                let confirm = match &action {
                    Action::Promote { .. } => next().unwrap_or_default(),
                    other => other.consequence(),
                };
                Step::Say(Box::new(Msg::Requested(Request::Act { action, confirm })))
            }
            Some(Question::Failed { step, why, .. }) => panic!("{step} failed: {why}"),
            _ => Step::Wait,
        }
    }
}

/// A flight plan, the traffic that it is for, and the side whose version tells how it ended.
struct Plan {
    file: &'static str,
    text: &'static str,
    traffic: sim::TrafficBy,
    track: Track,
}

const BY_ROLLING: Plan = Plan { file: "kubernetes-rolling.yaml", text: ROLLING, traffic: sim::TrafficBy::Rolling, track: Track::Canary };
const BY_ROLLOUT: Plan = Plan { file: "kubernetes-argo-rollouts.yaml", text: ARGO, traffic: sim::TrafficBy::Argo, track: Track::Baseline };

async fn fly(image: &str, back_at: Option<&str>, auto_back_out: bool) -> (Phase, String, Vec<String>) {
    fly_plan(&BY_ROLLING, image, back_at, auto_back_out).await
}

/// How a flight ended: the phase, the version that runs, what was said.
async fn fly_plan(plan: &Plan, image: &str, back_at: Option<&str>, auto_back_out: bool) -> (Phase, String, Vec<String>) {
    wire::prepare();
    let dir = tempfile::tempdir().unwrap();
    let options = sim::Options {
        scene: sim::Scene::Idle,
        traffic: plan.traffic,
        prelude: Prelude::Operated,
        dir: Some(dir.path().to_owned()),
        ..sim::Options::default()
    };
    let handle = Arc::new(sim::start(options).await.unwrap());
    handle.write_dir(dir.path()).unwrap();
    let clock = handle.sim_clock();
    handle.advance_to(clock.boot_at(TimeDelta::minutes(-38))).await;
    let global = Cli::parse_from(["gonogo"]).global;
    let config = wire::config(&global, &dir.path().join("config.toml")).unwrap();
    let journal = wire::demo_journal(&config, handle.clock(), Arc::new(|| false), Arc::new(|| true)).await.unwrap();
    let wired = wire::connect(&global, &config, handle.clock(), journal).await.unwrap();
    let mut core = Core::start(&wired.ports, wired.spec.clone(), wired.options.clone());
    let loaded = super::runbook::load_text(plan.file, plan.text, &[format!("image={image}")], &wired.spec, &[]).unwrap();
    let mut pilot =
        Pilot { runbook: loaded.runbook, auto_back_out, started: false, back_at: back_at.map(StepId::from), answered: None, refused: None };
    let advance = |boot: Duration| -> futures::future::BoxFuture<'_, ()> { Box::pin(handle.advance_to(boot)) };
    let pace = Pace::Simulated { advance: &advance, end: clock.boot_at(TimeDelta::zero()) };
    let phase = until(&mut core, &pace, PATIENCE, |model| pilot.next(model)).await;
    let model = &core.model;
    let run = model.run.as_ref().map(|run| run.state.current().map(|(step, state)| (step.id.clone(), format!("{:?}", state.phase))));
    let phase = phase.unwrap_or_else(|| {
        panic!("the flight did not end: {run:?}, {:?}, blocked {:?}, refused {:?}", model.verdict, model.blocked, pilot.refused)
    });
    let version = model.picture.workloads.values().find(|it| it.track == plan.track).map(|it| it.version.clone()).unwrap_or_default();
    let said = model.messages.iter().map(|message| message.text.clone()).collect();
    core.stop().await;
    (phase, version, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_release_is_flown_to_its_end() {
    let (phase, version, said) = fly("registry.example/checkout:v2.42.0", None, false).await;
    assert_eq!((phase, version.as_str()), (Phase::Completed, "v2.42.0"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_release_is_backed_out_to_the_revision_before() {
    let (phase, version, said) = fly("registry.example/checkout:v2.42.0", Some("bake"), false).await;
    assert_eq!((phase, version.as_str()), (Phase::RolledBack, "v2.41.3"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_crashes_is_taken_back_by_itself_where_that_was_confirmed() {
    let (phase, version, said) = fly("registry.example/checkout:v2.42.0-crash", None, true).await;
    assert_eq!((phase, version.as_str()), (Phase::RolledBack, "v2.41.3"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_promoted_through_its_pauses_to_its_end() {
    let (phase, version, said) = fly_plan(&BY_ROLLOUT, "registry.example/checkout:v2.42.0", None, false).await;
    assert_eq!((phase, version.as_str()), (Phase::Completed, "v2.42.0"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_backed_out_to_the_proven_version() {
    let (phase, version, said) = fly_plan(&BY_ROLLOUT, "registry.example/checkout:v2.42.0", Some("evidence-2"), false).await;
    assert_eq!((phase, version.as_str()), (Phase::RolledBack, "v2.41.3"), "{said:?}");
}
