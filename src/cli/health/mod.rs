//! Owns: the findings of `doctor`: what is well with a store and its surroundings, and what is not.
//! Never: printing.

pub mod finding;
pub mod jobs;
pub mod surroundings;
