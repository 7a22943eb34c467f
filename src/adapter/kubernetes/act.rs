//! Reading the route past every cache, working an action out, and sending the one conditional write.

use super::Core;
use super::access;
use super::answer::{Problem, Reply};
use super::link::{Ask, Writer, query};
use super::patch::{self, Stamps};
use super::route::{self, MANAGER, Reading};
use crate::domain::text::clean_bounded;
use crate::domain::{Accepted, Action, ActionPlan, Epoch, Failure, OpId, Preflight, Refusal, Relied, Route, RunId, Write, WriteKind};
use serde::Deserialize;
use serde_json::Value;

/// Versions of Istio's API, the preferred first.
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha3"];

#[derive(Deserialize)]
struct Group {
    versions: Vec<Served>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Served {
    version: String,
}

impl Core {
    /// Path of the namespace's VirtualServices, in the version that the cluster serves as far as is known.
    pub(super) fn routes_path(&self) -> String {
        let version = VERSIONS[*self.mesh.borrow()];
        format!("/apis/networking.istio.io/{version}/namespaces/{}/virtualservices", self.spec.namespace)
    }

    fn route_path(&self) -> String {
        format!("{}/{}", self.routes_path(), self.spec.route.virtualservice)
    }

    fn route_name(&self) -> String {
        format!("virtualservice {} in {}", self.spec.route.virtualservice, self.spec.namespace)
    }

    /// Reads the VirtualService from the store behind the API server. The reply tells the server's clock.
    pub(super) async fn read_now(&self) -> Result<(Reading, Reply), Problem> {
        let what = format!("read {}", self.route_name());
        let mut reply = self.link.ask(&Ask::object(what.clone(), self.route_path())).await;
        if reply.as_ref().is_err_and(|problem| problem.no_such_path) && self.find_version().await? {
            reply = self.link.ask(&Ask::object(what.clone(), self.route_path())).await;
        }
        let reply = reply?;
        let object: Value = reply.json(&what)?;
        let reading = self.reading(&what, object)?;
        self.remember(&reading);
        Ok((reading, reply))
    }

    /// Looks for another version of Istio's API. Whether there is one that was not tried.
    async fn find_version(&self) -> Result<bool, Problem> {
        let what = "look for networking.istio.io".to_owned();
        let found = self.link.ask(&Ask::object(what.clone(), "/apis/networking.istio.io".to_owned())).await;
        let reply = found.map_err(|mut problem| {
            if let Failure::Refused { reason: Refusal::Missing, why, .. } = &mut problem.failure {
                "this cluster has no networking.istio.io API: is Istio installed, and is this the right context?".clone_into(why);
            }
            problem
        })?;
        let group: Group = reply.json(&what)?;
        let served = VERSIONS.iter().position(|version| group.versions.iter().any(|served| served.version == *version));
        let Some(served) = served else { return Ok(false) };
        Ok(self.mesh.send_if_modified(|current| std::mem::replace(current, served) != served))
    }

    fn reading(&self, what: &str, object: Value) -> Result<Reading, Failure> {
        if object.get("kind").and_then(Value::as_str) != Some("VirtualService") {
            return Err(Failure::Unreadable { why: format!("{what}: the answer is not a VirtualService") });
        }
        Ok(route::read(object, &self.spec))
    }

    /// Works an action out. Without a writer the platform is not asked for a dry run.
    pub(super) async fn plan(&self, action: Action, writer: Option<&Writer>) -> Result<ActionPlan, Failure> {
        let (reading, _) = self.read_now().await.map_err(Failure::from)?;
        let before = reading.route.clone();
        // The stamps of the dry run stand for those of the act, which are not known yet.
        let (run, op) = (RunId::from("dry-run"), OpId::from("dry-run"));
        let epoch = before.stamp.as_ref().map_or(Epoch(0), |stamp| stamp.epoch);
        let body = patch::build(&reading, Some(&action), &Stamps { act: Some((&run, &op)), epoch });
        let (canary, baseline) = patch::weights(&reading, &action);
        let request = format!("PATCH {}?fieldManager={MANAGER}\n{}", self.route_path(), patch::shown(&body));
        let mut diff = patch::weight_lines(&reading, canary, baseline);
        let right = access::patch_route(self);
        let access =
            async { access::review(self, &right).await.unwrap_or_else(|failure| Preflight::NotAsked { why: failure.to_string() }) };
        let unable = match (&before.trouble, writer) {
            (Some(why), _) => Some(Preflight::Refused { why: why.clone() }),
            (None, None) => Some(Preflight::NotAsked { why: "read-only: nothing that could write is sent, a dry run neither".to_owned() }),
            (None, Some(_)) if diff.is_empty() => Some(Preflight::NotAsked { why: "the weights are already so".to_owned() }),
            _ => None,
        };
        let (dry_run, access) = match (unable, writer) {
            (Some(answer), _) => (answer, access.await),
            (None, Some(writer)) => tokio::join!(self.dry_run(&reading, &body, (canary, baseline), writer, &mut diff), access),
            (None, None) => (Preflight::NotAsked { why: "read-only".to_owned() }, access.await),
        };
        if before.trouble.is_some() {
            diff.clear();
        }
        Ok(ActionPlan { action, before, diff, dry_run, access, request })
    }

    async fn dry_run(
        &self,
        reading: &Reading,
        body: &Value,
        wanted: (u32, u32),
        writer: &Writer,
        diff: &mut Vec<crate::domain::DiffLine>,
    ) -> Preflight {
        let what = format!("dry run on {}", self.route_name());
        let path = format!("{}{}", self.route_path(), query(&[("dryRun", "All"), ("fieldManager", MANAGER)]));
        let answer = writer.patch(&what, &path, body, self.link.timeout()).await.map_err(Failure::from);
        let object = match answer.and_then(|reply| reply.json::<Value>(&what)).and_then(|object| self.reading(&what, object)) {
            Ok(after) => after,
            // An admission webhook with side effects cannot be asked without causing them.
            Err(Failure::Refused { why, .. }) if why.contains("does not support dry run") => return Preflight::NotAsked { why },
            Err(Failure::Refused { why, .. }) => return Preflight::Refused { why },
            Err(failure) => return Preflight::NotAsked { why: failure.to_string() },
        };
        *diff = patch::diff(reading, &object.object, &self.spec);
        let got = (object.route.canary, object.route.baseline);
        if got == wanted {
            return Preflight::Accepted;
        }
        let why = format!(
            "the platform would set canary {} and baseline {} instead of {} and {} (an admission webhook?)",
            got.0, got.1, wanted.0, wanted.1
        );
        Preflight::Refused { why }
    }

    /// Sends one write, once. Everything before the patch leaves no doubt that nothing was applied.
    pub(super) async fn send(&self, write: &Write, writer: &Writer) -> Result<Accepted, Failure> {
        let (reading, _) = self.read_now().await.map_err(|problem| certain(problem.failure))?;
        still_holds(write, &reading.route)?;
        let (action, act) = match &write.kind {
            WriteKind::Act { action } => (Some(action), Some((&write.run, &write.op))),
            WriteKind::Fence => (None, None),
        };
        if let (Some(why), Some(_)) = (&reading.route.trouble, action) {
            return Err(Failure::NotSent { why: why.clone() });
        }
        let body = patch::build(&reading, action, &Stamps { act, epoch: write.epoch });
        let what = format!("patch {}", self.route_name());
        let path = format!("{}{}", self.route_path(), query(&[("fieldManager", MANAGER)]));
        let reply = writer.patch(&what, &path, &body, write.deadline).await.map_err(|problem| unread(problem.failure))?;
        let object: Value = reply.json(&what).map_err(unread)?;
        let after = self.reading(&what, object).map_err(unread)?;
        self.remember(&after);
        Ok(Accepted { version: Some(after.route.version.clone()).filter(|version| !version.is_empty()), route: Some(after.route) })
    }
}

/// Whether what the write relies on is still so.
fn still_holds(write: &Write, now: &Route) -> Result<(), Failure> {
    let conflict = |why: String| Failure::Refused { code: 409, reason: Refusal::Conflict, why };
    let current = now.stamp.as_ref().map(|stamp| stamp.epoch);
    if let Some(current) = current.filter(|current| *current > write.epoch) {
        return Err(conflict(format!("{} carries epoch {current}, ours is {}: somebody else took over", now.object, write.epoch)));
    }
    let (read, there) = (Relied::of(&write.before), Relied::of(now));
    if read == there {
        return Ok(());
    }
    let mut moved = Vec::new();
    if read.uid != there.uid {
        moved.push("the object was made anew".to_owned());
    }
    if read.rule != there.rule {
        moved.push(format!("the rule was {} and is {}", clean_bounded(&read.rule, 60), clean_bounded(&there.rule, 60)));
    }
    for (name, before, after) in
        [("canary", read.canary, there.canary), ("baseline", read.baseline, there.baseline), ("others", read.others, there.others)]
    {
        if before != after {
            moved.push(format!("{name} was {before} and is {after}"));
        }
    }
    if read.epoch != there.epoch {
        let text = |epoch: Option<Epoch>| epoch.map_or_else(|| "none".to_owned(), |epoch| epoch.to_string());
        moved.push(format!("the epoch was {} and is {}", text(read.epoch), text(there.epoch)));
    }
    let by = now.last_writer.as_deref().map(|who| format!(" (last written by {who})")).unwrap_or_default();
    Err(conflict(format!("{} changed since it was read{by}: {}", now.object, moved.join(", "))))
}

/// A failure before the patch: whatever it was, nothing was applied.
fn certain(failure: Failure) -> Failure {
    match failure {
        Failure::Unknown { why } | Failure::Unreadable { why } => Failure::NotSent { why },
        other => other,
    }
}

/// A failure of the patch's answer: that it cannot be read says nothing about what was applied.
fn unread(failure: Failure) -> Failure {
    match failure {
        Failure::Unreadable { why } => Failure::Unknown { why },
        other => other,
    }
}
