//! The services that are shown beside the cockpit's own: one line each.

use super::frame::{Area, Panel};
use super::line::{Line, Role, pad};
use super::sight::Sight;
use crate::app::targets::Target;
use crate::domain::traffic::Agreement;
use crate::domain::{RolloutStatus, Track};

/// Most lines on the cockpit; the traffic view shows all.
const FEW: usize = 4;

/// Rows that the panel wants; none where there is no other service.
pub(super) fn rows(sight: &Sight<'_>, all: bool) -> u16 {
    let count = sight.model.targets.len();
    let count = if all { count } else { count.min(FEW) };
    if count == 0 { 0 } else { u16::try_from(count + 1).unwrap_or(u16::MAX) }
}

/// The panel.
pub(super) fn panel(sight: &Sight<'_>, area: Area) -> Panel {
    let model = sight.model;
    let lost = model.targets.iter().filter(|target| !target.platform.freshness(sight.now.wall).usable()).count();
    let title = if lost == 0 {
        Line::of(format!("WITH {}", model.spec.name))
    } else {
        Line::of(format!("WITH {}  ", model.spec.name)).mark(Role::Bad, "!").text(format!(" {lost} without live data"))
    };
    let panel = Panel::new(area, title, Line::of("one lock each"));
    let (cells, room) = (panel.inner_width(), panel.inner_height());
    let mut lines: Vec<Line> = model.targets.iter().map(|target| line(sight, target).fit(cells)).collect();
    if lines.len() > room && room > 0 {
        let hidden = lines.len() - (room - 1);
        lines.truncate(room - 1);
        lines.push(Line::of(format!(" ... {hidden} more (3 shows all)")));
    }
    panel.with(lines)
}

fn line(sight: &Sight<'_>, target: &Target) -> Line {
    let model = sight.model;
    let intended = model.intended_on(target);
    let want = intended.map_or_else(|| "-".to_owned(), |weight| format!("{weight}%"));
    let set = target.picture.route.as_ref().map_or_else(|| "-".to_owned(), crate::domain::Route::shown);
    let side = |track: Track| {
        let (ready, desired) = target.ready(track);
        format!("{ready}/{desired}")
    };
    let place = format!("{} {}/{}", target.spec.mark(), target.spec.context, target.spec.namespace);
    let mut line = Line::of(format!(" {} {} ", pad(&target.spec.name, 18), pad(&place, 26)))
        .text(pad(&format!("want {want} set {set}"), 20))
        .text(pad(&format!(" canary {} base {}", side(Track::Canary), side(Track::Baseline)), 26))
        .then(sight.freshness(&target.platform));
    if target.agreement(intended, sight.now) == Agreement::ConfiguredDiffers {
        line = line.text(" ").mark(Role::Bad, "!").text(" not set as wanted");
    }
    let failed = target.picture.workloads.values().find_map(|workload| match &workload.rollout {
        RolloutStatus::Failed { why } => Some(why),
        _ => workload.trouble.as_ref(),
    });
    if let Some(why) = target.platform.trouble.as_ref().filter(|_| !target.platform.freshness(sight.now.wall).usable()).or(failed) {
        line = line.text("  ").text(why.as_str());
    }
    if !model.releases(target) && sight.run().is_some() {
        line = line.text("  not part of this run");
    }
    line
}
