//! How an action is done here: which object it changes, what of it has to be as it was, and the patch that does it.
//!
//! One [`Mechanism`] per kind of object. Each only reads what the API server showed; the requests, the stamps and the conditions
//! that all writes share are in [`super::act`] and [`super::patch`].

use super::Core;
use super::answer::Problem;
use super::deployment::{self, Deployed};
use crate::domain::text::clean_bounded;
use crate::domain::{Action, ActionKind, DiffLine, Failure, Percent, RouteSpec, Subject, WriteStamp};
use crate::domain::{Epoch, OpId, RunId};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;

/// Annotations that a write of ours leaves on the object.
pub(super) const RUN: &str = "gonogo.dev/run";
pub(super) const OP: &str = "gonogo.dev/op";
pub(super) const EPOCH: &str = "gonogo.dev/epoch";
/// Name under which our writes stand in `managedFields`.
pub(super) const MANAGER: &str = "gonogo";
/// Field managers of controllers that move traffic by themselves.
const CONTROLLERS: [&str; 3] = ["flagger", "rollouts-controller", "argo-rollouts"];

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// API group; empty for the core.
    pub(super) group: &'static str,
    /// Plural name of the resource.
    pub(super) resource: &'static str,
    /// Kind of the object, as it says itself.
    pub(super) kind: &'static str,
    /// Path of the namespace's collection.
    pub(super) collection: String,
    /// Name of the object.
    pub(super) name: String,
    /// Namespace, for messages.
    pub(super) namespace: String,
}

impl Place {
    /// An object of one of these versions of a group, in the version that the cluster serves as far as is known.
    pub(super) fn new(
        core: &Core,
        group: &'static str,
        versions: &'static [&'static str],
        resource: &'static str,
        kind: &'static str,
        name: &str,
    ) -> Self {
        let namespace = core.spec.namespace.clone();
        let version = core.version(group, versions);
        let prefix = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        Self { group, resource, kind, collection: format!("{prefix}/namespaces/{namespace}/{resource}"), name: name.to_owned(), namespace }
    }

    /// Path of the object, or of one of its subresources.
    pub(super) fn path(&self, subresource: Option<&str>) -> String {
        let below = subresource.map(|name| format!("/{name}")).unwrap_or_default();
        format!("{}/{}{below}", self.collection, self.name)
    }

    /// `virtualservice checkout in shop`.
    pub(super) fn words(&self) -> String {
        format!("{} {} in {}", self.kind.to_lowercase(), self.name, self.namespace)
    }
}

/// What would do the action.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    /// The subresource that takes it; no stamps can be left there.
    pub(super) subresource: Option<&'static str>,
    /// `test` operations for every field that the action relies on.
    pub(super) tests: Vec<Value>,
    /// Something relied on is absent and cannot be tested: the object's version has to be.
    pub(super) untested: bool,
    /// The operations that change something.
    pub(super) changes: Vec<Value>,
    /// The difference in words.
    pub(super) lines: Vec<DiffLine>,
    /// JSON pointers that the words speak of already.
    pub(super) covered: Vec<String>,
}

/// One object, read for one action.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// For the port.
    pub(super) subject: Subject,
    /// The action with every part fixed.
    pub(super) action: Action,
    /// What must be typed, where it is not what the action says by itself.
    pub(super) consequence: Option<String>,
    /// What a person should know before saying yes.
    pub(super) warnings: Vec<String>,
    /// The patch.
    pub(super) change: Change,
    /// The object as it came.
    pub(super) object: Value,
}

/// One way of doing an action.
pub(super) trait Mechanism: Send + Sync {
    /// The object that it changes.
    fn place(&self) -> &Place;

    /// Reads the object for the action. What stands in the way becomes the subject's `trouble`.
    fn look(&self, object: Value, action: &Action) -> Look;

    /// Whether the object as a dry run gave it back is as asked for, or will be once its controller comes by.
    fn takes(&self, before: &Look, after: &Look) -> bool {
        let _ = before;
        after.subject.done
    }

    /// The difference in words between the object as read and as a dry run gave it back; it may not be what was asked for.
    fn between(&self, before: &Look, after: &Look) -> Vec<DiffLine> {
        let _ = after;
        before.change.lines.clone()
    }
}

/// Versions of an API group that are understood, the preferred first.
pub(super) fn versions(group: &str) -> &'static [&'static str] {
    match group {
        super::mesh::GROUP => super::mesh::VERSIONS,
        super::argo::GROUP => super::argo::VERSIONS,
        super::gateway::GROUP => super::gateway::VERSIONS,
        _ => &["v1"],
    }
}

/// What is done on a Deployment, however its traffic is split.
const DEPLOYMENT_VERBS: [ActionKind; 6] =
    [ActionKind::SetImage, ActionKind::Scale, ActionKind::Restart, ActionKind::Undo, ActionKind::Pause, ActionKind::Resume];

impl Core {
    /// What can be done to the service, by how it is run and split.
    pub(super) fn capabilities(&self) -> Vec<ActionKind> {
        match &self.spec.route {
            RouteSpec::Rollout { .. } => super::argo::CAPABILITIES.to_vec(),
            RouteSpec::Rolling => DEPLOYMENT_VERBS.to_vec(),
            _ => [&[ActionKind::SetWeight], &DEPLOYMENT_VERBS[..]].concat(),
        }
    }

    /// What tells how traffic is split, and proves that the server is alive: the object that is read over and over.
    pub(super) fn beat(&self) -> (Box<dyn Mechanism>, Action) {
        let zero = Action::SetWeight { canary: Percent::ZERO };
        if let RouteSpec::Rollout { name } = &self.spec.route {
            return (super::argo::beat(self, name), zero);
        }
        match self.splitter() {
            Some(mechanism) => (mechanism, zero),
            None => {
                let deployment = &self.spec.canary.deployment;
                (Box::new(Watched { place: Place::new(self, "apps", &["v1"], "deployments", "Deployment", deployment) }), zero)
            }
        }
    }

    /// The mechanism of an action. Some have to read more than the one object.
    pub(super) fn mechanism<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<Box<dyn Mechanism>, Problem>> {
        async move {
            if let RouteSpec::Rollout { name } = &self.spec.route {
                return super::argo::mechanism(self, name, action).await;
            }
            match action {
                Action::SetWeight { .. } => Ok(self.shifter().await?.unwrap_or_else(|| self.beat().0)),
                action if deployment::is_verb(action) && !matches!(self.spec.route, RouteSpec::Rollout { .. }) => {
                    Ok(Box::new(Deployed::for_action(self, action).await?) as Box<dyn Mechanism>)
                }
                other => {
                    let why = format!("{} cannot be done on this service yet", other.kind().word());
                    Err(Problem::from(Failure::NotSent { why }))
                }
            }
        }
        .boxed()
    }
}

/// An object that is only looked at: where nothing splits traffic, the Deployment stands for the service.
struct Watched {
    place: Place,
}

impl Mechanism for Watched {
    fn place(&self) -> &Place {
        &self.place
    }

    fn look(&self, object: Value, action: &Action) -> Look {
        let mut subject = subject(&object);
        subject.trouble = Some("nothing splits the traffic of this service".to_owned());
        Look { subject, action: action.clone(), consequence: None, warnings: vec![], change: Change::default(), object }
    }
}

/// A subject with what every object says of itself.
pub(super) fn subject(object: &Value) -> Subject {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (stamp, trouble) = match stamp(object) {
        Ok(stamp) => (stamp, None),
        Err(why) => (None, Some(why)),
    };
    Subject {
        object: format!("{}/{}", text("/kind").to_lowercase(), clean_bounded(text("/metadata/name"), 253)),
        uid: text("/metadata/uid").to_owned(),
        version: text("/metadata/resourceVersion").to_owned(),
        fields: std::collections::BTreeMap::new(),
        done: false,
        shown: String::new(),
        weight: None,
        stamp,
        stamped: true,
        last_writer: last_writer(object),
        trouble,
        route: None,
    }
}

/// Our stamp. An epoch that is no number is an error: nobody can tell whether it fences us off.
pub(super) fn stamp(object: &Value) -> Result<Option<WriteStamp>, String> {
    let note = |key: &str| object.pointer("/metadata/annotations").and_then(|notes| notes.get(key));
    let text = |key: &str| clean_bounded(note(key).and_then(Value::as_str).unwrap_or_default(), 300);
    let Some(epoch) = note(EPOCH) else { return Ok(None) };
    match epoch.as_str().and_then(|epoch| epoch.parse().ok()) {
        Some(epoch) => Ok(Some(WriteStamp { run: RunId(text(RUN)), op: OpId(text(OP)), epoch: Epoch(epoch) })),
        None => Err(format!("its annotation {EPOCH} is `{}`, which is no number", clean_bounded(&epoch.to_string(), 40))),
    }
}

pub(super) fn managers<'a>(object: &'a Value, part: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let fields = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    fields.into_iter().flatten().filter_map(move |entry| {
        let of_spec = entry.get("fieldsV1").is_none_or(|fields| fields.get(part).is_some());
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        (of_spec && entry.get("subresource").is_none_or(|sub| sub == "")).then(|| (text("manager"), text("time")))
    })
}

/// Who else changed the specification last.
pub(super) fn last_writer(object: &Value) -> Option<String> {
    last_writer_of(object, "f:spec")
}

/// Who else changed a part of the object last: `f:spec`, `f:metadata`.
pub(super) fn last_writer_of(object: &Value, part: &str) -> Option<String> {
    let (who, when) = managers(object, part).filter(|(who, _)| *who != MANAGER && !who.is_empty()).max_by_key(|(_, time)| *time)?;
    Some(clean_bounded(&if when.is_empty() { who.to_owned() } else { format!("{who} at {when}") }, 120))
}

/// A controller that sets this object by itself, if there is one.
pub(super) fn owner(object: &Value) -> Option<String> {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let controller = owners.into_iter().flatten().find(|owner| owner.get("controller") == Some(&Value::Bool(true)));
    if let Some(controller) = controller {
        let text = |key: &str| controller.get(key).and_then(Value::as_str).unwrap_or("?");
        let name = clean_bounded(&format!("{}/{}", text("kind").to_lowercase(), text("name")), 120);
        return Some(format!("it belongs to {name}, which sets it by itself: change that object instead"));
    }
    let (who, _) = managers(object, "f:spec").find(|(who, _)| CONTROLLERS.contains(who))?;
    Some(format!("{who} sets these weights by itself: act there instead"))
}
