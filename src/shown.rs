//! Owns: values as text for people, in tables, messages and mails: commands, spans, signals, any bytes.
//! Never: instants, which need a zone, and colours.

use std::borrow::Cow;
use std::fmt::Write;

use nix::sys::signal::Signal;
use unicode_width::UnicodeWidthStr;

use crate::domain::{CommandLine, End, EndNote, Size, Span};

/// Returns the text with escapes for all characters that could move the cursor, ring, hide or reorder text.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        push_escaped(&mut shown, c);
    }
    Cow::Owned(shown)
}

/// Returns bytes as text: `\xff` for a byte that is not UTF-8, and the rest as by `escaped`.
pub fn escaped_bytes(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&escaped(chunk.valid()));
        push_invalid(&mut shown, chunk.invalid());
    }
    shown
}

/// Returns a command as a person would type it, with words quoted for a shell. Of a script it returns the
/// first line.
pub fn command(command: &CommandLine) -> String {
    match command {
        CommandLine::Argv(argv) => argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
        CommandLine::Script(script) => first_line(script),
        CommandLine::Sealed => CommandLine::SEALED.to_owned(),
    }
}

/// Returns a number of things: `1 run`, `3 runs`.
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Returns a length of time in its two largest units: `3d 4h`, `5h 12m`, `4m 10s`, `42s`, `1.2s`, `850ms`,
/// `400us`.
///
/// Smaller units are dropped, not rounded.
pub fn span(span: Span) -> String {
    let micros = span.as_micros();
    let seconds = micros / 1_000_000;
    match micros {
        0 => "0s".to_owned(),
        1..1_000 => format!("{micros}us"),
        1_000..1_000_000 => format!("{}ms", micros / 1_000),
        1_000_000..10_000_000 => format!("{seconds}.{}s", micros / 100_000 % 10),
        10_000_000..60_000_000 => format!("{seconds}s"),
        60_000_000..3_600_000_000 => two_units((seconds / 60, "m"), (seconds % 60, "s")),
        3_600_000_000..86_400_000_000 => two_units((seconds / 3_600, "h"), (seconds / 60 % 60, "m")),
        86_400_000_000.. => two_units((seconds / 86_400, "d"), (seconds / 3_600 % 24, "h")),
    }
}

/// Returns how an attempt ended: `failed, exit 2, took 3s`.
pub fn end(end: &EndNote) -> String {
    let status = match (end.exit_code, end.signal) {
        (Some(0), _) | (None, None) => String::new(),
        (Some(code), _) => format!(", exit {code}"),
        (None, Some(signal)) => format!(", {}", signal_name(signal)),
    };
    let cause = end.cause.as_ref().map_or_else(String::new, |cause| format!(", {cause}"));
    let took = end.took.map_or_else(String::new, |took| format!(", took {}", span(took)));
    format!("{}{status}{cause}{took}", end.outcome)
}

/// Returns how a process ended: `exited with status 3`.
pub fn process_end(end: &End) -> String {
    match end {
        End::Exited(status) => format!("exited with status {status}"),
        End::Signaled(signal) => format!("was ended by {}", signal_name(*signal)),
        End::SpawnFailed { cause, .. } => format!("was not started: {cause}"),
        End::NotStarted => "was not started".to_owned(),
        End::Lost => "is gone".to_owned(),
        End::LostThere(cause) => format!("is gone: {cause}"),
        End::OutOfMemory => "was ended by the kernel, out of memory".to_owned(),
    }
}

/// Returns a size, rounded down: `900`, `4.2K`, `17M`.
pub fn size(bytes: u64) -> String {
    Size::from_bytes(bytes).rounded()
}

/// Returns a signal's name, `SIGTERM`, or its number.
pub fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
}

/// Returns bytes as text, with a replacement for what is not UTF-8.
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A list of facts, one line each, after their heads: `Queue:     default`.
#[derive(Debug, Default)]
pub struct Facts(Vec<(String, String)>);

impl Facts {
    /// The width of the heads.
    const INDENT: usize = 11;

    pub fn push(&mut self, head: &str, text: impl AsRef<str>) {
        self.push_lines(head, [text]);
    }

    /// Adds a fact of several lines, or nothing if there are none.
    pub fn push_lines(&mut self, head: &str, lines: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut head = format!("{head}:");
        for line in lines {
            self.0.push((std::mem::take(&mut head), line.as_ref().to_owned()));
        }
    }

    /// Returns the lines. Those longer than `width` are broken between words, and continue under their heads.
    pub fn into_text(self, width: Option<usize>) -> String {
        let mut text = String::new();
        for (mut head, line) in self.0 {
            let room = width.map_or(usize::MAX, |width| width.saturating_sub(Self::INDENT));
            for part in wrapped(&line, room) {
                let line = format!("{:<1$}{part}", std::mem::take(&mut head), Self::INDENT);
                text.extend([line.trim_end(), "\n"]);
            }
        }
        text
    }
}

/// Breaks a text between words into lines of at most `room` columns. A longer word stays whole.
fn wrapped(text: &str, room: usize) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while rest.width() > room {
        let blanks = || rest.match_indices(' ').map(|(at, _)| at).filter(|at| !rest[..*at].trim().is_empty());
        let Some(at) = blanks().take_while(|at| rest[..*at].width() <= room).last().or(blanks().next())
        else {
            break;
        };
        lines.push(&rest[..at]);
        rest = rest[at..].trim_start();
    }
    lines.push(rest);
    lines
}

fn two_units((large, large_unit): (u64, &str), (small, small_unit): (u64, &str)) -> String {
    if small == 0 {
        format!("{large}{large_unit}")
    } else {
        format!("{large}{large_unit} {small}{small_unit}")
    }
}

/// Tells whether a character makes shown text differ from stored text: controls (C0, DEL, C1), line and
/// paragraph separators, marks of direction, and invisible characters.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn push_escaped(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        _ if !is_hostile(c) => shown.push(c),
        _ if u32::from(c) < 0x100 => write!(shown, "\\x{:02x}", u32::from(c)).expect("a String takes all"),
        _ => write!(shown, "\\u{{{:x}}}", u32::from(c)).expect("a String takes all"),
    }
}

fn push_invalid(shown: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(shown, "\\x{byte:02x}").expect("a String takes all");
    }
}

/// Returns a word as a shell would read it back: bare, in single quotes, or in `$'…'` if it has controls or
/// bytes that are not text.
pub fn quoted(word: &[u8]) -> String {
    let text = std::str::from_utf8(word).ok().filter(|text| !text.chars().any(is_hostile));
    match text {
        Some(text) if !text.is_empty() && text.chars().all(is_bare) => text.to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', r"'\''")),
        None => {
            let mut shown = String::from("$'");
            for chunk in word.utf8_chunks() {
                for c in chunk.valid().chars() {
                    push_ansi_c(&mut shown, c);
                }
                push_invalid(&mut shown, chunk.invalid());
            }
            shown.push('\'');
            shown
        }
    }
}

/// Characters above ASCII are `\uXXXX`, because `\x` names a byte to a shell.
fn push_ansi_c(shown: &mut String, c: char) {
    match c {
        '\'' | '\\' => shown.extend(['\\', c]),
        _ if !c.is_ascii() && is_hostile(c) => {
            let number = u32::from(c);
            let escape =
                if number > 0xffff { format!("\\U{number:08x}") } else { format!("\\u{number:04x}") };
            shown.push_str(&escape);
        }
        _ => push_escaped(shown, c),
    }
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || "%+,-./:=@_^".contains(c) || !c.is_ascii()
}

/// Returns the first line that is neither empty nor a `#!` line, with a `…` if more lines follow.
fn first_line(script: &[u8]) -> String {
    let mut lines = script.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let is_telling = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"#!");
    let Some(first) = lines.find(is_telling) else {
        return String::new();
    };
    let more = lines.any(|line| !line.is_empty());
    escaped_bytes(first) + if more { " …" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&[u8]]) -> String {
        command(&CommandLine::Argv(words.iter().map(|word| word.to_vec()).collect()))
    }

    #[test]
    fn a_size_has_two_digits_or_more_and_is_never_rounded_up() {
        for (bytes, text) in [
            (0, "0"),
            (1_023, "1023"),
            (1_024, "1.0K"),
            (10_239, "9.9K"),
            (10_240, "10K"),
            ((1 << 20) - 1, "1023K"),
            (5 << 30, "5.0G"),
            (u64::MAX, "16777215T"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_command_is_shown_as_a_shell_would_read_it() {
        assert_eq!(argv(&[b"rsync", b"-a", b"src/", b"nas:src/"]), "rsync -a src/ nas:src/");
        assert_eq!(argv(&[b"sh", b"-c", b"echo a b"]), "sh -c 'echo a b'");
        assert_eq!(argv(&[b"echo", b"", b"it's", b"~", b"*"]), r"echo '' 'it'\''s' '~' '*'");
        assert_eq!(argv(&["größe".as_bytes()]), "größe");
    }

    #[test]
    fn controls_and_stray_bytes_of_a_command_are_escapes() {
        assert_eq!(argv(&[b"printf", b"a\n\x1b[2J'\\"]), r"printf $'a\n\x1b[2J\'\\'");
        assert_eq!(argv(&[b"\xff\xfe"]), r"$'\xff\xfe'");
        assert_eq!(argv(&["\u{9b}\u{202e}\u{e0041}".as_bytes()]), r"$'\u009b\u202e\U000e0041'");
    }

    #[test]
    fn of_a_script_the_first_telling_line_is_shown() {
        let shown = |script: &[u8]| command(&CommandLine::Script(script.to_vec()));
        assert_eq!(shown(b"echo a; echo b"), "echo a; echo b");
        assert_eq!(shown(b"#!/bin/sh\n\n  make\nmake install\n"), "make …");
        assert_eq!(shown(b"make\n\n"), "make");
        assert_eq!(shown(b"a\tb\xff"), r"a\tb\xff");
        assert_eq!(shown(b"\n"), "");
    }

    #[test]
    fn escaping_leaves_ordinary_text_alone() {
        assert!(matches!(escaped("größe \\ 日本 🙂"), Cow::Borrowed(_)));
        assert_eq!(escaped("a\u{7f}\u{85}\u{2028}"), r"a\x7f\x85\u{2028}");
    }

    #[test]
    fn long_facts_are_broken_between_words_and_continue_under_their_heads() {
        let facts = || {
            let mut facts = Facts::default();
            facts.push("Command", "rsync -a  /home /a/long/path/that/cannot/be/broken nas:");
            facts.push_lines("Script", ["  if true; then", "", "fi"]);
            facts
        };
        assert_eq!(
            facts().into_text(None),
            "Command:   rsync -a  /home /a/long/path/that/cannot/be/broken nas:\n\
             Script:      if true; then\n\n           fi\n"
        );
        assert_eq!(
            facts().into_text(Some(26)),
            "Command:   rsync -a  /home\n           /a/long/path/that/cannot/be/broken\n           nas:\n\
             Script:      if true; then\n\n           fi\n"
        );
        assert!(facts().into_text(Some(3)).lines().count() > 6, "a word a line");
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        let cases = [
            (0, "0s"),
            (400, "400us"),
            (850_999, "850ms"),
            (1_290_000, "1.2s"),
            (42_900_000, "42s"),
            (59_999_999, "59s"),
            (250_000_000, "4m 10s"),
            (300_000_000, "5m"),
            (18_759_000_000, "5h 12m"),
            (86_400_000_000, "1d"),
            (273_600_000_000, "3d 4h"),
        ];
        for (micros, text) in cases {
            assert_eq!(span(Span::from_micros(micros)), text);
        }
    }
}
