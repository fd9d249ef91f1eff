use proptest::collection::vec;
use proptest::prelude::*;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use unicode_width::UnicodeWidthStr;

use super::draw::{draw_list, draw_pane};
use super::facts::{Coming, Ended, Facts, Filter, Fires, Running};
use super::list::{Act, List, Mode, Request, RowId};
use super::pane::{Pane, PaneRequest};
use crate::cli::output::screen::Key;
use crate::cli::view::samples::{LONG_COMMAND, LONG_NAME, at, berlin};
use crate::cli::view::samples::{ended_run, running_run};
use crate::cli::view::times::Times;
use crate::daemon::DaemonInfo;
use crate::domain::{CommandLine, JobId, Outcome, QueueRule, RunId, RunState, Span};
use crate::store::{LiveJob, LiveWait, LiveWaiting, QueueView, RunView};

const NOW: &str = "2026-11-20 14:02:07";

fn job(id: i64, name: &str) -> LiveJob {
    LiveJob {
        id: JobId(id),
        name: (!name.is_empty()).then(|| name.to_owned()),
        command: CommandLine::Script(LONG_COMMAND.as_bytes().to_vec()),
        is_paused: false,
        has_nth: false,
    }
}

fn queue(name: &str, (running, slots): (u64, u32), waiting: u64) -> QueueView {
    QueueView {
        name: name.to_owned(),
        slots: Some(slots),
        paused_at: None,
        running,
        waiting,
        mean_run: Some(Span::from_seconds(90)),
        expecting: (0, Span::ZERO),
        rule: QueueRule::default(),
    }
}

fn running(id: i64, name: &str, since: &str, expected: Option<u64>) -> Running {
    let expected = expected.map(Span::from_seconds);
    Running { job: job(id, name), run: running_run((id, 1), at(since)), expected }
}

fn coming(id: i64, name: &str, fires: Fires) -> Coming {
    Coming { job: LiveJob { is_paused: fires == Fires::Paused, ..job(id, name) }, fires }
}

fn ended(id: i64, name: &str, outcome: Outcome, (from, to): (&str, &str)) -> Ended {
    Ended { job: job(id, name), run: ended_run((id, 7), outcome, at(from), at(to)) }
}

/// Two running runs, four jobs with coming fires, three that have ended.
fn facts() -> Facts {
    Facts {
        daemon: Some(DaemonInfo { pid: 4242, since_us: 0, version: "0.1.0".to_owned(), default_slots: 8 }),
        default_slots: 8,
        jobs: 1_234,
        queues: vec![
            queue("default", (3, 8), 17),
            QueueView { paused_at: Some(at(NOW)), ..queue("gpu", (1, 1), 0) },
        ],
        running: vec![
            running(12, LONG_NAME, "2026-11-20 14:01:07", Some(120)),
            running(3, "late", "2026-11-20 12:00", Some(60)),
            running(1234, "", "2026-11-20 14:02:06", None),
        ],
        waiting: Vec::new(),
        coming: vec![
            coming(5, "soon", Fires::At(at("2026-11-20 14:02:12"))),
            coming(12, LONG_NAME, Fires::At(at("2026-11-21 03:15"))),
            coming(6, "watch", Fires::When("when `inbox` is not empty".to_owned())),
            coming(7, "resting", Fires::Paused),
        ],
        ended: vec![
            ended(5, "soon", Outcome::Success, ("2026-11-20 14:02:02", "2026-11-20 14:02:03")),
            ended(8, "broken\nname", Outcome::Failed, ("2026-11-20 13:00", "2026-11-20 13:30")),
            ended(9, "missed", Outcome::Missed, ("2026-11-20 13:00", "2026-11-20 13:00")),
        ],
    }
}

fn buffer(width: u16, height: u16) -> Buffer {
    Buffer::empty(Rect { x: 0, y: 0, width, height })
}

/// Returns the picture as lines.
fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let lines = buffer.content.chunks(width).map(|line| {
        let line: String = line.iter().map(Cell::symbol).collect();
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

fn picture(facts: &Facts, list: &List, (width, height): (u16, u16)) -> String {
    let zone = berlin();
    let times = Times { zone: &zone, now: at(NOW), are_whole: false };
    let mut buffer = buffer(width, height);
    draw_list(facts, list, &times, &mut buffer);
    text(&buffer)
}

fn list(facts: &Facts) -> List {
    let mut list = List::default();
    list.follow(facts);
    list
}

#[test]
fn a_view_fits_terminals_of_all_sizes() {
    let facts = facts();
    let list = list(&facts);
    let sizes = [(80, 24), (40, 10), (60, 16), (120, 30)];
    let pictures = sizes.map(|size| format!("{size:?}\n{}", picture(&facts, &list, size)));
    insta::assert_snapshot!(pictures.join("\n"));
    for width in 0..100 {
        for height in 0..30 {
            picture(&facts, &list, (width, height));
        }
    }
    assert!(picture(&facts, &list, (30, 5)).contains("30×5 of 40×10"));
}

#[test]
fn a_view_without_a_daemon_and_rows_says_so() {
    let shown = picture(&Facts::default(), &list(&Facts::default()), (80, 24));
    assert!(shown.starts_with("no daemon: nothing starts   0 jobs, 0 running, 0 waiting"), "{shown}");
    assert_eq!(shown.matches(" none\n").count(), 3, "{shown}");
}

#[test]
fn the_selected_row_is_in_view_and_marked() {
    let mut facts = facts();
    facts.coming = (1..=500).map(|id| coming(id, "many", Fires::At(at("2026-11-21")))).collect();
    let mut list = list(&facts);
    for _ in 0..300 {
        list.on_key(Key::Down, &facts);
    }
    let shown = picture(&facts, &list, (80, 24));
    assert_eq!(list.selected, Some(RowId::Job(JobId(298))));
    let marked: Vec<&str> = shown.lines().filter(|line| line.starts_with('▶')).collect();
    assert_eq!(marked.len(), 1, "{shown}");
    assert!(marked[0].contains(" 298  many"), "{shown}");
    assert!(shown.contains("NEXT 500 and more") && shown.contains("ENDED 3"), "{shown}");
    let mut buffer = buffer(80, 24);
    let zone = berlin();
    draw_list(&facts, &list, &Times { zone: &zone, now: at(NOW), are_whole: false }, &mut buffer);
    let reversed = buffer.content.iter().filter(|cell| cell.modifier.contains(Modifier::REVERSED));
    assert_eq!(reversed.count(), 80, "one line");
}

#[test]
fn what_waits_is_a_list_of_its_own() {
    let mut facts = facts();
    let since = at("2026-11-20 14:00");
    let waiting = |id, state, blocked| {
        let run = RunView { state, blocked, queued_at: since, ..running_run((id, 1), since) };
        LiveWaiting { job: job(id, "waits"), wait: LiveWait::Run(Box::new(run)) }
    };
    let wait = LiveWait::Indices { count: 97, queued_at: since };
    facts.waiting = vec![
        waiting(20, RunState::Queued, false),
        LiveWaiting { job: job(21, "map"), wait },
        waiting(22, RunState::Retrying, false),
        waiting(23, RunState::Queued, true),
    ];
    let mut list = list(&facts);
    list.on_key(Key::Tab, &facts);
    assert_eq!(list.selected, Some(RowId::Run(RunId { job: JobId(20), number: 1 })));
    let why =
        |target: &str| Request::Open { args: vec!["why".to_owned(), target.to_owned()], follows: false };
    assert_eq!(list.on_key(Key::Char('w'), &facts), why("20.1"));
    insta::assert_snapshot!(picture(&facts, &list, (80, 24)));
    list.on_key(Key::Down, &facts);
    assert_eq!(list.on_key(Key::Char('w'), &facts), why("21"));
    list.on_key(Key::Char('c'), &facts);
    assert_eq!(list.on_key(Key::Char('y'), &facts), act("cancel", "21"));
}

#[test]
fn many_queues_are_shown_as_a_number() {
    let mut facts = facts();
    facts.queues = (0..20).map(|n| queue(&format!("q{n}"), (n, 20), n)).collect();
    let shown = picture(&facts, &list(&facts), (80, 24));
    assert!(shown.contains("\nq19  ") && shown.contains("\n17 more queues: 136 running"), "{shown}");
}

fn act(verb: &'static str, target: &str) -> Request {
    Request::Act(Act { verb, target: target.to_owned() })
}

#[test]
fn a_key_acts_on_the_selected_row() {
    let facts = facts();
    let mut list = list(&facts);
    assert_eq!(list.on_key(Key::Char('r'), &facts), act("run", "12"));
    assert_eq!(list.on_key(Key::Char('p'), &facts), act("pause", "12"));
    let log = |target: &str| Request::Open {
        args: ["log", "--follow", "--tail", "1000", target].map(str::to_owned).to_vec(),
        follows: true,
    };
    assert_eq!(list.on_key(Key::Char('l'), &facts), log("12.1"));
    list.on_key(Key::Tab, &facts);
    assert_eq!(list.on_key(Key::Char('l'), &facts), log("5"));
    let show = Request::Open { args: vec!["show".to_owned(), "5".to_owned()], follows: false };
    assert_eq!(list.on_key(Key::Enter, &facts), show);
    list.on_key(Key::Tab, &facts);
    assert_eq!(list.selected, Some(RowId::Run(RunId { job: JobId(5), number: 7 })));
    list.on_key(Key::BackTab, &facts);
    list.on_key(Key::End, &facts);
    assert_eq!(list.selected, Some(RowId::Run(RunId { job: JobId(9), number: 7 })));
    for _ in 0..3 {
        list.on_key(Key::Up, &facts);
    }
    assert_eq!(list.on_key(Key::Char('p'), &facts), act("resume", "7"), "it is paused");
    assert_eq!(list.on_key(Key::Char('q'), &facts), Request::Quit);
}

#[test]
fn nothing_is_cancelled_without_a_yes() {
    let facts = facts();
    let mut list = list(&facts);
    for no in [Key::Char('n'), Key::Escape, Key::Enter] {
        assert_eq!(list.on_key(Key::Char('c'), &facts), Request::Nothing);
        let asked = picture(&facts, &list, (100, 24));
        assert!(asked.contains(&format!("cancel run 12.1 {LONG_NAME}? (y/n)")), "{asked}");
        assert_eq!(list.on_key(Key::Char('x'), &facts), Request::Nothing, "neither yes nor no");
        assert_eq!(list.on_key(no, &facts), Request::Nothing);
        assert_eq!((&list.mode, list.message.as_deref()), (&Mode::List, Some("nothing was changed")));
    }
    list.on_key(Key::Char('c'), &facts);
    assert_eq!(list.on_key(Key::Char('y'), &facts), act("cancel", "12.1"));
    list.on_key(Key::Tab, &facts);
    list.on_key(Key::Char('c'), &facts);
    assert!(picture(&facts, &list, (80, 24)).contains("cancel job 5 soon for good, with its coming fires?"));
    list.on_key(Key::Escape, &facts);
    list.on_key(Key::Tab, &facts);
    list.on_key(Key::Char('c'), &facts);
    assert_eq!(list.message.as_deref(), Some("run 5.7 has already finished"));
}

#[test]
fn the_selection_stays_on_its_run_when_that_ends_and_on_its_place_when_it_is_gone() {
    let mut facts = facts();
    let mut list = list(&facts);
    list.on_key(Key::Down, &facts);
    let late = Some(RowId::Run(RunId { job: JobId(3), number: 1 }));
    assert_eq!(list.selected, late);
    let Running { job, run, .. } = facts.running.remove(1);
    facts.ended.insert(0, Ended { job, run });
    list.follow(&facts);
    assert_eq!(list.selected, late);
    facts.ended.remove(0);
    list.follow(&facts);
    assert_eq!(list.selected, Some(RowId::Run(RunId { job: JobId(5), number: 7 })));
    let none = Facts::default();
    list.follow(&none);
    assert_eq!(list.selected, None);
    assert_eq!(list.on_key(Key::Char('c'), &none), Request::Nothing);
    assert_eq!(list.message.as_deref(), Some("there is nothing to select"));
}

#[test]
fn a_filter_is_typed_and_names_jobs_by_a_part_of_their_name_or_command() {
    let facts = facts();
    let mut list = list(&facts);
    assert_eq!(list.on_key(Key::Char('/'), &facts), Request::Nothing);
    for c in "Nasq".chars() {
        assert_eq!(list.on_key(Key::Char(c), &facts), Request::Read);
    }
    assert_eq!(list.on_key(Key::Backspace, &facts), Request::Read);
    assert!(picture(&facts, &list, (80, 24)).ends_with("\n/Nas▏\n"));
    assert_eq!(list.on_key(Key::Enter, &facts), Request::Nothing);
    assert!(picture(&facts, &list, (80, 24)).ends_with("\nonly `Nas`; Esc shows all\n"));
    assert_eq!(list.filter, "Nas");
    assert_eq!(list.on_key(Key::Escape, &facts), Request::Read);
    assert_eq!(list.filter, "");
    let job = job(12, "Backup");
    for (filter, is_meant) in [("", true), ("backup", true), ("CKU", true), ("nas:/vol", true), ("12", true)]
        .into_iter()
        .chain([("1", true), ("2", false), ("other", false)])
    {
        assert_eq!(Filter::new(filter).names(&job), is_meant, "{filter}");
    }
}

#[test]
fn a_pane_follows_its_output_until_a_person_moves_up() {
    let mut pane = Pane::new("taskq log --follow 1".to_owned(), true);
    for line in 1..=100 {
        pane.push(format!("line {line}\n").as_bytes());
    }
    assert_eq!(pane.seen(2), (99, vec!["line 99".to_owned(), "line 100".to_owned()]));
    pane.push(b"half");
    assert_eq!(pane.seen(1), (101, vec!["half".to_owned()]));
    pane.on_key(Key::Up, 2);
    pane.push(b" a line\nmore\n");
    assert_eq!(pane.seen(2), (99, vec!["line 99".to_owned(), "line 100".to_owned()]));
    pane.on_key(Key::End, 2);
    pane.push(b"last\n");
    assert_eq!(pane.seen(1).1, ["last"]);
    assert_eq!(pane.on_key(Key::Home, 2), PaneRequest::Nothing);
    assert_eq!(pane.seen(1).1, ["line 1"]);
    assert_eq!(pane.on_key(Key::Char('q'), 2), PaneRequest::Close);
}

#[test]
fn an_endless_output_is_forgotten_from_its_start_and_cannot_move_the_cursor() {
    let mut pane = Pane::new("x".to_owned(), false);
    pane.push("1\n".repeat(20_000).as_bytes());
    assert_eq!(pane.total(), 10_000);
    let mut pane = Pane::new("x".to_owned(), false);
    pane.push(b"\x1b[31mred\x1b[2J\x1b[H\n10%\r50%\r100%\r\na\tb\n\x07\xff\n");
    assert_eq!(pane.seen(9).1, ["red", "100%", "a       b", "\u{fffd}"]);
    let mut buffer = buffer(40, 10);
    draw_pane(&pane, &mut buffer);
    insta::assert_snapshot!(text(&buffer));
    for _ in 0..4 {
        pane.push(&[b'x'; 50_000]);
    }
    assert_eq!(pane.total(), 6, "a line without an end is cut");
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        Just(Key::Up),
        Just(Key::Down),
        Just(Key::Left),
        Just(Key::Right),
        Just(Key::PageUp),
        Just(Key::PageDown),
        Just(Key::Home),
        Just(Key::End),
        Just(Key::Enter),
        Just(Key::Escape),
        Just(Key::Backspace),
        Just(Key::Tab),
        Just(Key::BackTab),
        any::<char>().prop_map(Key::Char),
        "[a-z/]".prop_map(|text| Key::Char(text.chars().next().unwrap_or('q'))),
        "[a-z]".prop_map(|text| Key::Control(text.chars().next().unwrap_or('c'))),
    ]
}

proptest! {
    // Each case has dozens of pictures.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_typed_a_row_is_selected_where_there_is_one(
        keys in vec(any_key(), 0..40),
        rows in vec(0..3_usize, 40),
        size in (0..130_u16, 0..40_u16),
    ) {
        let all = facts();
        let mut list = list(&all);
        for (key, rows) in keys.into_iter().zip(rows) {
            // Rows come and go between the keys.
            let mut facts = facts();
            facts.running.truncate(rows);
            facts.ended.truncate(2 - rows);
            list.follow(&facts);
            list.on_key(key, &facts);
            list.follow(&facts);
            let shown = picture(&facts, &list, size);
            prop_assert!(list.selected.is_some());
            prop_assert!(shown.lines().all(|line| line.width() <= usize::from(size.0.max(1))));
        }
    }

    #[test]
    fn whatever_a_command_prints_a_pane_shows_it_within_its_screen(
        parts in vec(vec(any::<u8>(), 0..80), 0..20),
        keys in vec(any_key(), 0..20),
        size in (0..130_u16, 0..40_u16),
    ) {
        let mut pane = Pane::new("taskq log --follow 1".to_owned(), true);
        let mut keys = keys.into_iter();
        for part in parts {
            pane.push(&part);
            keys.next().map(|key| pane.on_key(key, usize::from(size.1)));
            let mut buffer = buffer(size.0, size.1);
            draw_pane(&pane, &mut buffer);
            let has_control = buffer.content.iter().any(|cell| cell.symbol().chars().any(char::is_control));
            prop_assert!(!has_control, "{}", text(&buffer));
        }
    }
}
