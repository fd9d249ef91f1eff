//! Owns: `import anacrontab` and `import systemd`: what they report, store, refuse and find again.
//! Never: what single lines mean (see the tests of `cli::import`).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::filter::squeezed;
use crate::harness::{Home, TASKQ};

const ANACRONTAB: &str = "\
# replaces cron's
SHELL=/bin/sh
MAILTO=
START_HOURS_RANGE=3-22

1\t5\ttaskq.daily\trun-parts --report daily
7 10 taskq.weekly tidy
@yearly 0 taskq.yearly tax
";

#[test]
fn each_line_of_an_anacrontab_is_reported_and_a_second_import_stores_the_differences() {
    let home = Home::new();
    let table = home.work().join("anacrontab");
    fs::write(&table, ANACRONTAB).expect("it is writable");
    // The day of a month depends on today.
    let import = |args: &[&str]| {
        let said = home.taskq(&[&["import", "anacrontab", "anacrontab"], args].concat()).transcript();
        let said: String = said
            .lines()
            .filter(|line| !line.contains("it is due on"))
            .map(|line| line.to_owned() + "\n")
            .collect();
        squeezed(&said)
    };
    let mut said = import(&["--dry-run"]);
    assert!(!home.store().exists());
    said += &import(&[]);
    fs::write(&table, ANACRONTAB.replace("tidy", "tidy up").replace("@yearly", "#")).expect("it is writable");
    said += &import(&[]);
    insta::assert_snapshot!(said);
    let jobs = home.json(&["list"]);
    let jobs: Vec<(&Value, &Value)> =
        jobs["jobs"].as_array().expect("a list").iter().map(|job| (&job["id"], &job["script"])).collect();
    assert_eq!(jobs, [(&json!(1), &json!("run-parts --report daily")), (&json!(2), &json!("tidy up"))]);
}

#[test]
fn one_line_in_error_keeps_the_anacrontab_out() {
    let home = Home::new();
    fs::write(home.work().join("table"), "1 5 a true\n0 5 b true\n1 5 a true\n").expect("it is writable");
    let import = |args: &[&str]| home.taskq(&[&["import", "anacrontab"], args].concat()).transcript();
    let mut said = import(&["table"]);
    said += &import(&["none"]);
    said += &import(&["."]);
    assert!(!home.store().exists());
    said += &import(&["table", "--keep-going"]);
    insta::assert_snapshot!(squeezed(&said));
}

/// A busctl(1) that answers from files, as that of systemd 252 does.
const BUSCTL: &str = r#"#!/bin/sh
[ "$2" = --json=short ] || exit 1
case "$*" in
*"Manager Environment") echo '{"type":"as","data":["LANG=C.UTF-8","PATH=/usr/bin:/bin","INVOCATION_ID=1"]}' ;;
*ListUnitsByPatterns*) cat "$HOME/answers/list" ;;
*"LoadUnit s "*) printf '{"type":"o","data":["/unit/%s"]}\n' "$9" ;;
*"GetAll s "*)
    cat "$HOME/answers/${5##*/}.${9##*.}" 2>/dev/null ||
        echo '{"type":"a{sv}","data":[{"LoadState":{"type":"s","data":"not-found"}}]}' ;;
*) exit 1 ;;
esac
"#;

/// A home with systemd's answers.
struct Systemd {
    home: Home,
}

impl Systemd {
    fn new() -> Self {
        let home = Home::new();
        for directory in ["bin", "answers", "units"] {
            fs::create_dir(home.work().join(directory)).expect("it is new");
        }
        let busctl = home.work().join("bin/busctl");
        fs::write(&busctl, BUSCTL).expect("it is writable");
        fs::set_permissions(&busctl, fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self { home }
    }

    /// Makes a unit with a file and the properties of its kind.
    fn unit(&self, name: &str, directory: &str, file: &str, properties: &Value) {
        let path = self.home.work().join("units").join(name);
        fs::write(&path, file).expect("it is writable");
        let path =
            if directory.is_empty() { path.display().to_string() } else { format!("{directory}{name}") };
        let answer = |properties: Value| {
            let typed: serde_json::Map<String, Value> = properties
                .as_object()
                .expect("it is an object")
                .iter()
                .map(|(key, value)| (key.clone(), json!({"type": "", "data": value})))
                .collect();
            json!({"type": "a{sv}", "data": [typed]}).to_string()
        };
        let answers = self.home.work().join("answers");
        let unit = json!({"LoadState": "loaded", "FragmentPath": path, "DropInPaths": []});
        fs::write(answers.join(format!("{name}.Unit")), answer(unit)).expect("it is writable");
        let kind = if name.ends_with(".timer") { "Timer" } else { "Service" };
        fs::write(answers.join(format!("{name}.{kind}")), answer(properties.clone()))
            .expect("it is writable");
    }

    /// Lists these timers as active.
    fn list(&self, names: &[&str]) {
        let rows: Vec<Value> = names.iter().map(|name| json!([name, "", "loaded", "active"])).collect();
        let answer = json!({"type": "a(ssssssouso)", "data": [rows]}).to_string();
        fs::write(self.home.work().join("answers/list"), answer).expect("it is writable");
    }

    fn taskq(&self, args: &[&str]) -> String {
        let work = self.home.work();
        let path = format!("{}/bin:/usr/bin:/bin", work.display());
        let call = self.home.taskq(&[&["--dir", "store"], args].concat());
        let said = call.env("PATH", path).env("HOME", work.display().to_string()).transcript();
        // The user's manager for a user, that of the system for root.
        squeezed(&said.replace("systemctl --user", "systemctl"))
    }

    fn job(&self, name: &str) -> Value {
        let output = self.home.shell(TASKQ).args(["--dir", "store", "show", name, "--json"]).output();
        let output = output.expect("it starts").stdout;
        serde_json::from_slice::<Value>(&output).expect("it is JSON")["job"].clone()
    }
}

/// Returns a command as busctl prints it.
fn exec(argv: &[&str], flags: &[&str]) -> Value {
    json!([argv[0], argv, flags, 0, 0, 0, 0, 0, 0, 0])
}

/// The timers `backup`, at a calendar, and `poll`, by spans.
fn two_timers() -> Systemd {
    let systemd = Systemd::new();
    systemd.unit(
        "backup.timer",
        "",
        "[Timer]\nOnCalendar=2099-01-01\nOnCalendar=\nOnCalendar=2099-01-02 \\\n12:00\nPersistent=true\n\
         OnCalendar=Mon 2099-*-* 12:00 Europe/Paris\nWakeSystem=true\n",
        &json!({
            "Unit": "backup.service",
            "TimersCalendar": [
                ["OnCalendar", "Mon 2099-*-* 12:00:00 Europe/Paris", 1],
                ["OnCalendar", "2099-01-02 12:00:00", 1]
            ],
            "TimersMonotonic": [], "Persistent": true, "RandomizedDelayUSec": 0, "LastTriggerUSec": 0
        }),
    );
    systemd.unit(
        "backup.service",
        "",
        "[Unit]\nDescription=x\nConditionACPower=true\n[Service]\nMemoryMax=1G\n\
         StandardInput=file:/etc/hostname\n\
         StandardOutput=journal\n",
        &json!({
            "Type": "oneshot", "ExecStartEx": [
                exec(&["/bin/tar", "-c", "${DIR}/a b", "$ARGS"], &["ignore-failure"]),
                exec(&["/bin/echo", "100%", "it's"], &[])
            ],
            "Environment": ["DIR=/srv/x y", "LANG=de_DE.UTF-8"], "UnsetEnvironment": [],
            "EnvironmentFiles": [],
            "WorkingDirectory": "!/srv", "User": "", "Nice": 5, "UMask": 63, "StandardInput": "file",
            "TimeoutStartUSec": 3_600_000_000_u64, "TimeoutStopUSec": 90_000_000,
            "RuntimeMaxUSec": u64::MAX
        }),
    );
    systemd.unit(
        "poll.timer",
        "",
        "[Timer]\nOnBootSec=5min\nOnUnitActiveSec=10min\n",
        &json!({
            "Unit": "poll.service", "TimersCalendar": [], "Persistent": false, "RandomizedDelayUSec": 0,
            "TimersMonotonic": [["OnUnitActiveUSec", 600_000_000, 1], ["OnBootUSec", 300_000_000, 1]]
        }),
    );
    systemd.unit(
        "poll.service",
        "",
        "[Service]\nExecStart=/bin/poll\n",
        &json!({
            "Type": "simple", "ExecStartEx": [exec(&["/bin/poll", "a b"], &[])], "StandardInput": "null",
            "TimeoutStartUSec": 90_000_000, "RuntimeMaxUSec": u64::MAX, "UMask": 18, "Nice": 0
        }),
    );
    systemd.unit("of-package.timer", "/usr/lib/systemd/system/", "", &json!({"Unit": "x.service"}));
    systemd.list(&["poll.timer", "backup.timer", "of-package.timer"]);
    systemd
}

#[test]
fn timers_become_jobs_and_a_second_import_stores_the_differences() {
    let systemd = two_timers();
    let mut said = systemd.taskq(&["import", "systemd", "--dry-run"]);
    assert!(!systemd.home.work().join("store").exists());
    said += &systemd.taskq(&["import", "systemd"]);
    said += &systemd.taskq(&["import", "systemd", "poll"]);
    let service = systemd.home.work().join("answers/poll.service.Service");
    let answer = fs::read_to_string(&service).expect("it is there");
    fs::write(&service, answer.replace("a b", "c")).expect("it is writable");
    systemd.list(&["poll.timer"]);
    said += &systemd.taskq(&["import", "systemd"]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_job_has_the_surroundings_of_its_service_and_the_times_of_its_timer() {
    let systemd = two_timers();
    systemd.taskq(&["import", "systemd"]);
    let backup = systemd.job("backup");
    let triggers: Vec<&Value> =
        backup["triggers"].as_array().expect("a list").iter().map(|trigger| &trigger["calendar"]).collect();
    // As in the file, which is what a person knows.
    assert_eq!(triggers, [&json!("2099-01-02 12:00"), &json!("Mon 2099-*-* 12:00 Europe/Paris")]);
    assert_eq!(
        backup["script"],
        "set -f; { /bin/tar -c \"${DIR}\"'/a b' $ARGS || :; } && /bin/echo '100%' 'it'\\''s'"
    );
    assert_eq!(
        (&backup["missed"], &backup["umask"], &backup["nice"]),
        (&json!("once"), &json!("077"), &json!(5))
    );
    assert_eq!((&backup["timeout_ms"], &backup["kill_after_ms"]), (&json!(3_600_000), &json!(90_000)));
    assert_eq!((&backup["cwd"], &backup["stdin"]), (&json!("/srv"), &json!("/etc/hostname")));
    let exported =
        systemd.home.shell(TASKQ).args(["--dir", "store", "export", "json", "--with-environment"]).output();
    let exported = String::from_utf8(exported.expect("it starts").stdout).expect("it is text");
    let environment = "\"environment\":[\"PATH=/usr/bin:/bin\",\"DIR=/srv/x y\",\"LANG=de_DE.UTF-8\"]";
    assert!(exported.contains(environment), "{exported}");
    let poll = systemd.job("poll");
    assert_eq!(
        (&poll["triggers"][0]["every_ms"], &poll["command"]),
        (&json!(600_000), &json!(["/bin/poll", "a b"]))
    );
    assert_eq!(poll["timeout_ms"], Value::Null);
    assert!(poll["if"][0].as_str().is_some_and(|gate| gate.contains("-ge 300 ]")), "{poll}");
}

#[test]
fn what_is_no_timer_of_a_service_is_refused_and_nothing_is_stored() {
    let systemd = two_timers();
    systemd.unit(
        "once.timer",
        "",
        "",
        &json!({
            "Unit": "poll.service", "TimersCalendar": [], "TimersMonotonic": [["OnActiveUSec", 1_000_000, 1]]
        }),
    );
    systemd.unit(
        "target.timer",
        "",
        "",
        &json!({"Unit": "x.target", "TimersCalendar": [], "TimersMonotonic": []}),
    );
    let mut said = systemd.taskq(&["import", "systemd", "none", "once", "target", "poll"]);
    said += &systemd.taskq(&["import", "systemd", "poll.service"]);
    fs::remove_file(systemd.home.work().join("bin/busctl")).expect("it is there");
    let no_systemd =
        systemd.home.taskq(&["import", "systemd"]).env("PATH", systemd.home.work().join("bin")).transcript();
    said += &no_systemd.replace("systemctl --user", "systemctl");
    assert!(!systemd.home.work().join("store").exists() && !systemd.home.store().exists());
    insta::assert_snapshot!(said);
}
