//! Going back to an earlier revision of a Rollout: its template is that of a ReplicaSet which the controller kept.

use super::read::progressive;
use super::spec::{foreign, gitops};
use super::verbs::bare;
use crate::adapter::kubernetes::mechanism::{Look, Mechanism, Place};
use crate::adapter::kubernetes::patch::test;
use crate::domain::text::clean_bounded;
use crate::domain::{Action, DiffLine};
use serde_json::{Value, json};

/// Label by which the controller tells templates apart.
pub(super) const HASH: &str = "rollouts-pod-template-hash";
/// Annotation that tells which labels and annotations the controller put on a ReplicaSet's template for as long as it is canary or
/// stable. They are none of the Rollout's template: with them it would be another version.
const PASSING: &str = "rollout.argoproj.io/ephemeral-metadata";
/// Annotation that numbers the ReplicaSets of a Rollout.
pub(super) const REVISION: &str = "rollout.argoproj.io/revision";

/// A ReplicaSet that could be gone back to.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// Its name.
    pub(super) name: String,
    /// Its number.
    pub(super) revision: u64,
    /// Its hash.
    pub(super) hash: String,
    /// Its template, without the label of the hash.
    pub(super) template: Value,
}

impl Kept {
    /// Reads a ReplicaSet that this Rollout controls. One without a number counts as 0; one whose number cannot be read is none.
    pub(super) fn of(set: &Value, rollout: &str) -> Option<Self> {
        let owners = set.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let ours =
            |owner: &Value| owner.get("controller") == Some(&json!(true)) && owner.get("uid").and_then(Value::as_str) == Some(rollout);
        owners.into_iter().flatten().any(ours).then_some(())?;
        let note = set.pointer("/metadata/annotations").and_then(|notes| notes.get(REVISION)).and_then(Value::as_str);
        let revision = note.map_or(Ok(0), str::parse).ok()?;
        let hash = set.pointer("/metadata/labels").and_then(|labels| labels.get(HASH)).and_then(Value::as_str);
        Some(Self {
            name: set.pointer("/metadata/name")?.as_str()?.to_owned(),
            revision,
            hash: hash.unwrap_or_default().to_owned(),
            template: without_passing(without_hash(set.pointer("/spec/template")?), set),
        })
    }

    fn image(&self) -> String {
        let image = self.template.pointer("/spec/containers/0/image").and_then(Value::as_str).unwrap_or("?");
        clean_bounded(crate::domain::action::version_of(image), 60)
    }
}

/// A template without what the controller adds.
fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
        labels.remove("pod-template-hash");
    }
    template
}

/// A template without what the controller put on it for the time being.
fn without_passing(mut template: Value, set: &Value) -> Value {
    let note = set.pointer("/metadata/annotations").and_then(|notes| notes.get(PASSING)).and_then(Value::as_str);
    let passing: Value = note.and_then(|note| serde_json::from_str(note).ok()).unwrap_or_default();
    for part in ["labels", "annotations"] {
        let Some(there) = template.pointer_mut(&format!("/metadata/{part}")).and_then(Value::as_object_mut) else { continue };
        for (key, value) in passing.get(part).and_then(Value::as_object).into_iter().flatten() {
            if there.get(key) == Some(value) {
                there.remove(key);
            }
        }
    }
    template
}

/// Whether two templates say the same, whatever is written as absent, null or empty.
fn same(one: &Value, two: &Value) -> bool {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    match (one, two) {
        (Value::Object(a), Value::Object(b)) => {
            let both = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            both.into_iter().all(|key| same(a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) => a == b || (empty(a) && empty(b)),
    }
}

/// Undo of a Rollout, or of the object whose template it runs.
pub(super) struct Undo {
    place: Place,
    kept: Vec<Kept>,
    /// Hash of what is proven.
    stable: String,
}

impl Undo {
    pub(super) fn new(place: Place, kept: Vec<Kept>, stable: String) -> Self {
        Self { place, kept, stable }
    }

    /// The ReplicaSet to go back to: the one that is fixed, else the one with this number, else the one with the second-highest.
    fn target(&self, revision: Option<u64>, kept_by: Option<&str>) -> Result<&Kept, String> {
        let listed = || {
            let mut numbers: Vec<u64> = self.kept.iter().map(|it| it.revision).collect();
            numbers.sort_unstable();
            clean_bounded(&numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", "), 120)
        };
        if let Some(fixed) = kept_by {
            let found = self.kept.iter().find(|it| format!("replicaset/{}", it.name) == fixed);
            return found.ok_or_else(|| format!("{fixed} is gone: that revision cannot be gone back to"));
        }
        if let Some(number) = revision.filter(|number| *number > 0) {
            let found = self.kept.iter().find(|it| it.revision == number);
            return found.ok_or_else(|| format!("there is no revision {number}; kept are: {}", listed()));
        }
        let mut all: Vec<&Kept> = self.kept.iter().collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.revision));
        all.get(1).copied().ok_or_else(|| "no earlier revision is kept: there is nothing to go back to".to_owned())
    }
}

impl Mechanism for Undo {
    fn place(&self) -> &Place {
        &self.place
    }

    fn look(&self, object: Value, action: &Action) -> Look {
        let Action::Undo { track, revision, kept_by } = action else { return foreign(object, action) };
        let own = self.place.kind == "Rollout";
        let rollout = progressive(&object);
        let mut look = if own { bare(object, &rollout, action) } else { foreign(object, action) };
        let target = match self.target(*revision, kept_by.as_deref()) {
            Ok(target) => target,
            Err(why) => {
                look.subject.trouble = Some(why);
                return look;
            }
        };
        let number = revision.filter(|_| kept_by.is_some()).unwrap_or(target.revision);
        look.action = Action::Undo { track: *track, revision: Some(number), kept_by: Some(format!("replicaset/{}", target.name)) };
        let template = look.object.pointer("/spec/template").cloned().unwrap_or(Value::Null);
        look.subject.done = same(&without_hash(&template), &target.template);
        let now = self.kept.iter().find(|it| same(&it.template, &without_hash(&template)));
        let is = now.map_or_else(|| "a template of no kept revision".to_owned(), |it| format!("revision {} ({})", it.revision, it.image()));
        let hash = now.map_or_else(|| "unknown".to_owned(), |it| it.hash.clone());
        look.subject.shown.clone_from(&is);
        look.subject.fields.insert("template".to_owned(), hash);
        if template.is_null() {
            look.subject.trouble = Some("it has no template of its own".to_owned());
            return look;
        }
        // The whole template is what the change relies on.
        look.change.tests.push(test("/spec/template", &template));
        look.change.changes.push(json!({"op": "replace", "path": "/spec/template", "value": target.template}));
        look.change.covered.push("/spec/template".to_owned());
        let field = format!("{} revision", look.subject.object);
        look.change.lines.push(DiffLine { field, before: is, after: format!("revision {number} ({})", target.image()) });
        if target.hash == self.stable && !self.stable.is_empty() {
            look.warnings.push("that version is the proven one: it takes all requests at once, without steps".to_owned());
        } else {
            look.warnings.push("all steps and analyses run again, unless the rollout's rollbackWindow covers that revision".to_owned());
        }
        gitops(&mut look);
        look
    }
}
