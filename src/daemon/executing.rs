//! Owns: the hosts of executors: the commands that speak to them, which the keeper runs, and the outputs that
//! come back.
//! Never: what is asked of a host and when (see `executor`), SQL.
//!
//! It keeps nothing that another daemon could not find out: the runs of hosts are in the store, their outputs
//! in the files, and how they stand is asked again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::far_order::far_start;
use super::results::{ResultFile, write_result};
use super::turn::{FarOrder, FarReport, FarTurn};
use crate::domain::{
    End, Executor, ExecutorKind, ExecutorName, FarPlace, OutputKind, RunId, Size, Span, Stdin, StopCause,
    Timestamp,
};
use crate::error::describe;
use crate::executor::transport::{self, NOT_DELIVERED, SshOptions};
use crate::executor::{
    Act, Answer, Channel, Engine, FarEnd, FarName, FarSignal, Heard, Link, News, Request, StoreToken,
};
use crate::keeper::protocol::{Attempt, Ended, FromKeeper, StartExtras, StartOrder, Task, ToKeeper};
use crate::keeper::{LogDirectory, OutputFile, OutputView, Sealing, memory_file};
use crate::seal::OutputKeys;
use crate::store::{Reader, StoreResult};
use crate::system::env;

/// The directory of the requests and of the sockets of ssh(1), in that of the store.
const DIRECTORY: &str = "executor";

/// The keeper's queue of these commands. No job can use a name like this.
const QUEUE: &str = "@executor";

/// How many commands run at once.
const AT_ONCE: u32 = 64;

/// How long a command may take, besides what it is to wait for news.
const COMMAND_MAX: Span = Span::from_seconds(90);

/// How long after that it is killed.
const KILL_AFTER: Span = Span::from_seconds(5);

/// Half of it is what an answer has at most.
const ANSWER_LIMIT: Size = Size::from_bytes(64 << 20);

/// The longest request that an order has: with its other parts it is far shorter than a message may be.
const REQUEST_BYTES_IN_ORDER: usize = 1 << 20;

/// How much of the messages of a client are read.
const STDERR_BYTES_MAX: u64 = 4096;

/// A command that the keeper has.
#[derive(Debug)]
struct Command {
    place: FarPlace,
    channel: Channel,
    request: RequestFile,
}

/// What the keeper reads a request from.
#[derive(Debug)]
enum RequestFile {
    /// A file in the directory of requests.
    Named(PathBuf),
    /// A file in memory, which is there for as long as this process has it.
    InMemory { _file: File },
    /// The order has it.
    None,
}

/// A run on a host, as it is known here.
#[derive(Debug)]
struct Kept {
    place: FarPlace,
    log_limit: Size,
    outputs: [Option<OutputFile>; 2],
}

/// The hosts of executors.
#[derive(Debug)]
pub struct Executing {
    token: StoreToken,
    base: PathBuf,
    log: LogDirectory,
    /// The directory of the files with results.
    results: PathBuf,
    executors: BTreeMap<ExecutorName, Executor>,
    links: BTreeMap<FarPlace, Link>,
    runs: HashMap<Attempt, Kept>,
    commands: BTreeMap<i64, Command>,
    /// The number of the next command. Those of another daemon are smaller.
    next: i64,
    reports: Vec<FarReport>,
    warned: BTreeSet<String>,
    /// The commands of another daemon, to be stopped.
    strangers: Vec<Attempt>,
}

impl Executing {
    /// `base`: the store's directory; `first`: a number that is larger than any before.
    pub fn new(token: StoreToken, base: &Path, (log, results): (LogDirectory, PathBuf), first: i64) -> Self {
        Self {
            token,
            base: base.join(DIRECTORY),
            log,
            results,
            executors: BTreeMap::new(),
            links: BTreeMap::new(),
            runs: HashMap::new(),
            commands: BTreeMap::new(),
            next: first,
            reports: Vec::new(),
            warned: BTreeSet::new(),
            strangers: Vec::new(),
        }
    }

    /// Takes over the runs that hosts have. A start that may have been sent is sent again: a host starts a
    /// run once.
    ///
    /// # Errors
    /// The store fails.
    pub fn adopt(&mut self, reader: &Reader<'_>, wall: Timestamp) -> StoreResult<()> {
        if let Ok(left) = fs::read_dir(&self.base) {
            let is_request = |path: &PathBuf| path.extension().is_some_and(|end| end == REQUEST);
            left.flatten().map(|entry| entry.path()).filter(is_request).for_each(|path| remove(&path));
        }
        self.executors = reader.executors()?;
        let down = reader.unreachable()?;
        self.links.extend(down.into_keys().map(|place| (place, Link::new(true))));
        for (place, run, attempt) in reader.leftovers()? {
            let name = self.name(run, attempt);
            self.link(&place).adopt_leftover(name);
        }
        for far in reader.far_runs()? {
            let attempt = Attempt::of_run(far.run, far.attempt);
            let name = self.name(far.run, far.attempt);
            match far.started {
                None => {
                    let order = FarOrder { place: far.place.clone(), start: reader.start(far.run)? };
                    self.give(order, false, wall);
                }
                Some(started) => {
                    self.keep(attempt, &far.place, far.log_limit);
                    let have = self.have(attempt);
                    self.link(&far.place).adopt(name, started, have);
                }
            }
            if let Some(now) = far.stop {
                let ended = self.link(&far.place).stop(name, now, wall);
                self.take_news(&far.place, ended.into_iter().collect(), wall);
            }
        }
        Ok(())
    }

    /// Seals the outputs of runs with these keys from now on.
    pub fn seal(&mut self, keys: &OutputKeys) {
        self.log.sealing = Sealing::On(keys.clone());
        let files = self.runs.values_mut().flat_map(|kept| &mut kept.outputs);
        files.flatten().for_each(|file| file.seal(keys));
    }

    fn name(&self, run: RunId, attempt: u32) -> FarName {
        FarName { store: self.token, run, attempt }
    }

    fn link(&mut self, place: &FarPlace) -> &mut Link {
        self.links.entry(place.clone()).or_default()
    }

    /// Gives a host a run to start. `is_new`: nobody has sent its start yet.
    fn give(&mut self, order: FarOrder, is_new: bool, wall: Timestamp) {
        let FarOrder { place, start } = order;
        let attempt = Attempt::of_run(start.run, start.attempt);
        let name = self.name(start.run, start.attempt);
        self.keep(attempt, &place, start.job.log_limit);
        match far_start(start, name, &self.log) {
            Ok(start) => {
                // Another daemon may have died between the first output and the record of the start.
                let have = self.have(attempt);
                let link = self.link(&place);
                link.start(start, is_new);
                link.have(name, have);
            }
            Err(cause) => {
                let end = FarEnd::before_start(End::SpawnFailed { status: 125, cause }, wall);
                self.take_news(&place, vec![News::Ended { name, end }], wall);
            }
        }
    }

    fn keep(&mut self, attempt: Attempt, place: &FarPlace, log_limit: Size) {
        let kept = Kept { place: place.clone(), log_limit, outputs: [None, None] };
        self.runs.insert(attempt, kept);
    }

    /// Returns how much of each output is here.
    fn have(&mut self, attempt: Attempt) -> [u64; 2] {
        let kinds = [OutputKind::Stdout, OutputKind::Stderr];
        kinds.map(|kind| self.output(attempt, kind).map_or(0, OutputFile::place))
    }

    fn output(&mut self, attempt: Attempt, kind: OutputKind) -> Option<&mut OutputFile> {
        let kept = self.runs.get_mut(&attempt)?;
        let (at, id) = match kind {
            OutputKind::Stdout => (0, attempt.stdout()),
            OutputKind::Stderr => (1, attempt.stderr()),
        };
        let (log, limit) = (&self.log, kept.log_limit);
        Some(kept.outputs[at].get_or_insert_with(|| OutputFile::new(log, id, limit, None)))
    }

    /// Takes an order of a turn, or of a client past the database, if it is for a run on a host.
    pub fn take_order(&mut self, order: &ToKeeper, wall: Timestamp) -> bool {
        let (attempt, act) = match order {
            ToKeeper::Stop { attempt, now } => (*attempt, Err(*now)),
            ToKeeper::Signal { attempt, signal } => (*attempt, Ok(*signal)),
            _ => return false,
        };
        let Some(place) = self.runs.get(&attempt).map(|kept| kept.place.clone()) else { return false };
        let Some(run) = attempt.run() else { return false };
        let name = self.name(run, attempt.number);
        let link = self.link(&place);
        let ended = match act {
            Err(now) => link.stop(name, now, wall),
            Ok(signal) => {
                let signal = if signal == libc::SIGSTOP { FarSignal::Stop } else { FarSignal::Continue };
                link.signal(name, signal);
                None
            }
        };
        self.take_news(&place, ended.into_iter().collect(), wall);
        true
    }

    /// Takes over what a committed turn has for hosts.
    pub fn committed(&mut self, turn: FarTurn, wall: Timestamp) {
        self.executors = turn.executors;
        for attempt in turn.recorded {
            let (Some(kept), Some(run)) = (self.runs.remove(&attempt), attempt.run()) else { continue };
            let name = self.name(run, attempt.number);
            self.link(&kept.place).recorded(name);
        }
        for order in turn.orders {
            self.give(order, true, wall);
        }
        for place in &turn.sought {
            self.links.entry(place.clone()).or_insert_with(|| Link::new(true));
        }
        for (place, link) in &mut self.links {
            link.seek(turn.sought.contains(place));
        }
        let executors = &self.executors;
        self.links.retain(|place, link| !link.is_idle() && executors.contains_key(&place.executor));
    }

    /// Returns when there is something to send next.
    pub fn next_wake(&self) -> Option<Duration> {
        self.links.values().filter_map(Link::next_wake).min()
    }

    /// Returns the orders to run the commands that are due.
    pub fn orders(&mut self, now: Duration, wall: Timestamp) -> Vec<ToKeeper> {
        let stop = |attempt| ToKeeper::Stop { attempt, now: false };
        let mut orders: Vec<ToKeeper> = std::mem::take(&mut self.strangers).into_iter().map(stop).collect();
        let places: Vec<FarPlace> = self.links.keys().cloned().collect();
        for place in places {
            let Some(executor) = self.executors.get(&place.executor).cloned() else { continue };
            for (channel, acts) in self.link(&place).requests(now) {
                match self.order(&place, &executor, channel, acts) {
                    Ok(order) => orders.push(order),
                    Err(error) => {
                        let cause = format!("cannot write a request: {}", describe(&error));
                        self.heard(&place, channel, Heard::Undelivered(&cause), (now, wall));
                    }
                }
            }
        }
        orders
    }

    fn order(
        &mut self,
        place: &FarPlace,
        executor: &Executor,
        channel: Channel,
        acts: Vec<Act>,
    ) -> io::Result<ToKeeper> {
        let wait = acts.iter().map(|act| match act {
            Act::Look { wait, .. } => *wait,
            _ => Span::ZERO,
        });
        let wait = wait.max().unwrap_or(Span::ZERO);
        let timeout = Span::from_micros(wait.as_micros() + COMMAND_MAX.as_micros());
        let number = self.next;
        self.next += 1;
        let (argv, request) = far_request(executor, &place.host, (self.token, number.cast_unsigned()), acts);
        make(&self.base)?;
        let (stdin, request) = self.hand_over(number, request)?;
        let command = Command { place: place.clone(), channel, request };
        self.commands.insert(number, command);
        let order = StartOrder {
            attempt: Attempt { task: Task::Executor(number), number: 1 },
            queue: QUEUE.to_owned(),
            slots: AT_ONCE,
            argv,
            env: env::environment(),
            cwd: self.base.as_os_str().as_bytes().to_vec(),
            umask: 0o077,
            timeout: Some(timeout),
            kill_after: KILL_AFTER,
        };
        let extras = StartExtras {
            stdin,
            log_limit: Some(ANSWER_LIMIT),
            split_output: true,
            ..StartExtras::default()
        };
        Ok(ToKeeper::Start(order, extras))
    }

    /// Puts a request where the keeper finds it: not on the disk, if outputs are sealed.
    fn hand_over(&self, number: i64, request: Vec<u8>) -> io::Result<(Stdin, RequestFile)> {
        if !self.log.sealing.is_on() {
            let path = self.base.join(format!("{number}.{REQUEST}"));
            write_request(&path, &request)?;
            return Ok((Stdin::Path(path.as_os_str().as_bytes().to_vec()), RequestFile::Named(path)));
        }
        if request.len() <= REQUEST_BYTES_IN_ORDER {
            return Ok((Stdin::Text(request), RequestFile::None));
        }
        let file = memory_file(&request)?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        Ok((Stdin::Path(path.into_bytes()), RequestFile::InMemory { _file: file }))
    }

    /// Hears what became of commands.
    pub fn hear(&mut self, reports: &[FromKeeper], now: (Duration, Timestamp)) {
        for report in reports {
            match report {
                FromKeeper::Ended(ended) => self.hear_end(ended, now),
                FromKeeper::Hello { known, ended, .. } => {
                    ended.iter().for_each(|ended| self.hear_end(ended, now));
                    let mut missing: BTreeSet<i64> = self.commands.keys().copied().collect();
                    for attempt in known.iter().map(|known| known.attempt) {
                        let Task::Executor(number) = attempt.task else { continue };
                        if !missing.remove(&number) {
                            self.strangers.push(attempt);
                        }
                    }
                    for number in missing {
                        self.end_command(number, &Outcome::Failed("its keeper is gone".to_owned()), now);
                    }
                }
                _ => {}
            }
        }
    }

    fn hear_end(&mut self, ended: &Ended, now: (Duration, Timestamp)) {
        let Task::Executor(number) = ended.attempt.task else { return };
        if self.commands.contains_key(&number) {
            let outcome = outcome_of(&self.log, ended, self.token);
            self.end_command(number, &outcome, now);
        }
    }

    fn end_command(&mut self, number: i64, outcome: &Outcome, now: (Duration, Timestamp)) {
        let Some(command) = self.commands.remove(&number) else { return };
        if let RequestFile::Named(path) = &command.request {
            remove(path);
        }
        let heard = match outcome {
            Outcome::Answer(answer) => Heard::Answer(answer),
            Outcome::Undelivered(cause) => Heard::Undelivered(cause),
            Outcome::Failed(cause) => Heard::Failed(cause),
        };
        self.heard(&command.place, command.channel, heard, now);
    }

    fn heard(&mut self, place: &FarPlace, channel: Channel, heard: Heard<'_>, now: (Duration, Timestamp)) {
        let news = self.link(place).heard(channel, heard, now);
        self.take_news(place, news, now.1);
    }

    fn take_news(&mut self, place: &FarPlace, news: Vec<News>, wall: Timestamp) {
        for news in news {
            let report = match news {
                News::Started { name, pid, at } => {
                    FarReport::Started { run: name.run, attempt: name.attempt, pid, at }
                }
                News::Note { name, note } => FarReport::Note { run: name.run, attempt: name.attempt, note },
                News::Output { name, kind, data } => {
                    let attempt = Attempt::of_run(name.run, name.attempt);
                    if let Some(file) = self.output(attempt, kind) {
                        file.take(&data, wall);
                    }
                    continue;
                }
                News::Ended { name, end } => self.ended(name, end),
                News::Forgotten { name } => FarReport::Forgotten { run: name.run, attempt: name.attempt },
                News::Unreachable(cause) => FarReport::Reach { place: place.clone(), cause },
                News::Warning(cause) => {
                    let warning = format!("{place}: {cause}");
                    if self.warned.insert(warning.clone()) {
                        log::warn!("{warning}");
                    }
                    continue;
                }
            };
            self.reports.push(report);
        }
    }

    fn ended(&mut self, name: FarName, end: FarEnd) -> FarReport {
        let attempt = Attempt::of_run(name.run, name.attempt);
        let kept = self.runs.get_mut(&attempt);
        let files = kept.into_iter().flat_map(|kept| &mut kept.outputs);
        let sizes: Vec<u64> = files.map(|file| file.as_mut().map_or(0, OutputFile::finish)).collect();
        if let Some(result) = &end.result {
            let written = write_result(&self.results, ResultFile::Own, (name.run, name.attempt), result);
            if let Err(error) = written {
                log::warn!("the result of run {} is lost: {}", name.run, describe(&error));
            }
        }
        let FarEnd { end, at, started, stopped, is_there, result: _ } = end;
        let ended = Ended {
            pid: started.map_or(0, |(pid, _)| pid),
            started_at: started.map(|(_, at)| at),
            stopped,
            output_bytes: sizes.first().copied().unwrap_or(0),
            ..Ended::without_process(attempt, end, at)
        };
        FarReport::Ended { ended, is_there }
    }

    /// What is new since the last turn.
    pub fn reports(&self) -> &[FarReport] {
        &self.reports
    }

    /// The reports are committed.
    pub fn forget_reports(&mut self) {
        self.reports.clear();
    }
}

/// The end of the names of requests.
const REQUEST: &str = "request";

/// What became of a command.
#[derive(Debug)]
enum Outcome {
    Answer(Answer),
    Undelivered(String),
    Failed(String),
}

fn outcome_of(log: &LogDirectory, ended: &Ended, token: StoreToken) -> Outcome {
    let read = |output, bytes_max| {
        let mut bytes = Vec::new();
        if let Ok(Some(view)) = OutputView::open(log, output) {
            // What cannot be read is as if it had not been said.
            let _ = view.take(bytes_max).read_to_end(&mut bytes);
        }
        bytes
    };
    let said = || {
        let bytes = read(ended.attempt.stderr(), STDERR_BYTES_MAX);
        transport::said(&bytes)
    };
    match &ended.end {
        End::SpawnFailed { cause, .. } => return Outcome::Undelivered(cause.clone()),
        End::NotStarted => return Outcome::Undelivered("it was not started".to_owned()),
        End::Exited(NOT_DELIVERED) => {
            return Outcome::Undelivered(said().unwrap_or_else(|| "it cannot be reached".to_owned()));
        }
        End::Exited(_) | End::Signaled(_) | End::Lost | End::LostThere(_) | End::OutOfMemory => {}
    }
    let answer = Answer::read(&read(ended.attempt.stdout(), ANSWER_LIMIT.as_bytes()), token);
    if answer.greeted.is_some() {
        return Outcome::Answer(answer);
    }
    let how =
        if ended.stopped == Some(StopCause::TimedOut) { "it took too long" } else { "it did not answer" };
    Outcome::Failed(said().unwrap_or_else(|| how.to_owned()))
}

fn engine(executor: &Executor) -> Engine {
    let value = |key: &str| executor.values(key).last().map(str::to_owned);
    match executor.kind {
        ExecutorKind::Ssh => Engine::Direct,
        ExecutorKind::Slurm => {
            let is_ours = |key: &str| [Executor::CONFIG, Executor::OPTION].contains(&key);
            let options = executor.options.iter().filter(|(key, _)| !is_ours(key));
            Engine::Slurm { options: options.cloned().collect() }
        }
        ExecutorKind::Command => Engine::Command {
            submit: value("submit").unwrap_or_default(),
            status: value("status").unwrap_or_default(),
            cancel: value("cancel").unwrap_or_default(),
            logs: value("logs"),
        },
    }
}

/// Returns the command that hands acts to a host, and its standard input. `serial`: larger than before.
pub fn far_request(
    executor: &Executor,
    host: &str,
    (token, serial): (StoreToken, u64),
    acts: Vec<Act>,
) -> (Vec<Vec<u8>>, Vec<u8>) {
    let rundir = executor.rundir.clone().into_bytes();
    let request = Request { token, serial, rundir, engine: engine(executor), acts };
    (command_line(executor, host), request.to_bytes())
}

fn command_line(executor: &Executor, host: &str) -> Vec<Vec<u8>> {
    if host.is_empty() {
        return transport::local();
    }
    let options = SshOptions {
        config: executor.values(Executor::CONFIG).last().map(str::to_owned),
        options: executor.values(Executor::OPTION).map(str::to_owned).collect(),
    };
    transport::ssh(host, &options)
}

fn write_request(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// Returns the directory of the sockets of ssh(1), in that of a store; it is made if it is not there.
///
/// # Errors
/// It cannot be made.
pub fn host_directory(store: &Path) -> io::Result<PathBuf> {
    let dir = store.join(DIRECTORY);
    make(&dir)?;
    Ok(dir)
}

fn make(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn remove(path: &Path) {
    // At worst, it stays until the next daemon.
    let _ = fs::remove_file(path);
}
