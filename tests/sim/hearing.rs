//! Owns: the model of all event triggers: each event counts once, and each fire is for one run.
//! Never: how a single trigger counts (see `listeners`).
//!
//! The model is told only what was committed. To which run a fire belongs, it takes from the record of
//! events, and then checks that this was allowed and that the store has it so.

use std::collections::{BTreeMap, BTreeSet};

use taskq::domain::{EventSource, Happening, MachineState, NewJob, Overlap, Timestamp};

use crate::bundles::{Bundles, Owner};
use crate::listeners::{DeepPart, Effect, Fire, Listener, events_in};
use crate::news::{Commit, Names, News, Reporter, What, hears};
use crate::rows::{ArrayRow, Database};

/// No chain of runs is longer.
pub const DEPTH_MAX: u32 = 16;

/// A job, as far as its event triggers are concerned.
#[derive(Clone, Debug, Default)]
pub struct Job {
    pub all_of: bool,
    /// As the user gave it.
    pub overlap: Option<Overlap>,
    pub is_paused: bool,
    /// Fires that have no run yet.
    pub gathered: Option<Vec<DeepPart>>,
    pub rests_until: Option<Timestamp>,
    /// How many of its latest fires came while a run of it was under way.
    pub in_a_row: u32,
    /// All the runs that it may have, have begun.
    pub is_ending: bool,
    /// How many events its former triggers have heard.
    pub heard: u64,
    /// Events of theirs, or that had gathered, and count for nothing.
    pub dropped: u64,
    /// The events of runs that were forgotten.
    pub forgotten: u64,
}

/// What the record says that a trigger has heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub job: i64,
    pub kind: String,
    pub event: String,
    pub count: u64,
    pub counted: u64,
    pub has_fired: bool,
    pub fire: Option<String>,
}

/// What the scripted sources have told in this commit.
#[derive(Clone, Debug)]
pub struct Told {
    pub what: What,
    pub part: DeepPart,
    /// A condition still holds after a run.
    pub is_left_over: bool,
}

#[derive(Debug, Default)]
pub struct Hearing {
    pub jobs: BTreeMap<i64, Job>,
    pub names: BTreeMap<i64, Names>,
    pub listeners: BTreeMap<i64, Listener>,
    /// The events of each fire that has a run.
    pub runs: BTreeMap<Owner, Vec<DeepPart>>,
    pub bundles: Bundles,
    pub reporter: Reporter,
    /// What clients and sources have told in the commit that is looked at next.
    pub told: Vec<Told>,
    /// The last event of the record.
    pub last: u64,
    /// What the commit has recorded, and the model has not expected yet.
    pub notes: Vec<Note>,
    pub too_deep: Vec<(i64, String)>,
    /// The jobs that were resumed, or have other triggers, in this commit.
    pub changed: BTreeSet<i64>,
    /// The runs that were made in this commit for events that had gathered.
    pub rested: BTreeSet<Owner>,
    /// The jobs that were told in this commit that a condition still holds.
    pub left_over: BTreeSet<i64>,
    /// Runs that were claimed once. Queued again, one may wait beside another.
    pub claimed: BTreeSet<i64>,
    /// The runs that a keeper has given back unstarted in this commit, by job and number.
    pub given_back: BTreeSet<(i64, i64)>,
    /// The boot that each trigger of it knows.
    pub boots: BTreeMap<i64, u64>,
    /// For people: how many fires there were, how many joined a run that waited, and how many rests.
    pub fires: u64,
    pub joined: u64,
    pub rests: u64,
}

impl Hearing {
    /// A job was added.
    pub fn added(&mut self, id: i64, job: &NewJob) {
        let model =
            Job { all_of: job.all_of, overlap: job.policy.overlap, is_paused: job.hold, ..Job::default() };
        self.jobs.insert(id, model);
        let name = job.name.as_ref().map(ToString::to_string);
        self.names.insert(id, Names { name, tags: job.tags.iter().map(ToString::to_string).collect() });
    }

    /// A job has a new event trigger. `boot`: the present one.
    pub fn listen(&mut self, id: i64, listener: Listener, boot: u64) {
        if listener.event.source == EventSource::State(MachineState::Boot) {
            self.boots.insert(id, boot);
        }
        self.listeners.insert(id, listener);
    }

    /// Returns the event triggers of a job.
    pub fn ids_of(&self, job: i64) -> Vec<i64> {
        self.listeners.iter().filter(|(_, listener)| listener.job == job).map(|(id, _)| *id).collect()
    }

    /// Returns the triggers that still fire, with their jobs.
    pub fn listening(&self) -> impl Iterator<Item = (i64, &Listener)> {
        self.listeners.iter().filter(|(_, listener)| listener.listens).map(|(id, listener)| (*id, listener))
    }

    /// A trigger is replaced.
    pub fn forget_trigger(&mut self, id: i64) {
        let listener = self.listeners.remove(&id).expect("it was there");
        let job = self.jobs.get_mut(&listener.job).expect("known");
        job.dropped += listener.counted() + listener.dropped;
        job.heard += listener.heard;
    }

    /// Returns how many events are in a bundle.
    pub fn events_in_bundle(&self, bundle: i64) -> u64 {
        self.bundles.get(bundle).map_or(0, |(header, _)| header.count)
    }

    pub fn all_of(&self, job: i64) -> bool {
        self.jobs[&job].all_of
    }

    pub fn set_all_of(&mut self, job: i64, all_of: bool) {
        self.jobs.get_mut(&job).expect("known").all_of = all_of;
    }

    pub fn overlap(&self, job: i64) -> Option<Overlap> {
        self.jobs.get(&job).and_then(|job| job.overlap)
    }

    pub fn paused(&mut self, job: i64) {
        self.jobs.get_mut(&job).expect("known").is_paused = true;
    }

    pub fn resumed(&mut self, job: i64, now: Timestamp) {
        self.jobs.get_mut(&job).expect("known").is_paused = false;
        self.of_job(job).for_each(|listener| listener.await_silence(now));
        self.changed.insert(job);
    }

    pub fn set_until(&mut self, job: i64, until: Option<Timestamp>) {
        self.of_job(job).for_each(|listener| listener.window.until = until);
    }

    fn of_job(&mut self, job: i64) -> impl Iterator<Item = &mut Listener> {
        self.listeners.values_mut().filter(move |listener| listener.job == job)
    }

    /// A job is cancelled, or has had all its runs.
    pub fn disarm(&mut self, job: i64) {
        self.of_job(job).filter(|listener| listener.listens).for_each(Listener::end);
        self.drop_gathered(job);
    }

    fn drop_gathered(&mut self, job: i64) {
        let model = self.jobs.get_mut(&job).expect("known");
        model.dropped += model.gathered.take().map_or(0, |parts| events_in(&parts));
    }

    /// The counts of a job begin anew.
    pub fn reset(&mut self, job: i64, now: Timestamp) {
        self.of_job(job).filter(|listener| listener.listens).for_each(|listener| listener.reset(now));
        self.drop_gathered(job);
        let model = self.jobs.get_mut(&job).expect("known");
        (model.in_a_row, model.rests_until) = (0, None);
    }

    pub fn step_back(&mut self, now: Timestamp) {
        self.listeners.values_mut().for_each(|listener| listener.step_back(now));
    }

    /// A client or a source tells something in the next commit.
    pub fn tell(&mut self, told: Told) {
        self.told.push(told);
    }

    /// A daemon starts. Its sources have heard nothing without it.
    pub fn daemon_starts(&mut self, now: Timestamp) {
        for listener in self.listeners.values_mut() {
            let is_deaf = match listener.event.source {
                EventSource::Emit(_) | EventSource::Job(_) => false,
                EventSource::Path(_) | EventSource::Stream(_) | EventSource::State(_) => true,
            };
            if is_deaf && listener.timeout_at.is_some() {
                listener.await_silence(now);
            }
        }
    }

    /// Returns the triggers that a daemon that starts tells of a boot.
    pub fn boot(&mut self, boot: u64) -> Vec<i64> {
        let listeners = &self.listeners;
        let listens = |id: &i64| listeners.get(id).is_some_and(|listener| listener.listens);
        let told: Vec<i64> = self
            .boots
            .iter()
            .filter(|(id, known)| **known != boot && listens(id))
            .map(|(id, _)| *id)
            .collect();
        self.boots.extend(told.iter().map(|id| (*id, boot)));
        told
    }

    /// Looks at a commit.
    pub fn scan(&mut self, commit: &Commit<'_>, db: &Database) {
        let told = std::mem::take(&mut self.told);
        let left_over = told.iter().filter(|told| told.is_left_over).filter_map(|told| match told.what {
            What::Source(trigger, _) => self.listeners.get(&trigger).map(|listener| listener.job),
            _ => None,
        });
        self.left_over.extend(left_over);
        self.last = commit.record.last().map_or(self.last, |event| event.id.0);
        // It remembers which arrays have begun, also if nobody listens yet.
        if self.listeners.is_empty() {
            return drop(self.reporter.of_runs(commit, &self.names, &self.bundles));
        }
        self.read_record(commit);
        self.bundles.scan(db);
        let (rows, arrays) = (commit.rows.values(), commit.all_arrays.all());
        self.bundles.find_owners(rows, arrays, &db.triggers(), &db.gathering());
        for (job, times, begun) in db.times() {
            self.jobs.get_mut(&job).expect("known").is_ending = begun >= times;
        }
        // What clients tell comes before its effects, and what sources tell after the reports of a keeper.
        let (mut all, of_sources): (Vec<News>, Vec<News>) = told
            .into_iter()
            .map(|Told { what, part, .. }| News { id: self.last + 1, what, part })
            .partition(|news| news.what.is_of_client());
        all.extend(self.reporter.of_runs(commit, &self.names, &self.bundles));
        all.extend(of_sources);
        all.iter().for_each(|news| self.hear(news, commit));
        let ending: Vec<i64> = self.jobs.iter().filter(|(_, job)| job.is_ending).map(|(id, _)| *id).collect();
        ending.into_iter().for_each(|job| self.disarm(job));
    }

    fn read_record(&mut self, commit: &Commit<'_>) {
        for event in commit.record {
            match event.what.as_ref().expect("this taskq recorded it") {
                Happening::Heard { job, trigger, event, count, counted, has_fired, fire, .. } => {
                    self.notes.push(Note {
                        job: job.job.0,
                        kind: trigger.to_string(),
                        event: event.clone(),
                        count: *count,
                        counted: *counted,
                        has_fired: *has_fired,
                        fire: fire.clone(),
                    });
                }
                Happening::TooDeep { job, event, .. } => self.too_deep.push((job.job.0, event.clone())),
                Happening::Added { job } => {
                    let (id, new) = (event.id.0, job.job.0);
                    self.of_job(new).for_each(|listener| listener.since = id);
                }
                Happening::Changed { job, .. } => {
                    let (id, changed) = (event.id.0, job.job.0);
                    let new = self.of_job(changed).filter(|listener| listener.since == u64::MAX);
                    new.for_each(|listener| listener.since = id);
                    self.changed.insert(changed);
                }
                _ => {}
            }
        }
    }

    /// Tells an event to all triggers that hear it.
    fn hear(&mut self, news: &News, commit: &Commit<'_>) {
        let (part, depth) = &news.part;
        let ids: Vec<i64> = self.listeners.keys().copied().collect();
        for id in ids {
            let listener = &self.listeners[&id];
            let Some(is_opposite) = hears(id, listener, news, &self.names) else { continue };
            let job = &self.jobs[&listener.job];
            let is_deaf = !listener.listens
                || job.is_paused
                || news.id <= listener.since
                || !listener.window.contains(part.at);
            if is_deaf {
                continue;
            }
            if *depth >= DEPTH_MAX {
                if job.is_ending && !self.too_deep.contains(&(listener.job, part.name.clone())) {
                    continue;
                }
                let deep = (listener.job, part.name.clone());
                let at = self.too_deep.iter().position(|other| *other == deep);
                self.too_deep.remove(at.unwrap_or_else(|| panic!("not recorded as too deep: {news:?}")));
                continue;
            }
            let job_id = listener.job;
            self.follow_earlier_silence(id, news, commit);
            let (listener, job) = (&self.listeners[&id], &self.jobs[&job_id]);
            let mut next = listener.clone();
            let effects = next.hear(&news.part, is_opposite);
            // A job that has had its last run may have stopped listening before.
            if job.is_ending && !effects.iter().all(|effect| self.find_note(id, effect).is_some()) {
                continue;
            }
            self.listeners.insert(id, next);
            effects.into_iter().for_each(|effect| self.follow(id, effect, commit));
        }
    }

    /// Lets the triggers of a job fire first that did so because no event came, before this one heard the
    /// news. The first fire makes a run, and the others join it, so their order is that of the record.
    fn follow_earlier_silence(&mut self, trigger: i64, news: &News, commit: &Commit<'_>) {
        let job = self.listeners[&trigger].job;
        // The trigger itself is late only for what was due before the news.
        let late = |id: i64| if id == trigger { news.part.0.at } else { commit.now };
        let is_silence = |note: &Note, id: i64, listener: &Listener| {
            (listener.job, listener.event.kind().as_str()) == (note.job, note.kind.as_str())
                && listener.silence(late(id)).as_ref() == Some(&note.event)
        };
        let is_news = |note: &Note| note.event == news.part.0.name && note.count > 0;
        let is_own = |note: &Note| is_silence(note, trigger, &self.listeners[&trigger]);
        let notes: Vec<Note> = self.notes.iter().filter(|note| note.job == job).cloned().collect();
        // News that only ends a silence is not recorded.
        let until = notes.iter().position(is_news).or_else(|| notes.iter().position(is_own)).unwrap_or(0);
        for note in notes[..until].iter().filter(|note| note.count == 0) {
            let due = self.listeners.iter().filter(|(id, listener)| is_silence(note, **id, listener));
            let Some((_, id)) = due.map(|(id, listener)| (listener.timeout_at, *id)).min() else { continue };
            self.time_out(id, late(id), commit);
        }
    }

    /// Lets a trigger fire whose time has come.
    fn time_out(&mut self, id: i64, now: Timestamp, commit: &Commit<'_>) {
        let effects = self.listeners.get_mut(&id).expect("known").time_out_until(now);
        effects.into_iter().for_each(|effect| self.follow(id, effect, commit));
    }

    fn find_note(&self, trigger: i64, effect: &Effect) -> Option<usize> {
        let listener = &self.listeners[&trigger];
        let kind = listener.event.kind();
        self.notes.iter().position(|note| {
            (note.job, note.kind.as_str(), note.event.as_str())
                == (listener.job, kind.as_str(), &effect.event)
                && (note.count, note.counted) == (effect.count, effect.counted)
                && note.has_fired == effect.fire.is_some()
        })
    }

    /// Takes the note of an effect, and finds the run of a fire.
    fn follow(&mut self, trigger: i64, effect: Effect, commit: &Commit<'_>) {
        let found = self.find_note(trigger, &effect);
        let Some(found) = found else {
            panic!(
                "not recorded: {effect:?} of trigger {trigger}, {:?}; {:?}",
                self.listeners[&trigger], self.notes
            )
        };
        let note = self.notes.remove(found);
        let Some(fire) = effect.fire else { return };
        self.fires += 1;
        let job = self.listeners[&trigger].job;
        let is_lacking = self.lacks_others(job, Some(trigger));
        match note.fire {
            None => {
                let model = self.jobs.get_mut(&job).expect("known");
                model.gathered.get_or_insert_default().extend(fire.parts);
                self.listeners.get_mut(&trigger).expect("known").has_fired = true;
            }
            Some(target) => {
                assert!(!is_lacking, "a run without a fire of each trigger: {fire:?} for {target}");
                self.give(trigger, &fire, &target, commit);
            }
        }
    }

    /// Returns whether a job waits for a fire of another of its triggers.
    pub fn lacks_others(&self, job: i64, but: Option<i64>) -> bool {
        self.jobs[&job].all_of
            && self.listening().any(|(id, other)| other.job == job && Some(id) != but && !other.has_fired)
    }

    fn take_gathered(&mut self, job: i64) -> Vec<DeepPart> {
        let gathered = self.jobs.get_mut(&job).expect("known").gathered.take();
        if gathered.is_some() {
            self.of_job(job).for_each(|listener| listener.has_fired = false);
        }
        gathered.unwrap_or_default()
    }

    /// Gives a fire to its run, with what has gathered.
    fn give(&mut self, trigger: i64, fire: &Fire, target: &str, commit: &Commit<'_>) {
        let job = self.listeners[&trigger].job;
        let mut parts = self.take_gathered(job);
        parts.extend(fire.parts.iter().cloned());
        let Some((_, number)) = target.split_once('.') else {
            let owner = self.array_for(job, &parts, commit);
            self.runs.entry(owner).or_default().extend(parts);
            return;
        };
        let (old, new) = commit.run(job, number.parse().expect("a number"));
        assert!(new.array.is_none() && new.callback.is_none(), "{fire:?} for {new:?}");
        match old {
            // One that no keeper has started can be queued again.
            Some(old) => {
                assert!(old.attempt == 1 && old.state == "queued", "{fire:?} joined {old:?}");
                let was_given_back = self.given_back.contains(&(job, new.number));
                assert!(old != new || new.waits() || was_given_back, "{fire:?} joined {new:?}");
                self.joined += 1;
            }
            None if new.is_of_events() && !self.runs.contains_key(&Owner::Run(new.id)) => {
                assert_eq!((new.scheduled_at, new.trigger), (fire.at, Some(trigger)), "the fire of {new:?}");
            }
            None => {}
        }
        self.runs.entry(Owner::Run(new.id)).or_default().extend(parts);
    }

    /// Finds the array of a job that these events are for: one of which no index has begun.
    fn array_for(&self, job: i64, parts: &[DeepPart], commit: &Commit<'_>) -> Owner {
        let has = |array: &ArrayRow| {
            let found = self.bundles.of(Owner::Array(array.id)).map(|(_, found)| found);
            found.is_some_and(|found| parts.iter().all(|(part, _)| found.contains(part)))
        };
        let could =
            |old: Option<&ArrayRow>| old.is_none_or(|old| old.rest == old.total && old.outcome.is_none());
        let found = commit.arrays_of(job).filter(|(old, new)| could(*old) && has(new));
        // A new one first: without events, all others would do too.
        let is_known = |(_, new): &(_, &ArrayRow)| self.runs.contains_key(&Owner::Array(new.id));
        let (_, array) =
            found.min_by_key(is_known).unwrap_or_else(|| panic!("no array of job {job} has {parts:?}"));
        Owner::Array(array.id)
    }

    /// Lets the time of a turn pass: triggers fire without an event, or end, and rests end.
    pub fn turn(&mut self, now: Timestamp, commit: &Commit<'_>) {
        loop {
            let is_due = |listener: &Listener| {
                !self.jobs[&listener.job].is_paused && listener.timeout_at.is_some_and(|at| at <= now)
            };
            let due = self.listening().filter(|(_, listener)| is_due(listener));
            let Some((_, id)) = due.map(|(id, listener)| (listener.timeout_at, id)).min() else { break };
            self.time_out(id, now, commit);
        }
        let is_over = |job: &Job| !job.is_paused && job.rests_until.is_some_and(|until| until <= now);
        self.changed.extend(self.jobs.iter().filter(|(_, job)| is_over(job)).map(|(id, _)| *id));
        self.release(commit);
        let ended = |listener: &&mut Listener| {
            listener.listens
                && listener.window.until.is_some_and(|until| until <= now)
                && !self.jobs[&listener.job].is_paused
        };
        let mut ending = BTreeSet::new();
        for listener in self.listeners.values_mut().filter(ended) {
            listener.end();
            ending.insert(listener.job);
        }
        ending.into_iter().for_each(|job| self.drop_gathered(job));
    }

    /// Finds the runs that gathered events have got without another event.
    pub fn release(&mut self, commit: &Commit<'_>) {
        for job in std::mem::take(&mut self.changed) {
            let has_gathered = self.jobs.get(&job).is_some_and(|model| model.gathered.is_some());
            let is_gone = self.bundles.of(Owner::Gathered(job)).is_none();
            if has_gathered && is_gone && !self.lacks_others(job, None) {
                self.release_job(job, commit);
            }
        }
    }

    fn release_job(&mut self, job: i64, commit: &Commit<'_>) {
        let parts = self.take_gathered(job);
        let of_job = |owner: &Owner| match owner {
            Owner::Run(id) => commit.rows.get(id).is_some_and(|row| row.job == job),
            Owner::Array(id) => commit.all_arrays.all().any(|row| (row.id, row.job) == (*id, job)),
            Owner::Gathered(_) | Owner::Counting(_) => false,
        };
        let takes = |owner: &Owner| {
            let has = self.runs.get(owner).map(Vec::as_slice).unwrap_or_default();
            let wanted = has.iter().chain(&parts).map(|(part, _)| part);
            self.bundles.of(*owner).is_some_and(|(_, found)| wanted.eq(found))
        };
        // A new run first: without events, all others would do too.
        let could = self.bundles.owners().filter(|owner| of_job(owner) && takes(owner));
        let owner = could.min_by_key(|owner| self.runs.contains_key(owner));
        let owner = owner.unwrap_or_else(|| panic!("no run for what has gathered of job {job}: {parts:?}"));
        self.runs.entry(owner).or_default().extend(parts);
        self.rested.insert(owner);
    }
}
