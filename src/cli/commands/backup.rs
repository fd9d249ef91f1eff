//! Owns: `taskq backup`.
//! Never: how a copy is made (see `daemon`), or what is looked at (see `cli/health`).

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::health::copies::of_copy;
use crate::cli::health::finding::{Finding, Level};
use crate::cli::view::json::document;
use crate::daemon::{BackupDone, CopyPlace, back_up};
use crate::error::{Error, Result};
use crate::shown::{self, counted};
use crate::store::Store;

pub const WHAT: &str = "copy store";
const CHECK: &str = "check copy";

/// Copy the store while the daemon works
///
/// DIR becomes a store with all that this one has: jobs, history and outputs.
/// `taskq --dir DIR` opens it. DIR must not exist, or be an empty directory. It
/// has its name only when it is whole and on disk: a backup that is killed, or
/// fails, leaves no DIR.
///
/// The database is copied as it was at one moment, and nobody waits meanwhile.
/// The output of a run that has not ended is copied as far as it is. The first
/// daemon that serves the copy records such a run as `lost`, and leaves its
/// processes to the daemon of this store.
///
/// To restore: stop the daemon, move the copy to the place of the store, start
/// the daemon.
///
/// With --check, a copy is read and not changed: a line for each finding, as with
/// `taskq doctor`. The exit status is 1 if it is not whole.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "taskq backup DIR [--check [--json]]",
    after_help = "\
Examples:
  taskq backup /mnt/backup/taskq-$(date +%F)
  taskq backup --check /mnt/backup/taskq-2026-03-02
  taskq add --cron @daily -c 'taskq backup /mnt/backup/taskq-$(date +%F)'"
)]
pub struct BackupArgs {
    /// Where the copy goes, or is
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub copy: PathBuf,

    /// Check that the copy in DIR is whole
    #[arg(long)]
    pub check: bool,

    /// Print JSON
    #[arg(long, requires = "check")]
    pub json: bool,
}

#[derive(Serialize)]
struct Checked<'a> {
    findings: &'a [Finding],
}

pub fn run(context: &Context<'_>, args: &BackupArgs) -> Result<u8> {
    if args.check { check(context, args) } else { copy(context, &args.copy) }
}

fn copy(context: &Context<'_>, dir: &Path) -> Result<u8> {
    if !context.has_store(WHAT)? {
        let cause = format!("there is no store in `{}`", context.dir.display());
        return Err(Error::not_found(WHAT, cause).hint("check the name of `--dir`"));
    }
    let place = CopyPlace::find(dir, &context.dir, WHAT)?;
    for left in place.remove_left() {
        context.output.talk(&format!("removed `{}`, which a killed backup has left", left.display()));
    }
    let done = back_up(&mut context.open(WHAT)?, &place, WHAT, context.now())?;
    for missing in &done.missing {
        let run = missing.run;
        context
            .output
            .talk(&format!("note: the output of run {run} is missing in the store, and in the copy"));
    }
    context.output.confirm(&sentence(&done, dir));
    Ok(0)
}

/// Returns what was done: ``copied 12 jobs, 3,400 runs and 17 outputs in files (34M) to `DIR` ``.
fn sentence(done: &BackupDone, dir: &Path) -> String {
    let (jobs, runs) = (counted_in_groups(done.jobs, "job"), counted_in_groups(done.runs, "run"));
    let files = counted_in_groups(done.outputs, "output file");
    let size = shown::size(done.output_bytes);
    format!("copied {jobs}, {runs} and {files} ({size}) to `{}`", dir.display())
}

/// Returns a number of things, with a comma before each three digits: `3,400 runs`.
fn counted_in_groups(count: usize, thing: &str) -> String {
    let counted = counted(count, thing);
    let (digits, rest) = counted.split_at(count.to_string().len());
    let mut shown = String::new();
    for (digit, left) in digits.chars().zip((0..digits.len()).rev()) {
        shown.push(digit);
        if left > 0 && left % 3 == 0 {
            shown.push(',');
        }
    }
    shown + rest
}

fn check(context: &Context<'_>, args: &BackupArgs) -> Result<u8> {
    let dir = std::path::absolute(&args.copy).map_err(|error| Error::io(CHECK, &error))?;
    // One that is damaged has a database, or what is left of it.
    let is_there = Store::exists(&dir).map_or(true, |is_there| is_there);
    if !is_there {
        let cause = format!("there is no store in `{}`", args.copy.display());
        return Err(Error::not_found(CHECK, cause).hint("name the directory that `taskq backup` has made"));
    }
    let findings = of_copy(&dir);
    if args.json {
        context.output.json(&document(Checked { findings: &findings }))?;
    } else {
        context.output.answer(&findings.iter().map(Finding::line).collect::<String>())?;
    }
    Ok(u8::from(findings.iter().any(|finding| finding.level == Level::Fault)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_is_said_in_a_line() {
        let done = BackupDone {
            jobs: 1,
            runs: 3_400,
            outputs: 1_234_567,
            output_bytes: 34 << 20,
            missing: Vec::new(),
        };
        assert_eq!(
            sentence(&done, Path::new("/a b")),
            "copied 1 job, 3,400 runs and 1,234,567 output files (34M) to `/a b`"
        );
        assert_eq!(counted_in_groups(999, "run"), "999 runs");
    }
}
