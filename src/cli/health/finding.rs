//! Owns: a finding, and its line.
//! Never: what is found.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    /// It may be as it should.
    Note,
    /// Something does not work.
    Fault,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Fault => "fault",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    /// As in `daemon`, `disk`, `jobs`.
    pub subject: &'static str,
    pub text: String,
    /// One thing to do about it.
    pub remedy: Option<String>,
}

impl Finding {
    pub fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject, text: text.into(), remedy: None }
    }

    pub fn note(subject: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Note, subject, text: text.into(), remedy: Some(remedy.into()) }
    }

    pub fn fault(subject: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fault, subject, text: text.into(), remedy: Some(remedy.into()) }
    }

    /// Returns its line: level, subject, text, and what to do.
    pub fn line(&self) -> String {
        let remedy = self.remedy.as_ref().map_or_else(String::new, |remedy| format!(": {remedy}"));
        format!("{:5}  {:9}  {}{remedy}\n", self.level.word(), self.subject, self.text)
    }
}
