//! Entries as earlier versions wrote them, in the form that is read now. What stands in a journal is never changed.

use crate::domain::{Action, Route};
use serde_json::{Map, Value, json};

/// The body of an entry in its present form, where that is not how it was written.
///
/// Until 0.1 acts changed weights alone: a plan relied on `rule`, `canary`, `baseline` and `others` of a route, and an intent carried that route.
pub(super) fn brought_up(kind: &str, body: &Map<String, Value>) -> Option<Map<String, Value>> {
    let bring_up = match kind {
        "action.planned" => planned,
        "action.intent" => intent,
        _ => return None,
    };
    body.get("before").filter(|before| before.get("rule").is_some())?;
    let mut body = body.clone();
    bring_up(&mut body);
    Some(body)
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
