//! Owns: the words that users of other programs type, and our words for them.
//! Never: whether a word is a synonym or a typing error (see `hints`).
//!
//! A test holds the tables against the grammar: each target exists, and no synonym does. So the change that
//! builds a verb or an option removes its line here.

/// An answer to a word that is not ours.
#[derive(Clone, Copy, Debug)]
pub enum Advice {
    /// A command line of ours, without `taskq`, or an option. Words in capitals stand for arguments, and
    /// those that were typed take their place.
    Same(&'static str),
    /// A hint in full. `JOB` and `N` stand for the typed argument or value.
    Say(&'static str),
}

use Advice::{Same, Say};

/// The verb above, the words for a verb below it, and the advice. Of several lines for a word, the first
/// whose command line can be read together with the typed arguments counts.
pub const VERBS: &[(&str, &str, Advice)] = &[
    // rm, kill, at, tsp, pueue.
    ("", "rm delete del kill stop abort terminate atrm", Same("cancel JOB")),
    ("", "forget wipe", Say("`taskq remove JOB` removes a job with its history; `taskq cancel JOB` ends it")),
    ("", "clean clear purge gc expire", Say(PRUNE)),
    ("", "edit", Same("crontab -e")),
    ("", "edit change modify update reschedule", Say(SET)),
    ("", "mv name", Say("`taskq rename JOB NAME` gives a job another name")),
    (
        "",
        "switch swap urgent reorder",
        Say("runs start by priority: `taskq set JOB --priority N` changes it"),
    ),
    ("", "start", Same("daemon")),
    ("", "start", Say("`taskq resume JOB` ends a pause, `taskq run JOB` runs it now")),
    ("", "unpause continue unhold release enable enqueue", Same("resume JOB")),
    ("", "hold suspend disable stash", Same("pause JOB")),
    ("", "restart rerun requeue redo", Same("retry JOB")),
    ("", "trigger fire exec", Same("run JOB")),
    ("", "batch", Same("add --if load<1.5 COMMAND")),
    ("", "submit create new push", Same("add COMMAND")),
    ("", "cron schedule timer", Say("add such a job with `taskq add --cron '15 3 * * *' COMMAND`")),
    ("", "at once", Say("add such a job with `taskq add --at 'now + 5 minutes' COMMAND`")),
    ("", "every", Say("add such a job with `taskq add --every 5m COMMAND`")),
    ("", "parallel slots workers", Same("queue set default --slots N")),
    ("", "group groups", Same("queue")),
    ("", "group groups", Say("make a queue with `taskq queue set QUEUE --slots N`")),
    ("", "history", Same("runs JOB")),
    ("", "ps jobs tasks atq list-jobs list-units", Same("list JOB")),
    ("", "list-timers timers upcoming preview", Same("next JOB")),
    ("", "info get describe inspect details", Same("show JOB")),
    ("", "tail", Same("log --tail 10 JOB")),
    ("", "tail", Same("log JOB")),
    ("", "follow attach", Same("log -f JOB")),
    ("", "cat output", Same("log JOB")),
    ("", "serve server", Same("daemon")),
    ("", "shutdown quit exit", Say(STOP_DAEMON)),
    ("", "reload daemon-reload", Say("there is nothing to reload: each change counts at once")),
    ("", "completion", Same("completions SHELL")),
    ("", "explain", Same("why JOB")),
    ("", "watch monitor", Same("events --follow")),
    ("", "audit journal journalctl", Same("events")),
    ("", "statistics stat summary", Same("stats JOB")),
    ("", "prometheus openmetrics exporter scrape", Same("metrics")),
    ("", "gantt history chart graph plot", Same("timeline")),
    ("", "htop dashboard live", Same("top")),
    ("", "check diagnose", Same("doctor")),
    ("", "sync load deploy", Same("apply FILE")),
    ("", "copy dump snapshot", Same("backup DIR")),
    ("", "resources", Same("resource")),
    ("", "executors host hosts node nodes worker workers remote ssh slurm", Same("executor")),
    ("executor", "create new make", Same("executor add NAME --type ssh --host HOST")),
    ("executor", "rm delete", Same("executor remove NAME")),
    ("executor", "ls show status", Same("executor list")),
    ("executor", "change edit", Same("executor set NAME")),
    ("executor", "test ping try", Same("executor check NAME")),
    ("executor", "drain", Same("executor set NAME --drain HOST")),
    ("executor", "help", Same("executor --help")),
    ("queue", "add create new make", Same("queue set QUEUE --slots N")),
    ("queue", "rm delete", Same("queue remove QUEUE")),
    ("queue", "ls show status", Same("queue list")),
    ("queue", "pause hold stop", Same("pause --queue QUEUE")),
    ("queue", "resume unpause start", Same("resume --queue QUEUE")),
    ("queue", "help", Same("queue --help")),
    ("resource", "add create new make", Say("write how much there is: `taskq resource set NAME=N`")),
    ("resource", "rm delete unset", Same("resource remove NAME")),
    ("resource", "ls show status", Same("resource list")),
    ("resource", "help", Same("resource --help")),
    ("import", "cron", Same("import crontab FILE")),
    ("import", "atq batch", Same("import at")),
    ("import", "anacron", Same("import anacrontab")),
    ("import", "timer timers systemctl", Same("import systemd")),
    ("import", "help", Same("import --help")),
];

/// The verb, an argument that it does not take (empty: any), and the advice.
pub const ARGUMENTS: &[(&str, &str, Advice)] = &[
    ("status", "", Same("show JOB")),
    ("daemon", "start run", Say("`taskq daemon` starts it, in the foreground")),
    ("daemon", "stop quit", Say(STOP_DAEMON)),
    ("daemon", "restart reload", Say("stop it with TERM, then start `taskq daemon`: running jobs continue")),
    ("daemon", "status", Same("status")),
];

/// The verb (empty: each that has the option of the advice), the words for an option, and the advice.
pub const OPTIONS: &[(&str, &str, Advice)] = &[
    ("", "--label --labels --tags", Same("--tag")),
    ("", "--group --lane -g -q", Same("--queue")),
    ("", "--schedule --crontab", Same("--cron")),
    ("", "--on-calendar --oncalendar", Same("--calendar")),
    ("", "--in --delay", Same("--at 'in SPAN'")),
    ("add", "--when", Say("`--at TIME` says at which time, `--if GATE` under which condition")),
    ("set", "--when", Say("`--at TIME` says at which time, `--if GATE` under which condition")),
    ("", "--time --when --date", Same("--at")),
    ("", "--interval --repeat --period", Same("--every")),
    ("", "--timezone --zone", Same("--tz")),
    ("", "--command --cmd --script --shell", Same("-c")),
    ("", "--workdir --working-dir --working-directory --chdir --directory", Same("--cwd")),
    ("", "--email --mailto --mail-to", Same("--mail")),
    ("", "--environment --setenv", Same("--env")),
    ("", "--stashed --paused", Same("--hold")),
    ("", "--time-limit --max-time --runtime-max", Same("--timeout")),
    ("", "--limit --max --count", Same("-n")),
    ("", "--status", Same("--state")),
    ("", "--status --state --result", Same("--outcome")),
    ("", "--lines", Same("--tail")),
    ("", "--format --output -o", Same("--json")),
    ("", "-v", Same("-V")),
    ("cancel", "--force --kill -f -9", Same("--now")),
    ("daemon", "--parallel --workers --jobs -j", Same("--slots")),
    ("queue set", "--parallel --workers --jobs -j", Same("--slots")),
    (
        "add",
        "--parallel --slots --jobs -j",
        Say("slots are those of a queue: `taskq queue set default --slots N`"),
    ),
    ("", "--depends --depends-on --dependency -d", Same("--after")),
    ("", "--retry --max-retries --attempts --tries", Same("--retries")),
    ("", "--backoff --retry-wait --retry-interval", Same("--retry-delay")),
    ("", "--need --resource --resources --requires --gres", Same("--needs")),
    (
        "add",
        "--memory --mem --memory-max",
        Say("book memory with `-R mem=SIZE`; to limit it, add `--enforce`, or `-c 'ulimit -v KIB; COMMAND'`"),
    ),
    (
        "add",
        "--cpu --cpus --cpu-quota",
        Say("book CPUs with `-R cpu=N`; to limit them, add `--enforce`, or `taskset -c 0 COMMAND`"),
    ),
    ("", "--condition --cond --only-if --only-when --gate --while --run-if", Same("--if")),
    ("", "--load --loadavg --load-average --max-load --maxload", Same("--if 'load<N'")),
    ("", "--memfree --min-memory --free-memory", Same("--if 'memfree>SIZE'")),
    ("", "--unless --if-not", Same("--if 'cmd:! COMMAND'")),
    ("", "--if-wait --gate-timeout", Same("--if-timeout")),
    ("", "--callback --notify --on-exit --on-end", Same("--on-finish")),
    ("", "--on-error --on-fail", Same("--on-failure")),
    ("add", "--wait", Say("`taskq add` prints the id; wait with `taskq wait JOB`")),
    ("add", "--follow", Say("`taskq add` prints the id; follow with `taskq log -f JOB`")),
    ("add", "--dry-run", Say("preview a schedule with `taskq next --cron EXPR`")),
    ("add", "--log --log-file --stdout --output", Say("the output is kept; read it with `taskq log JOB`")),
];

/// The verb, its option or argument with a closed set of values, the words for a value, and the advice.
pub const VALUES: &[(&str, &str, &str, Advice)] = &[
    ("list", "--state", "failed failure error", Say("see jobs whose last run failed: `taskq list --failed`")),
    ("list", "--state", "finished ended completed over", Same("done")),
    ("list", "--state", "waiting pending", Same("queued")),
    ("list", "--state", "active", Same("running")),
    ("list", "--state", "held stashed suspended", Same("paused")),
    ("runs", "--outcome", "failure fail error", Same("failed")),
    ("runs", "--outcome", "ok done succeeded completed", Same("success")),
    ("runs", "--outcome", "timeout", Same("timed_out")),
    ("runs", "--outcome", "killed stopped", Same("cancelled")),
    ("add", "--overlap", "no never forbid", Same("skip")),
    ("add", "--overlap", "yes parallel", Same("allow")),
    ("add", "--overlap", "queue serial", Same("wait")),
    ("add", "--overlap", "kill cancel restart", Same("replace")),
    ("export", "FORMAT", "cron", Same("crontab")),
    ("export", "FORMAT", "timer", Same("systemd")),
];

const SET: &str = "`taskq set JOB OPTION` changes the options and triggers of a job";

const PRUNE: &str = "`taskq prune` forgets old runs, `taskq remove JOB` a job with its history";

const STOP_DAEMON: &str = "stop it with `kill PID`: `taskq status` has the PID; running jobs continue";
