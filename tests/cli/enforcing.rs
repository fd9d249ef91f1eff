//! Owns: `--enforce`, where no control group is delegated: it is refused, not ignored.
//! Never: limits that are set (see the unit tests of `keeper`).

use crate::harness::Home;

const HINT: &str = "hint: run the daemon as a service of systemd: `taskq service install`\n";

/// A store without a daemon, so that nobody knows what is delegated, and job 1 `a` that is enforced.
fn stored(options: &[&str]) -> Home {
    let home = Home::new();
    home.add(&[&["--name", "a", "-R", "cpu=1,mem=1M", "--enforce"], options].concat());
    home
}

#[test]
fn it_needs_cpu_or_mem() {
    let home = Home::new();
    home.taskq(&["resource", "set", "gpu=1"]).gives(0, "", "");
    let refused = |verb: &str| {
        format!(
            "error: cannot {verb}: `--enforce` limits `cpu` and `mem`, and the job books neither\n\
             hint: book what it may use, as in `-R cpu=2,mem=4G`\n"
        )
    };
    for needs in [&[][..], &["-R", "gpu=1"]] {
        let args = [&["add", "--enforce"], needs, &["true"]].concat();
        home.taskq(&args).gives(2, "", &refused("add job"));
    }
    home.add(&["--name", "a", "--hold", "true"]);
    home.taskq(&["set", "a", "--enforce"]).gives(2, "", &refused("set job `a`"));
    let both = "enforce none → yes\n";
    let said = home.taskq(&["set", "a", "--enforce", "-R", "cpu=1"]).answer();
    assert!(said.status == 0 && said.stdout.contains(both), "{said:?}");
    home.taskq(&["set", "a", "--unset", "needs"]).gives(2, "", &refused("set job `a`"));
    home.taskq(&["set", "a", "--unset", "enforce"]).gives(0, "enforce yes → none\n", "");
}

#[test]
fn a_daemon_without_a_delegated_control_group_is_found_out_when_the_option_is_given() {
    let home = Home::with_daemon();
    let refused = |verb: &str| {
        format!(
            "error: cannot {verb}: `--enforce`: no control group (cgroup version 2) is delegated to taskq\n\
             {HINT}"
        )
    };
    home.taskq(&["add", "-R", "mem=1M", "--enforce", "true"]).gives(1, "", &refused("add job"));
    let line = "{\"command\":[\"true\"],\"needs\":\"cpu=1\",\"enforce\":true}";
    let of_line = refused("add the job in line 1 of standard input");
    home.taskq(&["add", "--from", "-"]).stdin(line).gives(1, "", &of_line);
    home.add(&["--name", "a", "--hold", "-R", "cpu=1", "true"]);
    home.taskq(&["set", "a", "--enforce"]).gives(1, "", &refused("set job `a`"));
    assert_eq!(home.json(&["show", "a"])["job"]["enforce"], false);
}

#[test]
fn a_run_that_was_queued_before_the_daemon_came_does_not_start_without_its_limits() {
    let mut home = stored(&["--on-failure", "echo callback", "-c", "echo it started"]);
    home.start_daemon(&["--slots", "2"]);
    home.taskq(&["wait", "a"]).answer();
    let runs = home.json(&["runs", "a"]);
    let mut runs = runs["runs"].as_array().expect("a list").iter();
    let run = runs.find(|run| run["number"] == 1).expect("it is listed");
    assert_eq!((&run["outcome"], &run["exit_code"]), (&"spawn_failed".into(), &125.into()), "{run}");
    let cause = run["cause"].as_str().expect("it has one");
    assert_eq!(cause, "`--enforce`: no control group (cgroup version 2) is delegated to taskq");
    home.taskq(&["wait", "1.2"]).gives(0, "", "");
    home.taskq(&["log", "1.2"]).gives(0, "callback\n", "");
    // What a job has been added with is no reason to refuse another change.
    home.add(&["--name", "b", "--hold", "true"]);
    home.taskq(&["set", "b", "--priority", "1"]).gives(0, "priority 0 → 1\n", "");
}

#[test]
fn the_option_goes_through_files_and_is_named_where_it_cannot_be_said() {
    let home = stored(&["--cron", "@yearly", "--tz", "system", "true"]);
    let line = home.taskq(&["export", "json", "--with-environment"]).answer().stdout;
    assert!(line.contains("\"enforce\":true"), "{line}");
    let again = line.replace("\"name\":\"a\"", "\"name\":\"b\"");
    assert_eq!(home.taskq(&["add", "--from", "-"]).stdin(again).answer().stdout, "2\n");
    assert_eq!(home.json(&["show", "b"])["job"]["enforce"], true);
    for format in ["crontab", "systemd"] {
        let said = home.taskq(&["export", format, "a"]).answer();
        assert!(said.stderr.contains("`--enforce`") && said.status == 1, "{said:?}");
    }
    let shown = home.taskq(&["show", "a"]).answer().stdout;
    assert!(shown.contains("cpu=1,mem=1M, enforced\n"), "{shown}");
    home.taskq(&["set", "a", "--priority", "1"]).gives(0, "priority 0 → 1\n", "");
}
