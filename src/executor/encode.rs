//! Owns: a request as the text that a shell reads.
//! Never: the answer.
//!
//! A line of an act ends with the word `.`, so that a truncated line is refused over there.

use std::collections::BTreeMap;

use super::quote::{data, word};
use super::slurm;
use super::{Act, Engine, FarName, FarSignal, FarStart, Known, LookAt, Request};
use crate::domain::{Span, stable_hash};

const FAR: &str = include_str!("far.sh");
const LOOK: &str = include_str!("look.sh");
const SLURM: &str = include_str!("slurm.sh");
const COMMAND: &str = include_str!("command.sh");
const SUPERVISE: &str = include_str!("supervise.sh");

/// How many bytes one line carries. A shell reads a line as a whole.
const PIECE_BYTES: usize = 16 * 1024;

/// How many names one line carries, because they become arguments of mkdir(1).
const NAMES_MAX: usize = 500;

/// Variables that belong to the far shell or to its machine. Assigning to some of them ends a shell.
const OWN_VARIABLES: &[&str] = &[
    "BASHOPTS",
    "BASHPID",
    "BASH_VERSINFO",
    "BASH_ENV",
    "DIRSTACK",
    "ENV",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "LINENO",
    "OLDPWD",
    "OPTIND",
    "PPID",
    "PWD",
    "SHELLOPTS",
    "SHLVL",
    "UID",
    "_",
];

/// A script in the making.
#[derive(Default)]
struct Script(Vec<u8>);

impl Script {
    /// Adds a program without its comments.
    fn program(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.is_empty()) {
            self.0.extend_from_slice(line.as_bytes());
            self.0.push(b'\n');
        }
    }

    /// Adds the line of an act.
    fn line<I: IntoIterator<Item = Vec<u8>>>(&mut self, verb: &str, words: I) {
        self.0.extend_from_slice(verb.as_bytes());
        for word in words {
            self.0.push(b' ');
            self.0.extend_from_slice(&word);
        }
        self.0.extend_from_slice(b" .\n");
    }

    /// Adds lines that write a file of the attempt.
    fn file(&mut self, name: FarName, file: &str, content: &[u8]) {
        let put = |piece: &[u8]| [plain(&name), plain(&file), data(piece)];
        if content.is_empty() {
            self.line("put", put(b""));
        }
        for piece in content.chunks(PIECE_BYTES) {
            self.line("put", put(piece));
        }
    }
}

fn plain(text: &(impl ToString + ?Sized)) -> Vec<u8> {
    text.to_string().into_bytes()
}

impl Request {
    /// Returns the standard input of `sh -s` over there.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut script = Script::default();
        script.program(FAR);
        let (engine, templates): (&str, Vec<&str>) = match &self.engine {
            Engine::Direct => ("direct", Vec::new()),
            Engine::Slurm { .. } => {
                script.program(SLURM);
                ("slurm", Vec::new())
            }
            Engine::Command { submit, status, cancel, logs } => {
                script.program(COMMAND);
                ("command", vec![submit, status, cancel, logs.as_deref().unwrap_or_default()])
            }
        };
        if self.acts.iter().any(|act| matches!(act, Act::Look { .. })) {
            script.program(LOOK);
        }
        let starts: Vec<&FarStart> = self.acts.iter().filter_map(Act::start).collect();
        // The supervisor also does what remains of a stop.
        script.program("supervisor() {\ncat <<'TASKQ_END'");
        script.program(SUPERVISE);
        script.program("TASKQ_END\n}");
        // Shells that run another version of the supervisor keep its file.
        let version = format!("{:016x}", stable_hash(0, SUPERVISE.as_bytes()));
        let begin =
            [plain(&self.token), word(&self.rundir), plain(&version), plain(&engine), plain(&self.serial)];
        let templates = templates.iter().map(|template| word(template.as_bytes()));
        script.line("begin", begin.into_iter().chain(templates));
        self.starts(&starts, &mut script);
        let (looks, others): (Vec<&Act>, Vec<&Act>) =
            self.acts.iter().partition(|act| matches!(act, Act::Look { .. }));
        for act in others.into_iter().chain(looks) {
            match act {
                Act::Start(_) => {}
                Act::Stop { name, now } => {
                    script.line("stop", [plain(&name), plain(if *now { "kill" } else { "stop" })]);
                }
                Act::Signal { name, signal } => {
                    let signal = match signal {
                        FarSignal::Stop => "STOP",
                        FarSignal::Continue => "CONT",
                    };
                    script.line("signal", [plain(&name), plain(&signal)]);
                }
                Act::Forget { name } => script.line("forget", [plain(&name)]),
                Act::Look { runs, wait, bytes_max } => look(runs, *wait, *bytes_max, &mut script),
            }
        }
        script.line("finish", []);
        script.0
    }

    /// Adds the starts: first all their data, then what starts them.
    fn starts(&self, starts: &[&FarStart], script: &mut Script) {
        for starts in starts.chunks(NAMES_MAX) {
            script.line("prepare", starts.iter().map(|start| plain(&start.name)));
            for start in starts {
                script.file(start.name, "settings", &settings(start));
                script.file(start.name, "command", &command(start));
                script.file(start.name, "stdin", &start.stdin);
                if matches!(self.engine, Engine::Command { .. }) {
                    script.file(start.name, "argv", &argv(start));
                }
                for ((_, content), n) in start.files.iter().zip(1..) {
                    script.file(start.name, &format!("file.{n}"), content);
                }
                if matches!(self.engine, Engine::Direct | Engine::Command { .. }) {
                    script.line("start", [plain(&start.name)]);
                }
            }
        }
        let Engine::Slurm { options } = &self.engine else { return };
        let mut batches: BTreeMap<(&str, Vec<String>), Vec<FarName>> = BTreeMap::new();
        for start in starts {
            let batch = (start.job.as_str(), slurm::sbatch_options(start, options));
            batches.entry(batch).or_default().push(start.name);
        }
        if starts.iter().any(|start| slurm::is_without_limit(start, options)) {
            script.line("warn", [word(slurm::NO_LIMIT.as_bytes())]);
        }
        for ((_, options), names) in &batches {
            let count = plain(&options.len());
            let options = options.iter().map(|option| word(option.as_bytes()));
            script.line("submit", [count].into_iter().chain(options).chain(names.iter().map(plain)));
        }
    }
}

impl Act {
    fn start(&self) -> Option<&FarStart> {
        match self {
            Self::Start(start) => Some(start),
            Self::Stop { .. } | Self::Signal { .. } | Self::Forget { .. } | Self::Look { .. } => None,
        }
    }
}

/// Returns how many seconds sleep(1) is told, with decimals only where there are some.
fn seconds(span: Span) -> String {
    let millis = span.as_micros().div_ceil(1_000);
    match (millis / 1_000, millis % 1_000) {
        (seconds, 0) => seconds.to_string(),
        (seconds, millis) => format!("{seconds}.{millis:03}"),
    }
}

/// Returns the variables that the supervisor reads.
fn settings(start: &FarStart) -> Vec<u8> {
    let timeout = start.timeout.map(seconds).unwrap_or_default();
    let nice = start.nice.map(|nice| nice.to_string()).unwrap_or_default();
    let flag = |is_on: bool| if is_on { "yes" } else { "" };
    let mut text = format!(
        "taskq_timeout={timeout} taskq_after={} taskq_umask={:03o} taskq_nice={nice}\n\
         taskq_split={} taskq_optional={} taskq_has_cwd={}\ntaskq_cwd=",
        seconds(start.kill_after),
        start.umask & 0o777,
        flag(start.split_output),
        flag(start.cwd_optional),
        flag(start.cwd.is_some()),
    )
    .into_bytes();
    text.extend(word(start.cwd.as_deref().unwrap_or_default()));
    text.push(b'\n');
    text
}

/// Returns whether a POSIX shell may export a variable of this name.
fn is_exportable(name: &[u8]) -> bool {
    let first = name.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    let is_identifier = first && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    is_identifier && !OWN_VARIABLES.iter().any(|own| own.as_bytes() == name)
}

/// Returns the script that sets the environment and the arguments, for the shell that becomes the command.
fn command(start: &FarStart) -> Vec<u8> {
    let mut text = Vec::new();
    let mut export = |name: &[u8], value: &[u8]| {
        text.extend_from_slice(b"export ");
        text.extend_from_slice(name);
        text.push(b'=');
        text.extend_from_slice(value);
        text.push(b'\n');
    };
    for variable in &start.env {
        let Some(at) = variable.iter().position(|byte| *byte == b'=') else { continue };
        if is_exportable(&variable[..at]) {
            export(&variable[..at], &word(&variable[at + 1..]));
        }
    }
    for ((variable, _), n) in start.files.iter().zip(1..) {
        if is_exportable(variable.as_bytes()) {
            export(variable.as_bytes(), format!("\"$taskq_try/file.{n}\"").as_bytes());
        }
    }
    export(b"TASKQ_RESULT_FILE", b"\"$taskq_run/result\"");
    text.extend_from_slice(b"set -- ");
    text.extend(argv(start));
    text.push(b'\n');
    text
}

/// Returns the words of the command for a shell.
fn argv(start: &FarStart) -> Vec<u8> {
    let words: Vec<Vec<u8>> = start.argv.iter().map(|argument| word(argument)).collect();
    words.join(&b' ')
}

fn look(runs: &[LookAt], wait: Span, bytes_max: u64, script: &mut Script) {
    let known = |known: Known| match known {
        Known::Nothing => "n",
        Known::Waiting => "w",
        Known::Running => "r",
        Known::Unattended => "u",
    };
    let runs = runs.iter().map(|run| {
        let FarName { run: id, attempt, .. } = run.name;
        plain(&format!("{id}.{attempt}:{}:{}:{}", run.stdout_from, run.stderr_from, known(run.known)))
    });
    // Hundredths of a second, as in /proc/uptime.
    let head = [plain(&(wait.as_millis() / 10)), plain(&bytes_max)];
    script.line("look", head.into_iter().chain(runs));
}
