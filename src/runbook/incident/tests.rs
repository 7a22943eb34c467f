//! What a journal says about an incident, its clocks to the second, and the brief word for word.

use super::*;
use crate::domain::incident::Rung;
use crate::domain::record::{EntryTime, GENESIS};
use crate::domain::{Action, Epoch, Failure, OpId, Percent, Protection, Relied, Route, RouteSpec, RunId, StepId, TrackSpec};
use crate::runbook::brief::{Sources, Told, brief};
use crate::runbook::record::SendOutcome;
use crate::runbook::{Context, load};
use std::collections::BTreeMap;

const BOOK: &str = r#"
gonogo: 1
kind: runbook
id: small
version: "1.0.0"
title: Small canary
owner: release
doc: "**Blast radius:** small."
target: { platform: sim, service: checkout, environment: production }
guards:
  - id: errors
    title: error rate
    promql: 'sum(rate(errors_total{version="canary"}[1m]))'
    op: "<"
    value: 0.01
    every: 5s
    bad_for: 30s
    on_no_data: ignore
    on_error: hold
    active: { from: shift-25 }
    then: rollback
steps:
  - id: shift-25
    title: Send 25 %
    do: { set_weight: { canary: 25 } }
    confirm: consequence
    undo: { set_weight: { canary: 0 } }
    timeout: 1m
    on_failure: { offer: [retry, skip, rollback, abort] }
  - id: look
    title: Phones
    manual: { mode: do-confirm, items: [{ challenge: "Phones quiet", answer: { type: done } }] }
rollback:
  confirm: consequence
  steps:
    - id: rb-weight
      title: All traffic back
      do: { set_weight: { canary: 0 } }
      timeout: 1m
"#;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A journal that is written second by second.
struct Book {
    entries: Vec<Entry>,
    at: Stamp,
}

impl Book {
    fn begun() -> Self {
        let loaded = load("small.yaml", BOOK, &BTreeMap::new(), &Context::default());
        let runbook = loaded.runbook.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let hash = runbook_hash(&runbook).unwrap();
        Self::with(vec![start_draft(&runbook, &hash, true, Percent::new(0), 0)])
    }

    fn with(drafts: Vec<Draft>) -> Self {
        let at = Stamp { wall: "2026-03-14T03:00:00Z".parse().unwrap(), boot: secs(1000), mono: secs(1) };
        let mut book = Self { entries: vec![], at };
        for draft in drafts {
            book.write(draft, "maria");
        }
        book
    }

    fn write(&mut self, draft: Draft, by: &str) {
        let mut entry = Entry {
            run: RunId::from("checkout-20260314-1"),
            seq: self.entries.len() as u64 + 1,
            epoch: Epoch(4),
            prev: self.entries.last().map_or_else(|| GENESIS.to_owned(), |e| e.hash.clone()),
            time: EntryTime { wall: self.at.wall, boot: self.at.boot.as_millis() as u64, boot_id: "boot-1".into(), store: self.at.wall },
            actor: Actor { id: by.into(), strength: "asserted".into(), client: format!("{by}@host 1") },
            kind: draft.kind,
            step: draft.step,
            body: draft.body,
            hash: String::new(),
        };
        entry.hash = entry.compute_hash().unwrap();
        self.entries.push(entry);
    }

    fn event(&mut self, after: u64, by: &str, event: Event) {
        self.at = self.at.later(secs(after));
        self.write(event.draft(), by);
    }

    fn state(&self) -> RunState {
        RunState::of(&self.entries).unwrap()
    }

    fn incident(&self) -> IncidentState {
        self.state().incident.unwrap()
    }

    fn declared(severity: Severity) -> Self {
        let mut book = Self::begun();
        book.event(60, "ada", Event::IncidentDeclared { severity, title: "checkout answers 500".into() });
        book
    }

    fn clocks(&self, after: u64) -> Clocks {
        self.incident().clocks(&Rules::default(), &self.at.later(secs(after)), "boot-1")
    }
}

fn update(text: &str) -> Event {
    Event::IncidentUpdate { text: text.into() }
}

#[test]
fn an_incident_is_what_was_written_about_it() {
    let mut book = Book::declared(Severity::P2);
    assert!(is_open(&book.entries));
    book.event(10, "ada", update("we look at the new version"));
    book.event(10, "jon", Event::IncidentSeverity { severity: Severity::P1 });
    book.event(10, "jon", Event::IncidentEscalated { rung: 1, to: "senior engineer".into() });
    let incident = book.incident();
    assert_eq!(
        (incident.severity, incident.declared.text.as_str(), incident.declared.by.id.as_str()),
        (Severity::P1, "checkout answers 500", "ada")
    );
    assert_eq!(incident.update.as_ref().map(|u| u.text.as_str()), Some("we look at the new version"));
    assert_eq!(
        incident.reached.iter().map(|r| (r.rung, r.to.as_str(), r.by.id.as_str())).collect::<Vec<_>>(),
        [(1, "senior engineer", "jon")]
    );
    assert_eq!(incident.with(&Rules::default()), "senior engineer");
    book.event(10, "ada", Event::IncidentResolved { text: "backed out".into() });
    assert!(!book.incident().is_open() && !is_open(&book.entries));
    // What comes after its end does not open it again, nor change it.
    book.event(10, "jon", update("too late"));
    book.event(10, "jon", Event::IncidentResolved { text: "mine".into() });
    let ended = book.incident();
    assert_eq!((ended.resolved.unwrap().text.as_str(), ended.update.unwrap().text.as_str()), ("backed out", "we look at the new version"));
    book.event(10, "jon", Event::IncidentDeclared { severity: Severity::P3, title: "again".into() });
    assert_eq!((book.incident().declared.text.as_str(), book.incident().reached.len()), ("again", 0));
}

#[test]
fn a_second_declaration_leaves_the_first_clock_running() {
    let mut book = Book::declared(Severity::P2);
    book.event(100, "jon", Event::IncidentDeclared { severity: Severity::P0, title: "me too".into() });
    let incident = book.incident();
    assert_eq!((incident.severity, incident.declared.text.as_str()), (Severity::P0, "checkout answers 500"));
    assert_eq!(book.clocks(0).declared, secs(100));
}

#[test]
fn clocks_at_their_boundaries() {
    let book = Book::declared(Severity::P1);
    let at = |after: u64| {
        let clocks = book.clocks(after);
        (clocks.update.unwrap(), clocks.next.map(|n| (n.place, n.due.unwrap())))
    };
    assert_eq!(at(0), (Due::In(secs(1800)), Some((1, Due::In(secs(900))))), "whoever stands at zero has it already");
    assert_eq!(at(899), (Due::In(secs(901)), Some((1, Due::In(secs(1))))));
    assert_eq!(at(900), (Due::In(secs(900)), Some((1, Due::Over(secs(0))))));
    assert_eq!(at(901), (Due::In(secs(899)), Some((1, Due::Over(secs(1))))));
    assert_eq!(at(1800), (Due::Over(secs(0)), Some((1, Due::Over(secs(900))))), "nobody is skipped by the clock");
    assert_eq!(at(1801).0, Due::Over(secs(1)));
}

#[test]
fn an_update_starts_its_clock_anew_and_an_escalation_leads_to_the_next_rung() {
    let mut book = Book::declared(Severity::P0);
    book.event(1000, "ada", update("still looking"));
    let clocks = book.clocks(10);
    assert_eq!((clocks.declared, clocks.updated, clocks.update), (secs(1010), secs(10), Some(Due::In(secs(890)))));
    book.event(0, "ada", Event::IncidentEscalated { rung: 2, to: "engineering manager".into() });
    let next = book.clocks(0).next.unwrap();
    assert_eq!((next.who.as_str(), next.due), ("CTO", Some(Due::In(secs(3600 - 1000)))), "the one in between was passed over");
    book.event(0, "ada", Event::IncidentEscalated { rung: 3, to: "CTO".into() });
    assert_eq!(book.clocks(99_999).next, None);
    // A ladder that became shorter since then, and places from nowhere.
    book.event(0, "ada", Event::IncidentEscalated { rung: u32::MAX, to: "nobody".into() });
    assert_eq!(book.clocks(0).next, None);
}

#[test]
fn a_mild_incident_asks_for_nothing_by_the_clock() {
    let clocks = Book::declared(Severity::P3).clocks(100_000);
    assert_eq!((clocks.update, clocks.next.map(|n| n.due)), (None, Some(None)));
}

#[test]
fn a_jump_of_the_wall_clock_makes_nothing_due_on_the_same_boot() {
    let book = Book::declared(Severity::P1);
    let mut jumped = book.at.later(secs(60));
    jumped.wall += chrono::TimeDelta::hours(5);
    let clocks = book.incident().clocks(&Rules::default(), &jumped, "boot-1");
    assert_eq!((clocks.declared, clocks.update), (secs(60), Some(Due::In(secs(1740)))));
    jumped.wall -= chrono::TimeDelta::hours(10);
    assert_eq!(book.incident().clocks(&Rules::default(), &jumped, "boot-1").declared, secs(60));
    // From another boot only the wall clock is common; before its own beginning nothing has passed.
    assert_eq!(book.incident().clocks(&Rules::default(), &jumped, "boot-2").declared, secs(0));
    let other = Stamp { boot: secs(5), ..book.at.later(secs(1801)) };
    assert_eq!(book.incident().clocks(&Rules::default(), &other, "boot-2").update, Some(Due::Over(secs(1))));
}

#[test]
fn the_clocks_of_an_incident_that_ended_stand() {
    let mut book = Book::declared(Severity::P1);
    book.event(300, "ada", Event::IncidentResolved { text: "backed out".into() });
    let clocks = book.clocks(86_400);
    assert_eq!(clocks, Clocks { declared: secs(300), updated: secs(300), update: None, next: None });
}

fn spec() -> ServiceSpec {
    let track = |name: &str| TrackSpec { deployment: name.into(), labels: [("version".to_owned(), name.to_owned())].into() };
    ServiceSpec {
        name: "checkout".into(),
        platform: "sim".into(),
        context: "sim".into(),
        namespace: "shop".into(),
        environment: "production".into(),
        protection: Protection::Protected,
        metrics: "prom".into(),
        scrape_interval: secs(15),
        baseline: track("stable"),
        canary: track("canary"),
        route: RouteSpec::Rolling,
        requests: "x".into(),
        alerts: None,
        gates: vec![],
        harm: crate::domain::HarmSpec::default(),
        with: vec![],
        policy: crate::domain::person::Policy::default(),
    }
}

#[test]
fn a_record_of_its_own_is_complete_at_once_and_still_takes_updates() {
    let mut book = Book::with(own_record(&spec(), "ada", Severity::P0, "all down"));
    let state = book.state();
    assert_eq!((state.phase, state.is_own_record(), state.question()), (Phase::Completed, true, None));
    assert_eq!(state.incident.unwrap().severity, Severity::P0);
    book.event(60, "jon", update("restoring"));
    assert_eq!(book.incident().update.unwrap().by.id, "jon");
    assert!(!Book::begun().state().is_own_record());
}

#[test]
fn recovery_counts_from_the_trip_that_decided_and_stops_when_verified() {
    let trip = |book: &mut Book| {
        book.event(5, "gonogo", Event::GuardTripped { guard: "errors".into(), why: "0.07 >= 0.01".into(), countdown: true });
        book.event(10, "gonogo", Event::RollbackBegan { why: "guard errors".into(), automatic: true });
    };
    let mut book = Book::begun();
    assert_eq!(book.state().recovery(book.at.wall), None);
    trip(&mut book);
    let running = book.state().recovery(book.at.later(secs(30)).wall).unwrap();
    assert_eq!((running.taken, running.done, running.is_over()), (secs(40), false, false));
    book.event(20, "gonogo", Event::RunRolledBack {});
    let done = book.state().recovery(book.at.later(secs(9999)).wall).unwrap();
    assert_eq!((done.taken, done.done), (secs(30), true));
    assert!(Recovery { target: Some(secs(29)), ..done }.is_over() && !Recovery { target: Some(secs(30)), ..done }.is_over());
    let mut by_hand = Book::begun();
    by_hand.event(5, "gonogo", Event::GuardTripped { guard: "errors".into(), why: "0.07 >= 0.01".into(), countdown: false });
    by_hand.event(600, "ada", Event::RollbackBegan { why: "ada backed out".into(), automatic: false });
    assert_eq!(by_hand.state().recovery(by_hand.at.wall).unwrap().taken, secs(0), "a person decided, ten minutes later");
}

/// A run at 25 % whose last act nobody knows the outcome of, held by a guard, with an incident.
fn in_trouble() -> Book {
    let mut book = Book::begun();
    let (op, step) = (OpId::from("checkout-20260314-1/shift-25/1"), StepId::from("shift-25"));
    let action = Action::SetWeight { canary: Percent::new(25).unwrap() };
    let route = Route {
        object: "virtualservice/checkout".into(),
        uid: "u".into(),
        version: "1".into(),
        rule: "primary".into(),
        canary: 0,
        baseline: 100,
        others: 0,
        stamp: None,
        pinned: vec![],
        last_writer: None,
        trouble: None,
    };
    let subject = route.subject(&action);
    let before: Relied = subject.relied();
    book.event(1, "maria", Event::StepEntered { step: step.clone(), attempt: 1 });
    let planned = Event::ActionPlanned {
        op: op.clone(),
        step: step.clone(),
        action: action.clone(),
        plan_hash: "h".into(),
        before,
        shown: "0%".into(),
    };
    book.event(1, "maria", planned);
    let evidence = "GO: no gate is near its limit".to_owned();
    book.event(5, "maria", Event::ActionConfirmed { op: op.clone(), plan_hash: "h".into(), typed: "25".into(), shown_ms: 4000, evidence });
    let intent = Event::ActionIntent {
        op: op.clone(),
        step,
        attempt: 1,
        fence: false,
        action,
        epoch: Epoch(4),
        plan_hash: "h".into(),
        confirmed: Some(4),
        before: Box::new(subject),
        deadline_ms: 10_000,
    };
    book.event(0, "maria", intent);
    let failure = Failure::Unknown { why: "connection reset".into() };
    book.event(10, "maria", Event::ActionOutcome { op, outcome: SendOutcome::Unknown { failure } });
    book.event(20, "gonogo", Event::GuardTripped { guard: "errors".into(), why: "0.07 >= 0.01 for 30 s".into(), countdown: false });
    book.event(0, "gonogo", Event::HoldBegan { reason: "guard errors: 0.07 >= 0.01".into(), guard: Some("errors".into()) });
    book.event(20, "ada", Event::IncidentDeclared { severity: Severity::P1, title: "checkout answers 500 <b>".into() });
    book.event(30, "ada", Event::Note { text: "payments look fine".into() });
    book.event(60, "ada", update("we back out"));
    book.event(900, "jon", Event::IncidentEscalated { rung: 1, to: "senior engineer".into() });
    book
}

#[test]
fn the_brief_word_for_word() {
    let book = in_trouble();
    let state = book.state();
    let told = Told { state: &state, entries: &book.entries };
    let mut rules = Rules::default();
    rules.ladder[2] = Rung { after: secs(1800), who: "engineering manager".into(), how: Some("phone 4711".into()) };
    let text = brief(&Sources {
        place: "#PROD# checkout on sim (production)".into(),
        run: Some(told),
        incident: Some(told),
        rules: &rules,
        now: book.at.later(secs(5)),
        boot_id: "boot-1",
        by: "jon",
        undo: Ok(vec!["kubectl patch virtualservice/checkout ...".into()]),
    });
    insta::with_settings!({ snapshot_path => "../../../tests/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("brief.in-trouble", text);
    });
}

#[test]
fn a_brief_without_anything_says_so() {
    let rules = Rules::default();
    let text = brief(&Sources {
        place: "#PROD# checkout on sim (production)".into(),
        run: None,
        incident: None,
        rules: &rules,
        now: Book::begun().at,
        boot_id: "",
        by: "jon",
        undo: Err("no kubeconfig".into()),
    });
    insta::with_settings!({ snapshot_path => "../../../tests/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("brief.nothing", text);
    });
}

#[test]
fn a_brief_of_a_release_and_an_incident_apart_tells_both_in_the_order_of_time() {
    let release = in_trouble();
    let mut apart = Book::with(own_record(&spec(), "ada", Severity::P0, "all down"));
    for entry in &mut apart.entries {
        entry.run = RunId::from("checkout-20260314-2");
    }
    let (run, incident) = (release.state(), {
        let mut state = RunState::begin(&apart.entries[0]).unwrap();
        fold(&mut state.incident, Event::of(&apart.entries[1]).unwrap(), &apart.entries[1]);
        state
    });
    let rules = Rules::default();
    let text = brief(&Sources {
        place: "checkout".into(),
        run: Some(Told { state: &run, entries: &release.entries }),
        incident: Some(Told { state: &incident, entries: &apart.entries }),
        rules: &rules,
        now: release.at,
        boot_id: "boot-1",
        by: "jon",
        undo: Err("no kubeconfig".into()),
    });
    assert!(text.starts_with("# Hand-over: P0 all down\n"), "{text}");
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in {text}"));
    assert!(place("incident P0 declared") < place("note: payments look fine"), "{text}");
    assert!(!text.contains("run started: incident"), "a record of its own is no release: {text}");
}
