//! Owns: sealing all cells of a store, unsealing them, and giving them another key.
//! Never: output files (see `keeper`), or the file of the user's key (see `system::key_file`).
//!
//! A store is sealed, or unsealed, in one transaction: at no time is a part of it. Another key comes in
//! batches, since each cell names its own.

use rusqlite::params;

use super::{Act, MetaKey, Reader, Store, StoreError, StoreResult, Writer, log};
use crate::domain::Happening;
use crate::seal::{DataKey, Fingerprint, KeyId, UserKey, WrappedKey};

/// How many rows get another key in one transaction.
const ROWS_OF_A_BATCH: i64 = 500;

/// A column with sealed cells.
#[derive(Clone, Copy)]
struct CellColumn {
    table: &'static str,
    column: &'static str,
    /// The key of a row, as its cells are bound to it: two expressions.
    row: (&'static str, &'static str),
    /// The columns by which all rows are found in turn.
    key: &'static [&'static str],
    /// Which cells are sealed.
    condition: &'static str,
    /// It holds texts.
    is_text: bool,
}

const fn blob(
    table: &'static str,
    column: &'static str,
    row: (&'static str, &'static str),
    key: &'static [&'static str],
) -> CellColumn {
    CellColumn { table, column, row, key, condition: "1", is_text: false }
}

const fn text(of: CellColumn, condition: &'static str) -> CellColumn {
    CellColumn { condition, is_text: true, ..of }
}

/// All sealed columns.
const COLUMNS: &[CellColumn] = &[
    blob("job", "command", ("id", "0"), &["id"]),
    blob("job", "stdin_text", ("id", "0"), &["id"]),
    blob("job", "on_success", ("id", "0"), &["id"]),
    blob("job", "on_failure", ("id", "0"), &["id"]),
    blob("job", "on_finish", ("id", "0"), &["id"]),
    blob("environment", "vars", ("id", "0"), &["id"]),
    blob("item", "data", ("job_id", "array_index"), &["job_id", "array_index"]),
    text(blob("occurrence", "name", ("id", "0"), &["id"]), "kind = 'stream'"),
    text(blob("occurrence", "data", ("id", "0"), &["id"]), "kind <> 'job'"),
    text(blob("requirement", "data", ("id", "0"), &["id"]), "job_id <> 0"),
    text(blob("trigger", "event", ("id", "0"), &["id"]), "kind = 'stream'"),
    text(blob("run", "cause", ("job_id", "number"), &["id"]), "outcome = 'spawn_failed'"),
    text(blob("run", "result", ("job_id", "number"), &["id"]), "1"),
    text(blob("attempt", "cause", ("run_id", "number"), &["run_id", "number"]), "outcome = 'spawn_failed'"),
    blob("attempt", "output", ("run_id", "number"), &["run_id", "number"]),
    blob("attempt", "stderr", ("run_id", "number"), &["run_id", "number"]),
    blob("output", "data", ("run_id", "0"), &["run_id"]),
    blob("output", "stderr", ("run_id", "0"), &["run_id"]),
    blob("crontab", "text", ("id", "0"), &["id"]),
    blob("crontab_entry", "text", ("job_id", "0"), &["job_id"]),
];

/// The numbers by which sealed values are found: table, column, and the value's column.
const LOOKUPS: [(&str, &str, &str); 2] =
    [("job", "command_hash", "command"), ("environment", "hash", "vars")];

impl CellColumn {
    /// Returns the call of a function for the cell in `value`.
    fn call(&self, function: &str, value: &str) -> String {
        let Self { table, column, row: (row, part), .. } = self;
        format!("{function}('{table}.{column}', {row}, {part}, {value})")
    }

    fn opener(&self) -> &'static str {
        if self.is_text { "opened_text" } else { "opened" }
    }
}

/// What has to be done after the transaction that sealed or unsealed a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The store is sealed, and the disk still has what it was before.
    Sealing,
    /// The same of a store that is not sealed any more.
    Unsealing,
}

impl Unfinished {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealing => "sealing",
            Self::Unsealing => "unsealing",
        }
    }

    /// Returns the verb of `taskq key` that does the rest.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Sealing => "init",
            Self::Unsealing => "remove",
        }
    }
}

impl Reader<'_> {
    /// Opens all cells, and returns what is wrong with the first bad one of each column. Needs the key.
    pub fn unopenable_cells(&self) -> StoreResult<Vec<String>> {
        let mut problems = Vec::new();
        for of in COLUMNS {
            let CellColumn { table, column, condition, .. } = of;
            let value = of.call("opened", column);
            let sql =
                format!("SELECT count({value}) FROM {table} WHERE {column} IS NOT NULL AND {condition}");
            match self.one(&sql, [], |row| row.get::<_, i64>(0)) {
                Ok(_) => {}
                Err(StoreError::Sealed(problem)) => problems.push(problem.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(problems)
    }

    /// Returns what is unfinished.
    pub fn unfinished_sealing(&self) -> StoreResult<Option<Unfinished>> {
        let text = self.meta(MetaKey::Sealing)?;
        Ok([Unfinished::Sealing, Unfinished::Unsealing]
            .into_iter()
            .find(|unfinished| text.as_deref() == Some(unfinished.as_str())))
    }
}

impl Reader<'_> {
    /// Returns how many runs were claimed before the newest data key was made: their keeper may not know it.
    pub fn runs_before_newest_key(&self) -> StoreResult<usize> {
        let count: i64 = self.one(
            "SELECT count(*) FROM run WHERE state <> 'finished' AND keeper IS NOT NULL
                AND claimed_at <= (SELECT made_at FROM data_key ORDER BY id DESC LIMIT 1)",
            [],
            |row| row.get(0),
        )?;
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

impl Writer<'_> {
    /// Seals all cells with a data key. `finish_sealing` has to follow.
    pub fn seal_store(&self, user_key: &UserKey, key: &DataKey) -> StoreResult<()> {
        self.add_data_key(KeyId::FIRST, key, user_key)?;
        for (table, hash, column) in LOOKUPS {
            self.change(&format!("UPDATE {table} SET {hash} = lookup({column})"), [])?;
        }
        for of in COLUMNS {
            let CellColumn { table, column, condition, .. } = of;
            let cell = of.call("sealed", column);
            self.change(
                &format!("UPDATE {table} SET {column} = {cell} WHERE {column} IS NOT NULL AND {condition}"),
                [],
            )?;
        }
        self.conceal_events()?;
        self.exchange_meta(MetaKey::Sealing, Unfinished::Sealing.as_str())?;
        self.record(&Happening::KeyChanged { change: "sealed".into() });
        Ok(())
    }

    /// Opens all cells, and forgets the data keys. `finish_sealing` has to follow.
    pub fn unseal_store(&self) -> StoreResult<()> {
        for of in COLUMNS {
            let CellColumn { table, column, condition, .. } = of;
            let value = of.call(of.opener(), column);
            self.change(
                &format!("UPDATE {table} SET {column} = {value} WHERE {column} IS NOT NULL AND {condition}"),
                [],
            )?;
        }
        self.change("DELETE FROM data_key", [])?;
        self.sealing.begin(&self.transaction)?;
        for (table, hash, column) in LOOKUPS {
            self.change(&format!("UPDATE {table} SET {hash} = lookup({column})"), [])?;
        }
        self.exchange_meta(MetaKey::Sealing, Unfinished::Unsealing.as_str())?;
        self.record(&Happening::KeyChanged { change: "unsealed".into() });
        Ok(())
    }

    /// Makes a new data key, with which all is sealed from now on. All data keys can be opened by `user_key`,
    /// and still by those that open them now.
    pub fn begin_rotation(&self, user_key: &UserKey) -> StoreResult<()> {
        let keys = self.sealing.data_keys()?;
        let by = user_key.fingerprint();
        for (id, key) in &keys {
            if !self.wrapped_keys().iter().any(|wrapped| wrapped.id == *id && wrapped.by == by) {
                self.store_wrapped(&user_key.wrap(*id, key))?;
            }
        }
        let newest = keys.last().map_or(0, |(id, _)| id.0);
        self.add_data_key(KeyId(newest + 1), &DataKey::random(), user_key)?;
        self.record(&Happening::KeyChanged { change: "rotated".into() });
        Ok(())
    }

    fn add_data_key(&self, id: KeyId, key: &DataKey, user_key: &UserKey) -> StoreResult<()> {
        self.store_wrapped(&user_key.wrap(id, key))?;
        Ok(self.sealing.begin(&self.transaction)?)
    }

    fn store_wrapped(&self, WrappedKey { id, by, bytes }: &WrappedKey) -> StoreResult<()> {
        self.change(
            "INSERT INTO data_key (id, wrapped_by, wrapped, made_at) VALUES (?1, ?2, ?3, ?4)",
            params![id.0, by.0, bytes, self.at],
        )
    }

    /// Gives the newest key to the cells of a batch of rows after `after`. Returns the last of them; `None`:
    /// there are no more.
    fn reseal_batch(&self, of: &CellColumn, after: &[i64]) -> StoreResult<Option<Vec<i64>>> {
        let CellColumn { table, column, key, condition, .. } = of;
        let (keys, parameters) = (key.join(", "), vec!["?"; key.len()].join(", "));
        let behind = format!("({keys}) > ({parameters})");
        let last = self.first(
            &format!(
                "SELECT {keys} FROM (SELECT {keys} FROM {table} WHERE {behind} ORDER BY {keys} LIMIT {})
                 ORDER BY {} LIMIT 1",
                ROWS_OF_A_BATCH,
                key.iter().map(|key| format!("{key} DESC")).collect::<Vec<_>>().join(", "),
            ),
            rusqlite::params_from_iter(after),
            |row| (0..key.len()).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<i64>>>(),
        )?;
        let Some(last) = last else { return Ok(None) };
        let cell = of.call("resealed", column);
        self.change(
            &format!(
                "UPDATE {table} SET {column} = {cell}
                 WHERE {behind} AND ({keys}) <= ({parameters}) AND {column} IS NOT NULL AND {condition}"
            ),
            rusqlite::params_from_iter(after.iter().chain(&last)),
        )?;
        Ok(Some(last))
    }

    /// Finds the values again that have their numbers from an older key.
    fn renew_lookups(&self) -> StoreResult<()> {
        for (table, hash, column) in LOOKUPS {
            let of = COLUMNS.iter().find(|of| of.table == table && of.column == column);
            let value = of.expect("it is a sealed column").call("opened", column);
            self.change(&format!("UPDATE {table} SET {hash} = lookup({value})"), [])?;
        }
        Ok(())
    }

    /// Forgets the data keys before the newest one, and what other keys of users have wrapped. Nothing may
    /// need them any more.
    pub fn finish_rotation(&self, by: Fingerprint) -> StoreResult<()> {
        self.change(
            "DELETE FROM data_key WHERE id < (SELECT max(id) FROM data_key) OR wrapped_by <> ?1",
            [by.0],
        )?;
        self.sealing.forget();
        Ok(self.sealing.begin(&self.transaction)?)
    }
}

impl Store {
    /// Gives the newest key to all cells, some rows at a time, so that other writers wait little. It can be
    /// ended anywhere, and begun again.
    pub fn reseal(&mut self, act: Act) -> StoreResult<()> {
        // The daemon does what nobody sees.
        let act = Act { by: None, ..act };
        for of in COLUMNS {
            let mut after = Some(vec![i64::MIN; of.key.len()]);
            while let Some(last) = after {
                after = self.write(act, |writer| writer.reseal_batch(of, &last))?;
            }
        }
        let renew = |writer: &Writer<'_>| writer.renew_lookups();
        self.write(act, renew)
    }

    /// Removes what the database and its log held before it was sealed or unsealed.
    ///
    /// # Errors
    /// If another process uses the store: then it is to be called again.
    pub fn finish_sealing(&mut self, act: Act) -> StoreResult<()> {
        self.connection.execute_batch("VACUUM")?;
        log::copy_back_and_cut(&self.connection)?;
        self.write(Act { by: None, ..act }, |writer| {
            writer.change("DELETE FROM meta WHERE key = ?1", [MetaKey::Sealing.as_str()])
        })?;
        log::copy_back_and_cut(&self.connection)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::{FirstFire, SealProblem};
    use super::*;
    use crate::domain::{
        CommandLine, Counter, EventSource, EventTrigger, Execution, JobId, NewJob, Stdin, StreamSource,
        Timestamp, TriggerSpec,
    };

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_772_000_000)
    }

    fn act() -> Act {
        Act { by: Some(0), at: now() }
    }

    /// Adds a job of which each secret part has `marker`.
    fn add(store: &mut Store, marker: &str) -> JobId {
        let bytes = |what: &str| format!("{what} {marker}").into_bytes();
        let execution = Execution {
            env: vec![bytes("TOKEN=")],
            stdin: Stdin::Text(bytes("stdin")),
            ..Execution::of(CommandLine::Argv(vec![b"echo".to_vec(), bytes("command")]))
        };
        let mut job = NewJob { items: vec![bytes("item")], ..NewJob::of(execution) };
        job.callbacks.failure = Some(bytes("callback"));
        let stream =
            StreamSource { command: format!("echo {marker}"), pattern: None, restart: StreamSource::RESTART };
        let event = EventTrigger { source: EventSource::Stream(stream), counter: Counter::default() };
        let trigger =
            FirstFire { spec: TriggerSpec::Event(event), next_at: None, boot_id: None, marks: None };
        store
            .write(act(), |writer| writer.add_job(&job, std::slice::from_ref(&trigger), None, now()))
            .expect("there is room")
    }

    fn definition(store: &mut Store, job: JobId) -> StoreResult<NewJob> {
        let found = store.read(|reader| reader.definition(job))?;
        Ok(found.0)
    }

    /// Returns whether a file of the store has these bytes.
    fn is_in_files(dir: &Path, bytes: &[u8]) -> bool {
        fs::read_dir(dir).expect("it is ours").flatten().filter(|entry| entry.path().is_file()).any(|entry| {
            let content = fs::read(entry.path()).expect("it is ours");
            content.windows(bytes.len()).any(|part| part == bytes)
        })
    }

    fn seal(store: &mut Store, key: &UserKey) {
        store.give_user_keys(vec![key.clone()]);
        store.write(act(), |writer| writer.seal_store(key, &DataKey::random())).expect("there is room");
        store.finish_sealing(act()).expect("nobody else has it");
    }

    #[test]
    fn a_store_is_sealed_as_a_whole_and_unsealed_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).expect("it is ours");
        let job = add(&mut store, "m4rker");
        let before = definition(&mut store, job).expect("it is there");
        assert!(is_in_files(dir.path(), b"m4rker"));
        let key = UserKey::random();
        seal(&mut store, &key);
        assert!(!is_in_files(dir.path(), b"m4rker"));
        assert_eq!(definition(&mut store, job).expect("the key is there"), before);
        let second = add(&mut store, "m4rker");
        assert!(!is_in_files(dir.path(), b"m4rker"));
        assert_ne!(second, job);
        let unseal = |writer: &Writer<'_>| writer.unseal_store();
        store.write(act(), unseal).expect("there is room");
        store.finish_sealing(act()).expect("nobody else has it");
        store.give_user_keys(Vec::new());
        assert_eq!(definition(&mut store, job).expect("it is plain"), before);
        assert_eq!(definition(&mut store, second).expect("it is plain"), before);
    }

    #[test]
    fn without_the_key_a_sealed_store_shows_that_it_is_sealed() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).expect("it is ours");
        let job = add(&mut store, "m4rker");
        seal(&mut store, &UserKey::random());
        store.give_user_keys(vec![UserKey::random()]);
        let problem = definition(&mut store, job).expect_err("it is another key");
        assert!(matches!(&problem, StoreError::Sealed(SealProblem::WrongKey { .. })), "{problem}");
        let shown = store.read(|reader| reader.job_command(job)).expect("it can be listed");
        assert_eq!(shown.map(|(_, command)| command), Some(CommandLine::Sealed));
        let failed = store.write(act(), |writer| {
            let job = NewJob::of(Execution::of(CommandLine::Script(b"true".to_vec())));
            writer.add_job(&job, &[], None, now())
        });
        assert!(matches!(failed, Err(StoreError::Sealed(_))));
    }

    #[test]
    fn a_cell_that_was_moved_cut_or_replaced_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).expect("it is ours");
        let (one, other) = (add(&mut store, "one"), add(&mut store, "other"));
        let key = UserKey::random();
        seal(&mut store, &key);
        for change in [
            "UPDATE job SET command = (SELECT command FROM job WHERE id = ?2) WHERE id = ?1",
            "UPDATE job SET command = stdin_text WHERE id = ?1 AND ?2",
            "UPDATE job SET command = substr(command, 1, length(command) - 1) WHERE id = ?1 AND ?2",
            "UPDATE job SET command = x'6563686f00' WHERE id = ?1 AND ?2",
            "UPDATE job SET command = x'' WHERE id = ?1 AND ?2",
        ] {
            let undone: StoreResult<()> = store.write(act(), |writer| {
                writer.change(change, params![one, other])?;
                let failed = writer.job_command(one).expect_err(change);
                assert!(matches!(failed, StoreError::Sealed(SealProblem::Cell { .. })), "{failed}");
                Err(StoreError::Older)
            });
            assert!(matches!(undone, Err(StoreError::Older)));
        }
        assert!(definition(&mut store, one).is_ok());
    }

    #[test]
    fn another_key_can_be_given_to_the_cells_in_parts() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).expect("it is ours");
        let job = add(&mut store, "m4rker");
        let (old, new) = (UserKey::random(), UserKey::random());
        seal(&mut store, &old);
        let before = definition(&mut store, job).expect("the key is there");
        store.give_user_keys(vec![new.clone(), old.clone()]);
        store.write(act(), |writer| writer.begin_rotation(&new)).expect("there is room");
        let half = add(&mut store, "half");
        // The file of the user has both keys until the end.
        for keys in [vec![new.clone()], vec![new.clone(), old.clone()]] {
            store.give_user_keys(keys);
            assert_eq!(definition(&mut store, job).expect("a key is there"), before);
            assert!(definition(&mut store, half).is_ok());
        }
        store.reseal(act()).expect("there is room");
        store
            .write(Act { by: None, ..act() }, |writer| writer.finish_rotation(new.fingerprint()))
            .expect("there is room");
        assert_eq!(definition(&mut store, job).expect("the key is there"), before);
        store.give_user_keys(vec![old]);
        assert!(definition(&mut store, job).is_err());
        store.give_user_keys(vec![new]);
        assert_eq!(definition(&mut store, job).expect("the key is there"), before);
        // Equal environments are still found.
        let environments = |store: &mut Store| -> i64 {
            store
                .read(|reader| reader.one("SELECT count(*) FROM environment", [], |row| row.get(0)))
                .expect("it is there")
        };
        let count = environments(&mut store);
        add(&mut store, "m4rker");
        assert_eq!(environments(&mut store), count);
    }

    #[test]
    fn every_column_that_the_schema_calls_sealed_is_rewritten() {
        let schema = include_str!("schema.sql");
        let mut table = "";
        let mut found: Vec<String> = Vec::new();
        for line in schema.lines() {
            if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                table = rest.split(' ').next().expect("a name");
            }
            if line.contains("-- ")
                && line.split_once("-- ").is_some_and(|(_, note)| note.contains("sealed"))
                && let Some(column) = line.strip_prefix("    ").and_then(|line| line.split(' ').next())
                && !column.starts_with('-')
            {
                found.push(format!("{table}.{column}"));
            }
        }
        let mut rewritten: Vec<String> =
            COLUMNS.iter().map(|of| format!("{}.{}", of.table, of.column)).collect();
        found.sort();
        rewritten.sort();
        assert_eq!(found, rewritten);
    }
}
