//! Owns: the pieces of both crons' readers: bytes, numbers, names, ranges, draws.
//! Never: their order (see `debian` and `cronie`).

use super::super::vixie::{FIELDS, Field};
use super::oddity::{Oddity, Quirk};

/// One field while a cron reads it.
pub(super) struct FieldScan<'a> {
    index: usize,
    rules: &'static Field,
    bytes: &'a [u8],
    at: usize,
    /// Where the current item of the list begins.
    item: usize,
    /// The number of items before it.
    items: u64,
    seed: u64,
    pub(super) set: u64,
    pub(super) oddities: Vec<Oddity>,
}

impl<'a> FieldScan<'a> {
    pub(super) fn new(index: usize, bytes: &'a [u8], seed: u64) -> Self {
        let rules = &FIELDS[index];
        Self { index, rules, bytes, at: 0, item: 0, items: 0, seed, set: 0, oddities: Vec::new() }
    }

    /// Returns the field's bounds in the crons' integer type.
    pub(super) fn bounds(&self) -> (i32, i32) {
        let bound = |value: u32| i32::try_from(value).expect("no bound is above 59");
        (bound(self.rules.low), bound(self.rules.high))
    }

    /// Returns the next byte, or `None` at the end of the field.
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Steps over a byte if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Steps over a comma to the next item.
    pub(super) fn take_comma(&mut self) -> bool {
        let is_next = self.take(b',');
        if is_next {
            self.item = self.at;
            self.items += 1;
        }
        is_next
    }

    /// Reads letters and digits as a name or a number. `None` for no such byte, for more than `longest`, and
    /// for any other word.
    ///
    /// Numbers are read as by `atoi`: clamped to 64 bits, of which the lower 32 remain.
    pub(super) fn number(&mut self, with_names: bool, longest: usize) -> Option<i32> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let word = &rest[..length];
        self.at += length;
        if length == 0 || length > longest {
            return None;
        }
        let names = if with_names { self.rules.names } else { &[] };
        if let Some(index) = names.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word)) {
            return i32::try_from(index + self.rules.names_from as usize).ok();
        }
        if !word.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let long = word
            .iter()
            .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
        #[expect(clippy::cast_possible_truncation, reason = "the crons cast so")]
        let value = long as i32;
        if i64::from(value) != long {
            self.note_text(word, Quirk::Wrapped { value });
        }
        Some(value)
    }

    /// Adds every value from `low` to `high` by `step`. `None` if one is outside the field.
    pub(super) fn fill(&mut self, low: i32, high: i32, step: i32) -> Option<()> {
        let mut value = low;
        while value <= high {
            let bit =
                u32::try_from(value).ok().filter(|bit| (self.rules.low..=self.rules.high).contains(bit))?;
            self.set |= 1 << bit;
            // A step past 2^31 makes the next value negative.
            value = value.wrapping_add(step);
        }
        let (_, highest) = self.bounds();
        if low > high {
            self.note(Quirk::Backwards);
        } else if high > highest {
            self.note(Quirk::EndOutside);
        } else if step > 1 && step > high - low {
            self.note(Quirk::StepBeyond { left: low.unsigned_abs() });
        }
        Some(())
    }

    /// Draws a value between two ends that are in the field.
    pub(super) fn draw(&mut self, low: u32, high: u32) -> u32 {
        let count = u128::from(high - low + 1);
        let place = self.index as u64 + 5 * self.items;
        let random = u128::from(mix(self.seed.wrapping_add(mix(place))));
        let value = low + u32::try_from((random * count) >> 64).expect("it is below the count");
        self.note(Quirk::Drawn { value });
        value
    }

    /// Notes that the rest of the field is skipped.
    pub(super) fn skip(&mut self) {
        let (kept, skipped) = self.bytes.split_at(self.at);
        let quirk = Quirk::Skipped { kept: text(kept), skipped: text(skipped) };
        self.note_text(self.bytes, quirk);
    }

    /// Notes a quirk of the item, as far as it is read.
    pub(super) fn note(&mut self, quirk: Quirk) {
        self.note_text(&self.bytes[self.item..self.at], quirk);
    }

    fn note_text(&mut self, part: &[u8], quirk: Quirk) {
        self.oddities.push(Oddity { field: self.index, text: text(part), quirk });
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Scatters a number over 64 bits (the finisher of SplitMix64), so that near seeds draw unrelated numbers.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
