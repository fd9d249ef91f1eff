//! Owns: the tests of outputs in both of their forms. Those of sealed ones alone are in `sealed_tests`.
//! Never: pipes (see `drain`).

use std::cell::Cell;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::super::output_files::{CHUNK_BYTES_MAX, OutputView, Ring};
use super::super::output_names::tail_path;
use super::super::protocol::Attempt;
use super::*;
use crate::domain::NewJob;
use crate::seal::{DataKey, DataKeys, KeyId};

thread_local! {
    static FREE: Cell<u64> = const { Cell::new(0) };
}

/// A disk with a reserve of 1,000 bytes.
fn room(_: &File) -> Option<Room> {
    Some(Room { free: FREE.get(), reserve: 1_000 })
}

pub(super) fn id() -> OutputId {
    Attempt::of_mail(1).stdout()
}

/// The outputs of a store.
pub(super) struct World {
    pub dir: tempfile::TempDir,
    pub log: LogDirectory,
}

pub(super) fn keys(number: u32) -> DataKeys {
    let keys = (1..=number).map(|id| (KeyId(id), DataKey::random())).collect();
    DataKeys::new(keys).expect("there is one")
}

impl World {
    fn new(sealing: Sealing) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let log = LogDirectory::new(dir.path(), sealing);
        Self { dir, log }
    }

    pub fn plain() -> Self {
        Self::new(Sealing::Off)
    }

    pub fn sealed() -> Self {
        Self::new(Sealing::On(keys(1).output_keys()))
    }

    pub fn output(&self, limit: Size) -> OutputFile {
        let mut output = OutputFile::new(&self.log, id(), limit, None);
        output.room = room;
        FREE.set(u64::MAX / 2);
        output
    }

    pub fn tail_path(&self) -> std::path::PathBuf {
        tail_path(self.dir.path(), id())
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(mut view) = OutputView::open(&self.log, id()).expect("it is readable") {
            view.read_to_string(&mut text).expect("it is text");
        }
        text
    }
}

/// A store that is not sealed, and one that is.
fn worlds() -> [World; 2] {
    [World::plain(), World::sealed()]
}

/// Lines of eight bytes, numbered from `first` on.
pub(super) fn lines(first: usize, bytes: usize) -> String {
    (first..first + bytes / 8).map(|line| format!("{line:07}\n")).collect()
}

/// The parts of a text around its mark, and the number of bytes in that.
pub(super) fn around_mark(text: &str, limit: Size) -> (&str, usize, &str) {
    let (head, rest) = text.split_once("\n[taskq: ").expect("it has a mark");
    let end = format!(" bytes of output dropped here: more than the log limit of {limit}]\n");
    let (dropped, tail) = rest.split_once(&end).expect("the mark is whole");
    (head, dropped.parse().expect("a number"), tail)
}

/// Checks that a text is the two ends of so many numbered lines, each with at least `part` percent of half of
/// the limit.
fn assert_ends(text: &str, lines_written: usize, limit: Size, part: usize) {
    let (head, dropped, tail) = around_mark(text, limit);
    let half = usize::try_from(limit.as_bytes() / 2).expect("it is small");
    let expected = half * part / 100..=half;
    assert!(
        expected.contains(&head.len()) && expected.contains(&tail.len()),
        "{}, {}",
        head.len(),
        tail.len()
    );
    assert!(lines(0, head.len() + 8).starts_with(head));
    assert!(tail == lines(lines_written - tail.len() / 8, tail.len()));
    assert_eq!(head.len() + dropped + tail.len(), 8 * lines_written);
}

fn disk_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).expect("it is there").flatten();
    let bytes = |entry: fs::DirEntry| {
        let found = entry.metadata().expect("it is there");
        if found.is_dir() { disk_bytes(&entry.path()) } else { found.blocks() * 512 }
    };
    entries.map(bytes).sum()
}

#[test]
fn what_would_go_into_the_reserve_is_dropped_and_the_place_is_marked() {
    for world in worlds() {
        let mut output = world.output(NewJob::LOG_LIMIT);
        output.write(b"one\n");
        // A check of the disk is due.
        output.unchecked = UNCHECKED_BYTES_MAX;
        FREE.set(1_003);
        output.write(b"two\n");
        FREE.set(1_999);
        output.write(b"more\n");
        assert_eq!(world.text(), "one\n");
        FREE.set(10_000);
        output.write(b"three\n");
        let expected = "one\n\n[taskq: 9 bytes of output dropped here: the disk was full]\nthree\n";
        assert_eq!((world.text().as_str(), output.settle()), (expected, expected.len() as u64));
    }
}

#[test]
fn the_end_of_a_run_marks_what_was_dropped_last() {
    for world in worlds() {
        let mut output = world.output(NewJob::LOG_LIMIT);
        FREE.set(1_000);
        output.write(b"two\n");
        output.settle();
        assert_eq!(world.text(), "\n[taskq: 4 bytes of output dropped here: the disk was full]\n");
    }
}

#[test]
fn of_more_than_the_limit_the_first_and_the_last_half_are_kept() {
    for world in worlds() {
        let limit = Size::from_bytes(1 << 20);
        let mut output = world.output(limit);
        let (mut line, mut most) = (0, 0);
        for _ in 0..200 {
            output.write(lines(line, 200_000).as_bytes());
            line += 25_000;
            most = most.max(disk_bytes(world.dir.path()));
        }
        assert!(most < 2_300_000, "{most} bytes on the disk");
        let (length, text) = (output.finish(), world.text());
        assert_eq!(length, text.len() as u64);
        let part = if world.log.sealing.is_on() { 99 } else { 100 };
        assert_ends(&text, line, limit, part);
        // The file system may keep a few blocks of its own; of a sealed one, whole blocks stay.
        let kept = disk_bytes(world.dir.path());
        assert!(kept < (1 << 20) + if part == 100 { 20_000 } else { 150_000 }, "{kept} bytes stay");
        output.finish();
        assert!(world.text() == text);
    }
}

#[test]
fn the_kept_end_begins_with_a_line_unless_that_is_too_long() {
    let world = World::plain();
    let limit = Size::from_bytes(20_000);
    let mut output = world.output(limit);
    output.write(&[b'a'; 10_000]);
    output.write(format!("{}\n{}\n", "b".repeat(3_000), "c".repeat(8_999)).as_bytes());
    let end = world.text().split_off(10_000);
    let mark = |bytes| {
        format!("\n[taskq: {bytes} bytes of output dropped here: more than the log limit of 20000]\n")
    };
    assert!(end == format!("{}{}\n", mark(3_001), "c".repeat(8_999)));
    output.write(&[b'd'; 4_500]);
    let end = world.text().split_off(10_000);
    assert!(end == format!("{}{}\n{}", mark(6_501), "c".repeat(5_499), "d".repeat(4_500)));
}

#[test]
fn a_keeper_that_takes_over_at_any_moment_goes_on_within_the_limit() {
    for limit in [NewJob::LOG_LIMIT, Size::from_bytes(600_000)] {
        for world in worlds() {
            let mut line = 0;
            for _ in 0..130 {
                // Each keeper is told the limit only at a start.
                let told = if line == 0 { limit } else { NewJob::LOG_LIMIT };
                let mut output = world.output(told);
                output.write(lines(line, 100_000).as_bytes());
                line += 12_500;
            }
            // Each of them begins a block.
            let part = if world.log.sealing.is_on() { 70 } else { 100 };
            assert_ends(&world.text(), line, limit, part);
        }
    }
}

#[test]
fn a_chunk_whose_keeper_was_killed_before_it_was_counted_damages_nothing() {
    for world in worlds() {
        let mut output = world.output(Size::from_bytes(600_000));
        (0..12).for_each(|part| output.write(lines(part * 12_500, 100_000).as_bytes()));
        let whole = world.text();
        let ring = File::options().read(true).write(true).open(world.tail_path()).expect("it is long");
        let mut header = [0; 64];
        ring.read_exact_at(&mut header, 0).expect("it is there");
        output.write("?".repeat(CHUNK_BYTES_MAX).as_bytes());
        assert!(world.text().ends_with('?'));
        ring.write_all_at(&header, 0).expect("ours");
        assert!(world.text() == whole);
        let mut next = world.output(NewJob::LOG_LIMIT);
        next.write(b"more\n");
        let text = world.text();
        assert!(text.ends_with("0149999\nmore\n") && !text.contains('?'));
    }
}

#[test]
fn a_reader_that_is_overtaken_is_told_how_much_it_missed() {
    for world in worlds() {
        let limit = Size::from_bytes(1 << 20);
        let mut output = world.output(limit);
        (0..20).for_each(|part| output.write(lines(part * 25_000, 200_000).as_bytes()));
        let mut view = OutputView::open(&world.log, id()).expect("it is readable").expect("it exists");
        view.guard();
        let whole = world.text();
        let mut seen = vec![0; (1 << 19) + 100_000];
        view.read_exact(&mut seen).expect("there is more");
        (0..20).for_each(|part| output.write(lines(part * 25_000, 200_000).as_bytes()));
        let mut rest = String::new();
        view.read_to_string(&mut rest).expect("it is text");
        assert!(whole.as_bytes().starts_with(&seen));
        // Of a sealed output, a block was read.
        let (more, missed, end) = around_mark(&rest, limit);
        assert!(whole[seen.len()..].starts_with(more) && (world.log.sealing.is_on() || more.is_empty()));
        assert_eq!((seen.len() + more.len() + missed, end), (whole.len(), ""));
        assert_eq!(view.end(), 4_000_000);
    }
}

#[test]
fn a_limit_leaves_nothing_beside_a_short_output() {
    for world in worlds() {
        let mut output = world.output(Size::from_bytes(4_096));
        output.write(b"short\n");
        assert_eq!(output.settle(), 6);
        assert!(world.tail_path().exists(), "a background process may write");
        assert_eq!((output.finish(), world.text().as_str()), (6, "short\n"));
        assert!(!world.tail_path().exists());
    }
}

#[test]
fn a_follower_gets_what_was_written_since_or_the_number_of_bytes_that_it_missed() {
    for world in worlds() {
        let limit = Size::from_bytes(1 << 20);
        let mut output = world.output(limit);
        let since = |place| {
            let view = OutputView::open_from(&world.log, id(), place).expect("it is readable");
            let mut view = view.expect("it exists");
            let mut text = String::new();
            view.read_to_string(&mut text).expect("it is text");
            (text, view.end())
        };
        let (mut place, mut line) = (0, 0);
        for _ in 0..30 {
            output.write(lines(line, 200_000).as_bytes());
            let (text, end) = since(place);
            assert!(text == lines(line, 200_000));
            (place, line) = (end, line + 25_000);
        }
        for part in 0..20 {
            output.write(lines(line + part * 25_000, 200_000).as_bytes());
        }
        let (text, end) = since(place);
        assert_eq!(end, place + 4_000_000);
        let (before, missed, rest) = around_mark(&text, limit);
        assert_eq!((before, missed + rest.len()), ("", 4_000_000));
        assert!(lines(line, 4_000_000).ends_with(rest));
        match world.log.sealing.is_on() {
            false => {
                let ring = Ring::of(&File::open(world.tail_path()).expect("it is long")).expect("it is one");
                assert_eq!(rest.len() as u64, ring.capacity() - CHUNK_BYTES_MAX as u64);
            }
            true => assert!((1 << 19..1 << 20).contains(&rest.len()), "{}", rest.len()),
        }
    }
}

#[test]
fn a_file_that_cannot_be_made_drops_everything() {
    for world in worlds() {
        let mut output = world.output(NewJob::LOG_LIMIT);
        fs::create_dir(world.dir.path().join("mail-1")).expect("the name is new");
        output.write(b"lost");
        assert_eq!((output.dropped, output.lack), (4, Some(Lack::File(Errno::EISDIR))));
        output.settle();
    }
}

#[test]
fn without_output_there_is_no_file() {
    for world in worlds() {
        assert_eq!(world.output(NewJob::LOG_LIMIT).settle(), 0);
        assert_eq!(fs::read_dir(world.dir.path()).expect("it is there").count(), 0);
    }
}
