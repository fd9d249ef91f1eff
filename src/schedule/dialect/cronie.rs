//! Owns: a field as cronie reads it: 1.7.2, and its later rule for ranges that end with 0.
//! Never: the other cron.

use super::oddity::Quirk;
use super::scan::FieldScan;

/// The longest word that fits into cronie's buffer.
const WORD_MAX: usize = 131_071;

/// Reads the field, or returns `None` if cronie refuses it: it is a list of items without tails.
pub(super) fn read(scan: &mut FieldScan) -> Option<()> {
    loop {
        item(scan)?;
        if !scan.take_comma() {
            return scan.peek().is_none().then_some(());
        }
    }
}

/// Reads `'*' ['/' n] | v ['-' v ['/' n]] | [v] '~' [v]` as far as it matches.
fn item(scan: &mut FieldScan) -> Option<()> {
    let (lowest, highest) = scan.bounds();
    if scan.take(b'*') {
        let step = step(scan)?.unwrap_or(1);
        return scan.fill(lowest, highest, step);
    }
    if scan.take(b'~') {
        return draw(scan, lowest);
    }
    let low = scan.number(true, WORD_MAX)?;
    if scan.take(b'~') {
        return draw(scan, low);
    }
    if !scan.take(b'-') {
        return scan.fill(low, low, 1);
    }
    let high = scan.number(true, WORD_MAX)?;
    match step(scan)? {
        Some(step) => scan.fill(low, high, step),
        // The rule makes `sat-sun` end with Sunday. It is newer than release 1.7.2, does not hold for a range
        // with a step, and holds for every field.
        None if high == 0 && low > 0 => {
            scan.note(Quirk::ZeroAsSeven);
            scan.fill(low, 7, 1)
        }
        None => scan.fill(low, high, 1),
    }
}

/// Reads `'/' n` if it is there. `None` if it is there and wrong.
fn step(scan: &mut FieldScan) -> Option<Option<i32>> {
    if !scan.take(b'/') {
        return Some(None);
    }
    scan.number(false, WORD_MAX).filter(|step| *step != 0).map(Some)
}

/// Reads the end after `~`, and draws a number.
fn draw(scan: &mut FieldScan, low: i32) -> Option<()> {
    let (lowest, highest) = scan.bounds();
    let high = match scan.peek() {
        None | Some(b',') => highest,
        Some(_) => scan.number(true, WORD_MAX)?,
    };
    if low < lowest || high > highest || low > high {
        return None;
    }
    let value = i32::try_from(scan.draw(low.unsigned_abs(), high.unsigned_abs())).ok()?;
    scan.fill(value, value, 1)
}
