//! Owns: putting the time before each line of an output.
//! Never: where the times come from.

use crate::domain::Timestamp;
use crate::keeper::OutputTimes;
use crate::schedule::Zone;

/// Puts the time before each line of an output that comes in pieces.
#[derive(Debug)]
pub struct Stamper {
    zone: Zone,
    pub times: OutputTimes,
    /// The time of what was written before the first of `times`.
    pub started_at: Option<Timestamp>,
    is_line_start: bool,
    /// The last time that was written, in seconds, and its text.
    last: Option<(i64, String)>,
}

impl Stamper {
    pub fn new(zone: Zone) -> Self {
        let (times, started_at) = Default::default();
        Self { zone, times, started_at, is_line_start: true, last: None }
    }

    /// Returns a piece of the output, which begins at `place`, with a time before each line that begins in
    /// it.
    pub fn stamp(&mut self, place: u64, piece: &[u8]) -> Vec<u8> {
        let mut stamped = Vec::with_capacity(piece.len() * 2);
        let mut place = place;
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            if std::mem::replace(&mut self.is_line_start, line.ends_with(b"\n"))
                && let Some(at) = self.times.at(place).or(self.started_at)
            {
                stamped.extend_from_slice(self.text(at).as_bytes());
            }
            stamped.extend_from_slice(line);
            place += line.len() as u64;
        }
        stamped
    }

    fn text(&mut self, at: Timestamp) -> &str {
        let seconds = at.as_seconds();
        if self.last.as_ref().is_none_or(|(last, _)| *last != seconds) {
            self.last = Some((seconds, format!("{} ", self.zone.show(at))));
        }
        self.last.as_ref().map_or("", |(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_begins_with_its_time_however_the_output_is_cut() {
        let entries = [(7u64, 1_000_000i64), (10, 61_000_000)];
        let stored: Vec<u8> =
            entries.iter().flat_map(|(place, at)| [place.to_le_bytes(), at.to_le_bytes()].concat()).collect();
        let output = b"one\n\ntwo\nthree\n\xff end";
        let expected = "1970-01-01 00:00:00 +0000 one\n1970-01-01 00:00:00 +0000 \n\
            1970-01-01 00:00:00 +0000 two\n1970-01-01 00:00:01 +0000 three\n\
            1970-01-01 00:01:01 +0000 ? end";
        for size in 1..=output.len() {
            let mut stamper = Stamper::new(Zone::named("UTC").expect("it is there"));
            stamper.times = OutputTimes::of(&stored);
            stamper.started_at = Some(Timestamp::from_seconds(0));
            let mut stamped = Vec::new();
            for (index, piece) in output.chunks(size).enumerate() {
                stamped.extend(stamper.stamp((index * size) as u64, piece));
            }
            let text: String =
                stamped.iter().map(|byte| if *byte == 0xff { '?' } else { char::from(*byte) }).collect();
            assert_eq!(text, expected, "in pieces of {size}");
        }
    }
}
