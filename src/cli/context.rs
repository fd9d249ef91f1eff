//! Owns: what every verb gets: the store's directory, the clock, the output; and how a verb uses the store.
//! Never: what a verb does.

use std::path::PathBuf;

use crate::cli::output::Output;
use crate::cli::zone::caller_zone;
use crate::clock::Clock;
use crate::daemon::{Poke, open_store};
use crate::domain::{Span, Timestamp};
use crate::engine::after_end;
use crate::error::{Error, Result};
use crate::keeper::{LOG_DIRECTORY, LogDirectory, Sealing};
use crate::schedule::{ParseError, Zone};
use crate::store::{Act, Reader, Store, StoreError, Writer};
use crate::system::users::own_uid;

/// The surroundings of a verb.
pub struct Context<'a> {
    /// Absolute.
    pub dir: PathBuf,
    /// The caller named the directory, and may have mistyped it.
    pub is_dir_named: bool,
    pub clock: &'a dyn Clock,
    pub output: &'a Output,
}

/// A failure in a transaction.
pub enum Failure {
    /// The store's; it does not say yet what was being done.
    Store(StoreError),
    /// A complete error.
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
    /// Completes the error: `what` was being done.
    pub fn during(self, what: &str) -> Error {
        match self {
            Self::Store(error) => error.during(what),
            Self::Told(error) => error,
        }
    }
}

impl Context<'_> {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the time since some fixed point, unmoved by clock steps.
    pub fn monotonic(&self) -> Span {
        Span::from_micros(u64::try_from(self.clock.monotonic().as_micros()).unwrap_or(u64::MAX))
    }

    /// Returns the zone in which the caller reads times, and its name if `TZ` sets one.
    pub fn zone(&self, what: &str) -> Result<(Zone, Option<String>)> {
        caller_zone()
            .map_err(|error| parse_failure(what, error).hint("set `TZ` to a zone such as `Europe/Paris`"))
    }

    /// Opens the store, and makes one if there is none. Errors say that `what` was being done.
    pub fn open(&self, what: &str) -> Result<Store> {
        open_store(&self.dir, what)
    }

    /// Returns whether the outputs of the store are sealed, with the keys if the user's key is there.
    pub fn sealing(&self) -> Sealing {
        // Another failure is that of the verb, which reads the store too.
        let Ok(Some(mut store)) = Store::look(&self.dir) else { return Sealing::Off };
        let keys = store.read(|reader| match reader.output_keys() {
            Err(StoreError::Sealed(_)) => Ok(Sealing::Locked),
            keys => keys.map(Sealing::of),
        });
        keys.unwrap_or_default()
    }

    /// Returns the directory of the outputs of the store.
    pub fn log_directory(&self) -> LogDirectory {
        LogDirectory::new(self.dir.join(LOG_DIRECTORY), self.sealing())
    }

    /// Tells whether there is a store, and makes none.
    pub fn has_store(&self, what: &str) -> Result<bool> {
        Store::exists(&self.dir).map_err(|error| error.during(what))
    }

    /// Refuses a named directory without a store: its name is probably mistyped. The default directory may be
    /// without one.
    pub fn need_store(&self, what: &str) -> Result<()> {
        if !self.is_dir_named || self.has_store(what)? {
            return Ok(());
        }
        Err(Error::not_found(what, format!("there is no store in `{}`", self.dir.display()))
            .hint("check the name; `taskq add` and `taskq daemon` make a new store"))
    }

    /// Opens the store, or an empty one in memory if there is none.
    pub fn open_to_look(&self, what: &str) -> Result<Store> {
        self.need_store(what)?;
        self.open_or_empty(what)
    }

    /// Does the same, also in a named directory.
    fn open_or_empty(&self, what: &str) -> Result<Store> {
        match self.has_store(what)? {
            true => self.open(what),
            false => Store::empty().map_err(|error| error.during(what)),
        }
    }

    /// Reads in one transaction.
    pub fn read<T>(&self, what: &str, read: impl FnOnce(&Reader<'_>) -> Result<T, Failure>) -> Result<T> {
        self.open_to_look(what)?.read(read).map_err(|failure| failure.during(what))
    }

    /// Does the same for a verb that makes a store, or can do without one, also in a named directory.
    pub fn read_or_empty<T>(
        &self,
        what: &str,
        read: impl FnOnce(&Reader<'_>) -> Result<T, Failure>,
    ) -> Result<T> {
        self.open_or_empty(what)?.read(read).map_err(|failure| failure.during(what))
    }

    /// Writes in one transaction, and pokes the daemon before and after. Makes a store if there is none.
    pub fn write<T>(&self, what: &str, write: impl FnMut(&Writer<'_>) -> Result<T, Failure>) -> Result<T> {
        self.write_to(self.open(what)?, what, write)?.map_err(|failure| failure.during(what))
    }

    /// Writes in one transaction to what the store holds already. Makes no store.
    pub fn change<T>(&self, what: &str, write: impl FnMut(&Writer<'_>) -> Result<T, Failure>) -> Result<T> {
        self.try_change(what, write)?.map_err(|failure| failure.during(what))
    }

    /// As `change`, for a verb that can do something else when the store cannot be written.
    pub fn try_change<T>(
        &self,
        what: &str,
        write: impl FnMut(&Writer<'_>) -> Result<T, Failure>,
    ) -> Result<Result<T, Failure>> {
        self.write_to(self.open_to_look(what)?, what, write)
    }

    /// Does what `write` does, and then undoes it: for a plan that is not followed. Makes no store.
    pub fn rehearse<T>(
        &self,
        what: &str,
        mut write: impl FnMut(&Writer<'_>) -> Result<T, Failure>,
    ) -> Result<T> {
        /// The end of a write that must not be committed.
        enum Rehearsed<T> {
            Done(T),
            Failed(Failure),
        }
        impl<T> From<StoreError> for Rehearsed<T> {
            fn from(error: StoreError) -> Self {
                Self::Failed(error.into())
            }
        }
        let act = Act::of_person(own_uid(), self.now());
        let ended = self.open_or_empty(what)?.write(act, |writer| match write(writer) {
            Ok(answer) => Err::<(), _>(Rehearsed::Done(answer)),
            Err(failure) => Err(Rehearsed::Failed(failure)),
        });
        match ended {
            Err(Rehearsed::Done(answer)) => Ok(answer),
            Err(Rehearsed::Failed(failure)) => Err(failure.during(what)),
            Ok(()) => unreachable!("each end of the write is an error"),
        }
    }

    fn write_to<T>(
        &self,
        mut store: Store,
        what: &str,
        mut write: impl FnMut(&Writer<'_>) -> Result<T, Failure>,
    ) -> Result<Result<T, Failure>> {
        let now = self.now();
        let poke = Poke::will_write(&self.dir).map_err(|error| Error::io(what, &error))?;
        let written = store.write(Act::of_person(own_uid(), now), |writer| {
            let answer = write(writer)?;
            writer.follow_up(after_end, now)?;
            Ok(answer)
        });
        drop(poke);
        Ok(written)
    }
}

/// Returns a usage error for a text that could not be read.
pub fn parse_failure(what: &str, error: ParseError) -> Error {
    let failure = Error::usage(what, &error.cause);
    match error.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
