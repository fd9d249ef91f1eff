//! Owns: the picture of a live view, by its facts and the time.
//! Never: reading the store or the clock.

use anstyle::AnsiColor;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::cli::output::style::outcome_color;
use crate::cli::view::bars::bar;
use crate::cli::view::json::{backlog_ms, slots};
use crate::cli::view::tables::state_text;
use crate::cli::view::times::Times;
use crate::domain::{Outcome, Span};
use crate::shown::{self, counted};
use crate::store::{LiveJob, LiveWait, LiveWaiting, QueueView, RunView};

use super::facts::{Coming, Ended, Facts, Fires, ROWS_MAX, Running};
use super::list::{List, Mode, RowId, waiting_row};
use super::pane::Pane;

/// A smaller terminal has no room for a row of each kind.
pub const COLUMNS_MIN: u16 = 40;
pub const ROWS_MIN: u16 = 10;

/// More queues than this are shown as a number.
const QUEUES_MAX: usize = 4;

const BAR: u16 = 16;

/// The width of `12m 34s`.
const SPAN: u16 = 7;

/// The width of a name on a narrow terminal.
const NAME_MIN: u16 = 8;

/// A narrower terminal has no room for the columns that say less.
const WIDE: u16 = 60;

const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);
const FAINT: Style = Style::new().add_modifier(Modifier::DIM);

/// The most needed ones come first: a narrow terminal has no room for all.
const KEYS: [(&str, &str); 9] = [
    ("q", "quit"),
    ("↑↓", "select"),
    ("⏎", "show"),
    ("l", "log"),
    ("w", "why"),
    ("r", "run"),
    ("p", "pause"),
    ("c", "cancel"),
    ("/", "filter"),
];

const PANE_KEYS: [(&str, &str); 3] = [("q", "back"), ("↑↓←→", "move"), ("G", "end")];

/// A text in its style, and on which side of its room it stands.
struct Piece {
    text: String,
    style: Style,
    width: u16,
    is_right: bool,
}

fn left(text: impl Into<String>, width: u16) -> Piece {
    Piece { text: text.into(), style: Style::new(), width, is_right: false }
}

fn right(text: impl Into<String>, width: u16) -> Piece {
    Piece { is_right: true, ..left(text, width) }
}

impl Piece {
    fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// A row of a section.
struct Row {
    id: RowId,
    number: String,
    name: String,
    /// Their widths are the same in all rows of a section.
    rest: Vec<Piece>,
}

struct Section {
    title: &'static str,
    /// The heads of `rest`.
    heads: Vec<Piece>,
    rows: Vec<Row>,
}

impl Section {
    fn new(title: &'static str, heads: Vec<Piece>, rows: Vec<Row>) -> Self {
        Self { title, heads: heads.into_iter().map(|head| head.styled(FAINT)).collect(), rows }
    }
}

/// Draws the list.
pub fn draw_list(facts: &Facts, list: &List, times: &Times<'_>, buffer: &mut Buffer) {
    let (width, height) = (buffer.area.width, buffer.area.height);
    if draw_too_small(buffer) {
        return;
    }
    draw_header(facts, times, buffer);
    let queues = queue_lines(facts, height);
    let mut y = 1;
    for pieces in &queues {
        draw_pieces(pieces, 0, y, buffer);
        y += 1;
    }
    let mut sections = vec![running_section(&facts.running, times, width)];
    // Where nothing waits, its room is for the others.
    if !facts.waiting.is_empty() {
        sections.push(waiting_section(&facts.waiting, times, width));
    }
    sections.extend([coming_section(&facts.coming, times, width), ended_section(&facts.ended, times, width)]);
    let is_spacious = height >= 20;
    let heads = sections.len() as u16 * (1 + u16::from(is_spacious));
    let room = height.saturating_sub(y + heads + 1);
    let needs: Vec<u16> = sections.iter().map(|section| section.rows.len() as u16).collect();
    let numbers = sections.iter().flat_map(|section| &section.rows).map(|row| row.number.width());
    let number_width = numbers.max().unwrap_or(0).max(3) as u16;
    for (section, rows) in sections.iter().zip(shares(&needs, room)) {
        y += u16::from(is_spacious);
        draw_section(section, list.selected, (y, rows), number_width, buffer);
        y += 1 + rows;
    }
    draw_footer(list, buffer);
}

/// Divides rows among sections: each gets what it needs up to its part; then the first ones get the rest.
fn shares(needs: &[u16], room: u16) -> Vec<u16> {
    let part = room / (needs.len().max(1) as u16);
    let mut shares: Vec<u16> = needs.iter().map(|need| (*need).min(part)).collect();
    let mut left = room - shares.iter().sum::<u16>();
    for (share, need) in shares.iter_mut().zip(needs) {
        let more = (need - *share).min(left);
        *share += more;
        left -= more;
    }
    shares
}

/// Returns whether the terminal is too small, and then says so.
fn draw_too_small(buffer: &mut Buffer) -> bool {
    let area = buffer.area;
    if area.width >= COLUMNS_MIN && area.height >= ROWS_MIN {
        return false;
    }
    let text = format!("{}×{} of {COLUMNS_MIN}×{ROWS_MIN}; q: quit", area.width, area.height);
    for (y, line) in ["too small:", &text].into_iter().enumerate() {
        if (y as u16) < area.height {
            buffer.set_stringn(0, y as u16, line, usize::from(area.width), Style::new());
        }
    }
    true
}

fn draw_header(facts: &Facts, times: &Times<'_>, buffer: &mut Buffer) {
    let running: u64 = facts.queues.iter().map(|queue| queue.running).sum();
    let waiting: u64 = facts.queues.iter().map(|queue| queue.waiting).sum();
    let daemon = match &facts.daemon {
        Some(daemon) => format!("daemon {}", daemon.pid),
        None => "no daemon: nothing starts".to_owned(),
    };
    let counts = format!("{}, {running} running, {waiting} waiting", counted(facts.jobs, "job"));
    let clock = clock_text(times);
    let room = usize::from(buffer.area.width).saturating_sub(clock.width() + 1);
    let style = if facts.has_daemon() { HEAD } else { HEAD.fg(Color::Red) };
    let (x, _) = buffer.set_stringn(0, 0, &daemon, room, style);
    if usize::from(x) + 3 < room {
        buffer.set_stringn(x + 3, 0, &counts, room - usize::from(x) - 3, HEAD);
    }
    let x = buffer.area.width.saturating_sub(clock.width() as u16);
    buffer.set_stringn(x, 0, &clock, usize::from(buffer.area.width), HEAD);
}

fn clock_text(times: &Times<'_>) -> String {
    times.zone.reading(times.now).time()
}

/// Returns a line of each queue, the busy ones first.
fn queue_lines(facts: &Facts, height: u16) -> Vec<Vec<Piece>> {
    let mut queues: Vec<&QueueView> = facts.queues.iter().collect();
    queues.sort_by_key(|queue| std::cmp::Reverse(queue.running + queue.waiting));
    let most = QUEUES_MAX.min(usize::from(height) / 6).max(1);
    let surplus = queues.len().saturating_sub(most);
    // The line about the others takes the place of one.
    let shown = if surplus > 0 { most - 1 } else { queues.len() };
    let name_width = queues.iter().take(shown).map(|queue| queue.name.width()).max().unwrap_or(0).min(20);
    let mut lines: Vec<Vec<Piece>> = queues
        .iter()
        .take(shown)
        .map(|queue| queue_line(queue, facts.default_slots, name_width as u16))
        .collect();
    if surplus > 0 {
        let others = &queues[shown..];
        let busy: u64 = others.iter().map(|queue| queue.running).sum();
        let waiting: u64 = others.iter().map(|queue| queue.waiting).sum();
        let text = format!(
            "{}: {busy} running, {waiting} waiting",
            counted(others.len(), if shown > 0 { "more queue" } else { "queue" })
        );
        lines.push(vec![left(text, u16::MAX).styled(FAINT)]);
    }
    lines
}

fn queue_line(queue: &QueueView, default_slots: usize, name_width: u16) -> Vec<Piece> {
    let slots = slots(queue, default_slots) as u64;
    let mut note = format!("{} of {slots} running, {} waiting", queue.running, queue.waiting);
    let backlog = backlog_ms(queue, default_slots).filter(|_| queue.waiting > 0).map(Span::from_millis);
    if let Some(backlog) = backlog {
        note.push_str(&format!(", ~{}", shown::span(backlog)));
    }
    let paused = if queue.paused_at.is_some() { "  paused" } else { "" };
    vec![
        left(shown::escaped(&queue.name), name_width),
        left(bar(queue.running.min(slots), slots, u64::from(BAR)), BAR).styled(Style::new().fg(Color::Green)),
        left(note, u16::MAX),
        left(paused, u16::MAX).styled(Style::new().fg(Color::Yellow)),
    ]
}

fn name_of(job: &LiveJob) -> String {
    match &job.name {
        Some(name) => shown::escaped(name).into_owned(),
        None => shown::command(&job.command),
    }
}

fn name_of_run(job: &LiveJob, run: &RunView) -> String {
    let index = run.index.map_or(String::new(), |index| format!(" [{index}]"));
    format!("{}{index}", name_of(job))
}

/// Returns a span that changes by whole seconds.
fn in_seconds(span: Span) -> String {
    match span.as_micros() / 1_000_000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds => shown::span(Span::from_seconds(seconds)),
    }
}

fn running_section(running: &[Running], times: &Times<'_>, width: u16) -> Section {
    let bar_width = if width >= 72 { BAR } else { 0 };
    let row = |row: &Running| {
        let elapsed = row.run.started_at.map_or(Span::ZERO, |at| times.now.since(at));
        let expected = row.expected.filter(|expected| *expected > Span::ZERO);
        let is_over = expected.is_some_and(|expected| elapsed > expected);
        let color = if is_over { Color::Yellow } else { Color::Green };
        let done = expected.map_or_else(String::new, |expected| {
            let expected = expected.as_micros();
            bar(elapsed.as_micros().min(expected), expected, u64::from(bar_width))
        });
        let of = match (row.run.paused, row.run.stop_at, expected) {
            (true, ..) => "paused".to_owned(),
            (_, Some(_), _) => "stopping".to_owned(),
            (.., Some(expected)) => format!("of {}", in_seconds(expected.max(Span::from_seconds(1)))),
            (.., None) => String::new(),
        };
        let mut rest = vec![right(in_seconds(elapsed), SPAN), left(of, SPAN + 3)];
        if bar_width > 0 {
            rest.insert(0, left(done, bar_width).styled(Style::new().fg(color)));
        }
        Row {
            id: RowId::Run(row.run.run),
            number: row.run.run.to_string(),
            name: name_of_run(&row.job, &row.run),
            rest,
        }
    };
    let mut heads = vec![right("ELAPSED", SPAN), left("EXPECTED", SPAN + 3)];
    if bar_width > 0 {
        heads.insert(0, left("", bar_width));
    }
    Section::new("RUNNING", heads, running.iter().map(row).collect())
}

fn waiting_section(waiting: &[LiveWaiting], times: &Times<'_>, width: u16) -> Section {
    const QUEUE: u16 = 12;
    const STATE: u16 = 18;
    let columns = |queue: Piece, state: Piece, since: Piece| match width {
        WIDE.. => vec![queue, state, since],
        0..WIDE => vec![since],
    };
    let row = |row: &LiveWaiting| {
        let (number, name, queue, state, since) = match &row.wait {
            LiveWait::Run(run) => {
                let name = name_of_run(&row.job, run);
                (run.run.to_string(), name, run.queue.as_str(), state_text(run, times), run.queued_at)
            }
            LiveWait::Indices { count, queued_at } => {
                let state = format!("{count} more");
                (row.job.id.to_string(), format!("{} […]", name_of(&row.job)), "", state, *queued_at)
            }
        };
        let since = in_seconds(times.now.since(since));
        let rest = columns(left(shown::escaped(queue), QUEUE), left(state, STATE), right(since, SPAN));
        Row { id: waiting_row(row), number, name, rest }
    };
    let heads = columns(left("QUEUE", QUEUE), left("STATE", STATE), right("SINCE", SPAN));
    Section::new("WAITING", heads, waiting.iter().map(row).collect())
}

fn coming_section(coming: &[Coming], times: &Times<'_>, width: u16) -> Section {
    // `Mar 02 03:15:30`
    const AT: u16 = 15;
    let row = |row: &Coming| {
        let (time, left_text) = match &row.fires {
            Fires::At(at) if *at <= times.now => (times.show(*at), "now".to_owned()),
            Fires::At(at) => (times.show(*at), format!("in {}", in_seconds(at.since(times.now)))),
            Fires::Paused => ("paused".to_owned(), String::new()),
            Fires::When(_) => ("at an event".to_owned(), String::new()),
        };
        let name = match &row.fires {
            Fires::When(when) => format!("{} ({when})", name_of(&row.job)),
            Fires::At(_) | Fires::Paused => name_of(&row.job),
        };
        let mut rest = vec![right(left_text, SPAN + 3)];
        if width >= WIDE {
            rest.push(left(time, AT));
        } else if row.fires == Fires::Paused {
            rest = vec![right("paused", SPAN + 3)];
        }
        Row { id: RowId::Job(row.job.id), number: row.job.id.to_string(), name, rest }
    };
    let mut heads = vec![right("LEFT", SPAN + 3)];
    if width >= WIDE {
        heads.push(left("AT", AT));
    }
    Section::new("NEXT", heads, coming.iter().map(row).collect())
}

fn outcome_style(outcome: Outcome) -> Style {
    Style::new().fg(match outcome_color(outcome) {
        AnsiColor::Green => Color::Green,
        AnsiColor::Red => Color::Red,
        AnsiColor::Yellow => Color::Yellow,
        _ => Color::Reset,
    })
}

fn ended_section(ended: &[Ended], times: &Times<'_>, width: u16) -> Section {
    const OUTCOME: u16 = 12;
    let of = |outcome, took, ago| match width {
        WIDE.. => vec![outcome, took, ago],
        0..WIDE => vec![outcome, ago],
    };
    let row = |row: &Ended| {
        let run = &row.run;
        let took = run.duration().map_or_else(String::new, shown::span);
        let ago = run.finished_at.map_or_else(String::new, |at| in_seconds(times.now.since(at)));
        let outcome = match (run.outcome, run.exit_code, run.signal) {
            (Some(Outcome::Failed), Some(code), _) => format!("exit {code}"),
            (Some(Outcome::Failed), None, Some(signal)) => shown::signal_name(signal).to_string(),
            (Some(outcome), ..) => outcome.to_string(),
            (None, ..) => String::new(),
        };
        let style = run.outcome.map_or(Style::new(), outcome_style);
        Row {
            id: RowId::Run(run.run),
            number: run.run.to_string(),
            name: name_of_run(&row.job, &row.run),
            rest: of(left(outcome, OUTCOME).styled(style), right(took, SPAN), right(ago, SPAN)),
        }
    };
    let heads = of(left("OUTCOME", OUTCOME), right("TOOK", SPAN), right("AGO", SPAN));
    Section::new("ENDED", heads, ended.iter().map(row).collect())
}

/// Draws pieces from `x` on, two columns apart, and returns where they end.
fn draw_pieces(pieces: &[Piece], mut x: u16, y: u16, buffer: &mut Buffer) -> u16 {
    for piece in pieces {
        let room = buffer.area.width.saturating_sub(x).min(piece.width);
        let width = (piece.text.width() as u16).min(room);
        let start = if piece.is_right { x + room - width } else { x };
        buffer.set_stringn(start, y, &piece.text, usize::from(room), piece.style);
        x += if piece.width == u16::MAX { width } else { room + 2 };
    }
    x
}

fn draw_section(
    section: &Section,
    selected: Option<RowId>,
    (y, height): (u16, u16),
    number_width: u16,
    buffer: &mut Buffer,
) {
    let width = buffer.area.width;
    let rest_width: u16 = section.heads.iter().map(|head| head.width + 2).sum();
    // A mark, the number, the name.
    let name_x = 2 + number_width + 2;
    let name_width = width.saturating_sub(name_x + rest_width).max(NAME_MIN);
    let rest_x = name_x + name_width + 2;
    let chosen = section.rows.iter().position(|row| Some(row.id) == selected);
    let total = section.rows.len();
    let height = usize::from(height);
    let first = chosen.map_or(0, |chosen| (chosen + 1).saturating_sub(height));
    let count = match total {
        0 => "none".to_owned(),
        total if total >= ROWS_MAX => format!("{total} and more"),
        total => total.to_string(),
    };
    let (x, _) = buffer.set_stringn(0, y, section.title, usize::from(width), HEAD);
    buffer.set_stringn(x + 1, y, &count, usize::from(width.saturating_sub(x + 1)), FAINT);
    if total > 0 {
        draw_pieces(&section.heads, rest_x, y, buffer);
    }
    for (row, y) in section.rows.iter().skip(first).take(height).zip(y + 1..) {
        let is_selected = Some(row.id) == selected;
        if is_selected {
            buffer.set_stringn(0, y, "▶", 1, Style::new());
        }
        let number = right(&row.number, number_width);
        let name = left(&row.name, name_width);
        draw_pieces(&[number, name], 2, y, buffer);
        draw_pieces(&row.rest, rest_x, y, buffer);
        if is_selected {
            let line = ratatui::layout::Rect { x: 0, y, width, height: 1 };
            buffer.set_style(line, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}

fn draw_keys(keys: &[(&str, &str)], buffer: &mut Buffer) {
    let (width, y) = (buffer.area.width, buffer.area.height.saturating_sub(1));
    let mut x = 0;
    for (key, effect) in keys {
        // Half a key would mislead.
        if usize::from(x) + key.width() + 1 + effect.width() > usize::from(width) {
            break;
        }
        let (after, _) = buffer.set_stringn(x, y, key, usize::from(width - x), HEAD);
        let (after, _) = buffer.set_stringn(after + 1, y, effect, usize::from(width), FAINT);
        x = after + 2;
    }
}

fn draw_footer(list: &List, buffer: &mut Buffer) {
    let (width, y) = (usize::from(buffer.area.width), buffer.area.height.saturating_sub(1));
    match (&list.mode, &list.message) {
        (Mode::Confirm { question, .. }, _) => {
            buffer.set_stringn(0, y, format!("{question} (y/n)"), width, HEAD);
        }
        (Mode::Filter, _) => {
            buffer.set_stringn(0, y, format!("/{}▏", shown::escaped(&list.filter)), width, HEAD);
        }
        (Mode::List, Some(message)) => {
            buffer.set_stringn(0, y, message, width, HEAD);
        }
        (Mode::List, None) if !list.filter.is_empty() => {
            let text = format!("only `{}`; Esc shows all", shown::escaped(&list.filter));
            buffer.set_stringn(0, y, text, width, HEAD);
        }
        (Mode::List, None) => draw_keys(&KEYS, buffer),
    }
}

/// Returns how many lines of a pane a screen of this height shows.
pub fn pane_height(height: u16) -> usize {
    usize::from(height.saturating_sub(2))
}

/// Draws the output of a command.
pub fn draw_pane(pane: &Pane, buffer: &mut Buffer) {
    if draw_too_small(buffer) {
        return;
    }
    let (width, height) = (usize::from(buffer.area.width), buffer.area.height);
    let (first, lines) = pane.seen(pane_height(height));
    let (last, total) = (first + lines.len().saturating_sub(1), pane.total());
    let state = match (pane.is_ended, pane.follows) {
        (true, _) => "",
        (false, true) => ", following",
        (false, false) => ", still growing",
    };
    let place = match (total, pane.is_ended) {
        (0, true) => "no output".to_owned(),
        (0, false) => "no output yet".to_owned(),
        _ => format!("{first}-{last} of {total}{state}"),
    };
    let place_x = width.saturating_sub(place.width());
    buffer.set_stringn(0, 0, &pane.title, place_x.saturating_sub(1), HEAD);
    buffer.set_stringn(place_x as u16, 0, &place, place.width(), FAINT);
    for (line, y) in lines.iter().zip(1..) {
        let seen: String = skip_columns(line, pane.aside);
        buffer.set_stringn(0, y, seen, width, Style::new());
    }
    draw_keys(&PANE_KEYS, buffer);
}

/// Returns a text without its first columns.
fn skip_columns(text: &str, columns: usize) -> String {
    let mut passed = 0;
    text.chars()
        .skip_while(|c| {
            let is_aside = passed < columns;
            passed += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
            is_aside
        })
        .collect()
}
