//! Owns: the way Debian's cron 3.0pl1-162 reads a field.
//! Never: what other crons do.

use super::reader::Reader;

/// The longest word that fits into its buffer.
const WORD_MAX: usize = 999;

/// Its functions return a `char`, in which this byte is -1 and so the end of the file.
const END_OF_FILE: u8 = 0xff;

/// Reads the field, or returns `None` where Debian's cron refuses it.
///
/// A list goes on while a comma stands behind an item; whatever else stands there is skipped.
pub(super) fn read(reader: &mut Reader) -> Option<()> {
    loop {
        item(reader)?;
        match reader.peek() {
            None => return Some(()),
            Some(END_OF_FILE) => return None,
            Some(_) => {}
        }
        if !reader.take_comma() {
            reader.skip();
            return Some(());
        }
    }
}

/// Reads `'*' ['/' n] | v ['-' v ['/' n]]` as far as it goes.
fn item(reader: &mut Reader) -> Option<()> {
    let (lowest, highest) = reader.bounds();
    let (low, high) = if reader.take(b'*') {
        (lowest, highest)
    } else {
        let low = reader.number(true, WORD_MAX)?;
        if !reader.take(b'-') {
            return if reader.peek() == Some(b'/') { None } else { reader.fill(low, low, 1) };
        }
        (low, reader.number(true, WORD_MAX)?)
    };
    let step = if reader.take(b'/') { reader.number(false, WORD_MAX)? } else { 1 };
    let is_inside = |value| (lowest..=highest).contains(&value);
    if step <= 0 || !is_inside(low) || !is_inside(high) {
        return None;
    }
    reader.fill(low, high, step)
}
