//! Timeouts, and holds that can be held.

use crate::domain::Probe;
use crate::runbook::load::Context;
use crate::runbook::parse::draft::{ConditionDraft, Draft, KindDraft, StepDraft};
use crate::runbook::parse::report::Report;
use humantime::format_duration;
use std::time::Duration;

/// Scrape interval where the configuration does not say.
const SCRAPE: Duration = Duration::from_secs(15);

pub(super) fn check(draft: &Draft, context: &Context, report: &mut Report) {
    let least = context.scrape_interval.unwrap_or(SCRAPE) * 2;
    for step in draft.all_steps() {
        let Some(kind) = &step.kind else { continue };
        let what = match &kind.value {
            KindDraft::Check { conditions, .. } => {
                for condition in conditions {
                    hold(condition, step, least, report);
                }
                "check"
            }
            KindDraft::Do(_) => "do",
            KindDraft::Wait(Some(bake), _) => {
                within_timeout(step, bake.value, "the wait", bake.span, report);
                continue;
            }
            _ => continue,
        };
        if step.timeout.is_absent() {
            let why = format!("`{}` has no `timeout`, so it could go on for ever", step.name());
            report.error("timeout-missing", step.place(), why, format!("give a `{what}` step a time, such as `timeout: 5m`"));
        }
    }
}

fn hold(condition: &ConditionDraft, step: &StepDraft, least: Duration, report: &mut Report) {
    let (hold, span) = match condition.hold.value() {
        Some(hold) => (hold.value, hold.span),
        None if condition.hold.is_absent() => (Duration::ZERO, condition.id.as_ref().map_or(condition.span, |id| id.span)),
        None => return,
    };
    if matches!(condition.probe, Some(Probe::Promql(_))) && hold < least {
        let least = format_duration(least);
        let why = if hold.is_zero() {
            "without `hold` a single sample decides".to_owned()
        } else {
            format!("a hold of {} sees fewer than two new samples", format_duration(hold))
        };
        report.warning("hold-too-short", span, why, format!("write `hold: {least}` or longer: twice the scrape interval"));
    }
    within_timeout(step, hold, "the hold", span, report);
}

fn within_timeout(step: &StepDraft, time: Duration, what: &str, span: crate::runbook::parse::node::Span, report: &mut Report) {
    if let Some(timeout) = step.timeout.value()
        && time > timeout.value
    {
        let why = format!("{what} of {} is longer than the step's timeout of {}", format_duration(time), format_duration(timeout.value));
        report.warning("hold-over-timeout", span, why, "make the timeout longer");
    }
}
