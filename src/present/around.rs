//! What stands around the workload, and what it means: the panel of view 2, and what one instance uses.

use super::frame::{Area, Panel};
use super::line::{Line, Role};
use super::sight::Sight;
use crate::app::verdict::around;
use crate::domain::around::{Near, Used};
use crate::domain::text::span;
use crate::domain::{Freshness, Instance, Track, Verdict};
use crate::judge::Matter;
use std::collections::BTreeMap;
use std::time::Duration;

/// Use is measured about so often.
const EVERY: Duration = Duration::from_secs(15);

/// What an instance uses, if that was measured lately.
fn used(sight: &Sight<'_>, instance: &Instance) -> Option<Used> {
    let around = &sight.model.picture.around;
    let fresh = around.measured.is_some_and(|at| Freshness::of(sight.age(at), EVERY * 2).usable());
    around.used.get(&instance.name).copied().filter(|_| fresh)
}

/// `61%` of its limit, or `250m` where it has none.
pub(super) fn cpu(sight: &Sight<'_>, instance: &Instance) -> Option<String> {
    let used = used(sight, instance)?;
    let limit = sight.model.picture.around.shape(instance.track).and_then(|s| s.cpu_limit).filter(|l| *l > 0);
    Some(limit.map_or_else(|| format!("{}m", used.cpu), |limit| format!("{}%", used.cpu * 100 / limit)))
}

/// The zone an instance runs in.
pub(super) fn zone<'a>(sight: &Sight<'a>, instance: &Instance) -> Option<&'a str> {
    sight.model.picture.around.zone(instance.node.as_deref()?)
}

/// ` limits   cpu 1   memory 512Mi   used 488Mi (95%)  ! near limit`.
pub(super) fn limits(sight: &Sight<'_>, instance: &Instance) -> Option<Line> {
    let around = &sight.model.picture.around;
    let shape = around.shape(instance.track)?;
    let limit = |name: &str, text: Option<String>| format!("{name} {}", text.unwrap_or_else(|| "none".into()));
    let cpu_limit = limit("cpu", shape.cpu_limit.map(|c| format!("{c}m")));
    let memory_limit = limit("memory", shape.memory_limit.map(mebibytes));
    let line = Line::of(format!(" limits   {cpu_limit}   {memory_limit}"));
    let Some(used) = used(sight, instance) else {
        let why = around.unread.get("usage").map_or("not measured", String::as_str);
        return Some(line.text(format!("   use not known: {why}")));
    };
    let cpu = cpu(sight, instance).unwrap_or_default();
    let line = line.text(format!("   used cpu {cpu}, memory {}", mebibytes(used.memory)));
    let share = shape.memory_limit.filter(|l| *l > 0).map(|l| used.memory * 100 / l);
    Some(match share {
        Some(share @ 90..) => line.text(format!(" ({share}%)  ")).word(Role::Watch, "! near limit"),
        Some(share) => line.text(format!(" ({share}%)")),
        None => line,
    })
}

fn mebibytes(bytes: u64) -> String {
    format!("{}Mi", bytes >> 20)
}

/// AROUND: what needs a look first, then what there is.
pub(super) fn panel(sight: &Sight<'_>, area: Area) -> Panel {
    let around_it = &sight.model.picture.around;
    let measured = around_it.measured.map_or_else(Line::default, |at| Line::of(format!("use {} old", span(sight.age(at)))));
    let panel = Panel::new(area, Line::of("AROUND"), measured).close();
    let cells = panel.inner_width();
    let mut lines = Vec::new();
    for remark in around(sight.model) {
        let sign = match (remark.verdict, remark.matter) {
            (Verdict::Go, Matter::Stays) => "-",
            (Verdict::Go, _) => " ",
            (verdict, _) => sight.glyphs.verdict(verdict),
        };
        let parts = super::line::wrap(&remark.text, cells.saturating_sub(3), 2);
        for (i, part) in parts.into_iter().enumerate() {
            let head = Line::of(" ").mark(Role::of(remark.verdict), if i == 0 { sign } else { " " });
            lines.push(head.text(format!(" {part}")));
        }
    }
    lines.extend(facts(sight).into_iter().map(|fact| Line::of(format!("   {fact}"))));
    for (part, why) in &around_it.unread {
        lines.push(Line::of(" ").mark(Role::Unknown, "?").text(format!(" {part} not known: {why}")));
    }
    if lines.is_empty() {
        lines.push(Line::of(if sight.model.picture.listed { " nothing found around the workload" } else { " nothing read yet" }));
    }
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

fn facts(sight: &Sight<'_>) -> Vec<String> {
    let around = &sight.model.picture.around;
    let mut endpoints: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for near in around.things() {
        if let Near::Endpoints { service, ready, not_ready, .. } = near {
            let count = endpoints.entry(service).or_default();
            *count = (count.0 + ready, count.1 + not_ready);
        }
    }
    let sides = |tracks: &[Track]| tracks.iter().map(|t| t.word()).collect::<Vec<_>>().join(", ");
    let fact = |near: &Near| {
        Some(match near {
            Near::Service { name, tracks } => {
                let known = endpoints.get(name.as_str());
                let ready = known.map_or_else(|| "endpoints not known".into(), |(r, n)| format!("{r} of {} endpoints ready", r + n));
                format!("service/{name} -> {}: {ready}", sides(tracks))
            }
            Near::Ingress { name, services, hosts } => format!("ingress/{name} {} -> {}", hosts.join(", "), services.join(", ")),
            Near::Autoscaler { name, target, min, max, desired, current, .. } => {
                format!("autoscaler {name} of {target}: {min}..{max}, wants {desired}, has {current}")
            }
            Near::Budget { name, allowed, healthy, needed, .. } => {
                format!("budget {name}: {healthy} healthy, {needed} must stay, {allowed} may go")
            }
            Near::Setting { of, changed: Some(at), .. } => format!("{of} changed {} ago", span(sight.age(*at))),
            _ => return None,
        })
    };
    around.things().filter_map(fact).collect()
}
