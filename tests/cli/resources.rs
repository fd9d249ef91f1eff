//! Owns: resources, as a user sees them: `resource`, `--needs`, and what runs have.
//! Never: which run gets what in which turn (see the unit tests of `engine`).

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::filter::squeezed;
use crate::harness::{Home, open_gate};

/// Starts a daemon for a store with these resources.
fn with(resources: &[&str]) -> Home {
    let mut home = Home::new();
    home.taskq(&[&["resource", "set"], resources].concat()).gives(0, "", "");
    home.start_daemon(&["--slots", "10"]);
    home
}

/// Adds a job that writes its name into `order`, then its `TASKQ_GPU`, and waits until a FIFO of its name is
/// opened.
fn add_gated(home: &Home, name: &str, options: &[&str]) -> PathBuf {
    let gate = home.fifo(name);
    let script = format!("printf {name} >>order; echo gpu=$TASKQ_GPU; read x <{name}; true");
    home.add(&[&["--name", name], options, &["-c", &script]].concat());
    gate
}

/// Waits until a run of a job has begun.
fn await_start(home: &Home, job: &str) {
    while home.json(&["show", job])["job"]["state"] != "running" {
        home.taskq(&["wait", job, "--timeout", "10ms"]).answer();
    }
}

/// Lets the daemon start all that can start: runs that need nothing pass those that wait for a resource.
fn settle(home: &Home) {
    home.add_and_wait(&["true"]);
}

fn states<const N: usize>(home: &Home, jobs: [&str; N]) -> [String; N] {
    jobs.map(|job| home.json(&["show", job])["job"]["state"].as_str().expect("a word").to_owned())
}

/// Returns what the latest run of a job has, or had.
fn share(home: &Home, job: &str) -> Value {
    home.json(&["runs", job, "-n", "1"])["runs"][0]["resources"].clone()
}

fn resource(home: &Home, name: &str) -> Value {
    let all = home.json(&["resource"])["resources"].as_array().expect("a list").clone();
    all.into_iter().find(|resource| resource["name"] == name).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn resources_are_set_listed_and_removed() {
    let home = Home::new();
    insta::assert_snapshot!(home.transcript(&[
        &["resource", "set", "cpu=4", "mem=8G"],
        &["resource", "set", "gpu=2", "lic=2000", "--json"],
        &["resource"],
        &["resource", "list"],
        &["resource", "set", "gpu=3"],
        &["resource", "remove", "lic"],
        &["resource", "list", "--json"],
        &["resource", "remove", "gpu", "--json"],
    ]));
    home.taskq(&["resource", "set", "mem=24G"]).answer();
    home.taskq(&["resource", "remove", "mem"]).answer();
    let events = squeezed(&home.taskq(&["events"]).answer().stdout);
    let details: Vec<&str> =
        events.lines().filter_map(|line| line.split_once(" resource ")).map(|(_, detail)| detail).collect();
    let set = ["cpu=4", "mem=8G", "gpu=2", "lic=2000", "gpu=3"];
    assert_eq!(details, [&set[..], &["lic", "gpu", "mem=24G", "mem"]].concat());
    let memory = &home.json(&["events"])["events"][7];
    let found = (&memory["kind"], &memory["resource"], &memory["capacity"]);
    assert_eq!(found, (&json!("resource_set"), &json!("mem"), &json!(24_u64 << 30)));
}

#[test]
fn the_cpus_and_nine_tenths_of_the_memory_are_there_without_being_set() {
    let home = Home::with_daemon();
    let cpus = std::thread::available_parallelism().expect("this is Linux").get();
    assert_eq!(
        resource(&home, "cpu"),
        json!({"name": "cpu", "total": cpus, "booked": 0, "free": cpus, "built_in": true, "held_by": []})
    );
    let meminfo = fs::read_to_string("/proc/meminfo").expect("this is Linux");
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:")).expect("it has the line");
    let total: u64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    let memory = resource(&home, "mem")["total"].as_u64().expect("a number");
    assert!((total * 1_024 * 89 / 100..=total * 1_024 * 9 / 10).contains(&memory), "{memory} of {total} KiB");
    home.taskq(&["resource", "set", "cpu=1000"]).gives(0, "", "");
    assert_eq!(resource(&home, "cpu")["built_in"], false);
    home.taskq(&["resource", "remove", "cpu"]).gives(0, "", "");
    assert_eq!(resource(&home, "cpu")["total"], cpus);
    let gone = "error: cannot remove resource `cpu`: it is as large as the machine, and was not set\n";
    home.taskq(&["resource", "remove", "cpu"]).gives(1, "", gone);
}

#[test]
fn what_no_resource_can_be_and_no_run_can_need_is_refused() {
    let home = Home::new();
    home.taskq(&["resource", "set", "gpu=2", "cpu=4", "mem=8G"]).gives(0, "", "");
    let mut said = String::new();
    for needs in [
        "fpga=1",
        "gpu=3",
        "mem=9G",
        "gpu=-1",
        "gpu=1.5",
        "gpu=0",
        "gpu=1,gpu=1",
        "gpu",
        "gpu=",
        "gpu=1,",
        "mem=1.5G",
        "run=1",
        "GPU=1",
        "gpu=99999999999999999999",
    ] {
        said += &home.taskq(&["add", "-R", needs, "--", "true"]).transcript();
    }
    said += &home.taskq(&["add", "-R", "gpu=1", "--needs", "gpu=1", "--", "true"]).transcript();
    for resource in ["run=1", "index=1", "GPU=1", "1gpu=1", "=1", "gpu", "gpu=-1", "gpu=1.5", "mem=a"] {
        said += &home.taskq(&["resource", "set", "lic=1", resource]).transcript();
    }
    said += &home.transcript(&[
        &["resource", "set", "gpu=1", "gpu=2"],
        &["resource", "set"],
        &["resource", "remove", "fpga"],
        &["resource", "remove", "run"],
        &["resource", "remove"],
        &["resource", "4"],
    ]);
    insta::assert_snapshot!(said);
    // Nothing of all that was stored.
    let names: Vec<Value> = home.json(&["resource"])["resources"]
        .as_array()
        .map(|all| all.iter().map(|resource| resource["name"].clone()).collect())
        .expect("a list");
    assert_eq!(names, ["cpu", "gpu", "mem"]);
    assert_eq!(home.json(&["list", "-a"])["jobs"], json!([]));
}

#[test]
fn what_a_job_needs_is_shown_changed_and_taken_back() {
    let home = Home::new();
    home.taskq(&["resource", "set", "gpu=2", "cpu=4", "mem=8G"]).gives(0, "", "");
    home.add(&["--name", "a", "-R", "mem=2048M,gpu=1", "--needs", "cpu=2", "true"]);
    assert_eq!(home.json(&["show", "a"])["job"]["needs"], "cpu=2,gpu=1,mem=2G");
    let shown = home.taskq(&["show", "a"]).answer().stdout;
    assert!(shown.contains("\nNeeds:     cpu=2,gpu=1,mem=2G\n"), "{shown}");
    home.taskq(&["set", "a", "--needs", "gpu=2"]).gives(0, "needs cpu=2,gpu=1,mem=2G → gpu=2\n", "");
    home.taskq(&["set", "a", "--needs", "gpu=3"]).gives(
        2,
        "",
        "error: cannot set job `a`: it needs gpu=3, and there is gpu=2\n\
         hint: `taskq resource` lists how much there is\n",
    );
    home.taskq(&["set", "a", "--unset", "needs"]).gives(0, "needs gpu=2 → none\n", "");
    assert_eq!(home.json(&["show", "a"])["job"]["needs"], json!(null));
}

#[test]
fn a_smaller_resource_warns_of_jobs_that_cannot_start() {
    let home = Home::new();
    home.taskq(&["resource", "set", "gpu=4", "mem=8G"]).gives(0, "", "");
    home.add(&["-R", "gpu=3,mem=2G", "true"]);
    home.taskq(&["resource", "set", "gpu=3"]).gives(0, "", "");
    let gpu = "warning: job 1 needs gpu=3, and cannot start\n";
    home.taskq(&["resource", "set", "gpu=2", "mem=1G"]).gives(
        0,
        "",
        &format!("{gpu}warning: job 1 needs mem=2G, and cannot start\n"),
    );
    home.add(&["-R", "gpu=1", "true"]);
    let some = "warning: of 2 jobs that need `gpu`, some need up to 3, and cannot start\n";
    home.taskq(&["resource", "set", "gpu=2"]).gives(0, "", some);
    home.taskq(&["cancel", "1"]).answer();
    home.taskq(&["resource", "set", "gpu=1"]).gives(0, "", "");
}

#[test]
fn a_resource_is_removed_when_no_job_needs_it_and_no_run_has_it() {
    let home = with(&["gpu=2"]);
    let gate = add_gated(&home, "a", &["-R", "gpu=1"]);
    await_start(&home, "a");
    home.add(&["--hold", "-R", "gpu=2", "true"]);
    let hint = "hint: change each with `taskq set 1 --unset needs`, or cancel it\n";
    let refused = |cause: &str, hint: &str| {
        let error = format!("error: cannot remove resource `gpu`: {cause}\n{hint}");
        home.taskq(&["resource", "remove", "gpu"]).gives(1, "", &error);
    };
    refused("job 1 and 1 other need it, and are not done", hint);
    home.taskq(&["cancel", "2"]).answer();
    refused("job 1 needs it, and is not done", hint);
    // The run that is under way keeps what it has.
    home.taskq(&["set", "a", "--unset", "needs"]).gives(0, "needs gpu=1 → none\n", "");
    refused("run 1.1 has some of it", "");
    open_gate(&gate);
    home.taskq(&["wait", "a"]).gives(0, "", "");
    home.taskq(&["resource", "remove", "gpu"]).gives(0, "", "");
}

#[test]
fn runs_side_by_side_have_different_indices_the_lowest_that_are_free() {
    let home = with(&["gpu=4", "mem=8G"]);
    let gates = [("a", "gpu=1"), ("b", "gpu=2,mem=4G"), ("c", "gpu=1")].map(|(name, needs)| {
        let gate = add_gated(&home, name, &["-R", needs]);
        await_start(&home, name);
        gate
    });
    assert_eq!(share(&home, "a"), json!({"gpu": [0]}));
    assert_eq!(share(&home, "b"), json!({"gpu": [1, 2], "mem": 4_u64 << 30}));
    assert_eq!(share(&home, "c"), json!({"gpu": [3]}));
    assert_eq!(
        resource(&home, "gpu"),
        json!({"name": "gpu", "total": 4, "booked": 4, "free": 0, "built_in": false,
            "held_by": ["1.1", "2.1", "3.1"]})
    );
    assert_eq!(resource(&home, "mem")["held_by"], json!(["2.1"]));
    let table = squeezed(&home.taskq(&["resource"]).answer().stdout);
    assert!(table.contains("\ngpu 4 0 1.1 2.1 3.1\n") && table.contains("\nmem 8.0G 4.0G 2.1\n"), "{table}");
    let shown = home.taskq(&["show", "b"]).answer().stdout;
    assert!(shown.contains("\nHas:       2.1: gpu=1,2 mem=4G\n"), "{shown}");
    // The next ones get what becomes free, and the run that has ended is shown with what it had.
    for (freed, next, indices) in [(0, "d", [0]), (2, "e", [3])] {
        open_gate(&gates[freed]);
        home.taskq(&["wait", ["a", "b", "c"][freed]]).gives(0, "", "");
        add_gated(&home, next, &["-R", "gpu=1"]);
        await_start(&home, next);
        assert_eq!(share(&home, next), json!({"gpu": indices}));
    }
    assert_eq!(share(&home, "a"), json!({"gpu": [0]}));
    assert!(!home.taskq(&["show", "a"]).answer().stdout.contains("\nHas:"));
    let told = ["a", "b", "c", "d", "e"].map(|job| home.taskq(&["log", job]).answer().stdout);
    assert_eq!(told, ["gpu=0\n", "gpu=1,2\n", "gpu=3\n", "gpu=0\n", "gpu=3\n"]);
}

#[test]
fn only_a_run_whose_parts_are_counted_has_a_variable_and_a_callback_needs_nothing() {
    let home = with(&["gpu=2", "mem=8G", "seat=2000", "lic=1024"]);
    let variables = "env | grep -E '^TASKQ_(GPU|LIC|MEM|SEAT)=' | sort";
    let script = format!("{variables}; echo done");
    let needs = "seat=2,mem=1G,gpu=2,lic=1";
    home.add(&["--name", "a", "-R", needs, "--on-finish", &script, "-c", &script]);
    home.taskq(&["wait", "a"]).gives(0, "", "");
    home.taskq(&["log", "1.1"]).gives(0, "TASKQ_GPU=0,1\nTASKQ_LIC=0\ndone\n", "");
    home.taskq(&["log", "1.2"]).gives(0, "done\n", "");
    let runs = home.json(&["runs", "a"])["runs"].clone();
    assert_eq!(runs[0]["resources"], json!(null));
    assert_eq!(runs[1]["resources"], json!({"gpu": [0, 1], "lic": [0], "mem": 1_u64 << 30, "seat": 2}));
    home.add_and_wait(&["--name", "b", "true"]);
    assert_eq!(share(&home, "b"), json!(null));
}

#[test]
fn an_array_runs_as_many_indices_at_once_as_there_is_room_for() {
    let home = with(&["gpu=2"]);
    let script = "echo +$TASKQ_GPU >>log; ls /proc/self >/dev/null; echo -$TASKQ_GPU >>log";
    home.add(&["--name", "a", "--array", "1-8", "-R", "gpu=1", "-c", script]);
    home.taskq(&["wait", "a"]).gives(0, "", "");
    let mut taken = Vec::new();
    for line in home.file("log").lines() {
        let (sign, index) = line.split_at(1);
        assert!(["0", "1"].contains(&index), "{line}");
        assert_eq!(taken.contains(&index.to_owned()), sign == "-", "{line}");
        match sign {
            "+" => taken.push(index.to_owned()),
            _ => taken.retain(|other| other != index),
        }
    }
    assert_eq!(home.json(&["show", "a"])["job"]["indices"]["finished"], 8);
    assert_eq!(resource(&home, "gpu")["booked"], 0);
}

#[test]
fn a_large_run_is_not_starved_by_small_ones_that_keep_coming() {
    let home = with(&["gpu=2"]);
    let first = add_gated(&home, "a", &["-R", "gpu=1"]);
    await_start(&home, "a");
    let large = add_gated(&home, "L", &["-R", "gpu=2"]);
    // One of two is free, and nobody else gets it.
    for name in ["b", "c"] {
        home.add(&["--name", name, "-R", "gpu=1", "-c", &format!("printf {name} >>order")]);
        settle(&home);
        assert_eq!(states(&home, ["a", "L", name]), ["running", "queued", "queued"]);
    }
    assert_eq!(share(&home, "L"), json!(null));
    open_gate(&first);
    await_start(&home, "L");
    home.add(&["--name", "d", "-R", "gpu=1", "-c", "printf d >>order"]);
    settle(&home);
    assert_eq!(states(&home, ["a", "L", "b", "c", "d"]), ["done", "running", "queued", "queued", "queued"]);
    open_gate(&large);
    home.taskq(&["wait", "--all"]).answer();
    let order = home.file("order");
    assert!(order.starts_with("aL") && order.len() == 5, "{order}");
}

#[test]
fn a_run_that_needs_more_than_there_is_waits_and_keeps_nothing() {
    let home = with(&["gpu=2"]);
    home.add(&["--name", "a", "--hold", "-R", "gpu=2", "-c", "echo $TASKQ_GPU"]);
    let warning = "warning: job 1 needs gpu=2, and cannot start\n";
    home.taskq(&["resource", "set", "gpu=1"]).gives(0, "", warning);
    home.taskq(&["resume", "a"]).gives(0, "", "");
    home.add(&["--name", "b", "-R", "gpu=1", "true"]);
    home.taskq(&["wait", "b"]).gives(0, "", "");
    assert_eq!(states(&home, ["a", "b"]), ["queued", "done"]);
    home.taskq(&["resource", "set", "gpu=2"]).gives(0, "", "");
    home.taskq(&["wait", "a"]).gives(0, "", "");
    home.taskq(&["log", "a"]).gives(0, "0,1\n", "");
}

#[test]
fn a_smaller_resource_takes_nothing_away_from_runs() {
    let mut home = with(&["gpu=3"]);
    let gate = add_gated(&home, "a", &["-R", "gpu=2"]);
    await_start(&home, "a");
    home.taskq(&["resource", "set", "gpu=1"]).gives(0, "", "warning: job 1 needs gpu=2, and cannot start\n");
    let had = json!({"name": "gpu", "total": 1, "booked": 2, "free": 0, "built_in": false,
        "held_by": ["1.1"]});
    assert_eq!(resource(&home, "gpu"), had);
    home.add(&["--name", "b", "-R", "gpu=1", "-c", "echo $TASKQ_GPU"]);
    // Nor does the end of a daemon.
    home.stop_daemon(Signal::SIGKILL);
    home.start_daemon(&["--slots", "10"]);
    settle(&home);
    assert_eq!(
        (states(&home, ["a", "b"]), resource(&home, "gpu")),
        (["running", "queued"].map(str::to_owned), had)
    );
    open_gate(&gate);
    home.taskq(&["wait", "a", "b"]).gives(0, "", "");
    assert_eq!(share(&home, "a"), json!({"gpu": [0, 1]}));
    home.taskq(&["log", "b"]).gives(0, "0\n", "");
}

#[test]
fn between_queues_the_first_run_that_was_queued_first_gets_the_resource() {
    let home = with(&["lic=1"]);
    let gate = add_gated(&home, "a", &["-R", "lic=1"]);
    await_start(&home, "a");
    for (name, queue) in [("z", "q1"), ("y", "q2"), ("x", "q1"), ("w", "default")] {
        home.taskq(&["queue", "set", queue, "--slots", "4"]).answer();
        let script = format!("printf {name} >>order");
        home.add(&["--name", name, "--queue", queue, "-R", "lic=1", "-c", &script]);
    }
    open_gate(&gate);
    home.taskq(&["wait", "--all"]).gives(0, "", "");
    assert_eq!(home.file("order"), "azyxw");
}

#[test]
fn a_line_of_from_has_its_needs_and_export_writes_them() {
    let home = with(&["gpu=2", "mem=8G"]);
    let lines = "{\"command\":[\"true\"],\"name\":\"a\",\"needs\":[\"gpu=1\",\"mem=4G\"],\"hold\":true}\n\
                 {\"command\":[\"true\"],\"name\":\"b\",\"needs\":\"gpu=2\",\"hold\":true}\n";
    home.taskq(&["add", "--from", "-"]).stdin(lines).gives(0, "1\n2\n", "");
    let exported = home.taskq(&["export", "json", "--with-environment"]).answer().stdout;
    assert!(exported.contains(",\"needs\":\"gpu=1,mem=4G\","), "{exported}");
    let other = Home::new();
    let none = "error: cannot add the job in line 1 of standard input: there is no resource `gpu`\n\
                hint: make it with `taskq resource set gpu=N`\n";
    other.taskq(&["add", "--from", "-"]).stdin(exported.clone()).gives(1, "", none);
    other.taskq(&["resource", "set", "gpu=2", "mem=8G"]).gives(0, "", "");
    other.taskq(&["add", "--quiet", "--from", "-"]).stdin(exported.clone()).gives(0, "1\n2\n", "");
    assert_eq!(other.taskq(&["export", "json", "--with-environment"]).answer().stdout, exported);
    for (line, cause) in [
        ("\"gpu=3\"", "it needs gpu=3, and there is gpu=2"),
        ("\"gpu\"", "`--needs`: `gpu` is not `NAME=N`, as in `gpu=1`"),
    ] {
        let line = format!("{{\"command\":[\"true\"],\"needs\":{line}}}\n");
        let answer = home.taskq(&["add", "--from", "-"]).stdin(line).answer();
        assert!(answer.status == 2 && answer.stderr.contains(cause), "{answer:?}");
    }
}

#[test]
fn other_formats_cannot_say_what_a_job_needs() {
    let home = Home::new();
    home.taskq(&["resource", "set", "gpu=2"]).gives(0, "", "");
    let options = ["--clean-env", "--tz", "system", "--cron", "@daily", "--overlap", "allow", "-R", "gpu=2"];
    home.add(&[&options[..], &["-c", "true"]].concat());
    for (format, it) in [("crontab", "crontab(5)"), ("systemd", "systemd")] {
        let answer = home.taskq(&["export", format]).answer();
        let line = format!("job 1: {it} cannot say `--needs gpu=2`\n");
        assert!(answer.status == 1 && answer.stderr.contains(&line), "{format}: {answer:?}");
    }
}
