//! Steps, forward and on the way back.

use super::draft::{Given, KindDraft, StepDraft};
use super::node::{At, Entry, Node};
use super::scalars::Fields;
use super::{CONFIRM, Walk};
use crate::domain::StepId;
use crate::runbook::plan::{AnswerKind, Choice, Item, ManualMode, OnFailure, Undo};
use std::time::Duration;

const KINDS: [&str; 5] = ["manual", "check", "do", "wait", "gate"];
const CHOICES: [(&str, Choice); 4] =
    [("retry", Choice::Retry), ("skip", Choice::Skip), ("rollback", Choice::BackOut), ("abort", Choice::Abort)];
const MODES: [(&str, ManualMode); 2] = [("read-do", ManualMode::ReadDo), ("do-confirm", ManualMode::DoConfirm)];

/// Least time that a wait or a timeout may have.
const LEAST: Duration = Duration::from_secs(1);

impl Walk<'_> {
    /// A list of steps.
    pub(crate) fn steps(&mut self, node: &Node, what: &str, way_back: bool) -> Vec<StepDraft> {
        self.list(node, what).iter().filter_map(|node| self.step(node, way_back)).collect()
    }

    fn step(&mut self, node: &Node, way_back: bool) -> Option<StepDraft> {
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
        ];
        let fields = self.fields(node, "a step", KNOWN, &["uses", "role", "t", "evidence", "with"])?;
        let id = self.required(&fields, "id", "a step", "shift-5").and_then(|n| self.id(n, "`id`"));
        let title = self.required(&fields, "title", "a step", "Send 5 % to the canary").and_then(|n| self.line(n, "`title`"));
        let kind = self.kind(&fields);
        if let Some(kind) = &kind {
            self.misplaced(&fields, &kind.value, way_back);
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
            timeout: fields.value("timeout").map_or(Given::Absent, |n| self.duration(n, "`timeout`", LEAST)),
            confirm,
            undo: self.undo(&fields),
            on_failure: fields.value("on_failure").and_then(|n| self.on_failure(n)).unwrap_or_default(),
            kind,
        })
    }

    /// The one key that says what a step is.
    fn kind(&mut self, fields: &Fields<'_>) -> Option<At<KindDraft>> {
        let given: Vec<&Entry> = KINDS.iter().filter_map(|kind| fields.get(kind)).collect();
        let (first, more) = match given.split_first() {
            Some(split) => split,
            None if fields.get("uses").is_some() => return fields.get("uses").map(|e| At::new(KindDraft::Later, e.key.span)),
            None => {
                let why = "this step does not say what it is";
                self.report.error("step-kind", fields.span, why, format!("give it one of: {}", KINDS.join(", ")));
                return None;
            }
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
            _ => self.gate(node),
        };
        Some(At::new(kind, first.key.span))
    }

    /// Keys that mean nothing to a step of this kind, or on the way back.
    fn misplaced(&mut self, fields: &Fields<'_>, kind: &KindDraft, way_back: bool) {
        let acts = matches!(kind, KindDraft::Do(_) | KindDraft::Later);
        for key in ["undo", "irreversible", "confirm"] {
            let Some(entry) = fields.get(key) else { continue };
            if !acts {
                let why = format!("`{key}` is for a step that changes the platform, and this one does not");
                self.report.error("misplaced-key", entry.key.span, why, format!("remove `{key}`"));
            } else if way_back && key != "confirm" {
                let why = format!("`{key}` has no meaning in `rollback`: the way back is not taken back");
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

    fn wait(&mut self, node: &Node) -> KindDraft {
        let Some(fields) = self.fields(node, "`wait`", &["for"], &["until", "shorten"]) else { return KindDraft::Wait(None) };
        let duration = self.required(&fields, "for", "`wait`", "10m").map(|n| self.duration(n, "`for`", LEAST));
        KindDraft::Wait(duration.and_then(|given| given.value().cloned()))
    }

    fn gate(&mut self, node: &Node) -> KindDraft {
        if node.scalar().is_none() {
            match self.fields(node, "`gate`", &[], &["confirm", "say", "approve", "poll"]) {
                Some(fields) if ["confirm", "approve", "poll"].iter().any(|key| fields.get(key).is_some()) => return KindDraft::Later,
                Some(_) => self.report.error("missing-key", node.span, "`gate` does not say what it asks", "write `gate: confirm`"),
                None => {}
            }
            return KindDraft::Later;
        }
        match self.word(node, "`gate`", &[("confirm", ())], &["approve", "poll"]) {
            Some(_) => KindDraft::Gate,
            None => KindDraft::Later,
        }
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

    fn manual(&mut self, node: &Node) -> KindDraft {
        let Some(fields) = self.fields(node, "`manual`", &["mode", "items"], &[]) else {
            return KindDraft::Manual { mode: None, items: Vec::new() };
        };
        let mode = self.required(&fields, "mode", "`manual`", "do-confirm").and_then(|n| self.word(n, "`mode`", &MODES, &[]));
        let mut items = Vec::new();
        if let Some(node) = self.required(&fields, "items", "`manual`", "[...]") {
            let nodes = self.list(node, "`items`");
            if nodes.is_empty() && node.scalar().is_none() {
                self.report.error("empty-value", node.span, "a checklist without items asks nothing", "add an item: `- challenge: ...`");
            }
            items.extend(nodes.iter().filter_map(|node| self.item(node).map(|item| At::new(item, node.span))));
        }
        KindDraft::Manual { mode: mode.map(|word| word.value), items }
    }

    fn item(&mut self, node: &Node) -> Option<Item> {
        let fields = self.fields(node, "an item", &["challenge", "answer"], &["id", "role", "doc", "blind"])?;
        let challenge = self.required(&fields, "challenge", "an item", "\"Database migrations\"").and_then(|n| self.line(n, "`challenge`"));
        let answer = self.required(&fields, "answer", "an item", "{ type: done }").and_then(|n| self.answer(n));
        Some(Item { challenge: challenge?, answer: answer? })
    }

    fn answer(&mut self, node: &Node) -> Option<AnswerKind> {
        const TYPES: [(&str, &[&str]); 4] =
            [("done", &[]), ("text", &["equals"]), ("choice", &["of", "expect"]), ("number", &["min", "max"])];
        let fields = self.fields(node, "`answer`", &["type", "equals", "of", "expect", "min", "max"], &["pattern"])?;
        let words: Vec<(&'static str, usize)> = TYPES.iter().enumerate().map(|(i, (word, _))| (*word, i)).collect();
        let word = self.required(&fields, "type", "`answer`", "done").and_then(|n| self.word(n, "`type`", &words, &["link"]))?;
        let (name, keys) = TYPES[word.value];
        for key in ["equals", "of", "expect", "min", "max"].iter().filter(|key| !keys.contains(key)) {
            if let Some(entry) = fields.get(key) {
                let why = format!("`{key}` has no meaning for an answer of type {name}");
                self.report.error("misplaced-key", entry.key.span, why, format!("remove `{key}`, or change `type`"));
            }
        }
        match name {
            "done" => Some(AnswerKind::Done),
            "text" => Some(AnswerKind::Text { equals: self.optional_line(&fields, "equals")? }),
            "choice" => self.choice(&fields),
            _ => self.number_answer(&fields, node),
        }
    }

    #[expect(clippy::option_option, reason = "outer: readable; inner: given")]
    fn optional_line(&mut self, fields: &Fields<'_>, key: &str) -> Option<Option<String>> {
        fields.value(key).map_or(Some(None), |node| self.line(node, &format!("`{key}`")).map(Some))
    }

    fn choice(&mut self, fields: &Fields<'_>) -> Option<AnswerKind> {
        let node = self.required(fields, "of", "a choice", "[applied, not-needed]")?;
        let items = self.list(node, "`of`");
        let of: Vec<String> = items.iter().filter_map(|item| self.line(item, "a choice")).collect();
        let expect = self.optional_line(fields, "expect")?;
        if of.len() < items.len() || node.scalar().is_some() {
            return None;
        }
        if of.len() < 2 {
            self.report.error(
                "invalid-value",
                node.span,
                "a choice of fewer than two is none",
                "write at least two answers, or use `type: done`",
            );
            return None;
        }
        if let Some((twice, _)) = of.iter().enumerate().find(|(i, answer)| of[..*i].contains(answer)) {
            self.report.error("invalid-value", items[twice].span, format!("`{}` is offered twice", of[twice]), "remove one of them");
            return None;
        }
        if let Some(expected) = &expect
            && !of.contains(expected)
            && let Some(node) = fields.value("expect")
        {
            let why = format!("`{expected}` is expected but not offered, so the step could never pass");
            self.report.error("invalid-value", node.span, why, format!("write one of: {}", of.join(", ")));
            return None;
        }
        Some(AnswerKind::Choice { of, expect })
    }

    fn number_answer(&mut self, fields: &Fields<'_>, node: &Node) -> Option<AnswerKind> {
        let mut bound = |key: &str| fields.value(key).map_or(Some(None), |n| self.number(n, &format!("`{key}`")).map(Some));
        let (min, max) = (bound("min"), bound("max"));
        let (min, max) = (min?, max?);
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let why = format!("no number is at least {min} and at most {max}");
            self.report.error("invalid-value", node.span, why, "exchange `min` and `max`");
            return None;
        }
        Some(AnswerKind::Number { min, max })
    }

    fn on_failure(&mut self, node: &Node) -> Option<OnFailure> {
        if let Some(scalar) = node.scalar()
            && ["ask", "abort", "rollback", "continue"].contains(&scalar.text.as_str())
        {
            self.later(node.span, &format!("`on_failure: {}`", scalar.text));
            return None;
        }
        let fields = self.fields(node, "`on_failure`", &["offer", "skip"], &["retry", "then"])?;
        let mut result = OnFailure::default();
        if let Some(node) = fields.value("offer") {
            result.offer = self.offer(node);
        }
        if let Some(entry) = fields.get("skip") {
            let skip = self.fields(&entry.value, "`skip`", &["reason"], &["role"])?;
            let needed = skip.value("reason").and_then(|n| self.word(n, "`reason`", &[("required", true), ("optional", false)], &[]));
            result.skip_needs_reason = needed.is_none_or(|word| word.value);
            if !result.offer.contains(&Choice::Skip) {
                let why = "`skip` says how to skip, but `offer` does not offer it";
                self.report.warning("skip-not-offered", entry.key.span, why, "add `skip` to `offer`, or remove this key");
            }
        }
        Some(result)
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
