//! What a step does to the platform.

use super::Walk;
use super::node::{At, Node, Value};
use super::scalars::Fields;
use crate::domain::{Action, Percent, Track};

/// Actions of the language, by key.
const ACTIONS: [&str; 9] = ["set_weight", "set_image", "scale", "restart", "undo", "pause", "resume", "rollout", "helm_rollback"];
const LATER: [&str; 5] = ["map_route", "unmap_route", "patch_selector", "exec", "http"];
const TRACKS: [(&str, Track); 2] = [("canary", Track::Canary), ("baseline", Track::Baseline)];
const ROLLOUT: [(&str, Action); 4] = [
    ("promote", Action::Promote { full: false, from: None }),
    ("promote-full", Action::Promote { full: true, from: None }),
    ("abort", Action::AbortRollout { revision: None }),
    ("retry", Action::RetryRollout { revision: None }),
];
/// The most instances that may be asked for.
const MOST_REPLICAS: u32 = 100_000;
/// The highest revision that may be named.
const MOST_REVISION: u32 = 1_000_000;

impl Walk<'_> {
    /// The one action of a `do` or an `undo`.
    pub(super) fn action(&mut self, node: &Node, what: &str) -> Option<At<Action>> {
        let fields = self.fields(node, what, &ACTIONS, &LATER)?;
        let mut given = ACTIONS.iter().filter_map(|key| fields.get(key));
        let Some(first) = given.next() else {
            // A key that is wrong, or not run yet, was reported as such.
            if matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
                let why = format!("{what} does not say what to do");
                self.report.error("missing-key", node.span, why, "write { set_weight: { canary: 5 } }, or another action");
            }
            return None;
        };
        if let Some(second) = given.next() {
            let why = format!("{what} is one action, and this one is `{}` and `{}`", first.key.value, second.key.value);
            self.report.error("step-kind", second.key.span, why, "make two steps of it");
            return None;
        }
        let value = &first.value;
        let action = match first.key.value.as_str() {
            "set_weight" => return self.set_weight(value),
            "set_image" => self.set_image(value),
            "scale" => self.scale(value),
            "restart" => self.side(value, "`restart`").map(|track| Action::Restart { track, at: None }),
            "undo" => self.undo_revision(value),
            "pause" => self.side(value, "`pause`").map(|track| Action::Pause { track }),
            "resume" => self.side(value, "`resume`").map(|track| Action::Resume { track }),
            "rollout" => self.rollout(value),
            _ => self.helm_rollback(value),
        }?;
        Some(At::new(action, node.span))
    }

    fn set_weight(&mut self, node: &Node) -> Option<At<Action>> {
        let weight = self.fields(node, "`set_weight`", &["canary"], &[])?;
        let node = self.required(&weight, "canary", "`set_weight`", "5")?;
        let canary = self.integer(node, "`canary`", 100).and_then(Percent::new)?;
        Some(At::new(Action::SetWeight { canary }, node.span))
    }

    fn set_image(&mut self, node: &Node) -> Option<Action> {
        let fields = self.fields(node, "`set_image`", &["track", "container", "image"], &[])?;
        let image = self.required(&fields, "image", "`set_image`", "registry.example/shop/checkout:v2.42.0")?;
        let image = self.line(image, "`image`")?;
        if image.is_empty() || image.chars().any(char::is_whitespace) {
            self.report.error(
                "invalid-value",
                node.span,
                "`image` is no image reference",
                "write registry/name:tag or registry/name@sha256:…",
            );
            return None;
        }
        let container = match fields.value("container") {
            Some(node) => Some(self.line(node, "`container`")?),
            None => None,
        };
        Some(Action::SetImage { track: self.track(&fields)?, container, image })
    }

    fn scale(&mut self, node: &Node) -> Option<Action> {
        let fields = self.fields(node, "`scale`", &["track", "replicas"], &[])?;
        let replicas = self.required(&fields, "replicas", "`scale`", "5")?;
        let replicas = self.integer(replicas, "`replicas`", MOST_REPLICAS)?;
        Some(Action::Scale { track: self.track(&fields)?, replicas })
    }

    fn undo_revision(&mut self, node: &Node) -> Option<Action> {
        let none = |track| Action::Undo { track, revision: None, kept_by: None };
        if node.scalar().is_some() {
            return self.side(node, "`undo`").map(none);
        }
        let fields = self.fields(node, "`undo`", &["track", "to"], &[])?;
        let revision = match fields.value("to") {
            Some(node) => Some(u64::from(self.integer(node, "`to`", MOST_REVISION)?)),
            None => None,
        };
        Some(Action::Undo { track: self.track(&fields)?, revision, kept_by: None })
    }

    fn rollout(&mut self, node: &Node) -> Option<Action> {
        let words: Vec<(&'static str, usize)> = ROLLOUT.iter().enumerate().map(|(at, (word, _))| (*word, at)).collect();
        let chosen = self.word(node, "`rollout`", &words, &[])?;
        ROLLOUT.get(chosen.value).map(|(_, action)| action.clone())
    }

    fn helm_rollback(&mut self, node: &Node) -> Option<Action> {
        let fields = self.fields(node, "`helm_rollback`", &["release", "to"], &[])?;
        let release = self.required(&fields, "release", "`helm_rollback`", "checkout")?;
        let release = self.id(release, "`release`")?.value;
        let revision = match fields.value("to") {
            Some(node) => Some(u64::from(self.integer(node, "`to`", MOST_REVISION)?)),
            None => None,
        };
        Some(Action::HelmRollback { release, revision })
    }

    /// `canary` or `baseline`, alone or under `track`.
    fn side(&mut self, node: &Node, what: &str) -> Option<Track> {
        if node.scalar().is_some() {
            return self.word(node, what, &TRACKS, &[]).map(|track| track.value);
        }
        let fields = self.fields(node, what, &["track"], &[])?;
        self.track(&fields)
    }

    fn track(&mut self, fields: &Fields<'_>) -> Option<Track> {
        match fields.value("track") {
            Some(node) => self.word(node, "`track`", &TRACKS, &[]).map(|track| track.value),
            None => Some(Track::Canary),
        }
    }
}
