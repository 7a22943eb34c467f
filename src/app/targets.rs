//! Other services that are shown beside the cockpit's own, and may be released together with it: each with a connection and a
//! picture of its own, so that one that is lost leaves the others as they are.

use super::model::{Model, Picture};
use crate::domain::traffic::Agreement;
use crate::domain::{Freshness, Percent, ServiceSpec, SourceHealth, Stamp, Track, Verdict};

/// One of them.
#[derive(Debug, Clone)]
pub struct Target {
    /// The service.
    pub spec: ServiceSpec,
    /// Its platform connection.
    pub platform: SourceHealth,
    /// What its platform shows.
    pub picture: Picture,
}

impl Target {
    /// A service of which nothing is known yet.
    #[must_use]
    pub fn new(spec: ServiceSpec) -> Self {
        let platform = super::update::platform_health(&spec);
        Self { spec, platform, picture: Picture::default() }
    }

    /// Instances of a track: ready, asked for.
    #[must_use]
    pub fn ready(&self, track: Track) -> (u32, u32) {
        let of_track = || self.picture.workloads.values().filter(|workload| workload.track == track);
        (of_track().map(|workload| workload.ready).sum(), of_track().map(|workload| workload.desired).sum())
    }

    /// Whether its route is set to what was asked for. What its traffic does is not asked: its metrics are another service's.
    #[must_use]
    pub fn agreement(&self, intended: Option<Percent>, now: &Stamp) -> Agreement {
        if !self.platform.freshness(now.wall).usable() {
            return Agreement::Unknown;
        }
        match (&self.picture.route, intended) {
            (Some(route), Some(weight)) if !route.is_at(weight) => Agreement::ConfiguredDiffers,
            (None, Some(_)) => Agreement::Unknown,
            _ => Agreement::Agreed,
        }
    }
}

impl Model {
    /// The other service of this name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.spec.name == name)
    }

    /// Whether the run releases it too: only then it has a say.
    #[must_use]
    pub fn releases(&self, target: &Target) -> bool {
        let run = self.run.as_ref().filter(|run| !run.state.phase.is_final());
        run.is_some_and(|run| run.state.runbook.target.with.iter().any(|key| key.service == target.spec.name))
    }

    /// The share that the run asked of another service last.
    #[must_use]
    pub fn intended_on(&self, target: &Target) -> Option<Percent> {
        let run = self.run.as_ref().filter(|run| !run.state.phase.is_final())?;
        run.state.intended_on.get(&target.spec.name).copied()
    }
}

/// What the other services of the run have to say, as verdicts with their words.
pub(super) fn reasons(model: &Model, now: &Stamp) -> Vec<(Verdict, String)> {
    let mut reasons = Vec::new();
    for target in model.targets.iter().filter(|target| model.releases(target)) {
        let name = &target.spec.name;
        let freshness = target.platform.freshness(now.wall);
        if !freshness.usable() {
            let text = match freshness {
                Freshness::NoData => format!("{name}: no data from {} yet", target.platform.source),
                other => format!("{name}: {} {}", target.platform.source, other.word()),
            };
            reasons.push((Verdict::Unknown, text));
            continue;
        }
        if let Some(trouble) = target.picture.route.as_ref().and_then(|route| route.trouble.as_ref()) {
            reasons.push((Verdict::Unknown, format!("{name}: {trouble}")));
        }
        let intended = model.intended_on(target);
        if target.agreement(intended, now) == Agreement::ConfiguredDiffers {
            let want = intended.map_or_else(|| "?".to_owned(), |weight| weight.to_string());
            let set = target.picture.route.as_ref().map_or_else(|| "?".to_owned(), crate::domain::Route::shown);
            reasons.push((Verdict::Hold, format!("{name}: want {want}% but set to {set}")));
        }
        if let Some(workload) = target.picture.workloads.values().find(|workload| workload.trouble.is_some()) {
            let why = workload.trouble.clone().unwrap_or_default();
            reasons.push((Verdict::NoGo, format!("{name}: {} {why}", workload.object)));
        }
    }
    reasons
}
