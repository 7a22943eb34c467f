//! `gonogo doctor`: connections, rights, clocks, terminal. Each line says ok, warn or bad, and what to do.

use super::args::Global;
use super::exit::{Exit, Outcome};
use super::wire::{self, Wired};
use crate::config::Config;
use crate::domain::text::span;
use crate::domain::{Clock, Failure, Preflight};
use crate::port::{Alerts as _, Platform as _, Right};
use serde::Serialize;
use std::io::IsTerminal as _;

/// How a line turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mark {
    Ok,
    Warn,
    Bad,
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
struct Line {
    topic: &'static str,
    mark: Mark,
    text: String,
    exit: Option<u8>,
}

#[derive(Default)]
struct Report {
    lines: Vec<Line>,
    worst: Option<Exit>,
}

impl Report {
    fn add(&mut self, topic: &'static str, mark: Mark, text: impl Into<String>) {
        let text = crate::domain::text::clean_bounded(&text.into(), 400);
        self.lines.push(Line { topic, mark, text, exit: None });
    }

    fn bad(&mut self, topic: &'static str, exit: Exit, text: impl Into<String>) {
        self.add(topic, Mark::Bad, text);
        if let Some(line) = self.lines.last_mut() {
            line.exit = Some(exit.code());
        }
        self.worst.get_or_insert(exit);
    }
}

/// Asks everything once; exits with the first bad thing.
pub(super) async fn doctor(global: &Global) -> Outcome {
    let mut report = Report::default();
    terminal(&mut report);
    let path = wire::config_path(global)?;
    match wire::config(global, &path) {
        Err(failed) if path.exists() => report.bad("config", failed.exit, failed.message),
        Err(_) => report.bad("config", Exit::InvalidFile, format!("{} does not exist; gonogo demo works without", path.display())),
        Ok(config) => configured(global, &config, &mut report).await,
    }
    finish(global, &report)
}

fn terminal(report: &mut Report) {
    let text = |name: &str| wire::env(name).map(|v| v.to_string_lossy().into_owned()).filter(|v| !v.is_empty());
    let term = text("TERM").unwrap_or_else(|| "unknown".into());
    let inside = if wire::env("TMUX").is_some() { " inside tmux" } else { "" };
    if std::io::stdout().is_terminal() {
        let size = crossterm::terminal::size().map_or_else(|_| "size unknown".into(), |(w, h)| format!("{w}x{h}"));
        report.add("terminal", Mark::Ok, format!("{term}{inside}, {size}"));
    } else {
        report.add("terminal", Mark::Warn, "standard output is no terminal: the cockpit would not open here");
    }
    let locale = text("LC_ALL").or_else(|| text("LC_CTYPE")).or_else(|| text("LANG"));
    match locale {
        Some(locale) if locale.to_lowercase().contains("utf") => report.add("terminal", Mark::Ok, format!("locale {locale}")),
        other => {
            report.add("terminal", Mark::Warn, format!("locale {}: ASCII frames are drawn", other.unwrap_or_else(|| "not set".into())));
        }
    }
    if text("NO_COLOR").is_some() {
        report.add("terminal", Mark::Ok, "NO_COLOR is set: words and attributes only");
    }
}

async fn configured(global: &Global, config: &Config, report: &mut Report) {
    report.add("config", Mark::Ok, format!("{} valid, {} services", config.path.display(), config.services.len()));
    let clock = match wire::clock(config).await {
        Ok(clock) => clock,
        Err(failed) => return report.bad("clock", failed.exit, failed.message),
    };
    let journal = match wire::journal(config, clock.clone(), None) {
        Ok(journal) => journal,
        Err(failed) => return report.bad("journal", failed.exit, failed.message),
    };
    match journal.runs(None).await {
        Ok(runs) => report.add("journal", Mark::Ok, format!("{} runs", runs.len())),
        Err(e) => report.bad("journal", Exit::Internal, e.to_string()),
    }
    match wire::connect(global, config, clock, journal).await {
        Ok(wired) => connected(&wired, report).await,
        Err(failed) => report.bad("login", failed.exit, failed.message),
    }
}

async fn connected(wired: &Wired, report: &mut Report) {
    match wired.kubernetes.who().await {
        Ok(who) => report.add("login", Mark::Ok, format!("{} as {}", wired.spec.context, who.user)),
        Err(Failure::Refused { code: 404, .. }) => report.add("login", Mark::Warn, "the server is too old to say who we are"),
        Err(failure) => unreachable(report, "login", &failure),
    }
    match wired.kubernetes.server_version().await {
        Ok(version) => report.add("platform", Mark::Ok, format!("kubernetes {version}")),
        Err(failure) => unreachable(report, "platform", &failure),
    }
    for (right, what) in [
        (Right::Watch, "list and watch workloads and instances"),
        (Right::ReadRoute, "read the route"),
        (Right::Act(wired.spec.route.way_back().kind()), "change what it takes to go back"),
    ] {
        match wired.kubernetes.may(right).await {
            Ok(Preflight::Accepted) => report.add("rights", Mark::Ok, what),
            Ok(Preflight::Refused { why }) if matches!(right, Right::Act(_)) => {
                report.add("rights", Mark::Warn, format!("{what}: no ({why}); fine for watching, promote and back-out will be refused"));
            }
            Ok(Preflight::Refused { why }) => report.bad("rights", Exit::Refused, format!("{what}: no ({why})")),
            Ok(Preflight::NotAsked { why }) => report.add("rights", Mark::Warn, format!("{what}: not asked ({why})")),
            Err(failure) => unreachable(report, "rights", &failure),
        }
    }
    match wired.kubernetes.read_route().await {
        Ok(None) => report.add("route", Mark::Ok, "nothing splits traffic: it follows the instances that are ready"),
        Ok(Some(route)) => match &route.trouble {
            Some(trouble) => report.bad("route", Exit::Refused, trouble.clone()),
            None => {
                let share = route.canary_share().map_or_else(|| "?".into(), |s| format!("{s:.0}%"));
                report.add("route", Mark::Ok, format!("{} rule {}: canary {share}", route.object, route.rule));
            }
        },
        Err(failure) => unreachable(report, "route", &failure),
    }
    metrics(wired, report).await;
    alerts(wired, report).await;
}

async fn alerts(wired: &Wired, report: &mut Report) {
    let Some(alertmanager) = &wired.alertmanager else {
        return report.add("alerts", Mark::Warn, "the service names no alerts connection: alerts are not watched");
    };
    match alertmanager.version().await {
        Ok(version) => report.add("alerts", Mark::Ok, format!("Alertmanager {version}")),
        Err(failure) => return unreachable(report, "alerts", &failure),
    }
    match alertmanager.snapshot().await {
        Ok(told) => {
            skew(report, told.skew, wired.ports.clock.as_ref());
            report.add("alerts", Mark::Ok, format!("{} alerts, {} silences", told.alerts.len(), told.silences.len()));
        }
        Err(failure) => unreachable(report, "alerts", &failure),
    }
    match wired.ports.metrics.alert_rules().await {
        Ok(rules) if rules.is_empty() => {
            report.add("alerts", Mark::Warn, "the metrics backend tells no alerting rules: pending alerts are not seen");
        }
        Ok(rules) => {
            report.add("alerts", Mark::Ok, format!("{} alerting rules", rules.len()));
            for rule in rules.iter().filter(|r| r.trouble.is_some()) {
                report.add("alerts", Mark::Warn, format!("rule {} fails: {}", rule.name, rule.trouble.as_deref().unwrap_or_default()));
            }
        }
        Err(failure) => report.add("alerts", Mark::Warn, format!("rules cannot be read, pending alerts are not seen: {failure}")),
    }
}

async fn metrics(wired: &Wired, report: &mut Report) {
    match wired.prometheus.build_info().await {
        Ok(info) => report.add("metrics", Mark::Ok, format!("{} {}", info.product, info.version)),
        Err(failure) => unreachable(report, "metrics", &failure),
    }
    let window = std::time::Duration::from_secs(60);
    match wired.ports.metrics.instant(&wired.spec.requests_over(window), None).await {
        Err(failure) => unreachable(report, "metrics", &failure),
        Ok(answer) => {
            skew(report, answer.skew, wired.ports.clock.as_ref());
            for warning in &answer.warnings {
                report.add("metrics", Mark::Warn, warning.clone());
            }
            let seen =
                crate::judge::observed_share(&answer.value, &wired.spec.baseline.labels, &wired.spec.canary.labels, window, answer.newest);
            let age = answer.newest.map(|at| crate::domain::time::age(wired.ports.clock.now().wall, at));
            match (seen.share, age) {
                (Some(share), Some(age)) if age <= wired.spec.scrape_interval * 3 => {
                    report.add(
                        "data",
                        Mark::Ok,
                        format!("{:.0} requests in the last minute, newest sample {} old", share.total, span(age)),
                    );
                }
                (Some(_), Some(age)) => report.add("data", Mark::Warn, format!("newest sample is {} old", span(age))),
                _ => report.add("data", Mark::Warn, "the requests query finds neither track: check labels and query of the service"),
            }
            if !seen.unknown_labels.is_empty() {
                report.add("data", Mark::Warn, format!("requests of other versions: {}", seen.unknown_labels.join(", ")));
            }
        }
    }
    for gate in &wired.spec.gates {
        match wired.ports.metrics.instant(&gate.threshold.query, None).await {
            Ok(answer) if answer.value.len() == 1 => report.add("gates", Mark::Ok, format!("{} gives one value", gate.id)),
            Ok(answer) => report.add("gates", Mark::Warn, format!("{} gives {} series, one is needed", gate.id, answer.value.len())),
            Err(failure) => unreachable(report, "gates", &failure),
        }
    }
}

fn skew(report: &mut Report, skew: Option<chrono::TimeDelta>, _clock: &dyn Clock) {
    let Some(skew) = skew else { return };
    let seconds = skew.num_milliseconds() as f64 / 1000.0;
    if seconds.abs() > 2.0 {
        report.add("clock", Mark::Warn, format!("the server's clock differs by {seconds:+.1} s: ages on screen are off by that"));
    } else {
        report.add("clock", Mark::Ok, format!("skew {seconds:+.1} s"));
    }
}

fn unreachable(report: &mut Report, topic: &'static str, failure: &Failure) {
    let exit = match failure {
        _ if failure.login().is_some() => Exit::Credentials,
        Failure::Refused { .. } => Exit::Refused,
        Failure::NotSent { .. } => Exit::CannotConnect,
        Failure::Unknown { .. } | Failure::Unreadable { .. } => Exit::Unknown,
    };
    report.bad(topic, exit, failure.to_string());
}

fn finish(global: &Global, report: &Report) -> Outcome {
    let count = |mark| report.lines.iter().filter(|l| l.mark == mark).count();
    if global.json {
        super::print(&serde_json::json!({ "schema": "gonogo.doctor/v1", "lines": report.lines }).to_string());
    } else {
        super::print(&format!("gonogo doctor   {}   {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH));
        let mut topic = "";
        for line in &report.lines {
            let mark = match line.mark {
                Mark::Ok => '+',
                Mark::Warn => '!',
                Mark::Bad => 'X',
            };
            let heading = if topic == line.topic { "" } else { line.topic };
            topic = line.topic;
            super::print(&format!("{heading:<10} {mark} {}", line.text));
        }
        super::print(&format!("{:<10} {} warnings, {} errors", "result", count(Mark::Warn), count(Mark::Bad)));
    }
    Ok(report.worst.unwrap_or(Exit::Done))
}
