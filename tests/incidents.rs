//! Incidents from the command line, against a real journal: who wrote, what is refused, and that nothing stands in a release's way.

#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use gonogo::adapter::sqlite::{self, Settings};
use gonogo::domain::record::Entry;
use gonogo::domain::{Clock as _, RunId, ServiceKey};
use gonogo::port::{Append, Journal as _};
use gonogo::runbook::fold::{runbook_hash, start_draft};
use gonogo::runbook::record::Event;
use gonogo::runbook::{Context, load};
use gonogo::runtime::clock::SystemClock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;

const CONFIG: &str = r#"version = 1
state_dir = "state"
operator = { name = "ada" }

[[platform]]
name = "prod"
kind = "kubernetes"
context = "nowhere"
environment = "production"

[[metrics]]
name = "prom"
kind = "prometheus"
url = "http://127.0.0.1:9"

[incident]
update = { P0 = "5m" }

[[incident.ladder]]
after = "0s"
who = "Ada"

[[incident.ladder]]
after = "20m"
who = "Grace"
how = "phone 4711"

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
id: small
version: "1.0.0"
title: Small
owner: release
doc: "**Blast radius:** none."
target: { platform: prod, service: checkout, environment: production }
steps:
  - id: look
    title: Phones
    manual: { mode: do-confirm, items: [{ challenge: "Phones quiet", answer: { type: done } }] }
"#;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("config.toml"), CONFIG).unwrap();
        Self(dir)
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
        command.env_clear().env("HOME", self.0.path()).env("KUBECONFIG", self.0.path().join("none")).env("USER", "ada");
        command.args(["--config", self.0.path().join("config.toml").to_str().unwrap()]).args(args).output().unwrap()
    }

    /// What is said on standard error by a command that ends with this code.
    fn said(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Standard output of a command that succeeds.
    fn told(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.told(args)).unwrap()
    }

    fn incident(&self) -> Value {
        let status = self.json(&["incident", "status", "--json"]);
        assert_eq!(status["schema"], "gonogo.incident/v1");
        status["incident"].clone()
    }

    fn database(&self) -> PathBuf {
        self.0.path().join("state/journal.db")
    }

    fn journal(&self) -> sqlite::Sqlite {
        let settings = Settings {
            path: self.database(),
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

    /// Appends to a run as another person would; 0: begins it.
    async fn append(&self, run: &str, after: u64, events: Vec<gonogo::domain::record::Draft>) -> Vec<Entry> {
        let journal = self.journal();
        let (actor, stamp) = (journal.whoami(), SystemClock::new().now());
        journal.append(Append { run: RunId::from(run), after, epoch: None, actor, stamp, drafts: events }).await.unwrap()
    }

    async fn release(&self) {
        let runbook = load("small.yaml", BOOK, &BTreeMap::new(), &Context::default()).runbook.unwrap();
        let first = start_draft(&runbook, &runbook_hash(&runbook).unwrap(), false, None, 0);
        self.append("checkout-20260314-1", 0, vec![first]).await;
    }

    async fn runs(&self) -> Vec<(String, String, u64)> {
        let key = ServiceKey { platform: "prod".into(), service: "checkout".into() };
        let heads = self.journal().runs(Some(key)).await.unwrap();
        heads.into_iter().map(|h| (h.run.to_string(), h.state, h.head)).collect()
    }
}

#[test]
fn an_incident_from_its_declaration_to_its_end() {
    let place = Place::new();
    assert_eq!(place.told(&["incident", "status"]), "no incident is open\n");
    assert_eq!(place.incident(), Value::Null);
    let refused = place.said(9, &["incident", "update", "hello"]);
    assert!(refused.contains("no incident is open") && refused.contains("incident declare"), "{refused}");

    let declared = place.said(0, &["incident", "declare", "--severity", "p1", "checkout answers 500"]);
    assert!(
        declared.contains("P1 declared") && declared.contains("due in 30m00s") && declared.contains("a record of its own"),
        "{declared}"
    );
    let again = place.said(9, &["incident", "declare", "--severity", "P2", "me too"]);
    assert!(again.contains("an incident is open: P1 checkout answers 500"), "{again}");

    place.said(0, &["incident", "update", "we look\x1b[31m at it\nnow"]);
    let worse = place.said(0, &["incident", "severity", "P0"]);
    assert!(worse.contains("P1 -> P0: next update due in 5m, Grace due in 20m"), "{worse}");
    assert!(place.said(9, &["incident", "severity", "P0"]).contains("it is P0 already"));
    let called = place.said(0, &["incident", "escalate"]);
    assert!(called.contains("escalated to Grace") && called.contains("call them yourself: phone 4711"), "{called}");
    let nobody = place.said(9, &["incident", "escalate"]);
    assert!(nobody.contains("nobody is left on the ladder above Grace"), "{nobody}");

    let incident = place.incident();
    let shown = |pointer: &str| incident.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!((shown("/severity"), shown("/title"), shown("/own_record")), ("P0".into(), "checkout answers 500".into(), true.into()));
    assert_eq!(
        (shown("/last_update/text"), shown("/last_update/by"), shown("/with")),
        ("we look at it now".into(), "ada".into(), "Grace".into())
    );
    assert_eq!((shown("/next_rung"), shown("/next_update/overdue")), (Value::Null, false.into()));

    place.said(0, &["note", "payments look fine"]);
    let brief = place.told(&["incident", "brief"]);
    for part in [
        "# Hand-over: P0 checkout answers 500",
        "with: Grace",
        "we look at it now",
        "note: payments look fine",
        "no run: nothing is being released",
    ] {
        assert!(brief.contains(part), "{part} in {brief}");
    }
    assert!(!brief.contains('\x1b'), "{brief}");
    assert_eq!(place.json(&["incident", "brief", "--json"])["schema"], "gonogo.brief/v1");

    let resolved = place.said(0, &["incident", "resolve", "restarted the cache"]);
    assert!(resolved.contains("P0 resolved after"), "{resolved}");
    assert_eq!(place.incident(), Value::Null);
    assert!(place.said(9, &["incident", "resolve", "again"]).contains("no incident is open"));
    let show = place.told(&["show"]);
    for part in
        ["incident P1 declared: checkout answers 500", "incident is P0 now", "escalated to Grace", "incident resolved: restarted the cache"]
    {
        assert!(show.contains(part), "{part} in {show}");
    }
}

#[test]
fn what_is_no_text_and_no_severity_is_refused_before_anything_is_written() {
    let place = Place::new();
    assert!(place.said(2, &["incident", "declare", "--severity", "P4", "x"]).contains("P0, P1, P2, P3"));
    assert!(place.said(2, &["incident", "declare", "--severity", "P1", " \x07 "]).contains("empty"));
    assert!(place.said(2, &["note", ""]).contains("empty"));
    for who in ["--read-only", "--spectator"] {
        assert!(place.said(9, &[who, "incident", "declare", "--severity", "P1", "x"]).contains("not even a note"));
    }
    assert!(place.said(9, &["note", "x"]).contains("no run is under way and no incident is open"));
    assert_eq!(place.told(&["runs"]), "no runs yet: gonogo run RUNBOOK starts one\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_its_own_stands_in_no_releases_way() {
    let place = Place::new();
    place.said(0, &["incident", "declare", "--severity", "P1", "all slow"]);
    let runs = place.runs().await;
    assert_eq!(runs.iter().map(|(_, state, head)| (state.as_str(), *head)).collect::<Vec<_>>(), [("run.completed", 3)]);
    // A release that begins now is the run under way, and the incident goes on beside it.
    place.release().await;
    place.said(0, &["incident", "update", "we release the fix"]);
    let incident = place.incident();
    assert_eq!((incident["last_update"]["text"].clone(), incident["own_record"].clone()), ("we release the fix".into(), true.into()));
    place.said(0, &["note", "into the release"]);
    let show = place.told(&["show", "checkout-20260314-1"]);
    assert!(show.contains("note: into the release") && !show.contains("we release the fix"), "{show}");
    let brief = place.told(&["incident", "brief"]);
    for part in ["run checkout-20260314-1 (small 1.0.0): running", "P1 declared", "we release the fix", "into the release"] {
        assert!(brief.contains(part), "{part} in {brief}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_release_the_incident_is_in_its_journal_and_outlives_it() {
    let place = Place::new();
    place.release().await;
    let declared = place.said(0, &["incident", "declare", "--severity", "P2", "errors rise"]);
    assert!(declared.contains("checkout-20260314-1") && !declared.contains("record of its own"), "{declared}");
    assert_eq!(place.runs().await.len(), 1);
    // Somebody writes in between, and the run ends.
    place
        .append(
            "checkout-20260314-1",
            2,
            vec![Event::Note { text: "hm".into() }.draft(), Event::RunAborted { reason: "enough".into() }.draft()],
        )
        .await;
    place.said(0, &["incident", "update", "it goes on"]);
    assert_eq!(place.incident()["run"], "checkout-20260314-1");
    let brief = place.told(&["incident", "brief"]);
    assert!(brief.contains("aborted") && brief.contains("because: enough") && brief.contains("it goes on"), "{brief}");
    // How to go back by hand is told of the release, not of a later record about an incident alone.
    place.said(0, &["incident", "resolve", "over"]);
    place.said(0, &["incident", "declare", "--severity", "P3", "another"]);
    assert_eq!(place.runs().await.len(), 2);
    assert!(place.told(&["incident", "brief"]).contains("run checkout-20260314-1 (small 1.0.0): aborted"));
}
