//! taskq runs commands at times and in queues. One binary and one SQLite file replace cron, at, batch and the
//! job-queue tools.
//!
//! Imports run one way: `domain` ← `schedule`, `crontab` ← `engine` ← `store`; `keeper` knows only `domain`;
//! `daemon` ties them; `cli` sits above. `tests/tidy.rs` checks this.
#![cfg_attr(test, allow(clippy::disallowed_types, reason = "tests start programs"))]

pub mod cli;
pub mod clock;
pub mod crontab;
pub mod daemon;
pub mod domain;
pub mod engine;
pub mod error;
pub mod executor;
pub mod keeper;
#[cfg(target_env = "gnu")]
mod maths;
pub mod memory;
mod process;
pub mod schedule;
pub mod seal;
mod shown;
pub mod store;
pub mod system;
pub mod watch;
