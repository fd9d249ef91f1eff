//! Owns: the daemon as a service of systemd: its unit, and what systemd knows of it.
//! Never: the verbs.

pub mod credential;
pub mod systemctl;
pub mod unit;
