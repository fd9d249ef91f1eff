//! Owns: which lines of a command's standard error go to the daemon's log.
//! Never: writing them there.

use std::time::Duration;

use super::line_event::text;
use super::line_reader::{Line, LineReader};

/// The longest line, in bytes. More of it helps nobody.
const LINE_BYTES_MAX: usize = 2_048;

/// So many lines are logged in a window: a command that writes without end must not fill the disk.
const LINES_MAX: u64 = 100;

/// The length of a window.
const WINDOW: Duration = Duration::from_secs(60);

/// The standard error of one command.
#[derive(Clone, Debug)]
pub(super) struct ErrorLines {
    reader: LineReader,
    /// When the window began.
    since: Option<Duration>,
    /// The lines of this window.
    count: u64,
}

impl Default for ErrorLines {
    fn default() -> Self {
        Self { reader: LineReader::new(LINE_BYTES_MAX), since: None, count: 0 }
    }
}

impl ErrorLines {
    pub(super) fn reader(&mut self) -> &mut LineReader {
        &mut self.reader
    }

    /// Returns what is logged of the lines that have come at `now`, a monotonic time.
    pub(super) fn admit(&mut self, lines: Vec<Line>, now: Duration) -> Vec<String> {
        let mut logged = Vec::new();
        for line in lines {
            if self.since.is_none_or(|since| now >= since.saturating_add(WINDOW)) {
                logged.extend(self.left_out());
                (self.since, self.count) = (Some(now), 0);
            }
            self.count += 1;
            if self.count <= LINES_MAX {
                let dots = if line.is_cut { "…" } else { "" };
                logged.push(format!("{}{dots}", text(&line.bytes)));
            } else if self.count == LINES_MAX + 1 {
                logged.push(format!(
                    "wrote more than {LINES_MAX} lines to standard error within a minute; \
                    the rest of this minute is left out"
                ));
            }
        }
        logged
    }

    /// Returns how many lines were left out since the last call, as a text for the log.
    pub(super) fn left_out(&mut self) -> Option<String> {
        let count = self.count.checked_sub(LINES_MAX).filter(|count| *count > 0)?;
        self.count = LINES_MAX;
        Some(format!("left out {count} line{} of standard error", if count == 1 { "" } else { "s" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> Vec<Line> {
        vec![Line { bytes: b"bad \xff".to_vec(), is_cut: false }; count]
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn lines_are_logged_as_text_and_long_ones_are_cut() {
        let mut errors = ErrorLines::default();
        let mut lines = lines(1);
        errors.reader().take(&[b'x'; 3_000], &mut lines);
        errors.reader().take(b"\n", &mut lines);
        let logged = errors.admit(lines, at(5));
        assert_eq!(logged, ["bad \u{fffd}".to_owned(), format!("{}…", "x".repeat(2_048))]);
    }

    #[test]
    fn a_flood_is_left_out_and_counted() {
        let mut errors = ErrorLines::default();
        assert_eq!(errors.admit(lines(99), at(5)).len(), 99);
        let logged = errors.admit(lines(3), at(6));
        assert_eq!((logged.len(), logged[1].contains("more than 100 lines")), (2, true), "{logged:?}");
        assert_eq!(errors.admit(lines(1_000), at(64)), [""; 0]);
        let logged = errors.admit(lines(2), at(65));
        assert_eq!(logged, ["left out 1002 lines of standard error", "bad \u{fffd}", "bad \u{fffd}"]);
        assert_eq!(errors.left_out(), None);
        errors.admit(lines(99), at(66));
        assert_eq!(errors.left_out().as_deref(), Some("left out 1 line of standard error"));
        assert_eq!(errors.left_out(), None);
    }
}
