//! Owns: the names of the files of an output in the log directory, and removing them.
//! Never: their content (see `output_files` and `output_times`), or pipes (see `pipe`).

use std::fs;
use std::path::{Path, PathBuf};

use super::protocol::{Attempt, Task};

/// The end of the name of a ring.
const TAIL: &str = ".tail";

/// The end of the name of a file with times.
const TIMES: &str = ".times";

/// Returns the path of an attempt's output: `JOB.N` in the log directory for the first attempt of a run,
/// `JOB.N.ATTEMPT` for the others.
pub fn output_path(log_dir: &Path, attempt: Attempt) -> PathBuf {
    log_dir.join(match attempt.number {
        1 => attempt.task.to_string(),
        number => format!("{}.{number}", attempt.task),
    })
}

/// Returns the path of the ring of an attempt's output.
pub(super) fn tail_path(log_dir: &Path, attempt: Attempt) -> PathBuf {
    log_dir.join(format!("{}.{}{TAIL}", attempt.task, attempt.number))
}

/// Returns the path of the times of an attempt's output.
pub(super) fn times_path(log_dir: &Path, attempt: Attempt) -> PathBuf {
    log_dir.join(format!("{}.{}{TIMES}", attempt.task, attempt.number))
}

/// Returns the attempt whose output, or the tail or the times of it, has this name.
fn attempt_of_output(name: &str) -> Option<Attempt> {
    if let Some(name) = name.strip_suffix(TAIL).or(name.strip_suffix(TIMES)) {
        let (task, number) = name.rsplit_once('.')?;
        return Some(Attempt { task: Task::from_name(task)?, number: number.parse().ok()? });
    }
    if let Some(task) = Task::from_name(name) {
        return Some(Attempt { task, number: 1 });
    }
    let (task, number) = name.rsplit_once('.')?;
    let attempt = Attempt { task: Task::from_name(task)?, number: number.parse().ok()? };
    (attempt.number > 1).then_some(attempt)
}

/// Returns the attempts of which there are outputs in the log directory, each once.
pub fn attempts_with_outputs(log_dir: &Path) -> Vec<Attempt> {
    let entries = fs::read_dir(log_dir).into_iter().flatten().flatten();
    let mut attempts: Vec<Attempt> =
        entries.filter_map(|entry| attempt_of_output(entry.file_name().to_str()?)).collect();
    attempts.sort_unstable();
    attempts.dedup();
    attempts
}

/// Removes the files of an output. One that stays is removed at a later start of a daemon.
pub fn remove_output(log_dir: &Path, attempt: Attempt) {
    let _ = fs::remove_file(output_path(log_dir, attempt));
    let _ = fs::remove_file(tail_path(log_dir, attempt));
    let _ = fs::remove_file(times_path(log_dir, attempt));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId};

    #[test]
    fn the_name_of_an_output_names_its_attempt() {
        let run = RunId { job: JobId(12), number: 3 };
        for (attempt, name, tail) in [
            (Attempt::of_run(run, 1), "12.3", "12.3.1.tail"),
            (Attempt::of_run(run, 2), "12.3.2", "12.3.2.tail"),
            (Attempt::of_mail(5), "mail-5", "mail-5.1.tail"),
        ] {
            let log_dir = Path::new("/log");
            assert_eq!(output_path(log_dir, attempt), log_dir.join(name));
            assert_eq!(tail_path(log_dir, attempt), log_dir.join(tail));
            assert_eq!([name, tail].map(attempt_of_output), [Some(attempt); 2]);
        }
        for other in ["12.3.1", "12.3.0", "12.3.4.pipe", "12.3.pipe", "12", "12.3.tail", "keeper-7.ended"] {
            assert_eq!(attempt_of_output(other), None, "{other}");
        }
    }
}
