//! Owns: sealed cells in SQL: the functions `sealed`, `opened` and `shown`, and the keys behind them.
//! Never: which columns are sealed (see the statements), or the cryptography (see `seal`).
//!
//! A store with a row in `data_key` is sealed: all its cells are, so that a plain one is an error. Each
//! transaction looks at that table first, since another process may have sealed the store meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

use super::codec::content_hash;
use super::seal_problem::SealProblem;
use super::{Reader, StoreError, StoreResult, Writer};
use crate::seal::{
    CellPlace, DataKey, DataKeys, Fingerprint, KeyId, OpenError, OutputKeys, UserKey, WrappedKey,
};
use crate::system::key_file;

/// Where the user's keys come from.
#[derive(Clone, Debug, Default)]
enum Source {
    /// Their file.
    #[default]
    System,
    Given(Vec<UserKey>),
}

/// The sealing of a store, which its connection shares with the SQL functions.
#[derive(Clone, Debug, Default)]
pub(super) struct Sealing(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    source: Source,
    /// The data keys of the store, as of the begin of the transaction.
    wrapped: Vec<WrappedKey>,
    /// The same without their wrapping, once that was needed.
    keys: Option<DataKeys>,
    /// Why a function has failed: SQLite keeps only a text of it.
    problem: Option<SealProblem>,
}

impl State {
    fn fail(&mut self, problem: SealProblem) -> rusqlite::Error {
        let error = rusqlite::Error::UserFunctionError(Box::new(problem.clone()));
        self.problem = Some(problem);
        error
    }

    fn is_sealed(&self) -> bool {
        !self.wrapped.is_empty()
    }

    /// Returns the data keys; `None`: the store is not sealed.
    fn keys(&mut self) -> Result<Option<&DataKeys>, SealProblem> {
        if self.keys.is_none() && self.is_sealed() {
            let user_keys = match &self.source {
                Source::System => key_file::user_keys().map_err(SealProblem::NoKey)?,
                Source::Given(keys) => keys.clone(),
            };
            self.keys = Some(unwrapped(&self.wrapped, &user_keys)?);
        }
        Ok(self.keys.as_ref())
    }
}

/// Opens all data keys of a store.
fn unwrapped(wrapped: &[WrappedKey], user_keys: &[UserKey]) -> Result<DataKeys, SealProblem> {
    let mut keys: BTreeMap<KeyId, DataKey> = BTreeMap::new();
    for wrapped in wrapped {
        let own = user_keys.iter().find(|key| key.fingerprint() == wrapped.by);
        if let Some(key) = own.and_then(|key| key.unwrap(wrapped).ok()) {
            keys.insert(wrapped.id, key);
        }
    }
    if let Some(unknown) = wrapped.iter().rev().find(|wrapped| !keys.contains_key(&wrapped.id)) {
        let found = user_keys.iter().map(UserKey::fingerprint).collect();
        return Err(SealProblem::WrongKey { of_store: unknown.by, found });
    }
    Ok(DataKeys::new(keys).expect("a sealed store has data keys"))
}

/// A function that gives the same for the same in one statement, so that SQLite may call it once.
const FLAGS: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);

/// What a function of SQL does with a value.
#[derive(Clone, Copy)]
enum Function {
    /// `sealed`: makes a cell of it.
    Seal,
    /// `opened`: opens the cell.
    Open,
    /// `opened_text`: the same, for a text.
    OpenText,
    /// `shown`: as `opened`, but NULL if the key is missing.
    Show,
    /// `shown_text`: the same, for a text.
    ShowText,
    /// `resealed`: the cell under the newest key.
    Reseal,
}

impl Function {
    const ALL: [(&str, Self); 6] = [
        ("sealed", Self::Seal),
        ("opened", Self::Open),
        ("opened_text", Self::OpenText),
        ("shown", Self::Show),
        ("shown_text", Self::ShowText),
        ("resealed", Self::Reseal),
    ];

    fn call(self, keys: &DataKeys, place: CellPlace<'_>, value: &[u8]) -> Result<Value, OpenError> {
        Ok(match self {
            Self::Seal => Value::Blob(keys.seal(place, value)),
            Self::Open | Self::Show => Value::Blob(keys.open(place, value)?),
            Self::OpenText | Self::ShowText => {
                let text = String::from_utf8(keys.open(place, value)?);
                Value::Text(text.map_err(|_| OpenError::Damaged)?)
            }
            Self::Reseal => Value::Blob(keys.resealed(place, value)?),
        })
    }

    fn flags(self) -> FunctionFlags {
        match self {
            // It makes a new nonce each time.
            Self::Seal | Self::Reseal => FunctionFlags::SQLITE_UTF8,
            Self::Open | Self::OpenText | Self::Show | Self::ShowText => FLAGS,
        }
    }

    fn is_lenient(self) -> bool {
        match self {
            Self::Show | Self::ShowText => true,
            Self::Seal | Self::Open | Self::OpenText | Self::Reseal => false,
        }
    }
}

impl Sealing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the functions to a connection: those of `Function`, whose arguments are the place of a cell
    /// (`'TABLE.COLUMN'` and the two parts of the key of its row) and the value, and `lookup(value)`, a
    /// number by which equal values are found. In a store that is not sealed, a value is its own cell.
    pub(super) fn install(&self, connection: &Connection) -> rusqlite::Result<()> {
        for (name, function) in Function::ALL {
            let sealing = self.clone();
            connection.create_scalar_function(name, 4, function.flags(), move |context| {
                sealing.answer(function, context)
            })?;
        }
        let sealing = self.clone();
        connection.create_scalar_function("lookup", 1, FLAGS, move |context| {
            let value = context.get_raw(0).as_blob()?;
            let mut state = sealing.state();
            match state.keys().map(|keys| keys.map(|keys| keys.lookup(value))) {
                Ok(number) => Ok(number.unwrap_or_else(|| content_hash(value))),
                Err(problem) => Err(state.fail(problem)),
            }
        })
    }

    fn answer(&self, function: Function, context: &Context<'_>) -> rusqlite::Result<Value> {
        let value = context.get_raw(3);
        let mut state = self.state();
        if value == ValueRef::Null || !state.is_sealed() {
            return Ok(value.try_into()?);
        }
        let place =
            CellPlace { column: context.get_raw(0).as_str()?, row: (context.get(1)?, context.get(2)?) };
        let value = value.as_bytes()?;
        let answer = state.keys().and_then(|keys| {
            let keys = keys.expect("it is sealed");
            let (column, row) = (place.column.to_owned(), place.row.0);
            function.call(keys, place, value).map_err(|error| SealProblem::Cell { column, row, error })
        });
        match answer {
            Err(problem) if problem.is_of_key() && function.is_lenient() => Ok(Value::Null),
            Err(problem) => Err(state.fail(problem)),
            Ok(value) => Ok(value),
        }
    }

    /// Returns why the last function has failed, if one has since the last call.
    pub(super) fn take_problem(&self) -> Option<SealProblem> {
        self.state().problem.take()
    }

    /// Looks, in a transaction that begins, whether the store is sealed, and with which keys.
    pub(super) fn begin(&self, connection: &Connection) -> rusqlite::Result<()> {
        let newest: Option<u32> =
            connection.prepare_cached("SELECT max(id) FROM data_key")?.query_row([], |row| row.get(0))?;
        let mut state = self.state();
        state.problem = None;
        if newest != state.wrapped.last().map(|key| key.id.0) {
            state.keys = None;
            state.wrapped = wrapped_keys(connection)?;
        }
        Ok(())
    }

    /// Takes these keys of the user, in place of those in their file.
    /// Forgets the data keys, so that the next use reads them and the user's key again.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        (state.wrapped, state.keys) = Default::default();
    }

    /// Returns the data keys, the newest one last.
    pub(super) fn data_keys(&self) -> StoreResult<Vec<(KeyId, DataKey)>> {
        let mut state = self.state();
        let keys = state.keys().map_err(StoreError::Sealed)?;
        Ok(keys.map(|keys| keys.iter().map(|(id, key)| (id, key.clone())).collect()).unwrap_or_default())
    }

    /// Returns the newest data key; `None`: the store is not sealed.
    pub(super) fn newest(&self) -> Option<KeyId> {
        self.state().wrapped.last().map(|key| key.id)
    }

    pub(super) fn give_user_keys(&self, keys: Vec<UserKey>) {
        let mut state = self.state();
        state.keys = None;
        state.source = Source::Given(keys);
    }
}

/// Returns the data keys of a store, the newest one last. During a rotation, one may be there twice, wrapped
/// by either key of the user.
fn wrapped_keys(connection: &Connection) -> rusqlite::Result<Vec<WrappedKey>> {
    let mut statement =
        connection.prepare_cached("SELECT id, wrapped_by, wrapped FROM data_key ORDER BY id, wrapped_by")?;
    let rows = statement.query_map([], |row| {
        let by: [u8; 8] = row.get(1)?;
        Ok(WrappedKey { id: KeyId(row.get(0)?), by: Fingerprint(by), bytes: row.get(2)? })
    })?;
    rows.collect()
}

impl Reader<'_> {
    /// Returns the keys of outputs; `None`: the store is not sealed.
    ///
    /// # Errors
    /// `Sealed` if the user's key is missing.
    pub fn output_keys(&self) -> StoreResult<Option<OutputKeys>> {
        let mut state = self.sealing.state();
        let keys = state.keys().map(|keys| keys.map(DataKeys::output_keys));
        keys.map_err(StoreError::Sealed)
    }

    /// Fails if the store is sealed and the user's key is missing.
    ///
    /// # Errors
    /// `Sealed`.
    pub fn need_key(&self) -> StoreResult<()> {
        self.output_keys().map(|_| ())
    }

    pub fn is_sealed(&self) -> bool {
        self.sealing.state().is_sealed()
    }

    /// Returns the data keys as they are stored, the newest one last.
    pub fn wrapped_keys(&self) -> Vec<WrappedKey> {
        self.sealing.state().wrapped.clone()
    }
}

impl Writer<'_> {
    /// Returns the id that the next row of a table with AUTOINCREMENT gets, if its cells are sealed for it;
    /// `None`: any will do.
    pub(super) fn next_sealed_id(&self, table: &str) -> StoreResult<Option<i64>> {
        if !self.is_sealed() {
            return Ok(None);
        }
        let last =
            self.first("SELECT seq FROM sqlite_sequence WHERE name = ?1", [table], |row| row.get(0))?;
        Ok(Some(last.unwrap_or(0) + 1))
    }

    /// Returns the id of a new row of another table: a random one, so that no later row gets it again.
    /// `None`: any will do.
    pub(super) fn random_sealed_id(&self) -> Option<i64> {
        self.is_sealed().then(|| {
            let random = getrandom::u64().expect("the system has random bytes");
            // Positive.
            (random >> 1).cast_signed().max(1)
        })
    }
}
