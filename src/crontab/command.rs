//! Owns: the sixth field: its command, its standard input, and quotes that a shell would miss.
//! Never: running it.

use crate::schedule::Dialect;

/// The two parts of a sixth field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandText {
    /// For the shell.
    pub command: Vec<u8>,
    /// For the standard input of the process.
    pub stdin: Option<Vec<u8>>,
}

/// Splits a sixth field at its first percent sign without a backslash. After it each percent sign is a
/// newline, and a last newline is added. `\%` is a percent sign on either side. In the command Debian's cron
/// makes one backslash of two.
pub fn split_command(text: &[u8], dialect: Dialect) -> CommandText {
    let mut command = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    let mut is_escaped = false;
    let mut has_stdin = false;
    for byte in bytes.by_ref() {
        if is_escaped {
            is_escaped = false;
            if byte == b'%' || byte == b'\\' && dialect == Dialect::Debian {
                command.pop();
            }
        } else if byte == b'%' {
            has_stdin = true;
            break;
        } else {
            is_escaped = byte == b'\\';
        }
        command.push(byte);
    }
    let rest: Vec<u8> = bytes.collect();
    CommandText { command, stdin: (has_stdin && !rest.is_empty()).then(|| stdin_of(&rest)) }
}

fn stdin_of(text: &[u8]) -> Vec<u8> {
    let mut stdin = Vec::with_capacity(text.len() + 1);
    let mut is_escaped = false;
    let mut is_in_line = false;
    for byte in text.iter().copied() {
        match (is_escaped, byte) {
            (false, b'%') => stdin.push(b'\n'),
            (false, b'\\') => {}
            (true, b'%') | (false, _) => stdin.push(byte),
            (true, b'\\') => stdin.push(b'\\'),
            (true, _) => stdin.extend([b'\\', byte]),
        }
        // Of two backslashes the first stands for itself, and the second may still escape.
        is_escaped = byte == b'\\';
        if !is_escaped {
            is_in_line = stdin.last() != Some(&b'\n');
        }
    }
    if is_escaped {
        stdin.push(b'\\');
    }
    // After a backslash the crons add no newline.
    if is_in_line {
        stdin.push(b'\n');
    }
    stdin
}

/// Returns the shell's quote that is left open, if any: `'`, `"` or `` ` ``.
pub(super) fn open_quote(command: &[u8]) -> Option<char> {
    let mut open = None;
    let mut bytes = command.iter().copied();
    let mut before = b' ';
    while let Some(byte) = bytes.next() {
        match (open, byte) {
            (Some(b'\''), b'\'') => open = None,
            (Some(b'\''), _) => {}
            (_, b'\\') => {
                bytes.next();
            }
            // The rest is a comment.
            (None, b'#') if before.is_ascii_whitespace() => break,
            (None, b'\'' | b'"' | b'`') => open = Some(byte),
            (Some(quote), _) if quote == byte => open = None,
            (None | Some(_), _) => {}
        }
        before = byte;
    }
    open.map(char::from)
}
