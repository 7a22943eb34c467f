//! Reading the route, rights, and who we are.

use crate::place::{Place, act, to};
use gonogo::domain::ActionKind;
use gonogo::domain::{Failure, Preflight, Refusal};
use gonogo::port::{Platform, Right};
use serde_json::json;

pub(crate) async fn the_rule_is_read_with_its_header_match(place: &Place) {
    let object = place.route("read", 90, 10).await;
    let route = place.connect("read").await.read_route().await.unwrap().unwrap();
    assert_eq!((route.canary, route.baseline, route.others, route.trouble), (10, 90, 0, None));
    assert_eq!(route.object, "virtualservice/read");
    assert_eq!((route.rule.as_str(), route.stamp), ("primary", None));
    assert_eq!(route.uid, object["metadata"]["uid"]);
    assert_eq!(route.version, object["metadata"]["resourceVersion"]);
    assert_eq!(route.pinned, ["header x-canary=true -> canary"]);
}

pub(crate) async fn a_missing_object_is_said_to_be_missing(place: &Place) {
    let failure = place.connect("nowhere").await.read_route().await.unwrap_err();
    assert!(matches!(&failure, Failure::Refused { code: 404, reason: Refusal::Missing, why } if why.contains("nowhere")), "{failure}");
}

pub(crate) async fn a_missing_subset_is_said_and_nothing_is_sent(place: &Place) {
    place.route("subset", 90, 10).await;
    let only = json!([{"destination": {"host": "subset", "subset": "stable"}}]);
    let path = place.route_path("subset");
    place.merge(&path, &json!({"spec": {"http": [{"name": "primary", "route": only}]}})).await;
    let kubernetes = place.connect("subset").await;
    let route = kubernetes.read_route().await.unwrap().unwrap();
    assert_eq!((route.canary, route.baseline), (0, 100), "a single destination gets everything");
    assert!(route.trouble.as_deref().is_some_and(|why| why.contains("no destination with subset `canary`")), "{route:?}");
    let plan = kubernetes.plan(to(10)).await.unwrap();
    assert!(matches!(&plan.dry_run, Preflight::Refused { .. }), "{plan:?}");
    let version = route.version.clone();
    let failure = kubernetes.send(act(&route, 10, 1)).await.unwrap_err();
    assert!(failure.certainly_not_applied(), "{failure}");
    assert_eq!(place.get(&path).await["metadata"]["resourceVersion"], version);
}

pub(crate) async fn rights_are_asked_for_beforehand(place: &Place) {
    let kubernetes = place.connect("read").await;
    for right in [Right::Watch, Right::ReadRoute, Right::Act(ActionKind::SetWeight)] {
        assert_eq!(kubernetes.may(right).await.unwrap(), Preflight::Accepted, "{right:?}");
    }
    assert!(kubernetes.capabilities().contains(&ActionKind::SetWeight));
}

pub(crate) async fn the_server_says_who_we_are_and_what_it_is(place: &Place) {
    let kubernetes = place.connect("read").await;
    assert!(!kubernetes.who().await.unwrap().user.is_empty());
    assert!(kubernetes.server_version().await.unwrap().starts_with('v'));
}
