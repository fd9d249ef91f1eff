//! Owns: reading spans, `90s` to `1 week`.
//! Never: calendar units, which have no fixed length.

use super::ParseError;
use super::tokens::{Kind, Unit, stop, tokens, unit};
use crate::domain::Span;

/// The longest span that is read: a hundred years of 365.25 days. More is a slip of the keyboard.
const SPAN_MAX: u64 = 36_525 * 86_400_000_000;

const DAY_MICROS: i64 = 86_400_000_000;

const EXAMPLES: &str = "write it as `90s`, `5m`, `1h30m`, `2d` or `1 week`";

/// Reads a span: numbers with their units `us ms s m h d w` or the words for them, from large to small, with
/// or without
/// spaces: `90s`, `1h30m`, `1 week`. `m` is the minute; a day is 24 hours. It reads what `Span` displays.
///
/// # Errors
/// Where a number has no unit, or the span is zero, negative, longer than a hundred years, or of months or
/// years.
pub fn parse_span(text: &str) -> Result<Span, ParseError> {
    let row = tokens(text);
    let refuse = |cause: String| ParseError { cause, column: None, hint: Some(EXAMPLES.to_owned()) };
    if row.first().is_some_and(|token| token.text == "-") {
        return Err(refuse(format!("`{text}` is negative")));
    }
    let mut micros: u64 = 0;
    let mut smallest = i64::MAX;
    let mut rest = row.iter();
    while let Some(number) = rest.next() {
        let hinted = |error: ParseError| ParseError { hint: Some(EXAMPLES.to_owned()), ..error };
        if number.kind != Kind::Number {
            return Err(hinted(stop(text, "span", Some(number), Some("expected a number"))));
        }
        let Some(word) = rest.next() else {
            return Err(refuse(format!("`{text}` has no unit behind `{}`", number.shown)));
        };
        let size = match unit(&word.text).filter(|_| word.kind == Kind::Word) {
            Some(Unit::Micros(size)) => size,
            Some(Unit::Days(days)) => days * DAY_MICROS,
            Some(Unit::Months(_)) => {
                let cause = format!("`{text}` is not a span: a {} has no fixed length", singular(&word.text));
                let hint = "give days, or use `--cron` for what follows the calendar".to_owned();
                return Err(ParseError { cause, column: Some(word.column), hint: Some(hint) });
            }
            None => return Err(hinted(stop(text, "span", Some(word), Some("expected a unit")))),
        };
        if size >= smallest {
            return Err(hinted(stop(
                text,
                "span",
                Some(word),
                Some("units go from large to small, each once"),
            )));
        }
        smallest = size;
        let count: u64 = number.text.parse().unwrap_or(u64::MAX);
        micros = micros.saturating_add(count.saturating_mul(size.unsigned_abs()));
    }
    match micros {
        0 if row.is_empty() => Err(refuse("an empty text is not a span".to_owned())),
        0 => Err(refuse(format!("`{text}` is no time at all"))),
        1..=SPAN_MAX => Ok(Span::from_micros(micros)),
        _ => Err(refuse(format!("`{text}` is longer than a hundred years"))),
    }
}

fn singular(word: &str) -> &'static str {
    if word.starts_with('y') { "year" } else { "month" }
}
