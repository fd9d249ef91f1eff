//! Owns: facts about the system: environment, users, machine, login sessions.
//! Never: the command line.

pub mod env;
pub mod login;
pub mod machine;
pub mod users;
