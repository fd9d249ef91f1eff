//! Owns: `taskq apply`.
//! Never: reading the file, or comparing it with the store (see `cli::apply`).

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::cli::apply::file::{File, Source};
use crate::cli::apply::plan::{Plan, plan};
use crate::cli::apply::problem::{Problem, errors};
use crate::cli::apply::report::{Report, notes};
use crate::cli::apply::store::{Place, store};
use crate::cli::context::{Context, Failure};
use crate::cli::view::json::document;
use crate::cli::view::why::NO_DAEMON;
use crate::daemon::running_daemon;
use crate::domain::JobId;
use crate::error::{Error, ErrorKind, Result};
use crate::store::Writer;

pub const WHAT: &str = "apply jobs";

/// Make jobs as a TOML file has them
///
/// FILE has a table [jobs.NAME] for each job, with the keys of `taskq add
/// --from`: `command` (a list) or `script`, and the long options of `taskq add`
/// with `_` for `-`. The table [defaults] has keys for all jobs. A key of a job
/// goes before its default; a trigger replaces all triggers, and `env` adds.
///
/// Prints a plan, and follows it in one transaction: `+ NAME` for a new job,
/// `~ NAME: KEY old → new` for a changed one, whose id, counters and history
/// stay, `- NAME` for one that is no longer in the file, `= N unchanged`. A
/// second time nothing changes. Any error keeps the whole file out.
///
/// Jobs get nothing of the caller's environment: they have that of cron, the
/// mask 022, the system's zone, and start in the directory of FILE (of -: the
/// present one), to which paths are relative. A time needs its day, and may
/// have passed: a job that has run is not run again.
#[derive(Args, Debug)]
#[expect(rustdoc::broken_intra_doc_links, reason = "the brackets are for readers of the help")]
#[command(
    verbatim_doc_comment,
    override_usage = "taskq apply FILE|- [--dry-run] [--prune] [--json]",
    after_help = "\
Examples:
  taskq apply --dry-run jobs.toml
  taskq apply --prune ~/dotfiles/jobs.toml
  taskq export toml --with-environment | taskq --dir ~/elsewhere apply -"
)]
pub struct ApplyArgs {
    /// The file, or - for stdin
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// Print the plan, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// End the jobs that are no longer in FILE
    ///
    /// Only jobs that were applied from the same FILE before, and from no
    /// other since. They have no further fires, and their waiting runs are
    /// cancelled; running runs continue, and history stays.
    #[arg(long, verbatim_doc_comment)]
    pub prune: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &ApplyArgs) -> Result<u8> {
    let source = Source::read(&args.file)?;
    if args.prune && source.path.is_none() {
        return Err(Error::usage(&source.what, "`--prune` needs a file, which is known again by its path"));
    }
    let here = source.surroundings(context)?;
    let mut problems = Vec::new();
    let mut file = File::read(&source, &here, &mut problems);
    let done = apply(context, args, &mut file, &mut problems);
    if problems.is_empty() {
        return done.map(|()| 0);
    }
    for error in errors(problems, &source.text, &source.what) {
        context.output.error(&error);
    }
    Ok(ErrorKind::Usage.exit_code())
}

/// Applies a file, and prints the plan. On problems, those of the store are added, and nothing is changed.
fn apply(
    context: &Context<'_>,
    args: &ApplyArgs,
    file: &mut File<'_>,
    problems: &mut Vec<Problem>,
) -> Result<()> {
    let what = &file.source.what;
    // Most files are applied already. A look needs no lock.
    let mut found = Vec::new();
    let seen = context.read_or_empty(what, |reader| plan(reader, file, &mut found))?;
    let is_good = problems.is_empty() && found.is_empty();
    let (plan, ids) = if is_good && seen.is_empty(args.prune) {
        (seen, None)
    } else {
        let of_file = problems.clone();
        let write = |writer: &Writer<'_>| {
            problems.clone_from(&of_file);
            make(context, args, file, writer, problems)
        };
        match is_good && !args.dry_run {
            true => context.write(what, write)?,
            false => context.rehearse(what, write)?,
        }
    };
    let ids = ids.filter(|_| !args.dry_run);
    let report = Report::new(file, &plan, (!args.dry_run, ids.as_deref()), args.prune);
    if args.json {
        context.output.json(&document(&report))?;
    } else {
        context.output.answer(&report.lines())?;
    }
    notes(file, &plan).iter().for_each(|note| context.output.talk(note));
    if let Some(staying) = report.staying() {
        context.output.talk(&staying);
    }
    if !args.dry_run && running_daemon(&context.dir).is_none() {
        context.output.talk(&format!("note: {NO_DAEMON}"));
    }
    Ok(())
}

/// Plans again under the lock, and does it. On problems it fails, so that nothing is stored.
fn make(
    context: &Context<'_>,
    args: &ApplyArgs,
    file: &mut File<'_>,
    writer: &Writer<'_>,
    problems: &mut Vec<Problem>,
) -> Result<(Plan, Option<Vec<JobId>>), Failure> {
    let plan = plan(writer, file, problems)?;
    let place = Place { dir: &context.dir, prune: args.prune };
    let ids = store(writer, file, &plan, &place, problems)?;
    match problems.first() {
        Some(problem) => Err(Error::usage(&file.source.what, &problem.cause).into()),
        None => Ok((plan, Some(ids))),
    }
}
