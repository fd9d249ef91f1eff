//! Owns: tests of the layout: which cells a run is in, what is at once, what the text and the file look like.
//! Never: the store.

use std::fmt::Write;

use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use super::axis::Axis;
use super::bar::{Bar, Window};
use super::facts::{JobFacts, Line, Picture, lines};
use super::kind::Kind;
use super::load::{BusiestMinute, load};
use super::rows::cells;
use super::{TextError, svg, text};
use crate::cli::view::samples::{at, berlin};
use crate::cli::view::times::Times;
use crate::domain::{CommandLine, JobId, RunId, Span, Timestamp};
use crate::schedule::Zone;
use crate::store::JobLabel;

const MINUTE: u64 = 60;

fn window(since: &str, until: &str, now: &str) -> Window {
    Window { since: at(since), until: at(until), now: at(now) }
}

/// A night and a morning.
fn morning() -> Window {
    window("2026-11-20 00:00", "2026-11-20 15:00", "2026-11-20 12:00")
}

fn bar(job: i64, from: &str, seconds: u64, kind: Kind) -> Bar {
    let from = at(&format!("2026-11-20 {from}"));
    let run = Some(RunId { job: JobId(job), number: 1 });
    Bar { from, to: from + Span::from_seconds(seconds), kind, count: 1, run, attempt: 1 }
}

fn job(id: i64, name: Option<&str>, command: &str, bars: Vec<Bar>, coming: &[&str]) -> JobFacts {
    let label =
        JobLabel { name: name.map(str::to_owned), command: CommandLine::Script(command.as_bytes().to_vec()) };
    let coming = coming.iter().map(|time| at(&format!("2026-11-20 {time}"))).collect();
    JobFacts { id: JobId(id), label, runs: Vec::new(), bars, coming }
}

/// A job of each kind of end, one whose runs overlap, and one that only comes.
fn jobs() -> Vec<JobFacts> {
    let outcomes = [
        Kind::Success,
        Kind::Failed,
        Kind::TimedOut,
        Kind::Cancelled,
        Kind::Lost,
        Kind::SpawnFailed,
        Kind::Skipped,
    ];
    let hourly = outcomes.iter().enumerate().map(|(hour, kind)| {
        let is_mark = matches!(kind, Kind::SpawnFailed | Kind::Skipped);
        bar(7, &format!("{hour:02}:15"), if is_mark { 0 } else { 20 * MINUTE }, *kind)
    });
    let mut missed = bar(12, "02:00", 0, Kind::Missed);
    missed.count = 104;
    let parallel = (0..6)
        .map(|index| bar(113, &format!("{:02}:30", 2 + index), 90 * MINUTE + 4_000 * index, Kind::Success));
    let mut waiting = bar(114, "07:00", 3 * 3_600, Kind::Waiting);
    waiting.run = None;
    vec![
        job(7, Some("hourly"), "true", hourly.collect(), &["12:15", "13:15", "14:15"]),
        job(
            12,
            Some("nightly-backup-of-the-file-server-in-the-basement"),
            "true",
            vec![missed, bar(12, "05:00", 7 * 3_600, Kind::Running)],
            &["14:00"],
        ),
        job(113, None, "render --all & <wait>", parallel.collect(), &[]),
        job(114, None, "make", vec![waiting, bar(114, "10:00", 2 * 3_600, Kind::Unattended)], &[]),
        job(115, Some("coming"), "true", vec![], &["12:00:01"]),
    ]
}

fn picture(window: Window) -> Picture {
    let mut jobs = jobs();
    for job in &mut jobs {
        job.bars.retain(|bar| bar.is_in(&window));
        job.coming.retain(|at| (window.since..window.until).contains(at));
    }
    Picture::new(window, lines(jobs, &window))
}

fn shown(picture: &Picture, zone: &Zone, width: Option<usize>) -> String {
    let times = Times { zone, now: picture.window.now, are_whole: false };
    let text = text(picture, &times, width).expect("it is wide enough");
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn a_picture_fits_and_is_readable() {
    let (picture, zone) = (picture(morning()), berlin());
    let mut all = String::new();
    for width in [60, 80, 120] {
        let text = shown(&picture, &zone, Some(width));
        assert!(text.lines().all(|line| line.width() <= width), "{text}");
        write!(all, "{width} columns\n{text}\n").expect("a String takes all");
    }
    insta::assert_snapshot!(all + "a pipe\n" + &shown(&picture, &zone, None));
}

#[test]
fn windows_of_other_lengths_have_axes_of_their_own() {
    let zone = berlin();
    let mut all = String::new();
    for (since, until, now) in [
        ("2026-11-20 04:20", "2026-11-20 04:21", "2026-11-20 12:00"),
        ("2026-11-20 04:00", "2026-11-20 09:00", "2026-11-20 12:00"),
        ("2026-11-20 12:00", "2026-11-21 12:00", "2026-11-20 12:00"),
        ("2026-11-13 12:00", "2026-11-22 12:00", "2026-11-20 12:00"),
        ("2026-01-01", "2027-01-01", "2026-11-20 12:00"),
    ] {
        let text = shown(&picture(window(since, until, now)), &zone, Some(90));
        write!(all, "{since} to {until}\n{text}\n").expect("a String takes all");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_terminal_that_is_too_narrow_gets_no_half_picture() {
    let (picture, zone) = (picture(morning()), berlin());
    let times = Times { zone: &zone, now: picture.window.now, are_whole: false };
    let TextError::Narrow(least) = text(&picture, &times, Some(1)).expect_err("one column");
    for width in 0..200 {
        let text = text(&picture, &times, Some(width));
        assert_eq!(text.is_ok(), width >= least, "{width}");
        let Ok(text) = text else { continue };
        let plain = anstream::adapter::strip_str(&text).to_string();
        let table = plain.lines().take(picture.lines.len() + 3);
        assert!(table.clone().all(|line| line.width() <= width), "{plain}");
    }
}

#[test]
fn ends_and_starts_of_the_same_instant_do_not_overlap() {
    let bars = [
        bar(1, "10:00", 60, Kind::Success),
        bar(1, "10:01", 60, Kind::Failed),
        bar(1, "10:02", 0, Kind::Missed),
    ];
    let load = load(bars.iter(), &morning());
    assert_eq!(load.most_at_once, 1);
    let first = BusiestMinute { at: at("2026-11-20 10:00"), starts: 1, at_once: 1 };
    assert_eq!(load.busiest, Some(first));
}

#[test]
fn the_busiest_minute_has_most_starts_and_counts_what_was_there() {
    let bars = [
        bar(1, "09:00", 3_600, Kind::Success),
        bar(2, "09:30:10", 1, Kind::Success),
        bar(2, "09:30:20", 1, Kind::Failed),
        bar(2, "10:00", 90, Kind::Success),
        bar(2, "10:01", 10, Kind::Success),
    ];
    let busiest = BusiestMinute { at: at("2026-11-20 09:30"), starts: 2, at_once: 2 };
    assert_eq!(load(bars.iter(), &morning()).busiest, Some(busiest));
    let begun_before = window("2026-11-20 09:45", "2026-11-20 10:00:30", "2026-11-20 12:00");
    let found = load(bars.iter().filter(|bar| bar.is_in(&begun_before)), &begun_before).busiest;
    let found = found.expect("one starts");
    assert_eq!((found.at, found.starts, found.at_once), (at("2026-11-20 10:00"), 1, 1));
    assert_eq!(load([].iter(), &morning()).busiest, None);
}

#[test]
fn many_jobs_without_a_name_share_lines_and_few_do_not() {
    let make = |count: i64| {
        let one = |id| {
            let name = (id % 2 == 0).then(|| format!("job-{id}"));
            job(id, name.as_deref(), "make", vec![bar(id, "10:00", 60, Kind::Success)], &[])
        };
        lines((1..=count).map(one).collect(), &morning())
    };
    assert_eq!(make(200).len(), 200);
    let crowded = make(202);
    assert_eq!(crowded.len(), 102);
    assert_eq!(
        (crowded[0].id, crowded[0].label.as_str(), crowded[0].most_at_once),
        (None, "101 × make", 101)
    );
}

#[test]
fn the_file_escapes_what_it_shows_and_tells_of_each_bar() {
    let (picture, zone) = (picture(morning()), berlin());
    let times = Times { zone: &zone, now: picture.window.now, are_whole: false };
    let file = svg(&picture, &times);
    for part in [
        "render --all &amp; &lt;wait&gt;",
        "<title>hourly 7.1 success\n2026-11-20 00:15:00 +0100 – 2026-11-20 00:35:00 +0100, took 20m</title>",
        "in-the-basement 12.1 missed ×104\n2026-11-20 02:00:00 +0100</title>",
        "prefers-color-scheme:dark",
        "busiest minute: ",
    ] {
        assert!(file.contains(part), "{part}: {file}");
    }
    assert!(!file.contains("href") && !file.contains("url(http"), "it needs nothing else");
    insta::assert_snapshot!(file);
}

#[test]
fn a_file_of_many_runs_stays_small() {
    let window = morning();
    let one = |index: u64| {
        let from = window.since + Span::from_micros(index * 400_000);
        Bar { from, to: from + Span::from_micros(300_000), ..bar(1, "00:00", 1, Kind::Success) }
    };
    let bars: Vec<Bar> = (0..100_000).map(one).collect();
    let picture = Picture::new(window, lines(vec![job(1, Some("busy"), "true", bars, &[])], &window));
    let zone = berlin();
    let file = svg(&picture, &Times { zone: &zone, now: window.now, are_whole: false });
    assert!(file.len() < 200_000, "{}", file.len());
    assert!(file.contains("100000 success"));
}

/// Bars of any kind in and around a window of 1,000 seconds, which has `now` somewhere.
fn any_bars() -> impl Strategy<Value = (Window, Vec<Bar>, Vec<i64>)> {
    let second = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    let bar = (0..Kind::ALL.len() - 1, -500..1_500_i64, 0..800_u64, 0..2_u64);
    let parts =
        (-200..1_200_i64, prop::collection::vec(bar, 0..40), prop::collection::vec(0..1_000_i64, 0..10));
    parts.prop_map(move |(now, bars, coming)| {
        let window = Window { since: second(0), until: second(1_000), now: second(now) };
        let bars = bars.into_iter().map(|(kind, from, length, micros)| {
            let from = second(from);
            let to = from + Span::from_micros(length * 1_000_000 + micros);
            let run = Some(RunId { job: JobId(1), number: 1 });
            Bar { from, to, kind: Kind::ALL[kind], count: 1, run, attempt: 1 }
        });
        let bars = bars.filter(|bar| bar.is_in(&window)).collect();
        (window, bars, coming)
    })
}

proptest! {
    #[test]
    fn every_run_of_the_window_is_in_exactly_its_cells(
        (window, bars, _) in any_bars(),
        width in 3..200_usize,
    ) {
        let axis = Axis::new(window, width);
        prop_assert_eq!(axis.width(), width);
        for bar in bars.iter().filter(|bar| bar.is_process()) {
            let (bars, coming) = (vec![*bar], Vec::new());
            let line = Line { id: None, label: String::new(), bars, coming, most_at_once: 1 };
            let covered: Vec<usize> = cells(&line, &axis, &window)
                .iter()
                .enumerate()
                .flat_map(|(column, cell)| {
                    prop_assert_kind(cell.body, bar.kind);
                    [(cell.halves.left, 2 * column), (cell.halves.right, 2 * column + 1)]
                })
                .filter_map(|(is_covered, half)| is_covered.then_some(half))
                .collect();
            // The halves that have an instant of the run: each instant is in one, and between are no gaps.
            let (from, to) = bar.clipped(&window);
            let last = axis.half(Timestamp::from_micros(to.as_micros() - 1));
            prop_assert_eq!(covered, (axis.half(from)..=last).collect::<Vec<_>>());
        }
    }

    #[test]
    fn halves_ascend_with_time_and_fill_the_axis(now in -200..1_200_i64, width in 3..200_usize) {
        let second = |seconds: i64| Timestamp::from_seconds(seconds);
        let window = Window { since: second(0), until: second(1_000), now: second(now) };
        let axis = Axis::new(window, width);
        let halves: Vec<usize> = (0..1_000).map(|at| axis.half(second(at))).collect();
        prop_assert!(halves.is_sorted());
        let last = axis.half(Timestamp::from_micros(window.until.as_micros() - 1));
        prop_assert_eq!((halves[0], last), (0, 2 * width - 1));
        let is_now = |half: usize| Some(half / 2) == axis.now_column();
        prop_assert!(!halves.iter().any(|half| is_now(*half)), "the line for now is free");
        if let Some(column) = axis.now_column() {
            let before = Timestamp::from_micros(now * 1_000_000 - 1);
            prop_assert!(axis.half(second(now)) == 2 * (column + 1) && axis.half(before) < 2 * column);
        }
    }

    #[test]
    fn the_levels_of_cells_are_those_of_their_instants(
        (window, bars, _) in any_bars(),
        width in 3..60_usize,
    ) {
        let axis = Axis::new(window, width);
        let levels = load(bars.iter(), &window).changes.by_cell(width, |at| axis.column(at));
        let mut expected = vec![0_u32; width];
        // Bars begin at full seconds, and end there or a microsecond later.
        for second in 0..1_000 {
            for micros in [0, 1, 999_999] {
                let at = Timestamp::from_micros(second * 1_000_000 + micros);
                let is_there = |bar: &&Bar| bar.is_process() && bar.from <= at && at < bar.to;
                let level = bars.iter().filter(is_there).count() as u32;
                let column = axis.column(at);
                expected[column] = expected[column].max(level);
            }
        }
        for (column, (found, expected)) in levels.iter().zip(&expected).enumerate() {
            if Some(column) != axis.now_column() {
                prop_assert_eq!(found, expected, "{}: {:?}", column, levels);
            }
        }
    }

    #[test]
    fn no_window_and_no_width_fails(
        (window, bars, coming) in any_bars(),
        width in prop::option::of(0..300_usize),
    ) {
        let coming: Vec<Timestamp> = coming.into_iter().map(Timestamp::from_seconds).collect();
        let mut job = job(1, None, "sleep 5\u{7}", bars, &[]);
        job.coming = coming;
        job.coming.sort();
        let picture = Picture::new(window, lines(vec![job], &window));
        let zone = berlin();
        let times = Times { zone: &zone, now: window.now, are_whole: false };
        if let Ok(text) = text(&picture, &times, width) {
            let plain = anstream::adapter::strip_str(&text).to_string();
            prop_assert!(plain.lines().all(|line| line.trim_end() == line), "no blanks at ends: {plain:?}");
        }
        prop_assert!(svg(&picture, &times).ends_with("</svg>\n"));
    }

    #[test]
    fn windows_of_any_length_have_pictures(
        since in -60_000_000_000_i64..250_000_000_000,
        micros in 1..u64::MAX,
        part in 0..3_u64,
    ) {
        let since = Timestamp::from_seconds(since);
        let until = (since + Span::from_micros(micros)).max(since + Span::from_micros(1));
        let now = since + Span::from_micros(until.since(since).as_micros() / 2 * part);
        let window = Window { since, until, now };
        prop_assume!(since < until);
        let picture = Picture::new(window, lines(vec![job(1, None, "x", vec![], &[])], &window));
        let zone = berlin();
        let times = Times { zone: &zone, now, are_whole: false };
        prop_assert!(text(&picture, &times, Some(80)).is_ok());
        prop_assert!(svg(&picture, &times).len() < 100_000);
    }
}

/// A cell of a single run has its kind, or nothing.
fn prop_assert_kind(found: Option<Kind>, kind: Kind) {
    assert!(found.is_none_or(|found| found == kind), "{found:?} for {kind:?}");
}
