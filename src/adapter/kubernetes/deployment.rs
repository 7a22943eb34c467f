//! A Deployment as what an action changes: its image, its size, its revision, whether it rolls.
//!
//! Every change goes to the object itself, also that of its size, so that run, operation and epoch ride along. Replicas, strategy and
//! selectors are not rolled back by an undo, nor is anything outside the template.

use super::Core;
use super::answer::Problem;
use super::keepers::{self, Autoscaler};
use super::link::Ask;
use super::mechanism::{Change, Look, Mechanism, Place, owner, subject};
use super::patch::{annotation, escaped, test};
use super::revisions::{self, REVISION, Revision};
use crate::domain::text::clean_bounded;
use crate::domain::{Action, DiffLine, Failure, Refusal, Subject, Track, version_of};
use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use serde_json::{Value, json};

/// The mark that a restart leaves on the template.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
/// The container that is meant where none is named.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// What `kubectl apply` compares with.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Why a revision was made.
const CAUSE: &str = "kubernetes.io/change-cause";
const TEMPLATE: &str = "/spec/template";

/// What has to be read besides the Deployment.
#[derive(Debug, Clone)]
enum Ground {
    Alone,
    /// The revision to go back to, or why there is none.
    Back(Result<Revision, String>),
    /// The autoscaler, or why it could not be read.
    Scaled(Result<Option<Autoscaler>, String>),
    /// When a restart is marked.
    At(DateTime<Utc>),
}

/// One Deployment, for one action.
pub(super) struct Deployed {
    place: Place,
    ground: Ground,
}

/// Whether an action is done on a Deployment.
pub(super) fn is_verb(action: &Action) -> bool {
    track_of(action).is_some()
}

fn track_of(action: &Action) -> Option<Track> {
    match action {
        Action::SetImage { track, .. }
        | Action::Scale { track, .. }
        | Action::Restart { track, .. }
        | Action::Undo { track, .. }
        | Action::Pause { track }
        | Action::Resume { track } => Some(*track),
        _ => None,
    }
}

/// Where the Deployment of a track is.
pub(super) fn place(core: &Core, track: Track) -> Place {
    let side = if track == Track::Canary { &core.spec.canary } else { &core.spec.baseline };
    Place::new(core, "apps", &["v1"], "deployments", "Deployment", &side.deployment)
}

impl Deployed {
    /// Reads what the action needs besides the Deployment itself. An undo whose revision is still open needs one to go back to.
    pub(super) async fn for_action(core: &Core, action: &Action) -> Result<Self, Problem> {
        let place = place(core, track_of(action).unwrap_or(Track::Canary));
        let ground = match action {
            Action::Undo { revision, kept_by, .. } => Ground::Back(back(core, &place, *revision, kept_by.as_deref()).await?),
            Action::Scale { .. } => Ground::Scaled(autoscaler(core, &place.name).await),
            Action::Restart { at, .. } => Ground::At(at.unwrap_or_else(|| core.link.clock().now().wall).trunc_subsecs(0)),
            _ => Ground::Alone,
        };
        Ok(Self { place, ground })
    }
}

async fn back(core: &Core, place: &Place, revision: Option<u64>, kept_by: Option<&str>) -> Result<Result<Revision, String>, Problem> {
    let what = format!("read {}", place.words());
    let deployment: Value = core.link.ask(&Ask::object(what.clone(), place.path(None))).await?.json(&what)?;
    let known = core.revisions(&deployment).await?;
    match kept_by {
        // Numbers move when a revision is used again; what keeps it does not.
        Some(kept_by) => {
            let gone = || format!("{kept_by}, which kept that revision, is gone");
            Ok(known.into_iter().find(|revision| revision.kept_by() == kept_by).ok_or_else(gone))
        }
        None => match revisions::back(&known, &deployment["spec"]["template"], revision) {
            Ok(found) => Ok(Ok(found)),
            Err(why) => Err(Failure::NotSent { why: format!("{}: {why}", place.words()) }.into()),
        },
    }
}

async fn autoscaler(core: &Core, deployment: &str) -> Result<Option<Autoscaler>, String> {
    let what = format!("list autoscalers in {}", core.spec.namespace);
    let path = format!("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers", core.spec.namespace);
    match core.link.ask(&Ask::object(what.clone(), path)).await {
        Ok(reply) => reply.json::<Value>(&what).map(|list| Autoscaler::of(&list, deployment)).map_err(|failure| failure.to_string()),
        Err(Problem { failure: Failure::Refused { reason: Refusal::Missing, .. }, .. }) => Ok(None),
        Err(problem) => Err(problem.failure.to_string()),
    }
}

impl Mechanism for Deployed {
    fn place(&self) -> &Place {
        &self.place
    }

    fn look(&self, object: Value, action: &Action) -> Look {
        let mut look = Look {
            subject: subject(&object),
            action: action.clone(),
            consequence: None,
            warnings: vec![],
            change: Change::default(),
            object,
        };
        match (action, &self.ground) {
            (Action::SetImage { container, image, .. }, _) => set_image(&mut look, container.as_deref(), image),
            (Action::Scale { replicas, .. }, Ground::Scaled(autoscaler)) => scale(&mut look, *replicas, autoscaler),
            (Action::Restart { track, .. }, Ground::At(at)) => restart(&mut look, *track, *at),
            (Action::Undo { .. }, Ground::Back(to)) => undo(&mut look, to),
            (Action::Pause { .. }, _) => set_paused(&mut look, true),
            (Action::Resume { .. }, _) => set_paused(&mut look, false),
            (other, _) => trouble(&mut look.subject, format!("{} is not done on a Deployment", other.kind().word())),
        }
        if look.object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
            trouble(&mut look.subject, "it is being deleted".to_owned());
        }
        look.warnings.extend(owner(&look.object));
        look.warnings.extend(keepers::of(&look.object));
        look
    }
}

/// The first thing that stands in the way is what is said.
fn trouble(subject: &mut Subject, why: String) {
    subject.trouble.get_or_insert(why);
}

fn paused(object: &Value) -> bool {
    object.pointer("/spec/paused") == Some(&Value::Bool(true))
}

fn replicas(object: &Value) -> u64 {
    object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1)
}

/// Tests a member as it is. An absent one cannot be tested: the nearest thing around it is.
fn test_at(object: &Value, pointer: &str, change: &mut Change) {
    let mut at = pointer;
    loop {
        if let Some(value) = object.pointer(at) {
            change.tests.push(test(at, value));
            return;
        }
        // The specification as a whole moves too often to be held still.
        match at.rsplit_once('/') {
            Some((around, _)) if around.starts_with(TEMPLATE) => at = around,
            _ => break,
        }
    }
    change.untested = true;
}

fn line(look: &Look, field: &str, before: impl Into<String>, after: impl Into<String>) -> DiffLine {
    DiffLine { field: format!("{} {field}", look.subject.object), before: before.into(), after: after.into() }
}

/// The container that is meant: the named one, the one that the template marks as default, the only one. The mesh's proxy is none, and
/// containers that only prepare are not looked at.
fn container(object: &Value, wanted: Option<&str>) -> Result<usize, String> {
    let all = object.pointer("/spec/template/spec/containers").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let name = |container: &Value| container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let position = |wanted: &str| all.iter().position(|container| name(container) == wanted);
    let names = || clean_bounded(&all.iter().map(name).collect::<Vec<_>>().join(", "), 200);
    if let Some(wanted) = wanted {
        return position(wanted).ok_or_else(|| format!("it has no container {}: there are {}", clean_bounded(wanted, 80), names()));
    }
    let marked = object.pointer(&format!("/spec/template/metadata/annotations/{}", escaped(DEFAULT_CONTAINER))).and_then(Value::as_str);
    if let Some(at) = marked.and_then(position) {
        return Ok(at);
    }
    let mut serving = all.iter().enumerate().filter(|(_, container)| name(container) != "istio-proxy");
    match (serving.next(), serving.next()) {
        (Some((at, _)), None) => Ok(at),
        (None, _) => Err("it has no container".to_owned()),
        (Some(_), Some(_)) => Err(format!("it has several containers, name one: {}", names())),
    }
}

fn set_image(look: &mut Look, wanted: Option<&str>, image: &str) {
    let at = match container(&look.object, wanted) {
        Ok(at) => at,
        Err(why) => return trouble(&mut look.subject, why),
    };
    let path = format!("/spec/template/spec/containers/{at}");
    let text = |key: &str| look.object.pointer(&format!("{path}/{key}")).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, now) = (text("name"), text("image"));
    let mut change = Change::default();
    for key in ["name", "image"] {
        test_at(&look.object, &format!("{path}/{key}"), &mut change);
    }
    change.changes = vec![json!({"op": "add", "path": format!("{path}/image"), "value": image})];
    change.lines = vec![line(look, &format!("image of {}", clean_bounded(&name, 80)), clean_bounded(&now, 200), clean_bounded(image, 200))];
    change.covered = vec![format!("{path}/image")];
    look.subject.fields = [("container".to_owned(), clean_bounded(&name, 80)), ("image".to_owned(), clean_bounded(&now, 300))].into();
    look.subject.done = now == image;
    look.subject.shown = clean_bounded(version_of(&now), 128);
    look.change = change;
    if paused(&look.object) {
        look.warnings.push("its rollout is paused: no instance is replaced until it is resumed".to_owned());
    }
    look.warnings.extend(stale_manifest(&look.object));
}

fn scale(look: &mut Look, wanted: u32, autoscaler: &Result<Option<Autoscaler>, String>) {
    let now = replicas(&look.object);
    let mut change = Change::default();
    test_at(&look.object, "/spec/replicas", &mut change);
    change.changes = vec![json!({"op": "add", "path": "/spec/replicas", "value": wanted})];
    change.lines = vec![line(look, "replicas", now.to_string(), wanted.to_string())];
    change.covered = vec!["/spec/replicas".to_owned()];
    look.subject.fields = [("replicas".to_owned(), now.to_string())].into();
    look.subject.done = now == u64::from(wanted);
    look.subject.shown = format!("{now} instances");
    look.change = change;
    if wanted == 0 {
        look.warnings.push("no instance will be left: what is sent here then fails".to_owned());
    }
    match autoscaler {
        Ok(Some(autoscaler)) => {
            look.warnings.push(autoscaler.warning(wanted));
            if let Some(why) = autoscaler.forbids(wanted) {
                trouble(&mut look.subject, why);
            }
        }
        Ok(None) => {}
        Err(why) => look.warnings.push(format!("whether an autoscaler sets this back is not known: {}", clean_bounded(why, 200))),
    }
}

fn restart(look: &mut Look, track: Track, at: DateTime<Utc>) {
    let mark = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let notes = "/spec/template/metadata/annotations";
    let path = format!("{notes}/{}", escaped(RESTARTED));
    let now = look.object.pointer(&path).and_then(Value::as_str).map(|text| clean_bounded(text, 60));
    let instances = replicas(&look.object);
    let mut change = Change::default();
    test_at(&look.object, &path, &mut change);
    test_at(&look.object, "/spec/replicas", &mut change);
    if look.object.pointer(notes).is_none_or(|notes| !notes.is_object()) {
        change.changes.push(json!({"op": "add", "path": notes, "value": {}}));
    }
    change.changes.push(json!({"op": "add", "path": path, "value": mark}));
    let before = now.clone().unwrap_or_else(|| "never".to_owned());
    change.lines = vec![line(look, &format!("restart of its {instances} instances"), before.clone(), mark.clone())];
    change.covered = vec![path];
    look.subject.fields = [("restarted at".to_owned(), before), ("instances".to_owned(), instances.to_string())].into();
    look.subject.done = now.as_deref() == Some(mark.as_str());
    look.subject.shown = now.map_or_else(|| "never restarted".to_owned(), |now| format!("restarted at {now}"));
    look.action = Action::Restart { track, at: Some(at) };
    look.consequence = Some(instances.to_string());
    look.change = change;
    if paused(&look.object) {
        trouble(&mut look.subject, "its rollout is paused, so no instance would be replaced: resume it first".to_owned());
    }
}

fn undo(look: &mut Look, to: &Result<Revision, String>) {
    let now = look.object.pointer(TEMPLATE).cloned().unwrap_or(Value::Null);
    let notes = look.object.pointer("/metadata/annotations").cloned().unwrap_or(Value::Null);
    let number = notes.get(REVISION).and_then(Value::as_str).and_then(|number| number.parse().ok()).unwrap_or(0);
    look.subject.shown = revisions::shown(number, &now);
    look.subject.fields.insert("template".to_owned(), revisions::fingerprint(&now));
    let to = match to {
        Ok(to) => to,
        Err(why) => return trouble(&mut look.subject, why.clone()),
    };
    look.subject.fields.insert(to.kept_by(), revisions::fingerprint(&to.template));
    look.subject.done = revisions::bare(&now) == to.template;
    if let Action::Undo { revision, kept_by, .. } = &mut look.action {
        // What was fixed stays: numbers move once it is done.
        revision.get_or_insert(to.number);
        kept_by.get_or_insert_with(|| to.kept_by());
    }
    let mut change = Change::default();
    test_at(&look.object, TEMPLATE, &mut change);
    change.changes.push(json!({"op": "replace", "path": TEMPLATE, "value": to.template}));
    if notes.is_object() {
        let cause = format!("undo to {}", to.shown());
        change.changes.push(json!({"op": "add", "path": annotation(CAUSE), "value": cause}));
        change.covered.push(annotation(CAUSE));
    }
    change.lines = vec![line(look, "template", look.subject.shown.clone(), to.shown())];
    look.change = change;
    if paused(&look.object) {
        trouble(&mut look.subject, "its rollout is paused, so nothing would roll back: resume it first".to_owned());
    }
    look.warnings.extend(stale_manifest(&look.object));
}

fn set_paused(look: &mut Look, wanted: bool) {
    let now = paused(&look.object);
    let word = |paused: bool| if paused { "paused" } else { "not paused" };
    let mut change = Change::default();
    if let Some(value) = look.object.pointer("/spec/paused") {
        change.tests.push(test("/spec/paused", value));
    }
    let op = json!({"op": "add", "path": "/spec/paused", "value": true});
    change.changes = vec![if wanted { op } else { json!({"op": "remove", "path": "/spec/paused"}) }];
    change.lines = vec![line(look, "rollout", word(now), word(wanted))];
    change.covered = vec!["/spec/paused".to_owned()];
    look.subject.fields = [("rollout".to_owned(), word(now).to_owned())].into();
    look.subject.done = now == wanted;
    word(now).clone_into(&mut look.subject.shown);
    look.change = change;
    if wanted {
        look.warnings.push("while it is paused no instance is replaced, and the platform watches no deadline".to_owned());
    }
}

/// The manifest that was applied last still says what was there before.
fn stale_manifest(object: &Value) -> Option<String> {
    let applied = object.pointer(&annotation(LAST_APPLIED))?.as_str()?;
    let applied: Value = serde_json::from_str(applied).unwrap_or(Value::Null);
    let says = applied.pointer(TEMPLATE).map(revisions::version_of).filter(|version| !version.is_empty());
    let says = says.map_or_else(|| "something else".to_owned(), |version| format!("version {version}"));
    Some(format!("the manifest that was applied last says {says}: the next kubectl apply brings that"))
}

#[cfg(test)]
mod tests;
