//! Owns: the answer to a line, and its text for the scripts.
//! Never: finding it.

use crate::shown;

/// No shell shows more in a useful way.
const CANDIDATES_MAX: usize = 1_000;

/// The longest description, in characters.
const ABOUT_MAX: usize = 60;

/// A word that can be completed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub value: String,
    /// A description; may be empty.
    pub about: String,
}

impl Candidate {
    pub fn new(value: impl Into<String>, about: impl Into<String>) -> Self {
        Self { value: value.into(), about: about.into() }
    }
}

/// What the word at the cursor can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One of these, after `head`, the part of the word that stays.
    Words {
        head: String,
        candidates: Vec<Candidate>,
    },
    /// Of these, the shell knows the names: after `head`.
    Files(String),
    Directories(String),
    Users(String),
    /// A command line of its own, whose first word has this index.
    Command(usize),
}

impl Answer {
    /// Returns words that replace the part after the head.
    pub fn words(head: impl Into<String>, candidates: Vec<Candidate>) -> Self {
        Self::Words { head: head.into(), candidates }
    }

    /// Returns that there is nothing to offer.
    pub fn nothing() -> Self {
        Self::words("", Vec::new())
    }

    /// Puts a text before the head.
    pub fn after(self, before: &str) -> Self {
        match self {
            Self::Words { head, candidates } => Self::words(format!("{before}{head}"), candidates),
            Self::Files(head) => Self::Files(format!("{before}{head}")),
            Self::Directories(head) => Self::Directories(format!("{before}{head}")),
            Self::Users(head) => Self::Users(format!("{before}{head}")),
            Self::Command(first) => Self::Command(first),
        }
    }

    /// Returns the text for a script: the kind and the head, then a line for each candidate, in which a tab
    /// precedes the description.
    pub fn text(&self) -> String {
        match self {
            Self::Words { candidates, .. } if candidates.is_empty() => String::new(),
            Self::Words { head, candidates } => {
                let mut text = format!("words\t{head}\n");
                for Candidate { value, about } in candidates.iter().take(CANDIDATES_MAX) {
                    text.push_str(&format!("{value}\t{}\n", cut(&shown::escaped(about))));
                }
                text
            }
            Self::Files(head) => format!("files\t{head}\n"),
            Self::Directories(head) => format!("directories\t{head}\n"),
            Self::Users(head) => format!("users\t{head}\n"),
            Self::Command(first) => format!("command\t{first}\n"),
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(ABOUT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
