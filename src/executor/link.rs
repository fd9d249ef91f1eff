//! Owns: what is asked of a host and when, and what its answers mean for the runs that it has.
//! Never: clocks, processes, the database: times are passed in, requests and news come out.
//!
//! A run is given to a host once: a start can be repeated, because the host starts a run once whatever is
//! repeated. A run leaves a host that does not answer only if no start of it was delivered. Of a run that was
//! started, nothing but its end is an end: a host that is down has it still.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::held::{Held, Phase, STRANGE_PAUSE};
use super::news::{Hearing, News};
use super::{Act, Answer, FarName, FarSignal, FarStart, Known, LookAt, Part};
use crate::domain::{End, Span, Timestamp};

/// How many runs one request starts at most.
const STARTS_MAX: usize = 50;

/// How many bytes the starts of one request have at most, unless one alone has more.
const START_BYTES_MAX: usize = 4 << 20;

/// How many acts of other kinds a request has at most.
const ACTS_MAX: usize = 500;

/// How long a request waits for news of the runs that it starts: brief runs have ended then.
const START_LOOK: Span = Span::from_millis(250);

/// The first look at runs waits so long for news; each that finds none doubles it.
const LOOK_MIN: Span = Span::from_seconds(1);
const LOOK_MAX: Span = Span::from_seconds(16);

/// How many runs one look is about at most: their names are arguments over there (execve(2)).
const LOOK_RUNS_MAX: usize = 1_000;

/// The pause before the next look, if one had no news: it may have been answered at once.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// How many bytes of output one look fetches.
const LOOK_BYTES_MAX: u64 = 4 << 20;

/// The pause after a request that failed, which doubles with each one.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A client that was killed is no host that is down: so many requests have to fail in a row.
const FAILURES_MIN: u32 = 2;

/// One of the two requests that can be under way to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Starts, stops, and what else changes something.
    Acts,
    /// A look at the runs, which waits over there until there is news.
    Look,
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    Answer(&'a Answer),
    /// Nothing of it has reached the host. Why, in words.
    Undelivered(&'a str),
    /// It may have reached the host, or a part of it.
    Failed(&'a str),
}

/// A host, and the runs that it has or is to start.
#[derive(Debug, Default)]
pub struct Link {
    runs: BTreeMap<FarName, Held>,
    under_way: BTreeSet<Channel>,
    /// The runs of the acts under way.
    in_acts: Vec<FarName>,
    failures: u32,
    /// It was told that the host does not answer.
    is_told_down: bool,
    /// Nothing is sent before.
    pause_until: Duration,
    /// No act is sent before: the last one was not answered for all runs.
    acts_after: Duration,
    /// How many acts in a row were not.
    unsure: u32,
    /// No look begins before.
    look_after: Duration,
    /// The last run of a look that could not be about all; the next one goes on from there.
    looked_to: Option<FarName>,
    /// How many looks in a row had no news.
    quiet: u32,
    /// Somebody wants to know whether the host answers.
    is_sought: bool,
}

impl Link {
    /// Returns a host without runs. `is_down`: it did not answer when it was asked last.
    pub fn new(is_down: bool) -> Self {
        Self { is_told_down: is_down, ..Self::default() }
    }

    /// Gives the host a run to start. `is_new`: nobody has sent its start yet.
    pub fn start(&mut self, start: FarStart, is_new: bool) {
        self.runs.entry(start.name).or_insert_with(|| Held::to_start(start, !is_new));
    }

    /// Takes over a run that has started there: its process and its start, and how much of its outputs is
    /// here.
    pub fn adopt(&mut self, name: FarName, started: (u32, Timestamp), have: [u64; 2]) {
        self.runs.entry(name).or_insert_with(|| Held::running(started, have));
    }

    /// Sets how much of the outputs of a run is here.
    pub fn have(&mut self, name: FarName, have: [u64; 2]) {
        if let Some(held) = self.runs.get_mut(&name) {
            held.have = have;
        }
    }

    /// Returns whether the host has this run, or is to start it.
    pub fn has(&self, name: FarName) -> bool {
        self.runs.get(&name).is_some_and(|held| !matches!(held.phase, Phase::Forgotten))
    }

    /// Returns whether there is nothing to say to the host, and nothing to hear from it.
    pub fn is_idle(&self) -> bool {
        self.runs.is_empty() && self.under_way.is_empty() && !self.is_sought
    }

    /// Stops a run; `now`: by KILL at once. Returns its end, if nobody was asked to start it.
    pub fn stop(&mut self, name: FarName, now: bool, wall: Timestamp) -> Option<News> {
        let is_in_act = self.in_acts.contains(&name);
        let held = self.runs.get_mut(&name)?;
        held.want_stop(now);
        (held.is_new() && !is_in_act).then(|| held.finish(name, End::NotStarted, wall))
    }

    /// Stops the processes of a run for a while, or lets them go on.
    pub fn signal(&mut self, name: FarName, signal: FarSignal) {
        if let Some(held) = self.runs.get_mut(&name) {
            held.signal = Some(signal);
        }
    }

    /// The end of a run is recorded: what the host keeps of it is of no use any more.
    pub fn recorded(&mut self, name: FarName) {
        let Some(held) = self.runs.get_mut(&name) else { return };
        if held.may_be_there {
            held.phase = Phase::Forgotten;
        } else {
            self.runs.remove(&name);
        }
    }

    /// Takes over a run whose end is recorded, and of which the host has the data still.
    pub fn adopt_leftover(&mut self, name: FarName) {
        self.runs.entry(name).or_insert_with(Held::leftover);
    }

    /// Asks whether the host answers, again and again until it does.
    pub fn seek(&mut self, is_sought: bool) {
        self.is_sought = is_sought;
    }

    /// Returns when there is something to send; `None`: not before something happens.
    pub fn next_wake(&self) -> Option<Duration> {
        let acts = self.has_acts().then_some(self.pause_until.max(self.acts_after));
        let look = self.has_looks().then_some(self.pause_until.max(self.look_after));
        acts.into_iter().chain(look).min()
    }

    fn has_acts(&self) -> bool {
        let is_free = !self.under_way.contains(&Channel::Acts);
        let wants_to_know = self.is_sought && self.is_told_down && !self.has_looks();
        is_free && (wants_to_know || self.runs.values().any(Held::wants_act))
    }

    fn has_looks(&self) -> bool {
        !self.under_way.contains(&Channel::Look) && self.runs.values().any(Held::wants_look)
    }

    /// Returns the requests that are to be sent now. Each is under way until `heard` is told of it.
    pub fn requests(&mut self, now: Duration) -> Vec<(Channel, Vec<Act>)> {
        let mut requests = Vec::new();
        if now < self.pause_until {
            return requests;
        }
        if self.has_acts() && now >= self.acts_after {
            let acts = self.acts();
            self.under_way.insert(Channel::Acts);
            requests.push((Channel::Acts, acts));
        }
        if self.has_looks() && now >= self.look_after {
            self.under_way.insert(Channel::Look);
            requests.push((Channel::Look, vec![self.look()]));
        }
        requests
    }

    fn acts(&mut self) -> Vec<Act> {
        let (mut acts, mut others, mut looks, mut bytes) = (Vec::new(), 0, Vec::new(), 0);
        self.in_acts.clear();
        for (name, held) in &mut self.runs {
            if let Some(start) = held.start.as_ref().filter(|_| held.wants_start()) {
                let size = start.stdin.len() + start.env.iter().map(Vec::len).sum::<usize>();
                let is_first = looks.is_empty();
                if is_first || looks.len() < STARTS_MAX && bytes + size <= START_BYTES_MAX {
                    bytes += size;
                    acts.push(Act::Start(start.clone()));
                    let [stdout_from, stderr_from] = held.have;
                    looks.push(LookAt { name: *name, known: Known::Running, stdout_from, stderr_from });
                    self.in_acts.push(*name);
                }
                continue;
            }
            let Some(act) = held.next_act(*name).filter(|_| others < ACTS_MAX) else { continue };
            others += 1;
            acts.push(act);
            self.in_acts.push(*name);
        }
        if !looks.is_empty() {
            acts.push(Act::Look { runs: looks, wait: START_LOOK, bytes_max: LOOK_BYTES_MAX });
        }
        acts
    }

    fn look(&mut self) -> Act {
        let wanted = self.runs.iter().filter(|(_, held)| held.wants_look());
        let mut runs: Vec<LookAt> = wanted.clone().map(|(name, held)| held.look_at(*name)).collect();
        let is_urgent = wanted.clone().any(|(_, held)| held.end.is_some());
        let is_all = runs.len() <= LOOK_RUNS_MAX;
        if !is_all {
            let first = runs.iter().position(|look| Some(look.name) > self.looked_to).unwrap_or(0);
            runs.rotate_left(first);
            runs.truncate(LOOK_RUNS_MAX);
            self.looked_to = runs.last().map(|look| look.name);
        }
        let wait = if is_urgent || !is_all {
            Span::ZERO
        } else {
            Span::from_micros(LOOK_MIN.as_micros() << self.quiet.min(10)).min(LOOK_MAX)
        };
        Act::Look { runs, wait, bytes_max: LOOK_BYTES_MAX }
    }

    /// Hears what became of a request, at an instant of the monotonic and of the wall clock.
    pub fn heard(
        &mut self,
        channel: Channel,
        heard: Heard<'_>,
        (now, wall): (Duration, Timestamp),
    ) -> Vec<News> {
        self.under_way.remove(&channel);
        let asked = if channel == Channel::Acts { std::mem::take(&mut self.in_acts) } else { Vec::new() };
        let mut news = Vec::new();
        let problem = match heard {
            Heard::Answer(answer) => answer.parts.iter().find_map(|part| match part {
                Part::Problem { cause } => Some(cause.as_str()),
                _ => None,
            }),
            Heard::Undelivered(_) | Heard::Failed(_) => None,
        };
        match (heard, problem) {
            (Heard::Answer(answer), None) if answer.greeted.is_some() => {
                asked.iter().for_each(|name| self.sent(*name));
                let far_now = answer.greeted.as_ref().map(|greeting| greeting.now);
                let has_news = self.read(answer, Hearing { now, wall, far_now }, &mut news);
                if answer.is_whole {
                    self.answers(&mut news);
                } else {
                    self.fails("the answer was cut off", false, now, &mut news);
                }
                if channel == Channel::Look {
                    self.quiet = if has_news { 0 } else { self.quiet.saturating_add(1) };
                }
            }
            (Heard::Answer(_), Some(problem)) => {
                self.give_back(wall, &mut news);
                self.fails(problem, true, now, &mut news);
            }
            (Heard::Undelivered(cause), _) => {
                self.give_back(wall, &mut news);
                self.fails(cause, true, now, &mut news);
            }
            (Heard::Answer(_), None) => {
                asked.iter().for_each(|name| self.sent(*name));
                self.fails("what answers there is no shell", false, now, &mut news);
            }
            (Heard::Failed(cause), _) => {
                asked.iter().for_each(|name| self.sent(*name));
                self.fails(cause, false, now, &mut news);
            }
        }
        if channel == Channel::Acts {
            let is_left = |name: &FarName| self.runs.get(name).is_some_and(Held::wants_act);
            self.unsure = if asked.iter().any(is_left) { self.unsure.saturating_add(1) } else { 0 };
            let pause = PAUSE_MIN.saturating_mul(1 << self.unsure.min(16)).min(PAUSE_MAX);
            self.acts_after = if self.unsure == 0 { Duration::ZERO } else { now + pause };
        }
        let strange = self.runs.values().filter_map(|held| held.strange_at).max();
        let pause = if self.quiet > 0 { now + LOOK_PAUSE } else { Duration::ZERO };
        self.look_after = strange.map_or(pause, |at| pause.max(at + STRANGE_PAUSE));
        news
    }

    /// A start or another act may have reached the host.
    fn sent(&mut self, name: FarName) {
        if let Some(held) = self.runs.get_mut(&name) {
            held.may_be_there = true;
        }
    }

    /// The runs that the host was to start, and that nobody has asked it to, can go to another one.
    fn give_back(&mut self, wall: Timestamp, news: &mut Vec<News>) {
        let under_way = &self.in_acts;
        let new = self.runs.iter_mut().filter(|(name, held)| held.is_new() && !under_way.contains(name));
        news.extend(new.map(|(name, held)| held.finish(*name, End::NotStarted, wall)));
    }

    fn answers(&mut self, news: &mut Vec<News>) {
        self.failures = 0;
        self.pause_until = Duration::ZERO;
        if std::mem::take(&mut self.is_told_down) {
            news.push(News::Unreachable(None));
        }
    }

    /// `is_certain`: the client has said so, and it was not just killed.
    fn fails(&mut self, cause: &str, is_certain: bool, now: Duration, news: &mut Vec<News>) {
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.pause_until = now + pause;
        if is_certain || self.failures >= FAILURES_MIN {
            self.is_told_down = true;
            news.push(News::Unreachable(Some(cause.to_owned())));
        }
    }

    /// Reads an answer. Returns whether it says something new.
    fn read(&mut self, answer: &Answer, heard: Hearing, news: &mut Vec<News>) -> bool {
        let before = news.len();
        for part in &answer.parts {
            let Some(name) = part.name() else {
                if let Part::Warning { cause } = part {
                    news.push(News::Warning(cause.clone()));
                }
                continue;
            };
            let Some(held) = self.runs.get_mut(&name) else { continue };
            if matches!(part, Part::Forgotten { .. }) && matches!(held.phase, Phase::Forgotten) {
                self.runs.remove(&name);
                news.push(News::Forgotten { name });
                continue;
            }
            held.read(name, part, heard, news);
        }
        for (name, held) in &mut self.runs {
            // Of an answer that was cut off, the outputs may be missing: ends are asked for again.
            if answer.is_whole {
                news.extend(held.conclude(*name, heard));
            } else {
                held.end = None;
            }
        }
        news.len() > before
    }
}
