//! A demo on a terminal, its folder, and the witnesses beside the screen: the calls file, and other `gonogo` processes.

use super::terminal::{ENTER, ESC, OPENING, Terminal, environment};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Every view that there is, by its key and its title in the row of views.
pub const VIEWS: [char; 7] = ['1', '2', '3', '4', '6', '7', '9'];

/// 0.7 s by the rules of prompts, and some more for a busy machine.
const LEVEL_TWO_GUARD: std::time::Duration = std::time::Duration::from_millis(1500);

pub struct Demo {
    pub terminal: Terminal,
    place: TempDir,
}

impl Demo {
    /// Opens a scene at 120x36 and waits until its cockpit is drawn from data.
    pub fn open(scene: &str, more: &[&str]) -> Self {
        Self::sized(120, 36, scene, more)
    }

    pub fn sized(width: u16, height: u16, scene: &str, more: &[&str]) -> Self {
        let place = TempDir::new().unwrap();
        let (dir, calls) = (place.path().join("demo"), place.path().join("calls"));
        let (dir, calls) = (dir.to_str().unwrap().to_owned(), calls.to_str().unwrap().to_owned());
        let mut args = vec!["demo", "--scene", scene, "--dir", &dir, "--calls", &calls];
        args.extend(more);
        let terminal = Terminal::open(width, height, place.path(), &args);
        terminal.wait_within(OPENING, "the first frame", |screen| screen.contains("checkout"));
        Self { terminal, place }
    }

    /// A path in the demo's place.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Another cockpit on the same service.
    pub fn second_cockpit(&self) -> Terminal {
        self.cockpit(&[])
    }

    /// Another cockpit on the same service, opened by a command.
    pub fn cockpit(&self, args: &[&str]) -> Terminal {
        let config = self.config();
        Terminal::open(120, 36, self.place.path(), &[args, &["--config", &config]].concat())
    }

    fn config(&self) -> String {
        self.path("demo/config.toml").to_str().unwrap().to_owned()
    }

    /// Another `gonogo` process on the same service, without a terminal.
    pub fn gonogo(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
        command.env_clear().envs(environment(self.place.path())).current_dir(self.place.path());
        command.args(args).args(["--config", &self.config()]);
        command.output().unwrap()
    }

    /// What `gonogo show` tells of the run.
    pub fn story(&self) -> String {
        let output = self.gonogo(&["show"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// All writes that reached the platform since the screen opened: what the run's history wrote before is not in the file.
    pub fn calls(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The canary weights of all acts that the platform applied, in order.
    pub fn weights(&self) -> Vec<u64> {
        let applied = |call: &&Value| call["kind"] == "act" && call["result"] == "applied";
        self.calls().iter().filter(applied).map(canary_weight).collect()
    }

    /// `A`, `y`: arms this cockpit.
    pub fn arm(&mut self) {
        self.terminal.type_keys("A");
        self.answer_when_ready("ARM THIS COCKPIT", "y");
        self.terminal.wait_text(&["ARMED"]);
    }

    /// Waits until a prompt with this title takes keys, and types.
    pub fn answer_when_ready(&mut self, title: &str, keys: &str) {
        self.prompt_ready(title);
        self.terminal.type_keys(keys);
    }

    /// Waits until a prompt with this title takes keys.
    pub fn prompt_ready(&self, title: &str) {
        self.terminal.wait_for(&format!("the prompt {title:?} to take keys"), |screen| {
            screen.contains(title) && (screen.contains("(default)") || screen.contains("[n] cancel"))
        });
    }

    /// Waits until the open prompt has its plan and takes keys.
    pub fn plan_ready(&self) {
        self.terminal.wait_for("a plan to confirm", |screen| screen.contains("dry run") && screen.contains("Esc cancels.  Pasted text"));
    }

    /// Waits until no prompt is open.
    pub fn prompt_closed(&self) {
        self.terminal.wait_for("the prompt to close", |screen| !screen.contains("NEW canary weight"));
    }

    /// Opens the prompt of the way forward, waits for its plan, and confirms with the typed weight.
    pub fn promote(&mut self, weight: &str) {
        self.terminal.type_keys("P");
        self.terminal.wait_text(&["PROMOTE CANARY"]);
        self.plan_ready();
        self.terminal.type_keys(weight);
        self.terminal.press(ENTER);
    }

    /// `B`, `0`, Enter.
    pub fn back_out(&mut self) {
        self.terminal.type_keys("B");
        self.terminal.wait_text(&["BACK OUT  canary"]);
        self.plan_ready();
        self.terminal.type_keys("0");
        self.terminal.press(ENTER);
    }

    /// Waits out the time in which a prompt ignores keys, where the screen does not say that it is over.
    pub fn wait_guard(&self) {
        std::thread::sleep(LEVEL_TWO_GUARD);
    }

    /// Closes whatever is open.
    pub fn escape(&mut self) {
        self.terminal.press(ESC);
    }

    /// `q`, `y`: leaves while driving, and gives the exit code.
    pub fn leave(&mut self) -> u32 {
        self.terminal.type_keys("q");
        self.answer_when_ready("LEAVE WHILE DRIVING", "y");
        self.terminal.exit_code()
    }
}

/// The weight that a patch sets for the canary: the only integer in it that belongs to the canary's destination.
fn canary_weight(call: &Value) -> u64 {
    let patches = call["body"].as_array().expect("a JSON patch");
    let is_weight = |patch: &&Value| {
        let path = patch["path"].as_str().unwrap_or_default();
        patch["op"] == "replace" && path.ends_with("/weight")
    };
    let weights: Vec<(String, u64)> =
        patches.iter().filter(is_weight).map(|p| (p["path"].as_str().unwrap().to_owned(), p["value"].as_u64().unwrap())).collect();
    // The baseline stands first in the route, the canary last.
    weights.into_iter().max().expect("a weight in the patch").1
}
