//! Owns: the invariants of mails, and small worlds for their accidents.

use std::collections::{BTreeMap, BTreeSet};

use taskq::domain::{End, MailWhen, Outcome};
use taskq::keeper::protocol::{Attempt, Ended, KeeperInstance};

use crate::audit::Changes;
use crate::chance::finish;
use crate::clients::Wish;
use crate::keeper::{Ledger, Script};
use crate::rows::{MailRow, Row};
use crate::world::{SECOND, Trace, World};

/// Every mail that was seen: about which run, and whether it is over.
#[derive(Debug, Default)]
pub struct Mails {
    rows: Vec<MailRow>,
    /// By the row of the run.
    seen: BTreeMap<i64, i64>,
    sent: BTreeSet<i64>,
}

impl Mails {
    /// Compares the table of mails with the ends of runs and of mails.
    pub fn scan(
        &mut self,
        rows: Vec<MailRow>,
        changes: &Changes,
        mailing: &BTreeMap<i64, MailWhen>,
        ledger: &Ledger,
    ) {
        for (_, run) in changes.iter().filter(|(_, run)| !run.is_open()) {
            let found: Vec<&MailRow> = rows.iter().filter(|mail| mail.run == run.id).collect();
            let wanted = run.callback.is_none()
                && mailing.get(&run.job).is_some_and(|when| is_wanted(*when, run, ledger));
            assert_eq!(found.len(), usize::from(wanted), "the mails about {run:?}: {found:?}");
            self.seen.extend(found.iter().map(|mail| (run.id, mail.id)));
        }
        for mail in &rows {
            assert_eq!(self.seen.get(&mail.run), Some(&mail.id), "no job wants it: {mail:?}");
            assert!(!self.sent.contains(&mail.id), "it was sent: {mail:?}");
            if mail.failed.as_ref().is_some_and(|cause| !cause.contains("no sendmail")) {
                let is_failure = |end: &End| !matches!(end, End::Exited(0) | End::NotStarted);
                assert!(ends(mail.id, ledger).any(is_failure), "an invented failure: {mail:?}");
            }
        }
        let here: BTreeSet<i64> = rows.iter().map(|mail| mail.id).collect();
        for id in self.seen.values().filter(|id| !here.contains(id)) {
            assert!(
                ends(*id, ledger).any(|end| *end == End::Exited(0)),
                "mail {id} is gone and was not sent"
            );
            self.sent.insert(*id);
        }
        self.rows = rows;
    }

    /// A run is forgotten, with its mail if that was not sent.
    pub fn forgot(&mut self, run: i64) {
        let is_open = self.rows.iter().any(|mail| mail.run == run && mail.failed.is_none());
        assert!(!is_open, "run {run} is forgotten, and its mail waits");
        self.seen.remove(&run);
    }

    /// Checks, while no message is under way, that the keeper has what is claimed, and that no mail waits for
    /// nothing.
    pub fn quiet(&self, known: &BTreeSet<Attempt>, keeper: KeeperInstance) {
        let open = || self.rows.iter().filter(|mail| mail.failed.is_none());
        let claimed: BTreeSet<Attempt> =
            open().filter(|mail| mail.keeper == Some(keeper)).map(|mail| attempt(mail.id)).collect();
        assert_eq!(*known, claimed, "the mails that the keeper has, and those that are claimed");
        let waiting: Vec<&MailRow> = open().filter(|mail| mail.keeper != Some(keeper)).collect();
        assert!(waiting.is_empty() || claimed.len() >= 2, "nothing sends {waiting:?}");
    }
}

fn attempt(mail: i64) -> Attempt {
    Attempt::of_mail(mail)
}

fn ends(mail: i64, ledger: &Ledger) -> impl Iterator<Item = &End> {
    ledger.ends.get(&attempt(mail)).into_iter().flatten().map(|ended| &ended.end)
}

fn is_wanted(when: MailWhen, run: &Row, ledger: &Ledger) -> bool {
    let outcome = run.outcome.expect("it is over");
    let had_process = outcome != Outcome::SpawnFailed && run.started_at.is_some();
    let is_this = |ended: &&Ended| Some(ended.finished_at.as_micros()) == run.finished_at;
    let ended = ledger.ends.get(&run.attempt()).into_iter().flatten().find(is_this);
    match when {
        MailWhen::Output => ended.is_some_and(|ended| ended.output_bytes > 0),
        MailWhen::Failed => {
            matches!(outcome, Outcome::Failed | Outcome::TimedOut | Outcome::SpawnFailed | Outcome::Lost)
        }
        MailWhen::Always => had_process || matches!(outcome, Outcome::SpawnFailed | Outcome::Lost),
    }
}

fn world() -> World {
    let mut world = World::new(1, "2026-06-01T00:00:00Z", Trace::default());
    world.start_daemon();
    world
}

fn rows(world: &World) -> Vec<MailRow> {
    world.audit.db.mails()
}

#[test]
fn a_mail_is_sent_once_and_forgotten() {
    let mut world = world();
    world.scripts.push_back(Script::lasting(1));
    world.add(&Wish::at_once().mail(MailWhen::Output));
    finish(&mut world);
    assert_eq!(rows(&world), []);
    assert_eq!(world.ledger.ends[&attempt(1)].len(), 1);
}

#[test]
fn a_daemon_that_dies_between_an_end_and_its_mail_leaves_it_to_the_next() {
    for orders in 0..3 {
        let mut world = world();
        world.scripts.push_back(Script::lasting(1));
        world.add(&Wish::at_once().mail(MailWhen::Output));
        world.advance(SECOND / 2);
        world.die_after_orders = Some(orders);
        world.advance(SECOND);
        assert!(world.daemon.is_none(), "after {orders} orders");
        world.start_daemon();
        world.advance(SECOND);
        finish(&mut world);
        assert_eq!(rows(&world), [], "after {orders} orders");
        assert_eq!(world.ledger.ends[&attempt(1)].len(), 1, "after {orders} orders");
    }
}

#[test]
fn a_mail_whose_keeper_dies_is_sent_to_the_next() {
    let mut world = world();
    world.scripts.push_back(Script::lasting(1));
    world.mail_scripts.push_back(Script::lasting(60));
    world.add(&Wish::at_once().mail(MailWhen::Always));
    world.advance(2 * SECOND);
    assert!(rows(&world)[0].keeper.is_some());
    world.kill_keeper();
    finish(&mut world);
    assert_eq!(rows(&world), []);
}

#[test]
fn a_mail_that_sendmail_refuses_stays_with_its_cause() {
    let mut world = world();
    world.scripts.push_back(Script::lasting(1));
    world.mail_scripts.push_back(Script { end: End::Exited(75), ..Script::lasting(1) });
    world.add(&Wish::at_once().mail(MailWhen::Always));
    world.advance(2 * SECOND);
    finish(&mut world);
    assert_eq!(rows(&world)[0].failed.as_deref(), Some("sendmail ended with status 75: mail-1 1"));
}

#[test]
fn without_a_sendmail_mails_are_given_up() {
    let mut world = world();
    world.has_sendmail = false;
    world.scripts.push_back(Script::lasting(1));
    world.add(&Wish::at_once().mail(MailWhen::Always));
    finish(&mut world);
    assert_eq!(rows(&world)[0].failed.as_deref(), Some("there is no sendmail"));
}

#[test]
fn only_a_few_mails_are_under_way_at_once() {
    let mut world = world();
    world.default_slots = 9;
    world.scripts.extend(vec![Script::lasting(1); 9]);
    for _ in 0..9 {
        world.add(&Wish::at_once().mail(MailWhen::Always));
    }
    world.advance(SECOND + SECOND / 2);
    assert_eq!(rows(&world).iter().filter(|mail| mail.keeper.is_some()).count(), 2);
    world.advance(5 * SECOND);
    finish(&mut world);
    assert_eq!(rows(&world), []);
}
