//! What of the cluster belongs to the service: its two Deployments and what their selectors pick.

use super::objects::{Deployment, Expression, LabelSelector};
use crate::domain::{ServiceSpec, Track};
use serde::Deserialize as _;
use std::collections::{BTreeMap, BTreeSet};

/// One Deployment, as far as it decides what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tracked {
    /// Its uid.
    pub(super) uid: String,
    /// What its pods carry.
    pub(super) selector: LabelSelector,
}

/// What is known of one Deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Side {
    /// Not looked for yet.
    #[default]
    Unknown,
    Absent,
    There(Tracked),
}

/// What is known of the two Deployments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    canary: Side,
    baseline: Side,
}

impl Scope {
    /// Takes note of a Deployment, or of its absence. Whether that changed anything.
    pub(super) fn set(&mut self, track: Track, deployment: Option<&Deployment>) -> bool {
        let tracked = |it: &Deployment| Tracked { uid: it.metadata.uid.clone(), selector: it.spec.selector.clone() };
        let side = deployment.map_or(Side::Absent, |it| Side::There(tracked(it)));
        let place = match track {
            Track::Canary => &mut self.canary,
            Track::Baseline => &mut self.baseline,
        };
        std::mem::replace(place, side.clone()) != side
    }

    /// Takes note of one object that runs both sides. Whether that changed anything.
    pub(super) fn set_one(&mut self, uid: &str, selector: &LabelSelector) -> bool {
        let side = Side::There(Tracked { uid: uid.to_owned(), selector: selector.clone() });
        let now = Self { canary: side.clone(), baseline: side };
        std::mem::replace(self, now.clone()) != now
    }

    /// Takes note that it is not there. Whether that changed anything.
    pub(super) fn set_none(&mut self) -> bool {
        let none = Self { canary: Side::Absent, baseline: Side::Absent };
        std::mem::replace(self, none.clone()) != none
    }

    /// Whether both Deployments were looked for.
    pub(super) fn complete(&self) -> bool {
        self.canary != Side::Unknown && self.baseline != Side::Unknown
    }

    /// The Deployment of a track.
    pub(super) fn tracked(&self, track: Track) -> Option<&Tracked> {
        let side = match track {
            Track::Canary => &self.canary,
            Track::Baseline => &self.baseline,
        };
        match side {
            Side::There(tracked) => Some(tracked),
            Side::Unknown | Side::Absent => None,
        }
    }

    /// The label selectors to watch: one that covers both sides where they share a key, else one for each side. Empty while
    /// there is no Deployment, or where a Deployment selects by nothing: that would be the whole namespace.
    pub(super) fn selectors(&self) -> Vec<String> {
        let sides: Vec<Vec<Requirement>> =
            Track::ALL.iter().filter_map(|track| self.tracked(*track)).map(|it| requirements(&it.selector)).collect();
        if let [one, two] = sides.as_slice() {
            let common = common(one, two);
            if !common.is_empty() {
                return vec![written(&common)];
            }
        }
        sides.iter().filter(|side| !side.is_empty()).map(|side| written(side)).collect()
    }

    /// The side whose selector matches these labels; by the Deployment's name where both do.
    pub(super) fn by_labels(&self, labels: &BTreeMap<String, String>, name: &str, spec: &ServiceSpec) -> Option<Track> {
        let fits = |track: Track| self.tracked(track).is_some_and(|it| selects(&it.selector, labels));
        match (fits(Track::Canary), fits(Track::Baseline)) {
            (false, false) => None,
            (true, false) => Some(Track::Canary),
            (false, true) => Some(Track::Baseline),
            (true, true) => {
                let (canary, baseline) = (&spec.canary.deployment, &spec.baseline.deployment);
                let starts = |deployment: &str| name.strip_prefix(deployment).is_some_and(|rest| rest.starts_with('-'));
                // `checkout` is a beginning of `checkout-canary` too: the longer name that fits wins.
                match (starts(canary), starts(baseline)) {
                    (true, true) if canary.len() < baseline.len() => Some(Track::Baseline),
                    (false, true) => Some(Track::Baseline),
                    _ => Some(Track::Canary),
                }
            }
        }
    }

    /// The side of the Deployment with this uid.
    pub(super) fn by_uid(&self, uid: &str) -> Option<Track> {
        Track::ALL.into_iter().find(|track| self.tracked(*track).is_some_and(|it| it.uid == uid))
    }
}

/// One term of a label selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, BTreeSet<String>),
    Other(String),
}

fn requirements(selector: &LabelSelector) -> Vec<Requirement> {
    let labels = selector.match_labels.iter().map(|(key, value)| Requirement::In(key.clone(), [value.clone()].into()));
    labels.chain(selector.match_expressions.iter().filter_map(requirement)).collect()
}

fn requirement(expression: &Expression) -> Option<Requirement> {
    let Expression { key, operator, values } = expression;
    Some(match operator.as_str() {
        "In" => Requirement::In(key.clone(), values.iter().cloned().collect()),
        "NotIn" => Requirement::Other(format!("{key} notin ({})", values.join(","))),
        "Exists" => Requirement::Other(key.clone()),
        "DoesNotExist" => Requirement::Other(format!("!{key}")),
        _ => return None,
    })
}

/// Terms that hold on both sides: a superset of either, still bounded by a label.
fn common(one: &[Requirement], two: &[Requirement]) -> Vec<Requirement> {
    let mut shared = Vec::new();
    for term in one {
        match term {
            Requirement::In(key, values) => {
                let other = two.iter().find_map(|term| match term {
                    Requirement::In(k, v) if k == key => Some(v),
                    _ => None,
                });
                shared.extend(other.map(|other| Requirement::In(key.clone(), values.union(other).cloned().collect())));
            }
            Requirement::Other(_) if two.contains(term) => shared.push(term.clone()),
            Requirement::Other(_) => {}
        }
    }
    // Only what must be there bounds the list.
    if shared.iter().any(|term| matches!(term, Requirement::In(..))) { shared } else { Vec::new() }
}

fn written(terms: &[Requirement]) -> String {
    let terms: Vec<String> = terms
        .iter()
        .map(|term| match term {
            Requirement::In(key, values) => match values.iter().collect::<Vec<_>>().as_slice() {
                [one] => format!("{key}={one}"),
                many => format!("{key} in ({})", many.iter().map(|value| value.as_str()).collect::<Vec<_>>().join(",")),
            },
            Requirement::Other(text) => text.clone(),
        })
        .collect();
    terms.join(",")
}

/// A label selector as a query takes it; `None` where it cannot be read or selects by nothing.
pub(super) fn selector(selector: &serde_json::Value) -> Option<String> {
    let terms = requirements(&LabelSelector::deserialize(selector).ok()?);
    (!terms.is_empty()).then(|| written(&terms))
}

/// Whether a selector picks what carries these labels.
pub(super) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let terms = selector.match_expressions.iter().all(|Expression { key, operator, values }| match (operator.as_str(), labels.get(key)) {
        ("In", Some(value)) => values.contains(value),
        ("NotIn", Some(value)) => !values.contains(value),
        ("Exists", Some(_)) | ("NotIn" | "DoesNotExist", None) => true,
        _ => false,
    });
    terms && selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(uid: &str, labels: &[(&str, &str)]) -> Deployment {
        let mut it = Deployment::default();
        it.metadata.uid = uid.to_owned();
        it.spec.selector.match_labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        it
    }

    fn scope(canary: &[(&str, &str)], baseline: &[(&str, &str)]) -> Scope {
        let mut scope = Scope::default();
        scope.set(Track::Canary, Some(&deployment("c", canary)));
        scope.set(Track::Baseline, Some(&deployment("b", baseline)));
        scope
    }

    #[test]
    fn one_watch_covers_both_sides_where_they_share_a_key() {
        let shared = scope(&[("app", "checkout"), ("track", "canary")], &[("app", "checkout"), ("track", "stable")]);
        assert_eq!(shared.selectors(), ["app=checkout,track in (canary,stable)"]);
        assert_eq!(scope(&[("app", "a")], &[("run", "b")]).selectors(), ["app=a", "run=b"], "else one each");
    }

    #[test]
    fn nothing_to_select_by_never_becomes_the_whole_namespace() {
        assert!(scope(&[], &[]).selectors().is_empty());
        assert!(Scope::default().selectors().is_empty());
        let mut scope = Scope::default();
        let mut all_but = deployment("c", &[]);
        all_but.spec.selector.match_expressions = vec![Expression { key: "a".into(), operator: "DoesNotExist".into(), values: vec![] }];
        scope.set(Track::Canary, Some(&all_but));
        assert_eq!(scope.selectors(), ["!a"], "what the deployment itself says is taken at its word");
    }

    #[test]
    fn labels_decide_the_side() {
        let scope = scope(&[("app", "x"), ("track", "canary")], &[("app", "x"), ("track", "stable")]);
        let labels = |track: &str| BTreeMap::from([("app".to_owned(), "x".to_owned()), ("track".to_owned(), track.to_owned())]);
        let spec = super::super::tests::spec();
        assert_eq!(scope.by_labels(&labels("canary"), "p", &spec), Some(Track::Canary));
        assert_eq!(scope.by_labels(&labels("stable"), "p", &spec), Some(Track::Baseline));
        assert_eq!(scope.by_labels(&labels("other"), "p", &spec), None);
    }
}
