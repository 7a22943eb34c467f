//! ResourceQuotas: what a namespace may have, and what it uses.

use super::cluster::{Cluster, Job, text};
use super::pods::Usage;
use super::quantity::{bytes_text, milli, milli_text, whole};
use super::resources::Kind;
use super::scheduler::Needs;
use super::store::Key;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One resource that a quota can limit: its names, how much one Pod takes, and how it is written.
struct Limited {
    names: &'static [&'static str],
    of: fn(&Usage) -> u64,
    parse: fn(&Value) -> u64,
    write: fn(u64) -> String,
}

const LIMITED: &[Limited] = &[
    Limited { names: &["pods", "count/pods"], of: |u| u.pods, parse: whole, write: |n| n.to_string() },
    Limited { names: &["requests.cpu", "cpu"], of: |u| u.needs.cpu, parse: milli, write: milli_text },
    Limited { names: &["requests.memory", "memory"], of: |u| u.needs.memory, parse: whole, write: bytes_text },
    Limited { names: &["limits.cpu"], of: |u| u.needs.cpu_limit, parse: milli, write: milli_text },
    Limited { names: &["limits.memory"], of: |u| u.needs.memory_limit, parse: whole, write: bytes_text },
];

fn limited(name: &str) -> Option<&'static Limited> {
    LIMITED.iter().find(|l| l.names.contains(&name))
}

impl Cluster {
    /// Reads the quotas again after one changed.
    pub(crate) fn learn_quotas(&mut self) {
        let objects = self.store.objects(Kind::ResourceQuota);
        self.quotas = BTreeMap::new();
        for (at, object) in objects.iter() {
            let hard = object.value()["spec"]["hard"].clone();
            self.quotas.entry(Arc::clone(&at.0)).or_default().push((at.clone(), hard));
        }
        let namespaces: Vec<Arc<str>> = self.quotas.keys().cloned().collect();
        for namespace in namespaces {
            self.enqueue_quotas(&namespace);
        }
    }

    /// Asks for the quotas' status of a namespace to be written soon.
    pub(crate) fn enqueue_quotas(&mut self, namespace: &Arc<str>) {
        if self.quotas.contains_key(namespace) && self.stale_quotas.insert(Arc::clone(namespace)) {
            self.plan(300, Job::Quotas(Arc::clone(namespace)));
        }
    }

    /// Writes what a namespace uses, and lets those try again who had no room.
    pub(crate) fn report_quotas(&mut self, namespace: &Arc<str>) {
        self.stale_quotas.remove(namespace);
        let usage = self.usage.get(namespace).copied().unwrap_or_default();
        let quotas = self.quotas.get(namespace).cloned().unwrap_or_default();
        for (at, hard) in quotas {
            let used: serde_json::Map<String, Value> = hard
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| (name.clone(), json!(limited(name).map_or_else(|| "0".to_owned(), |l| (l.write)((l.of)(&usage))))))
                .collect();
            self.update(Kind::ResourceQuota, &at, |quota| quota["status"] = json!({ "hard": hard, "used": used }));
        }
        let waiting: Vec<Key> =
            self.sets.values().filter(|set| set.failure.is_some() && set.at.0 == *namespace).map(|set| set.at.clone()).collect();
        for set in waiting {
            self.enqueue_set(set);
        }
    }

    /// Whether a namespace has room for one more Pod; else the words of the refusal.
    pub(crate) fn quota_allows(&self, namespace: &str, pod: &str, spec: &Value) -> Result<(), String> {
        let Some(quotas) = self.quotas.get(namespace) else { return Ok(()) };
        let usage = self.usage.get(namespace).copied().unwrap_or_default();
        let one = Usage { pods: 1, needs: Needs::of(spec) };
        for (at, hard) in quotas {
            let (mut requested, mut used, mut most) = (Vec::new(), Vec::new(), Vec::new());
            let mut unsaid = Vec::new();
            for (name, hard) in hard.as_object().into_iter().flatten() {
                let Some(limit) = limited(name) else { continue };
                let (asks, has) = ((limit.of)(&one), (limit.of)(&usage));
                if asks == 0 && !name.contains("pods") {
                    unsaid.push(name.as_str());
                }
                if has + asks > (limit.parse)(hard) {
                    requested.push(format!("{name}={}", (limit.write)(asks)));
                    used.push(format!("{name}={}", (limit.write)(has)));
                    most.push(format!("{name}={}", if hard.is_string() { text(hard).to_owned() } else { hard.to_string() }));
                }
            }
            if !unsaid.is_empty() {
                let container = text(&spec["containers"][0]["name"]);
                let unsaid = unsaid.iter().map(|name| format!("{name} for: {container}")).collect::<Vec<_>>().join("; ");
                return Err(format!("pods \"{pod}\" is forbidden: failed quota: {}: must specify {unsaid}", at.1));
            }
            if !requested.is_empty() {
                return Err(format!(
                    "pods \"{pod}\" is forbidden: exceeded quota: {}, requested: {}, used: {}, limited: {}",
                    at.1,
                    requested.join(","),
                    used.join(","),
                    most.join(",")
                ));
            }
        }
        Ok(())
    }
}
