//! Owns: the completions in the real shells, typed on a terminal: bash, zsh and fish.
//! Never: which candidates there are (see `completing`).
//!
//! script(1) provides the terminal. A program `taskq` in PATH prints the arguments that a completed line
//! gives it, so that a test sees what was inserted and not how the shell has drawn it.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::harness::{Home, TASKQ};
use crate::shared::has;

/// A shell that answers nothing for so long, in milliseconds, has hung.
const PATIENCE_MS: u16 = 60_000;

/// The keys that complete the word, and that empty the line.
const TAB: &str = "\t";
const EMPTY_LINE: &str = "\u{15}";

/// A shell on a terminal, with our completions.
struct Shell {
    child: Child,
    seen: String,
}

impl Shell {
    /// Starts a shell; `None` if this machine has none.
    fn start(home: &Home, name: &str) -> Option<Self> {
        let runs = |program: &str| Command::new(program).arg("--version").output().is_ok();
        if !has("script", runs("script")) || !has(name, runs(name)) {
            return None;
        }
        let bin = home.path().join("bin");
        fs::create_dir_all(&bin).expect("the home is ours");
        let program = format!(
            "#!/bin/sh\n[ \"$1\" != complete ] || exec {TASKQ} \"$@\"\n\
             printf '<<'; printf '%s|' \"$@\"; printf '>\\n'\n"
        );
        fs::write(bin.join("taskq"), program).expect("the directory is ours");
        fs::set_permissions(bin.join("taskq"), Permissions::from_mode(0o755)).expect("it is ours");
        let (line, file, load) = match name {
            "bash" => ("bash --norc --noprofile -i", "taskq.bash", ". ~/taskq.bash"),
            // As a user installs it: a file in $fpath, which compinit finds.
            "zsh" => (
                "zsh -f -i",
                "functions/_taskq",
                "fpath=(~/functions $fpath); autoload -U compinit; compinit -u -D",
            ),
            _ => ("fish --no-config -i", ".config/fish/completions/taskq.fish", ""),
        };
        let file = home.path().join(file);
        fs::create_dir_all(file.parent().expect("it is in the home")).expect("the home is ours");
        let script = home.taskq(&["completions", name]).answer().stdout;
        fs::write(file, script).expect("the home is ours");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
        let child = home
            .shell("script")
            .args(["-qec", &format!("stty rows 40 cols 120; exec {line}"), "/dev/null"])
            .envs([("PATH", path.as_str()), ("TERM", "xterm"), ("LANG", "C.UTF-8")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        let mut shell = Self { child, seen: String::new() };
        // Without a configuration, fish does not look there.
        let load = if name == "fish" { ". ~/.config/fish/completions/taskq.fish" } else { load };
        shell.types(&format!("{load}; printf 're%s\\n' ady\n"));
        shell.waits_for("ready\r");
        Some(shell)
    }

    fn types(&mut self, keys: &str) {
        let mut terminal = self.child.stdin.as_ref().expect("it is piped");
        terminal.write_all(keys.as_bytes()).expect("the shell reads");
    }

    /// Reads until the terminal has shown a text, and returns all of it up to then.
    fn waits_for(&mut self, text: &str) -> String {
        let terminal = self.child.stdout.as_mut().expect("it is piped");
        let mut bytes = [0; 4096];
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut polled = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut polled, PollTimeout::from(PATIENCE_MS)).expect("it is a pipe");
            let count = if ready > 0 { terminal.read(&mut bytes).expect("it is a pipe") } else { 0 };
            assert!(count > 0, "waited for {text:?} and saw {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// Types a line, and returns the arguments that the program gets.
    fn gives(&mut self, line: &str) -> String {
        self.types(line);
        self.types("\n");
        self.waits_for("<<");
        let shown = self.waits_for("|>");
        shown.trim_end_matches("|>").to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Its terminal is gone when its input is.
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A home with a store of some names, another store, and a file.
fn home() -> Home {
    let home = Home::new();
    home.taskq(&["queue", "set", "slow", "--slots", "2"]).answer();
    home.taskq(&["resource", "set", "gpu=4"]).answer();
    home.add(&["--name", "backup", "--cron", "@monthly", "--tag", "nightly", "pg_dump", "db"]);
    home.add(&["--name", "lines", "--on", "emit:deploy", "true"]);
    home.taskq(&["run", "backup"]).answer();
    let other = ["--dir", "../other store", "add", "--quiet", "--hold", "--name", "elsewhere", "true"];
    home.taskq(&other).answer();
    fs::write(home.work().join("my file"), "").expect("it is ours");
    home
}

/// Types lines with tabs, and compares what the program gets.
fn completes(shell_name: &str, more: &[(&str, &str)]) {
    let home = home();
    let Some(mut shell) = Shell::start(&home, shell_name) else { return };
    let all = [
        ("taskq pau\tba\t", "pause|backup"),
        ("taskq log backup.\t", "log|backup.1"),
        ("taskq log nothing\t", "log|nothing"),
        ("taskq add --after backup:f\tx", "add|--after|backup:failed|x"),
        ("taskq add --after=backup:d\tx", "add|--after=backup:done|x"),
        ("taskq list --state queued,ru\t", "list|--state|queued,running"),
        ("taskq list --state=queued,ru\t", "list|--state=queued,running"),
        ("taskq list --tag ni\t", "list|--tag|nightly"),
        ("taskq add --queue=s\tx", "add|--queue=slow|x"),
        ("taskq add --queue s\tx", "add|--queue|slow|x"),
        ("taskq add -R g\t2 x", "add|-R|gpu=2|x"),
        ("taskq add --needs=cpu=1,g\t2 x", "add|--needs=cpu=1,gpu=2|x"),
        ("taskq add --on job,failed:ba\tx", "add|--on|job,failed:backup|x"),
        ("taskq add --on em\tde\tx", "add|--on|emit:deploy|x"),
        ("taskq emit dep\t", "emit|deploy"),
        ("taskq signal backup HU\t", "signal|backup|HUP"),
        ("taskq set backup --unset retry-o\t", "set|backup|--unset|retry-on"),
        ("taskq add --stdin my\tx", "add|--stdin|my file|x"),
        ("taskq add --stdin=my\tx", "add|--stdin=my file|x"),
        ("taskq add cat my\t", "add|cat|my file"),
        ("taskq --dir '../other store' log el\t", "--dir|../other store|log|elsewhere"),
        ("taskq --dir ../other\\ store log el\t", "--dir|../other store|log|elsewhere"),
        ("taskq --dir ../nowhere log el\t", "--dir|../nowhere|log|el"),
        ("taskq queue rem\tsl\t", "queue|remove|slow"),
        ("taskq add --tz Europe/Berl\tx", "add|--tz|Europe/Berlin|x"),
    ];
    let has_zones = fs::exists("/usr/share/zoneinfo/Europe/Berlin").is_ok_and(|is_there| is_there);
    for (line, given) in all.iter().chain(more).filter(|(line, _)| has_zones || !line.contains("Europe")) {
        assert_eq!(shell.gives(line), *given, "{shell_name}: {}", line.replace(TAB, "<TAB>"));
    }
    assert!(!shell.seen.contains("error"), "{}", shell.seen);
    assert!(!home.path().join("nowhere").exists());
}

/// Checks that a shell lists candidates with their descriptions.
fn describes(shell_name: &str) {
    let home = home();
    let Some(mut shell) = Shell::start(&home, shell_name) else { return };
    shell.types("taskq show \t\t");
    shell.waits_for("pg_dump db");
    shell.types(EMPTY_LINE);
    shell.types("taskq sta\t\t");
    shell.waits_for("Show the daemon, the queues");
}

#[test]
fn bash_completes_names_and_inserts_what_was_meant() {
    let more = [
        ("dir='../other store'\ntaskq --dir \"$dir\" log el\t", "--dir|../other store|log|elsewhere"),
        ("taskq add --if loa\t2 x", "add|--if|load<2|x"),
        ("taskq log \"ba\t", "log|backup"),
        // The cursor is within the line.
        ("taskq log ba x\u{2}\u{2}\t", "log|backup|x"),
        // Users change where bash breaks words.
        ("COMP_WORDBREAKS=' '\ntaskq add --queue=s\tx", "add|--queue=slow|x"),
        ("taskq add --after backup:f\tx", "add|--after|backup:failed|x"),
    ];
    completes("bash", &more);
}

#[test]
fn zsh_completes_names_and_inserts_what_was_meant() {
    let more = [
        ("dir='../other store'\ntaskq --dir \"$dir\" log el\t", "--dir|../other store|log|elsewhere"),
        ("TASKQ_DIR='../other store' taskq log el\t", "log|elsewhere"),
        ("taskq add --if loa\t2 x", "add|--if|load<2|x"),
    ];
    completes("zsh", &more);
}

#[test]
fn fish_completes_names_and_inserts_what_was_meant() {
    let more = [
        ("set dir '../other store'\ntaskq --dir \"$dir\" log el\t", "--dir|../other store|log|elsewhere"),
        ("TASKQ_DIR='../other store' taskq log el\t", "log|elsewhere"),
    ];
    completes("fish", &more);
}

#[test]
fn zsh_and_fish_describe_what_they_offer() {
    describes("zsh");
    describes("fish");
}
