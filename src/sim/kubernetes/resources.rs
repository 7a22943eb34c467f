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
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Namespace,
        Self::Pod,
        Self::Event,
        Self::Service,
        Self::Deployment,
        Self::ReplicaSet,
        Self::VirtualService,
        Self::DestinationRule,
        Self::Crd,
    ];

    /// How it is served first: the group and version that objects are stored under.
    pub(crate) fn resource(self) -> &'static Resource {
        RESOURCES.iter().find(|r| r.kind == self).unwrap_or(&RESOURCES[0])
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
}

const ISTIO: &[&str] = &["v1", "v1beta1", "v1alpha3"];

pub(crate) const RESOURCES: &[Resource] = &[
    Resource {
        kind: Kind::Namespace,
        group: "",
        versions: &["v1"],
        kind_name: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short: &["ns"],
        namespaced: false,
        builtin: true,
        subresources: &["status"],
    },
    Resource {
        kind: Kind::Pod,
        group: "",
        versions: &["v1"],
        kind_name: "Pod",
        plural: "pods",
        singular: "pod",
        short: &["po"],
        namespaced: true,
        builtin: true,
        subresources: &["status"],
    },
    Resource {
        kind: Kind::Event,
        group: "",
        versions: &["v1"],
        kind_name: "Event",
        plural: "events",
        singular: "event",
        short: &["ev"],
        namespaced: true,
        builtin: true,
        subresources: &[],
    },
    Resource {
        kind: Kind::Service,
        group: "",
        versions: &["v1"],
        kind_name: "Service",
        plural: "services",
        singular: "service",
        short: &["svc"],
        namespaced: true,
        builtin: true,
        subresources: &["status"],
    },
    Resource {
        kind: Kind::Deployment,
        group: "apps",
        versions: &["v1"],
        kind_name: "Deployment",
        plural: "deployments",
        singular: "deployment",
        short: &["deploy"],
        namespaced: true,
        builtin: true,
        subresources: &["scale", "status"],
    },
    Resource {
        kind: Kind::ReplicaSet,
        group: "apps",
        versions: &["v1"],
        kind_name: "ReplicaSet",
        plural: "replicasets",
        singular: "replicaset",
        short: &["rs"],
        namespaced: true,
        builtin: true,
        subresources: &["status"],
    },
    Resource {
        kind: Kind::VirtualService,
        group: "networking.istio.io",
        versions: ISTIO,
        kind_name: "VirtualService",
        plural: "virtualservices",
        singular: "virtualservice",
        short: &["vs"],
        namespaced: true,
        builtin: false,
        subresources: &["status"],
    },
    Resource {
        kind: Kind::DestinationRule,
        group: "networking.istio.io",
        versions: ISTIO,
        kind_name: "DestinationRule",
        plural: "destinationrules",
        singular: "destinationrule",
        short: &["dr"],
        namespaced: true,
        builtin: false,
        subresources: &["status"],
    },
    Resource {
        kind: Kind::Crd,
        group: "apiextensions.k8s.io",
        versions: &["v1"],
        kind_name: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        singular: "customresourcedefinition",
        short: &["crd", "crds"],
        namespaced: false,
        builtin: true,
        subresources: &["status"],
    },
    Resource {
        kind: Kind::Event,
        group: "events.k8s.io",
        versions: &["v1"],
        kind_name: "Event",
        plural: "events",
        singular: "event",
        short: &["ev"],
        namespaced: true,
        builtin: true,
        subresources: &[],
    },
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
