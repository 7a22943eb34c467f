//! One Deployment that runs both versions while it rolls: its ReplicaSets are the two sides.
//!
//! Instances of the newest ReplicaSet are the canary, all others the baseline. Once a rollout is complete everything is canary, until the
//! next one makes another ReplicaSet the newest; an undo does that too, with the version that it brings back.

use super::objects::ReplicaSet;
use super::pods::version;
use crate::domain::text::clean_bounded;
use crate::domain::{RolloutStatus, Track, Workload};
use crate::port::platform::PlatformUpdate;
use std::collections::HashMap;

/// One ReplicaSet, as far as it tells of a side.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Set {
    name: String,
    /// The platform's number of its revision; the newest has the highest.
    number: u64,
    image: String,
    desired: u32,
    there: u32,
    ready: u32,
}

/// The two sides of one Deployment.
#[derive(Debug, Default)]
pub(super) struct Rolling {
    deployment: Option<Workload>,
    sets: HashMap<String, Set>,
    told: Vec<Workload>,
}

impl Rolling {
    /// Takes note of the Deployment, or of its absence.
    pub(super) fn deployment(&mut self, workload: Option<Workload>) -> Vec<PlatformUpdate> {
        let uid = |workload: &Option<Workload>| workload.as_ref().map(|workload| workload.uid.clone());
        if uid(&self.deployment) != uid(&workload) {
            self.sets.clear();
        }
        self.deployment = workload;
        self.news()
    }

    /// Takes note of a ReplicaSet, unless another Deployment controls it.
    pub(super) fn saw(&mut self, set: &ReplicaSet) -> Vec<PlatformUpdate> {
        let ours = |deployment: &Workload| set.metadata.controller("Deployment") == Some(deployment.uid.as_str());
        if !self.deployment.as_ref().is_some_and(ours) {
            return vec![];
        }
        let image = set.spec.template.spec.main().map_or("", |container| container.image.as_str());
        let seen = Set {
            name: clean_bounded(&set.metadata.name, 253),
            number: set.metadata.annotations.revision.as_deref().and_then(|number| number.parse().ok()).unwrap_or(0),
            image: clean_bounded(image, 300),
            desired: set.spec.replicas.unwrap_or(1),
            there: set.status.replicas,
            ready: set.status.ready_replicas,
        };
        self.sets.insert(set.metadata.uid.clone(), seen);
        self.news()
    }

    /// The ReplicaSets are listed anew: what went meanwhile is not in that list.
    pub(super) fn listing(&mut self) {
        self.sets.clear();
    }

    /// A ReplicaSet is gone.
    pub(super) fn gone(&mut self, uid: &str) -> Vec<PlatformUpdate> {
        self.sets.remove(uid);
        self.news()
    }

    /// The side of the instances of a ReplicaSet; `None` where it is not known.
    pub(super) fn track(&self, set: &str) -> Option<Track> {
        self.sets.contains_key(set).then(|| if self.newest() == Some(set) { Track::Canary } else { Track::Baseline })
    }

    /// The newest ReplicaSet's uid, and how many are known: while these stay, every instance stays on its side.
    pub(super) fn sides(&self) -> (Option<String>, usize) {
        (self.newest().map(str::to_owned), self.sets.len())
    }

    /// Uid of the newest ReplicaSet.
    fn newest(&self) -> Option<&str> {
        let newest = self.sets.iter().max_by_key(|(uid, set)| (set.number, *uid));
        newest.map(|(uid, _)| uid.as_str())
    }

    /// What changed of the two workloads since it was told last.
    fn news(&mut self) -> Vec<PlatformUpdate> {
        let now: Vec<Workload> = self.canary().into_iter().chain(self.baseline()).collect();
        let gone = self.told.iter().filter(|old| now.iter().all(|new| new.uid != old.uid));
        let mut updates: Vec<PlatformUpdate> = gone.map(|old| PlatformUpdate::WorkloadGone { uid: old.uid.clone() }).collect();
        updates.extend(now.iter().filter(|new| !self.told.contains(new)).cloned().map(PlatformUpdate::Workload));
        self.told = now;
        updates
    }

    /// The Deployment, with what of it is ready in the newest ReplicaSet.
    fn canary(&self) -> Option<Workload> {
        let mut workload = self.deployment.clone()?;
        if let Some(set) = self.newest().and_then(|uid| self.sets.get(uid)) {
            workload.ready = set.ready;
        }
        Some(workload)
    }

    /// The other ReplicaSets, as long as they have an instance or want one.
    fn baseline(&self) -> Option<Workload> {
        let deployment = self.deployment.as_ref()?;
        let newest = self.newest()?;
        let others = || self.sets.iter().filter(|(uid, _)| uid.as_str() != newest).map(|(_, set)| set);
        let main = others().filter(|set| set.desired > 0 || set.there > 0).max_by_key(|set| (set.desired, set.there, set.number))?;
        let (desired, ready) = (others().map(|set| set.desired).sum(), others().map(|set| set.ready).sum());
        Some(Workload {
            track: Track::Baseline,
            object: format!("replicaset/{}", main.name),
            uid: format!("{}/before", deployment.uid),
            version: version(&main.image),
            image: main.image.clone(),
            revision: (main.number > 0).then_some(main.number),
            desired,
            ready,
            updated: desired,
            available: ready,
            observed_latest: true,
            paused: false,
            trouble: None,
            rollout: RolloutStatus::Complete,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(uid: &str) -> Workload {
        Workload {
            track: Track::Canary,
            object: "deployment/checkout".into(),
            uid: uid.into(),
            version: "v2".into(),
            image: "shop/checkout:v2".into(),
            revision: Some(2),
            desired: 4,
            ready: 4,
            updated: 1,
            available: 4,
            observed_latest: true,
            paused: false,
            trouble: None,
            rollout: RolloutStatus::Waiting { why: "1 of 4 instances run version v2".into() },
        }
    }

    fn set(uid: &str, number: u32, desired: u32, ready: u32) -> ReplicaSet {
        let set = json!({
            "metadata": {"name": format!("checkout-{uid}"), "uid": uid, "annotations": {"deployment.kubernetes.io/revision": number.to_string()},
                "ownerReferences": [{"kind": "Deployment", "uid": "d", "controller": true}]},
            "spec": {"replicas": desired, "template": {"spec": {"containers": [{"name": "app", "image": format!("shop/checkout:v{number}")}]}}},
            "status": {"replicas": desired, "readyReplicas": ready},
        });
        serde_json::from_value(set).unwrap()
    }

    fn sides(updates: &[PlatformUpdate]) -> Vec<String> {
        let side = |update: &PlatformUpdate| match update {
            PlatformUpdate::Workload(it) => format!("{} {} {} {}/{}", it.track, it.object, it.version, it.ready, it.desired),
            PlatformUpdate::WorkloadGone { uid } => format!("gone {uid}"),
            other => format!("{other:?}"),
        };
        updates.iter().map(side).collect()
    }

    #[test]
    fn the_newest_set_is_the_canary_while_it_rolls_and_all_there_is_afterwards() {
        let mut rolling = Rolling::default();
        rolling.deployment(Some(deployment("d")));
        assert_eq!(sides(&rolling.saw(&set("a", 1, 4, 4))), [] as [&str; 0], "one set is the service as it is");
        assert_eq!(rolling.track("a"), Some(Track::Canary));
        let began = rolling.saw(&set("b", 2, 1, 0));
        assert_eq!(sides(&began), ["canary deployment/checkout v2 0/4", "baseline replicaset/checkout-a v1 4/4"]);
        assert_eq!((rolling.track("a"), rolling.track("b")), (Some(Track::Baseline), Some(Track::Canary)));
        rolling.saw(&set("b", 2, 4, 4));
        let over = rolling.saw(&set("a", 1, 0, 0));
        assert_eq!(sides(&over), ["gone d/before"]);
    }

    #[test]
    fn an_undo_makes_the_set_of_before_the_newest_again() {
        let mut rolling = Rolling::default();
        rolling.deployment(Some(deployment("d")));
        rolling.saw(&set("a", 1, 0, 0));
        rolling.saw(&set("b", 2, 4, 4));
        rolling.saw(&set("a", 3, 1, 0));
        assert_eq!((rolling.track("a"), rolling.track("b")), (Some(Track::Canary), Some(Track::Baseline)));
    }

    #[test]
    fn a_deployment_made_anew_has_no_sets_of_the_old_one() {
        let mut rolling = Rolling::default();
        rolling.deployment(Some(deployment("d")));
        rolling.saw(&set("a", 1, 4, 4));
        rolling.saw(&set("b", 2, 1, 0));
        let anew = rolling.deployment(Some(deployment("e")));
        assert_eq!(sides(&anew), ["gone d", "gone d/before", "canary deployment/checkout v2 4/4"]);
        assert!(rolling.saw(&set("a", 1, 4, 4)).is_empty(), "it belongs to the deleted one");
        assert_eq!(rolling.track("a"), None);
    }
}
