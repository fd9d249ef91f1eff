//! Owns: trying a host of an executor from end to end, as runs would use it.
//! Never: the daemon, or the store: the host is asked from here.

use std::cell::Cell;
use std::path::Path;

use serde::Serialize;

use crate::daemon::{far_request, random_id};
use crate::domain::{Executor, ExecutorHost, JobId, OutputKind, RunId, Span};
use crate::error::{Error, Result, describe};
use crate::executor::transport::{self, NOT_DELIVERED};
use crate::executor::{Act, Answer, FarName, FarStart, FarState, FarStop, Known, LookAt, Part, StoreToken};
use crate::process;

/// How many looks at a run are taken before it is given up. A cluster may let it wait.
const LOOKS_MAX: u32 = 30;

/// How long a look waits for news.
const LOOK: Span = Span::from_seconds(2);

/// How long the output is that has to come back.
const OUTPUT_BYTES: u64 = 200_000;

/// What was found out about a host.
#[derive(Debug)]
pub struct Found {
    host: String,
    what: &'static str,
    /// What was seen, or what is wrong.
    result: std::result::Result<String, String>,
}

#[derive(Debug, Serialize)]
pub struct CheckJson {
    host: Option<String>,
    check: &'static str,
    ok: bool,
    detail: String,
}

impl Found {
    pub fn is_good(&self) -> bool {
        self.result.is_ok()
    }

    /// Returns it as a line for a person.
    pub fn line(&self) -> String {
        let host = if self.host.is_empty() { String::new() } else { format!("{}: ", self.host) };
        match &self.result {
            Ok(seen) => format!("ok     {host}{}: {seen}", self.what),
            Err(wrong) => format!("fault  {host}{}: {wrong}", self.what),
        }
    }

    pub fn json(&self) -> CheckJson {
        let (Ok(detail) | Err(detail)) = &self.result;
        CheckJson {
            host: Some(self.host.clone()).filter(|host| !host.is_empty()),
            check: self.what,
            ok: self.is_good(),
            detail: detail.clone(),
        }
    }
}

/// Tries a host, by a monotonic clock and from the directory with the sockets of its connections, and tells
/// what it finds as it goes. What cannot be tried any more is left out.
///
/// # Errors
/// It cannot be tried at all, or `tell` fails.
pub fn host(
    what: &str,
    (executor, host): (&Executor, &ExecutorHost),
    (dir, clock): (&Path, &dyn Fn() -> Span),
    tell: &mut dyn FnMut(Found) -> Result<()>,
) -> Result<()> {
    let token = random_id().map_err(|error| Error::io(what, &error))?;
    let token = StoreToken(token.cast_unsigned());
    let mut trial = Trial { executor, host, token, dir, clock, asked: Cell::new(0), tell };
    trial.run()
}

struct Trial<'a> {
    executor: &'a Executor,
    host: &'a ExecutorHost,
    token: StoreToken,
    /// Where the connection has its socket.
    dir: &'a Path,
    /// A clock that nobody sets.
    clock: &'a dyn Fn() -> Span,
    /// How many requests were sent.
    asked: Cell<u64>,
    tell: &'a mut dyn FnMut(Found) -> Result<()>,
}

type Seen<T> = std::result::Result<T, String>;

impl Trial<'_> {
    fn run(&mut self) -> Result<()> {
        if !self.step("reachable", Self::reach)? {
            return Ok(());
        }
        if !self.step("exit status", Self::exit_status)? {
            return Ok(());
        }
        self.step("output", Self::output)?;
        self.step("second start", Self::second_start)?;
        self.step("graceful stop", Self::graceful_stop)?;
        let names = [1, 2].map(|number| Act::Forget { name: self.name(number) });
        // What is left there is removed with the next runs.
        let _ = self.ask(names.to_vec());
        Ok(())
    }

    fn step(&mut self, what: &'static str, step: fn(&Self) -> Seen<String>) -> Result<bool> {
        let found = Found { host: self.host.name.clone(), what, result: step(self) };
        let is_good = found.is_good();
        (self.tell)(found)?;
        Ok(is_good)
    }

    fn name(&self, number: i64) -> FarName {
        FarName { store: self.token, run: RunId { job: JobId(1), number }, attempt: 1 }
    }

    fn ask(&self, acts: Vec<Act>) -> Seen<Answer> {
        let serial = self.asked.get() + 1;
        self.asked.set(serial);
        let (argv, request) = far_request(self.executor, &self.host.name, (self.token, serial), acts);
        let done = process::run_with_input(&argv, self.dir, &request);
        let done = done.map_err(|error| describe(&error))?;
        let answer = Answer::read(&done.stdout, self.token);
        if done.status == NOT_DELIVERED || answer.greeted.is_none() {
            return Err(transport::said(&done.stderr).unwrap_or_else(|| "it says nothing".to_owned()));
        }
        let problem = answer.parts.iter().find_map(|part| match part {
            Part::Problem { cause } | Part::NotStarted { cause, .. } => Some(cause.clone()),
            _ => None,
        });
        problem.map_or(Ok(answer), Err)
    }

    fn reach(&self) -> Seen<String> {
        self.ask(Vec::new())?;
        // The first one may have made the connection.
        let begin = (self.clock)();
        self.ask(Vec::new())?;
        let took = (self.clock)().as_micros().saturating_sub(begin.as_micros()) / 1_000;
        Ok(format!("{took} ms"))
    }

    fn start(&self, number: i64, script: &str, stdin: &[u8]) -> FarStart {
        FarStart {
            name: self.name(number),
            job: "check".to_owned(),
            argv: [b"/bin/sh".as_slice(), b"-c", script.as_bytes()].map(<[u8]>::to_vec).to_vec(),
            env: vec![b"TASKQ_CHECK=it's \"here\"".to_vec()],
            cwd: None,
            cwd_optional: true,
            umask: 0o077,
            nice: None,
            stdin: stdin.to_vec(),
            files: Vec::new(),
            timeout: Some(Span::from_seconds(120)),
            kill_after: Span::from_seconds(5),
            needs: Vec::new(),
            split_output: false,
        }
    }

    /// Looks at a run until `is_enough` says something.
    fn look<T>(&self, number: i64, from: u64, is_enough: &dyn Fn(&Answer) -> Option<T>) -> Seen<T> {
        let name = self.name(number);
        let mut last = "it is not seen there".to_owned();
        let mut known = Known::Nothing;
        for _ in 0..LOOKS_MAX {
            let look = LookAt { name, known, stdout_from: from, stderr_from: 0 };
            let answer = self.ask(vec![Act::Look { runs: vec![look], wait: LOOK, bytes_max: 1 << 20 }])?;
            if let Some(found) = is_enough(&answer) {
                return Ok(found);
            }
            for part in &answer.parts {
                match part {
                    Part::State { state: FarState::Waiting { reason }, .. } => {
                        (known, last) = (Known::Waiting, reason.clone());
                    }
                    Part::State { state: FarState::Running { .. }, .. } => {
                        (known, last) = (Known::Running, "it runs".to_owned());
                    }
                    Part::State { state: FarState::None, .. } => {
                        last = "nothing of it is there: do the nodes share the directory?".to_owned();
                    }
                    Part::Unsure { cause, .. } => last.clone_from(cause),
                    _ => {}
                }
            }
        }
        Err(format!("no end after {LOOKS_MAX} looks; {last}"))
    }

    fn exit_status(&self) -> Seen<String> {
        let script = format!(
            "test \"$TASKQ_CHECK\" = \"it's \\\"here\\\"\" || exit 1
             test \"$(cat)\" = data || exit 2
             i=0; while [ $i -lt {OUTPUT_BYTES} ]; do printf '%0100d' $i; i=$((i + 100)); done
             exit 7"
        );
        self.ask(vec![Act::Start(Box::new(self.start(1, &script, b"data")))])?;
        match self.look(1, 0, &ended)? {
            (7, None) => Ok("7 came back".to_owned()),
            (1, None) => Err("the environment did not arrive".to_owned()),
            (2, None) => Err("the standard input did not arrive".to_owned()),
            (status, _) => Err(format!("{status} came back instead of 7")),
        }
    }

    fn output(&self) -> Seen<String> {
        let expected: String = (0..OUTPUT_BYTES).step_by(100).map(|i| format!("{i:0100}")).collect();
        let data = self.look(1, 0, &|answer| {
            let mut data = Vec::new();
            for part in &answer.parts {
                if let Part::Output { kind: OutputKind::Stdout, from, data: piece, .. } = part
                    && *from == data.len() as u64
                {
                    data.extend_from_slice(piece);
                }
            }
            (data.len() as u64 >= OUTPUT_BYTES).then_some(data)
        })?;
        match data == expected.as_bytes() {
            true => Ok(format!("{OUTPUT_BYTES} bytes came back whole")),
            false => Err("it came back changed".to_owned()),
        }
    }

    fn second_start(&self) -> Seen<String> {
        let answer = self.ask(vec![Act::Start(Box::new(self.start(1, "exit 0", b"")))])?;
        let is_refused = answer.parts.iter().any(|part| matches!(part, Part::Begun { .. }));
        match is_refused && self.look(1, OUTPUT_BYTES, &ended)? == (7, None) {
            true => Ok("it was refused".to_owned()),
            false => Err("it was not refused".to_owned()),
        }
    }

    fn graceful_stop(&self) -> Seen<String> {
        let script = "trap 'kill $!; exit 42' TERM; sleep 100 & echo ready; wait";
        self.ask(vec![Act::Start(Box::new(self.start(2, script, b"")))])?;
        self.look(2, 0, &|answer| {
            let is_output = |part: &&Part| matches!(part, Part::Output { data, .. } if !data.is_empty());
            answer.parts.iter().find(is_output).map(|_| ())
        })?;
        self.ask(vec![Act::Stop { name: self.name(2), now: false }])?;
        match self.look(2, 0, &ended)? {
            (42, Some(FarStop::Stop)) => Ok("its trap ran".to_owned()),
            (status, _) => Err(format!("it ended with {status}, and not by its trap")),
        }
    }
}

fn ended(answer: &Answer) -> Option<(i32, Option<FarStop>)> {
    answer.parts.iter().find_map(|part| match part {
        Part::State { state: FarState::Ended { code, stopped, .. }, .. } => Some((*code, *stopped)),
        _ => None,
    })
}
