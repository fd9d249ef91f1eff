//! Owns: finding the start of the last lines of an output.
//! Never: printing them.

use std::io::{self, Read, Seek, SeekFrom};

const CHUNK_BYTES: u64 = 64 * 1024;

/// Returns the position of the last `lines` lines.
///
/// Reads backwards in chunks, each byte once, up to the first of these lines. A line may be as long as the
/// file: progress bars write such lines.
///
/// # Errors
/// If the source cannot be read.
pub fn tail_start(source: &mut (impl Read + Seek), lines: u32) -> io::Result<u64> {
    let length = source.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(length);
    }
    let mut chunk = vec![0; usize::try_from(CHUNK_BYTES.min(length)).expect("a chunk fits into memory")];
    let mut newlines = 0;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES);
        let chunk = &mut chunk[..usize::try_from(end - start).expect("a chunk fits into memory")];
        source.seek(SeekFrom::Start(start))?;
        source.read_exact(chunk)?;
        // A newline at the very end does not begin another line.
        let body = if end == length { chunk.strip_suffix(b"\n").unwrap_or(chunk) } else { chunk };
        for (at, _) in body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            newlines += 1;
            if newlines == lines {
                return Ok(start + at as u64 + 1);
            }
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Counts what is read.
    struct Counting {
        bytes: Cursor<Vec<u8>>,
        read: usize,
        at_once: usize,
    }

    impl Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.at_once = self.at_once.max(buffer.len());
            let length = self.bytes.read(buffer)?;
            self.read += length;
            Ok(length)
        }
    }

    impl Seek for Counting {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.bytes.seek(to)
        }
    }

    fn counting(bytes: Vec<u8>) -> Counting {
        Counting { bytes: Cursor::new(bytes), read: 0, at_once: 0 }
    }

    #[test]
    fn a_line_of_40_megabytes_is_read_once_and_in_chunks() {
        let length = 40_000_000;
        let mut source = counting(vec![b'#'; length]);
        assert_eq!(tail_start(&mut source, 1).expect("it is in memory"), 0);
        assert_eq!((source.read, source.at_once), (length, 64 * 1024));
    }

    #[test]
    fn no_more_is_read_than_the_lines_and_the_chunk_in_which_they_begin() {
        let mut source = counting(b"line\n".repeat(1_000_000));
        assert_eq!(tail_start(&mut source, 3).expect("it is in memory"), 5_000_000 - 15);
        assert_eq!(source.read, 64 * 1024);
    }

    #[test]
    fn the_start_is_that_of_a_plain_count_wherever_the_chunks_begin() {
        let chunk = usize::try_from(CHUNK_BYTES).expect("it is small");
        for length in [0, 1, 2, chunk - 1, chunk, chunk + 1, 2 * chunk + 1] {
            for period in [1, 2, 7, chunk - 1, chunk, chunk + 1] {
                let bytes: Vec<u8> =
                    (0..length).map(|at| if at % period == 0 { b'\n' } else { b'x' }).collect();
                for lines in [0, 1, 2, 5, u32::MAX] {
                    let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                    let starts: Vec<usize> =
                        (0..body.len()).filter(|at| body[*at] == b'\n').map(|at| at + 1).collect();
                    let wanted = match (lines as usize).checked_sub(1) {
                        None => bytes.len(),
                        Some(before) => starts.iter().rev().nth(before).copied().unwrap_or(0),
                    };
                    let found = tail_start(&mut Cursor::new(&bytes), lines).expect("it is in memory");
                    assert_eq!(found, wanted as u64, "{length} {period} {lines}");
                }
            }
        }
    }
}
