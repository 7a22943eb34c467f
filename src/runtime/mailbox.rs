//! The platform's changes, coalesced: fifty changes a second among ten thousand pods are one message a frame.

use crate::domain::PlatformUpdate;
use crate::domain::around::AroundUpdate;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Keeps the newest change of every object, in the order in which the objects first changed.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    inner: Mutex<Inner>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<PlatformUpdate>,
    place: HashMap<Key, usize>,
}

impl Mailbox {
    pub(super) fn put(&self, update: PlatformUpdate) {
        {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.put(update);
        }
        self.filled.notify_one();
    }

    pub(super) fn take(&self) -> Vec<PlatformUpdate> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.place.clear();
        std::mem::take(&mut inner.waiting)
    }

    /// Ready when something waits.
    pub(super) async fn filled(&self) {
        loop {
            let notified = self.filled.notified();
            if !self.inner.lock().unwrap_or_else(PoisonError::into_inner).waiting.is_empty() {
                return;
            }
            notified.await;
        }
    }
}

impl Inner {
    fn put(&mut self, update: PlatformUpdate) {
        if matches!(update, PlatformUpdate::Instances(_)) {
            // A complete list replaces what was said about single instances before.
            self.waiting.retain(|u| {
                !matches!(
                    u,
                    PlatformUpdate::Instances(_)
                        | PlatformUpdate::SomeInstances(_)
                        | PlatformUpdate::Instance(_)
                        | PlatformUpdate::InstanceGone { .. }
                )
            });
            self.place = self.waiting.iter().enumerate().filter_map(|(i, u)| Some((key(u)?, i))).collect();
            self.waiting.push(update);
            return;
        }
        match key(&update) {
            Some(key) => match self.place.get(&key) {
                Some(&at) => self.waiting[at] = update,
                None => {
                    self.place.insert(key, self.waiting.len());
                    self.waiting.push(update);
                }
            },
            None => self.waiting.push(update),
        }
    }
}

/// What an update is about.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Instance(Arc<str>),
    Workload(String),
    Event(Arc<str>),
    /// An object beside the workload.
    Near(String),
    /// There is only one of it.
    Only(&'static str),
}

/// What replaces what. Trouble and lists are never merged.
fn key(update: &PlatformUpdate) -> Option<Key> {
    Some(match update {
        PlatformUpdate::Instance(instance) => Key::Instance(Arc::clone(&instance.uid)),
        PlatformUpdate::InstanceGone { uid } => Key::Instance(Arc::clone(uid)),
        PlatformUpdate::Workload(workload) => Key::Workload(workload.uid.clone()),
        PlatformUpdate::WorkloadGone { uid } => Key::Workload(uid.clone()),
        PlatformUpdate::Event(event) => Key::Event(event.uid.clone()),
        PlatformUpdate::Around(AroundUpdate::Near(near)) => {
            let (kind, name) = near.key();
            Key::Near(format!("{kind}/{name}"))
        }
        PlatformUpdate::Around(AroundUpdate::Gone((kind, name))) => Key::Near(format!("{kind}/{name}")),
        PlatformUpdate::Around(AroundUpdate::Usage { .. }) => Key::Only("usage"),
        PlatformUpdate::Around(_) => return None,
        PlatformUpdate::Route(_) => Key::Only("route"),
        PlatformUpdate::Xray(_) => Key::Only("xray"),
        PlatformUpdate::Alive { .. } => Key::Only("alive"),
        PlatformUpdate::Progressive(update) => Key::Only(update.latest_only()?),
        PlatformUpdate::Instances(_) | PlatformUpdate::SomeInstances(_) | PlatformUpdate::Trouble { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Instance, InstanceState, Track};
    use chrono::DateTime;

    fn instance(uid: &str, restarts: u32) -> Instance {
        Instance {
            uid: uid.into(),
            name: uid.into(),
            track: Track::Canary,
            version: "v".into(),
            state: InstanceState::Ready,
            reason: None,
            restarts,
            last_exit: None,
            node: None,
            created: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn only_the_newest_change_of_an_object_waits_and_a_deletion_wins() {
        let mailbox = Mailbox::default();
        mailbox.put(PlatformUpdate::Instance(instance("a", 1)));
        mailbox.put(PlatformUpdate::Instance(instance("b", 0)));
        mailbox.put(PlatformUpdate::Instance(instance("a", 2)));
        mailbox.put(PlatformUpdate::InstanceGone { uid: "b".into() });
        let expected = vec![PlatformUpdate::Instance(instance("a", 2)), PlatformUpdate::InstanceGone { uid: "b".into() }];
        assert_eq!(mailbox.take(), expected);
        assert_eq!(mailbox.take(), vec![]);
    }

    #[test]
    fn a_complete_list_replaces_single_changes_but_not_other_objects() {
        let mailbox = Mailbox::default();
        mailbox.put(PlatformUpdate::SomeInstances(vec![instance("b", 0)]));
        mailbox.put(PlatformUpdate::Instance(instance("a", 1)));
        mailbox.put(PlatformUpdate::Route(None));
        mailbox.put(PlatformUpdate::Instances(vec![]));
        mailbox.put(PlatformUpdate::Instance(instance("c", 0)));
        mailbox.put(PlatformUpdate::Route(None));
        let expected = vec![PlatformUpdate::Route(None), PlatformUpdate::Instances(vec![]), PlatformUpdate::Instance(instance("c", 0))];
        assert_eq!(mailbox.take(), expected);
    }
}
