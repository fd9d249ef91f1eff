//! Owns: a simulated host with a network between, by which `link` is tried: requests are lost, late, cut off,
//! repeated, answered by garbage; supervisors die, the host reboots, its directory is lost, its clock is off,
//! and the daemon begins anew.
//! Never: real shells (see `tests/executor`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Act, Answer, Channel, FarEnd, FarName, FarStart, FarState, FarStop, Greeting, Heard, Link, News, Part,
    StoreToken,
};
use crate::domain::{End, JobId, OutputKind, RunId, Span, StopCause, Timestamp};

const TOKEN: StoreToken = StoreToken(7);

/// A generator of numbers, xorshift64 (Marsaglia, 2003).
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Running,
    /// Its supervisor is gone.
    Unattended,
    /// Nothing runs, and no end is recorded.
    Gone,
    Ended(i32, Option<FarStop>),
    Never,
}

/// A run directory of the host.
struct Dir {
    stand: Stand,
    /// It is a tombstone.
    is_forgotten: bool,
    since: Timestamp,
    at: Timestamp,
}

/// What happened to a run over there, which nothing undoes.
#[derive(Default)]
struct Fact {
    executed: u32,
    output: Vec<u8>,
}

struct Host {
    now: Timestamp,
    dirs: BTreeMap<FarName, Dir>,
    facts: BTreeMap<FarName, Fact>,
    /// Requests that the network delivers later.
    late: Vec<Vec<Act>>,
}

impl Host {
    fn obey(&mut self, acts: &[Act], parts: &mut Vec<Part>) {
        for act in acts {
            match act {
                Act::Start(start) => parts.push(self.start(start.name)),
                Act::Stop { name, now } => self.stop(*name, *now, parts),
                Act::Signal { name, .. } => parts.push(Part::Signaled { name: *name }),
                Act::Forget { name } => {
                    if let Some(dir) = self.dirs.get_mut(name) {
                        dir.is_forgotten = true;
                    }
                    parts.push(Part::Forgotten { name: *name });
                }
                Act::Look { runs, .. } => {
                    for look in runs {
                        self.report(look.name, look.stdout_from, parts);
                    }
                }
            }
        }
    }

    fn start(&mut self, name: FarName) -> Part {
        if self.dirs.contains_key(&name) {
            return Part::Begun { name };
        }
        let fact = self.facts.entry(name).or_default();
        fact.executed += 1;
        let (since, at) = (self.now, self.now);
        self.dirs.insert(name, Dir { stand: Stand::Running, is_forgotten: false, since, at });
        Part::Started { name }
    }

    fn stop(&mut self, name: FarName, now: bool, parts: &mut Vec<Part>) {
        let (since, at) = (self.now, self.now);
        let dir =
            self.dirs.entry(name).or_insert(Dir { stand: Stand::Never, is_forgotten: false, since, at });
        if dir.stand == Stand::Running {
            let stop = if now { FarStop::Kill } else { FarStop::Stop };
            (dir.stand, dir.at) = (Stand::Ended(42, Some(stop)), self.now);
        }
        parts.push(Part::Stopped { name });
    }

    fn report(&self, name: FarName, from: u64, parts: &mut Vec<Part>) {
        let Some(dir) = self.dirs.get(&name) else {
            parts.push(Part::State { name, state: FarState::None });
            return;
        };
        let state = match dir.stand {
            Stand::Running => FarState::Running { since: dir.since, pid: 9 },
            Stand::Unattended => FarState::Unattended { pid: 9 },
            Stand::Gone => FarState::Gone { started: true },
            Stand::Never => FarState::Never,
            Stand::Ended(code, stopped) => FarState::Ended {
                code,
                started: Some(dir.since),
                at: Some(dir.at),
                stopped,
                by_engine: false,
            },
        };
        parts.push(Part::State { name, state });
        if let Some(fact) = self.facts.get(&name) {
            let all = &fact.output;
            let at = usize::try_from(from).expect("small").min(all.len());
            let data = all[at..all.len().min(at + 7)].to_vec();
            let size = all.len() as u64;
            parts.push(Part::Output { name, kind: OutputKind::Stdout, from: at as u64, size, data });
        }
    }

    /// Time passes, and things happen. `is_calm`: only what runs goes on.
    fn tick(&mut self, rng: &mut Rng, is_calm: bool) {
        self.now = self.now + Span::from_millis(300);
        for (name, dir) in &mut self.dirs {
            let fact = self.facts.entry(*name).or_default();
            match dir.stand {
                Stand::Running => {
                    fact.output
                        .extend(std::iter::repeat_n(b'x', usize::try_from(rng.below(9)).expect("small")));
                    if rng.one_in(6) {
                        (dir.stand, dir.at) = (Stand::Ended(i32::from(rng.one_in(2)) * 7, None), self.now);
                    } else if !is_calm && rng.one_in(40) {
                        dir.stand = Stand::Unattended;
                    }
                }
                Stand::Unattended if rng.one_in(4) => dir.stand = Stand::Gone,
                Stand::Unattended | Stand::Gone | Stand::Ended(..) | Stand::Never => {}
            }
        }
        if !is_calm && rng.one_in(300) {
            for dir in self.dirs.values_mut() {
                if matches!(dir.stand, Stand::Running | Stand::Unattended) {
                    dir.stand = Stand::Gone;
                }
            }
        }
    }

    fn deliver_late(&mut self, rng: &mut Rng) {
        while !self.late.is_empty() && rng.one_in(3) {
            let at = usize::try_from(rng.below(self.late.len() as u64)).expect("small");
            let acts = self.late.remove(at);
            self.obey(&acts, &mut Vec::new());
        }
    }
}

/// What the daemon's side knows of a run.
#[derive(Default)]
struct Told {
    started: Option<(u32, Timestamp)>,
    output: Vec<u8>,
    end: Option<FarEnd>,
    is_stopped: bool,
}

struct World {
    rng: Rng,
    host: Host,
    link: Link,
    told: BTreeMap<FarName, Told>,
    now: Duration,
    wall: Timestamp,
    under_way: Vec<(Channel, Vec<Act>)>,
}

fn name(number: i64) -> FarName {
    FarName { store: TOKEN, run: RunId { job: JobId(1), number }, attempt: 1 }
}

fn start(name: FarName) -> FarStart {
    FarStart {
        name,
        job: "j".to_owned(),
        argv: vec![b"true".to_vec()],
        env: Vec::new(),
        cwd: None,
        cwd_optional: true,
        umask: 0o022,
        nice: None,
        stdin: Vec::new(),
        files: Vec::new(),
        timeout: None,
        kill_after: Span::from_seconds(10),
        needs: Vec::new(),
        split_output: false,
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let skew = Span::from_seconds(rng.below(100_000));
        let wall = Timestamp::from_seconds(1_800_000_000);
        let host = Host {
            now: if rng.one_in(2) { wall + skew } else { wall - skew },
            dirs: BTreeMap::new(),
            facts: BTreeMap::new(),
            late: Vec::new(),
        };
        let (link, told) = (Link::default(), BTreeMap::new());
        Self { rng, host, link, told, now: Duration::from_secs(50), wall, under_way: Vec::new() }
    }

    fn take(&mut self, news: Vec<News>) {
        for news in news {
            match news {
                News::Started { name, at, pid } => {
                    let told = self.told.get_mut(&name).expect("it is ours");
                    assert!(told.started.is_none(), "{name} has started twice");
                    assert!(at <= self.wall, "it has started in the future");
                    told.started = Some((pid, at));
                    assert_eq!(self.host.facts[&name].executed, 1);
                }
                News::Output { name, data, .. } => {
                    self.told.get_mut(&name).expect("it is ours").output.extend(data);
                }
                News::Ended { name, end } => self.check_end(name, end),
                News::Forgotten { .. } | News::Note { .. } | News::Unreachable(_) | News::Warning(_) => {}
            }
        }
    }

    fn check_end(&mut self, name: FarName, end: FarEnd) {
        let told = self.told.get_mut(&name).expect("it is ours");
        assert!(told.end.is_none(), "{name} has ended twice");
        let stand = self.host.dirs.get(&name).map(|dir| dir.stand);
        let executed = self.host.facts.get(&name).map_or(0, |fact| fact.executed);
        match &end.end {
            End::Exited(code) => {
                let Some(Stand::Ended(true_code, stopped)) = stand else {
                    panic!("{name}: {end:?} of {stand:?}")
                };
                assert_eq!((*code, end.stopped.is_some()), (true_code, stopped.is_some()));
                assert_eq!(told.output, self.host.facts[&name].output, "its output is whole");
                assert!(end.at <= self.wall && end.started.is_some_and(|(_, at)| at <= end.at));
            }
            End::NotStarted => {
                assert_eq!(executed, 0, "{name} was given back, and has run");
                assert_eq!(end.stopped == Some(StopCause::Cancelled), told.is_stopped);
            }
            End::LostThere(_) => assert!(matches!(stand, None | Some(Stand::Gone)), "{name}: {stand:?}"),
            other => panic!("{name} cannot end so: {other:?}"),
        }
        told.end = Some(end);
        self.link.recorded(name);
    }

    fn step(&mut self, is_calm: bool) {
        self.now += Duration::from_millis(300);
        self.wall = self.wall + Span::from_millis(300);
        self.host.tick(&mut self.rng, is_calm);
        self.host.deliver_late(&mut self.rng);
        if !is_calm && self.rng.one_in(150) {
            self.begin_anew();
        }
        if self.link.next_wake().is_some_and(|at| at <= self.now) {
            let requests = self.link.requests(self.now);
            self.under_way.extend(requests);
        }
        if !self.under_way.is_empty() && (is_calm || self.rng.one_in(2)) {
            let (channel, acts) = self.under_way.remove(0);
            let news = self.answer(channel, &acts, is_calm);
            self.take(news);
        }
    }

    fn answer(&mut self, channel: Channel, acts: &[Act], is_calm: bool) -> Vec<News> {
        let times = (self.now, self.wall);
        let fate = if is_calm { 0 } else { self.rng.below(12) };
        let greeted = Some(Greeting { now: self.host.now, host: "h".to_owned(), boot: "b".to_owned() });
        let mut answer = Answer { greeted, parts: Vec::new(), is_whole: true };
        match fate {
            1 => return self.link.heard(channel, Heard::Undelivered("refused"), times),
            2 => return self.link.heard(channel, Heard::Failed("lost on the way there"), times),
            3 => {
                self.host.late.push(acts.to_vec());
                return self.link.heard(channel, Heard::Failed("it takes too long"), times);
            }
            4 => {
                answer.greeted = None;
                return self.link.heard(channel, Heard::Answer(&answer), times);
            }
            _ => self.host.obey(acts, &mut answer.parts),
        }
        match fate {
            5 => return self.link.heard(channel, Heard::Failed("lost on the way back"), times),
            6 => {
                let kept = usize::try_from(self.rng.below(answer.parts.len() as u64 + 1)).expect("small");
                answer.parts.truncate(kept);
                answer.is_whole = false;
            }
            7 => answer.parts.extend(answer.parts.clone()),
            _ => {}
        }
        self.link.heard(channel, Heard::Answer(&answer), times)
    }

    /// The daemon is killed. The next one has what was recorded.
    fn begin_anew(&mut self) {
        self.link = Link::new(self.rng.one_in(2));
        for (channel, acts) in std::mem::take(&mut self.under_way) {
            // Its commands go on, and nobody hears what they say.
            if channel == Channel::Acts && self.rng.one_in(2) {
                self.host.late.push(acts);
            }
        }
        let wall = self.wall;
        let mut news = Vec::new();
        for (name, told) in self.told.iter().filter(|(_, told)| told.end.is_none()) {
            match told.started {
                Some(started) => self.link.adopt(*name, started, [told.output.len() as u64, 0]),
                None => self.link.start(start(*name), false),
            }
            // What came before the start was recorded is here too.
            self.link.have(*name, [told.output.len() as u64, 0]);
            if told.is_stopped {
                news.extend(self.link.stop(*name, false, wall));
            }
        }
        self.take(news);
    }
}

fn live(seed: u64) {
    let mut world = World::new(seed);
    for number in 1..=12 {
        let name = name(number);
        world.told.insert(name, Told::default());
        world.link.start(start(name), true);
        for _ in 0..world.rng.below(30) {
            world.step(false);
        }
        if world.rng.one_in(5) {
            let told = world.told.get_mut(&name).expect("it is ours");
            if told.end.is_none() {
                told.is_stopped = true;
                let wall = world.wall;
                let ended = world.link.stop(name, false, wall);
                world.take(ended.into_iter().collect());
            }
        }
    }
    // With a network that works, all that is left ends.
    for _ in 0..2_000 {
        world.step(true);
    }
    for (name, told) in &world.told {
        assert!(told.end.is_some(), "seed {seed}: {name} has no end");
    }
    for (name, fact) in &world.host.facts {
        assert!(fact.executed <= 1, "seed {seed}: {name} was executed {} times", fact.executed);
        let end = &world.told[name].end.as_ref().expect("it has one").end;
        assert!(*end != End::NotStarted || fact.executed == 0, "seed {seed}: {name} was given back, and ran");
    }
    assert!(world.link.is_idle(), "seed {seed}: nothing is left to ask");
}

#[test]
fn whatever_the_network_does_a_run_starts_once_and_its_end_is_what_was_there() {
    for seed in 1..=400 {
        live(seed);
    }
}

#[test]
fn an_idle_host_is_not_asked() {
    let mut link = Link::default();
    assert_eq!((link.next_wake(), link.requests(Duration::from_secs(9)).len()), (None, 0));
    link.start(start(name(1)), true);
    let requests = link.requests(Duration::from_secs(9));
    assert!(matches!(requests.as_slice(), [(Channel::Acts, acts)] if acts.len() == 2));
}

#[test]
fn a_thousand_runs_under_way_are_one_look() {
    let mut link = Link::default();
    for number in 1..=1_000 {
        link.adopt(name(number), (9, Timestamp::default()), [0, 0]);
    }
    let requests = link.requests(Duration::ZERO);
    let [(Channel::Look, acts)] = requests.as_slice() else { panic!("one request: {requests:?}") };
    assert!(matches!(acts.as_slice(), [Act::Look { runs, .. }] if runs.len() == 1_000));
    assert_eq!(link.next_wake(), None);
}

#[test]
fn more_runs_than_one_look_can_have_are_looked_at_in_turns() {
    let mut link = Link::default();
    for number in 1..=2_500 {
        link.adopt(name(number), (9, Timestamp::default()), [0, 0]);
    }
    let mut seen = std::collections::BTreeSet::new();
    for second in [1, 5, 9] {
        let times = (Duration::from_secs(second), Timestamp::from_seconds(9));
        let requests = link.requests(times.0);
        let [(Channel::Look, acts)] = requests.as_slice() else { panic!("one request") };
        let [Act::Look { runs, .. }] = acts.as_slice() else { panic!("one look") };
        assert_eq!(runs.len(), 1_000);
        seen.extend(runs.iter().map(|look| look.name));
        let greeted = Some(Greeting { now: times.1, host: String::new(), boot: String::new() });
        let answer = Answer { greeted, parts: Vec::new(), is_whole: true };
        link.heard(Channel::Look, Heard::Answer(&answer), times);
    }
    assert_eq!(seen.len(), 2_500);
}

#[test]
fn a_host_that_refuses_gives_its_new_runs_back_and_is_told_once_it_answers() {
    let mut link = Link::default();
    link.start(start(name(1)), true);
    let times = (Duration::from_secs(1), Timestamp::from_seconds(9));
    link.requests(times.0);
    let news = link.heard(Channel::Acts, Heard::Undelivered("refused"), times);
    let [News::Ended { end, .. }, News::Unreachable(Some(cause))] = news.as_slice() else {
        panic!("{news:?}")
    };
    assert_eq!((&end.end, end.stopped, cause.as_str()), (&End::NotStarted, None, "refused"));
    link.recorded(name(1));
    assert_eq!(link.next_wake(), None);
    // Somebody waits for it: it is asked after a pause, and then not any more.
    link.seek(true);
    assert_eq!(link.next_wake(), Some(Duration::from_secs(2)));
    assert_eq!(link.requests(Duration::from_secs(2)), [(Channel::Acts, vec![])]);
    let greeted = Some(Greeting { now: times.1, host: String::new(), boot: String::new() });
    let answer = Answer { greeted, parts: Vec::new(), is_whole: true };
    let news = link.heard(Channel::Acts, Heard::Answer(&answer), (Duration::from_secs(2), times.1));
    assert_eq!((news.as_slice(), link.next_wake()), (&[News::Unreachable(None)][..], None));
}

#[test]
fn a_client_that_was_killed_once_is_no_host_that_is_down() {
    let mut link = Link::default();
    link.adopt(name(1), (9, Timestamp::default()), [0, 0]);
    let mut fail = |seconds| {
        let now = Duration::from_secs(seconds);
        assert_eq!(link.requests(now).len(), 1);
        link.heard(Channel::Look, Heard::Failed("killed"), (now, Timestamp::default())).len()
    };
    assert_eq!((fail(10), fail(20), fail(30)), (0, 1, 1));
}
