//! Owns: the loop of a live view: when it reads the store, and what a key does.
//! Never: the rows, the keys or the picture (see `list`, `pane` and `draw`).
//!
//! The view is read after a turn of the daemon, and drawn each second, because its times change. A key that
//! changes something runs the command that a person would type, so that it does exactly that.

mod draw;
mod facts;
mod list;
mod pane;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Stdin};
use std::os::fd::{AsFd, BorrowedFd};

use self::draw::{COLUMNS_MIN, ROWS_MIN, draw_list, draw_pane, pane_height};
use self::facts::Facts;
use self::list::{Act, List, Request};
use self::pane::{Pane, PaneRequest};
use super::context::Context;
use super::output::screen::{self, Inputs, Key, Screen, terminal_size};
use super::view::times::Times;
use crate::daemon::{Subscription, WaitEnd};
use crate::domain::Span;
use crate::error::{Error, Result};
use crate::process::{self, Followed};
use crate::schedule::Zone;
use crate::shown;
use crate::system::{env, machine};

/// What is being done, for errors.
pub const WHAT: &str = "show live view";

/// The store is read at most this often, however many turns there are.
const READING_PAUSE: Span = Span::from_millis(250);

/// The store is read so much longer than each reading takes later: at most a twentieth of a core.
const PAUSE_PER_READING: u64 = 20;

/// So much of an output is shown at once.
const OUTPUT_BYTES: usize = 64 * 1024;

/// Shows the view until a person leaves it.
///
/// # Errors
///
/// If the terminal cannot show it, or the store cannot be read at first.
pub fn show(context: &Context<'_>) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    check_terminal(context)?;
    let facts = read(context, "")?;
    let screen =
        Screen::enter(context.output.streams().stdout_color).map_err(|error| Error::io(WHAT, &error))?;
    let mut top = Top {
        context,
        zone,
        screen,
        subscription: Subscription::new(&context.dir),
        facts,
        list: List::default(),
        pane: None,
        is_stale: false,
        rests_until: Span::ZERO,
    };
    let ended = top.serve();
    // The terminal is restored before anything is printed.
    drop(top);
    if let Some(signal) = ended.map_err(|error| Error::io(WHAT, &error))? {
        screen::end_by(signal);
    }
    Ok(0)
}

fn check_terminal(context: &Context<'_>) -> Result<()> {
    let streams = context.output.streams();
    let refused = |cause: String, hint: &str| Err(Error::conflict(WHAT, cause).hint(hint));
    const OTHERS: &str = "see `taskq status`, `taskq next` and `taskq runs`";
    if !(streams.stdin_is_terminal && streams.stdout_is_terminal) {
        let which = if streams.stdout_is_terminal { "input" } else { "output" };
        return refused(format!("standard {which} is not a terminal"), OTHERS);
    }
    if !env::can_move_cursor() {
        return refused("the terminal cannot move its cursor, by its type in `TERM`".to_owned(), OTHERS);
    }
    let Some((columns, rows)) = terminal_size() else {
        return refused("the terminal has no size".to_owned(), "set it with `stty rows 24 columns 80`");
    };
    if columns < COLUMNS_MIN || rows < ROWS_MIN {
        let cause = format!(
            "the terminal is too small: it has {columns} columns and {rows} rows, and {COLUMNS_MIN} and \
             {ROWS_MIN} are needed"
        );
        return refused(cause, OTHERS);
    }
    Ok(())
}

fn read(context: &Context<'_>, filter: &str) -> Result<Facts> {
    context.read(WHAT, |reader| Ok(Facts::read(reader, &context.dir, filter)?))
}

struct Top<'a> {
    context: &'a Context<'a>,
    zone: Zone,
    screen: Screen,
    subscription: Subscription,
    facts: Facts,
    list: List,
    /// The output of a command, and the command while it runs.
    pane: Option<(Pane, Option<Followed>)>,
    /// The store may have changed since it was read.
    is_stale: bool,
    /// The store is not read before this time of the monotonic clock.
    rests_until: Span,
}

impl Top<'_> {
    /// Returns the signal that ended it, if one did.
    fn serve(&mut self) -> io::Result<Option<i32>> {
        let stdin = io::stdin();
        loop {
            if self.is_stale && self.rest().is_none() {
                self.read();
            }
            self.list.follow(&self.facts);
            self.draw()?;
            match self.wait(&stdin)? {
                WaitEnd::Turn | WaitEnd::File | WaitEnd::DaemonGone => self.is_stale = true,
                WaitEnd::Other => {
                    let Inputs { keys, end } = self.screen.inputs();
                    if end.is_some() {
                        return Ok(end);
                    }
                    self.take_output();
                    for key in keys {
                        if self.on_key(key)? == Going::Ends {
                            return Ok(None);
                        }
                    }
                }
                WaitEnd::TimedOut => {}
            }
        }
    }

    /// Waits for a key, a turn, an output, or the next second of the clock that is shown.
    fn wait(&mut self, stdin: &Stdin) -> io::Result<WaitEnd> {
        let rest = self.rest();
        let micros = self.context.now().as_micros().rem_euclid(1_000_000).unsigned_abs();
        let tick = Span::from_micros(1_000_000 - micros);
        let mut fds: Vec<BorrowedFd<'_>> = self.screen.fds(stdin).to_vec();
        if let Some((_, Some(command))) = &self.pane {
            fds.push(command.as_fd());
        }
        match rest.filter(|_| self.is_stale) {
            Some(rest) => Subscription::wait_only(rest.min(tick), &fds),
            None => self.subscription.wait_also(Some(tick), &fds),
        }
    }

    /// Returns how long the store is not to be read; `None`: no longer.
    fn rest(&self) -> Option<Span> {
        let left = self.rests_until.as_micros().saturating_sub(self.context.monotonic().as_micros());
        Some(Span::from_micros(left)).filter(|left| *left > Span::ZERO)
    }

    /// Has the store read before the next drawing.
    fn read_soon(&mut self) {
        (self.is_stale, self.rests_until) = (true, Span::ZERO);
    }

    fn read(&mut self) {
        let before = self.context.monotonic().as_micros();
        match read(self.context, &self.list.filter) {
            Ok(facts) => self.facts = facts,
            // The view stays as it was.
            Err(error) => self.list.message = Some(error.to_string()),
        }
        let after = self.context.monotonic().as_micros();
        let pause = Span::from_micros((after - before) * PAUSE_PER_READING).max(READING_PAUSE);
        self.rests_until = Span::from_micros(after + pause.as_micros());
        self.is_stale = false;
    }

    fn draw(&mut self) -> io::Result<()> {
        let times = Times { zone: &self.zone, now: self.context.now(), are_whole: false };
        let (facts, list, pane) = (&self.facts, &self.list, &self.pane);
        self.screen.draw(|buffer| match pane {
            Some((pane, _)) => draw_pane(pane, buffer),
            None => draw_list(facts, list, &times, buffer),
        })
    }

    /// Adds what the command of the pane has printed.
    fn take_output(&mut self) {
        let Some((pane, command)) = &mut self.pane else { return };
        let Some(running) = command else { return };
        let mut bytes = vec![0; OUTPUT_BYTES];
        match running.read(&mut bytes) {
            Ok(Some(0)) | Err(_) => {
                pane.end();
                *command = None;
            }
            Ok(Some(length)) => pane.push(&bytes[..length]),
            Ok(None) => {}
        }
    }

    fn on_key(&mut self, key: Key) -> io::Result<Going> {
        if let Some((pane, _)) = &mut self.pane
            && !matches!(key, Key::Control('c' | 'z'))
        {
            let height = terminal_size().map_or(0, |(_, rows)| pane_height(rows));
            if pane.on_key(key, height) == PaneRequest::Close {
                self.pane = None;
            }
            return Ok(Going::On);
        }
        match self.list.on_key(key, &self.facts) {
            Request::Nothing => {}
            Request::Quit => return Ok(Going::Ends),
            Request::Suspend => self.screen.suspend()?,
            // Once, after all keys that have come.
            Request::Read => self.read_soon(),
            Request::Act(act) => self.act(&act),
            Request::Open { args, follows } => self.open(&args, follows),
        }
        Ok(Going::On)
    }

    fn command(&self, args: &[String]) -> Vec<OsString> {
        let store = [OsString::from("--dir"), self.context.dir.clone().into_os_string()];
        store.into_iter().chain(["--color=never".into()]).chain(args.iter().map(OsString::from)).collect()
    }

    /// Runs a command, and shows what it was and what it said.
    fn act(&mut self, Act { verb, target }: &Act) {
        let args = self.command(&[(*verb).to_owned(), target.clone()]);
        let said = match process::run(machine::own_program(), &args) {
            Ok(finished) => {
                let text = [finished.stderr, finished.stdout].concat();
                let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
                match shown::escaped_bytes(line) {
                    line if line.is_empty() => "done".to_owned(),
                    line => line,
                }
            }
            Err(error) => Error::io("start taskq", &error).to_string(),
        };
        self.list.message = Some(format!("taskq {verb} {target}: {said}"));
        self.read_soon();
    }

    fn open(&mut self, args: &[String], follows: bool) {
        match Followed::start(&machine::own_program(), &self.command(args)) {
            Ok(command) => {
                let title = format!("taskq {}", args.join(" "));
                self.pane = Some((Pane::new(title, follows), Some(command)));
            }
            Err(error) => self.list.message = Some(Error::io("start taskq", &error).to_string()),
        }
    }
}

/// Whether the view goes on after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    On,
    Ends,
}
