//! What the two people decide.

use crate::node::Ask;
use crate::world::World;
use gonogo::domain::Verdict;
use gonogo::runbook::io::{Command, Input, Permit};
use gonogo::runbook::plan::Choice;
use gonogo::runbook::record::Event;
use gonogo::runbook::state::{Phase, Question};
use std::time::Duration;

fn permit() -> Permit {
    Permit { verdict: Verdict::Go, evidence: "gates".into() }
}

impl World {
    /// The person before a node decides something, or nothing.
    pub(crate) fn person(&mut self, at: usize) {
        if !self.nodes[at].drives() {
            self.observer(at);
        } else if let Some(command) = self.decision(at) {
            self.tell(at, || format!("decides {command:?}"));
            self.put(at, Input::Command(command));
        }
    }

    fn decision(&mut self, at: usize) -> Option<Command> {
        if let Some(asked) = self.nodes[at].asked.clone() {
            return match self.random.below(10) {
                0 => {
                    self.nodes[at].asked = None;
                    Some(Command::Decline)
                }
                1 => Some(Command::Hold { reason: "wait".into() }),
                _ => {
                    self.nodes[at].asked = None;
                    let typed = asked.must_type().unwrap_or_default();
                    Some(Command::Confirm { plan_hash: asked.plan_hash, typed, shown: Duration::from_secs(2), permit: permit() })
                }
            };
        }
        let engine = self.nodes[at].engine.as_ref()?;
        let (question, held, running) = (engine.question(), engine.state().hold.is_some(), engine.state().phase == Phase::Running);
        if self.random.percent(2) {
            return Some(Command::ProposeBackOut { why: "enough".into() });
        }
        match question {
            _ if held && self.random.percent(70) => Some(Command::Unhold),
            Some(Question::Act { .. }) if running => Some(Command::Propose { permit: permit() }),
            Some(Question::Act { .. }) => Some(Command::ProposeBackOut { why: "again".into() }),
            Some(Question::Gate { .. }) => Some(Command::Gate { go: true, permit: permit() }),
            Some(Question::Failed { offer, .. }) => {
                let choice = *offer.get(self.random.below(offer.len() as u64) as usize)?;
                let choice = if choice == Choice::Abort && self.random.percent(60) { Choice::Retry } else { choice };
                Some(Command::Choose { choice, reason: Some("agreed".into()) })
            }
            Some(Question::Unclear { redo, adopt, .. }) => match self.random.below(8) {
                0 | 1 if adopt => Some(Command::Adopt { reason: "agreed".into() }),
                0..=3 if redo => Some(Command::Redo),
                4 => Some(Command::Abort { reason: "unclear".into() }),
                5 | 6 => Some(Command::ProposeBackOut { why: "unclear".into() }),
                _ => None,
            },
            _ => None,
        }
    }

    /// Somebody who only looks on: takes the seat where nobody drives, seldom from who does, and may always stop the run.
    fn observer(&mut self, at: usize) {
        let Some(state) = self.nodes[at].state().filter(|state| !state.phase.is_final()) else { return };
        let (running, attended) = (state.phase == Phase::Running, self.nodes[at].attended);
        // Who sees the driver in trouble is quick to help.
        let hurry = if state.unclear().is_some() { 30 } else { 3 };
        if !self.nodes[at].asks.is_empty() || self.nodes[at].busy {
            return;
        }
        let ask = if !attended && self.random.percent(40) {
            Ask::Take { take_over: false }
        } else if attended && self.random.percent(hurry) {
            Ask::Take { take_over: true }
        } else if running && self.random.percent(4) {
            Ask::Observe { draft: Event::HoldBegan { reason: "I do not like it".into(), guard: None }.draft() }
        } else if self.random.percent(4) {
            Ask::Observe { draft: Event::Note { text: "watching".into() }.draft() }
        } else {
            return;
        };
        self.tell(at, || format!("asks the journal for {ask:?}"));
        self.ask(at, ask);
    }
}
