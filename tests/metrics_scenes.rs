//! From a simulated scene to a finding: the configuration that the simulator writes, the Prometheus adapter, the judge.
#![cfg(all(feature = "sim", feature = "shell"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use chrono::TimeDelta;
use gonogo::adapter::http::install_tls_provider;
use gonogo::adapter::prometheus::{self, Prometheus, Settings};
use gonogo::config::{self, Config};
use gonogo::domain::{Failure, Finding, Outcome, Refusal, Unit};
use gonogo::judge::{Counted, Window, observed_share, reach, threshold};
use gonogo::port::Metrics as _;
use gonogo::sim::{Handle, Options, Scene, start};
use std::time::Duration;

const STEP: Duration = Duration::from_secs(15);

/// A simulator, and what is configured for it.
struct Scenery {
    sim: Handle,
    config: Config,
    metrics: Prometheus,
    _dir: tempfile::TempDir,
}

impl Scenery {
    async fn start(scene: Scene, faults: &[&str], speed: f64) -> Self {
        install_tls_provider();
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let sim = start(Options { scene, faults, speed, ..Options::default() }).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        sim.write_dir(dir.path()).unwrap();
        let config = config::load(&dir.path().join("config.toml")).unwrap();
        let connection = config.service(None).unwrap().metrics;
        let metrics = prometheus::new(Settings {
            source: connection.name.as_str().into(),
            url: connection.url.clone(),
            auth: None,
            ca_file: None,
            scrape_interval: connection.scrape_interval,
            timeout: Duration::from_secs(2),
            clock: sim.clock(),
        });
        Self { metrics: metrics.unwrap(), sim, config, _dir: dir }
    }

    /// Judges a gate of the service with a hold.
    async fn gate(&self, id: &str, hold: Duration) -> Result<Finding, Failure> {
        let spec = self.config.service(None).unwrap().spec;
        let criterion = &spec.gates.iter().find(|gate| gate.id == id).unwrap().threshold;
        let now = self.sim.clock().now().wall;
        let back = TimeDelta::from_std(reach(hold, spec.scrape_interval, STEP)).unwrap();
        let answer = self.metrics.range(&criterion.query, now - back, now, STEP).await?;
        let window = Window { now, newest: answer.newest, interval: spec.scrape_interval, hold, not_before: None };
        Ok(threshold(criterion, &answer.value, &window))
    }

    async fn share(&self) -> Counted {
        let spec = self.config.service(None).unwrap().spec;
        let window = Duration::from_secs(60);
        let answer = self.metrics.instant(&spec.requests_over(window), None).await.unwrap();
        observed_share(&answer.value, &spec.baseline.labels, &spec.canary.labels, window, answer.newest)
    }

    /// Asks until `outcome` comes.
    async fn until(&self, outcome: Outcome) -> Finding {
        let asking = async {
            loop {
                if let Some(finding) = self.gate("errors", Duration::ZERO).await.ok().filter(|f| f.outcome == outcome) {
                    return finding;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap_or_else(|_| panic!("{outcome:?} never came"))
    }
}

#[tokio::test]
async fn a_healthy_canary_passes_its_gates_and_gets_its_share() {
    let scene = Scenery::start(Scene::Ready50, &[], 1.0).await;
    let spec = scene.config.service(None).unwrap().spec;
    let units: Vec<Unit> = spec.gates.iter().map(|gate| gate.threshold.unit).collect();
    assert_eq!(units, [Unit::Ratio, Unit::Seconds]);
    for gate in ["errors", "p99"] {
        let finding = scene.gate(gate, Duration::from_secs(300)).await.unwrap();
        assert_eq!((finding.outcome, finding.held), (Outcome::Pass, Duration::from_secs(300)), "{gate}: {finding:?}");
    }
    let counted = scene.share().await;
    let (low, high) = counted.share.and_then(|share| share.interval()).unwrap();
    assert!((low..=high).contains(&25.0), "{counted:?}");
    assert!(counted.unknown_labels.is_empty(), "{counted:?}");
}

#[tokio::test]
async fn a_bad_canary_fails_and_has_been_bad_for_a_while() {
    let scene = Scenery::start(Scene::NoGo, &[], 1.0).await;
    let finding = scene.gate("errors", Duration::from_secs(120)).await.unwrap();
    assert_eq!(finding.outcome, Outcome::Fail, "{finding:?}");
    assert!(finding.bad >= Duration::from_secs(15), "{finding:?}");
}

#[tokio::test]
async fn samples_that_stop_or_come_late_are_stale_although_every_answer_arrives() {
    for fault in ["metrics:stale@1", "metrics:delayed@1"] {
        let scene = Scenery::start(Scene::Ready50, &[fault], 100.0).await;
        let finding = scene.until(Outcome::Stale).await;
        assert!(finding.value.is_some(), "{fault}: the old value is kept to be shown as old: {finding:?}");
    }
}

#[tokio::test]
async fn a_backend_in_trouble_is_named_for_what_it_is() {
    type Expected = fn(&Failure) -> bool;
    let cases: [(&str, Expected); 6] = [
        ("metrics:html@0", |f| matches!(f, Failure::Unreadable { why } if why.contains("is this the address of a Prometheus server?"))),
        ("metrics:huge@0", |f| matches!(f, Failure::Unreadable { why } if why.contains("larger than 8 MB"))),
        ("metrics:http-500@0", |f| matches!(f, Failure::Unknown { .. })),
        ("metrics:http-429@0", |f| matches!(f, Failure::Refused { reason: Refusal::Throttled, .. })),
        ("metrics:auth-expired@0", |f| f.login().is_some()),
        ("metrics:reset@0", |f| matches!(f, Failure::Unknown { .. })),
    ];
    for (fault, expected) in cases {
        let scene = Scenery::start(Scene::Ready50, &[fault], 1.0).await;
        let asking = async {
            loop {
                if let Err(failure) = scene.gate("errors", Duration::ZERO).await {
                    return failure;
                }
            }
        };
        let failure = tokio::time::timeout(Duration::from_secs(20), asking).await.expect(fault);
        assert!(expected(&failure), "{fault}: {failure:?}");
    }
}
