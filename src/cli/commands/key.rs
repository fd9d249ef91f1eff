//! Owns: `taskq key`.
//! Never: cells (see `store`), output files (see `keeper`), the cryptography (see `seal`).
//!
//! The user's key is on disk before anything is sealed with it, and is not forgotten before nothing needs it.
//! So the verbs can be killed anywhere, and called again.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::sealing;
use crate::cli::view::json::document;
use crate::error::Result;
use crate::shown::{self, Facts};

/// What `key init` does, for errors.
pub const INIT: &str = "seal store";

/// What `key status` does, for errors.
pub const STATUS: &str = "look at key";

/// What `key rotate` does, for errors.
pub const ROTATE: &str = "rotate key";

/// What `key remove` does, for errors.
pub const REMOVE: &str = "unseal store";

/// Seal the store with a key outside it, or look at that key
///
/// In a sealed store, commands, scripts, environments, inputs, the data of
/// events, results and outputs can be read with the key alone. Who copies
/// the files, a backup or the disk gets ids, names, tags, queues, times,
/// outcomes and sizes.
///
/// The key is a file. The first one of these that exists counts: taskq.key
/// among the credentials of the service (systemd.exec(5)), the file that
/// TASKQ_KEY_FILE names, taskq/key in ~/.config. It has to be closed to
/// others (mode 600).
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    subcommand_value_name = "COMMAND",
    override_usage = "\
taskq key init [FILE]
       taskq key status [--json]
       taskq key rotate
       taskq key remove",
    after_help = "\
Examples:
  taskq key init
  taskq key status
  taskq key rotate"
)]
pub struct KeyArgs {
    #[command(subcommand)]
    pub command: KeyCommand,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum KeyCommand {
    /// Seal the store
    Init(KeyInitArgs),
    /// Say whether the store is sealed, and where its key is
    Status(KeyStatusArgs),
    /// Seal the store with another key
    Rotate(KeyRotateArgs),
    /// Open all that is sealed
    Remove(KeyRemoveArgs),
}

/// Seal the store
///
/// Makes a key, unless its file is there, and seals all that the store has;
/// nothing that was there before stays readable in it. No daemon may serve
/// the store, and no run may be under way. If it is interrupted, call it
/// again. Keep a copy of the key: without it, nothing that is sealed can be
/// read by anybody.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq key init
  taskq key init /media/stick/taskq.key"
)]
pub struct KeyInitArgs {
    /// The file for the key, or with it (default: that of the key)
    ///
    /// If it is another one, TASKQ_KEY_FILE has to name it from then on.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Say whether the store is sealed, and where its key is
///
/// The exit status is 1 if the store is sealed and its key is missing, or
/// a verb of the key was interrupted.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq key status
  taskq key status --json"
)]
pub struct KeyStatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Seal the store with another key
///
/// Writes a new key into the file of the key, seals everything with it, and
/// then forgets the old one. A daemon may serve the store meanwhile. What a
/// run is writing stays sealed with the old key until it ends: then call it
/// once more. If it is interrupted, call it again.
///
/// A credential of a service cannot be changed from here: then the store
/// gets new keys of its own, and the credential stays.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq key rotate
  TASKQ_KEY_FILE=/media/stick/taskq.key taskq key rotate"
)]
pub struct KeyRotateArgs {}

/// Open all that is sealed
///
/// After that the store needs no key. The file of the key stays. No daemon
/// may serve the store, and no run may be under way. If it is interrupted,
/// call it again.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq key remove
  taskq key remove && rm ~/.config/taskq/key"
)]
pub struct KeyRemoveArgs {}

#[derive(Serialize)]
struct StatusJson {
    sealed: bool,
    /// The file that is looked at; null: there is none.
    key_file: Option<String>,
    /// That of the key that the store needs.
    fingerprint: Option<String>,
    /// The number of the newest data key.
    data_key: Option<u32>,
    /// The store is not sealed, or the key opens it.
    readable: bool,
    /// `sealing`, `unsealing` or `rotating`.
    unfinished: Option<&'static str>,
}

pub fn run(context: &Context<'_>, args: &KeyArgs) -> Result<u8> {
    match &args.command {
        KeyCommand::Init(args) => init(context, args),
        KeyCommand::Status(args) => status(context, args),
        KeyCommand::Rotate(KeyRotateArgs {}) => rotate(context),
        KeyCommand::Remove(KeyRemoveArgs {}) => remove(context),
    }
}

fn init(context: &Context<'_>, args: &KeyInitArgs) -> Result<u8> {
    let sealed = sealing::seal(context, INIT, args.file.as_deref())?;
    let path = shown::quoted(sealed.path.as_os_str().as_bytes());
    if sealed.is_new {
        context.output.talk(&format!("note: made the key {path}: keep a copy of it, apart from the store"));
    }
    if sealed.has_to_be_named {
        context.output.talk(&format!("note: every command needs `TASKQ_KEY_FILE={path}` from now on"));
    }
    context.output.confirm("sealed the store");
    Ok(0)
}

fn rotate(context: &Context<'_>) -> Result<u8> {
    let rotated = sealing::rotate(context, ROTATE)?;
    let what = if rotated.is_credential { "new keys of its own; the credential stays" } else { "a new key" };
    context.output.confirm(&format!("sealed the store with {what}"));
    if rotated.open_outputs > 0 {
        let outputs = shown::counted(rotated.open_outputs, "output");
        context.output.talk(&format!(
            "note: runs under way still write with the old key ({outputs}): \
             call `taskq key rotate` again later"
        ));
    }
    Ok(0)
}

fn remove(context: &Context<'_>) -> Result<u8> {
    sealing::unseal(context, REMOVE)?;
    context.output.confirm("opened all that was sealed; the key file stays where it is");
    Ok(0)
}

fn status(context: &Context<'_>, args: &KeyStatusArgs) -> Result<u8> {
    let state = sealing::state(context, STATUS)?;
    let code = u8::from(state.problem.is_some() || state.unfinished.is_some());
    if args.json {
        context.output.json(&document(StatusJson {
            sealed: state.newest.is_some(),
            key_file: state.file.map(|file| file.display().to_string()),
            fingerprint: state.newest.map(|key| key.by.to_string()),
            data_key: state.newest.map(|key| key.id),
            readable: state.problem.is_none(),
            unfinished: state.unfinished.map(|unfinished| unfinished.word),
        }))?;
        return Ok(code);
    }
    let mut facts = Facts::default();
    facts.push("Sealed", if state.newest.is_some() { "yes" } else { "no" });
    if let Some(key) = state.newest {
        facts.push("Key", key.by.to_string());
        facts.push("Data key", key.id.to_string());
    }
    facts.push_lines("Key file", state.file.map(|file| shown::quoted(file.as_os_str().as_bytes())));
    if let Some(problem) = &state.problem {
        facts.push("Problem", problem.to_string());
        facts.push("Hint", problem.hint());
    }
    if let Some(unfinished) = state.unfinished {
        facts.push("Pending", format!("{}: call `taskq key {}` again", unfinished.word, unfinished.verb));
    }
    context.output.answer(&facts.into_text(None))?;
    Ok(code)
}
