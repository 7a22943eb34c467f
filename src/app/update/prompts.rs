//! Opening, answering and closing prompts.

use super::super::effect::Effect;
use super::super::key::{Key, KeyCode};
use super::super::model::{Mode, Model, Seat};
use super::super::prompt::{Ask, NeedsReason, Prompt, Reaction};
use super::super::rows::items;
use super::run::{self, AfterOpen, append_as_observer, feed};
use super::script;
use crate::app::verdict::permit;
use crate::domain::record::Draft;
use crate::domain::{Confirm, Danger, Failure, Stamp, StepId};
use crate::runbook::StepKind;
use crate::runbook::io::{Command, Input, Level, Proposal, Purpose};
use crate::runbook::plan::{AnswerKind, Choice};
use crate::runbook::record::Event;
use crate::runbook::state::Question;

/// A key inside a prompt.
pub(super) fn key(model: &mut Model, stamp: &Stamp, key: Key) -> Vec<Effect> {
    let Some(prompt) = model.prompt.as_mut() else { return Vec::new() };
    if prompt.is_text() && key.code == KeyCode::Enter && prompt.guard_left(stamp.mono).is_zero() {
        let text = prompt.typed.clone();
        return text_sent(model, stamp, &text);
    }
    match prompt.key(key, stamp.mono) {
        Reaction::Stay => Vec::new(),
        Reaction::Cancel => cancel(model, stamp),
        Reaction::Yes => yes(model, stamp),
        Reaction::Typed(typed) => typed_consequence(model, stamp, typed),
        Reaction::Pick(c) => pick(model, stamp, c),
        Reaction::Text(text) => text_sent(model, stamp, &text),
    }
}

fn cancel(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let Some(prompt) = model.prompt.take() else { return Vec::new() };
    let effects = match prompt.ask {
        Ask::Promote | Ask::BackOut => feed(model, stamp, Input::Command(Command::Decline)),
        _ => Vec::new(),
    };
    if !matches!(prompt.ask, Ask::Blocked { .. }) {
        model.say(Level::Info, "cancelled: nothing was sent");
    }
    effects
}

fn open(model: &mut Model, stamp: &Stamp, ask: Ask, level: Danger) {
    model.prompt = Some(Prompt::new(ask, level, stamp.mono));
}

fn block(model: &mut Model, stamp: &Stamp, what: &str, reasons: Vec<String>) -> Vec<Effect> {
    open(model, stamp, Ask::Blocked { what: what.to_owned(), reasons }, Danger::L1);
    Vec::new()
}

/// Why nothing can be written from here at all.
fn unable(model: &Model) -> Option<String> {
    if model.mode == Mode::Spectator || model.options.spectator {
        Some("SPECTATOR holds no write credentials: CAPITAL keys are off".into())
    } else if model.options.read_only {
        Some("this cockpit is read-only".into())
    } else {
        None
    }
}

/// `P`
pub(super) fn promote(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if !model.blocked.is_empty() {
        let reasons = model.blocked.clone();
        return block(model, stamp, "promote", reasons);
    }
    match model.run.as_ref().and_then(|r| r.state.question()) {
        Some(Question::Act { .. }) => {
            open(model, stamp, Ask::Promote, Danger::L2);
            let permit = permit(model, stamp);
            feed(model, stamp, Input::Command(Command::Propose { permit }))
        }
        Some(Question::Gate { step }) => {
            let title = run::step_title(model, &step);
            open(model, stamp, Ask::Gate { step, title }, Danger::L1);
            Vec::new()
        }
        _ => block(model, stamp, "promote", vec!["the run does not wait for a decision now".into()]),
    }
}

/// `B`: from any view, in OBSERVE, with stale data.
pub(super) fn back_out(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if let Some(why) = unable(model) {
        return block(model, stamp, "back out", vec![why, "by hand: gonogo print-undo (works offline)".into()]);
    }
    match model.run.as_ref().map(|r| (r.seat, r.state.phase.is_final(), r.state.run.clone())) {
        Some((Seat::Driving, false, _)) => ask_back_out(model, stamp),
        Some((Seat::Following | Seat::Unattended, false, run)) => {
            model.driver.after_open = Some(AfterOpen::BackOut);
            model.say(Level::Info, "taking the seat to back out");
            vec![Effect::TakeSeat { run, take_over: true }]
        }
        None | Some((_, true, _)) => {
            model.driver.after_open = Some(AfterOpen::BackOut);
            let first = run::back_out_run(model);
            vec![Effect::StartRun { first }]
        }
    }
}

/// Opens the prompt and has the act worked out.
pub(super) fn ask_back_out(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if model.driver.script.is_none() {
        open(model, stamp, Ask::BackOut, Danger::L2);
    }
    let why = run::back_out_reason(model);
    feed(model, stamp, Input::Command(Command::ProposeBackOut { why }))
}

/// The engine worked a plan out.
pub(super) fn proposed(model: &mut Model, stamp: &Stamp, proposal: Box<Proposal>) -> Vec<Effect> {
    if let Some(effects) = script::proposed(model, stamp, &proposal) {
        return effects;
    }
    let ask = if run::forward(proposal.purpose) { Ask::Promote } else { Ask::BackOut };
    let consequence = proposal.plan.action.consequence();
    match model.prompt.as_mut().filter(|p| p.ask == ask) {
        // The world moved while the prompt was open: what was typed for the old plan does not count for the new one.
        Some(prompt) if prompt.proposal.as_ref().is_some_and(|p| p.plan_hash != proposal.plan_hash) => {
            let mut fresh = Prompt::new(ask, Danger::L2, stamp.mono);
            fresh.error = Some("the platform changed: this is the new plan".into());
            *prompt = fresh;
        }
        Some(_) => {}
        None => open(model, stamp, ask, Danger::L2),
    }
    if let Some(prompt) = &mut model.prompt {
        prompt.expects = Some(consequence);
        prompt.proposal = Some(proposal);
    }
    Vec::new()
}

/// The engine closed the prompt.
pub(super) fn withdrawn(model: &mut Model, why: &str) {
    script::refused(model, why);
    if model.prompt.as_ref().is_some_and(Prompt::is_typed) {
        model.prompt = None;
        model.say(Level::Warning, &format!("{why}; nothing was sent"));
    }
}

/// What the engine says while a prompt waits for its plan belongs into the prompt.
pub(super) fn said(model: &mut Model, level: Level, text: &str) {
    if let Some(prompt) = model.prompt.as_mut().filter(|p| p.is_typed() && p.proposal.is_none() && level >= Level::Warning) {
        prompt.error = Some(text.to_owned());
    }
}

pub(super) fn plan_failed(model: &mut Model, failure: &Failure) {
    if let Some(prompt) = model.prompt.as_mut().filter(|p| p.is_typed()) {
        prompt.error = Some(format!("cannot be planned: {failure}; by hand: gonogo print-undo"));
    }
}

/// A forward prompt closes itself when the evidence no longer permits to go.
pub(super) fn world_moved(model: &mut Model, stamp: &Stamp) {
    let Some(prompt) = &model.prompt else { return };
    let forward = matches!(prompt.ask, Ask::Promote | Ask::Gate { .. });
    if !forward || model.blocked.is_empty() {
        return;
    }
    // After the confirmation the run itself is what "blocks": the prompt is gone by then.
    let why = model.blocked.first().cloned().unwrap_or_default();
    model.prompt = None;
    model.say(Level::Warning, &format!("prompt closed: {why}; nothing was sent"));
    let _ = feed(model, stamp, Input::Command(Command::Decline));
}

fn typed_consequence(model: &mut Model, stamp: &Stamp, typed: String) -> Vec<Effect> {
    let Some(prompt) = model.prompt.take() else { return Vec::new() };
    let Some(proposal) = prompt.proposal else { return Vec::new() };
    if proposal.confirm == Confirm::Override {
        model.say(Level::Warning, "this step needs a second person, which this version cannot ask for");
        return Vec::new();
    }
    let shown = stamp.mono.saturating_sub(prompt.opened);
    let permit = permit(model, stamp);
    if proposal.purpose == Purpose::BackOut && matches!(model.mode, Mode::Observe) {
        model.say(Level::Info, "armed for this one act");
    }
    feed(model, stamp, Input::Command(Command::Confirm { plan_hash: proposal.plan_hash, typed, shown, permit }))
}

fn yes(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let Some(prompt) = model.prompt.take() else { return Vec::new() };
    match prompt.ask {
        Ask::Arm => {
            model.mode = Mode::Armed { until: stamp.boot + Mode::ARMED_FOR };
            model.say(Level::Info, "ARMED for 60 minutes, 15 without a key");
            let until = stamp.wall + chrono::TimeDelta::minutes(60);
            feed(model, stamp, Input::Command(Command::Mode { armed_until: Some(until) }))
        }
        Ask::Unhold => feed(model, stamp, Input::Command(Command::Unhold)),
        Ask::Gate { .. } => {
            let permit = permit(model, stamp);
            feed(model, stamp, Input::Command(Command::Gate { go: true, permit }))
        }
        Ask::Start { first, .. } => vec![Effect::StartRun { first: run::as_it_stands(model, *first) }],
        Ask::Resume { run, .. } => vec![Effect::TakeSeat { run, take_over: true }],
        Ask::Quit => run::leave(model, stamp),
        _ => Vec::new(),
    }
}

/// `A`
pub(super) fn arm(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if let Some(why) = unable(model) {
        model.say(Level::Warning, &why);
        return Vec::new();
    }
    if matches!(model.mode, Mode::Armed { .. }) {
        model.mode = Mode::Observe;
        model.say(Level::Info, "disarmed: OBSERVE");
        return feed(model, stamp, Input::Command(Command::Mode { armed_until: None }));
    }
    open(model, stamp, Ask::Arm, Danger::L1);
    Vec::new()
}

/// `U`
pub(super) fn unhold(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if let Some(why) = unable(model) {
        return block(model, stamp, "release the hold", vec![why]);
    }
    match model.run.as_ref().map(|r| (r.seat, r.state.hold.is_some())) {
        Some((Seat::Driving, true)) => {
            if matches!(model.mode, Mode::Observe) {
                return block(model, stamp, "release the hold", vec!["OBSERVE: A arms this cockpit".into()]);
            }
            open(model, stamp, Ask::Unhold, Danger::L1);
        }
        Some((_, true)) => return block(model, stamp, "release the hold", vec!["only the driver can: T takes the seat".into()]),
        _ => model.say(Level::Info, "nothing is held"),
    }
    Vec::new()
}

/// A runbook was named on the command line.
pub(super) fn ask_start(model: &mut Model, stamp: &Stamp, title: &str, lines: &[String], first: &Draft) -> Vec<Effect> {
    if let Some(why) = unable(model) {
        return block(model, stamp, "start a run", vec![why]);
    }
    let ask = Ask::Start { title: title.to_owned(), lines: lines.to_vec(), first: Box::new(first.clone()) };
    open(model, stamp, ask, Danger::L1);
    Vec::new()
}

/// `T`
pub(super) fn take(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if let Some(why) = unable(model) {
        return block(model, stamp, "take the seat", vec![why]);
    }
    let Some(run) = &model.run else {
        model.say(Level::Info, "no run to drive");
        return Vec::new();
    };
    if run.seat == Seat::Driving || run.state.phase.is_final() {
        model.say(Level::Info, "you drive already, or the run has ended");
        return Vec::new();
    }
    let prompt = resume_prompt(model);
    if let Some(ask) = prompt {
        open(model, stamp, ask, Danger::L1);
    }
    Vec::new()
}

/// The question whether to continue the run that is followed.
pub(super) fn resume_prompt(model: &Model) -> Option<Ask> {
    let run = model.run.as_ref()?;
    let state = &run.state;
    let mut lines = vec![format!("run {}: {}, driven last by {}", state.run, state.phase.word(), state.driver.id)];
    if run.seat == Seat::Following {
        lines.push(format!("{} drives it NOW: taking over fences that cockpit off", state.driver.client));
    }
    if let Some((step, _)) = state.current() {
        lines.push(format!("step {}: {}", step.id, step.title));
    }
    if let Some(op) = &state.operation {
        lines.push(format!("last act {}: {:?}", op.action, op.stage).chars().take(120).collect());
    }
    lines.push("it goes on from the journal; nothing is sent twice".into());
    Some(Ask::Resume { run: state.run.clone(), lines })
}

/// `D`: the selected or first open item, or what failed.
pub(super) fn done(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if let Some(why) = unable(model) {
        return block(model, stamp, "answer", vec![why]);
    }
    match model.run.as_ref().and_then(|r| r.state.question()) {
        Some(Question::Failed { step, why, offer }) => open(model, stamp, Ask::Failed { step, why, offer }, Danger::L1),
        Some(Question::Unclear { why, redo, adopt, .. }) => open(model, stamp, Ask::Unclear { why, redo, adopt }, Danger::L1),
        Some(Question::Items { step, open }) => return ask_item(model, stamp, &step, &open),
        _ => model.say(Level::Info, "nothing waits for an answer"),
    }
    Vec::new()
}

fn ask_item(model: &mut Model, stamp: &Stamp, step: &StepId, open_items: &[usize]) -> Vec<Effect> {
    let selected = model
        .screen
        .selections
        .get(&super::super::command::View::Checklist)
        .and_then(|s| s.id.clone())
        .and_then(|id| items(model).into_iter().find(|(s, i)| format!("{s}/{i}") == id))
        .filter(|(s, _)| *s == step.as_str())
        .map(|(_, i)| i);
    let Some(item) = selected.or_else(|| open_items.first().copied()) else { return Vec::new() };
    let found = model.run.as_ref().and_then(|r| r.state.runbook.step(step)).and_then(|s| match &s.kind {
        StepKind::Manual(manual) => manual.items.get(item).cloned(),
        _ => None,
    });
    let Some(found) = found else { return Vec::new() };
    let ask = Ask::Item { step: step.clone(), item, challenge: found.challenge, expects: expects(&found.answer) };
    open(model, stamp, ask, Danger::L1);
    Vec::new()
}

/// What counts as an answer, for people.
fn expects(answer: &AnswerKind) -> String {
    match answer {
        AnswerKind::Done => "done".into(),
        AnswerKind::Text { .. } => "text".into(),
        AnswerKind::Choice { of, .. } => of.join(" | "),
        AnswerKind::Number { min, max } => match (min, max) {
            (Some(min), Some(max)) => format!("a number from {min} to {max}"),
            (Some(min), None) => format!("a number, at least {min}"),
            (None, Some(max)) => format!("a number, at most {max}"),
            (None, None) => "a number".into(),
        },
    }
}

/// `M`
pub(super) fn memo(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if model.run.is_none() {
        model.say(Level::Info, "no run to write a note into");
    } else if model.mode == Mode::Spectator {
        model.say(Level::Warning, "SPECTATOR cannot write notes");
    } else {
        open(model, stamp, Ask::Memo, Danger::L1);
    }
    Vec::new()
}

fn pick(model: &mut Model, stamp: &Stamp, c: char) -> Vec<Effect> {
    let Some(prompt) = model.prompt.take() else { return Vec::new() };
    match (&prompt.ask, c) {
        (Ask::Failed { offer, .. }, _) => match choice_of(c).filter(|choice| offer.contains(choice)) {
            Some(Choice::BackOut) => back_out(model, stamp),
            Some(Choice::Retry) => feed(model, stamp, Input::Command(Command::Choose { choice: Choice::Retry, reason: None })),
            Some(Choice::Skip) => reason(model, stamp, NeedsReason::Skip),
            Some(Choice::Abort) => reason(model, stamp, NeedsReason::Abort),
            None => reopen(model, prompt),
        },
        (Ask::Unclear { redo: true, .. }, 'r') => feed(model, stamp, Input::Command(Command::Redo)),
        (Ask::Unclear { adopt: true, .. }, 'a') => reason(model, stamp, NeedsReason::Adopt),
        (Ask::Unclear { .. }, 'b') => back_out(model, stamp),
        (Ask::Unclear { .. }, 'x') => reason(model, stamp, NeedsReason::Abort),
        _ => reopen(model, prompt),
    }
}

fn choice_of(c: char) -> Option<Choice> {
    match c {
        'r' => Some(Choice::Retry),
        's' => Some(Choice::Skip),
        'b' => Some(Choice::BackOut),
        'x' => Some(Choice::Abort),
        _ => None,
    }
}

fn reopen(model: &mut Model, prompt: Prompt) -> Vec<Effect> {
    model.prompt = Some(prompt);
    Vec::new()
}

fn reason(model: &mut Model, stamp: &Stamp, then: NeedsReason) -> Vec<Effect> {
    open(model, stamp, Ask::Reason { then }, Danger::L1);
    Vec::new()
}

fn text_sent(model: &mut Model, stamp: &Stamp, text: &str) -> Vec<Effect> {
    let text = text.trim().to_owned();
    let Some(mut prompt) = model.prompt.take() else { return Vec::new() };
    if text.is_empty() {
        prompt.error = Some("nothing was typed".into());
        return reopen(model, prompt);
    }
    let driving = model.run.as_ref().is_some_and(|r| r.seat == Seat::Driving);
    match prompt.ask {
        Ask::Memo if driving => feed(model, stamp, Input::Command(Command::Note { text })),
        Ask::Memo => append_as_observer(model, &Event::Note { text }),
        Ask::Item { step, item, .. } => answer(model, stamp, step, item, text),
        Ask::Reason { then } => {
            let command = match then {
                NeedsReason::Skip => Command::Choose { choice: Choice::Skip, reason: Some(text) },
                NeedsReason::Abort => Command::Abort { reason: text },
                NeedsReason::Adopt => Command::Adopt { reason: text },
            };
            feed(model, stamp, Input::Command(command))
        }
        _ => Vec::new(),
    }
}

/// An answer counts from everybody; its meaning is checked by the engine, or here when somebody else drives.
pub(super) fn answer(model: &mut Model, stamp: &Stamp, step: StepId, item: usize, text: String) -> Vec<Effect> {
    let Some(run) = &model.run else { return Vec::new() };
    if run.seat == Seat::Driving {
        return feed(model, stamp, Input::Command(Command::Answer { step, item, answer: text }));
    }
    let ok = run.state.runbook.step(&step).is_some_and(|s| match &s.kind {
        StepKind::Manual(manual) => manual.items.get(item).is_some_and(|i| i.answer.judge(&text) == Ok(true)),
        _ => false,
    });
    append_as_observer(model, &Event::ItemAnswered { step, item, answer: text, ok })
}
