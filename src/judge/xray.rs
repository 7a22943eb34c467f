//! What is wrong with a route, judged from where it leads.

use crate::domain::{Track, Verdict, Xray, XrayDestination, XrayRule, XraySelector};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XrayFinding {
    /// NO-GO: requests fail or would; WATCH: it does not do what it seems to.
    pub verdict: Verdict,
    /// Index of the rule; `None`: of the whole route.
    pub rule: Option<usize>,
    /// In words, short.
    pub text: String,
}

/// Everything that is wrong, the worst first. What is not known is not judged.
#[must_use]
pub fn xray(xray: &Xray) -> Vec<XrayFinding> {
    let mut found = Vec::new();
    if let Some(why) = &xray.refused {
        found.push(XrayFinding { verdict: Verdict::NoGo, rule: None, text: format!("the gateway refuses {}: {why}", xray.object) });
    }
    for (at, rule) in xray.rules.iter().enumerate() {
        let mut add = |verdict, text: String| found.push(XrayFinding { verdict, rule: Some(at), text });
        let reached = reached(xray, at);
        if !reached {
            add(Verdict::Watch, format!("{} never matches: an earlier rule takes everything", words(rule)));
        }
        for to in &rule.to {
            if let Some((verdict, text)) = destination(xray, rule, to, reached) {
                add(verdict, text);
            }
        }
        if let Some(whole) = xray.whole.filter(|whole| rule.to.len() > 1 && rule.sum() != u64::from(*whole) && rule.sum() > 0) {
            add(Verdict::Watch, format!("the weights of {} add up to {}, not to {whole}", rule.name, rule.sum()));
        }
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    found.dedup_by(|one, two| one.text == two.text);
    found
}

/// Whether any request can get as far as this rule.
fn reached(xray: &Xray, at: usize) -> bool {
    !xray.first_match_wins || xray.rules[..at].iter().all(|before| !before.matches.is_empty())
}

fn words(rule: &XrayRule) -> String {
    if rule.matches.is_empty() { format!("rule {}", rule.name) } else { rule.matches.join(" or ") }
}

/// What is wrong with one destination: the first thing that is.
fn destination(xray: &Xray, rule: &XrayRule, to: &XrayDestination, reached: bool) -> Option<(Verdict, String)> {
    let served = reached && to.weight > 0;
    let who = if rule.chosen { words(rule) } else { format!("{:.0}% of the requests", rule.share(to).unwrap_or_default()) };
    if let (XraySelector::Undefined(why), true) = (&to.picks, served) {
        return Some((Verdict::NoGo, format!("{who} -> {}: {why}", to.name)));
    }
    let instances = to.instances.as_ref()?;
    let side = match to.meant {
        Some(Track::Canary) => Some(("canary", &xray.canary, instances.canary, instances.baseline)),
        Some(Track::Baseline) => Some(("baseline", &xray.baseline, instances.baseline, instances.canary)),
        None => None,
    };
    // Labels that miss the side are wrong with no traffic too: the next shift would send it nowhere.
    if let Some((name, of_side, right, wrong)) = side {
        let picks = match &to.picks {
            XraySelector::Labels(labels) => labels.as_str(),
            XraySelector::Undefined(_) | XraySelector::Unknown(_) => "its selector",
        };
        if wrong > 0 {
            let other = if name == "canary" { "baseline" } else { "canary" };
            let part = if right == 0 { "the" } else { "also the" };
            return Some((Verdict::NoGo, format!("{} is meant to be the {name}, but {picks} picks {part} {other}", to.name)));
        }
        if right == 0 && of_side.all > 0 {
            let whose = format!("the {name}'s {} instances", of_side.all);
            return Some((Verdict::NoGo, format!("{picks} of {} matches none of {whose}{}", to.name, goes(&who, served))));
        }
    }
    if served && instances.ready == 0 {
        let nothing = if instances.all == 0 { "no instance is there".to_owned() } else { format!("0 of {} are ready", instances.all) };
        return Some((Verdict::NoGo, format!("{who} -> {}: {nothing}", to.name)));
    }
    let new = &xray.canary.versions;
    let old =
        to.meant.is_none() && rule.chosen && served && !new.is_empty() && !instances.versions.iter().any(|version| new.contains(version));
    old.then(|| (Verdict::Watch, format!("{who} -> {}: runs {}, not the new version", to.name, instances.versions.join(", "))))
}

fn goes(who: &str, served: bool) -> String {
    if served { format!(": {who} go nowhere") } else { String::new() }
}

#[cfg(test)]
#[path = "xray_tests.rs"]
mod tests;
