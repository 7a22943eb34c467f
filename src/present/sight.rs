//! What all screens work out from the model: ages, the three weights, where the run stands.

use super::Viewport;
use super::frame::Tier;
use super::glyph::Glyphs;
use super::line::{Line, Role};
use crate::app::model::{Mode, Model, RunView};
use crate::app::verdict::weights;
use crate::app::wanted::settle_time;
use crate::domain::text::{clock, span};
use crate::domain::time::age;
use crate::domain::traffic::Agreement;
use crate::domain::{Freshness, ObservedShare, SourceHealth, Stamp, Track};
use crate::runbook::plan::{Step, StepKind};
use crate::runbook::state::{Phase, StepPhase, StepState};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// A model seen at a moment, in a window.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) model: &'a Model,
    pub(super) now: &'a Stamp,
    pub(super) port: Viewport,
    pub(super) glyphs: Glyphs,
    pub(super) tier: Tier,
}

/// A bake's clock, read now.
pub(super) struct Baking {
    /// What is left.
    pub(super) left: Duration,
    /// All of it.
    pub(super) total: Duration,
    /// Why it stands.
    pub(super) stopped: Option<String>,
}

impl Baking {
    pub(super) fn done(&self) -> Duration {
        self.total.saturating_sub(self.left)
    }

    pub(super) fn share(&self) -> f64 {
        if self.total.is_zero() { 1.0 } else { self.done().as_secs_f64() / self.total.as_secs_f64() }
    }
}

impl<'a> Sight<'a> {
    pub(super) fn new(model: &'a Model, now: &'a Stamp, port: Viewport) -> Self {
        Self { model, now, port, glyphs: Glyphs { ascii: port.ascii }, tier: Tier::of(port.width, port.height) }
    }

    // --- time ---

    pub(super) fn age(&self, at: DateTime<Utc>) -> Duration {
        age(self.now.wall, at)
    }

    /// `03:07:41Z`, or local time without the letter.
    pub(super) fn time(&self, at: DateTime<Utc>) -> String {
        if self.model.screen.local_time { self.local(at).format("%H:%M:%S").to_string() + " " } else { at.format("%H:%M:%SZ").to_string() }
    }

    pub(super) fn local(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        at.checked_add_signed(TimeDelta::seconds(i64::from(self.model.options.local_offset))).unwrap_or(at)
    }

    /// `T+12:12` relative to the start of the run.
    pub(super) fn t(&self, at: DateTime<Utc>) -> Option<String> {
        let started = self.run()?.state.started;
        let (sign, far) = if at < started { ('-', started - at) } else { ('+', at - started) };
        Some(format!("T{sign}{}", clock(far.to_std().unwrap_or_default())))
    }

    /// Time since the cockpit was opened.
    pub(super) fn waited(&self) -> Duration {
        self.now.mono.saturating_sub(self.model.screen.opened)
    }

    /// The same for a sentence: nothing in the first second.
    pub(super) fn waited_words(&self) -> String {
        let waited = self.waited();
        if waited.as_secs() >= 1 { format!("   {}", span(waited)) } else { String::new() }
    }

    // --- sources ---

    pub(super) fn platform(&self) -> Freshness {
        self.model.platform.freshness(self.now.wall)
    }

    pub(super) fn metrics(&self) -> Freshness {
        self.model.metrics.freshness(self.now.wall)
    }

    /// Nothing of this source was ever seen, and nothing says that it cannot be.
    pub(super) fn is_loading(source: &SourceHealth) -> bool {
        source.newest.is_none() && source.failures == 0 && source.login.is_none()
    }

    /// `LIVE 4s` for a panel's title.
    pub(super) fn freshness(&self, source: &SourceHealth) -> Line {
        let old = source.newest.map_or_else(|| span(self.waited()), |at| span(self.age(at)));
        if Self::is_loading(source) {
            return Line::of(format!("waiting {old}"));
        }
        match source.freshness(self.now.wall) {
            Freshness::Live => Line::default().word(Role::Ok, "LIVE").text(format!(" {old}")),
            Freshness::Late => Line::default().word(Role::Watch, format!("LATE {old}")),
            bad => Line::default().word(Role::Stale, format!("{} {old}", bad.word())),
        }
    }

    /// Whether nothing can be read or sent: what is shown is what was known last.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.platform(), Freshness::Lost | Freshness::Auth)
    }

    /// How this program is called from a shell, so that other commands find the same run.
    pub(super) fn command(&self) -> &'a str {
        let command = self.model.options.command.as_str();
        if command.is_empty() { "gonogo" } else { command }
    }

    // --- weights ---

    /// The newest observed share, when it is fresh enough to speak about now.
    pub(super) fn share(&self) -> Option<&'a ObservedShare> {
        self.model.observed.share.as_ref().filter(|s| Freshness::of(self.age(s.newest), self.model.metrics.interval).usable())
    }

    /// What is left of the settle time after the last shift.
    pub(super) fn settling(&self) -> Option<Duration> {
        let at = self.run()?.state.shifted_at?;
        let left = settle_time(self.model.spec.scrape_interval).saturating_sub(self.age(at));
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn agreement(&self) -> Agreement {
        weights(self.model, self.now)
    }

    /// The words for the agreement of the three weights.
    pub(super) fn agreement_words(&self) -> Line {
        let share = self.model.observed.share.as_ref();
        match self.agreement() {
            Agreement::Agreed => Line::default().mark(Role::Ok, self.glyphs.ok()).text(" agreed"),
            Agreement::Settling => {
                Line::default().word(Role::Info, format!("settling, {} left", span(self.settling().unwrap_or_default())))
            }
            Agreement::NoData => match (share, self.share()) {
                (_, Some(s)) => {
                    Line::default().word(Role::Unknown, format!("{:.0} of {:.0} requests needed", s.total, ObservedShare::FLOOR))
                }
                (Some(_), None) => Line::default().word(Role::Unknown, "not known now"),
                (None, None) => Line::default(),
            },
            Agreement::ConfiguredDiffers => Line::default().mark(Role::Bad, self.glyphs.bad()).word(Role::Bad, " SET DIFFERS"),
            Agreement::NotObserved => Line::default().mark(Role::Bad, self.glyphs.bad()).word(Role::Bad, " NOT OBSERVED"),
            Agreement::Unknown => Line::default().word(Role::Unknown, "unknown"),
        }
    }

    pub(super) fn want(&self) -> String {
        self.model.intended().map_or_else(|| "?".into(), |w| format!("{w}%"))
    }

    pub(super) fn set(&self) -> String {
        let mark = if self.platform().usable() { "" } else { "~" };
        self.model.configured().map_or_else(|| "?".into(), |s| format!("{mark}{}", percent(s)))
    }

    /// The observed share; with `~` when it is too old to be now.
    pub(super) fn seen(&self) -> String {
        match (&self.model.observed.share, self.share()) {
            (_, Some(now)) => now.percent().map_or_else(|| "NO DATA".into(), |p| format!("{p:.1}%")),
            (Some(old), None) => old.percent().map_or_else(|| "NO DATA".into(), |p| format!("~{p:.1}%")),
            (None, None) => "NO DATA".into(),
        }
    }

    /// `want 25% set 25% seen 24.6%`.
    pub(super) fn weights(&self) -> Line {
        if !self.model.is_split() {
            return self.follows();
        }
        let differs = self.agreement() == Agreement::ConfiguredDiffers;
        let set = format!("set {}", self.set());
        let line = Line::of(format!("want {} ", self.want()));
        let line = if differs { line.word(Role::Bad, set) } else { line.text(set) };
        let role = if self.share().is_some() { Role::Primary } else { Role::Stale };
        line.text(" ").word(role, format!("seen {}", self.seen()))
    }

    /// `traffic follows the instances: 3 of 12 are new`.
    pub(super) fn follows(&self) -> Line {
        let line = Line::of("traffic follows the instances");
        let mark = if self.platform().usable() { "" } else { "~" };
        match self.model.ready_instances() {
            Some((new, all)) if self.model.is_rolling() => line.text(format!(": {mark}{new} of {all} are new")),
            Some((_, all)) => line.text(format!(": {mark}{all} of one version")),
            None => line,
        }
    }

    /// The weights, and whether they agree.
    pub(super) fn weights_and_agreement(&self) -> Line {
        if !self.model.is_split() {
            return self.weights();
        }
        let words = self.agreement_words();
        if words.is_empty() { self.weights() } else { self.weights().text("  ").then(words) }
    }

    pub(super) fn version(&self, track: Track) -> String {
        let mut versions = self.model.picture.workloads.values().filter(|w| w.track == track).map(|w| w.version.as_str());
        match (versions.next(), versions.next()) {
            (Some(one), None) => one.to_owned(),
            (Some(one), Some(_)) => format!("{one}+"),
            (None, _) => "?".to_owned(),
        }
    }

    // --- the run ---

    pub(super) fn run(&self) -> Option<&'a RunView> {
        self.model.run.as_ref()
    }

    /// The forward step at work, or the last one that was.
    pub(super) fn place(&self) -> Option<usize> {
        let state = &self.run()?.state;
        let active = |s: &StepState| matches!(s.phase, StepPhase::Active | StepPhase::Failed | StepPhase::Inconclusive);
        let ended = |s: &StepState| s.phase != StepPhase::Pending;
        state.steps.iter().position(active).or_else(|| state.steps.iter().rposition(ended))
    }

    /// `step 4/9`, `back 1/2`, or how the run ended.
    pub(super) fn progress(&self) -> Option<String> {
        let state = &self.run()?.state;
        match state.phase {
            Phase::Running => {
                let at = self.place().map_or(0, |i| i + 1);
                Some(format!("step {at}/{}", state.runbook.steps.len()))
            }
            Phase::RollingBack | Phase::RollbackStuck => {
                let active = |s: &StepState| s.phase != StepPhase::Pending;
                let at = state.rollback.iter().rposition(active).map_or(0, |i| i + 1);
                Some(format!("back {at}/{}", state.rollback_plan.len()))
            }
            _ => None,
        }
    }

    /// `CANARY 25%`, `PRE-LAUNCH`, `BACKING OUT 25%`.
    pub(super) fn stage(&self) -> String {
        let weight = self.model.share_now().map_or_else(|| "?".into(), percent);
        let weight = if self.is_lost() { "?".into() } else { weight };
        let Some(run) = self.run() else {
            return if self.model.is_split() { format!("IDLE canary {weight}") } else { format!("IDLE {}", self.version(Track::Canary)) };
        };
        match run.state.phase {
            Phase::Running if !self.model.is_split() => match (run.state.in_force.is_empty(), self.model.is_rolling()) {
                (_, true) => format!("ROLLING {weight}"),
                (true, false) => "PRE-LAUNCH".into(),
                (false, false) => "ROLLED OUT".into(),
            },
            Phase::Running if run.state.intended.is_none() && self.model.configured().is_none_or(|s| s == 0.0) => "PRE-LAUNCH".into(),
            Phase::Running => format!("CANARY {weight}"),
            Phase::RollingBack => format!("BACKING OUT {weight}"),
            Phase::RollbackStuck => format!("STUCK {weight}"),
            Phase::Completed => format!("COMPLETED {weight}"),
            Phase::RolledBack => format!("BACKED OUT {weight}"),
            Phase::Aborted => format!("ABORTED {weight}"),
        }
    }

    /// The active step's bake, read now.
    pub(super) fn baking(&self) -> Option<Baking> {
        let run = self.run()?;
        let (step, state) = run.state.current()?;
        self.bake_of(run, step, state)
    }

    pub(super) fn bake_of(&self, run: &RunView, step: &Step, state: &StepState) -> Option<Baking> {
        let StepKind::Wait { duration, .. } = step.kind else { return None };
        let bake = state.bake.as_ref()?;
        let is_active = run.state.current().is_some_and(|(s, _)| s.id == step.id);
        let left = run.state.bake_left(self.now, &run.boot_id).filter(|_| is_active).unwrap_or(bake.left);
        let stopped = match (&bake.counting_since, &bake.stopped) {
            (Some(_), _) => None,
            (None, Some(why)) => Some(why.clone()),
            (None, None) => Some("not started".into()),
        };
        Some(Baking { left, total: duration, stopped })
    }

    /// The next step that a person has to let pass: an act, a gate, a checklist; with its place.
    pub(super) fn next(&self) -> Option<(usize, &'a Step)> {
        let state = &self.run()?.state;
        if state.phase != Phase::Running {
            return None;
        }
        let from = self.place().unwrap_or(0);
        let done =
            |i: usize| state.steps.get(i).is_some_and(|s| matches!(s.phase, StepPhase::Passed | StepPhase::Skipped | StepPhase::Undone));
        state.runbook.steps.iter().enumerate().skip(from).filter(|(i, _)| !done(*i)).find(|(_, s)| {
            matches!(s.kind, StepKind::Do(_) | StepKind::Gate | StepKind::Approve(_) | StepKind::Poll(_) | StepKind::Manual(_))
        })
    }

    /// Why `P` would not ask now, all reasons once.
    pub(super) fn blocked(&self) -> Vec<String> {
        let mut why = self.model.blocked.clone();
        if !self.model.verdict.verdict.permits_go() {
            for reason in &self.model.verdict.reasons {
                if !reason.verdict.permits_go() && !why.contains(&reason.text) {
                    why.push(reason.text.clone());
                }
            }
        }
        why
    }

    /// Whether this cockpit can write at all.
    pub(super) fn can_write(&self) -> bool {
        let options = &self.model.options;
        !options.read_only && !options.spectator && self.model.mode != Mode::Spectator
    }

    /// Whether there is traffic to take from the canary, as far as is known.
    pub(super) fn has_canary_traffic(&self) -> bool {
        self.model.is_rolling() || self.model.share_now().is_none_or(|share| share > 0.0)
    }

    /// Whether a back-out can be sent: with or without a run.
    pub(super) fn can_back_out(&self) -> bool {
        !self.is_lost() && self.can_write()
    }
}

/// `5m` for whole minutes, else as everywhere: for durations that people set.
pub(super) fn short_span(duration: Duration) -> String {
    match duration.as_secs() {
        s @ 60..3600 if s % 60 == 0 => format!("{}m", s / 60),
        _ => span(duration),
    }
}

/// A share for people: whole where it is whole.
pub(super) fn percent(share: f64) -> String {
    if (share - share.round()).abs() < 0.05 { format!("{share:.0}%") } else { format!("{share:.1}%") }
}
