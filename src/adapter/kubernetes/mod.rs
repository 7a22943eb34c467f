//! Kubernetes with traffic split by an Istio VirtualService: two Deployments, their pods, one http rule.
//!
//! What leaves this module was cleaned and bounded. Reading may log in anew and ask again; a write is sent once, conditional on
//! every field it relies on, and what came of it is said as certainly as it can be known.

mod access;
mod act;
mod answer;
mod argo;
mod around;
mod by_hand;
mod census;
mod deployment;
mod feed;
mod flagger;
mod gateway;
mod helm;
mod ingress;
mod keepers;
mod kubeconfig;
mod life;
mod link;
mod login;
mod logs;
mod mechanism;
mod mesh;
mod objects;
mod page;
mod patch;
mod pods;
mod proxy;
mod revisions;
mod rolling;
pub mod sample;
mod scope;
mod selector;
mod split;
mod watch;
mod workloads;
mod xray;

pub use access::Identity;
pub use kubeconfig::ConnectError;

use crate::domain::{Accepted, Action, ActionKind, ActionPlan, Clock, Failure, Preflight, Route, ServiceSpec, SourceId, Subject, Write};
use crate::port::platform::{Platform, PlatformUpdate, Right};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use kubeconfig::Place;
use link::{Link, Writer};
use mechanism::Look;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How to reach a cluster, and for which service.
#[derive(Clone)]
pub struct Settings {
    /// Context of the kubeconfig; its current one when absent.
    pub context: Option<String>,
    /// This kubeconfig alone, instead of those that KUBECONFIG names.
    pub kubeconfig: Option<PathBuf>,
    /// How long an ordinary request may take.
    pub timeout: Duration,
    /// The service.
    pub spec: ServiceSpec,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// False: nothing is there that could write, and no dry run is asked for.
    pub writes: bool,
}

/// A cluster, scoped to one service.
pub struct Kubernetes {
    core: Arc<Core>,
    writer: Option<Writer>,
}

/// What all parts share.
struct Core {
    link: Arc<Link>,
    spec: Arc<ServiceSpec>,
    place: Place,
    /// Which version of an API group the cluster serves, where it is not the preferred one.
    served: tokio::sync::watch::Sender<BTreeMap<&'static str, &'static str>>,
    /// What was read last of each object: for commands by hand.
    last: Mutex<BTreeMap<String, Look>>,
}

impl Core {
    fn remember(&self, look: &Look) {
        if !look.change.tests.is_empty() {
            self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(look.subject.object.clone(), look.clone());
        }
    }

    /// What was read last of an object, unless it is another one or another rule than the one asked about.
    fn remembered(&self, object: &str, like: Option<&Subject>) -> Option<Look> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).get(object).cloned()?;
        let same = |like: &Subject| like.uid == last.subject.uid && like.fields.get("rule") == last.subject.fields.get("rule");
        like.is_none_or(same).then_some(last)
    }
}

/// Reads the kubeconfig and makes ready. The server need not be up, and nobody is logged in yet.
pub async fn connect(settings: Settings) -> Result<Kubernetes, ConnectError> {
    let Settings { context, kubeconfig, timeout, spec, clock, writes } = settings;
    let place = Place { context, file: kubeconfig };
    let link = Arc::new(Link::open(place.clone(), timeout, clock).await?);
    let writer = writes.then(|| Writer::new(Arc::clone(&link)));
    let (served, _) = tokio::sync::watch::channel(BTreeMap::new());
    Ok(Kubernetes { core: Arc::new(Core { link, spec: Arc::new(spec), place, served, last: Mutex::new(BTreeMap::new()) }), writer })
}

impl Kubernetes {
    /// Who the API server takes us for.
    pub async fn who(&self) -> Result<Identity, Failure> {
        access::who(&self.core.link).await
    }

    /// The server's version, such as `v1.33.2`.
    pub async fn server_version(&self) -> Result<String, Failure> {
        access::server_version(&self.core.link).await
    }
}

impl Platform for Kubernetes {
    fn source(&self) -> SourceId {
        self.core.spec.platform.clone()
    }

    fn capabilities(&self) -> Vec<ActionKind> {
        if self.writer.is_some() { self.core.capabilities() } else { vec![] }
    }

    fn watch(&self) -> BoxStream<'static, PlatformUpdate> {
        watch::stream(Arc::clone(&self.core))
    }

    fn read_route(&self) -> BoxFuture<'_, Result<Option<Route>, Failure>> {
        async { self.core.read_now().await.map(|(look, _)| look.subject.route.map(|route| *route)).map_err(Failure::from) }.boxed()
    }

    fn read(&self, action: &Action) -> BoxFuture<'_, Result<Subject, Failure>> {
        let action = action.clone();
        async move { self.core.read_subject(&action).await }.boxed()
    }

    fn plan(&self, action: Action) -> BoxFuture<'_, Result<ActionPlan, Failure>> {
        self.core.plan(action, self.writer.as_ref()).boxed()
    }

    fn send(&self, write: Write) -> BoxFuture<'_, Result<Accepted, Failure>> {
        async move {
            match &self.writer {
                Some(writer) => self.core.send(&write, writer).await,
                None => Err(Failure::NotSent { why: "this cockpit only reads".to_owned() }),
            }
        }
        .boxed()
    }

    fn may(&self, right: Right) -> BoxFuture<'_, Result<Preflight, Failure>> {
        access::may(&self.core, right).boxed()
    }

    fn by_hand(&self, action: &Action, last_known: Option<&Subject>) -> Vec<String> {
        by_hand::commands(&self.core, action, last_known)
    }
}

#[cfg(test)]
mod tests;
