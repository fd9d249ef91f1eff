//! Owns: a start as options of sbatch(1).
//! Never: what Slurm answers (see `slurm.sh`).

use super::FarStart;

/// Minutes that Slurm's own limit is beyond the timeout, which the supervisor keeps.
const MARGIN_MINUTES: u64 = 2;

/// Options of sbatch(1) that taskq gives itself, or that would change what it relies on.
const OWN_OPTIONS: &[&str] = &[
    "array",
    "chdir",
    "comment",
    "dependency",
    "error",
    "export",
    "hold",
    "input",
    "job-name",
    "output",
    "parsable",
    "quiet",
    "requeue",
    "no-requeue",
    "test-only",
    "wait",
    "wrap",
];

/// The warning about a job without a time limit.
pub const NO_LIMIT: &str = "Slurm has no time limit for this job: give it --timeout, or the executor \
                            --opt time=LIMIT, or an allocation can be left behind";

/// Returns whether an executor cannot set this option of sbatch(1), because taskq sets it for each run.
pub fn is_own_option(key: &str) -> bool {
    OWN_OPTIONS.contains(&key)
}

/// Returns whether neither the job nor the executor sets a limit.
pub fn is_without_limit(start: &FarStart, options: &[(String, String)]) -> bool {
    start.timeout.is_none() && !options.iter().any(|(key, _)| key == "time")
}

/// Returns the options of sbatch(1) that depend on the job. Starts with equal options can be one array.
pub fn sbatch_options(start: &FarStart, options: &[(String, String)]) -> Vec<String> {
    let mut words = Vec::new();
    for (key, value) in options {
        if key == "time" {
            // The job's own limit goes first.
            continue;
        }
        words.push(if value.is_empty() { format!("--{key}") } else { format!("--{key}={value}") });
    }
    match (start.timeout, options.iter().find(|(key, _)| key == "time")) {
        (Some(timeout), _) => {
            let seconds = (timeout.as_micros() + start.kill_after.as_micros()).div_ceil(1_000_000);
            words.push(format!("--time={}", seconds.div_ceil(60) + MARGIN_MINUTES));
        }
        (None, Some((_, limit))) => words.push(format!("--time={limit}")),
        (None, None) => {}
    }
    let mut gres = Vec::new();
    for (name, amount) in &start.needs {
        match name.as_str() {
            "cpu" => words.push(format!("--cpus-per-task={amount}")),
            "mem" => words.push(format!("--mem={}K", amount.div_ceil(1024))),
            name => gres.push(format!("{name}:{amount}")),
        }
    }
    if !gres.is_empty() {
        words.push(format!("--gres={}", gres.join(",")));
    }
    words
}
