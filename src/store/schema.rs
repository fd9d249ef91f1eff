//! Owns: making a store, opening one, and the migrations between its versions.
//! Never: its content.
//!
//! A new store is built under another name and then linked as `taskq.db`, which is so either complete or
//! missing. An empty `taskq.db` is a damaged one.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior};

use super::directory::{DATABASE, Directory, LOG};
use super::error::{StoreError, StoreResult, unusable};
use super::log;
use super::open_files::{OpenFiles, Opening};
use super::{NOTE, commits};

/// `PRAGMA application_id` of a store: "tskq" in ASCII.
const APPLICATION_ID: i64 = 0x7473_6b71;

/// The same of development versions before schema 1: "task".
const EARLY_APPLICATION_ID: i64 = 0x7461_736b;

/// The schema of this program.
const SCHEMA: Schema = Schema::new(&[include_str!("schema.sql")], 0);

/// The migrations that make a store, each from one version to the next. `PRAGMA user_version` holds the
/// version: the number of steps. While the last step is not released and may change, it is a negative hash of
/// its text.
struct Schema {
    steps: &'static [&'static str],
    released: usize,
    /// Its version. It is a part of the constant, because every write compares it.
    latest: i64,
}

/// The version of a store, compared with that of this program.
#[derive(Debug, PartialEq, Eq)]
enum Age {
    Same,
    Older,
    Later,
    /// The schema was never released.
    Unreleased,
}

impl Schema {
    const fn new(steps: &'static [&'static str], released: usize) -> Self {
        let last = steps.len();
        let latest = if last == released { last as i64 } else { -hash(steps[last - 1].as_bytes()) };
        Self { steps, released, latest }
    }

    fn age(&self, version: i64) -> Age {
        let released = i64::try_from(self.released).expect("there are few steps");
        if version == self.latest {
            Age::Same
        } else if version < 0 {
            Age::Unreleased
        } else if version > released {
            Age::Later
        } else {
            Age::Older
        }
    }

    /// Applies the missing steps, all or none.
    fn upgrade(&self, connection: &mut Connection) -> StoreResult<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Read under the lock, because another process may upgrade it too.
        let version = version_of(&transaction)?;
        if self.age(version) == Age::Older {
            for step in
                &self.steps[usize::try_from(version).expect("an older version is a number of steps")..]
            {
                transaction.execute_batch(step)?;
            }
            transaction.pragma_update(None, "user_version", self.latest)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// FNV-1a, as a positive number of 31 bits, because `user_version` has 32 bits with a sign.
const fn hash(bytes: &[u8]) -> i64 {
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash >> 1) as i64 + 1
}

/// How long a write waits for the write lock: longer than any of our transactions, but not too long for a
/// user.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a look waits, for example for a process that recovers the log: a person waits for the answer.
const LOOK_TIMEOUT: Duration = Duration::from_millis(20);

/// The page cache of a look: enough to read no page twice.
const LOOK_CACHE_KIB: i64 = 8 * 1024;

/// The page cache of a connection, in KiB. The memory of the daemon must not grow with the history.
const CACHE_KIB: i64 = 1024;

/// The bytes in the header of a database that mark it as one with a log
/// (<https://sqlite.org/fileformat2.html>).
const JOURNAL_VERSIONS: std::ops::Range<usize> = 18..20;
const HAS_LOG: u8 = 2;

/// An open database with its files.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) files: OpenFiles,
}

/// Returns whether there is a store in the directory.
///
/// # Errors
/// Fails if there is a log or a note without a database.
pub(super) fn exists(directory: &Directory) -> StoreResult<bool> {
    // The database is looked for last, because a process that makes a store makes it first.
    let mut beside = Vec::new();
    for name in [LOG, NOTE] {
        // An empty log was never written to. After a power failure it may exist without the database.
        let found = directory.inspect(name)?.filter(|found| name != LOG || found.len() > 0);
        beside.extend(found.map(|_| name));
    }
    if directory.inspect(DATABASE)?.is_some() {
        return Ok(true);
    }
    let path = directory.path().join(DATABASE);
    match beside.first() {
        Some(&LOG) => Err(StoreError::Unusable(format!(
            "`{}` is missing but its log exists: the store is damaged",
            path.display()
        ))),
        Some(name) => Err(StoreError::Unusable(format!(
            "`{}` is missing but `{name}` exists: the store is damaged",
            path.display()
        ))),
        None => Ok(false),
    }
}

/// Opens the store in the directory, and makes it if it does not exist. Fails if it is of an earlier version.
pub(super) fn open(directory: &Directory) -> StoreResult<Opened> {
    let opened = open_any(directory, &SCHEMA)?;
    if version_of(&opened.connection)? == SCHEMA.latest { Ok(opened) } else { Err(StoreError::Older) }
}

/// Does the same, and upgrades a store of an earlier version.
pub(super) fn open_upgraded(directory: &Directory) -> StoreResult<Opened> {
    let mut opened = open_any(directory, &SCHEMA)?;
    if version_of(&opened.connection)? != SCHEMA.latest {
        sync_names(directory)?;
        SCHEMA.upgrade(&mut opened.connection)?;
    }
    Ok(opened)
}

/// Opens the store of this version in the directory for reading alone, if there is one.
pub(super) fn look(directory: &Directory) -> StoreResult<Option<Connection>> {
    if directory.inspect_database()?.is_none() {
        return Ok(None);
    }
    let opening = Opening::begin()?;
    let path = directory.below(DATABASE);
    let mut flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if directory.inspect_file(LOG)?.is_some() {
        Connection::open_with_flags(path, flags)?
    } else {
        // SQLite would make the log. Without one nobody has written since the last copy back.
        flags |= OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(format!("file:{}?immutable=1", path.display()), flags)?
    };
    opening.check(directory, &[DATABASE])?;
    connection.busy_timeout(LOOK_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -LOOK_CACHE_KIB)?;
    version_of(&connection)?;
    OpenFiles::of(&opening, directory)?;
    if version_of(&connection)? == SCHEMA.latest {
        return Ok(Some(connection));
    }
    check_kind(&connection, &SCHEMA)?;
    Err(StoreError::Older)
}

pub(super) fn in_memory() -> StoreResult<Connection> {
    let mut connection = Connection::open_in_memory()?;
    // As in `set_up`.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    SCHEMA.upgrade(&mut connection)?;
    Ok(connection)
}

/// Opens the store in the directory, of this version or an earlier one.
fn open_any(directory: &Directory, schema: &Schema) -> StoreResult<Opened> {
    directory.close_to_others()?;
    directory.make_outputs()?;
    if !exists(directory)? {
        create(directory)?;
    }
    let noted = commits::noted(directory);
    let opening = Opening::begin()?;
    let mut opened = connect(directory, &opening)?;
    check_kind(&opened.connection, schema)?;
    if !opened.files.has_log() {
        // A database that `sqlite3` has recovered has no log.
        opened.connection.pragma_update(None, "journal_mode", "wal")?;
        opened.files = OpenFiles::of(&opening, directory)?;
    }
    commits::check(&opened.connection, noted)?;
    Ok(opened)
}

/// Fails if the database is not a store, or of a version that cannot be upgraded.
fn check_kind(connection: &Connection, schema: &Schema) -> StoreResult<()> {
    let version = version_of(connection)?;
    if version == schema.latest {
        return Ok(());
    }
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    match application {
        EARLY_APPLICATION_ID => Err(unreleased()),
        APPLICATION_ID => refuse_unknown(version, schema),
        _ => Err(StoreError::Unusable("`taskq.db` is not a store of taskq".to_owned())),
    }
}

fn refuse_unknown(version: i64, schema: &Schema) -> StoreResult<()> {
    match schema.age(version) {
        Age::Same | Age::Older => Ok(()),
        Age::Unreleased => Err(unreleased()),
        Age::Later => Err(StoreError::Unusable(format!(
            "the store has schema {version}, and this taskq reads schemas up to {}: \
             use the taskq that wrote it, or a later one",
            schema.released
        ))),
    }
}

fn unreleased() -> StoreError {
    StoreError::Unusable(
        "the store was made by a development version of taskq, and only that version can read it: \
         remove it, or use that version"
            .to_owned(),
    )
}

fn create(directory: &Directory) -> StoreResult<()> {
    let name = format!("{DATABASE}.new.{}", std::process::id());
    let (aside, image) = (directory.below(&name), image()?);
    let io = |error: io::Error| unusable(directory.path(), &error);
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        Ok(()) | Err(_) => {}
    }
    // The mode must not depend on the umask. SQLite gives its other files the same mode.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside);
    let built = file.and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(&image)?;
        file.sync_all()?;
        match fs::hard_link(&aside, directory.below(DATABASE)) {
            // Another process was faster. Its store is the same.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    });
    let removed = fs::remove_file(&aside);
    built.and(removed).map_err(io)
}

/// Waits until the names in the path of the log are on disk. Call it before the first write of a process.
///
/// This build of SQLite does not sync directories, and the process that made a file may have died before it
/// did. A process that wrote to the log had synced the names before. The note is made after a commit, so if
/// it exists, the parent directories are on disk too.
pub(super) fn sync_names(directory: &Directory) -> StoreResult<()> {
    if directory.inspect(LOG)?.is_some_and(|log| log.len() > 0) {
        return Ok(());
    }
    directory.sync()?;
    if directory.inspect(NOTE)?.is_none() { directory.sync_ancestors() } else { Ok(()) }
}

/// Returns the bytes of a new database. It is built in memory, because SQLite may open no file that is not
/// checked.
fn image() -> StoreResult<Vec<u8>> {
    let mut connection = in_memory()?;
    let mut image = connection.serialize(MAIN_DB)?.to_vec();
    image[JOURNAL_VERSIONS].fill(HAS_LOG);
    Ok(image)
}

/// Opens an existing database.
fn connect(directory: &Directory, opening: &Opening) -> StoreResult<Opened> {
    let path = directory.path().join(DATABASE);
    if directory.inspect_database()?.is_some_and(|metadata| metadata.len() == 0) {
        return Err(StoreError::Unusable(format!("`{}` is empty: the store is damaged", path.display())));
    }
    directory.inspect_file(LOG)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.below(DATABASE), flags)?;
    // Checked before the first read, because a read writes to the index, which may be another user's.
    opening.check(directory, &[DATABASE])?;
    set_up(&connection, directory)?;
    version_of(&connection)?;
    let files = OpenFiles::of(opening, directory)?;
    Ok(Opened { connection, files })
}

fn set_up(connection: &Connection, directory: &Directory) -> StoreResult<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Otherwise the last process to close copies the whole log back, with two more syncs. The daemon does
    // that, and the process whose commit fills the log.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Otherwise SQLite plans a query again for new values of its parameters, several times in each turn.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA wal_autocheckpoint = {};",
        log::frames(directory)
    ))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn version_of(connection: &Connection) -> StoreResult<i64> {
    let mut statement = connection.prepare_cached("PRAGMA user_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Fails if the store is of another version, whose new columns a write would ignore. Every write checks this,
/// because another process may have upgraded the store meanwhile.
pub fn check_version(connection: &Connection) -> StoreResult<()> {
    let version = version_of(connection)?;
    if version == SCHEMA.latest { Ok(()) } else { refuse_unknown(version, &SCHEMA) }
}

/// Returns how SQLite runs a query.
#[cfg(test)]
pub fn query_plan(sql: &str) -> String {
    use super::sealing::Sealing;
    let connection = in_memory().expect("memory is there");
    Sealing::default().install(&connection).expect("the names are new");
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("it is SQL");
    for index in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(index, 1).expect("a number is a value");
    }
    let mut rows = statement.raw_query();
    let mut text = String::new();
    while let Some(row) = rows.next().expect("it is a plan") {
        text += &row.get::<_, String>(3).expect("a text");
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::directory::INDEX;
    use super::*;

    const TWO_STEPS: Schema =
        Schema::new(&[include_str!("schema.sql"), "ALTER TABLE job ADD COLUMN colour TEXT;"], 2);

    /// Makes a store in a new directory.
    fn store() -> (tempfile::TempDir, Directory, Connection) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("the directory is ours");
        let directory = Directory::make(dir.path()).expect("it is ours");
        let connection = open(&directory).expect("the directory is empty").connection;
        (dir, directory, connection)
    }

    fn set(connection: &Connection, pragma: &str, value: i64) {
        connection.pragma_update(None, pragma, value).expect("it is open");
    }

    fn refusal(directory: &Directory) -> String {
        open(directory).expect_err("it is of another version").to_string()
    }

    #[test]
    fn a_store_of_an_earlier_schema_is_upgraded_and_keeps_its_rows() {
        let (_dir, directory, mut old) = store();
        set(&old, "user_version", 1);
        old.execute_batch("UPDATE queue SET slots = 7").expect("a row of the first schema");
        assert!(open_any(&directory, &TWO_STEPS).is_ok(), "an earlier version can be opened");
        assert_eq!(TWO_STEPS.age(1), Age::Older);
        TWO_STEPS.upgrade(&mut old).expect("it is a store");
        assert_eq!(version_of(&old).expect("it is open"), 2);
        let row =
            "SELECT slots, (SELECT count(*) FROM pragma_table_info('job') WHERE name = 'colour') FROM queue";
        let row = old.query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(row.expect("it is there"), (7, 1));
        TWO_STEPS.upgrade(&mut old).expect("there is nothing left to do");
    }

    #[test]
    fn a_look_reads_and_makes_nothing() {
        let (dir, directory, connection) = store();
        let names = || {
            let entries = fs::read_dir(dir.path()).expect("it is ours").flatten();
            entries.map(|entry| entry.file_name()).collect::<std::collections::BTreeSet<_>>()
        };
        let slots = |connection: Connection| {
            let changed = connection.execute("UPDATE queue SET slots = 9", []);
            assert!(changed.is_err(), "a look cannot write");
            connection.query_row("SELECT slots FROM queue", [], |row| row.get::<_, Option<i64>>(0))
        };
        connection.execute("UPDATE queue SET slots = 7", []).expect("it is a store");
        let looked = look(&directory).expect("it is a store").expect("it is there");
        assert_eq!(slots(looked), Ok(Some(7)), "also what is in the log alone");

        log::copy_back_and_cut(&connection).expect("nobody else has it");
        drop(connection);
        for file in [LOG, INDEX] {
            fs::remove_file(dir.path().join(file)).expect("it is there");
        }
        let before = names();
        let looked = look(&directory).expect("it is a store").expect("it is there");
        assert_eq!(slots(looked), Ok(Some(7)));
        assert_eq!(names(), before);

        fs::remove_file(dir.path().join(DATABASE)).expect("it is there");
        assert!(look(&directory).expect("there is nothing").is_none());
        fs::write(dir.path().join(DATABASE), "nonsense").expect("it is ours");
        assert!(look(&directory).is_err());
    }

    #[test]
    fn a_look_refuses_a_store_of_another_version() {
        let (_dir, directory, connection) = store();
        set(&connection, "user_version", 0);
        assert!(matches!(look(&directory), Err(StoreError::Older)));
        set(&connection, "user_version", 7);
        let refused = look(&directory).expect_err("it is of a later version").to_string();
        assert!(refused.starts_with("the store has schema 7, and this taskq reads"), "{refused}");
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        const BROKEN: Schema = Schema::new(&["", "CREATE TABLE extra (x); SELECT nonsense;"], 2);
        let (_dir, _directory, mut old) = store();
        set(&old, "user_version", 1);
        BROKEN.upgrade(&mut old).expect_err("the second step is nonsense");
        assert_eq!(version_of(&old).expect("it is open"), 1);
        old.query_row("SELECT 1 FROM extra", [], |_| Ok(())).expect_err("all or none");
    }

    #[test]
    fn a_store_of_a_version_that_was_never_released_is_refused_with_the_reason() {
        let (_dir, directory, connection) = store();
        for (version, application) in
            [(-12, APPLICATION_ID), (1, EARLY_APPLICATION_ID), (3, EARLY_APPLICATION_ID)]
        {
            set(&connection, "user_version", version);
            set(&connection, "application_id", application);
            assert!(refusal(&directory).starts_with("the store was made by a development version of taskq"));
        }
        set(&connection, "application_id", APPLICATION_ID);
        assert!(refusal(&directory).starts_with("the store has schema 3, and this taskq reads"));
        set(&connection, "application_id", 5);
        assert_eq!(refusal(&directory), "`taskq.db` is not a store of taskq");
    }

    #[test]
    fn a_missing_database_with_a_log_is_not_replaced() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::make(dir.path()).expect("it is ours");
        let log = dir.path().join(LOG);
        fs::write(&log, "the latest commits").expect("the directory is ours");
        let refused = open(&directory).expect_err("a new database would replay it").to_string();
        assert!(refused.contains("is missing but its log exists"), "{refused}");
        assert!(!dir.path().join(DATABASE).exists() && log.exists());
    }
}
