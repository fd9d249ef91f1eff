//! Owns: what is known of one run that a host has, or is to start.
//! Never: the host (see `link`).

use std::time::Duration;

use super::news::{FarEnd, Hearing, News};
use super::{Act, FarName, FarSignal, FarStart, FarState, FarStop, Known, LookAt, Part};
use crate::domain::{End, OutputKind, StopCause, Timestamp};

/// A run is lost after so many looks at which neither its host nor the engine there knew of it.
const STRANGE_MAX: u32 = 3;

/// The pause between two looks at which nobody knows a run.
pub(super) const STRANGE_PAUSE: Duration = Duration::from_secs(2);

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The host is to start it.
    Starting,
    /// The host has it.
    Begun,
    /// Its end was told, and is to be recorded.
    Over,
    /// Its end is recorded: the host can forget it.
    Forgotten,
}

/// The end of a run over there.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    end: End,
    at: Timestamp,
    stopped: Option<StopCause>,
}

/// A run that a host has, or is to start.
#[derive(Debug)]
pub(super) struct Held {
    pub phase: Phase,
    /// Until it is known to have begun.
    pub start: Option<Box<FarStart>>,
    /// A start of it may have reached the host.
    pub may_be_there: bool,
    known: Known,
    started: Option<(u32, Timestamp)>,
    note: String,
    /// A stop is wanted, `true`: by KILL at once; and whether the host has it.
    stop: Option<(bool, bool)>,
    pub signal: Option<FarSignal>,
    /// How much of the standard output is here, and of the standard error.
    pub have: [u64; 2],
    /// There is more of an output.
    has_more: [bool; 2],
    /// How many looks in a row found that nobody knows it, and when the last one did.
    strange: u32,
    pub strange_at: Option<Duration>,
    /// Nobody knows it, although it was not started: a stop was sent to make sure that it never is.
    is_doubted: bool,
    /// It has ended, and its output is not all here.
    pub end: Option<Ending>,
    result: Option<Vec<u8>>,
}

impl Held {
    pub fn to_start(start: FarStart, may_be_there: bool) -> Self {
        Self { start: Some(Box::new(start)), may_be_there, ..Self::of(Phase::Starting) }
    }

    pub fn running(started: (u32, Timestamp), have: [u64; 2]) -> Self {
        Self { may_be_there: true, started: Some(started), have, ..Self::of(Phase::Begun) }
    }

    pub fn leftover() -> Self {
        Self { may_be_there: true, ..Self::of(Phase::Forgotten) }
    }

    fn of(phase: Phase) -> Self {
        Self {
            phase,
            start: None,
            may_be_there: false,
            known: Known::Nothing,
            started: None,
            note: String::new(),
            stop: None,
            signal: None,
            have: [0; 2],
            has_more: [false; 2],
            strange: 0,
            strange_at: None,
            is_doubted: false,
            end: None,
            result: None,
        }
    }

    /// Returns whether nobody was asked to start it yet.
    pub fn is_new(&self) -> bool {
        self.phase == Phase::Starting && !self.may_be_there
    }

    pub fn wants_start(&self) -> bool {
        // A stop of one that may have begun makes sure that it does not.
        self.phase == Phase::Starting && self.stop.is_none()
    }

    pub fn wants_act(&self) -> bool {
        match self.phase {
            Phase::Starting => true,
            Phase::Begun => matches!(self.stop, Some((_, false))) || self.signal.is_some(),
            Phase::Over => false,
            Phase::Forgotten => true,
        }
    }

    pub fn wants_look(&self) -> bool {
        self.phase == Phase::Begun
    }

    pub fn want_stop(&mut self, now: bool) {
        let now = now || matches!(self.stop, Some((true, _)));
        self.stop = Some((now, false));
    }

    /// Returns what is to be asked besides a start.
    pub fn next_act(&mut self, name: FarName) -> Option<Act> {
        match self.phase {
            Phase::Starting | Phase::Begun => {
                if let Some((now, false)) = self.stop {
                    return Some(Act::Stop { name, now });
                }
                self.signal.map(|signal| Act::Signal { name, signal })
            }
            Phase::Over => None,
            Phase::Forgotten => Some(Act::Forget { name }),
        }
    }

    pub fn look_at(&self, name: FarName) -> LookAt {
        let [stdout_from, stderr_from] = self.have;
        let known = if self.end.is_some() { Known::Nothing } else { self.known };
        LookAt { name, known, stdout_from, stderr_from }
    }

    /// Hears what the host says of it.
    pub fn read(&mut self, name: FarName, part: &Part, heard: Hearing, news: &mut Vec<News>) {
        if matches!(self.phase, Phase::Over | Phase::Forgotten) {
            return;
        }
        match part {
            Part::Started { .. } | Part::Begun { .. } => self.begins(),
            Part::NotStarted { cause, .. } => {
                let end = End::SpawnFailed { status: 125, cause: cause.clone() };
                news.push(self.finish(name, end, heard.wall));
            }
            Part::Unsure { cause, .. } => self.tell_note(name, cause, news),
            Part::State { state, .. } => self.stands(name, state, heard, news),
            Part::Output { kind, from, size, data, .. } => {
                self.take_output(name, *kind, (*from, *size), data, news);
            }
            Part::Result { data, .. } => self.result = Some(data.clone()),
            Part::Stopped { .. } => {
                if let Some((_, is_sent)) = &mut self.stop {
                    *is_sent = true;
                }
                // What is left to know is whether it had begun.
                self.begins();
            }
            Part::Signaled { .. } => self.signal = None,
            Part::Forgotten { .. } | Part::Problem { .. } | Part::Warning { .. } => {}
        }
    }

    fn begins(&mut self) {
        self.phase = Phase::Begun;
        self.start = None;
    }

    fn stands(&mut self, name: FarName, state: &FarState, heard: Hearing, news: &mut Vec<News>) {
        match state {
            // A start that was not delivered is repeated.
            FarState::None if self.phase == Phase::Starting => return,
            FarState::None => return self.is_strange(heard.now),
            FarState::Gone { started } => {
                self.is_strange(heard.now);
                if self.strange >= STRANGE_MAX && !started && self.started.is_none() {
                    (self.is_doubted, self.strange, self.strange_at) = (true, 0, None);
                    self.want_stop(true);
                }
                return;
            }
            FarState::Waiting { reason } => {
                self.known = Known::Waiting;
                self.tell_note(name, reason, news);
            }
            FarState::Running { since, pid } => {
                self.known = Known::Running;
                self.starts(name, *pid, heard.here(*since), news);
            }
            FarState::Unattended { pid } => {
                self.known = Known::Unattended;
                self.starts(name, *pid, heard.wall, news);
            }
            FarState::Ended { code, started, at, stopped, .. } => {
                if let Some(started) = started {
                    let pid = self.started.map_or(0, |(pid, _)| pid);
                    self.starts(name, pid, heard.here(*started), news);
                }
                let stopped = stopped.map(|stop| match stop {
                    FarStop::Timeout => StopCause::TimedOut,
                    FarStop::Stop | FarStop::Kill => StopCause::Cancelled,
                });
                let at = at.map_or(heard.wall, |at| heard.here(at));
                self.end.get_or_insert(Ending { end: End::Exited(*code), at, stopped });
            }
            FarState::Never => {
                let end = if self.is_doubted {
                    let cause = "the engine there does not know it any more, and it never started";
                    Ending { end: End::LostThere(cause.to_owned()), at: heard.wall, stopped: None }
                } else {
                    let stopped = Some(StopCause::Cancelled);
                    Ending { end: End::NotStarted, at: heard.wall, stopped }
                };
                self.end.get_or_insert(end);
            }
        }
        self.begins();
        (self.strange, self.strange_at) = (0, None);
    }

    fn starts(&mut self, name: FarName, pid: u32, at: Timestamp, news: &mut Vec<News>) {
        if self.started.is_none() {
            self.started = Some((pid, at));
            news.push(News::Started { name, pid, at });
        }
    }

    fn tell_note(&mut self, name: FarName, note: &str, news: &mut Vec<News>) {
        if self.note != note {
            note.clone_into(&mut self.note);
            news.push(News::Note { name, note: note.to_owned() });
        }
    }

    fn is_strange(&mut self, now: Duration) {
        self.begins();
        if self.strange_at.is_none_or(|at| now >= at + STRANGE_PAUSE) {
            self.strange += 1;
            self.strange_at = Some(now);
        }
    }

    fn take_output(
        &mut self,
        name: FarName,
        kind: OutputKind,
        (from, size): (u64, u64),
        data: &[u8],
        news: &mut Vec<News>,
    ) {
        let at = match kind {
            OutputKind::Stdout => 0,
            OutputKind::Stderr => 1,
        };
        let have = self.have[at];
        // Bytes that came before are passed over, as of an answer that came twice.
        let known = usize::try_from(have.saturating_sub(from)).unwrap_or(usize::MAX);
        if from <= have && known < data.len() {
            self.have[at] = from + data.len() as u64;
            news.push(News::Output { name, kind, data: data[known..].to_vec() });
        }
        self.has_more[at] = self.have[at] < size;
    }

    /// Returns the end of the run, if it is known and its output is here.
    pub fn conclude(&mut self, name: FarName, heard: Hearing) -> Option<News> {
        if self.phase != Phase::Begun {
            return None;
        }
        if self.strange >= STRANGE_MAX {
            let cause = "neither its process nor its end is there any more".to_owned();
            return Some(self.finish(name, End::LostThere(cause), heard.wall));
        }
        if self.end.is_none() || self.has_more.contains(&true) {
            return None;
        }
        let end = self.end.take()?;
        Some(self.over(name, end))
    }

    fn ending(&self, end: End, at: Timestamp) -> Ending {
        let stopped = self.stop.is_some().then_some(StopCause::Cancelled);
        Ending { end, at, stopped }
    }

    /// Ends the run.
    pub fn finish(&mut self, name: FarName, end: End, at: Timestamp) -> News {
        let end = self.ending(end, at);
        self.over(name, end)
    }

    fn over(&mut self, name: FarName, end: Ending) -> News {
        (self.phase, self.start) = (Phase::Over, None);
        let Ending { end, at, stopped } = end;
        let (started, result, is_there) = (self.started, self.result.take(), self.may_be_there);
        News::Ended { name, end: FarEnd { end, at, started, stopped, result, is_there } }
    }
}
