//! Owns: a field as Debian's cron 3.0pl1-162 reads it.
//! Never: the other cron.

use super::scan::FieldScan;

/// The longest word that fits into its buffer.
const WORD_MAX: usize = 999;

/// Its functions return a `char`, in which this byte is -1, the end of the file.
const END_OF_FILE: u8 = 0xff;

/// Reads the field, or returns `None` if Debian's cron refuses it.
///
/// A list continues while a comma follows an item. Anything else after an item is skipped.
pub(super) fn read(scan: &mut FieldScan) -> Option<()> {
    loop {
        item(scan)?;
        match scan.peek() {
            None => return Some(()),
            Some(END_OF_FILE) => return None,
            Some(_) => {}
        }
        if !scan.take_comma() {
            scan.skip();
            return Some(());
        }
    }
}

/// Reads `'*' ['/' n] | v ['-' v ['/' n]]` as far as it matches.
fn item(scan: &mut FieldScan) -> Option<()> {
    let (lowest, highest) = scan.bounds();
    let (low, high) = if scan.take(b'*') {
        (lowest, highest)
    } else {
        let low = scan.number(true, WORD_MAX)?;
        if !scan.take(b'-') {
            return if scan.peek() == Some(b'/') { None } else { scan.fill(low, low, 1) };
        }
        (low, scan.number(true, WORD_MAX)?)
    };
    let step = if scan.take(b'/') { scan.number(false, WORD_MAX)? } else { 1 };
    let is_inside = |value| (lowest..=highest).contains(&value);
    if step <= 0 || !is_inside(low) || !is_inside(high) {
        return None;
    }
    scan.fill(low, high, step)
}
