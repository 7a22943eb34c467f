//! Which container of a pod is the service.

use super::super::link::{Ask, Link};
use super::Stop;
use crate::domain::log::LogSource;
use crate::domain::text::clean_bounded;
use crate::domain::{Failure, Refusal};
use serde::Deserialize;
use std::sync::Arc;

/// The pod's own word for its main container, as kubectl takes it.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";
/// The mesh's proxy.
const PROXY: &str = "istio-proxy";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pod {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    uid: String,
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
}

/// The container whose lines are read. Without the right to read the pod itself the server chooses: empty.
pub(super) async fn choose(link: &Link, namespace: &str, source: &LogSource) -> Result<Arc<str>, Stop> {
    let what = format!("read pod {}", source.name);
    let ask = Ask::object(what.clone(), format!("/api/v1/namespaces/{namespace}/pods/{}", source.name));
    let reply = match link.ask(&ask).await {
        Ok(reply) => reply,
        Err(problem) if matches!(problem.failure, Failure::Refused { reason: Refusal::Right, .. }) => return Ok(Arc::from("")),
        Err(problem) => return Err(problem.into()),
    };
    let pod: Pod = reply.json(&what)?;
    // Another pod under the same name is another instance.
    if *pod.metadata.uid != *source.uid {
        return Err(Stop::Gone);
    }
    Ok(clean_bounded(main(&pod), 253).into())
}

fn main(pod: &Pod) -> &str {
    let names = || pod.spec.containers.iter().map(|container| container.name.as_str());
    let said = pod.metadata.annotations.as_ref().and_then(|notes| notes.get(DEFAULT));
    let said = said.and_then(|said| names().find(|name| name == said));
    said.or_else(|| names().find(|name| *name != PROXY)).or_else(|| names().next()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pods_own_word_counts_then_the_first_that_is_no_proxy() {
        let pod = |note: &str| -> Pod {
            serde_json::from_value(serde_json::json!({
                "metadata": { "uid": "u", "annotations": { DEFAULT: note } },
                "spec": { "containers": [{ "name": PROXY }, { "name": "app" }, { "name": "web" }] },
            }))
            .unwrap()
        };
        assert_eq!((main(&pod("web")), main(&pod("gone")), main(&Pod::default())), ("web", "app", ""));
    }
}
