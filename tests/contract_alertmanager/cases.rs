//! The cases.

use super::{Case, Machine, Place};
use chrono::{DateTime, TimeDelta, Utc};
use gonogo::domain::alert::{AlertState, Matcher, Silence, SilenceDraft, SilenceState, stamp};
use gonogo::domain::{Clock as _, Failure, Refusal};
use gonogo::port::{Alerts as _, AlertsAnswer};
use serde_json::json;

pub(crate) const ALL: &[Case] = &[
    Case { name: "an alert that was posted is told, with its labels, texts and beginning", run: |p| Box::pin(posted(p)) },
    Case { name: "an alert that has ended is not told", run: |p| Box::pin(ended(p)) },
    Case { name: "a silence suppresses what it matches, and says by which", run: |p| Box::pin(silenced(p)) },
    Case { name: "matchers with expressions and negations mean the same there and here", run: |p| Box::pin(matchers(p)) },
    Case { name: "the same operation makes one silence, however often it is asked for", run: |p| Box::pin(once(p)) },
    Case { name: "a silence is found by its stamp, and by no other's", run: |p| Box::pin(found(p)) },
    Case { name: "a silence ends at once, and ending it again is no error", run: |p| Box::pin(expired(p)) },
    Case { name: "a silence that was prolonged meanwhile is not ended", run: |p| Box::pin(prolonged(p)) },
    Case { name: "a silence that would match everything is refused, certainly not made", run: |p| Box::pin(everything(p)) },
    Case { name: "a silence without matchers is refused by the schema", run: |p| Box::pin(no_matchers(p)) },
    Case { name: "a silence that nobody knows is missing", run: |p| Box::pin(missing(p)) },
    Case { name: "a cockpit without the right to write sends nothing", run: |p| Box::pin(read_only(p)) },
    Case { name: "the server tells its version and its clock", run: |p| Box::pin(clock(p)) },
];

fn now() -> DateTime<Utc> {
    Machine.now().wall
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Posts an alert of this case that fires since `ago` and ends by itself a minute from now.
async fn fire(place: &Place, name: &str, ago: TimeDelta) {
    let body = json!([{
        "labels": { "alertname": name, "gonogo_contract": place.mark, "severity": "warning", "pod": "a-1" },
        "annotations": { "summary": "p99 412ms > 400ms", "runbook_url": "https://runbooks.example/p99" },
        "startsAt": text(now() - ago), "endsAt": text(now() + TimeDelta::minutes(1)), "generatorURL": "http://prom.example/graph?g0.expr=x",
    }]);
    let answer = place.post("/alerts", &body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

fn mine<'a>(place: &Place, told: &'a AlertsAnswer) -> Vec<&'a gonogo::domain::alert::Alert> {
    told.alerts.iter().filter(|a| a.labels.get("gonogo_contract") == Some(&place.mark)).collect()
}

fn draft(place: &Place, op: &str, more: Vec<Matcher>) -> (SilenceDraft, String) {
    let stamp = stamp(&place.mark, op);
    let mut matchers = vec![Matcher::equal("gonogo_contract", &place.mark)];
    matchers.extend(more);
    let draft = SilenceDraft {
        matchers,
        starts_at: now() - TimeDelta::seconds(1),
        ends_at: now() + TimeDelta::minutes(1),
        created_by: "contract".into(),
        comment: format!("a test ({stamp})"),
    };
    (draft, stamp)
}

async fn posted(place: &Place) {
    fire(place, "Posted", TimeDelta::minutes(7)).await;
    let told = place.connect().snapshot().await.unwrap();
    let [alert] = mine(place, &told)[..] else { panic!("{told:?}") };
    assert_eq!((alert.name(), alert.state, alert.summary()), ("Posted", AlertState::Firing, "p99 412ms > 400ms"));
    assert_eq!(alert.link(), Some("https://runbooks.example/p99"));
    assert_eq!(alert.labels["pod"], "a-1");
    assert!(((now() - alert.starts_at) - TimeDelta::minutes(7)).abs() < TimeDelta::seconds(30), "{alert:?}");
    assert!(!alert.fingerprint.is_empty() && alert.generator_url.is_some());
}

async fn ended(place: &Place) {
    fire(place, "Ended", TimeDelta::minutes(7)).await;
    let labels = json!({ "alertname": "Ended", "gonogo_contract": place.mark, "severity": "warning", "pod": "a-1" });
    let over =
        json!([{ "labels": labels, "startsAt": text(now() - TimeDelta::minutes(7)), "endsAt": text(now() - TimeDelta::seconds(1)) }]);
    assert_eq!(place.post("/alerts", &over).await.status(), 200);
    let told = place.connect().snapshot().await.unwrap();
    assert!(mine(place, &told).is_empty(), "{told:?}");
}

async fn silenced(place: &Place) {
    fire(place, "Silenced", TimeDelta::minutes(1)).await;
    fire(place, "Loud", TimeDelta::minutes(1)).await;
    let am = place.connect();
    let (draft, stamp) = draft(place, "s1", vec![Matcher::equal("alertname", "Silenced")]);
    let id = am.create_silence(draft, stamp).await.unwrap();
    let told = am.snapshot().await.unwrap();
    for alert in mine(place, &told) {
        let state = if alert.name() == "Silenced" { AlertState::Suppressed } else { AlertState::Firing };
        assert_eq!(alert.state, state, "{alert:?}");
        assert_eq!(alert.silenced_by, if state == AlertState::Suppressed { vec![id.clone()] } else { vec![] });
    }
    let silence = told.silences.iter().find(|s| s.id == id).expect("the silence is listed");
    assert_eq!((silence.state, silence.created_by.as_str()), (SilenceState::Active, "contract"));
    assert_eq!(am.read_silence(id).await.unwrap().as_ref(), Some(silence));
}

async fn matchers(place: &Place) {
    let am = place.connect();
    for (i, text) in ["pod=~a-.*", "pod=~a", "pod!=a-1", "pod!~b.*", "zone=", "zone!=", "severity=~page|warning"].into_iter().enumerate() {
        let name = format!("M{i}");
        fire(place, &name, TimeDelta::minutes(1)).await;
        let (draft, stamp) = draft(place, &format!("m{i}"), vec![Matcher::equal("alertname", &name), Matcher::parse(text).unwrap()]);
        let id = am.create_silence(draft, stamp).await.unwrap();
        let told = am.snapshot().await.unwrap();
        let alert = mine(place, &told).into_iter().find(|a| a.name() == name).unwrap().clone();
        let silence = told.silences.iter().find(|s| s.id == id).unwrap();
        assert_eq!(silence.covers(&alert.labels), alert.silenced_by.contains(&id), "{text}");
    }
}

async fn once(place: &Place) {
    let am = place.connect();
    let (draft, stamp) = draft(place, "s1", vec![]);
    let first = am.create_silence(draft.clone(), stamp.clone()).await.unwrap();
    assert_eq!(am.create_silence(draft, stamp.clone()).await.unwrap(), first);
    let told = am.snapshot().await.unwrap();
    assert_eq!(told.silences.iter().filter(|s| s.comment.contains(&stamp)).count(), 1);
}

async fn found(place: &Place) {
    let am = place.connect();
    let (draft, stamp) = draft(place, "s1", vec![]);
    assert_eq!(am.find_silence(stamp.clone()).await.unwrap(), None);
    let id = am.create_silence(draft, stamp.clone()).await.unwrap();
    assert_eq!(am.find_silence(stamp.clone()).await.unwrap().map(|s| s.id), Some(id.clone()));
    assert_eq!(am.find_silence(format!("{stamp}1")).await.unwrap(), None);
    let seen = am.read_silence(id).await.unwrap().unwrap();
    am.expire_silence(seen).await.unwrap();
    assert!(am.find_silence(stamp).await.unwrap().is_some(), "also when it is over");
}

async fn expired(place: &Place) {
    fire(place, "Back", TimeDelta::minutes(1)).await;
    let am = place.connect();
    let (draft, stamp) = draft(place, "s1", vec![]);
    let id = am.create_silence(draft, stamp).await.unwrap();
    let seen = am.read_silence(id.clone()).await.unwrap().unwrap();
    am.expire_silence(seen.clone()).await.unwrap();
    assert_eq!(am.read_silence(id).await.unwrap().unwrap().state, SilenceState::Expired);
    am.expire_silence(seen).await.unwrap();
    let told = am.snapshot().await.unwrap();
    assert!(mine(place, &told).iter().all(|a| a.state == AlertState::Firing), "{told:?}");
}

async fn prolonged(place: &Place) {
    let am = place.connect();
    let (draft, stamp) = draft(place, "s1", vec![]);
    let id = am.create_silence(draft, stamp).await.unwrap();
    let seen = am.read_silence(id.clone()).await.unwrap().unwrap();
    // Read back as it is, so that it is changed in place and keeps its id.
    let longer = json!({
        "id": id, "matchers": [{ "name": "gonogo_contract", "value": place.mark, "isRegex": false, "isEqual": true }],
        "startsAt": text(seen.starts_at), "endsAt": text(seen.ends_at + TimeDelta::minutes(1)), "createdBy": "noor", "comment": seen.comment,
    });
    let answer = place.post("/silences", &longer).await;
    let made: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(made["silenceID"], json!(id), "changed in place");
    let failure = am.expire_silence(seen).await.unwrap_err();
    assert!(matches!(failure, Failure::Refused { reason: Refusal::Conflict, .. }), "{failure}");
    assert_eq!(am.read_silence(id).await.unwrap().unwrap().state, SilenceState::Active);
}

async fn everything(place: &Place) {
    let am = place.connect();
    let (draft, stamp) = draft(place, "s1", vec![]);
    let all = Matcher { name: "alertname".into(), value: ".*".into(), is_regex: true, is_equal: true };
    let failure = am.create_silence(SilenceDraft { matchers: vec![all], ..draft }, stamp.clone()).await.unwrap_err();
    assert!(failure.certainly_not_applied(), "{failure}");
    assert!(failure.to_string().contains("at least one matcher must not match the empty string"), "{failure}");
    assert_eq!(am.find_silence(stamp).await.unwrap(), None);
}

async fn no_matchers(place: &Place) {
    let am = place.connect();
    let (draft, stamp) = draft(place, "s1", vec![]);
    let failure = am.create_silence(SilenceDraft { matchers: vec![], ..draft }, stamp).await.unwrap_err();
    assert!(matches!(&failure, Failure::Refused { code: 422, .. }), "{failure}");
    assert!(failure.to_string().contains("(612)"), "{failure}");
}

async fn missing(place: &Place) {
    let am = place.connect();
    let unknown = "8f4ec3ae-4a3c-4f5c-9a55-3b1c9c9d0000".to_owned();
    assert_eq!(am.read_silence(unknown.clone()).await.unwrap(), None);
    let (draft, _) = draft(place, "s1", vec![]);
    let seen = Silence {
        id: unknown,
        matchers: draft.matchers,
        starts_at: draft.starts_at,
        ends_at: draft.ends_at,
        created_by: draft.created_by,
        comment: draft.comment,
        state: SilenceState::Active,
    };
    let failure = am.expire_silence(seen.clone()).await.unwrap_err();
    assert!(matches!(failure, Failure::Refused { reason: Refusal::Missing, .. }), "{failure}");
    let failure = am.read_silence("nope".into()).await.unwrap_err();
    assert!(matches!(&failure, Failure::Refused { code: 422, .. }), "{failure}");
}

async fn read_only(place: &Place) {
    let am = place.connect_as(false);
    let (draft, stamp) = draft(place, "s1", vec![]);
    assert!(matches!(am.create_silence(draft, stamp.clone()).await, Err(Failure::NotSent { .. })));
    assert_eq!(am.find_silence(stamp).await.unwrap(), None, "reading works");
}

async fn clock(place: &Place) {
    let am = place.connect();
    assert!(!am.version().await.unwrap().is_empty());
    let told = am.snapshot().await.unwrap();
    assert!(told.at.is_some());
    if let Some(skew) = told.skew {
        assert!(skew.abs() < TimeDelta::seconds(60), "{skew}");
    }
}
