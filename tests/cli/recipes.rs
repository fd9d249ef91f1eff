//! Owns: that the recipes of taskq-recipes(7) do what they promise: each is run as the page has it.
//! Never: what every option does (the other files).
//!
//! The programs of a reader are small scripts here. A recipe without a test fails.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Home, Lines, open_gate};
use crate::recipe::{Reader, recipes};
use crate::shared::has;

/// An hour and a day, in seconds.
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

#[test]
fn each_recipe_has_commands_something_to_look_at_and_a_test_that_asserts() {
    let tests: Vec<&str> = include_str!("recipes.rs").split("#[test]").collect();
    let recipes = recipes();
    assert!(recipes.len() >= 12, "{recipes:#?}");
    for recipe in recipes {
        let title = &recipe.title;
        assert!(!recipe.blocks.is_empty() && !recipe.looks.is_empty(), "{recipe:#?}");
        let call = format!("(\"{title}\")");
        let own: Vec<&&str> = tests.iter().filter(|test| test.contains(&call)).collect();
        let asserts = own.iter().any(|test| test.contains("assert") && test.contains(".look"));
        assert!(own.len() == 1 && asserts, "`{title}` needs one test that asserts its promise, and looks");
    }
}

#[test]
fn a_reader_copies_the_commands_from_80_columns_as_they_are_run_here() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/taskq-recipes.7");
    for encoding in ["ascii", "utf8"] {
        let mandoc = Command::new("mandoc").args(["-O", "width=80", "-T", encoding]).arg(&page).output();
        if !has("mandoc", mandoc.is_ok()) {
            return;
        }
        let shown = String::from_utf8(mandoc.expect("mandoc ran").stdout).expect("it is text");
        // A character, a backspace and the same character are a bold one.
        let shown = shown.split('\u{8}').enumerate().fold(String::new(), |mut text, (index, part)| {
            if index > 0 {
                text.pop();
            }
            text + part
        });
        let lines: Vec<&str> = shown.lines().collect();
        for line in recipes().iter().flat_map(|recipe| &recipe.blocks).flat_map(|block| block.lines()) {
            let is_shown = lines.iter().any(|shown| shown.strip_prefix("           ") == Some(line));
            assert!(is_shown || line.is_empty(), "{encoding}: {line}");
        }
        let wide: Vec<&&str> = lines.iter().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }
}

#[test]
fn a_nightly_backup_catches_up_once_and_is_tried_again_when_it_fails() {
    let mut reader = Reader::of("Nightly backup that catches up");
    reader.program(
        "rsync",
        "cd ~; echo \"$@\" >>copied; if rm broken 2>/dev/null; then exit 23; fi
         if rm hangs 2>/dev/null; then exec cat work/gate; fi",
    );
    reader.follow(0);
    assert_eq!(reader.outcomes("backup"), [""; 0]);
    // The machine was off for three nights.
    reader.later(3 * DAY);
    reader.event("backup", |event| event["outcome"] == "success");
    let runs = reader.runs("backup");
    let fires = |outcome: &str| -> u64 {
        runs.iter().filter(|run| run["outcome"] == outcome).filter_map(|run| run["fires"].as_u64()).sum()
    };
    assert!(fires("success") == 1 && fires("missed") >= 2, "{runs:#?}");
    let home = reader.home.path().to_owned();
    let copied = || fs::read_to_string(home.join("copied")).expect("rsync ran");
    assert_eq!(copied(), format!("-a --delete {}/documents/ nas:documents/\n", home.display()));
    reader.hurry("backup");
    fs::write(home.join("broken"), "").expect("the home is ours");
    assert_eq!(reader.run("backup"), 0);
    assert_eq!(
        (&reader.runs("backup").last().expect("a run")["attempt"], copied().lines().count()),
        (&json!(2), 3)
    );
    // A power failure during the next one.
    reader.home.fifo("gate");
    fs::write(home.join("hangs"), "").expect("the home is ours");
    let name = reader.home.taskq(&["run", "backup"]).answer().stdout;
    reader.event("backup", |event| event["kind"] == "started" && event["run"] == name.trim_end());
    reader.lose(reader.runs("backup").last().expect("a run"));
    reader.home.taskq(&["wait", name.trim_end()]).gives(0, "", "");
    assert_eq!(copied().lines().count(), 5);
    reader.look();
}

#[test]
fn one_mail_tells_of_a_report_that_failed_three_times_and_an_alarm_of_every_job() {
    let reader = Reader::of("Mail on failure");
    let mut sent = Lines::of(&reader.home, "sent");
    let work = reader.home.work();
    let work = work.display();
    reader.program("sendmail", &format!("f={work}/mail.$$; cat >$f; echo $f >{work}/sent"));
    let mut mail = || fs::read_to_string(sent.next()).expect("sendmail wrote it");
    reader.script("report.sh", "echo attempt >>attempts; echo no figures; exit 3");
    reader.follow(0);
    reader.hurry("report");
    assert_eq!(reader.run("report"), 3);
    let text = mail();
    assert_eq!(reader.home.file("attempts"), "attempt\n".repeat(3));
    assert!(text.contains("To: ops@example.org\n") && text.contains("\nno figures\n"), "{text}");
    assert!(text.contains("report") && text.contains("failed"), "{text}");
    reader.script("report.sh", "echo all is well");
    assert_eq!(reader.run("report"), 0);
    reader.follow(1);
    reader.home.add(&["--name", "other", "-c", "echo gone wrong; exit 4"]);
    let text = mail();
    assert!(text.contains("\"name\":\"other.1\"") && text.contains("\ngone wrong\n"), "{text}");
    reader.look();
}

#[test]
fn a_pipeline_passes_its_output_on_and_stops_at_a_step_that_failed() {
    let mut reader = Reader::of("A pipeline of dependent jobs");
    reader.script("fetch.sh", "printf '%s\\n' pear apple fig");
    reader.script("clean.sh", "sort");
    reader.script("publish.sh", "cat >published");
    reader.follow(0);
    reader.later(DAY);
    assert_eq!(reader.outcome("publish", 1), "success");
    assert_eq!(reader.home.file("published"), "apple\nfig\npear\n");
    reader.home.taskq(&["log", "count"]).gives(0, "3\n", "");
    let time = |job: &str, key: &str| reader.runs(job)[0][key].as_str().expect("an instant").to_owned();
    for (first, second) in
        [("fetch", "clean"), ("fetch", "count"), ("clean", "publish"), ("count", "publish")]
    {
        assert!(time(first, "finished_at") <= time(second, "started_at"), "{first} before {second}");
    }
    reader.script("clean.sh", "exit 1");
    fs::remove_file(reader.home.work().join("published")).expect("it was written");
    reader.later(DAY);
    assert_eq!(reader.outcome("publish", 2), "skipped");
    assert_eq!((reader.outcome("fetch", 2), reader.outcome("clean", 2)), ("success".into(), "failed".into()));
    assert!(!reader.home.work().join("published").exists());
    reader.look();
}

#[test]
fn a_map_runs_every_line_side_by_side_and_the_failed_ones_again() {
    let reader = Reader::of("A parallel map over lines");
    let work = reader.home.work();
    for directory in ["photos", "small"] {
        fs::create_dir(work.join(directory)).expect("the name is new");
    }
    let names: Vec<String> = (1..=12).map(|number| format!("photo {number}.jpg")).collect();
    for name in &names {
        fs::write(work.join("photos").join(name), name).expect("it is ours");
    }
    reader.home.fifo("meeting");
    // The first two end only if both run at once.
    reader.program(
        "convert",
        "echo \"$1\" >>converted
         case $1 in
         *' 1.jpg') echo >meeting ;;
         *' 2.jpg') read -r line <meeting ;;
         *' 7.jpg') [ -e repaired ] || exit 1 ;;
         esac
         cp \"$1\" \"$4\"",
    );
    let pasted = reader.paste(0);
    assert_eq!(pasted.status, Some(1), "{pasted:?}");
    fs::write(work.join("repaired"), "").expect("it is ours");
    // One of these is `taskq retry --failed`.
    reader.look();
    reader.home.taskq(&["wait", "shrink"]).gives(0, "", "");
    let mut converted: BTreeMap<String, usize> = BTreeMap::new();
    for line in reader.home.file("converted").lines() {
        *converted.entry(line.to_owned()).or_default() += 1;
    }
    for name in &names {
        let attempts = if name == "photo 7.jpg" { 3 } else { 1 };
        assert_eq!(converted.get(&format!("photos/{name}")), Some(&attempts), "{name}");
        assert_eq!(reader.home.file(&format!("small/{name}")), *name);
    }
}

#[test]
fn each_item_is_consumed_once_though_the_daemon_is_killed_in_between() {
    let mut reader = Reader::of("A durable producer and consumer");
    let gate = reader.home.fifo("gate");
    reader.script(
        "order.sh",
        "if [ $1 = 4711 ]; then cat gate; fi
         if [ $1 = 4712 ] && [ $TASKQ_ATTEMPT = 1 ]; then exit 1; fi
         echo $1 >>orders",
    );
    reader.follow(0);
    reader.event("1", |event| event["kind"] == "started");
    let pasted = reader.variant(0, "4711", "4712");
    reader.hurry(pasted.stdout.trim_end());
    let why = reader.home.taskq(&["why", pasted.stdout.trim_end()]).answer().stdout;
    assert!(why.contains("1 of 1 is taken by 1.1"), "one after the other: {why}");
    reader.home.stop_daemon(Signal::SIGKILL);
    assert_eq!(reader.variant(0, "4711", "4713").status, Some(0), "items come without a daemon");
    reader.home.start_daemon(&[]);
    open_gate(&gate);
    reader.home.taskq(&["wait", "--tag", "order"]).gives(0, "", "");
    let orders = reader.home.file("orders");
    let mut orders: Vec<&str> = orders.lines().collect();
    assert_eq!(orders[0], "4711");
    orders.sort_unstable();
    assert_eq!(orders, ["4711", "4712", "4713"]);

    reader.script(
        "orders.sh",
        "cat >\"batch.${TASKQ_RUN#*.}.$TASKQ_ATTEMPT\"
         if [ $TASKQ_RUN.$TASKQ_ATTEMPT = $TASKQ_JOB.1.1 ]; then cat gate; fi
         [ $TASKQ_RUN.$TASKQ_ATTEMPT != $TASKQ_JOB.2.1 ]",
    );
    reader.follow(1);
    reader.hurry("consumer");
    reader.event("consumer", |event| event["kind"] == "started");
    reader.home.stop_daemon(Signal::SIGKILL);
    for id in ["id=1", "id=2", "id=3"] {
        reader.home.taskq(&["emit", "order", id]).gives(0, "", "");
    }
    reader.home.start_daemon(&[]);
    open_gate(&gate);
    assert_eq!(
        (reader.outcome("consumer", 1), reader.outcome("consumer", 2)),
        ("success".into(), "success".into())
    );
    let ids = |batch: &str| -> Vec<String> {
        let of = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["data"]["id"].clone();
        let id = |line: &str| of(line).as_str().expect("a text").to_owned();
        reader.home.file(batch).lines().map(id).collect()
    };
    assert_eq!(
        (ids("batch.1.1"), ids("batch.2.2")),
        (vec!["4712".to_owned()], ["1", "2", "3"].map(str::to_owned).to_vec())
    );
    assert_eq!(ids("batch.2.1"), ids("batch.2.2"), "a run that failed keeps its events");
    assert_eq!(reader.outcomes("consumer").len(), 2);
    reader.look();
}

#[test]
fn a_dead_mans_switch_pages_once_for_each_silence() {
    let mut reader = Reader::of("A dead man's switch");
    let mut pages = Lines::of(&reader.home, "pages");
    reader.script("page.sh", "echo \"$@\" >pages");
    reader.program("ssh", "[ \"$1\" = watcher ] && shift && exec \"$@\"");
    let gate = reader.home.fifo("gate");
    reader.home.add(&["--name", "backup", "--on", "emit:now", "-c", "[ -e quick ] || cat gate"]);
    reader.follow(0);
    // A backup that runs for too long, and no sign of life from the other machine.
    reader.home.taskq(&["run", "backup"]).answer();
    reader.event("backup", |event| event["kind"] == "started");
    reader.later(4 * HOUR);
    let mut both = [pages.next(), pages.next()];
    both.sort_unstable();
    assert_eq!(both, ["the backup is late", "web1 is silent"], "also time without a daemon is silence");
    open_gate(&gate);
    assert_eq!(reader.outcome("backup", 1), "success");
    // A sign of life, the last one; later it has been too long since the last backup, too.
    reader.follow(1);
    assert_eq!(reader.run("alive"), 0);
    reader.home.taskq(&["pause", "alive"]).answer();
    reader.later(25 * HOUR);
    assert_eq!(pages.next(), "web1 is silent");
    reader.later(2 * HOUR);
    assert_eq!(pages.next(), "the backup is late", "the other silence goes on, and is no new one");
    fs::write(reader.home.work().join("quick"), "").expect("it is ours");
    for _ in 0..2 {
        assert_eq!(reader.run("backup"), 0);
        assert_eq!((reader.outcomes("backup-watch").len(), reader.outcomes("web1-watch").len()), (2, 2));
        reader.later(25 * HOUR);
    }
    reader.look();
}

#[test]
fn a_log_that_has_grown_is_rotated_and_the_latest_seven_are_kept() {
    let mut reader = Reader::of("Rotate on size");
    let log = reader.home.work().join("app.log");
    fs::write(&log, "").expect("it is ours");
    reader.follow(0);
    reader.wait_for_first_look();
    let grow = |bytes: u64| {
        let file = OpenOptions::new().create(true).append(true).open(&log).expect("it is ours");
        file.set_len(bytes).expect("the disk has room");
    };
    grow(1 << 20);
    for number in 1..=8 {
        if number == 8 {
            reader.home.stop_daemon(Signal::SIGTERM);
        }
        grow(11 << 20);
        if number == 8 {
            reader.home.start_daemon(&[]);
        }
        assert_eq!(reader.outcome("rotate", number), "success");
        assert!(!log.exists());
    }
    let entries = fs::read_dir(reader.home.work()).expect("it is ours");
    let mut kept: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("plain")).collect();
    kept.sort();
    let expected: Vec<String> = (2..=8).map(|number| format!("app.log.1.{number}.gz")).collect();
    assert_eq!(kept, expected);
    reader.look();
}

#[test]
fn maintenance_is_done_one_at_a_time_and_at_the_latest_after_eight_hours() {
    let mut reader = Reader::of("Regular maintenance");
    let gate = reader.home.fifo("gate");
    reader.script("scrub.sh", "cat gate; nice");
    let cache = reader.home.path().join(".cache");
    fs::create_dir(&cache).expect("the home is empty");
    for (name, age) in [("old", "100 days ago"), ("new", "1 day ago")] {
        let touch = reader.home.shell("touch").args(["-a", "-d", age]).arg(cache.join(name)).status();
        assert!(touch.expect("touch starts").success());
    }
    reader.follow(0);
    assert_eq!((reader.run("tidy"), reader.run("prune")), (0, 0));
    assert!(!cache.join("old").exists() && cache.join("new").exists());
    for fire in reader.home.json(&["next", "scrub", "-n", "5"])["fires"].as_array().expect("a list") {
        let day = fire["at"].as_str().and_then(|at| at.get(8..10)).expect("an instant");
        assert!(("01"..="07").contains(&day), "{fire}");
    }
    // Whether its gates are open, depends on this machine.
    reader.home.taskq(&["run", "scrub"]).answer();
    reader.later(9 * HOUR);
    reader.event("scrub", |event| event["kind"] == "started");
    let prune = reader.home.taskq(&["run", "prune"]).answer().stdout;
    open_gate(&gate);
    reader.home.taskq(&["wait", "scrub", prune.trim_end()]).gives(0, "", "");
    let end = reader.runs("scrub")[0]["finished_at"].clone();
    let start = reader.runs("prune").last().expect("a run")["started_at"].clone();
    assert!(end.as_str() <= start.as_str(), "{end} {start}");
    assert_eq!(reader.home.taskq(&["log", "scrub"]).answer().stdout, "19\n");
    reader.look();
}

#[test]
fn what_changes_during_a_synchronisation_makes_exactly_one_more() {
    let mut reader = Reader::of("Data synchronisation");
    let gate = reader.home.fifo("gate");
    reader.program("rsync", "echo \"$@\" >>copied; if rm slow 2>/dev/null; then cat gate; fi");
    let notes = reader.home.work().join("notes");
    fs::create_dir(&notes).expect("the name is new");
    reader.follow(0);
    if !is_online() {
        let gate = reader.home.json(&["show", "sync"])["job"]["if"].clone();
        assert_eq!(gate, json!(["online"]));
        reader.home.taskq(&["set", "sync", "--unset", "if"]).answer();
    }
    reader.wait_for_first_look();
    let write = |name: &str| fs::write(notes.join(name), name).expect("it is ours");
    write("first");
    assert_eq!(reader.outcome("sync", 1), "success");
    assert_eq!(reader.home.file("copied"), "-a --delete notes/ nas:notes/\n");
    fs::write(reader.home.work().join("slow"), "").expect("it is ours");
    write("second");
    let is_second = |event: &Value| event["kind"] == "started" && event["run"] != "1.1";
    reader.event("sync", is_second);
    ["third", "fourth", "fifth"].iter().for_each(|name| write(name));
    open_gate(&gate);
    assert_eq!((reader.outcome("sync", 2), reader.outcome("sync", 3)), ("success".into(), "success".into()));
    // Each hour, whatever happens in the directory.
    reader.later(HOUR);
    assert_eq!(reader.outcome("sync", 4), "success");
    let triggers: Vec<Value> = reader.runs("sync").iter().map(|run| run["trigger"].clone()).collect();
    assert_eq!(triggers, ["path", "path", "path", "every"]);
    reader.look();
}

/// Whether there is a default route.
fn is_online() -> bool {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    routes.lines().any(|line| line.split_whitespace().nth(1) == Some("00000000"))
}

#[test]
fn each_training_has_a_gpu_of_its_own_and_goes_on_after_its_keeper_was_lost() {
    let reader = Reader::of("Training on GPUs");
    reader.home.fifo("gate");
    reader.script(
        "train.sh",
        "mkdir \"gpu$CUDA_VISIBLE_DEVICES\" || exit 9
         [ \"$1$TASKQ_ATTEMPT\" != 0.11 ] || [ -e diverges ] || exec cat gate
         rmdir \"gpu$CUDA_VISIBLE_DEVICES\"; echo \"$1 $CUDA_VISIBLE_DEVICES\" >>trained
         [ ! -e diverges ]",
    );
    reader.script("evaluate.sh", "echo \"$TASKQ_GPU\" >evaluated");
    reader.follow(0);
    reader.hurry("sweep");
    // The first run has a GPU, so the others follow each other on the second one.
    for number in [2, 3] {
        assert_eq!(reader.outcome("sweep", number), "success");
    }
    assert_eq!(reader.home.file("trained"), "0.01 1\n0.001 1\n");
    fs::remove_dir(reader.home.work().join("gpu0")).expect("the run has made it");
    reader.lose(&reader.runs("sweep")[0]);
    assert_eq!(
        (reader.outcome("sweep", 1), reader.outcome("evaluate", 1)),
        ("success".into(), "success".into())
    );
    let run = reader.runs("sweep")[0].clone();
    assert_eq!((&run["attempt"], reader.home.file("evaluated").as_str()), (&json!(2), "0,1\n"), "{run}");
    // A run that fails by itself is not tried again, and is not evaluated.
    fs::write(reader.home.work().join("diverges"), "").expect("it is ours");
    fs::remove_file(reader.home.work().join("evaluated")).expect("it was written");
    reader.follow(0);
    assert_eq!(reader.outcome("evaluate", 1), "skipped");
    assert_eq!(reader.outcomes("sweep"), ["failed"; 3]);
    reader.look();
}

#[test]
fn a_queue_in_ci_ends_with_the_status_of_its_steps_and_the_output_of_what_failed() {
    let mut reader = Reader::without_daemon("A queue in CI");
    reader.script("lint.sh", "echo clean");
    reader.script("build.sh", "echo built >built");
    reader.script("test.sh", "cat built >\"part$1\"");
    let pasted = reader.paste(0);
    assert_eq!((pasted.status, pasted.stdout.lines().count()), (Some(0), 3), "the ids: {pasted:?}");
    for part in 1..=4 {
        assert_eq!(reader.home.file(&format!("part{part}")), "built\n");
        fs::remove_file(reader.home.work().join(format!("part{part}"))).expect("it was written");
    }
    reader.script("build.sh", "echo no compiler; exit 2");
    let pasted = reader.paste(0);
    assert_eq!(pasted.status, Some(1), "{pasted:?}");
    assert!(pasted.stdout.contains("no compiler\n") && !pasted.stdout.contains("clean"), "{pasted:?}");
    assert!(!reader.home.work().join("part1").exists());
    let store = reader.home.work().join(".taskq");
    reader.home.set_env("TASKQ_DIR", store);
    assert_eq!(
        (reader.outcomes("lint"), reader.outcomes("build")),
        (vec!["success".into()], vec!["failed".into()])
    );
    reader.look();
}

/// A repository with a file, and a clone of it in `~/dotfiles`.
struct Repository<'a> {
    home: &'a Home,
    file: &'a str,
}

impl<'a> Repository<'a> {
    /// `None` where there is no git.
    fn with(home: &'a Home, file: &'a str, text: &str) -> Option<Self> {
        if !has("git", Command::new("git").arg("--version").output().is_ok()) {
            return None;
        }
        let repository = Self { home, file };
        repository.git(&["init", "--quiet", "origin"]);
        repository.commit(text);
        let clone = home.path().join("dotfiles");
        repository.git(&["clone", "--quiet", "origin", clone.to_str().expect("plain")]);
        Some(repository)
    }

    fn git(&self, args: &[&str]) {
        let me = ["-c", "user.name=me", "-c", "user.email=me@example.org"];
        let output = self.home.shell("git").args(me).args(args).output().expect("git starts");
        assert!(output.status.success(), "git {args:?}: {output:?}");
    }

    fn commit(&self, text: &str) {
        fs::write(self.home.work().join("origin").join(self.file), text).expect("it is ours");
        self.git(&["-C", "origin", "add", self.file]);
        self.git(&["-C", "origin", "commit", "--quiet", "--message", "change"]);
    }

    /// Changes the file elsewhere, and pulls the change.
    fn pull(&self, text: &str) {
        self.commit(text);
        self.git(&["-C", "../dotfiles", "pull", "--quiet"]);
    }
}

#[test]
fn a_crontab_in_git_is_imported_whenever_it_is_pulled_and_whole() {
    let reader = Reader::of("A crontab in git");
    let table = "0 1 * * * first\n0 2 * * * second\n";
    let Some(repository) = Repository::with(&reader.home, "crontab", table) else { return };
    let commands = || -> Vec<(Value, String)> {
        let jobs = reader.home.json(&["list", "--queue", "cron"])["jobs"].as_array().expect("a list").clone();
        let of = |job: &Value| (job["id"].clone(), job["script"].as_str().unwrap_or_default().to_owned());
        jobs.iter().map(of).collect()
    };
    let pasted = reader.paste(0);
    assert_eq!(pasted.status, Some(0), "{pasted:?}");
    let before = commands();
    assert_eq!(before.iter().map(|(_, command)| command.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    reader.wait_for_first_look();
    repository.pull("0 2 * * * second\n0 3 * * * third\n");
    assert_eq!(reader.outcome("table", 1), "success");
    let after = commands();
    assert_eq!((after.len(), &after[0], after[1].1.as_str()), (2, &before[1], "third"), "{after:?}");
    repository.pull("0 2 * * * second\n0 99 * * * third\n");
    assert_eq!((reader.outcome("table", 2), commands()), ("failed".to_owned(), after));
    let report = reader.home.taskq(&["log", "table"]).answer().stdout;
    assert!(report.contains("99"), "{report}");
    reader.look();
}

#[test]
fn jobs_in_git_are_applied_whenever_they_are_pulled_and_whole() {
    let reader = Reader::of("Jobs in git");
    let (_, rest) = reader.block(0).split_once("<<'END'\n").expect("it writes a file");
    let (file, _) = rest.split_once("END\n").expect("the file has an end");
    let Some(repository) = Repository::with(&reader.home, "jobs.toml", file) else { return };
    let pasted = reader.paste(0);
    assert_eq!((pasted.status, pasted.stdout.matches("+ backup").count()), (Some(0), 2), "{pasted:?}");
    assert_eq!(reader.names(), names(&["backup", "report", "jobs"]));
    let id = reader.key("backup", "id");
    reader.wait_for_first_look();
    let one = "[jobs.backup]\ncron = \"30 3 * * *\"\ncommand = [\"./backup.sh\"]\n";
    repository.pull(one);
    // The recipe wrote the file, before it was watched or after.
    let changed = reader.event("backup", |event| event["kind"] == "changed");
    let backup = || (reader.key("backup", "id"), reader.key("backup", "timeout_ms"));
    assert_eq!(
        (backup(), reader.names()),
        ((id.clone(), Value::Null), names(&["backup", "jobs"])),
        "{changed}"
    );
    repository.pull(&one.replace("30", "99"));
    reader.event("jobs", |event| event["outcome"] == "failed");
    assert_eq!((backup(), reader.names()), ((id, Value::Null), names(&["backup", "jobs"])));
    repository.pull(one);
    reader.look_in("dotfiles");
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
