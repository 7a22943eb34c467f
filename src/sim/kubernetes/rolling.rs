//! The arithmetic of a rollout: how many Pods each ReplicaSet is to have next.

use super::cluster::count;
use super::deployment::Set;
use serde_json::Value;

/// `25%` or a number, of `of`.
fn share(value: &Value, of: u32, up: bool) -> u32 {
    let Some(percent) = value.as_str().and_then(|s| s.strip_suffix('%')).and_then(|s| s.parse::<u32>().ok()) else {
        return count(value);
    };
    let product = percent.min(1000) * of;
    if up { product.div_ceil(100) } else { product / 100 }
}

fn recreates(deployment: &Value) -> bool {
    deployment["spec"]["strategy"]["type"] == "Recreate"
}

/// Pods beyond the wanted number.
pub(crate) fn surge(deployment: &Value) -> u32 {
    if recreates(deployment) {
        return 0;
    }
    share(&deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"], count(&deployment["spec"]["replicas"]), true)
}

/// Pods that may be missing. Where nothing may be added, one may.
pub(crate) fn unavailable(deployment: &Value) -> u32 {
    let desired = count(&deployment["spec"]["replicas"]);
    if recreates(deployment) || desired == 0 {
        return 0;
    }
    let limit = share(&deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], desired, false);
    if limit == 0 && surge(deployment) == 0 { 1 } else { limit.min(desired) }
}

/// Size of a new ReplicaSet beside others that have `others` Pods together.
pub(crate) fn first_size(deployment: &Value, others: u32) -> u32 {
    let desired = count(&deployment["spec"]["replicas"]);
    if recreates(deployment) {
        return if others == 0 { desired } else { 0 };
    }
    (desired + surge(deployment)).saturating_sub(others).min(desired)
}

/// Takes the next step.
pub(crate) fn roll(deployment: &Value, sets: &mut [Set], current: Option<usize>, paused: bool) {
    let desired = count(&deployment["spec"]["replicas"]);
    let scaled = sets.iter().any(|set| set.wanted > 0 && set.desired.is_some_and(|noted| noted != desired));
    if paused || scaled {
        scale(deployment, sets, current);
        return;
    }
    let Some(current) = current else { return };
    if recreates(deployment) {
        let running: u32 = sets.iter().enumerate().filter(|(i, _)| *i != current).map(|(_, set)| set.active).sum();
        sets.iter_mut().enumerate().filter(|(i, _)| *i != current).for_each(|(_, set)| set.wanted = 0);
        if running == 0 {
            sets[current].wanted = desired;
        }
        return;
    }
    let all: u32 = sets.iter().map(|set| set.wanted).sum();
    let new = &mut sets[current];
    if new.wanted > desired {
        new.wanted = desired;
        return;
    }
    let room = (desired + surge(deployment)).saturating_sub(all).min(desired - new.wanted);
    if room > 0 {
        new.wanted += room;
        return;
    }
    shrink_old(sets, current, desired.saturating_sub(unavailable(deployment)));
}

/// Takes Pods away from old ReplicaSets while at least `least` stay available. Pods that do not serve anyway go first.
fn shrink_old(sets: &mut [Set], current: usize, least: u32) {
    let all: u32 = sets.iter().map(|set| set.wanted).sum();
    let new_unavailable = sets[current].wanted.saturating_sub(sets[current].available);
    let mut broken = all.saturating_sub(least + new_unavailable);
    if broken == 0 {
        return;
    }
    let mut healthy = sets.iter().map(|set| set.available).sum::<u32>().saturating_sub(least);
    for set in sets.iter_mut().enumerate().filter(|(i, set)| *i != current && set.wanted > 0).map(|(_, set)| set) {
        let useless = set.wanted.saturating_sub(set.available).min(broken);
        set.wanted -= useless;
        broken -= useless;
        let spare = set.wanted.min(healthy);
        set.wanted -= spare;
        healthy -= spare;
    }
}

/// Follows a change of scale: the only or latest ReplicaSet takes it all, several share it in proportion.
fn scale(deployment: &Value, sets: &mut [Set], current: Option<usize>) {
    let desired = count(&deployment["spec"]["replicas"]);
    let active: Vec<usize> = (0..sets.len()).filter(|i| sets[*i].wanted > 0).collect();
    if active.len() <= 1 {
        let only = active.first().copied().or(current).or_else(|| sets.len().checked_sub(1));
        if let Some(only) = only {
            sets[only].wanted = desired;
        }
        return;
    }
    if let Some(current) = current
        && sets[current].wanted == desired
        && sets[current].desired == Some(desired)
        && sets[current].available == desired
    {
        sets.iter_mut().enumerate().filter(|(i, _)| *i != current).for_each(|(_, set)| set.wanted = 0);
        return;
    }
    if recreates(deployment) {
        return;
    }
    let allowed = if desired > 0 { desired + surge(deployment) } else { 0 };
    let all: u32 = sets.iter().map(|set| set.wanted).sum();
    let mut left = i64::from(allowed) - i64::from(all);
    // The larger first; of equals the newer when growing, the older when shrinking.
    let mut order = active;
    order.sort_by_key(|i| (std::cmp::Reverse(sets[*i].wanted), if left > 0 { sets.len() - *i } else { *i }));
    let wanted_change = left;
    for i in &order {
        let set = &mut sets[*i];
        let noted = set.most.filter(|most| *most > 0).unwrap_or_else(|| count(&deployment["status"]["replicas"]).max(1));
        let target = (f64::from(set.wanted) * f64::from(allowed) / f64::from(noted)).round() as i64;
        let part = target - i64::from(set.wanted);
        let part = if wanted_change > 0 { part.clamp(0, left) } else { part.clamp(left, 0) };
        set.wanted = (i64::from(set.wanted) + part).max(0) as u32;
        left -= part;
    }
    if let Some(first) = order.first() {
        sets[*first].wanted = (i64::from(sets[*first].wanted) + left).max(0) as u32;
    }
}
