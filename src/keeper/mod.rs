//! Owns: the processes of runs, and the feeders of the daemon: the only fork, signal and wait in the program.
//! Never: the database, schedules, or the meaning of a result.

mod account;
mod attempt;
mod cgroup;
mod channel;
mod copier;
mod delegation;
mod drain;
mod enforcement;
mod env_file;
mod exit_marker;
mod extras;
mod feeder;
mod given_output;
mod input;
mod limits;
pub mod lock;
mod output;
mod output_files;
mod output_names;
mod output_times;
mod path_search;
mod pipe;
mod present_use;
mod process;
mod procfs;
pub mod protocol;
mod reach;
pub mod roster;
mod scope;
mod search;
mod server;
mod setup;
mod spawn_error;
pub mod stopping;
mod sys;
pub mod wire;

pub use channel::Channel;
pub use enforcement::{Unenforceable, check_enforceable};
pub use exit_marker::{exit_markers, remove_exit_markers};
pub use feeder::{Feeder, FeederOrder, Outlet};
pub use limits::{DescriptorLimit, descriptor_limit, raise_descriptor_limit};
pub use output_files::{OutputView, growing_path};
pub use output_names::{OutputId, attempts_with_outputs, output_path, remove_output, remove_outputs_of};
pub use output_times::{OutputTimes, read_times};
pub use path_search::find_program;
pub use pipe::attempts_with_pipes;
pub use present_use::{PresentUse, present_use};
pub use procfs::environment;
pub use scope::ServiceUnit;
pub use server::{KeeperConfig, serve};
pub use setup::{adopt_stdin_listener, launch};

pub use crate::system::directory::LOG_DIRECTORY;
pub use crate::system::sockets::KEEPER as SOCKET;
