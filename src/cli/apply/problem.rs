//! Owns: what is wrong with a file, and where: a sentence for each, with line and column.
//! Never: finding it.

use crate::error::Error;

/// Something wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The byte where it is.
    pub at: usize,
    pub cause: String,
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(at: usize, cause: impl Into<String>) -> Self {
        Self { at, cause: cause.into(), hint: None }
    }

    /// Makes one of what is wrong with a job.
    pub fn of(at: usize, error: Error) -> Self {
        Self { at, cause: error.cause, hint: error.hint }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Returns the problems of a text as errors, in the order of their places, each once. Only one that is alone
/// has its hint, so that several are a line each.
pub fn errors(mut problems: Vec<Problem>, text: &[u8], what: &str) -> Vec<Error> {
    problems.sort();
    problems.dedup_by(|one, other| (one.at, &one.cause) == (other.at, &other.cause));
    let is_alone = problems.len() == 1;
    let mut position = Position { text, at: 0, line: 1, line_start: 0 };
    let error = |problem: Problem| {
        let (line, column) = position.advance(problem.at);
        let error = Error::usage(what, format!("line {line}, column {column}: {}", problem.cause));
        match problem.hint.filter(|_| is_alone) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    };
    problems.into_iter().map(error).collect()
}

/// A place in a text that moves forward.
struct Position<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
}

impl Position<'_> {
    /// Moves to a byte, and returns its line and its column, which counts characters. Both count from 1.
    fn advance(&mut self, to: usize) -> (usize, usize) {
        let to = to.min(self.text.len());
        for (byte, at) in self.text[self.at..to].iter().zip(self.at..) {
            if *byte == b'\n' {
                (self.line, self.line_start) = (self.line + 1, at + 1);
            }
        }
        self.at = to;
        let is_start = |byte: &&u8| !matches!(byte, 0x80..=0xbf);
        (self.line, self.text[self.line_start..to].iter().filter(is_start).count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_in_their_order_and_each_once() {
        let text = "a = 1\nü = 2\n\nc".as_bytes();
        let at = |part: &str| {
            text.windows(part.len()).position(|window| window == part.as_bytes()).expect("there")
        };
        let problems = vec![
            Problem::new(at("c"), "third"),
            Problem::new(at("= 2"), "second").hint("do"),
            Problem::new(at("= 2"), "second"),
            Problem::new(0, "first"),
            Problem::new(1_000, "at the end"),
        ];
        let told: Vec<String> = errors(problems, text, "x").iter().map(|error| error.cause.clone()).collect();
        assert_eq!(
            told,
            [
                "line 1, column 1: first",
                "line 2, column 3: second",
                "line 4, column 1: third",
                "line 4, column 2: at the end"
            ]
        );
    }
}
