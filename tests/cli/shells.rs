//! Owns: the completions in the real shells, typed on a terminal: bash, zsh and fish.
//! Never: which candidates there are (see `completing`).
//!
//! A program `taskq` in PATH prints the arguments that a completed line
//! gives it, so that a test sees what was inserted and not how the shell has drawn it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::{Home, TASKQ};
use crate::keyboard::Terminal;
use crate::shared::has;

/// The keys that complete the word, and that empty the line.
const TAB: &str = "\t";
const EMPTY_LINE: &str = "\u{15}";

/// A shell on a terminal, with our completions.
struct Shell(Terminal);

impl Shell {
    /// Starts a shell; `None` if this machine has none.
    fn start(home: &Home, name: &str) -> Option<Self> {
        if !has(name, Command::new(name).arg("--version").output().is_ok()) {
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
        let mut terminal = Terminal::start(home, (40, 120), &path, &format!("exec {line}"))?;
        // Without a configuration, fish does not look there.
        let load = if name == "fish" { ". ~/.config/fish/completions/taskq.fish" } else { load };
        terminal.types(&format!("{load}; printf 're%s\\n' ady\n"));
        terminal.waits_for("ready\r");
        Some(Self(terminal))
    }

    /// Types a line, and returns the arguments that the program gets.
    fn gives(&mut self, line: &str) -> String {
        self.0.types(line);
        self.0.types("\n");
        self.0.waits_for("<<");
        let shown = self.0.waits_for("|>");
        shown.trim_end_matches("|>").to_owned()
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
    assert!(!shell.0.seen().contains("error"), "{}", shell.0.seen());
    assert!(!home.path().join("nowhere").exists());
}

/// Checks that a shell lists candidates with their descriptions.
fn describes(shell_name: &str) {
    let home = home();
    let Some(mut shell) = Shell::start(&home, shell_name) else { return };
    shell.0.types("taskq show \t\t");
    shell.0.waits_for("pg_dump db");
    shell.0.types(EMPTY_LINE);
    shell.0.types("taskq sta\t\t");
    shell.0.waits_for("Show the daemon, the queues");
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
