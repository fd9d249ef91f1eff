//! The keeper as a real process: what it promises to the daemon and to the jobs.

mod harness;
mod jobs;
mod talk;
