//! From objects to what they mean near the workload; what does not concern the service is left out here.

use super::super::objects::{Condition, Deployment, LabelSelector, Notes};
use super::super::scope::selects;
use super::objects::{Autoscaler, Bare, Budget, EndpointSlice, Ingress, PodUsage, Service, thousandths, whole};
use crate::domain::Track;
use crate::domain::around::{Near, Owner, SettingRef, Shape, Used};
use crate::domain::text::clean_bounded;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What of one side others are matched by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Side {
    /// Name of the Deployment.
    name: String,
    /// Labels of its instances.
    labels: BTreeMap<String, String>,
    settings: Vec<SettingRef>,
}

/// What of both sides others are matched by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Ground {
    canary: Option<Side>,
    baseline: Option<Side>,
}

impl Ground {
    /// Takes note of a Deployment, or of its absence. Whether that changed anything.
    pub(super) fn set(&mut self, track: Track, deployment: Option<&Deployment>) -> bool {
        let side = deployment.map(|it| Side {
            name: it.metadata.name.clone(),
            labels: it.spec.template.metadata.labels.clone(),
            settings: settings(it),
        });
        let place = match track {
            Track::Canary => &mut self.canary,
            Track::Baseline => &mut self.baseline,
        };
        std::mem::replace(place, side.clone()) != side
    }

    /// Whether there is anything to match by.
    pub(in super::super) fn is_there(&self) -> bool {
        self.canary.is_some() || self.baseline.is_some()
    }

    fn sides(&self) -> impl Iterator<Item = (Track, &Side)> {
        [(Track::Canary, &self.canary), (Track::Baseline, &self.baseline)].into_iter().filter_map(|(t, s)| Some((t, s.as_ref()?)))
    }

    /// Sides whose instances a selector picks.
    fn picked(&self, selector: &LabelSelector) -> Vec<Track> {
        self.sides().filter(|(_, side)| selects(selector, &side.labels)).map(|(track, _)| track).collect()
    }
}

fn text(text: &str) -> String {
    clean_bounded(text, 253)
}

/// What a Deployment starts its instances with.
pub(super) fn shape(deployment: &Deployment, object: &str) -> Shape {
    let main = deployment.spec.template.spec.main();
    let limit = |name: &str| main.and_then(|c| c.resources.limits.get(name)).and_then(Value::as_str);
    Shape {
        object: object.to_owned(),
        settings: settings(deployment),
        cpu_limit: limit("cpu").and_then(thousandths),
        memory_limit: limit("memory").and_then(whole),
        pinned: main.is_some_and(|c| c.image.contains('@')),
    }
}

/// ConfigMaps and Secrets that a pod template refers to: environment and volumes.
fn settings(deployment: &Deployment) -> Vec<SettingRef> {
    let spec = &deployment.spec.template.spec;
    let mut found = BTreeSet::new();
    let mut add = |secret: bool, name: &Value| {
        if let Some(name) = name.as_str().filter(|name| !name.is_empty()) {
            found.insert(SettingRef { secret, name: text(name) });
        }
    };
    for container in spec.containers.iter().chain(&spec.init_containers) {
        for from in &container.env_from {
            add(false, &from["configMapRef"]["name"]);
            add(true, &from["secretRef"]["name"]);
        }
        for env in &container.env {
            add(false, &env["valueFrom"]["configMapKeyRef"]["name"]);
            add(true, &env["valueFrom"]["secretKeyRef"]["name"]);
        }
    }
    for volume in &spec.volumes {
        add(false, &volume["configMap"]["name"]);
        add(true, &volume["secret"]["secretName"]);
        for source in volume["projected"]["sources"].as_array().into_iter().flatten() {
            add(false, &source["configMap"]["name"]);
            add(true, &source["secret"]["name"]);
        }
    }
    found.into_iter().collect()
}

/// Who keeps an object as a repository has it, by the marks that Argo CD and Flux leave.
pub(super) fn owner(labels: &BTreeMap<String, String>, notes: &Notes) -> Option<Owner> {
    let label = |key: &str| labels.get(key).filter(|v| !v.is_empty()).map(|v| text(v));
    let argo = notes.argo.as_deref().and_then(|id| id.split(':').next()).filter(|app| !app.is_empty()).map(text);
    let who = argo
        .or_else(|| label("argocd.argoproj.io/instance"))
        .map(|app| format!("Argo CD app {app}"))
        .or_else(|| label("kustomize.toolkit.fluxcd.io/name").map(|name| format!("Flux kustomization {name}")))
        .or_else(|| label("helm.toolkit.fluxcd.io/name").map(|name| format!("Flux release {name}")))?;
    let revision = [&notes.flux_revision, &notes.argo_revision, &notes.image_revision].into_iter().flatten().next().map(|r| text(r));
    Some(Owner { who, revision })
}

/// The same for an object that was read whole.
pub(super) fn owner_of(object: &Value) -> Option<Owner> {
    let metadata = &object["metadata"];
    let labels: BTreeMap<String, String> = serde_json::from_value(metadata["labels"].clone()).unwrap_or_default();
    let notes: Notes = serde_json::from_value(metadata["annotations"].clone()).unwrap_or_default();
    owner(&labels, &notes)
}

/// A Service that sends to our instances. One without a selector is somebody else's work.
pub(super) fn service(it: &Service, ground: &Ground) -> Option<Near> {
    if it.spec.selector.is_empty() {
        return None;
    }
    let selector = LabelSelector { match_labels: it.spec.selector.clone(), match_expressions: vec![] };
    let tracks = ground.picked(&selector);
    (!tracks.is_empty()).then(|| Near::Service { name: text(&it.metadata.name), tracks })
}

/// Addresses of a Service.
pub(super) fn endpoints(it: &EndpointSlice) -> Option<Near> {
    let service = text(it.metadata.labels.get("kubernetes.io/service-name")?);
    // Documented: an address whose readiness is not known counts as ready.
    let ready = it.endpoints.iter().filter(|e| e.conditions.ready.unwrap_or(true)).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some(Near::Endpoints { name: text(&it.metadata.name), service, ready: count(ready), not_ready: count(it.endpoints.len() - ready) })
}

/// An Ingress that leads to one of our Services.
pub(super) fn ingress(it: &Ingress, ours: &BTreeSet<String>) -> Option<Near> {
    let paths = it.spec.rules.iter().flat_map(|rule| &rule.http.paths).map(|path| &path.backend);
    let backends = paths.chain([&it.spec.default_backend]).map(|b| &b.service.name);
    let services: BTreeSet<String> = backends.filter(|name| ours.contains(*name)).map(|name| text(name)).collect();
    let hosts: BTreeSet<String> = it.spec.rules.iter().filter(|r| !r.host.is_empty()).map(|r| text(&r.host)).collect();
    let name = text(&it.metadata.name);
    (!services.is_empty()).then(|| Near::Ingress { name, services: services.into_iter().collect(), hosts: hosts.into_iter().collect() })
}

/// An autoscaler of one of our workloads.
pub(super) fn autoscaler(it: &Autoscaler, ground: &Ground) -> Option<Near> {
    let target = &it.spec.scale_target_ref;
    let ours = ["Deployment", "Rollout"].contains(&target.kind.as_str()) && ground.sides().any(|(_, side)| side.name == target.name);
    if !ours {
        return None;
    }
    let find = |kind: &str, status: &str| it.status.conditions.iter().find(|c| c.kind == kind && c.status == status);
    let words = |c: &Condition| clean_bounded(if c.reason.is_empty() { &c.message } else { &c.reason }, 100);
    let limited = find("ScalingLimited", "True");
    let desired = it.status.desired_replicas;
    Some(Near::Autoscaler {
        name: text(&it.metadata.name),
        target: text(&target.name),
        // Documented: one, where nothing is said.
        min: it.spec.min_replicas.unwrap_or(1),
        max: it.spec.max_replicas,
        desired,
        current: it.status.current_replicas,
        // `DesiredWithinRange` and `TooFewReplicas` limit as well: only the upper end is a lack of capacity.
        capped: limited.is_some_and(|c| c.reason != "TooFewReplicas") && desired >= it.spec.max_replicas,
        limited: limited.map(words),
        blind: find("ScalingActive", "False").or_else(|| find("AbleToScale", "False")).map(words),
    })
}

/// A disruption budget over our instances.
pub(super) fn budget(it: &Budget, ground: &Ground) -> Option<Near> {
    let tracks = ground.picked(it.spec.selector.as_ref()?);
    let status = &it.status;
    (!tracks.is_empty()).then(|| Near::Budget {
        name: text(&it.metadata.name),
        tracks,
        allowed: status.disruptions_allowed,
        healthy: status.current_healthy,
        needed: status.desired_healthy,
    })
}

/// A setting or secret that one of our sides refers to.
pub(super) fn setting(it: &Bare, secret: bool, ground: &Ground) -> Option<Near> {
    let of = SettingRef { secret, name: text(&it.metadata.name) };
    if !ground.sides().any(|(_, side)| side.settings.contains(&of)) {
        return None;
    }
    let last = it.metadata.managed_fields.iter().filter(|m| m.time.is_some()).max_by_key(|m| m.time);
    let by = last.map(|m| clean_bounded(&m.manager, 60)).filter(|by| !by.is_empty());
    let changed = last.and_then(|m| m.time).or(it.metadata.creation_timestamp);
    Some(Near::Setting { of, version: text(&it.metadata.resource_version), changed, by })
}

/// A node's zone.
pub(super) fn node(it: &Bare) -> Option<Near> {
    let labels = &it.metadata.labels;
    let zone = labels.get("topology.kubernetes.io/zone").or_else(|| labels.get("failure-domain.beta.kubernetes.io/zone"));
    Some(Near::Node { name: text(&it.metadata.name), zone: zone.map(|z| clean_bounded(z, 60)) })
}

/// What all containers of an instance use.
pub(super) fn used(pod: &PodUsage) -> Used {
    let sum = |f: &dyn Fn(&super::objects::ContainerUsage) -> Option<u64>| pod.containers.iter().filter_map(f).sum();
    Used { cpu: sum(&|c| thousandths(&c.usage.cpu)), memory: sum(&|c| whole(&c.usage.memory)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(template: &Value) -> Deployment {
        serde_json::from_value(json!({ "metadata": { "name": "checkout-canary" }, "spec": { "template": template } })).unwrap()
    }

    fn ground() -> Ground {
        let labels = json!({ "app": "checkout", "version": "canary" });
        let container = json!({
            "name": "app", "image": "r/checkout:v2",
            "envFrom": [{ "configMapRef": { "name": "config" } }, { "secretRef": { "name": "keys" } }],
            "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "more", "key": "k" } } }, { "name": "B", "value": "x" }],
            "resources": { "limits": { "cpu": "1500m", "memory": "512Mi" } },
        });
        let volumes = json!([{ "name": "v", "configMap": { "name": "config" } }, { "name": "w", "secret": { "secretName": "tls" } }]);
        let canary = deployment(&json!({ "metadata": { "labels": labels }, "spec": { "containers": [container], "volumes": volumes } }));
        let shape = shape(&canary, "deployment/checkout-canary");
        assert_eq!((shape.cpu_limit, shape.memory_limit, shape.pinned), (Some(1500), Some(512 << 20), false));
        let mut ground = Ground::default();
        assert!(ground.set(Track::Canary, Some(&canary)) && !ground.set(Track::Canary, Some(&canary)));
        ground
    }

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn settings_are_found_wherever_a_template_names_them_and_only_those_are_kept() {
        let ground = ground();
        let names: Vec<String> = ground.canary.as_ref().unwrap().settings.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["configmap/config", "secret/keys", "secret/more", "secret/tls"]);
        let bare: Bare = read(json!({ "metadata": { "name": "keys", "resourceVersion": "7", "managedFields": [
            { "manager": "a", "time": "2026-03-14T03:00:00Z" }, { "manager": "b", "time": "2026-03-14T04:00:00Z" }, { "manager": "c" },
        ] } }));
        let Some(Near::Setting { changed, by, .. }) = setting(&bare, true, &ground) else { panic!() };
        assert_eq!((changed, by), (Some("2026-03-14T04:00:00Z".parse().unwrap()), Some("b".to_owned())));
        assert_eq!(setting(&bare, false, &ground), None, "a ConfigMap of the same name is another thing");
    }

    #[test]
    fn what_does_not_select_our_instances_is_left_out() {
        let ground = ground();
        let of = |selector: Value| read::<Service>(json!({ "metadata": { "name": "s" }, "spec": { "selector": selector } }));
        let ours = Near::Service { name: "s".into(), tracks: vec![Track::Canary] };
        assert_eq!(service(&of(json!({ "app": "checkout" })), &ground), Some(ours));
        assert_eq!(service(&of(json!({ "app": "cart" })), &ground), None);
        assert_eq!(service(&of(Value::Null), &ground), None, "without a selector");
    }

    #[test]
    fn addresses_of_unknown_readiness_count_as_ready() {
        let slice: EndpointSlice = read(json!({
            "metadata": { "name": "s-1", "labels": { "kubernetes.io/service-name": "s" } },
            "endpoints": [{ "conditions": { "ready": true } }, { "conditions": {} }, { "conditions": { "ready": false } }, {}],
        }));
        assert_eq!(endpoints(&slice), Some(Near::Endpoints { name: "s-1".into(), service: "s".into(), ready: 3, not_ready: 1 }));
        assert_eq!(endpoints(&read(json!({ "metadata": { "name": "x" }, "endpoints": null }))), None);
    }

    #[test]
    fn an_autoscaler_at_its_upper_end_is_capped_and_at_its_lower_end_it_is_not() {
        let ground = ground();
        let of = |reason: &str, desired: u32| {
            read::<Autoscaler>(json!({
                "metadata": { "name": "h" },
                "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "checkout-canary" }, "maxReplicas": 5 },
                "status": { "currentReplicas": desired, "desiredReplicas": desired,
                    "conditions": [{ "type": "ScalingLimited", "status": "True", "reason": reason, "message": "m" }] },
            }))
        };
        let capped = |it| matches!(autoscaler(&it, &ground), Some(Near::Autoscaler { capped: true, min: 1, .. }));
        assert!(capped(of("TooManyReplicas", 5)) && !capped(of("TooFewReplicas", 1)) && !capped(of("TooManyReplicas", 4)));
        let other = read(json!({ "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "cart" }, "maxReplicas": 5 } }));
        assert_eq!(autoscaler(&other, &ground), None);
    }

    #[test]
    fn marks_of_gitops_are_read_and_a_helm_label_alone_is_none() {
        let of = |metadata: Value| owner_of(&json!({ "metadata": metadata })).map(|o| (o.who, o.revision));
        let argo = of(json!({ "annotations": { "argocd.argoproj.io/tracking-id": "shop-checkout:apps/Deployment:shop/checkout" } }));
        assert_eq!(argo, Some(("Argo CD app shop-checkout".into(), None)));
        let flux = of(json!({ "labels": { "kustomize.toolkit.fluxcd.io/name": "shop" },
            "annotations": { "kustomize.toolkit.fluxcd.io/revision": "main@sha1:0123" } }));
        assert_eq!(flux, Some(("Flux kustomization shop".into(), Some("main@sha1:0123".into()))));
        assert_eq!(of(json!({ "labels": { "app.kubernetes.io/instance": "checkout" } })), None);
    }

    #[test]
    fn use_is_the_sum_over_containers() {
        let pod: PodUsage = read(json!({ "metadata": { "name": "p" }, "containers": [
            { "name": "app", "usage": { "cpu": "250000000n", "memory": "100Mi" } }, { "name": "side", "usage": { "cpu": "5m", "memory": "1Mi" } },
        ] }));
        assert_eq!(used(&pod), Used { cpu: 255, memory: 101 << 20 });
    }
}
