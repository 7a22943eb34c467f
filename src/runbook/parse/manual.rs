//! Checklists: blocks of items with their answers.

use super::Walk;
use super::draft::{Given, ItemDraft, KindDraft};
use super::node::{At, Node};
use super::scalars::Fields;
use crate::runbook::plan::{AnswerKind, Item, ManualMode};
use std::time::Duration;

const MODES: [(&str, ManualMode); 2] = [("read-do", ManualMode::ReadDo), ("do-confirm", ManualMode::DoConfirm)];
/// What a link looks like.
const LINK: &str = r"https?://\S+";
/// An answer is valid at least so long.
const LEAST: Duration = Duration::from_secs(10);

impl Walk<'_> {
    pub(super) fn manual(&mut self, node: &Node) -> KindDraft {
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

    fn item(&mut self, node: &Node) -> Option<ItemDraft> {
        const KNOWN: &[&str] = &["challenge", "answer", "role", "blind", "check", "expires", "doc"];
        let fields = self.fields(node, "an item", KNOWN, &[])?;
        let challenge = self.required(&fields, "challenge", "an item", "\"Database migrations\"").and_then(|n| self.line(n, "`challenge`"));
        let evidence = fields.value("check").map(|n| self.condition(n));
        let answer = match fields.value("answer") {
            Some(node) => self.answer(node),
            // What the program sees for itself needs nobody.
            None if evidence.is_some() => Some(AnswerKind::Seen),
            None => self.required(&fields, "answer", "an item", "{ type: done }").and_then(|n| self.answer(n)),
        };
        let role = fields.value("role").map(|n| self.role_name(n, "`role`"));
        let blind = fields.value("blind").map_or(Some(false), |n| self.boolean(n, "`blind`"));
        let expires = fields.value("expires").map_or(Given::Absent, |n| self.duration(n, "`expires`", LEAST));
        let doc = fields.value("doc").map_or(Some(String::new()), |n| self.prose(n, "`doc`"));
        if let (Some(entry), Some(AnswerKind::Seen)) = (fields.get("expires").or(fields.get("blind")).or(fields.get("role")), &answer) {
            let why = format!("`{}` is about an answer, and this item asks for none", entry.key.value);
            self.report.error("misplaced-key", entry.key.span, why, format!("remove `{}`, or ask for an `answer`", entry.key.value));
        }
        if matches!(expires, Given::Broken) || matches!(role, Some(None)) || matches!(evidence, Some(None)) {
            return None;
        }
        let item = Item {
            challenge: challenge?,
            answer: answer?,
            role: role.flatten(),
            blind: blind?,
            evidence: None,
            expires: expires.value().map(|at| at.value),
            doc: doc?,
        };
        Some(ItemDraft { item, evidence: evidence.flatten() })
    }

    fn answer(&mut self, node: &Node) -> Option<AnswerKind> {
        const TYPES: [(&str, &[&str]); 5] =
            [("done", &[]), ("text", &["equals", "pattern"]), ("choice", &["of", "expect"]), ("number", &["min", "max"]), ("link", &[])];
        const KEYS: [&str; 6] = ["equals", "pattern", "of", "expect", "min", "max"];
        let fields = self.fields(node, "`answer`", &["type", "equals", "pattern", "of", "expect", "min", "max"], &[])?;
        let words: Vec<(&'static str, usize)> = TYPES.iter().enumerate().map(|(i, (word, _))| (*word, i)).collect();
        let word = self.required(&fields, "type", "`answer`", "done").and_then(|n| self.word(n, "`type`", &words, &[]))?;
        let (name, keys) = TYPES[word.value];
        for key in KEYS.iter().filter(|key| !keys.contains(key)) {
            if let Some(entry) = fields.get(key) {
                let why = format!("`{key}` has no meaning for an answer of type {name}");
                self.report.error("misplaced-key", entry.key.span, why, format!("remove `{key}`, or change `type`"));
            }
        }
        match name {
            "done" => Some(AnswerKind::Done),
            "text" => Some(AnswerKind::Text { equals: self.optional_line(&fields, "equals")?, pattern: self.answer_pattern(&fields)? }),
            "link" => Some(AnswerKind::Text { equals: None, pattern: Some(LINK.to_owned()) }),
            "choice" => self.choice(&fields),
            _ => self.number_answer(&fields, node),
        }
    }

    #[expect(clippy::option_option, reason = "outer: readable; inner: given")]
    fn optional_line(&mut self, fields: &Fields<'_>, key: &str) -> Option<Option<String>> {
        fields.value(key).map_or(Some(None), |node| self.line(node, &format!("`{key}`")).map(Some))
    }

    #[expect(clippy::option_option, reason = "outer: readable; inner: given")]
    fn answer_pattern(&mut self, fields: &Fields<'_>) -> Option<Option<String>> {
        let Some(node) = fields.value("pattern") else { return Some(None) };
        let text = node.scalar().map(|scalar| scalar.text.clone()).filter(|text| !text.is_empty());
        let compiles = |text: &String| regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build().is_ok();
        if let Some(text) = text.filter(compiles) {
            return Some(Some(text));
        }
        self.report.error(
            "invalid-value",
            node.span,
            "`pattern` is not a regular expression",
            "write one such as '^OPS-[0-9]+$', in single quotes",
        );
        None
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
}
