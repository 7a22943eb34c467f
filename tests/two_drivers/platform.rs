//! The platform that both drivers write to: one object with a split of traffic, conditional writes and stamps.

use crate::rules::Rules;
use gonogo::domain::{
    Accepted, Action, ActionPlan, DiffLine, Failure, OpId, Preflight, Refusal, Route, Subject, Write, WriteKind, WriteStamp,
};
use std::collections::BTreeMap;

/// Who changed the weights.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Writer {
    Nobody,
    Op(OpId),
    Foreign,
}

pub(crate) struct Platform {
    pub(crate) route: Route,
    /// How often each operation took effect.
    pub(crate) effects: BTreeMap<OpId, u32>,
    /// Who changed the weights, in order.
    pub(crate) writers: Vec<Writer>,
}

impl Platform {
    pub(crate) fn new() -> Self {
        let route = Route {
            object: "virtualservice/checkout".into(),
            uid: "uid-1".into(),
            version: "1".into(),
            rule: "primary".into(),
            canary: 0,
            baseline: 100,
            others: 0,
            stamp: None,
            pinned: vec![],
            last_writer: None,
            trouble: None,
        };
        Self { route, effects: BTreeMap::new(), writers: vec![Writer::Nobody] }
    }

    pub(crate) fn read(&self, action: &Action) -> Subject {
        self.route.subject(action)
    }

    pub(crate) fn plan(&self, action: Action) -> ActionPlan {
        ActionPlan {
            diff: vec![DiffLine { field: "weight".into(), before: self.route.canary.to_string(), after: action.wanted() }],
            before: self.read(&action),
            consequence: action.consequence(),
            warnings: vec![],
            action,
            dry_run: Preflight::Accepted,
            access: Preflight::Accepted,
            request: "PATCH".into(),
        }
    }

    /// A write arrives: one patch, which tests what it relies on and changes all or nothing.
    pub(crate) fn arrive(&mut self, write: &Write, rules: Rules) -> Result<Accepted, Failure> {
        let there = self.read(write.action());
        let same = write.before.relied() == there.relied();
        // Before there is a stamp to test, the version stands in for it.
        let version = write.before.stamp.is_some() || write.before.version == self.route.version;
        if rules.conditions && !(same && version) {
            return Err(Failure::Refused { code: 422, reason: Refusal::Conflict, why: "test failed".into() });
        }
        self.bump();
        let stamp = WriteStamp { run: write.run.clone(), op: write.op.clone(), epoch: write.epoch };
        match &write.kind {
            WriteKind::Act { action } => {
                *self.effects.entry(write.op.clone()).or_default() += 1;
                self.writers.push(Writer::Op(write.op.clone()));
                self.set(action.weight().map_or(0, |w| w.get().into()));
                if rules.stamp {
                    self.route.stamp = Some(stamp);
                }
            }
            WriteKind::Fence { .. } => match &mut self.route.stamp {
                Some(there) => there.epoch = write.epoch,
                there => *there = Some(stamp),
            },
        }
        Ok(Accepted { version: Some(self.route.version.clone()), after: None })
    }

    /// Somebody with another tool.
    pub(crate) fn foreign(&mut self, to: u32) {
        self.bump();
        self.set(to);
        self.writers.push(Writer::Foreign);
        self.route.last_writer = Some("kubectl".into());
    }

    fn set(&mut self, canary: u32) {
        self.route.canary = canary;
        self.route.baseline = 100 - canary;
    }

    fn bump(&mut self) {
        let version: u64 = self.route.version.parse().unwrap_or_default();
        self.route.version = (version + 1).to_string();
    }
}
