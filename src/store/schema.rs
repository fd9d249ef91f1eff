//! Owns: making a store, opening one, and the steps between its versions.
//! Never: what is in it.
//!
//! A new store is built aside and linked into place, so that `taskq.db` is either whole or not there: an
//! empty file under that name is damage, and is refused like any other.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior};

use super::commits;
use super::directory::{DATABASE, Directory, LOG};
use super::error::{StoreError, StoreResult, unusable};
use super::log;
use super::open_files::{OpenFiles, Opening};

/// Marks the file as ours, `PRAGMA application_id`: "task" in ASCII.
const APPLICATION_ID: i64 = 0x7461_736b;

/// Each step takes a store from the version of its index to the next; `PRAGMA user_version` holds the
/// version.
const STEPS: &[&str] =
    &[include_str!("schema.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];

/// How long a write waits for another's: longer than any transaction of ours, shorter than a person's
/// patience.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The pages that one connection may cache, in KiB: the daemon's memory must not grow with the history.
const CACHE_KIB: i64 = 1024;

/// Where the header of a database says that it has a log (<https://sqlite.org/fileformat2.html>), and how.
const JOURNAL_VERSIONS: std::ops::Range<usize> = 18..20;
const HAS_LOG: u8 = 2;

/// An open database, and what it was opened as.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) files: OpenFiles,
}

/// Tells whether there is a store in the directory.
///
/// # Errors
/// Fails if there is what only stands beside a database.
pub(super) fn exists(directory: &Directory) -> StoreResult<bool> {
    // In this order: whoever makes a store makes the database first.
    let mut beside = Vec::new();
    for name in [LOG, commits::NOTE] {
        // An empty log was never written to: after a power cut its name may be there and the database's not.
        let found = directory.inspect(name)?.filter(|found| name != LOG || found.len() > 0);
        beside.extend(found.map(|_| name));
    }
    if directory.inspect(DATABASE)?.is_some() {
        return Ok(true);
    }
    let path = directory.path().join(DATABASE);
    match beside.first() {
        Some(&LOG) => Err(StoreError::Unusable(format!(
            "`{}` is gone and its log is still there: the store is damaged",
            path.display()
        ))),
        Some(name) => Err(StoreError::Unusable(format!(
            "`{}` is gone and `{name}` is still there: the store is damaged",
            path.display()
        ))),
        None => Ok(false),
    }
}

/// Opens the store in the directory, and makes it where there is none. One of an earlier version is refused.
pub(super) fn open(directory: &Directory) -> StoreResult<Opened> {
    let opened = open_any(directory)?;
    if version_of(&opened.connection)? < latest() { Err(StoreError::Older) } else { Ok(opened) }
}

/// The same, and brings one of an earlier version up to date.
pub(super) fn open_upgraded(directory: &Directory) -> StoreResult<Opened> {
    let mut opened = open_any(directory)?;
    if version_of(&opened.connection)? < latest() {
        sync_names(directory)?;
        upgrade(&mut opened.connection)?;
    }
    Ok(opened)
}

/// Makes a store that is in memory only.
pub(super) fn in_memory() -> StoreResult<Connection> {
    let mut connection = Connection::open_in_memory()?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    upgrade(&mut connection)?;
    Ok(connection)
}

/// Opens the store in the directory, of this version or an earlier one.
fn open_any(directory: &Directory) -> StoreResult<Opened> {
    directory.close_to_others()?;
    directory.make_outputs()?;
    if !exists(directory)? {
        create(directory)?;
    }
    let noted = commits::noted(directory);
    let opening = Opening::begin()?;
    let mut opened = connect(directory, &opening)?;
    check_kind(&opened.connection)?;
    if !opened.files.has_log() {
        // As `sqlite3` leaves a database that it has recovered.
        opened.connection.pragma_update(None, "journal_mode", "wal")?;
        opened.files = OpenFiles::of(&opening, directory)?;
    }
    commits::check(&opened.connection, noted)?;
    Ok(opened)
}

/// Refuses a database that is not a store, or of a later version.
fn check_kind(connection: &Connection) -> StoreResult<()> {
    let version = version_of(connection)?;
    if version == latest() {
        return Ok(());
    }
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID || version < 1 {
        return Err(StoreError::Unusable("`taskq.db` is not a store of taskq".to_owned()));
    }
    check_version(connection)
}

fn create(directory: &Directory) -> StoreResult<()> {
    let name = format!("{DATABASE}.new.{}", std::process::id());
    let (aside, image) = (directory.below(&name), image()?);
    let io = |error: io::Error| unusable(directory.path(), &error);
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        Ok(()) | Err(_) => {}
    }
    // Its mode never depends on the umask; SQLite gives its other files the same mode.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside);
    let built = file.and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(&image)?;
        file.sync_all()?;
        match fs::hard_link(&aside, directory.below(DATABASE)) {
            // Somebody else was first; theirs is as good.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    });
    let removed = fs::remove_file(&aside);
    built.and(removed).map_err(io)
}

/// Waits until the names that lead to the log are on disk: SQLite is built not to sync directories. To be called
/// before a process writes to the log for the first time.
///
/// It does not matter which process made the log, the database or a directory: that one may have died since. A
/// log that is not empty was written to by a process that had synced the names. The note is made after a commit,
/// so where it is, the directories above the store are on disk too.
pub(super) fn sync_names(directory: &Directory) -> StoreResult<()> {
    if directory.inspect(LOG)?.is_some_and(|log| log.len() > 0) {
        return Ok(());
    }
    directory.sync()?;
    if directory.inspect(commits::NOTE)?.is_none() { directory.sync_ancestors() } else { Ok(()) }
}

/// Returns the bytes of a new database: built in memory, so that SQLite opens nothing by a name before it is
/// checked.
fn image() -> StoreResult<Vec<u8>> {
    let mut connection = in_memory()?;
    let mut image = connection.serialize(MAIN_DB)?.to_vec();
    image[JOURNAL_VERSIONS].fill(HAS_LOG);
    Ok(image)
}

/// Opens an existing database; never makes one.
fn connect(directory: &Directory, opening: &Opening) -> StoreResult<Opened> {
    let path = directory.path().join(DATABASE);
    if directory.inspect_database()?.is_some_and(|metadata| metadata.len() == 0) {
        return Err(StoreError::Unusable(format!("`{}` is empty: the store is damaged", path.display())));
    }
    directory.inspect_file(LOG)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.below(DATABASE), flags)?;
    // Before anything is read: reading brings the log's index up to date, which may be another's.
    opening.check(directory, &[DATABASE])?;
    set_up(&connection, directory)?;
    version_of(&connection)?;
    let files = OpenFiles::of(opening, directory)?;
    Ok(Opened { connection, files })
}

fn set_up(connection: &Connection, directory: &Directory) -> StoreResult<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The last process to close would else copy the whole log back, and pay for it with two more syncs: that
    // belongs to the daemon, and to whoever writes the last page that the log is given.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // A plan that looks at the values of parameters is made anew for each: several times in every turn of the
    // daemon.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA wal_autocheckpoint = {};",
        log::frames(directory)
    ))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The version that this program knows.
fn latest() -> i64 {
    i64::try_from(STEPS.len()).expect("there are few steps")
}

fn version_of(connection: &Connection) -> StoreResult<i64> {
    let mut statement = connection.prepare_cached("PRAGMA user_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Refuses a store of a later version: what is new in it would be passed over. In every transaction that
/// writes, since another process may have brought the store there while this one had it open.
pub fn check_version(connection: &Connection) -> StoreResult<()> {
    let (version, latest) = (version_of(connection)?, latest());
    if version > latest {
        return Err(StoreError::Unusable(format!(
            "the store has schema {version}, this taskq knows schemas up to {latest}: use the taskq that wrote it, or a later one"
        )));
    }
    Ok(())
}

/// Takes the steps that are missing, all or none.
fn upgrade(connection: &mut Connection) -> StoreResult<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read under the lock: another process may be upgrading it too.
    let current = version_of(&transaction)?;
    for (index, step) in (0i64..).zip(STEPS) {
        if index >= current {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", index + 1)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_the_first_schema_is_brought_up_to_date_and_keeps_its_jobs() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("the directory is ours");
        let old = Connection::open(dir.path().join(DATABASE)).expect("the directory is ours");
        old.pragma_update(None, "application_id", APPLICATION_ID).expect("it is open");
        old.execute_batch(STEPS[0]).expect("the first schema");
        old.execute_batch(
            "PRAGMA user_version = 1;
             INSERT INTO environment (id, hash, vars) VALUES (1, 0, x'');
             INSERT INTO job (id, created_at, command, is_script, cwd, environment_id, umask, queue, priority, overlap, missed,
                grace_us, kill_after_us) VALUES (7, 0, x'3a', 1, x'2f', 1, 18, 'default', 0, 'skip', 'once', 0, 0);
             INSERT INTO trigger (job_id, kind, expr, next_at, held) VALUES (7, 'cron', '@daily', 1, 0);",
        )
        .expect("rows of the first schema");
        let directory = Directory::make(dir.path()).expect("it is ours");
        let refused = open(&directory).expect_err("another process may be serving it");
        assert!(matches!(refused, StoreError::Older), "{refused}");
        assert_eq!(version_of(&old).expect("it is open"), 1);
        drop(old);
        let upgraded = open_upgraded(&directory).expect("it is a store").connection;
        let version = version_of(&upgraded).expect("it is open");
        let delay: i64 = upgraded
            .query_row("SELECT delay_us FROM trigger WHERE job_id = 7", [], |row| row.get(0))
            .expect("it is there");
        assert_eq!((version, delay), (latest(), 0));
    }

    #[test]
    fn a_database_that_is_gone_while_its_log_is_there_is_not_replaced() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::make(dir.path()).expect("it is ours");
        let log = dir.path().join(LOG);
        fs::write(&log, "what was acknowledged last").expect("the directory is ours");
        let refused = open(&directory).expect_err("it would be replayed into the new one").to_string();
        assert!(refused.contains("is gone and its log is still there"), "{refused}");
        assert!(!dir.path().join(DATABASE).exists() && log.exists());
    }
}
