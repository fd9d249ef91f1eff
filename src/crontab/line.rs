//! Owns: a crontab as lines, and a line as its parts: what is a comment, an assignment, an entry and its
//! fields.
//! Never: what the parts mean (see `table`).
//!
//! Lines borrow the file, and hold all of it: their bytes, one after the other, are the file's.

use super::assignment;
use crate::schedule::{BadField, Dialect};

/// Which of the two forms a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As crontab(1) takes it: the command follows the five fields.
    User,
    /// `/etc/crontab` and `/etc/cron.d`: a user stands between them.
    System,
}

/// What a line ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A newline.
    Newline,
    /// The end of the file.
    File,
}

/// One line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// From 1.
    pub number: usize,
    /// Its bytes without the newline.
    pub text: &'a [u8],
    /// What follows them.
    pub ending: Ending,
}

/// When an entry is to run, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When<'a> {
    /// `@daily`, with its sign.
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
    /// When.
    pub when: When<'a>,
    /// As whom: only in a system table.
    pub user: Option<&'a [u8]>,
    /// What, with its percent signs; may be empty.
    pub command: &'a [u8],
    /// cronie's `-n` before the command: mail only if it fails.
    pub mails_failures_only: bool,
}

/// What a cron takes a line for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syntax<'a> {
    /// Blank, or a comment.
    Nothing,
    /// `NAME=VALUE`, quotes and blanks taken away.
    Assignment {
        /// Any bytes but `=` and blanks, if it is not quoted.
        name: Vec<u8>,
        /// Any bytes.
        value: Vec<u8>,
    },
    /// An entry whose fields are not read yet.
    Entry(EntryText<'a>),
    /// Neither.
    Bad {
        /// What cron says: `bad hour`.
        what: &'static str,
        /// The byte, from 0, at which reading stopped.
        at: usize,
        /// The fields that were there.
        fields: Vec<&'a [u8]>,
    },
}

/// What Debian's cron takes of a command, and reads of an assignment: a longer command it refuses, a longer
/// assignment it cuts.
pub const DEBIAN_BYTES_MAX: usize = 998;

/// What cron says of an entry without a command, or with one that is a sixth field.
const BAD_COMMAND: &str = "bad command";
/// What cronie says of a command that begins with a dash.
const BAD_OPTION: &str = "bad option";

/// Takes a file apart. Nothing is lost: the lines with their endings are the file.
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

/// The rest of a line and where it begins.
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

    /// Takes the bytes up to the next blank.
    fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| is_blank(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }
}

impl<'a> Line<'a> {
    /// Returns the line as it stands in the file.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        let newline = (self.ending == Ending::Newline).then_some(b'\n');
        self.text.iter().copied().chain(newline)
    }

    /// Takes the line apart as a cron does: it is an assignment if it can be read as one.
    pub fn syntax(&self, dialect: Dialect, layout: Layout) -> Syntax<'a> {
        let mut cursor = Cursor { text: self.text, at: 0 };
        cursor.skip_blanks();
        match cursor.rest().first() {
            None | Some(b'#') => return Syntax::Nothing,
            Some(_) => {}
        }
        if let Some((name, value)) = assignment::read(cursor.rest(), dialect) {
            return Syntax::Assignment { name, value };
        }
        entry(cursor, dialect, layout)
    }
}

fn entry<'a>(mut cursor: Cursor<'a>, dialect: Dialect, layout: Layout) -> Syntax<'a> {
    // In cronie a dash in front keeps an entry out of the log.
    if dialect == Dialect::Cronie && cursor.rest().first() == Some(&b'-') {
        cursor.at += 1;
    }
    let bad = |what, at, fields| Syntax::Bad { what, at, fields };
    let when = if cursor.rest().first() == Some(&b'@') {
        When::Nickname(cursor.word())
    } else {
        let mut fields = Vec::with_capacity(5);
        while fields.len() < 5 {
            let field = cursor.word();
            if field.is_empty() {
                return bad(BadField { index: fields.len() }.message(), cursor.at, fields);
            }
            fields.push(field);
            if fields.len() < 5 {
                cursor.skip_blanks();
            }
        }
        When::Fields(fields.try_into().expect("five were read"))
    };
    cursor.skip_blanks();
    let fields = match when {
        When::Nickname(_) => Vec::new(),
        When::Fields(fields) => fields.to_vec(),
    };
    // A star where the command should be is taken for a sixth field; by Debian's in a user's table only.
    let is_checked = layout == Layout::User || dialect == Dialect::Cronie;
    if is_checked && cursor.rest().first() == Some(&b'*') {
        return bad(BAD_COMMAND, cursor.at, fields);
    }
    let user = match layout {
        Layout::User => None,
        Layout::System => {
            let user = cursor.word();
            if user.is_empty() || cursor.rest().is_empty() {
                return bad(BAD_COMMAND, cursor.at, fields);
            }
            cursor.skip_blanks();
            Some(user)
        }
    };
    let mut mails_failures_only = false;
    if dialect == Dialect::Cronie {
        match cronie_options(&mut cursor) {
            Ok(found) => mails_failures_only = found,
            Err(what) => return bad(what, cursor.at, fields),
        }
        if cursor.rest().is_empty() {
            return bad(BAD_COMMAND, cursor.at, fields);
        }
    }
    Syntax::Entry(EntryText { when, user, command: cursor.rest(), mails_failures_only })
}

/// Reads `-n`, the one option that may stand before a command, once.
fn cronie_options(cursor: &mut Cursor<'_>) -> Result<bool, &'static str> {
    let mut found = false;
    while cursor.rest().first() == Some(&b'-') {
        if found || cursor.word() != b"-n" || cursor.rest().is_empty() {
            return Err(BAD_OPTION);
        }
        found = true;
        cursor.skip_blanks();
    }
    Ok(found)
}
