//! Prompts: what is asked, what was typed, and what can never confirm.

use super::key::{Key, KeyCode};
use crate::domain::alert::{Matcher, Silence};
use crate::domain::{Action, Danger, RunId, StepId};
use crate::runbook::gate::Vote;
use crate::runbook::io::Proposal;
use crate::runbook::plan::Choice;
use std::collections::VecDeque;
use std::time::Duration;

/// So many printable keys within [`BURST_SPAN`] were pasted, not typed.
pub const BURST_KEYS: usize = 3;
/// See [`BURST_KEYS`].
pub const BURST_SPAN: Duration = Duration::from_millis(30);

/// What a prompt asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Confirm the plan of the current step. The plan arrives while the prompt is open.
    Promote,
    /// Confirm the plan of the way back.
    BackOut,
    /// Nothing: tells why going forward is off.
    Blocked {
        /// What was asked for.
        what: String,
        /// Why not.
        reasons: Vec<String>,
    },
    /// Arm this cockpit.
    Arm,
    /// Release the hold.
    Unhold,
    /// Answer the current gate.
    Gate {
        /// The step.
        step: StepId,
        /// Its title.
        title: String,
    },
    /// Answer an item of the checklist.
    Item {
        /// The step.
        step: StepId,
        /// Place of the item.
        item: usize,
        /// The question.
        challenge: String,
        /// What counts as an answer, for people.
        expects: String,
    },
    /// Decide about a failed step: pick one.
    Failed {
        /// The step.
        step: StepId,
        /// Why it failed.
        why: String,
        /// What may be chosen.
        offer: Vec<Choice>,
    },
    /// Give a reason for that choice.
    Reason {
        /// What the reason is for.
        then: NeedsReason,
    },
    /// Decide about an unclear operation.
    Unclear {
        /// What is known.
        why: String,
        /// Redo is possible.
        redo: bool,
        /// Adopting is possible.
        adopt: bool,
    },
    /// Start this run.
    Start {
        /// The runbook's title.
        title: String,
        /// What it will do, line by line: guards that may back out by themselves are here.
        lines: Vec<String>,
        /// The first entry.
        first: Box<crate::domain::record::Draft>,
    },
    /// Take the seat of an unattended run.
    Resume {
        /// The run.
        run: RunId,
        /// How it stands.
        lines: Vec<String>,
    },
    /// Silence an alert.
    Silence {
        /// The alert.
        name: String,
        /// What the silence is about.
        matchers: Vec<Matcher>,
        /// For how long, in minutes.
        minutes: u32,
        /// Why.
        comment: String,
    },
    /// Say why it is silenced; goes back to the question.
    SilenceComment {
        /// The question.
        back: Box<Ask>,
    },
    /// End a silence.
    EndSilence {
        /// As it was seen.
        silence: Box<Silence>,
        /// Alerts that will notify again.
        covers: Vec<String>,
    },
    /// Choose what to do outside a runbook.
    Verbs {
        /// What can be done.
        offer: Vec<VerbChoice>,
    },
    /// Give the value that a verb needs.
    VerbValue {
        /// The act, its value still open.
        action: Action,
    },
    /// Say something at a gate: pick what.
    Vote {
        /// The gate.
        gate: StepId,
        /// Roles in which it can be said.
        roles: Vec<String>,
        /// Something was said that can be taken back.
        said: bool,
    },
    /// Say for which role it is.
    VoteRole {
        /// The gate.
        gate: StepId,
        /// Roles in which it can be said.
        roles: Vec<String>,
        /// What is said.
        vote: Vote,
    },
    /// Go: the plan is shown, and its code typed.
    GoCode {
        /// The gate.
        gate: StepId,
        /// The role.
        role: String,
        /// What is to be typed.
        code: String,
        /// What the plan would do.
        shown: String,
    },
    /// Give the reason of a no-go or a hold.
    VoteReason {
        /// The gate.
        gate: StepId,
        /// The role.
        role: String,
        /// What is said.
        vote: Vote,
    },
    /// Take back what was said.
    Withdraw {
        /// The gate.
        gate: StepId,
        /// The role.
        role: String,
    },
    /// Go back to an earlier step: why.
    Recycle {
        /// The step.
        to: StepId,
        /// Its title.
        title: String,
    },
    /// Leave while driving.
    Quit,
    /// Write a note.
    Memo,
}

/// One line of the menu of acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerbChoice {
    /// Its letter.
    pub key: char,
    /// What it does.
    pub does: String,
    /// Its level.
    pub danger: Danger,
}

/// Decisions that need a typed reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedsReason {
    /// Skip the failed step.
    Skip,
    /// Stop the run for good.
    Abort,
    /// Take what is there as the result.
    Adopt,
    /// End the wait early.
    Shorten,
    /// Set the release window or a freeze aside.
    Window,
}

/// An open prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// What it asks.
    pub ask: Ask,
    /// Its level.
    pub level: Danger,
    /// When it opened (mono clock).
    pub opened: Duration,
    /// What was typed so far; for text fields, what the text area holds.
    pub typed: String,
    /// Mono times of the latest printable keys.
    recent: VecDeque<Duration>,
    /// Why the last input was refused.
    pub error: Option<String>,
    /// The plan to confirm, once it is there.
    pub proposal: Option<Box<Proposal>>,
    /// What must be typed.
    pub expects: Option<String>,
    /// The exact call is shown.
    pub show_call: bool,
}

/// What a key did to a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing to do outside the prompt.
    Stay,
    /// Closed without an answer.
    Cancel,
    /// `y`.
    Yes,
    /// The typed consequence, with Enter.
    Typed(String),
    /// The n-th choice of a menu, from 0.
    Pick(char),
    /// The text field was sent.
    Text(String),
}

impl Prompt {
    /// A prompt that opens now.
    #[must_use]
    pub fn new(ask: Ask, level: Danger, mono: Duration) -> Self {
        Self {
            ask,
            level,
            opened: mono,
            typed: String::new(),
            recent: VecDeque::new(),
            error: None,
            proposal: None,
            expects: None,
            show_call: false,
        }
    }

    /// Whether a text area takes the keys: memo, reason, free answers. They can never confirm an act.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(
            self.ask,
            Ask::Memo
                | Ask::Reason { .. }
                | Ask::Item { .. }
                | Ask::SilenceComment { .. }
                | Ask::VerbValue { .. }
                | Ask::VoteReason { .. }
                | Ask::Recycle { .. }
        )
    }

    /// Whether it asks for a typed consequence.
    #[must_use]
    pub fn is_typed(&self) -> bool {
        matches!(self.ask, Ask::Promote | Ask::BackOut)
    }

    /// What is left of the time in which keys are ignored.
    #[must_use]
    pub fn guard_left(&self, mono: Duration) -> Duration {
        (self.opened + self.level.guard()).saturating_sub(mono)
    }

    /// A key. Keys within the guard time are thrown away; bursts and pastes are refused.
    pub fn key(&mut self, key: Key, mono: Duration) -> Reaction {
        if key.code == KeyCode::Esc {
            return Reaction::Cancel;
        }
        if !self.guard_left(mono).is_zero() {
            return Reaction::Stay;
        }
        if key.code == KeyCode::Tab {
            self.show_call = !self.show_call;
            return Reaction::Stay;
        }
        let last = self.recent.back().copied();
        if key.printable().is_some() {
            self.recent.push_back(mono);
            while self.recent.front().is_some_and(|t| mono.saturating_sub(*t) > BURST_SPAN) {
                self.recent.pop_front();
            }
            if self.recent.len() >= BURST_KEYS {
                return self.refuse("that came too fast to be typed: pasted text is refused");
            }
        }
        match &self.ask {
            Ask::Promote | Ask::BackOut | Ask::GoCode { .. } => self.typed_key(key, mono, last),
            Ask::Memo
            | Ask::Reason { .. }
            | Ask::Item { .. }
            | Ask::SilenceComment { .. }
            | Ask::VerbValue { .. }
            | Ask::VoteReason { .. }
            | Ask::Recycle { .. } => Reaction::Stay,
            Ask::Silence { .. } => match key.printable() {
                Some('y') => Reaction::Yes,
                Some('n') => Reaction::Cancel,
                Some(c @ ('3' | '1' | '2' | 'c')) => Reaction::Pick(c),
                _ => Reaction::Stay,
            },
            Ask::Blocked { .. } => match key.code {
                KeyCode::Enter | KeyCode::Char('n' | 'q') => Reaction::Cancel,
                _ => Reaction::Stay,
            },
            Ask::Failed { .. } | Ask::Unclear { .. } | Ask::Verbs { .. } | Ask::Vote { .. } | Ask::VoteRole { .. } => match key.printable()
            {
                Some('n') => Reaction::Cancel,
                Some(c) => Reaction::Pick(c),
                None => Reaction::Stay,
            },
            Ask::Arm
            | Ask::Unhold
            | Ask::Gate { .. }
            | Ask::Start { .. }
            | Ask::Resume { .. }
            | Ask::EndSilence { .. }
            | Ask::Withdraw { .. }
            | Ask::Quit => match key.printable() {
                Some('y') => Reaction::Yes,
                Some('n') => Reaction::Cancel,
                _ => Reaction::Stay,
            },
        }
    }

    fn typed_key(&mut self, key: Key, mono: Duration, last: Option<Duration>) -> Reaction {
        match key.code {
            KeyCode::Backspace => {
                self.typed.pop();
                self.error = None;
                Reaction::Stay
            }
            KeyCode::Enter => {
                if self.typed.is_empty() {
                    return self.refuse("Enter alone confirms nothing");
                }
                if last.is_some_and(|t| mono.saturating_sub(t) <= BURST_SPAN) {
                    return self.refuse("that came too fast to be typed: pasted text is refused");
                }
                let is_code = matches!(self.ask, Ask::GoCode { .. });
                match (&self.expects, &self.proposal) {
                    (Some(code), _) if is_code && code.eq_ignore_ascii_case(&self.typed) => Reaction::Typed(code.clone()),
                    (Some(code), _) if is_code => {
                        let text = format!("you typed {}: the code of this plan is {code}", self.typed);
                        self.refuse(&text)
                    }
                    (_, None) => self.refuse_keep("the platform has not answered yet: nothing to confirm"),
                    (Some(expected), Some(_)) if *expected == self.typed => Reaction::Typed(self.typed.clone()),
                    (Some(expected), Some(_)) => {
                        let text = format!("you typed {}: to confirm it, type {expected}", self.typed);
                        self.refuse(&text)
                    }
                    (None, Some(_)) => Reaction::Typed(self.typed.clone()),
                }
            }
            KeyCode::Char(c) if key.printable().is_some() => {
                self.error = None;
                if self.typed.chars().count() < 24 {
                    self.typed.push(c);
                }
                Reaction::Stay
            }
            _ => Reaction::Stay,
        }
    }

    /// The plan is there. What was typed before it was shown does not count for going forward, and the guard time begins anew.
    pub fn plan_arrived(&mut self, mono: Duration) {
        if self.ask == Ask::Promote && !self.typed.is_empty() {
            self.opened = mono;
            let _ = self.refuse("this is the plan: type the new weight once you have seen it");
        } else {
            self.error = None;
        }
    }

    /// Bracketed paste: never into a confirmation.
    pub fn paste(&mut self) {
        let what = if matches!(self.ask, Ask::GoCode { .. }) { "the code" } else { "the number" };
        let _ = self.refuse(&format!("pasted text is refused: type {what}"));
    }

    fn refuse(&mut self, why: &str) -> Reaction {
        self.typed.clear();
        self.recent.clear();
        self.refuse_keep(why)
    }

    fn refuse_keep(&mut self, why: &str) -> Reaction {
        self.error = Some(why.to_owned());
        Reaction::Stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Action, ActionPlan, Confirm, OpId, Percent, Preflight, Route};
    use crate::runbook::io::Purpose;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn ready(expects: &str) -> Prompt {
        let mut prompt = Prompt::new(Ask::Promote, Danger::L2, ms(0));
        let route = Route {
            object: "virtualservice/checkout".into(),
            uid: "u".into(),
            version: "1".into(),
            rule: "primary".into(),
            canary: 25,
            baseline: 75,
            others: 0,
            stamp: None,
            pinned: vec![],
            last_writer: None,
            trouble: None,
        };
        let action = Action::SetWeight { canary: Percent::new(50).unwrap() };
        let plan = ActionPlan {
            consequence: action.consequence(),
            before: route.subject(&action),
            action,
            warnings: vec![],
            diff: vec![],
            dry_run: Preflight::Accepted,
            access: Preflight::Accepted,
            request: String::new(),
        };
        prompt.proposal = Some(Box::new(Proposal {
            op: OpId::from("o"),
            step: "s".into(),
            purpose: Purpose::Forward,
            confirm: Confirm::Consequence,
            plan,
            plan_hash: "h".into(),
        }));
        prompt.expects = Some(expects.into());
        prompt
    }

    fn press(prompt: &mut Prompt, keys: &str, mut at: u64, gap: u64) -> Reaction {
        let mut last = Reaction::Stay;
        for c in keys.chars() {
            at += gap;
            let key = if c == '\n' { Key::plain(KeyCode::Enter) } else { Key::char(c) };
            last = prompt.key(key, ms(at));
        }
        last
    }

    #[test]
    fn the_consequence_typed_by_hand_confirms() {
        assert_eq!(press(&mut ready("50"), "50\n", 700, 80), Reaction::Typed("50".into()));
    }

    #[test]
    fn nothing_within_the_guard_time_counts() {
        let mut prompt = ready("0");
        assert_eq!(press(&mut prompt, "0\n", 0, 80), Reaction::Stay);
        assert_eq!(prompt.typed, "");
    }

    #[test]
    fn a_burst_or_a_paste_never_confirms() {
        for gap in [0, 1, 14] {
            assert_eq!(press(&mut ready("100"), "100\n", 800, gap), Reaction::Stay, "gap {gap}");
            assert_eq!(press(&mut ready("0"), "0\n", 800, gap), Reaction::Stay, "gap {gap}");
        }
        let mut prompt = ready("50");
        press(&mut prompt, "50", 800, 80);
        prompt.paste();
        assert_eq!(press(&mut prompt, "\n", 2000, 80), Reaction::Stay, "the field was emptied");
    }

    #[test]
    fn another_number_confirms_nothing_and_empties_the_field() {
        let mut prompt = ready("50");
        assert_eq!(press(&mut prompt, "5\n", 800, 80), Reaction::Stay);
        assert_eq!((prompt.typed.as_str(), prompt.error.is_some()), ("", true));
    }

    #[test]
    fn enter_alone_and_y_do_not_confirm_level_two() {
        assert_eq!(press(&mut ready("50"), "\n", 800, 80), Reaction::Stay);
        assert_eq!(press(&mut ready("50"), "y\n", 800, 80), Reaction::Stay);
    }

    #[test]
    fn level_one_takes_y_after_its_guard_and_ignores_enter() {
        let mut prompt = Prompt::new(Ask::Arm, Danger::L1, ms(0));
        assert_eq!(prompt.key(Key::char('y'), ms(100)), Reaction::Stay);
        assert_eq!(prompt.key(Key::plain(KeyCode::Enter), ms(400)), Reaction::Stay);
        assert_eq!(prompt.key(Key::char('y'), ms(500)), Reaction::Yes);
    }
}
