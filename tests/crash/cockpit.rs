//! The cockpit on a terminal, for what has no other door: starting a run, and continuing one without any key.

use super::world::{World, eventually};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use std::io::{Read, Write};

/// A cockpit that is killed when it goes out of scope.
pub(crate) struct Cockpit {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    _terminal: Box<dyn portable_pty::MasterPty + Send>,
}

impl Cockpit {
    /// Opens it. `crash`: see [`World::run`].
    pub(crate) fn open(world: &World, args: &[&str], crash: Option<&str>) -> Self {
        let size = PtySize { rows: 36, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_gonogo"));
        command.args(args);
        command.arg("--config");
        command.arg(world.config());
        for name in ["GONOGO_CONFIG", "KUBECONFIG", "FAILPOINTS"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        if let Some(wish) = crash {
            command.env("GONOGO_CRASH", wish);
        }
        let child = pair.slave.spawn_command(command).expect("the program");
        let mut screen = pair.master.try_clone_reader().expect("the screen");
        // Whoever does not read the screen stops the program at its first full buffer.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while screen.read(&mut bytes).is_ok_and(|read| read > 0) {}
        });
        let keys = pair.master.take_writer().expect("the keyboard");
        Self { child, keys, _terminal: pair.master }
    }

    pub(crate) fn press(&mut self, key: &str) {
        // A program that just died takes no keys.
        let _ = self.keys.write_all(key.as_bytes()).and_then(|()| self.keys.flush());
    }

    pub(crate) fn is_dead(&mut self) -> bool {
        self.child.try_wait().expect("the program").is_some()
    }

    /// As a machine that is switched off.
    pub(crate) fn kill(&mut self) {
        if let Some(pid) = self.child.process_id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Cockpit {
    fn drop(&mut self) {
        self.kill();
    }
}

const RUNBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/runbooks/crash.yaml");

/// Starts the run of the fixture and kills its cockpit: when the run waits for its shift, or earlier where `crash` says so. Tells
/// whether it was earlier.
pub(crate) fn start_and_kill(world: &World, crash: Option<&str>) -> bool {
    let mut cockpit = Cockpit::open(world, &["run", RUNBOOK], crash);
    let mut looks = 0_u32;
    let died = eventually("the run begins, or its cockpit dies", || {
        if cockpit.is_dead() {
            return Some(true);
        }
        // The question may not be there yet, and keys that come before it do not count.
        if looks.is_multiple_of(12) {
            cockpit.press("y");
        }
        looks += 1;
        let run = world.runs().into_iter().next()?;
        world.entries(&run).iter().any(|entry| entry.kind == "step.entered").then_some(false)
    });
    cockpit.kill();
    died
}
