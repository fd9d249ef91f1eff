//! Owns: one turn: reports in, decisions, orders out, all in one transaction.
//! Never: sockets, clocks, files: what it needs of them is passed in, so that a simulation can drive it.
//!
//! What a turn returns may be acted on only because it is committed: a start that is told before its claim is
//! on disk could happen twice.

use std::collections::{HashMap, HashSet};

use super::adding::{AddAnswer, AddRequest, add_requested};
use super::mailing::{self, PostOffice};
use super::order::{seek_order, start_order};
use crate::domain::{Span, Timestamp};
use crate::engine::{ClaimedFor, Plan, Recovery, after_end, conclude, plan, recover};
use crate::error::{Error, ErrorKind};
use crate::keeper::protocol::{Attempt, Ended, FromKeeper, KeeperId, KeeperInstance, Known, Task, ToKeeper};
use crate::schedule::Zone;
use crate::store::{Applied, AttemptEnd, ClaimFor, Store, StoreError, StoreResult, Writer};

/// A run shorter than this is over before the commit that would start its successor: successors stand by for
/// it.
const BRIEF: Span = Span::from_millis(100);

/// How many runs stand by for each brief run that ended in a turn: one to take its slot at once, one to take
/// its successor's while this turn's orders are under way.
const STANDING_BY_PER_BRIEF: usize = 2;

/// How many runs of a queue stand by at the most: they cannot be overtaken without a recall.
const STANDING_BY_MAX: usize = 64;

/// What a turn is told of the world.
pub struct Turn<'a> {
    /// The current time.
    pub now: Timestamp,
    /// The system's zone.
    pub system_zone: &'a Zone,
    /// The slots of a queue that sets none.
    pub cpus: usize,
    /// The keeper that takes orders; without one, fires are recorded and nothing starts.
    pub keeper: Option<KeeperId>,
    /// All the keepers that live.
    pub living_keepers: &'a [KeeperInstance],
    /// Keepers that exited in order, and were not forgotten since.
    pub ended_keepers: &'a [KeeperInstance],
    /// The attempts whose pipes have a name, if a keeper has said hello.
    pub pipes: &'a [Attempt],
    /// What the keeper said since the last turn.
    pub reports: &'a [FromKeeper],
    /// Jobs that clients want added.
    pub requests: &'a [&'a AddRequest],
    /// Tells whether the client of a request has hung up; it will store the job itself, or has died.
    pub has_hung_up: &'a dyn Fn(&AddRequest) -> bool,
    /// Returns an ended attempt's output, if it belongs into the run log.
    pub output: &'a dyn Fn(&Ended) -> Option<Vec<u8>>,
    /// What it takes to send mails; without it they wait.
    pub post_office: Option<&'a PostOffice<'a>>,
}

/// What came out of a turn.
#[derive(Debug, Default)]
pub struct Done {
    /// What to answer to the requests, in their order.
    pub answers: Vec<AddAnswer>,
    /// What to tell the keeper, in this order.
    pub orders: Vec<ToKeeper>,
    /// Something waits for a slot that is taken.
    pub waiting: bool,
    /// Something could start at once, and is left to the next turn.
    pub has_room: bool,
    /// When the next turn is due: with the next fire, or at once.
    pub deadline: Option<Timestamp>,
    /// Tasks whose output file is of no more use: its content is in the run log now, if it belongs there.
    pub stored_outputs: Vec<Task>,
    /// How many mails were given up because there is no sendmail(8).
    pub unsendable_mails: usize,
    /// What an administrator should know.
    pub notices: Vec<String>,
}

impl Turn<'_> {
    /// Returns the keeper that runs and mails can be claimed for. An earlier taskq's keeper only finishes what
    /// it runs; they wait for the next one.
    fn starter(&self) -> Option<KeeperId> {
        self.keeper.filter(|keeper| keeper.takes_starts())
    }
}

/// Takes one turn.
///
/// # Errors
/// Nothing is changed if the store fails; the same reports must then be given to a later turn.
pub fn turn(store: &mut Store, turn: &Turn<'_>) -> StoreResult<Done> {
    let (mut done, mails) = store.write(|writer| {
        let (mut done, mut mails) = (Done::default(), Vec::new());
        let mut brief: HashMap<String, usize> = HashMap::new();
        for report in turn.reports {
            take_in(writer, turn, report, &mut brief, &mut done)?;
        }
        writer.follow_up(after_end, turn.now)?;
        for request in turn.requests {
            done.answers.push(add_for_client(writer, turn, request)?);
        }
        let applied = decide(writer, turn, &brief, &mut done)?;
        if turn.keeper.is_some() {
            give_orders(writer, turn, &applied, &mut done)?;
        }
        if let Some(starter) = turn.starter() {
            mails = mailing::claim(writer, turn, starter, &mut done)?;
        }
        done.deadline = if done.has_room { Some(turn.now) } else { writer.next_deadline()? };
        Ok::<_, StoreError>((done, mails))
    })?;
    done.orders.extend(mails.into_iter().map(|mail| mailing::order(turn, mail)));
    Ok(done)
}

/// Adds a job for a client that still waits. Asked under the write lock: a client that hangs up later finds
/// the job.
fn add_for_client(writer: &Writer<'_>, turn: &Turn<'_>, request: &AddRequest) -> StoreResult<AddAnswer> {
    if (turn.has_hung_up)(request) {
        return Ok(Err(Error::new(ErrorKind::Conflict, "add job", "its client has hung up")));
    }
    add_requested(writer, request, turn.now)
}

fn take_in(
    writer: &Writer<'_>,
    turn: &Turn<'_>,
    report: &FromKeeper,
    brief: &mut HashMap<String, usize>,
    done: &mut Done,
) -> StoreResult<()> {
    match report {
        FromKeeper::Hello { version, instance, known, ended } => {
            let keeper = KeeperId { instance: *instance, version: *version };
            meet(writer, turn, keeper, known, ended, done)?;
            for ended in ended {
                end(writer, turn, ended, brief, done)?;
            }
            Ok(())
        }
        FromKeeper::Started { attempt, pid, at } => record_start(writer, *attempt, (*pid, *at)),
        FromKeeper::Ended(ended) => end(writer, turn, ended, brief, done),
        FromKeeper::Unattended { attempt, keeper, pid, at } => {
            let Task::Run(run) = attempt.task else { return Ok(()) };
            done.notices.push(format!("run {run} is unattended: the keeper that started it is gone"));
            writer.record_unattended(run, attempt.number, *keeper, *pid, *at)
        }
        FromKeeper::Delayed { attempt, cause } => {
            let task = match attempt.task {
                Task::Run(run) => format!("start run {run}"),
                Task::Mail(mail) => format!("send mail {mail}"),
            };
            done.notices.push(format!("cannot {task} yet: {cause}; trying again for a minute"));
            Ok(())
        }
    }
}

/// Holds the claims in the database against what the keeper knows.
fn meet(
    writer: &Writer<'_>,
    turn: &Turn<'_>,
    keeper: KeeperId,
    known: &[Known],
    ended: &[Ended],
    done: &mut Done,
) -> StoreResult<()> {
    let at_keeper: HashSet<Attempt> =
        known.iter().map(|known| known.attempt).chain(ended.iter().map(|ended| ended.attempt)).collect();
    let (mut adopted, mut requeued, mut sought) = (0, 0, 0);
    for claimed in writer.claimed_runs()? {
        let attempt = Attempt::of_run(claimed.run, claimed.attempt);
        let claimed_for = match claimed.keeper {
            claimed_for if claimed_for == keeper.instance => ClaimedFor::Greeted,
            claimed_for if turn.living_keepers.contains(&claimed_for) => ClaimedFor::Living,
            claimed_for if turn.ended_keepers.contains(&claimed_for) => ClaimedFor::Ended,
            _ => ClaimedFor::Gone,
        };
        match recover(claimed_for, at_keeper.contains(&attempt), keeper.takes_starts()) {
            Recovery::Adopt => {
                adopted += 1;
                if claimed.keeper != keeper.instance
                    && let Some(known) = known.iter().find(|known| known.attempt == attempt)
                    && let Some((pid, at)) = known.started
                {
                    writer.record_unattended(claimed.run, claimed.attempt, keeper.instance, pid, at)?;
                }
            }
            Recovery::Requeue => {
                requeued += 1;
                writer.requeue(claimed.run)?;
                if claimed.stop_wanted {
                    writer.cancel_run(claimed.run, false, turn.now)?;
                }
            }
            Recovery::Seek => {
                sought += 1;
                done.orders.push(seek_order(&claimed, writer.start(claimed.run)?, turn.cpus));
            }
            Recovery::Wait => {}
        }
    }
    for known in known {
        if let Some(started) = known.started {
            record_start(writer, known.attempt, started)?;
        }
    }
    writer.resend_stops()?;
    mailing::meet(writer, &at_keeper)?;
    for attempt in turn.pipes {
        if !is_open(writer, *attempt)? {
            acknowledge(*attempt, done);
        }
    }
    if adopted + requeued + sought > 0 {
        done.notices.push(format!(
            "found a keeper: runs adopted: {adopted}, queued again: {requeued}, looked for: {sought}"
        ));
    }
    Ok(())
}

fn record_start(writer: &Writer<'_>, attempt: Attempt, (pid, at): (u32, Timestamp)) -> StoreResult<()> {
    match attempt.task {
        Task::Run(run) => writer.record_start(run, attempt.number, pid, at),
        Task::Mail(_) => Ok(()),
    }
}

/// Tells whether the end of an attempt is still to be recorded.
fn is_open(writer: &Writer<'_>, attempt: Attempt) -> StoreResult<bool> {
    match attempt.task {
        Task::Run(run) => Ok(writer.open_attempt(run, attempt.number)?.is_some()),
        Task::Mail(mail) => writer.is_mail_open(mail),
    }
}

fn end(
    writer: &Writer<'_>,
    turn: &Turn<'_>,
    ended: &Ended,
    brief: &mut HashMap<String, usize>,
    done: &mut Done,
) -> StoreResult<()> {
    let Attempt { task, number } = ended.attempt;
    let run = match task {
        Task::Run(run) => run,
        Task::Mail(mail) => {
            mailing::end(writer, turn, mail, ended, done)?;
            acknowledge(ended.attempt, done);
            return Ok(());
        }
    };
    // A result that was committed, and whose acknowledgement was lost with a daemon, comes again.
    if let Some(open) = writer.open_attempt(run, number)? {
        let conclusion = conclude(&ended.end, ended.stopped, open.stop_wanted);
        let output = (turn.output)(ended);
        if output.is_some() {
            done.stored_outputs.push(task);
        }
        let result = AttemptEnd {
            run,
            started: ended.started_at.map(|at| (ended.pid, at)),
            finished_at: ended.finished_at,
            usage: ended.usage,
            output_bytes: ended.output_bytes,
            output,
        };
        writer.record_end(&result, &conclusion)?;
        if ended.started_at.is_some_and(|at| ended.finished_at.since(at) < BRIEF) {
            *brief.entry(open.queue).or_default() += 1;
        }
    }
    acknowledge(ended.attempt, done);
    Ok(())
}

fn acknowledge(attempt: Attempt, done: &mut Done) {
    match done.orders.last_mut() {
        Some(ToKeeper::Acknowledge { attempts }) => attempts.push(attempt),
        _ => done.orders.push(ToKeeper::Acknowledge { attempts: vec![attempt] }),
    }
}

fn decide(
    writer: &Writer<'_>,
    turn: &Turn<'_>,
    brief: &HashMap<String, usize>,
    done: &mut Done,
) -> StoreResult<Applied> {
    let lookahead = |queue: &str| {
        brief.get(queue).map_or(0, |ended| (ended * STANDING_BY_PER_BRIEF).min(STANDING_BY_MAX))
    };
    let mut applied = Applied::default();
    loop {
        let with_queues: Option<&dyn Fn(&str) -> usize> =
            if turn.starter().is_some() { Some(&lookahead) } else { None };
        let snapshot = writer.snapshot(turn.now, turn.system_zone, turn.cpus, with_queues)?;
        let plan: Plan = plan(turn.now, &snapshot);
        for (job, reason) in &plan.broken {
            done.notices.push(format!("job {job} is paused, its schedule cannot be read: {reason}"));
        }
        let claim_for = turn.starter().map(|keeper| ClaimFor { keeper: keeper.instance, has_pipe: true });
        writer.apply(&plan, claim_for, turn.now, &mut applied)?;
        writer.follow_up(after_end, turn.now)?;
        done.waiting = plan.waiting;
        done.has_room = plan.has_room;
        if !plan.more {
            return Ok(applied);
        }
    }
}

fn give_orders(writer: &Writer<'_>, turn: &Turn<'_>, applied: &Applied, done: &mut Done) -> StoreResult<()> {
    for (run, number, now) in writer.take_stops()? {
        done.orders.push(ToKeeper::Stop { attempt: Attempt::of_run(run, number), now });
    }
    for run in &applied.unclaimed {
        let number = writer.start(*run)?.attempt;
        done.orders.push(ToKeeper::Recall { attempt: Attempt::of_run(*run, number) });
    }
    let starts = applied.claimed.iter().map(|run| Ok(start_order(writer.start(*run)?, turn.cpus)));
    let starts = starts.collect::<StoreResult<Vec<ToKeeper>>>()?;
    // A start tells the width of its queue; where none does, what stands by would keep to the last one told.
    for (queue, slots) in &applied.widths {
        let names = |order: &ToKeeper| matches!(order, ToKeeper::Start(start, _) if start.queue == *queue);
        if !starts.iter().any(names) {
            let slots = u32::try_from(*slots).unwrap_or(u32::MAX);
            done.orders.push(ToKeeper::Resize { queue: queue.clone(), slots });
        }
    }
    done.orders.extend(starts);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CommandLine, Execution, JobId, NewJob, Outcome, RunId};
    use crate::keeper::protocol::PROTOCOL_VERSION;

    fn now() -> Timestamp {
        Timestamp::from_micros(1_772_000_000_000_000)
    }

    /// A store with one job that waits to be started.
    fn one_job() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = Store::open(dir.path()).expect("the directory is ours");
        let job = NewJob::of(Execution::of(CommandLine::Script(b"true".to_vec())));
        store.write(|writer| writer.add_job(&job, &[], None, now())).expect("it is a good job");
        (dir, store)
    }

    fn take(store: &mut Store, keeper: KeeperInstance, ended_keepers: &[KeeperInstance]) -> Done {
        take_with(store, KeeperId { instance: keeper, version: PROTOCOL_VERSION }, ended_keepers)
    }

    fn take_with(store: &mut Store, keeper: KeeperId, ended_keepers: &[KeeperInstance]) -> Done {
        let reports = [hello(keeper)];
        let zone = Zone::utc();
        let world = Turn {
            now: now(),
            system_zone: &zone,
            cpus: 1,
            keeper: Some(keeper),
            living_keepers: &[keeper.instance],
            ended_keepers,
            pipes: &[],
            reports: &reports,
            requests: &[],
            has_hung_up: &|_| false,
            output: &|_| None,
            post_office: None,
        };
        turn(store, &world).expect("the store is whole")
    }

    fn hello(keeper: KeeperId) -> FromKeeper {
        FromKeeper::Hello {
            version: keeper.version,
            instance: keeper.instance,
            known: Vec::new(),
            ended: Vec::new(),
        }
    }

    fn starts(done: &Done) -> usize {
        done.orders.iter().filter(|order| matches!(order, ToKeeper::Start(..))).count()
    }

    fn outcome(store: &mut Store) -> Option<Outcome> {
        let run = RunId { job: JobId(1), number: 1 };
        store.read(|reader| reader.run(run)).expect("the store is whole").expect("it has one run").outcome
    }

    fn seeks(done: &Done) -> usize {
        done.orders.iter().filter(|order| matches!(order, ToKeeper::Seek(_))).count()
    }

    #[test]
    fn a_run_claimed_for_a_keeper_that_is_gone_is_looked_for_by_a_keeper_that_can() {
        let (_dir, mut store) = one_job();
        assert_eq!(starts(&take(&mut store, 1, &[])), 1);
        let old = take_with(&mut store, KeeperId { instance: 2, version: PROTOCOL_VERSION - 1 }, &[]);
        assert_eq!((starts(&old), seeks(&old)), (0, 0));
        let new = take(&mut store, 3, &[]);
        assert_eq!((starts(&new), seeks(&new)), (0, 1));
        assert_eq!(outcome(&mut store), None);
    }

    #[test]
    fn nothing_is_claimed_for_the_keeper_of_an_earlier_taskq() {
        let (_dir, mut store) = one_job();
        let done = take_with(&mut store, KeeperId { instance: 1, version: PROTOCOL_VERSION - 1 }, &[]);
        assert_eq!((starts(&done), done.has_room, done.deadline), (0, false, None));
        assert_eq!(starts(&take(&mut store, 2, &[])), 1);
    }

    #[test]
    fn a_run_claimed_for_a_keeper_that_left_with_nothing_to_keep_is_started_by_the_next() {
        let (_dir, mut store) = one_job();
        assert_eq!(starts(&take(&mut store, 1, &[])), 1);
        assert_eq!(starts(&take(&mut store, 2, &[9, 1])), 1);
        assert_eq!(outcome(&mut store), None);
    }
}
