//! Owns: the output of a command on a screen of its own: its lines, and which of them are seen.
//! Never: running the command, or drawing.

use std::collections::VecDeque;

use anstream::adapter::strip_str;

use crate::cli::output::screen::Key;
use crate::shown;

/// More lines are forgotten from the top, so that an endless output needs bounded memory.
const LINES_MAX: usize = 10_000;

/// More bytes of a line without an end are a line.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The columns that a tab reaches to.
const TAB: usize = 8;

/// How far a key moves to the side.
const SIDE_STEP: usize = 8;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaneRequest {
    Nothing,
    Close,
}

/// A text that may still grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pane {
    pub title: String,
    lines: VecDeque<String>,
    /// The bytes after the last end of a line.
    rest: Vec<u8>,
    /// The first line that is seen.
    first: usize,
    /// How many columns are left of the screen.
    pub aside: usize,
    /// The last line stays in view as the text grows.
    pub follows: bool,
    pub is_ended: bool,
}

impl Pane {
    pub fn new(title: String, follows: bool) -> Self {
        Self { title, follows, ..Self::default() }
    }

    /// Adds bytes of an output.
    pub fn push(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") || self.rest.len() > LINE_BYTES_MAX {
                let line = std::mem::take(&mut self.rest);
                self.lines.push_back(plain(&line));
            }
        }
        let surplus = self.lines.len().saturating_sub(LINES_MAX);
        self.lines.drain(..surplus);
        self.first = self.first.saturating_sub(surplus);
    }

    pub fn end(&mut self) {
        self.is_ended = true;
    }

    /// Returns how many lines there are.
    pub fn total(&self) -> usize {
        self.lines.len() + usize::from(!self.rest.is_empty())
    }

    /// Returns the lines that are seen on so many rows, and the number of the first one, from 1.
    pub fn seen(&self, height: usize) -> (usize, Vec<String>) {
        let last = self.total().saturating_sub(height);
        let first = if self.follows { last } else { self.first.min(last) };
        let rest = (!self.rest.is_empty()).then(|| plain(&self.rest));
        let lines = self.lines.iter().cloned().chain(rest);
        (first + 1, lines.skip(first).take(height).collect())
    }

    /// Moves the text on a screen of so many rows.
    pub fn on_key(&mut self, key: Key, height: usize) -> PaneRequest {
        let last = self.total().saturating_sub(height);
        let first = if self.follows { last } else { self.first.min(last) };
        let to = match key {
            Key::Char('q') | Key::Escape | Key::Enter | Key::Backspace => return PaneRequest::Close,
            Key::Up | Key::Char('k') => first.saturating_sub(1),
            Key::Down | Key::Char('j') => first + 1,
            Key::PageUp | Key::Control('b') | Key::Char('b') => first.saturating_sub(height),
            Key::PageDown | Key::Control('f') | Key::Char(' ') => first + height,
            Key::Home | Key::Char('g') => 0,
            Key::End | Key::Char('G') => usize::MAX,
            Key::Left => {
                self.aside = self.aside.saturating_sub(SIDE_STEP);
                return PaneRequest::Nothing;
            }
            Key::Right => {
                self.aside += SIDE_STEP;
                return PaneRequest::Nothing;
            }
            Key::Tab | Key::BackTab | Key::Char(_) | Key::Control(_) => return PaneRequest::Nothing,
        };
        // At the end it goes with the text again, as `less +F` does.
        self.follows = to >= last && (self.follows || to > first);
        self.first = to.min(last);
        PaneRequest::Nothing
    }
}

/// Returns a line without colours, with spaces for tabs, and only what follows the last carriage return: a
/// progress bar overwrites its line.
fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = strip_str(text.trim_end_matches(['\n', '\r'])).to_string();
    let text = text.rsplit('\r').next().unwrap_or_default();
    let mut plain = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        if c == '\t' {
            let spaces = TAB - column % TAB;
            plain.extend(std::iter::repeat_n(' ', spaces));
            column += spaces;
        } else {
            plain.push(c);
            column += 1;
        }
    }
    shown::escaped(&plain).into_owned()
}
