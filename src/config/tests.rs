//! A whole file, and broken ones with exactly what is said about them.

use super::*;
use crate::domain::incident::{Rules as IncidentRules, Severity as IncidentSeverity};
use crate::domain::{Op, Policy, Protection, Strength, Unit};
use std::time::Duration;

const WHOLE: &str = r#"version = 1
state_dir = "state"
clock = "http://127.0.0.1:4000/clock"

[operator]
name = "Maria"

[ui]
ascii = "always"
fps = 10

[[platform]]
name = "prod-eu"
kind = "kubernetes"
context = "eu-west-1/prod-a"
environment = "production"

[[metrics]]
name = "prom-eu"
kind = "prometheus"
url = "https://prometheus.example/p"
auth = { bearer = "env:PROM_TOKEN" }
ca_file = "/etc/ca.pem"
scrape_interval = "30s"

[[alerts]]
name = "am-eu"
kind = "alertmanager"
url = "https://alertmanager.example"
match = { service = "checkout" }

[[service]]
name = "checkout"
platform = "prod-eu"
namespace = "shop"
metrics = "prom-eu"
alerts = "am-eu"
baseline = { deployment = "checkout-stable", labels = { version = "stable" } }
canary = { deployment = "checkout-canary", labels = { version = "canary" } }
route = { virtualservice = "checkout", http = "primary", baseline_subset = "stable", canary_subset = "canary" }
requests = 'sum by (version) (increase(http_requests_total{service="checkout"}[${window}]))'

[[service.gate]]
id = "errors"
title = "error rate"
promql = 'sum(rate(e[2m])) / sum(rate(r[5m]))'
op = "<"
value = 0.005

[[service.gate]]
id = "p99"
promql = 'histogram_quantile(0.99, sum by (le) (rate(d_bucket[2m])))'
op = "<="
value = "250ms"
"#;

fn check(text: &str) -> Result<Config, Vec<String>> {
    parse(text, Path::new("/etc/gonogo/config.toml"))
        .map_err(|found| found.iter().map(|d| d.to_string().replace("/etc/gonogo/config.toml:", "").replace(": error[", ": E[")).collect())
}

/// The whole file with one line replaced, and what is said about it.
fn broken(from: &str, to: &str) -> Vec<String> {
    assert!(WHOLE.contains(from), "{from}");
    check(&WHOLE.replacen(from, to, 1)).expect_err(to)
}

#[test]
fn a_whole_file_is_read() {
    let config = check(WHOLE).unwrap();
    assert_eq!(config.operator.as_deref(), Some("Maria"));
    assert_eq!(config.state_dir, Some("/etc/gonogo/state".into()));
    assert_eq!(config.clock.as_deref(), Some("http://127.0.0.1:4000/clock"));
    assert_eq!(config.ui, Ui { ascii: Ascii::Always, fps: Some(10) });
    let selected = config.service(None).unwrap();
    assert_eq!(selected.platform.context.as_deref(), Some("eu-west-1/prod-a"));
    assert_eq!(selected.metrics.auth, Some(AuthRef::Bearer(SecretRef::Env("PROM_TOKEN".into()))));
    let spec = selected.spec;
    assert_eq!(
        (spec.protection, spec.environment.as_str(), spec.scrape_interval),
        (Protection::Protected, "production", Duration::from_secs(30))
    );
    assert_eq!(spec.canary.labels, [("version".to_owned(), "canary".to_owned())].into());
    let alerts = spec.alerts.clone().unwrap();
    assert_eq!((alerts.source.as_str(), selected.alerts.unwrap().name.as_str()), ("am-eu", "am-eu"));
    assert_eq!(alerts.matchers, selected.alerts.unwrap().matchers);
    assert!(!alerts.matchers.is_empty());
    let gates: Vec<_> = spec
        .gates
        .iter()
        .map(|g| (g.title.as_str(), g.threshold.op, g.threshold.limit, g.threshold.unit, g.threshold.lookback.as_secs()))
        .collect();
    assert_eq!(gates, [("error rate", Op::Less, 0.005, Unit::Ratio, 300), ("p99", Op::LessOrEqual, 0.25, Unit::Seconds, 120)]);
}

/// A whole file with people in it, who say what is asked of them.
fn with_people(text: &str) -> Result<Config, Vec<String>> {
    check(&format!("{}\n{text}", WHOLE.replacen("[operator]\nname = \"Maria\"\n", "", 1)))
}

#[test]
fn people_and_what_is_asked_of_them_are_read() {
    let config = with_people(
        r#"[identity]
as = "ada"
allowed_signers = "allowed_signers"
key = "~/.ssh/id_ed25519.pub"

[[person]]
id = "ada"
name = "Ada L."
groups = ["sre-oncall", "qa"]

[[person]]
id = "ben@example.com"

[environment.production]
require_signed = true
need_identity = "signed"
"#,
    )
    .unwrap();
    assert_eq!(config.operator.as_deref(), Some("ada"));
    assert_eq!(config.identity.allowed_signers, Some("/etc/gonogo/allowed_signers".into()));
    assert!(config.identity.key.as_ref().unwrap().ends_with(".ssh/id_ed25519.pub"));
    let ada = Person { id: "ada".into(), name: "Ada L.".into(), groups: vec!["sre-oncall".into(), "qa".into()] };
    let ben = Person { id: "ben@example.com".into(), name: "ben@example.com".into(), groups: vec![] };
    assert_eq!(config.people, [ada, ben]);
    let policy = config.services[0].policy;
    assert_eq!((policy.require_signed, policy.need_identity), (true, Strength::Signed));
    assert_eq!(check(WHOLE).unwrap().services[0].policy, Policy::default());
}

#[test]
fn a_service_asks_for_more_than_its_environment_and_never_for_less() {
    let own = |line: &str| {
        let text = WHOLE.replacen("alerts = \"am-eu\"", &format!("alerts = \"am-eu\"\n{line}"), 1);
        check(&format!("{text}\n[environment.production]\nneed_identity = \"signed\"\n")).unwrap().services[0].policy
    };
    let both = Policy { require_signed: true, need_identity: Strength::Signed };
    assert_eq!(own("require_signed = true"), both);
    assert_eq!(own("need_identity = \"asserted\""), Policy { require_signed: false, ..both });
}

#[test]
fn mistakes_about_people_are_said_at_their_place() {
    // The text begins in line 54.
    for (text, said) in [
        (
            "[identity]\nas = \"gonogo\"",
            &["55:6: E[name]: `as` is kept for what the program does by itself; write the name that the journal shall show"][..],
        ),
        ("[identity]\nass = \"ada\"", &["55:1: E[unknown-key]: [identity] has no key `ass`; did you mean \"as\"?"]),
        (
            "[operator]\nname = \"Maria\"\n[identity]\nas = \"ada\"",
            &["57:6: E[identity]: `as` and `name` of [operator] both say who you are; keep `as`, and remove [operator]"],
        ),
        ("[[person]]\nname = \"Ada\"", &["54:1: E[missing-key]: [[person]] needs `id`"]),
        ("[[person]]\nid = \"ada l\"", &["55:6: E[name]: `id` is no id; write the login name or the mail address, without blanks"]),
        ("[[person]]\nid = \"ada\"\n[[person]]\nid = \"ada\"", &["57:6: E[duplicate-name]: a second [[person]] has the id \"ada\""]),
        ("[[person]]\nid = \"ada\"\ngroups = [\"qa\", \"qa\"]", &["56:17: E[name]: the group \"qa\" is named twice"]),
        ("[[person]]\nid = \"ada\"\ngroups = \"qa\"", &["56:10: E[type]: `groups` is a list of texts"]),
        (
            "[environment.prodution]\nrequire_signed = true",
            &["54:14: E[unknown-name]: no [[platform]] has the environment \"prodution\"; did you mean \"production\"?"],
        ),
        ("[environment.production]\nrequire_signed = \"yes\"", &["55:18: E[type]: `require_signed` is true or false, not a text"]),
        (
            "[environment.production]\nneed_identity = \"verified\"",
            &["55:17: E[value]: `need_identity` cannot be \"verified\"; it is one of \"asserted\", \"signed\""],
        ),
        (
            "[environment.production]\nsigned = true",
            &["55:1: E[unknown-key]: [environment] has no key `signed`; known are: need_identity, require_signed"],
        ),
        ("[environment]\nproduction = true", &["55:14: E[type]: `production` is a table, not true or false"]),
    ] {
        assert_eq!(with_people(text).expect_err(text), said, "{text}");
    }
}

#[test]
fn each_mistake_is_said_at_its_place() {
    for (from, to, said) in [
        (
            "namespace = \"shop\"",
            "namespce = \"shop\"",
            &[
                "32:1: E[missing-key]: [[service]] needs `namespace`",
                "35:1: E[unknown-key]: [[service]] has no key `namespce`; did you mean \"namespace\"?",
            ][..],
        ),
        ("fps = 10", "fps = 10\nsparkle = 1", &["11:1: E[unknown-key]: [ui] has no key `sparkle`; known are: ascii, fps"]),
        ("fps = 10", "fps = 99", &["10:7: E[value]: frames a second are 1 to 60"]),
        ("version = 1", "version = 2", &["1:11: E[version]: version 2 of the configuration is not known; write version = 1"]),
        ("version = 1", "", &["1:1: E[missing-key]: the file does not say its version; begin with version = 1"]),
        (
            "kind = \"kubernetes\"",
            "kind = \"vercel\"",
            &["14:8: E[not-supported]: kind \"vercel\" is not supported yet; so far there is \"kubernetes\""],
        ),
        (
            "kind = \"kubernetes\"",
            "kind = \"kuberntes\"",
            &["14:8: E[value]: kind \"kuberntes\" is not known; did you mean \"kubernetes\"?"],
        ),
        (
            "platform = \"prod-eu\"",
            "platform = \"prod-us\"",
            &["34:12: E[unknown-name]: no [[platform]] is named \"prod-us\"; did you mean \"prod-eu\"?"],
        ),
        ("alerts = \"am-eu\"", "alerts = \"other\"", &["37:10: E[unknown-name]: no [[alerts]] is named \"other\"; there are: am-eu"]),
        (
            "environment = \"production\"",
            "protection = \"open\"",
            &["16:14: E[value]: `protection` cannot be \"open\"; it is one of \"protected\", \"shared\", \"private\""],
        ),
        (
            "\"env:PROM_TOKEN\"",
            "\"s3cr3t\"",
            &["22:19: E[secret]: `bearer` is no reference to a secret; write env:NAME, file:PATH or cmd:PROGRAM ARGUMENT…"],
        ),
        ("auth = { bearer = \"env:PROM_TOKEN\" }", "auth = {}", &["22:8: E[auth]: auth has exactly one of `bearer`, `basic`, `header`"]),
        (
            "https://prometheus.example/p",
            "https://me:s3cr3t@prometheus.example",
            &["21:7: E[secret]: `url` has credentials in it; use `auth` with a reference instead"],
        ),
        (
            "https://prometheus.example/p",
            "prometheus:9090",
            &["21:7: E[address]: `url` is no http:// or https:// address; write http://host:port or https://host"],
        ),
        ("scrape_interval = \"30s\"", "scrape_interval = 30", &["24:19: E[type]: `scrape_interval` is a text, not a whole number"]),
        (
            "scrape_interval = \"30s\"",
            "scrape_interval = \"30\"",
            &["24:19: E[duration]: `scrape_interval` is a duration from 1s to 1h; write it like \"15s\" or \"1m\""],
        ),
        (
            "[${window}]",
            "[5m]",
            &[
                "41:12: E[window]: `requests` does not say over which window: ${window} is missing; write increase(http_requests_total{…}[${window}])",
            ],
        ),
        ("'sum(rate(e[2m])) /", "'sum(rate(e[2m]) /", &["46:14: E[promql]: the query does not parse: \"(\" is never closed"]),
        ("'sum(rate(e[2m])) /", "'sum(rat(e[2m])) /", &["46:15: E[promql]: the query does not parse: unknown function with name 'rat'"]),
        (
            "op = \"<\"",
            "op = \"=<\"",
            &["47:6: E[value]: `op` cannot be \"=<\"; it is one of \"<\", \"<=\", \">\", \">=\", \"==\", \"!=\"; did you mean \"<\"?"],
        ),
        ("value = 0.005", "value = \"0,5%\"", &["48:9: E[type]: `value` is a number or a duration; write 0.005 for 0.5 %, or \"250ms\""]),
        ("value = 0.005", "value = nan", &["48:9: E[type]: `value` is a number or a duration; write 0.005 for 0.5 %, or \"250ms\""]),
        ("id = \"p99\"", "id = \"errors\"", &["51:6: E[duplicate-name]: a second gate of this service is named \"errors\""]),
        (
            "{ version = \"canary\" }",
            "{ version = \"stable\" }",
            &[
                "32:1: E[labels]: the labels of baseline and canary do not tell them apart; give each a label of its own, such as { version = \"canary\" }",
            ],
        ),
        (
            "labels = { version = \"canary\" }",
            "labels = {}",
            &["39:53: E[labels]: `labels` names no label; say how metrics name this side: { version = \"canary\" }"],
        ),
        (
            "virtualservice = \"checkout\"",
            "httproute = \"checkout\"",
            &[
                "40:9: E[missing-key]: route needs `baseline_service`",
                "40:9: E[missing-key]: route needs `canary_service`",
                "40:35: E[unknown-key]: route has no key `http`; known are: baseline_service, canary_service, httproute, ingress, rollout, rule, selector, virtualservice",
                "40:53: E[unknown-key]: route has no key `baseline_subset`; known are: baseline_service, canary_service, httproute, ingress, rollout, rule, selector, virtualservice",
                "40:81: E[unknown-key]: route has no key `canary_subset`; known are: baseline_service, canary_service, httproute, ingress, rollout, rule, selector, virtualservice",
            ],
        ),
        (
            "name = \"checkout\"",
            "name = \"check out\"",
            &["33:8: E[name]: `name` is no name; use letters, digits, `-`, `_` and `.`, at most 63"],
        ),
        ("name = \"Maria\"", "name = \"Ma\\u001bria\"", &["6:8: E[text]: `name` has control characters in it"]),
    ] {
        let found = broken(from, to);
        assert_eq!(found, said, "{to}");
        assert!(!found.join("").contains("s3cr3t"));
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let text = "verison = 1\n[[platform]]\nkind = 3\n[[metrics]]\nname = \"m\"\nkind = \"prometheus\"\n[[service]]\nname = \"s\"\nmetrics = \"m\"\nplatform = \"p\"\n";
    let found = check(text).unwrap_err();
    let rules: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(
        rules,
        [
            "1:1: E[missing-key]: the file does not say its version; begin with version = 1",
            "1:1: E[unknown-key]: the configuration has no key `verison`; did you mean \"version\"?",
            "2:1: E[missing-key]: [[platform]] needs `name`",
            "3:8: E[type]: `kind` is a text, not a whole number",
            "4:1: E[missing-key]: [[metrics]] needs `url`",
            "7:1: E[missing-key]: [[service]] needs `namespace`",
            "7:1: E[missing-key]: [[service]] needs `canary`",
            "7:1: E[missing-key]: [[service]] needs `requests`",
            "10:12: E[unknown-name]: no [[platform]] is named \"p\"; add a [[platform]]",
        ]
    );
}

#[test]
fn no_toml_is_said_with_every_place() {
    let found = check("version = \n[ui\nfps = 1\n").unwrap_err();
    assert!(found.len() >= 2 && found.iter().all(|d| d.contains("E[syntax]")), "{found:#?}");
    assert!(found[0].starts_with("1:11:"), "{found:#?}");
}

#[test]
fn protection_defaults_by_name() {
    for (name, protection) in [("eu-PROD-1", Protection::Protected), ("staging", Protection::Shared)] {
        let text = format!("version = 1\n[[platform]]\nname = \"{name}\"\nkind = \"kubernetes\"\n");
        let platform = &check(&text).unwrap().platforms[0];
        assert_eq!((platform.protection, platform.environment.as_str()), (protection, name));
    }
}

#[test]
fn every_kind_of_credential_is_a_reference() {
    let of = |auth: &str| check(&WHOLE.replacen("{ bearer = \"env:PROM_TOKEN\" }", auth, 1)).map(|c| c.metrics[0].auth.clone().unwrap());
    let password = SecretRef::File("/etc/gonogo/pw".into());
    assert_eq!(of("{ basic = { username = \"me\", password = \"file:pw\" } }"), Ok(AuthRef::Basic { username: "me".into(), password }));
    let value = SecretRef::Cmd(vec!["pass".into(), "show".into(), "a b".into()]);
    assert_eq!(value.to_string(), "cmd:pass");
    assert_eq!(
        of("{ header = { name = \"X-Scope-OrgID\", value = \"cmd:pass show 'a b'\" } }"),
        Ok(AuthRef::Header { name: "X-Scope-OrgID".into(), value })
    );
    let said = of("{ header = { name = \"X Y\", value = \"env:A\" } }").unwrap_err();
    assert_eq!(said, ["22:28: E[value]: `name` is no name of an http header"]);
    let said = of("{ basic = { username = \"me\", pasword = \"env:A\" } }").unwrap_err();
    assert_eq!(said.len(), 2, "{said:#?}");
}

#[test]
fn the_service_is_found_or_the_names_are_told() {
    let mut config = check(WHOLE).unwrap();
    let said = |config: &Config, name| config.service(name).unwrap_err().to_string();
    assert_eq!(said(&config, Some("chekout")), "no service \"chekout\" is configured (did you mean \"checkout\"?); there are: checkout");
    let other = ServiceSpec { name: "cart".into(), ..config.services[0].clone() };
    config.services.push(other);
    assert_eq!(said(&config, None), "several services are configured; name one with --service: checkout, cart");
    assert_eq!(config.service(Some("cart")).unwrap().spec.name, "cart");
    config.services.clear();
    assert_eq!(said(&config, None), "/etc/gonogo/config.toml configures no service: add a [[service]]");
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let said = |path: &Path| load(path).unwrap_err()[0].message.clone();
    assert!(said(&path).starts_with("the file cannot be read: No such file"));
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(said(&path), "the file is no UTF-8 text");
    std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert_eq!(said(&path), "the file has 1048577 bytes, at most 1048576 are read");
    std::fs::write(&path, WHOLE).unwrap();
    assert_eq!(load(&path).unwrap().services.len(), 1);
}

#[test]
fn incidents_have_a_ladder_and_a_rhythm_without_being_configured() {
    let rules = check(WHOLE).unwrap().incident;
    assert_eq!(rules, IncidentRules::default());
    let rungs: Vec<(u64, &str)> = rules.ladder.iter().map(|r| (r.after.as_secs() / 60, r.who.as_str())).collect();
    assert_eq!(rungs, [(0, "on-call engineer"), (15, "senior engineer"), (30, "engineering manager"), (60, "CTO")]);
}

#[test]
fn an_incident_table_replaces_what_it_names() {
    let rules = check(&format!("{WHOLE}{INCIDENT}")).unwrap().incident;
    let every = |severity| rules.update.get(&severity).map(Duration::as_secs);
    assert_eq!(IncidentSeverity::ALL.map(every), [Some(300), Some(1800), Some(3600), Some(14_400)]);
    assert_eq!(rules.escalate, IncidentSeverity::P1);
    let rungs: Vec<_> = rules.ladder.iter().map(|r| (r.after.as_secs(), r.who.as_str(), r.how.as_deref())).collect();
    assert_eq!(rungs, [(0, "me", None), (600, "Grace", Some("phone 4711"))]);
}

const INCIDENT: &str = r#"
[incident]
update = { P0 = "5m", P3 = "4h" }
escalate = "P1"

[[incident.ladder]]
after = "0s"
who = "me"

[[incident.ladder]]
after = "10m"
who = "Grace"
how = "phone 4711"
"#;

#[test]
fn what_is_wrong_with_an_incident_table_has_its_place() {
    let broken = |from: &str, to: &str| {
        assert!(INCIDENT.contains(from), "{from}");
        let line = |text: &str| text.matches('\n').count();
        let shift = line(WHOLE);
        let found = check(&format!("{WHOLE}{}", INCIDENT.replacen(from, to, 1))).expect_err(to);
        // Lines are counted from the beginning of the table.
        let relative = |said: &String| {
            let (number, rest) = said.split_once(':').unwrap();
            format!("{}:{rest}", number.parse::<usize>().unwrap() - shift)
        };
        found.iter().map(relative).collect::<Vec<_>>()
    };
    let said = [
        broken("P0 = \"5m\"", "P0 = \"5s\""),
        broken("P0 = \"5m\"", "P4 = \"5m\""),
        broken("escalate = \"P1\"", "escalate = \"high\""),
        broken("after = \"10m\"", "after = \"soon\""),
        broken("after = \"10m\"", "afer = \"10m\""),
        broken("after = \"0s\"", "after = \"20m\""),
        broken("who = \"Grace\"\n", ""),
    ];
    let right = [
        "3:17: E[duration]: `P0` is a duration from 1m to 24h; write it like \"15m\" or \"1h\"",
        "3:12: E[unknown-key]: update has no key `P4`; did you mean \"P0\"?",
        "4:12: E[value]: `escalate` cannot be \"high\"; it is one of \"P0\", \"P1\", \"P2\", \"P3\"",
        "11:9: E[duration]: `after` is a duration from 0s to 24h; write it like \"15m\" or \"1h\"",
        "10:1: E[missing-key]: [[incident.ladder]] needs `after`",
        "11:1: E[unknown-key]: [[incident.ladder]] has no key `afer`; did you mean \"after\"?",
        "10:1: E[ladder]: \"me\" comes before \"Grace\" on the ladder and is called later; write the rungs in the order of `after`",
        "10:1: E[missing-key]: [[incident.ladder]] needs `who`",
    ];
    assert_eq!(said.concat(), right);
}
