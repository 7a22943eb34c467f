//! One process with a person before it: the engine, its journal keeper, and who may answer.

use crate::random::Random;
use crate::store::wall;
use gonogo::domain::record::{Draft, Entry};
use gonogo::domain::{Epoch, Stamp, Ticket};
use gonogo::runbook::Engine;
use gonogo::runbook::io::{Input, Proposal};
use gonogo::runbook::state::RunState;
use std::collections::VecDeque;
use std::time::Duration;

/// What the keeper is asked for; one at a time, in order.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Append {
        ticket: Ticket,
        after: u64,
        epoch: Option<Epoch>,
        drafts: Vec<Draft>,
    },
    /// What everybody may append: a hold, a note.
    Observe {
        draft: Draft,
    },
    Advance {
        ticket: Ticket,
    },
    Take {
        take_over: bool,
    },
    /// The second half of taking: the entries that tell of it.
    Seated {
        epoch: Epoch,
        taken_from: Option<String>,
    },
    Renew,
    Look,
}

/// What the store answered.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    Input(Box<Input>),
    Advanced {
        ticket: Ticket,
        result: Result<Epoch, String>,
        asked: u64,
    },
    Acquired {
        epoch: Epoch,
        taken_from: Option<String>,
        asked: u64,
    },
    Opened {
        entries: Vec<Entry>,
        epoch: Epoch,
    },
    Renewed {
        asked: u64,
    },
    Lost(Epoch),
    Looked {
        entries: Vec<Entry>,
    },
    /// The seat was taken and that could not be recorded.
    GivenUp,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    /// The machine sleeps, or the process is stopped, until then.
    Still(u64),
    Off,
}

pub(crate) struct Node {
    pub(crate) name: &'static str,
    /// Counts its processes.
    pub(crate) life: u64,
    pub(crate) power: Power,
    /// What came while it stood still.
    pub(crate) waiting: Vec<crate::world::Due>,
    boot_base: u64,
    slept: u64,
    /// By how much its wall clock is wrong.
    pub(crate) skew: i64,
    pub(crate) last: Stamp,
    pub(crate) engine: Option<Engine>,
    /// The run as an observer knows it.
    pub(crate) seen: Option<RunState>,
    pub(crate) lease: Option<Epoch>,
    /// When the seat was last known to be ours (boot).
    pub(crate) proof: Option<u64>,
    pub(crate) asks: VecDeque<Ask>,
    pub(crate) busy: bool,
    /// The seat's record when it was last seen to change: its count, and when (boot).
    sighting: Option<(u64, u64)>,
    pub(crate) attended: bool,
    pub(crate) asked: Option<Proposal>,
    pub(crate) next_look: u64,
    /// Cut off from the platform, from the store.
    pub(crate) cut: (bool, bool),
}

impl Node {
    pub(crate) fn new(name: &'static str, random: &mut Random) -> Self {
        let last = Stamp { wall: wall(0), boot: Duration::ZERO, mono: Duration::ZERO };
        Self {
            name,
            life: 1,
            power: Power::On,
            waiting: vec![],
            boot_base: random.ms(100_000, 9_000_000),
            slept: 0,
            skew: i64::try_from(random.ms(0, 4000)).unwrap_or_default() - 2000,
            last,
            engine: None,
            seen: None,
            lease: None,
            proof: None,
            asks: VecDeque::new(),
            busy: false,
            sighting: None,
            attended: true,
            asked: None,
            next_look: 0,
            cut: (false, false),
        }
    }

    pub(crate) fn session(&self) -> String {
        format!("{}-{}", self.name, self.life)
    }

    pub(crate) fn boot(&self, now: u64) -> u64 {
        self.boot_base + now
    }

    pub(crate) fn stamp(&self, now: u64) -> Stamp {
        let boot = Duration::from_millis(self.boot(now));
        let shifted = i64::try_from(now).unwrap_or_default() + self.skew;
        Stamp { wall: wall(u64::try_from(shifted).unwrap_or_default()), boot, mono: boot.saturating_sub(Duration::from_millis(self.slept)) }
    }

    /// The machine slept for so long: its monotonic clock stood.
    pub(crate) fn sleeps(&mut self, ms: u64) {
        self.slept += ms;
    }

    /// Sleep shows as boot time that outran monotonic time, a set clock as wall time that outran boot time.
    pub(crate) fn jumped(&mut self, now: u64) -> Option<String> {
        let is = self.stamp(now);
        let was = std::mem::replace(&mut self.last, is);
        let boot = is.boot.saturating_sub(was.boot);
        let slept = boot.saturating_sub(is.mono.saturating_sub(was.mono));
        let off = (is.wall - was.wall).num_milliseconds() - i64::try_from(boot.as_millis()).unwrap_or_default();
        match () {
            () if slept > Duration::from_secs(5) => Some(format!("asleep {}s", slept.as_secs())),
            () if off.unsigned_abs() > 5000 => Some(format!("clock jumped {off} ms")),
            () => None,
        }
    }

    /// Whether the holder of the seat is seen to live: its record changed not long ago, on our own clock.
    pub(crate) fn sees_live(&mut self, seat: &crate::store::Seat, now: u64, ttl: u64) -> bool {
        let boot = self.boot(now);
        let sighting = self.sighting.get_or_insert((seat.change, boot));
        if sighting.0 != seat.change {
            *sighting = (seat.change, boot);
        }
        seat.held && boot - sighting.1 <= ttl
    }

    pub(crate) fn lost(&mut self) {
        self.lease = None;
        self.proof = None;
    }

    /// The process ends; another one may begin.
    pub(crate) fn dies(&mut self) {
        self.life += 1;
        self.power = Power::Off;
        self.waiting.clear();
        self.engine = None;
        self.seen = None;
        self.lost();
        self.asks.clear();
        self.busy = false;
        self.sighting = None;
        self.asked = None;
    }

    /// The run as this process knows it.
    pub(crate) fn state(&self) -> Option<&RunState> {
        self.engine.as_ref().map(Engine::state).or(self.seen.as_ref())
    }

    pub(crate) fn drives(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.passive().is_none())
    }
}
