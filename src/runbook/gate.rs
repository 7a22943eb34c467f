//! Gates at which several people agree: who has said what, what of it counts, and what is still missing.
//!
//! Every answer is bound to the plan that was shown, and to the person. What counts is worked out from the journal alone, the same on
//! every terminal.

use super::people::{Approve, Poll};
use super::plan::{Step, StepKind};
use super::record::Event;
use super::state::{Phase, RunState, StepPhase, StepState};
use crate::domain::StepId;
use crate::domain::record::Actor;
use crate::domain::text::{clean_bounded, span};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Characters of a plan's hash that are typed to approve it.
const CODE: usize = 8;

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vote {
    /// Go on.
    Go,
    /// Do not.
    NoGo,
    /// Not yet.
    Hold,
    /// What was said before does not hold any more.
    Withdrawn,
}

impl Vote {
    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::NoGo => "NO-GO",
            Self::Hold => "HOLD",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What somebody says at a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// The role that is spoken for; may be left out where it is clear.
    pub role: Option<String>,
    /// The answer.
    pub vote: Vote,
    /// [`Terms::code`] of the plan that was shown, as typed.
    pub code: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What a gate stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The act behind it.
    pub act: Option<StepId>,
    /// Hash of its plan.
    pub plan_hash: String,
    /// What it would do, for people.
    pub shown: String,
    /// Since when (store time).
    pub since: DateTime<Utc>,
}

impl Terms {
    /// What is typed to approve it.
    #[must_use]
    pub fn code(&self) -> &str {
        self.plan_hash.get(..CODE).unwrap_or(&self.plan_hash)
    }
}

/// One person's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// `seq` of its entry.
    pub seq: u64,
    /// The role that is spoken for.
    pub role: String,
    /// The answer.
    pub vote: Vote,
    /// Why.
    pub reason: Option<String>,
    /// The plan that was shown.
    pub plan_hash: String,
    /// Who.
    pub by: Actor,
    /// When (store time).
    pub at: DateTime<Utc>,
    /// Fingerprint of the key that signed it, once that was checked.
    pub key: Option<String>,
    /// Why its signature does not count.
    pub bad_signature: Option<String>,
}

/// What people agreed to, until it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The gate.
    pub gate: StepId,
    /// The act.
    pub act: StepId,
    /// Hash of its plan.
    pub plan_hash: String,
}

/// How one position stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nothing was said: that is not go.
    Missing,
    /// Go.
    Go,
    /// No-go.
    NoGo,
    /// Hold.
    Hold,
    /// What was said does not count any more.
    Stale,
}

impl Standing {
    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "-",
            Self::Go => "GO",
            Self::NoGo => "NO-GO",
            Self::Hold => "HOLD",
            Self::Stale => "STALE",
        }
    }
}

/// One line of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The role.
    pub role: String,
    /// It speaks last, for all.
    pub decides: bool,
    /// So many of its people have to say go.
    pub need: u32,
    /// How it stands.
    pub standing: Standing,
    /// The answers that count, or the latest that does not.
    pub casts: Vec<Cast>,
    /// Why an answer does not count, or the reason that was given.
    pub why: Option<String>,
    /// Who could answer.
    pub members: Vec<String>,
}

/// The go/no-go board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// The gate.
    pub step: StepId,
    /// In call order; the decider last.
    pub positions: Vec<Position>,
    /// Everybody who has to has said go.
    pub go: bool,
    /// What it waits for, for people; empty when go.
    pub waits_for: String,
    /// When the first of the answers that count expires.
    pub until: Option<DateTime<Utc>>,
}

/// Which answers a gate asks for.
struct Rules<'a> {
    needs: Vec<(&'a str, u32)>,
    decider: Option<&'a str>,
    distinct: bool,
    driver_counts: bool,
    expires: Duration,
}

/// One role that a gate asks.
struct Asked<'a> {
    role: &'a str,
    need: u32,
    decides: bool,
}

impl<'a> Rules<'a> {
    fn of(step: &'a Step, state: &'a RunState) -> Option<Self> {
        match &step.kind {
            StepKind::Approve(Approve { need, distinct, driver_counts, expires }) => Some(Self {
                needs: need.iter().map(|(role, count)| (role.as_str(), *count)).filter(|(_, count)| *count > 0).collect(),
                decider: None,
                distinct: *distinct,
                driver_counts: *driver_counts,
                expires: *expires,
            }),
            StepKind::Poll(Poll { roles, decider, distinct, expires }) => {
                let min = |role: &str| state.runbook.roles.get(role).map_or(1, |role| role.min).max(1);
                Some(Self {
                    needs: roles.iter().map(|role| (role.as_str(), min(role))).collect(),
                    decider: decider.as_deref(),
                    distinct: *distinct,
                    driver_counts: true,
                    expires: *expires,
                })
            }
            _ => None,
        }
    }
}

impl RunState {
    /// The board of a gate at which several people agree, as it stands at this moment (store time).
    #[must_use]
    pub fn board(&self, id: &StepId, now: DateTime<Utc>) -> Option<Board> {
        let (step, state) = self.step_and_state(id)?;
        let rules = Rules::of(step, self)?;
        let mut positions = Vec::new();
        let mut counted: Vec<&Cast> = Vec::new();
        for (role, need) in &rules.needs {
            positions.push(self.position(&Asked { role, need: *need, decides: false }, &rules, state, now, &mut counted));
        }
        let all_go = positions.iter().all(|p| p.standing == Standing::Go);
        if let Some(decider) = rules.decider {
            let mut last = self.position(&Asked { role: decider, need: 1, decides: true }, &rules, state, now, &mut counted);
            // The decider speaks for all: not before all have spoken, and again when one of them spoke later.
            let latest = positions.iter().flat_map(|p| &p.casts).map(|c| c.seq).max().unwrap_or_default();
            if last.standing == Standing::Go && !(all_go && last.casts.iter().all(|c| c.seq > latest)) {
                last.standing = Standing::Stale;
                last.why = Some("a position spoke after it".to_owned());
            }
            positions.push(last);
        }
        let go = positions.iter().all(|p| p.standing == Standing::Go) && state.terms.is_some();
        let life = TimeDelta::from_std(rules.expires).unwrap_or(TimeDelta::MAX);
        let casts = positions.iter().filter(|p| p.standing == Standing::Go).flat_map(|p| &p.casts);
        let until = casts.filter_map(|c| c.at.checked_add_signed(life)).min();
        let waits_for = if go { String::new() } else { waits_for(&positions, state) };
        Some(Board { step: id.clone(), positions, go, waits_for, until })
    }

    fn position<'s>(
        &self,
        asked: &Asked<'_>,
        rules: &Rules<'_>,
        state: &'s StepState,
        now: DateTime<Utc>,
        counted: &mut Vec<&'s Cast>,
    ) -> Position {
        let Asked { role, need, decides } = *asked;
        let members = self.runbook.roles.get(role).map(|role| role.members.clone()).unwrap_or_default();
        let mut position =
            Position { role: role.to_owned(), decides, need, standing: Standing::Missing, casts: Vec::new(), why: None, members };
        // The latest word of each person for this role.
        let mut latest: Vec<&Cast> = Vec::new();
        for cast in state.votes.iter().filter(|cast| cast.role == role) {
            latest.retain(|other| other.by.id != cast.by.id);
            latest.push(cast);
        }
        latest.retain(|cast| cast.vote != Vote::Withdrawn);
        let against = latest.iter().find(|cast| matches!(cast.vote, Vote::NoGo | Vote::Hold) && self.runbook.is_in(&cast.by.id, role));
        if let Some(cast) = against {
            position.standing = if cast.vote == Vote::NoGo { Standing::NoGo } else { Standing::Hold };
            position.why.clone_from(&cast.reason);
            position.casts = vec![(*cast).clone()];
            return position;
        }
        let mut stale: Option<(&Cast, String)> = None;
        for cast in latest {
            let twice = rules.distinct && counted.iter().any(|other| other.by.id == cast.by.id);
            let why_not = self.why_not_counted(cast, role, rules, state, now);
            match why_not.or_else(|| twice.then(|| "counts for another role already".to_owned())) {
                Some(why) => stale = Some((cast, why)),
                None => {
                    counted.push(cast);
                    position.casts.push(cast.clone());
                }
            }
        }
        if position.casts.len() >= usize::try_from(need).unwrap_or(usize::MAX) {
            position.standing = Standing::Go;
        } else if let Some((cast, why)) = stale {
            position.standing = Standing::Stale;
            position.why = Some(why);
            if position.casts.is_empty() {
                position.casts.push(cast.clone());
            }
        }
        position
    }

    fn why_not_counted(&self, cast: &Cast, role: &str, rules: &Rules<'_>, state: &StepState, now: DateTime<Utc>) -> Option<String> {
        if !self.runbook.is_in(&cast.by.id, role) {
            return Some(format!("{} is not {role}", cast.by.id));
        }
        if !rules.driver_counts && cast.by.id == self.driver.id {
            return Some(format!("{} drives, and the driver's approval does not count", cast.by.id));
        }
        if let Some(why) = &cast.bad_signature {
            return Some(format!("its signature does not count: {why}"));
        }
        if state.terms.as_ref().is_none_or(|terms| terms.plan_hash != cast.plan_hash) {
            return Some("what is agreed to changed since then".to_owned());
        }
        if cast.seq < self.tripped_seq {
            return Some("a guard tripped since then".to_owned());
        }
        let age = (now - cast.at).to_std().unwrap_or_default();
        (age >= rules.expires).then(|| format!("it is older than {}", span(rules.expires)))
    }

    /// Somebody's answer at the open gate, as entries; an error when it cannot be given.
    ///
    /// A go is for the plan that was shown. A no-go and a hold need a reason, and stop the run.
    pub fn vote(&self, id: &StepId, who: &str, ballot: &Ballot, now: DateTime<Utc>) -> Result<Vec<Event>, String> {
        let vote = ballot.vote;
        let (step, state) = self.step_and_state(id).ok_or_else(|| format!("there is no step {id}"))?;
        let rules = Rules::of(step, self).ok_or_else(|| format!("step {id} is no gate at which people agree"))?;
        let open = state.phase == StepPhase::Active;
        let undone = self.agreed.as_ref().is_some_and(|agreed| agreed.gate == *id);
        if !(open || (undone && vote != Vote::Go)) {
            return Err(format!("gate {id} is not open"));
        }
        let terms = state.terms.as_ref().ok_or("what is agreed to is still being worked out")?;
        let role = self.role_of_voter(&rules, who, ballot.role.as_deref())?;
        if vote == Vote::Go {
            if let Some(code) = &ballot.code
                && (code.len() < 4 || !terms.plan_hash.starts_with(code.as_str()))
            {
                return Err(format!("{code} is not the code of what is shown now: look again, it is {}", terms.code()));
            }
            self.may_go_now(&rules, id, who, role, now)?;
        }
        let reason = ballot.reason.as_deref().map(|text| clean_bounded(text.trim(), 300)).filter(|text| !text.is_empty());
        if matches!(vote, Vote::NoGo | Vote::Hold) && reason.is_none() {
            return Err(format!("a {} needs a reason", vote.word()));
        }
        if vote == Vote::Withdrawn && !state.votes.iter().any(|cast| cast.by.id == who && cast.role == role) {
            return Err("there is nothing to withdraw".to_owned());
        }
        let stops = matches!(vote, Vote::NoGo | Vote::Hold) && self.phase == Phase::Running;
        let hold = stops.then(|| Event::HoldBegan {
            reason: clean_bounded(&format!("{} by {who} for {role}: {}", vote.word(), reason.as_deref().unwrap_or_default()), 200),
            guard: None,
        });
        let voted =
            Event::GateVoted { step: id.clone(), role: role.to_owned(), vote, reason, plan_hash: terms.plan_hash.clone(), signature: None };
        Ok(std::iter::once(voted).chain(hold).collect())
    }

    fn role_of_voter<'r>(&self, rules: &Rules<'r>, who: &str, role: Option<&str>) -> Result<&'r str, String> {
        let asked: Vec<&'r str> = rules.needs.iter().map(|(role, _)| *role).chain(rules.decider).collect();
        let own: Vec<&'r str> = asked.iter().copied().filter(|role| self.runbook.is_in(who, role)).collect();
        match role {
            Some(role) => match asked.iter().find(|asked| **asked == role) {
                None => Err(format!("this gate does not ask {role}; it asks {}", asked.join(", "))),
                Some(_) if !own.contains(&role) => Err(format!("{who} is not {role}: {}", self.members_words(role))),
                Some(asked) => Ok(*asked),
            },
            None => match own.as_slice() {
                [] => Err(format!("{who} has none of the roles that this gate asks: {}", asked.join(", "))),
                [one] => Ok(*one),
                several => Err(format!("{who} has several of the roles: say which one with --role: {}", several.join(", "))),
            },
        }
    }

    fn members_words(&self, role: &str) -> String {
        match self.runbook.roles.get(role).map(|role| role.members.as_slice()) {
            Some([]) | None => "nobody is known to be".to_owned(),
            Some(members) => members.join(", "),
        }
    }

    /// What stands against a go that would only be said twice or too early.
    fn may_go_now(&self, rules: &Rules<'_>, id: &StepId, who: &str, role: &str, now: DateTime<Utc>) -> Result<(), String> {
        if !rules.driver_counts && who == self.driver.id {
            return Err(format!("{who} drives, and the driver's approval does not count"));
        }
        let Some(board) = self.board(id, now) else { return Ok(()) };
        let own = board.positions.iter().find(|p| p.role == role);
        if own.is_some_and(|p| p.standing == Standing::Go && p.casts.iter().any(|cast| cast.by.id == who)) {
            return Err(format!("{who} said go for {role} already; one person counts once"));
        }
        let elsewhere = board.positions.iter().filter(|p| p.role != role && p.standing == Standing::Go);
        let counted = elsewhere.flat_map(|p| p.casts.iter().map(move |cast| (p, cast))).find(|(_, cast)| cast.by.id == who);
        if rules.distinct
            && let Some((position, _)) = counted
        {
            return Err(format!("{who} counts for {} already; one person counts once", position.role));
        }
        let waiting: Vec<&str> =
            board.positions.iter().filter(|p| !p.decides && p.standing != Standing::Go).map(|p| p.role.as_str()).collect();
        if rules.decider == Some(role) && !waiting.is_empty() && !rules.needs.iter().any(|(asked, _)| *asked == role) {
            return Err(format!("the decider goes last: {} did not say go yet", waiting.join(", ")));
        }
        Ok(())
    }

    /// A step with what is known of it: forward, of the way back, or at the end.
    #[must_use]
    pub fn step_and_state(&self, id: &StepId) -> Option<(&Step, &StepState)> {
        let lists = [(&self.runbook.steps, &self.steps), (&self.rollback_plan, &self.rollback), (&self.runbook.finally, &self.finally)];
        lists.into_iter().find_map(|(plan, states)| {
            let place = plan.iter().position(|step| step.id == *id)?;
            Some((plan.get(place)?, states.get(place)?))
        })
    }

    /// The gate at which people speak now: the open one, else the one whose agreement stands until its act is done.
    #[must_use]
    pub fn gate_at_hand(&self) -> Option<&StepId> {
        let several = |step: &&Step| matches!(step.kind, StepKind::Approve(_) | StepKind::Poll(_));
        let open = self.current().filter(|(_, state)| state.phase == StepPhase::Active).map(|(step, _)| step).filter(several);
        open.map(|step| &step.id).or_else(|| self.agreed.as_ref().map(|agreed| &agreed.gate))
    }

    /// The roles that a gate asks and this person has.
    #[must_use]
    pub fn voices(&self, id: &StepId, who: &str) -> Vec<&str> {
        let Some(rules) = self.step_and_state(id).and_then(|(step, _)| Rules::of(step, self)) else { return Vec::new() };
        rules.needs.iter().map(|(role, _)| *role).chain(rules.decider).filter(|role| self.runbook.is_in(who, role)).collect()
    }

    /// For how long an answer at a gate counts.
    #[must_use]
    pub fn voice_lasts(&self, id: &StepId) -> Option<Duration> {
        let (step, _) = self.step_and_state(id)?;
        Rules::of(step, self).map(|rules| rules.expires)
    }

    /// Whether somebody decides for all in one of the polls: their word settles a disputed answer.
    #[must_use]
    pub fn decides(&self, who: &str) -> bool {
        let deciders = self.runbook.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Poll(poll) => poll.decider.as_deref(),
            _ => None,
        });
        deciders.into_iter().any(|role| self.runbook.is_in(who, role))
    }
}

fn waits_for(positions: &[Position], state: &StepState) -> String {
    if state.terms.is_none() {
        return "what is agreed to is being worked out".to_owned();
    }
    let against = positions.iter().find(|p| matches!(p.standing, Standing::NoGo | Standing::Hold));
    if let Some(position) = against {
        let who = position.casts.first().map_or("somebody", |cast| cast.by.id.as_str());
        return format!("{} by {who} for {}", position.standing.word(), position.role);
    }
    let missing: Vec<String> = positions
        .iter()
        .filter(|p| p.standing != Standing::Go)
        .map(|p| match (p.standing, p.need.saturating_sub(u32::try_from(p.casts.len()).unwrap_or(u32::MAX))) {
            (Standing::Missing, more) if p.need > 1 => format!("{} ({more} more)", p.role),
            _ => p.role.clone(),
        })
        .collect();
    missing.join(", ")
}
