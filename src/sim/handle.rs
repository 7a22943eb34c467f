//! A running simulator.

use super::alerts::{Manager, Rules, Served, shop_rules};
use super::calls::Calls;
use super::clock::SimClock;
use super::endpoints::Endpoints;
use super::fault::FaultKind;
use super::gate::{Gate, pass};
use super::kubernetes::api::{self, Api};
use super::listen::Listener;
use super::metrics::{self, Tsdb};
use super::options::{Options, Prelude, SimError};
use super::scene::Scene;
use super::switchboard::{Face, Switchboard};
use super::tls;
use super::world::{Ground, SCRAPE, World};
use crate::domain::Clock;
use axum::routing::get;
use axum::{Json, Router, middleware};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Longest stretch of simulated time that is computed without letting others run.
const STRETCH: Duration = Duration::from_secs(15);
/// Shortest real wait of the task that moves time: bursts of timers are done together.
const PULSE: Duration = Duration::from_millis(5);

/// A running simulator. Dropping it stops it; [`Handle::shutdown`] also waits for that.
pub struct Handle {
    clock: Arc<SimClock>,
    endpoints: Endpoints,
    scene: Scene,
    dir: Option<PathBuf>,
    world: Arc<Mutex<World>>,
    board: Arc<Switchboard>,
    wake: Arc<Notify>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

#[expect(clippy::disallowed_methods, reason = "t = 0 is the machine's now")]
fn machine_now() -> DateTime<Utc> {
    DateTime::from(std::time::SystemTime::now())
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), SimError> {
    let listen = |cause| SimError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    Ok((listener, bound))
}

/// Starts a simulator. With [`Prelude::Scripted`] it is live when this returns; else its time is moved by the caller.
pub async fn start(options: Options) -> Result<Handle, SimError> {
    options.check()?;
    let calls = match &options.calls {
        Some(path) => Some(Calls::create(path).map_err(|cause| SimError::file(path, cause))?),
        None => None,
    };
    let prelude = options.script().prelude;
    let clock = Arc::new(SimClock::new(options.seed, options.speed, options.freeze_clock, prelude, machine_now()));
    let board = Arc::new(Switchboard::new(options.seed));
    let tsdb = Arc::new(RwLock::new(Tsdb::new()));
    let identity = tls::identity()?;
    let (platform, platform_address) = bind(options.listen).await?;
    let (backend, backend_address) = bind(SocketAddr::new(options.listen.ip(), 0)).await?;
    let (alerts, alerts_address) = bind(SocketAddr::new(options.listen.ip(), 0)).await?;
    let urls = [format!("https://{platform_address}"), format!("http://{backend_address}"), format!("http://{alerts_address}")];
    let endpoints =
        Endpoints { operator: options.operator.clone(), ..Endpoints::new(urls, identity.ca_pem, board.token(), options.traffic) };

    let rules = Rules::new(shop_rules(), SCRAPE, &endpoints.prometheus_url).map_err(|why| SimError::Option(format!("rules: {why}")))?;
    let (rules, manager) = (Arc::new(RwLock::new(rules)), Arc::new(Mutex::new(Manager::new(options.seed))));
    let wake = Arc::new(Notify::new());
    let ground = Ground {
        clock: Arc::clone(&clock),
        board: Arc::clone(&board),
        tsdb: Arc::clone(&tsdb),
        rules: Arc::clone(&rules),
        manager: Arc::clone(&manager),
        wake: Arc::clone(&wake),
    };
    let world = Arc::new(Mutex::new(World::new(&options, ground)));

    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let gate = |face, router: Router| {
        router.layer(middleware::from_fn_with_state(
            Gate { face, board: Arc::clone(&board), clock: Arc::clone(&clock), last_date: Arc::default() },
            pass,
        ))
    };
    let api = Api::new(Arc::clone(&world), Arc::clone(&clock), Arc::clone(&board), calls.clone());
    let listener = |face, router, tls| Listener { face, router, tls, board: Arc::clone(&board), stop: stop.clone() };
    tasks.spawn(listener(Face::Platform, gate(Face::Platform, api::router(api)), Some(TlsAcceptor::from(identity.server))).serve(platform));
    let as_clock: Arc<dyn Clock> = Arc::<SimClock>::clone(&clock);
    let interval = Duration::from_millis(SCRAPE.unsigned_abs());
    let alerts_router = Served::new(manager, Arc::clone(&as_clock), calls).router();
    let backend_router = metrics::api_with(tsdb, as_clock, interval, rules).merge(clock_route(&clock, &board));
    tasks.spawn(listener(Face::Metrics, gate(Face::Metrics, backend_router), None).serve(backend));
    tasks.spawn(listener(Face::Alerts, gate(Face::Alerts, alerts_router), None).serve(alerts));
    tasks.spawn(drive(Arc::clone(&world), Arc::clone(&clock), Arc::clone(&wake), stop.clone()));

    let handle = Handle { clock, endpoints, scene: options.scene, dir: options.dir, world, board, wake, stop, tasks };
    if let Some(dir) = &handle.dir {
        handle.keep_token(dir)?;
    }
    if options.prelude == Prelude::Scripted {
        handle.advance_to(prelude).await;
        handle.go_live();
    }
    Ok(handle)
}

fn clock_route(clock: &Arc<SimClock>, board: &Arc<Switchboard>) -> Router {
    let (clock, board) = (Arc::clone(clock), Arc::clone(board));
    let tell = move || {
        let now = clock.now();
        let body = json!({
            "wall": now.wall.to_rfc3339_opts(SecondsFormat::Millis, true),
            "boot_ms": u64::try_from(now.boot.as_millis()).unwrap_or(u64::MAX),
            "boot_id": clock.boot_id(),
            "speed": clock.speed(),
            "frozen": clock.is_frozen(),
            "requests": {
                "platform": board.asked(Face::Platform), "metrics": board.asked(Face::Metrics), "alerts": board.asked(Face::Alerts),
            },
            "asked": board.tally.json(),
        });
        async move { Json(body) }
    };
    Router::new().route("/clock", get(tell))
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Moves a live world along: sleeps until its next timer.
async fn drive(world: Arc<Mutex<World>>, clock: Arc<SimClock>, wake: Arc<Notify>, stop: CancellationToken) {
    loop {
        let wait = if clock.is_live() {
            let mut world = lock(&world);
            let now = clock.now_t_ms();
            world.advance(now);
            world.next_due().map(|due| clock.real(Duration::from_millis((due - now).max(0).unsigned_abs())).max(PULSE))
        } else {
            None
        };
        let sleep = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.notified() => {}
            () = sleep => {}
        }
    }
}

impl Handle {
    /// Simulated time.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::<SimClock>::clone(&self.clock)
    }

    /// Simulated time with what only a simulator's clock can tell, such as [`SimClock::boot_at`].
    pub fn sim_clock(&self) -> Arc<SimClock> {
        Arc::clone(&self.clock)
    }

    /// Where it can be reached.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// A kubeconfig for it. With a folder in the options it names the token file there, which is renewed; else the token is in it.
    pub fn kubeconfig(&self) -> String {
        let file = self.dir.as_ref().map(|dir| dir.join("token"));
        self.endpoints.kubeconfig(&self.board.token(), file.as_deref())
    }

    /// A configuration that opens the simulated service.
    pub fn config_toml(&self, state_dir: &Path, kubeconfig: &Path) -> String {
        self.endpoints.config_toml(self.scene, state_dir, kubeconfig)
    }

    /// Writes `config.toml` (its state is in `state/` there), `kubeconfig`, `token`, `ca.pem` and `endpoints.json`.
    pub fn write_dir(&self, dir: &Path) -> Result<(), SimError> {
        let dir = std::path::absolute(dir).map_err(|cause| SimError::file(dir, cause))?;
        let token = self.keep_token(&dir)?;
        self.endpoints.write(self.scene, &dir, &token)
    }

    fn keep_token(&self, dir: &Path) -> Result<PathBuf, SimError> {
        std::fs::create_dir_all(dir).map_err(|cause| SimError::file(dir, cause))?;
        let token = dir.join("token");
        self.board.keep_token_in(&token).map_err(|cause| SimError::file(&token, cause))?;
        Ok(token)
    }

    /// Moves time to `boot` before t = 0, doing everything that is due, in order; never past t = 0, and nothing once live.
    pub async fn advance_to(&self, boot: Duration) {
        let mut now = self.clock.now().boot;
        while now < boot && !self.clock.is_live() {
            now = (now + STRETCH).min(boot);
            {
                let mut world = lock(&self.world);
                world.advance(self.clock.t_ms(now).min(0));
                self.clock.set_manual(now);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Makes it t = 0: what is left of the prelude happens at once, and time runs by itself from now on.
    pub fn go_live(&self) {
        let mut world = lock(&self.world);
        if !self.clock.is_live() {
            world.advance(0);
            self.clock.set_live();
        }
        drop(world);
        self.wake.notify_one();
    }

    /// Whether the fault of a full disk is on: the demo's journal asks.
    pub fn journal_disk_full(&self) -> bool {
        self.board.on(Face::Platform, FaultKind::FullDisk)
    }

    /// Stops serving and waits until everything has ended.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
