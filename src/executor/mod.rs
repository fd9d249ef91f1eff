//! Owns: everything that is sent to a far side, and the meaning of its answers.
//! Never: processes, clocks, storage, decisions about runs.
//!
//! A request is one POSIX sh program with its data, for the standard input of `sh -s`; an answer is what that
//! shell prints. How both get there is the transport: a local shell, or ssh(1). What starts a run over there
//! is the engine: a supervisor of its own, Slurm, or the user's templates.

mod answer;
mod encode;
mod held;
mod link;
#[cfg(test)]
mod link_world;
mod names;
mod news;
mod quote;
mod request;
mod slurm;
#[cfg(test)]
mod tests;
pub mod transport;

pub use answer::{Answer, FarState, FarStop, Greeting, Part};
pub use link::{Channel, Heard, Link};
pub use names::{FarName, InvalidFarName, StoreToken};
pub use news::{FarEnd, News};
pub use request::{Act, Engine, FarSignal, FarStart, Known, LookAt, Request};
pub use slurm::is_own_option as is_own_option_of_slurm;
