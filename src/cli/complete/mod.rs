//! Owns: completing a typed command line: which word is meant (`line`), what its value is (`kind`), and which
//! candidates it has (`answer`, with `words`, `names` and `events`).
//! Never: how a shell is asked and answers (see `generate::completions`).

pub mod answer;
mod candidate;
mod events;
mod kind;
mod line;
mod names;
pub mod quotes;
mod words;

#[cfg(test)]
mod tests;
