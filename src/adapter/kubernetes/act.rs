//! Reading what an action changes past every cache, working the action out, and sending the one conditional write.

use super::Core;
use super::access;
use super::answer::{Problem, Reply};
use super::link::{Ask, Writer, query};
use super::mechanism::{Look, MANAGER, Mechanism, Place};
use super::patch::{self, Stamps};
use crate::domain::{Accepted, Action, ActionPlan, DiffLine, Epoch, Failure, OpId, Preflight, Refusal, Relied, RunId, Subject, Write};
use serde::Deserialize;
use serde_json::Value;

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
    /// Version of a group that the cluster serves, as far as is known: the preferred one until discovery said otherwise.
    pub(super) fn version(&self, group: &str, versions: &'static [&'static str]) -> &'static str {
        let known = self.served.borrow().get(group).copied();
        known.filter(|known| versions.contains(known)).or_else(|| versions.first().copied()).unwrap_or("v1")
    }

    /// Reads the object that is read over and over: how traffic is split, and the server's clock.
    pub(super) async fn read_now(&self) -> Result<(Look, Reply), Problem> {
        let (mechanism, action) = self.beat();
        self.read_by(mechanism.as_ref(), &action).await
    }

    /// Reads what an action changes from the store behind the API server. The reply tells the server's clock.
    pub(super) async fn read_by(&self, mechanism: &dyn Mechanism, action: &Action) -> Result<(Look, Reply), Problem> {
        let place = mechanism.place();
        let what = format!("read {}", place.words());
        let mut reply = self.link.ask(&Ask::object(what.clone(), place.path(None))).await;
        if reply.as_ref().is_err_and(|problem| problem.no_such_path)
            && let Some(elsewhere) = self.find_version(place).await?
        {
            reply = self.link.ask(&Ask::object(what.clone(), elsewhere.path(None))).await;
        }
        let reply = reply?;
        let object: Value = reply.json(&what)?;
        let look = looked(mechanism, &what, object, action)?;
        self.remember(&look);
        Ok((look, reply))
    }

    /// Looks for another version of a group. Gives the place in it, if there is one that was not tried.
    async fn find_version(&self, place: &Place) -> Result<Option<Place>, Problem> {
        let group = place.group;
        if group.is_empty() {
            return Ok(None);
        }
        let what = format!("look for {group}");
        let found = self.link.ask(&Ask::object(what.clone(), format!("/apis/{group}"))).await;
        let reply = found.map_err(|mut problem| {
            if let Failure::Refused { reason: Refusal::Missing, why, .. } = &mut problem.failure {
                *why = format!("this cluster has no {group} API: is {} installed, and is this the right context?", maker(group));
            }
            problem
        })?;
        let served: Group = reply.json(&what)?;
        let tried = place.collection.split('/').nth(3).unwrap_or_default();
        let known = super::mechanism::versions(group);
        let other = known.iter().find(|version| **version != tried && served.versions.iter().any(|served| served.version == **version));
        let Some(other) = other else { return Ok(None) };
        self.served.send_if_modified(|served| served.insert(group, other) != Some(other));
        let collection = place.collection.replacen(&format!("/{tried}/"), &format!("/{other}/"), 1);
        Ok(Some(Place { collection, ..place.clone() }))
    }

    /// What an action changes, as it is now.
    pub(super) async fn read_subject(&self, action: &Action) -> Result<Subject, Failure> {
        let mechanism = self.mechanism(action).await.map_err(Failure::from)?;
        let (look, _) = self.read_by(mechanism.as_ref(), action).await.map_err(Failure::from)?;
        Ok(look.subject)
    }

    /// Works an action out. Without a writer the platform is not asked for a dry run.
    pub(super) async fn plan(&self, action: Action, writer: Option<&Writer>) -> Result<ActionPlan, Failure> {
        let mechanism = self.mechanism(&action).await.map_err(Failure::from)?;
        let (look, _) = self.read_by(mechanism.as_ref(), &action).await.map_err(Failure::from)?;
        // Read under the version that the cluster turned out to serve.
        let mechanism = self.mechanism(&look.action).await.map_err(Failure::from)?;
        let before = look.subject.clone();
        // The stamps of the dry run stand for those of the act, which are not known yet.
        let (run, op) = (RunId::from("dry-run"), OpId::from("dry-run"));
        let epoch = before.stamp.as_ref().map_or(Epoch(0), |stamp| stamp.epoch);
        let body = patch::build(&look, &Stamps { act: Some((&run, &op)), epoch });
        let path = mechanism.place().path(look.change.subresource);
        let request = format!("PATCH {path}?fieldManager={MANAGER}\n{}", patch::shown(&body));
        let mut diff = look.change.lines.clone();
        let right = access::patch_right(mechanism.place(), look.change.subresource);
        let access =
            async { access::review(self, &right).await.unwrap_or_else(|failure| Preflight::NotAsked { why: failure.to_string() }) };
        let unable = match (&before.trouble, writer) {
            (Some(why), _) => Some(Preflight::Refused { why: why.clone() }),
            (None, None) => Some(Preflight::NotAsked { why: "read-only: nothing that could write is sent, a dry run neither".to_owned() }),
            (None, Some(_)) if before.done => Some(Preflight::NotAsked { why: "it is already so".to_owned() }),
            _ => None,
        };
        let (dry_run, access) = match (unable, writer) {
            (Some(answer), _) => (answer, access.await),
            (None, Some(writer)) => tokio::join!(self.dry_run(mechanism.as_ref(), &look, &body, writer, &mut diff), access),
            (None, None) => (Preflight::NotAsked { why: "read-only".to_owned() }, access.await),
        };
        if before.trouble.is_some() {
            diff.clear();
        }
        let consequence = look.consequence.clone().unwrap_or_else(|| look.action.consequence());
        Ok(ActionPlan { action: look.action, consequence, before, diff, warnings: look.warnings, dry_run, access, request })
    }

    async fn dry_run(&self, mechanism: &dyn Mechanism, look: &Look, body: &Value, writer: &Writer, diff: &mut Vec<DiffLine>) -> Preflight {
        let place = mechanism.place();
        let what = format!("dry run on {}", place.words());
        let path = format!("{}{}", place.path(look.change.subresource), query(&[("dryRun", "All"), ("fieldManager", MANAGER)]));
        let sent = writer.patch(&what, &path, body, self.link.timeout()).await;
        let answer = sent.map_err(|problem| no_subresource(problem, place, look.change.subresource));
        let object = answer.and_then(|reply| reply.json::<Value>(&what));
        let after = match object.and_then(|object| looked(mechanism, &what, object, &look.action)) {
            Ok(after) => after,
            // An admission webhook with side effects cannot be asked without causing them.
            Err(Failure::Refused { why, .. }) if why.contains("does not support dry run") => return Preflight::NotAsked { why },
            Err(Failure::Refused { why, .. }) => return Preflight::Refused { why },
            Err(failure) => return Preflight::NotAsked { why: failure.to_string() },
        };
        *diff = patch::diff(look, &after.object, mechanism.between(look, &after));
        if mechanism.takes(look, &after) {
            return Preflight::Accepted;
        }
        let why = format!("the platform would make it {} instead of {} (an admission webhook?)", after.subject.shown, look.action.wanted());
        Preflight::Refused { why }
    }

    /// Sends one write, once. Everything before the patch leaves no doubt that nothing was applied.
    pub(super) async fn send(&self, write: &Write, writer: &Writer) -> Result<Accepted, Failure> {
        let action = write.action();
        let mechanism = self.mechanism(action).await.map_err(|problem| certain(problem.failure))?;
        let (look, _) = self.read_by(mechanism.as_ref(), action).await.map_err(|problem| certain(problem.failure))?;
        let mechanism = self.mechanism(action).await.map_err(|problem| certain(problem.failure))?;
        still_holds(write, &look.subject)?;
        let act = (!write.is_fence()).then_some((&write.run, &write.op));
        if let (Some(why), Some(_)) = (&look.subject.trouble, act) {
            return Err(Failure::NotSent { why: why.clone() });
        }
        let body = patch::build(&look, &Stamps { act, epoch: write.epoch });
        let place = mechanism.place();
        let what = format!("patch {}", place.words());
        let subresource = look.change.subresource.filter(|_| act.is_some());
        let path = format!("{}{}", place.path(subresource), query(&[("fieldManager", MANAGER)]));
        let reply = writer.patch(&what, &path, &body, write.deadline).await;
        let reply = reply.map_err(|problem| unread(no_subresource(problem, place, subresource)))?;
        let object: Value = reply.json(&what).map_err(unread)?;
        let after = looked(mechanism.as_ref(), &what, object, action).map_err(unread)?;
        self.remember(&after);
        let version = Some(after.subject.version.clone()).filter(|version| !version.is_empty());
        Ok(Accepted { version, after: Some(Box::new(after.subject)) })
    }
}

/// A path that the server does not know, although the object is there: a CRD without that subresource.
fn no_subresource(problem: Problem, place: &Place, subresource: Option<&str>) -> Failure {
    let unknown = problem.no_such_path;
    match (problem.failure, subresource) {
        (Failure::Refused { code, reason: Refusal::Missing, why }, Some(name)) if unknown => {
            let kind = place.kind;
            let why = format!("{why}: the {kind} CRD of this cluster has no /{name} (it is too old); use its own client there");
            Failure::Refused { code, reason: Refusal::Missing, why }
        }
        (failure, _) => failure,
    }
}

/// What is missing when a group is not served.
fn maker(group: &str) -> &'static str {
    match group {
        "networking.istio.io" => "Istio",
        "gateway.networking.k8s.io" => "the Gateway API",
        "argoproj.io" => "Argo Rollouts",
        "flagger.app" => "Flagger",
        _ => "its maker",
    }
}

fn looked(mechanism: &dyn Mechanism, what: &str, object: Value, action: &Action) -> Result<Look, Failure> {
    let kind = mechanism.place().kind;
    if object.get("kind").and_then(Value::as_str) != Some(kind) {
        return Err(Failure::Unreadable { why: format!("{what}: the answer is not a {kind}") });
    }
    Ok(mechanism.look(object, action))
}

/// Whether what the write relies on is still so.
fn still_holds(write: &Write, now: &Subject) -> Result<(), Failure> {
    let conflict = |why: String| Failure::Refused { code: 409, reason: Refusal::Conflict, why };
    let current = now.stamp.as_ref().map(|stamp| stamp.epoch);
    if let Some(current) = current.filter(|current| *current > write.epoch) {
        return Err(conflict(format!("{} carries epoch {current}, ours is {}: somebody else took over", now.object, write.epoch)));
    }
    let (read, there): (Relied, Relied) = (write.before.relied(), now.relied());
    if read == there {
        return Ok(());
    }
    let mut moved = Vec::new();
    if read.uid != there.uid {
        moved.push("the object was made anew".to_owned());
    }
    moved.extend(now.moved_since(&read));
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
