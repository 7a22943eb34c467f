//! Any message in any order: nothing panics, nothing spins, nothing leaves without a confirmation and a durable intent, nothing twice.

use super::world::*;
use crate::app::key::{Key, KeyCode};
use crate::app::{Effect, Msg, Request};
use crate::domain::*;
use crate::runbook::record::Event;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
enum Deed {
    Key(char),
    Code(KeyCode),
    CtrlC,
    Text(&'static str),
    Wait(u64),
    Pass(u64),
    /// Answers some of what is outstanding, in another order, leaving some unanswered.
    Answer(usize, usize),
    Drop(usize),
    Again(usize),
    Foreign(u32),
    Told,
    Errors(bool),
    Metrics(bool),
    Platform(bool),
    Disk(bool),
    Reply(u8),
    SeatLost,
    Woke,
    Refused,
    Attended(bool),
    Promote(u32),
    BackOut,
}

fn deed() -> impl Strategy<Value = Deed> {
    let keys = prop::sample::select("PBHUADTMqjk/26789r1253400yynrsbxlifwe".chars().collect::<Vec<_>>());
    let codes = prop::sample::select(vec![KeyCode::Enter, KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::Backspace]);
    prop_oneof![
        8 => keys.prop_map(Deed::Key),
        4 => codes.prop_map(Deed::Code),
        1 => Just(Deed::CtrlC),
        2 => prop::sample::select(vec!["done", "3", "why not", ""]).prop_map(Deed::Text),
        5 => (1u64..1500).prop_map(Deed::Wait),
        4 => (1u64..90).prop_map(Deed::Pass),
        6 => (0usize..6, 0usize..6).prop_map(|(n, at)| Deed::Answer(n, at)),
        1 => (0usize..6).prop_map(Deed::Drop),
        1 => (0usize..40).prop_map(Deed::Again),
        1 => (0u32..100).prop_map(Deed::Foreign),
        1 => Just(Deed::Told),
        1 => any::<bool>().prop_map(Deed::Errors),
        1 => any::<bool>().prop_map(Deed::Metrics),
        1 => any::<bool>().prop_map(Deed::Platform),
        1 => any::<bool>().prop_map(Deed::Disk),
        1 => (0u8..3).prop_map(Deed::Reply),
        1 => Just(Deed::SeatLost),
        1 => Just(Deed::Woke),
        1 => Just(Deed::Refused),
        1 => any::<bool>().prop_map(Deed::Attended),
        1 => prop::sample::select(vec![25u32, 100]).prop_map(Deed::Promote),
        1 => Just(Deed::BackOut),
    ]
}

fn perform(flow: &mut Flow, deed: &Deed) {
    match deed {
        Deed::Key(c) => {
            flow.at = flow.at.later(ms(90));
            flow.send(Msg::Key(Key::char(*c)));
        }
        Deed::Code(code) => {
            flow.at = flow.at.later(ms(90));
            flow.send(Msg::Key(Key::plain(*code)));
        }
        Deed::CtrlC => drop(flow.send(Msg::Key(Key::ctrl('c')))),
        Deed::Text(text) => drop(flow.send(Msg::TextChanged((*text).into()))),
        Deed::Wait(millis) => flow.wait(*millis),
        Deed::Pass(seconds) => flow.pass(*seconds),
        Deed::Answer(n, at) => {
            for _ in 0..*n {
                let place = at % flow.open.len().max(1);
                let Some(effect) = flow.open.remove(place) else { break };
                flow.answer(effect);
            }
        }
        Deed::Drop(at) => {
            // An answer that never comes; the journal and the metrics always answer.
            let place = at % flow.open.len().max(1);
            if matches!(flow.open.get(place), Some(Effect::Send { .. })) {
                flow.open.remove(place);
            }
        }
        Deed::Again(at) => {
            // The same answer once more: stale by now. A write is not repeated by the world.
            let old = flow.all.get(flow.all.len().saturating_sub(at + 1)).cloned();
            if let Some(effect @ (Effect::Plan { .. } | Effect::Read { .. } | Effect::Query { .. })) = old {
                flow.answer(effect);
            }
        }
        Deed::Foreign(to) => flow.foreign_change(*to),
        Deed::Told => flow.told_route(),
        Deed::Errors(bad) => flow.errors = if *bad { 0.3 } else { 0.001 },
        Deed::Metrics(fail) => flow.metrics_fail = *fail,
        Deed::Platform(lives) => flow.platform_lives = *lives,
        Deed::Disk(full) => flow.full_disk = *full,
        Deed::Reply(n) => flow.reply = [Reply::Applied, Reply::Lost, Reply::Conflict][usize::from(*n)],
        Deed::SeatLost => {
            if flow.model.run.is_some() {
                flow.seat = flow.seat.next();
                let taken = Event::LeaseAcquired { epoch: flow.seat, taken_from: Some("maria@host 1".into()) };
                let entries = flow.write_entries(vec![taken.draft(), Event::RunResumed { epoch: flow.seat }.draft()], "ada");
                flow.send(Msg::EntriesAppended { entries, attended: true });
            }
        }
        Deed::Woke => drop(flow.send(Msg::Woke { what: "asleep 2m".into() })),
        Deed::Refused => drop(flow.send(Msg::RunRefused { run: None, why: "no".into() })),
        Deed::Attended(yes) => drop(flow.send(Msg::EntriesAppended { entries: vec![], attended: *yes })),
        Deed::Promote(to) => {
            let request = Request::Promote { to: Percent::new(*to).unwrap(), confirm: to.to_string() };
            flow.send(Msg::Requested(request));
        }
        Deed::BackOut => drop(flow.send(Msg::Requested(Request::BackOut { confirm: "0".into() }))),
    }
}

/// Every write rests on a durable intent of its own and, if it goes forward, on a confirmation; none leaves twice.
fn assert_sound(flow: &Flow) {
    let mut ops = BTreeSet::new();
    for effect in &flow.all {
        let Effect::Send { write, intent, confirmed, .. } = effect else { continue };
        assert!(ops.insert((write.op.clone(), *intent)), "{} was sent twice", write.op);
        assert!(*intent > 0);
        if let WriteKind::Act { action } = &write.kind {
            assert!(confirmed.is_some() || action.weight() == Some(Percent::ZERO), "{} went out unconfirmed", write.op);
        }
    }
    let acts: Vec<&OpId> = flow.writes.iter().filter(|w| !w.is_fence()).map(|w| &w.op).collect();
    let distinct: BTreeSet<_> = acts.iter().collect();
    assert_eq!(distinct.len(), acts.len(), "an operation took effect twice: {acts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_messages_is_survived(start in 0u8..5, deeds in prop::collection::vec(deed(), 1..120)) {
        let mut flow = match start {
            0 => Flow::new(Protection::Protected, |_| {}),
            1 => Flow::started(),
            2 => Flow::ready(),
            3 => Flow::baking(),
            _ => Flow::following(true, |o| o.operator = "ada".into()),
        };
        for deed in &deeds {
            perform(&mut flow, deed);
        }
        assert_sound(&flow);
        // Whatever happened: once the world is well again and everything is answered, the canary's traffic can be taken away.
        (flow.platform_lives, flow.metrics_fail, flow.full_disk, flow.reply) = (true, false, false, Reply::Applied);
        flow.pass(40);
        assert_sound(&flow);
    }

    #[test]
    fn whatever_happened_backing_out_works_in_the_end(start in 1u8..5, deeds in prop::collection::vec(deed(), 1..60)) {
        let mut flow = match start {
            1 => Flow::started(),
            2 => Flow::ready(),
            3 => Flow::baking(),
            _ => Flow::following(true, |o| o.operator = "ada".into()),
        };
        for deed in &deeds {
            perform(&mut flow, deed);
        }
        (flow.platform_lives, flow.metrics_fail, flow.full_disk, flow.reply) = (true, false, false, Reply::Applied);
        flow.model.script_clear();
        flow.pass(60);
        for _ in 0..4 {
            flow.press(KeyCode::Esc);
            flow.told_route();
            flow.settle();
            if flow.route.canary == 0 && flow.model.run.as_ref().is_none_or(|r| r.state.phase.is_final()) {
                break;
            }
            flow.wait(1000);
            flow.back_out();
            flow.pass(90);
        }
        assert_sound(&flow);
        prop_assert_eq!(flow.route.canary, 0, "{:?} {:?} {:?}", flow.model.messages, flow.model.run.as_ref().map(|r| (r.seat, r.state.phase, r.doing.clone())), flow.model.prompt);
    }
}
