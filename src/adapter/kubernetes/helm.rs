//! Helm's releases, read from the metadata of the Secrets that it keeps them in: numbers and states. What was installed is never asked for.

use super::feed::{Follower, Seen};
use crate::domain::progressive::{Packaged, PackagedRevision, ProgressiveUpdate};
use crate::domain::text::clean_bounded;
use crate::port::platform::PlatformUpdate;
use chrono::DateTime;
use serde_json::Value;
use std::collections::BTreeMap;

/// Label selector of the Secrets that Helm keeps; their names begin with their type.
pub(super) const SELECTOR: &str = "owner=helm";
const TYPE: &str = "sh.helm.release.v1.";
/// Revisions that are kept of a release: Helm itself keeps ten by default.
const REVISIONS: usize = 20;

/// One revision, and whose it is.
type Kept = (String, PackagedRevision);

/// Follows the releases of the namespace and passes on those that bear the service's names.
pub(super) struct Releases {
    /// Names that a release of this service may have.
    pub(super) names: Vec<String>,
    /// Revisions by uid of their Secret.
    pub(super) known: BTreeMap<String, Kept>,
    /// What was told last.
    pub(super) told: Vec<Packaged>,
}

impl Releases {
    fn take(&mut self, secret: &Value) {
        let uid = secret.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
        match revision(secret).filter(|(name, _)| self.names.contains(name)) {
            Some(kept) => drop(self.known.insert(uid, kept)),
            None => drop(self.known.remove(&uid)),
        }
    }

    fn tell(&mut self) -> Vec<PlatformUpdate> {
        let mut all: BTreeMap<&str, Vec<PackagedRevision>> = BTreeMap::new();
        for (name, revision) in self.known.values() {
            all.entry(name).or_default().push(revision.clone());
        }
        let now: Vec<Packaged> = all
            .into_iter()
            .map(|(name, mut revisions)| {
                revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
                revisions.truncate(REVISIONS);
                Packaged { name: name.to_owned(), revisions }
            })
            .collect();
        if now == self.told {
            return vec![];
        }
        self.told.clone_from(&now);
        vec![PlatformUpdate::Progressive(ProgressiveUpdate::Packaged(now))]
    }
}

impl Follower<Value> for Releases {
    fn saw(&mut self, seen: Seen<Value>) -> Vec<PlatformUpdate> {
        match seen {
            Seen::Page { items, first, last } => {
                if first {
                    self.known.clear();
                }
                for secret in &items {
                    self.take(secret);
                }
                if !last {
                    return vec![];
                }
            }
            Seen::Changed(secret) => self.take(&secret),
            Seen::Gone(secret) => {
                self.known.remove(secret.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default());
            }
        }
        self.tell()
    }
}

/// A Secret's revision by its labels `name`, `version`, `status` and `modifiedAt` (seconds since 1970).
fn revision(secret: &Value) -> Option<Kept> {
    let label = |key: &str| secret.pointer("/metadata/labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
    let name = secret.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    (label("owner")? == "helm" && name.starts_with(TYPE)).then_some(())?;
    let modified = label("modifiedAt").and_then(|at| at.parse().ok()).and_then(|at| DateTime::from_timestamp(at, 0));
    let created = secret.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    let created = created.and_then(|at| DateTime::parse_from_rfc3339(at).ok()).map(|at| at.to_utc());
    let revision = PackagedRevision {
        number: label("version")?.parse().ok()?,
        status: clean_bounded(label("status").unwrap_or("unknown"), 40),
        at: modified.or(created),
    };
    Some((clean_bounded(label("name")?, 253), revision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(name: &str, version: &str, status: &str) -> Value {
        json!({"metadata": {"name": format!("sh.helm.release.v1.{name}.v{version}"), "uid": format!("{name}{version}"),
            "creationTimestamp": "2026-03-14T03:00:00Z",
            "labels": {"owner": "helm", "name": name, "version": version, "status": status, "modifiedAt": "1773457200"}}})
    }

    #[test]
    fn the_history_of_our_release_is_told_newest_first() {
        let mut it = Releases { names: vec!["checkout".into()], known: BTreeMap::new(), told: vec![] };
        let items = vec![secret("checkout", "9", "superseded"), secret("checkout", "10", "deployed"), secret("cart", "3", "deployed")];
        let told = it.saw(Seen::Page { items, first: true, last: true });
        let [PlatformUpdate::Progressive(ProgressiveUpdate::Packaged(all))] = told.as_slice() else { panic!("{told:?}") };
        let numbers: Vec<u64> = all[0].revisions.iter().map(|revision| revision.number).collect();
        assert_eq!((all.len(), numbers, all[0].deployed().unwrap().number), (1, vec![10, 9], 10));
        let told = it.saw(Seen::Changed(secret("checkout", "11", "pending-rollback")));
        let [PlatformUpdate::Progressive(ProgressiveUpdate::Packaged(all))] = told.as_slice() else { panic!("{told:?}") };
        assert!(all[0].is_pending(), "somebody's change is under way");
        assert!(it.saw(Seen::Changed(secret("cart", "4", "deployed"))).is_empty(), "of another release");
    }
}
