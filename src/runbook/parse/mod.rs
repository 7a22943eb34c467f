//! Reading a runbook: first YAML into a tree with places, then one walk over the tree that collects everything wrong with it.

mod actions;
mod alert_probe;
mod clock;
pub(crate) mod draft;
mod failure;
mod manual;
pub(crate) mod node;
mod params;
mod people;
mod probes;
pub(crate) mod report;
mod scalars;
mod source;
pub(crate) mod steps;
mod uses;
mod when;
mod words;
mod yaml;

pub(crate) use params::Values;

use super::load::Context;
use super::plan::Target;
use super::template::{self, Bindings, nearest};
use crate::domain::{Confirm, ServiceKey};
use draft::{ConditionDraft, Draft, Given, RollbackDraft};
use node::{At, Node};
use report::Report;
use scalars::Fields;
use source::Source;
use std::time::Duration;
use steps::Part;

/// How often a condition is asked when neither the file nor the metrics connection says.
const EVERY: Duration = Duration::from_secs(15);

const CONFIRM: [(&str, Confirm); 4] =
    [("none", Confirm::None), ("yes", Confirm::Yes), ("consequence", Confirm::Consequence), ("override", Confirm::Override)];

/// One walk over one file.
pub(crate) struct Walk<'a> {
    source: Source<'a>,
    bindings: Bindings,
    pub(crate) report: Report,
    context: &'a Context,
    /// Roles wherever they are named.
    named_roles: Vec<At<String>>,
}

/// Reads a file. `None` when there is nothing to check further; why is in the report.
pub(crate) fn read(text: &str, values: Values<'_>, context: &Context, mut report: Report) -> (Option<Draft>, Report) {
    let Some(root) = yaml::read(text, &mut report) else { return (None, report) };
    let mut walk = Walk { source: Source::new(text), bindings: Bindings::new(), report, context, named_roles: Vec::new() };
    let draft = walk.runbook(&root, values);
    (draft, walk.report)
}

impl Walk<'_> {
    fn runbook(&mut self, root: &Node, values: Values<'_>) -> Option<Draft> {
        const KNOWN: &[&str] = &[
            "gonogo",
            "kind",
            "id",
            "version",
            "title",
            "owner",
            "doc",
            "params",
            "target",
            "roles",
            "clock",
            "preconditions",
            "guards",
            "steps",
            "rollback",
            "finally",
        ];
        let fields = self.fields(root, "a runbook", KNOWN, &[])?;
        self.params(fields.get("params"), values);
        self.format(&fields);
        let roles = fields.get("roles").map(|entry| self.roles(entry)).unwrap_or_default();
        let mut steps = match self.required(&fields, "steps", "a runbook", "[...]") {
            Some(node) => self.steps(node, "`steps`", Part::Forward),
            None => Vec::new(),
        };
        self.repeat(&mut steps);
        if let Some(entry) = fields.get("steps")
            && steps.is_empty()
            && matches!(&entry.value.value, node::Value::List(_))
        {
            self.report.error("empty-value", entry.key.span, "`steps` is empty, so there is nothing to run", "add a step: `- id: ...`");
        }
        Some(Draft {
            id: self.required(&fields, "id", "a runbook", "checkout-canary").and_then(|n| self.id(n, "`id`")).map(|id| id.value),
            version: self.required(&fields, "version", "a runbook", "\"1.0.0\"").and_then(|n| self.line(n, "`version`")),
            title: self.required(&fields, "title", "a runbook", "Canary of checkout").and_then(|n| self.line(n, "`title`")),
            owner: fields.value("owner").and_then(|n| self.line(n, "`owner`")).unwrap_or_default(),
            doc: fields.value("doc").and_then(|n| self.prose(n, "`doc`")).unwrap_or_default(),
            params: self.bindings.iter().map(|(name, bound)| (name.clone(), bound.shown.clone())).collect(),
            target: self
                .required(&fields, "target", "a runbook", "{ platform: ..., service: ..., environment: ... }")
                .and_then(|n| self.target(n)),
            roles,
            clock: fields.value("clock").and_then(|n| self.clock(n)),
            preconditions: fields.value("preconditions").map(|n| self.preconditions(n)).unwrap_or_default(),
            guards: fields.value("guards").map(|n| self.guards(n)).unwrap_or_default(),
            rollback: fields.get("rollback").map(|entry| self.rollback(&entry.value)),
            finally: fields.value("finally").map(|n| self.steps(n, "`finally`", Part::End)).unwrap_or_default(),
            named_roles: std::mem::take(&mut self.named_roles),
            steps_at: fields.get("steps").map_or(root.span, |entry| entry.key.span),
            steps,
        })
    }

    fn preconditions(&mut self, node: &Node) -> Vec<ConditionDraft> {
        self.list(node, "`preconditions`").iter().filter_map(|node| self.condition(node)).collect()
    }

    fn format(&mut self, fields: &Fields<'_>) {
        if let Some(node) = self.required(fields, "gonogo", "a runbook", "1")
            && let Some(version) = self.integer(node, "`gonogo`", u32::MAX)
            && version != 1
        {
            let why = format!("this is format {version}; this version of gonogo reads format 1");
            self.report.error("format-version", node.span, why, "write `gonogo: 1`, or use a newer gonogo");
        }
        if let Some(node) = self.required(fields, "kind", "a runbook", "runbook") {
            self.word(node, "`kind`", &[("runbook", ())], &[]);
        }
    }

    fn target(&mut self, node: &Node) -> Option<Target> {
        let fields = self.fields(node, "`target`", &["platform", "service", "environment", "with", "harm", "lock"], &[])?;
        let platform = self.required(&fields, "platform", "`target`", "prod-eu").and_then(|n| self.line(n, "`platform`"));
        let service = self.required(&fields, "service", "`target`", "checkout").and_then(|n| self.line(n, "`service`"));
        let environment = self.required(&fields, "environment", "`target`", "production").and_then(|n| self.line(n, "`environment`"));
        let context = self.context;
        self.configured(fields.value("platform"), platform.as_deref(), "platform", context.platforms.as_deref());
        self.configured(fields.value("service"), service.as_deref(), "service", context.services.as_deref());
        // One live run per platform and service is all there is; the file may say so.
        if let Some(node) = fields.value("lock") {
            self.word(node, "`lock`", &[("service", ())], &[]);
        }
        let harm_budget = fields.value("harm").and_then(|n| self.harm(n));
        let with = fields.value("with").map_or_else(Vec::new, |node| self.with(node));
        Some(Target { platform: platform?, service: service?, environment: environment?, with, harm_budget })
    }

    /// `harm: { budget: 500 }`: excess errors of this release that hold its run.
    fn harm(&mut self, node: &Node) -> Option<u32> {
        let fields = self.fields(node, "`harm`", &["budget"], &[])?;
        self.required(&fields, "budget", "`harm`", "500").and_then(|n| self.integer(n, "`budget`", 1_000_000_000))
    }

    /// Other services that are released together with the target, by their names in the configuration.
    fn with(&mut self, node: &Node) -> Vec<ServiceKey> {
        let mut all: Vec<ServiceKey> = vec![];
        for node in self.list(node, "`with`") {
            let Some(service) = self.line(node, "an entry of `with`") else { continue };
            let known = self.context.with.iter().find(|known| known.service == service);
            match (known, self.context.services.is_some()) {
                (Some(known), _) if all.contains(known) => {
                    self.report.error("duplicate-id", node.span, format!("`{service}` is named twice"), "name each service once");
                }
                (Some(known), _) => all.push(known.clone()),
                // Without a configuration nobody can tell on which platform it is; the name stands for it.
                (None, false) => all.push(ServiceKey { platform: String::new(), service }),
                (None, true) => {
                    let help = match nearest(&service, self.context.with.iter().map(|known| known.service.as_str())) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "list it under `with` of the [[service]] in the configuration".to_owned(),
                    };
                    let why = format!("the configuration does not release `{service}` together with this service");
                    self.report.error("unknown-target", node.span, why, help);
                }
            }
        }
        all
    }

    /// A name must be one of the configuration, where that is known.
    fn configured(&mut self, node: Option<&Node>, name: Option<&str>, what: &str, known: Option<&[String]>) {
        let (Some(node), Some(name), Some(known)) = (node, name, known) else { return };
        let guessed = node.scalar().is_some_and(|s| template::is_guess(&s.text, &self.bindings));
        if guessed || known.iter().any(|k| k == name) {
            return;
        }
        let help = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("add a [[{what}]] to the configuration"),
            None => format!("the configuration knows: {}", known.join(", ")),
        };
        self.report.error("unknown-target", node.span, format!("the configuration has no {what} `{name}`"), help);
    }

    fn rollback(&mut self, node: &Node) -> RollbackDraft {
        let mut draft = RollbackDraft { confirm: Confirm::Consequence, steps: Vec::new(), broken: false };
        let Some(fields) = self.fields(node, "`rollback`", &["confirm", "steps"], &[]) else {
            draft.broken = true;
            return draft;
        };
        if let Some(node) = fields.value("confirm") {
            draft.confirm = self.word(node, "`confirm`", &CONFIRM, &[]).map_or(Confirm::Consequence, |word| word.value);
        }
        if let Some(node) = fields.value("steps") {
            draft.broken = !matches!(&node.value, node::Value::List(_));
            draft.steps = self.steps(node, "`steps`", Part::WayBack);
        }
        draft
    }

    /// How often something is asked when the file does not say.
    fn usual_interval(&self) -> Duration {
        self.context.scrape_interval.unwrap_or(EVERY)
    }

    fn every(&mut self, fields: &Fields<'_>) -> Option<Duration> {
        let Some(node) = fields.value("every") else { return Some(self.usual_interval()) };
        match self.duration(node, "`every`", Duration::from_secs(1)) {
            Given::Is(every) => Some(every.value),
            Given::Absent | Given::Broken => None,
        }
    }
}
