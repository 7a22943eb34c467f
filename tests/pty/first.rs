//! The first minute.

use super::terminal::Terminal;
use tempfile::TempDir;

#[test]
fn without_a_configuration_it_says_what_to_do_next() {
    let place = TempDir::new().unwrap();
    let terminal = Terminal::open(80, 24, place.path(), &[]);
    assert_eq!(terminal.exit_code(), 0);
    terminal.wait_closed();
    let screen = terminal.screen();
    for part in ["gonogo demo", "gonogo doctor", "no configuration found at"] {
        assert!(screen.contains(part), "{part:?} in\n{screen}");
    }
    assert!(!terminal.bytes().windows(8).any(|w| w == b"\x1b[?1049h"), "no cockpit was opened");
}
