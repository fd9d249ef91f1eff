//! Owns: copies of outputs in another form: plain ones sealed, sealed ones plain, or with another key.
//! Never: outputs that are still written.
//!
//! Copies lie beside the outputs, in a directory of their own, until they take their places.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use super::log_directory::{LogDirectory, Sealing};
use super::output_files::{CHUNK_BYTES_MAX, OutputParts, Ring, TailPlace};
use super::output_names::{OutputId, attempts_with_outputs, output_path, tail_path};
use super::sealed_files::SealedFiles;
use super::written_files::{WrittenFiles, options};
use crate::domain::{OutputKind, RunId, Size};
use crate::seal::OutputKeys;

/// What the name of the directory of copies has besides that of the outputs.
const SUFFIX: &str = ".new";

fn directory(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// Copies of all outputs of a store.
#[derive(Debug)]
pub struct ResealedOutputs;

impl ResealedOutputs {
    /// Copies all outputs in `log`, and waits until the copies are on disk. Earlier ones are removed.
    ///
    /// # Errors
    /// If one cannot be read or written. Then there are no copies.
    pub fn write(log: &Path, from: &Sealing, to: &Sealing) -> io::Result<()> {
        Self::remove(log)?;
        let attempts = attempts_with_outputs(log);
        if attempts.is_empty() {
            return Ok(());
        }
        let into = directory(log);
        DirBuilder::new().mode(0o700).create(&into)?;
        let from = LogDirectory::new(log, from.clone());
        let outputs = attempts.into_iter().flat_map(|attempt| [attempt.stdout(), attempt.stderr()]);
        let copied = outputs.into_iter().try_for_each(|output| copy(&from, output, &into, to).map(|_| ()));
        let synced = copied.and_then(|()| File::open(&into)?.sync_all());
        if synced.is_err() {
            Self::remove(log)?;
        }
        synced
    }

    /// Removes the copies.
    ///
    /// # Errors
    /// If there is one that cannot be removed.
    pub fn remove(log: &Path) -> io::Result<()> {
        match fs::remove_dir_all(directory(log)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Puts the copies into the places of the outputs, also if some are there already.
    ///
    /// # Errors
    /// If one cannot be moved.
    pub fn place(log: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(directory(log)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            fs::rename(entry.path(), log.join(entry.file_name()))?;
        }
        File::open(log)?.sync_all()?;
        fs::remove_dir(directory(log))
    }
}

/// Seals the outputs of runs with the newest key, one after another, except those of runs that are `open`.
/// Returns how many are left with another one.
///
/// # Errors
/// If one cannot be read or written.
pub fn reseal_outputs(log: &Path, sealing: &Sealing, is_open: impl Fn(RunId) -> bool) -> io::Result<usize> {
    ResealedOutputs::remove(log)?;
    let from = LogDirectory::new(log, sealing.clone());
    let newest = sealing.keys().and_then(OutputKeys::newest);
    let mut left = 0;
    for attempt in attempts_with_outputs(log) {
        for kind in [OutputKind::Stdout, OutputKind::Stderr] {
            let output = attempt.output(kind);
            let keys = SealedFiles::keys_of(log, output)?;
            if keys.iter().all(|key| Some(*key) == newest) {
                continue;
            }
            if attempt.run().is_none_or(&is_open) {
                left += 1;
                continue;
            }
            DirBuilder::new().recursive(true).mode(0o700).create(directory(log))?;
            copy(&from, output, &directory(log), sealing)?;
            ResealedOutputs::place(log)?;
        }
    }
    Ok(left)
}

/// Copies an output into another directory. Returns whether there is one.
fn copy(from: &LogDirectory, output: OutputId, into: &Path, to: &Sealing) -> io::Result<bool> {
    let Some(parts) = OutputParts::open(from, output)? else { return Ok(false) };
    if to.is_on() { copy_sealed(parts, output, into, to) } else { copy_plain(parts, output, into) }?;
    for path in [output_path(into, output), tail_path(into, output)] {
        match File::open(path) {
            Ok(file) => file.sync_all()?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn copy_plain(OutputParts { mut head, tail }: OutputParts, output: OutputId, into: &Path) -> io::Result<()> {
    let mut file = options().write(true).create_new(true).open(output_path(into, output))?;
    io::copy(&mut head, &mut file)?;
    let Some((TailPlace { limit, start, shown, end }, mut tail)) = tail else { return Ok(()) };
    let file = options().write(true).create_new(true).open(tail_path(into, output))?;
    let ring = Ring { limit, start, floor: shown, end };
    let mut place = shown;
    for_chunks(&mut tail, |mut chunk| {
        while !chunk.is_empty() {
            let (at, beside) = ring.locate(place);
            let (now, later) = chunk.split_at(chunk.len().min(usize::try_from(beside).unwrap_or(usize::MAX)));
            file.write_all_at(now, at)?;
            place += now.len() as u64;
            chunk = later;
        }
        Ok(())
    })?;
    file.write_all_at(&ring.to_bytes(), 0)
}

fn copy_sealed(
    OutputParts { mut head, tail }: OutputParts,
    output: OutputId,
    into: &Path,
    to: &Sealing,
) -> io::Result<()> {
    // All of the head goes into the head, whatever its limit was.
    let mut files = SealedFiles::new(into.to_owned(), output, Size::MAX, to);
    files.open()?;
    append(&mut files, &mut head)?;
    files.finish(None);
    let Some((place, mut tail)) = tail else { return Ok(()) };
    files.begin_copied_tail(place)?;
    append(&mut files, &mut tail)
}

fn append(files: &mut SealedFiles, from: &mut dyn Read) -> io::Result<()> {
    for_chunks(from, |mut chunk| {
        while !chunk.is_empty() {
            let count = files.append(chunk)?;
            if count == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            chunk = &chunk[count..];
        }
        Ok(())
    })
}

fn for_chunks(from: &mut dyn Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES_MAX];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
