//! The words of acts that set no weight, and of the way back where traffic is not split by weights.

use super::sight::Sight;
use crate::app::prompt::{Ask, Prompt};
use crate::domain::{Action, RouteSpec, Track};

/// What backing out does: `canary -> 0%`, `undo -> the revision before`.
pub(super) fn way_back(sight: &Sight<'_>) -> &'static str {
    match sight.model.spec.route {
        RouteSpec::Rolling => "undo -> the revision before",
        RouteSpec::Rollout { .. } => "abort the rollout",
        _ => "canary -> 0%",
    }
}

/// The same as part of a sentence.
pub(super) fn way_back_words(sight: &Sight<'_>) -> &'static str {
    match sight.model.spec.route {
        RouteSpec::Rolling => "undo to the revision before",
        RouteSpec::Rollout { .. } => "abort the rollout",
        _ => "canary to 0%",
    }
}

/// What is asked to be typed.
pub(super) fn label(prompt: &Prompt, cells: usize) -> String {
    let narrow = cells < 44;
    let words = match (&prompt.ask, prompt.proposal.as_ref().map(|proposal| &proposal.plan.action)) {
        (Ask::BackOut, Some(action)) if !matches!(action, Action::SetWeight { .. }) => "0 to go back",
        (_, Some(Action::SetImage { .. })) => "the NEW version",
        (_, Some(Action::Scale { .. })) => "the NEW number of instances",
        (_, Some(Action::Restart { .. })) => "the number of instances",
        (_, Some(Action::Undo { .. } | Action::HelmRollback { .. })) => "the revision to go back to",
        (_, Some(Action::Pause { .. } | Action::Resume { .. } | Action::RetryRollout { .. })) => "the word",
        (Ask::GoCode { .. }, _) => "the code of the plan",
        _ if narrow => return if cells >= 26 { " NEW weight: [ ".to_owned() } else { "[".to_owned() },
        _ => "the NEW canary weight",
    };
    match cells {
        44.. => format!(" type {words}:  [ "),
        26.. => " type it: [ ".to_owned(),
        _ => "[".to_owned(),
    }
}

/// What an undo leaves as it is; `None` where backing out moves weights.
pub(super) fn left_alone(sight: &Sight<'_>) -> Option<String> {
    matches!(sight.model.spec.route, RouteSpec::Rolling)
        .then(|| "the number of instances, and everything outside the instance template, stays".to_owned())
}

/// `v2.41.3 -> v2.42.0`, or the one version where there is but one.
pub(super) fn versions(sight: &Sight<'_>) -> String {
    let arrow = sight.glyphs.arrow();
    let (before, now) = (sight.version(Track::Baseline), sight.version(Track::Canary));
    if sight.model.is_split() || sight.model.is_rolling() { format!("{before} {arrow} {now}") } else { String::new() }
}
