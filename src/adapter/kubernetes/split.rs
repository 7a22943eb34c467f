//! Which mechanism moves the service's traffic, with what else it has to read before it may.

use super::Core;
use super::answer::Problem;
use super::feed::{PAGE, page};
use super::gateway::Gateway;
use super::ingress::{Canary, Neighbours};
use super::link::{Ask, JSON, PAGE_LIMIT, query};
use super::mechanism::Mechanism;
use super::mesh::Mesh;
use super::objects::Pod;
use super::selector::{Count, Survey, Switch, current, sides, with, written};
use crate::domain::{Failure, RouteSpec};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashSet;

/// Most pages of a list that is read for one question.
const PAGES: usize = 40;

/// An EndpointSlice, as far as it is counted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Slice {
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    conditions: Option<Conditions>,
    target_ref: Option<Target>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Target {
    uid: String,
}

impl Core {
    /// What tells how traffic is split, from its own object alone. `None` where nothing splits it.
    pub(super) fn splitter(&self) -> Option<Box<dyn Mechanism>> {
        Some(match &self.spec.route {
            RouteSpec::VirtualService { name, .. } => Box::new(Mesh::new(self, name)),
            RouteSpec::HttpRoute { name, .. } => Box::new(Gateway::new(self, name)),
            RouteSpec::Ingress { name } => Box::new(Canary::new(self, name, Neighbours::Unread)),
            RouteSpec::Selector { service, .. } => Box::new(Switch::new(self, service, Survey::default())),
            RouteSpec::Rollout { .. } | RouteSpec::Rolling => return None,
        })
    }

    /// What changes the split, with what has to be known before that.
    pub(super) async fn shifter(&self) -> Result<Option<Box<dyn Mechanism>>, Problem> {
        Ok(match &self.spec.route {
            RouteSpec::Ingress { name } => Some(Box::new(Canary::new(self, name, self.neighbours().await))),
            RouteSpec::Selector { service, .. } => Some(Box::new(Switch::new(self, service, self.survey(service).await?))),
            _ => self.splitter(),
        })
    }

    async fn neighbours(&self) -> Neighbours {
        let collection = format!("/apis/networking.k8s.io/v1/namespaces/{}/ingresses", self.spec.namespace);
        let mut all = Vec::new();
        let read = self.each::<Value>("list ingresses", &collection, None, &mut |object| all.push(object)).await;
        match read {
            Ok(()) => Neighbours::Read(all),
            Err(problem) => Neighbours::Failed(problem.failure.to_string()),
        }
    }

    /// Both sides of a Service, and what stands behind it.
    async fn survey(&self, service: &str) -> Result<Survey, Problem> {
        let Some((canary, baseline)) = sides(&self.spec) else { return Ok(Survey::default()) };
        let place = Switch::new(self, service, Survey::default());
        let what = format!("read {}", place.place().words());
        let object: Value = self.link.ask(&Ask::object(what.clone(), place.place().path(None))).await?.json(&what)?;
        let selector = current(&object);
        let mut uids = [HashSet::new(), HashSet::new()];
        let mut counts = Vec::new();
        for (labels, uids) in [canary, baseline].into_iter().zip(&mut uids) {
            counts.push(self.picked(&written(&with(&selector, labels)), uids).await.map_err(|problem| problem.failure.to_string()));
        }
        let endpoints = self.endpoints(service, &uids).await.ok();
        let mut counts = counts.into_iter();
        Ok(Survey { canary: counts.next(), baseline: counts.next(), endpoints })
    }

    /// Pods that a selector picks.
    async fn picked(&self, selector: &str, uids: &mut HashSet<String>) -> Result<Count, Problem> {
        let collection = format!("/api/v1/namespaces/{}/pods", self.spec.namespace);
        let mut count = Count::default();
        let mut take = |pod: Pod| {
            count.all += 1;
            count.ready += usize::from(pod.is_ready());
            uids.insert(pod.metadata.uid);
        };
        self.each::<Pod>("list pods", &collection, Some(selector), &mut take).await?;
        Ok(count)
    }

    /// Ready endpoints of a Service: of the canary, of the baseline, of neither.
    async fn endpoints(&self, service: &str, uids: &[HashSet<String>; 2]) -> Result<[usize; 3], Problem> {
        let collection = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", self.spec.namespace);
        let selector = format!("kubernetes.io/service-name={service}");
        let mut count = [0; 3];
        let mut take = |slice: Slice| {
            for endpoint in slice.endpoints.unwrap_or_default() {
                // No word about it means ready.
                if !endpoint.conditions.and_then(|conditions| conditions.ready).unwrap_or(true) {
                    continue;
                }
                let uid = endpoint.target_ref.unwrap_or_default().uid;
                count[uids.iter().position(|side| side.contains(&uid)).unwrap_or(2)] += 1;
            }
        };
        self.each::<Slice>("list endpointslices", &collection, Some(&selector), &mut take).await?;
        Ok(count)
    }

    /// Every object of a list, page by page.
    pub(super) async fn each<T: DeserializeOwned>(
        &self,
        what: &str,
        collection: &str,
        labels: Option<&str>,
        take: &mut (dyn FnMut(T) + Send),
    ) -> Result<(), Problem> {
        let limit = PAGE.to_string();
        let mut next: Option<String> = None;
        for _ in 0..PAGES {
            let mut pairs = vec![("limit", limit.as_str())];
            pairs.extend(labels.map(|labels| ("labelSelector", labels)));
            pairs.extend(next.as_deref().map(|token| ("continue", token)));
            let path = format!("{collection}{}", query(&pairs));
            let ask = Ask { what: what.to_owned(), path, post: None, limit: PAGE_LIMIT, accept: JSON };
            let page = page::<T>(&self.link, &ask).await?;
            next = page.metadata.next.filter(|token| !token.is_empty());
            page.items.into_iter().flatten().for_each(&mut *take);
            if next.is_none() {
                return Ok(());
            }
        }
        Err(Failure::Unreadable { why: format!("{what}: the list has more than {PAGES} pages; gave up reading it") }.into())
    }
}
