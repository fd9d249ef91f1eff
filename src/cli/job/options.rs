//! Owns: the options of a job, one field each: of `add`, and of a line of `add --from`.
//! Never: what their values mean (see `text` and `values`), or how they are shown (see `view::options`).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueHint};

use super::line_keys::LineKeys;
use super::values::{MissedArg, named_variable};
use crate::cli::args::{number, words};
use crate::domain::{Array, Execution, NewJob, Overlap, Retry, RetryCauses};

/// The heading of the triggers. A short name, because each stands in one line.
const WHEN: &str = "Triggers";

/// The options of a job, as texts.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct JobOptions {
    /// Run once, at TIME (can be repeated)
    ///
    /// A TIME in the past is refused.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, verbatim_doc_comment, help_heading = WHEN)]
    pub at: Vec<String>,

    /// Run when the cron expression matches (can be repeated)
    ///
    /// Five fields have the meaning of crontab(5): minute, hour, day of
    /// the month, month, day of the week. Or it is one of @hourly,
    /// @daily, @midnight, @weekly, @monthly, @yearly, @annually, @reboot.
    /// Six or seven fields begin with the second; the seventh is the
    /// year; days of the week are names only.
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true, verbatim_doc_comment, help_heading = WHEN)]
    pub cron: Vec<String>,

    /// Run when the calendar EXPR matches (can be repeated)
    ///
    /// EXPR is one of systemd.time(7): `Mon..Fri 09:30`, `*:0/15`, `daily`;
    /// a zone at its end goes before --tz. What the clock skips is skipped.
    #[arg(long, value_name = "EXPR", verbatim_doc_comment, help_heading = WHEN)]
    pub calendar: Vec<String>,

    /// Run every SPAN, counted from now (can be repeated)
    ///
    /// With --start, it counts from that TIME. Spans are real time: a
    /// day always has 24 hours.
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, verbatim_doc_comment, help_heading = WHEN)]
    pub every: Vec<String>,

    /// --every counts from the end of the last run
    ///
    /// The first fire is SPAN from now, or at --start. Then each one is
    /// SPAN after the job has no unfinished run. A run of `taskq run`
    /// counts too.
    #[arg(long, verbatim_doc_comment, help_heading = WHEN)]
    pub after_end: bool,

    /// Run at an event (can be repeated)
    ///
    /// EVENT is `KIND[,OPTION]...:ARG`, with ARG as it is up to the end:
    ///
    ///   path:PATH       something happened to a file: changed (default),
    ///                   created, deleted, exists, nonempty, bytes=SIZE,
    ///                   lines=N; settle=SPAN, poll=SPAN
    ///   job:JOB         a run of a job, of a glob of names, or of tag=T:
    ///                   done (default), success, failed, started,
    ///                   overdue[=SPAN], silent=SPAN
    ///   emit:NAME       `taskq emit NAME` was called
    ///   stream:COMMAND  COMMAND, which is kept running, has printed a
    ///                   line; match=REGEX, restart=SPAN
    ///   state:STATE     boot, start, online, ac or battery has begun
    ///
    /// Options of every kind: count=N fires at each N-th event,
    /// within=SPAN if these came within SPAN; consecutive: an opposite
    /// result starts the count again; or-after=SPAN fires SPAN after the
    /// first one, with what has come; absent=SPAN fires when none came
    /// for SPAN. A run finds its events in $TASKQ_EVENT_FILE. Events that
    /// come while a run of the job waits join it.
    #[arg(long, value_name = "EVENT", verbatim_doc_comment, help_heading = WHEN)]
    pub on: Vec<String>,

    /// Run when each --on has fired since the last run
    ///
    /// Without it, any of them is enough.
    #[arg(long, verbatim_doc_comment, help_heading = WHEN)]
    pub all_of: bool,

    /// No fire before TIME; --every counts from it
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = WHEN)]
    pub start: Option<String>,

    /// No fire at or after TIME; default: no end
    ///
    /// After the last fire before TIME the job is done. A fire before
    /// TIME that is found later still runs, if --missed allows it.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, verbatim_doc_comment, help_heading = WHEN)]
    pub until: Option<String>,

    /// Run at every N-th fire of the triggers only
    ///
    /// The N-th fire runs, then the one N fires later. The others are
    /// passed over: they are no runs, and not in the run log. A fire that
    /// is missed or skipped counts too. With another N, or another
    /// trigger, the count begins anew. So `--cron '0 9 * * mon' --nth 2`
    /// is every other Monday, from the second on.
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(1..=NewJob::NTH_MAX),
        conflicts_with = "after_end",
        verbatim_doc_comment,
        help_heading = WHEN
    )]
    pub nth: Option<u32>,

    /// Fire up to SPAN later, always by the same delay
    ///
    /// The delay is below SPAN. It is fixed for the job and this machine,
    /// so that jobs of one time, or machines with the same job, do not
    /// all start at once. `taskq show` has it. @reboot has no delay.
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, verbatim_doc_comment, help_heading = WHEN)]
    pub jitter: Option<String>,

    /// Fire until N of its runs have begun; default: always
    ///
    /// Then the job is done. Runs that were missed or skipped do not
    /// count, nor do those of `taskq run`. Retries count as one run.
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(1..=u32::MAX),
        verbatim_doc_comment,
        help_heading = WHEN
    )]
    pub times: Option<u32>,

    /// Read the triggers in ZONE, for example Europe/Berlin
    ///
    /// Default: TZ, else the system's zone. If the system's zone changes,
    /// the job follows. `system` means the system's zone even if TZ is
    /// set.
    #[arg(long, value_name = "ZONE", verbatim_doc_comment, help_heading = WHEN)]
    pub tz: Option<String>,

    /// Run SCRIPT by /bin/sh -c
    #[arg(short = 'c', value_name = "SCRIPT", conflicts_with = "command", help_heading = "Command")]
    pub script: Option<OsString>,

    /// Start the job in DIR; default: the present directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Command")]
    pub cwd: Option<PathBuf>,

    /// Set the file mode creation mask, as with umask(1)
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

    /// Run it with niceness N; default: the daemon's
    ///
    /// N is -20 to 19, and a higher one leaves more of the CPU to other
    /// processes, see nice(1).
    /// Only root can go below the daemon's own niceness; for others the
    /// outcome is then `spawn_failed`.
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(Execution::NICE_MIN..=Execution::NICE_MAX),
        verbatim_doc_comment,
        help_heading = "Command"
    )]
    pub nice: Option<i32>,

    /// Use FILE as its standard input; default: empty
    ///
    /// FILE is relative to the directory of the job. It is opened at each
    /// start, as by `<FILE` in a shell. If it cannot be opened, the
    /// outcome is `spawn_failed`. A FIFO without a writer is empty.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        verbatim_doc_comment,
        help_heading = "Command"
    )]
    pub stdin: Option<PathBuf>,

    /// Read the output of the run of JOB that it waits for
    ///
    /// JOB is one of those of --after, and no array. If its output was
    /// cut at the log limit or pruned, the outcome is `spawn_failed`.
    /// `taskq run` takes the output of JOB's last run.
    #[arg(long, value_name = "JOB", verbatim_doc_comment, help_heading = "Command")]
    pub stdin_from: Option<String>,

    /// Run it as the user NAME; only for root
    ///
    /// It gets that user's groups and none of root's. HOME, SHELL,
    /// LOGNAME and USER are the user's, unless --env sets them; the rest
    /// of the environment is this one, as with su(1). The user must be
    /// able to enter the directory and to read the FILE of --stdin.
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
    /// Without a value, NAME keeps its present value, even with
    /// --clean-env.
    #[arg(
        long,
        value_name = "NAME[=VALUE]",
        value_parser = OsStringValueParser::new().try_map(named_variable),
        verbatim_doc_comment,
        help_heading = "Command"
    )]
    pub env: Vec<OsString>,

    /// Set the variables in FILE, read at each start
    ///
    /// FILE has lines NAME=VALUE, as with EnvironmentFile= of systemd, and
    /// is relative to the directory of the job. Its variables replace
    /// others, also those of --env. It must belong to the user of the job
    /// or to root, and nobody else may be able to write it; else the
    /// outcome is `spawn_failed`.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        verbatim_doc_comment,
        help_heading = "Command"
    )]
    pub env_file: Option<PathBuf>,

    /// Start with cron's bare environment
    ///
    /// Default: the environment of this command, as with at(1).
    #[arg(long, verbatim_doc_comment, help_heading = "Command")]
    pub clean_env: bool,

    /// Give it a name, for use in place of its id
    ///
    /// 1 to 64 letters, digits, `_` and `-`, not all digits; unique.
    #[arg(long, value_name = "NAME", verbatim_doc_comment, help_heading = "Job")]
    pub name: Option<String>,

    /// Tag it, to find it again (can be repeated)
    #[arg(long, value_name = "TAG", help_heading = "Job")]
    pub tag: Vec<String>,

    /// Run it in QUEUE; default: the queue `default`
    ///
    /// A queue runs as many jobs at once as it has slots; the others
    /// wait. The queue `default` has one slot per CPU.
    #[arg(long, value_name = "QUEUE", verbatim_doc_comment, help_heading = "Job")]
    pub queue: Option<String>,

    /// Priority in its queue, -100 to 100; default: 0
    ///
    /// A point is worth a minute of waiting: of a run of priority 5 and one
    /// of 0, the first starts first unless the other has waited for five
    /// minutes more. `taskq queue set --aging` sets another time, or never.
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(NewJob::PRIORITY_MIN..=NewJob::PRIORITY_MAX),
        verbatim_doc_comment,
        help_heading = "Job"
    )]
    pub priority: Option<i32>,

    /// How long a run takes, until that is learnt
    ///
    /// A queue with the order `shortest` goes by the latest runs of the
    /// job, then by this, by jobs with the same command, by the queue.
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, verbatim_doc_comment, help_heading = "Job")]
    pub expect: Option<String>,

    /// When a run should be finished, after its time
    ///
    /// In a queue with the order `deadline`, the run with the earliest
    /// deadline starts first; default: 1d. Nothing ends a run that is late.
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, verbatim_doc_comment, help_heading = "Job")]
    pub finish_by: Option<String>,

    /// Book resources, as in gpu=1 (can be repeated)
    ///
    /// `cpu` and `mem` are there (of mem a SIZE); `taskq resource set`
    /// makes others. A run starts when so much is free. Where the parts of
    /// a resource are counted, as of gpu=2, TASKQ_GPU tells a run which it
    /// has: 0, 1 or 0,1. What is booked is a limit only with --enforce.
    #[arg(short = 'R', long, value_name = "NAME=N", verbatim_doc_comment, help_heading = "Job")]
    pub needs: Vec<String>,

    /// Run on this executor (see taskq-executors(7))
    ///
    /// `taskq executor` lists them; NAME:HOST is one host of it. Of the
    /// environment, only what --env and --env-file give goes there. The
    /// directory is this one if it is there, else the home; with --cwd, no
    /// other. --needs counts there; --if, --stdin and callbacks are here.
    #[arg(long, value_name = "NAME", verbatim_doc_comment, help_heading = "Job")]
    pub executor: Option<String>,

    /// Limit its runs to the cpu and mem they book
    ///
    /// By a control group, which systemd must delegate (see taskq(1),
    /// RESOURCES). The job is refused where it has not.
    #[arg(long, verbatim_doc_comment, help_heading = "Job")]
    pub enforce: bool,

    /// Start only if the gate is open (repeatable)
    ///
    /// 'load<1.5', 'runnable<100%', 'psi.cpu<40', 'psi.mem<10', 'psi.io<20',
    /// 'memfree>2G', ac, online, path:FILE, 'cmd:SCRIPT' (exit 0: open). Of
    /// several, all must be open. Gates are looked at once a second while a
    /// run waits there, and at most one run a second passes, of all jobs.
    /// See taskq-scheduling(7).
    #[arg(long = "if", value_name = "GATE", verbatim_doc_comment, help_heading = "Job")]
    pub gates: Vec<OsString>,

    /// A run that waits so long at a gate is missed
    ///
    /// Counted from when it is queued. With `,run` it is not missed: the
    /// gates do not count from then on.
    #[arg(
        long,
        value_name = "SPAN[,run]",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Job"
    )]
    pub if_timeout: Option<String>,

    /// Add it paused; `taskq resume` starts it
    #[arg(long, help_heading = "Job")]
    pub hold: bool,

    /// Run once for each index, as one job
    ///
    /// A-B, A-B:STEP or A-B%MAX, as in 1-1000:5%8: the indices from A to
    /// B in steps, at most MAX at once. TASKQ_INDEX has the index. Up to
    /// 1,000,000 indices; runs are made as they start. An index is 12/7,
    /// a range 12/5-9. Each index is retried by itself; a mail, --times
    /// and a job that runs --after it see the whole, which succeeds if
    /// every index does.
    #[arg(
        long,
        value_name = "INDICES",
        allow_hyphen_values = true,
        conflicts_with = "each",
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub array: Option<Array>,

    /// Run once for each line of FILE; -: stdin
    ///
    /// An array whose indices count the lines from 1. TASKQ_ITEM has the
    /// line. The lines are stored with the job.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub each: Option<PathBuf>,

    /// Run after a run of JOB (can be repeated)
    ///
    /// Each run waits for the latest run of JOB that was due when it was
    /// itself, or for the first one if there is none yet. By default that
    /// run has to succeed; JOB:failed wants a failure (a timeout and a
    /// cancel too), JOB:done one of the two. If it ends otherwise, the
    /// run is skipped. Of several JOBs, it waits for all. The runs are in
    /// TASKQ_AFTER_RUNS. `taskq run` does not wait.
    #[arg(
        long,
        value_name = "JOB[:END]",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub after: Vec<String>,

    /// Of several --after, one is enough
    #[arg(long, help_heading = "Policies")]
    pub any: bool,

    /// Stop a run after SPAN; default: never
    ///
    /// All processes of the run get TERM, then KILL (see --kill-after).
    /// The outcome is `timed_out`.
    #[arg(
        long,
        value_name = "SPAN",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub timeout: Option<String>,

    /// KILL this long after TERM; default: 10s
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, help_heading = "Policies")]
    pub kill_after: Option<String>,

    /// Miss a start later than SPAN; default: never
    ///
    /// A run that is still queued SPAN after it was queued is `missed`,
    /// whatever it waits for: a slot, another job, a paused job or queue.
    /// Of an array, it is each index that has not begun. An attempt after
    /// the first may wait.
    #[arg(
        long,
        value_name = "SPAN",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub start_by: Option<String>,

    /// Try a failed run again N times; default: 0
    ///
    /// An attempt fails if its exit status is not 0, a signal or --timeout
    /// ends it, or it cannot be started. --timeout counts for each
    /// attempt, TASKQ_ATTEMPT is its number. Mails, and all else that is
    /// about the end of a run, see that of its last attempt. A cancelled
    /// run is not tried again.
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(0..=Retry::RETRIES_MAX),
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub retries: Option<u32>,

    /// The pause before a retry; default: 10s..10m
    ///
    /// It is MIN before the first retry, doubles with each one up to MAX,
    /// and is up to a tenth longer. Without MAX it grows up to 10m.
    #[arg(
        long,
        value_name = "MIN[..MAX]",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub retry_delay: Option<String>,

    /// Retry only after LIST; default: any failure
    ///
    /// LIST has exit statuses, ranges of them, and the words signal,
    /// timeout and lost, as in 1,75-78,signal. A run is lost if its keeper
    /// was killed or the machine stopped; only with lost is it tried
    /// again, once its processes have ended.
    #[arg(
        long,
        value_name = "LIST",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub retry_on: Option<RetryCauses>,

    /// A fire during an unfinished run; default: skip
    ///
    /// skip: the fire is recorded as skipped. wait: one more run starts
    /// after the running one. allow: both run. replace: the running one
    /// is cancelled, then the new one starts.
    #[arg(
        long,
        value_name = "POLICY",
        value_parser = words(Overlap::ALL, Overlap::as_str, Overlap::from_word),
        hide_possible_values = true,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub overlap: Option<Overlap>,

    /// Fires found late: once, all or skip[,SPAN]
    ///
    /// For fires at times when no daemon was running, or the machine
    /// slept. once: one run, for the latest. all: a run for each, at
    /// most 100. skip: none. With `,SPAN`, as in `once,6h`, only for
    /// fires at most SPAN late. The rest becomes one `missed` row with
    /// its count. Default: once.
    #[arg(long, value_name = "POLICY", verbatim_doc_comment, help_heading = "Policies")]
    #[expect(rustdoc::broken_intra_doc_links, reason = "the brackets are for readers of the help")]
    pub missed: Option<MissedArg>,

    /// On time if at most SPAN late; default: 60s
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, help_heading = "Policies")]
    pub grace: Option<String>,

    /// Keep so much of a run's output; default: 10M
    ///
    /// SIZE is in bytes, or has the unit K, M, G or T. Of more output, the
    /// first and the last half of SIZE are kept, also while the run writes,
    /// and a line in between says how many bytes were dropped. It counts
    /// for each attempt. The least SIZE is 4K.
    #[arg(
        long,
        value_name = "SIZE",
        allow_hyphen_values = true,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub log_limit: Option<String>,

    /// Keep standard output and standard error apart
    ///
    /// `taskq log` prints the standard output alone, and `taskq log --stderr`
    /// the standard error. --log-limit counts for each of the two. The
    /// order between lines of the two is lost; `taskq log --timestamps`
    /// shows when each was written.
    #[arg(long, verbatim_doc_comment, help_heading = "Policies")]
    pub split_output: bool,

    /// Mail the output of a run, by sendmail(8)
    ///
    /// ADDR: addresses, separated by commas; one without @ is a user of
    /// this machine. WHEN: failed (the run did not succeed), output (it
    /// wrote something, as with cron(8)), or always. Default: output. The
    /// mail has the command, the outcome, and up to 1 MiB of the output.
    #[arg(
        long,
        value_name = "ADDR[,WHEN]",
        value_hint = ValueHint::EmailAddress,
        verbatim_doc_comment,
        help_heading = "Policies"
    )]
    pub mail: Option<String>,

    /// Run SCRIPT after a run that succeeded
    ///
    /// SCRIPT is for /bin/sh -c, in the directory and environment of the
    /// job. It is a run of its own, with the trigger `callback`, before
    /// others in the queue. TASKQ_PARENT_RUN, TASKQ_PARENT_OUTCOME and
    /// TASKQ_PARENT_EXIT_CODE are about the run that ended. It comes after
    /// the last attempt, and once after a whole array.
    #[arg(long, value_name = "SCRIPT", verbatim_doc_comment, help_heading = "Policies")]
    pub on_success: Option<OsString>,

    /// Run SCRIPT after a run that failed
    ///
    /// It failed, timed out, could not be started or was lost.
    #[arg(long, value_name = "SCRIPT", verbatim_doc_comment, help_heading = "Policies")]
    pub on_failure: Option<OsString>,

    /// Run SCRIPT after a run, however it ended
    ///
    /// Also after one that was cancelled while it ran.
    #[arg(long, value_name = "SCRIPT", verbatim_doc_comment, help_heading = "Policies")]
    pub on_finish: Option<OsString>,

    /// The program and its arguments; no shell between
    ///
    /// All words after the program are its arguments, even options.
    /// Write `--` before a program that starts with `-`.
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        value_hint = ValueHint::CommandWithArguments,
        verbatim_doc_comment
    )]
    pub command: Vec<OsString>,

    /// `--replace` of `add`, and a key of `--from`.
    #[arg(skip)]
    pub replace: bool,

    /// Keys that only `--from` has.
    #[arg(skip)]
    pub line: LineKeys,
}
