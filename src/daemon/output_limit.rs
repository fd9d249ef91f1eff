//! Owns: keeping the outputs of a store below a limit, in the run log and in files; the oldest go first.
//! Never: runs, which stay in the history without their outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::domain::{RunId, Size};
use crate::keeper::protocol::Attempt;
use crate::keeper::{LOG_DIRECTORY, LogDirectory, OutputView, attempts_with_outputs, remove_outputs_of};
use crate::store::{Reader, StoreResult, StoredOutputs, Writer};

/// The outputs that are too much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SurplusOutputs {
    /// The oldest first.
    pub runs: Vec<SurplusOutput>,
    /// The size of all others.
    pub left: u64,
}

/// The outputs of the attempts of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurplusOutput {
    pub run: RunId,
    pub bytes: u64,
    /// The attempts whose outputs are files.
    files: Vec<Attempt>,
}

impl SurplusOutputs {
    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(|output| output.bytes).sum()
    }
}

/// Finds the outputs that are too much, without those of the runs in `gone`. Unfinished runs keep theirs, and
/// so do runs whose mail waits.
pub fn surplus_outputs(
    reader: &Reader<'_>,
    log: &LogDirectory,
    limit: Size,
    gone: &BTreeSet<RunId>,
) -> StoreResult<SurplusOutputs> {
    let mut files = files_of_runs(log);
    let mut found = Vec::new();
    for stored in reader.stored_outputs()? {
        let files = files.remove(&stored.run).unwrap_or_default();
        found.push((stored, files));
    }
    for (run, files) in files {
        found.extend(reader.without_stored_outputs(run)?.map(|stored| (stored, files)));
    }
    found.retain(|(stored, _)| !gone.contains(&stored.run));
    Ok(choose(found, limit))
}

/// Takes the outputs that finished first, until the rest is not larger than `limit`.
fn choose(mut found: Vec<(StoredOutputs, OutputFiles)>, limit: Size) -> SurplusOutputs {
    found.sort_by_key(|(stored, _)| (stored.finished_at, stored.run));
    let size = |(stored, files): &(StoredOutputs, OutputFiles)| stored.bytes + files.bytes;
    let mut surplus = SurplusOutputs { runs: Vec::new(), left: found.iter().map(size).sum() };
    for (stored, files) in found {
        if surplus.left <= limit.as_bytes() {
            break;
        }
        let bytes = stored.bytes + files.bytes;
        if stored.finished_at.is_some() && !stored.has_open_mail && bytes > 0 {
            surplus.left -= bytes;
            surplus.runs.push(SurplusOutput { run: stored.run, bytes, files: files.attempts });
        }
    }
    surplus
}

/// Deletes outputs from the run log. Their files are left to `remove_files`, after the commit.
pub fn prune_outputs(writer: &Writer<'_>, outputs: &[SurplusOutput]) -> StoreResult<()> {
    let (mut runs, mut bytes) = (0, 0);
    for output in outputs {
        if writer.prune_output(output.run)? {
            runs += 1;
            bytes += output.bytes;
        }
    }
    if runs > 0 {
        writer.has_pruned_outputs(runs, bytes);
    }
    Ok(())
}

/// Removes the files of pruned outputs. One that stays is removed at a start of the daemon.
pub fn remove_files(dir: &Path, outputs: &[SurplusOutput]) {
    let log = dir.join(LOG_DIRECTORY);
    for attempt in outputs.iter().flat_map(|output| &output.files) {
        remove_outputs_of(&log, *attempt);
    }
}

/// The output files of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OutputFiles {
    attempts: Vec<Attempt>,
    bytes: u64,
}

fn files_of_runs(log: &LogDirectory) -> BTreeMap<RunId, OutputFiles> {
    let mut files: BTreeMap<RunId, OutputFiles> = BTreeMap::new();
    for attempt in attempts_with_outputs(&log.path) {
        let Some(run) = attempt.run() else { continue };
        // An output that has just moved into the run log has no size here.
        let views = [attempt.stdout(), attempt.stderr()].map(|output| OutputView::open(log, output));
        let bytes = views.into_iter().flatten().flatten().map(|view| view.length()).sum::<u64>();
        let of_run = files.entry(run).or_default();
        of_run.attempts.push(attempt);
        of_run.bytes += bytes;
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, Timestamp};

    /// Returns 100 bytes of output of run 1.`number`, which finished at this second, and `bytes` in a file.
    fn output(number: i64, finished: Option<i64>, bytes: u64) -> (StoredOutputs, OutputFiles) {
        let run = RunId { job: JobId(1), number };
        let finished_at = finished.map(Timestamp::from_seconds);
        let stored = StoredOutputs { run, finished_at, bytes: 100, has_open_mail: false };
        (stored, OutputFiles { attempts: vec![Attempt::of_run(run, 1)], bytes })
    }

    fn chosen(found: Vec<(StoredOutputs, OutputFiles)>, limit: u64) -> (Vec<i64>, u64, u64) {
        let surplus = choose(found, Size::from_bytes(limit));
        (surplus.runs.iter().map(|output| output.run.number).collect(), surplus.bytes(), surplus.left)
    }

    #[test]
    fn the_outputs_that_finished_first_go_until_the_rest_fits() {
        let all = || vec![output(1, Some(30), 0), output(2, Some(10), 50), output(3, Some(20), 0)];
        assert_eq!(chosen(all(), 350), (vec![], 0, 350));
        assert_eq!(chosen(all(), 349), (vec![2], 150, 200));
        assert_eq!(chosen(all(), 199), (vec![2, 3], 250, 100));
        assert_eq!(chosen(all(), 0), (vec![2, 3, 1], 350, 0));
    }

    #[test]
    fn what_runs_or_waits_for_its_mail_keeps_its_output_and_counts() {
        let mut mailing = output(2, Some(10), 0);
        mailing.0.has_open_mail = true;
        let all = || vec![output(1, None, 900), mailing.clone(), output(3, Some(20), 0)];
        assert_eq!(chosen(all(), 1_200), (vec![], 0, 1_200));
        assert_eq!(chosen(all(), 50), (vec![3], 100, 1_100));
    }
}
