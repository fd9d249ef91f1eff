//! Owns: `taskq complete`: the names in the store, as the scripts of the shells get them.
//! Never: lines that need no store (see `cli::complete`), the shells (see `shells`).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::harness::Home;

/// Returns what the last word of a line can be: the text for a script. A blank separates words.
fn answered(home: &Home, line: &str) -> String {
    let words: Vec<&str> = ["complete", "zsh", "--", "taskq"].into_iter().chain(line.split(' ')).collect();
    let answer = home.taskq(&words).answer();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{line}");
    answer.stdout
}

/// Returns the candidates as whole words, each with its description.
fn offered(home: &Home, line: &str) -> Vec<(String, String)> {
    let text = answered(home, line);
    let mut lines = text.lines();
    let Some(("words", head)) = lines.next().and_then(|first| first.split_once('\t')) else {
        return Vec::new();
    };
    let parts = lines.map(|line| line.split_once('\t').expect("a tab precedes the description"));
    parts.map(|(value, about)| (format!("{head}{value}"), about.to_owned())).collect()
}

fn words(home: &Home, line: &str) -> Vec<String> {
    offered(home, line).into_iter().map(|(word, _)| word).collect()
}

/// A home with a running job `server`, a done one `old`, a paused one `later`, a recurring one `backup`, and
/// one without a name.
fn busy() -> Home {
    let home = Home::with_daemon();
    home.fifo("gate");
    home.taskq(&["queue", "set", "slow", "--slots", "2"]).answer();
    home.taskq(&["resource", "set", "gpu=4"]).answer();
    home.add_and_wait(&["--name", "old", "-c", "exit 3"]);
    home.add(&["--name", "server", "--tag", "web", "--queue", "slow", "-R", "gpu=1", "cat", "gate"]);
    home.add(&["--name", "later", "--at", "@4000000000", "--hold", "rsync", "a b"]);
    home.add(&["--name", "backup", "--cron", "@monthly", "--tag", "nightly", "--tag", "disk", "true"]);
    home.add(&["--on", "emit:deploy", "--on", "emit:restart", "touch", "x"]);
    home.taskq(&["run", "backup", "--wait"]).answer();
    home.taskq(&["wait", "server", "--timeout", "10ms"]).answer();
    home
}

#[test]
fn a_job_is_found_by_its_first_letters_among_more_than_are_looked_at() {
    let home = Home::new();
    let line = |name: &str| format!("{{\"name\":\"{name}\",\"hold\":true,\"command\":[\"true\"]}}\n");
    let many: String = (0..700).map(|number| line(&format!("job-{number:03}"))).collect();
    let all = format!("{}{}{many}{}", line("zeta"), line("beta"), line("omega"));
    assert_eq!(home.taskq(&["add", "--quiet", "--from", "-"]).stdin(all).answer().status, 0);
    for (typed, job) in [("z", "zeta"), ("b", "beta"), ("o", "omega"), ("job-41", "job-410")] {
        assert_eq!(words(&home, &format!("show {typed}"))[0], job);
        assert_eq!(words(&home, &format!("resume {typed}"))[0], job, "also of paused ones");
    }
    assert_eq!(words(&home, "show 70"), ["70", "700", "701", "702", "703"]);
}

#[test]
fn jobs_are_offered_by_name_else_by_id_and_living_ones_first() {
    let home = busy();
    assert_eq!(
        offered(&home, "log "),
        [
            ("backup", "job 4: true"),
            ("later", "job 3, paused: rsync 'a b'"),
            ("server", "job 2: cat gate"),
            ("5", "job: touch x"),
            ("old", "job 1, done: exit 3"),
        ]
        .map(|(word, about)| (word.to_owned(), about.to_owned()))
    );
    assert_eq!(words(&home, "log se"), ["server"]);
    assert_eq!(offered(&home, "log 2"), [("2".to_owned(), "server: cat gate".to_owned())]);
    for verb in ["show", "runs", "remove", "why", "export json", "stats"] {
        assert_eq!(words(&home, &format!("{verb} ol")), ["old"], "{verb}");
    }
    for verb in ["cancel", "run", "set", "pause", "wait", "resume", "add --after", "add --stdin-from"] {
        assert_eq!(words(&home, &format!("{verb} ")).len(), 4, "{verb}");
        assert_eq!(words(&home, &format!("{verb} ol")).len(), 0, "{verb}");
    }
    assert_eq!(words(&home, "resume ")[0], "later", "a paused one comes first");
    assert_eq!(words(&home, "retry ")[0], "old", "a done one comes first");
    assert_eq!(words(&home, "signal "), ["server"], "only a running one can get a signal");
    assert_eq!(words(&home, "cancel server backup "), ["later", "5"], "none twice");
    assert_eq!(words(&home, "add --after=ba"), ["--after=backup"]);
    assert_eq!(words(&home, "add --on job,failed:ba"), ["job,failed:backup"]);
    assert_eq!(words(&home, "add --on job:tag=w"), ["job:tag=web"]);
}

#[test]
fn runs_are_offered_after_the_point_the_latest_first() {
    let home = busy();
    home.taskq(&["run", "backup", "--wait"]).answer();
    assert_eq!(words(&home, "log backup."), ["backup.2", "backup.1"]);
    assert_eq!(words(&home, "log 4.1"), ["4.1"]);
    let (word, about) = &offered(&home, "log old.")[0];
    assert!(word == "old.1" && about.starts_with("failed, exit 3, ") && about.ends_with(" ago"), "{about}");
    let (word, about) = &offered(&home, "cancel server.")[0];
    assert!(word == "server.1" && about.starts_with("running for "), "{about}");
    assert_eq!(words(&home, "cancel backup.").len(), 0, "they are finished");
    assert_eq!(words(&home, "retry server.").len(), 0, "it is not finished");
    assert_eq!(words(&home, "signal server."), ["server.1"]);
    assert_eq!(words(&home, "log nothing.").len(), 0);
}

#[test]
fn queues_tags_resources_and_events_are_offered_with_their_state() {
    let home = busy();
    for (line, wanted) in [
        ("add --queue s", &[("slow", "2 slots, 1 running, 0 waiting")][..]),
        ("pause --queue=d", &[("--queue=default", "a slot for each CPU, 0 running, 0 waiting")]),
        (
            "queue remove ",
            &[
                ("default", "a slot for each CPU, 0 running, 0 waiting"),
                ("slow", "2 slots, 1 running, 0 waiting"),
            ],
        ),
        ("list --tag ", &[("disk", "1 job"), ("nightly", "1 job"), ("web", "1 job")]),
        ("add --tag disk --tag ", &[("nightly", "1 job"), ("web", "1 job")]),
        ("add -Rg", &[("-Rgpu=", "3 of 4 free")]),
        ("add --needs gpu=1,g", &[]),
        ("resource set g", &[("gpu=", "3 of 4 free")]),
        ("resource remove g", &[("gpu", "3 of 4 free")]),
        ("add -R gpu=", &[("gpu=1", ""), ("gpu=2", ""), ("gpu=3", ""), ("gpu=4", "")]),
        ("emit ", &[("deploy", "job 5 listens"), ("restart", "job 5 listens")]),
        ("add --on emit,count=2:re", &[("emit,count=2:restart", "job 5 listens")]),
    ] {
        let wanted = wanted.iter().map(|(word, about)| ((*word).to_owned(), (*about).to_owned()));
        assert_eq!(offered(&home, line), wanted.collect::<Vec<_>>(), "{line}");
    }
    assert!(words(&home, "add --needs cpu=1,").iter().any(|word| word == "cpu=1,mem="));
    assert_eq!(words(&home, "add --env XDG_D"), ["XDG_DATA_HOME"]);
}

#[test]
fn the_store_of_the_line_is_the_one_that_is_asked() {
    let home = busy();
    let other = ["--dir", "other", "add", "--quiet", "--hold", "--name", "elsewhere", "true"];
    home.taskq(&other).answer();
    for line in ["--dir other log ", "log --dir other ", "log --dir=other "] {
        assert_eq!(words(&home, line), ["elsewhere"], "{line}");
    }
    let quoted = ["complete", "bash", "--", "taskq", "--dir", r"'../work/oth'er", "log", "\"else"];
    home.taskq(&quoted).gives(0, "words\t\nelsewhere\tjob 1, paused: true\n", "");
}

/// Returns the files below a directory, each with what a write would change.
fn files(dir: &Path) -> BTreeMap<String, (u64, i64, u64)> {
    let entries = fs::read_dir(dir).expect("it is there").flatten();
    let of = |entry: fs::DirEntry| {
        let found = entry.metadata().expect("it is there");
        (entry.file_name().to_string_lossy().into_owned(), (found.len(), found.mtime_nsec(), found.ino()))
    };
    // Every reader writes into the index which part of the log it reads.
    entries.map(of).filter(|(name, _)| name != "taskq.db-shm").collect()
}

#[test]
fn completing_changes_nothing_and_makes_no_store() {
    let home = Home::new();
    assert_eq!(answered(&home, "log "), "");
    assert_eq!(answered(&home, "--dir nowhere log "), "");
    assert!(!home.store().exists() && !home.work().join("nowhere").exists());
    home.add(&["--hold", "--name", "a", "true"]);
    let before = files(&home.store());
    assert_eq!(words(&home, "show "), ["a"]);
    assert_eq!(files(&home.store()), before);
}

#[test]
fn what_cannot_be_read_is_not_offered_and_is_no_error() {
    let home = Home::new();
    fs::create_dir_all(home.work().join("broken")).expect("the name is new");
    fs::write(home.work().join("broken/taskq.db"), "nonsense").expect("it is ours");
    fs::write(home.work().join("file"), "").expect("it is ours");
    for line in
        ["--dir broken log ", "--dir file log ", "--dir  log ", "--dir broken add --queue ", "nonsense "]
    {
        assert_eq!(answered(&home, line), "", "{line}");
    }
    assert_eq!(words(&home, "--dir broken li"), ["list"]);
}
