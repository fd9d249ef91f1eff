//! The keeper as a real process: its promises to the daemon and to the jobs.
#![allow(clippy::disallowed_types, reason = "tests start programs")]

mod ends;
mod extras;
mod feeder;
mod feeding;
mod harness;
mod jobs;
mod resources;
mod sealed;
#[path = "../shared/mod.rs"]
mod shared;
mod split;
mod talk;
