//! The configuration file: connections and services.
//!
//! Everything wrong with a file is found in one go, each with its place. Secrets are references; a secret itself is refused.

mod connections;
mod incident;
pub mod paths;
mod people;
mod reading;
mod secret;
mod services;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

pub use connections::{AlertsConnection, MetricsConnection, PlatformConnection};
pub use people::Identity;
pub use secret::{AuthRef, SecretRef};

use crate::domain::incident::Rules;
use crate::domain::{Diagnostic, Person, ServiceSpec, Severity};
use reading::{Source, Table, did_you_mean};
use std::path::{Path, PathBuf};

/// Largest configuration file that is read, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;

/// A configuration file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Who the operator says to be; the login name when absent.
    pub operator: Option<String>,
    /// How the operator signs, and whose signatures count.
    pub identity: Identity,
    /// People who take part.
    pub people: Vec<Person>,
    /// Platform connections.
    pub platforms: Vec<PlatformConnection>,
    /// Metrics connections.
    pub metrics: Vec<MetricsConnection>,
    /// Alerts connections. Checked, but nothing uses them yet.
    pub alerts: Vec<AlertsConnection>,
    /// Services.
    pub services: Vec<ServiceSpec>,
    /// Where state is kept, if not in the usual place.
    pub state_dir: Option<PathBuf>,
    /// Address of a simulator's clock, to share its time.
    pub clock: Option<String>,
    /// How the cockpit is drawn.
    pub ui: Ui,
    /// Incidents: updates and escalation.
    pub incident: Rules,
    /// The file.
    pub path: PathBuf,
}

/// How the cockpit is drawn. A flag of the command line goes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ui {
    /// Frames in ASCII characters.
    pub ascii: Ascii,
    /// Frames a second for data; by the terminal's connection when absent.
    pub fps: Option<u8>,
}

/// Whether only ASCII characters are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ascii {
    /// As the terminal's locale says.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A service with the connections it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selected<'a> {
    /// The service.
    pub spec: &'a ServiceSpec,
    /// Its platform connection.
    pub platform: &'a PlatformConnection,
    /// Its metrics connection.
    pub metrics: &'a MetricsConnection,
    /// Its alerts connection.
    pub alerts: Option<&'a AlertsConnection>,
}

/// No service, or not one alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoService {
    /// The file has none.
    #[error("{} configures no service: add a [[service]]", path.display())]
    None {
        /// The file.
        path: PathBuf,
    },
    /// None of this name.
    #[error("no service {name:?} is configured{}; there are: {}", hint.as_ref().map_or(String::new(), |h| format!(" ({h})")), names.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// `did you mean "checkout"?`
        hint: Option<String>,
        /// What there is.
        names: Vec<String>,
    },
    /// Several, and none was named.
    #[error("several services are configured; name one with --service: {}", names.join(", "))]
    Several {
        /// What there is.
        names: Vec<String>,
    },
}

impl Config {
    /// The service of this name; without a name the only one.
    pub fn service(&self, name: Option<&str>) -> Result<Selected<'_>, NoService> {
        let names = || self.services.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
        let spec = match (name, self.services.as_slice()) {
            (_, []) => return Err(NoService::None { path: self.path.clone() }),
            (None, [only]) => only,
            (None, _) => return Err(NoService::Several { names: names() }),
            (Some(name), all) => all.iter().find(|s| s.name == name).ok_or_else(|| {
                let hint = did_you_mean(name, names().iter().map(String::as_str));
                NoService::Unknown { name: name.to_owned(), hint, names: names() }
            })?,
        };
        let platform = self.platforms.iter().find(|p| p.name == spec.platform.0);
        let metrics = self.metrics.iter().find(|m| m.name == spec.metrics.0);
        // `parse` lets no service through whose connections are not there.
        let (platform, metrics) = platform.zip(metrics).ok_or_else(|| NoService::None { path: self.path.clone() })?;
        let alerts = spec.alerts.as_ref().and_then(|wanted| self.alerts.iter().find(|a| a.name == wanted.source.0));
        Ok(Selected { spec, platform, metrics, alerts })
    }
}

/// Reads and checks a configuration file. On error everything that is wrong with it, in the order of the file.
pub fn load(path: &Path) -> Result<Config, Vec<Diagnostic>> {
    let unreadable = |why: String| vec![whole_file(path, "unreadable-file", &why)];
    let size = std::fs::metadata(path).map_err(|e| unreadable(format!("the file cannot be read: {e}")))?.len();
    if size > LARGEST_FILE {
        return Err(unreadable(format!("the file has {size} bytes, at most {LARGEST_FILE} are read")));
    }
    let bytes = std::fs::read(path).map_err(|e| unreadable(format!("the file cannot be read: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("the file is no UTF-8 text".into()))?;
    parse(&text, path)
}

fn whole_file(path: &Path, rule: &str, message: &str) -> Diagnostic {
    Diagnostic {
        rule: rule.into(),
        severity: Severity::Error,
        file: path.display().to_string(),
        line: 1,
        column: 1,
        length: 0,
        message: message.into(),
        help: None,
    }
}

/// Checks the text of a configuration file. `path` names it in diagnostics, and relative paths in it start from its folder.
pub fn parse(text: &str, path: &Path) -> Result<Config, Vec<Diagnostic>> {
    let source = Source::new(text, path);
    let config = source.document().map(|document| read(&source, &document, path));
    let found = source.into_diagnostics();
    match config {
        Some(config) if found.is_empty() => Ok(config),
        _ => Err(found),
    }
}

fn read(source: &Source<'_>, document: &toml::Spanned<toml::de::DeTable<'_>>, path: &Path) -> Config {
    let top = Table::new(source, "the configuration", document.get_ref(), document.span());
    match top.integer("version") {
        Some((1, _)) => {}
        Some((other, span)) => {
            let message = format!("version {other} of the configuration is not known");
            source.report("version", span, message, Some("write version = 1"));
        }
        None if top.has("version") => {}
        None => source.report("missing-key", 0..0, "the file does not say its version".into(), Some("begin with version = 1")),
    }
    let (operator, identity) = people::identity(&top);
    let people = people::people(&top);
    let platforms = connections::platforms(&top);
    let metrics = connections::metrics(&top);
    let alerts = connections::alerts(&top);
    let mut services = services::read(&top, &platforms, &metrics, &alerts);
    let platforms = platforms.complete();
    people::environments(&top, &platforms, &mut services);
    let config = Config {
        operator,
        identity,
        people,
        services,
        platforms,
        metrics: metrics.complete(),
        alerts: alerts.complete(),
        state_dir: top.path("state_dir"),
        clock: top.address("clock"),
        ui: ui(&top),
        incident: incident::read(&top),
        path: path.to_owned(),
    };
    top.finish();
    config
}

fn ui(top: &Table<'_, '_>) -> Ui {
    let Some(table) = top.table("ui", "[ui]") else { return Ui::default() };
    let ascii = table.choice("ascii", &[("auto", Ascii::Auto), ("always", Ascii::Always), ("never", Ascii::Never)]);
    let fps = table.integer("fps").and_then(|(fps, span)| {
        let fps = u8::try_from(fps).ok().filter(|fps| (1..=60).contains(fps));
        if fps.is_none() {
            table.source().report("value", span, "frames a second are 1 to 60".into(), None);
        }
        fps
    });
    table.finish();
    Ui { ascii: ascii.unwrap_or_default(), fps }
}
