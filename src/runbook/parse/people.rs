//! Roles, and the gates at which their people agree.

use super::draft::KindDraft;
use super::node::{At, Entry, Node, Value};
use super::{Given, Walk};
use crate::runbook::people::{Approve, Poll, Role, Shorten};
use std::collections::BTreeMap;
use std::time::Duration;

/// An approval is valid for so long where the file does not say.
const APPROVAL: Duration = Duration::from_secs(30 * 60);
/// An answer of a poll is valid for so long where the file does not say.
const ANSWER: Duration = Duration::from_secs(20 * 60);
/// An answer is valid at least so long: people read before they answer.
const LEAST: Duration = Duration::from_secs(60);
/// More people than this never agree in one gate.
const MOST_PEOPLE: u32 = 50;

impl Walk<'_> {
    /// The roles of a runbook, with the people that are known to have them.
    pub(crate) fn roles(&mut self, entry: &Entry) -> BTreeMap<String, Role> {
        let Value::Map(entries) = &entry.value.value else {
            let why = format!("`roles` must be a mapping, not {}", entry.value.shape());
            self.report.error("wrong-type", entry.value.span, why, "write `sre: { match: { groups: [sre-oncall] } }` below it");
            return BTreeMap::new();
        };
        let mut roles = BTreeMap::new();
        for entry in entries {
            let name = &entry.key.value;
            let well_formed =
                !name.is_empty() && name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !well_formed {
                let why = format!("`{name}` cannot be the name of a role");
                self.report.error("invalid-id", entry.key.span, why, "write lower-case letters, digits and hyphens, at most 40");
            }
            if let Some(role) = self.role(&entry.value) {
                roles.insert(name.clone(), role);
            }
        }
        roles
    }

    fn role(&mut self, node: &Node) -> Option<Role> {
        let fields = self.fields(node, "a role", &["min", "match"], &[])?;
        let min = fields.value("min").map_or(Some(1), |n| self.integer(n, "`min`", MOST_PEOPLE))?;
        let node = self.required(&fields, "match", "a role", "{ groups: [sre-oncall] }")?;
        let matching = self.fields(node, "`match`", &["groups", "users"], &[])?;
        let names = |key: &str, walk: &mut Self| -> Vec<String> {
            let Some(node) = matching.value(key) else { return Vec::new() };
            let what = format!("`{key}`");
            walk.list(node, &what).iter().filter_map(|n| walk.line(n, &what)).collect()
        };
        let (groups, users) = (names("groups", self), names("users", self));
        if matching.get("groups").is_none() && matching.get("users").is_none() {
            self.report.error("missing-key", node.span, "`match` names nobody", "write `groups: [...]` or `users: [...]`");
        }
        let known = self.context.people.iter().filter(|person| person.groups.iter().any(|group| groups.contains(group)));
        let mut members: Vec<String> = known.map(|person| person.id.clone()).chain(users).collect();
        members.sort();
        members.dedup();
        Some(Role { min, members })
    }

    /// The name of a role: whether there is one of this name is looked at when all are known.
    pub(super) fn role_name(&mut self, node: &Node, what: &str) -> Option<String> {
        let name = self.line(node, what)?;
        self.named_roles.push(At::new(name.clone(), node.span));
        Some(name)
    }

    /// `gate: confirm`, `gate: { approve: ... }` or `gate: { poll: ... }`.
    pub(super) fn gate(&mut self, node: &Node) -> KindDraft {
        if node.scalar().is_some() {
            return match self.word(node, "`gate`", &[("confirm", ())], &[]) {
                Some(_) => KindDraft::Gate,
                None => KindDraft::Later,
            };
        }
        let Some(fields) = self.fields(node, "`gate`", &["approve", "poll"], &[]) else { return KindDraft::Later };
        match (fields.value("approve"), fields.value("poll")) {
            (Some(approve), None) => KindDraft::Approve(self.approve(approve)),
            (None, Some(poll)) => KindDraft::Poll(self.poll(poll)),
            (Some(_), Some(_)) => {
                self.report.error("misplaced-key", node.span, "a gate asks one thing, and this one asks two", "make two steps of it");
                KindDraft::Later
            }
            (None, None) => {
                self.report.error(
                    "missing-key",
                    node.span,
                    "`gate` does not say what it asks",
                    "write `gate: confirm`, `approve` or `poll`",
                );
                KindDraft::Later
            }
        }
    }

    fn approve(&mut self, node: &Node) -> Option<Approve> {
        let fields = self.fields(node, "`approve`", &["need", "distinct", "driver_counts", "expires"], &[])?;
        let node = self.required(&fields, "need", "`approve`", "{ sre: 1 }")?;
        let Value::Map(entries) = &node.value else {
            let why = format!("`need` must be a mapping, not {}", node.shape());
            self.report.error("wrong-type", node.span, why, "write the roles and how many of each: { sre: 1 }");
            return None;
        };
        let mut need = BTreeMap::new();
        for entry in entries {
            self.named_roles.push(At::new(entry.key.value.clone(), entry.key.span));
            need.insert(entry.key.value.clone(), self.integer(&entry.value, "a number of people", MOST_PEOPLE)?);
        }
        if need.values().all(|count| *count == 0) {
            self.report.error(
                "invalid-value",
                node.span,
                "nobody has to agree, so this gate would always be open",
                "write at least { sre: 1 }",
            );
            return None;
        }
        Some(Approve {
            need,
            distinct: fields.value("distinct").map_or(Some(true), |n| self.boolean(n, "`distinct`"))?,
            driver_counts: fields.value("driver_counts").map_or(Some(false), |n| self.boolean(n, "`driver_counts`"))?,
            expires: self.expires(fields.value("expires"), APPROVAL)?,
        })
    }

    fn poll(&mut self, node: &Node) -> Option<Poll> {
        let fields = self.fields(node, "`poll`", &["roles", "decider", "distinct", "expires"], &[])?;
        let node = self.required(&fields, "roles", "`poll`", "[qa, sre]")?;
        let mut roles: Vec<String> = Vec::new();
        for item in self.list(node, "`roles`") {
            let name = self.role_name(item, "a role")?;
            if roles.contains(&name) {
                self.report.error("invalid-value", item.span, format!("`{name}` is called twice"), "remove one of them");
            }
            roles.push(name);
        }
        let decider = match fields.value("decider") {
            Some(node) => Some(self.role_name(node, "`decider`")?),
            None => None,
        };
        roles.retain(|role| Some(role) != decider.as_ref());
        if roles.is_empty() {
            self.report.error("empty-value", node.span, "a poll without positions would always say go", "name the roles that are asked");
            return None;
        }
        Some(Poll {
            roles,
            decider,
            distinct: fields.value("distinct").map_or(Some(false), |n| self.boolean(n, "`distinct`"))?,
            expires: self.expires(fields.value("expires"), ANSWER)?,
        })
    }

    fn expires(&mut self, node: Option<&Node>, usual: Duration) -> Option<Duration> {
        let Some(node) = node else { return Some(usual) };
        match self.duration(node, "`expires`", LEAST) {
            Given::Is(expires) => Some(expires.value),
            Given::Absent | Given::Broken => None,
        }
    }

    /// `wait: { for: 10m, shorten: { role: sre, min: 3m } }`
    pub(super) fn wait(&mut self, node: &Node) -> KindDraft {
        const LEAST_WAIT: Duration = Duration::from_secs(1);
        let Some(fields) = self.fields(node, "`wait`", &["for", "shorten"], &["until"]) else { return KindDraft::Wait(None, None) };
        let duration = self.required(&fields, "for", "`wait`", "10m").map(|n| self.duration(n, "`for`", LEAST_WAIT));
        let duration = duration.and_then(|given| given.value().cloned());
        let shorten = fields.value("shorten").map(|n| self.shorten(n));
        if let (Some(Some(shorten)), Some(wait), Some(node)) = (&shorten, &duration, fields.value("shorten"))
            && shorten.min > wait.value
        {
            let why = "`min` is longer than the wait itself, so nobody could shorten it";
            self.report.error("invalid-value", node.span, why, "make `min` shorter than `for`");
        }
        match shorten {
            Some(None) => KindDraft::Wait(None, None),
            shorten => KindDraft::Wait(duration, shorten.flatten()),
        }
    }

    fn shorten(&mut self, node: &Node) -> Option<Shorten> {
        let fields = self.fields(node, "`shorten`", &["role", "min"], &[])?;
        let role = match fields.value("role") {
            Some(node) => Some(self.role_name(node, "`role`")?),
            None => None,
        };
        let min = self.required(&fields, "min", "`shorten`", "3m").map(|n| self.duration(n, "`min`", Duration::ZERO))?;
        Some(Shorten { role, min: min.value()?.value })
    }
}
