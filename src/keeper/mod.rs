//! Owns: the processes of runs: the only fork, signal and wait in the program.
//! Never: the database, schedules, or what a result means.

pub mod protocol;
