//! Owns: a daemon that does around the production turn what `src/daemon/serve.rs` does, and dies wherever one
//! can.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use taskq::daemon::{Done, Excerpt, PostOffice, Turn, notice_boot, notice_step_back, notice_zone, turn};
use taskq::domain::Timestamp;
use taskq::keeper::protocol::{Ended, FromKeeper, KeeperId, KeeperInstance, PROTOCOL_VERSION, ToKeeper};
use taskq::schedule::{Schedule, Zone};
use taskq::store::StoreError;
use taskq::system::users::Person;

use crate::keeper::Keeper;
use crate::world::{SECOND, STEP_BACK, World};

/// What the daemon keeps in memory.
#[derive(Debug)]
pub struct Daemon {
    pub zone: Zone,
    pub session: Option<u64>,
    pub instance: Option<KeeperInstance>,
    pub reports: Vec<FromKeeper>,
    pub next_fire: Option<Timestamp>,
    pub retry_at: Option<u64>,
    pub check_at: Option<u64>,
    pub linger_until: Option<u64>,
    /// A turn is due, whatever the clock says.
    pub poked: bool,
    pub offset: i64,
}

impl World {
    /// Does what a daemon does before its loop, see `Daemon::prepare`.
    pub fn start_daemon(&mut self) {
        assert!(self.daemon.is_none());
        self.note("daemon starts");
        let (now, zone, boot) = (self.now(), self.zone.clone(), self.boot);
        self.daemon = Some(Daemon {
            zone: zone.clone(),
            session: None,
            instance: None,
            reports: Vec::new(),
            next_fire: None,
            retry_at: None,
            check_at: None,
            linger_until: None,
            poked: true,
            offset: self.offset,
        });
        let ended = self.ended_keepers.clone();
        let newest = self.audit.rows.get(&self.audit.last()).map(|row| row.queued_at);
        let is_set_back = newest.is_some_and(|at| at > now.as_micros() + STEP_BACK);
        self.store
            .write(|writer| {
                if writer
                    .latest_queued_at()?
                    .is_some_and(|latest| latest.as_micros() > now.as_micros() + STEP_BACK)
                {
                    notice_step_back(writer, &zone, now)?;
                }
                notice_boot(writer, &boot.to_string(), &ended, now)
            })
            .expect("nobody else writes");
        if is_set_back {
            self.replan(now, &zone);
        }
        for trigger in
            self.audit.triggers.values_mut().filter(|trigger| trigger.boot.is_some_and(|seen| seen != boot))
        {
            (trigger.boot, trigger.next) = (Some(boot), Some(now));
        }
        self.audit.scan(&self.ledger);
        self.audit.check_standing();
        if self.dies() {
            return self.kill_daemon();
        }
        self.follow_zone();
        if self.dies() {
            return self.kill_daemon();
        }
        self.attach();
        self.settle();
    }

    pub fn kill_daemon(&mut self) {
        if self.daemon.take().is_some() {
            self.note("daemon dies");
        }
    }

    pub fn replan(&mut self, now: Timestamp, zone: &Zone) {
        for trigger in self.audit.triggers.values_mut() {
            if matches!(trigger.schedule, Schedule::At(_)) || trigger.next.is_none_or(|next| next <= now) {
                continue;
            }
            let planned = trigger.next;
            trigger.disturbed = true;
            if trigger.schedule == Schedule::Reboot {
                trigger.next = Some(now);
                continue;
            }
            trigger.replan(now, zone);
            if trigger.next.is_none() || trigger.next > planned {
                trigger.next = planned;
            }
        }
    }

    pub fn follow_zone(&mut self) {
        let (now, zone) = (self.now(), self.zone.clone());
        let changed = self
            .store
            .write(|writer| notice_zone(writer, zone.name(), &zone, now))
            .expect("nobody else writes");
        if changed {
            for trigger in self.audit.triggers.values_mut().filter(|trigger| trigger.follows_system) {
                if trigger.next.is_some_and(|next| next > now) {
                    trigger.replan(now, &zone);
                }
            }
        }
        self.daemon.as_mut().expect("it lives").zone = zone;
        self.audit.check_standing();
    }

    fn attach(&mut self) {
        if self.keeper.is_none() {
            let instance = (self.rng.next() >> 2).cast_signed().max(1);
            self.note(format!("keeper {instance} starts"));
            self.keeper = Some(Keeper::new(instance));
            self.orders.clear();
        }
        self.sessions += 1;
        let daemon = self.daemon.as_mut().expect("it lives");
        (daemon.session, daemon.instance) = (Some(self.sessions), None);
        self.send(ToKeeper::Hello { version: PROTOCOL_VERSION });
    }

    pub fn daemon_hears(&mut self) -> bool {
        let Some(daemon) = &mut self.daemon else { return false };
        let Some(keeper) = &mut self.keeper else {
            self.attach();
            return true;
        };
        let mut heard = false;
        for (_, report) in keeper.said.drain(..).filter(|(session, _)| Some(*session) == daemon.session) {
            heard = true;
            if let FromKeeper::Hello { instance, .. } = &report {
                daemon.instance = Some(*instance);
            }
            let is_urgent = !matches!(report, FromKeeper::Started { .. });
            daemon.poked |= is_urgent;
            if !is_urgent && daemon.linger_until.is_none() {
                daemon.linger_until = Some(self.mono + 20_000);
            }
            daemon.reports.push(report);
        }
        heard
    }

    pub fn daemon_acts(&mut self) -> bool {
        let (now, mono) = (self.now(), self.mono);
        let Some(daemon) = &mut self.daemon else { return false };
        let has_come = |at: Option<u64>| at.is_some_and(|at| at <= mono);
        let fires = match daemon.retry_at {
            Some(at) => at <= mono,
            None => daemon.next_fire.is_some_and(|at| at <= now),
        };
        let is_due = daemon.poked || fires || has_come(daemon.check_at) || has_come(daemon.linger_until);
        if !is_due {
            return false;
        }
        if has_come(daemon.check_at) {
            daemon.check_at = None;
        }
        daemon.poked = false;
        self.turn();
        true
    }

    fn turn(&mut self) {
        if self.dies() {
            return self.kill_daemon();
        }
        let now = self.now();
        let (is_busy, is_last) = (self.rng.chance(self.faults.busy), self.dies());
        let daemon = self.daemon.as_mut().expect("it lives");
        let output = |ended: &Ended| {
            if is_last {
                // In the midst of a transaction.
                resume_unwind(Box::new("the daemon died"));
            }
            ended.started_at.map(|_| ended.attempt.task.to_string().into_bytes())
        };
        let has_sendmail = self.has_sendmail;
        let post_office = PostOffice {
            host: "host",
            charset: "UTF-8",
            sendmail: &|| has_sendmail.then(|| "/usr/sbin/sendmail".into()),
            person: &|_| Person { name: "user".to_owned(), home: b"/".to_vec(), shell: b"/bin/sh".to_vec() },
            login: &Vec::new,
            excerpt: &|_| Excerpt::default(),
        };
        let input = Turn {
            now,
            system_zone: &daemon.zone,
            cpus: self.cpus,
            keeper: daemon.instance.map(|instance| KeeperId { instance, version: PROTOCOL_VERSION }),
            living_keepers: &[],
            ended_keepers: &self.ended_keepers,
            pipes: &[],
            requests: &[],
            has_hung_up: &|_| false,
            reports: &daemon.reports,
            output: &output,
            post_office: Some(&post_office),
        };
        let (store, rival) = (&mut self.store, &mut self.rival);
        let outcome = catch_unwind(AssertUnwindSafe(|| match is_busy {
            false => turn(store, &input),
            true => rival.write(|_| Ok::<_, StoreError>(turn(store, &input))).expect("the first to ask"),
        }));
        match outcome {
            Ok(Ok(done)) => self.committed(now, done),
            Ok(Err(error)) => self.refused(is_busy, &error),
            Err(panic) if is_last && panic.is::<&str>() && self.audit.scan(&self.ledger).is_empty() => {
                self.kill_daemon();
            }
            Err(panic) => resume_unwind(panic),
        }
    }

    fn refused(&mut self, is_busy: bool, error: &StoreError) {
        assert!(is_busy && error.is_passing(), "the turn failed: {error:?}");
        assert_eq!(self.audit.scan(&self.ledger), [], "a turn that failed changed something");
        self.audit.check_standing();
        self.note("turn finds the database locked");
        let daemon = self.daemon.as_mut().expect("it lives");
        daemon.retry_at = Some(self.mono + SECOND);
        daemon.linger_until = None;
    }

    fn committed(&mut self, now: Timestamp, done: Done) {
        let daemon = self.daemon.as_mut().expect("it lives");
        (daemon.retry_at, daemon.linger_until, daemon.next_fire) = (None, None, done.deadline);
        let met = daemon.reports.iter().any(|report| matches!(report, FromKeeper::Hello { .. }));
        daemon.reports.clear();
        let (zone, instance) = (daemon.zone.clone(), daemon.instance);
        let (orders, notices) = (&done.orders, &done.notices);
        let told: Vec<String> = orders.iter().map(shown).collect();
        self.note(format!(
            "turn: {} {notices:?}, next {:?}",
            told.join(", "),
            done.deadline.map(|at| at.to_string())
        ));
        let changes = self.audit.after_turn(now, &zone, instance, &done, &self.ledger);
        for (old, new) in changes {
            let before = old.map(|old| old.outcome.map_or(old.state, |outcome| outcome.to_string()));
            let after = new.outcome.map_or(new.state.clone(), |outcome| outcome.to_string());
            self.note(format!(
                "    {}: {before:?} → {after} x{} keeper {:?}",
                new.attempt().task,
                new.fires,
                new.keeper
            ));
        }
        let dies = self.dies();
        let last = self
            .die_after_orders
            .take()
            .or_else(|| dies.then(|| self.rng.below(done.orders.len() as u64 + 1) as usize));
        for order in done.orders.into_iter().take(last.unwrap_or(usize::MAX)) {
            self.send(order);
        }
        if last.is_some() {
            self.kill_daemon();
        } else {
            if met {
                self.ended_keepers.clear();
            }
            self.told_widths();
        }
    }

    /// From here on no queue may be filled beyond its present width, if the keeper has heard everything.
    fn told_widths(&mut self) {
        if self.orders.iter().all(|(at, _, _)| *at <= self.mono) {
            self.keeper_acts();
            self.ledger.widest = self.widths();
        }
    }
}

fn shown(order: &ToKeeper) -> String {
    match order {
        ToKeeper::Hello { .. } => "hello".to_owned(),
        ToKeeper::Start(order, _) => {
            format!("start {} of {} in {}", order.attempt.task, order.slots, order.queue)
        }
        ToKeeper::Seek(order) => format!("seek {}", order.attempt.task),
        ToKeeper::Stop { attempt, now } => format!("stop {} {now}", attempt.task),
        ToKeeper::Resize { queue, slots } => format!("resize {queue} to {slots}"),
        ToKeeper::Recall { attempt } => format!("recall {}", attempt.task),
        ToKeeper::Acknowledge { attempts } => {
            format!(
                "ack {}",
                attempts.iter().map(|attempt| attempt.task.to_string()).collect::<Vec<_>>().join("+")
            )
        }
    }
}
