//! Where the outside is joined to the core: the only module that knows both the runtime and the adapters.

mod remote_clock;

use super::args::Global;
use super::exit::{Exit, Failed};
use crate::adapter::http::{Auth, Secret};
use crate::adapter::{alertmanager, kubernetes, prometheus, sqlite, ssh};
use crate::app::Options;
use crate::config::{AuthRef, Config, SecretRef, Selected};
use crate::domain::{Clock, Diagnostic, Protection, ServiceSpec};
use crate::port::{Alerts, Journal, Platform, Signatures};
use crate::runtime::{Ports, clock::SystemClock};
use remote_clock::RemoteClock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Time for one ordinary request.
const REQUEST: Duration = Duration::from_secs(10);

/// Everything a command works with.
pub(super) struct Wired {
    pub(super) spec: ServiceSpec,
    pub(super) options: Options,
    pub(super) ports: Ports,
    pub(super) kubernetes: Arc<kubernetes::Kubernetes>,
    pub(super) prometheus: Arc<prometheus::Prometheus>,
    pub(super) alertmanager: Option<Arc<alertmanager::Alertmanager>>,
}

/// What has to be in place before anything runs: the TLS provider, and a terminal that is given back on panic.
pub(super) fn prepare() {
    crate::adapter::http::install_tls_provider();
    crate::runtime::install_panic_hook();
}

/// Says whether something is so: the journal's disk simulated to be full, time not yet at t = 0.
pub(super) type IsSo = Arc<dyn Fn() -> bool + Send + Sync>;

/// An environment variable.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
pub(super) fn env(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// The configuration file that applies.
pub(super) fn config_path(global: &Global) -> Result<PathBuf, Failed> {
    crate::config::paths::config_file(global.config.as_deref(), env)
        .ok_or_else(|| Failed::new(Exit::Usage, "no home folder: name the configuration with --config FILE"))
}

/// Reads the configuration; what is wrong with it is printed, all of it. Who works here is as the command line says, if it does.
pub(super) fn config(global: &Global, path: &Path) -> Result<Config, Failed> {
    let mut config = crate::config::load(path).map_err(|diagnostics| invalid(&diagnostics))?;
    if let Some(name) = &global.name {
        config.operator = Some(name.clone());
    }
    Ok(config)
}

/// [`config`], for commands that also work without one.
pub(super) fn config_if_any(global: &Global) -> Result<Option<Config>, Failed> {
    match config_path(global) {
        Ok(path) if global.config.is_some() || path.exists() => config(global, &path).map(Some),
        _ => Ok(None),
    }
}

/// Signs and checks with the keys of the configuration; `key` goes before its own.
pub(super) fn signatures(config: Option<&Config>, key: Option<PathBuf>) -> Arc<dyn Signatures> {
    let identity = config.map(|config| config.identity.clone()).unwrap_or_default();
    Arc::new(ssh::new(ssh::Settings {
        allowed_signers: identity.allowed_signers,
        key: key.or(identity.key),
        agent: env("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).map(PathBuf::from),
        usual_key: directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".ssh").join("id_ed25519")),
    }))
}

/// Everything that is wrong with a file, one line each.
pub(super) fn invalid(diagnostics: &[Diagnostic]) -> Failed {
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    Failed::new(Exit::InvalidFile, lines.join("\n"))
}

/// The folder of journal and logs.
pub(super) fn state_dir(config: Option<&Config>) -> Result<PathBuf, Failed> {
    crate::config::paths::state_dir(config.and_then(|c| c.state_dir.as_deref()), env)
        .ok_or_else(|| Failed::new(Exit::Usage, "no home folder: set XDG_STATE_HOME, or state_dir in the configuration"))
}

/// The clock: a simulator's, when the configuration names one, else this machine's.
pub(super) async fn clock(config: &Config) -> Result<Arc<dyn Clock>, Failed> {
    match &config.clock {
        None => Ok(Arc::new(SystemClock::new())),
        Some(url) => {
            let clock = RemoteClock::connect(url).await.map_err(|why| Failed::new(Exit::CannotConnect, why))?;
            Ok(Arc::new(clock))
        }
    }
}

/// Who works here.
pub(super) fn operator(config: &Config) -> String {
    crate::domain::text::clean_bounded(&config.operator.clone().unwrap_or_else(login), 64)
}

/// Who works here, before there is a configuration.
pub(super) fn whoever(global: &Global) -> String {
    global.name.clone().unwrap_or_else(login)
}

/// The login name.
fn login() -> String {
    whoami::username().unwrap_or_else(|_| "operator".into())
}

/// Opens the journal.
pub(super) fn journal(config: &Config, clock: Arc<dyn Clock>, full_disk: Option<IsSo>) -> Result<Arc<dyn Journal>, Failed> {
    Ok(Arc::new(open(config, clock, full_disk)?))
}

/// Opens a demo's journal: what is written while `history` says so can be made again, and need not be forced to the disk.
pub(super) async fn demo_journal(
    config: &Config,
    clock: Arc<dyn Clock>,
    full_disk: IsSo,
    history: IsSo,
) -> Result<Arc<dyn Journal>, Failed> {
    let journal = open(config, clock, Some(full_disk))?;
    journal.rehearse(history).await.map_err(|e| Failed::new(Exit::Internal, e.to_string()))?;
    Ok(Arc::new(journal))
}

fn open(config: &Config, clock: Arc<dyn Clock>, full_disk: Option<IsSo>) -> Result<sqlite::Sqlite, Failed> {
    let pid = std::process::id();
    let now = clock.now();
    let settings = sqlite::Settings {
        path: state_dir(Some(config))?.join("journal.db"),
        clock,
        operator: operator(config),
        account: login(),
        host: whoami::hostname().unwrap_or_else(|_| "localhost".into()),
        pid,
        session: format!("{pid}-{}", now.mono.as_nanos()),
        full_disk,
    };
    sqlite::open(settings).map_err(|e| Failed::new(Exit::Internal, e.to_string()))
}

fn secret(reference: &SecretRef) -> Secret {
    match reference {
        SecretRef::Env(name) => Secret::Env(name.clone()),
        SecretRef::File(path) => Secret::File(path.clone()),
        SecretRef::Cmd(argv) => Secret::Cmd(argv.clone()),
    }
}

fn auth(reference: &AuthRef) -> Auth {
    match reference {
        AuthRef::Bearer(token) => Auth::Bearer(secret(token)),
        AuthRef::Basic { username, password } => Auth::Basic { username: username.clone(), password: secret(password) },
        AuthRef::Header { name, value } => Auth::Header { name: name.clone(), value: secret(value) },
    }
}

/// The service that the command is about.
pub(super) fn select<'a>(global: &Global, config: &'a Config) -> Result<Selected<'a>, Failed> {
    config.service(global.service.as_deref()).map_err(|e| Failed::new(Exit::Usage, e.to_string()))
}

/// The platform of a service.
async fn platform(selected: &Selected<'_>, clock: Arc<dyn Clock>, writes: bool) -> Result<kubernetes::Kubernetes, Failed> {
    let settings = kubernetes::Settings {
        context: selected.platform.context.clone(),
        kubeconfig: selected.platform.kubeconfig.clone(),
        timeout: REQUEST,
        spec: selected.spec.clone(),
        clock,
        writes,
    };
    kubernetes::connect(settings).await.map_err(|e| {
        let exit = if matches!(e, kubernetes::ConnectError::Credentials { .. }) { Exit::Credentials } else { Exit::CannotConnect };
        Failed::new(exit, e.to_string())
    })
}

/// Connects. Neither server need be up: the cockpit says so and goes on trying.
pub(super) async fn connect(global: &Global, config: &Config, clock: Arc<dyn Clock>, journal: Arc<dyn Journal>) -> Result<Wired, Failed> {
    let selected = select(global, config)?;
    let spec = selected.spec.clone();
    let acts = !(global.read_only || global.spectator);
    let kubernetes = platform(&selected, clock.clone(), acts).await?;
    let settings = prometheus::Settings {
        source: spec.metrics.clone(),
        url: selected.metrics.url.clone(),
        auth: selected.metrics.auth.as_ref().map(auth),
        ca_file: selected.metrics.ca_file.clone(),
        scrape_interval: selected.metrics.scrape_interval,
        timeout: REQUEST,
        clock: clock.clone(),
    };
    let prometheus = prometheus::new(settings).map_err(|e| Failed::new(Exit::CannotConnect, e.to_string()))?;
    let (kubernetes, prometheus) = (Arc::new(kubernetes), Arc::new(prometheus));
    let alertmanager = alerts(&selected, clock.clone(), acts)?.map(Arc::new);
    let offset = super::local_time::offset();
    let options = Options {
        operator: operator(config),
        read_only: global.read_only,
        spectator: global.spectator,
        starts_armed: spec.protection != Protection::Protected,
        tour: false,
        local_offset: offset.seconds,
        local_zone: offset.name,
        command: format!("gonogo --config {}", config.path.display()),
        incident: config.incident.clone(),
        boot_id: clock.boot_id(),
    };
    let mut targets: Vec<(ServiceSpec, Arc<dyn Platform>)> = Vec::new();
    for key in &spec.with {
        let other = config.service(Some(&key.service)).map_err(|e| Failed::new(Exit::Usage, e.to_string()))?;
        targets.push((other.spec.clone(), Arc::new(platform(&other, clock.clone(), acts).await?)));
    }
    let (service, platform) = (spec.name.clone(), kubernetes.clone());
    let alerts = alertmanager.clone().map(|alerts| alerts as Arc<dyn Alerts>);
    let ports = Ports {
        service,
        platform,
        targets,
        metrics: prometheus.clone(),
        alerts,
        journal,
        logs: Some(kubernetes.clone()),
        exports: Some(state_dir(Some(config))?.join("exports")),
        signatures: Some(signatures(Some(config), None)),
        clock,
        acts,
    };
    Ok(Wired { spec, options, ports, kubernetes, prometheus, alertmanager })
}

/// The alerts connection of the service, where it has one.
fn alerts(selected: &Selected<'_>, clock: Arc<dyn Clock>, writes: bool) -> Result<Option<alertmanager::Alertmanager>, Failed> {
    let Some(connection) = selected.alerts else { return Ok(None) };
    let settings = alertmanager::Settings {
        source: connection.name.as_str().into(),
        url: connection.url.clone(),
        auth: connection.auth.as_ref().map(auth),
        ca_file: connection.ca_file.clone(),
        timeout: REQUEST,
        clock,
        writes,
    };
    alertmanager::new(settings).map(Some).map_err(|e| Failed::new(Exit::CannotConnect, e.to_string()))
}

/// For commands that only read the journal: a simulator that is gone is no reason not to tell its story.
pub(super) async fn clock_or_system(config: &Config) -> Arc<dyn Clock> {
    match clock(config).await {
        Ok(clock) => clock,
        Err(_) => Arc::new(SystemClock::new()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn global(args: &[&str]) -> Result<Global, clap::Error> {
        super::super::args::Cli::try_parse_from(std::iter::once("gonogo").chain(args.iter().copied())).map(|cli| cli.global)
    }

    #[test]
    fn several_people_share_a_login_and_each_stands_in_the_journal_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "version = 1\nstate_dir = \"state\"\n[identity]\nas = \"ada\"\n").unwrap();
        let actor = |args: &[&str]| {
            let config = config(&global(args).unwrap(), &path).unwrap();
            journal(&config, Arc::new(SystemClock::new()), None).unwrap().whoami()
        };
        let (ada, ben) = (actor(&[]), actor(&["status", "--as", "ben"]));
        assert_eq!((ada.id.as_str(), ben.id.as_str()), ("ada", "ben"));
        assert_eq!((ada.strength.as_str(), ben.strength.as_str()), ("asserted", "asserted"));
        // The record tells who only said so.
        assert!(ben.client.starts_with("ben@") && ben.client.ends_with(&format!(" (login {})", login())), "{}", ben.client);
        let refused = global(&["--as", "gonogo"]).unwrap_err().to_string();
        assert!(refused.contains("the name is kept for what the program does by itself"), "{refused}");
    }
}
