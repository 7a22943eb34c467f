//! Opening, answering and closing prompts.

use super::super::effect::Effect;
use super::super::key::{Key, KeyCode};
use super::super::model::{Mode, Model, Seat};
use super::super::prompt::{Ask, NeedsReason, Prompt, Reaction};
use super::super::rows::items;
use super::back_out::{self, Settled};
use super::ground::Ground;
use super::run::{self, append_as_observer, feed};
use super::{script, side, verbs, voices};
use crate::app::verdict::permit;
use crate::domain::record::Draft;
use crate::domain::{Confirm, Danger, Failure, Stamp, StepId};
use crate::runbook::StepKind;
use crate::runbook::gate::Vote;
use crate::runbook::io::{Command, Input, Level, Proposal, Purpose};
use crate::runbook::plan::{AnswerKind, Choice, Item};
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
    (model.driver.preview, model.driver.ground) = (None, None);
    if !prompt.is_typed() {
        return Vec::new();
    }
    if model.driver.engine.as_ref().is_some_and(|e| e.is_acting()) {
        model.say(Level::Warning, "prompt closed; an act is confirmed already and goes on");
        return Vec::new();
    }
    if prompt.proposal.is_some() {
        model.say(Level::Info, "cancelled: nothing was sent");
    }
    let mut effects = feed(model, stamp, Input::Command(Command::Decline));
    effects.extend(verbs::cancelled(model, stamp));
    effects
}

/// Closes whatever is open, as Esc does.
pub(super) fn dismiss(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    cancel(model, stamp)
}

pub(super) fn open(model: &mut Model, stamp: &Stamp, ask: Ask, level: Danger) {
    model.driver.ground = Some(Ground::of(model));
    model.prompt = Some(Prompt::new(ask, level, stamp.mono));
}

pub(super) fn block(model: &mut Model, stamp: &Stamp, what: &str, reasons: Vec<String>) -> Vec<Effect> {
    open(model, stamp, Ask::Blocked { what: what.to_owned(), reasons }, Danger::L1);
    Vec::new()
}

/// Why nothing can be written from here at all.
pub(super) fn unable(model: &Model) -> Option<String> {
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
    if model.driver.engine.as_ref().is_some_and(|e| e.is_acting()) {
        return block(model, stamp, "promote", vec!["an act is under way; one at a time".into()]);
    }
    match model.run.as_ref().and_then(|r| r.state.question()) {
        Some(Question::Act { .. }) => {
            let asked = model.driver.engine.as_ref().and_then(|e| e.asked()).cloned();
            open(model, stamp, Ask::Promote, Danger::L2);
            if let Some(asked) = asked.filter(|p| p.purpose == Purpose::Forward) {
                show(model, Box::new(asked));
                return Vec::new();
            }
            let permit = permit(model, stamp);
            feed(model, stamp, Input::Command(Command::Propose { permit }))
        }
        Some(Question::Gate { step }) => {
            let title = run::step_title(model, &step);
            open(model, stamp, Ask::Gate { step, title }, Danger::L1);
            Vec::new()
        }
        Some(Question::Agree { .. }) => block(model, stamp, "promote", vec!["several people agree here: D says your part".into()]),
        _ => block(model, stamp, "promote", vec!["the run does not wait for a decision now".into()]),
    }
}

/// The engine worked a plan out.
pub(super) fn proposed(model: &mut Model, stamp: &Stamp, proposal: Box<Proposal>) -> Vec<Effect> {
    if let Some(effects) = script::proposed(model, stamp, &proposal) {
        return effects;
    }
    let settled = back_out::settled(model, stamp, &proposal);
    if let Settled::Confirmed(effects) = settled {
        return effects;
    }
    let ask = if run::forward(proposal.purpose) { Ask::Promote } else { Ask::BackOut };
    let prompt = model.prompt.as_mut().filter(|p| p.ask == ask);
    let shown = prompt.as_ref().and_then(|p| p.proposal.as_ref());
    // The world moved while the prompt was open: what was typed for the old plan does not count for the new one.
    let changed = matches!(settled, Settled::Changed) || shown.is_some_and(|p| p.plan_hash != proposal.plan_hash);
    match prompt {
        Some(prompt) if !changed => prompt.plan_arrived(stamp.mono),
        _ => open(model, stamp, ask, Danger::L2),
    }
    if let Some(prompt) = model.prompt.as_mut().filter(|_| changed) {
        prompt.error = Some("the platform changed: this is the new plan".into());
    }
    // A fresh read is the newest picture.
    if let Some(route) = &proposal.plan.before.route {
        model.picture.route = Some((**route).clone());
    }
    show(model, proposal);
    Vec::new()
}

/// Puts a plan into the open prompt.
pub(super) fn show(model: &mut Model, proposal: Box<Proposal>) {
    if let Some(prompt) = &mut model.prompt {
        prompt.expects = proposal.must_type();
        prompt.proposal = Some(proposal);
    }
}

/// The engine closed the prompt.
pub(super) fn withdrawn(model: &mut Model, why: &str, moved: bool) {
    script::withdrawn(model, why, moved);
    if model.prompt.as_ref().is_some_and(Prompt::is_typed) {
        model.prompt = None;
    }
    let said = if why.contains("nothing was sent") { why.to_owned() } else { format!("{why}; nothing was sent") };
    model.say(Level::Warning, &said);
}

/// The engine does not do what was asked for. A prompt that waits for a plan shows why; it closes when an act is under way, so that
/// nobody takes closing it for a cancellation.
pub(super) fn refused(model: &mut Model, text: &str) {
    script::refused(model, text);
    model.driver.agreed = None;
    let acting = model.driver.engine.as_ref().is_some_and(|e| e.is_acting());
    match model.prompt.as_mut().filter(|p| p.is_typed() && p.proposal.is_none()) {
        Some(_) if acting => model.prompt = None,
        Some(prompt) => prompt.error = Some(text.to_owned()),
        None => {}
    }
    model.say(Level::Warning, text);
}

/// What the engine says while a prompt waits for its plan belongs into the prompt.
pub(super) fn said(model: &mut Model, level: Level, text: &str) {
    if let Some(prompt) = model.prompt.as_mut().filter(|p| p.is_typed() && p.proposal.is_none() && level >= Level::Warning) {
        prompt.error = Some(text.to_owned());
    }
}

pub(super) fn plan_failed(model: &mut Model, failure: &Failure) {
    model.driver.agreed = None;
    unplanned(model, &failure.to_string());
}

/// There is no plan to confirm, and why.
pub(super) fn unplanned(model: &mut Model, why: &str) {
    if let Some(prompt) = model.prompt.as_mut().filter(|p| p.is_typed()) {
        // The way by hand comes first: a narrow prompt cuts the end.
        prompt.error = Some(format!("cannot be planned, by hand: gonogo print-undo; {why}"));
    }
}

fn typed_consequence(model: &mut Model, stamp: &Stamp, typed: String) -> Vec<Effect> {
    let Some(prompt) = model.prompt.take() else { return Vec::new() };
    if matches!(prompt.ask, Ask::GoCode { .. }) {
        return voices::vote(model, stamp, prompt, Vote::Go, Some(&typed));
    }
    let Some(proposal) = prompt.proposal.clone() else { return Vec::new() };
    if proposal.confirm == Confirm::Override {
        model.say(Level::Warning, "this step needs a second person, which this version cannot ask for");
        return Vec::new();
    }
    model.driver.ground = None;
    if model.driver.preview.is_some() {
        return back_out::confirmed(model, stamp, &prompt, &proposal, typed);
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
    match prompt.ask.clone() {
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
        // Only what was shown: a seat that somebody took in the meantime is not taken from them.
        Ask::Resume { run, .. } => {
            let take_over = model.run.as_ref().is_some_and(|r| r.seat == Seat::Following);
            vec![Effect::TakeSeat { run, take_over }]
        }
        Ask::Quit => run::leave(model, stamp),
        Ask::Withdraw { .. } => voices::vote(model, stamp, prompt, Vote::Withdrawn, None),
        ask @ (Ask::Silence { .. } | Ask::EndSilence { .. }) => side::confirmed(model, stamp, ask),
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
        return super::keys::disarm(model, stamp);
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

/// A run that nobody drives is offered to be continued, once, to whoever comes and can.
pub(super) fn offer_seat(model: &mut Model, stamp: &Stamp) {
    let Some(run) = model.run.as_ref().filter(|r| r.seat == Seat::Unattended && !r.state.phase.is_final()) else { return };
    let id = run.state.run.clone();
    if unable(model).is_some() || model.prompt.is_some() || model.script_running() || model.driver.offered.as_ref() == Some(&id) {
        return;
    }
    model.driver.offered = Some(id);
    if let Some(ask) = resume_prompt(model) {
        open(model, stamp, ask, Danger::L1);
    }
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
    let question = model.run.as_ref().and_then(|r| r.state.question());
    let driving = model.run.as_ref().is_some_and(|r| r.seat == Seat::Driving);
    if matches!(question, Some(Question::Failed { .. } | Question::Unclear { .. })) && !driving {
        return block(model, stamp, "decide", vec!["only the driver decides: T takes the seat".into()]);
    }
    match question {
        Some(Question::Failed { step, why, offer }) => open(model, stamp, Ask::Failed { step, why, offer }, Danger::L1),
        Some(Question::Unclear { why, redo, adopt, .. }) => open(model, stamp, Ask::Unclear { why, redo, adopt }, Danger::L1),
        Some(Question::Items { step, open }) => return ask_item(model, stamp, &step, &open),
        Some(Question::Agree { .. }) => return voices::menu(model, stamp),
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
    let Some(item) = selected.or_else(|| voices::first_of_own(model, step, open_items)) else { return Vec::new() };
    let Some((asking, StepKind::Manual(manual))) = model.run.as_ref().and_then(|r| r.state.step_and_state(step)).map(|(s, _)| (s, &s.kind))
    else {
        return Vec::new();
    };
    let Some(found) = manual.items.get(item).cloned() else { return Vec::new() };
    let (who, state) = (&model.options.operator, model.run.as_ref().map(|r| &r.state));
    let why = if found.answer == AnswerKind::Seen {
        Some("nobody is asked: the program looks for itself".to_owned())
    } else {
        let owner = crate::runbook::question::owner(asking, &found).unwrap_or_default();
        let yours = state.is_some_and(|state| state.may_answer(asking, &found, who));
        (!yours).then(|| format!("it is for {owner} to answer ({}), and you are {who}", members(model, owner)))
    };
    if let Some(why) = why {
        return block(model, stamp, &format!("answering item {}", item + 1), vec![why]);
    }
    let ask = Ask::Item { step: step.clone(), item, challenge: found.challenge.clone(), expects: expects(&found) };
    open(model, stamp, ask, Danger::L1);
    Vec::new()
}

/// The people of a role.
fn members(model: &Model, role: &str) -> String {
    let members = model.run.as_ref().and_then(|run| run.state.runbook.roles.get(role)).map(|role| role.members.join(", "));
    members.filter(|names| !names.is_empty()).unwrap_or_else(|| "nobody is known to be".to_owned())
}

/// What counts as an answer, for people. Limits of a blind item are not told.
fn expects(item: &Item) -> String {
    match &item.answer {
        AnswerKind::Number { .. } if item.blind => "the number you read".into(),
        AnswerKind::Done => "done".into(),
        AnswerKind::Seen => "nothing: the program looks for itself".into(),
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
    if side::pick(model, stamp, c) {
        return Vec::new();
    }
    // What goes on, or writes a fence, needs a cockpit that is armed; stopping and going back do not.
    let menu = matches!(model.prompt.as_ref().map(|prompt| &prompt.ask), Some(Ask::Verbs { .. } | Ask::Vote { .. } | Ask::VoteRole { .. }));
    if !menu && matches!(c, 'r' | 's' | 'a') && model.mode == Mode::Observe {
        if let Some(prompt) = &mut model.prompt {
            prompt.error = Some("OBSERVE: Esc, then A arms this cockpit".into());
        }
        return Vec::new();
    }
    let Some(prompt) = model.prompt.take() else { return Vec::new() };
    match (&prompt.ask, c) {
        (Ask::Failed { offer, .. }, _) => match choice_of(c).filter(|choice| offer.contains(choice)) {
            Some(Choice::BackOut) => back_out::back_out(model, stamp),
            Some(Choice::Retry) => feed(model, stamp, Input::Command(Command::Choose { choice: Choice::Retry, reason: None })),
            Some(Choice::Skip) => reason(model, stamp, NeedsReason::Skip),
            Some(Choice::Abort) => reason(model, stamp, NeedsReason::Abort),
            None => reopen(model, prompt),
        },
        (Ask::Vote { .. } | Ask::VoteRole { .. }, _) => voices::picked(model, stamp, prompt, c),
        (Ask::Verbs { offer }, _) => verbs::picked(model, stamp, offer.clone(), c),
        (Ask::Unclear { redo: true, .. }, 'r') => feed(model, stamp, Input::Command(Command::Redo)),
        (Ask::Unclear { adopt: true, .. }, 'a') => reason(model, stamp, NeedsReason::Adopt),
        (Ask::Unclear { .. }, 'b') => back_out::back_out(model, stamp),
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

pub(super) fn reopen(model: &mut Model, prompt: Prompt) -> Vec<Effect> {
    model.prompt = Some(prompt);
    Vec::new()
}

/// What was refused stays as it was typed, with the reason below it.
pub(super) fn reopen_with(model: &mut Model, mut prompt: Prompt, why: &str) -> Vec<Effect> {
    prompt.error = Some(why.to_owned());
    model.say(Level::Warning, why);
    reopen(model, prompt)
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
    match prompt.ask.clone() {
        Ask::VoteReason { vote, .. } => voices::vote(model, stamp, prompt, vote, Some(&text)),
        Ask::Recycle { to, .. } => voices::recycle(model, stamp, to, text),
        Ask::Reason { then: NeedsReason::Shorten } => voices::shorten(model, stamp, prompt, text),
        Ask::Memo if driving => feed(model, stamp, Input::Command(Command::Note { text })),
        Ask::Memo => append_as_observer(model, &Event::Note { text }),
        Ask::VerbValue { action } => verbs::valued(model, stamp, action, &text),
        Ask::Item { step, item, .. } => {
            let refused = model.run.as_ref().and_then(|r| r.state.answer(&step, item, &text, &model.options.operator).err());
            match refused {
                Some(why) => reopen_with(model, prompt, &why),
                None => answer(model, stamp, step, item, text),
            }
        }
        Ask::SilenceComment { back } => {
            side::commented(model, stamp, *back, &text);
            Vec::new()
        }
        Ask::Reason { then } => {
            let command = match then {
                NeedsReason::Skip => Command::Choose { choice: Choice::Skip, reason: Some(text) },
                NeedsReason::Abort => Command::Abort { reason: text },
                NeedsReason::Adopt => Command::Adopt { reason: text },
                NeedsReason::Shorten => Command::Shorten { reason: text },
                NeedsReason::Window => Command::OverrideWindow { reason: text },
            };
            feed(model, stamp, Input::Command(command))
        }
        _ => Vec::new(),
    }
}

/// An answer counts from everybody. Whoever does not drive may answer what the driver could: an open item, sensibly.
pub(super) fn answer(model: &mut Model, stamp: &Stamp, step: StepId, item: usize, text: String) -> Vec<Effect> {
    let Some(run) = &model.run else { return Vec::new() };
    if run.seat == Seat::Driving {
        return feed(model, stamp, Input::Command(Command::Answer { step, item, answer: text }));
    }
    match run.state.answer(&step, item, &text, &model.options.operator) {
        Ok(event) => append_as_observer(model, &event),
        Err(why) => {
            refused(model, &why);
            Vec::new()
        }
    }
}
