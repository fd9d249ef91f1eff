//! Owns: reading what a far side printed.
//! Never: what follows from it (see `engine`).
//!
//! An answer is lines; output and results follow their line as raw bytes of a given number. What is not well
//! formed is no record. A line with bytes after it that cannot be read ends the reading, because bytes of a
//! job must not be taken for records.

use super::{FarName, StoreToken};
use crate::domain::{OutputKind, Timestamp};

/// The first line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The clock over there.
    pub now: Timestamp,
    /// The name of the machine.
    pub host: String,
    /// Differs after each boot of it.
    pub boot: String,
}

/// Why a run was stopped, as its supervisor recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FarStop {
    /// By its own timeout.
    Timeout,
    /// By TERM.
    Stop,
    /// By KILL at once.
    Kill,
}

/// How an attempt stands over there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FarState {
    /// Nothing of it is there. A start can be asked again.
    None,
    /// It was taken, and has not started.
    Waiting { reason: String },
    /// `since` is of the clock over there. A process on another node cannot be told to live.
    Running { since: Timestamp, pid: u32 },
    /// Its supervisor is gone, and the command runs. Its status will not be known.
    Unattended { pid: u32 },
    Ended {
        /// As a shell reports it: 128 + n after signal n.
        code: i32,
        /// Unknown if only the engine knows of the end.
        started: Option<Timestamp>,
        at: Option<Timestamp>,
        stopped: Option<FarStop>,
        /// The run directory has no end, and the engine has one.
        by_engine: bool,
    },
    /// No end is recorded, and nothing runs, as far as the far side can know. If it was never started, a stop
    /// makes sure that it never is.
    Gone { started: bool },
    /// It was stopped before its start, and can never start.
    Never,
}

/// One thing that an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// It starts, or the engine has taken it.
    Started {
        name: FarName,
    },
    /// A repeated start was refused: it was started, taken or stopped before.
    Begun {
        name: FarName,
    },
    /// It certainly never runs.
    NotStarted {
        name: FarName,
        cause: String,
    },
    /// The far side cannot say now. Ask again.
    Unsure {
        name: FarName,
        cause: String,
    },
    State {
        name: FarName,
        state: FarState,
    },
    /// A piece of output, perhaps empty. `size` is how much there is in all.
    Output {
        name: FarName,
        kind: OutputKind,
        from: u64,
        size: u64,
        data: Vec<u8>,
    },
    /// The content of the result file, at the end of the run.
    Result {
        name: FarName,
        data: Vec<u8>,
    },
    /// The stop was delivered, or there is nothing to stop.
    Stopped {
        name: FarName,
    },
    Signaled {
        name: FarName,
    },
    Forgotten {
        name: FarName,
    },
    /// Nothing can be done there, for all runs.
    Problem {
        cause: String,
    },
    /// Something to know that stops nobody.
    Warning {
        cause: String,
    },
}

/// An answer as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// `None` if the shell over there was not reached.
    pub greeted: Option<Greeting>,
    /// In the order in which they came, of this store only.
    pub parts: Vec<Part>,
    /// Whether the far side came to the end of the request.
    pub is_whole: bool,
}

/// What is left of an answer.
struct Reader<'a> {
    rest: &'a [u8],
    token: StoreToken,
}

impl Answer {
    /// Reads the bytes that a far side printed. Passes over a banner before the greeting, and what is no
    /// record of this store. A truncated record is none.
    pub fn read(bytes: &[u8], token: StoreToken) -> Self {
        let mut reader = Reader { rest: bytes, token };
        let mut answer = Self::default();
        while let Some(line) = reader.line() {
            let words: Vec<&str> = line.split(' ').collect();
            match (&answer.greeted, words.as_slice()) {
                (None, ["taskq-far", "1", store, now, boot, host]) if token.matches(store) => {
                    let now = micros(now);
                    answer.greeted =
                        now.map(|now| Greeting { now, host: (*host).to_owned(), boot: (*boot).to_owned() });
                }
                (None, _) => {}
                (Some(_), ["bye", store]) if token.matches(store) => answer.is_whole = true,
                (Some(_), ["output" | "result", ..]) => match reader.bytes_of(&words) {
                    Some(part) => answer.parts.extend(part.filter(|part| reader.is_ours(part))),
                    None => return Self { is_whole: false, ..answer },
                },
                (Some(_), _) => {
                    let part = part(&line, &words);
                    answer.parts.extend(part.filter(|part| reader.is_ours(part)));
                }
            }
        }
        answer
    }
}

impl StoreToken {
    fn matches(self, text: &str) -> bool {
        text.parse() == Ok(self)
    }
}

impl Reader<'_> {
    /// Takes the next line that has an end.
    fn line(&mut self) -> Option<String> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        self.rest = &self.rest[end + 1..];
        Some(line)
    }

    /// Reads the record of a line that bytes follow; `None` if it is not clear how many, or some are missing.
    fn bytes_of(&mut self, words: &[&str]) -> Option<Option<Part>> {
        let length: usize = number(words.last()?)?;
        if self.rest.get(length) != Some(&b'\n') {
            return None;
        }
        let data = self.rest[..length].to_vec();
        self.rest = &self.rest[length + 1..];
        Some(match words {
            ["output", name, kind, from, size, _] => output(name, kind, from, size, data),
            ["result", name, _] => name.parse().ok().map(|name| Part::Result { name, data }),
            _ => return None,
        })
    }

    fn is_ours(&self, part: &Part) -> bool {
        part.name().is_none_or(|name| name.store == self.token)
    }
}

fn output(name: &str, kind: &str, from: &str, size: &str, data: Vec<u8>) -> Option<Part> {
    let kind = match kind {
        "out" => OutputKind::Stdout,
        "err" => OutputKind::Stderr,
        _ => return None,
    };
    let (from, size): (u64, u64) = (number(from)?, number(size)?);
    // The file may have grown since its size was taken, but a piece ends within what the record says.
    let end = from.checked_add(u64::try_from(data.len()).ok()?)?;
    let name = name.parse().ok()?;
    (end <= size || data.is_empty()).then_some(Part::Output { name, kind, from, size, data })
}

fn part(line: &str, words: &[&str]) -> Option<Part> {
    let (verb, rest) = (words[0], line.split_once(' ').map_or("", |(_, rest)| rest));
    match verb {
        "problem" => return Some(Part::Problem { cause: shown(rest) }),
        "warning" => return Some(Part::Warning { cause: shown(rest) }),
        _ => {}
    }
    let name = words.get(1)?.parse().ok()?;
    let cause = || shown(rest.split_once(' ').map_or("", |(_, cause)| cause));
    if let ["started" | "begun" | "stopped" | "signaled" | "forgotten", _] = words {
        return Some(match verb {
            "started" => Part::Started { name },
            "begun" => Part::Begun { name },
            "stopped" => Part::Stopped { name },
            "signaled" => Part::Signaled { name },
            _ => Part::Forgotten { name },
        });
    }
    match verb {
        "notstarted" => return Some(Part::NotStarted { name, cause: cause() }),
        "unsure" => return Some(Part::Unsure { name, cause: cause() }),
        _ => {}
    }
    let state = match (verb, &words[2..]) {
        ("none", []) => FarState::None,
        ("never", []) => FarState::Never,
        ("gone", ["started"]) => FarState::Gone { started: true },
        ("gone", ["waiting"]) => FarState::Gone { started: false },
        ("waiting", _) => FarState::Waiting { reason: cause() },
        ("running", [since, pid]) => FarState::Running { since: micros(since)?, pid: number(pid)? },
        ("unattended", [pid]) => FarState::Unattended { pid: number(pid)? },
        ("ended", [code, started, at, why, by]) => ended(code, started, at, why, by)?,
        _ => return None,
    };
    Some(Part::State { name, state })
}

fn ended(code: &str, started: &str, at: &str, why: &str, by: &str) -> Option<FarState> {
    let instant = |text: &str| if text == "-" { Some(None) } else { micros(text).map(Some) };
    let stopped = match why {
        "itself" => None,
        "timeout" => Some(FarStop::Timeout),
        "stop" => Some(FarStop::Stop),
        "kill" => Some(FarStop::Kill),
        _ => return None,
    };
    let by_engine = match by {
        "supervisor" => false,
        "engine" => true,
        _ => return None,
    };
    let code = number(code).filter(|code| *code <= 255)?;
    Some(FarState::Ended { code, started: instant(started)?, at: instant(at)?, stopped, by_engine })
}

/// Reads a number that has only digits.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn micros(text: &str) -> Option<Timestamp> {
    number(text).map(Timestamp::from_micros)
}

/// The longest cause that is kept, in characters.
const CAUSE_CHARS_MAX: usize = 500;

/// Returns the words of another program without what would disturb a terminal.
fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(CAUSE_CHARS_MAX).collect::<String>().trim().to_owned()
}

impl Part {
    /// Returns the run that it is about.
    pub fn name(&self) -> Option<FarName> {
        match self {
            Self::Started { name }
            | Self::Begun { name }
            | Self::NotStarted { name, .. }
            | Self::Unsure { name, .. }
            | Self::State { name, .. }
            | Self::Output { name, .. }
            | Self::Result { name, .. }
            | Self::Stopped { name }
            | Self::Signaled { name }
            | Self::Forgotten { name } => Some(*name),
            Self::Problem { .. } | Self::Warning { .. } => None,
        }
    }
}
