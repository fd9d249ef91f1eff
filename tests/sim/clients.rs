//! Owns: the writes of commands, and their effects in the model. A client may die between its commit and its
//! poke.

use std::collections::BTreeMap;
use std::fmt::Debug;

use taskq::daemon::{AddRequest, NameClash, add_once, follow_new_window, resume_job};
use taskq::domain::{
    CommandLine, EventTrigger, Execution, JobId, Mail, MailFormat, MailWhen, NewJob, Outcome, Overlap,
    QueueName, QueueRule, RunId, Span, Timestamp, TriggerSpec,
};
use taskq::engine::first_fire;
use taskq::schedule::{Schedule, Zone, compile};
use taskq::store::{Act, Cancelled, FirstFire, QueueSettings, StoreResult, Writer};

use crate::emits;
use crate::events::PERSON;
use crate::hearing::Hearing;
use crate::listeners::Listener;
use crate::model::{Owed, Trigger};
use crate::rows::Row;
use crate::world::World;

/// The trigger of a job.
#[derive(Clone, Debug)]
pub enum When {
    At(Timestamp),
    /// By this expression, in this zone or the system's.
    Cron(&'static str, Option<&'static str>),
    /// By this expression of systemd.time(7), in this zone or the system's.
    Calendar(&'static str, Option<&'static str>),
    /// By this expression in the system's zone, so many seconds later.
    Delayed(&'static str, u64),
    /// Every so many seconds.
    Every(u64),
    /// So many seconds after the end of the last run.
    AfterEnd(u64),
    /// At events.
    On(EventTrigger),
}

/// A job that a client wants to add.
#[derive(Clone, Debug)]
pub struct Wish {
    pub when: Vec<When>,
    pub job: NewJob,
}

/// A job on its way into the store.
#[derive(Clone, Debug)]
pub struct Adding {
    pub request: AddRequest,
    pub has_hung_up: bool,
    when: Vec<When>,
    models: Vec<Trigger>,
}

impl Wish {
    pub fn at_once() -> Self {
        Self { when: Vec::new(), job: NewJob::of(Execution::of(CommandLine::Argv(vec![b"true".to_vec()]))) }
    }

    pub fn when(when: When) -> Self {
        Self { when: vec![when], ..Self::at_once() }
    }

    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.job.policy.overlap = Some(overlap);
        self
    }

    pub fn mail(mut self, when: MailWhen) -> Self {
        self.job.mail = Some(Mail { to: "root".to_owned(), when, format: MailFormat::Taskq });
        self
    }
}

/// Returns whether a trigger is an expression without a zone of its own.
fn follows_system(when: &When) -> bool {
    matches!(when, When::Cron(_, None) | When::Calendar(_, None) | When::Delayed(..))
}

fn name(queue: &str) -> QueueName {
    queue.parse().expect("a name")
}

impl World {
    /// `taskq add`: by the daemon, or by the client itself if the daemon does not answer. Returns 0 if the
    /// job is refused.
    pub fn add(&mut self, wish: &Wish) -> i64 {
        let now = self.now();
        let parts: Vec<(FirstFire, Trigger)> =
            wish.when.iter().filter_map(|when| self.trigger_of(when, &wish.job, now)).collect();
        let (triggers, models): (Vec<FirstFire>, Vec<Trigger>) = parts.into_iter().unzip();
        if triggers.len() < wish.when.len() {
            return 0;
        }
        let id = (self.rng.next() >> 1).cast_signed();
        let request = AddRequest { id, job: wish.job.clone(), triggers, clash: NameClash::Refuse };
        let adding = Adding { request, has_hung_up: self.dies(), when: wish.when.clone(), models };
        let is_by_socket = self.rng.chance(self.by_socket);
        if let Some(daemon) = self.daemon.as_mut().filter(|_| is_by_socket) {
            daemon.adding.push(adding.clone());
            daemon.pacer.demand_turn();
            self.settle();
            if let Some(answer) = self.answered.remove(&id) {
                return answer.map_or(0, |job| job.0);
            }
        }
        let answer = add_once(&mut self.store, &adding.request, Act::of_person(PERSON, now))
            .expect("nobody else writes");
        let job = answer.expect("its name is its own");
        if !self.audit.jobs.contains(&job.0) {
            self.added(job, &adding);
        }
        self.wrote([]);
        job.0
    }

    /// A job is in the store.
    pub fn added(&mut self, id: JobId, adding: &Adding) {
        let job = &adding.request.job;
        self.note(format!("add job {id} in {}, rank {}: {:?}", job.queue, -job.priority, adding.when));
        self.note(format!("    {:?} {:?} hold {}", job.policy, job.mail, job.hold));
        let triggers = self.store.read(|reader| reader.triggers(id)).expect("readable");
        self.audit.hearing.added(id.0, job);
        let parts = adding.request.triggers.iter().zip(&adding.models);
        for (view, (first, model)) in triggers.iter().zip(parts) {
            if let Some(event) = view.spec.event() {
                let listener = Listener::new(id.0, event.clone(), job.window(), self.now());
                self.audit.hearing.listen(view.id.0, listener, self.boot);
                self.shadows.listen(view.id.0, event, first.marks.is_some(), &self.folder);
                continue;
            }
            let disturbed = job.nth.is_some();
            self.audit.triggers.insert(view.id.0, Trigger { job: id.0, disturbed, ..model.clone() });
        }
        self.audit.jobs.insert(id.0);
        self.audit.retries.added(id.0, job.retry);
        self.audit.callbacks.added(id.0, &job.callbacks);
        self.audit.deadlines.set(id.0, job.policy.start_by);
        self.audit.ranks.added(id.0, job);
        self.audit.requirements.added(id.0, job);
        self.note(format!("    requires {:?}", job.requirement));
        self.audit.counts.added(id.0, job.nth);
        self.audit.dependencies.added(id.0, &job.after, !adding.when.is_empty());
        self.note(format!("    after {:?}, array {:?}", job.after, job.array));
        self.audit.mailing.extend(job.mail.iter().map(|mail| (id.0, mail.when)));
        if job.array.is_some() {
            self.audit.array_jobs.insert(id.0);
        } else if job.policy.overlap != Some(Overlap::Allow) {
            self.ledger.serial.insert(id.0);
        }
    }

    /// Makes a trigger and its model; `None` if it never fires, which `add` refuses.
    fn trigger_of(&mut self, when: &When, job: &NewJob, now: Timestamp) -> Option<(FirstFire, Trigger)> {
        let cron = |expr: &str, zone: Option<&'static str>, delay: u64| {
            let (expr, delay) = (expr.to_owned(), Span::from_seconds(delay));
            (TriggerSpec::Cron { expr, zone: zone.map(str::to_owned), delay }, zone)
        };
        let (spec, zone_name) = match when {
            When::At(at) => (TriggerSpec::At { at: *at, delay: Span::ZERO }, None),
            When::Cron(expr, zone) => cron(expr, *zone, 0),
            When::Calendar(expr, zone) => {
                let (expr, delay) = ((*expr).to_owned(), Span::ZERO);
                (TriggerSpec::Calendar { expr, zone: zone.map(str::to_owned), delay }, *zone)
            }
            When::Delayed(expr, delay) => cron(expr, None, *delay),
            When::On(event) => (TriggerSpec::Event(event.clone()), None),
            When::AfterEnd(seconds) => {
                (TriggerSpec::AfterEnd { period: Span::from_seconds(*seconds), delay: Span::ZERO }, None)
            }
            When::Every(seconds) => {
                let period = Span::from_seconds(*seconds);
                let anchor = job.start.map_or(now, |start| start - period);
                (TriggerSpec::Every { period, anchor, delay: Span::ZERO }, None)
            }
        };
        let spec = match job.jitter {
            Some(jitter) => spec.delayed(jitter),
            None => spec,
        };
        let schedule = compile(&spec).expect("valid");
        let own_zone = zone_name.map(|name| Zone::named(name).expect("a zone"));
        let zone = own_zone.as_ref().unwrap_or(&self.zone);
        let is_reboot = schedule == Schedule::Reboot;
        let next_at = match &schedule {
            Schedule::At(at) if !job.window().contains(*at) => return None,
            Schedule::At(at) => Some(*at),
            Schedule::Reboot => None,
            Schedule::Events => emits::first_silence(&spec, job.window(), now),
            Schedule::AfterEnd { .. } if let Some(start) = job.start => {
                Some(start + spec.delay()).filter(|at| job.window().contains(*at)).map(Some)?
            }
            _ => Some(first_fire(&schedule, zone, job.window(), now)?),
        };
        let mut model = Trigger {
            job: 0,
            follows_system: follows_system(when) && !is_reboot,
            schedule,
            zone: own_zone.clone(),
            window: job.window(),
            missed: job.policy.missed,
            overlap: job.policy.overlap_of_instants(),
            next: None,
            awaits_end: false,
            boot: is_reboot.then_some(self.boot),
            taken: Default::default(),
            fires: 0,
            disturbed: false,
        };
        match (&model.schedule, when) {
            (Schedule::At(at), _) => model.next = Some(*at),
            (Schedule::AfterEnd { .. }, _) if job.start.is_some() => model.next = next_at,
            _ => model.replan(now, &self.zone),
        }
        let is_of_boot = is_reboot || spec.event().is_some_and(emits::is_boot);
        let boot_id = is_of_boot.then(|| self.boot.to_string());
        let marks = emits::first_marks(self, &spec);
        Some((FirstFire { spec, next_at, boot_id, marks }, model))
    }

    /// Lets a client write in one transaction.
    pub fn command<T: Debug>(
        &mut self,
        text: &str,
        write: impl FnMut(&Writer<'_>, Timestamp) -> StoreResult<T>,
    ) -> T {
        let answer = self.write(write);
        self.note(format!("{text}: {answer:?}"));
        answer
    }

    /// `taskq run`
    pub fn run(&mut self, job: i64) {
        self.command("run", |writer, now| writer.add_manual_run(JobId(job), now));
        self.wrote([]);
    }

    /// `taskq cancel JOB.N`
    pub fn cancel_run(&mut self, row: &Row, at_once: bool) {
        let run = RunId { job: JobId(row.job), number: row.number };
        let cancelled = self
            .command(&format!("cancel {run} {at_once}"), |writer, now| writer.cancel_run(run, at_once, now));
        assert_eq!(cancelled == Cancelled::AlreadyFinished, !row.is_open());
        self.wrote([]);
    }

    /// `taskq cancel JOB`
    pub fn cancel_job(&mut self, job: i64) {
        self.command(&format!("cancel job {job}"), |writer, now| {
            writer.disarm(JobId(job))?;
            writer.cancel_indices(JobId(job), (0, u32::MAX), None, now)?;
            for (run, _) in writer.unfinished_runs(JobId(job))? {
                writer.cancel_run(run, false, now)?;
            }
            Ok(())
        });
        for trigger in self.audit.triggers.values_mut().filter(|trigger| trigger.job == job) {
            trigger.disarm();
        }
        self.audit.hearing.disarm(job);
        self.wrote([]);
    }

    /// `taskq pause JOB`
    pub fn pause(&mut self, job: i64) {
        self.command(&format!("pause job {job}"), |writer, now| writer.pause_job(JobId(job), now));
        self.audit.hearing.paused(job);
        self.wrote([]);
    }

    /// `taskq resume JOB`
    pub fn resume(&mut self, job: i64) {
        let (now, zone) = (self.now(), self.zone.clone());
        let resumed = self
            .command(&format!("resume job {job}"), |writer, now| resume_job(writer, JobId(job), &zone, now));
        if resumed == Ok(true) {
            self.audit.hearing.resumed(job, now);
            self.shadows.resumed(&self.audit.hearing.ids_of(job), &self.folder);
        }
        let mut owed: BTreeMap<i64, Vec<Owed>> = BTreeMap::new();
        let stays_due =
            |trigger: &Trigger| matches!(trigger.schedule, Schedule::At(_) | Schedule::AfterEnd { .. });
        let is_swallowed = |trigger: &Trigger| trigger.job == job && !stays_due(trigger);
        let triggers = self.audit.triggers.iter_mut().filter(|(_, trigger)| is_swallowed(trigger));
        let mut counted = Vec::new();
        for (id, trigger) in triggers.filter(|_| resumed == Ok(true)) {
            let due = trigger.take_due(now, &zone);
            if self.audit.counts.has(job) {
                counted.push((*id, due));
                continue;
            }
            let skipped = due.first().map(|first| (*first, due.len() as u64, false));
            owed.insert(*id, skipped.into_iter().collect());
        }
        if !counted.is_empty() {
            owed = self.audit.swallowed_nth(job, counted, now);
        }
        self.wrote(owed);
    }

    /// `taskq set JOB --until TIME`, which leaves each trigger that has fires one of them; or `--unset until`
    pub fn set_until(&mut self, job: i64, until: Option<Timestamp>) {
        // It is refused for a job that is done.
        if self.audit.db.done_jobs().contains(&job) {
            return;
        }
        let (now, zone, boot, id) = (self.now(), self.zone.clone(), self.boot, JobId(job));
        let of_job = |trigger: &&Trigger| trigger.job == job;
        let latest = self.audit.triggers.values().filter(of_job).filter_map(|trigger| trigger.next).max();
        let until =
            until.map(|until| latest.map_or(until, |latest| until.max(latest + Span::from_micros(1))));
        self.command(&format!("set job {job} until {until:?}"), |writer, now| {
            let (old, _) = writer.definition(id)?;
            let new = NewJob { until, ..old.clone() };
            writer.change_definition(id, &new, vec!["until".into()])?;
            follow_new_window(writer, id, old.window(), (&boot.to_string(), &zone), now)
        });
        for trigger in self.audit.triggers.values_mut().filter(|trigger| trigger.job == job) {
            trigger.set_until(until, (boot, now), &zone);
        }
        self.audit.hearing.set_until(job, until);
        self.wrote([]);
    }

    /// `taskq queue set QUEUE --slots N`
    pub fn set_queue(&mut self, queue: &str, slots: u32) {
        self.command(&format!("queue {queue} has {slots} slots"), |writer, _| {
            writer.set_queue(&name(queue), QueueSettings::slots(slots))
        });
        if let Some(widest) = self.ledger.widest.get_mut(queue) {
            *widest = (*widest).max(slots as usize);
        }
        self.wrote([]);
    }

    /// `taskq queue set QUEUE --order ORDER --aging SPAN`
    pub fn order_queue(&mut self, queue: &str, rule: QueueRule) {
        self.command(&format!("queue {queue} is ordered by {rule:?}"), |writer, _| {
            let QueueRule { order, aging } = rule;
            writer.set_queue(
                &name(queue),
                QueueSettings { slots: None, order: Some(order), aging: Some(aging) },
            )
        });
        self.wrote([]);
    }

    /// `taskq pause --queue QUEUE` and its end
    pub fn pause_queue(&mut self, queue: &str, is_paused: bool) {
        self.command(&format!("queue {queue} paused {is_paused}"), |writer, now| {
            writer.pause_queue(&name(queue), is_paused.then_some(now))
        });
        self.wrote([]);
    }

    /// Checks that a client's commit has changed nothing else. Then the client pokes the daemon, unless it
    /// dies.
    pub fn wrote(&mut self, owed: impl IntoIterator<Item = (i64, Vec<Owed>)>) {
        let changes = self.audit.scan(&self.ledger);
        self.audit.rearm(&changes, self.now());
        self.audit.settle_owed(&owed.into_iter().collect(), &changes);
        self.audit.with_commit(&changes, Hearing::check);
        self.audit.check_standing();
        for (old, new) in &changes {
            let is_rest =
                new.array.is_some() && new.index.is_none() && new.outcome == Some(Outcome::Cancelled);
            let is_skipped = new.outcome == Some(Outcome::Skipped);
            let is_made = new.trigger.is_none() || new.is_of_events() || is_skipped || is_rest;
            let is_new = old.is_none() && is_made;
            let is_dropped = old.as_ref().is_some_and(Row::waits) && new.outcome == Some(Outcome::Cancelled);
            let is_marked =
                old.as_ref().is_some_and(|old| old.outcome == new.outcome && old.state == new.state);
            assert!(is_new || is_dropped || is_marked, "a client made {old:?} into {new:?}");
        }
        self.clients += 1;
        let (dies, clock, pid) = (self.dies(), self.clock(), self.clients);
        if let Some(daemon) = &mut self.daemon {
            daemon.pacer.client_will_write(pid, &clock);
            if !dies {
                daemon.pacer.client_wrote(pid);
            }
        }
        self.settle();
    }
}
