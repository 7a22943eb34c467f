//! What is asked of both servers.

use super::data::{INTERVAL, SCRAPES, START};

/// One request; `parts` are its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: &'static str,
    pub(crate) parts: Vec<(&'static str, String)>,
    /// The order of a vector's elements means something.
    pub(crate) ordered: bool,
}

const END: i64 = START + (SCRAPES - 1) * INTERVAL;

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn instant(query: &str, at: i64) -> Asked {
    let ordered = query.starts_with("sort") || query.starts_with("topk(2") || query.starts_with("bottomk(2");
    Asked { path: "/api/v1/query", parts: vec![("query", query.to_owned()), ("time", seconds(at))], ordered }
}

fn range(query: &str, start: i64, end: i64, step: &str) -> Asked {
    let parts = vec![("query", query.to_owned()), ("start", seconds(start)), ("end", seconds(end)), ("step", step.to_owned())];
    Asked { path: "/api/v1/query_range", parts, ordered: true }
}

/// Moments for instant queries: inside, in gaps, on a sample, at the edges of the lookback, before and after everything.
fn moments() -> [i64; 7] {
    [START + 75 * INTERVAL, START + 1_400_000, START + 88 * INTERVAL - 1, END, END + 300_000, END + 300_041, START - 1]
}

/// Everything: well over a thousand requests.
pub(crate) fn all() -> Vec<Asked> {
    let mut asked = Vec::new();
    for (i, query) in expressions().iter().enumerate() {
        let moments = moments();
        asked.push(instant(query, moments[i % moments.len()]));
        asked.push(instant(query, moments[0]));
        asked.push(range(query, START + 300_000, START + 1_500_000, "30"));
        if i % 3 == 0 {
            asked.push(range(query, START - 120_000, END + 600_000, "1m47s"));
        }
    }
    for query in instant_only() {
        asked.extend(moments().iter().map(|at| instant(query, *at)));
    }
    asked.extend(errors());
    asked.extend(metadata());
    asked
}

/// Templates times metrics times windows, and a list of what templates do not reach.
fn expressions() -> Vec<String> {
    let mut out = Vec::new();
    let functions = [
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "deriv",
        "resets",
        "changes",
        "avg_over_time",
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "present_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "absent_over_time",
    ];
    let metrics = ["http_requests_total", "temperature_celsius", "queue_depth", "brief_total", "mixed"];
    for (i, function) in functions.iter().enumerate() {
        for (j, metric) in metrics.iter().enumerate() {
            let window = ["1m", "5m", "15s", "31m"][(i + j) % 4];
            out.push(format!("{function}({metric}[{window}])"));
            if (i + j) % 2 == 0 {
                out.push(format!("sum by (job, version) ({function}({metric}[2m] offset 90s))"));
            }
        }
        out.push(format!("{function}(sum by (version) (http_requests_total)[5m:30s])"));
        out.push(format!("{function}(queue_depth[10m:])"));
        out.push(format!("{function}(temperature_celsius{{instance=~\"10.0.0.[12]:80\"}}[3m] @ 1700001000)"));
    }
    for aggregation in ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"] {
        for metric in metrics.iter().chain(&["odd"]) {
            out.push(format!("{aggregation}({metric})"));
            out.push(format!("{aggregation} by (version, job) ({metric})"));
            out.push(format!("{aggregation} without (instance) ({metric})"));
        }
    }
    for function in ["abs", "ceil", "floor", "sqrt", "exp", "ln", "log2", "log10", "sgn", "round", "sin", "atan", "deg", "timestamp"] {
        out.push(format!("{function}(temperature_celsius)"));
        out.push(format!("{function}(odd)"));
    }
    for op in ["+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "atan2"] {
        out.push(format!("queue_depth {op} 3"));
        out.push(format!("3 {op} queue_depth"));
        out.push(format!("temperature_celsius {op} queue_depth"));
        out.push(format!("odd {op} odd"));
        out.push(format!("http_requests_total {op} on (instance) group_left (revision) build_info{{version=\"v1\"}}"));
        out.push(format!("build_info {op} on (instance, version) group_right sum by (instance, version, code) (http_requests_total)"));
        if "+-*/%^atan2".contains(op) {
            out.push(format!("7.5 {op} 2"));
        } else {
            out.push(format!("queue_depth {op} bool 3"));
            out.push(format!("3 {op} bool queue_depth"));
            out.push(format!("temperature_celsius {op} bool queue_depth"));
            out.push(format!("3 {op} bool 4"));
        }
    }
    for q in ["0.5", "0.9", "0.99", "0", "1", "-1", "2", "NaN"] {
        out.push(format!("histogram_quantile({q}, sum by (le, version) (rate(http_request_duration_seconds_bucket[5m])))"));
        out.push(format!("histogram_quantile({q}, {{__name__=~\"falling_bucket|endless_bucket\"}})"));
        for name in ["falling", "endless", "negative", "lonely", "empty"] {
            out.push(format!("histogram_quantile({q}, {name}_bucket)"));
        }
        out.push(format!("quantile({q}, temperature_celsius)"));
        out.push(format!("quantile by (job) ({q}, odd)"));
        out.push(format!("quantile_over_time({q}, queue_depth[4m])"));
    }
    out.extend(SINGLES.iter().map(|query| (*query).to_owned()));
    out
}

const SINGLES: &[&str] = &[
    "1",
    "-1",
    "1e3",
    "0x1f",
    "Inf",
    "-Inf",
    "NaN",
    "1e22",
    "1e-7",
    "3.5 + 4",
    "2 ^ 3 ^ 2",
    "-2 ^ 2",
    "1 / 0",
    "7 % -3",
    "time()",
    "pi()",
    "vector(1)",
    "vector(time())",
    "vector(NaN)",
    "scalar(vector(4))",
    "scalar(up)",
    "scalar(mixed)",
    "up",
    "up == 0",
    "up{job=\"shop\"}",
    "up{job!=\"shop\"}",
    "up{instance=~\"10.0.0.[13].*\"}",
    "up{instance!~\".*:80\"}",
    "up{absent=\"\"}",
    "{__name__=\"up\", job=\"batch\"}",
    "{__name__=~\"up|queue.*\", job=\"shop\"}",
    "{job=\"batch\", __name__!=\"up\"}",
    "nothing",
    "odd",
    "mixed",
    "brief_total",
    "build_info",
    "-up",
    "-odd",
    "-(up + 1)",
    "+up",
    "(up)",
    "up offset 5m",
    "up offset -5m",
    "up @ 1700001000",
    "up @ 1700001000.5 offset 1m",
    "up @ start()",
    "queue_depth @ end()",
    "queue_depth @ end() - queue_depth @ start()",
    "rate(http_requests_total[5m] @ end())",
    "sum(rate(http_requests_total[5m] @ start())) / 2",
    "sum_over_time((queue_depth @ start())[3m:30s])",
    "max_over_time(queue_depth[10m:1m] @ end() offset 1m)",
    "avg_over_time(rate(http_requests_total{code=\"500\"}[2m])[10m:1m])",
    "max_over_time(deriv(temperature_celsius[2m])[5m:20s])",
    "sum(rate(http_requests_total{code=\"500\"}[2m])) / sum(rate(http_requests_total[2m]))",
    "sum by (version) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (version) (rate(http_requests_total[5m])) > 0.01",
    "sum by (version) (rate(http_requests_total[5m])) / ignoring (version) group_left sum(rate(http_requests_total[5m]))",
    "rate(http_request_duration_seconds_sum[5m]) / rate(http_request_duration_seconds_count[5m])",
    "sum by (le) (increase(http_request_duration_seconds_bucket[10m]))",
    "predict_linear(temperature_celsius[10m], 600)",
    "predict_linear(mixed[10m], 60)",
    "predict_linear(queue_depth[5m] offset 2m, 3600)",
    "deriv(up[10m])",
    "deriv(odd[5m])",
    "topk(2, temperature_celsius)",
    "topk(1, http_requests_total) by (version)",
    "topk by (job) (1, temperature_celsius)",
    "bottomk(2, temperature_celsius)",
    "bottomk(3, http_requests_total)",
    "topk(0, up)",
    "topk(-1, up)",
    "topk(100, temperature_celsius)",
    "topk(scalar(count(up)) - 2, temperature_celsius)",
    "bottomk without (instance) (1, temperature_celsius)",
    "count_values(\"value\", queue_depth)",
    "count_values by (job) (\"value\", queue_depth)",
    "count_values without (instance) (\"v\", up)",
    "count_values(\"job\", queue_depth)",
    "count_values(\"v\", odd)",
    "sort(temperature_celsius)",
    "sort_desc(temperature_celsius)",
    "sort(http_request_duration_seconds_sum)",
    "sort_desc(sum by (version, code) (http_requests_total))",
    "absent(up)",
    "absent(nothing)",
    "absent(nothing{job=\"a\", instance=~\"b\"})",
    "absent(nothing{job=\"a\", job=\"b\", x=\"y\"})",
    "absent(sum(nothing{job=\"a\"}))",
    "absent(brief_total)",
    "absent_over_time(nothing{job=\"a\"}[5m])",
    "absent_over_time(brief_total[5m])",
    "clamp(temperature_celsius, -5, 5)",
    "clamp(temperature_celsius, 5, -5)",
    "clamp(odd, NaN, 5)",
    "clamp_min(temperature_celsius, 0)",
    "clamp_max(temperature_celsius, 0)",
    "clamp_min(odd, NaN)",
    "round(temperature_celsius, 0.5)",
    "round(temperature_celsius, 5)",
    "round(odd)",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
    "label_replace(up, \"job\", \"\", \"\", \"\")",
    "label_replace(up, \"instance\", \"${2}-$1\", \"instance\", \"(\\\\d+)\\\\.(\\\\d+).*\")",
    "label_replace(up, \"x\", \"$$y\", \"job\", \"sh(?P<rest>.*)\")",
    "label_replace(up, \"__name__\", \"down\", \"job\", \"shop\")",
    "label_replace(up, \"x\", \"$rest!\", \"job\", \"sh(?P<rest>.*)\")",
    "label_join(up, \"both\", \"/\", \"job\", \"instance\")",
    "label_join(up, \"both\", \"-\")",
    "label_join(up, \"job\", \",\", \"nothing\")",
    "timestamp(up)",
    "timestamp((up))",
    "timestamp(up offset 1m)",
    "timestamp(up + 1)",
    "timestamp(up @ 1700001000)",
    "time() - timestamp(up)",
    "minute()",
    "hour()",
    "day_of_week()",
    "day_of_month()",
    "day_of_year()",
    "days_in_month()",
    "month()",
    "year()",
    "hour(vector(1709209845))",
    "day_of_year(vector(1709209845))",
    "days_in_month(vector(1709209845))",
    "year(vector(-86400))",
    "minute(vector(1700000000.9))",
    "day_of_week(vector(1709209845))",
    "month(timestamp(up))",
    "up and queue_depth",
    "up and on (job) brief_total",
    "up or queue_depth",
    "up or on (instance) queue_depth",
    "up unless queue_depth > 4",
    "queue_depth > 4 or up",
    "queue_depth unless on (job) brief_total",
    "up and ignoring (instance, job) vector(1)",
    "up or vector(7)",
    "vector(1) or up",
    "up unless up",
    "nothing or up",
    "up and nothing",
    "nothing unless up",
    "brief_total or queue_depth",
    "http_requests_total and on (version) build_info",
    "(queue_depth > 3) + (temperature_celsius > 0)",
    "queue_depth == queue_depth",
    "queue_depth * on (instance) temperature_celsius",
    "queue_depth * ignoring (job) temperature_celsius",
    "http_requests_total * on (instance) group_left (version, revision) build_info{version=\"v2\"}",
    "http_requests_total > bool on (instance) group_left (__name__) build_info{version=\"v1\"}",
    "sum(http_requests_total) by (version, nothing)",
    "sum without () (up)",
    "sum by () (up)",
    "count(count by (instance) (http_requests_total))",
    "count(up) or vector(0)",
    "avg(odd{kind=~\"k[01]\"})",
    "avg(odd{kind=~\"k[067]\"})",
    "stddev(odd{kind=\"k0\"})",
    "max(odd{kind=~\"k[26]\"})",
    "min(odd{kind=\"k2\"})",
    "sum(odd{kind=~\"k[3456789]\"})",
    "histogram_quantile(0.9, up)",
    "histogram_count(up)",
    "histogram_sum(up)",
    "histogram_fraction(0, 1, up)",
    "histogram_quantile(scalar(up), falling_bucket)",
    "histogram_quantile(0.5, rate(http_request_duration_seconds_bucket[1m]))",
    "sum by (__name__) ({job=\"batch\"})",
    "rate({__name__=\"http_requests_total\"}[1m])",
    "rate((http_requests_total[1m]))",
    "(time() % 60) * up",
    "rate(http_requests_total[5m:])",
    "sum_over_time(vector(1)[5m:7s])",
    "count_over_time(up[1m:15s])",
    "last_over_time(up[1m] offset 10m)",
    "min_over_time(up[1h])",
    "sum(up) > 3",
    "vector(1) == 1",
    "vector(1) != bool 1",
    "avg_over_time(odd[2m])",
    "sum_over_time(odd[2m])",
    "stddev_over_time(odd[1m])",
    "max_over_time(odd[1m])",
    "changes(odd[5m])",
    "1 - avg_over_time(up[30m])",
    "up # a comment",
    "sum(\n  up\n)",
    "quantile(scalar(up{instance=\"10.0.0.1:80\"}) / 2, queue_depth)",
];

/// Range vectors and strings: results of instant queries only.
fn instant_only() -> &'static [&'static str] {
    &[
        "queue_depth[1m]",
        "brief_total[30m]",
        "mixed[2m] offset 1m",
        "odd[15s]",
        "up[5m:1m]",
        "rate(http_requests_total[1m])[3m:30s]",
        "(up[1m])",
        "up[2m] @ 1700001000",
        "sum(up)[2m:10s] offset 30s",
        "\"a string\"",
        "nothing[5m]",
        "up[1m:2m]",
    ]
}

fn errors() -> Vec<Asked> {
    let query = |text: &str| instant(text, START + 600_000);
    let mut asked: Vec<Asked> = BAD_QUERIES.iter().map(|text| query(text)).collect();
    asked.extend(BAD_QUERIES.iter().map(|text| range(text, START, START + 600_000, "60")));
    asked.extend(["up[5m]", "\"text\""].map(|text| range(text, START, START + 600_000, "60")));
    let parts = |path, parts: &[(&'static str, &str)]| {
        let parts = parts.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Asked { path, parts, ordered: true }
    };
    let range_path = "/api/v1/query_range";
    let (q, s, e) = (("query", "up"), ("start", "1700000000"), ("end", "1700000600"));
    asked.extend([
        parts("/api/v1/query", &[]),
        parts("/api/v1/query", &[q, ("time", "yesterday")]),
        parts("/api/v1/query", &[q, s, ("timeout", "soon")]),
        parts("/api/v1/query", &[q, ("time", "2023-11-14T22:20:00Z")]),
        parts("/api/v1/query", &[q, ("time", "2023-11-14T23:20:00.123+01:00"), ("timeout", "5s")]),
        parts("/api/v1/query", &[q, ("time", "1700000600"), ("timeout", "0")]),
        parts(range_path, &[q]),
        parts(range_path, &[q, s]),
        parts(range_path, &[q, s, e]),
        parts(range_path, &[q, s, e, ("step", "0")]),
        parts(range_path, &[q, s, e, ("step", "-5")]),
        parts(range_path, &[q, s, e, ("step", "fast")]),
        parts(range_path, &[q, s, e, ("step", "1e300")]),
        parts(range_path, &[q, s, e, ("step", "30s")]),
        parts(range_path, &[q, s, e, ("step", "30s"), ("timeout", "x")]),
        parts(range_path, &[q, s, e, ("step", "30s"), ("timeout", "-1")]),
        parts(range_path, &[q, ("start", "1700000600"), ("end", "1700000000"), ("step", "30s")]),
        parts(range_path, &[q, ("start", "1700000000"), ("end", "1700011000"), ("step", "1")]),
        parts(range_path, &[q, ("start", "1700000000"), ("end", "1700011001"), ("step", "1")]),
        parts(range_path, &[q, ("start", "1700000000"), ("end", "x"), ("step", "1")]),
        parts("/api/v1/series", &[]),
        parts("/api/v1/series", &[("match[]", "up{")]),
        parts("/api/v1/series", &[("match[]", "{}")]),
        parts("/api/v1/series", &[("match[]", "up"), ("start", "x")]),
        parts("/api/v1/labels", &[("match[]", "sum(up)")]),
        parts("/api/v1/label/bad-name/values", &[]),
        parts("/api/v1/rules", &[("type", "other")]),
        parts("/api/v1/format_query", &[("query", "sum(")]),
        parts("/api/v1/nothing", &[]),
    ]);
    asked
}

const BAD_QUERIES: &[&str] = &[
    "",
    " ",
    "sum(",
    "sum)",
    "up{",
    "up{job}",
    "up{job=shop}",
    "up{job=~\"(\"}",
    "{}",
    "{job=~\".*\"}",
    "up{job=\"a\" or job=\"b\"}",
    "up up",
    "up 5",
    "rate(up)",
    "rate(up[5m]",
    "rate(sum(up)[5m])",
    "sum(up[5m])",
    "up[300]",
    "up[5m][5m]",
    "up[]",
    "up[0s]",
    "up[-5m]",
    "5m",
    "5m * up",
    "up offset 300",
    "up offset 5m offset 5m",
    "sum(up) offset 5m",
    "sum(up) @ 5",
    "up @ \"x\"",
    "nonsense(up)",
    "rate()",
    "rate(up[5m], 1)",
    "round()",
    "clamp(up)",
    "exp(5)",
    "exp(NaN)",
    "abs(5)",
    "vector(up)",
    "scalar(5)",
    "time(5)",
    "histogram_quantile(up, up)",
    "label_join(up)",
    "1 == 1",
    "1 and 2",
    "up and 1",
    "up + \"x\"",
    "\"x\" + \"y\"",
    "-\"x\"",
    "-up[5m]",
    "up + bool up",
    "up == bool",
    "up * on (job)",
    "up + group_left () up",
    "up and on (job) group_left () up",
    "up + on (job) group_left (job) up",
    "sum by (job) without (job) (up)",
    "sum by (1a) (up)",
    "sum by (job (up)",
    "topk(up)",
    "topk(\"x\", up)",
    "count_values(1, up)",
    "quantile(up, up)",
    "limitk(2, up)",
    "sum(up, up)",
    "up{__name__=\"up\"}",
    "foo{bar=\"baz\"",
    "1 +",
    "* 3",
    "up!",
    "up !~ 3",
    "=~",
    "up == ",
    "(up",
    "up)",
    "'unclosed",
    "\"bad\\q\"",
    "1e999",
    "0x",
    "1.2.3",
    "info(up)",
    "mad_over_time(up[5m])",
    "sort_by_label(up, \"job\")",
    "double_exponential_smoothing(up[5m], 0.5, 0.5)",
    "up + fill (0) up",
    "up and",
    "on (job) up",
    "up[5m:1m:1s]",
    "1[5m:1m]",
    "\"x\"[5m:1m]",
    "up[300y]",
    "up offset 300y",
    "\u{1f600}",
    "up\u{7}",
    // These parse and fail in evaluation.
    "up + on (job) up",
    "up * on () group_left up",
    "queue_depth + on (job) group_left temperature_celsius",
    "http_requests_total + ignoring (code) http_requests_total",
    "queue_depth * on (job) group_right (instance) temperature_celsius",
    "sum by (job) (up) + on (job) up",
    "{__name__=~\"up|queue_depth\"} + 1",
    "rate({__name__=~\"http_requests_total|brief_total|up|queue_depth\"}[5m])",
    "-{__name__=~\"up|queue_depth\"}",
    "abs({__name__=~\"up|queue_depth\"})",
    "label_replace(up, \"instance\", \"same\", \"\", \"\")",
    "label_replace(up, \"bad-name\", \"\", \"\", \"\")",
    "label_replace(up, \"a\", \"\", \"b\", \"(\")",
    "label_join(up, \"bad-name\", \"\", \"job\")",
    "label_join(up, \"a\", \"\", \"bad-name\")",
    "label_join(up, \"instance\", \"\", \"job\")",
    "count_values(\"bad-name\", up)",
    "topk(NaN, up)",
    "topk(1e30, up)",
    "{__name__=~\"up|queue_depth\"} or {__name__=~\"up|queue_depth\"} * 2",
    "histogram_quantile(0.5, {__name__=~\"falling_bucket|negative_bucket\"})",
    "up * on (instance) group_left (job) {__name__=~\"up|queue_depth\"}",
];

fn metadata() -> Vec<Asked> {
    let asked = |path, parts: &[(&'static str, &str)]| {
        let parts = parts.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Asked { path, parts, ordered: true }
    };
    vec![
        asked("/api/v1/labels", &[]),
        asked("/api/v1/labels", &[("match[]", "up")]),
        asked("/api/v1/labels", &[("match[]", "up"), ("match[]", "build_info")]),
        asked("/api/v1/label/__name__/values", &[]),
        asked("/api/v1/label/job/values", &[]),
        asked("/api/v1/label/job/values", &[("match[]", "brief_total")]),
        asked("/api/v1/label/nothing/values", &[]),
        asked("/api/v1/series", &[("match[]", "up")]),
        asked("/api/v1/series", &[("match[]", "up{job=\"batch\"}"), ("match[]", "build_info")]),
        asked("/api/v1/series", &[("match[]", "{job=\"shop\", __name__=~\"queue.*\"}")]),
        asked("/api/v1/series", &[("match[]", "nothing")]),
        asked("/api/v1/alerts", &[]),
        asked("/api/v1/rules", &[]),
        asked("/api/v1/rules", &[("type", "alert")]),
        asked("/api/v1/format_query", &[("query", "sum(up)by(job)/2")]),
        asked("/api/v1/format_query", &[("query", "rate(up{job='a'}[5m] offset 1m)>1")]),
    ]
}
