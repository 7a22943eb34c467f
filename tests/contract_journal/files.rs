//! The file: rights, settings, and files that must not be touched.

use crate::place::Place;
use gonogo::adapter::sqlite;
use gonogo::port::JournalError;
use rusqlite::Connection;
use std::fs;
use std::sync::Barrier;

fn refusal(place: &Place) -> String {
    match place.try_open("a") {
        Err(JournalError::Store(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)]
#[test]
fn file_log_and_directory_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let place = Place::new();
    let journal = place.open("a");
    assert_eq!(mode(place.path().parent().unwrap()), 0o700);
    assert_eq!((mode(&place.path()), mode(&place.path().with_extension("db-wal"))), (0o600, 0o600));
    drop(journal);
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o644)).unwrap();
    drop(place.open("a"));
    assert_eq!(mode(&place.path()), 0o600);
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let place = Place::new();
    drop(place.open("a"));
    place.raw().pragma_update(None, "user_version", 2).unwrap();
    let before = fs::read(place.path()).unwrap();
    let why = refusal(&place);
    assert!(why.contains("newer gonogo (schema 2; this one knows 1)") && why.contains("journal.db"), "{why}");
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[test]
fn somebody_elses_file_is_refused_and_left_as_it_is() {
    let place = Place::new();
    fs::create_dir(place.path().parent().unwrap()).unwrap();
    Connection::open(place.path()).unwrap().execute_batch("CREATE TABLE bookmarks (url)").unwrap();
    let before = fs::read(place.path()).unwrap();
    assert!(refusal(&place).contains("not a journal of gonogo"));
    assert_eq!(fs::read(place.path()).unwrap(), before);
    fs::write(place.path(), "dear diary, ".repeat(500)).unwrap();
    assert!(refusal(&place).contains("not a database"), "{}", refusal(&place));
}

#[test]
fn a_directory_that_cannot_be_written_is_named_with_what_to_do() {
    let place = Place::new();
    // A file where the directory should be: refused for root too.
    fs::write(place.path().parent().unwrap(), "").unwrap();
    let why = refusal(&place);
    assert!(why.contains("state cannot be made") && why.contains("XDG_STATE_HOME"), "{why}");
    let place = Place::new();
    fs::create_dir_all(place.path()).unwrap();
    let why = refusal(&place);
    assert!(why.contains("journal.db cannot be opened for writing"), "{why}");
}

#[test]
fn many_may_open_a_new_file_at_once() {
    for _ in 0..40 {
        let place = Place::new();
        let together = Barrier::new(16);
        std::thread::scope(|scope| {
            for n in 0..16 {
                let settings = place.settings(&format!("s{n}"));
                let together = &together;
                scope.spawn(move || {
                    together.wait();
                    sqlite::open(settings).unwrap();
                });
            }
        });
    }
}
