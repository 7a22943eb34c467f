//! Deployments as workloads, and their events.

use super::around::{self, Ground};
use super::feed::{Follower, Seen};
use super::objects::{Deployment, Event};
use super::pods::{SharedBook, open, version};
use super::scope::Scope;
use crate::domain::text::clean_bounded;
use crate::domain::{PlatformEvent, RolloutStatus, Track, Workload};
use crate::port::platform::PlatformUpdate;
use tokio::sync::watch;

/// Follows the one Deployment of a track and tells the others what belongs to it.
pub(super) struct Deployments {
    /// Whose it is.
    pub(super) track: Track,
    /// What belongs to the service.
    pub(super) scope: watch::Sender<Scope>,
    /// What others are matched with it by.
    pub(super) ground: watch::Sender<Ground>,
    /// Uid it was last seen under.
    pub(super) known: Option<String>,
    /// Where one Deployment runs both sides, they are worked out there.
    pub(super) book: SharedBook,
}

impl Deployments {
    fn there(&mut self, deployment: &Deployment) -> Vec<PlatformUpdate> {
        self.scope.send_if_modified(|scope| scope.set(self.track, Some(deployment)));
        if let Some(mut updates) = open(&self.book).rolls(Some(workload(deployment, self.track))) {
            updates.extend(around::learn(&self.ground, self.track, "deployment", Some(deployment)));
            return updates;
        }
        let uid = &deployment.metadata.uid;
        // A Deployment of the same name that was made anew is another one.
        let mut updates = if self.known.as_ref() == Some(uid) { vec![] } else { self.not_there(false) };
        self.known = Some(uid.clone());
        updates.push(PlatformUpdate::Workload(workload(deployment, self.track)));
        updates.extend(around::learn(&self.ground, self.track, "deployment", Some(deployment)));
        updates
    }

    fn not_there(&mut self, tell: bool) -> Vec<PlatformUpdate> {
        if tell {
            self.scope.send_if_modified(|scope| scope.set(self.track, None));
            around::learn(&self.ground, self.track, "deployment", None);
        }
        if let Some(updates) = open(&self.book).rolls(None) {
            return updates;
        }
        self.known.take().map(|uid| PlatformUpdate::WorkloadGone { uid }).into_iter().collect()
    }
}

impl Follower<Deployment> for Deployments {
    fn saw(&mut self, seen: Seen<Deployment>) -> Vec<PlatformUpdate> {
        match seen {
            Seen::Page { items, .. } => match items.first() {
                Some(deployment) => self.there(deployment),
                None => self.not_there(true),
            },
            Seen::Changed(deployment) => self.there(&deployment),
            Seen::Gone(_) => self.not_there(true),
        }
    }
}

fn workload(deployment: &Deployment, track: Track) -> Workload {
    let Deployment { metadata, spec, status } = deployment;
    let image = spec.template.spec.main().map_or("", |container| container.image.as_str());
    let mut workload = Workload {
        track,
        object: format!("deployment/{}", clean_bounded(&metadata.name, 253)),
        uid: metadata.uid.clone(),
        version: version(image),
        image: clean_bounded(image, 300),
        revision: metadata.annotations.revision.as_deref().and_then(|revision| revision.parse().ok()),
        desired: spec.replicas.unwrap_or(1),
        ready: status.ready_replicas,
        updated: status.updated_replicas,
        available: status.available_replicas,
        observed_latest: status.observed_generation >= metadata.generation,
        paused: spec.paused,
        trouble: trouble(deployment),
        rollout: RolloutStatus::Complete,
    };
    let failed = exceeded(deployment);
    workload.rollout = workload.status_of(status.replicas, failed.as_deref());
    workload
}

/// The platform gave up on the rollout: told by the reason alone, whatever the condition's status.
fn exceeded(deployment: &Deployment) -> Option<String> {
    let progressing = deployment.status.conditions.iter().find(|condition| condition.kind == "Progressing")?;
    let over = progressing.reason == "ProgressDeadlineExceeded";
    over.then(|| clean_bounded(&format!("{}: {}", progressing.reason, progressing.message), 300))
}

/// Conditions under which the rollout cannot proceed, in the platform's words.
fn trouble(deployment: &Deployment) -> Option<String> {
    let bad = deployment.status.conditions.iter().find(|condition| match condition.kind.as_str() {
        "Progressing" => condition.reason == "ProgressDeadlineExceeded",
        "ReplicaFailure" => condition.status == "True",
        _ => false,
    })?;
    Some(clean_bounded(&format!("{}: {}", bad.reason, bad.message), 300))
}

/// Follows the namespace's events and passes on those of the service.
pub(super) struct Events {
    /// Knows what is ours.
    pub(super) book: SharedBook,
    /// Events of a list in progress, newest kept.
    pub(super) listed: Vec<PlatformEvent>,
}

/// Most events of a list that are passed on: the newest.
const EVENTS: usize = 200;

impl Follower<Event> for Events {
    fn saw(&mut self, seen: Seen<Event>) -> Vec<PlatformUpdate> {
        let book = open(&self.book);
        let ours = |event: &Event| book.is_ours(&event.involved_object.kind, &event.involved_object.name, &event.involved_object.uid);
        match seen {
            Seen::Page { items, first, last } => {
                if first {
                    self.listed.clear();
                }
                self.listed.extend(items.iter().filter(|event| ours(event)).filter_map(event));
                self.listed.sort_by_key(|event| std::cmp::Reverse(event.at));
                self.listed.truncate(EVENTS);
                if !last {
                    return vec![];
                }
                std::mem::take(&mut self.listed).into_iter().rev().map(PlatformUpdate::Event).collect()
            }
            Seen::Changed(changed) => {
                Some(changed).filter(|it| ours(it)).as_ref().and_then(event).map(PlatformUpdate::Event).into_iter().collect()
            }
            Seen::Gone(_) => vec![],
        }
    }
}

fn event(event: &Event) -> Option<PlatformEvent> {
    let series = event.series.as_ref();
    let last = [series.and_then(|series| series.last_observed_time), event.last_timestamp, event.time, event.first_timestamp];
    let at = last.into_iter().flatten().max().or(event.metadata.creation_timestamp)?;
    let about = &event.involved_object;
    Some(PlatformEvent {
        uid: event.metadata.uid.as_str().into(),
        at,
        warning: event.kind == "Warning",
        about: clean_bounded(&format!("{}/{}", about.kind.to_lowercase(), about.name), 280),
        reason: clean_bounded(&event.reason, 80),
        message: clean_bounded(&event.message, 400),
        count: event.count.max(series.map_or(0, |series| series.count)).max(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(uid: &str, extra: &serde_json::Value) -> Deployment {
        let mut it = json!({
            "metadata": {"name": "checkout-canary", "uid": uid, "generation": 4, "annotations": {"deployment.kubernetes.io/revision": "12"}},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "app", "image": "shop/checkout:v2"}]}}},
            "status": {"observedGeneration": 3, "readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
        });
        for (key, value) in extra.as_object().unwrap() {
            it["status"][key] = value.clone();
        }
        serde_json::from_value(it).unwrap()
    }

    #[test]
    fn an_unseen_change_of_the_specification_is_not_called_done() {
        let it = workload(&deployment("u", &json!({})), Track::Canary);
        assert_eq!((it.desired, it.ready, it.updated, it.available, it.revision), (3, 1, 2, 1, Some(12)));
        assert!(!it.observed_latest);
        assert!(workload(&deployment("u", &json!({"observedGeneration": 4})), Track::Canary).observed_latest);
    }

    #[test]
    fn a_rollout_that_cannot_proceed_says_why() {
        let stuck = json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]});
        assert_eq!(workload(&deployment("u", &stuck), Track::Canary).trouble.unwrap(), "ProgressDeadlineExceeded: timed out");
        let fine = json!({"conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "ok"}]});
        assert_eq!(workload(&deployment("u", &fine), Track::Canary).trouble, None);
    }

    fn book() -> SharedBook {
        let spec = std::sync::Arc::new(crate::adapter::kubernetes::tests::spec());
        std::sync::Arc::new(std::sync::Mutex::new(super::super::pods::Book::new(spec)))
    }

    #[test]
    fn a_deployment_made_anew_replaces_the_old_one() {
        let (scope, _keep) = watch::channel(Scope::default());
        let (ground, grounded) = watch::channel(Ground::default());
        let mut follower = Deployments { track: Track::Canary, scope, ground, known: None, book: book() };
        follower.saw(Seen::Changed(deployment("one", &json!({}))));
        let updates = follower.saw(Seen::Changed(deployment("two", &json!({}))));
        let [PlatformUpdate::WorkloadGone { uid }, PlatformUpdate::Workload(_), PlatformUpdate::Around(_), PlatformUpdate::Around(_)] =
            updates.as_slice()
        else {
            panic!("{updates:?}")
        };
        assert_eq!((uid.as_str(), grounded.borrow().is_there()), ("one", true));
        assert!(matches!(
            follower.saw(Seen::Page { items: vec![], first: true, last: true }).as_slice(),
            [PlatformUpdate::WorkloadGone { .. }]
        ));
        assert!(!grounded.borrow().is_there());
    }
}
