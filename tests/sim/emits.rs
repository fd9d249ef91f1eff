//! Owns: event triggers by chance, and what clients, sources and daemons send to them.
//! Never: what becomes of it (see `hearing`).

use std::collections::BTreeSet;

use taskq::domain::{
    Counter, EventName, EventSource, EventTrigger, JobId, JobKey, JobPattern, JobSource, JobStage,
    MachineState, Occurrence, PathChange, PathMark, PathSource, Span, StreamSource, Timestamp, TriggerId,
    TriggerSpec, Window,
};
use taskq::store::{FirstFire, HeardEvent, SourceNews};
use taskq::watch;

use crate::chance::Pace;
use crate::clients::{When, Wish};
use crate::folder::{Act, FILES};
use crate::hearing::Told;
use crate::listeners::{Listener, Part};
use crate::news::What;
use crate::rng::Rng;
use crate::world::{SECOND, World};

type FirstMarks = Option<Vec<(Vec<u8>, PathMark)>>;

/// The names of emitted events.
const NAMES: [&str; 3] = ["deploy", "row.added", "x"];
/// The first letters of the names of jobs.
const LETTERS: [&str; 3] = ["a", "b", "c"];
const TAGS: [&str; 2] = ["red", "blue"];

/// Returns whether a trigger hears of boots.
pub fn is_boot(event: &EventTrigger) -> bool {
    event.source == EventSource::State(MachineState::Boot)
}

/// Returns when a new event trigger fires if no event comes.
pub fn first_silence(spec: &TriggerSpec, window: Window, now: Timestamp) -> Option<Timestamp> {
    let absent = spec.event().and_then(|event| event.counter.absent);
    absent.map(|absent| window.start.map_or(now, |start| start.max(now)) + absent)
}

/// Returns the files that `add` gives to the store with a path trigger, if it does.
pub fn first_marks(world: &mut World, spec: &TriggerSpec) -> FirstMarks {
    match spec.event().map(|event| &event.source) {
        Some(EventSource::Path(source)) if world.rng.chance(500) => watch::first_marks(source),
        _ => None,
    }
}

fn path(world: &mut World) -> PathSource {
    let rng = &mut world.rng;
    let change = match rng.below(8) {
        0 | 1 => PathChange::Changed,
        2 | 3 => PathChange::Created,
        4 | 5 => PathChange::Deleted,
        6 => PathChange::Exists,
        _ => PathChange::Nonempty,
    };
    let names = match change {
        PathChange::Nonempty => *rng.pick(&["/*.in", "/a.in", ""]),
        _ => *rng.pick(&["/*.in", "/*.in", "/a.in"]),
    };
    let settle = rng.chance(250).then(|| Span::from_micros(rng.span(SECOND / 10, 60 * SECOND)));
    let path = format!("{}{names}", world.folder.path().display());
    PathSource { path, change, settle, poll: None }
}

fn source(world: &mut World) -> EventSource {
    let jobs: Vec<i64> = world.audit.jobs.iter().copied().collect();
    let roll = world.rng.below(26);
    if roll >= 22 {
        return EventSource::Path(path(world));
    }
    let rng = &mut world.rng;
    match roll {
        0..=8 => EventSource::Emit(rng.pick(&NAMES).parse().expect("a name")),
        9..=16 => {
            let jobs = match rng.below(10) {
                0..=5 if !jobs.is_empty() => JobPattern::One(JobKey::Id(JobId(*rng.pick(&jobs)))),
                0..=7 => JobPattern::Tagged(rng.pick(&TAGS).parse().expect("a tag")),
                _ => JobPattern::Names(format!("{}*", rng.pick(&LETTERS))),
            };
            let stages = [JobStage::Done, JobStage::Success, JobStage::Failed, JobStage::Started];
            EventSource::Job(JobSource { jobs, stage: *rng.pick(&stages) })
        }
        17 => EventSource::State(*rng.pick(&[MachineState::Boot, MachineState::Start])),
        18 | 19 => EventSource::State(*rng.pick(&[MachineState::Ac, MachineState::Battery])),
        _ => EventSource::Stream(StreamSource {
            command: "true".to_owned(),
            pattern: None,
            restart: StreamSource::RESTART,
        }),
    }
}

fn counter(rng: &mut Rng, pace: Pace) -> Counter {
    let span = |rng: &mut Rng| Span::from_micros(rng.span(SECOND, pace.stretch));
    match rng.below(10) {
        0..=4 => Counter::default(),
        5 => Counter { absent: Some(span(rng)), ..Counter::default() },
        _ => Counter {
            count: *rng.pick(&[2, 2, 3, 5, 20]),
            within: rng.chance(300).then(|| span(rng)),
            consecutive: rng.chance(500),
            or_after: rng.chance(500).then(|| span(rng)),
            absent: None,
        },
    }
}

/// Returns random event triggers for every third job.
pub fn random(world: &mut World, pace: Pace) -> Vec<EventTrigger> {
    if !world.rng.chance(350) {
        return Vec::new();
    }
    let count = *world.rng.pick(&[1, 1, 1, 2, 3]);
    let mut triggers: Vec<EventTrigger> = Vec::new();
    for _ in 0..count {
        let source = source(world);
        // Of a condition it is not said how often it is told.
        let is_level = matches!(&source, EventSource::Path(path) if path.change.is_level());
        let counter = if is_level { Counter::default() } else { counter(&mut world.rng, pace) };
        let trigger = EventTrigger { source, counter };
        if !triggers.contains(&trigger) {
            triggers.push(trigger);
        }
    }
    triggers
}

/// Gives names to jobs, by which others find them.
pub fn name(world: &mut World, wish: &mut Wish, has_instants: bool) {
    let rng = &mut world.rng;
    if rng.chance(400) {
        world.named += 1;
        let name = format!("{}{}", rng.pick(&LETTERS), world.named);
        wish.job.name = Some(name.parse().expect("a name"));
        // A job may cause itself, if only so often.
        if wish.job.times.is_some() && rng.chance(300) {
            let jobs = JobPattern::One(JobKey::Name(name.parse().expect("a name")));
            let source =
                EventSource::Job(JobSource { jobs, stage: *rng.pick(&[JobStage::Done, JobStage::Started]) });
            let is_after_end = wish.when.iter().any(|when| matches!(when, When::AfterEnd(_)));
            if !is_after_end && !wish.when.is_empty() {
                wish.when.push(When::On(EventTrigger { source, counter: Counter::default() }));
            }
        }
    }
    for tag in TAGS {
        if rng.chance(150) {
            wish.job.tags.push(tag.parse().expect("a tag"));
        }
    }
    let on = wish.when.iter().filter(|when| matches!(when, When::On(_))).count();
    wish.job.all_of = !has_instants && on > 1 && rng.chance(600);
}

/// Lets clients and sources send something, or change the triggers of a job.
pub fn act(world: &mut World, roll: u64, pace: Pace) {
    let name = *world.rng.pick(&NAMES);
    match roll {
        0..=17 => {
            let by = *world.rng.pick(&[1, 1, 2, 3, 7, 50]);
            let depth = *world.rng.pick(&[0, 0, 0, 1, 14, 15, 16]);
            world.emit(name, by, depth);
        }
        18 | 19 => storm(world, name),
        20..=25 => speak(world),
        26 | 27 => set_triggers(world, pace),
        28 => reset_counters(world),
        30..=42 => files(world),
        43 => world.shift_folder(),
        44 => {
            let acts = acts(world);
            world.flood_folder(&acts);
        }
        45..=47 => world.switch_power(),
        _ => {
            let rng = &mut world.rng;
            let (pause, name) = (rng.span(SECOND, 100 * SECOND), *rng.pick(&NAMES));
            for _ in 0..8 {
                world.emit(name, 1, 0);
                world.advance(pause);
            }
        }
    }
}

/// Lets time pass, and somebody take the files of which a condition holds: else their jobs would run each
/// minute.
pub fn pass(world: &mut World, span: u64) {
    const PATIENCE: u64 = 60 * SECOND;
    world.advance(span.min(PATIENCE));
    if world.shadows.have_levels() {
        world.clear_folder();
    }
    world.advance(span.saturating_sub(PATIENCE));
}

/// Returns some things that happen to files. No two that follow each other are of one file, because the
/// kernel may make one of them.
fn acts(world: &mut World) -> Vec<(&'static str, Act)> {
    let mut acts: Vec<(&'static str, Act)> = Vec::new();
    let mut there: BTreeSet<&'static str> = world.folder.files.keys().copied().collect();
    for _ in 0..1 + world.rng.below(5) {
        let name = *world.rng.pick(&FILES);
        let act = *world.rng.pick(&[Act::Created, Act::Changed, Act::Deleted]);
        let is_possible = act != Act::Deleted || there.remove(name);
        if is_possible && acts.last().is_none_or(|(last, _)| *last != name) {
            acts.push((name, act));
        }
        if act != Act::Deleted {
            there.insert(name);
        }
    }
    acts
}

/// Lets things happen to files.
fn files(world: &mut World) {
    for (name, act) in acts(world) {
        world.touch(name, act);
    }
    world.settle();
    let pause = world.rng.span(SECOND / 100, 60 * SECOND);
    world.advance(pause);
}

/// Sends an event over and over, for a job that may seem to cause itself.
fn storm(world: &mut World, name: &str) {
    for _ in 0..30 {
        world.emit(name, 1, 0);
        let pause = world.rng.span(SECOND / 100, SECOND);
        world.advance(pause);
    }
}

/// Lets a source tell events to a trigger that the daemon listens for.
fn speak(world: &mut World) {
    let is_stream = |listener: &Listener| matches!(listener.event.source, EventSource::Stream(_));
    let listening = world.audit.hearing.listening().filter(|(_, listener)| is_stream(listener));
    let triggers: Vec<i64> = listening.map(|(id, _)| id).collect();
    if triggers.is_empty() {
        return;
    }
    let trigger = *world.rng.pick(&triggers);
    let count = *world.rng.pick(&[1, 1, 2, 5]);
    for _ in 0..count {
        let (is_opposite, is_left_over) = (world.rng.chance(300), world.rng.chance(100));
        world.speak(trigger, is_opposite, is_left_over);
    }
    world.settle();
}

fn set_triggers(world: &mut World, pace: Pace) {
    let done = world.audit.db.done_jobs();
    let living = world.audit.jobs.iter().filter(|job| !done.contains(job));
    let has_instant = |job: i64| world.audit.triggers.values().any(|trigger| trigger.job == job);
    let listens = |job: i64| !world.audit.hearing.ids_of(job).is_empty();
    let jobs: Vec<i64> = living.copied().filter(|job| !has_instant(*job) && listens(*job)).collect();
    if !jobs.is_empty() {
        let job = *world.rng.pick(&jobs);
        let triggers = random(world, pace);
        if !triggers.is_empty() {
            world.set_triggers(job, &triggers);
        }
    }
}

fn reset_counters(world: &mut World) {
    let jobs: Vec<i64> = world.audit.hearing.listening().map(|(_, listener)| listener.job).collect();
    if !jobs.is_empty() {
        let job = *world.rng.pick(&jobs);
        world.reset_counters(job);
    }
}

impl World {
    fn occurrence(&mut self, name: &str, count: u64, depth: u32) -> Occurrence {
        self.sent += 1;
        let data = Some(self.sent.to_string());
        Occurrence { at: self.now(), name: name.to_owned(), data, count, depth }
    }

    /// `taskq emit NAME --by COUNT`, from the process of a run if `depth` is not 0. The client may die before
    /// its commit, or after it.
    pub fn emit(&mut self, name: &str, count: u64, depth: u32) {
        let occurrence = self.occurrence(name, count, depth);
        if self.dies() {
            return self.note(format!("a client dies before it emits {name}"));
        }
        let event: EventName = name.parse().expect("a name");
        self.audit.hearing.tell(told(What::Emitted(name.to_owned()), "emit", &occurrence));
        self.command(&format!("emit {name} {occurrence:?}"), |writer, now| {
            writer.emit(&event, &occurrence, now)
        });
        self.wrote([]);
    }

    /// A source of the daemon has an event for a trigger.
    pub fn speak(&mut self, trigger: i64, is_opposite: bool, is_left_over: bool) {
        let occurrence = self.occurrence("line", 1, 0);
        self.note(format!("a source tells trigger {trigger} {occurrence:?}, opposite {is_opposite}"));
        let Some(daemon) = &mut self.daemon else { return };
        let event = HeardEvent { occurrence, is_opposite, is_left_over };
        let news = SourceNews { trigger: TriggerId(trigger), events: vec![event], marks: Vec::new() };
        daemon.sources.news.push(news);
        daemon.pacer.demand_turn();
    }

    /// A turn has committed what the sources had told.
    pub fn told_by_sources(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        if !daemon.sources.seen.is_empty() {
            self.kept_states = Some((self.boot, daemon.sources.seen.clone()));
        }
        let hearing = &mut self.audit.hearing;
        let listening: BTreeSet<i64> = hearing.heard_now().collect();
        self.shadows.committed(|trigger| listening.contains(&trigger));
        for SourceNews { trigger, events, .. } in daemon.sources.news.drain(..) {
            let Some(listener) = hearing.listeners.get(&trigger.0) else { continue };
            let kind = listener.event.kind().to_string();
            for HeardEvent { occurrence, is_opposite, is_left_over } in events {
                let what = What::Source(trigger.0, is_opposite);
                hearing.tell(Told { is_left_over, ..told(what, &kind, &occurrence) });
            }
        }
    }

    /// A daemon that starts tells of that, and of a boot.
    pub fn tell_of_start(&mut self) {
        let state = |at, state: MachineState| Occurrence {
            at,
            name: state.to_string(),
            data: None,
            count: 1,
            depth: 0,
        };
        let now = self.now();
        self.audit.hearing.daemon_starts(now);
        let start = told(What::State(MachineState::Start), "state", &state(now, MachineState::Start));
        self.audit.hearing.tell(start);
        for trigger in self.audit.hearing.boot(self.boot) {
            let boot = state(now, MachineState::Boot);
            self.audit.hearing.tell(told(What::Source(trigger, false), "state", &boot));
        }
    }

    /// `taskq set JOB --reset-counter`
    pub fn reset_counters(&mut self, job: i64) {
        let (now, id) = (self.now(), JobId(job));
        self.command(&format!("set job {job} --reset-counter"), |writer, now| {
            let definition = writer.definition(id)?.0;
            writer.change_definition(id, &definition, vec!["reset-counter".into()])?;
            writer.reset_counters(id, now)
        });
        self.audit.hearing.reset(job, now);
        self.wrote([]);
    }

    /// `taskq set JOB --on …`
    pub fn set_triggers(&mut self, job: i64, triggers: &[EventTrigger]) {
        let (now, boot, id) = (self.now(), self.boot, JobId(job));
        let window = self.store.read(|reader| reader.job(id)).expect("readable").definition.window();
        let mut first = |event: &EventTrigger| {
            let spec = TriggerSpec::Event(event.clone());
            let next_at = first_silence(&spec, window, now);
            let marks = first_marks(self, &spec);
            FirstFire { spec, next_at, boot_id: is_boot(event).then(|| boot.to_string()), marks }
        };
        let firsts: Vec<FirstFire> = triggers.iter().map(&mut first).collect();
        let all_of = triggers.len() > 1 && self.audit.hearing.all_of(job);
        self.command(&format!("set job {job} on {triggers:?}"), |writer, _| {
            let mut new = writer.definition(id)?.0;
            new.all_of = all_of;
            writer.change_job(id, &new, &firsts, vec!["on".into()])
        });
        self.audit.hearing.set_all_of(job, all_of);
        let views = self.store.read(|reader| reader.triggers(id)).expect("readable");
        let gone = |trigger: &i64| views.iter().all(|view| view.id.0 != *trigger);
        let known = self.audit.hearing.ids_of(job);
        known.iter().filter(|trigger| gone(trigger)).for_each(|id| self.audit.hearing.forget_trigger(*id));
        for view in views.iter().filter(|view| !known.contains(&view.id.0)) {
            let event = view.spec.event().expect("it has no others").clone();
            let first = firsts.iter().find(|first| first.spec == view.spec).expect("it was given");
            self.shadows.listen(view.id.0, &event, first.marks.is_some(), &self.folder);
            self.audit.hearing.listen(view.id.0, Listener::new(job, event, window, now), boot);
        }
        self.wrote([]);
    }
}

fn told(what: What, kind: &str, occurrence: &Occurrence) -> Told {
    let Occurrence { at, name, data, count, depth } = occurrence.clone();
    let part = (Part { at, kind: kind.to_owned(), name, data, count }, depth);
    Told { what, part, is_left_over: false }
}
