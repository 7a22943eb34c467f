//! Calls to the alerts source.

use super::core::Ports;
use super::journal::SeatProof;
use crate::app::alerts::AlertsTold;
use crate::domain::Failure;
use crate::domain::alert::{AlertAct, Silence};
use crate::port::Alerts;
use std::sync::Arc;

fn there(alerts: Option<Arc<dyn Alerts>>) -> Result<Arc<dyn Alerts>, Failure> {
    alerts.ok_or_else(|| Failure::NotSent { why: "the service has no alerts connection".into() })
}

/// What fires and what is silenced.
pub(super) async fn read(alerts: Option<Arc<dyn Alerts>>) -> Result<AlertsTold, Failure> {
    let told = there(alerts)?.snapshot().await?;
    Ok(AlertsTold { alerts: told.alerts, silences: told.silences, at: told.at, skew: told.skew, left_out: told.left_out })
}

/// The only place from which an act on the alerts source leaves: once, by the driver, after its intent.
pub(super) async fn send(ports: &Ports, proof: &SeatProof, act: AlertAct, stamp: String) -> Result<Option<String>, Failure> {
    if !ports.acts {
        return Err(Failure::NotSent { why: "this cockpit holds no write credentials".into() });
    }
    if !proof.holds(ports.clock.now().boot) {
        return Err(Failure::NotSent { why: "the driver's seat could not be renewed for 20 s: nothing is sent any more".into() });
    }
    let alerts = there(ports.alerts.clone())?;
    match act {
        AlertAct::Silence { draft } => alerts.create_silence(draft, stamp).await.map(Some),
        AlertAct::Expire { seen } => alerts.expire_silence(seen).await.map(|()| None),
    }
}

/// What became of an act, by reading.
pub(super) async fn find(alerts: Option<Arc<dyn Alerts>>, act: AlertAct, stamp: String) -> Result<Option<Silence>, Failure> {
    let alerts = there(alerts)?;
    match act {
        AlertAct::Silence { .. } => alerts.find_silence(stamp).await,
        AlertAct::Expire { seen } => alerts.read_silence(seen.id).await,
    }
}
