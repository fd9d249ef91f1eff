//! Owns: what must be in a store after a power cut, and cutting the power everywhere in a record.
//! Never: how the record was made.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, DirBuilder, File};
use std::iter::repeat_n;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;
use std::sync::Mutex;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use taskq::store;
use tempfile::TempDir;

use crate::disk::{Cut, Disk, Random, Record, Tree};

/// Where the store is on the disk. None of its directories is there at first.
pub const STORE: &str = "/share/taskq";

/// What was promised once it was seen: the definition of a job, and the start, end and output of a run.
const FACTS: &str = "
    SELECT 'job ' || id || ' ' || CAST(command AS TEXT) FROM job UNION ALL
    SELECT 'started ' || job_id || '.' || number FROM run WHERE keeper IS NOT NULL UNION ALL
    SELECT 'run ' || job_id || '.' || number || ' ' || outcome || ' ' || coalesce(exit_code, signal, 'none')
        FROM run WHERE state = 'finished' UNION ALL
    SELECT 'output ' || run_id || ' ' || length(data) || ' ' || hex(substr(data, 1, 9)) FROM output";

/// Held while files of a store are opened, which the store takes note of for the whole process.
pub static OPENING: Mutex<()> = Mutex::new(());

/// Opens a database beside the program, and leaves its log as it is.
pub fn database(store: &Path) -> rusqlite::Result<Connection> {
    let _alone = OPENING.lock();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(store.join("taskq.db"), flags)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    database.query_row("SELECT 1 FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(database)
}

pub fn facts(database: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = database.prepare(FACTS)?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Opens a store as the program does, looks whether it is whole, and returns what is in it.
fn inspect(store: &Path) -> Result<BTreeSet<String>, String> {
    let alone = OPENING.lock();
    store::Store::open(store).map_err(|error| format!("it is refused: {error}"))?;
    drop(alone);
    let failed = |error| format!("it cannot be read: {error}");
    let database = database(store).map_err(failed)?;
    let strays = "SELECT CAST(count(*) AS TEXT) FROM pragma_foreign_key_check";
    for (query, good) in [("PRAGMA integrity_check", "ok"), (strays, "0")] {
        let found: String = database.query_row(query, [], |row| row.get(0)).map_err(failed)?;
        if found != good {
            return Err(format!("it is damaged: {found}"));
        }
    }
    facts(&database).map_err(failed)
}

/// Returns what is wrong with a store in which these facts must be.
fn problem(store: &Path, wanted: &BTreeSet<String>) -> Option<String> {
    let lost = |facts| wanted.difference(&facts).cloned().collect::<Vec<_>>();
    match inspect(store).map(lost) {
        Ok(lost) => (!lost.is_empty()).then(|| format!("it has lost {lost:?}")),
        Err(problem) => Some(problem),
    }
}

/// Makes a directory in memory, where that can be.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}

pub fn write(tree: &Tree, to: &Path) {
    let _alone = OPENING.lock();
    for (path, content) in tree {
        let path = to.join(path.trim_start_matches('/'));
        let Some(bytes) = content else {
            DirBuilder::new().mode(0o700).create(path).expect("the name is new");
            continue;
        };
        let file = File::create(path).expect("the name is new");
        file.set_len(bytes.len() as u64).expect("there is room");
        let parts = bytes.chunks(4096).enumerate();
        for (index, part) in parts.filter(|(_, part)| **part != [0; 4096][..part.len()]) {
            file.write_all_at(part, index as u64 * 4096).expect("there is room");
        }
    }
}

/// Which syncs do nothing: of the file or directory that had this name first, and which of its syncs.
pub type Ignored = fn(&str, usize) -> bool;

/// How the power is cut.
pub struct Cuts {
    pub seed: u64,
    /// At each point, besides the three plain ways.
    pub random: usize,
    /// After so many commands, each of which adds jobs.
    pub after: usize,
    pub ignored: Ignored,
}

impl Cuts {
    /// Cuts the power before each sync and at the end, and returns what was found wrong.
    ///
    /// These are all points of a record: what may be left after an earlier cut may be left at the last moment
    /// before the next sync too, and more was promised by then.
    pub fn problems(&self, bytes: &[u8]) -> Vec<String> {
        let records = Record::read_all(bytes);
        let scripts: HashMap<usize, Vec<&str>> = records
            .iter()
            .filter(|record| record.op == "jobs")
            .map(|record| (record.pid, text(record).lines().collect()))
            .collect();
        let (mut disk, mut wanted, mut problems) = (Disk::default(), BTreeSet::new(), Vec::new());
        let (mut printed, mut syncs, mut commands) = (HashMap::new(), HashMap::new(), 0);
        for (point, record) in records.iter().enumerate() {
            match record.op {
                "print" => {
                    let so_far: &mut String = printed.entry(record.pid).or_default();
                    so_far.push_str(text(record));
                    let ids = so_far.split_inclusive('\n').filter(|line| line.ends_with('\n'));
                    let jobs = ids.zip(scripts.get(&record.pid).into_iter().flatten());
                    wanted.extend(jobs.map(|(id, script)| format!("job {} {script}", id.trim())));
                }
                "facts" => wanted.extend(text(record).lines().map(str::to_owned)),
                "jobs" => commands += 1,
                "sync" => {
                    if commands > self.after {
                        problems.extend(self.problems_at(point, &disk, &wanted));
                    }
                    let nth = syncs.entry(disk.name(record.inode)).or_insert(0);
                    *nth += 1;
                    if (self.ignored)(disk.name(record.inode), *nth - 1) {
                        continue;
                    }
                }
                _ => {}
            }
            disk.apply(record);
        }
        problems.extend(self.problems_at(records.len(), &disk, &wanted));
        problems
    }

    fn problems_at(&self, point: usize, disk: &Disk<'_>, wanted: &BTreeSet<String>) -> Vec<String> {
        let mut problems = Vec::new();
        let plain = [Cut::Nothing, Cut::Lengths, Cut::Everything];
        for (number, cut) in plain.into_iter().chain(repeat_n(Cut::Part, self.random)).enumerate() {
            let mut random = Random(self.seed ^ (point as u64) << 32 ^ number as u64);
            let base = scratch();
            let mut tree = disk.cut(cut, &mut random);
            if cut == Cut::Part && tree.contains_key(&format!("{STORE}/taskq.db")) {
                // The index of the log is never synced, and may hold anything.
                tree.insert(format!("{STORE}/taskq.db-shm"), Some(vec![0xa5; 32_768]));
            }
            write(&tree, &base.path().join("disk"));
            let found = problem(&base.path().join(format!("disk{STORE}")), wanted);
            problems.extend(found.map(|found| format!("record {point}, cut {number} ({cut:?}): {found}")));
        }
        problems
    }
}

fn text<'a>(record: &Record<'a>) -> &'a str {
    std::str::from_utf8(record.data).expect("we write text")
}

pub fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let _alone = OPENING.lock();
    fs::read(path)
}

/// Reads what is on a disk, without what is not durable.
pub fn read(dir: &Path, path: &str, tree: &mut Tree) {
    tree.insert(path.to_owned(), None);
    for entry in fs::read_dir(dir).expect("it is there").flatten() {
        let (kind, name) = (entry.file_type().expect("it is there"), entry.file_name());
        let path = format!("{path}/{}", name.display());
        if kind.is_dir() {
            read(&entry.path(), &path, tree);
        } else if kind.is_file() && !path.ends_with("-shm") {
            tree.insert(path, Some(read_file(&entry.path()).expect("it is there")));
        }
    }
}
