//! The platform's changes, coalesced: fifty changes a second among ten thousand pods are one message a frame.

use crate::domain::PlatformUpdate;
use crate::domain::around::AroundUpdate;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
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
    place: HashMap<String, usize>,
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
            self.waiting
                .retain(|u| !matches!(u, PlatformUpdate::Instances(_) | PlatformUpdate::Instance(_) | PlatformUpdate::InstanceGone { .. }));
            self.place.clear();
            let places: Vec<(usize, String)> = self.waiting.iter().enumerate().filter_map(|(i, u)| Some((i, key(u)?))).collect();
            self.place.extend(places.into_iter().map(|(i, k)| (k, i)));
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

/// What replaces what. Trouble and lists are never merged.
fn key(update: &PlatformUpdate) -> Option<String> {
    Some(match update {
        PlatformUpdate::Instance(instance) => format!("i/{}", instance.uid),
        PlatformUpdate::InstanceGone { uid } => format!("i/{uid}"),
        PlatformUpdate::Workload(workload) => format!("w/{}", workload.uid),
        PlatformUpdate::WorkloadGone { uid } => format!("w/{uid}"),
        PlatformUpdate::Route(_) => "route".into(),
        PlatformUpdate::Xray(_) => "xray".into(),
        PlatformUpdate::Event(event) => format!("e/{}", event.uid),
        PlatformUpdate::Around(AroundUpdate::Near(near)) => {
            let (kind, name) = near.key();
            format!("a/{kind}/{name}")
        }
        PlatformUpdate::Around(AroundUpdate::Gone((kind, name))) => format!("a/{kind}/{name}"),
        PlatformUpdate::Around(AroundUpdate::Usage { .. }) => "usage".into(),
        PlatformUpdate::Alive { .. } => "alive".into(),
        PlatformUpdate::Progressive(update) => update.latest_only()?.into(),
        PlatformUpdate::Instances(_) | PlatformUpdate::Trouble { .. } | PlatformUpdate::Around(_) => return None,
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
        mailbox.put(PlatformUpdate::Instance(instance("a", 1)));
        mailbox.put(PlatformUpdate::Route(None));
        mailbox.put(PlatformUpdate::Instances(vec![]));
        mailbox.put(PlatformUpdate::Instance(instance("c", 0)));
        mailbox.put(PlatformUpdate::Route(None));
        let expected = vec![PlatformUpdate::Route(None), PlatformUpdate::Instances(vec![]), PlatformUpdate::Instance(instance("c", 0))];
        assert_eq!(mailbox.take(), expected);
    }
}
