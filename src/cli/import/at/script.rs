//! Owns: the file of a job of at(1): its name, its head, and the settings before the user's commands.
//! Never: I/O, users.
//!
//! The rules are those of at 3.2.5. A file of another form is run as it is.

use crate::domain::{EnvVar, Timestamp};

/// The parts of a file name in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolName {
    /// A letter, or `=` while the job runs.
    pub queue: char,
    pub number: u32,
    pub at: Timestamp,
}

/// Reads the name of a file in the spool: a queue, five hexadecimal digits for the number and eight for the
/// minutes since 1970. `None` for another file.
pub fn spool_name(name: &[u8]) -> Option<SpoolName> {
    let name = std::str::from_utf8(name).ok().filter(|name| name.is_ascii() && name.len() == 14)?;
    let queue = char::from(name.as_bytes()[0]);
    let hex = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !(queue.is_ascii_alphabetic() || queue == '=') || !hex(&name[1..]) {
        return None;
    }
    let number = u32::from_str_radix(&name[1..6], 16).ok()?;
    let minutes = i64::from(u32::from_str_radix(&name[6..], 16).ok()?);
    Some(SpoolName { queue, number, at: Timestamp::from_seconds(minutes * 60) })
}

/// The runs about which at sends a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtMail {
    /// `-M`.
    Never,
    Output,
    /// `-m`.
    Always,
}

/// The head of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtHead {
    pub uid: u32,
    pub gid: u32,
    pub mail_to: String,
    pub mail: AtMail,
}

/// Splits a file into its head and the rest; `None` if at would not run it.
pub fn head(text: &[u8]) -> Option<(AtHead, &[u8])> {
    let (first, rest) = line(text)?;
    let (second, rest) = line(rest)?;
    let (third, rest) = line(rest)?;
    let words = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok()?;
        Some(text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<String>>())
    };
    let ids = words(second.strip_prefix(b"# atrun ")?)?;
    let mail = words(third.strip_prefix(b"# mail ")?)?;
    let ([uid, gid], [mail_to, mail]) = (ids.as_slice(), mail.as_slice()) else { return None };
    let mail = match mail.as_str() {
        "-1" => AtMail::Never,
        "0" => AtMail::Output,
        "1" => AtMail::Always,
        _ => return None,
    };
    let number = |text: &str, key| text.strip_prefix(key)?.parse().ok();
    let head =
        AtHead { uid: number(uid, "uid=")?, gid: number(gid, "gid=")?, mail_to: mail_to.clone(), mail };
    (first == b"#!/bin/sh").then_some((head, rest))
}

fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    Some((&text[..end], &text[end + 1..]))
}

/// The settings that at took from its caller, and the commands after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtSettings<'a> {
    pub umask: u32,
    pub env: Vec<EnvVar>,
    pub cwd: Vec<u8>,
    pub commands: &'a [u8],
}

/// The lines after `cd DIR `.
const CD_FAILED: &[u8] = b"|| {\n\t echo 'Execution directory inaccessible' >&2\n\t exit 1\n}\n";

/// Reads the settings after the head; `None` if one has another form than at writes.
pub fn settings(text: &[u8]) -> Option<AtSettings<'_>> {
    let (umask, mut rest) = line(text)?;
    let umask = std::str::from_utf8(umask.strip_prefix(b"umask ")?).ok()?;
    let umask = u32::from_str_radix(umask, 8).ok().filter(|umask| *umask <= 0o777)?;
    let mut env = Vec::new();
    loop {
        if let Some(dir) = rest.strip_prefix(b"cd ") {
            let (cwd, rest) = value(dir, b' ')?;
            let commands = rest.strip_prefix(CD_FAILED)?;
            return cwd.starts_with(b"/").then_some(AtSettings { umask, env, cwd, commands });
        }
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let name = &rest[..equals];
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if name.is_empty() || name[0].is_ascii_digit() || !name.iter().all(is_name) {
            return None;
        }
        let (value, after) = value(&rest[equals + 1..], b';')?;
        let after = after.strip_prefix(b" export ")?.strip_prefix(name)?;
        rest = after.strip_prefix(b"\n")?;
        env.push([name, b"=", &value].concat());
    }
}

/// Reads a value with at's quoting up to `end`, and returns it with the text after `end`.
fn value(text: &[u8], end: u8) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match text.get(at)? {
            byte if *byte == end => return Some((value, &text[at + 1..])),
            b'\\' => {
                // A shell would drop a quoted newline.
                value.push(*text.get(at + 1).filter(|byte| !b"\n\0".contains(byte))?);
                at += 2;
            }
            b'"' => {
                value.push(text[at..].starts_with(b"\"\n\"").then_some(b'\n')?);
                at += 3;
            }
            byte if byte.is_ascii_alphanumeric() || b"%/{[]=}@+#,.:-_^".contains(byte) => {
                value.push(*byte);
                at += 1;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_in_the_spool_is_queue_number_and_minute() {
        let read = |name: &str| spool_name(name.as_bytes()).map(|name| (name.queue, name.number, name.at));
        assert_eq!(read("a0000101c8ceed"), Some(('a', 1, Timestamp::from_seconds(0x1c8_ceed * 60))));
        assert_eq!(read("=fffff00000000"), Some(('=', 0xf_ffff, Timestamp::from_seconds(0))));
        for other in
            [".SEQ", "a0000101c8cee", "a0000101c8ceedd", "a0000g01c8ceed", "10000101c8ceed", "a+000101c8ceed"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn the_head_has_user_group_and_mail() {
        let text = b"#!/bin/sh\n# atrun uid=1000 gid=100\n# mail alice -1\numask 22\n";
        let (head, rest) = head(text).expect("at wrote it");
        let expected = AtHead { uid: 1_000, gid: 100, mail_to: "alice".to_owned(), mail: AtMail::Never };
        assert_eq!((head, rest), (expected, b"umask 22\n".as_slice()));
    }

    #[test]
    fn settings_are_what_a_shell_makes_of_them() {
        let text = b"umask 77\nX=a\\ b\"\n\"c\\'; export X\nE=; export E\ncd /tmp/a\\ b || {\n\t echo \
            'Execution directory inaccessible' >&2\n\t exit 1\n}\necho hi; X=1\n";
        let read = settings(text).expect("at wrote it");
        assert_eq!((read.umask, read.cwd.as_slice()), (0o77, b"/tmp/a b".as_slice()));
        assert_eq!(read.env, [b"X=a b\nc'".to_vec(), b"E=".to_vec()]);
        assert_eq!(read.commands, b"echo hi; X=1\n");
        for other in [
            "umask 22\nX=$HOME; export X\ncd / || {\n",
            "umask 22\nX=a; export Y\n",
            "umask 22\nX=\\\n; export X\n",
            "umask 22\ncd /\necho hi\n",
        ] {
            assert_eq!(settings(other.as_bytes()), None, "{other}");
        }
    }

    const LIKE_AT: &str = "umask [0-7]{1,3}\n(A=[\\\\\"; a]*; export A\n)*cd [ /\\\\]*";

    proptest! {
        #[test]
        fn no_file_panics(text: Vec<u8>, at_text in LIKE_AT) {
            let _ = (spool_name(&text), head(&text), settings(&text), settings(at_text.as_bytes()));
        }
    }
}
