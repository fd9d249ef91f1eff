//! Owns: every decision about fires and runs, as functions from facts to plans; and statistics of runs.
//! Never: clocks, SQL, processes, or any other effect.

mod accounting;
mod admit;
mod after;
mod arrays;
mod callbacks;
mod dependencies;
mod due_nth;
mod event_fires;
mod fires;
mod gates;
mod listening;
mod mails;
mod misfire;
mod nth;
mod placing;
mod plan;
mod recover;
mod replan;
mod retention;
mod retry;
mod run_timers;
mod snapshot;
pub mod stats;
mod storms;
mod supply;
mod unmet;
mod waiting;

pub use accounting::{Accounting, Pending, account};
pub use after::{Effect, EndFacts, RunFacts, RunPart, TimesFacts, after_end, decayed_mean};
pub use arrays::ArrayFacts;
pub use callbacks::CallbackFacts;
pub use dependencies::{Awaited, AwaitedFire, AwaitingFire};
pub use due_nth::{NthFire, coming_nth};
pub use event_fires::{EventFire, EventFireFacts, fire_by_events};
pub use fires::{Compiled, Planned, first_fire, first_free_fire};
pub use gates::{AtGate, GateFacts, GateState};
pub use listening::{Counting, Heard, hear, timeout_after_step_back};
pub use mails::{OpenMail, pick_mails};
pub use nth::NthFacts;
pub use placing::{FarExecutor, FarHost};
pub use plan::{Claim, Fate, NewRun, Plan};
pub use recover::{ClaimedFor, Recovery, recover};
pub use replan::{
    DeadlineFacts, after_step_back, deadlines_after_step_back, follow_window, follow_zone, resume,
    run_timers_after_step_back,
};
pub use retention::{PastJob, PastRun, Retention, Verdict};
pub use retry::{
    AttemptFacts, AttemptOutcome, Conclusion, LOST, RetryingRun, conclude, retry_after_step_back,
};
pub use run_timers::{Look, RunTimer, Silence, USUAL_RUNS_MAX, usual_limit};
pub use snapshot::{Candidate, Dispatch, Due, Prefetched, QueueState, Snapshot, Unfinished};
pub use storms::SelfCaused;
pub use supply::Supply;
pub use unmet::{
    FarFacts, FarWait, Holder, HostWait, Idle, IdleFacts, ResourceWait, Service, SlotWait, Unmet, UnmetFacts,
    UnmetQueue, UnmetResources, first_idle, first_unmet,
};

pub use waiting::Waiting;

use crate::domain::Timestamp;

/// Decides the next step at `now`.
pub fn plan(now: Timestamp, snapshot: &Snapshot) -> Plan {
    if !snapshot.expired.is_empty() {
        return Plan { expired: snapshot.expired.clone(), more: true, ..Plan::default() };
    }
    if !snapshot.has_due() {
        return match snapshot.awaiting.as_slice() {
            [] => admit::admit(now, &snapshot.dispatch),
            awaiting => dependencies::decide(awaiting),
        };
    }
    Plan {
        retried: snapshot.due_retries.clone(),
        ended: snapshot.ended.clone(),
        timed_out: snapshot.timed_out.clone(),
        rested: snapshot.rested.clone(),
        looks: snapshot.run_timers.iter().map(|timer| run_timers::look(now, timer)).collect(),
        ..misfire::fire(now, &snapshot.due)
    }
}
