//! Owns: `taskq complete`: what the scripts of `taskq completions` ask.
//! Never: which words can be completed to (see `cli::complete`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Command, ValueEnum};

use crate::cli::complete::answer::answer;
use crate::cli::complete::quotes::unquoted;
use crate::cli::context::Context;
use crate::error::Result;
use crate::system::env;

pub const WHAT: &str = "complete";

/// A shell, by how it hands over the words of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompletedShell {
    /// As they were typed, with quotes.
    Bash,
    /// Without quotes, but for the last one.
    Fish,
    /// Without quotes.
    Zsh,
}

/// Complete a command line, for the scripts of `completions`
///
/// Prints nothing if there is nothing to offer. Else the first line has the
/// kind of the candidates (words, files, directories, users, command), a tab,
/// and the part of the last word that stays; of a command, the index of its
/// first word. Each further line is a word, a tab, and a description. It reads
/// the store, and never makes, changes or waits for one.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq complete bash -- taskq log ''
  taskq complete fish -- taskq list --state queued,ru"
)]
pub struct CompleteArgs {
    /// bash, fish or zsh
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub shell: CompletedShell,

    /// The words of the line up to the cursor, the first of which is taskq
    #[arg(value_name = "WORD", last = true)]
    pub words: Vec<OsString>,
}

/// Prints what the last word can be, by the definitions of the command line `full`.
pub fn run(context: &Context<'_>, args: &CompleteArgs, full: &Command) -> Result<u8> {
    let mut words: Vec<String> = args.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let home = env::home_dir();
    let quoted = match args.shell {
        CompletedShell::Bash => 0..words.len(),
        CompletedShell::Fish => words.len().saturating_sub(1)..words.len(),
        CompletedShell::Zsh => 0..0,
    };
    words[quoted].iter_mut().for_each(|word| *word = unquoted(word, home.as_deref()));
    let find_dir = |dir: Option<&str>| -> Option<PathBuf> {
        match dir {
            Some(dir) => env::store_dir(Some(Path::new(dir))).ok().map(|dir| dir.path),
            None => Some(context.dir.clone()),
        }
    };
    let answer = answer(full, &words, context.now(), find_dir);
    context.output.answer_bytes(answer.text().as_bytes())?;
    Ok(0)
}
