//! Every way of splitting traffic on the simulator: replies that are lost, and where the route leads.

use crate::changes::Watched;
use crate::faults::Rig;
use crate::place::to;
use gonogo::domain::{Epoch, OpId, RunId};
use gonogo::domain::{Failure, Track, Write, WriteKind, Xray, XraySelector};
use gonogo::port::{Platform as _, PlatformUpdate};
use gonogo::sim::{Scene, TrafficBy};
use std::time::Duration;

const WAYS: [TrafficBy; 4] = [TrafficBy::Mesh, TrafficBy::Gateway, TrafficBy::Ingress, TrafficBy::Selector];

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_late_reply_is_found_by_reading_whatever_splits_the_traffic() {
    for (way, fault) in WAYS.into_iter().flat_map(|way| ["platform:reply-lost@0", "platform:reply-late@0"].map(|fault| (way, fault))) {
        let rig = Rig::with(&[fault], |options| options.traffic = way).await;
        let kubernetes = rig.connect().await;
        let action = to(100);
        let before = kubernetes.read(&action).await.unwrap();
        assert_eq!(before.trouble, None, "{way}");
        let write = Write {
            kind: WriteKind::Act { action: action.clone() },
            run: RunId::from("r"),
            op: OpId::from("r/switch/1"),
            epoch: Epoch(1),
            target: None,
            before,
            deadline: Duration::from_secs(2),
        };
        let failure = kubernetes.send(write.clone()).await.unwrap_err();
        assert!(matches!(failure, Failure::Unknown { .. }), "{way} {fault}: {failure}");
        let now = kubernetes.read(&action).await.unwrap();
        assert_eq!((now.done, now.stamp.map(|stamp| stamp.op)), (true, Some(write.op)), "{way} {fault}");
        assert_eq!(rig.calls(), [("act".to_owned(), "applied".to_owned())], "{way} {fault}");
    }
}

/// Waits until the route was seen through with the instances of both sides.
async fn seen(rig: &Rig) -> Xray {
    let mut watched = Watched::new(&rig.connect().await);
    let whole = |update: &PlatformUpdate| match update {
        PlatformUpdate::Xray(xray) if xray.canary.ready == 3 && xray.baseline.ready == 9 => {
            let known = xray.rules.iter().flat_map(|rule| &rule.to).all(|to| to.instances.is_some());
            known.then(|| xray.as_ref().clone())
        }
        _ => None,
    };
    watched.until("the route down to its instances", whole).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_seen_through_down_to_its_instances() {
    for way in WAYS {
        let rig = Rig::with(&[], |options| options.traffic = way).await;
        let xray = seen(&rig).await;
        let last = xray.rules.last().unwrap();
        let sides: Vec<(Option<Track>, u32, u32)> =
            last.to.iter().map(|to| (to.meant, to.weight, to.instances.as_ref().map_or(0, |known| known.ready))).collect();
        let both = vec![(Some(Track::Baseline), 100, 9), (Some(Track::Canary), 0, 3)];
        let expected = if way == TrafficBy::Selector { vec![(Some(Track::Baseline), 100, 9)] } else { both };
        assert_eq!(sides, expected, "{way}: {xray:#?}");
        assert_eq!(gonogo::judge::xray(&xray), [], "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_rule_without_instances_is_found_though_all_weights_are_right() {
    let rig = Rig::with(&[], |options| options.scene = Scene::HeaderRoute).await;
    let xray = seen(&rig).await;
    let to = &xray.rules[0].to[0];
    assert_eq!(to.picks, XraySelector::Labels("app=checkout,stage=preview,version=canary".to_owned()));
    let found: Vec<String> = gonogo::judge::xray(&xray).into_iter().map(|finding| finding.text).collect();
    assert_eq!(found, ["header x-canary=true -> checkout/preview: no instance is there"]);
}
