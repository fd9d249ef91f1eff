//! Owns: the processes of runs: the only fork, signal and wait in the program.
//! Never: the database, schedules, or the meaning of a result.

mod account;
mod channel;
mod copier;
mod drain;
mod exit_marker;
mod input;
mod limits;
pub mod lock;
mod output;
mod path_search;
mod pipe;
mod process;
mod procfs;
pub mod protocol;
mod reach;
pub mod roster;
mod search;
mod server;
mod setup;
mod spawn_error;
pub mod stopping;
mod sys;
pub mod wire;

use std::path::{Path, PathBuf};

pub use channel::Channel;
pub use exit_marker::{exit_markers, remove_exit_markers};
pub use limits::{DescriptorLimit, descriptor_limit, raise_descriptor_limit};
pub use path_search::find_program;
pub use pipe::attempts_with_pipes;
pub use server::{KeeperConfig, serve};
pub use setup::{adopt_stdin_listener, launch};

pub use crate::system::directory::LOG_DIRECTORY;
pub use crate::system::sockets::KEEPER as SOCKET;

use protocol::{Attempt, Task};

/// Returns the path of an attempt's output: `JOB.N` in the log directory for the first attempt of a run,
/// `JOB.N.ATTEMPT` for the others.
pub fn output_path(log_dir: &Path, attempt: Attempt) -> PathBuf {
    log_dir.join(match attempt.number {
        1 => attempt.task.to_string(),
        number => format!("{}.{number}", attempt.task),
    })
}

/// Returns the attempt whose output has this file name.
pub fn attempt_of_output(name: &str) -> Option<Attempt> {
    if let Some(task) = Task::from_name(name) {
        return Some(Attempt { task, number: 1 });
    }
    let (task, number) = name.rsplit_once('.')?;
    let attempt = Attempt { task: Task::from_name(task)?, number: number.parse().ok()? };
    (attempt.number > 1).then_some(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId};

    #[test]
    fn the_name_of_an_output_names_its_attempt() {
        let run = RunId { job: JobId(12), number: 3 };
        for (attempt, name) in [
            (Attempt::of_run(run, 1), "12.3"),
            (Attempt::of_run(run, 2), "12.3.2"),
            (Attempt::of_mail(5), "mail-5"),
        ] {
            assert_eq!(output_path(Path::new("/log"), attempt), Path::new("/log").join(name));
            assert_eq!(attempt_of_output(name), Some(attempt));
        }
        for other in ["12.3.1", "12.3.0", "12.3.4.pipe", "12.3.pipe", "12", "keeper-7.ended"] {
            assert_eq!(attempt_of_output(other), None, "{other}");
        }
    }
}
