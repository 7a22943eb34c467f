//! Who else keeps an object as it is: GitOps tools, package managers, autoscalers. What they keep, they set back.

use crate::domain::text::clean_bounded;
use serde_json::Value;

/// Marks of the tools that put an object back to what they have on record: label or annotation, who, and where to change it for good.
const MARKS: [(&str, &str, &str, &str); 5] = [
    ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD", "commit it to the application's repository too"),
    ("labels", "argocd.argoproj.io/instance", "Argo CD", "commit it to the application's repository too"),
    ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux", "commit it to the Kustomization's repository too"),
    ("labels", "helm.toolkit.fluxcd.io/name", "Flux (Helm)", "commit it to the HelmRelease's values too"),
    ("annotations", "meta.helm.sh/release-name", "Helm", "put it into the values of the next upgrade too"),
];
/// Field managers of the same tools, where they leave no mark.
const MANAGERS: [(&str, &str); 4] = [
    ("argocd-controller", "Argo CD"),
    ("argocd-application-controller", "Argo CD"),
    ("kustomize-controller", "Flux"),
    ("helm-controller", "Flux (Helm)"),
];
/// Argo CD's mark in its default setting; charts of Helm carry it too.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// What will take a change of this object back, in words, with what to do about it.
pub(super) fn of(object: &Value) -> Option<String> {
    let note = |part: &str, key: &str| {
        let text = object.pointer(&format!("/metadata/{part}")).and_then(|notes| notes.get(key)).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(|text| clean_bounded(text, 120))
    };
    for (part, key, who, how) in MARKS {
        if let Some(what) = note(part, key) {
            let sure = if who == "Helm" { "goes over this with its next upgrade" } else { "may take this back at its next sync" };
            return Some(format!("{who} keeps this object ({key} is {what}) and {sure}: {how}"));
        }
    }
    if let Some((_, who)) = super::mechanism::managers(object, "f:spec").find_map(|(who, _)| MANAGERS.iter().find(|(name, _)| *name == who))
    {
        return Some(format!("{who} wrote this object and may take this back at its next sync: commit it to its repository too"));
    }
    let what = note("labels", INSTANCE)?;
    (note("labels", "app.kubernetes.io/managed-by").as_deref() != Some("Helm"))
        .then(|| format!("{INSTANCE} is {what}: if Argo CD keeps this object, it may take this back at its next sync"))
}

/// An autoscaler of a workload, as far as it decides on instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Autoscaler {
    name: String,
    least: u64,
    most: u64,
}

impl Autoscaler {
    /// The one that scales this Deployment, among the namespace's.
    pub(super) fn of(list: &Value, deployment: &str) -> Option<Self> {
        let items = list.get("items").and_then(Value::as_array)?;
        let scales = |item: &&Value| {
            let target = item.pointer("/spec/scaleTargetRef");
            let text = |key: &str| target.and_then(|target| target.get(key)).and_then(Value::as_str);
            text("kind") == Some("Deployment") && text("name") == Some(deployment)
        };
        let item = items.iter().find(scales)?;
        let number = |pointer: &str| item.pointer(pointer).and_then(Value::as_u64);
        Some(Self {
            name: clean_bounded(item.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("?"), 120),
            least: number("/spec/minReplicas").unwrap_or(1),
            most: number("/spec/maxReplicas").unwrap_or(u64::MAX),
        })
    }

    /// Why it would undo a count at once, if so.
    pub(super) fn forbids(&self, replicas: u32) -> Option<String> {
        // With no instance asked for, the autoscaler stands still.
        let fine = replicas == 0 || (self.least..=self.most).contains(&u64::from(replicas));
        let Self { name, least, most } = self;
        (!fine).then(|| {
            format!("autoscaler {name} keeps between {least} and {most} instances and would set {replicas} back: change its limits")
        })
    }

    /// What a person should know.
    pub(super) fn warning(&self, replicas: u32) -> String {
        let Self { name, least, most } = self;
        match replicas {
            0 => format!("autoscaler {name} stops as long as no instance is asked for"),
            _ => format!("autoscaler {name} decides between {least} and {most} instances and may change the count again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tool_that_takes_changes_back_is_named() {
        let marked = |part: &str, key: &str| json!({"metadata": {part: {key: "shop"}}});
        for (part, key, who) in [
            ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
            ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux"),
            ("labels", "helm.toolkit.fluxcd.io/name", "Flux (Helm)"),
            ("annotations", "meta.helm.sh/release-name", "Helm"),
            ("labels", "app.kubernetes.io/instance", "if Argo CD"),
        ] {
            let warning = of(&marked(part, key)).unwrap_or_default();
            assert!(warning.contains(who) && warning.contains("shop"), "{key}: {warning}");
        }
        let chart = json!({"metadata": {"labels": {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "Helm"}}});
        assert_eq!(of(&chart), None, "a chart's own label");
        let written = json!({"metadata": {"managedFields": [{"manager": "argocd-controller", "fieldsV1": {"f:spec": {}}}]}});
        assert!(of(&written).unwrap().contains("Argo CD"));
    }

    #[test]
    fn an_autoscaler_forbids_what_it_would_set_back() {
        let list = json!({"items": [
            {"metadata": {"name": "other"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "x"}, "maxReplicas": 2}},
            {"metadata": {"name": "hpa"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "checkout"}, "minReplicas": 3, "maxReplicas": 10}}]});
        let it = Autoscaler::of(&list, "checkout").unwrap();
        assert_eq!(it.forbids(3), None);
        assert!(it.forbids(2).unwrap().contains("between 3 and 10"));
        assert!(it.forbids(11).is_some());
        assert_eq!(it.forbids(0), None, "off is off");
        assert_eq!(Autoscaler::of(&list, "y"), None);
    }
}
