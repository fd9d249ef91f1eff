//! Owns: systemd's timers and their services: asking systemd for them, and making jobs of them.
//! Never: storing them (see `items`).

mod bus;
mod command;
mod jobs;
mod properties;
mod service;
mod timer;
mod unit_file;

pub use bus::{Bus, FoundTimers, TimerUnit, find_timers};
pub use jobs::timer_items;
