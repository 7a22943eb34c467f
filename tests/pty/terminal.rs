//! A program on a pseudo-terminal, and what a person would see of it.

use portable_pty::{CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long anything may take. Far above what it takes: only a program that hangs gets here.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The same for the first frame: before it a demo flies half an hour of history.
pub const OPENING: Duration = Duration::from_secs(240);
/// Between two keys of a person who types fast. Keys that are closer together count as pasted.
const KEY_GAP: Duration = Duration::from_millis(50);
/// Between two looks at what cannot be waited for.
const LOOK: Duration = Duration::from_millis(20);

pub const ENTER: &str = "\r";
pub const ESC: &str = "\x1b";
pub const TAB: &str = "\t";
pub const CTRL_C: &str = "\x03";
pub const CTRL_Z: &str = "\x1a";

/// What came out of the program so far.
struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    /// Nothing more will come.
    closed: bool,
    /// Nobody reads on.
    hung_up: bool,
}

pub struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    keyboard: Option<Box<dyn std::io::Write + Send>>,
    pid: Pid,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    ended: Receiver<ExitStatus>,
}

fn size(width: u16, height: u16) -> PtySize {
    PtySize { rows: height, cols: width, pixel_width: 0, pixel_height: 0 }
}

fn cells(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap()
}

impl Terminal {
    /// Starts the shipped program with a home of its own.
    pub fn open(width: u16, height: u16, home: &Path, args: &[&str]) -> Self {
        let pair = native_pty_system().openpty(size(width, height)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_gonogo"));
        command.args(args);
        command.cwd(home);
        command.env_clear();
        for (name, value) in environment(home) {
            command.env(name, value);
        }
        let mut child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let pid = Pid::from_raw(i32::try_from(child.process_id().unwrap()).unwrap()).unwrap();
        let (end, ended) = channel();
        std::thread::spawn(move || end.send(child.wait().unwrap()));
        let parser = vt100::Parser::new(cells(height), cells(width), 0);
        let seen = Arc::new((Mutex::new(Seen { parser, bytes: Vec::new(), closed: false, hung_up: false }), Condvar::new()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let eyes = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            loop {
                // A pseudo-terminal whose program has ended reads as an error.
                let count = reader.read(&mut buffer).unwrap_or(0);
                let mut seen = eyes.0.lock().unwrap();
                seen.parser.process(&buffer[..count]);
                seen.bytes.extend_from_slice(&buffer[..count]);
                seen.closed = count == 0 || seen.hung_up;
                let closed = seen.closed;
                drop(seen);
                eyes.1.notify_all();
                if closed {
                    return;
                }
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        Self { master: Some(pair.master), keyboard: Some(keyboard), pid, seen, ended }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.0.lock().unwrap()
    }

    /// The screen as text, one line per row, without trailing blanks.
    pub fn screen(&self) -> String {
        self.seen().parser.screen().contents()
    }

    /// Everything that was ever written to the terminal.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen().bytes.clone()
    }

    /// What the terminal itself knows: alternate screen, cursor, modes.
    pub fn state(&self) -> vt100::Screen {
        self.seen().parser.screen().clone()
    }

    /// Waits until the screen is as wanted, and gives it back.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_within(PATIENCE, what, wanted)
    }

    /// Waits for at most that time until the screen is as wanted, and gives it back.
    pub fn wait_within(&self, patience: Duration, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let text = |seen: &Seen| seen.parser.screen().contents();
        let (seen, late) = self.seen.1.wait_timeout_while(self.seen(), patience, |seen| !seen.closed && !wanted(&text(seen))).unwrap();
        let screen = text(&seen);
        let closed = seen.closed;
        drop(seen);
        assert!(wanted(&screen), "waited for {what} (closed: {closed}, gave up: {}); on screen:\n{screen}", late.timed_out());
        screen
    }

    /// Waits until all of these are on screen.
    pub fn wait_text(&self, texts: &[&str]) -> String {
        self.wait_for(&format!("{texts:?}"), |screen| texts.iter().all(|t| screen.contains(t)))
    }

    /// Types like a person: one key after the other. Each `char` is one key.
    pub fn type_keys(&mut self, keys: &str) {
        for key in keys.chars() {
            self.send(&key.to_string());
            std::thread::sleep(KEY_GAP);
        }
    }

    /// One key that is several bytes, typed like a person.
    pub fn press(&mut self, key: &str) {
        self.send(key);
        std::thread::sleep(KEY_GAP);
    }

    /// Bytes in one write, as a paste or a fast type-ahead sends them.
    pub fn send(&mut self, bytes: &str) {
        let keyboard = self.keyboard.as_mut().expect("the terminal is still there");
        keyboard.write_all(bytes.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    pub fn resize(&mut self, width: u16, height: u16) {
        self.seen().parser.screen_mut().set_size(cells(height), cells(width));
        self.master.as_ref().unwrap().resize(size(width, height)).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Waits until the process is stopped. The kernel tells nobody but the parent, so this looks again and again.
    pub fn wait_stopped(&self) {
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero())).ok()?;
            stat.rsplit(") ").next()?.chars().next()
        };
        for _ in 0..3000 {
            if state() == Some('T') {
                return;
            }
            std::thread::sleep(LOOK);
        }
        panic!("not stopped but {:?}", state());
    }

    /// Takes the terminal away from under the program, as a lost connection does.
    pub fn hang_up(&mut self) {
        // The reader lets go with the next thing that is drawn: at the latest with the next second on the clock.
        self.seen().hung_up = true;
        self.keyboard = None;
        self.master = None;
    }

    /// Waits for the end and gives the exit code back.
    pub fn exit_code(&self) -> u32 {
        match self.ended.recv_timeout(PATIENCE) {
            Ok(status) => {
                assert_eq!(status.signal(), None, "ended by itself");
                status.exit_code()
            }
            Err(_) => panic!("does not end; on screen:\n{}", self.screen()),
        }
    }

    /// Waits until nothing more can come, which is when the program has ended.
    pub fn wait_closed(&self) {
        let (seen, _) = self.seen.1.wait_timeout_while(self.seen(), PATIENCE, |seen| !seen.closed).unwrap();
        assert!(seen.closed, "the terminal is still open");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = kill_process(self.pid, Signal::KILL);
    }
}

/// The environment of a program that must touch nothing outside `home`.
pub fn environment(home: &Path) -> Vec<(&'static str, String)> {
    let below = |name: &str| home.join(name).to_string_lossy().into_owned();
    vec![
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        ("HOME", below("home")),
        ("XDG_CONFIG_HOME", below("config")),
        ("XDG_STATE_HOME", below("state")),
        ("XDG_DATA_HOME", below("data")),
        ("XDG_CACHE_HOME", below("cache")),
        ("TERM", "xterm-256color".into()),
        ("LANG", "C.UTF-8".into()),
        ("USER", "mira".into()),
        ("TZ", "UTC".into()),
    ]
}
