//! Prompts: what is asked, how it fits, and the one field that confirms.

use super::evidence::{back_out, field, promote};
use super::frame::{Area, Border, Panel, Tier};
use super::gates;
use super::line::{Line, Role, pad, wrap};
use super::sight::{Sight, percent};
use crate::app::model::Mode;
use crate::app::prompt::{Ask, NeedsReason, Prompt};
use crate::domain::text::width;
use crate::domain::{Action, Danger};
use crate::runbook::plan::Choice;
use std::time::Duration;

/// What may be cut when there is little room, and what may not.
struct Content {
    /// Environment, service: never cut.
    head: Vec<Line>,
    /// Cut from its middle.
    middle: Vec<Line>,
    /// The field and the error: never cut.
    tail: Vec<Line>,
}

/// The overlay.
pub(super) fn overlay(sight: &Sight<'_>, prompt: &Prompt) -> Panel {
    let (width, height) = (sight.port.width, sight.port.height);
    let heavy = prompt.level >= Danger::L2;
    let wanted = match (heavy || prompt.is_text(), sight.tier) {
        (false, _) => 66,
        (true, Tier::Large) => 112,
        (true, Tier::Medium) => 92,
        (true, _) => 74,
    };
    let framed = width >= 34 && height >= 10;
    let border = match (framed, heavy) {
        (false, _) => Border::None,
        (true, true) => Border::Heavy,
        (true, false) => Border::Single,
    };
    let columns = if width < 80 { width } else { wanted.min(width) };
    let cells = usize::from(columns).saturating_sub(if framed { 2 } else { 0 });
    let content = content(sight, prompt, cells);
    let (top, bottom) = if width >= 60 && height >= 15 { (3, 2) } else { (0, 0) };
    let room = usize::from(height.saturating_sub(top + bottom)).saturating_sub(if framed { 2 } else { 1 });
    let mut lines = arrange(content, room, cells < 50);
    let title = title(sight, prompt);
    if !framed {
        lines.insert(0, Line::default().word(Role::Focus, title.plain()));
    }
    let rows = u16::try_from(lines.len()).unwrap_or(height).saturating_add(if framed { 2 } else { 0 }).min(height);
    let y = (height.saturating_sub(rows) / 2).max(top).min(height.saturating_sub(rows + bottom).max(top.min(height.saturating_sub(rows))));
    let area = Area { x: width.saturating_sub(columns) / 2, y, width: columns, height: rows };
    let right = if heavy { Line::of(sight.time(sight.now.wall).trim_end()) } else { Line::default() };
    let panel = Panel { border, ..Panel::new(area, title, right).close() };
    panel.with(lines.into_iter().map(|l| l.pad(cells)).collect())
}

/// Everything when it fits; else blanks go first, then the middle shrinks and says by how much.
fn arrange(content: Content, room: usize, narrow: bool) -> Vec<Line> {
    let Content { mut head, mut middle, mut tail } = content;
    let is_over = |h: &[Line], m: &[Line], t: &[Line]| h.len() + m.len() + t.len() > room;
    if is_over(&head, &middle, &tail) {
        middle.retain(|l| !l.is_empty());
    }
    // The blank below the last line, the one in place of an error, the one above the field, the one below the head.
    while is_over(&head, &middle, &tail)
        && let Some(blank) = tail.iter().rposition(Line::is_empty)
    {
        tail.remove(blank);
    }
    if is_over(&head, &middle, &tail) {
        head.retain(|l| !l.is_empty());
    }
    let fixed = head.len() + tail.len();
    if fixed + middle.len() > room {
        let keep = room.saturating_sub(fixed + 1);
        let cut = middle.len() - keep.min(middle.len());
        let front = keep.div_ceil(2);
        let end = middle.split_off(middle.len() - (keep - front));
        middle.truncate(front);
        if room > fixed {
            let hint = if narrow { "" } else { " lines: a taller window shows them" };
            middle.push(Line::of(format!(" ... {cut} more{hint}")));
        }
        middle.extend(end);
    }
    if head.len() + middle.len() + tail.len() > room {
        middle.clear();
        while head.len() + tail.len() > room && !head.is_empty() {
            head.pop();
        }
        while tail.len() > room.max(1) {
            tail.pop();
        }
    }
    head.into_iter().chain(middle).chain(tail).collect()
}

fn title(sight: &Sight<'_>, prompt: &Prompt) -> Line {
    let arrow = sight.glyphs.arrow();
    let now = sight.model.share_now().map_or_else(|| "?".into(), percent);
    let text = match (&prompt.ask, prompt.proposal.as_ref().map(|p| &p.plan.action)) {
        (Ask::Promote | Ask::BackOut, Some(action)) if !matches!(action, Action::SetWeight { .. }) => wanted(&prompt.ask, action),
        (ask, action) => asked(ask, action, &now, arrow),
    };
    let role = match prompt.level {
        Danger::L0 => Role::Primary,
        Danger::L1 => Role::DangerL1,
        Danger::L2 => Role::DangerL2,
        Danger::L3 => Role::DangerL3,
    };
    if matches!(prompt.ask, Ask::Blocked { .. }) {
        return Line::default().word(Role::Focus, text);
    }
    Line::default().word(role, prompt.level.word()).text("  ").word(Role::Focus, text)
}

/// What is asked about an act that sets no weight.
fn wanted(ask: &Ask, action: &Action) -> String {
    let way = if matches!(ask, Ask::BackOut) { "BACK OUT  " } else { "" };
    format!("{way}{}", action.to_string().to_uppercase())
}

fn asked(ask: &Ask, action: Option<&Action>, now: &str, arrow: &str) -> String {
    match ask {
        Ask::Promote => {
            let then = action.and_then(Action::weight).map_or_else(|| "?".into(), |weight| format!("{weight}%"));
            format!("PROMOTE CANARY {now} {arrow} {then}")
        }
        Ask::BackOut => format!("BACK OUT  canary {now} {arrow} 0%"),
        Ask::Blocked { what, .. } => format!("{} IS OFF", what.to_uppercase()),
        Ask::Arm => "ARM THIS COCKPIT".into(),
        Ask::Unhold => "RELEASE THE HOLD".into(),
        Ask::Gate { title, .. } => format!("DECISION  {title}"),
        Ask::Item { .. } => "ANSWER AN ITEM".into(),
        Ask::Failed { step, .. } => format!("DECIDE ABOUT {step}"),
        Ask::Reason { then } => match then {
            NeedsReason::Skip => "WHY SKIP THIS STEP?".into(),
            NeedsReason::Abort => "WHY ABORT THIS RUN?".into(),
            NeedsReason::Adopt => "WHY ADOPT WHAT IS THERE?".into(),
            NeedsReason::Shorten => "WHY END THE WAIT EARLY?".into(),
            NeedsReason::Window => "WHY SET THE WINDOW ASIDE?".into(),
        },
        Ask::Unclear { .. } => "OUTCOME UNKNOWN".into(),
        Ask::Start { title, .. } => format!("START  {title}"),
        Ask::Resume { run, .. } => format!("TAKE THE SEAT OF {run}"),
        Ask::Vote { gate, .. } => format!("SPEAK AT {gate}"),
        Ask::VoteRole { vote, .. } => format!("{} FOR WHICH ROLE?", vote.word().to_uppercase()),
        Ask::GoCode { role, .. } => format!("GO FOR {role}"),
        Ask::VoteReason { vote, role, .. } => format!("WHY {} FOR {role}?", vote.word()),
        Ask::Withdraw { role, .. } => format!("WITHDRAW WHAT YOU SAID FOR {role}"),
        Ask::Recycle { title, .. } => format!("WHY BACK TO {title}?"),
        Ask::Quit => "LEAVE WHILE DRIVING".into(),
        Ask::Silence { name, .. } => format!("SILENCE {name}"),
        Ask::SilenceComment { .. } => "WHY IS IT SILENCED?".into(),
        Ask::EndSilence { .. } => "END A SILENCE".into(),
        Ask::Memo => "MEMO".into(),
        Ask::Verbs { .. } => "ACT OUTSIDE A RUNBOOK".into(),
        Ask::VerbValue { action: Action::Scale { .. } } => "HOW MANY INSTANCES?".into(),
        Ask::VerbValue { .. } => "WHICH IMAGE?".into(),
    }
}

fn content(sight: &Sight<'_>, prompt: &Prompt, cells: usize) -> Content {
    let (middle, tail) = match &prompt.ask {
        Ask::Promote => (promote(sight, prompt, cells), typed_field(sight, prompt, cells)),
        Ask::BackOut => (back_out(sight, prompt, cells), typed_field(sight, prompt, cells)),
        Ask::GoCode { shown, .. } => (plan_lines(sight, shown, cells), typed_field(sight, prompt, cells)),
        _ if prompt.is_text() => (text_lines(prompt, cells), text_field(sight, prompt, cells)),
        _ => (small(sight, prompt, cells), choice_field(sight, prompt, cells)),
    };
    let spec = &sight.model.spec;
    let place = format!("  {}  {}/{}", spec.name, spec.context, spec.namespace);
    let head = vec![Line::of(" ").then(super::header::environment(sight)).text(place), Line::default()];
    Content { head, middle, tail }
}

/// `type the NEW canary weight:  [ 5_  ]`, with the error below.
fn typed_field(sight: &Sight<'_>, prompt: &Prompt, cells: usize) -> Vec<Line> {
    let room = prompt.expects.as_ref().map_or(4, |e| width(e) + 2).max(width(&prompt.typed) + 1).max(4);
    let typed = pad(&format!("{}_", prompt.typed), room);
    let mut lines = vec![Line::default()];
    let ready = prompt.proposal.is_some() || matches!(prompt.ask, Ask::GoCode { .. });
    let input = Line::of(super::verbs::label(prompt, cells));
    let input = if ready { input.word(Role::Focus, typed) } else { input.word(Role::Disabled, pad("", room)) }.text(" ]");
    lines.push(input);
    lines.push(match &prompt.error {
        Some(error) => Line::of(" ").mark(Role::Bad, sight.glyphs.bad()).word(Role::Bad, format!(" {error}")),
        None => Line::default(),
    });
    lines.push(match guard(sight, prompt) {
        Some(left) => Line::of(format!(" keys count in {:.1} s: what was typed before is thrown away", left.as_secs_f64())),
        None if cells < 64 => Line::of(" Esc cancels."),
        None => Line::of(" Esc cancels.  Pasted text, and Enter on its own, are refused."),
    });
    lines.push(Line::default());
    lines
}

fn guard(sight: &Sight<'_>, prompt: &Prompt) -> Option<Duration> {
    let left = prompt.guard_left(sight.now.mono);
    (!left.is_zero()).then_some(left)
}

fn small(sight: &Sight<'_>, prompt: &Prompt, cells: usize) -> Vec<Line> {
    let model = sight.model;
    match &prompt.ask {
        Ask::Blocked { reasons, .. } => {
            let mut lines = Vec::new();
            for reason in reasons {
                lines.extend(
                    wrap(reason, cells.saturating_sub(5), 3)
                        .into_iter()
                        .enumerate()
                        .map(|(i, l)| Line::of(format!(" {} {l}", if i == 0 { "-" } else { " " }))),
                );
            }
            if reasons.is_empty() {
                lines.push(Line::of(" nothing to do now"));
            }
            lines
        }
        Ask::Arm => {
            let mut lines =
                field("effect", &format!("P and other CAPITALS may ask to write, for {} min", Mode::ARMED_FOR.as_secs() / 60), cells);
            lines.extend(field("disarms", &format!("A again, or {} min without a key", Mode::IDLE.as_secs() / 60), cells));
            lines.extend(field("note", "B and H work without arming", cells));
            lines
        }
        Ask::Unhold => {
            let reason = sight.run().and_then(|r| r.state.hold.as_ref()).map_or_else(String::new, |h| h.reason.clone());
            let mut lines = field("held", &reason, cells);
            lines.extend(field("effect", "the run goes on where it stopped; H holds again", cells));
            lines
        }
        Ask::Gate { step, .. } => {
            let mut lines = field("verdict", &verdict_words(sight), cells);
            lines.extend(field("gates", &gates::summary(sight), cells));
            lines.extend(field("step", &format!("{step}: y lets the run go on"), cells));
            lines
        }
        Ask::Failed { why, offer, .. } => {
            let mut lines = field("why", why, cells);
            lines.push(Line::default());
            lines.extend(offer.iter().map(|c| choice(sight, *c)));
            lines
        }
        Ask::Verbs { offer } => {
            let line = |choice: &crate::app::prompt::VerbChoice| {
                pick(&choice.key.to_string(), &format!("{}  {}", choice.danger.word(), choice.does))
            };
            let mut lines: Vec<Line> = offer.iter().map(line).collect();
            lines.push(Line::default());
            lines.push(Line::of(" it becomes a run of one step; its prompt shows the plan first"));
            lines
        }
        Ask::Vote { gate, roles, said } => {
            let mut lines = field("you speak", &format!("for {}", roles.join(" or ")), cells);
            lines.extend(field("so far", &waits(sight, gate), cells));
            lines.push(Line::default());
            lines.push(pick("g", "GO: shows the plan and asks for its code"));
            lines.push(pick("x", "NO-GO: stops the run (asks for a reason)"));
            lines.push(pick("h", "HOLD: not yet, stops the run (asks for a reason)"));
            if *said {
                lines.push(pick("w", "withdraw what you said"));
            }
            lines
        }
        Ask::VoteRole { roles, .. } => roles.iter().enumerate().map(|(i, role)| pick(&(i + 1).to_string(), role)).collect(),
        Ask::Withdraw { gate, .. } => field("so far", &waits(sight, gate), cells),
        Ask::Unclear { why, redo, adopt } => {
            let mut lines = field("known", why, cells);
            lines.extend(field("", "nothing is sent again by itself", cells));
            lines.push(Line::default());
            if *redo {
                lines.push(pick("r", "redo: fence the old write off, then plan it anew"));
            }
            if *adopt {
                lines.push(pick("a", "adopt what is there as the result (asks for a reason)"));
            }
            lines.push(pick("b", &format!("back out: {}", super::verbs::way_back_words(sight))));
            lines.push(pick("x", "abort: stop here, traffic stays (asks for a reason)"));
            lines
        }
        Ask::Start { lines, .. } | Ask::Resume { lines, .. } => {
            lines.iter().flat_map(|l| wrap(l, cells.saturating_sub(2), 3)).map(|l| Line::of(format!(" {l}"))).collect()
        }
        Ask::Silence { matchers, minutes, comment, .. } => super::silence::create(sight, matchers, *minutes, comment, cells),
        Ask::EndSilence { silence, covers } => super::silence::end(sight, silence, covers, cells),
        Ask::Quit => {
            let now = model.share_now().map_or_else(|| "its last setting".into(), percent);
            let run = sight.run().map_or_else(String::new, |r| format!(" resume {}", r.state.run));
            let mut lines = field("traffic", &format!("stays at {now}; the run holds, unattended"), cells);
            lines.extend(field("go on with", &format!("{}{run}", sight.command()), cells));
            lines
        }
        _ => Vec::new(),
    }
}

/// What a gate waits for.
fn waits(sight: &Sight<'_>, gate: &crate::domain::StepId) -> String {
    match sight.run().and_then(|run| run.state.board(gate, sight.now.wall)) {
        Some(board) if board.go => "all have said go".to_owned(),
        Some(board) => format!("waits for {}", board.waits_for),
        None => String::new(),
    }
}

/// What somebody says go to, on what evidence.
fn plan_lines(sight: &Sight<'_>, shown: &str, cells: usize) -> Vec<Line> {
    let mut lines = field("agrees to", shown, cells);
    lines.extend(field("verdict", &verdict_words(sight), cells));
    lines.extend(field("gates", &gates::summary(sight), cells));
    lines
}

fn verdict_words(sight: &Sight<'_>) -> String {
    let view = &sight.model.verdict;
    let reasons: Vec<&str> = view.reasons.iter().map(|r| r.text.as_str()).collect();
    if reasons.is_empty() { view.verdict.word().to_owned() } else { format!("{}: {}", view.verdict, reasons.join("; ")) }
}

fn pick(key: &str, text: &str) -> Line {
    Line::of("    [ ").word(Role::HintKey, key).text(format!(" ] {text}"))
}

/// The key and the words of a choice about a failed step.
fn choice(sight: &Sight<'_>, choice: Choice) -> Line {
    match choice {
        Choice::Retry => pick("r", "retry the step"),
        Choice::Skip => pick("s", "skip it (asks for a reason)"),
        Choice::BackOut => pick("b", &format!("back out: {}", super::verbs::way_back_words(sight))),
        Choice::Abort => pick("x", "abort: stop here, traffic stays (asks for a reason)"),
    }
}

fn choice_field(sight: &Sight<'_>, prompt: &Prompt, cells: usize) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    let yes = match &prompt.ask {
        Ask::Arm => "arm",
        Ask::Unhold => "release",
        Ask::Gate { .. } => "go on",
        Ask::Start { .. } => "start",
        Ask::Resume { .. } => "take the seat",
        Ask::Quit => "leave",
        Ask::Withdraw { .. } => "withdraw",
        Ask::Silence { .. } => "silence",
        Ask::EndSilence { .. } => "end it",
        _ => "",
    };
    match (&prompt.ask, guard(sight, prompt)) {
        (Ask::Blocked { .. }, _) => lines.push(Line::of("    [ Esc ] closes")),
        (_, Some(left)) => lines.push(Line::of(format!(" keys count in {:.1} s", left.as_secs_f64()))),
        (Ask::Verbs { .. } | Ask::Vote { .. } | Ask::VoteRole { .. }, None) => lines.push(Line::of("    [ n ] nothing  (default)")),
        (Ask::Failed { .. } | Ask::Unclear { .. }, None) => lines.push(Line::of("    [ n ] decide later  (default)")),
        (_, None) if cells < 50 => lines.push(Line::of(" [").word(Role::HintKey, "y").text(format!("] {yes}  [n] cancel"))),
        (_, None) => lines.push(Line::of("    [ ").word(Role::HintKey, "y").text(format!(" ] {yes}        [ n ] cancel  (default)"))),
    }
    if let Some(error) = &prompt.error {
        lines.push(Line::of(" ").mark(Role::Bad, sight.glyphs.bad()).word(Role::Bad, format!(" {error}")));
    } else {
        lines.push(Line::default());
    }
    lines
}

fn text_lines(prompt: &Prompt, cells: usize) -> Vec<Line> {
    match &prompt.ask {
        Ask::Item { challenge, expects, .. } => {
            let mut lines: Vec<Line> = wrap(challenge, cells.saturating_sub(2), 4).into_iter().map(|l| Line::of(format!(" {l}"))).collect();
            lines.extend(field("expects", expects, cells));
            lines
        }
        Ask::VoteReason { .. } => vec![Line::of(" it stands on the board and in the record, with your name; the run holds")],
        Ask::Recycle { .. } => vec![Line::of(" all from that step on is to be done again; the reason is written down")],
        Ask::Reason { .. } => vec![Line::of(" the reason is written into the record")],
        Ask::SilenceComment { .. } => vec![Line::of(" it stands in the silence's comment, and in the record")],
        _ => vec![Line::of(" written into the record, with your name and the time")],
    }
}

/// The end of the text, where the cursor is.
fn text_field(sight: &Sight<'_>, prompt: &Prompt, cells: usize) -> Vec<Line> {
    let room = cells.saturating_sub(6);
    let mut parts: Vec<String> = prompt
        .typed
        .split('\n')
        .flat_map(|l| if l.is_empty() { vec![String::new()] } else { wrap(l, room.saturating_sub(1), 200) })
        .collect();
    if parts.len() > 3 {
        parts.drain(..parts.len() - 3);
    }
    let last = parts.len().saturating_sub(1);
    let mut lines = vec![Line::default()];
    for (i, part) in parts.iter().enumerate() {
        let text = if i == last { format!("{part}_") } else { part.clone() };
        lines.push(Line::of(" [ ").word(Role::Focus, pad(&text, room)).text(" ]"));
    }
    if let Some(error) = &prompt.error {
        lines.push(Line::default().word(Role::Bad, format!(" {error}")));
    }
    lines.push(match guard(sight, prompt) {
        Some(left) => Line::of(format!(" keys count in {:.1} s", left.as_secs_f64())),
        None => Line::default(),
    });
    lines
}

/// The hint row while a prompt is open.
pub(super) fn hints(prompt: &Prompt) -> String {
    match &prompt.ask {
        Ask::Promote | Ask::BackOut => {
            let expected = prompt.expects.as_ref().filter(|_| prompt.proposal.is_some());
            let what = expected.map_or_else(|| "wait for the plan".into(), |e| format!("type {e}, then Enter"));
            format!("{what}   Esc cancels   Tab shows the exact call")
        }
        Ask::GoCode { code, .. } => format!("type {code}, then Enter   Esc cancels"),
        _ if prompt.is_text() => "Enter sends   Esc cancels".into(),
        Ask::Silence { .. } => "y silences   3 1 2 how long   c why   n or Esc no".into(),
        Ask::Blocked { .. } => "Esc closes".into(),
        Ask::Vote { .. } => "press the letter of what you say   n or Esc says nothing".into(),
        Ask::VoteRole { .. } => "press the number of the role   n or Esc says nothing".into(),
        Ask::Verbs { .. } => "press the letter of an act   n or Esc does nothing".into(),
        Ask::Failed { .. } | Ask::Unclear { .. } => "press the letter of a choice   n or Esc decides later".into(),
        _ => "y yes   n or Esc no   every other key is ignored".into(),
    }
}

/// The message row while a prompt is open.
pub(super) fn footer(sight: &Sight<'_>, prompt: &Prompt) -> String {
    match (&prompt.ask, prompt.level) {
        (Ask::BackOut, _) if !matches!(sight.model.mode, Mode::Armed { .. }) => "works in OBSERVE too: arms for this one act".into(),
        (Ask::Blocked { .. }, _) => "nothing was sent".into(),
        (Ask::Vote { .. } | Ask::VoteRole { .. } | Ask::GoCode { .. } | Ask::VoteReason { .. } | Ask::Withdraw { .. }, _) => {
            "L1: written in your own name; you can withdraw it".into()
        }
        (_, Danger::L0) => "L0: changes nothing outside".into(),
        (_, Danger::L1) => "L1: small, reversible at once".into(),
        (_, Danger::L2) => "L2: changes production traffic; the undo is known".into(),
        (_, Danger::L3) => "L3: overrides a NO-GO or cannot be undone".into(),
    }
}
