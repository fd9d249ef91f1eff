//! Owns: printing: answers on stdout, messages on stderr, colour, and closed pipes.
//! Never: the texts.
//!
//! Texts may contain SGR sequences (see `style::paint`), which are removed if colour is off. A closed pipe is
//! not an error: later output is dropped, and the exit status stays as it is.

pub mod progress;
pub mod screen;
pub mod style;
pub mod table;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use console::Term;
use serde::Serialize;

use self::style::paint;
pub use self::table::{Align, Column, Table, TableCell};
use crate::error::{Error, Result};
use crate::shown;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, if the environment does not forbid it.
    #[default]
    Auto,
    /// Also in a pipe.
    Always,
    /// Not even on a terminal.
    Never,
}

/// Facts about the three standard streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    pub stdin_is_terminal: bool,
    pub stdout_is_terminal: bool,
    pub stderr_is_terminal: bool,
    pub stdout_color: bool,
    pub stderr_color: bool,
    /// The columns of the terminal on standard output. `None` if it is not a terminal.
    pub width: Option<usize>,
}

impl Streams {
    /// Returns the facts about this process. `Auto` obeys NO_COLOR, CLICOLOR_FORCE and TERM.
    pub fn of_process(color: Color) -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let width = Term::stdout()
            .size_checked()
            .map(|(_, columns)| usize::from(columns))
            .filter(|columns| *columns > 0);
        Self {
            stdin_is_terminal: io::stdin().is_terminal(),
            stdout_is_terminal: stdout.is_terminal(),
            stderr_is_terminal: stderr.is_terminal(),
            stdout_color: wants_color(color, || AutoStream::choice(&stdout)),
            stderr_color: wants_color(color, || AutoStream::choice(&stderr)),
            width: width.filter(|_| stdout.is_terminal()),
        }
    }
}

fn wants_color(color: Color, auto: impl Fn() -> ColorChoice) -> bool {
    match color {
        Color::Auto => auto() != ColorChoice::Never,
        Color::Always => true,
        Color::Never => false,
    }
}

/// Writes answers to stdout and messages to stderr. Created once, in main.
pub struct Output {
    streams: Streams,
    stdout: RefCell<Box<dyn Write>>,
    stderr: RefCell<Box<dyn Write>>,
    closed: Cell<bool>,
}

impl Output {
    /// Uses the streams of the process.
    pub fn new(color: Color) -> Self {
        Self::with(Streams::of_process(color), Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// Uses other streams, for tests.
    pub fn with(streams: Streams, stdout: Box<dyn Write>, stderr: Box<dyn Write>) -> Self {
        Self { streams, stdout: RefCell::new(stdout), stderr: RefCell::new(stderr), closed: Cell::new(false) }
    }

    pub fn streams(&self) -> Streams {
        self.streams
    }

    /// Tells whether the reader of stdout is gone, so that an endless answer may stop.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Prints a part of the answer, and a newline if that does not end in one. An empty text prints nothing.
    ///
    /// # Errors
    ///
    /// `Io` if stdout cannot be written; a closed pipe is not an error.
    pub fn answer(&self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut text = plain_unless(self.streams.stdout_color, text);
        if !text.ends_with('\n') {
            text.to_mut().push('\n');
        }
        self.answer_bytes(text.as_bytes())
    }

    /// Prints bytes unchanged.
    ///
    /// # Errors
    ///
    /// As `answer`.
    pub fn answer_bytes(&self, bytes: &[u8]) -> Result<()> {
        if self.closed.get() {
            return Ok(());
        }
        let mut stdout = self.stdout.borrow_mut();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed.set(true);
                Ok(())
            }
            Err(error) => Err(Error::io("write standard output", &error)),
        }
    }

    /// Prints a JSON document on one line.
    ///
    /// # Errors
    ///
    /// As `answer`.
    pub fn json(&self, document: &impl Serialize) -> Result<()> {
        self.answer_bytes(&json_line(document))
    }

    /// Prints a table. Without rows it prints nothing, not even the heads.
    ///
    /// # Errors
    ///
    /// As `answer`.
    pub fn table(&self, table: &Table) -> Result<()> {
        self.answer(&table.render(self.streams.width))
    }

    /// Tells a person on a terminal what a verb has done. Scripts have the exit status.
    pub fn confirm(&self, text: &str) {
        if self.streams.stderr_is_terminal {
            self.talk(text);
        }
    }

    /// Prints a question on stderr, on whose line the answer is typed.
    pub fn prompt(&self, question: &str) {
        let mut stderr = self.stderr.borrow_mut();
        let _unheard = stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
    }

    /// Prints a message on stderr. That stderr cannot be written is not an error.
    pub fn talk(&self, text: &str) {
        let mut text = plain_unless(self.streams.stderr_color, text);
        if !text.ends_with('\n') {
            text.to_mut().push('\n');
        }
        let mut stderr = self.stderr.borrow_mut();
        let _unheard = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }

    /// Passes the standard error of a job on to stderr, unchanged. That stderr cannot be written is not an
    /// error.
    pub fn pass_on(&self, bytes: &[u8]) {
        let mut stderr = self.stderr.borrow_mut();
        let _unheard = stderr.write_all(bytes).and_then(|()| stderr.flush());
    }

    /// Tells a person why the answer is empty. A program sees that it is.
    pub fn explain_empty(&self, why: &str) {
        if self.streams.stdout_is_terminal && self.streams.stderr_is_terminal {
            self.talk(why);
        }
    }

    pub fn error(&self, error: &Error) {
        let head = paint(Style::new().bold().fg_color(Some(AnsiColor::Red.into())), "error:");
        let mut lines = format!("{head} {}\n", shown::escaped(&error.to_string()));
        lines.extend(error.hint.as_deref().map(hint_line));
        self.talk(&lines);
    }

    /// Prints one thing to do on stderr.
    pub fn hint(&self, hint: &str) {
        self.talk(&hint_line(hint));
    }

    /// Prints clap's help and version on stdout and its errors on stderr, and returns the exit code.
    pub fn clap(&self, error: &clap::Error) -> u8 {
        let text = error.render().ansi().to_string();
        if error.use_stderr() {
            self.talk(&text);
        } else if let Err(error) = self.answer(&text) {
            self.error(&error);
            return error.exit_code();
        }
        u8::try_from(error.exit_code()).unwrap_or(2)
    }
}

/// Returns a document on one line, with its newline.
pub fn json_line(document: &impl Serialize) -> Vec<u8> {
    let mut line =
        serde_json::to_vec(document).expect("reports have string keys and cannot fail to serialize");
    line.push(b'\n');
    line
}

fn hint_line(hint: &str) -> String {
    let head = paint(Style::new().bold().fg_color(Some(AnsiColor::Cyan.into())), "hint:");
    format!("{head} {}\n", shown::escaped(hint))
}

fn plain_unless(color: bool, text: &str) -> Cow<'_, str> {
    if color || !text.contains('\u{1b}') {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(anstream::adapter::strip_str(text).to_string())
    }
}

#[cfg(test)]
mod tests;
