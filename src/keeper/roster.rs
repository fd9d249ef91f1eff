//! Owns: the keeper's table of attempts that stand by, run, or have ended without an acknowledgement, and the
//! order of its queues.
//! Never: processes, sockets, clocks. It is pure.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::domain::{End, Needs, Share, Timestamp};

use super::protocol::{Attempt, Ended, Known, OwnResources, StartExtras, StartOrder};
use super::stopping::Stopping;

/// An attempt that has a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub attempt: Attempt,
    /// The queue whose slot it holds.
    pub queue: String,
    /// Its process, also its process group and its session.
    pub pid: u32,
    pub started_at: Timestamp,
    /// The signals that it was and will be sent.
    pub stopping: Stopping,
    /// The variables that only its processes have in their environment.
    pub marks: Vec<Vec<u8>>,
    /// Another keeper started it, so that its exit status stays unknown.
    pub is_unattended: bool,
    /// What it has of the resources.
    pub share: Option<Share>,
    /// It has the share of a run that has ended, of which the daemon is told.
    pub has_taken_share: bool,
}

#[derive(Debug)]
enum State {
    StandsBy {
        queue: String,
    },
    Running {
        pid: u32,
    },
    /// Its first process is gone, and it waits for others, in its slot.
    Lingering(Running),
    /// Its processes are gone, and its output is on the way into its file.
    Settling {
        started: Option<(u32, Timestamp)>,
    },
    Ended(Ended),
}

#[derive(Debug, Default)]
struct Queue {
    slots: usize,
    running: usize,
    waiting: VecDeque<(StartOrder, StartExtras)>,
    /// The shares of runs that have just ended. What stands by takes them at once, or nobody does.
    given_back: Vec<Share>,
}

/// All attempts of the keeper. Each is in one state, and is forgotten only after an acknowledgement.
#[derive(Debug, Default)]
pub struct Roster {
    attempts: BTreeMap<Attempt, State>,
    running: HashMap<u32, Running>,
    queues: HashMap<String, Queue>,
}

impl Roster {
    /// Takes an order: it stands by at the end of its queue, which is returned. `None`: the attempt is
    /// known.
    pub fn enqueue(&mut self, order: StartOrder, extras: StartExtras) -> Option<String> {
        if self.attempts.contains_key(&order.attempt) {
            return None;
        }
        let name = order.queue.clone();
        self.attempts.insert(order.attempt, State::StandsBy { queue: name.clone() });
        let queue = self.queues.entry(name.clone()).or_default();
        queue.slots = width(order.slots);
        queue.waiting.push_back((order, extras));
        Some(name)
    }

    /// Gives a queue another width. One with nothing in it gets its width from its next order.
    pub fn resize(&mut self, queue: &str, slots: u32) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.slots = width(slots);
        }
    }

    /// Puts an order that could not be started just now back to the front of its queue. The share of another
    /// run that it had does not wait with it.
    pub fn put_back(&mut self, order: StartOrder, mut extras: StartExtras) {
        if extras.needs().is_some() {
            extras.set_share(None);
        }
        let queue = self.queues.entry(order.queue.clone()).or_default();
        queue.waiting.push_front((order, extras));
    }

    /// Gives a queue the width that an order names for an attempt that runs already.
    pub fn widen(&mut self, queue: &str, slots: u32) {
        self.queues.entry(queue.to_owned()).or_default().slots = width(slots);
    }

    /// Gives a share to an attempt that stands by for one, and returns its queue. `None`: it does not.
    pub fn give(&mut self, attempt: Attempt, share: Share) -> Option<String> {
        let Some(State::StandsBy { queue: name }) = self.attempts.get(&attempt) else { return None };
        let waiting = &mut self.queues.get_mut(name)?.waiting;
        let (_, extras) = waiting.iter_mut().find(|(order, _)| order.attempt == attempt)?;
        extras.resources = Some(Box::new(OwnResources { needs: Needs::default(), share: Some(share) }));
        Some(name.clone())
    }

    /// Takes the next order out of a queue that has a slot for it, and the share that it needs. It is to be
    /// `started` or `ended` at once.
    pub fn next(&mut self, queue: &str) -> Option<(StartOrder, StartExtras)> {
        let queue = self.queues.get_mut(queue).filter(|queue| queue.running < queue.slots)?;
        for at in 0..queue.waiting.len() {
            let Some(needs) = queue.waiting[at].1.needs() else { return queue.waiting.remove(at) };
            let part = |(at, share): (usize, &Share)| Some((at, share.part_for(needs)?));
            if let Some((from, part)) = queue.given_back.iter().enumerate().find_map(part) {
                // What it leaves of that share is the daemon's to give.
                queue.given_back.swap_remove(from);
                let (order, mut extras) = queue.waiting.remove(at)?;
                extras.set_share(Some(part));
                return Some((order, extras));
            }
        }
        None
    }

    /// An attempt has a process.
    pub fn started(&mut self, run: Running) {
        self.queues.entry(run.queue.clone()).or_default().running += 1;
        self.attempts.insert(run.attempt, State::Running { pid: run.pid });
        let replaced = self.running.insert(run.pid, run);
        assert!(replaced.is_none(), "a process id is given anew only after it was reaped");
    }

    /// Returns the run whose first process this is.
    pub fn led_by(&self, pid: u32) -> Option<&Running> {
        self.running.get(&pid)
    }

    /// Returns an attempt that has processes.
    pub fn run(&self, attempt: Attempt) -> Option<&Running> {
        match self.attempts.get(&attempt)? {
            State::Running { pid } => self.running.get(pid),
            State::Lingering(run) => Some(run),
            State::StandsBy { .. } | State::Settling { .. } | State::Ended(_) => None,
        }
    }

    /// As `run`.
    pub fn run_mut(&mut self, attempt: Attempt) -> Option<&mut Running> {
        match self.attempts.get_mut(&attempt)? {
            State::Running { pid } => self.running.get_mut(pid),
            State::Lingering(run) => Some(run),
            State::StandsBy { .. } | State::Settling { .. } | State::Ended(_) => None,
        }
    }

    /// Returns the runs whose first process has not ended.
    pub fn running(&self) -> impl Iterator<Item = &Running> {
        self.running.values()
    }

    /// Returns what stands by in a queue, the next one first.
    pub fn standing_by(&self, queue: &str) -> impl Iterator<Item = Attempt> {
        self.queues.get(queue).into_iter().flat_map(|queue| &queue.waiting).map(|(order, _)| order.attempt)
    }

    /// Returns the first process of an attempt, unless it has ended.
    pub fn pid_of(&self, attempt: Attempt) -> Option<u32> {
        match self.attempts.get(&attempt)? {
            State::Running { pid } => Some(*pid),
            State::StandsBy { .. } | State::Lingering(_) | State::Settling { .. } | State::Ended(_) => None,
        }
    }

    /// Returns whether anything is known of an attempt.
    pub fn knows(&self, attempt: Attempt) -> bool {
        self.attempts.contains_key(&attempt)
    }

    /// Returns whether any attempt has a process.
    pub fn has_running(&self) -> bool {
        self.queues.values().any(|queue| queue.running > 0)
    }

    /// An attempt of another keeper began and has ended unseen; it is to be `ended`.
    pub fn settle_unseen(&mut self, attempt: Attempt, started: Option<(u32, Timestamp)>) {
        self.attempts.insert(attempt, State::Settling { started });
    }

    /// A process has ended: frees its slot. The run is to be `ended`. `None`: the process was not a run's.
    pub fn leave(&mut self, pid: u32) -> Option<Running> {
        let run = self.running.remove(&pid)?;
        self.depart(&run);
        Some(run)
    }

    /// The first process of a run has ended, and others have not: the run keeps its slot.
    pub fn linger(&mut self, pid: u32) {
        let run = self.running.remove(&pid).expect("it ran");
        self.attempts.insert(run.attempt, State::Lingering(run));
    }

    /// Adds an attempt of another keeper, of which only other processes than the first are left.
    pub fn lingers(&mut self, run: Running) {
        self.queues.entry(run.queue.clone()).or_default().running += 1;
        self.attempts.insert(run.attempt, State::Lingering(run));
    }

    /// The last process of a run that was lingering has ended: frees its slot. The run is to be `ended`.
    pub fn leave_last(&mut self, attempt: Attempt) -> Option<Running> {
        let Some(State::Lingering(run)) = self.attempts.get(&attempt) else { return None };
        let run = run.clone();
        self.depart(&run);
        Some(run)
    }

    fn depart(&mut self, run: &Running) {
        self.attempts.insert(run.attempt, State::Settling { started: Some((run.pid, run.started_at)) });
        let queue = self.queues.get_mut(&run.queue).expect("a queue stays while a run holds a slot of it");
        queue.running -= 1;
        queue.given_back.extend(run.share.clone());
    }

    /// Takes an attempt that stands by out of its queue, to be `ended`. False: it does not stand by.
    pub fn withdraw(&mut self, attempt: Attempt) -> bool {
        let Some(State::StandsBy { queue: name }) = self.attempts.get(&attempt) else { return false };
        let name = name.clone();
        let queue = self.queues.get_mut(&name).expect("a queue stays while an order waits in it");
        queue.waiting.retain(|(order, _)| order.attempt != attempt);
        self.tidy(&name);
        true
    }

    /// An attempt is over; its result is kept until it is acknowledged.
    pub fn ended(&mut self, ended: Ended) {
        self.attempts.insert(ended.attempt, State::Ended(ended));
    }

    /// Returns what runs that have the share of another run have.
    pub fn taken_shares(&self) -> impl Iterator<Item = (Attempt, &Share)> {
        let lingering = self.attempts.values().filter_map(|state| match state {
            State::Lingering(run) => Some(run),
            State::StandsBy { .. } | State::Running { .. } | State::Settling { .. } | State::Ended(_) => None,
        });
        let runs = self.running.values().chain(lingering).filter(|run| run.has_taken_share);
        runs.filter_map(|run| Some((run.attempt, run.share.as_ref()?)))
    }

    /// What stands by in a queue has started as far as it can: forgets the shares that nobody took, and a
    /// queue that has nothing left in it, so that names do not pile up.
    pub fn tidy(&mut self, name: &str) {
        if let Some(queue) = self.queues.get_mut(name) {
            queue.given_back.clear();
        }
        if self.queues.get(name).is_some_and(|queue| queue.running == 0 && queue.waiting.is_empty()) {
            self.queues.remove(name);
        }
        if self.queues.is_empty() {
            self.queues.shrink_to_fit();
            self.running.shrink_to_fit();
        }
    }

    /// Forgets the result of an attempt, and tells whether its pipe may be removed. One that has not ended
    /// is left as it is; one that had no process has no pipe, and may soon have one: it may be started
    /// again.
    pub fn acknowledge(&mut self, attempt: Attempt) -> bool {
        match self.attempts.get(&attempt) {
            Some(State::Ended(ended)) => {
                let has_pipe = !matches!(ended.end, End::NotStarted | End::SpawnFailed { .. });
                self.attempts.remove(&attempt);
                has_pipe
            }
            Some(_) => false,
            // It is an earlier keeper's.
            None => true,
        }
    }

    /// Returns what runs or stands by.
    pub fn known(&self) -> Vec<Known> {
        let known = |(attempt, state): (&Attempt, &State)| {
            let started = match state {
                State::StandsBy { .. } => None,
                State::Running { pid } => Some((*pid, self.running[pid].started_at)),
                State::Lingering(run) => Some((run.pid, run.started_at)),
                State::Settling { started } => *started,
                State::Ended(_) => return None,
            };
            Some(Known { attempt: *attempt, started })
        };
        self.attempts.iter().filter_map(known).collect()
    }

    /// Returns the unacknowledged results in the order of their ends.
    pub fn results(&self) -> Vec<Ended> {
        let ended = |state: &State| match state {
            State::Ended(ended) => Some(ended.clone()),
            State::StandsBy { .. } | State::Running { .. } | State::Lingering(_) | State::Settling { .. } => {
                None
            }
        };
        let mut results: Vec<Ended> = self.attempts.values().filter_map(ended).collect();
        results.sort_by_key(|ended| ended.finished_at);
        results
    }

    /// Returns whether a result is unacknowledged.
    pub fn has_results(&self) -> bool {
        self.attempts.values().any(|state| matches!(state, State::Ended(_)))
    }

    /// Returns whether anything waits for a slot.
    pub fn has_waiting(&self) -> bool {
        self.queues.values().any(|queue| !queue.waiting.is_empty())
    }

    /// Returns whether nothing runs, stands by, or is unacknowledged.
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }
}

fn width(slots: u32) -> usize {
    usize::try_from(slots).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{JobId, RunId, Span};
    use crate::keeper::protocol::Task;

    fn attempt(job: i64) -> Attempt {
        Attempt::of_run(RunId { job: JobId(job), number: 1 }, 1)
    }

    fn order(job: i64, queue: &str, slots: u32) -> StartOrder {
        StartOrder {
            attempt: attempt(job),
            queue: queue.to_owned(),
            slots,
            argv: vec![b"true".to_vec()],
            env: Vec::new(),
            cwd: b"/".to_vec(),
            umask: 0,
            timeout: None,
            kill_after: Span::ZERO,
        }
    }

    fn ended(job: i64) -> Ended {
        Ended::without_process(attempt(job), End::NotStarted, Timestamp::from_seconds(-job))
    }

    fn job(attempt: Attempt) -> i64 {
        let Task::Run(run) = attempt.task else { panic!("it is not a run: {attempt:?}") };
        run.job.0
    }

    /// Starts what may start in the queue, with the job as the process id, and returns what each has.
    fn start_all(roster: &mut Roster, queue: &str) -> Vec<(i64, String)> {
        let mut started = Vec::new();
        while let Some((order, extras)) = roster.next(queue) {
            let job = job(order.attempt);
            let share = extras.share().cloned();
            started.push((job, share.as_ref().map(ToString::to_string).unwrap_or_default()));
            roster.started(Running {
                attempt: order.attempt,
                queue: order.queue,
                pid: u32::try_from(job).expect("small"),
                started_at: Timestamp::default(),
                stopping: Stopping::new(Duration::ZERO, None, Duration::ZERO),
                marks: Vec::new(),
                is_unattended: false,
                share,
                has_taken_share: extras.needs().is_some(),
            });
        }
        started
    }

    fn fill(roster: &mut Roster, queue: &str) -> Vec<i64> {
        start_all(roster, queue).into_iter().map(|(job, _)| job).collect()
    }

    #[test]
    fn a_queue_starts_its_orders_in_turn_as_slots_come_free() {
        let mut roster = Roster::default();
        for job in 1..=4 {
            assert_eq!(roster.enqueue(order(job, "q", 2), StartExtras::default()).as_deref(), Some("q"));
        }
        roster.enqueue(order(9, "other", 1), StartExtras::default());
        assert_eq!((fill(&mut roster, "q"), fill(&mut roster, "other")), (vec![1, 2], vec![9]));
        roster.leave(2).expect("it ran");
        roster.ended(ended(2));
        assert_eq!(fill(&mut roster, "q"), [3]);
        let known = roster.known();
        assert_eq!(known.iter().map(|k| job(k.attempt)).collect::<Vec<_>>(), [1, 3, 4, 9]);
        assert_eq!(known.iter().filter(|k| k.started.is_none()).count(), 1);
    }

    #[test]
    fn the_newest_order_decides_how_wide_a_queue_is() {
        let mut roster = Roster::default();
        for job in 1..=3 {
            roster.enqueue(order(job, "q", 1), StartExtras::default());
        }
        assert_eq!(fill(&mut roster, "q"), [1]);
        roster.enqueue(order(4, "q", 3), StartExtras::default());
        assert_eq!(fill(&mut roster, "q"), [2, 3]);
    }

    #[test]
    fn a_queue_that_is_resized_starts_what_stands_by_or_starts_less() {
        let mut roster = Roster::default();
        for job in 1..=4 {
            roster.enqueue(order(job, "q", 1), StartExtras::default());
        }
        assert_eq!(fill(&mut roster, "q"), [1]);
        roster.resize("q", 3);
        assert_eq!(fill(&mut roster, "q"), [2, 3]);
        roster.resize("q", 2);
        roster.leave(1).expect("it ran");
        assert_eq!(fill(&mut roster, "q"), Vec::<i64>::new());
        roster.resize("unknown", 9);
        assert!(!roster.queues.contains_key("unknown"));
    }

    #[test]
    fn an_attempt_is_taken_once_until_its_result_is_acknowledged() {
        let mut roster = Roster::default();
        assert!(roster.enqueue(order(1, "q", 1), StartExtras::default()).is_some());
        assert!(roster.enqueue(order(1, "q", 1), StartExtras::default()).is_none());
        fill(&mut roster, "q");
        assert!(roster.enqueue(order(1, "q", 1), StartExtras::default()).is_none());
        assert!(!roster.acknowledge(attempt(1)));
        assert_eq!(roster.pid_of(attempt(1)), Some(1));
        roster.leave(1).expect("it ran");
        roster.ended(ended(1));
        assert!(roster.enqueue(order(1, "q", 1), StartExtras::default()).is_none());
        assert!(!roster.acknowledge(attempt(1)), "it has no pipe, and may be started again");
        assert!(roster.acknowledge(attempt(1)), "what is left of it is an earlier keeper's");
        roster.tidy("q");
        assert!(roster.is_empty() && roster.queues.is_empty());
    }

    #[test]
    fn a_run_whose_output_is_on_its_way_is_known_and_takes_no_slot() {
        let mut roster = Roster::default();
        roster.enqueue(order(1, "q", 1), StartExtras::default());
        roster.enqueue(order(2, "q", 1), StartExtras::default());
        fill(&mut roster, "q");
        roster.leave(1).expect("it ran");
        assert_eq!(fill(&mut roster, "q"), [2]);
        assert_eq!(roster.known()[0].started, Some((1, Timestamp::default())));
        assert_eq!((roster.pid_of(attempt(1)), roster.withdraw(attempt(1))), (None, false));
        assert!(!roster.acknowledge(attempt(1)), "its result was not reported");
    }

    #[test]
    fn a_run_that_waits_for_its_last_processes_keeps_its_slot_and_its_place_but_not_its_number() {
        let mut roster = Roster::default();
        roster.enqueue(order(1, "q", 1), StartExtras::default());
        roster.enqueue(order(2, "q", 1), StartExtras::default());
        fill(&mut roster, "q");
        roster.linger(1);
        assert_eq!((fill(&mut roster, "q"), roster.has_running()), (Vec::new(), true));
        assert_eq!(roster.known()[0].started, Some((1, Timestamp::default())));
        assert!(roster.led_by(1).is_none() && roster.run(attempt(1)).is_some());
        assert!(roster.leave_last(attempt(2)).is_none());
        roster.leave_last(attempt(1)).expect("it lingers");
        assert_eq!((fill(&mut roster, "q"), roster.run(attempt(1))), (vec![2], None));
    }

    fn needing(needs: &str, share: Option<&str>) -> StartExtras {
        let share = share.map(|share| serde_json::from_str(share).expect("a share"));
        let resources = OwnResources { needs: needs.parse().unwrap_or_default(), share };
        StartExtras { resources: Some(Box::new(resources)), ..StartExtras::default() }
    }

    /// Fills the queue as the keeper does: a share that nobody takes is gone.
    fn fill_with_shares(roster: &mut Roster, queue: &str) -> Vec<(i64, String)> {
        let started = start_all(roster, queue);
        roster.tidy(queue);
        started
    }

    #[test]
    fn an_order_that_needs_something_starts_only_in_the_place_of_one_that_has_it() {
        let mut roster = Roster::default();
        let two = r#"{"gpu":{"indices":[0,1]}}"#;
        roster.enqueue(order(1, "q", 3), needing("", Some(two)));
        roster.enqueue(order(2, "q", 3), StartExtras::default());
        roster.enqueue(order(3, "q", 3), needing("gpu=1", None));
        roster.enqueue(order(4, "q", 3), needing("gpu=1", None));
        roster.enqueue(order(5, "q", 3), StartExtras::default());
        let text = |job: i64, share: &str| (job, share.to_owned());
        // A slot is not enough, and those behind pass.
        assert_eq!(fill_with_shares(&mut roster, "q"), [text(1, "gpu=0,1"), text(2, ""), text(5, "")]);
        roster.leave(5).expect("it ran");
        assert_eq!(fill_with_shares(&mut roster, "q"), []);
        roster.leave(1).expect("it ran");
        // One share starts one order. What it leaves is the daemon's to give.
        assert_eq!(fill_with_shares(&mut roster, "q"), [text(3, "gpu=0")]);
        assert_eq!(roster.taken_shares().map(|(attempt, _)| job(attempt)).collect::<Vec<_>>(), [3]);
        assert_eq!(fill_with_shares(&mut roster, "q"), []);
        // A share that was not taken at once is gone.
        roster.leave(3).expect("it ran");
        roster.tidy("q");
        assert_eq!(fill_with_shares(&mut roster, "q"), []);
    }

    #[test]
    fn an_order_that_is_put_back_has_no_share_any_more() {
        let mut roster = Roster::default();
        roster.enqueue(order(1, "q", 1), needing("", Some(r#"{"gpu":{"indices":[0]}}"#)));
        roster.enqueue(order(2, "q", 1), needing("gpu=1", None));
        fill_with_shares(&mut roster, "q");
        roster.leave(1).expect("it ran");
        let (order, extras) = roster.next("q").expect("it has a share");
        roster.put_back(order, extras);
        roster.tidy("q");
        assert!(roster.next("q").is_none());
        assert_eq!(roster.standing_by("q").count(), 1);
        let share = serde_json::from_str(r#"{"gpu":{"indices":[5]}}"#).expect("a share");
        assert_eq!(roster.give(attempt(2), share).as_deref(), Some("q"));
        assert_eq!(fill_with_shares(&mut roster, "q"), [(2, "gpu=5".to_owned())]);
        assert_eq!((roster.give(attempt(2), Share::default()), roster.taken_shares().count()), (None, 0));
    }

    #[test]
    fn an_order_that_is_put_back_is_the_next_of_its_queue() {
        let mut roster = Roster::default();
        for job in 1..=2 {
            roster.enqueue(order(job, "q", 1), StartExtras::default());
        }
        let (first, extras) = roster.next("q").expect("it has a slot");
        roster.put_back(first, extras);
        assert_eq!(fill(&mut roster, "q"), [1]);
    }

    #[test]
    fn only_what_stands_by_can_be_withdrawn() {
        let mut roster = Roster::default();
        roster.enqueue(order(1, "q", 1), StartExtras::default());
        roster.enqueue(order(2, "q", 1), StartExtras::default());
        fill(&mut roster, "q");
        assert!(!roster.withdraw(attempt(1)) && roster.withdraw(attempt(2)) && !roster.withdraw(attempt(3)));
        roster.ended(ended(2));
        assert!(!roster.withdraw(attempt(2)));
        roster.leave(1).expect("it ran");
        assert_eq!(fill(&mut roster, "q"), Vec::<i64>::new());
    }

    #[test]
    fn results_are_reported_in_the_order_of_their_ends() {
        let mut roster = Roster::default();
        for job in 1..=3 {
            roster.ended(ended(job));
        }
        assert_eq!(roster.results().iter().map(|e| job(e.attempt)).collect::<Vec<_>>(), [3, 2, 1]);
    }
}
