//! Owns: the far side, in real shells: what is sent to it, and what it answers.
//! Never: what follows from an answer (see `sim`).

#![allow(clippy::disallowed_types, reason = "tests start programs")]

#[path = "../shared/mod.rs"]
mod shared;

mod clusters;
mod ends;
mod fakes;
mod fence;
mod harness;
mod hosts;
mod looks;
mod templates;
