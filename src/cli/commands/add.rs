//! Owns: `taskq add`.
//! Never: what its texts mean as times (see `schedule`).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueHint};

use crate::cli::args::{number, words};
use crate::domain::{JobId, NewJob, Overlap, QueueName};

use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::cli::context::{Context, Failure};
use crate::cli::import::diff::make_queue;
use crate::cli::job::lines;
use crate::cli::job::options::MissedArg;
use crate::cli::job::text::{JobText, ReadJob, Surroundings};
use crate::cli::output::text;
use crate::cli::view::json::{JobJson, Jobs, OneJob, document};
use crate::daemon::{Adding, add, add_job, running_daemon};
use crate::error::{Error, Result as TaskResult, describe};
use crate::store::{JobView, Writer};
use crate::system::env;

/// What the verb does, for errors.
pub const WHAT: &str = "add job";

/// Add a job
///
/// Without a trigger the job runs once, as soon as its queue has a free slot.
/// With triggers it runs whenever one of them fires. Without a COMMAND, the
/// script is read from standard input, as at(1) does. The job gets the present
/// environment, directory and umask.
///
/// Prints the id of the job. It is on disk when the id appears.
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
  taskq add --at 'now + 5 minutes' -c 'echo tea | write $USER'
  id=$(taskq add --queue gpu ./train.sh) && taskq wait $id"
)]
pub struct AddArgs {
    /// Run once, at TIME (can be repeated)
    ///
    /// A TIME in the past is refused.
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Triggers"
    )]
    pub at: Vec<String>,

    /// Run when the cron expression matches (can be repeated)
    ///
    /// Five fields mean what they mean in crontab(5): minute, hour, day
    /// of the month, month, day of the week, or one of @hourly, @daily,
    /// @midnight, @weekly, @monthly, @yearly, @annually, @reboot. Six or
    /// seven fields have the second in front and the year behind, and
    /// days of the week by name only.
    #[arg(
        long,
        value_name = "EXPR",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Triggers"
    )]
    pub cron: Vec<String>,

    /// Run every SPAN, counted from now (can be repeated)
    ///
    /// With --start, counted from there. Spans are real time: a day has
    /// 24 hours, whatever the zone does.
    #[arg(
        long,
        value_name = "SPAN",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Triggers"
    )]
    pub every: Vec<String>,

    /// No fire before TIME; --every counts from it
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Triggers")]
    pub start: Option<String>,

    /// Read the triggers in ZONE, for example Europe/Berlin
    ///
    /// Default: TZ, else the system's zone. That one is followed when it
    /// changes; `system` means it whatever TZ says.
    #[arg(long, value_name = "ZONE", verbatim_doc_comment, help_heading = "Triggers")]
    pub tz: Option<String>,

    /// Run SCRIPT by /bin/sh -c
    #[arg(short = 'c', value_name = "SCRIPT", conflicts_with = "command", help_heading = "Command")]
    pub script: Option<OsString>,

    /// Add many jobs: a JSON object a line; -: stdin
    ///
    /// Keys: `command` (a list) or `script`, and the names of the long
    /// options with `_` for `-`. A key of an option that can be repeated
    /// takes a string or a list. `environment` is all of it, `anchor` where
    /// `every` counts from, `cwd_optional` that `/` will do where `cwd` is
    /// gone: `taskq export json` writes them. One transaction: all jobs are
    /// added, or none. Prints one id a line.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        verbatim_doc_comment,
        help_heading = "Command",
        conflicts_with_all = [
            "at", "cron", "every", "start", "tz", "script", "name", "tag", "queue", "priority", "cwd", "umask",
            "stdin", "user", "env", "clean_env", "timeout", "kill_after", "overlap", "missed", "grace", "mail", "hold",
            "command",
        ]
    )]
    pub from: Option<PathBuf>,

    /// Start it in DIR (the present directory)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Command")]
    pub cwd: Option<PathBuf>,

    /// Let it make files with the mask MASK, as in umask(1)
    ///
    /// An octal number, such as 022. Default: the mask of this command.
    #[arg(
        long,
        value_name = "MASK",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Command"
    )]
    pub umask: Option<String>,

    /// Let it read FILE (nothing)
    ///
    /// FILE is taken from the directory it starts in, and opened at each
    /// start, as `<FILE` does in a shell. If it cannot be opened, the
    /// outcome is `spawn_failed`. A FIFO that nobody writes to is empty.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        verbatim_doc_comment,
        help_heading = "Command"
    )]
    pub stdin: Option<PathBuf>,

    /// Run it as the user NAME; only for root
    ///
    /// With that user's groups and none of root's; its HOME, SHELL,
    /// LOGNAME and USER, unless --env sets them; and the rest of this
    /// environment, as su(1) does. The user must be allowed to enter
    /// the directory and to read the FILE of --stdin.
    #[arg(
        long,
        value_name = "NAME",
        value_hint = ValueHint::Username,
        verbatim_doc_comment,
        help_heading = "Command"
    )]
    pub user: Option<String>,

    /// Set NAME in its environment (can be repeated)
    ///
    /// Without a value, NAME keeps the value that it has now, also with
    /// --clean-env.
    #[arg(
        long,
        value_name = "NAME[=VALUE]",
        value_parser = OsStringValueParser::new().try_map(named_variable),
        verbatim_doc_comment,
        help_heading = "Command"
    )]
    pub env: Vec<OsString>,

    /// Start with cron's bare environment
    ///
    /// Default: the environment of this command, as with at(1).
    #[arg(long, verbatim_doc_comment, help_heading = "Command")]
    pub clean_env: bool,

    /// Call it NAME, for use in place of its id
    ///
    /// 1 to 64 letters, digits, `_` and `-`, not all digits; unique.
    #[arg(long, value_name = "NAME", verbatim_doc_comment, help_heading = "Job")]
    pub name: Option<String>,

    /// Tag it, to find it again (can be repeated)
    #[arg(long, value_name = "TAG", help_heading = "Job")]
    pub tag: Vec<String>,

    /// Run it in QUEUE (default)
    ///
    /// A queue runs as many jobs at once as it has slots; the others
    /// wait. The queue `default` has one slot per CPU.
    #[arg(long, value_name = "QUEUE", verbatim_doc_comment, help_heading = "Job")]
    pub queue: Option<String>,

    /// Go first or last in its queue: -100 to 100 (0)
    ///
    /// Of the runs that wait, the one with the highest priority starts
    /// first; among equals, the oldest.
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(NewJob::PRIORITY_MIN..=NewJob::PRIORITY_MAX),
        verbatim_doc_comment,
        help_heading = "Job"
    )]
    pub priority: Option<i32>,

    /// Add it paused; `taskq resume` starts it
    #[arg(long, help_heading = "Job")]
    pub hold: bool,

    /// Stop a run after SPAN (never)
    ///
    /// The whole process group gets TERM, then KILL (see --kill-after).
    /// The outcome is `timed_out`.
    #[arg(
        long,
        value_name = "SPAN",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub timeout: Option<String>,

    /// KILL this long after TERM (10s)
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, help_heading = "Policies")]
    pub kill_after: Option<String>,

    /// A fire during a run: skip|wait|allow|replace (skip)
    ///
    /// skip: it is recorded as skipped. wait: one more run starts when
    /// this one has ended. allow: both run. replace: the running one is
    /// cancelled, then the new one starts.
    #[arg(
        long,
        value_name = "POLICY",
        value_parser = words(Overlap::ALL, Overlap::as_str, Overlap::from_word),
        hide_possible_values = true,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub overlap: Option<Overlap>,

    /// Fires found late: once, all, skip[,SPAN] (once)
    ///
    /// What becomes of the times at which no daemon was there, or the
    /// machine slept. once: one run, for the latest. all: a run for
    /// each, at most 100. skip: none. With `,SPAN`, as in `once,6h`, only
    /// those at most SPAN late. The rest becomes one `missed` row with
    /// its count.
    #[arg(long, value_name = "POLICY", verbatim_doc_comment, help_heading = "Policies")]
    #[expect(rustdoc::broken_intra_doc_links, reason = "the brackets are for readers of the help")]
    pub missed: Option<MissedArg>,

    /// A fire found at most SPAN late is on time (60s)
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, help_heading = "Policies")]
    pub grace: Option<String>,

    /// Mail what a run writes, by sendmail(8)
    ///
    /// ADDR: one address, or several with commas between. WHEN: failure,
    /// if a run did not succeed; output, if it wrote something, as with
    /// cron(8); always. Default: output. The mail says what ran and how
    /// it ended, and holds up to 1 MiB of the output.
    #[arg(
        long,
        value_name = "ADDR[,WHEN]",
        value_hint = ValueHint::EmailAddress,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub mail: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// The program and its arguments; no shell between
    ///
    /// Everything from the first word on belongs to the command, options
    /// too. Write `--` before it if it starts with `-`.
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        value_hint = ValueHint::CommandWithArguments,
        verbatim_doc_comment
    )]
    pub command: Vec<OsString>,
}

fn named_variable(text: OsString) -> Result<OsString, String> {
    match text.as_encoded_bytes().first() {
        None | Some(b'=') => {
            Err("has no name: write `NAME=VALUE`, or `NAME` for the value it has now".to_owned())
        }
        Some(_) => Ok(text),
    }
}

/// Stores the jobs, and answers with their ids.
pub fn run(context: &Context<'_>, args: AddArgs) -> TaskResult<u8> {
    let json = args.json;
    let from = args.from.clone();
    let here = surroundings(context, WHAT)?;
    let texts = match &from {
        Some(file) => lines::read(&read_input(file)?, &source_name(file))?,
        None => vec![text_of(context, args)?],
    };
    let jobs = texts.into_iter().map(|text| text.read(&here)).collect::<TaskResult<Vec<ReadJob>>>()?;
    let added = match &from {
        Some(_) => context.write(WHAT, |writer| store_all(writer, &jobs, &here))?,
        None => jobs
            .into_iter()
            .map(|read| add(&context.dir, read.job, read.triggers, here.now))
            .collect::<TaskResult<Vec<JobId>>>()?,
    };
    if json {
        let views = context
            .read(WHAT, |reader| added.iter().map(|id| reader.job(*id)).collect::<Result<Vec<_>, _>>())?;
        return answer_json(context, &views, from.is_some());
    }
    let ids: String = added.iter().map(|id| format!("{id}\n")).collect();
    context.output.answer(&ids)?;
    if let ([id], true) = (added.as_slice(), context.output.streams().stderr_is_terminal) {
        tell(context, *id, &here)?;
    }
    Ok(0)
}

fn answer_json(context: &Context<'_>, views: &[JobView], many: bool) -> TaskResult<u8> {
    match views {
        [job] if !many => context.output.json(&document(OneJob { job: JobJson::from(job) }))?,
        jobs => context.output.json(&document(Jobs { jobs: jobs.iter().map(JobJson::from).collect() }))?,
    }
    Ok(0)
}

/// Stores the jobs of a batch.
fn store_all(writer: &Writer<'_>, jobs: &[ReadJob], here: &Surroundings) -> Result<Vec<JobId>, Failure> {
    let mut ids = Vec::with_capacity(jobs.len());
    // What `export json` writes of imported jobs is to be added to any store.
    if jobs.iter().any(|read| read.job.queue.as_str() == QueueName::CRON) {
        make_queue(writer)?;
    }
    for read in jobs {
        let adding = Adding { what: &read.what, others: &ids, request: None, now: here.now };
        ids.push(add_job(writer, &read.job, &read.triggers, &adding)??);
    }
    Ok(ids)
}

/// Says when the job will run, or why it will not yet.
fn tell(context: &Context<'_>, id: JobId, here: &Surroundings) -> TaskResult<()> {
    let job = context.read("add job", |reader| reader.job(id))?;
    let when = match job.next_at {
        _ if job.paused_at.is_some() => format!("held: resume it with `taskq resume {id}`"),
        Some(at) => {
            format!("runs at {}, in {}", here.zone.show(at), text::span(at.since(here.now)))
        }
        None if job.triggers.is_empty() => "runs as soon as a slot is free".to_owned(),
        None => "runs at the next boot".to_owned(),
    };
    let daemon = match running_daemon(&context.dir) {
        Some(_) => "",
        None => "; no daemon is running: start one with `taskq daemon`",
    };
    context.output.talk(&format!("job {id} {when}{daemon}"));
    Ok(())
}

fn surroundings(context: &Context<'_>, what: &str) -> TaskResult<Surroundings> {
    let (zone, zone_name) = context.zone(what)?;
    let cwd = std::env::current_dir().map_err(|error| {
        let cause = describe(&error);
        Error::usage(what, format!("the current directory: {cause}"))
            .hint("change to a directory that exists")
    })?;
    Ok(Surroundings {
        now: context.now(),
        zone,
        zone_name,
        env: env::environment(),
        cwd,
        umask: env::umask(),
    })
}

fn text_of(context: &Context<'_>, args: AddArgs) -> TaskResult<JobText> {
    let script = match args.script {
        Some(script) => Some(script.into_vec()),
        None if args.command.is_empty() => Some(script_on_stdin(context)?),
        None => None,
    };
    let (missed, missed_within) =
        args.missed.map_or((None, None), |missed| (Some(missed.mode), missed.within));
    Ok(JobText {
        what: None,
        command: args.command,
        script,
        at: args.at,
        cron: args.cron,
        every: args.every,
        anchor: Vec::new(),
        start: args.start,
        tz: args.tz,
        name: args.name,
        tag: args.tag,
        queue: args.queue,
        priority: args.priority,
        cwd: args.cwd,
        cwd_optional: false,
        umask: args.umask,
        stdin: args.stdin,
        stdin_text: None,
        user: args.user,
        env: args.env,
        environment: None,
        clean_env: args.clean_env,
        timeout: args.timeout,
        kill_after: args.kill_after,
        overlap: args.overlap,
        missed,
        missed_within,
        grace: args.grace,
        mail: args.mail,
        mail_format: None,
        hold: args.hold,
    })
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
