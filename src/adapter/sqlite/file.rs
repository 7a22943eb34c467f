//! The file: where it may lie, who may read it, and what it must hold.

use super::fault::{BUSY, cause, is_busy};
use crate::domain::text::clean_bounded;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The schema this program reads and writes.
const SCHEMA: i64 = 1;
/// `gngo`: marks the file as ours, so that nobody else's database is taken for a journal.
const APPLICATION: i64 = 0x676e_676f;

/// Opens the journal's database, making directory and file if they are not there. Blocks.
pub(super) fn connect(path: &Path) -> Result<Connection, String> {
    let named = clean_bounded(&path.display().to_string(), 200);
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    prepare_directory(&directory)?;
    prepare_file(path).map_err(|e| format!("{named} cannot be opened for writing: {e}; make it yours, or set XDG_STATE_HOME"))?;
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|e| format!("{named}: {}", cause(&e)))?;
    // Two processes that open a new file at once: SQLite answers one of them "busy" without waiting, to avoid a deadlock.
    let pause = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    loop {
        match settle(&mut connection) {
            Err(Trouble::Sqlite(e)) if is_busy(&e) && waited < BUSY => {
                std::thread::sleep(pause);
                waited += pause;
            }
            Ok(()) => return Ok(connection),
            Err(Trouble::Sqlite(e)) => return Err(format!("{named}: {}", cause(&e))),
            Err(Trouble::Refused(why)) => return Err(format!("{named} {why}")),
        }
    }
}

fn prepare_directory(directory: &Path) -> Result<(), String> {
    let named = clean_bounded(&directory.display().to_string(), 200);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|e| format!("directory {named} cannot be made: {e}; set XDG_STATE_HOME to a directory of yours"))?;
    match network_file_system(directory) {
        Some(kind) => Err(format!(
            "{named} lies on a network file system ({kind}), where a crash or a second machine can damage the journal; set XDG_STATE_HOME to a local directory"
        )),
        None => Ok(()),
    }
}

fn prepare_file(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let permissions = file.metadata()?.permissions();
        // SQLite gives the log the rights of the main file, so this covers it too.
        if permissions.mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
    }
    drop(file);
    Ok(())
}

enum Trouble {
    Sqlite(rusqlite::Error),
    Refused(String),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Checks the schema, makes it in a new file, and asks for durability. Of the settings only the log's mode stays in the file.
fn settle(connection: &mut Connection) -> Result<(), Trouble> {
    connection.busy_timeout(BUSY)?;
    // Before anything is written: a file that is not ours must stay as it is.
    let found = {
        let snapshot = connection.transaction()?;
        whose(&snapshot)?
    };
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Trouble::Refused(format!("cannot keep a write-ahead log here (mode {mode}); use a local disk")));
    }
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // On macOS an ordinary fsync does not reach the platter. A no-op elsewhere.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // Sorting must not fail because /tmp is full.
    connection.pragma_update(None, "temp_store", "memory")?;
    if found == Whose::Nobodys {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been quicker.
        if whose(&transaction)? == Whose::Nobodys {
            transaction.execute_batch(include_str!("schema.sql"))?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Whose {
    Nobodys,
    Ours,
}

/// Asked within a transaction, so that the three answers belong together.
fn whose(connection: &Connection) -> Result<Whose, Trouble> {
    let read = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (read("application_id")?, read("user_version")?);
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version) {
        (0, 0) if objects == 0 => Ok(Whose::Nobodys),
        (APPLICATION, SCHEMA) => Ok(Whose::Ours),
        (APPLICATION, newer) if newer > SCHEMA => Err(Trouble::Refused(format!(
            "was written by a newer gonogo (schema {newer}; this one knows {SCHEMA}); use that version, or another state directory"
        ))),
        _ => Err(Trouble::Refused("is not a journal of gonogo; move it away, or use another state directory".to_owned())),
    }
}

/// Type of the network file system that `directory` lies on. Nothing for local ones, and where it cannot be told cheaply.
fn network_file_system(directory: &Path) -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        let directory = directory.canonicalize().ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let kind = file_system_of(&mounts, &directory)?;
        ["nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs"]
            .contains(&kind.as_str())
            .then_some(kind)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = directory;
        None
    }
}

/// File system type of the deepest mount that holds `directory`; of several on one point the last is on top.
#[cfg(target_os = "linux")]
fn file_system_of(mountinfo: &str, directory: &Path) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mountinfo.lines() {
        let Some((mount, rest)) = line.split_once(" - ") else { continue };
        let (Some(point), Some(kind)) = (mount.split(' ').nth(4), rest.split(' ').next()) else { continue };
        let point = PathBuf::from(point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\"));
        let depth = point.components().count();
        if directory.starts_with(&point) && best.is_none_or(|(deepest, _)| depth >= deepest) {
            best = Some((depth, kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_decides_and_a_later_one_covers_an_earlier() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      30 22 0:40 / /home rw shared:1 - nfs4 server:/home rw\n\
                      31 30 8:2 / /home/a\\040b rw - xfs /dev/sdb rw\n\
                      32 22 0:41 / /mnt rw - ext4 /dev/sdc rw\n\
                      33 22 0:42 / /mnt rw - cifs //server/x rw\n";
        let kind = |path: &str| file_system_of(mounts, Path::new(path));
        assert_eq!(kind("/home/ann/.local/state").as_deref(), Some("nfs4"));
        assert_eq!(kind("/home/a b/state").as_deref(), Some("xfs"));
        assert_eq!(kind("/homes/ann").as_deref(), Some("ext4"));
        assert_eq!(kind("/mnt/state").as_deref(), Some("cifs"));
    }
}
