//! Prometheus's HTTP API, version 1, over a store in memory.

use super::encode::{failure, outcome, success};
use super::eval;
use super::metric::{Metric, NAME, is_label_name};
use super::params::{Params, invalid};
use super::syntax;
use super::tsdb::{Stored, Tsdb};
use super::value::Failed;
use crate::domain::Clock;
use crate::sim::alerts::{Filter, Rules};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use chrono::{DateTime, SecondsFormat};
use http::StatusCode;
use promql_parser::parser::{Expr, VectorSelector};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

/// Most queries whose syntax trees are kept.
const MOST_PARSED: usize = 256;

#[derive(Clone)]
struct Api {
    tsdb: Arc<RwLock<Tsdb>>,
    clock: Arc<dyn Clock>,
    scrape_interval: Duration,
    parsed: Arc<Mutex<HashMap<String, Arc<Expr>>>>,
    rules: Arc<RwLock<Rules>>,
}

/// The API over `tsdb`, which may be written meanwhile. `clock` says what "now" is for queries without a time;
/// `scrape_interval` is shown by `targets` and is the resolution of subqueries that name none.
pub fn api(tsdb: Arc<RwLock<Tsdb>>, clock: Arc<dyn Clock>, scrape_interval: Duration) -> Router {
    api_with(tsdb, clock, scrape_interval, Arc::default())
}

/// As [`api`], with rules that somebody evaluates.
pub(crate) fn api_with(tsdb: Arc<RwLock<Tsdb>>, clock: Arc<dyn Clock>, scrape_interval: Duration, rules: Arc<RwLock<Rules>>) -> Router {
    let v1 = Router::new()
        .route("/query", get(query).post(query))
        .route("/query_range", get(query_range).post(query_range))
        .route("/format_query", get(format_query).post(format_query))
        .route("/series", get(series).post(series))
        .route("/labels", get(labels).post(labels))
        .route("/label/{name}/values", get(label_values))
        .route("/metadata", get(metadata))
        .route("/targets", get(targets))
        .route("/alerts", get(alerts))
        .route("/rules", get(self::rules))
        .route("/status/buildinfo", get(|| async { success(build_info(), &[]) }));
    Router::new()
        .nest("/api/v1", v1)
        .route("/-/healthy", get(|| async { "Prometheus Server is Healthy.\n" }))
        .route("/-/ready", get(|| async { "Prometheus Server is Ready.\n" }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found\n") })
        .layer(tower_http::compression::CompressionLayer::new().quality(tower_http::CompressionLevel::Fastest))
        .with_state(Api { tsdb, clock, scrape_interval, parsed: Arc::default(), rules })
}

impl Api {
    /// A query's syntax tree; dashboards ask the same queries over and over.
    fn parse(&self, query: &str) -> Result<Arc<Expr>, Failed> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(expr) = parsed.get(query) {
            return Ok(Arc::clone(expr));
        }
        let expr = Arc::new(syntax::parse(query)?);
        if parsed.len() >= MOST_PARSED {
            parsed.clear();
        }
        parsed.insert(query.to_owned(), Arc::clone(&expr));
        Ok(expr)
    }

    fn read(&self) -> RwLockReadGuard<'_, Tsdb> {
        self.tsdb.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.clock.now().wall.timestamp_millis()
    }

    fn default_step(&self) -> i64 {
        i64::try_from(self.scrape_interval.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A handler's answer or error, either of them a response.
fn answered(result: Result<Response, Failed>) -> Response {
    result.unwrap_or_else(|failed| failure(&failed))
}

fn named_query(failed: &Failed) -> Failed {
    invalid("query", &failed.text)
}

async fn query(State(api): State<Api>, params: Params) -> Response {
    let run = || {
        let at = params.time_or("time", api.now())?;
        params.check_timeout()?;
        let limit = params.limit()?;
        let expr = api.parse(params.get("query")).map_err(|failed| named_query(&failed))?;
        let result = eval::instant(&api.read(), &expr, at, api.default_step())?;
        Ok(outcome(result, at, limit))
    };
    answered(run())
}

async fn query_range(State(api): State<Api>, params: Params) -> Response {
    let run = || {
        let grid = params.grid()?;
        params.check_timeout()?;
        let limit = params.limit()?;
        let expr = api.parse(params.get("query"))?;
        let result = eval::range(&api.read(), &expr, grid, api.default_step())?;
        Ok(outcome(result, grid.start, limit))
    };
    answered(run())
}

async fn format_query(params: Params) -> Response {
    let parsed = syntax::parse(params.get("query")).map_err(|failed| named_query(&failed));
    answered(parsed.map(|expr| success(expr.prettify(), &[])))
}

/// The series that a request means by `match[]`, `start` and `end`.
struct Chosen {
    selectors: Vec<VectorSelector>,
    start: i64,
    end: i64,
}

impl Chosen {
    /// `name_it`: errors in selectors name the parameter, which Prometheus does for one of three endpoints.
    fn new(params: &Params, name_it: bool) -> Result<Self, Failed> {
        let start = params.time_or("start", i64::MIN)?;
        let end = params.time_or("end", i64::MAX)?;
        let selector =
            |text| syntax::parse_selector(text).map_err(|failed| if name_it { invalid("match[]", &failed.text) } else { failed });
        let selectors = params.all("match[]").map(selector).collect::<Result<_, _>>()?;
        Ok(Self { selectors, start, end })
    }

    /// In order, without repetition; all series when there is no selector.
    fn metrics(&self, tsdb: &Tsdb) -> BTreeSet<Metric> {
        let lives = |stored: &&Stored| stored.samples.iter().any(|s| (self.start..=self.end).contains(&s.at));
        let metrics = |found: Vec<&Stored>| found.into_iter().filter(lives).map(|s| s.metric.clone()).collect::<Vec<_>>();
        if self.selectors.is_empty() {
            return metrics(tsdb.all().collect()).into_iter().collect();
        }
        self.selectors.iter().flat_map(|selector| metrics(tsdb.select(selector))).collect()
    }
}

async fn series(State(api): State<Api>, params: Params) -> Response {
    let run = || {
        if params.all("match[]").next().is_none() {
            return Err(Failed::bad("no match[] parameter provided"));
        }
        let chosen = Chosen::new(&params, true)?;
        let limit = params.limit()?.unwrap_or(usize::MAX);
        Ok(success(chosen.metrics(&api.read()).into_iter().take(limit).collect::<Vec<_>>(), &[]))
    };
    answered(run())
}

async fn labels(State(api): State<Api>, params: Params) -> Response {
    let run = || {
        let metrics = Chosen::new(&params, false)?.metrics(&api.read());
        let limit = params.limit()?.unwrap_or(usize::MAX);
        let names: BTreeSet<&str> = metrics.iter().flat_map(Metric::iter).map(|(name, _)| name).collect();
        Ok(success(names.into_iter().take(limit).collect::<Vec<_>>(), &[]))
    };
    answered(run())
}

async fn label_values(State(api): State<Api>, Path(name): Path<String>, params: Params) -> Response {
    let run = || {
        if !is_label_name(&name) {
            return Err(Failed::bad(format!("invalid label name: {name:?}")));
        }
        let metrics = Chosen::new(&params, false)?.metrics(&api.read());
        let limit = params.limit()?.unwrap_or(usize::MAX);
        let values: BTreeSet<&str> = metrics.iter().map(|metric| metric.get(&name)).filter(|value| !value.is_empty()).collect();
        Ok(success(values.into_iter().take(limit).collect::<Vec<_>>(), &[]))
    };
    answered(run())
}

/// Nothing here knows types; they are told from the names, by the conventions of exporters.
async fn metadata(State(api): State<Api>, params: Params) -> Response {
    let run = || {
        let limit = params.limit()?.unwrap_or(usize::MAX);
        let wanted = params.get("metric");
        let tsdb = api.read();
        let names: BTreeSet<&str> = tsdb.all().map(|stored| stored.metric.get(NAME)).collect();
        let mut types: BTreeMap<&str, &str> = BTreeMap::new();
        for name in &names {
            let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let histogram = histogram.filter(|base| names.contains(format!("{base}_bucket").as_str()));
            let (name, kind) = match histogram {
                Some(base) => (base, "histogram"),
                None if name.ends_with("_total") => (*name, "counter"),
                None => (*name, "gauge"),
            };
            types.insert(name, kind);
        }
        let about = |(name, kind): (&str, &str)| (name.to_owned(), json!([{"type": kind, "help": "", "unit": ""}]));
        let chosen = types.into_iter().filter(|(name, _)| wanted.is_empty() || *name == wanted).take(limit);
        Ok(success(chosen.map(about).collect::<BTreeMap<String, Value>>(), &[]))
    };
    answered(run())
}

/// Every series of `up` is a target.
async fn targets(State(api): State<Api>, params: Params) -> Response {
    let interval = humantime::format_duration(api.scrape_interval).to_string();
    let target = |stored: &Stored| {
        let last = *stored.samples.last()?;
        let labels: BTreeMap<&str, &str> = stored.metric.iter().filter(|(name, _)| *name != NAME).collect();
        let url = format!("http://{}/metrics", stored.metric.get("instance"));
        let scraped = DateTime::from_timestamp_millis(last.at)?.to_rfc3339_opts(SecondsFormat::Millis, true);
        let up = last.value > 0.0;
        Some(json!({
            "discoveredLabels": {"__address__": stored.metric.get("instance"), "job": stored.metric.get("job")},
            "labels": labels,
            "scrapePool": stored.metric.get("job"),
            "scrapeUrl": url,
            "globalUrl": url,
            "lastError": if up { "" } else { "server returned HTTP status 503 Service Unavailable" },
            "lastScrape": scraped,
            "lastScrapeDuration": 0.001,
            "health": if up { "up" } else { "down" },
            "scrapeInterval": interval,
            "scrapeTimeout": interval,
        }))
    };
    let tsdb = api.read();
    let mut active: Vec<Value> = tsdb.all().filter(|stored| stored.metric.get(NAME) == "up").filter_map(target).collect();
    let pool = params.get("scrapePool");
    active.retain(|target| pool.is_empty() || target["scrapePool"] == pool);
    if params.get("state").eq_ignore_ascii_case("dropped") {
        active.clear();
    }
    success(json!({"activeTargets": active, "droppedTargets": []}), &[])
}

async fn alerts(State(api): State<Api>) -> Response {
    success(api.rules.read().unwrap_or_else(PoisonError::into_inner).alerts(), &[])
}

async fn rules(State(api): State<Api>, params: Params) -> Response {
    let recording = match params.get("type").to_lowercase().as_str() {
        "" | "alert" => false,
        "record" => true,
        other => return failure(&invalid("type", &format!("not supported value {other:?}"))),
    };
    let filter = Filter {
        recording,
        names: params.all("rule_name[]").collect(),
        groups: params.all("rule_group[]").collect(),
        files: params.all("file[]").collect(),
        without_alerts: params.get("exclude_alerts") == "true",
    };
    success(api.rules.read().unwrap_or_else(PoisonError::into_inner).groups(&filter), &[])
}

fn build_info() -> Value {
    json!({
        "version": "2.42.0",
        "revision": "simulated",
        "branch": "gonogo",
        "buildUser": "gonogo",
        "buildDate": "",
        "goVersion": "",
    })
}
