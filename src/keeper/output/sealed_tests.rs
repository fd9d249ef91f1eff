//! Owns: the tests of what sealing promises: no plain byte on the disk, and no wrong byte from it.
//! Never: what both forms promise (see `tests`).

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::super::output_files::OutputView;
use super::super::output_names::{OutputId, output_path, tail_path};
use super::super::protocol::Attempt;
use super::super::sealed_blocks::{BLOCK, BLOCK_BYTES};
use super::super::{LogDirectory, SealedError, Sealing};
use super::tests::{World, around_mark, id, keys, lines};
use super::*;
use crate::domain::NewJob;
use crate::seal::{KeyId, OpenError};

const LIMIT: Size = Size::from_bytes(400_000);

fn read(log: &LogDirectory, output: OutputId) -> io::Result<String> {
    let mut text = String::new();
    OutputView::open(log, output)?.expect("it exists").read_to_string(&mut text)?;
    Ok(text)
}

fn error_of(log: &LogDirectory, output: OutputId) -> io::Error {
    match read(log, output) {
        Ok(text) => panic!("{} bytes were read", text.len()),
        Err(error) => error,
    }
}

/// Writes an output with a ring that has gone round.
fn write_long(world: &World, limit: Size) -> String {
    let mut output = world.output(limit);
    for part in 0..30 {
        output.write(lines(part * 5_000, 40_000).as_bytes());
        output.write(lines(part * 5_000, 8).as_bytes());
    }
    output.finish();
    world.text()
}

/// A sequence of numbers that is the same in each test run.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).expect("64 bits") % below
    }
}

/// Checks that an output reads as this text, or not at all.
fn assert_right_or_error(world: &World, text: &str, what: &str) -> bool {
    match read(&world.log, id()) {
        Ok(found) => {
            assert!(found == text, "{what}: other bytes");
            true
        }
        Err(error) => {
            assert!(SealedError::of(&error).is_some(), "{what}: {error}");
            false
        }
    }
}

#[test]
fn no_plain_byte_of_an_output_is_in_a_file_at_any_time() {
    let world = World::sealed();
    let mut output = world.output(LIMIT);
    let check = || {
        for entry in fs::read_dir(world.dir.path()).expect("it is there").flatten() {
            let bytes = fs::read(entry.path()).expect("ours");
            let mut windows = bytes.windows(6);
            assert!(windows.all(|bytes| bytes != b"marker"), "{}", entry.path().display());
        }
    };
    for _ in 0..12 {
        output.write("the marker\n".repeat(8_000).as_bytes());
        check();
    }
    output.finish();
    check();
    assert!(world.text().contains("marker"));
}

#[test]
fn of_a_thousand_flipped_bits_none_gives_other_bytes() {
    let world = World::sealed();
    let text = write_long(&world, Size::from_bytes(150_000));
    let paths = [output_path(world.dir.path(), id()), world.tail_path()];
    let mut below = numbers();
    let mut errors = 0;
    for flip in 0..1_000 {
        let path = &paths[below(2)];
        let whole = fs::read(path).expect("ours");
        // Every other one is in a header.
        let at = match flip % 2 {
            0 => below(whole.len()),
            _ => {
                let first = if path == &paths[0] { 0 } else { 4096 };
                let block = below((whole.len() - first).div_ceil(BLOCK_BYTES) + 1);
                let at = if block == 0 { 0 } else { first + (block - 1) * BLOCK_BYTES };
                at + below(70)
            }
        };
        let at = at.min(whole.len() - 1);
        let file = File::options().write(true).open(path).expect("ours");
        file.write_all_at(&[whole[at] ^ 1 << below(8)], at as u64).expect("ours");
        errors += usize::from(!assert_right_or_error(&world, &text, &format!("{} at {at}", path.display())));
        file.write_all_at(&whole[at..=at], at as u64).expect("ours");
    }
    assert!((300..1_000).contains(&errors), "{errors} errors");
    assert!(world.text() == text);
}

#[test]
fn a_keeper_that_was_killed_within_a_record_leaves_the_records_before_it() {
    let world = World::sealed();
    let mut output = world.output(NewJob::LOG_LIMIT);
    output.write(b"one\n");
    output.write(b"two\n");
    let path = output_path(world.dir.path(), id());
    let bytes = fs::read(&path).expect("ours");
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).expect("ours");
        let expected = match length {
            0..72 => "",
            _ => "one\n",
        };
        assert_eq!(world.text(), expected, "{length} bytes");
        for more in ["more\n", "and more\n"] {
            world.output(NewJob::LOG_LIMIT).write(more.as_bytes());
        }
        assert_eq!(world.text(), format!("{expected}more\nand more\n"), "{length} bytes");
    }
}

#[test]
fn a_file_that_was_cut_is_the_beginning_or_an_error() {
    let world = World::sealed();
    let mut output = world.output(NewJob::LOG_LIMIT);
    (0..10).for_each(|part| output.write(lines(part * 2_500, 20_000).as_bytes()));
    let text = world.text();
    let path = output_path(world.dir.path(), id());
    let whole = fs::read(&path).expect("ours");
    for length in (0..whole.len()).step_by(997) {
        fs::write(&path, &whole[..length]).expect("ours");
        let found = read(&world.log, id()).unwrap_or_default();
        assert!(text.starts_with(&found), "{length} bytes");
    }
}

#[test]
fn blocks_and_files_open_in_their_places_alone() {
    let world = World::sealed();
    let text = write_long(&world, LIMIT);
    let path = output_path(world.dir.path(), id());
    let damaged =
        |log: &LogDirectory, output| read(log, output).err().and_then(|error| SealedError::of(&error));
    for (path, first, second) in [(&path, 0, BLOCK), (&path, BLOCK, 2 * BLOCK)] {
        let whole = fs::read(path).expect("ours");
        let [from, to] = [first, second].map(|at| usize::try_from(at).expect("it is small"));
        let mut swapped = whole.clone();
        swapped.copy_within(to..to + BLOCK_BYTES, from);
        swapped[to..to + BLOCK_BYTES].copy_from_slice(&whole[from..from + BLOCK_BYTES]);
        fs::write(path, &swapped).expect("ours");
        assert_eq!(damaged(&world.log, id()), Some(SealedError::DAMAGED));
        fs::write(path, &whole).expect("ours");
    }
    // Two slots of the ring.
    let whole = fs::read(world.tail_path()).expect("ours");
    for slot in 0..(whole.len() - 4096) / BLOCK_BYTES - 1 {
        let mut swapped = whole.clone();
        let at = 4096 + slot * BLOCK_BYTES;
        swapped[at..at + 2 * BLOCK_BYTES].rotate_left(BLOCK_BYTES);
        fs::write(world.tail_path(), &swapped).expect("ours");
        assert_right_or_error(&world, &text, &format!("slots from {slot} on"));
    }
    fs::write(world.tail_path(), &whole).expect("ours");
    assert!(world.text() == text);
    // The files of another attempt.
    let other = Attempt { number: 2, ..id().attempt }.stdout();
    fs::copy(&path, output_path(world.dir.path(), other)).expect("ours");
    assert_eq!(damaged(&world.log, other), Some(SealedError::DAMAGED));
    fs::copy(world.tail_path(), tail_path(world.dir.path(), other)).expect("ours");
    assert_eq!(damaged(&world.log, other), Some(SealedError::DAMAGED));
    assert_eq!(SealedError::DAMAGED.to_string(), "it is damaged, or belongs elsewhere");
}

#[test]
fn without_its_key_an_output_has_a_length_and_no_bytes() {
    let world = World::sealed();
    let text = write_long(&world, LIMIT);
    let end = OutputView::open(&world.log, id()).expect("it is readable").expect("it exists").end();
    for sealing in [Sealing::Locked, Sealing::On(keys(1).output_keys())] {
        let log = LogDirectory::new(world.dir.path(), sealing);
        let view = OutputView::open(&log, id()).expect("its form is plain").expect("it exists");
        assert_eq!((view.length(), view.end(), view.is_cut()), (text.len() as u64, end, true));
        let error = error_of(&log, id());
        match log.sealing {
            Sealing::Locked => assert_eq!(error.to_string(), "it is sealed, and the key is missing"),
            _ => assert_eq!(SealedError::of(&error), Some(SealedError::DAMAGED), "it is another key"),
        }
    }
    let mut locked =
        OutputFile::new(&LogDirectory::new(world.dir.path(), Sealing::Locked), id(), LIMIT, None);
    assert_eq!(locked.settle(), text.len() as u64);
}

#[test]
fn other_keys_seal_what_comes_after_them() {
    let world = World::sealed();
    let mut output = world.output(LIMIT);
    output.write(b"one\n");
    let later = keys(2);
    output.seal(&later.output_keys());
    output.write(b"two\n");
    let mut view = OutputView::open(&world.log, id()).expect("its form is plain").expect("it exists");
    let mut text = [0; 4];
    view.read_exact(&mut text).expect("it has the first key");
    assert_eq!(&text, b"one\n");
    let error = view.read(&mut text).expect_err("the second key is missing");
    assert_eq!(SealedError::of(&error), Some(SealedError::Open(OpenError::UnknownKey(KeyId(2)))));
    let log = LogDirectory::new(world.dir.path(), Sealing::On(later.output_keys()));
    assert!(read(&log, id()).is_err(), "these do not have the first one");
}

#[test]
fn the_form_is_that_of_the_store_and_not_that_of_the_file() {
    let sealed = World::sealed();
    sealed.output(LIMIT).write(b"one\n");
    let plain = LogDirectory::plain(sealed.dir.path());
    let path = output_path(sealed.dir.path(), id());
    let bytes = fs::read(&path).expect("ours");
    let mut found = Vec::new();
    let view = OutputView::open(&plain, id()).expect("it is readable");
    view.expect("it exists").read_to_end(&mut found).expect("it is readable");
    assert!(found == bytes, "a job may print that");
    fs::write(&path, "plain\n").expect("ours");
    let error = error_of(&sealed.log, id());
    assert_eq!(SealedError::of(&error), Some(SealedError::Open(OpenError::NotSealed)));
    fs::remove_file(&path).expect("ours");
    fs::write(tail_path(sealed.dir.path(), id()), vec![0; 9_000]).expect("ours");
    let error = error_of(&sealed.log, id());
    assert_eq!(SealedError::of(&error), Some(SealedError::Open(OpenError::NotSealed)));
}

#[test]
fn an_output_in_tiny_writes_stays_within_its_limit_on_the_disk() {
    let world = World::sealed();
    let mut output = world.output(LIMIT);
    for line in 0..40_000 {
        output.write(lines(line, 8).as_bytes());
    }
    let length = output.finish();
    let text = world.text();
    assert_eq!(length, text.len() as u64);
    let (head, dropped, tail) = around_mark(&text, LIMIT);
    assert!(lines(0, head.len()) == head && lines(40_000 - tail.len() / 8, tail.len()) == tail);
    assert_eq!(head.len() + dropped + tail.len(), 320_000);
    assert!(head.len() > 50_000 && tail.len() > 50_000, "{} and {}", head.len(), tail.len());
}
