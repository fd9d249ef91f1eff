//! Owns: a recipe of taskq-recipes(7) in a home of its own: its commands, the programs that stand for the
//! reader's, and the time that passes.
//! Never: what a recipe promises (see `recipes`).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;
use serde_json::Value;

use crate::harness::{Home, TASKQ};

/// The source of the page.
const PAGE: &str = include_str!("../../src/cli/generate/recipes.roff");

/// A recipe as the page has it.
#[derive(Debug, Default)]
pub struct Recipe {
    pub title: String,
    /// Its blocks of commands.
    pub blocks: Vec<String>,
    /// The commands after the last block, with which a reader looks at the result.
    pub looks: Vec<String>,
}

/// Returns all recipes, in the order of the page.
pub fn recipes() -> Vec<Recipe> {
    let (_, text) = PAGE.split_once(".SH RECIPES\n").expect("the page has its recipes");
    text.split(".SS ").skip(1).map(recipe).collect()
}

fn recipe(section: &str) -> Recipe {
    let (title, text) = section.split_once('\n').expect("a heading is a line");
    let mut recipe = Recipe { title: plain(title.trim_matches('"')), ..Recipe::default() };
    let mut block: Option<String> = None;
    for line in text.lines() {
        match (line, &mut block) {
            (".nf", None) => {
                block = Some(String::new());
                recipe.looks.clear();
            }
            (".fi", Some(_)) => recipe.blocks.extend(block.take()),
            (line, Some(block)) => block.push_str(&(plain(line) + "\n")),
            (line, None) => {
                let look = line.strip_prefix(".B ").filter(|look| look.starts_with("taskq "));
                recipe.looks.extend(look.map(plain));
            }
        }
    }
    assert!(block.is_none(), "`{}` has a block without an end", recipe.title);
    recipe
}

/// Returns what a formatter makes of the escapes in a line.
pub fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        let escapes = [("-", '-'), ("e", '\\'), ("(aq", '\''), ("(ga", '`'), ("(ha", '^'), ("(ti", '~')];
        let found = escapes.iter().find(|(name, _)| after.starts_with(name));
        let (name, sign) = found.unwrap_or_else(|| panic!("an unknown escape in: {line}"));
        plain.push_str(before);
        plain.push(*sign);
        rest = &after[name.len()..];
    }
    plain + rest
}

/// A reader who follows a recipe.
pub struct Reader {
    pub home: Home,
    recipe: Recipe,
    pasted: RefCell<BTreeSet<usize>>,
}

/// What a pasted block led to.
#[derive(Debug)]
pub struct Pasted {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Reader {
    /// A reader of the recipe of this title, whose daemon runs.
    pub fn of(title: &str) -> Self {
        let mut reader = Self::without_daemon(title);
        reader.home.start_daemon(&["--slots", "2"]);
        reader
    }

    pub fn without_daemon(title: &str) -> Self {
        let recipe = recipes().into_iter().find(|recipe| recipe.title == title);
        let recipe = recipe.unwrap_or_else(|| panic!("the page has no recipe `{title}`"));
        let mut home = Home::new();
        let bin = home.path().join("bin");
        fs::create_dir(&bin).expect("the home is empty");
        symlink(TASKQ, bin.join("taskq")).expect("the directory is empty");
        let sendmail = bin.join("sendmail");
        home.set_env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
        home.set_env("TASKQ_SENDMAIL", &sendmail);
        let reader = Self { home, recipe, pasted: RefCell::default() };
        reader.program("sendmail", "cat >/dev/null");
        reader
    }

    /// Makes a program that the commands find in `PATH`.
    pub fn program(&self, name: &str, script: &str) {
        write_script(&self.home.path().join("bin").join(name), script);
    }

    /// Makes a script of the working directory, which the recipe calls `./NAME`.
    pub fn script(&self, name: &str, script: &str) {
        write_script(&self.home.work().join(name), script);
    }

    /// Pastes a block into a shell that ends at the first failure.
    pub fn paste(&self, block: usize) -> Pasted {
        self.pasted.borrow_mut().insert(block);
        self.shell(&self.recipe.blocks[block])
    }

    /// Pastes a block, all of whose commands have to succeed.
    pub fn follow(&self, block: usize) {
        let pasted = self.paste(block);
        assert_eq!((pasted.status, pasted.stderr.as_str()), (Some(0), ""), "{pasted:?}");
    }

    pub fn block(&self, block: usize) -> &str {
        &self.recipe.blocks[block]
    }

    /// Pastes a block with another word, for a second item.
    pub fn variant(&self, block: usize, word: &str, other: &str) -> Pasted {
        let text = &self.recipe.blocks[block];
        assert!(text.contains(word), "`{word}` is in the block");
        self.shell(&text.replace(word, other))
    }

    fn shell(&self, script: &str) -> Pasted {
        let mut shell = self.home.shell("timeout");
        let output = shell.args(["60", "sh", "-e", "-c", script]).output().expect("sh starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the commands write text");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Pasted { status: output.status.code(), stdout, stderr }
    }

    /// Runs the commands with which a reader looks at the result, once all blocks were pasted.
    pub fn look(&self) {
        self.look_in("work");
    }

    /// Does that in a directory of the home.
    pub fn look_in(&self, directory: &str) {
        let pasted = self.pasted.borrow().len();
        assert_eq!(pasted, self.recipe.blocks.len(), "all blocks of `{}` are tried", self.recipe.title);
        for look in &self.recipe.looks {
            let answer = self.shell(&format!("cd ~/{directory}; {look}"));
            assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""), "{look}: {answer:?}");
        }
    }

    /// Lets time pass while no daemon runs: all instants in the store become earlier.
    pub fn later(&mut self, seconds: i64) {
        self.home.stop_daemon(Signal::SIGTERM);
        let database = Connection::open(self.home.store().join("taskq.db")).expect("there is a store");
        for (table, columns) in [
            ("trigger", "next_at timeout_at"),
            ("run", "scheduled_at queued_at not_before claimed_at started_at finished_at"),
            ("run_timer", "at quiet_since written_at"),
            ("array", "scheduled_at queued_at"),
        ] {
            let back = seconds * 1_000_000;
            let set: Vec<String> =
                columns.split(' ').map(|column| format!("{column} = {column} - {back}")).collect();
            let update = format!("UPDATE {table} SET {}", set.join(", "));
            database.execute_batch(&update).expect("the rows can be so");
        }
        drop(database);
        self.home.start_daemon(&["--slots", "2"]);
    }

    /// Blocks until an event of a job is recorded, and returns it.
    pub fn event(&self, job: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        let mut events = self.home.shell("timeout");
        events.args(["60", TASKQ, "events", "--follow", "--json", "--since", "1d", job]);
        let mut child = events.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("timeout starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut events = lines.by_ref().map(|line| line.expect("events are text"));
        let event = events.find_map(|line| {
            let event: Value = serde_json::from_str(&line).expect("a line is JSON");
            is_meant(&event).then_some(event)
        });
        // Without a reader the command ends.
        drop(lines);
        let _ = child.kill();
        child.wait().expect("it is our child");
        event.unwrap_or_else(|| panic!("the event of `{job}` has not come"))
    }

    /// Blocks until the N-th run of a job has ended, and returns its outcome.
    pub fn outcome(&self, job: &str, number: usize) -> String {
        let is_run =
            |event: &Value| event["run"].as_str().is_some_and(|run| run.ends_with(&format!(".{number}")));
        let end = self.event(job, |event| event["kind"] == "finished" && is_run(event));
        end["outcome"].as_str().expect("a run that has ended has an outcome").to_owned()
    }

    /// Blocks until the daemon has looked at the paths of all jobs so far.
    pub fn wait_for_first_look(&self) {
        let id = self.home.add(&["--on", "path,exists:.", "--times", "1", "true"]);
        assert_eq!(self.outcome(&id, 1), "success");
    }

    /// Lets a job try again without a pause.
    pub fn hurry(&self, job: &str) {
        let answer = self.home.taskq(&["set", job, "--retry-delay", "1ms"]).answer();
        assert_eq!(answer.status, 0, "{answer:?}");
    }

    /// Runs a job now, and returns its exit status.
    pub fn run(&self, job: &str) -> i32 {
        self.home.taskq(&["run", "--wait", job]).answer().status
    }

    /// Kills the keeper and a run, as a power failure does: nobody sees how the run ends.
    pub fn lose(&self, run: &Value) {
        let pid = run["pid"].as_i64().expect("it runs");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("it has a parent");
        for pid in [parent.trim(), &pid.to_string()] {
            let pid = Pid::from_raw(pid.parse().expect("a number"));
            kill(pid, Signal::SIGKILL).expect("it is ours");
        }
    }

    /// Returns the runs of a job, the oldest first.
    pub fn runs(&self, job: &str) -> Vec<Value> {
        let answer = self.home.json(&["runs", job, "-n", "1000"]);
        answer["runs"].as_array().expect("a list").iter().rev().cloned().collect()
    }

    pub fn outcomes(&self, job: &str) -> Vec<String> {
        self.runs(job).iter().map(|run| run["outcome"].as_str().unwrap_or("-").to_owned()).collect()
    }

    /// Returns the names of the living jobs.
    pub fn names(&self) -> Vec<String> {
        let answer = self.home.json(&["list"]);
        let name = |job: &Value| job["name"].as_str().unwrap_or_default().to_owned();
        answer["jobs"].as_array().expect("a list").iter().map(name).collect()
    }

    /// Returns a key of a job.
    pub fn key(&self, job: &str, key: &str) -> Value {
        self.home.json(&["show", job])["job"][key].clone()
    }
}

pub fn write_script(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("the home is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the home is ours");
}
