//! What keys mean.

use super::super::command::{CommandId, View, lookup};
use super::super::effect::{Effect, Quit};
use super::super::key::{Key, KeyCode};
use super::super::model::{InstanceSort, Mode, Model, Seat};
use super::super::prompt::{Ask, BURST_KEYS, BURST_SPAN};
use super::super::rows::row_ids;
use super::{back_out, logs, prompts, run, side, verbs, voices};
use crate::domain::text::clean_bounded;
use crate::domain::{Danger, Protection, Stamp};
use crate::runbook::gate::Vote;
use crate::runbook::io::{Command, Input, Level};
use std::time::Duration;

pub(super) fn key(model: &mut Model, stamp: &Stamp, key: Key) -> Vec<Effect> {
    model.last_key = stamp.boot;
    if key == Key::ctrl('c') {
        return interrupt(model, stamp);
    }
    if model.prompt.is_some() {
        return prompts::key(model, stamp, key);
    }
    if model.screen.filtering {
        return filter_key(model, key);
    }
    if burst(model, stamp, key) {
        model.driver.hold_pending = None;
        model.say(Level::Warning, "those keys came too fast to be typed: ignored like a paste");
        return Vec::new();
    }
    let Some(spec) = lookup(key) else {
        if key.printable().is_some() {
            model.say(Level::Info, &format!("no action on \"{key}\" here (? help)"));
        }
        return Vec::new();
    };
    if model.screen.help {
        match spec.id {
            CommandId::Help | CommandId::Back | CommandId::Quit => model.screen.help = false,
            CommandId::Hold | CommandId::BackOut => {
                model.screen.help = false;
                return command(model, stamp, spec.id);
            }
            _ => {}
        }
        return Vec::new();
    }
    command(model, stamp, spec.id)
}

/// Three printable keys within 30 ms were pasted. They are thrown away, and so is a hold that the first one asked for.
fn burst(model: &mut Model, stamp: &Stamp, key: Key) -> bool {
    if key.printable().is_none() {
        return false;
    }
    let recent = &mut model.driver.recent_keys;
    recent.push_back(stamp.mono);
    while recent.front().is_some_and(|t| stamp.mono.saturating_sub(*t) > BURST_SPAN) {
        recent.pop_front();
    }
    recent.len() >= BURST_KEYS
}

fn command(model: &mut Model, stamp: &Stamp, id: CommandId) -> Vec<Effect> {
    if let Some(effects) = logs::command(model, stamp, id) {
        return effects;
    }
    match id {
        CommandId::Show(view) => show(model, view),
        CommandId::LastView => show(model, model.screen.last_view),
        CommandId::Down => move_by(model, 1),
        CommandId::Up => move_by(model, -1),
        CommandId::PageDown => move_by(model, 10),
        CommandId::PageUp => move_by(model, -10),
        CommandId::Top => move_by(model, i64::MIN / 2),
        CommandId::Bottom => move_by(model, i64::MAX / 2),
        CommandId::Open => {
            let view = model.screen.view;
            let selection = model.screen.selections.entry(view).or_default();
            selection.details = !selection.details;
        }
        CommandId::Back => back(model),
        CommandId::Filter => model.screen.filtering = true,
        CommandId::Sort => {
            model.screen.sort = match model.screen.sort {
                InstanceSort::Group => InstanceSort::Restarts,
                InstanceSort::Restarts => InstanceSort::Age,
                InstanceSort::Age => InstanceSort::Name,
                InstanceSort::Name => InstanceSort::Group,
            };
        }
        CommandId::Help => model.screen.help = true,
        CommandId::Source => model.screen.source = !model.screen.source,
        CommandId::TimeZone => model.screen.local_time = !model.screen.local_time,
        CommandId::Refresh => {
            for panel in model.panels.values_mut() {
                panel.due = stamp.boot;
            }
            model.observed.due = stamp.boot;
            if let Some(board) = &mut model.alerts {
                board.ask_now(stamp.boot);
            }
            return vec![Effect::Refresh];
        }
        CommandId::Redraw => return vec![Effect::Redraw],
        CommandId::Suspend => return vec![Effect::Suspend],
        CommandId::Copy => return vec![Effect::Copy { text: copied(model) }],
        CommandId::Quit => return quit(model, stamp),
        CommandId::Hold => {
            // Held back for 30 ms: an H inside a paste must not count.
            model.driver.hold_pending = Some(stamp.mono + BURST_SPAN);
        }
        CommandId::Unhold => return prompts::unhold(model, stamp),
        CommandId::Promote => return prompts::promote(model, stamp),
        CommandId::BackOut => return back_out::back_out(model, stamp),
        CommandId::Arm => return prompts::arm(model, stamp),
        CommandId::Done => return prompts::done(model, stamp),
        CommandId::VoteGo => return voices::speak(model, stamp, Vote::Go),
        CommandId::VoteNoGo => return voices::speak(model, stamp, Vote::NoGo),
        CommandId::VoteHold => return voices::speak(model, stamp, Vote::Hold),
        CommandId::Withdraw => return voices::speak(model, stamp, Vote::Withdrawn),
        CommandId::Shorten => return voices::ask_shorten(model, stamp),
        CommandId::Window => return voices::ask_window(model, stamp),
        CommandId::Recycle => return voices::ask_recycle(model, stamp),
        CommandId::Take => return prompts::take(model, stamp),
        CommandId::Memo => return prompts::memo(model, stamp),
        CommandId::Verbs => return verbs::menu(model, stamp),
        CommandId::Silence => return side::ask_silence(model, stamp),
        CommandId::EndSilence => return side::ask_end(model, stamp),
        CommandId::Silences => side::toggle_list(model),
        CommandId::Link => side::link(model),
        // Answered above, wherever they mean anything.
        CommandId::Logs | CommandId::LogSource | CommandId::Follow | CommandId::Wrap | CommandId::NewPattern | CommandId::Export => {}
    }
    Vec::new()
}

pub(super) fn show(model: &mut Model, view: View) {
    if model.screen.view != view {
        model.screen.last_view = model.screen.view;
        model.screen.view = view;
        model.screen.filter.clear();
        logs::typed(model);
    }
}

fn back(model: &mut Model) {
    let view = model.screen.view;
    let details = model.screen.selections.get(&view).is_some_and(|s| s.details);
    if !model.screen.filter.is_empty() {
        model.screen.filter.clear();
    } else if model.screen.source {
        model.screen.source = false;
    } else if details && let Some(selection) = model.screen.selections.get_mut(&view) {
        selection.details = false;
    }
}

fn move_by(model: &mut Model, by: i64) {
    let ids = row_ids(model);
    let view = model.screen.view;
    let selection = model.screen.selections.entry(view).or_default();
    if ids.is_empty() {
        return;
    }
    let last = i64::try_from(ids.len() - 1).unwrap_or(i64::MAX);
    let here = selection.id.as_ref().and_then(|id| ids.iter().position(|i| i == id));
    let next = match here {
        Some(at) => i64::try_from(at).unwrap_or(0).saturating_add(by).clamp(0, last),
        None if selection.id.is_some() => i64::try_from(selection.place).unwrap_or(0).clamp(0, last),
        None if by < 0 || by == i64::MIN / 2 => 0,
        None if by > last => last,
        None => 0,
    };
    selection.place = usize::try_from(next).unwrap_or(0);
    selection.id = ids.get(selection.place).cloned();
}

fn copied(model: &Model) -> String {
    let selected = model.selection().and_then(|s| s.id.clone());
    let name = selected.as_deref().and_then(|id| model.picture.instances.get(id)).map(|i| i.name.to_string());
    name.or(selected).unwrap_or_else(|| {
        let reasons: Vec<&str> = model.verdict.reasons.iter().map(|r| r.text.as_str()).collect();
        format!("{} {} {} {}", model.spec.mark(), model.spec.name, model.verdict.verdict, reasons.join("; "))
    })
}

fn filter_key(model: &mut Model, key: Key) -> Vec<Effect> {
    match key.code {
        KeyCode::Enter => model.screen.filtering = false,
        KeyCode::Esc => {
            model.screen.filtering = false;
            model.screen.filter.clear();
            logs::typed(model);
        }
        _ => {}
    }
    Vec::new()
}

pub(super) fn text_changed(model: &mut Model, text: &str) -> Vec<Effect> {
    let text = clean_bounded(text, 1000);
    if let Some(prompt) = model.prompt.as_mut().filter(|p| p.is_text()) {
        prompt.typed = text;
        prompt.error = None;
    } else if model.screen.filtering {
        model.screen.filter = text;
        logs::typed(model);
    }
    Vec::new()
}

pub(super) fn paste(model: &mut Model, _text: &str) -> Vec<Effect> {
    match &mut model.prompt {
        // Text areas are pasted into by the terminal side, which sends the changed text.
        Some(prompt) if prompt.is_text() => {}
        Some(prompt) => prompt.paste(),
        None if model.screen.filtering => {}
        None => model.say(Level::Info, "pasted text does nothing here"),
    }
    Vec::new()
}

fn quit(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let driving = model.run.as_ref().is_some_and(|r| r.seat == Seat::Driving && !r.state.phase.is_final());
    if driving {
        prompts::open(model, stamp, Ask::Quit, Danger::L1);
        return Vec::new();
    }
    vec![Effect::Quit { how: Quit::Operator }]
}

/// Ctrl-C asks like `q`; a second one within two seconds leaves at once.
fn interrupt(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let again = model.driver.interrupted.is_some_and(|at| stamp.mono.saturating_sub(at) <= Duration::from_secs(2));
    model.driver.interrupted = Some(stamp.mono);
    if again {
        return run::leave(model, stamp);
    }
    let mut effects = prompts::dismiss(model, stamp);
    effects.extend(quit(model, stamp));
    effects
}

/// A hold that proved to be typed and not pasted.
pub(super) fn pending(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if model.driver.hold_pending.is_none_or(|due| stamp.mono < due) {
        return Vec::new();
    }
    model.driver.hold_pending = None;
    hold(model, stamp)
}

fn hold(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if model.mode == Mode::Spectator {
        model.say(Level::Warning, "SPECTATOR cannot hold: ask the driver");
        return Vec::new();
    }
    match model.run.as_ref().map(|r| (r.seat, r.state.phase.is_final())) {
        None | Some((_, true)) => {
            model.say(Level::Info, "no run to hold: nothing moves by itself");
            Vec::new()
        }
        Some((Seat::Driving, false)) => {
            run::feed(model, stamp, Input::Command(Command::Hold { reason: format!("{} pressed H", model.options.operator) }))
        }
        Some((_, false)) => run::append_as_observer(
            model,
            &crate::runbook::record::Event::HoldBegan { reason: format!("{} pressed H", model.options.operator), guard: None },
        ),
    }
}

/// A hold that waits to be told from a paste, and the moment from which a prompt takes keys: its text says so.
pub(super) fn deadline(model: &Model) -> Option<Duration> {
    let mono = model.now.mono;
    let opens = model.prompt.as_ref().map(|p| mono + p.guard_left(mono)).filter(|at| *at > mono);
    model.driver.hold_pending.into_iter().chain(opens).min()
}

/// Armed cockpits disarm by themselves, except where nothing is protected.
pub(super) fn expire(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    match disarms_at(model) {
        Some(at) if stamp.boot >= at => disarm(model, stamp),
        _ => Vec::new(),
    }
}

/// When an armed cockpit disarms by itself (boot clock).
pub(super) fn disarms_at(model: &Model) -> Option<Duration> {
    let stays = model.options.starts_armed && model.spec.protection != Protection::Protected;
    match model.mode {
        Mode::Armed { until } if !stays => Some(until.min(model.last_key + Mode::IDLE)),
        _ => None,
    }
}

/// Back to OBSERVE; a decision, so it is recorded.
pub(super) fn disarm(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    model.mode = Mode::Observe;
    model.say(Level::Info, "disarmed: OBSERVE");
    run::feed(model, stamp, Input::Command(Command::Mode { armed_until: None }))
}
