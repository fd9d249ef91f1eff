//! Owns: a stored run as a start for the host of an executor.
//! Never: when it is sent (see `executing`), its encoding (see `executor`).

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::event_files;
use super::order::{argv, environment};
use crate::domain::{EnvVar, Needs, Share, Stdin};
use crate::error::describe;
use crate::executor::{FarName, FarStart};
use crate::keeper::protocol::Attempt;
use crate::keeper::{LogDirectory, OutputView, read_env_file};
use crate::store::{RunInput, Start};

/// The longest standard input that is sent, in bytes.
const STDIN_BYTES_MAX: u64 = 64 << 20;

/// Makes the start of a run. `log`: the directory of the output files, where an input may lie.
///
/// # Errors
/// Returns why it cannot start, for the user: a file that it reads here is not there.
pub(super) fn far_start(start: Start, name: FarName, log: &LogDirectory) -> Result<FarStart, String> {
    let mut env = environment(&start, None);
    env.extend(start.share.as_ref().map(Share::variables).unwrap_or_default());
    let execution = start.job.execution;
    if let Some(path) = &execution.env_file {
        let found: Vec<EnvVar> = read_env_file(path)?;
        env.extend(found);
    }
    let stdin = match start.input {
        Some(RunInput::Text(text)) => text,
        Some(RunInput::OutputOf(run, attempt)) => output_of(log, Attempt::of_run(run, attempt))?,
        Some(RunInput::OfArray(job)) => return Err(format!("job {job} is an array, and has no output")),
        None => match execution.stdin {
            Stdin::Null => Vec::new(),
            Stdin::Text(text) => text,
            Stdin::Path(path) => {
                let path = Path::new(std::ffi::OsStr::from_bytes(&path));
                let file = File::open(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
                read_all(file).map_err(|cause| format!("`{}`: {cause}", path.display()))?
            }
        },
    };
    let events =
        start.events.as_ref().map(|events| ("TASKQ_EVENT_FILE".to_owned(), event_files::lines(events)));
    Ok(FarStart {
        name,
        job: start.job.name.map_or_else(|| start.run.job.to_string(), |name| name.to_string()),
        argv: argv(execution.command),
        env,
        cwd: Some(execution.cwd),
        cwd_optional: execution.cwd_optional,
        umask: execution.umask,
        nice: execution.nice,
        stdin,
        files: events.into_iter().collect(),
        timeout: start.job.policy.timeout,
        kill_after: start.job.policy.kill_after,
        needs: needs(&start.job.requirement.needs),
        split_output: start.job.split_output,
    })
}

fn needs(needs: &Needs) -> Vec<(String, u64)> {
    needs.iter().map(|(name, amount)| (name.to_string(), amount)).collect()
}

fn output_of(log: &LogDirectory, attempt: Attempt) -> Result<Vec<u8>, String> {
    let gone = || format!("the output of run {} is gone", attempt.task);
    let view = OutputView::open(log, attempt.stdout()).map_err(|error| describe(&error))?;
    read_all(view.ok_or_else(gone)?)
}

fn read_all(from: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(STDIN_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| describe(&error))?;
    if bytes.len() as u64 > STDIN_BYTES_MAX {
        return Err("it has more than 64 MiB, the longest standard input that goes to a host".to_owned());
    }
    Ok(bytes)
}
