//! Owns: how long the listed runs of a job took, as a sparkline below the list, on a terminal.
//! Never: which runs are listed.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use unicode_width::UnicodeWidthStr;

use super::bars::height;
use super::timeline::Kind;
use crate::cli::output::style::paint;
use crate::cli::output::table::cut;
use crate::domain::{JobId, Outcome, RunState, Span};
use crate::shown::{self, escaped};
use crate::store::RunView;

/// Fewer runs of a job show no trend.
const RUNS_MIN: usize = 3;

/// The jobs with the most runs in the list have a line.
const JOBS_MAX: usize = 5;

const LABEL_MAX: usize = 24;

/// Fewer bars than this are worth no line on a narrow terminal.
const BARS_MIN: usize = 10;

/// Returns a line for each job with several runs: a bar for each run that succeeded, by how long it took, the
/// oldest first, and a sign for each other one. `runs`: the newest first; `width`: of the terminal.
pub fn trends(runs: &[RunView], width: usize) -> String {
    let mut jobs: BTreeMap<JobId, Vec<&RunView>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.parent.is_none() && sign(run) != Some(Kind::Waiting)) {
        jobs.entry(run.run.job).or_default().push(run);
    }
    let mut jobs: Vec<Vec<&RunView>> = jobs.into_values().filter(|runs| runs.len() >= RUNS_MIN).collect();
    jobs.sort_by_key(|runs| Reverse(runs.len()));
    jobs.truncate(JOBS_MAX);
    let labels: Vec<String> = jobs.iter().map(|runs| label(runs[0])).collect();
    let columns = labels.iter().map(|label| label.width()).max().unwrap_or(0);
    jobs.iter()
        .zip(labels)
        .filter_map(|(runs, label)| {
            let fill = " ".repeat(columns - label.width());
            Some(format!("{label}{fill}  {}\n", trend(runs, width.saturating_sub(columns + 2))?))
        })
        .collect()
}

fn label(run: &RunView) -> String {
    let name = run.name.clone().unwrap_or_else(|| run.run.job.to_string());
    cut(&escaped(&name), LABEL_MAX)
}

/// Returns the bars of the runs of a job, and the shortest and the longest time. `None`: there is no room, or
/// no run had a process.
fn trend(runs: &[&RunView], room: usize) -> Option<String> {
    let took: Vec<Span> = runs.iter().filter_map(|run| run.duration()).collect();
    let (shortest, longest) = (took.iter().min()?, took.iter().max()?);
    let words = format!("  took {} to {}, oldest first", shown::span(*shortest), shown::span(*longest));
    let bars = room.checked_sub(words.width()).filter(|bars| *bars >= BARS_MIN.min(runs.len()))?;
    let bar = |run: &&RunView| match sign(run) {
        Some(kind) => paint(kind.style(), &kind.sign().to_string()),
        None => {
            let took = run.duration().map_or(0, Span::as_micros).max(1);
            height(took, longest.as_micros()).unwrap_or('▁').to_string()
        }
    };
    Some(runs.iter().take(bars).rev().map(bar).collect::<String>() + &words)
}

/// Returns the sign of a run that did not succeed, or has not ended.
fn sign(run: &RunView) -> Option<Kind> {
    match (run.outcome, run.state) {
        (Some(Outcome::Success), _) => None,
        (Some(outcome), _) => Some(Kind::of(outcome)),
        (None, RunState::Running) if run.unattended => Some(Kind::Unattended),
        (None, RunState::Running) => Some(Kind::Running),
        (None, _) => Some(Kind::Waiting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::samples::runs;

    fn succeeded(number: i64, seconds: u64) -> RunView {
        let mut run = runs().remove(3);
        assert_eq!(run.outcome, Some(Outcome::Success));
        (run.run.number, run.name) = (number, Some("backup".to_owned()));
        run.finished_at = run.started_at.map(|at| at + Span::from_seconds(seconds));
        run
    }

    fn plain(runs: &[RunView], width: usize) -> String {
        anstream::adapter::strip_str(&trends(runs, width)).to_string()
    }

    #[test]
    fn each_run_of_a_job_has_a_bar_and_a_failure_its_sign() {
        let mut runs: Vec<RunView> =
            (1..=8).rev().map(|number| succeeded(number, number.unsigned_abs() * 10)).collect();
        assert_eq!(plain(&runs, 80), "backup  ▁▂▃▄▅▆▇█  took 10s to 1m 20s, oldest first\n");
        runs[2].outcome = Some(Outcome::Failed);
        (runs[0].state, runs[0].outcome, runs[0].finished_at) = (RunState::Running, None, None);
        runs[5].parent = Some("1234.2".to_owned());
        assert_eq!(plain(&runs, 80), "backup  ▂▃▅▆✗█▒  took 10s to 1m 10s, oldest first\n", "no callback");
    }

    #[test]
    fn few_runs_and_a_narrow_terminal_have_no_trend() {
        let runs: Vec<RunView> = (1..=40).rev().map(|number| succeeded(number, 10)).collect();
        assert_eq!(plain(&runs[..2], 80), "");
        assert_eq!(plain(&runs, 45), "", "less than ten bars fit");
        let shown = plain(&runs, 60);
        assert!(shown.trim_end().width() <= 60 && shown.matches('█').count() > 10, "{shown}");
    }
}
