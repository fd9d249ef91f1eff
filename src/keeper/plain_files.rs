//! Owns: writing an output into files as it is.
//! Never: sealed outputs (see `sealed_files`), or what is kept and dropped (see `output`).

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use nix::errno::Errno;

use super::output_files::{CHUNK_BYTES_MAX, Ring};
use super::output_names::{OutputId, output_path, tail_path};
use super::written_files::{WrittenFiles, give_back, options};
use crate::domain::{NewJob, Size};
use crate::error::errno_of;

#[derive(Debug)]
pub(super) struct PlainFiles {
    log_dir: PathBuf,
    output: OutputId,
    limit: Size,
    head: Option<File>,
    head_bytes: u64,
    /// The ring, once the head is nearly full.
    tail: Option<(File, Ring)>,
}

impl PlainFiles {
    pub fn new(log_dir: PathBuf, output: OutputId, limit: Size) -> Self {
        Self { log_dir, output, limit, head: None, head_bytes: 0, tail: None }
    }

    fn left_in_head(&self) -> u64 {
        (self.limit.as_bytes() / 2).saturating_sub(self.head_bytes)
    }

    fn needs_tail(&self) -> bool {
        self.tail.is_none() && self.left_in_head() < CHUNK_BYTES_MAX as u64
    }

    fn begin_tail(&mut self) -> Result<(), Errno> {
        let start = self.head_bytes.max(self.limit.as_bytes() / 2);
        let ring = Ring { limit: self.limit, start, floor: 0, end: start };
        let path = tail_path(&self.log_dir, self.output);
        let made = options().read(true).write(true).create(true).truncate(true).open(path);
        let made = made.and_then(|file| file.write_all_at(&ring.to_bytes(), 0).map(|()| (file, ring)));
        self.tail = Some(made.map_err(|error| errno_of(&error))?);
        Ok(())
    }
}

impl WrittenFiles for PlainFiles {
    fn look(&mut self) -> Result<(), Errno> {
        let found = fs::symlink_metadata(output_path(&self.log_dir, self.output)).ok();
        self.head_bytes = found.filter(fs::Metadata::is_file).map_or(0, |found| found.len());
        let tail = options().read(true).write(true).open(tail_path(&self.log_dir, self.output));
        match tail {
            Ok(file) => {
                self.tail = Ring::of(&file).map(|ring| (file, ring));
                self.limit = self.tail.as_ref().map_or(self.limit, |(_, ring)| ring.limit);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(errno_of(&error)),
        }
    }

    fn open(&mut self) -> Result<(), Errno> {
        if self.head.is_none() {
            self.look()?;
            if self.tail.is_none() && self.limit != NewJob::LOG_LIMIT {
                // A keeper that takes over knows no other limit by itself.
                self.begin_tail()?;
            }
            // Appending keeps what earlier keepers wrote.
            let head = options().append(true).create(true).open(output_path(&self.log_dir, self.output));
            self.head = Some(head.map_err(|error| errno_of(&error))?);
        }
        if self.needs_tail() {
            self.begin_tail()?;
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.head.is_some() && !self.needs_tail()
    }

    fn head(&self) -> Option<&File> {
        self.head.as_ref()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = usize::try_from(self.left_in_head()).unwrap_or(usize::MAX);
        match (&mut self.head, &mut self.tail) {
            (Some(head), _) if left > 0 => {
                let count = head.write(&bytes[..left.min(bytes.len())])?;
                self.head_bytes += count as u64;
                Ok(count)
            }
            (_, Some((file, ring))) => write_into(file, ring, bytes),
            (_, None) => Ok(0),
        }
    }

    fn end(&self) -> u64 {
        match &self.tail {
            Some((_, ring)) if ring.end > ring.start => ring.end,
            Some(_) | None => self.head_bytes,
        }
    }

    fn dropped(&self) -> (u64, u64) {
        self.tail.as_ref().map_or((0, 0), |(_, ring)| (ring.start, ring.kept_from()))
    }

    fn has_tail(&self) -> bool {
        self.tail.as_ref().is_some_and(|(_, ring)| ring.end > ring.start)
    }

    fn is_round(&self) -> bool {
        self.tail.as_ref().is_some_and(|(_, ring)| ring.end - ring.start >= ring.capacity())
    }

    fn finish(&mut self, tail_start: Option<u64>) {
        match &mut self.tail {
            Some((_, ring)) if ring.end == ring.start => {
                self.tail = None;
                let _ = fs::remove_file(tail_path(&self.log_dir, self.output));
            }
            Some((file, ring)) => {
                if let Some(start) = tail_start.filter(|start| ring.floor < *start) {
                    ring.floor = start;
                    if file.write_all_at(&ring.to_bytes(), 0).is_ok() {
                        ring.free_before(start).into_iter().for_each(|part| give_back(file, part));
                    }
                }
            }
            None => {}
        }
    }
}

/// Writes into a ring as much as is beside each other, and returns how much that was.
fn write_into(file: &File, ring: &mut Ring, bytes: &[u8]) -> io::Result<usize> {
    let (at, beside) = ring.locate(ring.end);
    let most = usize::try_from(beside).unwrap_or(usize::MAX).min(bytes.len()).min(CHUNK_BYTES_MAX);
    let count = file.write_at(&bytes[..most], at)?;
    let next = Ring { end: ring.end + count as u64, ..*ring };
    // In this order: a reader, or a later keeper, believes the header.
    file.write_all_at(&next.to_bytes(), 0)?;
    *ring = next;
    Ok(count)
}
