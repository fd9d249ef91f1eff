//! Owns: files that are generated from the definitions of the options: completions and manual pages.
//! Never: the definitions.

pub mod completions;
pub mod man;
