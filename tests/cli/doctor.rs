//! Owns: `doctor`: its lines, levels and exit status.
//! Never: the service in a real systemd (see `service`).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::harness::Home;

/// Returns the exit status, and the lines of `doctor` about a subject.
fn lines(home: &Home, subject: &str) -> (i32, Vec<String>) {
    let answer = home.taskq(&["doctor"]).answer();
    assert_eq!(answer.stderr, "");
    let is_about = |line: &&str| line.split_whitespace().nth(1) == Some(subject);
    (answer.status, answer.stdout.lines().filter(is_about).map(str::to_owned).collect())
}

#[test]
fn a_store_that_works_has_no_fault() {
    let home = Home::with_daemon();
    home.add_and_wait(&["true"]);
    let (status, daemon) = lines(&home, "daemon");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(daemon, [format!("ok     daemon     pid {}, version {version}", home.daemon_pid())]);
    assert_eq!(status, 0);
    let store = ["ok     store      the database is whole".to_owned()];
    assert_eq!(lines(&home, "store").1[..1], store);
    assert_eq!(lines(&home, "jobs").1, ["ok     jobs       0 jobs, none of which fails"]);
    let json = home.json(&["doctor"]);
    assert!(json["findings"].as_array().is_some_and(|all| all.iter().all(|one| one["level"] != "fault")));
}

#[test]
fn a_failed_job_that_runs_once_is_a_note_and_one_that_always_fails_a_fault() {
    let home = Home::with_daemon();
    home.add_and_wait(&["--name", "once", "false"]);
    let note = "note   jobs       once: has failed: see `taskq log once.1`".to_owned();
    assert_eq!(lines(&home, "jobs"), (0, vec![note.clone()]));
    home.add(&["--name", "often", "--cron", "0 0 1 1 *", "false"]);
    for _ in 0..3 {
        assert_eq!(home.taskq(&["run", "--wait", "often"]).answer().status, 1);
    }
    let fault = "fault  jobs       often: its last 3 runs have failed: see `taskq log often.3`".to_owned();
    assert_eq!(lines(&home, "jobs"), (1, vec![note, fault]));
}

#[test]
fn jobs_that_cannot_run_and_a_missing_daemon_are_faults() {
    let home = Home::new();
    let of_nothing =
        "note   daemon     none is running: `taskq service install`, or `taskq daemon &`".to_owned();
    assert_eq!(lines(&home, "daemon"), (0, vec![of_nothing]));
    assert!(!home.store().exists(), "it has only looked");
    home.add(&["--name", "gone", "--cron", "@daily", "no-such-program"]);
    home.add(&["--name", "held", "--hold", "true"]);
    let (status, jobs) = lines(&home, "jobs");
    assert!(
        jobs[0]
            .starts_with("fault  jobs       gone: the program `no-such-program` is not in the job's PATH: ")
    );
    assert_eq!(jobs[1..], ["note   jobs       held: is paused: `taskq resume held` ends that"]);
    assert_eq!(status, 1);
    assert!(lines(&home, "daemon").1[0].starts_with("fault  daemon     none is running: no job fires: "));
}

#[test]
fn a_store_that_others_could_enter_is_closed_and_named() {
    let home = Home::new();
    home.add(&["--at", "2031-01-01", "true"]);
    fs::set_permissions(home.store(), Permissions::from_mode(0o755)).expect("it is ours");
    let shown = home.store().display().to_string();
    let note = format!(
        "note   store      others could enter `{shown}` until now: it is closed; find out who has opened it"
    );
    assert_eq!(lines(&home, "store").1[1], note);
    let closed = format!("ok     store      only its owner can enter `{shown}`");
    assert_eq!(lines(&home, "store").1[1], closed);
}
