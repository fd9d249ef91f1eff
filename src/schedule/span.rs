//! Owns: texts of spans, `90s` to `1 week`.
//! Never: months and years, which have no fixed length.

use super::parse_error::ParseError;
use super::tokens::{Kind, Unit, stop, tokens, unit};
use crate::domain::Span;

/// The longest span: a hundred years of 365.25 days. A longer one is a typing error.
const SPAN_MAX: u64 = 36_525 * 86_400_000_000;

const DAY_MICROS: i64 = 86_400_000_000;

const EXAMPLES: &str = "write it as `90s`, `5m`, `1h30m`, `2d` or `1 week`";

/// Reads a span: numbers with the units `us ms s m h d w` or the words for them, from large to small, with or
/// without spaces: `90s`, `1h30m`, `1 week`. `m` is the minute, and a day is 24 hours. Every text that `Span`
/// displays is read back.
///
/// # Errors
/// If a number has no unit, or the span is zero, negative, longer than a hundred years, or has months or
/// years.
pub fn parse_span(text: &str) -> Result<Span, ParseError> {
    let row = tokens(text);
    let refuse = |cause: String| ParseError::new(cause).hint(EXAMPLES);
    let stopped = |at, why| stop(text, "span", Some(at), Some(why)).hint(EXAMPLES);
    if row.first().is_some_and(|token| token.text == "-") {
        return Err(refuse(format!("`{text}` is negative")));
    }
    let mut micros: u64 = 0;
    let mut smallest = i64::MAX;
    let mut rest = row.iter();
    while let Some(number) = rest.next() {
        if number.kind != Kind::Number {
            return Err(stopped(number, "expected a number"));
        }
        let Some(word) = rest.next() else {
            let after = if row.len() == 1 { String::new() } else { format!(" after `{}`", number.shown) };
            return Err(refuse(format!("`{text}` has no unit{after}")));
        };
        let size = match unit(&word.text).filter(|_| word.kind == Kind::Word) {
            Some(Unit::Micros(size)) => size,
            Some(Unit::Days(days)) => days * DAY_MICROS,
            Some(Unit::Months(_)) => {
                let unit = if word.text.starts_with('y') { "year" } else { "month" };
                let cause = format!("`{text}` is not a span: a {unit} has no fixed length");
                let hint = "give days, or use `--cron` for what follows the calendar".to_owned();
                return Err(ParseError { cause, column: Some(word.column), hint: Some(hint) });
            }
            None => return Err(stopped(word, "expected a unit")),
        };
        if size >= smallest {
            return Err(stopped(word, "units go from large to small, each once"));
        }
        smallest = size;
        let count: u64 = number.text.parse().unwrap_or(u64::MAX);
        micros = micros.saturating_add(count.saturating_mul(size.unsigned_abs()));
    }
    match micros {
        0 if row.is_empty() => Err(refuse("an empty text is not a span".to_owned())),
        0 => Err(refuse(format!("`{text}` is zero"))),
        1..=SPAN_MAX => Ok(Span::from_micros(micros)),
        _ => Err(refuse(format!("`{text}` is longer than a hundred years"))),
    }
}
