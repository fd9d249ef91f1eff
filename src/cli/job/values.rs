//! Owns: reading the values of `--umask`, `--stdin`, `--user`, `--missed`, `--mail` and of scripts.
//! Never: using them.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use strsim::damerau_levenshtein;

use crate::cli::context::parse_failure;
use crate::crontab::safe_signs;
use crate::domain::{EnvVar, Mail, MailFormat, MailWhen, MissedMode, Person, Stdin};
use crate::error::{Error, Result, describe};
use crate::schedule::{Dialect, ParseError};
use crate::system::users;

/// The longest standard input in the store, in bytes. A longer one belongs into a file.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The longest list of addresses, in bytes: a line of a mail has at most 998 characters (RFC 5322).
const ADDRESSES_BYTES_MAX: usize = 900;

/// The longest item of `--each`: what execve(2) takes as one variable, less its name and NUL.
const ITEM_BYTES_MAX: usize = 128 * 1024 - 16;

/// The longest script: what execve(2) takes as one argument, less its NUL.
const SCRIPT_BYTES_MAX: usize = 128 * 1024 - 1;

const UMASK_MAX: u32 = 0o777;

/// Reads a file mode creation mask, as umask(1) writes it.
pub fn parse_umask(text: &str) -> Result<u32, String> {
    let is_octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mask = if is_octal { u32::from_str_radix(text, 8).ok() } else { None };
    mask.filter(|mask| *mask <= UMASK_MAX)
        .ok_or_else(|| format!("`--umask {text}` is not an octal number from 0 to 777, such as `022`"))
}

/// Returns the standard input of a job: a file, relative to its directory, or a text, but not both.
pub fn read_stdin(file: Option<PathBuf>, text: Option<String>, cwd: &Path) -> Result<Stdin, String> {
    match (file, text) {
        (None, None) => Ok(Stdin::Null),
        (Some(_), Some(_)) => Err("it has both `stdin` and `stdin_text`".to_owned()),
        (Some(file), None) => stdin_file(&file, cwd),
        (None, Some(text)) if text.len() > TEXT_BYTES_MAX => Err(format!(
            "`stdin_text` has {} bytes, {TEXT_BYTES_MAX} are allowed: name a file with `stdin`",
            text.len()
        )),
        (None, Some(text)) => Ok(Stdin::Text(text.into_bytes())),
    }
}

/// Reads the lines of `--each`, without their ends.
///
/// # Errors
/// If the file cannot be read. Errors say that `what` was being done.
pub fn read_items(file: &Path, what: &str) -> Result<Vec<Vec<u8>>> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    let bytes = read
        .map_err(|error| Error::usage(what, format!("`--each {}`: {}", file.display(), describe(&error))))?;
    let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    Ok(lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect())
}

/// Checks that each item can be a variable.
pub fn check_items(items: &[Vec<u8>], what: &str) -> Result<()> {
    for (item, line) in items.iter().zip(1_u32..) {
        if item.contains(&0) {
            return Err(Error::usage(what, format!("line {line} of `--each` has a NUL byte")));
        }
        if item.len() > ITEM_BYTES_MAX {
            let length = item.len();
            let cause = format!("line {line} of `--each` has {length} bytes, {ITEM_BYTES_MAX} are allowed");
            return Err(Error::usage(what, cause));
        }
    }
    Ok(())
}

fn stdin_file(file: &Path, cwd: &Path) -> Result<Stdin, String> {
    if file == Path::new("-") {
        return Err(
            "`--stdin -` would be the input of this very command, which is gone when the job runs".to_owned()
        );
    }
    job_file("--stdin", file, cwd).map(Stdin::Path)
}

/// Returns the absolute path of a file that is named by an option, relative to the directory of the job.
pub fn job_file(option: &str, file: &Path, cwd: &Path) -> Result<Vec<u8>, String> {
    let shown = file.display().to_string();
    if file.as_os_str().is_empty() || file.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(format!("`{option} {}` is not the name of a file", shown.escape_default()));
    }
    let path = std::path::absolute(cwd.join(file))
        .map_err(|error| format!("`{option} {shown}`: {}", describe(&error)))?;
    Ok(path.into_os_string().into_vec())
}

/// Finds the user for a job. Only root can run a job as another user.
pub fn find_user(name: &str, what: &str) -> Result<Person> {
    if !users::is_root() {
        return Err(Error::usage(what, format!("`--user {name}`: only root can run a job as another user"))
            .hint("leave out `--user` to run the job as yourself, or let that user add it"));
    }
    users::find_person(name)
        .ok_or_else(|| Error::usage(what, format!("`--user {name}`: there is no such user")))
}

/// Replaces the variables that name the user, as su(1) does.
pub fn environment_of(user: &Person, mut env: Vec<EnvVar>) -> Vec<EnvVar> {
    let name = user.name.as_bytes();
    let values: [(&[u8], &[u8]); 4] =
        [(b"HOME=", &user.home), (b"SHELL=", &user.shell), (b"LOGNAME=", name), (b"USER=", name)];
    env.retain(|variable| !values.iter().any(|(head, _)| variable.starts_with(head)));
    env.extend(values.iter().map(|(head, value)| [*head, *value].concat()));
    env
}

/// The value of `--missed`: the mode, and the text of the SPAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedArg {
    pub mode: MissedMode,
    pub within: Option<String>,
}

impl FromStr for MissedArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, within) = match text.split_once(',') {
            Some((word, within)) => (word, Some(within.trim().to_owned())),
            None => (text, None),
        };
        match (MissedMode::from_word(word.trim()), within) {
            (Some(_), Some(within)) if within.is_empty() => Err("has no span after its comma".to_owned()),
            (Some(mode), within) => Ok(Self { mode, within }),
            (None, _) => {
                Err("is not one of `once`, `all` and `skip`, alone or with a span as in `once,6h`".to_owned())
            }
        }
    }
}

/// The word that `--mail` had for `failed`, still read.
const FAILURE: &str = "failure";

/// A word of `--mail` may have so many slips to be taken for it.
const MAIL_WORD_SLIPS_MAX: usize = 2;

/// Reads the value of `--mail`. If the mail has our own form, an address without `@` must be a user of this
/// machine. Cron does not check a `MAILTO`.
///
/// # Errors
/// `Usage`, with the wrong part. Errors say that `what` was being done.
pub fn parse_mail(text: &str, format: MailFormat, what: &str) -> Result<Mail> {
    let usage = |cause| Error::usage(what, cause);
    let mail = read_mail(text, format).map_err(usage)?;
    if format != MailFormat::Taskq {
        return Ok(mail);
    }
    let is_there = |address: &str| address.contains('@') || users::find_person(address).is_some();
    let unknown = mail.to.split(',').filter(|address| !is_there(address));
    // A mistyped word explains more than another address.
    let Some((unknown, near)) =
        unknown.map(|text| (text, near_word(text))).max_by_key(|(_, near)| near.is_some())
    else {
        return Ok(mail);
    };
    let error = usage(format!("`--mail {text}`: `{unknown}` has no `@`, and there is no such user"));
    Err(error.hint(match near {
        Some(word) => format!("did you mean `{word}`?"),
        None => "write the whole address, as in `me@example.org`".to_owned(),
    }))
}

/// Returns the word of `--mail` that a text is probably meant to be.
fn near_word(text: &str) -> Option<MailWhen> {
    let slips = |word: &MailWhen| damerau_levenshtein(text, word.as_str());
    let near = MailWhen::ALL.iter().copied().filter(|word| slips(word) <= MAIL_WORD_SLIPS_MAX);
    near.min_by_key(slips)
}

fn mail_word(text: &str) -> Option<MailWhen> {
    MailWhen::from_word(text).or((text == FAILURE).then_some(MailWhen::Failed))
}

/// Reads `ADDR[,ADDR]…[,failed|output|always]`, and asks for no user.
pub fn read_mail(text: &str, format: MailFormat) -> Result<Mail, String> {
    let (to, when) = match text.rsplit_once(',').map(|(to, word)| (to, mail_word(word))) {
        Some((to, Some(when))) => (to, when),
        Some((_, None)) | None => (text, MailWhen::Output),
    };
    if let Some(when) = mail_word(to) {
        return Err(format!("`--mail {text}` has no address: write `ADDR,{when}`"));
    }
    if to.len() > ADDRESSES_BYTES_MAX {
        return Err(format!(
            "the addresses of `--mail` have {} bytes, {ADDRESSES_BYTES_MAX} are allowed",
            to.len()
        ));
    }
    for address in to.split(',') {
        // Such an address is probably a typing error.
        if let Some(when) = mail_word(&address.to_ascii_lowercase()) {
            return Err(format!(
                "`--mail {text}`: `{address}` is not an address: write `{when}` at the end, in small letters"
            ));
        }
        check_address(address).map_err(|cause| format!("`--mail {text}`: {cause}"))?;
    }
    Ok(Mail { to: to.to_owned(), when, format })
}

/// Checks an address by cron(8)'s rule for a safe argument and header.
fn check_address(address: &str) -> Result<(), String> {
    let Some(first) = address.chars().next() else { return Err("an address is empty".to_owned()) };
    if !first.is_ascii_alphanumeric() && first != '_' {
        return Err(format!("the address `{address}` does not begin with a letter, a digit or `_`"));
    }
    match address.chars().find(|c| !c.is_ascii_alphanumeric() && !safe_signs(Dialect::Cronie).contains(*c)) {
        Some(odd) => Err(format!(
            "`{}` in the address `{}` is not a letter, a digit or one of `@!:%-._+`",
            odd.escape_default(),
            address.escape_default()
        )),
        None => Ok(()),
    }
}

/// Returns the error for the text of an option, and names the option.
pub fn option_failure(what: &str, option: &str, error: ParseError) -> Error {
    parse_failure(what, ParseError { cause: format!("`{option}`: {}", error.cause), ..error })
}

pub fn check_script(script: Vec<u8>, what: &str) -> Result<Vec<u8>> {
    if script.iter().all(u8::is_ascii_whitespace) {
        return Err(
            Error::usage(what, "the script is empty").hint("give a command: `taskq add -- COMMAND [ARG]...`")
        );
    }
    if let Some(at) = script.iter().position(|byte| *byte == 0) {
        return Err(Error::usage(
            what,
            format!("the script has a NUL byte at offset {at}: it is not a text"),
        ));
    }
    if script.len() > SCRIPT_BYTES_MAX {
        let length = script.len();
        return Err(Error::usage(
            what,
            format!("the script has {length} bytes, the system takes up to {SCRIPT_BYTES_MAX}"),
        )
        .hint("put it into a file and add that"));
    }
    Ok(script)
}

/// Refuses a variable without a name.
pub(super) fn named_variable(text: OsString) -> Result<OsString, String> {
    match text.as_encoded_bytes().first() {
        None | Some(b'=') => {
            Err("has no name: write `NAME=VALUE`, or `NAME` for the value it has now".to_owned())
        }
        Some(_) => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_an_octal_number_of_three_digits() {
        for (text, mask) in [("0", 0), ("22", 0o22), ("022", 0o22), ("0022", 0o22), ("777", 0o777)] {
            assert_eq!(parse_umask(text), Ok(mask));
        }
        for bad in ["", "8", "1000", "-1", "+22", "0o22", "u=rwx", " 22", "99999999999999999999"] {
            assert!(parse_umask(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_part_of_a_mail_is_a_word_only_if_it_is_one_of_the_three() {
        let taskq = MailFormat::Taskq;
        let read = |text: &str| read_mail(text, taskq).map(|mail| (mail.to, mail.when));
        assert_eq!(read("root"), Ok(("root".to_owned(), MailWhen::Output)));
        assert_eq!(read("root,failed"), Ok(("root".to_owned(), MailWhen::Failed)));
        assert_eq!(read("root,failure"), Ok(("root".to_owned(), MailWhen::Failed)));
        assert_eq!(read("a@b.org,c+d"), Ok(("a@b.org,c+d".to_owned(), MailWhen::Output)));
        assert_eq!(read("a,b,always"), Ok(("a,b".to_owned(), MailWhen::Always)));
        assert_eq!(read("failures"), Ok(("failures".to_owned(), MailWhen::Output)));
        for bad in [
            "",
            "always",
            ",always",
            "a,Always",
            "failure,a",
            "a,output,always",
            "a,,b",
            "a,",
            "-froot",
            "a,-b",
            "a b",
            "a;b",
            "<a@b>",
            "a\nb",
            "@a",
            "ä",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&"a".repeat(900)).is_ok() && read(&"a".repeat(901)).is_err());
    }

    #[test]
    fn an_address_without_a_host_is_a_user_of_this_machine() {
        let own = users::person(None).name;
        let read = |text: &str, format| parse_mail(text, format, "add job").map(|mail| mail.to);
        assert_eq!(read(&own, MailFormat::Taskq), Ok(own.clone()));
        assert_eq!(read("nosuch-user@host", MailFormat::Taskq), Ok("nosuch-user@host".to_owned()));
        assert_eq!(read("nosuch-user", MailFormat::Debian), Ok("nosuch-user".to_owned()));
        for (last, hint) in [
            ("fialed", "did you mean `failed`?"),
            ("failures", "write the whole address, as in `me@example.org`"),
            ("alway", "did you mean `always`?"),
            ("nosuch-user", "write the whole address, as in `me@example.org`"),
        ] {
            let error = read(&format!("{own},{last}"), MailFormat::Taskq).expect_err(last);
            assert!(error.cause.ends_with(&format!("`{last}` has no `@`, and there is no such user")));
            assert_eq!(error.hint.as_deref(), Some(hint), "{last}");
        }
    }

    #[test]
    fn another_users_environment_says_whose_it_is() {
        let user = Person { name: "a".to_owned(), home: b"/home/a".to_vec(), shell: b"/bin/sh".to_vec() };
        let env = [&b"HOME=/root"[..], b"USER=root", b"HOMEPAGE=x"].map(<[u8]>::to_vec).to_vec();
        let expected = ["HOMEPAGE=x", "HOME=/home/a", "SHELL=/bin/sh", "LOGNAME=a", "USER=a"];
        assert_eq!(environment_of(&user, env), expected.map(|variable| variable.as_bytes().to_vec()));
    }
}
