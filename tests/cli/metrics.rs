//! Owns: `metrics`: the text, what its numbers follow, and that the parsers of Prometheus can read it.
//! Never: buckets and sums (see the unit tests of `engine::stats`), forgetting (see the simulation too).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::Home;
use crate::shared::has;

/// Prints the name, the type and the number of samples of each family, as each of the two parsers sees them.
const PARSE: &str = "
import collections, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as older
text = sys.stdin.read()
for parser, parse in ('openmetrics', openmetrics), ('older', older):
    families = collections.Counter()
    for family in parse(text):
        families[f'{family.name} {family.type}'] += len(family.samples)
    for family, samples in families.items():
        print(parser, family, samples)
";

/// A queue, a resource, jobs with successes and failures, an array, a retry, a pause, a callback.
fn worked() -> Home {
    let mut home = Home::new();
    home.start_daemon(&["--slots", "2"]);
    home.taskq(&["queue", "set", "side", "--slots", "1"]).gives(0, "", "");
    home.taskq(&["resource", "set", "cpu=4", "mem=8G", "gpu=2"]).gives(0, "", "");
    home.add(&["--name", "backup", "--cron", "0 0 1 1 *", "--on-finish", "true", "true"]);
    home.add(&["--name", "broken", "--cron", "0 0 1 1 *", "--queue", "side", "false"]);
    home.add(&["--name", "new", "--on", "emit:x", "--hold", "true"]);
    home.add(&["--name", "many", "--every", "1d", "--start", "2099-01-01", "--array", "1-3", "true"]);
    home.taskq(&["run", "--wait", "backup", "many"]).answer();
    home.taskq(&["run", "--wait", "broken"]).answer();
    home.add_and_wait(&["--name", "typo", "no-such-program"]);
    home.add_and_wait(&["--retries", "1", "--retry-delay", "1ms", "false"]);
    // The callback too.
    home.taskq(&["wait", "--all"]).answer();
    home
}

fn text(home: &Home) -> String {
    let answer = home.taskq(&["metrics"]).answer();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));
    answer.stdout
}

/// The samples of a text, each with its labels.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name, value.parse().expect("a number"))
        })
        .collect()
}

/// The samples of counters and histograms.
fn counts(text: &str) -> BTreeMap<&str, f64> {
    let is_count = |name: &str| name.contains("_total{") || name.starts_with("taskq_run_");
    samples(text).into_iter().filter(|(name, _)| is_count(name)).collect()
}

/// Returns a line without numbers that differ from run to run. Zero stays.
fn masked(line: &str) -> String {
    let Some((name, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) else {
        return line.to_owned();
    };
    let is_measured = ["_time_seconds", "_timestamp_seconds", "_size_bytes", "_sum{", "le=\"0", "le=\"1"];
    match is_measured.iter().any(|part| name.contains(part)) && value != "0.0" {
        true => format!("{name} [n]"),
        false => line.replace(env!("CARGO_PKG_VERSION"), "[version]"),
    }
}

#[test]
fn the_text_has_all_there_is_to_watch() {
    let text = text(&worked());
    insta::assert_snapshot!(text.lines().map(masked).collect::<Vec<_>>().join("\n"));
}

#[test]
fn both_parsers_of_prometheus_read_it() {
    let parser =
        Command::new("python3").args(["-c", "import prometheus_client"]).stderr(Stdio::null()).status();
    if !has("prometheus", parser.is_ok_and(|status| status.success())) {
        return;
    }
    let text = text(&worked());
    let mut python = Command::new("python3");
    python.args(["-c", PARSE]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect("it was there");
    python.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "a parser refuses it: {text}");
    insta::assert_snapshot!(String::from_utf8(output.stdout).expect("text"));
}

#[test]
fn no_counter_goes_down_when_runs_jobs_and_queues_are_forgotten() {
    let home = worked();
    let before = text(&home);
    home.taskq(&["prune", "--keep", "0"]).answer();
    let pruned = text(&home);
    assert_eq!(counts(&pruned), counts(&before));
    home.taskq(&["run", "--wait", "many", "broken"]).answer();
    let more = text(&home);
    home.taskq(&["remove", "backup", "broken", "many"]).gives(0, "", "");
    home.taskq(&["prune", "--keep", "0"]).answer();
    home.taskq(&["queue", "remove", "side"]).gives(0, "", "");
    let removed = text(&home);
    assert_eq!(counts(&removed), counts(&more));
    let failed = "taskq_runs_finished_total{queue=\"side\",outcome=\"failed\"}";
    assert_eq!([&before, &pruned, &more, &removed].map(|text| counts(text)[failed]), [1.0, 1.0, 2.0, 2.0]);
    assert!(home.json(&["runs"])["runs"].as_array().is_some_and(Vec::is_empty), "all are forgotten");
}

#[test]
fn the_last_success_of_a_job_outlives_its_run() {
    let home = Home::with_daemon();
    home.add(&["--name", "flaky", "--cron", "0 0 1 1 *", "-c", "test -e good"]);
    home.add(&["--name", "all", "--every", "1d", "--array", "1-2", "-c", "test -e good"]);
    fs::write(home.work().join("good"), "").expect("it is ours");
    home.taskq(&["run", "--wait", "flaky", "all"]).gives(0, "1.1\n2\n", "");
    let success = |name: &str| format!("taskq_job_last_success_timestamp_seconds{{name=\"{name}\"}}");
    let failed = |name: &str| format!("taskq_job_last_run_failed{{name=\"{name}\"}}");
    let good = text(&home);
    fs::remove_file(home.work().join("good")).expect("it was made");
    home.taskq(&["run", "--wait", "flaky", "all"]).answer();
    home.taskq(&["prune", "--keep", "0"]).answer();
    let bad = text(&home);
    for name in ["flaky", "all"] {
        let runs = home.json(&["runs", name, "--outcome", "success"]);
        assert_eq!(runs["runs"].as_array().map(Vec::len), Some(0), "{name}: they are forgotten");
        let at = |text: &str| samples(text)[success(name).as_str()];
        assert!(at(&good) > 1.7e9, "{good}");
        assert!((at(&bad) - at(&good)).abs() < 1e-6, "{bad}");
        assert_eq!([&good, &bad].map(|text| samples(text)[failed(name).as_str()]), [0.0, 1.0]);
    }
}

#[test]
fn without_a_daemon_or_a_store_it_says_so_and_succeeds() {
    let home = Home::new();
    let empty = text(&home);
    assert!(!home.store().exists(), "it has only looked");
    let of_empty = samples(&empty);
    assert_eq!((of_empty["taskq_up"], of_empty["taskq_jobs{state=\"done\"}"]), (0.0, 0.0));
    assert!(empty.ends_with("\n# EOF\n") && !empty.contains("start_time"), "{empty}");
    let named = home.taskq(&["--dir", "typo", "metrics"]).answer();
    let warning = format!("warning: there is no store in `{}`\n", home.work().join("typo").display());
    assert_eq!((named.status, named.stdout, named.stderr), (0, empty, warning));
    assert!(!home.work().join("typo").exists(), "it has only looked");
    home.add(&["--name", "a", "--cron", "@daily", "true"]);
    let stopped = text(&home);
    assert_eq!(samples(&stopped)["taskq_jobs{state=\"scheduled\"}"], 1.0);
    assert_eq!(samples(&stopped)["taskq_up"], 0.0);
}

#[test]
fn the_document_lists_every_metric_with_its_type_and_labels() {
    let text = text(&worked());
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(|line| {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        let end = if kind == "counter" { "_total" } else { "" };
        let first = text.lines().find(|line| !line.starts_with('#') && line.starts_with(name));
        let labels =
            first.and_then(|line| Some(line.split_once('{')?.1.split_once('}')?.0)).unwrap_or_default();
        let labels: Vec<String> = labels
            .split(',')
            .filter_map(|label| label.split_once('='))
            .filter(|(label, _)| *label != "le")
            .map(|(label, _)| format!("`{label}`"))
            .collect();
        format!("`{name}{end}` | {} | {kind}", labels.join(", ")).replace("|  |", "| |")
    });
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md"));
    let document = document.expect("it is committed");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `taskq_")).map(|row| {
        let columns: Vec<&str> = row.splitn(4, " |").collect();
        format!("`taskq_{} |{} |{}", columns[0], columns[1], columns[2])
    });
    assert_eq!(rows.collect::<BTreeSet<_>>(), types.collect::<BTreeSet<_>>());
}
