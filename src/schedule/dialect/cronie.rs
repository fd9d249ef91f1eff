//! Owns: the way cronie reads a field: 1.7.2, and what came after it about ranges that end with 0.
//! Never: what other crons do.

use super::oddity::Quirk;
use super::reader::Reader;

/// The longest word that fits into its buffer.
const WORD_MAX: usize = 131_071;

/// Reads the field, or returns `None` where cronie refuses it: a list of items with nothing behind any.
pub(super) fn read(reader: &mut Reader) -> Option<()> {
    loop {
        item(reader)?;
        if !reader.take_comma() {
            return reader.peek().is_none().then_some(());
        }
    }
}

/// Reads `'*' ['/' n] | v ['-' v ['/' n]] | [v] '~' [v]` as far as it goes.
fn item(reader: &mut Reader) -> Option<()> {
    let (lowest, highest) = reader.bounds();
    if reader.take(b'*') {
        let step = step(reader)?.unwrap_or(1);
        return reader.fill(lowest, highest, step);
    }
    if reader.take(b'~') {
        return draw(reader, lowest);
    }
    let low = reader.number(true, WORD_MAX)?;
    if reader.take(b'~') {
        return draw(reader, low);
    }
    if !reader.take(b'-') {
        return reader.fill(low, low, 1);
    }
    let high = reader.number(true, WORD_MAX)?;
    match step(reader)? {
        Some(step) => reader.fill(low, high, step),
        // So that `sat-sun` ends with Sunday; the release 1.7.2 does not have it yet. A step comes before it,
        // and a minute is treated no better.
        None if high == 0 && low > 0 => {
            reader.note(Quirk::ZeroAsSeven);
            reader.fill(low, 7, 1)
        }
        None => reader.fill(low, high, 1),
    }
}

/// Reads `'/' n` if it is there; `None` if it is there and wrong.
fn step(reader: &mut Reader) -> Option<Option<i32>> {
    if !reader.take(b'/') {
        return Some(None);
    }
    reader.number(false, WORD_MAX).filter(|step| *step != 0).map(Some)
}

/// Reads what follows `~`, and draws.
fn draw(reader: &mut Reader, low: i32) -> Option<()> {
    let (lowest, highest) = reader.bounds();
    let high = match reader.peek() {
        None | Some(b',') => highest,
        Some(_) => reader.number(true, WORD_MAX)?,
    };
    if low < lowest || high > highest || low > high {
        return None;
    }
    let value = i32::try_from(reader.draw(low.unsigned_abs(), high.unsigned_abs())).ok()?;
    reader.fill(value, value, 1)
}
