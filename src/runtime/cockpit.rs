//! The core on a terminal: input, frames, signals.

use super::clock::WakeWatch;
use super::core::Core;
use super::input::{self, Input, Said};
use super::terminal::{self, Guard, Screen};
use crate::app::effect::Quit;
use crate::app::{Effect, Msg};
use crate::domain::Stamp;
use crate::present::{self, Viewport};
use crate::ui::input::TextField;
use crate::ui::{self, Theme};
use crossterm::event::{Event, KeyEventKind};
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How the screen is drawn.
#[derive(Debug)]
pub struct View {
    /// Colours and attributes.
    pub theme: Theme,
    /// Only ASCII characters.
    pub ascii: bool,
    /// Frames a second for data; keys draw at once.
    pub fps: u32,
}

/// How the flight ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The operator left.
    Left,
    /// A signal ended it.
    Signal(i32),
}

/// Frames a second for data while the cockpit opens: what comes first, and each page of a long list, is waited for.
const OPENING_FPS: u32 = 60;
/// How long the cockpit opens, at least.
const OPENING: Duration = Duration::from_secs(5);
/// A moment that is never reached.
const NEVER: Duration = Duration::from_secs(3600);

struct Signals {
    term: Signal,
    hup: Signal,
    int: Signal,
    cont: Signal,
    tstp: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
            int: signal(SignalKind::interrupt())?,
            cont: signal(SignalKind::from_raw(signal_hook::consts::SIGCONT))?,
            tstp: signal(SignalKind::from_raw(signal_hook::consts::SIGTSTP))?,
        })
    }
}

enum Wake {
    Msg(Box<Msg>),
    Said(Option<Said>),
    Ended(i32),
    Stop,
    Continued,
    Timer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldOf {
    Prompt(Duration),
    Filter,
}

struct Flight<'a> {
    core: &'a mut Core,
    view: View,
    screen: Screen,
    input: Input,
    field: TextField,
    /// What the text field is for: a prompt by the moment it opened, or the filter.
    field_of: Option<FieldOf>,
    dirty: bool,
    urgent: bool,
    title: String,
    drawn_second: i64,
    last_frame: Duration,
    /// When the screen was taken, on this machine's own time.
    opened: Duration,
    wake: WakeWatch,
}

/// Flies until the operator leaves or a signal says so. The terminal is as before afterwards.
pub async fn fly(core: &mut Core, view: View) -> io::Result<Ending> {
    let mut signals = Signals::new()?;
    let (guard, screen) = Guard::take()?;
    let opened = core.now().mono;
    core.look_at_logs();
    let mut flight = Flight {
        core,
        view,
        screen,
        input: Input::start()?,
        field: TextField::single_line(""),
        field_of: None,
        dirty: true,
        urgent: true,
        title: String::new(),
        drawn_second: 0,
        last_frame: Duration::ZERO,
        opened,
        wake: WakeWatch::new(),
    };
    let size = flight.screen.size()?;
    let _ = flight.core.dispatch(Msg::Resized { width: size.width, height: size.height });
    let ending = flight.run(&mut signals).await;
    drop(flight);
    drop(guard);
    ending
}

impl Flight<'_> {
    async fn run(&mut self, signals: &mut Signals) -> io::Result<Ending> {
        loop {
            let drawn = self.draw_if_due();
            if terminal::is_gone() || drawn.is_err() && input::hung_up() {
                return Ok(Ending::Signal(signal_hook::consts::SIGHUP));
            }
            drawn?;
            let wake = self.wait(signals).await;
            if let Some(what) = self.wake.check() {
                self.tell(Msg::Woke { what })?;
            }
            let quit = match wake {
                Wake::Msg(msg) => self.batch(*msg)?,
                Wake::Said(Some(Said::Event(event, mono))) => self.event(event, mono)?,
                Wake::Said(Some(Said::HangUp) | None) => return Ok(Ending::Signal(signal_hook::consts::SIGHUP)),
                Wake::Ended(number) => return Ok(Ending::Signal(number)),
                Wake::Stop => {
                    self.suspend()?;
                    None
                }
                Wake::Continued => {
                    self.resumed()?;
                    None
                }
                Wake::Timer => self.tell(Msg::Tick)?,
            };
            if let Some(how) = quit {
                return Ok(match how {
                    Quit::Operator => Ending::Left,
                    Quit::HangUp => Ending::Signal(signal_hook::consts::SIGHUP),
                });
            }
        }
    }

    async fn wait(&mut self, signals: &mut Signals) -> Wake {
        let timer = self.timer();
        tokio::select! {
            biased;
            _ = signals.hup.recv() => Wake::Ended(signal_hook::consts::SIGHUP),
            _ = signals.term.recv() => Wake::Ended(signal_hook::consts::SIGTERM),
            _ = signals.int.recv() => Wake::Ended(signal_hook::consts::SIGINT),
            _ = signals.tstp.recv() => Wake::Stop,
            _ = signals.cont.recv() => Wake::Continued,
            said = self.input.said.recv() => Wake::Said(said),
            msg = self.core.next(), if !self.dirty || self.frame_wait().is_zero() => Wake::Msg(Box::new(msg)),
            () = tokio::time::sleep(timer) => Wake::Timer,
        }
    }

    /// Until the next deadline of the core, frame, or second on the clock.
    fn timer(&self) -> Duration {
        let now = self.core.now();
        let deadlines = self.core.deadlines();
        let boot = deadlines.boot.map_or(NEVER, |at| self.core.real_wait(at));
        let mono = deadlines.mono.map_or(NEVER, |at| at.saturating_sub(now.mono));
        let frame = if self.dirty { self.frame_wait() } else { NEVER };
        boot.min(mono).min(frame).min(Self::next_second(&now)).max(Duration::from_millis(1))
    }

    /// Ages and clocks on screen change with the second. A stopped wall clock asks for nothing but a slow look.
    fn next_second(now: &Stamp) -> Duration {
        let ms = u64::from(now.wall.timestamp_subsec_millis().min(999));
        Duration::from_millis(1000 - ms).max(Duration::from_millis(20))
    }

    fn frame_wait(&self) -> Duration {
        let now = self.core.now().mono;
        let opens = !self.core.model.picture.listed || now.saturating_sub(self.opened) < OPENING;
        let fps = if opens { OPENING_FPS } else { self.view.fps.clamp(1, 60) };
        (self.last_frame + Duration::from_secs(1) / fps).saturating_sub(now)
    }

    fn draw_if_due(&mut self) -> io::Result<()> {
        let now = self.core.now();
        if now.wall.timestamp() != self.drawn_second {
            self.dirty = true;
        }
        if !(self.urgent || self.dirty && self.frame_wait().is_zero()) {
            return Ok(());
        }
        self.drawn_second = now.wall.timestamp();
        self.last_frame = now.mono;
        (self.dirty, self.urgent) = (false, false);
        let (core, view) = (&self.core, &self.view);
        self.screen.draw(|target| {
            let area = target.area();
            let frame = present::frame(&core.model, &now, Viewport { width: area.width, height: area.height, ascii: view.ascii });
            ui::draw(&frame, &view.theme, target);
        })?;
        let title = present::title(&self.core.model);
        if title != self.title {
            terminal::set_title(&title);
            self.title = title;
        }
        Ok(())
    }

    /// One message and all that wait behind it: they share a frame.
    fn batch(&mut self, first: Msg) -> io::Result<Option<Quit>> {
        let mut quit = self.tell(first)?;
        for _ in 0..256 {
            match self.core.try_next() {
                Some(msg) => quit = quit.or(self.tell(msg)?),
                None => break,
            }
        }
        Ok(quit)
    }

    fn tell(&mut self, msg: Msg) -> io::Result<Option<Quit>> {
        let tick = matches!(msg, Msg::Tick);
        let effects = self.core.dispatch(msg);
        // A prompt shows how long it still ignores keys.
        self.dirty |= !tick || self.core.model.prompt.is_some();
        self.obey(effects)
    }

    fn event(&mut self, event: Event, mono: Duration) -> io::Result<Option<Quit>> {
        let mut stamp = self.core.now();
        stamp.mono = mono;
        self.urgent = true;
        let msg = match event {
            Event::Key(key) if key.kind == KeyEventKind::Release => return Ok(None),
            Event::Key(key) => match self.text_key(&key) {
                Some(text) => Msg::TextChanged(text),
                None => match ui::input::key_of(&key) {
                    Some(key) => Msg::Key(key),
                    None => return Ok(None),
                },
            },
            Event::Paste(text) if self.takes_text() => {
                self.renew_field();
                self.field.paste(&text);
                Msg::TextChanged(self.field.text())
            }
            Event::Paste(text) => Msg::Paste(text),
            Event::Resize(width, height) => {
                // Everything again, even if the size is the one known: it may have been another in between, which cut the screen.
                self.redraw()?;
                Msg::Resized { width, height }
            }
            _ => return Ok(None),
        };
        let effects = self.core.dispatch_at(stamp, msg);
        self.obey(effects)
    }

    fn takes_text(&self) -> bool {
        self.core.model.screen.filtering && self.core.model.prompt.is_none()
            || self.core.model.prompt.as_ref().is_some_and(|p| p.is_text() && p.guard_left(self.core.now().mono).is_zero())
    }

    /// A field that was filled for something else is empty for this.
    fn renew_field(&mut self) {
        let model = &self.core.model;
        let wanted = match &model.prompt {
            Some(prompt) => FieldOf::Prompt(prompt.opened),
            None => FieldOf::Filter,
        };
        if self.field_of != Some(wanted) {
            let text = if wanted == FieldOf::Filter { model.screen.filter.as_str() } else { "" };
            self.field = TextField::single_line(text);
            self.field_of = Some(wanted);
        } else if wanted == FieldOf::Filter && model.screen.filter.is_empty() {
            self.field = TextField::single_line("");
        }
    }

    /// Keys of a text area stay there, except those that close it.
    fn text_key(&mut self, key: &crossterm::event::KeyEvent) -> Option<String> {
        use crossterm::event::{KeyCode, KeyModifiers};
        let closes = matches!(key.code, KeyCode::Enter | KeyCode::Esc) || key.modifiers.contains(KeyModifiers::CONTROL);
        if closes || !self.takes_text() {
            return None;
        }
        self.renew_field();
        self.field.key(ui::input::key_of(key)?);
        Some(self.field.text())
    }

    fn obey(&mut self, effects: Vec<Effect>) -> io::Result<Option<Quit>> {
        let mut quit = None;
        for effect in effects {
            match effect {
                Effect::Bell => {
                    use std::io::Write as _;
                    let mut out = io::stdout();
                    out.write_all(b"\x07")?;
                    out.flush()?;
                }
                Effect::Copy { text } => {
                    let copied = crossterm::execute!(io::stdout(), crossterm::clipboard::CopyToClipboard::to_clipboard_from(&text));
                    let result = copied.map(|()| crate::domain::text::clean_bounded(&text, 40)).map_err(|e| e.to_string());
                    let _ = self.core.dispatch(Msg::Copied(result));
                    self.dirty = true;
                }
                Effect::Redraw => self.redraw()?,
                Effect::Suspend => self.suspend()?,
                Effect::Quit { how } => quit = Some(how),
                _ => {}
            }
        }
        Ok(quit)
    }

    /// Everything again. Never a clear that asks the terminal for its cursor: the answer would meet the reader of keys.
    fn redraw(&mut self) -> io::Result<()> {
        let area = self.screen.size()?;
        self.screen.resize(area.into())?;
        (self.dirty, self.urgent) = (true, true);
        Ok(())
    }

    fn suspend(&mut self) -> io::Result<()> {
        terminal::restore();
        // Stops this process; goes on here after SIGCONT.
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        self.resumed()
    }

    fn resumed(&mut self) -> io::Result<()> {
        terminal::enter()?;
        self.title.clear();
        self.redraw()?;
        // Nothing that follows from waking is the terminal's.
        let _ = self.core.dispatch(Msg::Woke { what: "was suspended".into() });
        Ok(())
    }
}
