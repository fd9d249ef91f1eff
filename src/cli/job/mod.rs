//! Owns: from the texts of `add` and of its JSON lines to a job.
//! Never: storing it.

pub mod lines;
pub mod options;
pub mod text;
pub mod values;
