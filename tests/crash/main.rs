//! Owns: the promises when real daemons, keepers and clients are killed by real signals.
//! Never: sleeping. Every test blocks on a FIFO, a line, a turn of the daemon or an exit, and panics after
//! `PATIENCE`.
#![allow(clippy::disallowed_types, reason = "tests start programs")]

mod backups;
mod cgroups;
mod check;
mod clients;
mod daemon_deaths;
mod disk;
mod far;
mod far_site;
mod harness;
mod keeper_deaths;
mod mails;
mod old_keeper;
mod outputs;
mod pauses;
mod places;
mod processes;
mod reach;
mod refusals;
mod retries;
mod scarcity;
#[path = "../shared/mod.rs"]
mod shared;
mod stopping;
mod storm;
mod tempest;
mod users;
mod versions;
