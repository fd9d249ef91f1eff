//! Owns: what every verb is given: the store's directory, the clock, the mouth; and how a verb meets the
//! store.
//! Never: what a verb does.

use std::path::PathBuf;

use crate::cli::output::Output;
use crate::cli::zone::caller_zone;
use crate::clock::Clock;
use crate::daemon::{Poke, open_store};
use crate::domain::Timestamp;
use crate::engine::after_end;
use crate::error::{Error, Result};
use crate::schedule::{ParseError, Zone};
use crate::store::{Reader, Store, StoreError, Writer};

/// What a verb works with.
pub struct Context<'a> {
    /// The store's directory, absolute.
    pub dir: PathBuf,
    /// The caller named it, and may have mistyped it.
    pub is_dir_named: bool,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Where answers go.
    pub output: &'a Output,
}

/// A failure in a transaction: the store's, or one with a text of its own.
pub enum Failure {
    /// The store's.
    Store(StoreError),
    /// Told already.
    Told(Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl Failure {
    /// Says what was being done, unless that was said.
    pub fn during(self, what: &str) -> Error {
        match self {
            Self::Store(error) => error.during(what),
            Self::Told(error) => error,
        }
    }
}

impl Context<'_> {
    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the zone in which the caller reads times, and its name if `TZ` sets one.
    pub fn zone(&self, what: &str) -> Result<(Zone, Option<String>)> {
        caller_zone()
            .map_err(|error| parse_failure(what, error).hint("set `TZ` to a zone such as `Europe/Paris`"))
    }

    /// Opens the store, and makes it where there is none; `what` is being done.
    pub fn open(&self, what: &str) -> Result<Store> {
        open_store(&self.dir, what)
    }

    /// Tells whether there is a store. Nothing is made.
    pub fn has_store(&self, what: &str) -> Result<bool> {
        Store::exists(&self.dir).map_err(|error| error.during(what))
    }

    /// Refuses a named directory without a store: most likely it is mistyped. The default one is where a
    /// store will be.
    pub fn need_store(&self, what: &str) -> Result<()> {
        if !self.is_dir_named || self.has_store(what)? {
            return Ok(());
        }
        Err(Error::not_found(what, format!("there is no store in `{}`", self.dir.display()))
            .hint("check the name; `taskq add` and `taskq daemon` make a store where there is none"))
    }

    /// Opens the store, and makes none: without one, whoever looks finds what an empty one holds.
    pub fn open_to_look(&self, what: &str) -> Result<Store> {
        if self.has_store(what)? {
            return self.open(what);
        }
        self.need_store(what)?;
        Store::empty().map_err(|error| error.during(what))
    }

    /// Reads in one transaction.
    pub fn read<T>(&self, what: &str, read: impl FnOnce(&Reader<'_>) -> Result<T, Failure>) -> Result<T> {
        self.open_to_look(what)?.read(read).map_err(|failure| failure.during(what))
    }

    /// Writes in one transaction, and tells the daemon before and after. Makes a store where there is none.
    pub fn write<T>(&self, what: &str, write: impl FnMut(&Writer<'_>) -> Result<T, Failure>) -> Result<T> {
        self.write_to(self.open(what)?, what, write)?.map_err(|failure| failure.during(what))
    }

    /// The same, for what can only be about something that is in the store already: makes none.
    pub fn change<T>(&self, what: &str, write: impl FnMut(&Writer<'_>) -> Result<T, Failure>) -> Result<T> {
        self.try_change(what, write)?.map_err(|failure| failure.during(what))
    }

    /// The same for a verb that has another way where the store cannot be written.
    pub fn try_change<T>(
        &self,
        what: &str,
        write: impl FnMut(&Writer<'_>) -> Result<T, Failure>,
    ) -> Result<Result<T, Failure>> {
        self.write_to(self.open_to_look(what)?, what, write)
    }

    fn write_to<T>(
        &self,
        mut store: Store,
        what: &str,
        mut write: impl FnMut(&Writer<'_>) -> Result<T, Failure>,
    ) -> Result<Result<T, Failure>> {
        let now = self.now();
        let poke = Poke::will_write(&self.dir).map_err(|error| Error::io(what, &error))?;
        let written = store.write(|writer| {
            let answer = write(writer)?;
            writer.follow_up(after_end, now)?;
            Ok(answer)
        });
        drop(poke);
        Ok(written)
    }
}

/// Says that a text could not be understood.
pub fn parse_failure(what: &str, error: ParseError) -> Error {
    let failure = Error::usage(what, &error.cause);
    match error.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
