//! `[[platform]]`, `[[metrics]]`, `[[alerts]]`.

use super::reading::{Table, Text, did_you_mean};
use super::secret::{AuthRef, auth};
use crate::domain::{Labels, Protection};
use std::path::PathBuf;
use std::time::Duration;

/// A platform that runs services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformConnection {
    /// Its name.
    pub name: String,
    /// The kubeconfig context; the current one when absent.
    pub context: Option<String>,
    /// A kubeconfig file of its own; `KUBECONFIG` and the usual place when absent.
    pub kubeconfig: Option<PathBuf>,
    /// Any word.
    pub environment: String,
    /// How it is guarded.
    pub protection: Protection,
}

/// A metrics backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsConnection {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
    /// Credential, by reference.
    pub auth: Option<AuthRef>,
    /// Trusted in addition to the system's roots.
    pub ca_file: Option<PathBuf>,
    /// How often it takes a sample; 15 s when the file does not say.
    pub scrape_interval: Duration,
}

/// A source of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertsConnection {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
    /// Credential, by reference.
    pub auth: Option<AuthRef>,
    /// Trusted in addition to the system's roots.
    pub ca_file: Option<PathBuf>,
    /// Labels an alert must carry to be about the service.
    pub matchers: Labels,
}

/// What other tables can refer to by name. A broken one still has its name, so that what refers to it is not reported as well.
#[derive(Debug)]
pub(super) struct Named<T> {
    kind: &'static str,
    items: Vec<(String, Option<T>)>,
}

impl<T> Named<T> {
    fn new(kind: &'static str) -> Self {
        Self { kind, items: vec![] }
    }

    fn add(&mut self, table: &Table<'_, '_>, name: Option<Text>, item: Option<T>) {
        let Some(name) = name else { return };
        if self.items.iter().any(|(known, _)| *known == name.value) {
            let message = format!("a second {} is named {:?}", self.kind, name.value);
            table.source().report("duplicate-name", name.span, message, None);
        }
        self.items.push((name.value, item));
    }

    /// The complete one of this name; reports a name that nobody has.
    pub(super) fn find(&self, table: &Table<'_, '_>, name: &Text) -> Option<&T> {
        let found = self.items.iter().find(|(known, _)| *known == name.value);
        if found.is_none() {
            let names = || self.items.iter().map(|(name, _)| name.as_str());
            let help = did_you_mean(&name.value, names()).unwrap_or_else(|| match self.items.len() {
                0 => format!("add a {}", self.kind),
                _ => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
            });
            table.source().report("unknown-name", name.span.clone(), format!("no {} is named {:?}", self.kind, name.value), Some(&help));
        }
        found?.1.as_ref()
    }

    pub(super) fn complete(self) -> Vec<T> {
        self.items.into_iter().filter_map(|(_, item)| item).collect()
    }
}

/// Checks `kind`; the others of the format are not there yet.
fn kind(table: &Table<'_, '_>, supported: &'static str, later: &[&str]) {
    let Some(text) = table.required_text("kind") else { return };
    if later.contains(&text.value.as_str()) {
        let help = format!("so far there is {supported:?}");
        table.source().report("not-supported", text.span, format!("kind {:?} is not supported yet", text.value), Some(&help));
    } else if text.value != supported {
        let help = did_you_mean(&text.value, [supported].into_iter()).unwrap_or_else(|| format!("so far there is {supported:?}"));
        table.source().report("value", text.span, format!("kind {:?} is not known", text.value), Some(&help));
    }
}

pub(super) fn platforms(top: &Table<'_, '_>) -> Named<PlatformConnection> {
    let mut all = Named::new("[[platform]]");
    for table in top.tables("platform", "[[platform]]") {
        let name = table.required_name("name");
        kind(&table, "kubernetes", &["cloud-foundry", "cloud-run", "vercel", "swarm"]);
        let words = [("protected", Protection::Protected), ("shared", Protection::Shared), ("private", Protection::Private)];
        let protection = table.choice("protection", &words);
        let (context, kubeconfig) = (table.text("context").map(|t| t.value), table.path("kubeconfig"));
        let environment = table.text("environment").map(|t| t.value);
        let item = name.as_ref().map(|name| PlatformConnection {
            name: name.value.clone(),
            context,
            kubeconfig,
            environment: environment.unwrap_or_else(|| name.value.clone()),
            protection: protection.unwrap_or_else(|| default_protection(&name.value)),
        });
        all.add(&table, name, item);
        table.finish();
    }
    all
}

fn default_protection(name: &str) -> Protection {
    if name.to_lowercase().contains("prod") { Protection::Protected } else { Protection::Shared }
}

pub(super) fn metrics(top: &Table<'_, '_>) -> Named<MetricsConnection> {
    let mut all = Named::new("[[metrics]]");
    for table in top.tables("metrics", "[[metrics]]") {
        let name = table.required_name("name");
        kind(&table, "prometheus", &["log-cache", "cloud-monitoring", "sentry"]);
        let url = required_address(&table);
        let scrape_interval = table.interval("scrape_interval").unwrap_or(Duration::from_secs(15));
        let (auth, ca_file) = (auth(&table), table.path("ca_file"));
        let item =
            name.as_ref().zip(url).map(|(name, url)| MetricsConnection { name: name.value.clone(), url, auth, ca_file, scrape_interval });
        all.add(&table, name, item);
        table.finish();
    }
    all
}

pub(super) fn alerts(top: &Table<'_, '_>) -> Named<AlertsConnection> {
    let mut all = Named::new("[[alerts]]");
    for table in top.tables("alerts", "[[alerts]]") {
        let name = table.required_name("name");
        kind(&table, "alertmanager", &[]);
        let url = required_address(&table);
        let (auth, ca_file) = (auth(&table), table.path("ca_file"));
        let matchers = table.table("match", "match").map(|t| t.text_pairs().into_iter().collect()).unwrap_or_default();
        let item = name.as_ref().zip(url).map(|(name, url)| AlertsConnection { name: name.value.clone(), url, auth, ca_file, matchers });
        all.add(&table, name, item);
        table.finish();
    }
    all
}

fn required_address(table: &Table<'_, '_>) -> Option<String> {
    let url = table.address("url");
    if url.is_none() {
        table.missing("url");
    }
    url
}
