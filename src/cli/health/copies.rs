//! Owns: the findings about a copy of a store: whether it is whole.
//! Never: making one (see `daemon::backup`).
//!
//! Each function looks at one thing, and returns what is wrong with it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::domain::{OutputKind, RunId};
use crate::error::describe;
use crate::keeper::protocol::Attempt;
use crate::keeper::{LOG_DIRECTORY, LogDirectory, OutputView, Sealing};
use crate::shown::counted;
use crate::store::{OutputInFiles, Reader, Store, StoreError, StoreResult};

const STORE: &str = "store";
const FILES: &str = "files";
const OUTPUTS: &str = "outputs";

/// What helps against all of it.
const AGAIN: &str = "make another copy, and keep this one until you have it";

/// So many things of one kind have a line each.
const LINES_MAX: usize = 10;

/// Looks at a copy, which is read and not changed.
pub fn of_copy(dir: &Path) -> Vec<Finding> {
    let mut findings = of_database(dir);
    let modes = open_files(dir).map_or_else(
        |error| vec![Finding::fault(FILES, describe(&error), "run taskq as their owner")],
        |files| {
            lines(&files, "file", |path| {
                let path = path.display();
                Finding::fault(FILES, format!("`{path}` is open to others"), format!("`chmod go= {path}`"))
            })
        },
    );
    let is_closed = || Finding::ok(FILES, format!("only their owner can read those in `{}`", dir.display()));
    findings.extend(or_ok(modes, is_closed));
    findings
}

/// Returns findings, or, if there are none, that all is well.
fn or_ok(faults: Vec<Finding>, ok: impl FnOnce() -> Finding) -> Vec<Finding> {
    if faults.is_empty() { vec![ok()] } else { faults }
}

/// Returns a line for each thing, and of many one for the rest.
fn lines<T>(things: &[T], thing: &str, line: impl Fn(&T) -> Finding) -> Vec<Finding> {
    let mut findings: Vec<Finding> = things.iter().take(LINES_MAX).map(line).collect();
    if let (Some(last), Some(more)) = (findings.last(), things.len().checked_sub(LINES_MAX + 1)) {
        let text = format!("the same of {} more", counted(more + 1, thing));
        findings.push(Finding::fault(last.subject, text, AGAIN));
    }
    findings
}

fn of_database(dir: &Path) -> Vec<Finding> {
    let failed = |error: StoreError| vec![Finding::fault(STORE, error.to_string(), AGAIN)];
    let mut store = match Store::look(dir) {
        Ok(Some(store)) => store,
        Ok(None) => return vec![Finding::fault(STORE, "there is no database `taskq.db`", AGAIN)],
        Err(error) => return failed(error),
    };
    let looked = store.read(|reader| {
        let problems = of_content(reader)?;
        if !problems.is_empty() {
            // What is read of a damaged one may be anything.
            return Ok(problems);
        }
        let (sealing, sealed) = of_cells(reader)?;
        let log = LogDirectory::new(dir.join(LOG_DIRECTORY), sealing);
        let (jobs, runs) = reader.count_jobs_and_runs()?;
        let whole =
            format!("the database is whole, with {} and {}", counted(jobs, "job"), counted(runs, "run"));
        Ok([vec![Finding::ok(STORE, whole)], sealed, of_outputs(reader, &log)?].concat())
    });
    looked.unwrap_or_else(failed)
}

fn of_content(reader: &Reader<'_>) -> StoreResult<Vec<Finding>> {
    let damages = reader.integrity_problems()?;
    let mut findings = lines(&damages, "place", |damage| {
        Finding::fault(STORE, format!("the database is damaged: {damage}"), AGAIN)
    });
    findings.extend(reader.broken_references()?.into_iter().map(|(table, count)| {
        let rows = counted(count, "row");
        Finding::fault(
            STORE,
            format!("{rows} of the table `{table}` refer to rows that are not there"),
            AGAIN,
        )
    }));
    Ok(findings)
}

/// Looks at what is sealed, if it is, and returns how outputs are.
fn of_cells(reader: &Reader<'_>) -> StoreResult<(Sealing, Vec<Finding>)> {
    const KEY: &str = "key";
    match reader.output_keys() {
        Ok(None) => Ok((Sealing::Off, Vec::new())),
        Ok(keys) => {
            let damaged = reader.unopenable_cells()?;
            let faults = lines(&damaged, "column", |problem| Finding::fault(KEY, problem.as_str(), AGAIN));
            let ok = || Finding::ok(KEY, "the key opens all that is sealed");
            Ok((Sealing::of(keys), or_ok(faults, ok)))
        }
        Err(StoreError::Sealed(problem)) => {
            let text = format!("what is sealed was not looked at: {problem}");
            Ok((Sealing::Locked, vec![Finding::note(KEY, text, problem.hint())]))
        }
        Err(error) => Err(error),
    }
}

/// Looks whether the runs that have their output in a file have that file.
fn of_outputs(reader: &Reader<'_>, log: &LogDirectory) -> StoreResult<Vec<Finding>> {
    let expected = reader.outputs_in_files()?;
    let problems: Vec<String> =
        expected.iter().flat_map(|of_attempt| output_problems(log, of_attempt)).collect();
    let faults = lines(&problems, "output", |problem| Finding::fault(OUTPUTS, problem.as_str(), AGAIN));
    let ok =
        || Finding::ok(OUTPUTS, format!("{} in files, none is missing", counted(expected.len(), "output")));
    Ok(or_ok(faults, ok))
}

fn output_problems(log: &LogDirectory, of: &OutputInFiles) -> Vec<String> {
    let kinds = [(OutputKind::Stdout, of.output_bytes), (OutputKind::Stderr, of.stderr_bytes)];
    let problem = |(kind, bytes)| output_problem(log, (of.run, of.attempt, kind), bytes);
    kinds.into_iter().filter(|(_, bytes)| *bytes > 0).filter_map(problem).collect()
}

/// `bytes`: how long it was when the attempt ended. It may have become longer since.
fn output_problem(
    log: &LogDirectory,
    (run, number, kind): (RunId, u32, OutputKind),
    bytes: u64,
) -> Option<String> {
    let which = match kind {
        OutputKind::Stdout => "output",
        OutputKind::Stderr => "standard error",
    };
    let of = if number == 1 { format!("run {run}") } else { format!("attempt {number} of run {run}") };
    match OutputView::open(log, Attempt::of_run(run, number).output(kind)) {
        // How much is shown of one that was longer than its limit depends on where its lines end.
        // Bytes that are sealed say whether they are whole.
        Ok(Some(mut view)) if view.is_cut() || view.length() >= bytes => match &log.sealing {
            Sealing::Off | Sealing::Locked => None,
            Sealing::On(_) => {
                let read = io::copy(&mut view, &mut io::sink()).err();
                read.map(|error| format!("the {which} of {of} cannot be read: {error}"))
            }
        },
        Ok(Some(view)) => Some(format!("the {which} of {of} has {} of {bytes} bytes", view.length())),
        Ok(None) => Some(format!("the {which} of {of} is missing")),
        Err(error) => Some(format!("the {which} of {of} cannot be read: {}", describe(&error))),
    }
}

/// Returns the files that others than their owner can use, with the directories that they are in.
fn open_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut open = Vec::new();
    let mut look = |path: PathBuf| -> io::Result<()> {
        let found = fs::symlink_metadata(&path)?;
        // A daemon that serves the copy has made sockets.
        let counts = found.is_file() || found.is_dir();
        if counts && found.permissions().mode() & 0o077 != 0 {
            open.push(path);
        }
        Ok(())
    };
    let log = dir.join(LOG_DIRECTORY);
    look(dir.to_owned())?;
    for entry in fs::read_dir(dir)?.chain(fs::read_dir(&log).into_iter().flatten()) {
        look(entry?.path())?;
    }
    open.sort();
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JobId;

    #[test]
    fn an_output_is_missing_short_or_as_long_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let run = RunId { job: JobId(12), number: 3 };
        let problems = |attempt, output_bytes, stderr_bytes| {
            output_problems(
                &LogDirectory::plain(dir.path()),
                &OutputInFiles { run, attempt, output_bytes, stderr_bytes },
            )
        };
        fs::write(dir.path().join("12.3"), "four").expect("ours");
        assert_eq!(problems(1, 4, 0), [""; 0]);
        assert_eq!(problems(1, 3, 0), [""; 0], "a background process has written more");
        assert_eq!(problems(1, 5, 0), ["the output of run 12.3 has 4 of 5 bytes"]);
        assert_eq!(problems(1, 4, 1), ["the standard error of run 12.3 is missing"]);
        assert_eq!(problems(2, 1, 0), ["the output of attempt 2 of run 12.3 is missing"]);
    }

    #[test]
    fn of_many_things_ten_have_a_line() {
        let finding = |number: &usize| Finding::fault(OUTPUTS, number.to_string(), AGAIN);
        let all: Vec<usize> = (0..13).collect();
        assert_eq!(lines(&all[..10], "output", finding).len(), 10);
        let findings = lines(&all, "output", finding);
        assert_eq!((findings.len(), findings[10].text.as_str()), (11, "the same of 3 outputs more"));
    }
}
