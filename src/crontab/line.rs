//! Owns: a crontab as lines, and a line as its parts: comment, assignment, or entry with its fields.
//! Never: the meaning of the parts (see `reading`).
//!
//! Lines borrow the file and keep all of it: their bytes, joined, are the file.

use super::assignment::{self, Variable};
use crate::schedule::{BadField, Dialect};

/// The form of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// For crontab(1): the command follows the five fields.
    User,
    /// For `/etc/crontab` and `/etc/cron.d`: a user stands between them.
    System,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Newline,
    File,
}

/// One line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// From 1.
    pub number: usize,
    /// Without the newline.
    pub text: &'a [u8],
    /// Whether a newline follows.
    pub ending: Ending,
}

/// When an entry runs, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When<'a> {
    /// `@daily`.
    Nickname(&'a [u8]),
    /// Minute, hour, day of the month, month, weekday.
    Fields([&'a [u8]; 5]),
}

impl When<'_> {
    /// Returns it with single blanks.
    pub fn text(&self) -> String {
        match self {
            Self::Nickname(nickname) => String::from_utf8_lossy(nickname).into_owned(),
            Self::Fields(fields) => fields.map(String::from_utf8_lossy).join(" "),
        }
    }
}

/// An entry in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryText<'a> {
    pub when: When<'a>,
    /// In a system table only.
    pub user: Option<&'a [u8]>,
    /// With its percent signs; may be empty.
    pub command: &'a [u8],
    /// cronie's `-n` before the command: mail only if it fails.
    pub mails_failures_only: bool,
}

/// The reason why a cron refuses the form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadForm {
    /// This field is missing.
    Field(BadField),
    /// The command is missing, or begins with a star, so that it looks like a sixth field.
    Command,
    /// The command begins with a dash, which cronie reads as an option.
    Option,
}

impl BadForm {
    /// Returns the cron's own words: `bad hour`.
    pub fn message(self) -> &'static str {
        match self {
            Self::Field(field) => field.message(),
            Self::Command => "bad command",
            Self::Option => "bad option",
        }
    }
}

/// The parts of a line as one cron separates them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syntax<'a> {
    /// Blank, or a comment.
    Nothing,
    /// `NAME=VALUE`, without quotes and blanks around either.
    Assignment(Variable),
    /// An entry. Its fields are not read yet.
    Entry(EntryText<'a>),
    /// None of these.
    Bad {
        /// The reason.
        form: BadForm,
        /// The byte, from 0, at which reading stopped.
        at: usize,
        /// The fields before that.
        fields: Vec<&'a [u8]>,
    },
}

/// Splits a file into lines. Nothing is lost: the lines with their endings are the file.
pub fn lines(file: &[u8]) -> impl Iterator<Item = Line<'_>> {
    file.split_inclusive(|byte| *byte == b'\n').enumerate().map(|(index, line)| {
        let (text, ending) = match line.strip_suffix(b"\n") {
            Some(text) => (text, Ending::Newline),
            None => (line, Ending::File),
        };
        Line { number: index + 1, text, ending }
    })
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The rest of a line, and where it begins.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn skip_blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| is_blank(**byte)).count();
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn is_at(&self, byte: u8) -> bool {
        self.rest().first() == Some(&byte)
    }

    /// Takes the bytes up to the next blank.
    fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| is_blank(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }
}

impl<'a> Line<'a> {
    /// Returns the bytes in the file, with the newline.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        let newline = (self.ending == Ending::Newline).then_some(b'\n');
        self.text.iter().copied().chain(newline)
    }

    /// Separates the parts as a cron does: a line that can be read as an assignment is one.
    pub fn syntax(&self, dialect: Dialect, layout: Layout) -> Syntax<'a> {
        let mut cursor = Cursor { text: self.text, at: 0 };
        cursor.skip_blanks();
        if cursor.rest().is_empty() || cursor.is_at(b'#') {
            return Syntax::Nothing;
        }
        match assignment::read(cursor.rest(), dialect) {
            Some(variable) => Syntax::Assignment(variable),
            None => entry(cursor, dialect, layout),
        }
    }
}

fn entry<'a>(mut cursor: Cursor<'a>, dialect: Dialect, layout: Layout) -> Syntax<'a> {
    // In cronie a dash before an entry keeps it out of the log.
    if dialect == Dialect::Cronie && cursor.is_at(b'-') {
        cursor.at += 1;
    }
    let mut fields = Vec::new();
    let when = if cursor.is_at(b'@') {
        When::Nickname(cursor.word())
    } else {
        while fields.len() < 5 {
            let field = cursor.word();
            if field.is_empty() {
                let form = BadForm::Field(BadField { index: fields.len() });
                return Syntax::Bad { form, at: cursor.at, fields };
            }
            fields.push(field);
            if fields.len() < 5 {
                cursor.skip_blanks();
            }
        }
        When::Fields(fields.as_slice().try_into().expect("five were read"))
    };
    cursor.skip_blanks();
    match rest_of_entry(when, &mut cursor, dialect, layout) {
        Ok(text) => Syntax::Entry(text),
        Err(form) => Syntax::Bad { form, at: cursor.at, fields },
    }
}

fn rest_of_entry<'a>(
    when: When<'a>,
    cursor: &mut Cursor<'a>,
    dialect: Dialect,
    layout: Layout,
) -> Result<EntryText<'a>, BadForm> {
    // A star in place of the command looks like a sixth field. Debian's cron checks it in a user's table
    // only.
    let is_checked = layout == Layout::User || dialect == Dialect::Cronie;
    if is_checked && cursor.is_at(b'*') {
        return Err(BadForm::Command);
    }
    let user = match layout {
        Layout::User => None,
        Layout::System => {
            let user = cursor.word();
            if user.is_empty() || cursor.rest().is_empty() {
                return Err(BadForm::Command);
            }
            cursor.skip_blanks();
            Some(user)
        }
    };
    let mails_failures_only = dialect == Dialect::Cronie && cronie_options(cursor)?;
    if dialect == Dialect::Cronie && cursor.rest().is_empty() {
        return Err(BadForm::Command);
    }
    Ok(EntryText { when, user, command: cursor.rest(), mails_failures_only })
}

/// Reads `-n`, the only option that may stand before a command, once.
fn cronie_options(cursor: &mut Cursor<'_>) -> Result<bool, BadForm> {
    let mut found = false;
    while cursor.is_at(b'-') {
        if found || cursor.word() != b"-n" || cursor.rest().is_empty() {
            return Err(BadForm::Option);
        }
        found = true;
        cursor.skip_blanks();
    }
    Ok(found)
}
