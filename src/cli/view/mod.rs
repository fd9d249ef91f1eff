//! Owns: the content of tables, JSON and messages about jobs, runs and queues.
//! Never: columns, colours and streams (see `output`).

pub mod bars;
pub mod changes;
pub mod coming;
pub mod daylight;
pub mod ending;
pub mod events;
pub mod executors;
pub mod json;
pub mod metrics;
pub mod options;
pub mod resources;
pub mod rounds;
pub mod run_output;
#[cfg(test)]
pub mod samples;
pub mod stamper;
pub mod stats;
pub mod stats_json;
pub mod tables;
mod tail;
pub mod timeline;
pub mod times;
pub mod tree;
pub mod trend;
pub mod when;
pub mod why;
mod why_far;
mod why_requirement;
