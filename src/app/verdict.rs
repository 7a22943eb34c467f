//! May we go on? The worst of what is known, and the reasons in words.

use super::model::{Incident, Mode, Model, Reason, Seat, VerdictView};
use super::wanted::{current_share, settle_time};
use super::{counts, landing};
use crate::domain::text::{clock, span};
use crate::domain::time::age;
use crate::domain::traffic::{Agreement, agreement};
use crate::domain::{Freshness, Outcome, RolloutStatus, Stamp, StepId, Verdict};
use crate::judge::{self, Landing};
use crate::runbook::engine::HARM_GUARD;
use crate::runbook::gate::Standing;
use crate::runbook::io::Permit;
use crate::runbook::state::{GuardState, ItemAnswer, OpStage, Phase, Question, RunState, StepPhase};
use crate::runbook::{AnswerKind, Guard, GuardThen, StepKind};

/// Whether the three weights agree now.
#[must_use]
pub fn weights(model: &Model, now: &Stamp) -> Agreement {
    if !model.platform.freshness(now.wall).usable() {
        return Agreement::Unknown;
    }
    // Nothing is intended and nothing is configured, so nothing can differ.
    if !model.is_split() {
        return if model.picture.listed { Agreement::Agreed } else { Agreement::Unknown };
    }
    let state = model.run.as_ref().map(|r| &r.state);
    let under_way = state
        .and_then(|s| s.operation.as_ref())
        .is_some_and(|o| !o.fence && matches!(o.stage, OpStage::Intent | OpStage::Accepted | OpStage::Unknown { .. }));
    // A rollout shifts by itself, with and without a run.
    let shifted = state.and_then(|s| s.shifted_at).max(model.picture.progressive.shifted);
    let settled = !under_way && shifted.is_none_or(|at| age(now.wall, at) >= settle_time(model.spec.scrape_interval));
    // A window that reaches back before the shift counts the old traffic too.
    let share = current_share(model, now.wall).filter(|share| {
        let begins = share.newest - chrono::TimeDelta::from_std(share.window).unwrap_or_default();
        !under_way && shifted.is_none_or(|at| begins + SCRAPE_SLACK >= at)
    });
    agreement(model.intended(), model.picture.route.as_ref(), share.as_ref(), settled)
}

/// A counter is read a moment before the window's end: so much of the old traffic does not count.
const SCRAPE_SLACK: chrono::TimeDelta = chrono::TimeDelta::seconds(2);

/// The verdict with its reasons, worst first. A person's own part (confirming the next act) is no reason.
pub(super) fn verdict(model: &Model, now: &Stamp) -> VerdictView {
    let mut reasons = Vec::new();
    sources(model, now, &mut reasons);
    if model.platform.freshness(now.wall).usable() {
        reasons.extend(super::failing::reasons(model));
    }
    for gate in model.gates.iter().filter(|g| g.counts) {
        let verdict = gate.verdict();
        if verdict != Verdict::Go {
            let text = match verdict {
                Verdict::NoGo => format!("{} {} NO-GO", gate.title, gate.finding.shown),
                Verdict::Watch => format!("{} WATCH", gate.title),
                _ => match gate.finding.outcome {
                    Outcome::NoData => format!("{}: NO DATA", gate.title),
                    Outcome::Stale => format!("{}: STALE", gate.title),
                    Outcome::Error => format!("{}: cannot be asked", gate.title),
                    _ => format!("{}: {}", gate.title, gate.finding.why),
                },
            };
            reasons.push(Reason { verdict, text });
        }
    }
    reasons.extend(super::alerts::reasons(model, now).into_iter().map(|(verdict, text)| Reason { verdict, text }));
    if let Some(text) = super::update::log_reason(model, now) {
        reasons.push(Reason { verdict: Verdict::Watch, text });
    }
    routing(model, now, &mut reasons);
    cost(model, now, &mut reasons);
    let remarks = around(model).into_iter().filter(|remark| remark.verdict > Verdict::Go);
    reasons.extend(remarks.map(|remark| Reason { verdict: remark.verdict, text: remark.text }));
    reasons.extend(super::targets::reasons(model, now).into_iter().map(|(verdict, text)| Reason { verdict, text }));
    super::progressive::reasons(&model.picture.progressive, &mut reasons);
    run(model, now, &mut reasons);
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
    VerdictView { verdict: Verdict::worst(reasons.iter().map(|r| r.verdict)), reasons }
}

fn sources(model: &Model, now: &Stamp, reasons: &mut Vec<Reason>) {
    for source in [&model.platform, &model.metrics] {
        let freshness = source.freshness(now.wall);
        if !freshness.usable() {
            let text = match freshness {
                Freshness::NoData => format!("no data from {} yet", source.source),
                other => format!("{} {}", source.source, other.word()),
            };
            reasons.push(Reason { verdict: Verdict::Unknown, text });
        }
    }
}

fn routing(model: &Model, now: &Stamp, reasons: &mut Vec<Reason>) {
    if !model.picture.route_read {
        return;
    }
    let Some(route) = &model.picture.route else {
        let Some(object) = model.spec.route.object() else { return };
        let text = format!("{object} does not exist");
        reasons.push(Reason { verdict: Verdict::Unknown, text });
        return;
    };
    let found = model.picture.xray.iter().flat_map(judge::xray);
    reasons.extend(found.map(|finding| Reason { verdict: finding.verdict, text: finding.text }));
    if let Some(trouble) = &route.trouble {
        reasons.push(Reason { verdict: Verdict::Unknown, text: trouble.clone() });
    }
    let (verdict, text) = match weights(model, now) {
        Agreement::Agreed => return,
        Agreement::Settling => (Verdict::Hold, "traffic is settling after the shift".to_owned()),
        Agreement::NoData => (Verdict::Unknown, "too few requests to see the split".to_owned()),
        Agreement::ConfiguredDiffers => {
            let want = model.intended().map_or_else(|| "?".into(), |w| w.to_string());
            let set = route.canary_share().map_or_else(|| "?".into(), |s| format!("{s:.0}"));
            (Verdict::Hold, format!("want {want}% but set to {set}%"))
        }
        Agreement::NotObserved => {
            let seen = current_share(model, now.wall).and_then(|s| s.percent()).map_or_else(|| "?".into(), |p| format!("{p:.1}"));
            (Verdict::Hold, format!("NOT OBSERVED: set {:.0}%, seen {seen}%", route.canary_share().unwrap_or_default()))
        }
        Agreement::Unknown => return,
    };
    reasons.push(Reason { verdict, text });
}

/// What stands around the workload, judged for the release on screen, worst first.
#[must_use]
pub fn around(model: &Model) -> Vec<judge::Remark> {
    let state = model.run.as_ref().map(|r| &r.state);
    let object = model.spec.route.object();
    let workloads: Vec<_> = model.picture.workloads.values().cloned().collect();
    let moves = workloads.iter().any(|w| w.rollout != RolloutStatus::Complete && w.desired > 0);
    let release = judge::Release {
        route: object.as_deref(),
        since: state.map(|s| s.started),
        serves: model.configured().is_some_and(|share| share > 0.0),
        moves,
    };
    judge::around(&model.picture.around, &workloads, release)
}

/// What the release costs, and whether its last act landed.
fn cost(model: &Model, now: &Stamp, reasons: &mut Vec<Reason>) {
    let Some(run) = model.run.as_ref().filter(|r| !r.state.phase.is_final()) else { return };
    if let Some(act) = landing::followed(model)
        && let Landing::Missing { why, .. } = landing::look(model, &act, now)
    {
        reasons.push(Reason { verdict: Verdict::Watch, text: format!("not landed: {why}") });
    }
    let Some(budget) = counts::budget(model).filter(|_| run.state.exposed_at.is_some()) else { return };
    let held = harm_holds(&run.state);
    match counts::harm(model, now.wall) {
        // A person who released that hold has decided about it.
        Ok(excess) if judge::spends(excess, budget, 1) => {
            let verdict = if held || run.state.harm_spent == 0 { Verdict::NoGo } else { Verdict::Watch };
            reasons.push(Reason { verdict, text: format!("harm {:.0} errors of {budget}", excess.count) });
        }
        Ok(excess) if excess.count > f64::from(budget) * 0.9 => {
            reasons.push(Reason { verdict: Verdict::Watch, text: format!("harm {:.0} errors of {budget}", excess.count) });
        }
        Err(why) if model.spec.harm.errors.is_some() && counts::is_overdue(model, now) => {
            reasons.push(Reason { verdict: Verdict::Watch, text: format!("harm not known: {why}") });
        }
        _ => {}
    }
}

fn run(model: &Model, now: &Stamp, reasons: &mut Vec<Reason>) {
    let Some(run) = &model.run else {
        reasons.push(Reason { verdict: Verdict::Hold, text: "nothing is being released".into() });
        return;
    };
    let state = &run.state;
    let mut add = |verdict, text: String| reasons.push(Reason { verdict, text });
    match state.phase {
        Phase::Completed => return,
        Phase::RolledBack => return add(Verdict::Hold, "backed out".into()),
        Phase::Aborted => return add(Verdict::Hold, "aborted".into()),
        Phase::RollbackStuck => add(Verdict::NoGo, "the way back is stuck".into()),
        Phase::RollingBack => add(Verdict::NoGo, "backing out".into()),
        Phase::Running => {}
    }
    for (guard, known) in state.runbook.guards.iter().zip(&state.guards) {
        let holds = state.hold.as_ref().is_some_and(|h| h.guard.as_deref() == Some(guard.id.as_str()));
        if let Some((why, _)) = known.tripped.as_ref().filter(|_| guard.then != GuardThen::Warn && (known.standing || holds)) {
            add(Verdict::NoGo, why.clone());
        }
    }
    if let Some(hold) = &state.hold {
        add(Verdict::Hold, format!("held: {}", hold.reason));
    }
    match run.seat {
        Seat::Unattended => add(Verdict::Hold, "nobody drives this run".into()),
        Seat::Following | Seat::Driving => {}
    }
    match state.question() {
        Some(Question::Items { step, open }) => {
            let (verdict, text) = checklist(state, &step, &open);
            add(verdict, text);
        }
        Some(Question::Failed { step, why, .. }) => {
            let inconclusive = state.current().is_some_and(|(_, s)| s.phase == StepPhase::Inconclusive);
            add(if inconclusive { Verdict::Unknown } else { Verdict::NoGo }, format!("{step} failed: {why}"));
        }
        Some(Question::Unclear { why, .. }) => add(Verdict::Unknown, why),
        Some(Question::Agree { step }) => {
            let board = state.board(&step, now.wall);
            let against = board.as_ref().is_some_and(|board| board.positions.iter().any(|p| p.standing == Standing::NoGo));
            let waits = board.map(|board| board.waits_for).unwrap_or_default();
            add(if against { Verdict::NoGo } else { Verdict::Hold }, format!("{step} waits for {waits}"));
        }
        Some(Question::Preconditions { bad }) => add(Verdict::NoGo, format!("preconditions: {}", bad.join(", "))),
        Some(Question::Act { .. } | Question::Gate { .. }) => {}
        None if state.phase == Phase::Running => add(Verdict::Hold, doing(model, now)),
        None => {}
    }
}

/// What the open items of a checklist mean: people are missing, something is red, nobody can tell, or the program still looks.
fn checklist(state: &RunState, step: &StepId, open: &[usize]) -> (Verdict, String) {
    let Some((StepKind::Manual(manual), known)) = state.step_and_state(step).map(|(step, known)| (&step.kind, known)) else {
        return (Verdict::NoGo, "checklist".into());
    };
    let of = |place: &usize| {
        let asks = manual.items.get(*place).is_some_and(|item| item.answer != AnswerKind::Seen);
        if asks && !known.answers.get(place).is_some_and(ItemAnswer::stands) {
            return Verdict::NoGo;
        }
        match known.seen.get(place).map(|(outcome, _)| *outcome) {
            Some(Outcome::Fail) => Verdict::NoGo,
            Some(Outcome::Stale | Outcome::NoData | Outcome::Error) => Verdict::Unknown,
            Some(Outcome::Pass | Outcome::Holding) | None => Verdict::Hold,
        }
    };
    (Verdict::worst(open.iter().map(of)), format!("checklist: {} open", open.len()))
}

/// What the run is doing that is not waiting for a person.
fn doing(model: &Model, now: &Stamp) -> String {
    let Some(run) = &model.run else { return String::new() };
    if let Some(op) = &run.state.operation
        && matches!(op.stage, OpStage::Intent | OpStage::Accepted | OpStage::Confirmed { .. })
    {
        return run.doing.clone().unwrap_or_else(|| format!("{} is under way", op.action));
    }
    match run.state.current() {
        Some((step, _)) => match &step.kind {
            StepKind::Wait { .. } => match run.state.bake_left(now, &run.boot_id) {
                Some(left) => format!("bake {} left", clock(left)),
                None => "baking".into(),
            },
            StepKind::Check(_) => format!("checking {}", step.id),
            _ => run.doing.clone().unwrap_or_else(|| format!("step {}", step.id)),
        },
        None => "between steps".into(),
    }
}

/// Why `P` would not ask, beyond what the verdict says. Empty: it would.
pub(super) fn blocked(model: &Model, now: &Stamp) -> Vec<String> {
    let mut why = Vec::new();
    if model.mode == Mode::Spectator || model.options.spectator {
        why.push("SPECTATOR holds no write credentials".into());
    } else if model.options.read_only {
        why.push("this cockpit is read-only".into());
    }
    match &model.run {
        None => why.push("no run: gonogo run RUNBOOK starts one".into()),
        Some(run) if run.state.phase.is_final() => why.push(format!("the run is {}", run.state.phase.word())),
        Some(run) => {
            match run.seat {
                Seat::Following => why.push(format!("{} drives: T takes the seat", run.state.driver.id)),
                Seat::Unattended => why.push("nobody drives: T takes the seat".into()),
                Seat::Driving => {}
            }
            match run.state.question() {
                Some(Question::Items { open, .. }) => why.push(format!("{} items of the checklist are open: 6, then D", open.len())),
                Some(Question::Failed { .. } | Question::Unclear { .. }) => why.push("a decision is open: D".into()),
                _ => {}
            }
        }
    }
    let question = model.run.as_ref().and_then(|run| run.state.question());
    let remedy = matches!(&question, Some(Question::Act { action, .. }) if action.is_remedy());
    if !remedy && !model.verdict.verdict.permits_go() {
        why.extend(model.verdict.reasons.iter().filter(|r| !r.verdict.permits_go()).map(|r| r.text.clone()));
    }
    let agreed = weights(model, now);
    if !remedy && agreed == Agreement::Unknown && model.verdict.verdict.permits_go() {
        why.push("the weights are not known".into());
    }
    if matches!(model.mode, Mode::Observe) && !model.options.read_only {
        why.push("OBSERVE: A arms this cockpit".into());
    }
    why.dedup();
    why
}

/// What the evidence permits now, in the form that is journaled with a decision.
pub(super) fn permit(model: &Model, now: &Stamp) -> Permit {
    let mut parts: Vec<String> =
        model.gates.iter().map(|g| format!("{} {} ({}) {}", g.title, g.finding.shown, g.probe.describe(), g.verdict())).collect();
    for source in [&model.platform, &model.metrics] {
        let old = source.newest.map_or_else(|| "never".into(), |at| span(age(now.wall, at)));
        parts.push(format!("{} {} {old}", source.short, source.freshness(now.wall).word()));
    }
    if let Some(board) = &model.alerts {
        let counts = board.counts();
        let word = board.freshness(now.wall).word();
        parts.push(format!(
            "{} {word}: {} firing, {} pending, {} silenced",
            board.source.source, counts.firing, counts.pending, counts.silenced
        ));
    }
    if let Some(percent) = current_share(model, now.wall).and_then(|s| s.percent()) {
        parts.push(format!("seen {percent:.1}%"));
    }
    parts.extend(model.verdict.reasons.iter().map(|r| r.text.clone()));
    let mut verdict = model.verdict.verdict;
    if weights(model, now) == Agreement::Unknown {
        verdict = verdict.max(Verdict::Unknown);
    }
    Permit { verdict, evidence: crate::domain::text::clean_bounded(&parts.join("; "), 2000) }
}

/// The incident on screen: a guard that tripped and matters now, a way back that is stuck.
pub(super) fn incident(model: &Model, now: &Stamp) -> Option<Incident> {
    let run = model.run.as_ref()?;
    let state = &run.state;
    if state.phase.is_final() {
        return None;
    }
    let stuck = state.phase == Phase::RollbackStuck;
    let guard = tripped(state);
    let (what, since) = match guard.and_then(|i| state.guards[i].tripped.clone()) {
        Some(tripped) => tripped,
        None if stuck => {
            let began = state.rollback_began.as_ref().map_or(state.started, |(at, ..)| *at);
            (state.end_reason.clone().unwrap_or_else(|| "the way back could not be finished".into()), began)
        }
        None if harm_holds(state) => state.hold.as_ref().map(|h| (h.reason.clone(), h.since))?,
        None => return None,
    };
    let countdown = guard.and_then(|i| state.guards[i].countdown).map(|at| {
        let left = crate::runbook::engine::COUNTDOWN.saturating_sub(age(now.wall, at));
        model.driver.countdown().unwrap_or(now.boot + left)
    });
    if state.hold.is_none() && countdown.is_none() && state.phase == Phase::Running {
        return None;
    }
    let at = state.hold.as_ref().map_or(since, |h| h.since);
    let weight = model.share_now().map_or_else(|| "?".into(), |w| format!("{w:.0}%"));
    let holder = state.hold.as_ref().and_then(|h| h.guard.as_deref());
    let state_text = match (state.phase, countdown, holder) {
        (Phase::RollingBack, ..) => "BACKING OUT".to_owned(),
        (Phase::RollbackStuck, ..) => "THE WAY BACK IS STUCK: see 7".to_owned(),
        (_, Some(due), _) => format!("BACKS OUT BY ITSELF in {} s   H stops that", due.saturating_sub(now.boot).as_secs()),
        (_, None, Some(id)) => format!("HELD at {weight} by guard {id} {}", at.format("%H:%M:%SZ")),
        (_, None, None) => format!("HELD at {weight} {}", at.format("%H:%M:%SZ")),
    };
    Some(Incident { what, state: state_text, since, at_weight: state.intended, countdown })
}

/// The budget of excess errors holds the run.
fn harm_holds(state: &RunState) -> bool {
    state.hold.as_ref().is_some_and(|h| h.guard.as_deref() == Some(HARM_GUARD))
}

/// The guard that the incident is about: the one that counts down, the one that holds, or one that is still bad since it tripped.
fn tripped(state: &RunState) -> Option<usize> {
    let holder = state.hold.as_ref().and_then(|h| h.guard.as_deref());
    let places = || state.runbook.guards.iter().zip(&state.guards).enumerate().filter(|(_, (_, s))| s.tripped.is_some());
    let acting = || places().filter(|(_, (guard, _))| guard.then != GuardThen::Warn);
    let find = |fits: &dyn Fn(&Guard, &GuardState) -> bool| acting().find(|(_, (guard, known))| fits(guard, known)).map(|(i, _)| i);
    find(&|_, known| known.countdown.is_some())
        .or_else(|| find(&|guard, _| holder == Some(guard.id.as_str())))
        .or_else(|| find(&|_, known| known.standing))
}
