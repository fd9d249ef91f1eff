//! Owns: bytes → lines, each of a bounded length.
//! Never: what a line means, or reading the bytes.

/// A line of an output, without its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub bytes: Vec<u8>,
    /// It was longer.
    pub is_cut: bool,
}

/// Splits an output into lines. A line ends with LF or CR LF; the last one may have no end.
///
/// It holds no more than one line, and of that no more than its longest length.
#[derive(Clone, Debug)]
pub struct LineReader {
    bytes_max: usize,
    /// The line as far as it has come: one byte more than the longest, because that one may be the CR of
    /// its end.
    begun: Vec<u8>,
    /// More came than that.
    is_longer: bool,
}

impl LineReader {
    /// Makes a reader that cuts lines after this many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, begun: Vec::new(), is_longer: false }
    }

    /// Takes in the next bytes, and adds the lines that end in them.
    pub fn take(&mut self, mut bytes: &[u8], lines: &mut Vec<Line>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.push(&bytes[..end]);
            if !self.is_longer && self.begun.last() == Some(&b'\r') {
                self.begun.pop();
            }
            lines.push(self.end_line());
            bytes = &bytes[end + 1..];
        }
        self.push(bytes);
    }

    /// Returns the line that has no end, if there is one. To be called at the end of the output.
    pub fn finish(&mut self) -> Option<Line> {
        (!self.begun.is_empty()).then(|| self.end_line())
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes_max + 1 - self.begun.len();
        self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_longer |= bytes.len() > room;
    }

    fn end_line(&mut self) -> Line {
        let mut bytes = std::mem::take(&mut self.begun);
        let is_cut = std::mem::take(&mut self.is_longer) || bytes.len() > self.bytes_max;
        bytes.truncate(self.bytes_max);
        Line { bytes, is_cut }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(bytes_max: usize, reads: &[&[u8]]) -> Vec<(String, bool)> {
        let (mut reader, mut lines) = (LineReader::new(bytes_max), Vec::new());
        reads.iter().for_each(|bytes| reader.take(bytes, &mut lines));
        lines.extend(reader.finish());
        assert_eq!(reader.finish(), None);
        lines
            .into_iter()
            .map(|line| (String::from_utf8_lossy(&line.bytes).into_owned(), line.is_cut))
            .collect()
    }

    #[test]
    fn lines_end_with_lf_or_cr_lf_and_the_last_one_with_the_output() {
        for (text, expected) in [
            ("", &[][..]),
            ("a\nb\n", &["a", "b"]),
            ("\n\na", &["", "", "a"]),
            ("a\r\nb\rc\n\r\n", &["a", "b\rc", ""]),
            ("a\r\r\nb\r", &["a\r", "b\r"]),
        ] {
            let expected: Vec<_> = expected.iter().map(|line| ((*line).to_owned(), false)).collect();
            assert_eq!(lines(8, &[text.as_bytes()]), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_is_cut_if_it_is_longer_than_allowed_without_its_end() {
        for (text, expected, is_cut) in [
            ("1234\n", "1234", false),
            ("1234\r\n", "1234", false),
            ("12345\n", "1234", true),
            ("12345\r\n", "1234", true),
            ("1234\r5\n", "1234", true),
            ("1234\r", "1234", true),
            ("123456789", "1234", true),
        ] {
            assert_eq!(lines(4, &[text.as_bytes()]), [(expected.to_owned(), is_cut)], "{text:?}");
        }
        assert_eq!(lines(4, &[b"123456789\nab\n"])[1], ("ab".to_owned(), false));
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_the_longest() {
        let (mut reader, mut lines) = (LineReader::new(1_000), Vec::new());
        (0..1_000).for_each(|_| reader.take(&[b'x'; 4_096], &mut lines));
        assert!(lines.is_empty() && reader.begun.capacity() < 4_096);
    }

    proptest! {
        #[test]
        fn the_lines_do_not_depend_on_how_the_bytes_come(
            bytes in proptest::collection::vec(proptest::sample::select(b"ab\r\n\xff".to_vec()), 0..60),
            cuts in proptest::collection::vec(1_usize..9, 0..60),
        ) {
            let (mut rest, mut reads) = (bytes.as_slice(), Vec::new());
            for cut in cuts {
                let (read, after) = rest.split_at(cut.min(rest.len()));
                reads.push(read);
                rest = after;
            }
            reads.push(rest);
            prop_assert_eq!(lines(5, &reads), lines(5, &[bytes.as_slice()]));
        }
    }
}
