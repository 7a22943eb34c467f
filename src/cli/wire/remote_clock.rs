//! The clock of a simulator in another process.

use crate::domain::{Clock, Stamp};
use crate::runtime::clock::SystemClock;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use std::time::Duration;

/// What the simulator's clock address answers.
#[derive(Debug, Clone, Deserialize)]
struct Told {
    wall: DateTime<Utc>,
    boot_ms: u64,
    boot_id: String,
    speed: f64,
    frozen: bool,
}

/// Asked once, counted on from there by this machine's clock.
#[derive(Debug)]
pub(super) struct RemoteClock {
    told: Told,
    here: SystemClock,
    asked: Duration,
}

impl RemoteClock {
    pub(super) async fn connect(url: &str) -> Result<Self, String> {
        let base = crate::adapter::http::address(url).map_err(|e| e.to_string())?;
        let here = SystemClock::new();
        let http = crate::adapter::http::Http::new(&base, crate::adapter::http::Options::default()).map_err(|e| e.to_string())?;
        let request =
            crate::adapter::http::Request { operation: "read the simulator's clock", method: reqwest::Method::GET, url: base, form: None };
        let reply = http.read(request).await.map_err(|e| format!("the simulator's clock: {e}; is the simulator still running?"))?;
        let told: Told = serde_json::from_slice(&reply.body).map_err(|e| format!("the simulator's clock at {url}: {e}"))?;
        let asked = here.now().boot;
        Ok(Self { told, here, asked })
    }
}

impl Clock for RemoteClock {
    fn now(&self) -> Stamp {
        let here = self.here.now();
        let passed = here.boot.saturating_sub(self.asked).mul_f64(self.told.speed.max(0.0));
        let wall = if self.told.frozen { self.told.wall } else { self.told.wall + TimeDelta::from_std(passed).unwrap_or_default() };
        Stamp { wall, boot: Duration::from_millis(self.told.boot_ms) + passed, mono: here.mono }
    }

    fn boot_id(&self) -> String {
        self.told.boot_id.clone()
    }

    fn real_wait(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.now().boot).div_f64(self.told.speed.max(0.001))
    }
}
