//! Questions about ourselves: who we are to the cluster, and what we may do.

use super::Core;
use super::link::{Ask, Link};
use super::mechanism::Place;
use crate::domain::text::clean_bounded;
use crate::domain::{ActionKind, Failure, Preflight};
use crate::port::platform::Right;
use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::json;

/// Who the API server takes us for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User name there.
    pub user: String,
    /// Groups there.
    pub groups: Vec<String>,
}

/// One right: verb, group, resource, object.
pub(super) struct Wanted<'a> {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
    name: Option<&'a str>,
}

#[derive(Deserialize)]
struct AccessReview {
    status: AccessStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AccessStatus {
    allowed: bool,
    reason: Option<String>,
    evaluation_error: Option<String>,
}

#[derive(Deserialize)]
struct SelfReview {
    status: SelfStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SelfStatus {
    user_info: UserInfo,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct UserInfo {
    username: String,
    groups: Vec<String>,
}

/// The right to patch an object, or one of its subresources.
pub(super) fn patch_right<'a>(place: &'a Place, subresource: Option<&'static str>) -> Wanted<'a> {
    Wanted { subresource, ..on("patch", place) }
}

fn on<'a>(verb: &'static str, place: &'a Place) -> Wanted<'a> {
    Wanted { verb, group: place.group, resource: place.resource, subresource: None, name: Some(&place.name) }
}

fn wanted<'a>(right: Right, core: &'a Core, route: &'a Place) -> Vec<Wanted<'a>> {
    let any = |verb, group, resource| Wanted { verb, group, resource, subresource: None, name: None };
    match right {
        Right::Act(kind) => core.rights_of(kind, route),
        Right::ReadRoute => ["get", "list", "watch"].map(|verb| on(verb, route)).into(),
        Right::Watch => {
            let mut all = Vec::new();
            for deployment in [&core.spec.canary.deployment, &core.spec.baseline.deployment] {
                for verb in ["list", "watch"] {
                    all.push(Wanted { verb, group: "apps", resource: "deployments", subresource: None, name: Some(deployment) });
                }
            }
            for (group, resource) in [("apps", "replicasets"), ("", "pods"), ("", "events")] {
                all.extend(["list", "watch"].map(|verb| any(verb, group, resource)));
            }
            all
        }
    }
}

impl Core {
    fn rights_of<'a>(&'a self, kind: ActionKind, route: &'a Place) -> Vec<Wanted<'a>> {
        if matches!(self.spec.route, crate::domain::RouteSpec::Rollout { .. }) {
            return vec![patch_right(route, super::argo::subresource(kind))];
        }
        match kind {
            ActionKind::SetWeight => vec![patch_right(route, None)],
            ActionKind::SetImage | ActionKind::Scale | ActionKind::Restart | ActionKind::Undo | ActionKind::Pause | ActionKind::Resume => {
                let deployment =
                    |name| Wanted { verb: "patch", group: "apps", resource: "deployments", subresource: None, name: Some(name) };
                let (canary, baseline) = (&self.spec.canary.deployment, &self.spec.baseline.deployment);
                let mut all = vec![deployment(canary.as_str())];
                all.extend((baseline != canary).then(|| deployment(baseline.as_str())));
                // An undo picks its revision among them.
                let sets = Wanted { verb: "list", group: "apps", resource: "replicasets", subresource: None, name: None };
                all.extend((kind == ActionKind::Undo).then_some(sets));
                all
            }
            _ => vec![],
        }
    }
}

/// Asks for every part of a right; the answer names all that is missing.
pub(super) async fn may(core: &Core, right: Right) -> Result<Preflight, Failure> {
    let (mechanism, _) = core.beat();
    let wanted = wanted(right, core, mechanism.place());
    let answers = try_join_all(wanted.iter().map(|one| review(core, one))).await?;
    let mut missing = Vec::new();
    for answer in answers {
        match answer {
            Preflight::Accepted => {}
            Preflight::Refused { why } => missing.push(why),
            unclear @ Preflight::NotAsked { .. } => return Ok(unclear),
        }
    }
    if missing.is_empty() {
        return Ok(Preflight::Accepted);
    }
    missing.truncate(6);
    Ok(Preflight::Refused { why: missing.join("; ") })
}

/// Asks for one right.
pub(super) async fn review(core: &Core, wanted: &Wanted<'_>) -> Result<Preflight, Failure> {
    let Wanted { verb, group, resource, subresource, name } = wanted;
    let namespace = &core.spec.namespace;
    let what = format!("ask whether we may {verb} {resource} in {namespace}");
    let mut attributes = json!({"namespace": namespace, "verb": verb, "group": group, "resource": resource});
    if let Some(subresource) = subresource {
        attributes["subresource"] = json!(subresource);
    }
    if let Some(name) = name {
        attributes["name"] = json!(name);
    }
    let body =
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}});
    let ask = Ask::review(what.clone(), "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body);
    let review: AccessReview = core.link.ask(&ask).await?.json(&what)?;
    if review.status.allowed {
        return Ok(Preflight::Accepted);
    }
    let below = subresource.map(|name| format!("/{name}")).unwrap_or_default();
    let object = name.map(|name| format!("/{name}")).unwrap_or_default();
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    let said = [review.status.reason, review.status.evaluation_error].into_iter().flatten().find(|text| !text.is_empty());
    let said = said.map(|text| format!(" ({})", clean_bounded(&text, 160))).unwrap_or_default();
    Ok(Preflight::Refused { why: format!("no right to {verb} {resource}{below}{group}{object} in namespace {namespace}{said}") })
}

/// Asks who we are.
pub(super) async fn who(link: &Link) -> Result<Identity, Failure> {
    let what = "ask who we are".to_owned();
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let ask = Ask::review(what.clone(), "/apis/authentication.k8s.io/v1/selfsubjectreviews", body);
    let review: SelfReview = link.ask(&ask).await?.json(&what)?;
    let UserInfo { username, groups } = review.status.user_info;
    let groups = groups.iter().take(50).map(|group| clean_bounded(group, 200)).collect();
    Ok(Identity { user: clean_bounded(&username, 200), groups })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

/// Asks for the server's version: `v1.33.2`.
pub(super) async fn server_version(link: &Link) -> Result<String, Failure> {
    let what = "read the server's version".to_owned();
    let version: Version = link.ask(&Ask::object(what.clone(), "/version".to_owned())).await?.json(&what)?;
    Ok(clean_bounded(&version.git_version, 60))
}
