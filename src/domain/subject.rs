//! What an action changes, as the platform shows it: the ground that a plan stands on.

use super::action::Action;
use super::ids::Epoch;
use super::traffic::{Percent, Route, WriteStamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The object that one action changes, as read now, with everything that a conditional write relies on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `virtualservice/checkout`, `deployment/checkout-canary`.
    pub object: String,
    /// Identity of the object.
    pub uid: String,
    /// The platform's opaque version of the object as read.
    pub version: String,
    /// The fields that the action relies on, by name, as text: `canary` = `25`, `image app` = `shop/checkout:v2`.
    pub fields: BTreeMap<String, String>,
    /// Whether it is already as the action wants it, by the platform's own measure.
    pub done: bool,
    /// How it is now, short, for people: `25%`, `3 instances`, `revision 12 (v2.41.3)`.
    pub shown: String,
    /// The canary's share in whole percent, where it has one.
    pub weight: Option<Percent>,
    /// Our own stamp, if the object carries one.
    pub stamp: Option<WriteStamp>,
    /// An act leaves its stamp here. Where it cannot (a status of its own), only the state itself tells whether it is done.
    pub stamped: bool,
    /// Who else wrote it last, and when: `kubectl at 2026-03-14T03:07:12Z`.
    pub last_writer: Option<String>,
    /// Why the action cannot be done here, if so.
    pub trouble: Option<String>,
    /// The split of traffic, where the object is one.
    pub route: Option<Box<Route>>,
}

impl Subject {
    /// The part of it that a plan depends on.
    #[must_use]
    pub fn relied(&self) -> Relied {
        Relied {
            object: self.object.clone(),
            uid: self.uid.clone(),
            fields: self.fields.clone(),
            epoch: self.stamp.as_ref().map(|stamp| stamp.epoch),
        }
    }

    /// What differs from how it was read before among the fields that are relied on: `canary was 25 and is 10`.
    #[must_use]
    pub fn moved_since(&self, before: &Relied) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> = before.fields.keys().chain(self.fields.keys()).collect();
        let text = |value: Option<&String>| value.map_or_else(|| "absent".to_owned(), |text| super::text::clean_bounded(text, 80));
        names
            .into_iter()
            .map(|name| (name, before.fields.get(name), self.fields.get(name)))
            .filter(|(_, was, is)| was != is)
            .map(|(name, was, is)| format!("{name} was {} and is {}", text(was), text(is)))
            .collect()
    }
}

/// The part of a subject that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relied {
    /// The object.
    pub object: String,
    /// Its identity.
    pub uid: String,
    /// Fields by name.
    pub fields: BTreeMap<String, String>,
    /// Epoch found on the object; another writer's epoch voids the plan.
    pub epoch: Option<Epoch>,
}

impl Route {
    /// The route as what a change of weights acts on.
    #[must_use]
    pub fn subject(&self, action: &Action) -> Subject {
        let fields = [
            ("rule", self.rule.clone()),
            ("canary", self.canary.to_string()),
            ("baseline", self.baseline.to_string()),
            ("others", self.others.to_string()),
        ];
        Subject {
            object: self.object.clone(),
            uid: self.uid.clone(),
            version: self.version.clone(),
            fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            done: matches!(action, Action::SetWeight { canary } if self.is_at(*canary)),
            shown: self.shown(),
            weight: self.whole(),
            stamp: self.stamp.clone(),
            stamped: true,
            last_writer: self.last_writer.clone(),
            trouble: self.trouble.clone(),
            route: Some(Box::new(self.clone())),
        }
    }

    /// The canary's share, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.canary_share() {
            Some(share) if self.others == 0 && share.fract() == 0.0 => format!("{share:.0}%"),
            Some(share) if self.others == 0 => format!("{share:.1}%"),
            _ => format!("weights {} canary, {} baseline, {} others", self.canary, self.baseline, self.others),
        }
    }

    /// The canary's share in whole percent, if it is one.
    #[must_use]
    pub fn whole(&self) -> Option<Percent> {
        let share = self.canary_share().filter(|share| self.others == 0 && share.fract() == 0.0)?;
        Percent::new(share as u32)
    }
}
