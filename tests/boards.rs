//! Items, votes, approvals and shortened waits from the command line, against a real journal: who counts, what is refused, what it says.

#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use gonogo::adapter::sqlite::{self, Settings};
use gonogo::domain::{Clock as _, Epoch, RunId};
use gonogo::port::{Append, Journal as _};
use gonogo::runbook::fold::{runbook_hash, start_draft};
use gonogo::runbook::record::Event;
use gonogo::runbook::{Context, load};
use gonogo::runtime::clock::SystemClock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;

const CONFIG: &str = r#"version = 1
state_dir = "state"

[[platform]]
name = "prod"
kind = "kubernetes"
context = "nowhere"
environment = "production"

[[metrics]]
name = "prom"
kind = "prometheus"
url = "http://127.0.0.1:9"

[[service]]
name = "checkout"
platform = "prod"
namespace = "shop"
metrics = "prom"
baseline = { deployment = "checkout-stable", labels = { version = "stable" } }
canary = { deployment = "checkout-canary", labels = { version = "canary" } }
route = { virtualservice = "checkout", http = "primary", baseline_subset = "stable", canary_subset = "canary" }
requests = 'sum by (version) (increase(http_requests_total{service="checkout"}[${window}]))'
"#;

const BOOK: &str = r#"
gonogo: 1
kind: runbook
id: launch
version: "1.0.0"
title: Launch
owner: release
doc: "**Blast radius:** none."
target: { platform: prod, service: checkout, environment: production }
roles:
  launch-director: { match: { users: [ada] } }
  sre: { match: { users: [jon, kim] } }
  qa: { match: { users: [ines] } }
steps:
  - id: preflight
    title: Pre-flight
    role: sre
    manual:
      mode: do-confirm
      items:
        - { challenge: "Age of the backup, hours", answer: { type: number, min: 0, max: 24 } }
        - { challenge: "Error budget left, percent", answer: { type: number, min: 10, max: 100 }, blind: true }
        - { challenge: "Smoke test", role: qa, answer: { type: choice, of: [green, red], expect: green }, expires: 30m }
  - id: poll
    title: Go or no-go
    gate: { poll: { roles: [sre, qa], decider: launch-director } }
  - id: soak
    title: Soak
    wait: { for: 10m, shorten: { role: launch-director, min: 0s } }
"#;

const RUN: &str = "checkout-20260314-1";
/// A hash as the gate's plan has it, and the code that people type for it.
const HASH: &str = "ab12cd34ef00000000000000000000000000000000000000000000000000aaaa";
const CODE: &str = "ab12cd34";

struct Place(TempDir);

impl Place {
    /// A run of that book whose first step is at work, driven by maria.
    async fn at_the_checklist() -> Self {
        let place = Self(TempDir::new().unwrap());
        std::fs::write(place.0.path().join("config.toml"), CONFIG).unwrap();
        let loaded = load("launch.yaml", BOOK, &BTreeMap::new(), &Context::default());
        let runbook = loaded.runbook.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let first = start_draft(&runbook, &runbook_hash(&runbook).unwrap(), false, None, 0);
        let events = [
            Event::LeaseAcquired { epoch: Epoch(1), taken_from: None },
            Event::PreconditionsMet { shown: String::new() },
            Event::StepEntered { step: "preflight".into(), attempt: 1 },
        ];
        place.append(0, std::iter::once(first).chain(events.iter().map(Event::draft)).collect()).await;
        place
    }

    /// The same run with its poll open.
    async fn at_the_poll() -> Self {
        let place = Self::at_the_checklist().await;
        place
            .drives(&[
                Event::StepPassed { step: "preflight".into(), why: "complete".into() },
                Event::StepEntered { step: "poll".into(), attempt: 1 },
            ])
            .await;
        place.opens(HASH).await;
        place
    }

    /// What the driver's engine worked out for the gate.
    async fn opens(&self, hash: &str) {
        let opened = Event::GateOpened {
            step: "poll".into(),
            act: None,
            plan_hash: hash.into(),
            shown: "set weight 5%: canary 0% -> canary at 5%".into(),
        };
        self.drives(&[opened]).await;
    }

    /// Entries of whoever drives.
    async fn drives(&self, events: &[Event]) {
        let head = self.journal().read(RunId::from(RUN), 0).await.unwrap().len();
        self.append(u64::try_from(head).unwrap(), events.iter().map(Event::draft).collect()).await;
    }

    async fn append(&self, after: u64, drafts: Vec<gonogo::domain::record::Draft>) {
        let journal = self.journal();
        let (actor, stamp) = (journal.whoami(), SystemClock::new().now());
        journal.append(Append { run: RunId::from(RUN), after, epoch: None, actor, stamp, drafts }).await.unwrap();
    }

    fn journal(&self) -> sqlite::Sqlite {
        let settings = Settings {
            path: self.0.path().join("state/journal.db"),
            clock: Arc::new(SystemClock::new()),
            operator: "maria".into(),
            account: "maria".into(),
            host: "box".into(),
            pid: std::process::id(),
            session: "test".into(),
            full_disk: None,
        };
        sqlite::open(settings).unwrap()
    }

    async fn entries(&self) -> usize {
        self.journal().read(RunId::from(RUN), 0).await.unwrap().len()
    }

    fn run(&self, who: &str, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
        command.env_clear().env("HOME", self.0.path()).env("KUBECONFIG", self.0.path().join("none")).env("USER", "ada");
        command.args(["--config", self.0.path().join("config.toml").to_str().unwrap(), "--as", who]).args(args).output().unwrap()
    }

    /// What is said on standard error by a command that ends with this code.
    #[track_caller]
    fn said(&self, who: &str, code: i32, args: &[&str]) -> String {
        let output = self.run(who, args);
        assert_eq!(output.status.code(), Some(code), "{who} {args:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Standard output of a command that ends with this code.
    #[track_caller]
    fn told(&self, who: &str, code: i32, args: &[&str]) -> String {
        let output = self.run(who, args);
        assert_eq!(output.status.code(), Some(code), "{who} {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, who: &str, code: i32, args: &[&str]) -> Value {
        serde_json::from_str(&self.told(who, code, args)).unwrap()
    }
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_answered_by_their_owners_in_their_own_names() {
    let place = Place::at_the_checklist().await;
    let list = place.told("jon", 0, &["answer"]);
    contains(&list, &["preflight  Pre-flight, 0 of 3", " 1 OPEN", "for sre (jon, kim); a number from 0 to 24", "for qa (ines), not yours"]);
    assert!(
        list.contains("the number you read") && !list.contains("from 10 to 100"),
        "what is right for a blind item is not told:\n{list}"
    );

    let before = place.entries().await;
    contains(&place.said("ines", 9, &["answer", "1", "3"]), &["refused", "is for sre to answer (jon, kim), and ines is not sre"]);
    contains(&place.said("jon", 9, &["answer", "1", "plenty"]), &["answer with a number"]);
    contains(&place.said("jon", 9, &["answer", "poll", "1", "x"]), &["step poll is not open"]);
    contains(&place.said("jon", 2, &["answer", "0", "x"]), &["numbered from 1"]);
    contains(&place.said("jon", 2, &["answer", "1"]), &["gonogo answer [STEP] ITEM VALUE"]);
    contains(&place.said("jon", 9, &["--read-only", "answer", "1", "3"]), &["write nothing"]);
    assert_eq!(place.entries().await, before, "nothing of this was written");

    contains(&place.said("jon", 3, &["answer", "1", "30"]), &["recorded, and does not let it pass"]);
    contains(&place.said("jon", 0, &["answer", "1", "3"]), &["item 1 answered: Pre-flight, 1 of 3", "nobody drives"]);
    contains(&place.said("kim", 5, &["answer", "preflight", "1", "4"]), &["item 1 is DISPUTED: jon answered otherwise"]);
    let items = place.json("ines", 0, &["answer", "--json"]);
    assert_eq!(items["schema"], "gonogo.items/v1");
    let first = &items["items"][0];
    assert_eq!((first["standing"].as_str(), first["yours"].as_bool()), (Some("disputed"), Some(false)), "{first}");
    assert_eq!((first["answer"]["text"].as_str(), first["answer"]["disputed_by"]["by"].as_str()), (Some("3"), Some("kim")));
    // The decider rules, and may answer what is nobody's of theirs.
    contains(&place.said("ada", 0, &["answer", "1", "4"]), &["1 of 3"]);
    contains(&place.said("kim", 0, &["answer", "2", "63"]), &["2 of 3"]);
    contains(&place.said("ines", 0, &["answer", "3", "green"]), &["Pre-flight complete, 3 of 3"]);
    contains(&place.told("ada", 0, &["show"]), &["Pre-flight item 1: 30 (not what is needed)", "Pre-flight item 3: green", "ines"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_is_spoken_at_from_several_terminals() {
    let place = Place::at_the_poll().await;
    let board = place.told("ines", 5, &["poll"]);
    contains(&board, &["GO / NO-GO POLL  poll", "3 PENDING", CODE, "waits for jon, kim", "speaks last: ada", "you speak for qa"]);
    contains(&place.said("maria", 9, &["poll", "go"]), &["maria has none of the roles that this gate asks: sre, qa, launch-director"]);
    contains(&place.said("ines", 9, &["poll", "go", "--role", "sre"]), &["ines is not sre"]);
    contains(&place.said("ines", 9, &["poll", "no-go"]), &["NO-GO needs a reason"]);
    contains(&place.said("ines", 9, &["poll", "withdraw"]), &["nothing to withdraw"]);
    contains(&place.said("ada", 9, &["poll", "go"]), &["the decider goes last"]);
    contains(&place.said("ines", 2, &["poll", "perhaps"]), &["possible values: go, no-go, hold, withdraw"]);

    contains(
        &place.said("ines", 0, &["poll", "no-go", "--reason", "refunds\x1b[31m fail"]),
        &["NO-GO by ines for qa; it waits for NO-GO by ines for qa"],
    );
    contains(&place.said("jon", 0, &["poll", "go", "--code", &CODE.to_uppercase()]), &["GO by jon for sre to set weight 5%", CODE]);
    let board = place.json("jon", 3, &["poll", "--json"]);
    assert_eq!(board["schema"], "gonogo.board/v1");
    let standing: Vec<_> = board["positions"].as_array().unwrap().iter().map(|p| p["standing"].as_str().unwrap()).collect();
    assert_eq!(standing, ["go", "no-go", "pending"]);
    assert_eq!((board["go"].as_bool(), board["plan"]["code"].as_str()), (Some(false), Some(CODE)));
    contains(&place.told("jon", 3, &["poll"]), &["ines (asserted)", "\"refunds fail\"", "counts for 19m"]);
    contains(&place.told("jon", 0, &["show"]), &["NO-GO for qa: refunds fail", "hold: NO-GO by ines for qa", "held      NO-GO by ines"]);

    place.said("ines", 0, &["poll", "withdraw"]);
    assert!(place.told("jon", 5, &["poll"]).contains("1 GO   2 PENDING"));
    contains(&place.said("ines", 0, &["poll", "go"]), &["it waits for launch-director"]);
    contains(&place.said("jon", 9, &["poll", "go"]), &["one person counts once"]);
    contains(&place.said("ada", 0, &["poll", "go"]), &["all have said go"]);
    contains(&place.told("ada", 0, &["poll"]), &["3 GO", "\nGO\n"]);
    // What the gate is about is another plan by now: nobody has said go to that.
    place.opens("99990000ef00000000000000000000000000000000000000000000000000aaaa").await;
    contains(&place.told("ada", 5, &["poll"]), &["STALE", "what is agreed to changed since then", "code 99990000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_names_the_plan_that_was_shown() {
    let place = Place::at_the_poll().await;
    let shown = place.told("ines", 5, &["approve"]);
    contains(&shown, &["to approve   set weight 5%", &format!("gonogo approve {CODE}"), "your roles   qa"]);
    let before = place.entries().await;
    for code in ["99990000", "ab12cd35", "ab1", ""] {
        let said = place.said("ines", 10, &["approve", code]);
        contains(&said, &["changed:", "is not the code of what is agreed to now", CODE, "nothing was written"]);
    }
    assert_eq!(place.entries().await, before);
    let wrong = place.json("ines", 10, &["approve", "99990000", "--json"]);
    assert_eq!((wrong["schema"].as_str(), wrong["result"].as_str()), (Some("gonogo.act/v1"), Some("changed")));
    contains(&place.said("ines", 0, &["approve", CODE]), &["GO by ines for qa"]);
    let status = place.json("ines", 5, &["approve", "--json"]);
    assert_eq!(status["positions"][1]["said"][0]["by"], "ines");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_shortened_by_its_role_with_a_reason() {
    let place = Place::at_the_poll().await;
    contains(&place.said("ada", 9, &["shorten", "--reason", "x"]), &["step poll is no wait"]);
    place
        .drives(&[Event::StepPassed { step: "poll".into(), why: "GO".into() }, Event::StepEntered { step: "soak".into(), attempt: 1 }])
        .await;
    contains(&place.said("ines", 9, &["poll", "hold", "--reason", "late"]), &["no gate is open"]);
    contains(&place.told("ines", 0, &["poll"]), &["no gate is open", "soak: Soak"]);
    contains(&place.told("ines", 0, &["answer"]), &["no checklist is open"]);
    contains(&place.said("jon", 9, &["shorten", "--reason", "x"]), &["for launch-director to decide, and jon is not"]);
    contains(&place.said("ada", 9, &["shorten", "--reason", " "]), &["needs a reason"]);
    place.said("ada", 2, &["shorten"]);
    contains(&place.said("ada", 0, &["shorten", "--reason", "traffic is low"]), &["shortened: Soak ends now"]);
    contains(&place.told("ada", 0, &["show"]), &["Soak: ended with", "traffic is low"]);
}

#[test]
fn without_a_run_there_is_nothing_to_say() {
    let place = Place(TempDir::new().unwrap());
    std::fs::write(place.0.path().join("config.toml"), CONFIG).unwrap();
    for args in [&["answer", "1", "x"][..], &["poll", "go"], &["approve", CODE], &["shorten", "--reason", "x"], &["answer"], &["poll"]] {
        contains(&place.said("ada", 9, args), &["no run of", "is under way"]);
    }
}
