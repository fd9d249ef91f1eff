//! Owns: `NAME=VALUE` in a crontab: quotes, blanks, and what is no assignment.
//! Never: what a variable is for (see `environment`).

use super::line::DEBIAN_BYTES_MAX;
use crate::schedule::Dialect;

/// isspace(3) in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// Reads an assignment; `text` begins with its first byte that is no blank. `None`: the line is none.
pub(super) fn read(text: &[u8], dialect: Dialect) -> Option<(Vec<u8>, Vec<u8>)> {
    let text = match dialect {
        Dialect::Debian => &text[..text.len().min(DEBIAN_BYTES_MAX)],
        Dialect::Cronie => text,
    };
    let (name, rest) = read_name(text)?;
    let rest = rest.strip_prefix(b"=")?;
    let rest = &rest[rest.iter().take_while(|byte| is_space(**byte)).count()..];
    let value = match rest.first() {
        // Debian's takes a name with nothing behind it for a minute.
        None => (dialect == Dialect::Cronie).then(Vec::new),
        Some(quote @ (b'"' | b'\'')) => read_quoted(&rest[1..], *quote, dialect),
        Some(_) => Some(trim_end(rest).to_vec()),
    }?;
    Some((name, value))
}

/// Reads a name, quoted or up to a blank or `=`, and the blanks behind it.
fn read_name(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (name, rest) = match text.first()? {
        quote @ (b'"' | b'\'') => {
            let end = text[1..].iter().position(|byte| byte == quote || *byte == b'=')?;
            if text[1 + end] == b'=' {
                return None;
            }
            (&text[1..=end], &text[end + 2..])
        }
        // `=x` is an assignment to the empty name.
        _ => {
            let end = text.iter().position(|byte| is_space(*byte) || *byte == b'=')?;
            (&text[..end], &text[end..])
        }
    };
    Some((name.to_vec(), &rest[rest.iter().take_while(|byte| is_space(**byte)).count()..]))
}

/// Reads up to the closing quote, behind which nothing but blanks may stand.
fn read_quoted(text: &[u8], quote: u8, dialect: Dialect) -> Option<Vec<u8>> {
    let end = text.iter().position(|byte| *byte == quote)?;
    if !text[end + 1..].iter().all(|byte| is_space(*byte)) {
        return None;
    }
    let value = &text[..end];
    Some(match dialect {
        Dialect::Debian => unquoted(trim_end(value)).to_vec(),
        Dialect::Cronie => value.to_vec(),
    })
}

/// Takes a second pair of quotes away: Debian's cron has kept what its older reader did behind the newer one.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [first @ (b'"' | b'\''), inner @ .., last] if first == last => inner,
        _ => value,
    }
}

fn trim_end(value: &[u8]) -> &[u8] {
    let kept = value.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    &value[..kept]
}
