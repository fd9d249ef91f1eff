//! Owns: that man/ and completions/ are what the definitions make, and that manual readers can read them.
//! Never: their words.
//!
//! `TASKQ_BLESS=1 cargo test --test generated` rewrites them.

#[path = "shared/mod.rs"]
mod shared;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;
use shared::{has, setting};
use taskq::cli::Cli;
use taskq::cli::generate::completions::{COMMITTED, completions};
use taskq::cli::generate::man::{self, Page};

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
fn completions_offer_nothing_that_is_hidden() {
    for (shell, _) in COMMITTED {
        let text = String::from_utf8(completions(&Cli::command(), *shell)).expect("scripts are text");
        for hidden in ["keeper", "completions"] {
            assert!(!text.contains(hidden), "{shell}: {hidden}");
        }
    }
}

#[test]
fn every_verb_and_option_is_in_the_manual() {
    for page in pages() {
        assert!(page.text.contains(".SH EXAMPLES\n.nf\ntaskq "), "{}", page.file);
        assert!(page.text.contains(".SH OPTIONS\n"), "{}", page.file);
    }
    let add = pages().into_iter().find(|page| page.file == "taskq-add.1").expect("add is a verb");
    for option in ["at", "cron", "every", "kill\\-after", "missed", "priority", "from"] {
        assert!(add.text.contains(&format!("\\fB\\-\\-{option}\\fR")), "{option}");
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
