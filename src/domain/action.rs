//! What can be done to a platform, planned, sent, and answered.

use super::ids::{Epoch, OpId, RunId};
use super::subject::{Relied, Subject};
use super::traffic::Percent;
use super::workload::Track;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A change of the platform, in its level form: saying it twice is the same as saying it once.
///
/// A runbook leaves open what only the platform can tell: which revision an undo goes back to, when a restart is. Those parts are
/// fixed when the action is planned, and never change afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Send this share of traffic to the canary, the rest to the baseline.
    SetWeight {
        /// The new share of the canary.
        canary: Percent,
    },
    /// Run another image.
    SetImage {
        /// Whose workload.
        track: Track,
        /// Name of the container; the only one when absent.
        container: Option<String>,
        /// The image, with tag or digest.
        image: String,
    },
    /// Ask for so many instances.
    Scale {
        /// Whose workload.
        track: Track,
        /// How many.
        replicas: u32,
    },
    /// Replace all instances, a few at a time.
    Restart {
        /// Whose workload.
        track: Track,
        /// The mark it leaves; fixed when planned.
        at: Option<DateTime<Utc>>,
    },
    /// Run an earlier revision again.
    Undo {
        /// Whose workload.
        track: Track,
        /// The platform's number; the revision before the present one when absent, fixed when planned.
        revision: Option<u64>,
        /// What keeps that revision on the platform (`replicaset/checkout-6f9c7`), since numbers move; fixed when planned.
        kept_by: Option<String>,
    },
    /// Stop the platform's own progress where it is.
    Pause {
        /// Whose workload.
        track: Track,
    },
    /// Let the platform go on.
    Resume {
        /// Whose workload.
        track: Track,
    },
    /// Let a progressive rollout go past the step at which it stands.
    Promote {
        /// Past all steps.
        full: bool,
        /// Where it stands; fixed when planned.
        from: Option<RolloutPoint>,
    },
    /// Send a progressive rollout back to what served before.
    AbortRollout {
        /// The revision that is given up; fixed when planned.
        revision: Option<String>,
    },
    /// Let an aborted progressive rollout begin again.
    RetryRollout {
        /// The revision that is tried again; fixed when planned.
        revision: Option<String>,
    },
    /// Bring a packaged release back to an earlier revision, through its own client.
    HelmRollback {
        /// Name of the release.
        release: String,
        /// The revision; the one before the present when absent, fixed when planned.
        revision: Option<u64>,
    },
}

/// Where a progressive rollout stands, as far as promoting depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RolloutPoint {
    /// Hash of the new version's instances.
    pub revision: String,
    /// The current step, from 0; absent where there are none.
    pub step: Option<u32>,
    /// Hash of the list of steps: another list counts anew.
    pub steps: String,
    /// The canary's share once it has gone on to where it stops next, when that can be told.
    pub next: Option<Percent>,
}

/// What kind of action it is: what a platform can do, and what a right is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// [`Action::SetWeight`].
    SetWeight,
    /// [`Action::SetImage`].
    SetImage,
    /// [`Action::Scale`].
    Scale,
    /// [`Action::Restart`].
    Restart,
    /// [`Action::Undo`].
    Undo,
    /// [`Action::Pause`].
    Pause,
    /// [`Action::Resume`].
    Resume,
    /// [`Action::Promote`].
    Promote,
    /// [`Action::AbortRollout`].
    AbortRollout,
    /// [`Action::RetryRollout`].
    RetryRollout,
    /// [`Action::HelmRollback`].
    HelmRollback,
}

impl ActionKind {
    /// Every kind, in the order of lists.
    pub const ALL: [Self; 11] = [
        Self::SetWeight,
        Self::SetImage,
        Self::Scale,
        Self::Restart,
        Self::Undo,
        Self::Pause,
        Self::Resume,
        Self::Promote,
        Self::AbortRollout,
        Self::RetryRollout,
        Self::HelmRollback,
    ];

    /// Its key in a runbook.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SetWeight => "set_weight",
            Self::SetImage => "set_image",
            Self::Scale => "scale",
            Self::Restart => "restart",
            Self::Undo => "undo",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::AbortRollout => "abort_rollout",
            Self::RetryRollout => "retry_rollout",
            Self::HelmRollback => "helm_rollback",
        }
    }
}

impl Action {
    /// What kind of action it is.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::SetWeight { .. } => ActionKind::SetWeight,
            Self::SetImage { .. } => ActionKind::SetImage,
            Self::Scale { .. } => ActionKind::Scale,
            Self::Restart { .. } => ActionKind::Restart,
            Self::Undo { .. } => ActionKind::Undo,
            Self::Pause { .. } => ActionKind::Pause,
            Self::Resume { .. } => ActionKind::Resume,
            Self::Promote { .. } => ActionKind::Promote,
            Self::AbortRollout { .. } => ActionKind::AbortRollout,
            Self::RetryRollout { .. } => ActionKind::RetryRollout,
            Self::HelmRollback { .. } => ActionKind::HelmRollback,
        }
    }

    /// What must be typed to confirm it: the consequence. What only the platform can tell is named by a word until it is planned;
    /// [`ActionPlan::consequence`] is what counts.
    #[must_use]
    pub fn consequence(&self) -> String {
        match self {
            Self::SetWeight { canary } => canary.to_string(),
            Self::SetImage { image, .. } => version_of(image).to_owned(),
            Self::Scale { replicas, .. } => replicas.to_string(),
            Self::Restart { .. } => "the number of instances".to_owned(),
            Self::Undo { revision, .. } | Self::HelmRollback { revision, .. } => {
                revision.map_or_else(|| "the revision".to_owned(), |number| number.to_string())
            }
            Self::Pause { .. } => "pause".to_owned(),
            Self::Resume { .. } => "resume".to_owned(),
            Self::Promote { .. } => self.weight().map_or_else(|| "the new weight".to_owned(), |weight| weight.to_string()),
            Self::AbortRollout { .. } => "0".to_owned(),
            Self::RetryRollout { .. } => "retry".to_owned(),
        }
    }

    /// The canary's share once it is done, where the action is about that and it can be told.
    #[must_use]
    pub fn weight(&self) -> Option<Percent> {
        match self {
            Self::SetWeight { canary } => Some(*canary),
            Self::Promote { full: true, .. } => Some(Percent::FULL),
            Self::Promote { from, .. } => from.as_ref().and_then(|from| from.next),
            Self::AbortRollout { .. } => Some(Percent::ZERO),
            _ => None,
        }
    }

    /// Whether it sends more requests to the new version.
    #[must_use]
    pub fn raises_traffic(&self) -> bool {
        match self {
            Self::SetWeight { canary } => *canary > Percent::ZERO,
            Self::Promote { .. } | Self::RetryRollout { .. } => true,
            _ => false,
        }
    }

    /// Whether it only stops something or goes back: it is never refused for the sake of the verdict.
    #[must_use]
    pub fn is_remedy(&self) -> bool {
        matches!(self, Self::Undo { .. } | Self::AbortRollout { .. } | Self::HelmRollback { .. } | Self::Pause { .. })
    }

    /// The wish behind it, without what was fixed when it was planned: a plan must be for the same wish.
    #[must_use]
    pub fn wish(&self) -> Self {
        let mut wish = self.clone();
        match &mut wish {
            Self::Restart { at, .. } => *at = None,
            Self::Undo { revision, kept_by, .. } => (*revision, *kept_by) = (None, None),
            Self::Promote { from, .. } => *from = None,
            Self::AbortRollout { revision } | Self::RetryRollout { revision } => *revision = None,
            Self::HelmRollback { revision, .. } => *revision = None,
            Self::SetWeight { .. } | Self::SetImage { .. } | Self::Scale { .. } | Self::Pause { .. } | Self::Resume { .. } => {}
        }
        wish
    }

    /// Whether `planned` is this action with its open parts fixed: nothing that was said may differ.
    #[must_use]
    pub fn is_planned_as(&self, planned: &Self) -> bool {
        let kept = |said: bool, same: bool| !said || same;
        let said = match (self, planned) {
            (Self::Restart { at, .. }, Self::Restart { at: then, .. }) => kept(at.is_some(), at == then),
            (Self::Undo { revision, kept_by, .. }, Self::Undo { revision: number, kept_by: by, .. }) => {
                kept(kept_by.is_some(), kept_by == by) && kept(revision.is_some(), revision == number)
            }
            (Self::Promote { from, .. }, Self::Promote { from: point, .. }) => kept(from.is_some(), from == point),
            (Self::AbortRollout { revision }, Self::AbortRollout { revision: of })
            | (Self::RetryRollout { revision }, Self::RetryRollout { revision: of }) => kept(revision.is_some(), revision == of),
            (Self::HelmRollback { revision, .. }, Self::HelmRollback { revision: of, .. }) => kept(revision.is_some(), revision == of),
            _ => true,
        };
        said && self.wish() == planned.wish()
    }

    /// Whether the platform still has to tell something before it can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::Restart { at, .. } => at.is_none(),
            Self::Undo { kept_by, .. } => kept_by.is_none(),
            Self::Promote { from, .. } => from.is_none(),
            Self::AbortRollout { revision } | Self::RetryRollout { revision } => revision.is_none(),
            Self::HelmRollback { revision, .. } => revision.is_none(),
            _ => false,
        }
    }

    /// What was wanted, short, as the other side of "is now": `25%`, `revision 3`.
    #[must_use]
    pub fn wanted(&self) -> String {
        match self {
            Self::SetWeight { canary } => format!("{canary}%"),
            Self::SetImage { image, .. } => version_of(image).to_owned(),
            Self::Scale { replicas, .. } => format!("{replicas} instances"),
            Self::Restart { at: Some(at), .. } => format!("restarted at {}", at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            Self::Restart { at: None, .. } => "restarted".to_owned(),
            Self::Undo { revision: Some(number), .. } | Self::HelmRollback { revision: Some(number), .. } => format!("revision {number}"),
            Self::Undo { .. } | Self::HelmRollback { .. } => "the revision before".to_owned(),
            Self::Pause { .. } => "paused".to_owned(),
            Self::Resume { .. } => "not paused".to_owned(),
            Self::Promote { full: true, .. } => "promoted in full".to_owned(),
            Self::Promote { from: Some(RolloutPoint { step: Some(step), .. }), .. } => format!("past step {}", step + 1),
            Self::Promote { .. } => "promoted".to_owned(),
            Self::AbortRollout { .. } => "aborted".to_owned(),
            Self::RetryRollout { .. } => "tried again".to_owned(),
        }
    }
}

/// The version that an image names: its tag, else its digest in short, else all of it.
#[must_use]
pub fn version_of(image: &str) -> &str {
    if let Some((_, digest)) = image.split_once('@') {
        return digest.get(..19).unwrap_or(digest);
    }
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    image[name..].split_once(':').map_or(image, |(_, tag)| tag)
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetWeight { canary } => write!(f, "canary -> {canary}%"),
            Self::SetImage { track, image, .. } => write!(f, "{track} image -> {}", version_of(image)),
            Self::Scale { track, replicas } => write!(f, "{track} -> {replicas} instances"),
            Self::Restart { track, .. } => write!(f, "restart {track}"),
            Self::Undo { track, revision, .. } => match revision {
                Some(number) => write!(f, "undo {track} -> revision {number}"),
                None => write!(f, "undo {track} -> the revision before"),
            },
            Self::Pause { track } => write!(f, "pause {track}"),
            Self::Resume { track } => write!(f, "resume {track}"),
            Self::Promote { full: true, .. } => f.write_str("promote in full"),
            Self::Promote { from, .. } => match from.as_ref().map(|from| (from.step, from.next)) {
                Some((Some(step), Some(next))) => write!(f, "promote past step {}, canary -> {next}%", step + 1),
                Some((Some(step), None)) => write!(f, "promote past step {}", step + 1),
                _ => f.write_str("promote"),
            },
            Self::AbortRollout { .. } => f.write_str("abort the rollout, canary -> 0%"),
            Self::RetryRollout { .. } => f.write_str("try the rollout again"),
            Self::HelmRollback { release, revision } => match revision {
                Some(number) => write!(f, "helm rollback {release} -> revision {number}"),
                None => write!(f, "helm rollback {release} -> the revision before"),
            },
        }
    }
}

/// One line of the difference an action would make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLine {
    /// `virtualservice/checkout http[primary] canary weight`.
    pub field: String,
    /// Value now.
    pub before: String,
    /// Value afterwards.
    pub after: String,
}

/// What the platform said when asked, without changing anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Preflight {
    /// It would accept the change.
    Accepted,
    /// It would refuse, in its words.
    Refused {
        /// Why, with what to do.
        why: String,
    },
    /// It could not be asked; the plan still stands.
    NotAsked {
        /// Why not.
        why: String,
    },
}

/// An action worked out against what the platform shows now. Making one changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionPlan {
    /// What would be done, with every part fixed.
    pub action: Action,
    /// What must be typed to confirm it.
    pub consequence: String,
    /// What it changes, as read: the write relies on it.
    pub before: Subject,
    /// What would differ; empty when the platform is already there.
    pub diff: Vec<DiffLine>,
    /// What a person should know before saying yes: an autoscaler that will fight it, a GitOps tool that will take it back.
    pub warnings: Vec<String>,
    /// The platform's own answer to a dry run.
    pub dry_run: Preflight,
    /// Whether our login has the right (asked beforehand).
    pub access: Preflight,
    /// The exact request, for people: method, path and body.
    pub request: String,
}

impl ActionPlan {
    /// The fields the plan relies on: if one of them moved, the plan is void. Not the object's version: status updates change that all the time.
    #[must_use]
    pub fn relies_on(&self) -> Relied {
        self.before.relied()
    }

    /// Whether the platform is already as wanted.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.before.done
    }
}

/// What a write is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum WriteKind {
    /// The action itself, stamped with operation and epoch.
    Act {
        /// What to do.
        action: Action,
    },
    /// Only a new epoch on the object, so that a late write of an older epoch is refused there.
    Fence {
        /// The act that is closed off: it tells which object carries the fence.
        action: Action,
    },
}

/// One conditional, stamped write. Sent once; never repeated by a client library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Act or fence.
    pub kind: WriteKind,
    /// The service it is for; the run's own when absent.
    pub target: Option<String>,
    /// Written on the object.
    pub run: RunId,
    /// Written on the object.
    pub op: OpId,
    /// Written on the object.
    pub epoch: Epoch,
    /// What it changes, as re-read just before: the write is conditional on all its relied fields.
    pub before: Subject,
    /// After this the outcome is unknown.
    pub deadline: Duration,
}

impl Write {
    /// The act, or the act that is closed off.
    #[must_use]
    pub fn action(&self) -> &Action {
        match &self.kind {
            WriteKind::Act { action } | WriteKind::Fence { action } => action,
        }
    }

    /// Whether it only closes an act off.
    #[must_use]
    pub fn is_fence(&self) -> bool {
        matches!(self.kind, WriteKind::Fence { .. })
    }
}

/// The platform accepted a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The object's version after the write, when the answer told.
    pub version: Option<String>,
    /// What was changed, as the answer shows it.
    pub after: Option<Box<Subject>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_may_fix_what_was_open_and_nothing_that_was_said() {
        let undo = |revision: Option<u64>, kept_by: Option<&str>| Action::Undo {
            track: Track::Canary,
            revision,
            kept_by: kept_by.map(str::to_owned),
        };
        assert!(undo(None, None).is_planned_as(&undo(Some(3), Some("replicaset/a"))));
        assert!(!undo(Some(2), None).is_planned_as(&undo(Some(3), Some("replicaset/a"))), "another revision than was asked for");
        let to = |weight| Action::SetWeight { canary: Percent::new(weight).unwrap() };
        assert!(!to(25).is_planned_as(&to(50)));
        assert!(!to(25).is_planned_as(&undo(None, None)));
        let scale = |track, replicas| Action::Scale { track, replicas };
        assert!(!scale(Track::Canary, 3).is_planned_as(&scale(Track::Baseline, 3)), "the other side");
    }

    #[test]
    fn the_version_of_an_image_is_its_tag_or_its_digest() {
        assert_eq!(version_of("registry.example:5000/shop/checkout:v2"), "v2");
        assert_eq!(version_of("registry.example:5000/shop/checkout"), "registry.example:5000/shop/checkout");
        assert_eq!(version_of("shop/checkout@sha256:0123456789abcdef0123"), "sha256:0123456789ab");
    }
}
