//! Owns: making a job of the texts of `add`, or of a JSON line of `add --from`, and changing one by those of
//! `set`.
//! Never: storing it.

mod calendar;
pub mod change;
pub mod enforce;
mod far;
pub mod first_fires;
pub mod jitter;
pub mod keys;
mod line_keys;
pub mod lines;
pub mod notes;
pub mod on;
pub mod options;
mod policies;
pub mod text;
pub mod values;
