//! Launch day: three people at three terminals of one machine, from the first item to the act that they agreed to, with a no-go and a
//! withdrawal on the way. Ada launches and drives, Jon is on call and speaks for payments from a cockpit of his own, Ines tests and
//! speaks from the command line.

use super::terminal::{ENTER, OPENING, Terminal, environment};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

const PLAYBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/playbooks/launch-day-checklist.yaml");

/// A simulator, and the folder in which everybody finds it.
struct Room {
    place: TempDir,
    /// Runs as long as the room is there.
    _sim: Terminal,
}

impl Room {
    fn open() -> Self {
        let place = TempDir::new().unwrap();
        let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
        let sim = Terminal::open(100, 24, place.path(), &["sim", "--dir", &path("room"), "--calls", &path("calls")]);
        sim.wait_within(OPENING, "the simulator", |screen| screen.contains("simulator ready"));
        Self { place, _sim: sim }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn config(&self) -> String {
        self.path("room/config.toml").to_str().unwrap().to_owned()
    }

    /// A terminal of somebody.
    fn sit_down(&self, who: &str, args: &[&str]) -> Terminal {
        let config = self.config();
        let all: Vec<&str> = args.iter().copied().chain(["--config", &config, "--as", who]).collect();
        Terminal::open(120, 36, self.place.path(), &all)
    }

    /// A command of somebody.
    fn gonogo(&self, who: &str, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
        command.env_clear().envs(environment(self.place.path())).current_dir(self.place.path());
        command.args(["--config", &self.config(), "--as", who]).args(args).output().unwrap()
    }

    /// What is said to a command that ends with this code.
    #[track_caller]
    fn said(&self, who: &str, code: i32, args: &[&str]) -> String {
        let output = self.gonogo(who, args);
        assert_eq!(output.status.code(), Some(code), "{who} {args:?}: {output:?}");
        String::from_utf8(if output.stdout.is_empty() { output.stderr } else { output.stdout }).unwrap()
    }

    /// The canary weights of all acts that the platform applied.
    fn weights(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        let calls = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        calls.filter(|call| call["kind"] == "act").map(|call| call["result"].clone()).collect()
    }
}

/// Waits until a prompt with this title takes keys.
fn ready(terminal: &Terminal, title: &str) -> String {
    terminal.wait_for(&format!("the prompt {title:?} to take keys"), |screen| screen.contains(title) && !screen.contains("keys count in"))
}

/// Answers the item that is asked first.
fn answer(terminal: &mut Terminal, challenge: &str, text: &str, then: &str) {
    terminal.type_keys("D");
    ready(terminal, "ANSWER AN ITEM");
    terminal.wait_text(&[challenge]);
    terminal.type_keys(text);
    terminal.press(ENTER);
    terminal
        .wait_for(&format!("{challenge:?} to be answered: {then:?}"), |screen| !screen.contains("ANSWER AN ITEM") && screen.contains(then));
}

/// Reads the code of the plan off the open prompt and types it.
fn type_code(terminal: &mut Terminal) -> String {
    let screen = ready(terminal, "type the code of the plan");
    let code = screen.lines().rev().find_map(|line| line.trim().strip_prefix("type ")?.split(',').next().map(str::to_owned)).unwrap();
    assert_eq!(code.len(), 8, "{screen}");
    terminal.type_keys(&code);
    terminal.press(ENTER);
    code
}

/// A yes to a small question.
fn yes(terminal: &mut Terminal, key: &str, title: &str) {
    terminal.type_keys(key);
    terminal.wait_for(&format!("{title:?}"), |screen| screen.contains(title) && screen.contains("(default)"));
    terminal.type_keys("y");
    terminal.wait_for("the prompt to close", |screen| !screen.contains(title));
}

#[test]
fn launch_day_from_the_first_item_to_go_by_three_people_at_three_terminals() {
    let room = Room::open();
    let mut ada = room.sit_down("ada", &["run", PLAYBOOK, "-p", "calm=10s"]);
    ada.wait_within(OPENING, "the question whether to start", |screen| screen.contains("START") && screen.contains("(default)"));
    ada.type_keys("y");
    ada.wait_text(&["NOW step 1/11: Platform", "driver ada (you)"]);
    yes(&mut ada, "A", "ARM THIS COCKPIT");
    let mut jon = room.sit_down("jon", &[]);
    jon.wait_within(OPENING, "the run", |screen| screen.contains("NOW step 1/11: Platform"));

    // The first block is Jon's: nobody else's answer is written.
    let list = room.said("ines", 0, &["answer"]);
    assert!(list.contains("for sre (jon") && list.contains("not yours") && list.contains("the number you read"), "{list}");
    assert!(room.said("ines", 9, &["answer", "1", "applied"]).contains("ines is not sre"));
    jon.type_keys("6");
    jon.wait_text(&["4 for you"]);
    answer(&mut jon, "Database migrations for v2.42.0", "applied", "Platform, 1 of 4");
    answer(&mut jon, "Age of the last backup, hours", "3", "Platform, 2 of 4");
    answer(&mut jon, "Error budget left, percent", "63", "Platform, 3 of 4");
    answer(&mut jon, "On call first and second, by name", "jon and kim", "Platform complete, 4 of 4");

    // The second block answers itself, and lets nobody speak for it; the third is of all three.
    ada.type_keys("6");
    ada.wait_text(&["Systems complete, 5 of 5", "People, 0 of 5"]);
    assert_eq!(room.gonogo("ines", &["answer", "1", "red"]).status.code(), Some(3), "recorded, and it does not let the step pass");
    ada.wait_text(&["✗ NO ", "  red"]);
    room.said("ines", 0, &["answer", "1", "green"]);
    room.said("ines", 0, &["answer", "people", "2", "1"]);
    jon.wait_text(&["People, 2 of 5", "2 for you"]);
    answer(&mut jon, "Payment provider's status page says", "operational", "People, 3 of 5");
    answer(&mut jon, "Refunds of the last hour", "12", "People, 4 of 5");
    ada.wait_text(&["People, 4 of 5", "1 for you"]);
    answer(&mut ada, "Rollback owner, by name", "ada", "GO / NO-GO POLL");

    // The poll: pending is not go, and the decider is last.
    ada.wait_text(&["GO / NO-GO POLL   4 PENDING", "code ", "speaks last: ada"]);
    ada.type_keys("Y");
    ada.wait_text(&["GO IS OFF", "the decider goes last"]);
    ada.press(super::terminal::ESC);
    let board = room.said("ines", 5, &["poll"]);
    assert!(board.contains("set weight") || board.contains("canary"), "{board}");
    // Ines says no: the run stops, on every terminal.
    room.said("ines", 9, &["poll", "no-go"]);
    room.said("ines", 0, &["poll", "no-go", "--reason", "refunds of the smoke test hang"]);
    for terminal in [&ada, &jon] {
        terminal.wait_text(&["1 NO-GO", "refunds of the smoke test hang", "HELD"]);
    }
    room.said("ines", 3, &["poll"]);
    // Jon speaks for both of his roles meanwhile.
    for (place, role) in [("1", "sre"), ("2", "payments")] {
        jon.type_keys("Y");
        ready(&jon, "GO FOR WHICH ROLE?");
        jon.type_keys(place);
        type_code(&mut jon);
        jon.wait_for(&format!("{role} to stand at go"), |screen| {
            screen.lines().any(|line| line.contains(&format!(" {role} ")) && line.contains("GO  ") && line.contains("jon (asserted)"))
        });
    }
    // She takes it back, and says go to the plan that the board shows.
    room.said("ines", 0, &["poll", "withdraw"]);
    jon.wait_text(&["2 GO   2 PENDING"]);
    assert!(room.said("ines", 10, &["poll", "go", "--code", "00000000"]).contains("is not the code"));
    let board: Value = serde_json::from_str(&room.said("ines", 5, &["poll", "--json"])).unwrap();
    let code = board["plan"]["code"].as_str().unwrap().to_owned();
    assert!(room.said("ines", 0, &["poll", "go", "--code", &code]).contains("it waits for launch-director"));

    // The hold of the no-go is the driver's to release; then the director's word lets the run go on.
    ada.wait_text(&["3 GO   1 PENDING"]);
    yes(&mut ada, "U", "RELEASE THE HOLD");
    ada.type_keys("Y");
    assert_eq!(type_code(&mut ada), code, "all have agreed to one plan");
    ada.wait_text(&["APPROVAL", "step 6/11"]);

    // Two others agree to the exact act, and only then it is asked of the driver.
    let to_approve = room.said("ines", 5, &["approve"]);
    assert!(to_approve.contains(&format!("gonogo approve {code}")), "{to_approve}");
    room.said("ada", 9, &["approve", &code]);
    room.said("ines", 0, &["approve", &code]);
    assert!(room.said("ines", 9, &["approve", &code]).contains("one person counts once"));
    jon.wait_text(&["APPROVAL", "1 GO   1 PENDING"]);
    jon.type_keys("Y");
    assert_eq!(type_code(&mut jon), code);
    ada.wait_text(&["step 7/11"]);
    assert!(room.weights().is_empty(), "nothing was written before all agreed: {:?}", room.weights());
    ada.type_keys("P");
    ada.wait_for("a plan to confirm", |screen| screen.contains("PROMOTE CANARY") && screen.contains("Esc cancels.  Pasted text"));
    ada.type_keys("5");
    ada.press(ENTER);
    ada.wait_text(&["CANARY 5%", "step 8/11"]);
    assert_eq!(room.weights(), ["applied"]);

    let story = room.said("ada", 0, &["show"]);
    let parts = [
        "Platform item 1: applied",
        "People item 1: red (not what is needed)",
        "People item 5: ada",
        "NO-GO for qa: refunds of the smoke test hang",
        ": GO for sre",
        "withdrawn for qa",
        ": GO for qa",
        "hold released",
        ": GO for launch-director",
        "promote 0% -> 5%, typed 5",
    ];
    let places: Vec<usize> = parts.iter().map(|part| story.find(part).unwrap_or_else(|| panic!("{part:?} in\n{story}"))).collect();
    assert!(places.is_sorted(), "{places:?} in\n{story}");
    for who in ["ada", "jon", "ines"] {
        assert!(story.lines().any(|line| line.contains(&format!(" {who} ")) && line.contains("person")), "{who} in\n{story}");
    }
}

#[test]
fn the_scene_begins_at_hold_and_what_the_program_sees_goes_stale_and_red_and_good_again() {
    let mut demo = super::demo::Demo::open("checklist", &["--speed", "4"]);
    demo.terminal.wait_text(&["VERDICT HOLD", "step 2/11", "seen 0.0%"]);
    demo.terminal.type_keys("6");
    demo.terminal.wait_text(&["Platform complete, 4 of 4", "Systems, 4 of 5", "? HOLDING"]);
    demo.terminal.wait_text(&["~ STALE", "VERDICT UNKNOWN"]);
    demo.terminal.wait_text(&["✗ FAIL", "VERDICT NO-GO", "was good until"]);
    demo.terminal.wait_text(&["Systems complete, 5 of 5", "People, 0 of 5"]);
    assert!(demo.calls().is_empty());
}
