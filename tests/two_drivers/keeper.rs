//! Between a node and the journal: what `runtime` does with its one task for the journal.

use crate::node::{Ask, Kept};
use crate::store::{Refused, actor};
use crate::world::{Due, World};
use gonogo::domain::record::Draft;
use gonogo::domain::{Epoch, Ticket};
use gonogo::port::journal::{LEASE_RENEW, LEASE_TTL};
use gonogo::runbook::Engine;
use gonogo::runbook::io::{AppendRefusal, Input};
use gonogo::runbook::record::Event;
use gonogo::runbook::state::RunState;

pub(crate) fn ttl() -> u64 {
    LEASE_TTL.as_millis() as u64
}

impl World {
    pub(crate) fn ask(&mut self, at: usize, ask: Ask) {
        self.nodes[at].asks.push_back(ask);
        self.pump(at);
    }

    /// The next request leaves when the one before was answered.
    pub(crate) fn pump(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.busy {
            return;
        }
        let Some(ask) = node.asks.pop_front() else { return };
        node.busy = true;
        self.hand_in(at, ask);
    }

    fn hand_in(&mut self, at: usize, ask: Ask) {
        let (life, asked) = (self.nodes[at].life, self.nodes[at].boot(self.now));
        let after = if self.random.percent(4) { self.random.ms(300, 12_000) } else { self.random.ms(1, 8) };
        self.later(after, Due::AtStore { at, life, asked, ask });
    }

    /// Looks for others' entries every half second, and keeps the seat.
    pub(crate) fn look(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.busy || self.now < node.next_look {
            return;
        }
        node.next_look = self.now + 500;
        let boot = node.boot(self.now);
        let due = node.proof.is_some_and(|proof| boot - proof >= LEASE_RENEW.as_millis() as u64);
        self.ask(at, if due && self.nodes[at].lease.is_some() { Ask::Renew } else { Ask::Look });
    }

    /// The request is at the store. Where the process died on the way it may have got there all the same.
    pub(crate) fn at_store(&mut self, at: usize, life: u64, asked: u64, ask: Ask) {
        self.store.now = self.now;
        let lives = self.nodes[at].life == life;
        if !lives && self.random.percent(50) {
            return;
        }
        let session = format!("{}-{life}", self.nodes[at].name);
        if self.nodes[at].cut.1 {
            let kept = unreachable(&ask, "the journal cannot be reached");
            return self.answer_kept(at, life, kept);
        }
        let kept = match ask {
            Ask::Append { ticket, after, epoch, drafts } => self.append(at, ticket, after, epoch, drafts),
            Ask::Observe { draft } => {
                let after = self.store.entries.len() as u64;
                let _ = self.write(at, after, None, vec![draft]);
                Kept::Nothing
            }
            Ask::Advance { ticket } => {
                let result = self.advance(at, &session);
                Kept::Advanced { ticket, result, asked }
            }
            Ask::Take { take_over } => self.take(at, &session, take_over, asked),
            Ask::Seated { epoch, taken_from } => self.seated(at, epoch, taken_from),
            Ask::Renew => match self.nodes[at].lease.map(|epoch| self.store.touch(&session, epoch, true)) {
                Some(Ok(())) => Kept::Renewed { asked },
                Some(Err(Ok(current))) => Kept::Lost(current),
                Some(Err(Err(_))) | None => Kept::Nothing,
            },
            Ask::Look => {
                let head = self.nodes[at].state().map_or(0, |state| state.head);
                let seat = self.store.seat.clone();
                let now = self.now;
                if lives {
                    let live = self.nodes[at].sees_live(&seat, now, ttl());
                    self.nodes[at].attended = self.nodes[at].lease.is_some() || live;
                }
                Kept::Looked { entries: self.store.read(head) }
            }
        };
        self.answer_kept(at, life, kept);
    }

    fn answer_kept(&mut self, at: usize, life: u64, kept: Kept) {
        let after = self.random.ms(1, 8);
        self.later(after, Due::Kept { at, life, kept: Box::new(kept) });
    }

    fn write(
        &mut self,
        at: usize,
        after: u64,
        epoch: Option<Epoch>,
        drafts: Vec<Draft>,
    ) -> Result<Vec<gonogo::domain::record::Entry>, Refused> {
        let (name, stamp) = (self.nodes[at].name, self.nodes[at].stamp(self.now));
        let entries = self.store.append(name, stamp, after, epoch, drafts)?;
        for entry in &entries {
            self.tell(at, || format!("JOURNAL {} e{} {} {}", entry.seq, entry.epoch, entry.kind, cut(entry)));
            let state = self.nodes[at].state();
            self.watch.entry(entry, state, &self.platform);
        }
        Ok(entries)
    }

    fn append(&mut self, at: usize, ticket: Ticket, after: u64, epoch: Option<Epoch>, drafts: Vec<Draft>) -> Kept {
        // Written, and then said to have failed.
        let lost = self.random.percent(1);
        let input = match self.write(at, after, epoch, drafts) {
            Ok(_) if lost => Input::AppendRefused { ticket, why: AppendRefusal::Store { why: "input/output error".into() } },
            Ok(entries) => Input::Appended { ticket, entries },
            Err(Refused::Moved(entries)) => Input::AppendRefused { ticket, why: AppendRefusal::Moved { entries } },
            Err(Refused::Fenced(current)) => Input::AppendRefused { ticket, why: AppendRefusal::Fenced { current } },
            Err(Refused::Store(why)) => Input::AppendRefused { ticket, why: AppendRefusal::Store { why } },
        };
        Kept::Input(Box::new(input))
    }

    /// A new epoch for who has the seat, and for nobody else.
    fn advance(&mut self, at: usize, session: &str) -> Result<Epoch, String> {
        if !self.rules.own_seat {
            return self.store.acquire(session);
        }
        let held = self.nodes[at].lease.ok_or("the seat is not ours")?;
        self.store.touch(session, held, true).map_err(|e| e.map_or_else(|why| why, |current| format!("epoch {current} is current")))?;
        self.store.acquire(session)
    }

    fn take(&mut self, at: usize, session: &str, take_over: bool, asked: u64) -> Kept {
        let seat = self.store.seat.clone();
        let now = self.now;
        let live = self.nodes[at].sees_live(&seat, now, ttl()) && seat.session != session;
        if live && !take_over {
            return Kept::Nothing;
        }
        match self.store.acquire(session) {
            Ok(epoch) => {
                let taken_from = live.then(|| seat.session.clone());
                self.forced |= live;
                self.tell(at, || format!("takes the seat as epoch {epoch} (from {taken_from:?})"));
                Kept::Acquired { epoch, taken_from, asked }
            }
            Err(_) => Kept::Nothing,
        }
    }

    fn seated(&mut self, at: usize, epoch: Epoch, taken_from: Option<String>) -> Kept {
        let after = self.store.entries.len() as u64;
        let drafts = vec![Event::LeaseAcquired { epoch, taken_from }.draft(), Event::RunResumed { epoch }.draft()];
        match self.write(at, after, Some(epoch), drafts) {
            Ok(_) => Kept::Opened { entries: self.store.read(0), epoch },
            // Nobody drives who could not say so.
            Err(_) => Kept::GivenUp,
        }
    }

    /// The store's answer reaches the process.
    pub(crate) fn kept(&mut self, at: usize, kept: Kept) {
        self.nodes[at].busy = false;
        match kept {
            Kept::Input(input) => {
                if let Input::AppendRefused { why: AppendRefusal::Fenced { .. }, .. } = *input {
                    self.nodes[at].lost();
                }
                self.put(at, *input);
            }
            Kept::Advanced { ticket, result, asked } => {
                if let Ok(epoch) = result {
                    self.nodes[at].lease = Some(epoch);
                    self.nodes[at].proof = Some(asked);
                }
                self.put(at, Input::EpochAdvanced { ticket, result });
            }
            Kept::Acquired { epoch, taken_from, asked } => {
                self.nodes[at].lease = Some(epoch);
                self.nodes[at].proof = Some(asked);
                self.nodes[at].busy = true;
                self.hand_in(at, Ask::Seated { epoch, taken_from });
                return;
            }
            Kept::Opened { entries, epoch } => self.open(at, &entries, epoch),
            Kept::Renewed { asked } => {
                if self.nodes[at].lease.is_some() {
                    self.nodes[at].proof = Some(asked);
                }
            }
            Kept::Lost(current) => {
                self.nodes[at].lost();
                self.put(at, Input::SeatLost { current });
            }
            Kept::Looked { entries } => self.looked(at, entries),
            Kept::GivenUp => {
                if let Some(epoch) = self.nodes[at].lease {
                    let _ = self.store.touch(&self.nodes[at].session(), epoch, false);
                }
                self.nodes[at].lost();
            }
            Kept::Nothing => {}
        }
        self.pump(at);
    }

    /// A run is ours to drive.
    pub(crate) fn open(&mut self, at: usize, entries: &[gonogo::domain::record::Entry], epoch: Epoch) {
        let state = RunState::of(entries).expect("a journal that folds");
        self.nonce += 1 << 32;
        let boot_id = format!("{}-boot", actor(self.nodes[at].name).id);
        self.nodes[at].engine = Some(Engine::new(state, epoch, boot_id, self.nonce));
        self.nodes[at].asked = None;
        self.put(at, Input::Begin);
        self.put(at, Input::Data { live: true, why: String::new() });
    }

    fn looked(&mut self, at: usize, entries: Vec<gonogo::domain::record::Entry>) {
        if entries.is_empty() {
            return;
        }
        if self.nodes[at].engine.is_some() {
            self.put(at, Input::Foreign { entries });
            return;
        }
        for entry in entries {
            match &mut self.nodes[at].seen {
                None => self.nodes[at].seen = Some(RunState::begin(&entry).expect("a first entry")),
                Some(state) if entry.seq > state.head => state.fold(&entry).expect("an entry that follows"),
                Some(_) => {}
            }
        }
    }
}

fn unreachable(ask: &Ask, why: &str) -> Kept {
    match ask {
        Ask::Append { ticket, .. } => {
            Kept::Input(Box::new(Input::AppendRefused { ticket: *ticket, why: AppendRefusal::Store { why: why.into() } }))
        }
        Ask::Advance { ticket } => Kept::Advanced { ticket: *ticket, result: Err(why.into()), asked: 0 },
        Ask::Seated { .. } => Kept::GivenUp,
        Ask::Observe { .. } | Ask::Take { .. } | Ask::Renew | Ask::Look => Kept::Nothing,
    }
}

fn cut(entry: &gonogo::domain::record::Entry) -> String {
    let mut body = if entry.kind == "run.started" { String::new() } else { entry.body.to_string() };
    body.truncate(220);
    body
}
