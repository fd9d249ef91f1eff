//! Owns: the command line as its users meet it: the binary, in a home of its own, with nothing of the
//! caller's.
//! Never: what a lower level can check: schedules, policies and crashes have suites of their own.
//!
//! New snapshots: `INSTA_UPDATE=always cargo test --test cli`, then read the difference.
#![allow(clippy::disallowed_types, reason = "tests start programs")]

mod add;
mod apply;
mod apply_again;
mod arrays;
mod backup;
mod bad_input;
mod batch;
mod calendar;
mod callbacks;
mod completing;
mod control;
mod crontab;
mod daemon;
mod dependencies;
mod doctor;
mod enforcing;
mod environment;
mod events;
mod executors;
mod export;
mod export_environment;
mod export_events;
mod filter;
mod gates;
mod harness;
mod help;
mod import;
mod import_at;
mod import_others;
mod keyboard;
mod limits;
mod listening;
mod logs;
mod looking;
mod memory;
mod metrics;
mod names;
mod next;
mod pausing;
mod queues;
mod recipe;
mod recipes;
mod removing;
mod resources;
mod results;
mod retries;
mod retrying;
mod running;
mod sealing;
mod setting;
#[path = "../shared/mod.rs"]
mod shared;
mod shells;
mod signals;
mod slips;
mod split;
mod stats;
mod streams;
mod terminal;
mod timeline;
mod top;
mod under_way;
mod until_idle;
mod waiting;
mod watching;
mod why;
