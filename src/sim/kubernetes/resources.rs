//! The kinds of objects that the simulated API server knows.

/// Where objects of a kind are stored. Some are served under several groups and versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Namespace,
    Pod,
    Event,
    Service,
    Deployment,
    ReplicaSet,
    VirtualService,
    DestinationRule,
    Crd,
    ConfigMap,
    Secret,
    Node,
    ResourceQuota,
    EndpointSlice,
    Ingress,
    Hpa,
    Pdb,
    Lease,
    Gateway,
    HttpRoute,
    Rollout,
    AnalysisRun,
    AnalysisTemplate,
    Canary,
}

impl Kind {
    pub(crate) const ALL: [Self; 24] = [
        Self::Namespace,
        Self::Pod,
        Self::Event,
        Self::Service,
        Self::Deployment,
        Self::ReplicaSet,
        Self::VirtualService,
        Self::DestinationRule,
        Self::Crd,
        Self::ConfigMap,
        Self::Secret,
        Self::Node,
        Self::ResourceQuota,
        Self::EndpointSlice,
        Self::Ingress,
        Self::Hpa,
        Self::Pdb,
        Self::Lease,
        Self::Gateway,
        Self::HttpRoute,
        Self::Rollout,
        Self::AnalysisRun,
        Self::AnalysisTemplate,
        Self::Canary,
    ];

    /// How it is served first: the group and version that objects are stored under.
    pub(crate) fn resource(self) -> &'static Resource {
        RESOURCES.iter().find(|r| r.kind == self).unwrap_or(&RESOURCES[0])
    }

    /// The kind that an `apiVersion` and `kind` name, in any served version.
    pub(crate) fn named(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        RESOURCES.iter().find(|r| r.group == group && r.kind_name == kind && r.versions.contains(&version)).map(|r| r.kind)
    }
}

/// One resource of one API group.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) group: &'static str,
    /// Served versions, the stored one first.
    pub(crate) versions: &'static [&'static str],
    pub(crate) kind_name: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) short: &'static [&'static str],
    pub(crate) namespaced: bool,
    /// Compiled into the server (so it takes strategic merge patches) rather than made by a CustomResourceDefinition.
    pub(crate) builtin: bool,
    pub(crate) subresources: &'static [&'static str],
}

impl Resource {
    /// `deployments.apps`, as messages name it.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `apps/v1`.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// Whether status is written at an address of its own, and left alone by writes of the object.
    pub(crate) fn has_status(&self) -> bool {
        self.subresources.contains(&"status")
    }

    /// Whether its generation counts changes of what is wanted.
    pub(crate) fn has_generation(&self) -> bool {
        let counted = [Kind::Deployment, Kind::ReplicaSet, Kind::Ingress, Kind::Pdb, Kind::EndpointSlice, Kind::Crd];
        !self.builtin || counted.contains(&self.kind)
    }

    const fn builtin(kind: Kind, group: &'static str, names: Names) -> Self {
        Self {
            kind,
            group,
            versions: &["v1"],
            kind_name: names.0,
            plural: names.1,
            singular: names.2,
            short: names.3,
            namespaced: true,
            builtin: true,
            subresources: &[],
        }
    }

    const fn custom(kind: Kind, group: &'static str, versions: &'static [&'static str], names: Names) -> Self {
        Self { versions, builtin: false, subresources: &["status"], ..Self::builtin(kind, group, names) }
    }

    const fn with(self, subresources: &'static [&'static str]) -> Self {
        Self { subresources, ..self }
    }

    const fn cluster_wide(self) -> Self {
        Self { namespaced: false, ..self }
    }

    const fn version(self, versions: &'static [&'static str]) -> Self {
        Self { versions, ..self }
    }
}

/// Kind, plural, singular, short names.
type Names = (&'static str, &'static str, &'static str, &'static [&'static str]);

const ISTIO: &[&str] = &["v1", "v1beta1", "v1alpha3"];
const APPS: &str = "apps";
const ARGO: &str = "argoproj.io";
const GATEWAY: &str = "gateway.networking.k8s.io";
const MESH: &str = "networking.istio.io";
const ALPHA: &[&str] = &["v1alpha1"];

pub(crate) const RESOURCES: &[Resource] = &[
    Resource::builtin(Kind::Namespace, "", ("Namespace", "namespaces", "namespace", &["ns"])).with(&["status"]).cluster_wide(),
    Resource::builtin(Kind::Pod, "", ("Pod", "pods", "pod", &["po"])).with(&["status"]),
    Resource::builtin(Kind::Event, "", ("Event", "events", "event", &["ev"])),
    Resource::builtin(Kind::Service, "", ("Service", "services", "service", &["svc"])).with(&["status"]),
    Resource::builtin(Kind::ConfigMap, "", ("ConfigMap", "configmaps", "configmap", &["cm"])),
    Resource::builtin(Kind::Secret, "", ("Secret", "secrets", "secret", &[])),
    Resource::builtin(Kind::Node, "", ("Node", "nodes", "node", &["no"])).with(&["status"]).cluster_wide(),
    Resource::builtin(Kind::ResourceQuota, "", ("ResourceQuota", "resourcequotas", "resourcequota", &["quota"])).with(&["status"]),
    Resource::builtin(Kind::Deployment, APPS, ("Deployment", "deployments", "deployment", &["deploy"])).with(&["scale", "status"]),
    Resource::builtin(Kind::ReplicaSet, APPS, ("ReplicaSet", "replicasets", "replicaset", &["rs"])).with(&["scale", "status"]),
    Resource::builtin(
        Kind::Hpa,
        "autoscaling",
        ("HorizontalPodAutoscaler", "horizontalpodautoscalers", "horizontalpodautoscaler", &["hpa"]),
    )
    .version(&["v2"])
    .with(&["status"]),
    Resource::builtin(Kind::Pdb, "policy", ("PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget", &["pdb"]))
        .with(&["status"]),
    Resource::builtin(Kind::Ingress, "networking.k8s.io", ("Ingress", "ingresses", "ingress", &["ing"])).with(&["status"]),
    Resource::builtin(Kind::EndpointSlice, "discovery.k8s.io", ("EndpointSlice", "endpointslices", "endpointslice", &[])),
    Resource::builtin(Kind::Lease, "coordination.k8s.io", ("Lease", "leases", "lease", &[])),
    Resource::custom(Kind::VirtualService, MESH, ISTIO, ("VirtualService", "virtualservices", "virtualservice", &["vs"])),
    Resource::custom(Kind::DestinationRule, MESH, ISTIO, ("DestinationRule", "destinationrules", "destinationrule", &["dr"])),
    Resource::custom(Kind::Gateway, GATEWAY, &["v1", "v1beta1"], ("Gateway", "gateways", "gateway", &["gtw"])),
    Resource::custom(Kind::HttpRoute, GATEWAY, &["v1", "v1beta1"], ("HTTPRoute", "httproutes", "httproute", &[])),
    Resource::custom(Kind::Rollout, ARGO, ALPHA, ("Rollout", "rollouts", "rollout", &["ro"])).with(&["scale", "status"]),
    Resource::custom(Kind::AnalysisRun, ARGO, ALPHA, ("AnalysisRun", "analysisruns", "analysisrun", &["ar"])).with(&[]),
    Resource::custom(Kind::AnalysisTemplate, ARGO, ALPHA, ("AnalysisTemplate", "analysistemplates", "analysistemplate", &["at"])).with(&[]),
    Resource::custom(Kind::Canary, "flagger.app", &["v1beta1"], ("Canary", "canaries", "canary", &[])),
    Resource::builtin(
        Kind::Crd,
        "apiextensions.k8s.io",
        ("CustomResourceDefinition", "customresourcedefinitions", "customresourcedefinition", &["crd", "crds"]),
    )
    .with(&["status"])
    .cluster_wide(),
    Resource::builtin(Kind::Event, "events.k8s.io", ("Event", "events", "event", &["ev"])),
];

/// The resource served at `group`/`version`/`plural`.
pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.group == group && r.plural == plural && r.versions.contains(&version))
}

/// What a request is about.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: &'static Resource,
    /// The version asked for.
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Target {
    /// Reads `/api/v1/...` or `/apis/{group}/{version}/...`; `None` when the path names no object or collection that is served here.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() && !["status", "finalize"].contains(&rest[0]) => {
                (Some((*namespace).to_owned()), rest)
            }
            rest => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some((*name).to_owned()), None),
            [plural, name, subresource] => (*plural, Some((*name).to_owned()), Some((*subresource).to_owned())),
            _ => return None,
        };
        let resource = find(group, version, plural)?;
        if namespace.is_some() && !resource.namespaced {
            return None;
        }
        if let Some(sub) = &subresource
            && !resource.subresources.contains(&sub.as_str())
        {
            return None;
        }
        Some(Self { resource, version: version.to_owned(), namespace, name, subresource })
    }

    /// `virtualservice/checkout`; the collection when it names no object.
    pub(crate) fn label(&self) -> String {
        let name = self.name.as_deref().unwrap_or("");
        let sub = self.subresource.as_deref().map(|s| format!("/{s}")).unwrap_or_default();
        format!("{}/{name}{sub}", self.resource.singular)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_collections_objects_and_subresources() {
        let target = Target::parse("/apis/apps/v1/namespaces/shop/deployments/checkout-stable/scale").unwrap();
        assert_eq!(
            (target.resource.kind, target.namespace.as_deref(), target.name.as_deref()),
            (Kind::Deployment, Some("shop"), Some("checkout-stable"))
        );
        assert_eq!(target.subresource.as_deref(), Some("scale"));
        assert_eq!(Target::parse("/api/v1/namespaces/shop").unwrap().resource.kind, Kind::Namespace);
        assert_eq!(Target::parse("/api/v1/pods").unwrap().namespace, None);
        assert_eq!(Target::parse("/apis/networking.istio.io/v1beta1/namespaces/shop/virtualservices").unwrap().version, "v1beta1");
    }

    #[test]
    fn what_is_not_served_is_not_a_target() {
        for path in [
            "/apis/apps/v2/deployments",
            "/api/v1/namespaces/shop/gadgets",
            "/api/v1/namespaces/shop/pods/p/exec",
            "/healthz",
            "/apis/apps/v1",
        ] {
            assert!(Target::parse(path).is_none(), "{path}");
        }
    }
}
