//! Owns: `NAME=VALUE` in a crontab: quotes, blanks, and lines that only look like one.
//! Never: the purpose of a variable (see `environment`).

use super::limits::DEBIAN_BYTES_MAX;
use crate::schedule::Dialect;

/// A variable of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// isspace(3) in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn skip_space(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| is_space(**byte)).count()..]
}

fn trim_end(value: &[u8]) -> &[u8] {
    &value[..value.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1)]
}

/// Reads an assignment from a text without leading blanks. `None` if it is not one.
pub(super) fn read(text: &[u8], dialect: Dialect) -> Option<Variable> {
    let text = match dialect {
        Dialect::Debian => &text[..text.len().min(DEBIAN_BYTES_MAX)],
        Dialect::Cronie => text,
    };
    let (name, rest) = read_name(text)?;
    let rest = skip_space(skip_space(rest).strip_prefix(b"=")?);
    let value = match rest.first() {
        // Debian's cron reads a name without a value as a minute.
        None => (dialect == Dialect::Cronie).then_some(rest),
        Some(quote @ (b'"' | b'\'')) => read_quoted(&rest[1..], *quote, dialect),
        Some(_) => Some(trim_end(rest)),
    }?;
    Some(Variable { name: name.to_vec(), value: value.to_vec() })
}

/// Splits off a name, which is quoted or ends at a blank or `=`. `=x` assigns to the empty name.
fn read_name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if let quote @ (b'"' | b'\'') = text.first()? {
        let end = text[1..].iter().position(|byte| byte == quote || *byte == b'=')?;
        return (text[1 + end] != b'=').then(|| (&text[1..=end], &text[end + 2..]));
    }
    let end = text.iter().position(|byte| is_space(*byte) || *byte == b'=')?;
    Some(text.split_at(end))
}

/// Reads up to the closing quote. Only blanks may follow it.
fn read_quoted(text: &[u8], quote: u8, dialect: Dialect) -> Option<&[u8]> {
    let end = text.iter().position(|byte| *byte == quote)?;
    let value = &text[..end];
    skip_space(&text[end + 1..]).is_empty().then(|| match dialect {
        Dialect::Debian => unquoted(trim_end(value)),
        Dialect::Cronie => value,
    })
}

/// Removes a second pair of quotes: Debian's cron kept its older reader, which runs after the newer one.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [first @ (b'"' | b'\''), inner @ .., last] if first == last => inner,
        _ => value,
    }
}
