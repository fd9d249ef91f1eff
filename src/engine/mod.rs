//! Owns: every decision about fires and runs, as functions from facts to plans.
//! Never: clocks, SQL, processes, or any other effect.

mod admit;
mod misfire;
mod plan;
mod recover;
mod retry;
mod snapshot;

pub use misfire::{Accounting, Pending, account, first_fire, first_free_fire, skip_paused};
pub use plan::{Fate, NewRun, Plan, plan};
pub use recover::{ClaimedFor, Recovery, recover};
pub use retry::{Conclusion, LOST, conclude};
pub use snapshot::{Candidate, Due, QueueState, Snapshot, StandBy, Unfinished};
