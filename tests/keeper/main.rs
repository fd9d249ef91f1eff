//! The keeper as a real process: what it promises to the daemon and to the jobs.

mod extras;
mod harness;
mod jobs;
#[path = "../shared/mod.rs"]
mod shared;
mod talk;
