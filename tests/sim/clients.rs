//! Owns: what the commands write, and what that leaves in the model; a client may die between its commit and
//! its poke.

use std::collections::BTreeMap;

use taskq::daemon::resume_job;
use taskq::domain::{
    CommandLine, Execution, JobId, Mail, MailFormat, MailWhen, Missed, NewJob, Outcome, Overlap, Policy,
    QueueName, RunId, Span, Stdin, Timestamp, TriggerSpec,
};
use taskq::engine::first_fire;
use taskq::schedule::{Schedule, Zone, compile};
use taskq::store::{Cancelled, FirstFire};

use crate::model::{Owed, Trigger};
use crate::rows::Row;
use crate::world::{SECOND, World};

/// Why a job fires.
#[derive(Clone, Debug)]
pub enum When {
    /// At this instant.
    At(Timestamp),
    /// By this expression, in this zone or the system's.
    Cron(&'static str, Option<&'static str>),
    /// Every so many seconds.
    Every(u64),
}

/// What a client wants added.
#[derive(Clone, Debug)]
pub struct Wish {
    pub when: Vec<When>,
    pub start: Option<Timestamp>,
    pub queue: &'static str,
    pub priority: i32,
    pub policy: Policy,
    pub mail: Option<MailWhen>,
    pub hold: bool,
}

impl Wish {
    pub fn at_once() -> Self {
        Self {
            when: Vec::new(),
            start: None,
            queue: QueueName::DEFAULT,
            priority: 0,
            policy: Policy::default(),
            mail: None,
            hold: false,
        }
    }

    pub fn when(when: When) -> Self {
        Self { when: vec![when], ..Self::at_once() }
    }

    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.policy.overlap = overlap;
        self
    }

    pub fn missed(mut self, missed: Missed) -> Self {
        self.policy.missed = missed;
        self
    }

    pub fn mail(mut self, when: MailWhen) -> Self {
        self.mail = Some(when);
        self
    }

    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }
}

fn new_job(wish: &Wish) -> NewJob {
    NewJob {
        name: None,
        tags: Vec::new(),
        execution: Execution {
            command: CommandLine::Argv(vec![b"true".to_vec()]),
            cwd: b"/".to_vec(),
            cwd_optional: false,
            env: Vec::new(),
            umask: 0o022,
            stdin: Stdin::Null,
            user: None,
        },
        start: wish.start,
        queue: wish.queue.parse().expect("a name"),
        priority: wish.priority,
        policy: wish.policy,
        mail: wish.mail.map(|when| Mail { to: "root".to_owned(), when, format: MailFormat::Taskq }),
        hold: wish.hold,
    }
}

impl World {
    /// `taskq add`
    pub fn add(&mut self, wish: &Wish) -> i64 {
        let now = self.now();
        let parts: Vec<(FirstFire, Trigger)> =
            wish.when.iter().filter_map(|when| self.trigger_of(when, wish, now)).collect();
        let (first, mut models): (Vec<FirstFire>, Vec<Trigger>) = parts.into_iter().unzip();
        if first.len() < wish.when.len() {
            return 0;
        }
        let job = new_job(wish);
        let (id, triggers) = self.write(|writer| {
            let id = writer.add_job(&job, &first, None, now)?;
            Ok((id, writer.triggers(id)?))
        });
        self.note(format!("add job {id}: {wish:?}"));
        for (view, model) in triggers.iter().zip(&mut models) {
            model.job = id.0;
            self.audit.triggers.insert(view.id.0, model.clone());
        }
        self.audit.jobs.insert(id.0);
        self.audit.mailing.extend(wish.mail.map(|when| (id.0, when)));
        if wish.policy.overlap != Overlap::Allow {
            self.ledger.serial.insert(id.0);
        }
        self.wrote(&BTreeMap::new());
        id.0
    }

    /// Makes a trigger and its model; `None`: it never fires, which `add` refuses.
    fn trigger_of(&self, when: &When, wish: &Wish, now: Timestamp) -> Option<(FirstFire, Trigger)> {
        let (spec, zone_name) = match when {
            When::At(at) => (TriggerSpec::At { at: *at }, None),
            When::Cron(expr, zone) => (
                TriggerSpec::Cron {
                    expr: (*expr).to_owned(),
                    zone: zone.map(str::to_owned),
                    delay: Span::ZERO,
                },
                *zone,
            ),
            When::Every(seconds) => {
                let period = Span::from_seconds(*seconds);
                (TriggerSpec::Every { period, anchor: wish.start.map_or(now, |start| start - period) }, None)
            }
        };
        let schedule = compile(&spec).expect("valid");
        let own_zone = zone_name.map(|name| Zone::named(name).expect("a zone"));
        let zone = own_zone.as_ref().unwrap_or(&self.zone);
        let is_reboot = schedule == Schedule::Reboot;
        let next_at = match &schedule {
            Schedule::At(at) => Some(*at),
            Schedule::Reboot => None,
            _ => Some(first_fire(&schedule, zone, wish.start, now)?),
        };
        let mut model = Trigger {
            job: 0,
            follows_system: matches!(when, When::Cron(_, None)) && !is_reboot,
            schedule,
            zone: own_zone.clone(),
            start: wish.start,
            missed: wish.policy.missed,
            overlap: wish.policy.overlap,
            next: None,
            boot: is_reboot.then_some(self.boot),
            taken: Default::default(),
            fires: 0,
            disturbed: false,
        };
        match (&model.schedule, when) {
            (Schedule::At(at), _) => model.next = Some(*at),
            _ => model.replan(now, &self.zone),
        }
        Some((FirstFire { spec, next_at, boot_id: is_reboot.then(|| self.boot.to_string()) }, model))
    }

    /// `taskq run`
    pub fn run(&mut self, job: i64) {
        let now = self.now();
        let run = self.write(|writer| writer.add_manual_run(JobId(job), now));
        self.note(format!("run {run}"));
        self.wrote(&BTreeMap::new());
    }

    /// `taskq cancel JOB.N`
    pub fn cancel_run(&mut self, row: &Row, at_once: bool) {
        let (now, run) = (self.now(), RunId { job: JobId(row.job), number: row.number });
        let cancelled = self.write(|writer| writer.cancel_run(run, at_once, now));
        self.note(format!("cancel {run} {at_once}: {cancelled:?}"));
        assert_eq!(cancelled == Cancelled::AlreadyFinished, !row.is_open());
        self.wrote(&BTreeMap::new());
    }

    /// `taskq cancel JOB`
    pub fn cancel_job(&mut self, job: i64) {
        let (now, id) = (self.now(), JobId(job));
        self.note(format!("cancel job {job}"));
        self.write(|writer| {
            writer.disarm(id)?;
            for (run, _) in writer.unfinished_runs(id)? {
                writer.cancel_run(run, false, now)?;
            }
            Ok(())
        });
        for trigger in self.audit.triggers.values_mut().filter(|trigger| trigger.job == job) {
            (trigger.next, trigger.boot, trigger.disturbed) = (None, None, true);
        }
        self.wrote(&BTreeMap::new());
    }

    /// `taskq pause JOB`
    pub fn pause(&mut self, job: i64) {
        let now = self.now();
        self.note(format!("pause job {job}"));
        self.write(|writer| writer.pause_job(JobId(job), now));
        self.wrote(&BTreeMap::new());
    }

    /// `taskq resume JOB`
    pub fn resume(&mut self, job: i64) {
        let (now, zone) = (self.now(), self.zone.clone());
        let resumed = self.write(|writer| resume_job(writer, JobId(job), &zone, now));
        self.note(format!("resume job {job}: {resumed:?}"));
        let mut owed: BTreeMap<i64, Vec<Owed>> = BTreeMap::new();
        if resumed == Ok(true) {
            for (id, trigger) in self.audit.triggers.iter_mut().filter(|(_, trigger)| trigger.job == job) {
                if !matches!(trigger.schedule, Schedule::At(_)) {
                    let due = trigger.take_due(now, &zone);
                    owed.insert(
                        *id,
                        due.first().map(|first| (*first, due.len() as u64, false)).into_iter().collect(),
                    );
                }
            }
        }
        self.wrote(&owed);
    }

    /// `taskq queue set QUEUE --slots N`
    pub fn set_queue(&mut self, queue: &str, slots: u32) {
        self.note(format!("queue {queue} has {slots} slots"));
        let name: QueueName = queue.parse().expect("a name");
        self.write(|writer| writer.set_queue(&name, Some(slots)));
        if let Some(widest) = self.ledger.widest.get_mut(queue) {
            *widest = (*widest).max(slots as usize);
        }
        self.wrote(&BTreeMap::new());
    }

    /// `taskq pause --queue QUEUE` and its end
    pub fn pause_queue(&mut self, queue: &str, is_paused: bool) {
        let (now, name) = (self.now(), queue.parse::<QueueName>().expect("a name"));
        self.note(format!("queue {queue} paused: {is_paused}"));
        self.write(|writer| writer.pause_queue(&name, is_paused.then_some(now)));
        self.wrote(&BTreeMap::new());
    }

    /// A client has committed: nothing but what it asked for has changed. Then it pokes the daemon, unless it
    /// dies.
    fn wrote(&mut self, owed: &BTreeMap<i64, Vec<Owed>>) {
        let changes = self.audit.scan(&self.ledger);
        self.audit.settle_owed(owed, &changes);
        self.audit.check_standing();
        for (old, new) in &changes {
            let is_new = old.is_none() && (new.trigger.is_none() || new.outcome == Some(Outcome::Skipped));
            let is_dropped = old.as_ref().is_some_and(Row::waits) && new.outcome == Some(Outcome::Cancelled);
            let is_marked =
                old.as_ref().is_some_and(|old| old.outcome == new.outcome && old.state == new.state);
            assert!(is_new || is_dropped || is_marked, "a client made {old:?} into {new:?}");
        }
        let (dies, at) = (self.dies(), self.mono + SECOND);
        if let Some(daemon) = &mut self.daemon {
            if dies {
                daemon.check_at = daemon.check_at.or(Some(at));
            } else {
                daemon.poked = true;
            }
        }
        self.settle();
    }
}
