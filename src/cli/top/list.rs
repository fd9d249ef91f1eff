//! Owns: the rows of a live view, which of them is selected, and what a key does there.
//! Never: doing it, or drawing.

use crate::cli::output::screen::Key;
use crate::domain::{JobId, Outcome, RunId};
use crate::store::{LiveJob, LiveWait, LiveWaiting};

use super::facts::Facts;

/// How many rows a key for a page moves by.
const PAGE: isize = 10;

/// Which row it is, however the rows move. A run keeps its row when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowId {
    Run(RunId),
    /// The indices of the job's array that have no run yet.
    Indices(JobId),
    /// The job with its next fire.
    Job(JobId),
}

/// A command on a job or a run, as it is typed after `taskq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub verb: &'static str,
    pub target: String,
}

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Nothing,
    Quit,
    Suspend,
    /// Read again, with the present filter.
    Read,
    Act(Act),
    /// Show the output of such a command on a screen of its own; `follows`: from its end on.
    Open {
        args: Vec<String>,
        follows: bool,
    },
}

/// What a key does to the selected row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowKey {
    Show,
    Log,
    Cancel,
    Pause,
    Run,
    Why,
}

/// What the keys are for at present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    List,
    /// A filter is typed.
    Filter,
    /// An act that cannot be taken back waits for a yes.
    Confirm { act: Act, question: String },
}

/// The list, as far as the store does not know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    pub mode: Mode,
    pub filter: String,
    pub selected: Option<RowId>,
    /// Its place among all rows when it was last seen.
    place: usize,
    /// What was done, or why it could not be.
    pub message: Option<String>,
}

/// Returns all rows in their order.
pub fn rows(facts: &Facts) -> impl Iterator<Item = (RowId, &LiveJob)> {
    let running = facts.running.iter().map(|row| (RowId::Run(row.run.run), &row.job));
    let waiting = facts.waiting.iter().map(|row| (waiting_row(row), &row.job));
    let coming = facts.coming.iter().map(|row| (RowId::Job(row.job.id), &row.job));
    let ended = facts.ended.iter().map(|row| (RowId::Run(row.run.run), &row.job));
    running.chain(waiting).chain(coming).chain(ended)
}

/// Returns which row it is that something waits in.
pub fn waiting_row(LiveWaiting { job, wait }: &LiveWaiting) -> RowId {
    match wait {
        LiveWait::Run(run) => RowId::Run(run.run),
        LiveWait::Indices { .. } => RowId::Indices(job.id),
    }
}

impl List {
    /// Keeps the selection on its row; if that is gone, on the row that has taken its place.
    pub fn follow(&mut self, facts: &Facts) {
        let rows: Vec<RowId> = rows(facts).map(|(row, _)| row).collect();
        match self.selected.and_then(|selected| rows.iter().position(|row| *row == selected)) {
            Some(place) => self.place = place,
            None => {
                self.place = self.place.min(rows.len().saturating_sub(1));
                self.selected = rows.get(self.place).copied();
            }
        }
    }

    fn select(&mut self, place: usize, facts: &Facts) {
        let count = rows(facts).count();
        self.place = place.min(count.saturating_sub(1));
        self.selected = rows(facts).nth(self.place).map(|(row, _)| row);
    }

    fn step(&mut self, by: isize, facts: &Facts) {
        self.select(self.place.saturating_add_signed(by), facts);
    }

    /// Moves to the first row of the next section that has rows, or of the one before.
    fn jump(&mut self, is_forward: bool, facts: &Facts) {
        let Facts { running, waiting, coming, ended, .. } = facts;
        let lengths = [running.len(), waiting.len(), coming.len(), ended.len()];
        let after = lengths.iter().scan(0, |start, length| {
            let here = *start;
            *start += length;
            Some((here, *length))
        });
        let starts: Vec<usize> = after.filter(|(_, length)| *length > 0).map(|(start, _)| start).collect();
        let next = match is_forward {
            true => starts.iter().find(|start| **start > self.place),
            false => starts.iter().rev().find(|start| **start < self.place),
        };
        if let Some(start) = next.or(if is_forward { starts.first() } else { starts.last() }) {
            self.select(*start, facts);
        }
    }

    /// Returns what a key asks for.
    pub fn on_key(&mut self, key: Key, facts: &Facts) -> Request {
        self.message = None;
        if key == Key::Control('c') {
            return Request::Quit;
        }
        if key == Key::Control('z') {
            return Request::Suspend;
        }
        match std::mem::take(&mut self.mode) {
            Mode::List => self.in_list(key, facts),
            Mode::Filter => self.in_filter(key),
            Mode::Confirm { act, .. } if matches!(key, Key::Char('y' | 'Y')) => Request::Act(act),
            Mode::Confirm { act, question } => {
                if matches!(key, Key::Char('n' | 'N') | Key::Escape | Key::Enter) {
                    self.message = Some("nothing was changed".to_owned());
                } else {
                    self.mode = Mode::Confirm { act, question };
                }
                Request::Nothing
            }
        }
    }

    fn in_filter(&mut self, key: Key) -> Request {
        match key {
            Key::Enter => return Request::Nothing,
            Key::Escape => self.filter.clear(),
            Key::Backspace => {
                self.filter.pop();
                self.mode = Mode::Filter;
            }
            Key::Control('u') => {
                self.filter.clear();
                self.mode = Mode::Filter;
            }
            Key::Char(c) => {
                self.filter.push(c);
                self.mode = Mode::Filter;
            }
            Key::Up
            | Key::Down
            | Key::Left
            | Key::Right
            | Key::PageUp
            | Key::PageDown
            | Key::Home
            | Key::End
            | Key::Tab
            | Key::BackTab
            | Key::Control(_) => {
                self.mode = Mode::Filter;
                return Request::Nothing;
            }
        }
        Request::Read
    }

    fn in_list(&mut self, key: Key, facts: &Facts) -> Request {
        match key {
            Key::Up | Key::Char('k') => self.step(-1, facts),
            Key::Down | Key::Char('j') => self.step(1, facts),
            Key::PageUp | Key::Control('b') => self.step(-PAGE, facts),
            Key::PageDown | Key::Control('f') | Key::Char(' ') => self.step(PAGE, facts),
            Key::Home | Key::Char('g') => self.select(0, facts),
            Key::End | Key::Char('G') => self.select(usize::MAX, facts),
            Key::Tab => self.jump(true, facts),
            Key::BackTab => self.jump(false, facts),
            Key::Char('q') => return Request::Quit,
            Key::Char('/') => self.mode = Mode::Filter,
            Key::Escape if !self.filter.is_empty() => {
                self.filter.clear();
                return Request::Read;
            }
            Key::Control('l') => return Request::Read,
            Key::Enter => return self.on_row(RowKey::Show, facts),
            Key::Char('l') => return self.on_row(RowKey::Log, facts),
            Key::Char('c') => return self.on_row(RowKey::Cancel, facts),
            Key::Char('p') => return self.on_row(RowKey::Pause, facts),
            Key::Char('r') => return self.on_row(RowKey::Run, facts),
            Key::Char('w') => return self.on_row(RowKey::Why, facts),
            Key::Left | Key::Right | Key::Escape | Key::Backspace | Key::Char(_) | Key::Control(_) => {}
        }
        Request::Nothing
    }

    fn on_row(&mut self, key: RowKey, facts: &Facts) -> Request {
        let found = rows(facts).find(|(row, _)| Some(*row) == self.selected);
        let Some((row, job)) = found else {
            self.message = Some("there is nothing to select".to_owned());
            return Request::Nothing;
        };
        let id = job.id.to_string();
        let act = |verb, target: &str| Request::Act(Act { verb, target: target.to_owned() });
        let target = match row {
            RowId::Run(run) => run.to_string(),
            RowId::Job(_) | RowId::Indices(_) => id.clone(),
        };
        match key {
            RowKey::Log => {
                let args = ["log", "--follow", "--tail", LOG_LINES, &target].map(str::to_owned).to_vec();
                Request::Open { args, follows: true }
            }
            RowKey::Cancel => self.ask_to_cancel(row, job, facts),
            RowKey::Pause if job.is_paused => act("resume", &id),
            RowKey::Pause => act("pause", &id),
            RowKey::Run => act("run", &id),
            RowKey::Why => Request::Open { args: vec!["why".to_owned(), target], follows: false },
            RowKey::Show => Request::Open { args: vec!["show".to_owned(), id], follows: false },
        }
    }

    fn ask_to_cancel(&mut self, row: RowId, job: &LiveJob, facts: &Facts) -> Request {
        let name = job.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
        let (target, question) = match row {
            RowId::Run(run) if outcome(run, facts).is_some() => {
                self.message = Some(format!("run {run} has already finished"));
                return Request::Nothing;
            }
            RowId::Run(run) => (run.to_string(), format!("cancel run {run}{name}?")),
            RowId::Job(job) | RowId::Indices(job) => {
                (job.to_string(), format!("cancel job {job}{name} for good, with its coming fires?"))
            }
        };
        self.mode = Mode::Confirm { act: Act { verb: "cancel", target }, question };
        Request::Nothing
    }
}

/// How much of an output is shown at first.
const LOG_LINES: &str = "1000";

fn outcome(run: RunId, facts: &Facts) -> Option<Outcome> {
    facts.ended.iter().find(|row| row.run.run == run)?.run.outcome
}
