//! Verbs that change a Rollout's own specification, stamped and tested like every other write.

use super::read::progressive;
use super::verbs::{bare, kept_by};
use crate::adapter::kubernetes::mechanism::{Change, Look, Mechanism, Place, subject};
use crate::adapter::kubernetes::patch::test;
use crate::domain::progressive::Progressive;
use crate::domain::text::clean_bounded;
use crate::domain::{Action, DiffLine};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// Pause, resume, restart, scale and set image; the image through the object whose template the Rollout runs.
pub(super) struct Specified {
    place: Place,
    now: DateTime<Utc>,
}

impl Specified {
    /// `now` is what a restart is dated with.
    pub(super) fn new(place: Place, now: DateTime<Utc>) -> Self {
        Self { place, now }
    }
}

impl Mechanism for Specified {
    fn place(&self) -> &Place {
        &self.place
    }

    fn look(&self, object: Value, action: &Action) -> Look {
        let own = self.place.kind == "Rollout";
        let rollout = progressive(&object);
        let mut look = if own { bare(object, &rollout, action) } else { foreign(object, action) };
        match action {
            Action::Pause { .. } => paused(&mut look, &rollout, true),
            Action::Resume { .. } => paused(&mut look, &rollout, false),
            Action::Restart { track, at } => {
                let at = at.unwrap_or(self.now);
                look.action = Action::Restart { track: *track, at: Some(at) };
                restart(&mut look, &rollout, at);
            }
            Action::Scale { replicas, .. } => scale(&mut look, *replicas),
            Action::SetImage { container, image, .. } => {
                set_image(&mut look, container.as_deref(), image);
                if own && !rollout.is_settled() {
                    look.warnings.push("a release is under way: another version begins at the first step again".to_owned());
                }
                gitops(&mut look);
            }
            _ => look.subject.trouble = Some("it cannot be done on a rollout".to_owned()),
        }
        look
    }
}

/// An object that a Rollout refers to.
pub(super) fn foreign(object: Value, action: &Action) -> Look {
    let subject = subject(&object);
    Look { subject, action: action.clone(), consequence: None, warnings: vec![], change: Change::default(), object }
}

/// Sets one field: tested as it is, or bound to the object's version where it is absent.
fn set(look: &mut Look, pointer: &str, name: &str, value: &Value) {
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "absent".to_owned(),
        Some(Value::String(text)) => clean_bounded(text, 300),
        Some(value) => clean_bounded(&value.to_string(), 300),
    };
    let now = look.object.pointer(pointer).filter(|it| !it.is_null()).cloned();
    look.subject.fields.insert(name.to_owned(), text(now.as_ref()));
    look.subject.done = now.as_ref() == Some(value);
    match &now {
        Some(now) => look.change.tests.push(test(pointer, now)),
        None => look.change.untested = true,
    }
    look.change.changes.push(json!({"op": "add", "path": pointer, "value": value}));
    look.change.covered.push(pointer.to_owned());
    let field = format!("{} {name}", look.subject.object);
    look.change.lines.push(DiffLine { field, before: text(now.as_ref()), after: text(Some(value)) });
}

/// Says who would write the specification again.
pub(super) fn gitops(look: &mut Look) {
    if let Some(tool) = kept_by(&look.object) {
        look.warnings.push(format!("{tool} keeps this object and may take it back: change it at its source too"));
    }
}

fn paused(look: &mut Look, rollout: &Progressive, wanted: bool) {
    set(look, "/spec/paused", "paused", &json!(wanted));
    // What is not there is not paused.
    look.subject.done = rollout.paused == wanted;
    if wanted && rollout.is_settled() {
        look.warnings.push("no release is under way: the next one would wait before its first step".to_owned());
    }
    if wanted {
        look.warnings.push("a pause stops the steps; analyses go on and may still abort".to_owned());
    } else if !rollout.pauses.is_empty() {
        look.warnings.push("it also waits at a pause of its own: resuming does not end that".to_owned());
    }
}

fn restart(look: &mut Look, rollout: &Progressive, at: DateTime<Utc>) {
    let text = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    set(look, "/spec/restartAt", "restart", &json!(text));
    look.consequence = Some(rollout.replicas.max(rollout.desired).to_string());
    look.warnings.push("instances of both versions that are older are replaced, as many at a time as may be unavailable".to_owned());
}

fn scale(look: &mut Look, replicas: u32) {
    set(look, "/spec/replicas", "replicas", &json!(replicas));
    look.subject.shown = format!("{} instances", look.subject.fields.get("replicas").map_or("?", String::as_str));
    if replicas == 0 {
        look.warnings.push("no instance is left: nothing serves".to_owned());
    }
}

fn set_image(look: &mut Look, container: Option<&str>, image: &str) {
    let containers = look.object.pointer("/spec/template/spec/containers").and_then(Value::as_array).cloned().unwrap_or_default();
    let named = |it: &Value| it.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let names = || clean_bounded(&containers.iter().map(named).collect::<Vec<_>>().join(", "), 200);
    let found: Vec<usize> = (0..containers.len()).filter(|at| container.is_none_or(|wanted| named(&containers[*at]) == wanted)).collect();
    let [at] = found.as_slice() else {
        look.subject.trouble = Some(match container {
            Some(wanted) => format!("no container is named `{wanted}`; there are: {}", names()),
            None => format!("name the container: there are {}", names()),
        });
        return;
    };
    let base = format!("/spec/template/spec/containers/{at}");
    let name = named(&containers[*at]);
    look.change.tests.push(test(&format!("{base}/name"), &json!(name)));
    set(look, &format!("{base}/image"), &format!("image {name}"), &json!(image));
    let now = look.object.pointer(&format!("{base}/image")).and_then(Value::as_str).unwrap_or_default();
    look.subject.shown = clean_bounded(crate::domain::action::version_of(now), 128);
}
