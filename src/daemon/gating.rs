//! Owns: when gates are measured, what their scripts have answered, and the second between two starts through
//! gates.
//! Never: reading the machine (see `watch`), what an open gate lets through (see `engine`).
//!
//! Gates are measured only while a run waits at one: once when it comes, then once a second.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::order::argv;
use crate::domain::{
    CommandLine, End, Gate, GateReading, JobId, NewJob, Requirement, RequirementId, Span, Timestamp,
};
use crate::engine::{AtGate, GateFacts, GateState};
use crate::keeper::protocol::{Attempt, Ended, FromKeeper, StartExtras, StartOrder, Task, ToKeeper};
use crate::watch::Backoff;

/// How often gates are measured at which runs wait, and the pause between two starts through gates.
const PERIOD: Duration = Duration::from_secs(1);

/// A measure is used by no turn that comes later.
const READING_AGE_MAX: Duration = Duration::from_millis(1_500);

/// A script is stopped after so long, which counts as no.
const SCRIPT_MAX: Span = Span::from_seconds(10);

/// How long after that it is killed.
const SCRIPT_KILL_AFTER: Span = Span::from_seconds(1);

/// The pause after a script's first no.
const SCRIPT_PAUSE: Duration = Duration::from_secs(1);

/// The keeper's queue of scripts. No job can use a name like this.
const QUEUE: &str = "@gate";

/// How many scripts run at once.
const AT_ONCE: u32 = 16;

/// The gates at which runs wait.
#[derive(Debug, Default)]
pub struct Gating {
    waits: BTreeMap<RequirementId, (AtGate, Requirement)>,
    readings: BTreeMap<Gate, GateReading>,
    /// When they were read.
    read_at: Option<Duration>,
    /// When a run has last started through a gate.
    passed_at: Option<Duration>,
    scripts: BTreeMap<RequirementId, Scripts>,
    /// The number of the last script that was given to a keeper.
    asked: u32,
}

/// The scripts of a requirement.
#[derive(Debug)]
struct Scripts {
    /// How many of them have answered yes in a row.
    yes: usize,
    state: Asked,
    backoff: Backoff,
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// A keeper has this attempt.
    Now(Attempt),
    /// The answer was yes. It counts until then.
    Yes(Duration),
    /// The answer was no. It is asked again then.
    No(Duration),
}

/// A script that is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateQuestion {
    pub requirement: RequirementId,
    /// The job whose script it is.
    pub job: NewJob,
    pub job_id: JobId,
}

impl Gating {
    /// Returns what is known at an instant of the monotonic clock.
    pub fn facts(&self, now: Duration) -> GateFacts {
        let is_fresh = self.read_at.is_some_and(|at| now < at + READING_AGE_MAX);
        let ids = |is_wanted: &dyn Fn(&Scripts) -> bool| -> BTreeSet<RequirementId> {
            self.scripts.iter().filter(|(_, scripts)| is_wanted(scripts)).map(|(id, _)| *id).collect()
        };
        GateFacts {
            readings: if is_fresh { self.readings.clone() } else { BTreeMap::new() },
            passed: ids(&|scripts| matches!(scripts.state, Asked::Yes(until) if now < until)),
            refused: ids(&|scripts| matches!(scripts.state, Asked::No(until) if now < until)),
            asked: ids(&|scripts| matches!(scripts.state, Asked::Now(_))),
            is_shut: self.passed_at.is_some_and(|at| now < at + PERIOD),
        }
    }

    /// Takes over what a turn has found, and returns the orders to run scripts.
    pub fn committed(
        &mut self,
        waits: Vec<(AtGate, Requirement)>,
        passed: Option<RequirementId>,
        questions: Vec<GateQuestion>,
        now: Duration,
    ) -> Vec<ToKeeper> {
        if let Some(id) = passed {
            self.passed_at = Some(now);
            self.scripts.remove(&id);
        }
        self.waits = waits.into_iter().map(|(wait, of)| (wait.requirement, (wait, of))).collect();
        let mut orders = self.stop_questions();
        if self.waits.is_empty() {
            (self.read_at, self.scripts) = (None, BTreeMap::new());
            self.readings.clear();
        }
        orders.extend(questions.into_iter().filter_map(|question| self.ask(question)));
        orders
    }

    /// Returns the orders to stop the scripts whose answer nobody needs any more.
    fn stop_questions(&mut self) -> Vec<ToKeeper> {
        let waits = &self.waits;
        let left = self
            .scripts
            .extract_if(.., |id, scripts| matches!(scripts.state, Asked::Now(_)) && !waits.contains_key(id));
        let stop = |(_, scripts): (RequirementId, Scripts)| match scripts.state {
            Asked::Now(attempt) => Some(ToKeeper::Stop { attempt, now: false }),
            Asked::Yes(_) | Asked::No(_) => None,
        };
        left.filter_map(stop).collect()
    }

    /// Returns the order to run the next script of a requirement.
    fn ask(&mut self, question: GateQuestion) -> Option<ToKeeper> {
        let GateQuestion { requirement: id, job, job_id } = question;
        let before = self.scripts.get(&id);
        if before.is_some_and(|scripts| matches!(scripts.state, Asked::Now(_))) {
            return None;
        }
        let yes = before.map_or(0, |scripts| scripts.yes);
        let backoff = before.map_or_else(|| Backoff::new(SCRIPT_PAUSE), |scripts| scripts.backoff);
        let (script, yes) = match job.requirement.scripts().nth(yes) {
            Some(script) => (script.to_vec(), yes),
            None => (job.requirement.scripts().next()?.to_vec(), 0),
        };
        self.asked = self.asked.wrapping_add(1);
        let attempt = Attempt { task: Task::Gate(id.0), number: self.asked };
        self.scripts.insert(id, Scripts { yes, state: Asked::Now(attempt), backoff });
        Some(order(attempt, script, job, job_id))
    }

    /// Hears the answers of scripts. Returns whether one is yes.
    pub fn hear(&mut self, reports: &[FromKeeper], now: Duration) -> bool {
        let mut has_heard = false;
        for report in reports {
            match report {
                FromKeeper::Ended(ended) => has_heard |= self.hear_answer(ended, now),
                // What another keeper was asked, this one may not know.
                FromKeeper::Hello { .. } => {
                    self.scripts.retain(|_, scripts| !matches!(scripts.state, Asked::Now(_)));
                }
                _ => {}
            }
        }
        has_heard
    }

    fn hear_answer(&mut self, ended: &Ended, now: Duration) -> bool {
        let Task::Gate(id) = ended.attempt.task else { return false };
        let id = RequirementId(id);
        let total = self.waits.get(&id).map_or(0, |(_, requirement)| requirement.scripts().count());
        let Some(scripts) =
            self.scripts.get_mut(&id).filter(|scripts| scripts.state == Asked::Now(ended.attempt))
        else {
            return false;
        };
        let is_yes = ended.end == End::Exited(0) && ended.stopped.is_none();
        if !is_yes {
            scripts.yes = 0;
            // However long it took to say so.
            scripts.state = Asked::No(now + scripts.backoff.wait_after(Duration::ZERO));
        } else if scripts.yes + 1 < total {
            scripts.yes += 1;
            // The next one is asked at once.
            scripts.state = Asked::No(now);
        } else {
            (scripts.yes, scripts.backoff) = (0, Backoff::new(SCRIPT_PAUSE));
            scripts.state = Asked::Yes(now + READING_AGE_MAX);
        }
        is_yes
    }

    /// Returns when gates are to be measured next; `None` while no run waits at one.
    pub fn next_look(&self) -> Option<Duration> {
        if self.waits.is_empty() {
            return None;
        }
        // Not before the next run may pass, so that one passes in each second.
        Some(self.read_at.map_or(Duration::ZERO, |at| at.max(self.passed_at.unwrap_or_default()) + PERIOD))
    }

    /// Measures the gates at which runs wait. Returns whether one may start now, or has waited for too long.
    pub fn look(
        &mut self,
        (now, wall): (Duration, Timestamp),
        measure: impl FnOnce(&BTreeSet<Gate>, Duration) -> BTreeMap<Gate, GateReading>,
    ) -> bool {
        let gates: BTreeSet<Gate> =
            self.waits.values().flat_map(|(_, requirement)| requirement.gates.iter().cloned()).collect();
        self.readings = measure(&gates, now);
        self.read_at = Some(now);
        let facts = self.facts(now);
        let may_start =
            |(wait, requirement): &(AtGate, Requirement)| match facts.state(wait.requirement, requirement) {
                GateState::Open => !facts.is_shut,
                GateState::Asks => true,
                GateState::Closed => wait.until.is_some_and(|until| until <= wall),
                GateState::Unknown => false,
            };
        self.waits.values().any(may_start)
    }
}

fn order(attempt: Attempt, script: Vec<u8>, job: NewJob, job_id: JobId) -> ToKeeper {
    let execution = job.execution;
    let mut env = execution.env;
    env.push(format!("TASKQ_JOB={job_id}").into_bytes());
    let order = StartOrder {
        attempt,
        queue: QUEUE.to_owned(),
        slots: AT_ONCE,
        argv: argv(CommandLine::Script(script)),
        env,
        cwd: execution.cwd,
        umask: execution.umask,
        timeout: Some(SCRIPT_MAX),
        kill_after: SCRIPT_KILL_AFTER,
    };
    let extras = StartExtras {
        user: execution.user,
        cwd_optional: execution.cwd_optional,
        log_limit: Some(NewJob::LOG_LIMIT_MIN),
        nice: execution.nice,
        env_file: execution.env_file,
        ..StartExtras::default()
    };
    ToKeeper::Start(order, extras)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::domain::Execution;

    const SECOND: Duration = Duration::from_secs(1);

    fn id() -> RequirementId {
        RequirementId(3)
    }

    fn requirement(texts: &[&str]) -> Requirement {
        let gate = |text: &&str| Gate::read(text.as_bytes(), Path::new("/")).expect(text);
        Requirement { gates: texts.iter().map(gate).collect(), ..Requirement::default() }
    }

    fn waits(requirement: &Requirement, asks: bool) -> Vec<(AtGate, Requirement)> {
        let until = Some(Timestamp::from_seconds(50));
        vec![(AtGate { requirement: id(), job: JobId(1), asks, until }, requirement.clone())]
    }

    fn question(requirement: &Requirement) -> Vec<GateQuestion> {
        let execution = Execution::of(CommandLine::Script(b"true".to_vec()));
        let job = NewJob { requirement: requirement.clone(), ..NewJob::of(execution) };
        vec![GateQuestion { requirement: id(), job, job_id: JobId(1) }]
    }

    /// Looks at the gates, all of which are open or closed. Returns whether a run may start.
    fn look(gating: &mut Gating, now: Duration, is_open: bool) -> bool {
        let wall = Timestamp::from_seconds(i64::try_from(now.as_secs()).expect("small"));
        gating.look((now, wall), |gates, _| {
            let measured = gates.iter().filter(|gate| !matches!(gate, Gate::Command(_)));
            measured.map(|gate| (gate.clone(), GateReading::of(is_open))).collect()
        })
    }

    fn ordered(orders: &[ToKeeper]) -> (Attempt, String) {
        let [ToKeeper::Start(order, _)] = orders else { panic!("one script: {orders:?}") };
        (order.attempt, String::from_utf8_lossy(&order.argv[2]).into_owned())
    }

    fn answer(attempt: Attempt, status: i32) -> Vec<FromKeeper> {
        let end = End::Exited(status);
        vec![FromKeeper::Ended(Ended::without_process(attempt, end, Timestamp::default()))]
    }

    #[test]
    fn gates_are_looked_at_when_a_run_comes_and_then_once_a_second_until_it_goes() {
        let (mut gating, requirement) = (Gating::default(), requirement(&["load<1"]));
        assert_eq!(gating.next_look(), None);
        gating.committed(waits(&requirement, false), None, vec![], 10 * SECOND);
        assert_eq!(gating.next_look(), Some(Duration::ZERO));
        assert!(!look(&mut gating, 10 * SECOND, false));
        assert_eq!(gating.next_look(), Some(11 * SECOND));
        assert!(look(&mut gating, 11 * SECOND, true));
        let state = |gating: &Gating, at| gating.facts(at).state(id(), &requirement);
        assert_eq!(state(&gating, 11 * SECOND), GateState::Open);
        // A measure that is too old says nothing.
        assert_eq!(state(&gating, 13 * SECOND), GateState::Unknown);
        gating.committed(vec![], Some(id()), vec![], 11 * SECOND);
        assert_eq!(gating.next_look(), None);
    }

    #[test]
    fn the_next_run_passes_a_second_later_and_the_end_of_a_wait_leads_to_a_turn() {
        let (mut gating, requirement) = (Gating::default(), requirement(&["load<1"]));
        gating.committed(waits(&requirement, false), Some(id()), vec![], 10 * SECOND);
        assert!(!look(&mut gating, 10 * SECOND - SECOND / 9, true));
        gating.committed(waits(&requirement, false), Some(id()), vec![], 10 * SECOND);
        assert_eq!(gating.next_look(), Some(11 * SECOND));
        assert!(look(&mut gating, 11 * SECOND, true));
        assert!(!look(&mut gating, 49 * SECOND, false));
        assert!(look(&mut gating, 50 * SECOND, false));
    }

    #[test]
    fn a_script_that_says_no_is_asked_again_after_longer_and_longer_pauses() {
        let (mut gating, requirement) = (Gating::default(), requirement(&["cmd:a"]));
        let mut now = 10 * SECOND;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            let orders = gating.committed(waits(&requirement, true), None, question(&requirement), now);
            let (attempt, script) = ordered(&orders);
            assert_eq!(
                (script.as_str(), gating.facts(now).state(id(), &requirement)),
                ("a", GateState::Unknown)
            );
            assert!(!gating.hear(&answer(attempt, 1), now));
            let state = |at| gating.facts(at).state(id(), &requirement);
            assert_eq!(state(now + pause * SECOND - SECOND / 2), GateState::Closed);
            assert_eq!(state(now + pause * SECOND), GateState::Asks, "after {pause} s");
            now += pause * SECOND;
        }
    }

    #[test]
    fn scripts_are_asked_one_after_the_other_and_their_yes_counts_for_a_moment() {
        let (mut gating, requirement) = (Gating::default(), requirement(&["cmd:a", "cmd:b"]));
        let now = 10 * SECOND;
        let ask = |gating: &mut Gating| {
            ordered(&gating.committed(waits(&requirement, true), None, question(&requirement), now))
        };
        let (first, script) = ask(&mut gating);
        assert_eq!((script.as_str(), gating.hear(&answer(first, 0), now)), ("a", true));
        let (second, script) = ask(&mut gating);
        // A late answer to the first one is no answer.
        assert!(!gating.hear(&answer(first, 0), now));
        assert_eq!((script.as_str(), gating.hear(&answer(second, 0), now)), ("b", true));
        assert_eq!(gating.facts(now).state(id(), &requirement), GateState::Open);
        assert_eq!(gating.facts(now + 2 * SECOND).state(id(), &requirement), GateState::Asks);
        let (third, script) = ask(&mut gating);
        assert_eq!(script, "a");
        // It is stopped when nobody waits for its answer any more.
        let stop = ToKeeper::Stop { attempt: third, now: false };
        assert_eq!(gating.committed(vec![], None, vec![], now), [stop]);
        let (third, _) = ask(&mut gating);
        // Another keeper was never asked.
        let (version, known, ended) = (8, Vec::new(), Vec::new());
        gating.hear(&[FromKeeper::Hello { version, instance: 1, known, ended }], now);
        assert!(!gating.hear(&answer(third, 0), now));
        assert_eq!(gating.facts(now).state(id(), &requirement), GateState::Asks);
    }
}
