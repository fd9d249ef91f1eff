//! Owns: the promises as invariants over the changes of each commit.
//! Never: the cause of a change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use taskq::daemon::TurnOutput;
use taskq::domain::{MailWhen, Outcome, Overlap, Timestamp};
use taskq::keeper::protocol::KeeperInstance;
use taskq::schedule::{Schedule, Zone};

use crate::arrays::{Arrays, fire_of};
use crate::callbacks::CallbackModel;
use crate::deadlines::{Deadlines, coming};
use crate::dependencies::{Dependencies, Fire};
use crate::events::Record;
use crate::hearing::Hearing;
use crate::keeper::Ledger;
use crate::mails::Mails;
use crate::model::{Owed, Trigger};
use crate::news::Commit;
use crate::nth::Counts;
use crate::outcomes::judge_outcome;
use crate::ranks::Ranks;
use crate::requirements::Requirements;
use crate::retries::{Retries, output_of};
use crate::rows::{ArrayRow, Database, Row, TriggerRow};

/// The rows that changed: as they were, unless they are new, and as they are.
pub type Changes = Vec<(Option<Row>, Row)>;

/// The rows seen so far, and the model with which they must agree.
#[derive(Debug)]
pub struct Audit {
    pub db: Database,
    pub triggers: BTreeMap<i64, Trigger>,
    /// Jobs whose `add` was answered.
    pub jobs: BTreeSet<i64>,
    /// Jobs that want mails, and about which runs.
    pub mailing: BTreeMap<i64, MailWhen>,
    pub mails: Mails,
    pub retries: Retries,
    pub dependencies: Dependencies,
    pub arrays: Arrays,
    pub callbacks: CallbackModel,
    pub deadlines: Deadlines,
    pub counts: Counts,
    pub ranks: Ranks,
    pub requirements: Requirements,
    pub hearing: Hearing,
    /// The jobs with an array.
    pub array_jobs: BTreeSet<i64>,
    /// The arrays that the last commit has changed.
    changed_arrays: Vec<(Option<ArrayRow>, ArrayRow)>,
    /// The arrays of which a run has begun.
    begun_arrays: BTreeSet<i64>,
    pub record: Record,
    /// How many fires have made a row, were missed or skipped.
    pub fires: u64,
    /// How many runs of the triggers of each job have begun.
    begun: BTreeMap<i64, i64>,
    pub rows: BTreeMap<i64, Row>,
    /// The last run before the clock was set back: runs up to it may start "before" they were due.
    pub before_step_back: i64,
    /// Those of `rows` that are not finished.
    open: BTreeMap<i64, Row>,
    last: i64,
}

impl Audit {
    pub fn new(dir: &Path) -> Self {
        Self {
            db: Database::open(dir),
            triggers: BTreeMap::new(),
            jobs: BTreeSet::new(),
            mailing: BTreeMap::new(),
            mails: Mails::default(),
            retries: Retries::default(),
            dependencies: Dependencies::default(),
            arrays: Arrays::default(),
            callbacks: CallbackModel::default(),
            deadlines: Deadlines::default(),
            counts: Counts::default(),
            ranks: Ranks::default(),
            requirements: Requirements::default(),
            hearing: Hearing::default(),
            array_jobs: BTreeSet::new(),
            changed_arrays: Vec::new(),
            begun_arrays: BTreeSet::new(),
            record: Record::default(),
            fires: 0,
            begun: BTreeMap::new(),
            rows: BTreeMap::new(),
            before_step_back: 0,
            open: BTreeMap::new(),
            last: 0,
        }
    }

    /// Returns the newest run.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Returns the rows that are not finished.
    pub fn open_rows(&self) -> impl Iterator<Item = &Row> {
        self.open.values()
    }

    /// Finds the rows that changed, and checks that each change is allowed.
    pub fn scan(&mut self, ledger: &Ledger) -> Changes {
        let mut changes = Changes::new();
        let (mut ended, last) = (self.open.clone(), self.last);
        for new in self.db.open_runs().into_iter().filter(|new| new.id <= last) {
            assert!(ended.remove(&new.id).is_some(), "it was finished: {new:?}");
            if self.open[&new.id] != new {
                changes.push((Some(self.open[&new.id].clone()), new));
            }
        }
        changes.extend(ended.into_iter().map(|(id, old)| (Some(old), self.db.run(id))));
        changes.extend(self.db.runs_after(self.last).into_iter().map(|new| (None, new)));
        let arrays = self.arrays.scan(self.db.arrays());
        self.changed_arrays = arrays.clone();
        self.fires += self.new_arrays().filter(|array| array.trigger.is_some()).count() as u64;
        arrays.iter().for_each(|(old, new)| self.deadlines.judge_array(old.as_ref(), new));
        for (old, new) in &changes {
            self.judge(old.as_ref(), new, ledger);
            self.deadlines.judge(old.as_ref(), new, &self.requirements);
            if new.counts() && !old.as_ref().is_some_and(Row::counts) {
                let is_first = new.array.is_none_or(|array| self.begun_arrays.insert(array));
                *self.begun.entry(new.job).or_default() += i64::from(is_first);
            }
            if new.is_open() {
                self.open.insert(new.id, new.clone());
            } else {
                self.open.remove(&new.id);
            }
            let is_fire = old.is_none() && new.trigger.is_some() && new.array.is_none();
            self.fires += if is_fire { new.fires } else { 0 };
            self.last = self.last.max(new.id);
            self.rows.insert(new.id, new.clone());
        }
        if !arrays.is_empty() || changes.iter().any(|(_, row)| row.array.is_some()) {
            self.arrays.check(&self.rows);
        }
        self.judge_dependencies(&changes, &arrays);
        if !changes.is_empty() {
            self.callbacks.check(&self.rows, self.arrays.all());
        }
        self.count_begins();
        self.record.scan(&self.db, &changes);
        self.with_commit(&changes, Hearing::scan);
        self.mails.scan(self.db.mails(), &changes, &self.mailing, ledger);
        changes
    }

    /// Returns the arrays that are new since the last commit.
    fn new_arrays(&self) -> impl Iterator<Item = &ArrayRow> {
        self.changed_arrays.iter().filter(|(old, _)| old.is_none()).map(|(_, new)| new)
    }

    /// Lets the model of event triggers look at the last commit.
    pub fn with_commit(
        &mut self,
        changes: &Changes,
        look: impl FnOnce(&mut Hearing, &Commit<'_>, &Database),
    ) {
        let commit = Commit {
            now: self.record.latest.first().map_or(Timestamp::MIN, |event| event.at),
            record: &self.record.latest,
            changes,
            arrays: &self.changed_arrays,
            rows: &self.rows,
            all_arrays: &self.arrays,
        };
        look(&mut self.hearing, &commit, &self.db);
    }

    /// Returns all fires: runs, but not those of arrays, and arrays.
    fn fires(&self) -> Vec<Fire> {
        let is_meant = |job: i64| self.dependencies.concern(job);
        let is_fire = |row: &&Row| row.array.is_none() && row.callback.is_none();
        let runs = self.rows.values().filter(|row| is_fire(row) && is_meant(row.job));
        let arrays = self.arrays.all().map(|array| Fire::of_array(array, self.arrays.is_first(array)));
        runs.map(Fire::of_run).chain(arrays).collect()
    }

    fn judge_dependencies(&self, changes: &Changes, arrays: &[(Option<ArrayRow>, ArrayRow)]) {
        let (jobs, done, fires) = (self.db.jobs(), self.db.done_jobs(), self.fires());
        for (old, new) in arrays {
            let new = (new, self.arrays.is_first(new));
            self.dependencies.judge_array(old.as_ref(), new, &fires, &jobs, &done);
        }
        for (old, new) in changes {
            self.dependencies.judge(old.as_ref(), new, &fires, &jobs, &done);
        }
    }

    /// Holds the count of `--times` against the runs that have begun. A job whose runs have all begun fires
    /// no more.
    fn count_begins(&mut self) {
        for (job, times, begun) in self.db.times() {
            let counted = self.begun.get(&job).copied().unwrap_or(0);
            assert_eq!((begun, counted <= times), (counted, true), "the begun runs of job {job}");
            if begun == times {
                for trigger in self.triggers.values_mut().filter(|trigger| trigger.job == job) {
                    trigger.disarm();
                }
            }
        }
    }

    fn judge(&self, old: Option<&Row>, new: &Row, ledger: &Ledger) {
        if let Some(old) = old {
            let fixed =
                |row: &Row| (row.job, row.number, row.trigger, row.scheduled_at, row.fires, row.queued_at);
            assert_eq!(fixed(old), fixed(new), "the identity of a run changed");
        }
        if new.trigger.is_some() {
            assert!(new.scheduled_at.as_micros() <= new.queued_at, "made early: {new:?}");
        }
        if let Some(started_at) = new.started_at
            && new.id > self.before_step_back
            && new.array.is_none_or(|array| self.arrays.get(array).place > self.before_step_back)
        {
            assert!(started_at >= new.scheduled_at.as_micros(), "started early: {new:?}");
        }
        if new.state == "running" {
            let starter = ledger.starts.get(&new.attempt()).copied();
            assert!(starter.is_some(), "no such process: {new:?}");
            assert_eq!(
                starter != new.keeper,
                new.is_unattended,
                "not with the keeper that started it: {new:?}"
            );
        }
        if let Some(outcome) = new.outcome {
            judge_outcome(new, outcome, ledger);
        }
        self.retries.judge(old, new, ledger, &self.db);
    }

    /// Compares a committed turn with the model.
    pub fn after_turn(
        &mut self,
        now: Timestamp,
        system: &Zone,
        instance: Option<KeeperInstance>,
        done: &TurnOutput,
        ledger: &Ledger,
    ) -> Changes {
        let changes = self.scan(ledger);
        let held: BTreeSet<i64> =
            self.db.triggers().iter().filter(|row| row.held).map(|row| row.id).collect();
        let decided = self.rearm_reported(&changes, now);
        let (mut owed, mut counted) = (BTreeMap::new(), BTreeMap::<i64, Vec<_>>::new());
        for (id, trigger) in self.triggers.iter_mut().filter(|(id, _)| !held.contains(id)) {
            let due = trigger.take_due(now, system);
            if self.counts.has(trigger.job) {
                counted.entry(trigger.job).or_default().push((*id, due));
            } else {
                owed.insert(*id, trigger.owes(&due, now));
            }
            if trigger.ends_at().is_some_and(|end| end <= now) {
                trigger.boot = None;
            }
        }
        counted.into_iter().for_each(|(job, due)| owed.extend(self.owed_nth(job, due, now)));
        self.rearm(&decided, now);
        self.with_commit(&changes, |hearing, commit, _| hearing.turn(now, commit));
        self.with_commit(&changes, Hearing::check);
        for (old, new) in &changes {
            self.retries.check_time(old.as_ref(), new, now, &self.db);
        }
        self.settle_owed(&owed, &changes);
        self.check_overlap(&changes, &owed);
        self.dependencies.check_waiting(&self.fires(), &self.db.jobs(), &self.db.done_jobs());
        self.check_starts(&changes, instance, done);
        self.requirements.check_claims(&changes, self.rows.values(), ledger, now);
        self.requirements.check_kept(&changes, self.rows.values(), &self.startable(), ledger);
        self.check_standing();
        let free_rows: Vec<TriggerRow> = self.db.triggers().into_iter().filter(|row| !row.held).collect();
        let fires = free_rows.iter().filter_map(|row| row.next_at);
        let looks = free_rows.iter().filter(|row| row.is_stale).filter_map(|row| {
            let start = self.hearing.listeners[&row.id].window.start;
            start.filter(|start| *start > now)
        });
        let retries = self.open_rows().filter(|row| !row.held).filter_map(|row| row.not_before);
        let free = self.triggers.iter().filter(|(id, _)| !held.contains(id));
        let ends = free.filter_map(|(_, trigger)| trigger.ends_at());
        let starts = coming(self.open_rows(), self.arrays.all());
        let soonest = fires.chain(retries.map(Timestamp::from_micros)).chain(ends).chain(starts);
        let soonest = soonest.chain(self.hearing.coming()).chain(looks);
        let gates = done.at_gates.iter().filter_map(|(wait, _)| wait.until).filter(|until| *until > now);
        let soonest = soonest.chain(gates).min();
        assert_eq!(done.deadline, soonest, "the deadline");
        assert!(soonest.is_none_or(|at| at > now), "a fire, a retry or a missed start is due and was left");
        changes
    }

    /// Checks that each fire that is owed has a row, and no other fire has.
    pub fn settle_owed(&mut self, owed: &BTreeMap<i64, Vec<Owed>>, changes: &Changes) {
        let mut found: BTreeMap<i64, Vec<Owed>> = owed.keys().map(|id| (*id, Vec::new())).collect();
        for (_, row) in changes.iter().filter(|(old, _)| old.is_none()) {
            let is_of_instant = row.array.is_none() && !row.is_of_events();
            let Some(id) = row.trigger.filter(|_| is_of_instant) else { continue };
            let is_missed = row.outcome == Some(Outcome::Missed);
            found.entry(id).or_default().push((row.scheduled_at, row.fires, is_missed));
            self.triggers.get_mut(&id).expect("known").record(row.scheduled_at, row.fires);
        }
        for array in self.changed_arrays.iter().filter(|(old, _)| old.is_none()).map(|(_, new)| new) {
            let (Some(id), at) = fire_of(array) else { continue };
            found.entry(id).or_default().push((at, 1, false));
            self.triggers.get_mut(&id).expect("known").record(at, 1);
        }
        for (id, mut found) in found {
            found.sort_unstable();
            let mut owed = owed.get(&id).cloned().unwrap_or_default();
            owed.sort_unstable();
            assert_eq!(found, owed, "the rows of trigger {id}, found and owed: {:?}", self.triggers[&id]);
        }
    }

    /// Checks that the database agrees with the model.
    pub fn check_standing(&self) {
        for row in self.db.triggers().into_iter().filter(|row| row.listens.is_none()) {
            let trigger = &self.triggers[&row.id];
            assert_eq!(row.next_at, trigger.next, "next fire of trigger {}: {trigger:?}", row.id);
            let boot = trigger.boot.map(|boot| boot.to_string());
            assert_eq!(row.awaits_end, trigger.awaits_end, "of trigger {}: {trigger:?}", row.id);
            assert_eq!(row.boot, boot, "the boot of trigger {}: {trigger:?}", row.id);
            let is_in_window = |at| trigger.window.contains(at);
            assert!(trigger.next.is_none_or(is_in_window), "a fire outside of its window: {trigger:?}");
        }
        self.counts.check(&self.db.passed());
        self.ranks.check(&self.db.queues(), self.open_rows(), self.arrays.all());
        let jobs: BTreeSet<i64> = self.db.jobs().into_iter().collect();
        assert_eq!(jobs, self.jobs, "the acknowledged jobs");
        assert_eq!(
            self.db.wrongly_done(),
            Vec::<i64>::new(),
            "done without being over, or over without being done"
        );
    }

    fn check_overlap(&self, changes: &Changes, owed: &BTreeMap<i64, Vec<Owed>>) {
        self.check_array_overlap(owed);
        let is_fire = |row: &Row| row.trigger.is_some() && row.array.is_none() && !row.is_of_events();
        for (_, row) in changes.iter().filter(|(old, row)| old.is_none() && is_fire(row)) {
            if self.array_jobs.contains(&row.job) {
                continue;
            }
            let trigger = &self.triggers[&row.trigger.expect("filtered")];
            let is_other =
                |other: &&Row| other.job == row.job && other.id != row.id && other.callback.is_none();
            let others = self.open_rows().filter(is_other);
            let (older, newer): (Vec<&Row>, Vec<&Row>) = others.partition(|other| other.id < row.id);
            if row.outcome == Some(Outcome::Skipped) {
                // A run that this turn has barred, or sent away from a gate, was unfinished when the fire was
                // placed.
                let has_barred = changes
                    .iter()
                    .any(|(_, other)| other.job == row.job && (other.is_barred() || other.has_left_gate()));
                if has_barred || self.has_all_runs(row) {
                    continue;
                }
                assert!(trigger.overlap != Overlap::Allow, "skipped for nothing: {row:?}");
                assert!(!older.is_empty() || !newer.is_empty(), "skipped beside nothing: {row:?}");
            }
            let made_up = self.made_up(row.trigger.expect("filtered"), owed);
            if row.is_open() && made_up == 1 {
                match trigger.overlap {
                    Overlap::Skip => assert!(older.is_empty(), "not skipped beside {older:?}: {row:?}"),
                    Overlap::Wait => assert!(
                        older.iter().all(|other| other.has_begun()),
                        "a second one waits after {older:?}: {row:?}"
                    ),
                    Overlap::Replace => {
                        assert!(
                            older.iter().all(|other| other.stop_at.is_some()),
                            "not replaced {older:?} by {row:?}"
                        );
                    }
                    Overlap::Allow => {}
                }
            }
        }
    }

    /// Returns how many fires run of those that a trigger owes, or its job if its fires count together.
    fn made_up(&self, id: i64, owed: &BTreeMap<i64, Vec<Owed>>) -> usize {
        let job = self.triggers[&id].job;
        let is_meant = |other: &i64| *other == id || self.counts.has(job) && self.triggers[other].job == job;
        let rows = owed.iter().filter(|(other, _)| is_meant(other)).flat_map(|(_, rows)| rows);
        rows.filter(|(_, _, is_missed)| !is_missed).count()
    }

    /// Checks that a fire of an array comes beside an unfinished one only if its job allows that.
    fn check_array_overlap(&self, owed: &BTreeMap<i64, Vec<Owed>>) {
        for array in self.new_arrays() {
            let Some(id) = fire_of(array).0 else { continue };
            let trigger = &self.triggers[&id];
            let older = || self.arrays.open_of(array.job).filter(|other| other.id < array.id);
            // Several made up at once are all queued, as far as `--times` has room for them.
            let made_up = self.made_up(id, owed);
            let of_job = self.new_arrays().filter(|other| other.job == array.job).count();
            let is_single = made_up == 1 && of_job == 1;
            match trigger.overlap {
                Overlap::Skip if is_single => {
                    assert_eq!(older().count(), 0, "not skipped: {array:?}");
                }
                Overlap::Wait if is_single => {
                    assert!(older().all(|other| other.rest < other.total), "a second one waits: {array:?}");
                }
                Overlap::Skip | Overlap::Wait | Overlap::Allow | Overlap::Replace => {}
            }
        }
    }

    /// Returns the jobs with unfinished fires.
    pub fn busy_jobs(&self) -> BTreeSet<i64> {
        let runs = self.open_rows().filter(|row| row.callback.is_none()).map(|row| row.job);
        let arrays = self.arrays.all().filter(|array| array.outcome.is_none());
        runs.chain(arrays.map(|array| array.job)).collect()
    }

    /// Returns whether all the runs that its job may have, have begun or wait.
    fn has_all_runs(&self, row: &Row) -> bool {
        let waits = |other: &&Row| other.job == row.job && other.trigger.is_some() && !other.counts();
        let arrays = self
            .arrays
            .open_of(row.job)
            .filter(|array| array.trigger.is_some() && !self.begun_arrays.contains(&array.id));
        let made = self.open_rows().filter(waits).filter(|row| row.array.is_none()).count() as i64
            + arrays.count() as i64
            + self.begun.get(&row.job).copied().unwrap_or(0);
        let times = self.db.times().into_iter().find(|(job, ..)| *job == row.job);
        times.is_some_and(|(_, times, _)| made >= times)
    }

    /// Makes the checks that are needed only once, at the end.
    pub fn at_the_end(&mut self, ledger: &Ledger) {
        self.db.check_integrity();
        self.hearing.at_the_end(&self.db);
        self.record.at_the_end(&self.jobs, self.rows.values());
        let all: Vec<Row> = self.db.all_runs();
        assert!(all.iter().eq(self.rows.values()), "a row changed that was finished");
        let numbers: BTreeSet<(i64, i64)> = all.iter().map(|row| (row.job, row.number)).collect();
        assert_eq!(numbers.len(), all.len());
        for trigger in self.triggers.values().filter(|trigger| !trigger.disturbed) {
            let Schedule::Every { period, anchor } = trigger.schedule else { continue };
            let end = trigger.next.or(trigger.window.until).expect("it never ends");
            // The end may have been moved before fires that had come.
            let last = trigger.taken.last().map_or(i64::MIN, |at| at.as_micros());
            let passed = last.max(end.as_micros() - 1) - anchor.as_micros();
            assert_eq!(trigger.fires, passed as u64 / period.as_micros(), "all the fires of {trigger:?}");
        }
        for row in &all {
            self.retries.at_the_end(row, ledger, &self.db);
        }
        for row in all.iter().filter(|row| row.outcome != Some(Outcome::Lost)) {
            let stored = self.db.output(row.id);
            let wanted = row.finished_at.is_some()
                && row.started_at.is_some()
                && !matches!(row.outcome, Some(Outcome::SpawnFailed));
            assert_eq!(stored, wanted.then(|| output_of(row.attempt())), "output of {row:?}");
        }
    }
}
