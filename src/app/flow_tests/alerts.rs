//! Alerts beside a release, and silences as acts.

use super::world::*;
use crate::app::alerts::{AlertBoard, AlertsTold, Sighting};
use crate::app::command::View;
use crate::app::key::KeyCode;
use crate::app::prompt::Ask;
use crate::app::rows::told;
use crate::app::{Effect, Msg};
use crate::domain::alert::*;
use crate::domain::*;
use crate::judge::{Concern, Since};
use crate::runbook::record::{Event, SideResult};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

/// What becomes of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fate {
    #[default]
    Done,
    /// It happens, and the answer never comes as such.
    Lost,
    /// It never arrives, and nobody says so.
    Vanished,
    Refused,
}

/// An alerts source.
#[derive(Debug, Default)]
pub(super) struct Am {
    pub(super) alerts: Vec<Alert>,
    silences: Vec<Silence>,
    pub(super) rules: Vec<AlertRule>,
    /// Acts that reached it.
    acts: Vec<AlertAct>,
    fate: Fate,
    pub(super) down: bool,
    /// Its clock stands still.
    cached: bool,
}

impl Am {
    /// The answer to what the core asks of the source; `None` for everything else.
    pub(super) fn answer(&mut self, now: DateTime<Utc>, effect: Effect) -> Option<Msg> {
        let down = || Failure::Unknown { why: "connection reset".into() };
        Some(match effect {
            Effect::ReadAlerts { ticket } => {
                let told = AlertsTold {
                    alerts: self.seen(),
                    silences: self.silences.clone(),
                    at: (!self.cached).then_some(now),
                    skew: None,
                    left_out: 0,
                };
                Msg::AlertsRead { ticket, result: if self.down { Err(down()) } else { Ok(told) } }
            }
            Effect::ReadRules { ticket } => Msg::RulesRead { ticket, result: Ok(self.rules.clone()) },
            Effect::SendSide { ticket, act, .. } => {
                self.acts.push(act.clone());
                let done = (!matches!(self.fate, Fate::Vanished | Fate::Refused)).then(|| self.carry_out(act)).flatten();
                let result = match self.fate {
                    Fate::Done => Ok(done),
                    Fate::Lost | Fate::Vanished => Err(down()),
                    Fate::Refused => Err(Failure::Refused { code: 400, reason: Refusal::Other, why: "silence invalid".into() }),
                };
                Msg::SideSent { ticket, result }
            }
            Effect::FindSide { ticket, act, stamp } => {
                let found = self.silences.iter().find(|s| match &act {
                    AlertAct::Silence { .. } => carries(&s.comment, &stamp),
                    AlertAct::Expire { seen } => s.id == seen.id,
                });
                Msg::SideFound { ticket, result: if self.down { Err(down()) } else { Ok(found.cloned()) } }
            }
            _ => return None,
        })
    }

    fn carry_out(&mut self, act: AlertAct) -> Option<String> {
        match act {
            AlertAct::Silence { draft } => {
                let id = format!("id-{}", self.silences.len());
                self.silences.push(Silence {
                    id: id.clone(),
                    matchers: draft.matchers,
                    starts_at: draft.starts_at,
                    ends_at: draft.ends_at,
                    created_by: draft.created_by,
                    comment: draft.comment,
                    state: SilenceState::Active,
                });
                Some(id)
            }
            AlertAct::Expire { seen } => {
                self.silences.iter_mut().filter(|s| s.id == seen.id).for_each(|s| s.state = SilenceState::Expired);
                None
            }
        }
    }

    /// The alerts with what silences them now.
    fn seen(&self) -> Vec<Alert> {
        let active = |alert: &Alert| {
            let by = self.silences.iter().filter(|s| s.state == SilenceState::Active && s.covers(&alert.labels));
            by.map(|s| s.id.clone()).collect::<Vec<_>>()
        };
        let suppressed = |alert: &Alert| {
            let silenced_by = active(alert);
            let state = if silenced_by.is_empty() { alert.state } else { AlertState::Suppressed };
            Alert { state, silenced_by, ..alert.clone() }
        };
        self.alerts.iter().map(suppressed).collect()
    }
}

pub(super) fn alert(name: &str, severity: &str, more: &[(&str, &str)], starts_at: DateTime<Utc>) -> Alert {
    let fixed = [("alertname", name), ("severity", severity)];
    let labels: Labels = fixed.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Alert {
        fingerprint: format!("{labels:?}"),
        labels,
        annotations: Labels::new(),
        state: AlertState::Firing,
        silenced_by: vec![],
        inhibited_by: vec![],
        starts_at,
        ends_at: None,
        generator_url: None,
    }
}

const OURS: (&str, &str) = ("service", "checkout");
const CANARY: (&str, &str) = ("version", "canary");

/// With an alerts connection, read once.
pub(super) fn watched(mut flow: Flow) -> Flow {
    let source: SourceId = "am".into();
    flow.model.spec.alerts = Some(AlertsSpec { source: source.clone(), matchers: Labels::from([("service".into(), "checkout".into())]) });
    flow.model.alerts = Some(AlertBoard::new(&source));
    flow.pass(1);
    flow
}

fn baking() -> Flow {
    watched(Flow::baking())
}

impl Flow {
    /// Another alert fires now, and is read.
    fn fires(&mut self, name: &str, severity: &str, more: &[(&str, &str)]) {
        let alert = alert(name, severity, more, self.at.wall);
        self.am.alerts.push(alert);
        self.pass(16);
    }

    fn sightings(&self) -> &[Sighting] {
        &self.model.alerts.as_ref().unwrap().sightings
    }

    /// `5`, `K`, and the guard time.
    fn ask_to_silence(&mut self) {
        self.key('5');
        self.key('K');
        self.wait(400);
    }

    fn outcomes(&self) -> Vec<SideResult> {
        let of = |e: &record::Entry| match Event::of(e) {
            Ok(Event::SideOutcome { outcome, .. }) => Some(outcome),
            _ => None,
        };
        self.journal.iter().filter_map(of).collect()
    }

    fn side_sends(&self) -> usize {
        self.all.iter().filter(|e| matches!(e, Effect::SendSide { .. })).count()
    }

    fn why_blocked(&mut self) -> String {
        match self.model.prompt.take().map(|p| p.ask) {
            Some(Ask::Blocked { reasons, .. }) => reasons.join("; "),
            other => format!("not blocked: {other:?}"),
        }
    }
}

#[test]
fn a_critical_alert_of_the_run_is_no_go_until_it_ends() {
    let mut flow = baking();
    flow.pass(150);
    assert_eq!(flow.model.verdict.verdict, Verdict::Go, "{:?}", flow.model.verdict);
    flow.fires("CheckoutErrors", "critical", &[OURS]);
    assert_eq!(flow.model.verdict.verdict, Verdict::NoGo);
    assert!(flow.blocked().contains("alert CheckoutErrors FIRING"), "{}", flow.blocked());
    assert!(flow.said("CheckoutErrors firing"));
    flow.am.alerts.clear();
    flow.pass(16);
    assert_eq!(flow.model.verdict.verdict, Verdict::Go);
    let story: Vec<String> = told(&flow.model).into_iter().map(|line| line.text).collect();
    let place = |text: &str| story.iter().position(|line| line == text).unwrap_or_else(|| panic!("{text} in {story:?}"));
    assert!(place("CheckoutErrors resolved") < place("CheckoutErrors firing"), "newest first");
}

#[test]
fn a_warning_is_watch_and_does_not_block() {
    let mut flow = baking();
    flow.pass(150);
    flow.fires("CheckoutP99High", "warning", &[OURS, CANARY]);
    assert_eq!((flow.model.verdict.verdict, flow.blocked().as_str()), (Verdict::Watch, ""));
    let sighting = &flow.sightings()[0];
    assert_eq!((sighting.concern, sighting.since, sighting.group()), (Concern::Side(Track::Canary), Since::During, "canary"));
    assert!(sighting.after.as_ref().is_some_and(|after| after.ends_with(" after the 25% shift")), "{sighting:?}");
}

#[test]
fn older_ones_others_and_silenced_ones_are_shown_and_never_block() {
    let mut flow = Flow::baking();
    let before = flow.state().started - TimeDelta::minutes(3);
    flow.am.alerts = vec![
        alert("Old", "critical", &[OURS], before),
        alert("Foreign", "critical", &[("service", "storage")], flow.at.wall),
        alert("Quiet", "critical", &[OURS], flow.at.wall),
    ];
    flow.am.silences.push(Silence {
        id: "s".into(),
        matchers: vec![Matcher::equal("alertname", "Quiet")],
        starts_at: before,
        ends_at: flow.at.wall + TimeDelta::hours(1),
        created_by: "noor".into(),
        comment: "known".into(),
        state: SilenceState::Active,
    });
    let mut flow = watched(flow);
    flow.pass(150);
    assert_eq!(flow.model.verdict.verdict, Verdict::Go, "{:?}", flow.model.verdict);
    let shown: BTreeSet<(&str, bool)> = flow.sightings().iter().map(|s| (s.alert.name(), s.is_aside())).collect();
    assert_eq!(shown, BTreeSet::from([("Quiet", false), ("Foreign", true), ("Old", true)]));
    let counts = flow.model.alerts.as_ref().unwrap().counts();
    assert_eq!((counts.firing, counts.silenced), (0, 1));
}

#[test]
fn what_is_not_known_about_alerts_is_unknown_and_never_go() {
    let mut lost = baking();
    lost.pass(150);
    lost.am.down = true;
    lost.pass(90);
    assert_eq!(lost.model.verdict.verdict, Verdict::Unknown);
    assert!(lost.blocked().contains("am LOST"), "{}", lost.blocked());
    lost.am.down = false;
    lost.pass(60);
    assert_eq!(lost.model.verdict.verdict, Verdict::Go, "it comes back by itself");
    let mut cached = baking();
    cached.pass(150);
    cached.am.cached = true;
    cached.pass(60);
    assert!(cached.blocked().contains("am STALE"), "{}", cached.blocked());
    let mut without = Flow::baking();
    without.pass(150);
    assert_eq!(without.model.verdict.verdict, Verdict::Go, "a service without a connection is not asked for one");
    assert!(!without.all.iter().any(|e| matches!(e, Effect::ReadAlerts { .. })));
}

#[test]
fn what_is_pending_is_shown_and_has_no_say() {
    let mut flow = baking();
    let pending = Alert { state: AlertState::Pending, ..alert("Soon", "critical", &[OURS], flow.at.wall) };
    flow.am.rules = vec![AlertRule {
        name: "Soon".into(),
        query: "x > 1".into(),
        hold: secs(180),
        labels: Labels::new(),
        trouble: None,
        pending: vec![pending],
    }];
    flow.pass(200);
    assert_eq!(flow.model.verdict.verdict, Verdict::Go);
    assert_eq!(flow.model.alerts.as_ref().unwrap().counts().pending, 1);
    assert!(flow.model.alerts.as_ref().unwrap().rule_of(&flow.sightings()[0].alert).is_some());
}

#[test]
fn a_silence_is_intended_in_the_journal_and_sent_once() {
    let mut flow = baking();
    flow.fires("CheckoutP99High", "warning", &[OURS, CANARY]);
    flow.ask_to_silence();
    flow.key('2');
    flow.key('y');
    flow.pass(2);
    assert_eq!((flow.side_sends(), flow.am.acts.len()), (1, 1));
    let intent = flow.journal.iter().position(|e| e.kind == "side.intent").expect("an intent");
    let Some(Effect::SendSide { intent: seq, .. }) = flow.all.iter().find(|e| matches!(e, Effect::SendSide { .. })) else { panic!() };
    assert_eq!(*seq, intent as u64 + 1, "it names the durable intent");
    assert_eq!(flow.outcomes(), [SideResult::Applied { id: Some("id-0".into()), found: false }]);
    let silence = &flow.am.silences[0];
    assert!(carries(&silence.comment, &stamp(RUN, &format!("s{}", intent + 1))), "{}", silence.comment);
    assert_eq!((silence.ends_at - silence.starts_at).num_minutes(), 120);
    assert_eq!(silence.matchers.len(), 4, "each of its labels: no other alert is silenced");
    assert_eq!(flow.model.alerts.as_ref().unwrap().counts().silenced, 1, "read back at once");
    assert_eq!(flow.acts(), [25], "nothing of it went to the platform");
}

#[test]
fn silencing_is_refused_where_nothing_may_be_written() {
    let mut observe = baking();
    observe.key('A');
    observe.fires("A", "warning", &[OURS]);
    observe.ask_to_silence();
    assert_eq!(observe.why_blocked(), "OBSERVE: A arms this cockpit");
    for change in [|o: &mut crate::app::Options| o.spectator = true, |o: &mut crate::app::Options| o.read_only = true] {
        let mut flow = watched(Flow::following(true, change));
        flow.fires("A", "warning", &[OURS]);
        flow.ask_to_silence();
        let why = flow.why_blocked();
        assert!(why.contains("SPECTATOR") || why.contains("read-only"), "{why}");
    }
    let mut follower = watched(Flow::following(true, |_| {}));
    follower.fires("A", "warning", &[OURS]);
    follower.ask_to_silence();
    assert_eq!(follower.why_blocked(), "only the driver acts: T takes the seat");
    let mut idle = watched(Flow::new(Protection::Private, |_| {}));
    idle.fires("A", "warning", &[OURS]);
    idle.ask_to_silence();
    assert!(idle.why_blocked().starts_with("no run"));
    assert!(![&observe, &follower, &idle].iter().any(|f| f.side_sends() > 0));
}

#[test]
fn a_lost_answer_is_found_out_by_reading() {
    let mut flow = baking();
    flow.fires("A", "warning", &[OURS]);
    flow.am.fate = Fate::Lost;
    flow.ask_to_silence();
    flow.key('y');
    flow.pass(3);
    let outcomes = flow.outcomes();
    assert!(matches!(&outcomes[..], [SideResult::Unknown { .. }, SideResult::Applied { found: true, .. }]), "{outcomes:?}");
    assert_eq!(flow.side_sends(), 1);
    assert!(flow.said("OUTCOME UNKNOWN"));
}

#[test]
fn what_never_arrived_is_given_up_and_not_sent_again() {
    let mut flow = baking();
    flow.fires("A", "warning", &[OURS]);
    flow.am.fate = Fate::Vanished;
    flow.ask_to_silence();
    flow.key('y');
    flow.pass(60);
    assert!(matches!(&flow.outcomes()[..], [SideResult::Unknown { .. }]), "{:?}", flow.outcomes());
    flow.key('K');
    assert!(flow.why_blocked().contains("one at a time"), "another one could become a second of the same");
    flow.pass(60);
    assert!(matches!(&flow.outcomes()[..], [SideResult::Unknown { .. }, SideResult::NotApplied { .. }]), "{:?}", flow.outcomes());
    assert_eq!(flow.side_sends(), 1);
    // While the source cannot be read, nothing is given up.
    let mut blind = baking();
    blind.fires("A", "warning", &[OURS]);
    blind.am.fate = Fate::Lost;
    blind.ask_to_silence();
    blind.am.down = true;
    blind.key('y');
    blind.pass(200);
    assert!(matches!(&blind.outcomes()[..], [SideResult::Unknown { .. }]), "{:?}", blind.outcomes());
    blind.am.down = false;
    blind.pass(20);
    assert!(matches!(blind.outcomes().last(), Some(SideResult::Applied { found: true, .. })), "{:?}", blind.outcomes());
    assert_eq!(blind.side_sends(), 1);
}

#[test]
fn a_refusal_is_recorded_and_told() {
    let mut flow = baking();
    flow.fires("A", "warning", &[OURS]);
    flow.am.fate = Fate::Refused;
    flow.ask_to_silence();
    flow.key('y');
    flow.pass(2);
    assert!(matches!(&flow.outcomes()[..], [SideResult::NotApplied { .. }]));
    assert!(flow.said("not done"));
    flow.am.fate = Fate::Done;
    flow.ask_to_silence();
    flow.key('y');
    flow.pass(2);
    assert_eq!(flow.am.silences.len(), 1, "it may be asked for anew");
}

#[test]
fn without_a_durable_intent_nothing_is_sent() {
    let mut flow = baking();
    flow.fires("A", "warning", &[OURS]);
    flow.ask_to_silence();
    flow.full_disk = true;
    flow.key('y');
    flow.pass(2);
    assert_eq!((flow.side_sends(), flow.count("side.intent")), (0, 0));
    assert!(flow.said("nothing was sent: the journal cannot be written"));
    flow.full_disk = false;
    flow.pass(30);
    assert_eq!(flow.side_sends(), 0, "it is not made up for later");
}

#[test]
fn entries_of_others_in_between_do_not_hinder_it() {
    let mut flow = baking();
    flow.fires("A", "warning", &[OURS]);
    flow.ask_to_silence();
    flow.write_entries(vec![Event::Note { text: "watching".into() }.draft()], "ada");
    flow.key('y');
    flow.pass(3);
    assert_eq!((flow.side_sends(), flow.count("side.intent"), flow.count("side.outcome")), (1, 1, 1));
}

#[test]
fn the_next_driver_finds_out_what_the_last_one_sent() {
    let mut first = baking();
    first.fires("A", "warning", &[OURS]);
    first.ask_to_silence();
    first.am.fate = Fate::Lost;
    first.key('y');
    // The cockpit ended after the send: the journal has the intent and no outcome.
    let cut = first.journal.iter().position(|e| e.kind == "side.intent").unwrap() + 1;
    let mut next = Flow::new(Protection::Protected, |o| o.operator = "ada".into());
    (next.at, next.route, next.seat) = (first.at, first.route.clone(), first.seat);
    next.journal = first.journal[..cut].to_vec();
    next.am.silences = first.am.silences.clone();
    next.told_route();
    next.send(Msg::RunFollowed { entries: next.journal.clone(), attended: false });
    next.settle();
    let mut next = watched(next);
    next.wait(400);
    next.key('y');
    next.pass(3);
    assert!(matches!(&next.outcomes()[..], [SideResult::Applied { found: true, .. }]), "{:?}", next.outcomes());
    assert_eq!(next.side_sends(), 0);
}

#[test]
fn a_silence_is_ended_from_the_alert_or_from_the_list() {
    let mut flow = baking();
    flow.fires("A", "critical", &[OURS]);
    flow.ask_to_silence();
    flow.key('y');
    flow.pass(2);
    assert_ne!(flow.model.verdict.verdict, Verdict::NoGo);
    flow.key('K');
    assert!(flow.model.prompt.is_none() && flow.said("silenced already"));
    flow.key('X');
    flow.wait(400);
    assert!(matches!(&flow.model.prompt.as_ref().unwrap().ask, Ask::EndSilence { covers, .. } if covers == &["A".to_owned()]));
    flow.key('y');
    flow.pass(2);
    assert_eq!(flow.am.silences[0].state, SilenceState::Expired);
    assert_eq!(flow.model.verdict.verdict, Verdict::NoGo, "it counts again");
    assert_eq!(flow.count("side.outcome"), 2);
    flow.key('v');
    assert!(flow.model.alerts.as_ref().unwrap().show_silences);
    flow.key('X');
    assert!(flow.model.prompt.is_none(), "one that is over cannot be ended");
    flow.key('v');
    flow.press(KeyCode::Esc);
    assert_eq!(flow.model.screen.view, View::Alerts);
}

#[test]
fn a_prompt_does_not_outlive_the_right_to_act() {
    let mut flow = baking();
    flow.fires("A", "warning", &[OURS]);
    flow.ask_to_silence();
    flow.send(Msg::SeatLost { current: Epoch(99) });
    flow.settle();
    assert!(flow.model.prompt.is_none(), "{:?}", flow.model.prompt);
    assert_eq!(flow.side_sends(), 0);
}

#[test]
fn the_reason_can_be_said() {
    let mut flow = baking();
    flow.fires("A", "warning", &[OURS]);
    flow.ask_to_silence();
    flow.key('c');
    flow.wait(400);
    flow.send(Msg::TextChanged("CHG-20418 covers it".into()));
    flow.press(KeyCode::Enter);
    flow.wait(400);
    flow.key('y');
    flow.pass(2);
    assert!(flow.am.silences[0].comment.starts_with("CHG-20418 covers it (gonogo "), "{}", flow.am.silences[0].comment);
}
