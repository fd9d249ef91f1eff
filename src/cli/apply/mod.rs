//! Owns: the jobs of a TOML file: reading them, comparing them with those of the store, and making these so.
//! Never: the meaning of a job's keys (see `cli::job`).

pub mod compare;
mod defaults;
mod entry;
pub mod file;
mod keep;
pub mod plan;
pub mod problem;
pub mod report;
pub mod store;
mod syntax;
