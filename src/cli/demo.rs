//! The simulator in this process, and the cockpit on it.

use super::args::{Global, Sim};
use super::exit::{Exit, Failed, Outcome};
use super::wire::{self, IsSo};
use crate::app::{Request, ScriptEnd};
use crate::domain::{Percent, Person, RouteSpec, ServiceSpec, StepId};
use crate::runbook::StepKind;
use crate::runbook::plan::{AnswerKind, Item, Runbook};
use crate::runbook::state::Question;
use crate::runtime::{Core, Pace, Step, until};
use crate::sim::{self, Handle, Prelude, SimClock};
use chrono::TimeDelta;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

/// The runbook that scenes fly.
const PLAYBOOK: &str = include_str!("../../assets/playbooks/kubernetes-canary-mesh.yaml");

/// The runbook that they fly where a Service is switched.
const BLUE_GREEN: &str = include_str!("../../assets/playbooks/kubernetes-blue-green.yaml");

/// The runbook of launch day.
const LAUNCH_DAY: &str = include_str!("../../assets/playbooks/launch-day-checklist.yaml");

/// What history may really take before the demo gives up on it.
const PATIENCE: Duration = Duration::from_secs(300);

fn options(global: &Global, args: &Sim, default_scene: &str, prelude: Prelude) -> Result<sim::Options, Failed> {
    let usage = |why: String| Failed::new(Exit::Usage, why);
    let mut faults = Vec::new();
    for fault in &args.faults {
        faults.push(sim::Fault::from_str(fault).map_err(|e| usage(e.to_string()))?);
    }
    let freeze_clock = match &args.freeze_clock {
        None => None,
        Some(text) => {
            let at = chrono::DateTime::parse_from_rfc3339(text).map_err(|e| usage(format!("--freeze-clock {text}: {e}")))?;
            Some(at.to_utc())
        }
    };
    let traffic = sim::TrafficBy::from_str(&args.traffic).map_err(usage)?;
    // What the other scenes show has a mesh in it.
    let default_scene = if traffic == sim::TrafficBy::Mesh { default_scene } else { "idle" };
    Ok(sim::Options {
        platform: sim::Platform::from_str(&args.platform).map_err(usage)?,
        scene: sim::Scene::from_str(args.scene.as_deref().unwrap_or(default_scene)).map_err(usage)?,
        seed: args.seed,
        speed: args.speed,
        freeze_clock,
        faults,
        calls: args.calls.clone(),
        dir: args.dir.clone(),
        listen: args.listen,
        instances: args.instances,
        full_size: args.instances.is_some(),
        churn: args.churn,
        prelude,
        traffic,
        operator: Some(wire::whoever(global)),
    })
}

/// `gonogo sim`
pub(super) async fn sim(global: &Global, args: &Sim) -> Outcome {
    let Some(dir) = &args.dir else {
        return Err(Failed::new(Exit::Usage, "--dir DIR is needed: other processes find the simulator by the files in it"));
    };
    if (args.speed - 1.0).abs() > f64::EPSILON {
        return Err(Failed::new(Exit::Usage, "--speed works in the demo only: other processes share the simulator's clock"));
    }
    let handle = sim::start(options(global, args, "idle", Prelude::Scripted)?).await.map_err(failed)?;
    set_aside(&dir.join("state"))?;
    handle.write_dir(dir).map_err(failed)?;
    super::say(&format!("simulator ready: gonogo --config {}/config.toml", dir.display()));
    let number = super::signals::ended().await?;
    handle.shutdown().await;
    Ok(Exit::Signal(number))
}

fn failed(error: sim::SimError) -> Failed {
    let exit = if matches!(&error, sim::SimError::Option(_)) { Exit::Usage } else { Exit::Internal };
    Failed::new(exit, error.to_string())
}

/// An earlier demo's journal is of another world: it is kept, under another name.
fn set_aside(state: &Path) -> Result<(), Failed> {
    if !state.join("journal.db").exists() {
        return Ok(());
    }
    let free = (1..10_000).map(|n| state.with_file_name(format!("state-{n}"))).find(|p| !p.exists());
    if let Some(free) = free {
        std::fs::rename(state, &free)?;
    }
    Ok(())
}

/// A folder of its own for a demo that was given none.
fn own_folder() -> Result<PathBuf, Failed> {
    let clock = crate::runtime::clock::SystemClock::new();
    let now = crate::domain::Clock::now(&clock).wall;
    let name = format!("{}-{}", now.format("%Y%m%d-%H%M%S"), std::process::id());
    Ok(wire::state_dir(None)?.join("demos").join(name))
}

/// `gonogo demo`
pub(super) async fn demo(global: &Global, args: &Sim) -> Outcome {
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => own_folder()?,
    };
    std::fs::create_dir_all(&dir)?;
    set_aside(&dir.join("state"))?;
    let mut options = options(global, args, "tour", Prelude::Operated)?;
    options.dir = Some(dir.clone());
    let scene = options.scene;
    let script =
        if matches!(options.traffic, sim::TrafficBy::Rolling | sim::TrafficBy::Argo) { sim::Scene::Idle.script() } else { scene.script() };
    let handle = Arc::new(sim::start(options).await.map_err(failed)?);
    handle.write_dir(&dir).map_err(failed)?;
    let config = wire::config(global, &dir.join("config.toml"))?;
    let full: IsSo = {
        let handle = handle.clone();
        Arc::new(move || handle.journal_disk_full())
    };
    let clock = handle.sim_clock();
    let watched = clock.clone();
    let journal = wire::demo_journal(&config, handle.clock(), full, Arc::new(move || !watched.is_live())).await?;
    // Nothing looks on before the run begins: that part of history is only simulated.
    let opening = clock.boot_at(script.start.map_or(TimeDelta::zero(), |at| at - TimeDelta::seconds(30)) - TimeDelta::seconds(30));
    handle.advance_to(opening).await;
    // Without a run there is nothing to fly: a cockpit that opened before t = 0 would find its first answers outdated at once.
    if script.start.is_none() {
        handle.go_live();
    }
    let mut wired = wire::connect(global, &config, handle.clock(), journal).await?;
    wired.options.tour = scene == sim::Scene::Tour;
    let mut core = Core::start(&wired.ports, wired.spec.clone(), wired.options.clone());
    if script.start.is_some() {
        let people = config.people.clone();
        let scripted = Scripted { scene, script, people: &people };
        history(&mut core, &handle, &clock, &wired.spec, &scripted).await?;
    }
    handle.go_live();
    core.forget_history();
    let outcome = super::fly::land(core, super::fly::view(global, &config)).await;
    if let Ok(handle) = Arc::try_unwrap(handle) {
        handle.shutdown().await;
    }
    if outcome.is_ok() {
        super::say("that was a simulation; gonogo status --config works on a demo with --dir");
    }
    outcome
}

/// What the scripted operator flies.
struct Scripted<'a> {
    scene: sim::Scene,
    script: sim::Script,
    people: &'a [Person],
}

/// Flies the scene's run up to t = 0 with a scripted operator: the same engine, the same requests, only faster.
async fn history(
    core: &mut Core,
    handle: &Arc<Handle>,
    clock: &SimClock,
    spec: &ServiceSpec,
    scripted: &Scripted<'_>,
) -> Result<(), Failed> {
    let script = &scripted.script;
    let (file, text) = match spec.route {
        _ if scripted.scene == sim::Scene::Checklist => ("assets/playbooks/launch-day-checklist.yaml", LAUNCH_DAY),
        RouteSpec::Selector { .. } => ("assets/playbooks/kubernetes-blue-green.yaml", BLUE_GREEN),
        _ => ("assets/playbooks/kubernetes-canary-mesh.yaml", PLAYBOOK),
    };
    let loaded = super::runbook::load_text(file, text, &[], spec, scripted.people)?;
    let end = clock.boot_at(TimeDelta::zero());
    let at = |when: Option<TimeDelta>| when.map(|t| clock.boot_at(t));
    let mut operator = ScriptedOperator {
        start: at(script.start),
        promotions: [(script.confirm_5, 5), (script.confirm_25, 25)]
            .into_iter()
            .filter_map(|(when, weight)| Some((at(when)?, Percent::new(weight)?)))
            .collect(),
        answers: script.answers,
        runbook: loaded.runbook,
        answered: None,
        trouble: None,
    };
    let advance = |boot: Duration| -> futures::future::BoxFuture<'_, ()> { Box::pin(handle.advance_to(boot)) };
    let pace = Pace::Simulated { advance: &advance, end };
    core.begin_history();
    let _: Option<()> = until(core, &pace, PATIENCE, |model| operator.next(model)).await;
    if operator.trouble.is_none() && core.now().boot < end {
        let left = crate::domain::text::span(end.saturating_sub(core.now().boot));
        operator.trouble = Some(format!("{left} of it were left after {}: this machine is too busy", crate::domain::text::span(PATIENCE)));
    }
    match operator.trouble {
        Some(why) => Err(Failed::new(Exit::Internal, format!("the demo's history could not be flown: {why}"))),
        None => Ok(()),
    }
}

/// Does what an operator would have done, at the times of the scene.
struct ScriptedOperator {
    start: Option<Duration>,
    promotions: std::collections::VecDeque<(Duration, Percent)>,
    /// Whether the checklist is answered.
    answers: bool,
    runbook: Runbook,
    /// The item answered last: not again until that is in the journal.
    answered: Option<(StepId, usize)>,
    trouble: Option<String>,
}

impl ScriptedOperator {
    fn next(&mut self, model: &mut crate::app::Model) -> Step<()> {
        use crate::app::Msg;
        let now = model.now.boot;
        match model.script_end() {
            Some(ScriptEnd::Done(_)) => model.script_clear(),
            // Not ready yet: asked again with the next step of time.
            Some(ScriptEnd::Refused(why) | ScriptEnd::Moved(why) | ScriptEnd::Unknown(why)) => {
                tracing::debug!(%why, "the scripted operator waits");
                model.script_clear();
            }
            None if model.script_running() => return Step::Wait,
            None => {}
        }
        if self.start.is_some_and(|at| now >= at) && model.picture.listed && model.picture.route_read {
            self.start = None;
            let first = crate::app::first_draft(model, &self.runbook, false);
            return Step::Say(Box::new(Msg::Start { first }));
        }
        let question = model.run.as_ref().and_then(|r| r.state.question());
        match question {
            Some(Question::Items { step, open }) if self.answers => {
                let own = |place: &&usize| self.may_answer(model, &step, **place);
                let Some(item) = open.iter().find(own).copied() else { return Step::Wait };
                let this = Some((step.clone(), item));
                if self.answered == this {
                    return Step::Wait;
                }
                self.answered = this;
                let answer = self.runbook.step(&step).and_then(|s| match &s.kind {
                    StepKind::Manual(manual) => manual.items.get(item).map(good_answer),
                    _ => None,
                });
                match answer {
                    Some(answer) => Step::Say(Box::new(Msg::Requested(Request::Answer { step, item, answer }))),
                    None => Step::Wait,
                }
            }
            Some(Question::Act { action, .. }) => match self.promotions.front() {
                Some((at, to)) if now >= *at && action.weight() == Some(*to) => {
                    let (confirm, to) = (to.to_string(), *to);
                    if model.blocked.iter().all(|b| b.starts_with("OBSERVE")) {
                        self.promotions.pop_front();
                        return Step::Say(Box::new(Msg::Requested(Request::Promote { to, confirm })));
                    }
                    Step::Wait
                }
                _ => Step::Wait,
            },
            Some(Question::Failed { why, .. }) => {
                self.trouble = Some(why);
                Step::Done(())
            }
            _ => Step::Wait,
        }
    }
}

impl ScriptedOperator {
    /// What the program sees for itself nobody answers, and others answer what is theirs.
    fn may_answer(&self, model: &crate::app::Model, step: &StepId, place: usize) -> bool {
        let Some(StepKind::Manual(manual)) = self.runbook.step(step).map(|step| &step.kind) else { return false };
        let (Some(item), Some(run), Some(step)) = (manual.items.get(place), &model.run, self.runbook.step(step)) else { return false };
        item.answer != AnswerKind::Seen && run.state.may_answer(step, item, &model.options.operator)
    }
}

/// An answer that lets the step pass.
pub(super) fn good_answer(item: &Item) -> String {
    match &item.answer {
        AnswerKind::Done | AnswerKind::Seen => "done".into(),
        AnswerKind::Text { equals, .. } => equals.clone().unwrap_or_else(|| "demo".into()),
        AnswerKind::Choice { of, expect } => expect.clone().or_else(|| of.first().cloned()).unwrap_or_default(),
        AnswerKind::Number { min, max } => match (min, max) {
            (Some(min), _) => format!("{min}"),
            (None, Some(max)) => format!("{max}"),
            (None, None) => "1".into(),
        },
    }
}
