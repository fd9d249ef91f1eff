//! Owns: making a store, opening one, and the steps between its versions.
//! Never: what is in it.
//!
//! A new store is built aside and linked into place, so that `taskq.db` is either whole or not there: an empty file under
//! that name is damage, and is refused like any other.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::{StoreError, StoreResult};
use crate::error::system_cause;

/// Marks the file as ours, `PRAGMA application_id`: "task" in ASCII.
const APPLICATION_ID: i64 = 0x7461_736b;

/// Each step takes a store from the version of its index to the next; `PRAGMA user_version` holds the version.
const STEPS: &[&str] = &[include_str!("schema.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];

/// How long a write waits for another's: longer than any transaction of ours, shorter than a person's patience.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The pages that one connection may cache, in KiB: the daemon's memory must not grow with the history.
const CACHE_KIB: i64 = 1024;

/// The length of a log of a thousand frames, after which SQLite checkpoints and begins it anew: a header, and a header and a
/// page for each (<https://sqlite.org/fileformat2.html#walformat>).
const LOG_BYTES: u64 = 32 + 1_000 * (24 + 4_096);

/// Returns the database's path in a store's directory.
pub fn database_path(dir: &Path) -> PathBuf {
    dir.join("taskq.db")
}

/// Returns the path of the log that SQLite keeps beside the database (WAL).
fn log_path(dir: &Path) -> PathBuf {
    dir.join("taskq.db-wal")
}

/// Opens the store in `dir`, and makes it where there is none. One of an earlier version is refused.
pub fn open(dir: &Path) -> StoreResult<Connection> {
    let connection = open_any(dir)?;
    if version_of(&connection)? < latest() { Err(StoreError::Older) } else { Ok(connection) }
}

/// The same, and brings one of an earlier version up to date.
pub fn open_upgraded(dir: &Path) -> StoreResult<Connection> {
    let mut connection = open_any(dir)?;
    if version_of(&connection)? < latest() {
        upgrade(&mut connection)?;
    }
    Ok(connection)
}

/// Opens the store in `dir`, of this version or an earlier one.
fn open_any(dir: &Path) -> StoreResult<Connection> {
    let path = database_path(dir);
    check_directory(dir)?;
    // In this order: whoever makes a store makes the database first.
    let has_log = log_path(dir).exists();
    if !path.try_exists().map_err(|error| unusable(dir, &error))? {
        if has_log {
            return Err(StoreError::Unusable(format!(
                "`{}` is gone and its log is still there: the store is damaged",
                path.display()
            )));
        }
        create(dir, &path)?;
    }
    let connection = connect(&path)?;
    let version = version_of(&connection)?;
    if version == latest() {
        return Ok(connection);
    }
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID || version < 1 {
        return Err(StoreError::Unusable("`taskq.db` is not a store of taskq".to_owned()));
    }
    check_version(&connection)?;
    Ok(connection)
}

/// Gives the log the length that it has between two checkpoints, in zeros, which are no frames.
///
/// A commit that lengthens the log waits for the file system's journal, two to three times as long as one that overwrites.
/// What is there is not touched: zeros go behind the end of the file, and the write lock keeps others from doing the same.
pub fn lengthen_log(connection: &mut Connection, dir: &Path) -> StoreResult<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let path = log_path(dir);
    let lengthened = OpenOptions::new().append(true).open(&path).and_then(|mut log| {
        let length = log.metadata()?.len();
        let missing = LOG_BYTES.saturating_sub(length);
        let written = log.write_all(&vec![0; usize::try_from(missing).unwrap_or(0)]).and_then(|()| log.sync_all());
        // What little room there is belongs to commits.
        written.or_else(|error| log.set_len(length).and(Err(error)))
    });
    transaction.rollback()?;
    lengthened.map_err(|error| unusable(&path, &error))
}

fn unusable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unusable(format!("`{}`: {}", path.display(), system_cause(&error.to_string())))
}

/// Makes the directory, or sees to it that it is ours alone.
fn check_directory(dir: &Path) -> StoreResult<()> {
    make_directory(dir)?;
    let metadata = fs::metadata(dir).map_err(|error| unusable(dir, &error))?;
    let user = nix::unistd::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(StoreError::Unusable(format!(
            "the store `{}` belongs to user {}, not to user {user}",
            dir.display(),
            metadata.uid()
        )));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        // `--dir .` or `--dir /tmp` is a slip, and must not lock others out of a directory that they share.
        let is_empty = fs::read_dir(dir).map_err(|error| unusable(dir, &error))?.next().is_none();
        if !is_empty && !database_path(dir).exists() && !log_path(dir).exists() {
            return Err(StoreError::Unusable(format!(
                "`{}` holds other things and is open to others: a store has a directory of its own, with mode 700",
                dir.display()
            )));
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(|error| unusable(dir, &error))?;
    }
    make_directory(&dir.join("log"))
}

/// Makes a directory that is ours alone, whatever the umask; one that is there is left as it is.
fn make_directory(path: &Path) -> StoreResult<()> {
    let failed = |error: io::Error| unusable(path, &error);
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(StoreError::Unusable(format!("`{}` is not a directory", path.display())))
        }
        Err(error) => Err(failed(error)),
    }
}

fn create(dir: &Path, path: &Path) -> StoreResult<()> {
    let aside = dir.join(format!("taskq.db.new.{}", std::process::id()));
    let io = |error: io::Error| unusable(dir, &error);
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        Ok(()) | Err(_) => {}
    }
    // Made here, so that its mode never depends on the umask; SQLite gives its other files the same mode.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(io)?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(io)?;
    let built = build(&aside).and_then(|()| {
        File::open(&aside).and_then(|file| file.sync_all()).map_err(io)?;
        match fs::hard_link(&aside, path) {
            // Somebody else was first; theirs is as good.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other.map_err(io),
        }
    });
    fs::remove_file(&aside).map_err(io)?;
    built?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)
}

fn build(path: &Path) -> StoreResult<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    upgrade(&mut connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.close().map_err(|(_, error)| StoreError::from(error))
}

/// Opens an existing database; never makes one.
fn connect(path: &Path) -> StoreResult<Connection> {
    let empty = fs::metadata(path).map_err(|error| unusable(path, &error))?.len() == 0;
    if empty {
        return Err(StoreError::Unusable(format!("`{}` is empty: the store is damaged", path.display())));
    }
    let dir = path.parent().unwrap_or(Path::new("/"));
    let has_log = log_path(dir).exists();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The last process to close would else copy the whole log back, and pay for it with two more syncs: that belongs to
    // whoever writes the thousandth page.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // A plan that looks at the values of parameters is made anew for each: several times in every turn of the daemon.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -{CACHE_KIB};"
    ))?;
    connection.set_prepared_statement_cache_capacity(64);
    if !has_log {
        // SQLite is built not to sync directories: a log that this process makes must have its name on disk before the
        // first commit in it is acknowledged.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| unusable(dir, &error))?;
    }
    Ok(connection)
}

/// The version that this program knows.
fn latest() -> i64 {
    i64::try_from(STEPS.len()).expect("there are few steps")
}

fn version_of(connection: &Connection) -> StoreResult<i64> {
    let mut statement = connection.prepare_cached("PRAGMA user_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Refuses a store of a later version: what is new in it would be passed over. In every transaction that writes, since
/// another process may have brought the store there while this one had it open.
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
        let path = database_path(dir.path());
        let old = Connection::open(&path).expect("the directory is ours");
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
        let refused = open(dir.path()).expect_err("another process may be serving it");
        assert!(matches!(refused, StoreError::Older), "{refused}");
        assert_eq!(version_of(&old).expect("it is open"), 1);
        drop(old);
        let upgraded = open_upgraded(dir.path()).expect("it is a store");
        let version = version_of(&upgraded).expect("it is open");
        let delay: i64 = upgraded
            .query_row("SELECT delay_us FROM trigger WHERE job_id = 7", [], |row| row.get(0))
            .expect("it is there");
        assert_eq!((version, delay), (latest(), 0));
    }

    #[test]
    fn a_database_that_is_gone_while_its_log_is_there_is_not_replaced() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let log = dir.path().join("taskq.db-wal");
        fs::write(&log, "what was acknowledged last").expect("the directory is ours");
        let refused = open(dir.path()).expect_err("it would be replayed into the new one").to_string();
        assert!(refused.contains("is gone and its log is still there"), "{refused}");
        assert!(!database_path(dir.path()).exists() && log.exists());
    }
}
