//! Alerts beside the release of `model.rs`, built by hand.

use super::model::{at, now, secs};
use chrono::{DateTime, TimeDelta, Utc};
use gonogo::app::alerts::{AlertBoard, Sighting};
use gonogo::app::command::View;
use gonogo::app::model::{Model, Panel};
use gonogo::domain::alert::*;
use gonogo::domain::*;
use gonogo::judge::{Concern, Since};
use gonogo::runbook::story::{StoryKind, StoryLine};

const QUERY: &str = "histogram_quantile(0.99, sum by (le, version) (rate(http_request_duration_seconds_bucket{service=\"checkout\",version=\"canary\"}[2m]))) > 0.4";

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn alert(pairs: &[(&str, &str)], summary: &str, state: AlertState, starts_at: DateTime<Utc>) -> Alert {
    Alert {
        fingerprint: pairs.iter().map(|(_, v)| *v).collect(),
        labels: labels(pairs),
        annotations: labels(&[("summary", summary), ("runbook_url", "https://runbooks.example/checkout/p99")]),
        state,
        silenced_by: vec![],
        inhibited_by: vec![],
        starts_at,
        ends_at: None,
        generator_url: None,
    }
}

fn sighting(alert: Alert, concern: Concern, since: Since, says: Verdict, after: Option<&str>) -> Sighting {
    Sighting { began: alert.starts_at, alert, concern, since, says, after: after.map(str::to_owned) }
}

pub fn silence() -> Silence {
    Silence {
        id: "6c50c1fb-4be1-4242-818f-504fbea8a492".into(),
        matchers: vec![Matcher::equal("alertname", "DeployInProgress"), Matcher::equal("service", "checkout")],
        starts_at: at("02:50:00"),
        ends_at: at("03:55:00"),
        created_by: "mira".into(),
        comment: "release window".into(),
        state: SilenceState::Active,
    }
}

/// One fires for the canary, one is pending, one is silenced, one is old and of others.
pub fn board() -> AlertBoard {
    let mut board = AlertBoard::new(&"am-eu".into());
    board.source.newest = Some(at("03:07:37"));
    board.read = Some(at("03:07:37"));
    let name = |name: &'static str| ("alertname", name);
    let p99 = alert(
        &[name("CheckoutP99High"), ("severity", "warning"), ("route", "/v1/checkout"), ("service", "checkout"), ("version", "canary")],
        "p99 412ms > 400ms for 3m",
        AlertState::Firing,
        at("03:03:31"),
    );
    let restarted = alert(
        &[name("PodRestarted"), ("severity", "warning"), ("pod", "checkout-canary-6f9c7-tz4vw")],
        "tz4vw restarted in the last 10m",
        AlertState::Pending,
        at("03:05:36"),
    );
    let mut deploy = alert(
        &[name("DeployInProgress"), ("severity", "info"), ("service", "checkout")],
        "two versions of checkout serve",
        AlertState::Suppressed,
        at("02:55:41"),
    );
    deploy.silenced_by = vec![silence().id];
    let disk = alert(
        &[name("DiskFillingSlow"), ("severity", "warning"), ("service", "storage"), ("node", "ip-10-4-9-2")],
        "12.8% left on ip-10-4-9-2",
        AlertState::Firing,
        now().wall - TimeDelta::days(3),
    );
    board.sightings = vec![
        sighting(p99, Concern::Side(Track::Canary), Since::During, Verdict::Watch, Some("2m31s after the 25% shift")),
        sighting(restarted, Concern::Side(Track::Canary), Since::During, Verdict::Go, None),
        sighting(deploy, Concern::Service, Since::During, Verdict::Go, None),
        sighting(disk, Concern::Other, Since::Before, Verdict::Go, None),
    ];
    board.silences = vec![silence()];
    board.rules = vec![AlertRule {
        name: "CheckoutP99High".into(),
        query: QUERY.into(),
        hold: secs(180),
        labels: labels(&[("severity", "warning"), ("service", "checkout"), ("route", "/v1/checkout")]),
        trouble: None,
        pending: vec![],
    }];
    let line = |seq: u64, when: &str, text: &str| StoryLine {
        seq: u64::MAX / 2 + seq,
        at: at(when),
        t_plus: secs(0),
        who: "am-eu".into(),
        kind: StoryKind::Alert,
        text: text.into(),
    };
    board.log.push_back(line(1, "03:03:31", "CheckoutP99High firing (canary)"));
    board
}

/// With these alerts, in this view, and the samples behind the rule of the first one.
pub fn with(mut model: Model, board: AlertBoard, view: View) -> Model {
    model.spec.alerts = Some(AlertsSpec { source: "am-eu".into(), matchers: labels(&[("service", "checkout")]) });
    model.alerts = Some(board);
    model.screen.view = view;
    if let Some(chart) = gonogo::app::alerts::chart_of(&model) {
        for (query, middle) in [(Some(chart.query), 0.402), (chart.baseline, 0.365)] {
            let series = super::model::wandering(middle, middle * 0.04, at("03:07:37"));
            let panel = Panel {
                series: vec![series],
                newest: Some(at("03:07:37")),
                answered: Some(at("03:07:40")),
                outstanding: None,
                due: secs(0),
                reach: Model::CHART,
                warnings: vec![],
                trouble: None,
                wanted: true,
            };
            model.panels.extend(query.map(|query| (query, panel)));
        }
    }
    model
}
