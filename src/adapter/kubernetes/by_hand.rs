//! The same change by kubectl, for when the cockpit cannot.

use super::Core;
use super::mechanism::{Look, Mechanism};
use super::mesh::Names;
use crate::domain::{Action, RouteSpec, Subject, Track};
use chrono::SecondsFormat;
use serde_json::{Value, json};

/// Commands, one a line. Works offline, from what was read last.
pub(super) fn commands(core: &Core, action: &Action, last_known: Option<&Subject>) -> Vec<String> {
    let kubectl = kubectl(core);
    let workload = |track: Track| {
        let spec = if track == Track::Canary { &core.spec.canary } else { &core.spec.baseline };
        let kind = if matches!(core.spec.route, RouteSpec::Rollout { .. }) { "rollouts.argoproj.io" } else { "deployment" };
        format!("{kind}/{}", word(&spec.deployment))
    };
    let rollouts =
        |verb: &str| vec![format!("kubectl argo rollouts {verb} {} -n {}", word(&core.spec.canary.deployment), word(&core.spec.namespace))];
    let rollout = |verb: &str, track: Track| vec![format!("{kubectl} rollout {verb} {}", workload(track))];
    match action {
        Action::SetWeight { .. } => weight(core, action, last_known),
        Action::SetImage { track, container, image } => {
            let known = || last_known.and_then(|known| known.fields.get("container")).map(String::as_str);
            let container = container.as_deref().or_else(known).unwrap_or("*");
            vec![format!("{kubectl} set image {} {}", workload(*track), word(&format!("{container}={image}")))]
        }
        Action::Scale { track, replicas } => vec![format!("{kubectl} scale {} --replicas={replicas}", workload(*track))],
        Action::Restart { track, at } => match at {
            Some(at) => {
                let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
                let patch = json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": at}}}}});
                vec![format!("{kubectl} patch {} --type=merge -p {}", workload(*track), word(&patch.to_string()))]
            }
            None => rollout("restart", *track),
        },
        Action::Undo { track, revision, .. } if matches!(core.spec.route, RouteSpec::Rollout { .. }) => {
            let _ = track;
            rollouts(&format!("undo{}", revision.map(|number| format!(" --to-revision={number}")).unwrap_or_default()))
        }
        Action::Undo { track, revision, .. } => {
            let to = revision.map(|number| format!(" --to-revision={number}")).unwrap_or_default();
            vec![format!("{kubectl} rollout undo {}{to}", workload(*track)), format!("{kubectl} rollout status {}", workload(*track))]
        }
        Action::Pause { .. } if matches!(core.spec.route, RouteSpec::Rollout { .. }) => rollouts("pause"),
        Action::Pause { track } => rollout("pause", *track),
        Action::Resume { track } => rollout("resume", *track),
        Action::Promote { full, .. } => rollouts(if *full { "promote --full" } else { "promote" }),
        Action::AbortRollout { .. } => rollouts("abort"),
        Action::RetryRollout { .. } => rollouts("retry rollout"),
        Action::HelmRollback { release, revision } => {
            let to = revision.map(|number| format!(" {number}")).unwrap_or_default();
            vec![format!("helm rollback -n {} {}{to}", word(&core.spec.namespace), word(release))]
        }
    }
}

/// A change of weights. The patch tests the rule's name and both sides, so that with a wrong place nothing moves.
fn weight(core: &Core, action: &Action, last_known: Option<&Subject>) -> Vec<String> {
    let kubectl = kubectl(core);
    let (mechanism, _) = core.beat();
    let place = mechanism.place();
    let resource = if place.group.is_empty() { place.resource.to_owned() } else { format!("{}.{}", place.resource, place.group) };
    let target = format!("{resource} {}", word(&place.name));
    let get = format!("{kubectl} get {target} -o yaml");
    let object = format!("{}/{}", place.kind.to_lowercase(), place.name);
    if let Some(look) = core.remembered(&object, last_known) {
        let patch = patch(mechanism.as_ref(), &look, action);
        return vec![format!("{kubectl} patch {target} --type=json -p {}", word(&patch.to_string())), get];
    }
    let known = last_known.and_then(|known| known.route.as_deref());
    let wanted = action.weight().unwrap_or(crate::domain::Percent::ZERO);
    let percent = (u32::from(wanted.get()), 100 - u32::from(wanted.get()));
    let weights = known.map_or(percent, |route| route.split(wanted));
    match blind(core, &kubectl, &target, weights) {
        Some(command) => vec![command, get],
        None => vec![get],
    }
}

/// A change of weights where the object was never read: it finds the place by names.
fn blind(core: &Core, kubectl: &str, target: &str, (canary, baseline): (u32, u32)) -> Option<String> {
    let replace = |program: String| format!("{kubectl} get {target} -o json | jq {} | {kubectl} replace -f -", word(&program));
    match &core.spec.route {
        RouteSpec::VirtualService { .. } => Names::of(&core.spec).map(|names| replace(names.program(canary, baseline))),
        RouteSpec::HttpRoute { .. } => super::gateway::Names::of(&core.spec).map(|names| replace(names.program(canary, baseline))),
        RouteSpec::Ingress { .. } => {
            let (weight, whole) =
                (format!("{}={canary}", super::ingress::WEIGHT), format!("{}={}", super::ingress::WHOLE, canary + baseline));
            Some(format!("{kubectl} annotate --overwrite {target} {weight} {whole}"))
        }
        RouteSpec::Selector { canary: new, baseline: old, .. } => {
            let labels = if canary > 0 { new } else { old };
            let patch = json!({"spec": {"selector": labels}});
            Some(format!("{kubectl} patch {target} --type=merge -p {}", word(&patch.to_string())))
        }
        RouteSpec::Rollout { .. } | RouteSpec::Rolling => None,
    }
}

/// The patch without tests of weights, which may have moved since; `add` sets a member whether or not it is there.
fn patch(mechanism: &dyn Mechanism, look: &Look, action: &Action) -> Value {
    let change = mechanism.look(look.object.clone(), action).change;
    let of_weight = |test: &&Value| !change.covered.iter().any(|pointer| test["path"] == pointer.as_str());
    let mut patch: Vec<Value> = change.tests.iter().filter(of_weight).cloned().collect();
    patch.extend(change.changes.iter().map(|op| json!({"op": "add", "path": op["path"], "value": op["value"]})));
    Value::Array(patch)
}

fn kubectl(core: &Core) -> String {
    let mut words = "kubectl".to_owned();
    if let Some(file) = &core.place.file {
        words = format!("{words} --kubeconfig {}", word(&file.display().to_string()));
    }
    if let Some(context) = &core.place.context {
        words = format!("{words} --context {}", word(context));
    }
    format!("{words} -n {}", word(&core.spec.namespace))
}

/// One word for a shell.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(word("eu-west-1/prod-a"), "eu-west-1/prod-a");
        assert_eq!(word("it's; rm -rf"), r"'it'\''s; rm -rf'");
        assert_eq!(word(""), "''");
    }
}
