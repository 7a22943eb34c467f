//! The other ways of splitting traffic: every one of them keeps the promises of a conditional write.

use crate::place::{Place, gateway_definitions, note, to};
use crate::schema::Schema;
use gonogo::adapter::kubernetes::Kubernetes;
use gonogo::domain::{Epoch, Failure, OpId, Preflight, Refusal, RouteSpec, RunId, Subject, Write, WriteKind};
use gonogo::port::Platform as _;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// One mechanism: what it is configured as, its objects, and how somebody else would read and move it.
struct Way {
    /// Name of the case's objects.
    name: &'static str,
    spec: fn(&str) -> RouteSpec,
    group: &'static str,
    resource: &'static str,
    /// A share between the ends, or the end where there is none.
    some: u32,
    /// The split that an object says: baseline, canary.
    split: fn(&Value) -> (u64, u64),
    /// A merge patch by which somebody else moves the split, and the split then.
    foreign: fn() -> (Value, (u64, u64)),
}

const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";

fn gateway() -> Way {
    Way {
        name: "byroute",
        spec: |name| RouteSpec::HttpRoute {
            name: name.to_owned(),
            rule: None,
            baseline: format!("{name}-stable"),
            canary: format!("{name}-canary"),
        },
        group: "/apis/gateway.networking.k8s.io/v1",
        resource: "httproutes",
        some: 25,
        split: |object| {
            let weight = |at: usize| object["spec"]["rules"][1]["backendRefs"][at]["weight"].as_u64().unwrap_or(1);
            (weight(0), weight(1))
        },
        foreign: || {
            let mut object = http_route("byroute");
            object["spec"]["rules"][1]["backendRefs"][0]["weight"] = json!(40);
            (json!({"spec": {"rules": object["spec"]["rules"]}}), (40, 10))
        },
    }
}

fn ingress() -> Way {
    Way {
        name: "bynotes",
        spec: |name| RouteSpec::Ingress { name: name.to_owned() },
        group: "/apis/networking.k8s.io/v1",
        resource: "ingresses",
        some: 25,
        split: |object| {
            let canary = note(object, WEIGHT).parse().unwrap();
            (100 - canary, canary)
        },
        foreign: || (json!({"metadata": {"annotations": {WEIGHT: "40"}}}), (60, 40)),
    }
}

fn selector() -> Way {
    Way {
        name: "byservice",
        spec: |name| {
            let of = |track: &str| [("track".to_owned(), track.to_owned())].into_iter().collect();
            RouteSpec::Selector { service: name.to_owned(), baseline: of("stable"), canary: of("canary") }
        },
        group: "/api/v1",
        resource: "services",
        some: 100,
        split: |object| if object["spec"]["selector"]["track"] == "canary" { (0, 100) } else { (100, 0) },
        foreign: || (json!({"spec": {"selector": {"zone": "a"}}}), (100, 0)),
    }
}

fn http_route(name: &str) -> Value {
    let to = |side: &str, weight: u32| json!({"name": format!("{name}-{side}"), "port": 80, "weight": weight});
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name, "labels": {"team": "shop"}},
        "spec": {"parentRefs": [{"name": "edge"}], "hostnames": ["shop.example"], "rules": [
            {"matches": [{"headers": [{"name": "x-canary", "value": "true"}]}], "backendRefs": [{"name": format!("{name}-canary"), "port": 80}]},
            {"matches": [{"path": {"type": "PathPrefix", "value": "/checkout"}}], "backendRefs": [to("stable", 90), to("canary", 10)]}]},
    })
}

fn service(name: &str, selector: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    })
}

impl Way {
    fn collection(&self, place: &Place) -> String {
        place.path(self.group, self.resource)
    }

    fn path(&self, place: &Place) -> String {
        format!("{}/{}", self.collection(place), self.name)
    }

    /// The object as it is furnished.
    fn object(&self) -> Value {
        let ingress = |name: &str, notes: Value| {
            json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "annotations": notes},
                "spec": {"rules": [{"host": "shop.example", "http": {"paths": [{"path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": name, "port": {"number": 80}}}}]}}]},
            })
        };
        match self.resource {
            "httproutes" => http_route(self.name),
            "ingresses" => ingress(self.name, json!({"nginx.ingress.kubernetes.io/canary": "true", WEIGHT: "10"})),
            _ => service(self.name, &json!({"app": self.name, "track": "stable"})),
        }
    }

    /// The object and what has to stand beside it.
    async fn furnish(&self, place: &Place) {
        if self.resource == "ingresses" {
            let mut stable = self.object();
            stable["metadata"] = json!({"name": format!("{}-stable", self.name)});
            place.create(&self.collection(place), &stable).await;
        }
        if self.resource == "services" {
            for side in ["stable", "canary"] {
                ready_pod(place, &format!("{}-{side}-1", self.name), self.name, side).await;
            }
        }
        place.create(&self.collection(place), &self.object()).await;
    }

    async fn remove(&self, place: &Place) {
        place.delete(&self.path(place)).await;
        place.delete(&format!("{}/{}-stable", self.collection(place), self.name)).await;
        for side in ["stable", "canary"] {
            place.delete(&format!("{}/{}-{side}-1", place.path("/api/v1", "pods"), self.name)).await;
        }
    }

    async fn connect(&self, place: &Place, writes: bool) -> Kubernetes {
        place.connect_by(self.name, (self.spec)(self.name), writes).await
    }

    async fn split(&self, place: &Place) -> (u64, u64) {
        (self.split)(&place.get(&self.path(place)).await)
    }

    /// The split that stands for a share here, where the sum that is there was 100.
    fn at(share: u32) -> (u64, u64) {
        (100 - u64::from(share), u64::from(share))
    }
}

/// A pod that is ready as far as the API server knows: no kubelet is needed.
async fn ready_pod(place: &Place, name: &str, app: &str, track: &str) {
    let pods = place.path("/api/v1", "pods");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app, "track": track}},
        "spec": {"containers": [{"name": "app", "image": "registry.example/checkout:v2"}],
            "nodeSelector": {"gonogo.dev/contract": "nowhere"}, "automountServiceAccountToken": false},
    });
    place.create(&pods, &pod).await;
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    place.merge(&format!("{pods}/{name}/status"), &status).await;
}

fn write(before: Subject, canary: u32, epoch: u64) -> Write {
    Write {
        kind: WriteKind::Act { action: to(canary) },
        run: RunId::from("checkout-20260314-1"),
        op: OpId(format!("checkout-20260314-1/shift/{epoch}")),
        epoch: Epoch(epoch),
        target: None,
        before,
        deadline: Duration::from_secs(10),
    }
}

fn fence(before: Subject, epoch: u64) -> Write {
    Write { kind: WriteKind::Fence { action: to(0) }, ..write(before, 0, epoch) }
}

fn is_conflict(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { reason: Refusal::Conflict, .. })
}

/// From the first write to the back-out: planned, sent, read back, and nothing but the split and the stamps changed.
async fn there_and_back(way: &Way, place: &Place) {
    let before = place.get(&way.path(place)).await;
    let kubernetes = way.connect(place, true).await;
    let plan = kubernetes.plan(to(way.some)).await.unwrap();
    assert_eq!((&plan.dry_run, &plan.access), (&Preflight::Accepted, &Preflight::Accepted), "{plan:?}");
    assert!(!plan.diff.is_empty() && !plan.is_noop(), "{plan:?}");
    assert_eq!(
        place.get(&way.path(place)).await["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"],
        "planning changed it"
    );
    let accepted = kubernetes.send(write(plan.before, way.some, 1)).await.unwrap();
    assert!(accepted.after.is_some_and(|after| after.done));
    let after = place.get(&way.path(place)).await;
    assert_eq!(((way.split)(&after), note(&after, "gonogo.dev/epoch")), (Way::at(way.some), "1"));
    assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
    if way.resource == "httproutes" {
        Schema::of(&gateway_definitions()[0]).check(&after);
    }
    let again = kubernetes.plan(to(way.some)).await.unwrap();
    assert!(again.is_noop() && again.diff.is_empty(), "{again:?}");
    let back = kubernetes.read(&to(0)).await.unwrap();
    kubernetes.send(write(back, 0, 1)).await.unwrap();
    assert_eq!(way.split(place).await, Way::at(0));
    let by_hand = kubernetes.by_hand(&to(way.some), None);
    assert!(by_hand[0].contains("patch") && by_hand[0].contains(way.resource), "{by_hand:?}");
}

/// Somebody else moved it, fenced it, took over, or made it anew: refused, and nothing changed.
async fn what_moved_is_refused(way: &Way, place: &Place) {
    let kubernetes = way.connect(place, true).await;
    let read = kubernetes.read(&to(way.some)).await.unwrap();
    let (patch, moved) = (way.foreign)();
    place.merge(&way.path(place), &patch).await;
    let failure = kubernetes.send(write(read, way.some, 1)).await.unwrap_err();
    assert!(is_conflict(&failure) && failure.to_string().contains("somebody-else"), "{failure}");
    assert_eq!(way.split(place).await, moved);
    way.remove(place).await;
    way.furnish(place).await;

    let read = kubernetes.read(&to(0)).await.unwrap();
    kubernetes.send(fence(read.clone(), 7)).await.unwrap();
    let fenced = place.get(&way.path(place)).await;
    assert_eq!((note(&fenced, "gonogo.dev/epoch"), note(&fenced, "gonogo.dev/op")), ("7", ""));
    let failure = kubernetes.send(write(read, way.some, 6)).await.unwrap_err();
    assert!(is_conflict(&failure), "an older epoch after a fence: {failure}");
    let other = way.connect(place, true).await;
    let read = other.read(&to(way.some)).await.unwrap();
    other.send(write(read.clone(), way.some, 8)).await.unwrap();
    assert!(is_conflict(&kubernetes.send(write(read, 0, 7)).await.unwrap_err()), "somebody took over");
    assert_eq!(way.split(place).await, Way::at(way.some));

    let read = kubernetes.read(&to(0)).await.unwrap();
    way.remove(place).await;
    way.furnish(place).await;
    let failure = kubernetes.send(write(read, 0, 9)).await.unwrap_err();
    assert!(is_conflict(&failure) && failure.to_string().contains("made anew"), "{failure}");
}

/// A cockpit that only reads sends nothing; what is missing is said.
async fn reads_alone(way: &Way, place: &Place) {
    let spectator = way.connect(place, false).await;
    let before = place.get(&way.path(place)).await;
    let read = spectator.read(&to(way.some)).await.unwrap();
    assert!(matches!(spectator.plan(to(way.some)).await.unwrap().dry_run, Preflight::NotAsked { .. }));
    assert!(matches!(spectator.send(write(read, way.some, 1)).await, Err(Failure::NotSent { .. })));
    assert_eq!(place.get(&way.path(place)).await, before);
    let missing = place.connect_by("nowhere", (way.spec)("nowhere"), true).await;
    let failure = missing.read_route().await.unwrap_err();
    assert!(matches!(failure, Failure::Refused { reason: Refusal::Missing, .. }), "{failure}");
}

async fn whole(way: &Way, place: &Place) {
    way.furnish(place).await;
    there_and_back(way, place).await;
    way.remove(place).await;
    way.furnish(place).await;
    what_moved_is_refused(way, place).await;
    reads_alone(way, place).await;
    way.remove(place).await;
}

pub(crate) async fn an_httproute_keeps_every_promise(place: &Place) {
    whole(&gateway(), place).await;
}

pub(crate) async fn a_canary_ingress_keeps_every_promise(place: &Place) {
    whole(&ingress(), place).await;
}

pub(crate) async fn a_switched_service_keeps_every_promise(place: &Place) {
    whole(&selector(), place).await;
}

pub(crate) async fn a_switch_to_pods_that_are_not_ready_is_refused(place: &Place) {
    let way = Way { name: "emptyside", ..selector() };
    place.create(&way.collection(place), &way.object()).await;
    ready_pod(place, "emptyside-stable-1", "emptyside", "stable").await;
    let kubernetes = way.connect(place, true).await;
    let plan = kubernetes.plan(to(100)).await.unwrap();
    assert!(matches!(&plan.dry_run, Preflight::Refused { why } if why.contains("picks no ready pod")), "{plan:?}");
    assert!(matches!(kubernetes.send(write(plan.before, 100, 1)).await, Err(Failure::NotSent { .. })));
    assert_eq!(way.split(place).await, (100, 0));
    let half = kubernetes.plan(to(50)).await.unwrap();
    assert!(matches!(&half.dry_run, Preflight::Refused { why } if why.contains("all or nothing")), "{half:?}");
    way.remove(place).await;
}

/// A second canary for the same rule, and a route in an unclear state, are said before anything is sent.
pub(crate) async fn two_canaries_of_one_rule_are_refused(place: &Place) {
    let way = Way { name: "twice", ..ingress() };
    way.furnish(place).await;
    let mut second = way.object();
    second["metadata"]["name"] = json!("twice-beta");
    place.create(&way.collection(place), &second).await;
    let plan = way.connect(place, true).await.plan(to(25)).await.unwrap();
    assert!(matches!(&plan.dry_run, Preflight::Refused { why } if why.contains("ingress/twice-beta is a canary")), "{plan:?}");
    place.delete(&format!("{}/twice-beta", way.collection(place))).await;
    way.remove(place).await;
}

/// What the schema of the route forbids is said by the platform and is no conflict.
pub(crate) async fn the_gateways_schema_is_asked(place: &Place) {
    let way = Way { name: "schema", ..gateway() };
    way.furnish(place).await;
    let patch = json!([{"op": "replace", "path": "/spec/rules/1/backendRefs/1/weight", "value": 1_000_001}]);
    let (code, answer) = place.call(Method::PATCH, &way.path(place), "application/json-patch+json", Some(&patch)).await;
    assert_eq!((code, answer["reason"].as_str()), (422, Some("Invalid")), "{answer}");
    way.remove(place).await;
}

/// Webhooks that deny or change what was sent: told by the dry run, and by the answer. In the simulator alone.
pub(crate) async fn webhooks_are_heard(place: &Place) {
    for way in [gateway(), ingress(), selector()] {
        way.furnish(place).await;
        let kubernetes = way.connect(place, true).await;
        let admission = |notes: Value| async move {
            place.merge(&format!("/api/v1/namespaces/{}", place.namespace), &json!({"metadata": {"annotations": notes}})).await;
        };
        admission(json!({"sim.gonogo.dev/deny": format!("update {} a freeze is on", way.resource)})).await;
        let plan = kubernetes.plan(to(way.some)).await.unwrap();
        assert!(matches!(&plan.dry_run, Preflight::Refused { why } if why.contains("a freeze is on")), "{plan:?}");
        let failure = kubernetes.send(write(plan.before, way.some, 1)).await.unwrap_err();
        assert!(failure.certainly_not_applied() && failure.to_string().contains("a freeze is on"), "{failure}");
        assert_eq!((way.split)(&way.object()), way.split(place).await);

        let stubborn = match way.resource {
            "httproutes" => json!({"spec": {"rules": way.object()["spec"]["rules"]}}),
            "ingresses" => json!({"metadata": {"annotations": {WEIGHT: "10"}}}),
            _ => json!({"spec": {"selector": {"track": "stable"}}}),
        };
        admission(json!({"sim.gonogo.dev/deny": null, "sim.gonogo.dev/mutate": format!("{} {stubborn}", way.resource)})).await;
        let plan = kubernetes.plan(to(way.some)).await.unwrap();
        assert!(matches!(&plan.dry_run, Preflight::Refused { why } if why.contains("an admission webhook?")), "{plan:?}");
        let accepted = kubernetes.send(write(plan.before, way.some, 1)).await.unwrap();
        assert!(!accepted.after.unwrap().done, "the answer tells what it was made into");
        admission(json!({"sim.gonogo.dev/mutate": null})).await;
        way.remove(place).await;
    }
}
