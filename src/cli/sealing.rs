//! Owns: the order in which a store is sealed, unsealed, and gets another key.
//! Never: what is said about it (see `commands/key`).
//!
//! Files with outputs are written anew beside the old ones, then the database changes in one transaction, and
//! then they take the places of the old ones. The first and the last step can be repeated.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::daemon::{hold_key, hold_off_daemons};
use crate::error::{Error, Result};
use crate::keeper::{LOG_DIRECTORY, ResealedOutputs, Sealing, reseal_outputs};
use crate::seal::{DataKey, DataKeys, Fingerprint, KeyId, UserKey, WrappedKey};
use crate::shown::counted;
use crate::store::{Act, Reader, SealProblem, Store, StoreError, StoreResult, Unfinished, Writer};
use crate::system::key_file::{self, KeyFile, KeyFileError};
use crate::system::users::own_uid;

/// A store that was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedStore {
    /// The file with the key.
    pub path: PathBuf,
    /// The key was made.
    pub is_new: bool,
    /// The file is found by its name alone.
    pub has_to_be_named: bool,
}

/// A store that has another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotatedKey {
    /// The user's key is a credential of the service, and is still the same.
    pub is_credential: bool,
    /// The outputs that are still sealed with the old key, because runs write them.
    pub open_outputs: usize,
}

/// A verb that was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// What is unfinished.
    pub word: &'static str,
    /// The verb of `taskq key` that finishes it.
    pub verb: &'static str,
}

/// What `key status` says.
#[derive(Debug)]
pub struct SealState {
    /// The newest data key, as it is stored; `None`: the store is not sealed.
    pub newest: Option<NewestKey>,
    /// The file with the key; `None`: there is none.
    pub file: Option<PathBuf>,
    /// Why the store cannot be read.
    pub problem: Option<SealProblem>,
    pub unfinished: Option<Interrupted>,
}

/// The newest data key of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewestKey {
    pub id: u32,
    /// The user's key that opens it.
    pub by: Fingerprint,
}

/// Looks at the key of the store.
pub fn state(context: &Context<'_>, what: &str) -> Result<SealState> {
    let mut store = context.open_to_look(what)?;
    let (wrapped, unfinished, problem) = store
        .read(|reader| {
            let problem = match reader.need_key() {
                Err(StoreError::Sealed(problem)) => Some(problem),
                needed => needed.map(|()| None)?,
            };
            Ok((reader.wrapped_keys(), reader.unfinished_sealing()?, problem))
        })
        .map_err(|error: StoreError| error.during(what))?;
    let rotating =
        Rotation::of(&wrapped).is_under_way.then_some(Interrupted { word: "rotating", verb: "rotate" });
    let unfinished = unfinished.map(|of| Interrupted { word: of.as_str(), verb: of.verb() });
    Ok(SealState {
        newest: wrapped.last().map(|key| NewestKey { id: key.id.0, by: key.by }),
        file: key_file::find().map(|file| file.path),
        problem,
        unfinished: unfinished.or(rotating),
    })
}

fn act(context: &Context<'_>) -> Act {
    Act::of_person(own_uid(), context.now())
}

fn log_of(store: &Store) -> PathBuf {
    store.directory().expect("it is in files").below(LOG_DIRECTORY)
}

fn key_error(what: &str, error: &KeyFileError) -> Error {
    Error::usage(what, error).hint(error.hint())
}

/// Fails while runs write outputs, of which a part would be sealed.
fn refuse_runs(store: &mut Store, what: &str) -> Result<()> {
    let found = store.read(|reader| {
        let runs = reader.claimed_runs()?;
        Ok(runs.first().map(|first| (runs.len(), first.run)))
    });
    match found.map_err(|error: StoreError| error.during(what))? {
        None => Ok(()),
        Some((count, first)) => {
            let cause = format!("{} under way, the first is {first}", counted(count, "run"));
            Err(Error::conflict(what, cause)
                .hint("let them end with `taskq daemon --until-idle`, or cancel them"))
        }
    }
}

/// Seals the store with the key in `file`, which is made if it is not there; `None`: the file of the key.
pub fn seal(context: &Context<'_>, what: &str, file: Option<&Path>) -> Result<SealedStore> {
    let mut store = context.open(what)?;
    let _others = hold_key(&context.dir, what)?;
    let _daemons = hold_off_daemons(&context.dir, what)?;
    let failed = |error: StoreError| error.during(what);
    let read =
        |reader: &Reader<'_>| -> StoreResult<_> { Ok((reader.is_sealed(), reader.unfinished_sealing()?)) };
    let (is_sealed, unfinished) = store.read(read).map_err(failed)?;
    match (is_sealed, unfinished) {
        (true, Some(Unfinished::Sealing)) | (false, None) => {}
        (_, Some(_)) => {
            return Err(
                Error::conflict(what, "it is being unsealed").hint("finish that with `taskq key remove`")
            );
        }
        (true, None) => {
            return Err(Error::conflict(what, "it is sealed already")
                .hint("give it another key with `taskq key rotate`"));
        }
    }
    let file = match file {
        Some(path) => {
            let path = std::path::absolute(path).map_err(|error| Error::io(what, &error))?;
            KeyFile { path, is_credential: false }
        }
        None => found_or_default(what)?,
    };
    let has_to_be_named = !key_file::candidates().iter().any(|candidate| candidate.path == file.path);
    let is_new = file.path.symlink_metadata().is_err();
    let sealed = SealedStore { path: file.path.clone(), is_new, has_to_be_named };
    if !is_sealed {
        refuse_runs(&mut store, what)?;
        if is_new {
            let io = |error| Error::io(format!("{what}: write `{}`", file.path.display()), &error);
            key_file::write(&file.path, &[UserKey::random()]).map_err(io)?;
        }
        let keys = key_file::read(&file).map_err(|error| key_error(what, &error))?;
        let user_key = keys[0].clone();
        store.give_user_keys(keys);
        let key = DataKey::random();
        let data_keys = DataKeys::new([(KeyId::FIRST, key.clone())].into()).expect("there is one");
        let outputs = Sealing::of(Some(data_keys.output_keys()));
        ResealedOutputs::write(&log_of(&store), &Sealing::Off, &outputs)
            .map_err(|error| Error::io(what, &error))?;
        store.write(act(context), |writer| writer.seal_store(&user_key, &key)).map_err(failed)?;
    }
    finish(context, store, what)?;
    Ok(sealed)
}

fn found_or_default(what: &str) -> Result<KeyFile> {
    let named = key_file::candidates().into_iter().next();
    key_file::find().or(named).ok_or_else(|| {
        Error::usage(what, "there is no directory for the key").hint("name a file: `taskq key init FILE`")
    })
}

/// Opens all that is sealed.
pub fn unseal(context: &Context<'_>, what: &str) -> Result<()> {
    context.need_store(what)?;
    let mut store = context.open(what)?;
    let _others = hold_key(&context.dir, what)?;
    let _daemons = hold_off_daemons(&context.dir, what)?;
    let failed = |error: StoreError| error.during(what);
    let read =
        |reader: &Reader<'_>| -> StoreResult<_> { Ok((reader.output_keys()?, reader.unfinished_sealing()?)) };
    match store.read(read).map_err(failed)? {
        (None, None) => return Err(Error::conflict(what, "it is not sealed")),
        (None, Some(_)) => {}
        (Some(_), Some(_)) => {
            return Err(Error::conflict(what, "it is being sealed").hint("finish that with `taskq key init`"));
        }
        (keys @ Some(_), None) => {
            refuse_runs(&mut store, what)?;
            ResealedOutputs::write(&log_of(&store), &Sealing::of(keys), &Sealing::Off)
                .map_err(|error| Error::io(what, &error))?;
            let unseal = |writer: &Writer<'_>| writer.unseal_store();
            store.write(act(context), unseal).map_err(failed)?;
        }
    }
    finish(context, store, what)
}

/// Puts the new output files in their places, and clears what the database was before.
fn finish(context: &Context<'_>, mut store: Store, what: &str) -> Result<()> {
    ResealedOutputs::place(&log_of(&store)).map_err(|error| Error::io(what, &error))?;
    store.finish_sealing(act(context)).map_err(|error| {
        error.during(what).hint("the change is made; call the same verb again to clear what was there before")
    })
}

/// How far a rotation is, by the data keys in the store.
struct Rotation {
    is_under_way: bool,
}

impl Rotation {
    fn of(wrapped: &[WrappedKey]) -> Self {
        let ids: BTreeSet<KeyId> = wrapped.iter().map(|key| key.id).collect();
        Self { is_under_way: ids.len() > 1 }
    }
}

/// Gives the store another key.
pub fn rotate(context: &Context<'_>, what: &str) -> Result<RotatedKey> {
    context.need_store(what)?;
    let mut store = context.open(what)?;
    let _others = hold_key(&context.dir, what)?;
    let failed = |error: StoreError| error.during(what);
    let read = |reader: &Reader<'_>| -> StoreResult<_> {
        reader.need_key()?;
        Ok((reader.wrapped_keys(), reader.unfinished_sealing()?))
    };
    let (wrapped, unfinished) = store.read(read).map_err(failed)?;
    if unfinished.is_some() {
        return Err(Error::conflict(what, "another verb of the key was interrupted")
            .hint("see it with `taskq key status`"));
    }
    let Some(newest) = wrapped.last().map(|key| key.id) else {
        return Err(Error::conflict(what, "the store is not sealed").hint("seal it with `taskq key init`"));
    };
    let file = key_file::find().expect("its key was just read");
    let mut keys = key_file::read(&file).map_err(|error| key_error(what, &error))?;
    let opens_newest =
        |key: &UserKey| wrapped.iter().any(|wrapped| wrapped.id == newest && wrapped.by == key.fingerprint());
    let is_fresh = !Rotation::of(&wrapped).is_under_way && keys.len() == 1;
    if is_fresh && !file.is_credential {
        keys.insert(0, UserKey::random());
        write_key(&file.path, &keys, what)?;
    }
    let user_key = keys[0].clone();
    if is_fresh || !opens_newest(&user_key) {
        store.write(act(context), |writer| writer.begin_rotation(&user_key)).map_err(failed)?;
    }
    store.reseal(act(context)).map_err(failed)?;
    let open_outputs = finish_rotation(context, &mut store, &user_key, what)?;
    if open_outputs == 0 && !file.is_credential {
        write_key(&file.path, std::slice::from_ref(&user_key), what)?;
    }
    Ok(RotatedKey { is_credential: file.is_credential, open_outputs })
}

fn write_key(path: &Path, keys: &[UserKey], what: &str) -> Result<()> {
    key_file::write(path, keys)
        .map_err(|error| Error::io(format!("{what}: write `{}`", path.display()), &error))
}

/// Gives the newest key to the outputs, and forgets the others unless something still needs them. Returns how
/// many outputs do.
fn finish_rotation(
    context: &Context<'_>,
    store: &mut Store,
    user_key: &UserKey,
    what: &str,
) -> Result<usize> {
    let failed = |error: StoreError| error.during(what);
    let read =
        |reader: &Reader<'_>| -> StoreResult<_> { Ok((reader.output_keys()?, reader.claimed_runs()?)) };
    let (keys, claimed) = store.read(read).map_err(failed)?;
    let open: BTreeSet<_> = claimed.iter().map(|claimed| claimed.run).collect();
    let is_open = |run| open.contains(&run);
    let old = reseal_outputs(&log_of(store), &Sealing::of(keys), is_open);
    let old = old.map_err(|error| Error::io(what, &error))?;
    let act = Act { by: None, ..act(context) };
    store
        .write(act, |writer| {
            let left = old.max(writer.runs_before_newest_key()?);
            if left == 0 {
                writer.finish_rotation(user_key.fingerprint())?;
            }
            Ok(left)
        })
        .map_err(failed)
}
