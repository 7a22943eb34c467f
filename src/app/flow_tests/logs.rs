//! Logs: which streams are open, what is shown of what comes, and what is new on the canary.

use super::world::*;
use crate::app::command::View;
use crate::app::key::KeyCode;
use crate::app::logs::StreamState;
use crate::app::{Effect, Msg};
use crate::domain::log::{LogLevel, LogLine, LogSelection, LogUpdate, QUIET_TAIL, TAIL};
use crate::domain::*;
use std::time::Duration;

fn instance(uid: &str, track: Track) -> Instance {
    Instance {
        uid: uid.into(),
        name: format!("checkout-{track}-{uid}").into(),
        track,
        version: "v2".into(),
        state: InstanceState::Ready,
        reason: None,
        restarts: 0,
        last_exit: None,
        node: None,
        created: "2026-03-14T02:00:00Z".parse().unwrap(),
    }
}

fn line(flow: &Flow, uid: &str, level: LogLevel, text: &str) -> LogLine {
    let track = if uid.starts_with('c') { Track::Canary } else { Track::Baseline };
    LogLine {
        at: flow.at.wall,
        instance: uid.into(),
        name: format!("checkout-{track}-{uid}").into(),
        track,
        container: "app".into(),
        level,
        text: text.into(),
        seq: 0,
    }
}

/// Three instances of each side.
fn with_instances(mut flow: Flow) -> Flow {
    let all = ["c1", "c2", "c3"].map(|uid| instance(uid, Track::Canary)).into_iter();
    let all = all.chain(["b1", "b2", "b3"].map(|uid| instance(uid, Track::Baseline))).collect();
    flow.send(Msg::Platform(vec![PlatformUpdate::Instances(all)]));
    flow
}

fn tell(flow: &mut Flow, lines: Vec<LogLine>) {
    flow.send(Msg::Logs(lines.into_iter().map(|line| LogUpdate::Lines(vec![line])).collect()));
}

/// The same ordinary work on both sides, a line a second and instance.
fn ordinary(flow: &mut Flow, seconds: u64) {
    for second in 0..seconds {
        flow.pass(1);
        let lines =
            ["c1", "c2", "c3", "b1", "b2", "b3"].map(|uid| line(flow, uid, LogLevel::Info, &format!("GET /v1/cart 200 {second}ms")));
        tell(flow, lines.into());
    }
}

fn errors(flow: &mut Flow, uids: &[&str], times: u64) {
    for n in 0..times {
        flow.pass(1);
        let lines =
            uids.iter().map(|uid| line(flow, uid, LogLevel::Error, &format!("ledger: amounts differ by {n} order={n}77"))).collect();
        tell(flow, lines);
    }
}

fn follows(flow: &Flow) -> Vec<&LogSelection> {
    flow.all.iter().filter_map(|effect| if let Effect::FollowLogs { selection } = effect { Some(selection) } else { None }).collect()
}

fn uids(selection: &LogSelection) -> Vec<&str> {
    selection.instances.iter().map(|source| &*source.uid).collect()
}

fn shown(flow: &Flow) -> Vec<String> {
    flow.model.logs.ring.folded(None).iter().map(|folded| folded.row.line.text.to_string()).collect()
}

/// View 8 with a few lines.
fn looking() -> Flow {
    let mut flow = with_instances(Flow::new(Protection::Protected, |_| {}));
    flow.key('8');
    for (uid, level, text) in
        [("c1", LogLevel::Info, "one"), ("b1", LogLevel::Warn, "two"), ("c2", LogLevel::Error, "three"), ("b2", LogLevel::Info, "four")]
    {
        flow.pass(1);
        let line = line(&flow, uid, level, text);
        tell(&mut flow, vec![line]);
    }
    flow
}

#[test]
fn streams_are_open_while_the_view_is_and_no_longer() {
    let mut flow = with_instances(Flow::new(Protection::Protected, |_| {}));
    flow.pass(20);
    assert_eq!(follows(&flow), Vec::<&LogSelection>::new(), "nobody looks");
    flow.key('8');
    assert_eq!((uids(follows(&flow)[0]), follows(&flow)[0].tail), (vec!["c1", "c2", "c3", "b1", "b2", "b3"], TAIL));
    flow.pass(60);
    assert_eq!(follows(&flow).len(), 1, "nothing changed, so nothing is asked anew");
    flow.send(Msg::Platform(vec![
        PlatformUpdate::InstanceGone { uid: "c2".into() },
        PlatformUpdate::Instance(instance("c9", Track::Canary)),
    ]));
    flow.pass(6);
    assert_eq!(uids(follows(&flow)[1]), ["c1", "c3", "c9", "b1", "b2", "b3"]);
    flow.key('1');
    assert_eq!(follows(&flow)[2..], [&LogSelection::default()]);
}

#[test]
fn a_run_is_watched_for_patterns_where_there_is_a_screen_and_only_there() {
    let mut flow = with_instances(Flow::baking());
    flow.pass(20);
    assert_eq!(follows(&flow).len(), 0, "a command that ends at once opens no streams");
    flow.model.logs.watched = true;
    flow.pass(1);
    assert_eq!((follows(&flow).len(), follows(&flow)[0].tail), (1, QUIET_TAIL));
    flow.key('8');
    assert_eq!((follows(&flow).len(), follows(&flow)[1].tail), (2, TAIL), "the view wants more of the past");
    flow.key('1');
    flow.pass(10);
    assert_eq!(follows(&flow).len(), 2, "the streams that are open stay as they are");
    flow.back_out();
    flow.pass(20);
    assert!(follows(&flow).last().unwrap().instances.is_empty(), "the run is over: {:?}", flow.phase());
}

#[test]
fn a_canary_that_is_bad_only_in_its_logs_gives_watch_and_says_why() {
    let mut flow = with_instances(Flow::ready());
    flow.promote("25");
    flow.pass(130);
    while flow.step() != "shift-100" {
        flow.pass(10);
    }
    flow.model.logs.watched = true;
    flow.pass(2);
    assert_eq!(flow.model.verdict.verdict, Verdict::Go, "{:?}", flow.model.verdict);
    ordinary(&mut flow, 30);
    assert_eq!(flow.model.verdict.verdict, Verdict::Go);
    errors(&mut flow, &["c1", "c2"], 6);
    assert_eq!(flow.model.verdict.verdict, Verdict::Watch);
    let reason = &flow.model.verdict.reasons[0].text;
    assert!(reason.starts_with("new error in canary logs: ledger: amounts differ by <n> order=<n> (x"), "{reason}");
    assert_eq!(flow.model.messages.iter().filter(|m| m.text.contains("new error in the canary's logs")).count(), 1, "told once");
    assert_eq!(flow.blocked(), "", "it asks for a look and blocks nothing");
    flow.pass(6 * 60);
    assert_eq!(flow.model.verdict.verdict, Verdict::Go, "what ended is history");
}

#[test]
fn without_a_baseline_or_with_the_same_errors_there_is_nothing_new() {
    let mut flow = with_instances(Flow::baking());
    flow.model.logs.watched = true;
    flow.pass(1);
    errors(&mut flow, &["c1", "c2", "c3"], 20);
    assert!(flow.model.logs.new.is_empty(), "nothing to compare with");
    ordinary(&mut flow, 30);
    errors(&mut flow, &["c1", "c2", "c3", "b1", "b2", "b3"], 30);
    assert!(!flow.model.verdict.reasons.iter().any(|r| r.text.contains("logs")), "{:?}", flow.model.verdict);
}

#[test]
fn another_version_of_the_canary_is_counted_anew() {
    let mut flow = looking();
    ordinary(&mut flow, 30);
    errors(&mut flow, &["c1", "c2"], 12);
    assert_eq!(flow.model.logs.new.len(), 1);
    let mut workload = flow.model.picture.workloads.values().find(|w| w.track == Track::Canary).unwrap().clone();
    workload.version = "v3".into();
    flow.send(Msg::Platform(vec![PlatformUpdate::Workload(workload)]));
    flow.pass(6);
    assert!(flow.model.logs.new.is_empty() && flow.model.logs.patterns.lines(Track::Canary) == 0);
}

#[test]
fn level_side_instance_and_words_are_filtered_and_taken_away_one_by_one() {
    let mut flow = looking();
    assert_eq!(shown(&flow), ["four", "three", "two", "one"], "newest first");
    flow.key('l');
    assert_eq!(shown(&flow), ["three", "two"]);
    flow.key('l');
    assert_eq!(shown(&flow), ["three"]);
    flow.key('l');
    flow.key('i');
    assert_eq!(shown(&flow), ["three", "one"]);
    flow.key('i');
    assert_eq!(shown(&flow), ["four", "two"]);
    flow.key('j');
    flow.key('i');
    assert_eq!(
        (shown(&flow), flow.model.logs.pinned.as_deref()),
        (vec!["two".to_owned()], Some("b1")),
        "the instance of the selected line"
    );
    flow.key('/');
    flow.send(Msg::TextChanged("/t.o/".into()));
    flow.press(KeyCode::Enter);
    assert_eq!(shown(&flow), ["two"]);
    for left in [1, 4, 4] {
        flow.press(KeyCode::Esc);
        assert_eq!(shown(&flow).len(), left);
    }
    assert_eq!(flow.model.screen.view, View::Logs);
}

#[test]
fn scrolling_pauses_and_lines_that_come_do_not_move_the_cursor() {
    let mut flow = looking();
    flow.key('j');
    flow.key('j');
    let selected = flow.model.logs.cursor;
    assert!(selected.is_some());
    ordinary(&mut flow, 3);
    assert_eq!(flow.model.logs.cursor, selected);
    let rows = flow.model.logs.ring.folded(None);
    assert_eq!(&*rows[flow.model.logs.ring.place(&rows, selected.unwrap())].row.line.text, "two");
    flow.key('f');
    assert_eq!(flow.model.logs.cursor, None);
}

#[test]
fn the_logs_of_an_instance_are_one_key_away_from_it() {
    let mut all: Vec<Instance> = (0..40).map(|n| instance(&format!("c{n:02}"), Track::Canary)).collect();
    all[3].state = InstanceState::Failing;
    let mut flow = Flow::new(Protection::Protected, |_| {});
    flow.send(Msg::Platform(vec![PlatformUpdate::Instances(all)]));
    flow.key('2');
    for _ in 0..8 {
        flow.key('j');
    }
    let selected = flow.model.selection().unwrap().id.clone().unwrap();
    flow.key('l');
    let selection = follows(&flow)[0];
    assert_eq!((flow.model.screen.view, selection.instances.len()), (View::Logs, 5));
    assert_eq!(uids(selection)[..2], [selected.as_str(), "c03"], "the one asked for, then the one with a problem");
    assert_eq!(flow.model.logs.filter.instance.as_ref().map(|(uid, _)| uid.to_string()), Some(selected));
}

#[test]
fn the_next_new_pattern_is_a_key_away_and_the_last_one_leads_back() {
    let mut flow = looking();
    flow.key('n');
    assert!(flow.said("too few lines of both sides"));
    ordinary(&mut flow, 30);
    flow.key('n');
    assert!(flow.said("no pattern is new on the canary"));
    errors(&mut flow, &["c1", "c2"], 12);
    flow.pass(2);
    flow.key('n');
    assert!(flow.model.logs.filter.pattern.is_some() && shown(&flow).iter().all(|text| text.starts_with("ledger")), "{:?}", shown(&flow));
    flow.key('n');
    assert_eq!(flow.model.logs.filter.pattern, None);
}

#[test]
fn a_stream_that_is_refused_is_remembered_with_its_words() {
    let mut flow = looking();
    let failure = Failure::Refused { code: 403, reason: Refusal::Right, why: "pods/log is forbidden".into() };
    let trouble = |uid: &str| LogUpdate::Trouble { instance: uid.into(), failure: failure.clone(), retry_in: Duration::from_secs(120) };
    flow.send(Msg::Logs(vec![
        LogUpdate::Following { instance: "c1".into() },
        trouble("b1"),
        LogUpdate::Ended { instance: "b2".into() },
        trouble("nobody"),
    ]));
    let state = |uid: &str| flow.model.logs.streams.get(uid).map(|stream| stream.state.clone());
    assert_eq!(state("c1"), Some(StreamState::Following));
    assert_eq!(state("b2"), Some(StreamState::Ended));
    assert!(
        matches!(state("b1"), Some(StreamState::Trouble { forbidden: true, why, .. }) if why == "refused (403): pods/log is forbidden")
    );
    assert_eq!(state("nobody"), None);
}

#[test]
fn an_instance_that_is_followed_again_goes_on_where_it_stopped() {
    let mut flow = looking();
    let until = flow.model.logs.streams["c2"].newest;
    flow.key('1');
    flow.key('8');
    let again = follows(&flow).last().unwrap().instances.iter().find(|source| &*source.uid == "c2").unwrap().since;
    assert!(until.is_some() && again == until);
}

#[test]
fn a_flood_is_held_within_bounds_and_counted() {
    let mut flow = looking();
    for _ in 0..40 {
        let lines: Vec<LogLine> = (0..500).map(|n| line(&flow, "c1", LogLevel::Info, &format!("{n} {}", "x".repeat(1000)))).collect();
        flow.send(Msg::Logs(vec![LogUpdate::Lines(lines), LogUpdate::Dropped { lines: 1000 }, LogUpdate::Gap { instance: "c1".into() }]));
    }
    let logs = &flow.model.logs;
    assert!(logs.ring.len() <= 8000 && logs.ring.iter().map(|row| row.line.text.len()).sum::<usize>() <= 4 << 20);
    assert_eq!((logs.dropped, logs.gaps, logs.ring.len() as u64 + logs.ring.pushed_out), (40_000, 40, 20_004));
}

#[test]
fn an_export_has_what_is_shown_and_nothing_else() {
    let mut flow = looking();
    flow.key('l');
    let effects = flow.key('e');
    let [Effect::Export { name, text }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(name, "checkout-logs-20260314T030004Z.log");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("# checkout 2026-03-14T03:00:04"), "{text}");
    assert!(
        lines[1].ends_with(" baseline checkout-baseline-b1 WARN two") && lines[2].ends_with(" canary checkout-canary-c2 ERROR three"),
        "{text}"
    );
    flow.send(Msg::Exported(Ok("/state/exports/a.log".into())));
    assert!(flow.said("exported to /state/exports/a.log"));
}

#[test]
fn keys_of_the_logs_say_where_they_belong() {
    let mut flow = Flow::new(Protection::Protected, |_| {});
    for key in ['f', 'w', 'n', 'e', 'i'] {
        flow.key(key);
        assert!(flow.said("that key is for the logs: 8 shows them"), "{key}");
        flow.model.messages.clear();
    }
    flow.key('8');
    flow.key('s');
    assert!(flow.said("side by side needs 120 columns"));
    flow.send(Msg::Resized { width: 120, height: 36 });
    flow.key('s');
    assert!(flow.model.logs.split);
}
