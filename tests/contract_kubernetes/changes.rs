//! What the watch tells, and when.

use crate::place::{PATIENCE, Place};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use gonogo::domain::{InstanceState, Track};
use gonogo::port::{Platform, PlatformUpdate};
use serde_json::{Value, json};

pub(crate) struct Watched(BoxStream<'static, PlatformUpdate>);

impl Watched {
    pub(crate) fn new(platform: &impl Platform) -> Self {
        Self(platform.watch())
    }

    /// The first update from now on that `wanted` takes.
    pub(crate) async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&PlatformUpdate) -> Option<T>) -> T {
        let mut seen = Vec::new();
        let found = async {
            loop {
                let update = self.0.next().await.expect("the watch goes on for ever");
                if let Some(found) = wanted(&update) {
                    return found;
                }
                seen.push(format!("{update:?}").chars().take(300).collect::<String>());
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("never saw {what}; saw {seen:#?}"))
    }
}

fn deployment(name: &str, track: &str) -> Value {
    let labels = json!({"app": name, "track": track});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("{name}-{track}")},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "app", "image": "registry.example/checkout:v1"}]}}},
    })
}

fn pod(name: &str, app: &str, track: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app, "track": track}},
        "spec": {"containers": [{"name": "app", "image": "registry.example/checkout:v2"}],
            "nodeSelector": {"gonogo.dev/contract": "nowhere"}, "automountServiceAccountToken": false},
    })
}

pub(crate) async fn deployments_come_and_go(place: &Place) {
    place.route("workloads", 90, 10).await;
    let deployments = place.path("/apis/apps/v1", "deployments");
    place.create(&deployments, &deployment("workloads", "stable")).await;
    let mut watched = Watched::new(&place.connect("workloads").await);
    let baseline = |update: &PlatformUpdate| match update {
        PlatformUpdate::Workload(workload) if workload.track == Track::Baseline => Some(workload.clone()),
        _ => None,
    };
    let stable = watched.until("the baseline", baseline).await;
    assert_eq!((stable.object.as_str(), stable.version.as_str(), stable.desired), ("deployment/workloads-stable", "v1", 0));
    watched.until("no instances", |update| matches!(update, PlatformUpdate::Instances(all) if all.is_empty()).then_some(())).await;
    place.create(&deployments, &deployment("workloads", "canary")).await;
    let canary = watched.until("the canary", |update| match update {
        PlatformUpdate::Workload(workload) if workload.track == Track::Canary => Some(workload.clone()),
        _ => None,
    });
    let canary = canary.await;
    let path = format!("{deployments}/workloads-canary");
    let image = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.example/checkout:v2"}]);
    assert_eq!(place.call(http::Method::PATCH, &path, "application/json-patch+json", Some(&image)).await.0, 200);
    watched
        .until("the new version", |update| matches!(update, PlatformUpdate::Workload(workload) if workload.version == "v2").then_some(()))
        .await;
    place.delete(&path).await;
    watched.until("its end", |update| matches!(update, PlatformUpdate::WorkloadGone { uid } if *uid == canary.uid).then_some(())).await;
}

pub(crate) async fn pods_come_change_and_go(place: &Place) {
    place.route("instances", 90, 10).await;
    for track in ["stable", "canary"] {
        place.create(&place.path("/apis/apps/v1", "deployments"), &deployment("instances", track)).await;
    }
    let pods = place.path("/api/v1", "pods");
    place.create(&pods, &pod("instances-canary-1", "instances", "canary")).await;
    place.create(&pods, &pod("other-1", "other", "canary")).await;
    let mut watched = Watched::new(&place.connect("instances").await);
    let first = watched.until("the list", |update| match update {
        PlatformUpdate::Instances(all) if !all.is_empty() => Some(all.clone()),
        _ => None,
    });
    let first = first.await;
    assert_eq!(
        first.iter().map(|instance| (&*instance.name, instance.track, &*instance.version)).collect::<Vec<_>>(),
        [("instances-canary-1", Track::Canary, "v2")]
    );
    place.create(&pods, &pod("instances-stable-1", "instances", "stable")).await;
    let named = |name: &'static str| {
        move |update: &PlatformUpdate| match update {
            PlatformUpdate::Instance(instance) if &*instance.name == name => Some(instance.clone()),
            _ => None,
        }
    };
    let stable = watched.until("a new pod", named("instances-stable-1")).await;
    assert_eq!((stable.track, stable.restarts), (Track::Baseline, 0));
    let status = json!({"status": {"phase": "Running", "containerStatuses": [{"name": "app", "image": "i", "imageID": "i", "ready": false,
        "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-03-14T03:07:12Z"}}}]}});
    place.merge(&format!("{pods}/instances-stable-1/status"), &status).await;
    let failing = watched.until("its crash", |update| match update {
        PlatformUpdate::Instance(instance) if instance.state == InstanceState::Failing => Some(instance.clone()),
        _ => None,
    });
    let failing = failing.await;
    assert_eq!((failing.reason.as_deref(), failing.restarts), (Some("CrashLoopBackOff"), 4));
    assert_eq!(failing.last_exit.as_ref().map(|(_, how)| &**how), Some("OOMKilled, exit 137"));
    for pod in ["instances-stable-1", "other-1", "instances-canary-1"] {
        place.delete(&format!("{pods}/{pod}")).await;
    }
    watched.until("its end", |update| matches!(update, PlatformUpdate::InstanceGone { uid } if *uid == failing.uid).then_some(())).await;
    watched
        .until("the other's end", |update| matches!(update, PlatformUpdate::InstanceGone { uid } if *uid == first[0].uid).then_some(()))
        .await;
}

pub(crate) async fn a_changed_route_is_told_at_once(place: &Place) {
    place.route("told", 90, 10).await;
    let mut watched = Watched::new(&place.connect("told").await);
    let weight = |canary: u32| {
        move |update: &PlatformUpdate| matches!(update, PlatformUpdate::Route(Some(route)) if route.canary == canary).then_some(())
    };
    watched.until("the route", weight(10)).await;
    watched.until("a proof of life", |update| matches!(update, PlatformUpdate::Alive { skew: Some(_), .. }).then_some(())).await;
    // Two changes in a row, faster than any heartbeat.
    for canary in [20, 30] {
        let patch = json!([{"op": "replace", "path": "/spec/http/1/route/1/weight", "value": canary}]);
        place.call(http::Method::PATCH, &place.route_path("told"), "application/json-patch+json", Some(&patch)).await;
        watched.until("the change", weight(canary)).await;
    }
    place.delete(&place.route_path("told")).await;
    watched.until("its end", |update| matches!(update, PlatformUpdate::Route(None)).then_some(())).await;
}

pub(crate) async fn a_route_that_is_not_there_is_told(place: &Place) {
    let mut watched = Watched::new(&place.connect("absent").await);
    watched.until("its absence", |update| matches!(update, PlatformUpdate::Route(None)).then_some(())).await;
    watched.until("a proof of life", |update| matches!(update, PlatformUpdate::Alive { .. }).then_some(())).await;
}

pub(crate) async fn events_of_the_service_are_told_and_no_others(place: &Place) {
    let event = |name: &str, about: &str, message: &str| {
        json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": place.namespace}, "type": "Warning", "reason": "BackOff",
            "involvedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": place.namespace, "name": about, "uid": "u"},
            "message": message, "count": 3, "source": {"component": "contract"},
            "firstTimestamp": "2026-03-14T03:00:00Z", "lastTimestamp": "2026-03-14T03:07:12Z",
        })
    };
    let events = place.path("/api/v1", "events");
    place.create(&events, &event("others.1", "somebody-else", "not ours")).await;
    place.create(&events, &event("ours.1", "remarks-canary", "listed")).await;
    let mut watched = Watched::new(&place.connect("remarks").await);
    let told = |update: &PlatformUpdate| match update {
        PlatformUpdate::Event(event) => Some(event.clone()),
        _ => None,
    };
    let listed = watched.until("the listed event", told).await;
    assert_eq!(
        (listed.about.as_str(), listed.message.as_str(), listed.count, listed.warning),
        ("deployment/remarks-canary", "listed", 3, true)
    );
    place.create(&events, &event("others.2", "somebody-else", "not ours")).await;
    place.create(&events, &event("ours.2", "remarks-stable", "evil \u{1b}[31mred")).await;
    assert_eq!(watched.until("the new event", told).await.message, "evil red");
}
