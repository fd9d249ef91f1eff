//! Owns: `taskq add`.
//! Never: what its texts mean (see `cli::job`).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::domain::{ExecutorHost, ExecutorName, JobId, QueueName, TriggerKind};

use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::cli::context::{Context, Failure};
use crate::cli::import::diff::make_queue;
use crate::cli::job::enforce::refuse_unenforced;
use crate::cli::job::lines;
use crate::cli::job::options::JobOptions;
use crate::cli::job::text::{Caller, ReadJob};
use crate::cli::view::coming::next_run;
use crate::cli::view::json::{JobJson, Jobs, OneJob, document};
use crate::cli::view::times::Times;
use crate::cli::view::why::NO_DAEMON;
use crate::daemon::{Adding, add, add_job, check_batch, check_triggers, running_daemon};
use crate::error::{Error, Result as TaskResult};
use crate::store::{JobView, Writer};
use crate::system::machine;

pub const WHAT: &str = "add job";

/// How many notes a batch prints: they are about slips, of which the first ones show the kind.
const NOTES_MAX: usize = 10;

/// Add a job
///
/// Without a trigger the job runs once, as soon as its queue has a free slot.
/// With triggers it runs each time that one of them fires. Without a COMMAND,
/// the script is read from standard input, as with at(1). The job gets the
/// present environment, directory and umask.
///
/// Prints the id of the job when the job is on disk.
///
/// TIME: an RFC 3339 time, `YYYY-MM-DD [HH:MM[:SS]]`, `HH:MM` (the next one),
/// `@EPOCH`, or the words of at(1): `now + 5 minutes`, `noon`, `tomorrow 9am`,
/// `next monday 10:00`, `10am Jul 31`, `in 2 hours`. SPAN: `90s`, `5m`,
/// `1h30m`, `2d`, `1 week`. taskq(1) has them all.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "\
taskq add [TRIGGER]... [OPTION]... [--] COMMAND [ARG]...
       taskq add [TRIGGER]... [OPTION]... -c SCRIPT
       taskq add [TRIGGER]... [OPTION]... < FILE
       taskq add --from FILE|-",
    after_help = "\
Examples:
  taskq add --name build make -j8
  taskq add --cron '15 3 * * mon-fri' --timeout 2h -- rsync -a src/ nas:src/
  taskq add --calendar 'Mon..Fri 09:30 Europe/Berlin' ./report
  taskq add --at 'now + 5 minutes' -c 'echo tea | write $USER'
  taskq add --if 'load<1.5' --if-timeout 8h,run -- ./reindex
  id=$(taskq add --queue gpu ./train.sh) && taskq wait $id"
)]
pub struct AddArgs {
    #[command(flatten)]
    pub options: JobOptions,

    /// Add many jobs: a JSON object a line; -: stdin
    ///
    /// Keys: `command` (a list) or `script`, and the names of the long
    /// options with `_` for `-`. If an option can be repeated, its key
    /// takes a string or a list. `taskq export json --with-environment`
    /// also writes these: `environment` (the whole of it), `anchor` (where
    /// `every` counts from), `cwd_optional` (start in `/` if `cwd` is
    /// gone). All jobs are added, or none. Prints one id a line.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        verbatim_doc_comment,
        help_heading = "Command",
        conflicts_with_all = ["JobOptions", "each_host"]
    )]
    pub from: Option<PathBuf>,

    /// Take the place of the living job of its name
    ///
    /// That job does not fire again, and its waiting runs are cancelled;
    /// its running runs continue. With --from: for every job.
    #[arg(long, verbatim_doc_comment, help_heading = "Job")]
    pub replace: bool,

    /// Run once on each host of the executor
    ///
    /// As a job for each host; of a job with a name, NAME-HOST.
    #[arg(long, requires = "executor", verbatim_doc_comment, help_heading = "Job")]
    pub each_host: bool,

    /// Print no notes about possible slips
    #[arg(short, long)]
    pub quiet: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Stores the jobs, and prints their ids.
pub fn run(context: &Context<'_>, args: AddArgs) -> TaskResult<u8> {
    let json = args.json;
    let from = args.from.clone();
    let here = Caller::here(context, WHAT)?;
    let texts = match &from {
        Some(file) => read_lines(file)?,
        None => {
            let options = complete(context, args.options)?;
            let all = if args.each_host { for_each_host(context, &options)? } else { vec![options] };
            all.into_iter().map(|options| (options.what(), options)).collect()
        }
    };
    let replace = args.replace;
    let read = |(what, mut options): (String, JobOptions)| {
        options.replace |= replace;
        options.read(what, &here)
    };
    let jobs = texts.into_iter().map(read).collect::<TaskResult<Vec<ReadJob>>>()?;
    jobs.iter().try_for_each(|read| refuse_unenforced(&read.job, &context.dir, &read.what))?;
    let notes = if args.quiet { Vec::new() } else { notes_of(&jobs, from.is_some()) };
    let is_batch = from.is_some() || args.each_host;
    let added = match is_batch {
        true => context.write(WHAT, |writer| store_all(writer, &jobs, &here))?,
        false => jobs
            .into_iter()
            .map(|read| add(&context.dir, read.job, read.triggers, read.clash, here.now))
            .collect::<TaskResult<Vec<JobId>>>()?,
    };
    if json {
        let views = context.read(WHAT, |reader| {
            added.iter().map(|id| Ok(reader.job(*id)?)).collect::<Result<Vec<_>, _>>()
        })?;
        answer_json(context, &views, is_batch)?;
    } else {
        context.output.answer(&added.iter().map(|id| format!("{id}\n")).collect::<String>())?;
        if let ([id], true) = (added.as_slice(), context.output.streams().stderr_is_terminal) {
            announce(context, *id, &here)?;
        }
    }
    if !args.quiet {
        notes.iter().for_each(|note| context.output.talk(&format!("note: {note}")));
        if running_daemon(&context.dir).is_none() {
            context.output.talk(&format!("note: {NO_DAEMON}"));
        }
    }
    Ok(0)
}

/// Reads the jobs of a batch. Standard input is the batch's, and cannot have items too.
fn read_lines(file: &Path) -> TaskResult<Vec<(String, JobOptions)>> {
    let lines = lines::read(&read_input(file)?, &source_name(file))?;
    let reads_stdin = |(_, options): &&(String, JobOptions)| options.each.as_deref() == Some(Path::new("-"));
    match lines.iter().find(reads_stdin) {
        None => Ok(lines),
        Some((what, _)) => {
            Err(Error::usage(what, "`each` is `-`, and standard input is not a list of items")
                .hint("name a file, or give the items as a list: `\"items\": [\"a\", \"b\"]`"))
        }
    }
}

/// Returns the notes about the jobs, which in a batch name their job.
fn notes_of(jobs: &[ReadJob], is_batch: bool) -> Vec<String> {
    let notes = jobs.iter().flat_map(|read| read.notes.iter().map(move |note| (&read.what, note)));
    let mut notes: Vec<String> = notes
        .map(|(what, note)| match what.strip_prefix("add ") {
            Some(job) if is_batch => format!("{job}: {note}"),
            _ => note.clone(),
        })
        .collect();
    if let Some(more) = notes.len().checked_sub(NOTES_MAX).filter(|more| *more > 1) {
        notes.truncate(NOTES_MAX);
        notes.push(format!("{more} more jobs have notes like these"));
    }
    notes
}

fn answer_json(context: &Context<'_>, views: &[JobView], many: bool) -> TaskResult<()> {
    match views {
        [job] if !many => context.output.json(&document(OneJob { job: JobJson::from(job) })),
        jobs => context.output.json(&document(Jobs { jobs: jobs.iter().map(JobJson::from).collect() })),
    }
}

fn store_all(writer: &Writer<'_>, jobs: &[ReadJob], here: &Caller) -> Result<Vec<JobId>, Failure> {
    let mut ids = Vec::with_capacity(jobs.len());
    // So that the exported JSON of imported jobs can be added to a new store.
    if jobs.iter().any(|read| read.job.queue.as_str() == QueueName::CRON) {
        make_queue(writer)?;
    }
    for read in jobs {
        let adding = Adding {
            what: &read.what,
            others: &ids,
            clash: read.clash,
            request: None,
            machine: &machine::size,
            now: here.now,
        };
        ids.push(add_job(writer, &read.job, &read.triggers, &adding)??);
    }
    let depends = |(read, _): &(&ReadJob, &JobId)| !read.job.after.dependencies.is_empty();
    let dependent = jobs.iter().zip(&ids).filter(depends).map(|(read, id)| (*id, read.what.as_str()));
    check_batch(writer, &dependent.collect::<Vec<_>>())??;
    let listens = |(read, _): &(&ReadJob, &JobId)| {
        read.triggers.iter().any(|trigger| trigger.spec.kind() == TriggerKind::Job)
    };
    let listening = jobs.iter().zip(&ids).filter(listens).map(|(read, id)| (*id, read.what.as_str()));
    check_triggers(writer, &listening.collect::<Vec<_>>())??;
    Ok(ids)
}

/// Says on stderr when the job will run, or why it does not run yet.
fn announce(context: &Context<'_>, id: JobId, here: &Caller) -> TaskResult<()> {
    let job = context.read("add job", |reader| Ok(reader.job(id)?))?;
    let times = Times { zone: &here.zone, now: here.now, are_whole: true };
    let when = match next_run(&job) {
        _ if job.paused_at.is_some() => format!("held: resume it with `taskq resume {id}`"),
        Some((at, trigger)) => format!("runs at {}, in {}", times.show_fire(trigger, at), times.left(at)),
        None if job.triggers.is_empty() => "runs as soon as a slot is free".to_owned(),
        None => "runs at the next boot".to_owned(),
    };
    context.output.talk(&format!("job {id} {when}"));
    Ok(())
}

/// Returns the options of a job for each host of the executor.
fn for_each_host(context: &Context<'_>, options: &JobOptions) -> TaskResult<Vec<JobOptions>> {
    let what = options.what();
    let text = options.executor.as_deref().unwrap_or_default();
    let name: ExecutorName =
        text.parse().map_err(|error| Error::usage(&what, format!("`--executor`: {error}")))?;
    let executor = context.read_or_empty(&what, |reader| Ok(reader.executor(&name)?))?;
    let Some(executor) = executor else {
        // The daemon, or the store, says which there are.
        return Ok(vec![options.clone()]);
    };
    let of_host = |host: &ExecutorHost| {
        let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let part: String = host.name.chars().map(|c| if is_fit(c) { c } else { '-' }).collect();
        let name = options.name.as_ref().map(|name| format!("{name}-{part}"));
        JobOptions { executor: Some(format!("{text}:{}", host.name)), name, ..options.clone() }
    };
    Ok(executor.hosts.iter().map(of_host).collect())
}

/// Reads the script from standard input if there is no command.
fn complete(context: &Context<'_>, options: JobOptions) -> TaskResult<JobOptions> {
    if options.script.is_some() || !options.command.is_empty() {
        return Ok(options);
    }
    if options.each.as_deref() == Some(Path::new("-")) {
        return Err(Error::usage("add job", "`--each -` reads standard input, so there is no command")
            .hint("give one: `taskq add --each - -- COMMAND [ARG]...`"));
    }
    let script = OsString::from_vec(script_on_stdin(context)?);
    Ok(JobOptions { script: Some(script), ..options })
}

fn script_on_stdin(context: &Context<'_>) -> TaskResult<Vec<u8>> {
    if context.output.streams().stdin_is_terminal {
        return Err(Error::usage("add job", "there is no command")
            .hint("give one: `taskq add -- COMMAND [ARG]...`, `-c SCRIPT`, or a script on standard input"));
    }
    read_input(Path::new("-"))
}

fn source_name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { format!("`{}`", file.display()) }
}

fn read_input(file: &Path) -> TaskResult<Vec<u8>> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    read.map_err(|error| Error::io(format!("read {}", source_name(file)), &error))
}
