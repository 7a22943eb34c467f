//! Entries as earlier versions wrote them, in the form that is read now. What stands in a journal is never changed.

use crate::domain::{Action, Route};
use serde_json::{Map, Value, json};

/// Brings the body of an entry to its present form.
///
/// Until 0.1 acts changed weights alone: a plan relied on `rule`, `canary`, `baseline` and `others` of a route, and an intent carried that route.
pub(super) fn bring_up(kind: &str, body: &mut Map<String, Value>) {
    let is_old = body.get("before").is_some_and(|before| before.get("rule").is_some());
    match kind {
        "action.planned" if is_old => planned(body),
        "action.intent" if is_old => intent(body),
        _ => {}
    }
}

fn planned(body: &mut Map<String, Value>) {
    let Some(before) = body.get("before").cloned() else { return };
    let text = |key: &str| before.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default();
    let number = |key: &str| before.get(key).and_then(Value::as_u64).unwrap_or_default();
    let (canary, sum) = (number("canary"), number("canary") + number("baseline") + number("others"));
    let shown = if sum > 0 && number("others") == 0 { format!("{}%", canary * 100 / sum) } else { "?".to_owned() };
    body.insert("shown".into(), shown.into());
    let fields = json!({"rule": text("rule"), "canary": text("canary"), "baseline": text("baseline"), "others": text("others")});
    body.insert("before".into(), json!({"object": before["object"], "uid": before["uid"], "fields": fields, "epoch": before["epoch"]}));
}

fn intent(body: &mut Map<String, Value>) {
    let action = body.get("action").cloned().and_then(|action| serde_json::from_value::<Action>(action).ok());
    let route = body.get("before").cloned().and_then(|before| serde_json::from_value::<Route>(before).ok());
    let Some((action, route)) = action.zip(route) else { return };
    if let Ok(subject) = serde_json::to_value(route.subject(&action)) {
        body.insert("before".into(), subject);
    }
}
