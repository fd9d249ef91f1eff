//! Owns: one turn: reports in, decisions, orders out, all in one transaction.
//! Never: sockets, clocks, files. Their values are passed in, so that a simulation can drive it.
//!
//! The output is used only after the commit: a start that is sent before its claim is on disk could happen
//! twice.

mod far;
mod reconciling;

use std::collections::{BTreeMap, HashMap};

use super::adding::{AddAnswer, AddRequest, ClientRequest, add_requested};
use super::event_files::EventFile;
use super::gating::GateQuestion;
pub use far::{FarOrder, FarReport, FarTurn};

use super::mail::{self, Claim, ClaimedMail, Mailer};
use super::order::{RunFiles, pause_order, start_order};
use crate::domain::{
    EnvVar, MachineSize, MachineState, Requirement, RequirementId, RunId, Span, Timestamp, TriggerId, Usage,
};
use crate::engine::{
    AtGate, AttemptFacts, ClaimedFor, Dispatch, GateFacts, Plan, RunTimer, after_end, conclude, plan,
};
use crate::error::{Error, ErrorKind};
use crate::keeper::OutputId;
use crate::keeper::protocol::{Attempt, Ended, FromKeeper, KeeperId, KeeperInstance, Task, ToKeeper};
use crate::schedule::Zone;
use crate::store::{
    Act, Applied, AttemptEnd, EndedOutput, SourceNews, SourceStamp, Starter, Store, StoreError, StoreResult,
    Writer,
};

/// A run shorter than this ends before the commit that would start its successor. For such runs, successors
/// are prefetched.
const BRIEF: Span = Span::from_millis(100);

/// How many runs are prefetched for each brief run that ended in a turn. One takes its slot at once. Another
/// takes the slot of that one while the keeper waits for the orders of this turn.
const PREFETCHED_PER_BRIEF: usize = 2;

/// The most prefetched runs of a queue. A run of higher priority can start before them only after a recall.
const PREFETCHED_MAX: usize = 64;

/// The facts for a turn.
pub struct TurnInput<'a> {
    pub now: Timestamp,
    pub system_zone: &'a Zone,
    /// The slots of a queue without a width.
    pub default_slots: usize,
    pub machine: MachineSize,
    /// The keeper that takes orders. Without one, fires are recorded and nothing starts.
    pub keeper: Option<KeeperId>,
    pub living_keepers: &'a [KeeperInstance],
    /// The keepers with an exit marker.
    pub ended_keepers: &'a [KeeperInstance],
    /// The attempts whose pipes have a name, if a keeper has said hello.
    pub pipes: &'a [Attempt],
    /// The keeper's reports since the last turn.
    pub reports: &'a [FromKeeper],
    /// What is new of runs on other machines since the last turn.
    pub far: &'a [FarReport],
    /// The jobs that clients add.
    pub requests: &'a [ClientRequest<'a>],
    /// Returns whether the client of a request has hung up. Then it stores the job itself, or has died.
    pub has_hung_up: &'a dyn Fn(&AddRequest) -> bool,
    /// What the sources of events have to tell.
    pub news: &'a [SourceNews],
    /// The boot, and which states of the machine hold; `None`: no trigger wants to know.
    pub states: Option<(&'a str, &'a BTreeMap<MachineState, bool>)>,
    /// Looks at the outputs of an ended attempt; `true`: it has two.
    pub output: &'a dyn Fn(&Ended, bool) -> EndedOutput,
    /// Returns the result of an ended attempt, or why it is not taken.
    pub result: &'a dyn Fn(&Ended) -> Result<Option<String>, String>,
    /// Returns when an attempt that runs has last written; `None`: it has written nothing.
    pub last_output: &'a dyn Fn(Attempt) -> Option<Timestamp>,
    /// What is known of gates.
    pub gates: &'a GateFacts,
    /// Returns the environment of a process, as far as it can be read.
    pub environ: &'a dyn Fn(u32) -> Vec<EnvVar>,
    /// Runs and mails need a keeper that can seal their outputs.
    pub is_sealed: bool,
    /// Where the files of runs lie.
    pub files: RunFiles<'a>,
    /// Without one, mails wait.
    pub mailer: Option<&'a Mailer<'a>>,
}

/// What follows from a committed turn.
#[derive(Debug, Default)]
pub struct TurnOutput {
    /// The answers to the requests, in their order.
    pub answers: Vec<AddAnswer>,
    pub orders: Vec<ToKeeper>,
    /// A run waits for a slot.
    pub waiting: bool,
    /// A run could start at once, and is left to the next turn.
    pub has_room: bool,
    /// The time of the next turn: at the next fire, or at once.
    pub deadline: Option<Timestamp>,
    /// The attempts whose output file can be removed, because its content is in the run log or not needed.
    pub stored_outputs: Vec<OutputId>,
    /// The ended attempts, whose files for results can be removed.
    pub ended: Vec<Attempt>,
    /// It differs whenever other triggers listen to the sources of events.
    pub source_stamp: SourceStamp,
    /// The runs that wait at gates, of each requirement the first.
    pub at_gates: Vec<(AtGate, Requirement)>,
    /// The requirement whose gates a run has passed in this turn.
    pub passed_gate: Option<RequirementId>,
    /// The scripts of gates that are to be run.
    pub questions: Vec<GateQuestion>,
    /// Triggers whose paths are to be looked at again.
    pub stale: Vec<TriggerId>,
    /// The files with the events of runs that are about to start.
    pub event_files: Vec<EventFile>,
    /// The results of parents, for callbacks that are about to start.
    pub parent_results: Vec<(RunId, u32, String)>,
    /// How many mails were given up because there is no sendmail(8).
    pub unsendable_mails: usize,
    /// What is for hosts of executors.
    pub far: FarTurn,
    /// Messages for the log.
    pub notices: Vec<String>,
}

impl TurnInput<'_> {
    fn claimed_for(&self, claimed_for: KeeperInstance, greeted: KeeperId) -> ClaimedFor {
        if claimed_for == greeted.instance {
            ClaimedFor::Greeted
        } else if self.living_keepers.contains(&claimed_for) {
            ClaimedFor::Living
        } else if self.ended_keepers.contains(&claimed_for) {
            ClaimedFor::Ended
        } else {
            ClaimedFor::Gone
        }
    }

    /// Returns the keeper that runs and mails can be claimed for. A keeper of an earlier version only
    /// finishes its runs, and new ones wait for the next keeper.
    fn starter(&self) -> Option<KeeperId> {
        self.keeper.filter(|keeper| keeper.takes_starts(self.is_sealed))
    }
}

/// Takes one turn: ingests reports, follows up ends, adds jobs, decides, and makes orders.
///
/// # Errors
/// Nothing is changed if the store fails; the same reports must then be given to a later turn.
pub fn turn(store: &mut Store, input: &TurnInput<'_>) -> StoreResult<TurnOutput> {
    let (mut output, mails) = store.write(Act::of_daemon(input.now), |writer| {
        let mut turn = Turn { writer, input, output: TurnOutput::default(), brief: HashMap::new() };
        for report in input.reports {
            turn.ingest(report)?;
        }
        for report in input.far {
            turn.ingest_far(report)?;
        }
        writer.follow_up(after_end, input.now)?;
        for request in input.requests {
            let answer = turn.add_for_client(request)?;
            turn.output.answers.push(answer);
        }
        turn.hear_news()?;
        let applied = turn.decide()?;
        if input.keeper.is_some() {
            turn.give_orders(&applied)?;
        }
        let mails = turn.claim_mails()?;
        let deadline = turn.deadline()?;
        let mut output = TurnOutput { deadline, ..turn.output };
        output.far.executors = writer.executors()?;
        (output.source_stamp, output.stale) = (writer.source_stamp()?, writer.take_stale(turn.input.now)?);
        Ok::<_, StoreError>((output, mails))
    })?;
    // After the commit, because users are looked up and files are read for it, during which other writers
    // should not wait.
    if let Some(mailer) = input.mailer {
        output.orders.extend(mails.into_iter().map(|mail| mail.order(mailer, input.system_zone)));
    }
    Ok(output)
}

/// A turn inside its transaction.
struct Turn<'a> {
    writer: &'a Writer<'a>,
    input: &'a TurnInput<'a>,
    output: TurnOutput,
    /// How many brief runs have ended in each queue.
    brief: HashMap<String, usize>,
}

impl Turn<'_> {
    /// Adds a job for a client that still waits. It checks this under the write lock, so that a client that
    /// hangs up later finds the job.
    fn add_for_client(&self, client: &ClientRequest<'_>) -> StoreResult<AddAnswer> {
        let ClientRequest { request, uid } = client;
        if (self.input.has_hung_up)(request) {
            return Ok(Err(Error::new(ErrorKind::Conflict, "add job", "its client has hung up")));
        }
        self.writer.on_behalf_of(*uid, || {
            add_requested(self.writer, request, &|| self.input.machine, self.input.now)
        })
    }

    fn hear_news(&self) -> StoreResult<()> {
        for news in self.input.news {
            self.writer.hear_news(news, self.input.now)?;
        }
        if let Some((boot_id, states)) = self.input.states {
            self.writer.keep_states(boot_id, states.iter().map(|(state, holds)| (*state, *holds)))?;
        }
        self.writer.follow_up(after_end, self.input.now)
    }

    fn ingest(&mut self, report: &FromKeeper) -> StoreResult<()> {
        match report {
            FromKeeper::Hello { version, instance, known, ended } => {
                let keeper = KeeperId { instance: *instance, version: *version };
                self.reconcile(keeper, known, ended)?;
                ended.iter().try_for_each(|ended| self.record_result(ended))
            }
            FromKeeper::Started { attempt, pid, at } => self.record_start(*attempt, (*pid, *at)),
            FromKeeper::Ended(ended) => self.record_result(ended),
            FromKeeper::Unattended { attempt, keeper, pid, at } => {
                let Task::Run(run) = attempt.task else { return Ok(()) };
                self.notice(format!("run {run} is unattended: the keeper that started it is gone"));
                self.writer.record_unattended(run, attempt.number, *keeper, *pid, *at)?;
                self.book_found(run, *pid)
            }
            FromKeeper::Holds { attempt, share } => match attempt.run() {
                Some(run) if self.is_open(*attempt)? => self.writer.book(run, share),
                Some(_) | None => Ok(()),
            },
            FromKeeper::Delayed { attempt, cause } => {
                let task = match attempt.task {
                    Task::Run(run) => format!("start run {run}"),
                    Task::Mail(mail) => format!("send mail {mail}"),
                    Task::Gate(_) => "run the script of a gate".to_owned(),
                    Task::Executor(_) => "ask a host of an executor".to_owned(),
                };
                self.notice(format!("cannot {task} yet: {cause}; trying again for a minute"));
                Ok(())
            }
        }
    }

    fn notice(&mut self, notice: String) {
        self.output.notices.push(notice);
    }

    fn record_start(&self, attempt: Attempt, (pid, at): (u32, Timestamp)) -> StoreResult<()> {
        match attempt.task {
            Task::Run(run) => self.writer.record_start(run, attempt.number, pid, at),
            Task::Mail(_) | Task::Gate(_) | Task::Executor(_) => Ok(()),
        }
    }

    /// Returns whether the end of an attempt is still to be recorded.
    fn is_open(&self, attempt: Attempt) -> StoreResult<bool> {
        match attempt.task {
            Task::Run(run) => Ok(self.writer.open_attempt(run, attempt.number)?.is_some()),
            Task::Mail(mail) => self.writer.is_mail_open(mail),
            Task::Gate(_) | Task::Executor(_) => Ok(false),
        }
    }

    fn record_result(&mut self, ended: &Ended) -> StoreResult<()> {
        match ended.attempt.task {
            Task::Run(run) => self.record_run(run, ended, Some(ended.usage))?,
            Task::Mail(mail) => {
                let output = (self.input.output)(ended, false).stored.map(|output| output.stdout.data);
                let notice = mail::record_result(self.writer, mail, ended, output.as_deref())?;
                self.output.notices.extend(notice);
                self.output.stored_outputs.push(ended.attempt.stdout());
            }
            // Its answer was heard (see `gating`).
            Task::Gate(_) => self.output.stored_outputs.push(ended.attempt.stdout()),
            // It was heard too (see `executing`).
            Task::Executor(_) => {
                self.output.stored_outputs.extend([ended.attempt.stdout(), ended.attempt.stderr()]);
            }
        }
        self.acknowledge(ended.attempt);
        Ok(())
    }

    /// `usage`: `None` if nobody knows it.
    fn record_run(&mut self, run: RunId, ended: &Ended, usage: Option<Usage>) -> StoreResult<()> {
        // A committed result is reported again if its acknowledgement was lost with a daemon.
        let Some(open) = self.writer.open_attempt(run, ended.attempt.number)? else { return Ok(()) };
        let facts = AttemptFacts {
            run,
            attempt: ended.attempt.number,
            finished_at: ended.finished_at,
            stop_wanted: open.stop_wanted,
            retry: open.retry,
        };
        let conclusion = conclude(&ended.end, ended.stopped, &facts);
        let output = (self.input.output)(ended, open.is_split);
        if let Some(stored) = &output.stored {
            let stderr = stored.stderr.as_ref().map(|_| ended.attempt.stderr());
            self.output.stored_outputs.extend([ended.attempt.stdout()].into_iter().chain(stderr));
        }
        let result = (self.input.result)(ended).unwrap_or_else(|cause| {
            self.notice(format!("the result of run {run} is not taken: {cause}"));
            None
        });
        self.output.ended.push(ended.attempt);
        let end = AttemptEnd {
            run,
            result,
            attempt: ended.attempt.number,
            recorded_start: open.recorded_start,
            started: ended.started_at.map(|at| (ended.pid, at)),
            finished_at: ended.finished_at,
            usage,
            output_bytes: Some(ended.output_bytes),
            output,
        };
        self.writer.record_end(&end, &conclusion)?;
        if ended.started_at.is_some_and(|at| ended.finished_at.since(at) < BRIEF) {
            *self.brief.entry(open.queue).or_default() += 1;
        }
        Ok(())
    }

    fn acknowledge(&mut self, attempt: Attempt) {
        match self.output.orders.last_mut() {
            Some(ToKeeper::Acknowledge { attempts }) => attempts.push(attempt),
            _ => self.output.orders.push(ToKeeper::Acknowledge { attempts: vec![attempt] }),
        }
    }

    fn decide(&mut self) -> StoreResult<Applied> {
        let TurnInput { now, system_zone, default_slots, machine, .. } = *self.input;
        let starter = self.input.starter();
        let mut applied = Applied::default();
        let mut gates = self.input.gates.clone();
        loop {
            let prefetch_max = |queue: &str| self.prefetch_max(queue);
            let facts = starter.map(|keeper| Starter {
                keeper: keeper.instance,
                default_slots,
                machine,
                can_book: keeper.knows_requirements(self.input.is_sealed),
                gates: &gates,
                prefetch_max: &prefetch_max,
            });
            let mut snapshot = self.writer.snapshot(now, system_zone, facts)?;
            snapshot.run_timers = self.due_run_timers()?;
            let plan: Plan = plan(now, &snapshot);
            for (job, reason) in &plan.broken {
                self.notice(format!("job {job} is paused, its schedule cannot be read: {reason}"));
            }
            let claim_for = starter.map(|keeper| keeper.instance);
            self.writer.apply(&plan, claim_for, now, &mut applied)?;
            self.writer.follow_up(after_end, now)?;
            (self.output.waiting, self.output.has_room) = (plan.waiting, plan.has_room);
            self.stand_at_gates(&plan, &snapshot.dispatch)?;
            self.output.far.sought = plan.sought;
            gates.is_shut |= plan.passed_gate.is_some();
            if !plan.more {
                return Ok(applied);
            }
        }
    }

    fn stand_at_gates(&mut self, plan: &Plan, dispatch: &Dispatch) -> StoreResult<()> {
        self.output.at_gates.clear();
        for wait in &plan.at_gates {
            self.output.at_gates.push((*wait, dispatch.requirements[&wait.requirement].clone()));
            // An earlier keeper would take such an order for garbage.
            if wait.asks && self.input.keeper.is_some_and(|it| it.knows_requirements(self.input.is_sealed)) {
                let (job, _) = self.writer.definition(wait.job)?;
                self.output.questions.push(GateQuestion {
                    requirement: wait.requirement,
                    job,
                    job_id: wait.job,
                });
            }
        }
        self.output.passed_gate = plan.passed_gate.or(self.output.passed_gate);
        Ok(())
    }

    /// Returns the triggers that are to look at a run now, with what they see of its output.
    fn due_run_timers(&self) -> StoreResult<Vec<RunTimer>> {
        // A keeper that has not said hello may have the end of such a run.
        if self.input.keeper.is_none() {
            return Ok(Vec::new());
        }
        let mut timers = self.writer.due_run_timers(self.input.now)?;
        for timer in timers.iter_mut().filter(|timer| timer.silence.is_some()) {
            timer.written_at = (self.input.last_output)(Attempt::of_run(timer.run, timer.attempt));
        }
        Ok(timers)
    }

    /// Returns when the next turn is due.
    fn deadline(&self) -> StoreResult<Option<Timestamp>> {
        if self.output.has_room {
            return Ok(Some(self.input.now));
        }
        // Without a keeper, no trigger looks at a run. Its hello leads to a turn.
        let look = if self.input.keeper.is_some() { self.writer.next_run_timer()? } else { None };
        let stale = self.writer.next_stale(self.input.now)?;
        // One that is over is looked at when its gate was measured.
        let ends = self.output.at_gates.iter().filter_map(|(wait, _)| wait.until);
        let gate = ends.filter(|until| *until > self.input.now).min();
        Ok([self.writer.next_deadline()?, look, stale, gate].into_iter().flatten().min())
    }

    /// Returns how many runs of a queue may be prefetched.
    fn prefetch_max(&self, queue: &str) -> usize {
        let ended = self.brief.get(queue).copied().unwrap_or(0);
        (ended * PREFETCHED_PER_BRIEF).min(PREFETCHED_MAX)
    }

    fn give_orders(&mut self, applied: &Applied) -> StoreResult<()> {
        for (run, number, now) in self.writer.take_stops()? {
            self.output.orders.push(ToKeeper::Stop { attempt: Attempt::of_run(run, number), now });
        }
        // An earlier keeper cannot: they wait for the next one.
        if self.input.keeper.is_some_and(KeeperId::takes_signals) {
            let pauses = self.writer.take_pauses()?;
            self.output.orders.extend(pauses.into_iter().map(pause_order));
        }
        for (run, share) in &applied.given {
            let attempt = Attempt::of_run(*run, self.writer.attempt_number(*run)?);
            self.output.orders.push(ToKeeper::Give { attempt, share: share.clone() });
        }
        for run in &applied.unclaimed {
            let number = self.writer.attempt_number(*run)?;
            self.output.orders.push(ToKeeper::Recall { attempt: Attempt::of_run(*run, number) });
        }
        self.writer.has_recalled()?;
        let mut starts = Vec::new();
        for run in &applied.claimed {
            let start = self.writer.start(*run)?;
            let result = start.parent.as_ref().and_then(|parent| parent.result.clone());
            self.output.parent_results.extend(result.map(|result| (start.run, start.attempt, result)));
            if let Some(events) = &start.events {
                let attempt = Attempt::of_run(start.run, start.attempt);
                let (user, events) = (start.job.execution.user.clone(), events.clone());
                self.output.event_files.push(EventFile { attempt, user, events });
            }
            starts.push(start_order(start, self.input.default_slots, self.input.files));
        }
        // A start carries the width of its queue. Without one, prefetched runs would keep to the last width.
        for (queue, slots) in &applied.widths {
            let names =
                |order: &ToKeeper| matches!(order, ToKeeper::Start(start, _) if start.queue == *queue);
            if !starts.iter().any(names) {
                let slots = u32::try_from(*slots).unwrap_or(u32::MAX);
                self.output.orders.push(ToKeeper::Resize { queue: queue.clone(), slots });
            }
        }
        self.output.orders.extend(starts);
        self.give_far_orders(applied)?;
        Ok(())
    }

    fn claim_mails(&mut self) -> StoreResult<Vec<ClaimedMail>> {
        let (Some(starter), Some(mailer)) = (self.input.starter(), self.input.mailer) else {
            return Ok(Vec::new());
        };
        match mail::claim(self.writer, starter.instance, mailer)? {
            Claim::Mails(mails) => Ok(mails),
            Claim::GivenUp(mails) => {
                self.output.unsendable_mails = mails;
                Ok(Vec::new())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::domain::{CommandLine, Execution, JobId, NewJob, Outcome, RunId};
    use crate::keeper::protocol::{PROTOCOL_VERSION, VERSION_OF_STARTS};

    fn now() -> Timestamp {
        Timestamp::from_micros(1_772_000_000_000_000)
    }

    /// A store with one job that waits to be started.
    fn one_job() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = Store::open(dir.path()).expect("the directory is ours");
        let job = NewJob::of(Execution::of(CommandLine::Script(b"true".to_vec())));
        store
            .write(Act::of_daemon(now()), |writer| writer.add_job(&job, &[], None, now()))
            .expect("it is a good job");
        (dir, store)
    }

    fn take(store: &mut Store, keeper: KeeperInstance, ended_keepers: &[KeeperInstance]) -> TurnOutput {
        take_with(store, KeeperId { instance: keeper, version: PROTOCOL_VERSION }, ended_keepers)
    }

    fn take_with(store: &mut Store, keeper: KeeperId, ended_keepers: &[KeeperInstance]) -> TurnOutput {
        let reports = [hello(keeper)];
        let zone = Zone::utc();
        let world = TurnInput {
            now: now(),
            system_zone: &zone,
            default_slots: 1,
            machine: MachineSize { cpus: 1, memory: 1 << 30 },
            keeper: Some(keeper),
            living_keepers: &[keeper.instance],
            ended_keepers,
            pipes: &[],
            reports: &reports,
            far: &[],
            requests: &[],
            has_hung_up: &|_| false,
            news: &[],
            states: None,
            output: &|_, _| EndedOutput::default(),
            result: &|_| Ok(None),
            last_output: &|_| None,
            gates: &GateFacts::default(),
            environ: &|_| Vec::new(),
            is_sealed: false,
            files: RunFiles { results: Path::new("/"), events: Path::new("/") },
            mailer: None,
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

    fn starts(done: &TurnOutput) -> usize {
        done.orders.iter().filter(|order| matches!(order, ToKeeper::Start(..))).count()
    }

    fn outcome(store: &mut Store) -> Option<Outcome> {
        let run = RunId { job: JobId(1), number: 1 };
        store.read(|reader| reader.run(run)).expect("the store is whole").expect("it has one run").outcome
    }

    fn seeks(done: &TurnOutput) -> usize {
        done.orders.iter().filter(|order| matches!(order, ToKeeper::Seek(_))).count()
    }

    #[test]
    fn a_run_claimed_for_a_keeper_that_is_gone_is_looked_for_by_a_keeper_that_can() {
        let (_dir, mut store) = one_job();
        assert_eq!(starts(&take(&mut store, 1, &[])), 1);
        let old = take_with(&mut store, KeeperId { instance: 2, version: VERSION_OF_STARTS - 1 }, &[]);
        assert_eq!((starts(&old), seeks(&old)), (0, 0));
        let new = take(&mut store, 3, &[]);
        assert_eq!((starts(&new), seeks(&new)), (0, 1));
        assert_eq!(outcome(&mut store), None);
    }

    #[test]
    fn nothing_is_claimed_for_the_keeper_of_an_earlier_taskq() {
        let (_dir, mut store) = one_job();
        let done = take_with(&mut store, KeeperId { instance: 1, version: VERSION_OF_STARTS - 1 }, &[]);
        assert_eq!((starts(&done), done.has_room, done.deadline), (0, false, None));
        assert_eq!(starts(&take(&mut store, 2, &[])), 1);
    }

    #[test]
    fn a_run_that_needs_a_resource_waits_for_a_keeper_that_knows_what_that_is() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = Store::open(dir.path()).expect("the directory is ours");
        let mut job = NewJob::of(Execution::of(CommandLine::Script(b"true".to_vec())));
        job.requirement.needs = "cpu=1".parse().expect("needs");
        store
            .write(Act::of_daemon(now()), |writer| writer.add_job(&job, &[], None, now()))
            .expect("it is a good job");
        let old = KeeperId { instance: 1, version: VERSION_OF_STARTS };
        assert!(old.takes_starts(false) && !old.knows_requirements(false));
        assert_eq!(starts(&take_with(&mut store, old, &[])), 0);
        assert_eq!(starts(&take(&mut store, 2, &[1])), 1);
    }

    #[test]
    fn a_run_claimed_for_a_keeper_that_left_with_nothing_to_keep_is_started_by_the_next() {
        let (_dir, mut store) = one_job();
        assert_eq!(starts(&take(&mut store, 1, &[])), 1);
        assert_eq!(starts(&take(&mut store, 2, &[9, 1])), 1);
        assert_eq!(outcome(&mut store), None);
    }
}
