//! Entries and runs: place, epoch, chain, bounds.

use crate::place::{Place, draft, note, run, service, started};
use chrono::TimeDelta;
use gonogo::domain::record::{Draft, GENESIS, verify_chain};
use gonogo::domain::{Epoch, RunId, ServiceKey};
use gonogo::port::{Append, AppendError, Journal, JournalError};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn an_entry_comes_back_as_it_was_written_in_another_process() {
    let place = Place::new();
    let journal = place.open("a");
    place.start(&journal).await;
    let body = json!({ "z": [1, -2, null, true], "a": "caf\u{e9}\n\u{1}\"\u{20ac}", "deep": { "big": u64::MAX, "small": i64::MIN } });
    let written = place
        .append(&journal, 1, vec![Draft { kind: "step.started".into(), step: Some("shift-5".into()), body: body.clone() }, note("two")])
        .await
        .unwrap();
    assert_eq!(written.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!((&written[0].body, written[0].step.as_deref()), (&body, Some("shift-5")));
    drop(journal);
    let read = place.open("b").read(run(), 0).await.unwrap();
    assert_eq!(read[1..], written);
    assert_eq!(read[0].prev, GENESIS);
    assert_eq!(verify_chain(&read), Ok(()));
    assert_eq!((read[2].actor.client.as_str(), read[2].actor.strength.as_str()), (&*format!("ann@box {}", std::process::id()), "asserted"));
}

#[tokio::test]
async fn the_store_puts_its_own_time_and_identity_strength() {
    let place = Place::new();
    let journal = place.open("a");
    let mut request = place.request(&journal, 0, None, vec![started(&service())]);
    request.stamp.wall -= TimeDelta::seconds(90);
    request.stamp.boot = Duration::from_millis(1234);
    request.actor.strength = "certified".into();
    let entry = journal.append(request.clone()).await.unwrap().remove(0);
    assert_eq!((entry.time.wall, entry.time.store), (request.stamp.wall, place.now().wall));
    assert_eq!((entry.time.boot, entry.time.boot_id.as_str()), (1234, "boot-1"));
    assert_eq!(entry.actor.strength, "asserted");
}

#[tokio::test]
async fn of_two_that_append_after_the_same_entry_one_is_told_that_it_moved() {
    let place = Place::new();
    let (one, two) = (place.open("a"), place.open("b"));
    place.start(&one).await;
    for after in 1..40 {
        let (a, b) = tokio::join!(place.append(&one, after, vec![note("one")]), place.append(&two, after, vec![note("two")]));
        let moved = [a, b].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert_eq!(moved, [AppendError::Moved { head: after + 1 }], "after {after}");
    }
    assert_eq!(verify_chain(&one.read(run(), 0).await.unwrap()), Ok(()));
}

#[tokio::test]
async fn of_two_that_start_the_same_run_one_is_told_that_it_moved() {
    let place = Place::new();
    let (one, two) = (place.open("a"), place.open("b"));
    let (a, b) = tokio::join!(
        place.append(&one, 0, vec![started(&service()), note("x")]),
        place.append(&two, 0, vec![started(&service()), note("y")])
    );
    assert_eq!([a, b].into_iter().filter_map(Result::err).collect::<Vec<_>>(), [AppendError::Moved { head: 2 }]);
    assert_eq!(one.runs(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_old_epoch_is_fenced_and_nothing_of_the_append_is_written() {
    let place = Place::new();
    let (old, new) = (place.open("a"), place.open("b"));
    let first = old.acquire(service(), run(), place.now(), false).await.unwrap().epoch;
    old.append(place.request(&old, 0, Some(first), vec![started(&service())])).await.unwrap();
    let second = new.acquire(service(), run(), place.now(), true).await.unwrap().epoch;
    let late = old.append(place.request(&old, 1, Some(first), vec![note("x"), note("y")])).await;
    assert_eq!(late, Err(AppendError::Fenced { current: second }));
    let early = old.append(place.request(&old, 1, Some(second.next()), vec![note("x")])).await;
    assert_eq!(early, Err(AppendError::Fenced { current: second }));
    assert_eq!(old.read(run(), 1).await.unwrap(), []);
    // What everybody may append carries the driver's epoch all the same.
    assert_eq!(place.append(&old, 1, vec![note("hold")]).await.unwrap()[0].epoch, second);
    assert_eq!(new.append(place.request(&new, 2, Some(second), vec![note("z")])).await.unwrap()[0].epoch, second);
}

#[tokio::test]
async fn the_epoch_that_counts_is_that_of_the_runs_own_service() {
    let place = Place::new();
    let journal = place.open("a");
    let other = ServiceKey { platform: "prod-us".into(), ..service() };
    for _ in 0..3 {
        journal.acquire(other.clone(), run(), place.now(), false).await.unwrap();
    }
    let ours = journal.acquire(service(), run(), place.now(), false).await.unwrap().epoch;
    let wrong = journal.append(place.request(&journal, 0, Some(Epoch(3)), vec![started(&service())])).await;
    assert_eq!(wrong, Err(AppendError::Fenced { current: ours }));
    journal.append(place.request(&journal, 0, Some(ours), vec![started(&service())])).await.unwrap();
}

#[tokio::test]
async fn a_run_begins_with_what_it_targets() {
    let place = Place::new();
    let journal = place.open("a");
    let no_target = draft("run.started", json!({ "target": { "platform": "prod-eu" } }));
    for drafts in [vec![note("x"), started(&service())], vec![no_target]] {
        let refused = place.append(&journal, 0, drafts).await;
        assert!(matches!(&refused, Err(AppendError::Store(why)) if why.contains("run.started")), "{refused:?}");
    }
    assert_eq!(place.append(&journal, 3, vec![note("x")]).await, Err(AppendError::Moved { head: 0 }));
    assert_eq!(journal.read(run(), 0).await, Err(JournalError::NoRun(run())));
    assert_eq!(journal.runs(None).await, Ok(vec![]));
}

#[tokio::test]
async fn what_has_no_canonical_form_or_no_bound_is_refused_whole() {
    let place = Place::new();
    let journal = place.open("a");
    place.start(&journal).await;
    let mut nested = json!(1);
    for _ in 0..200 {
        nested = json!([nested]);
    }
    let cases = [
        ("a float", draft("note", json!({ "share": 0.5 })), "$.share"),
        ("too large", note(&"x".repeat(256 * 1024)), "262144 are allowed"),
        ("too deep", draft("note", nested), "read back"),
        ("no type", draft("", json!({})), "no event type"),
        ("a type with an escape sequence", draft("note\u{1b}[2J", json!({})), "no event type"),
        ("a long step", Draft { step: Some("s".repeat(300)), ..note("x") }, "200 bytes"),
    ];
    for (name, bad, why) in cases {
        let refused = place.append(&journal, 1, vec![note("good"), bad]).await;
        assert!(matches!(&refused, Err(AppendError::Store(said)) if said.contains(why)), "{name}: {refused:?}");
    }
    assert!(matches!(place.append(&journal, 1, vec![]).await, Err(AppendError::Store(_))));
    assert_eq!(journal.read(run(), 1).await.unwrap(), []);
}

#[tokio::test]
async fn a_body_of_64_kib_is_kept() {
    let place = Place::new();
    let journal = place.open("a");
    place.start(&journal).await;
    let body = json!({ "runbook": "\u{20ac}\n".repeat(16 * 1024) });
    place.append(&journal, 1, vec![draft("evidence", body.clone())]).await.unwrap();
    assert_eq!(place.open("b").read(run(), 1).await.unwrap()[0].body, body);
}

#[tokio::test]
async fn ten_thousand_entries_are_read_in_order() {
    let place = Place::new();
    let (writer, reader) = (place.open("a"), place.open("b"));
    place.start(&writer).await;
    for batch in 0..100u64 {
        let drafts = (0..100).map(|i| draft("observe.delta", json!({ "n": batch * 100 + i }))).collect();
        place.append(&writer, 1 + batch * 100, drafts).await.unwrap();
        // Followed in steps, as a second cockpit does.
        assert_eq!(reader.read(run(), 1 + batch * 100).await.unwrap().len(), 100);
    }
    let entries = place.open("c").read(run(), 1).await.unwrap();
    assert!(entries.iter().enumerate().all(|(i, e)| e.body["n"] == i && e.seq == i as u64 + 2));
    assert_eq!(entries.len(), 10_000);
}

/// Drops the guards and changes the file as somebody with an editor would.
fn tamper(place: &Place, sql: &str) {
    place.raw().execute_batch(&format!("DROP TRIGGER entries_stay; DROP TRIGGER entries_are_kept; DROP TRIGGER runs_stay; {sql}")).unwrap();
}

#[tokio::test]
async fn a_change_behind_the_journals_back_is_found_and_placed() {
    let cases = [
        ("UPDATE entries SET body = replace(body, 'n3', 'N3') WHERE seq = 3", "entry 3 was changed"),
        ("UPDATE entries SET actor_id = 'bob' WHERE seq = 5", "entry 5 was changed"),
        ("UPDATE entries SET store = '2026-03-14T15:00:00Z' WHERE seq = 1", "entry 1 was changed"),
        ("UPDATE entries SET store = 'yesterday' WHERE seq = 2", "entry 2 has no readable time"),
        ("UPDATE entries SET body = '{' WHERE seq = 2", "entry 2 has no readable body"),
        ("UPDATE entries SET prev = hash WHERE seq = 4", "entry 4 does not follow entry 3"),
        ("DELETE FROM entries WHERE seq = 4", "entry 5 stands where 4 should"),
        ("DELETE FROM entries", "no entries"),
        ("UPDATE runs SET service = 'payments'", "entry 1 does not start a run of it"),
    ];
    for (sql, said) in cases {
        let place = Place::new();
        let journal = place.open("a");
        place.start(&journal).await;
        place.append(&journal, 1, (2..=6).map(|n| note(&format!("n{n}"))).collect()).await.unwrap();
        drop(journal);
        tamper(&place, sql);
        match place.open("b").read(run(), 0).await {
            Err(JournalError::Damaged { run: named, why }) => assert!(named == run() && why.contains(said), "{sql}: {why}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn who_saw_the_end_notices_when_it_is_cut_off_or_replaced() {
    for (sql, from, said) in [
        ("DELETE FROM entries WHERE seq >= 3", 4, "entry 4 was there and is gone"),
        ("DELETE FROM entries WHERE seq >= 3", 0, "entry 4 was there and is gone"),
        ("UPDATE entries SET body = '{}' WHERE seq = 4", 4, "entry 4 was changed"),
        ("UPDATE entries SET body = '{}' WHERE seq = 2", 1, "entry 2 was changed"),
    ] {
        let place = Place::new();
        let journal = place.open("a");
        place.start(&journal).await;
        place.append(&journal, 1, (2..=4).map(|n| note(&format!("n{n}"))).collect()).await.unwrap();
        assert_eq!(journal.read(run(), 0).await.unwrap().len(), 4);
        tamper(&place, sql);
        let damaged = journal.read(run(), from).await;
        assert!(matches!(&damaged, Err(JournalError::Damaged { why, .. }) if why == said || why.starts_with(said)), "{sql}: {damaged:?}");
    }
    // Nor is anything appended to a stump.
    let place = Place::new();
    let journal = place.open("a");
    place.start(&journal).await;
    place.append(&journal, 1, vec![note("x")]).await.unwrap();
    tamper(&place, "DELETE FROM entries WHERE seq = 2");
    assert!(matches!(place.append(&journal, 1, vec![note("y")]).await, Err(AppendError::Store(_))));
}

#[tokio::test]
async fn an_append_does_not_vouch_for_what_its_writer_never_read() {
    let place = Place::new();
    let journal = place.open("a");
    place.start(&journal).await;
    place.append(&journal, 1, vec![note("x"), note("y")]).await.unwrap();
    drop(journal);
    tamper(&place, "UPDATE entries SET body = '{}' WHERE seq = 2");
    let next = place.open("b");
    place.append(&next, 3, vec![note("z")]).await.unwrap();
    let damaged = next.read(run(), 4).await;
    assert!(matches!(&damaged, Err(JournalError::Damaged { why, .. }) if why.starts_with("entry 2 was changed")), "{damaged:?}");
}

#[tokio::test]
async fn the_file_itself_refuses_to_change_or_lose_an_entry() {
    let place = Place::new();
    let journal = place.open("a");
    place.start(&journal).await;
    place.append(&journal, 1, vec![note("x")]).await.unwrap();
    journal.acquire(service(), run(), place.now(), false).await.unwrap();
    let raw = place.raw();
    let columns = "run, seq, epoch, prev, wall, boot, boot_id, store, actor_id, actor_strength, actor_client, kind, step, body, hash";
    for sql in [
        "UPDATE entries SET body = '{}' WHERE seq = 2".to_owned(),
        "DELETE FROM entries WHERE seq = 2".to_owned(),
        format!("INSERT OR REPLACE INTO entries SELECT {columns} FROM entries WHERE seq = 1"),
        format!("INSERT INTO entries SELECT {} FROM entries WHERE seq = 1", columns.replace("seq", "seq + 3")),
        "UPDATE runs SET service = 'payments'".to_owned(),
        "DELETE FROM runs".to_owned(),
        "INSERT OR REPLACE INTO runs SELECT id, 'another', platform, service FROM runs".to_owned(),
        "UPDATE seats SET epoch = epoch - 1".to_owned(),
        "DELETE FROM seats".to_owned(),
        "INSERT OR REPLACE INTO seats SELECT * FROM seats".to_owned(),
    ] {
        let refused = raw.execute_batch(&sql).expect_err(&sql).to_string();
        assert!(refused.contains("append-only") || refused.contains("epoch") || refused.contains("never replaced"), "{sql}: {refused}");
    }
    assert_eq!(journal.read(run(), 0).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_full_disk_is_said_and_loses_nothing() {
    let place = Place::new();
    let journal = place.open("a");
    place.start(&journal).await;
    place.fill_disk(true);
    let full = place.append(&journal, 1, vec![note("x")]).await;
    assert!(matches!(&full, Err(AppendError::Full(why)) if why.contains("free some") && why.contains("journal.db")), "{full:?}");
    assert_eq!(journal.read(run(), 0).await.unwrap().len(), 1);
    assert!(journal.acquire(service(), run(), place.now(), false).await.is_err());
    place.fill_disk(false);
    place.append(&journal, 1, vec![note("x")]).await.unwrap();
}

async fn begin(place: &Place, journal: &dyn Journal, run: &str, service: &ServiceKey, then: Vec<Draft>) {
    let drafts = std::iter::once(started(service)).chain(then).collect();
    let request = Append { run: run.into(), ..place.request(journal, 0, None, drafts) };
    journal.append(request).await.unwrap();
}

#[tokio::test]
async fn runs_are_listed_newest_first_with_how_they_stand() {
    let place = Place::new();
    let journal = place.open("a");
    let other = ServiceKey { service: "payments".into(), ..service() };
    begin(&place, &journal, "checkout-20260314-9", &service(), vec![draft("run.completed", json!({})), note("after")]).await;
    // The clock is set back; the order stays that of the starts.
    let before = place.now();
    place.set_wall(before.wall - TimeDelta::hours(2));
    begin(&place, &journal, "checkout-20260314-10", &service(), vec![]).await;
    begin(&place, &journal, "payments-20260314-1", &other, vec![draft("step.started", json!({}))]).await;
    let all = journal.runs(None).await.unwrap();
    let listed: Vec<_> = all.iter().map(|r| (r.run.as_str(), r.head, r.state.as_str(), r.finished())).collect();
    assert_eq!(
        listed,
        [
            ("payments-20260314-1", 2, "run.started", false),
            ("checkout-20260314-10", 1, "run.started", false),
            ("checkout-20260314-9", 3, "run.completed", true)
        ]
    );
    assert_eq!((all[2].started, all[1].last), (before.wall, place.now().wall));
    let ours = journal.runs(Some(service())).await.unwrap();
    assert_eq!(ours, all[1..]);
}

#[tokio::test]
async fn run_ids_count_by_service_and_day_and_are_plain() {
    let place = Place::new();
    let journal = place.open("a");
    let day = place.now().wall;
    let id = |name: &str| journal.new_run_id(ServiceKey { service: name.into(), ..service() }, day);
    assert_eq!(id("checkout").await, Ok(RunId::from("checkout-20260314-1")));
    for run in ["checkout-20260314-2", "checkout-20260314-10", "checkout-20260313-40", "checkout-20260314-x"] {
        begin(&place, &journal, run, &service(), vec![]).await;
    }
    assert_eq!(id("checkout").await, Ok(RunId::from("checkout-20260314-11")));
    assert_eq!(id("check").await, Ok(RunId::from("check-20260314-1")));
    assert_eq!(id("../\u{1b}[2J caf\u{e9}").await, Ok(RunId::from("..---2J-caf--20260314-1")));
    let next_day = journal.new_run_id(service(), day + TimeDelta::days(1)).await;
    assert_eq!(next_day, Ok(RunId::from("checkout-20260315-1")));
}

#[tokio::test]
async fn an_append_whose_caller_went_away_is_done_whole_or_not_at_all() {
    let place = Place::new();
    let journal = Arc::new(place.open("a"));
    place.start(journal.as_ref()).await;
    for _ in 0..20 {
        let after = journal.read(run(), 0).await.unwrap().len() as u64;
        let request = place.request(journal.as_ref(), after, None, vec![note("x"), note("y")]);
        let mut append = journal.append(request);
        assert!(futures::poll!(&mut append).is_pending());
        drop(append);
    }
    let entries = journal.read(run(), 0).await.unwrap();
    assert_eq!((entries.len() % 2, verify_chain(&entries)), (1, Ok(())));
    assert!(entries.iter().skip(1).all(|e| e.body != Value::Null));
}
