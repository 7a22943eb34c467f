//! Argo Rollouts: one object runs both versions and moves the traffic by itself, step by step.
//!
//! What the controller acts on is its status, so promoting, aborting and retrying are patches of the status subresource; everything
//! else changes the specification. Facts and wording follow the rollouts' own client.

mod analysis;
mod read;
mod spec;
mod undo;
mod verbs;
mod watch;

pub(super) use read::go_duration as duration;
pub(super) use watch::{Runs, Sets, SharedDeck, Watched, deck};

use super::Core;
use super::answer::Problem;
use super::link::{Ask, JSON, PAGE_LIMIT, query};
use super::mechanism::{Mechanism, Place};
use crate::domain::{Action, ActionKind, Failure};
use serde_json::Value;
use spec::Specified;
use undo::{Kept, Undo};
use verbs::Steering;

/// API group.
pub(super) const GROUP: &str = "argoproj.io";
/// Its versions: one has been enough so far.
pub(super) const VERSIONS: &[&str] = &["v1alpha1"];
/// Pages of ReplicaSets that are read for an undo: the controller keeps ten by default.
const PAGES: usize = 4;

/// What can be done to a service that a Rollout runs.
pub(super) const CAPABILITIES: [ActionKind; 9] = [
    ActionKind::Promote,
    ActionKind::AbortRollout,
    ActionKind::RetryRollout,
    ActionKind::Undo,
    ActionKind::Pause,
    ActionKind::Resume,
    ActionKind::Restart,
    ActionKind::SetImage,
    ActionKind::Scale,
];

/// Where a Rollout is.
pub(super) fn place(core: &Core, name: &str) -> Place {
    Place::new(core, GROUP, VERSIONS, "rollouts", "Rollout", name)
}

/// What is read over and over.
pub(super) fn beat(core: &Core, name: &str) -> Box<dyn Mechanism> {
    Box::new(Steering::new(place(core, name)))
}

/// The subresource that a kind of action changes.
pub(super) fn subresource(kind: ActionKind) -> Option<&'static str> {
    matches!(kind, ActionKind::Promote | ActionKind::AbortRollout | ActionKind::RetryRollout).then_some("status")
}

/// The mechanism of an action on a Rollout.
pub(super) async fn mechanism(core: &Core, name: &str, action: &Action) -> Result<Box<dyn Mechanism>, Problem> {
    let now = core.link.clock().now().wall;
    Ok(match action {
        Action::SetWeight { .. } | Action::Promote { .. } | Action::AbortRollout { .. } | Action::RetryRollout { .. } => beat(core, name),
        Action::SetImage { .. } => Box::new(Specified::new(template_place(core, name).await?.0, now)),
        Action::Undo { .. } => {
            let (place, rollout) = template_place(core, name).await?;
            let uid = rollout.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
            let kept = sets(core, &rollout).await?.iter().filter_map(|set| Kept::of(set, uid)).collect();
            let stable = rollout.pointer("/status/stableRS").and_then(Value::as_str).unwrap_or_default().to_owned();
            Box::new(Undo::new(place, kept, stable))
        }
        _ => Box::new(Specified::new(place(core, name), now)),
    })
}

/// The object whose template the Rollout runs: itself, or the Deployment that it refers to. The Rollout comes along.
async fn template_place(core: &Core, name: &str) -> Result<(Place, Value), Problem> {
    let own = place(core, name);
    let (look, _) = core.read_by(beat(core, name).as_ref(), &Action::AbortRollout { revision: None }).await?;
    let referred = |key: &str| look.object.pointer("/spec/workloadRef").and_then(|it| it.get(key)).and_then(Value::as_str);
    match (referred("kind"), referred("name")) {
        (Some("Deployment"), Some(deployment)) => {
            Ok((Place::new(core, "apps", &["v1"], "deployments", "Deployment", deployment), look.object))
        }
        (Some(kind), _) => {
            let kind = crate::domain::text::clean_bounded(kind, 60);
            let why = format!("rollout {name} runs the template of a {kind}: change it there, or by kubectl argo rollouts");
            Err(Failure::NotSent { why }.into())
        }
        (None, _) => Ok((own, look.object)),
    }
}

/// ReplicaSets that the Rollout selects.
async fn sets(core: &Core, rollout: &Value) -> Result<Vec<Value>, Problem> {
    let what = format!("list replicasets in {}", core.spec.namespace);
    let selector = selector(rollout);
    let path = format!("/apis/apps/v1/namespaces/{}/replicasets", core.spec.namespace);
    let (mut all, mut next) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let mut pairs = vec![("labelSelector", selector.as_str()), ("limit", "500")];
        pairs.extend(next.as_deref().map(|token| ("continue", token)));
        let ask = Ask { what: what.clone(), path: format!("{path}{}", query(&pairs)), post: None, limit: PAGE_LIMIT, accept: JSON };
        let mut page: Value = core.link.ask(&ask).await?.json(&what)?;
        next = page.pointer("/metadata/continue").and_then(Value::as_str).filter(|token| !token.is_empty()).map(str::to_owned);
        all.extend(page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default());
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}

/// The label selector of a Rollout's instances, as text. The controller writes it down, also where it comes from another object.
fn selector(rollout: &Value) -> String {
    if let Some(written) = rollout.pointer("/status/selector").and_then(Value::as_str).filter(|it| !it.is_empty()) {
        return written.to_owned();
    }
    let labels = rollout.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let terms: Vec<String> = labels.into_iter().flatten().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    terms.join(",")
}

#[cfg(test)]
mod tests;
