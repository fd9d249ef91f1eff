//! Owns: the outputs of an attempt, the names of their files in the log directory, and removing them.
//! Never: their content (see `output_files` and `output_times`), or pipes (see `pipe`).

use std::fs;
use std::path::{Path, PathBuf};

use super::protocol::{Attempt, Task};
use crate::domain::OutputKind;

/// The part of a name that tells a standard error of its own from the standard output.
pub(super) const STDERR: &str = ".stderr";

/// The end of the name of a ring.
const TAIL: &str = ".tail";

/// The end of the name of a file with times.
const TIMES: &str = ".times";

/// One of the files of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// What the head does not have.
    Ring,
    Head,
    Times,
}

/// One of the outputs of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputId {
    pub attempt: Attempt,
    pub kind: OutputKind,
}

impl Attempt {
    /// Returns the output that each attempt has.
    pub fn stdout(self) -> OutputId {
        self.output(OutputKind::Stdout)
    }

    /// Returns the output that only an attempt with `--split-output` has.
    pub fn stderr(self) -> OutputId {
        self.output(OutputKind::Stderr)
    }

    pub fn output(self, kind: OutputKind) -> OutputId {
        OutputId { attempt: self, kind }
    }
}

impl OutputId {
    /// Returns the name of a file of the output, with this ending.
    pub(super) fn name(self, suffix: &str) -> String {
        let Attempt { task, number } = self.attempt;
        format!("{task}.{number}{}{suffix}", self.mark())
    }

    /// Returns the name from which the key of the output follows. No other output of the store has it.
    pub(super) fn sealed_name(self) -> String {
        let Attempt { task, number } = self.attempt;
        let kind = match self.kind {
            OutputKind::Stdout => "stdout",
            OutputKind::Stderr => "stderr",
        };
        format!("{task}.{number}.{kind}")
    }

    fn mark(self) -> &'static str {
        match self.kind {
            OutputKind::Stdout => "",
            OutputKind::Stderr => STDERR,
        }
    }
}

/// Returns the path of an output: `JOB.N` in the log directory for the first attempt of a run,
/// `JOB.N.ATTEMPT` for the others, and `.stderr` after it for a standard error of its own.
pub fn output_path(log_dir: &Path, output: OutputId) -> PathBuf {
    log_dir.join(match output.attempt.number {
        1 => format!("{}{}", output.attempt.task, output.mark()),
        _ => output.name(""),
    })
}

/// Returns the path of the ring of an output.
pub(super) fn tail_path(log_dir: &Path, output: OutputId) -> PathBuf {
    log_dir.join(output.name(TAIL))
}

/// Returns the path of the times of an output.
pub(super) fn times_path(log_dir: &Path, output: OutputId) -> PathBuf {
    log_dir.join(output.name(TIMES))
}

/// Returns the output of which a file has this name, and which file it is.
pub(super) fn part_of_output(name: &str) -> Option<(OutputId, Part)> {
    let (name, part) = match (name.strip_suffix(TAIL), name.strip_suffix(TIMES)) {
        (Some(name), _) => (name, Part::Ring),
        (None, Some(name)) => (name, Part::Times),
        (None, None) => (name, Part::Head),
    };
    let (name, kind) = match name.strip_suffix(STDERR) {
        Some(name) => (name, OutputKind::Stderr),
        None => (name, OutputKind::Stdout),
    };
    let named = || {
        let (task, number) = name.rsplit_once('.')?;
        Some(Attempt { task: Task::from_name(task)?, number: number.parse().ok()? })
    };
    let attempt = match part {
        Part::Ring | Part::Times => named()?,
        Part::Head => match Task::from_name(name) {
            Some(task) => Attempt { task, number: 1 },
            None => named().filter(|attempt| attempt.number > 1)?,
        },
    };
    Some((attempt.output(kind), part))
}

fn attempt_of_output(name: &str) -> Option<Attempt> {
    part_of_output(name).map(|(output, _)| output.attempt)
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
pub fn remove_output(log_dir: &Path, output: OutputId) {
    let _ = fs::remove_file(output_path(log_dir, output));
    let _ = fs::remove_file(tail_path(log_dir, output));
    let _ = fs::remove_file(times_path(log_dir, output));
}

/// Removes the files of all outputs that an attempt may have.
pub fn remove_outputs_of(log_dir: &Path, attempt: Attempt) {
    remove_output(log_dir, attempt.stdout());
    remove_output(log_dir, attempt.stderr());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId};

    #[test]
    fn the_name_of_an_output_names_its_attempt() {
        let run = RunId { job: JobId(12), number: 3 };
        for (output, name, tail, times) in [
            (Attempt::of_run(run, 1).stdout(), "12.3", "12.3.1.tail", "12.3.1.times"),
            (Attempt::of_run(run, 2).stdout(), "12.3.2", "12.3.2.tail", "12.3.2.times"),
            (Attempt::of_mail(5).stdout(), "mail-5", "mail-5.1.tail", "mail-5.1.times"),
            (Attempt::of_run(run, 1).stderr(), "12.3.stderr", "12.3.1.stderr.tail", "12.3.1.stderr.times"),
            (Attempt::of_run(run, 2).stderr(), "12.3.2.stderr", "12.3.2.stderr.tail", "12.3.2.stderr.times"),
        ] {
            let log_dir = Path::new("/log");
            assert_eq!(output_path(log_dir, output), log_dir.join(name));
            assert_eq!(tail_path(log_dir, output), log_dir.join(tail));
            assert_eq!(times_path(log_dir, output), log_dir.join(times));
            let parts = [(name, Part::Head), (tail, Part::Ring), (times, Part::Times)];
            for (name, part) in parts {
                assert_eq!(part_of_output(name), Some((output, part)));
            }
        }
        let first = Attempt::of_run(run, 1);
        assert_eq!(
            [first.stdout().sealed_name(), first.stderr().sealed_name()],
            ["12.3.1.stdout", "12.3.1.stderr"]
        );
        assert_eq!(Attempt::of_mail(5).stdout().sealed_name(), "mail-5.1.stdout");
        for other in [
            "12.3.1",
            "12.3.0",
            "12.3.4.pipe",
            "12.3.pipe",
            "12",
            "12.3.tail",
            "12.3.1.stderr",
            "12.3.4.stderr.pipe",
            "12.stderr",
            "keeper-7.ended",
        ] {
            assert_eq!(attempt_of_output(other), None, "{other}");
        }
    }
}
