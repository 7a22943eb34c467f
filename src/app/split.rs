//! The share of the new version where nothing splits traffic: it follows the instances.

use super::model::Model;
use crate::domain::Track;

impl Model {
    /// Whether something splits the traffic of this service. Where nothing does, no weight is intended and none is configured.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.spec.route.object().is_some()
    }

    /// Ready instances of the new version, and of both, where traffic follows them. `None` while they are not known.
    #[must_use]
    pub fn ready_instances(&self) -> Option<(u32, u32)> {
        if self.is_split() || !self.picture.listed {
            return None;
        }
        let ready = |track| self.picture.instances.of(track).ready;
        Some((ready(Track::Canary), ready(Track::Canary) + ready(Track::Baseline)))
    }

    /// The new version's share in percent: as configured, else by its ready instances.
    #[must_use]
    pub fn share_now(&self) -> Option<f64> {
        if self.is_split() {
            return self.configured();
        }
        let (new, all) = self.ready_instances()?;
        (all > 0).then(|| f64::from(new) * 100.0 / f64::from(all))
    }

    /// Whether instances of the version before are still there, where one object runs both.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        !self.is_split() && self.picture.instances.of(Track::Baseline).total > 0
    }
}
