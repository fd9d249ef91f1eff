//! Owns: the findings of `doctor` and of `backup --check`: what is well with a store, and what is not.
//! Never: printing.

pub mod copies;
pub mod finding;
pub mod jobs;
pub mod surroundings;
