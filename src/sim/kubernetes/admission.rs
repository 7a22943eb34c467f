//! Admission webhooks, as annotations of a Namespace: one that denies, one that changes what was sent.
//!
//! * `sim.gonogo.dev/deny: "<verb> <resource> <message>"`, the verb `create`, `update` (patches too), `delete` or `*`;
//! * `sim.gonogo.dev/mutate: "<resource> <merge patch>"`, worked into every object that is created or updated.
//!
//! A resource is named as rules of webhooks name it (`deployments`, `deployments/scale`, `*`). Several rules stand on lines of their own.

use super::cluster::{Cluster, text};
use super::resources::Kind;
use super::status::Status;
use super::store::key;
use super::write::{Verb, Write};
use serde_json::Value;

/// Names that the webhooks go by.
const POLICY: &str = "policy.sim.gonogo.dev";
const INJECTOR: &str = "injector.sim.gonogo.dev";

/// What a rule calls the verb of a write.
fn operation(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "create",
        Verb::Delete => "delete",
        _ => "update",
    }
}

fn matches(rule: &str, is: &str) -> bool {
    rule == "*" || rule == is
}

/// How a rule names what a write is about.
fn resource(write: &Write<'_>) -> String {
    let plural = write.resource().plural;
    write.target.subresource.as_deref().map_or_else(|| plural.to_owned(), |sub| format!("{plural}/{sub}"))
}

impl Cluster {
    fn rules(&self, namespace: &str, annotation: &str) -> Vec<String> {
        let Some(namespace) = self.store.get(Kind::Namespace, &key("", namespace)) else { return Vec::new() };
        let value = namespace.value();
        text(&value["metadata"]["annotations"][annotation]).lines().map(|line| line.trim().to_owned()).collect()
    }

    /// The words of the webhook that denies this, if one does.
    pub(crate) fn denial(&self, namespace: &str, operation: &str, resource: &str) -> Option<String> {
        self.rules(namespace, "sim.gonogo.dev/deny").iter().find_map(|rule| {
            let mut words = rule.splitn(3, ' ');
            let denied = matches(words.next()?, operation) && matches(words.next()?, resource);
            denied.then(|| format!("admission webhook \"{POLICY}\" denied the request: {}", words.next().unwrap_or("not allowed")))
        })
    }

    /// Asks the webhook that denies.
    pub(crate) fn check_admission(&self, write: &Write<'_>) -> Result<(), Status> {
        let Some(namespace) = write.target.namespace.as_deref() else { return Ok(()) };
        match self.denial(namespace, operation(write.verb), &resource(write)) {
            Some(why) => Err(Status::denied(why)),
            None => Ok(()),
        }
    }

    /// Lets the webhook that changes objects work on one.
    pub(crate) fn mutate(&self, write: &Write<'_>, object: &mut Value) -> Result<(), Status> {
        let Some(namespace) = write.target.namespace.as_deref() else { return Ok(()) };
        for rule in self.rules(namespace, "sim.gonogo.dev/mutate") {
            let Some((wanted, patch)) = rule.split_once(' ').filter(|(wanted, _)| matches(wanted, &resource(write))) else { continue };
            let patch: Value = serde_json::from_str(patch)
                .map_err(|e| Status::internal(format!("failed calling webhook \"{INJECTOR}\": rule for {wanted}: {e}")))?;
            json_patch::merge(object, &patch);
        }
        Ok(())
    }
}
