//! Owns: facts about the system: environment, users, machine, zones, login sessions; opened directories and
//! their sockets.
//! Never: the command line.

pub mod directory;
pub mod env;
pub mod key_file;
pub mod login;
pub mod machine;
pub mod manager;
pub mod sockets;
pub mod users;
pub mod zones;
