//! Owns: the tokens of times and spans: numbers, words and signs, and the units of both.
//! Never: the meaning of several tokens (see `grammar` and `span`).

use super::parse_error::ParseError;

/// The characters of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// ASCII digits.
    Number,
    /// Letters of any script.
    Word,
    /// One character of anything else.
    Sign,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// In ASCII lower case.
    pub(super) text: String,
    /// As given.
    pub(super) shown: String,
    /// The first column, in characters from 1.
    pub(super) column: usize,
    /// No white space stands before it.
    pub(super) glued: bool,
}

/// A length of time, in real time or by the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Microseconds of real time.
    Micros(i64),
    /// Calendar days.
    Days(i64),
    /// Calendar months.
    Months(i64),
}

fn kind_of(c: char) -> Kind {
    match c {
        '0'..='9' => Kind::Number,
        c if c.is_alphabetic() => Kind::Word,
        _ => Kind::Sign,
    }
}

/// Splits a text into tokens. White space only separates them.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut glued = false;
    for (index, c) in text.chars().enumerate() {
        if c.is_whitespace() {
            glued = false;
            continue;
        }
        let kind = kind_of(c);
        match tokens.last_mut() {
            Some(last) if glued && last.kind == kind && kind != Kind::Sign => {
                last.text.push(c.to_ascii_lowercase());
                last.shown.push(c);
            }
            _ => tokens.push(Token {
                kind,
                text: c.to_ascii_lowercase().to_string(),
                shown: c.to_string(),
                column: index + 1,
                glued,
            }),
        }
        glued = true;
    }
    tokens
}

/// Returns the unit that a word names. `m` is the minute, as in `1h30m`.
pub(super) fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "us" => Unit::Micros(1),
        "ms" | "millisecond" | "milliseconds" => Unit::Micros(1_000),
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Micros(1_000_000),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Micros(60_000_000),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Micros(3_600_000_000),
        "d" | "day" | "days" => Unit::Days(1),
        "w" | "week" | "weeks" => Unit::Days(7),
        "mo" | "month" | "months" => Unit::Months(1),
        "y" | "year" | "years" => Unit::Months(12),
        _ => return None,
    })
}

/// Returns the error of a text whose reading stopped at a token, or after the last one if `at` is `None`.
pub(super) fn stop(text: &str, what: &str, at: Option<&Token>, why: Option<&str>) -> ParseError {
    let (column, shown) = match at {
        Some(token) => (token.column, format!("`{}`", token.shown)),
        None => (text.trim_end().chars().count() + 1, "the end".to_owned()),
    };
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let cause = format!("`{text}` is not a {what}: stopped reading at column {column} ({shown}){why}");
    ParseError { cause, column: Some(column), hint: None }
}
