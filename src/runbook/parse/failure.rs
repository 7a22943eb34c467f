//! What happens when a step fails.

use super::Walk;
use super::draft::Given;
use super::node::{At, Node, Span};
use crate::runbook::plan::{Choice, OnFailure, Retry};
use std::time::Duration;

const CHOICES: [(&str, Choice); 4] =
    [("retry", Choice::Retry), ("skip", Choice::Skip), ("rollback", Choice::BackOut), ("abort", Choice::Abort)];
/// Whether the run goes on without the step.
const THEN: [(&str, bool); 2] = [("ask", false), ("continue", true)];
/// More tries by itself than this are no tries.
const MOST_TRIES: u32 = 20;

impl Walk<'_> {
    /// What `on_failure` says; absent means that people are asked.
    pub(super) fn on_failure(&mut self, node: &Node, place: Span) -> Given<OnFailure> {
        self.failure(node).map_or(Given::Broken, |failure| Given::Is(At::new(failure, place)))
    }

    fn failure(&mut self, node: &Node) -> Option<OnFailure> {
        if node.scalar().is_some() {
            let goes_on = self.word(node, "`on_failure`", &THEN, &[])?.value;
            return Some(OnFailure { goes_on, ..OnFailure::default() });
        }
        let fields = self.fields(node, "`on_failure`", &["offer", "skip", "retry", "then"], &[])?;
        let mut result = OnFailure::default();
        if let Some(node) = fields.value("retry") {
            result.retry = Some(self.retry(node)?);
        }
        if let Some(node) = fields.value("then") {
            result.goes_on = self.word(node, "`then`", &THEN, &[])?.value;
        }
        if let Some(node) = fields.value("offer") {
            result.offer = self.offer(node);
        }
        if let Some(entry) = fields.get("skip") {
            let skip = self.fields(&entry.value, "`skip`", &["reason", "role"], &[])?;
            result.skip_role = skip.value("role").and_then(|n| self.role_name(n, "`role`"));
            let needed = skip.value("reason").and_then(|n| self.word(n, "`reason`", &[("required", true), ("optional", false)], &[]));
            result.skip_needs_reason = needed.is_none_or(|word| word.value);
            if !result.offer.contains(&Choice::Skip) {
                let why = "`skip` says how to skip, but `offer` does not offer it";
                self.report.warning("skip-not-offered", entry.key.span, why, "add `skip` to `offer`, or remove this key");
            }
        }
        Some(result)
    }

    fn retry(&mut self, node: &Node) -> Option<Retry> {
        let fields = self.fields(node, "`retry`", &["times", "backoff"], &[])?;
        let times = self.required(&fields, "times", "`retry`", "2").and_then(|n| self.integer(n, "`times`", MOST_TRIES))?;
        let backoff = match fields.value("backoff") {
            Some(node) => self.duration(node, "`backoff`", Duration::from_secs(1)).value()?.value,
            None => Duration::from_secs(10),
        };
        Some(Retry { times, backoff })
    }

    fn offer(&mut self, node: &Node) -> Vec<Choice> {
        let items = self.list(node, "`offer`");
        if items.is_empty() && node.scalar().is_none() {
            self.report.error("empty-value", node.span, "`offer` is empty: nothing could be answered", "write [retry, rollback, abort]");
        }
        let mut offer = Vec::new();
        for item in items {
            let Some(choice) = self.word(item, "`offer`", &CHOICES, &[]) else { continue };
            if offer.contains(&choice.value) {
                self.report.error("invalid-value", item.span, "this is offered twice", "remove one of them");
            } else {
                offer.push(choice.value);
            }
        }
        offer
    }
}
