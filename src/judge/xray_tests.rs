//! Routes that look right and are not.

use super::*;
use crate::domain::XrayInstances;

fn of(canary: u32, baseline: u32, ready: u32) -> XrayInstances {
    let versions = [(canary, "v2"), (baseline, "v1")].into_iter().filter(|(n, _)| *n > 0).map(|(_, v)| v.to_owned()).collect();
    XrayInstances { all: canary + baseline, ready, canary, baseline, versions }
}

fn to(name: &str, weight: u32, meant: Option<Track>, instances: XrayInstances) -> XrayDestination {
    XrayDestination {
        name: format!("checkout/{name}"),
        weight,
        meant,
        picks: XraySelector::Labels(format!("version={name}")),
        instances: Some(instances),
    }
}

/// A header rule and a split, both right.
fn route() -> Xray {
    let canary = |weight| to("canary", weight, Some(Track::Canary), of(3, 0, 3));
    Xray {
        object: "virtualservice/checkout".into(),
        rules: vec![
            XrayRule {
                name: "insiders".into(),
                matches: vec!["header x-canary=true".into()],
                chosen: true,
                to: vec![canary(100)],
                besides: vec![],
            },
            XrayRule {
                name: "primary".into(),
                to: vec![to("stable", 75, Some(Track::Baseline), of(0, 9, 9)), canary(25)],
                ..XrayRule::default()
            },
        ],
        first_match_wins: true,
        whole: Some(100),
        canary: of(3, 0, 3),
        baseline: of(0, 9, 9),
        ..Xray::default()
    }
}

fn found(change: impl FnOnce(&mut Xray)) -> Vec<(Verdict, String)> {
    let mut route = route();
    change(&mut route);
    xray(&route).into_iter().map(|finding| (finding.verdict, finding.text)).collect()
}

#[test]
fn a_route_that_is_right_has_no_findings() {
    assert_eq!(found(|_| {}), []);
    let undeployed = found(|x| {
        x.canary = of(0, 0, 0);
        x.rules.remove(0);
        x.rules[0].to[0].weight = 100;
        x.rules[0].to[1] = to("canary", 0, Some(Track::Canary), of(0, 0, 0));
    });
    assert_eq!(undeployed, [], "a canary that is not there yet, without weight");
}

#[test]
fn a_header_rule_that_leads_nowhere_is_no_go_though_the_weights_are_fine() {
    let empty = found(|x| x.rules[0].to[0] = to("beta", 100, None, of(0, 0, 0)));
    assert_eq!(empty, [(Verdict::NoGo, "header x-canary=true -> checkout/beta: no instance is there".to_owned())]);
    let undefined = found(|x| {
        x.rules[0].to[0].picks = XraySelector::Undefined("no DestinationRule defines the subset beta".into());
    });
    assert_eq!(
        undefined,
        [(Verdict::NoGo, "header x-canary=true -> checkout/canary: no DestinationRule defines the subset beta".to_owned())]
    );
    let old = found(|x| x.rules[0].to[0] = to("old", 100, None, of(0, 2, 2)));
    assert_eq!(old, [(Verdict::Watch, "header x-canary=true -> checkout/old: runs v1, not the new version".to_owned())]);
}

#[test]
fn weight_on_an_empty_back_end_is_no_go_and_none_on_it_is_not() {
    let unready = |weight| {
        found(move |x| {
            x.rules = vec![XrayRule {
                to: vec![
                    to("canary", weight, Some(Track::Canary), of(3, 0, 0)),
                    to("stable", 100 - weight, Some(Track::Baseline), of(0, 9, 9)),
                ],
                ..XrayRule::default()
            }];
        })
    };
    assert_eq!(unready(25), [(Verdict::NoGo, "25% of the requests -> checkout/canary: 0 of 3 are ready".to_owned())]);
    assert_eq!(unready(0), []);
}

#[test]
fn labels_that_pick_the_other_side_or_nothing_are_no_go_before_any_traffic() {
    let swapped = found(|x| x.rules[1].to[1] = to("canary", 0, Some(Track::Canary), of(0, 9, 9)));
    assert_eq!(swapped[0].1, "checkout/canary is meant to be the canary, but version=canary picks the baseline");
    let both = found(|x| x.rules[1].to[0] = to("stable", 75, Some(Track::Baseline), of(3, 9, 12)));
    assert_eq!(both[0].1, "checkout/stable is meant to be the baseline, but version=stable picks also the canary");
    let none = found(|x| x.rules[1].to[1] = to("canary", 0, Some(Track::Canary), of(0, 0, 0)));
    assert_eq!(none[0], (Verdict::NoGo, "version=canary of checkout/canary matches none of the canary's 3 instances".to_owned()));
}

#[test]
fn a_rule_behind_one_that_takes_everything_and_odd_sums_are_watch() {
    let behind = found(|x| x.rules.reverse());
    assert_eq!(behind, [(Verdict::Watch, "header x-canary=true never matches: an earlier rule takes everything".to_owned())]);
    assert_eq!(found(|x| (x.rules.reverse(), x.first_match_wins = false).1), [], "where the more exact match wins, order does not matter");
    let sums = found(|x| x.rules[1].to[1].weight = 20);
    assert_eq!(sums, [(Verdict::Watch, "the weights of primary add up to 95, not to 100".to_owned())]);
    assert_eq!(found(|x| (x.rules[1].to[1].weight = 20, x.whole = None).1), []);
}

#[test]
fn what_is_not_known_is_not_judged() {
    let unknown = found(|x| {
        for to in x.rules.iter_mut().flat_map(|rule| &mut rule.to) {
            to.picks = XraySelector::Unknown("forbidden".into());
            to.instances = None;
        }
    });
    assert_eq!(unknown, []);
}
