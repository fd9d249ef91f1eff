//! Owns: a terminal as a full screen: entering it, its keys and signals, and restoring it at every exit.
//! Never: what the screen shows, or what a key does.

use std::io::{self, Stdout, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{cursor, execute};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::Terminal;
use ratatui::buffer::Buffer;
use ratatui::prelude::CrosstermBackend;
use ratatui::style::Color;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::{flag, low_level};

/// A key, or a character that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Tab,
    BackTab,
    Char(char),
    /// With the control key, as a small letter.
    Control(char),
}

/// What has come from the terminal and the system since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    pub keys: Vec<Key>,
    /// This signal asks the program to end, or the terminal is gone.
    pub end: Option<i32>,
}

/// The screen. Dropping it restores the terminal.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    has_color: bool,
    /// Becomes readable at each signal.
    signals: UnixStream,
    /// The number of the last signal that asks the program to end; 0: none has come.
    ending: Arc<AtomicUsize>,
}

/// How long to wait for one more key. Without any wait, crossterm does not look at the terminal.
const LAST_KEY: Duration = Duration::from_millis(1);

/// Returns the columns and rows of the terminal, if it knows them.
pub fn terminal_size() -> Option<(u16, u16)> {
    size().ok().filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

impl Screen {
    /// Takes over the terminal on standard input and output.
    ///
    /// # Errors
    ///
    /// If one of them is no terminal, or the system has no descriptors.
    pub fn enter(has_color: bool) -> io::Result<Self> {
        restore_on_panic();
        let (signals, notify) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        let ending = Arc::new(AtomicUsize::new(0));
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            flag::register_usize(signal, Arc::clone(&ending), signal.unsigned_abs() as usize)?;
        }
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCONT, SIGWINCH] {
            low_level::pipe::register(signal, notify.try_clone()?)?;
        }
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let mut screen = Self { terminal, has_color, signals, ending };
        screen.take_over()?;
        Ok(screen)
    }

    fn take_over(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        // `Terminal::clear` would ask the terminal for its cursor, and lose the keys typed meanwhile.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Returns what becomes readable when `inputs` has something new.
    pub fn fds<'a>(&'a self, stdin: &'a io::Stdin) -> [BorrowedFd<'a>; 2] {
        [stdin.as_fd(), self.signals.as_fd()]
    }

    /// Draws the whole screen; only what differs from the last drawing is sent.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        let has_color = self.has_color;
        self.terminal.draw(|frame| {
            let buffer = frame.buffer_mut();
            draw(buffer);
            if !has_color {
                for cell in &mut buffer.content {
                    cell.set_fg(Color::Reset).set_bg(Color::Reset);
                }
            }
        })?;
        Ok(())
    }

    /// Returns the keys and signals that have come, without waiting.
    pub fn inputs(&mut self) -> Inputs {
        let mut inputs = Inputs::default();
        let mut bytes = [0; 64];
        let mut has_signal = false;
        while io::Read::read(&mut self.signals, &mut bytes).is_ok_and(|length| length > 0) {
            has_signal = true;
        }
        // After SIGCONT the terminal may have other modes and another content.
        if is_gone() || has_signal && self.retake().is_err() {
            inputs.end = Some(SIGHUP);
        } else {
            // That the keys cannot be read has its reason in the next look at the terminal.
            while event::poll(LAST_KEY).is_ok_and(|has_event| has_event)
                && let Ok(event) = event::read()
            {
                if let Event::Key(key) = event {
                    inputs.keys.extend(key_of(key));
                }
            }
        }
        if let Ok(signal) = i32::try_from(self.ending.load(Ordering::Relaxed))
            && signal > 0
        {
            inputs.end = Some(signal);
        }
        inputs
    }

    fn retake(&mut self) -> io::Result<()> {
        disable_raw_mode()?;
        self.take_over()
    }

    /// Gives the terminal back, stops the process as the terminal's stop key does, and takes it over again
    /// when the process continues.
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        low_level::emulate_default_handler(SIGTSTP)?;
        self.take_over()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Returns whether nobody is at the other end of the terminal any more.
fn is_gone() -> bool {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    let lost = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    poll(&mut fds, PollTimeout::ZERO)
        .is_ok_and(|_| fds[0].revents().is_some_and(|seen| seen.intersects(lost)))
}

/// Restores the terminal as far as it is still there.
fn restore() {
    let mut stdout = io::stdout();
    let _gone = execute!(stdout, LeaveAlternateScreen, cursor::Show).and_then(|()| stdout.flush());
    let _gone = disable_raw_mode();
}

/// Restores the terminal before the message of a panic, which would be lost with the screen.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            report(info);
        }));
    });
}

/// Ends the process as this signal does by default, so that its parent sees the signal.
pub fn end_by(signal: i32) {
    // That it cannot be sent leaves an ordinary exit.
    let _ = low_level::emulate_default_handler(signal);
}

fn key_of(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    Some(match key.code {
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => {
            Key::Control(c.to_ascii_lowercase())
        }
        KeyCode::Char(c) if !key.modifiers.contains(KeyModifiers::ALT) => Key::Char(c),
        _ => return None,
    })
}
