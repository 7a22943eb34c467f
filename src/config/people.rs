//! `[[person]]`, `[identity]`, and what environments and services ask of people.

use super::connections::PlatformConnection;
use super::reading::{Table, Text, did_you_mean};
use crate::domain::ServiceSpec;
use crate::domain::person::{Person, Policy, Strength, unfit};
use std::path::PathBuf;

/// How the operator signs, and whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// OpenSSH's file of keys and the people they belong to.
    pub allowed_signers: Option<PathBuf>,
    /// The key to sign with, private or public; the agent's first usable one, then the usual file, when absent.
    pub key: Option<PathBuf>,
}

/// `[identity]`, and who the operator says to be.
pub(super) fn identity(top: &Table<'_, '_>) -> (Option<String>, Identity) {
    let operator = top.table("operator", "[operator]").and_then(|table| {
        let name = table.text("name");
        table.finish();
        name
    });
    let Some(table) = top.table("identity", "[identity]") else {
        return (operator.and_then(|it| fit(top, "name", it)), Identity::default());
    };
    let own = table.text("as");
    if let (Some(own), Some(_)) = (&own, &operator) {
        let message = "`as` and `name` of [operator] both say who you are".to_owned();
        table.source().report("identity", own.span.clone(), message, Some("keep `as`, and remove [operator]"));
    }
    let identity = Identity { allowed_signers: table.path("allowed_signers"), key: table.path("key") };
    let name = own.and_then(|it| fit(&table, "as", it)).or_else(|| fit(top, "name", operator?));
    table.finish();
    (name, identity)
}

fn fit(table: &Table<'_, '_>, key: &str, name: Text) -> Option<String> {
    let Some(why) = unfit(&name.value) else { return Some(name.value) };
    table.source().report("name", name.span, format!("`{key}` {why}"), Some("write the name that the journal shall show"));
    None
}

/// `[[person]]`.
pub(super) fn people(top: &Table<'_, '_>) -> Vec<Person> {
    let mut people: Vec<Person> = vec![];
    for table in top.tables("person", "[[person]]") {
        let id = table.required_text("id").filter(|id| is_id(&table, id));
        let name = table.text("name").map(|name| name.value);
        let groups = groups(&table);
        table.finish();
        let Some(id) = id else { continue };
        if people.iter().any(|known| known.id == id.value) {
            top.source().report("duplicate-name", id.span, format!("a second [[person]] has the id {:?}", id.value), None);
            continue;
        }
        people.push(Person { name: name.unwrap_or_else(|| id.value.clone()), id: id.value, groups });
    }
    people
}

/// An id is compared letter by letter with the journal's actors and with the principals of signatures.
fn is_id(table: &Table<'_, '_>, id: &Text) -> bool {
    let fits = id.value.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+' | '\\'));
    let why = if fits { unfit(&id.value) } else { Some("is no id") };
    if let Some(why) = why {
        let help = Some("write the login name or the mail address, without blanks");
        table.source().report("name", id.span.clone(), format!("`id` {why}"), help);
    }
    why.is_none()
}

fn groups(table: &Table<'_, '_>) -> Vec<String> {
    let mut groups: Vec<String> = vec![];
    for group in table.texts("groups") {
        let why = if groups.contains(&group.value) { Some("is named twice") } else { unfit(&group.value) };
        match why {
            Some(why) => table.source().report("name", group.span, format!("the group {:?} {why}", group.value), None),
            None => groups.push(group.value),
        }
    }
    groups
}

/// `require_signed` and `need_identity` of a table.
pub(super) fn policy(table: &Table<'_, '_>) -> Policy {
    let words = [("asserted", Strength::Asserted), ("signed", Strength::Signed)];
    Policy {
        require_signed: table.boolean("require_signed").unwrap_or_default(),
        need_identity: table.choice("need_identity", &words).unwrap_or_default(),
    }
}

/// `[environment.NAME]`: raises the policy of every service there.
pub(super) fn environments(top: &Table<'_, '_>, platforms: &[PlatformConnection], services: &mut [ServiceSpec]) {
    let Some(all) = top.table("environment", "[environment.NAME]") else { return };
    for (name, table) in all.each("[environment]") {
        let names = || platforms.iter().map(|platform| platform.environment.as_str());
        if !names().any(|known| known == name.value) {
            // A misspelt name would leave an environment unguarded without a word.
            let help =
                did_you_mean(&name.value, names()).unwrap_or_else(|| format!("there are: {}", names().collect::<Vec<_>>().join(", ")));
            table.source().report("unknown-name", name.span, format!("no [[platform]] has the environment {:?}", name.value), Some(&help));
        }
        let policy = policy(&table);
        table.finish();
        for service in services.iter_mut().filter(|service| service.environment == name.value) {
            service.policy = service.policy.and(policy);
        }
    }
}
