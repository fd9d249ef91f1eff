//! Owns: that man/, completions/ and packaging/systemd/ are what the definitions make, and that manual
//! readers can read them.
//! Never: their words.
//!
//! `TASKQ_BLESS=1 cargo test --test generated` rewrites them.
#![allow(clippy::disallowed_types, reason = "tests start programs")]

#[path = "shared/mod.rs"]
mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;
use clap_complete::Shell;
use shared::{has, setting};
use taskq::cli::Cli;
use taskq::cli::generate::completions::{COMMITTED, completions};
use taskq::cli::generate::man::{self, Page};
use taskq::cli::generate::units::units;

fn pages() -> Vec<Page> {
    man::pages(&Cli::command())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a directory with what belongs there, or writes it.
fn compare(dir: &Path, wanted: &[(String, Vec<u8>)]) {
    if setting::<String>("TASKQ_BLESS").is_some() {
        fs::create_dir_all(dir).expect("the tree is writable");
        for (file, text) in wanted {
            fs::write(dir.join(file), text).expect("the tree is writable");
        }
    }
    for (file, text) in wanted {
        let found = fs::read(dir.join(file)).unwrap_or_default();
        assert!(found == *text, "{file} is out of date: run TASKQ_BLESS=1 cargo test --test generated");
    }
    for entry in fs::read_dir(dir).expect("it is committed") {
        let file = entry.expect("readable").file_name();
        let is_wanted = wanted.iter().any(|(wanted, _)| file == wanted.as_str());
        assert!(is_wanted, "{} is made by nothing: remove it", file.display());
    }
}

#[test]
fn the_committed_completions_are_those_of_the_definitions() {
    let wanted: Vec<_> = COMMITTED
        .iter()
        .map(|(shell, file)| ((*file).to_owned(), completions(&Cli::command(), *shell)))
        .collect();
    compare(&root().join("completions"), &wanted);
}

#[test]
fn the_committed_manual_pages_are_those_of_the_definitions() {
    let wanted: Vec<_> = pages().into_iter().map(|page| (page.file, page.text.into_bytes())).collect();
    compare(&root().join("man"), &wanted);
}

#[test]
fn the_committed_units_of_packages_are_those_that_the_service_recognizes() {
    for (directory, file, text) in units() {
        let wanted = [(file.to_owned(), text.into_bytes())];
        compare(&root().join("packaging/systemd").join(directory), &wanted);
    }
}

#[test]
fn completions_offer_nothing_that_is_hidden() {
    // The scripts of the other shells have no words of their own.
    for shell in [Shell::Elvish, Shell::PowerShell] {
        let text = String::from_utf8(completions(&Cli::command(), shell)).expect("scripts are text");
        for hidden in ["keeper", "complete", "completions"] {
            assert!(!text.contains(&format!("'{hidden}'")), "{shell}: {hidden}");
        }
        assert!(text.contains("cancel"), "{shell}");
    }
}

/// Returns a verb that is not hidden, and the verbs below it.
fn with_nested(verb: &clap::Command) -> Vec<&clap::Command> {
    let nested = verb.get_subcommands().filter(|nested| !nested.is_hide_set());
    std::iter::once(verb).chain(nested.flat_map(with_nested)).collect()
}

/// Returns the options of a verb as they are typed: `-n`, `--queue`.
fn options(verb: &clap::Command) -> Vec<String> {
    let arguments = verb.get_arguments().filter(|argument| !argument.is_hide_set());
    arguments
        .flat_map(|argument| {
            let short = argument.get_short().map(|short| format!("-{short}"));
            short.into_iter().chain(argument.get_long().map(|long| format!("--{long}")))
        })
        .collect()
}

#[test]
fn every_verb_and_option_is_in_the_manual() {
    let mut taskq = Cli::command();
    taskq.build();
    let texts: BTreeMap<String, String> =
        pages().into_iter().map(|page| (page.file, page.text.replace("\\-", "-"))).collect();
    for (file, text) in texts.iter().filter(|(file, _)| file.ends_with(".1")) {
        assert!(text.contains(".SH EXAMPLES\n.nf\ntaskq ") && text.contains(".SH OPTIONS\n"), "{file}");
    }
    for option in options(&taskq) {
        assert!(texts["taskq.1"].contains(&format!("\\fB{option}\\fR")), "`{option}` in taskq.1");
    }
    for page in taskq.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let file = format!("taskq-{}.1", page.get_name());
        assert!(texts["taskq.1"].contains(&format!("taskq-{}(1)", page.get_name())), "{file} in taskq.1");
        let text = texts.get(&file).unwrap_or_else(|| panic!("there is no {file}"));
        for verb in with_nested(page) {
            let name = verb.get_bin_name().expect("the definitions are built");
            let has_part =
                std::ptr::eq(verb, page) || text.contains(&format!(".SH \"{}\"", name.to_uppercase()));
            assert!(has_part, "`{name}` in {file}");
            // taskq(1) has the options of all verbs.
            for option in options(verb).into_iter().filter(|option| !options(&taskq).contains(option)) {
                assert!(text.contains(&format!("\\fB{option}\\fR")), "`{option}` of `{name}` in {file}");
            }
        }
    }
}

#[test]
fn the_manual_names_no_option_that_is_not_there() {
    let mut taskq = Cli::command();
    taskq.build();
    let mut known: BTreeSet<String> = with_nested(&taskq).into_iter().flat_map(options).collect();
    // Of rsync(1), in a recipe.
    known.insert("--delete".to_owned());
    // Of sbatch(1) and kubectl(1), which executors use.
    let others = [
        "--KEY",
        "--cpus-per-task",
        "--gres",
        "--mem",
        "--no-requeue",
        "--image",
        "--restart",
        "--ignore-not-found",
    ];
    known.extend(others.map(str::to_owned));
    for page in pages() {
        let text = page.text.replace("\\-", "-").replace("\\fB", " ");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        for option in words.filter(|word| word.starts_with("--") && word.len() > 2) {
            assert!(known.contains(option), "`{option}` in {}", page.file);
        }
    }
}

/// Returns the cells of the rows of a Markdown table that begin with an option or a verb.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| row.trim_matches(['|', ' ']).split(" | ").collect())
}

/// Whether a cell names an option or a verb, `--at` in "`--at TIME`", and no longer one.
fn names(cell: &str, word: &str) -> bool {
    cell.split('`').skip(1).step_by(2).any(|code| {
        code.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '[', ',']))
    })
}

#[test]
fn the_contract_names_what_is_built_and_nothing_else_as_built() {
    let built = fs::read_to_string(root().join("docs/cli.md")).expect("it is committed");
    let built = built.as_str();
    let mut taskq = Cli::command();
    taskq.build();
    let mut known: BTreeSet<String> = options(&taskq).into_iter().collect();
    for verb in taskq.get_subcommands().filter(|verb| !verb.is_hide_set()).flat_map(with_nested) {
        let name = verb.get_bin_name().and_then(|name| name.strip_prefix("taskq ")).expect("it is built");
        let is_there = rows(built).any(|row| names(row[0], name));
        assert!(is_there || built.contains(&format!("\ntaskq {name} ")), "{name}");
        for option in options(verb).into_iter().filter(|option| !options(&taskq).contains(option)) {
            // The table of `add` has no column for the verb, and `set` takes its options.
            let is_there = |row: &Vec<&str>| {
                let is_of_add = row.len() == 2 && ["add", "set"].contains(&name);
                names(row[0], &option) && (is_of_add || names(row[1], name))
            };
            assert!(rows(built).any(|row| is_there(&row)), "`{option}` of `{name}`");
            known.insert(option);
        }
    }
    let mut seen = BTreeSet::new();
    for row in rows(built).filter(|row| row.len() == 3 && row[0].starts_with("`-")) {
        for verb in row[1].split(", ") {
            assert!(seen.insert((row[0], verb)), "{} of {verb} has two rows", row[0]);
        }
    }
    let words = built.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    for option in words.filter(|word| word.starts_with("--") && word.len() > 2) {
        assert!(known.contains(option) || option.starts_with("---"), "`{option}` is not built");
    }
}

#[test]
fn the_manual_passes_mandocs_lint() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for page in pages() {
        let file = dir.path().join(&page.file);
        fs::write(&file, &page.text).expect("a temporary file");
        let lint = Command::new("mandoc").args(["-T", "lint", "-W", "style"]).arg(&file).output();
        if !has("mandoc", lint.is_ok()) {
            return;
        }
        let lint = lint.expect("mandoc ran");
        let complaints = String::from_utf8_lossy(&lint.stdout);
        let unknown_reference = |line: &&str| line.contains("referenced manual not found");
        let complaints: Vec<_> = complaints.lines().filter(|line| !unknown_reference(line)).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}
