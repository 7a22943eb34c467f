//! The revisions of a Deployment, as its ReplicaSets keep them, and the one that an undo goes back to.

use super::Core;
use super::answer::Problem;
use super::link::{Ask, JSON, PAGE_LIMIT, query};
use super::objects::PodSpec;
use super::pods::{main_container, version};
use crate::domain::canonical;
use crate::domain::text::clean_bounded;
use serde::Deserialize as _;
use serde_json::Value;

/// The label by which ReplicaSets of one Deployment differ.
const HASH: &str = "pod-template-hash";
/// The platform's number of a revision.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";

/// One revision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Revision {
    /// Name of the ReplicaSet.
    pub(super) name: String,
    /// Its number; 0 where it has none.
    pub(super) number: u64,
    /// What its instances are made from, without the ReplicaSet's own label.
    pub(super) template: Value,
}

impl Revision {
    /// What keeps it on the platform.
    pub(super) fn kept_by(&self) -> String {
        format!("replicaset/{}", self.name)
    }

    /// `revision 11 (v2.41.2)`.
    pub(super) fn shown(&self) -> String {
        shown(self.number, &self.template)
    }
}

/// A revision for people.
pub(super) fn shown(number: u64, template: &Value) -> String {
    match version_of(template) {
        version if version.is_empty() => format!("revision {number}"),
        version => format!("revision {number} ({version})"),
    }
}

/// The version that a template runs.
pub(super) fn version_of(template: &Value) -> String {
    let spec = template.get("spec").map(PodSpec::deserialize).and_then(Result::ok).unwrap_or_default();
    main_container(&spec.containers).map(|container| version(&container.image)).unwrap_or_default()
}

/// A template without what a ReplicaSet adds to it and without what says nothing: two that are equal so make the same instances.
pub(super) fn bare(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove(HASH);
        }
        metadata.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty()));
    }
    template
}

/// A few characters that stand for a template.
pub(super) fn fingerprint(template: &Value) -> String {
    let bare = bare(template);
    let mut hash = canonical::hash(&bare).unwrap_or_else(|_| canonical::sha256(bare.to_string().as_bytes()));
    hash.truncate(12);
    hash
}

/// The revisions of a Deployment among a list of ReplicaSets: those that it controls, in the order of their making. One whose number
/// cannot be read is none.
pub(super) fn of(list: &Value, deployment: &str) -> Vec<Revision> {
    let items = list.get("items").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let mut owned: Vec<(&str, &Value)> = items
        .iter()
        .filter(|item| {
            let owners = item.pointer("/metadata/ownerReferences").and_then(Value::as_array);
            owners.into_iter().flatten().any(|owner| owner["controller"] == true && owner["uid"] == deployment)
        })
        .map(|item| (item.pointer("/metadata/creationTimestamp").and_then(Value::as_str).unwrap_or_default(), item))
        .collect();
    owned.sort_by_key(|(made, item)| (*made, name_of(item)));
    let revision = |item: &Value| {
        let number = match item.pointer("/metadata/annotations").and_then(|notes| notes.get(REVISION)) {
            None => 0,
            Some(number) => number.as_str()?.parse().ok()?,
        };
        Some(Revision { name: clean_bounded(name_of(item), 253), number, template: bare(item.pointer("/spec/template")?) })
    };
    owned.into_iter().filter_map(|(_, item)| revision(item)).collect()
}

fn name_of(item: &Value) -> &str {
    item.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// The revision that an undo goes back to: the one with that number, else the highest one that makes other instances than the
/// Deployment does now. With a settled Deployment that is the second-highest, as kubectl has it; while the newest has no ReplicaSet yet, it is
/// the one that still serves.
pub(super) fn back(revisions: &[Revision], template: &Value, to: Option<u64>) -> Result<Revision, String> {
    let found = match to {
        Some(number) => revisions.iter().find(|revision| revision.number == number),
        None => {
            let now = bare(template);
            revisions.iter().filter(|revision| revision.number > 0 && revision.template != now).max_by_key(|revision| revision.number)
        }
    };
    found.cloned().ok_or_else(|| match to {
        Some(number) => {
            let mut known: Vec<u64> = revisions.iter().map(|revision| revision.number).filter(|number| *number > 0).collect();
            known.sort_unstable();
            let known: Vec<String> = known.iter().map(u64::to_string).collect();
            let there = if known.is_empty() { "none is kept".to_owned() } else { format!("these are kept: {}", known.join(", ")) };
            format!("revision {number} is not on the platform any more: {there}")
        }
        None => "no earlier revision is kept: there is nothing to go back to".to_owned(),
    })
}

impl Core {
    /// The revisions of the Deployment with this object.
    pub(super) async fn revisions(&self, deployment: &Value) -> Result<Vec<Revision>, Problem> {
        let what = format!("list replicasets in {}", self.spec.namespace);
        let path = format!("/apis/apps/v1/namespaces/{}/replicasets", self.spec.namespace);
        let selector = super::scope::selector(&deployment["spec"]["selector"]);
        let query = selector.as_deref().map(|selector| query(&[("labelSelector", selector)])).unwrap_or_default();
        let ask = Ask { what: what.clone(), path: format!("{path}{query}"), post: None, limit: PAGE_LIMIT, accept: JSON };
        let list: Value = self.link.ask(&ask).await?.json(&what)?;
        let uid = deployment.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        Ok(of(&list, uid))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    fn template(tag: &str) -> Value {
        json!({"metadata": {"creationTimestamp": null, "labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "app", "image": format!("shop/checkout:{tag}")}]}})
    }

    fn set(name: &str, made: u32, number: Option<&str>, tag: &str, owner: &str) -> Value {
        let mut template = template(tag);
        template["metadata"]["labels"]["pod-template-hash"] = json!(name);
        let notes = number.map_or_else(|| json!({}), |number| json!({ REVISION: number }));
        json!({"metadata": {"name": name, "creationTimestamp": format!("2026-01-0{made}T00:00:00Z"), "annotations": notes,
                "ownerReferences": [{"kind": "Deployment", "uid": owner, "controller": true}]},
            "spec": {"template": template}})
    }

    fn list(sets: &[Value]) -> Value {
        json!({"kind": "ReplicaSetList", "items": sets})
    }

    fn back_to(sets: &[Value], now: &str, to: Option<u64>) -> Result<String, String> {
        back(&of(&list(sets), "d"), &template(now), to).map(|found| found.kept_by())
    }

    #[test]
    fn the_second_highest_revision_is_the_one_before() {
        let sets = [set("a", 1, Some("3"), "v1", "d"), set("b", 2, Some("2"), "v2", "d"), set("c", 3, Some("4"), "v3", "d")];
        assert_eq!(back_to(&sets, "v3", None).unwrap(), "replicaset/a");
        assert_eq!(back_to(&sets, "v3", Some(2)).unwrap(), "replicaset/b");
        let gone = back_to(&sets, "v3", Some(1)).unwrap_err();
        assert!(gone.contains("2, 3, 4"), "numbers move when a revision is used again: {gone}");
    }

    #[test]
    fn sets_of_another_deployment_of_that_name_are_none() {
        let sets = [set("old", 1, Some("7"), "v0", "deleted"), set("c", 3, Some("1"), "v3", "d")];
        assert!(back_to(&sets, "v3", None).unwrap_err().contains("no earlier revision"));
    }

    #[test]
    fn a_number_that_cannot_be_read_is_skipped_and_a_missing_one_is_never_chosen() {
        let sets = [set("a", 1, Some("x"), "v1", "d"), set("b", 2, None, "v2", "d"), set("c", 3, Some("4"), "v3", "d")];
        assert!(back_to(&sets, "v3", None).is_err());
    }

    #[test]
    fn before_the_newest_is_taken_up_the_highest_is_the_one_that_serves() {
        let sets = [set("a", 1, Some("1"), "v1", "d"), set("b", 2, Some("2"), "v2", "d")];
        assert_eq!(back_to(&sets, "v3", None).unwrap(), "replicaset/b");
        assert_eq!(back_to(&sets, "v1", None).unwrap(), "replicaset/b", "an undo that the controller has not seen yet");
    }

    #[test]
    fn templates_are_compared_without_the_hash() {
        let sets = [set("a", 1, Some("1"), "v1", "d")];
        let kept = of(&list(&sets), "d").remove(0);
        assert_eq!(kept.template, bare(&template("v1")));
        assert_eq!(fingerprint(&sets[0]["spec"]["template"]), fingerprint(&template("v1")));
        assert_ne!(fingerprint(&template("v1")), fingerprint(&template("v2")));
        assert_eq!(kept.shown(), "revision 1 (v1)");
    }
}
