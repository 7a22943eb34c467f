//! Keys that must not write: everything but a confirmed capital, in every view; and everything that was not typed by a person.

use super::demo::{Demo, VIEWS};
use super::terminal::{ENTER, ESC, TAB};

/// A terminal's bracketed paste.
fn pasted(text: &str) -> String {
    format!("\x1b[200~{text}\x1b[201~")
}

/// Function and movement keys, as xterm sends them.
const NAMED: [&str; 26] = [
    "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[5~", "\x1b[6~", "\x1b[2~", "\x1b[3~", "\x1b[Z", "\x1bOP", "\x1bOQ",
    "\x1bOR", "\x1bOS", "\x1b[15~", "\x1b[17~", "\x1b[18~", "\x1b[19~", "\x1b[20~", "\x1b[21~", "\x1b[23~", "\x1b[24~", ENTER, TAB, "\x7f",
];

#[test]
fn what_was_not_typed_never_confirms() {
    let mut demo = Demo::open("ready-50", &[]);
    demo.terminal.wait_text(&["VERDICT GO"]);
    demo.arm();

    // Typed ahead, in one write: the prompt has not even opened.
    demo.terminal.send("P50\r");
    demo.prompt_closed();
    // Within the guard time, at a person's speed.
    demo.terminal.type_keys("P50");
    demo.terminal.press(ENTER);
    demo.plan_ready();
    let screen = demo.terminal.screen();
    assert!(screen.contains("[ _"), "the field is empty:\n{screen}");
    // Once it takes keys: in one write, and as a paste.
    demo.terminal.send("50\r");
    demo.terminal.wait_text(&["too fast to be typed"]);
    demo.terminal.send(&pasted("50"));
    demo.terminal.wait_text(&["pasted text is refused"]);
    demo.terminal.press(ENTER);
    demo.terminal.wait_text(&["Enter alone confirms nothing"]);
    demo.terminal.send(&pasted("50\r"));
    demo.terminal.wait_text(&["pasted text is refused: type the number"]);
    // Another number than the one that is asked for.
    demo.terminal.type_keys("5");
    demo.terminal.press(ENTER);
    demo.terminal.wait_text(&["you typed 5"]);
    demo.escape();
    demo.prompt_closed();

    // The way back is no easier to trigger by accident.
    demo.terminal.send("B0\r");
    demo.prompt_closed();
    demo.terminal.type_keys("B0");
    demo.terminal.press(ENTER);
    demo.plan_ready();
    demo.terminal.send("0\r");
    demo.terminal.wait_text(&["too fast to be typed"]);
    demo.terminal.send(&pasted("0\r"));
    demo.terminal.wait_text(&["pasted text is refused"]);
    demo.escape();
    demo.prompt_closed();
    assert!(demo.calls().is_empty(), "{:?}", demo.calls());

    // A hold is one typed key; a paste with an H in it is none.
    demo.terminal.send("HHHH");
    demo.terminal.wait_text(&["too fast"]);
    demo.terminal.send(&pasted("HELLO"));
    demo.terminal.wait_text(&["pasted text does nothing here"]);
    assert!(!demo.story().contains("HELD"), "{}", demo.story());
    demo.terminal.type_keys("H");
    demo.terminal.wait_text(&["VERDICT HOLD", "pressed H"]);
    let story = demo.story();
    assert!(story.contains("pressed H"), "{story}");
    assert!(demo.calls().is_empty(), "{:?}", demo.calls());
}

#[test]
fn no_key_but_a_confirmed_capital_writes_in_any_view() {
    let mut demo = Demo::open("ready-50", &[]);
    demo.terminal.wait_text(&["VERDICT GO"]);
    demo.arm();
    for view in VIEWS {
        demo.terminal.press(ESC);
        demo.terminal.type_keys(&view.to_string());
        for key in ' '..='~' {
            // Leaving has its own tests, and the digits would leave this view.
            if key == 'q' || key.is_ascii_digit() {
                continue;
            }
            demo.terminal.type_keys(&key.to_string());
            // What a person's next keys would be, if the prompt took them for an answer.
            if key.is_ascii_uppercase() || key == '/' || key == '?' {
                demo.terminal.press(ENTER);
                demo.terminal.press(ESC);
            }
        }
        for letter in 'a'..='z' {
            // These end, suspend, or stop the output by the terminal's own rules; Ctrl-I, -J, -M and -H are Tab, Enter and Backspace.
            if !"czsq".contains(letter) {
                demo.terminal.press(&char::from(letter as u8 & 0x1f).to_string());
            }
        }
        for key in NAMED {
            demo.terminal.press(key);
        }
        demo.terminal.press(ESC);
    }
    let story = demo.story();
    assert!(demo.calls().is_empty(), "{:?}\n{story}", demo.calls());
    assert!(story.contains("pressed H"), "the keys did arrive:\n{story}");
    assert!(!demo.gonogo(&["status"]).stdout.is_empty(), "and the cockpit is still alive");
}
