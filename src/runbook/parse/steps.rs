//! Steps, forward and on the way back.

use super::draft::{Given, KindDraft, StepDraft};
use super::node::{At, Entry, Node};
use super::scalars::Fields;
use super::{CONFIRM, Walk};
use crate::domain::StepId;
use crate::runbook::plan::{Evidence, Undo};
use std::time::Duration;

const KINDS: [&str; 6] = ["manual", "check", "do", "wait", "gate", "uses"];

/// Which list a step stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// `steps`.
    Forward,
    /// `rollback`.
    WayBack,
    /// `finally`.
    End,
}

/// Least time that a timeout may have.
const LEAST: Duration = Duration::from_secs(1);

impl Walk<'_> {
    /// A list of steps.
    pub(crate) fn steps(&mut self, node: &Node, what: &str, part: Part) -> Vec<StepDraft> {
        self.list(node, what).iter().filter_map(|node| self.step(node, part)).collect()
    }

    fn step(&mut self, node: &Node, part: Part) -> Option<StepDraft> {
        const KNOWN: &[&str] = &[
            "id",
            "title",
            "doc",
            "on",
            "when",
            "timeout",
            "confirm",
            "undo",
            "irreversible",
            "on_failure",
            "manual",
            "check",
            "do",
            "wait",
            "gate",
            "uses",
            "role",
        ];
        // What nothing would act on or keep is refused: a file must not promise more than is done.
        let fields = self.fields(node, "a step", KNOWN, &["t", "evidence"])?;
        let id = self.required(&fields, "id", "a step", "shift-5").and_then(|n| self.id(n, "`id`"));
        let title = self.required(&fields, "title", "a step", "Send 5 % to the canary").and_then(|n| self.line(n, "`title`"));
        let kind = self.kind(&fields);
        if let Some(kind) = &kind {
            self.misplaced(&fields, &kind.value, part);
        }
        let confirm = match fields.value("confirm") {
            None => Given::Absent,
            Some(node) => self.word(node, "`confirm`", &CONFIRM, &[]).map_or(Given::Broken, Given::Is),
        };
        Some(StepDraft {
            span: node.span,
            id: id.map(|id| At::new(StepId(id.value), id.span)),
            title,
            doc: fields.value("doc").and_then(|n| self.prose(n, "`doc`")).unwrap_or_default(),
            on: fields.value("on").and_then(|n| self.line(n, "`on`").map(|name| At::new(name, n.span))),
            when: fields.value("when").map_or(Given::Absent, |n| self.when(n)),
            t: fields.value("t").and_then(|n| self.t_mark(n)),
            role: fields.value("role").and_then(|n| self.role_name(n, "`role`")),
            evidence: fields.value("evidence").map(|n| self.evidence(n)).unwrap_or_default(),
            timeout: fields.value("timeout").map_or(Given::Absent, |n| self.duration(n, "`timeout`", LEAST)),
            confirm,
            undo: self.undo(&fields),
            on_failure: fields.get("on_failure").map_or(Given::Absent, |e| self.on_failure(&e.value, e.key.span)),
            kind,
        })
    }

    /// The one key that says what a step is.
    fn kind(&mut self, fields: &Fields<'_>) -> Option<At<KindDraft>> {
        let given: Vec<&Entry> = KINDS.iter().filter_map(|kind| fields.get(kind)).collect();
        let Some((first, more)) = given.split_first() else {
            let why = "this step does not say what it is";
            self.report.error("step-kind", fields.span, why, format!("give it one of: {}", KINDS.join(", ")));
            return None;
        };
        for entry in more {
            let why = format!("a step is one thing, and this one is `{}` and `{}`", first.key.value, entry.key.value);
            self.report.error("step-kind", entry.key.span, why, "make two steps of it");
        }
        let node = &first.value;
        let kind = match first.key.value.as_str() {
            "manual" => self.manual(node),
            "check" => self.check(node),
            "do" => KindDraft::Do(self.action(node, "`do`")),
            "wait" => self.wait(node),
            "uses" => self.uses(node),
            _ => self.gate(node),
        };
        Some(At::new(kind, first.key.span))
    }

    /// Keys that mean nothing to a step of this kind, or on the way back.
    fn misplaced(&mut self, fields: &Fields<'_>, kind: &KindDraft, part: Part) {
        let acts = matches!(kind, KindDraft::Do(_) | KindDraft::Later);
        if let Some(entry) = fields.get("role")
            && !matches!(kind, KindDraft::Manual { .. } | KindDraft::Uses(_) | KindDraft::Later)
        {
            let why = "`role` is for a checklist; gates name their roles themselves";
            self.report.error("misplaced-key", entry.key.span, why, "remove `role`");
        }
        for key in ["undo", "irreversible", "confirm"] {
            let Some(entry) = fields.get(key) else { continue };
            if !acts {
                let why = format!("`{key}` is for a step that changes the platform, and this one does not");
                self.report.error("misplaced-key", entry.key.span, why, format!("remove `{key}`"));
            } else if part != Part::Forward && key != "confirm" {
                let place = if part == Part::WayBack { "rollback" } else { "finally" };
                let why = format!("`{key}` has no meaning in `{place}`: nothing takes that back");
                self.report.error("misplaced-key", entry.key.span, why, format!("remove `{key}`"));
            }
        }
    }

    fn undo(&mut self, fields: &Fields<'_>) -> Given<Undo> {
        let irreversible = match fields.get("irreversible") {
            Some(entry) => match self.boolean(&entry.value, "`irreversible`") {
                Some(yes) => yes.then_some(entry.key.span),
                None => return Given::Broken,
            },
            None => None,
        };
        match (fields.get("undo"), irreversible) {
            (None, None) => Given::Absent,
            (None, Some(span)) => Given::Is(At::new(Undo::Irreversible, span)),
            (Some(entry), Some(_)) => {
                let why = "a step that cannot be taken back has no `undo`";
                self.report.error("misplaced-key", entry.key.span, why, "keep one of `undo` and `irreversible`");
                Given::Broken
            }
            (Some(entry), None) => {
                let undo = match entry.value.scalar() {
                    Some(scalar) if !scalar.text.is_empty() => self.word(&entry.value, "`undo`", &[("none", ())], &[]).map(|_| Undo::None),
                    _ => self.action(&entry.value, "`undo`").map(|action| Undo::Action(action.value)),
                };
                undo.map_or(Given::Broken, |undo| Given::Is(At::new(undo, entry.key.span)))
            }
        }
    }

    /// `uses: look-5`: the same as that step of this file, or `uses: ./lib/preflight.yaml#steps`.
    fn uses(&mut self, node: &Node) -> KindDraft {
        match self.line(node, "`uses`") {
            Some(name) => KindDraft::Uses(At::new(name, node.span)),
            None => KindDraft::Later,
        }
    }

    /// Series that are kept with the result of a step.
    fn evidence(&mut self, node: &Node) -> Vec<Evidence> {
        self.list(node, "`evidence`").iter().filter_map(|node| self.one_evidence(node)).collect()
    }

    fn one_evidence(&mut self, node: &Node) -> Option<Evidence> {
        let fields = self.fields(node, "a piece of evidence", &["id", "promql", "range", "step"], &[])?;
        let id = self.required(&fields, "id", "a piece of evidence", "err-by-route").and_then(|n| self.id(n, "`id`"));
        let query = self.required(&fields, "promql", "a piece of evidence", "...").and_then(|n| self.query(n));
        let mut span = |key: &str, usual: u64| match fields.value(key) {
            Some(node) => self.duration(node, &format!("`{key}`"), LEAST).value().map(|at| at.value),
            None => Some(Duration::from_secs(usual)),
        };
        let (range, step) = (span("range", 1800), span("step", 15));
        Some(Evidence { id: id?.value, query: query?.0.text, range: range?, step: step? })
    }

    fn check(&mut self, node: &Node) -> KindDraft {
        let nothing = KindDraft::Check { all: true, conditions: Vec::new() };
        let Some(fields) = self.fields(node, "`check`", &["all", "any"], &[]) else { return nothing };
        let (all, entry) = match (fields.get("all"), fields.get("any")) {
            (Some(entry), None) => (true, entry),
            (None, Some(entry)) => (false, entry),
            (Some(_), Some(entry)) => {
                self.report.error(
                    "misplaced-key",
                    entry.key.span,
                    "a check asks for all of its conditions or for any, not both",
                    "make two steps of it",
                );
                return nothing;
            }
            (None, None) => {
                self.report.error(
                    "missing-key",
                    node.span,
                    "`check` needs `all` or `any`: its conditions",
                    "write `all:` and the conditions below it",
                );
                return nothing;
            }
        };
        let items = self.list(&entry.value, &format!("`{}`", entry.key.value));
        if items.is_empty() && entry.value.scalar().is_none() {
            self.report.error(
                "empty-value",
                entry.key.span,
                "a check without conditions would always be good",
                "add a condition: `- id: ...`",
            );
        }
        KindDraft::Check { all, conditions: items.iter().filter_map(|node| self.condition(node)).collect() }
    }
}
