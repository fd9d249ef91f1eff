//! Owns: files that are generated from the definitions: completions, manual pages and units of packages.
//! Never: the definitions.

pub mod completions;
pub mod man;
pub mod units;
