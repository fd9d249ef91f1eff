//! Owns: the environment file of an attempt: who may have written it, and the variables in it.
//! Never: the other variables of the attempt (see `process`).
//!
//! The grammar is that of `EnvironmentFile=` in systemd.exec(5), and `export ` before a name is passed over.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;

use nix::errno::Errno;
use nix::unistd::Uid;

use super::account::Credentials;
use super::input::OPEN_FLAGS;
use super::spawn_error::{SpawnError, Step};
use super::sys;
use crate::domain::EnvVar;
use crate::error::errno_of;

/// The longest file, in bytes: an environment that execve(2) takes is not longer.
const BYTES_MAX: u64 = 2 << 20;

/// The mode bits by which others than the owner can write.
const OTHERS_CAN_WRITE: u32 = 0o022;

/// Variables whose names begin so are set for each attempt, and a file does not change them.
const RESERVED: &[u8] = b"TASKQ_";

/// Reads the variables of a file as the attempt's user; `None`: the keeper's own.
///
/// # Errors
/// If it cannot be read, or others than its owner, who is that user or root, can write it.
pub fn read(path: &[u8], user: Option<&Credentials>) -> Result<Vec<EnvVar>, SpawnError> {
    let Some(user) = user else { return read_here(path, Uid::effective()) };
    // Only a thread can have another user's rights for a moment. It ends with them.
    thread::scope(|scope| {
        let read = || {
            sys::take_file_rights(user).map_err(SpawnError::at(Step::User))?;
            read_here(path, user.uid)
        };
        let thread = thread::Builder::new().spawn_scoped(scope, read);
        let thread = thread.map_err(|error| SpawnError::at(Step::EnvFile)(errno_of(&error)))?;
        thread.join().expect("reading does not panic")
    })
}

/// Reads the variables of a file as the daemon's user, for a run on another machine.
///
/// # Errors
/// Says why it is not taken, for the user.
pub fn read_own(path: &[u8]) -> Result<Vec<EnvVar>, String> {
    read(path, None).map_err(|error| error.explain_env_file(path))
}

fn read_here(path: &[u8], user: Uid) -> Result<Vec<EnvVar>, SpawnError> {
    let failed = SpawnError::at(Step::EnvFile);
    let path = Path::new(OsStr::from_bytes(path));
    let opened = OpenOptions::new().read(true).custom_flags(OPEN_FLAGS.bits()).open(path);
    let file: File = opened.map_err(|error| failed(errno_of(&error)))?;
    let found = file.metadata().map_err(|error| failed(errno_of(&error)))?;
    if !found.is_file() {
        return Err(SpawnError { step: Step::EnvFileKind, errno: Errno::EINVAL });
    }
    if ![user.as_raw(), 0].contains(&found.uid()) {
        return Err(SpawnError { step: Step::EnvFileOwner, errno: Errno::EPERM });
    }
    if found.mode() & OTHERS_CAN_WRITE != 0 {
        return Err(SpawnError { step: Step::EnvFileMode, errno: Errno::EPERM });
    }
    let mut text = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut text).map_err(|error| failed(errno_of(&error)))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(failed(Errno::EFBIG));
    }
    Ok(variables(&text))
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    LineStart,
    Comment,
    Name,
    /// Before a value, or after a part of it in quotes.
    BeforeValue,
    Value,
    InSingle,
    InDouble,
}

/// A variable as far as it was read.
#[derive(Default)]
struct Draft {
    name: Vec<u8>,
    value: Vec<u8>,
    /// The length of the value without the blanks at its end.
    trimmed: usize,
}

impl Draft {
    fn push(&mut self, byte: u8) {
        self.value.push(byte);
        self.trimmed = self.value.len();
    }

    /// Returns the variable, if its name is one and is not reserved.
    fn take(&mut self) -> Option<EnvVar> {
        let Self { name, mut value, trimmed } = std::mem::take(self);
        value.truncate(trimmed);
        let name = name.trim_ascii_end();
        let name = name.strip_prefix(b"export").filter(|rest| rest.starts_with(b" ")).unwrap_or(name);
        let name = name.trim_ascii_start();
        let is_name = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            && name.first().is_some_and(|first| !first.is_ascii_digit());
        let is_kept = is_name && !name.starts_with(RESERVED) && !value.contains(&0);
        is_kept.then(|| [name, b"=", &value].concat())
    }
}

/// Reads the text of an environment file. What is not a variable is passed over.
fn variables(text: &[u8]) -> Vec<EnvVar> {
    let is_end = |byte: u8| matches!(byte, b'\n' | b'\r');
    let is_blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let (mut state, mut draft, mut found) = (State::LineStart, Draft::default(), Vec::new());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        state = match state {
            State::LineStart if is_end(byte) || is_blank(byte) => State::LineStart,
            State::LineStart if matches!(byte, b'#' | b';') => State::Comment,
            State::LineStart | State::Name if byte != b'=' && !is_end(byte) => {
                draft.name.push(byte);
                State::Name
            }
            State::LineStart | State::Name if byte == b'=' => State::BeforeValue,
            State::LineStart | State::Name => {
                draft = Draft::default();
                State::LineStart
            }
            State::Comment => {
                if is_end(byte) {
                    State::LineStart
                } else {
                    State::Comment
                }
            }
            State::BeforeValue | State::Value if is_end(byte) => {
                found.extend(draft.take());
                State::LineStart
            }
            State::BeforeValue if byte == b'\'' => State::InSingle,
            State::BeforeValue if byte == b'"' => State::InDouble,
            State::BeforeValue if is_blank(byte) => State::BeforeValue,
            State::BeforeValue | State::Value if byte == b'\\' => {
                // A line that ends with it goes on in the next.
                if let Some(escaped) = bytes.next().filter(|escaped| !is_end(*escaped)) {
                    draft.push(escaped);
                }
                State::Value
            }
            State::BeforeValue | State::Value => {
                draft.value.push(byte);
                if !is_blank(byte) {
                    draft.trimmed = draft.value.len();
                }
                State::Value
            }
            State::InSingle if byte == b'\'' => State::BeforeValue,
            State::InDouble if byte == b'"' => State::BeforeValue,
            State::InDouble if byte == b'\\' => {
                match bytes.next() {
                    Some(escaped @ (b'"' | b'\\' | b'`' | b'$')) => draft.push(escaped),
                    Some(b'\n') | None => {}
                    Some(other) => {
                        draft.push(byte);
                        draft.push(other);
                    }
                }
                State::InDouble
            }
            State::InSingle | State::InDouble => {
                draft.push(byte);
                state
            }
        };
    }
    if !matches!(state, State::LineStart | State::Comment | State::Name) {
        found.extend(draft.take());
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_read_as_by_systemd() {
        for (text, expected) in [
            ("", &[][..]),
            ("A=b", &["A=b"]),
            ("A=b\nC=d\r\n", &["A=b", "C=d"]),
            ("# A=b\n; A=b\n  # A=b\n\n A = b \n", &["A=b"]),
            ("A=\nB=''\nC=\"\"\n", &["A=", "B=", "C="]),
            ("A=b # c", &["A=b # c"]),
            ("A=b=c", &["A=b=c"]),
            ("A=$HOME ${B} `c`", &["A=$HOME ${B} `c`"]),
            ("A='b c ' \nB=\" $d # \"", &["A=b c ", "B= $d # "]),
            ("A='b'c\"d\"\nB=x\"y\"", &["A=bc\"d\"", "B=x\"y\""]),
            ("A='b' \"c\"", &["A=bc"]),
            ("A='two\nlines'\nB=\"three\\\nfour\"", &["A=two\nlines", "B=threefour"]),
            ("A=b\\\nc\nB=d", &["A=bc", "B=d"]),
            ("A=b\\ \\\\\\n", &["A=b \\n"]),
            ("A=\"b\\\"\\\\\\$\\`\\n\"", &["A=b\"\\$`\\n"]),
            ("A='b\\'\nB='open", &["A=b\\", "B=open"]),
            ("A\nB C=d\n=e\n1A=b\nA-B=c\nD=f", &["D=f"]),
            ("export A=b\nexportB=c\n", &["A=b", "exportB=c"]),
            ("TASKQ_RUN=1.1\nTASKQ_DIR=/\nA=b", &["A=b"]),
            ("A=b\nA=c", &["A=b", "A=c"]),
        ] {
            let found: Vec<String> = variables(text.as_bytes())
                .iter()
                .map(|var| String::from_utf8_lossy(var).into_owned())
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_others_can_write_or_own_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("env");
        fs::write(&path, "A=b").expect("ours");
        let bytes = path.as_os_str().as_bytes();
        let step = |user| read_here(bytes, user).map_err(|error| (error.step, error.errno));
        for (mode, expected) in [
            (0o644, Ok(vec![b"A=b".to_vec()])),
            (0o600, Ok(vec![b"A=b".to_vec()])),
            (0o664, Err((Step::EnvFileMode, Errno::EPERM))),
            (0o602, Err((Step::EnvFileMode, Errno::EPERM))),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
            assert_eq!(step(Uid::effective()), expected, "{mode:o}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("ours");
        if !Uid::effective().is_root() {
            let stranger = Uid::from_raw(Uid::effective().as_raw() + 1);
            assert_eq!(step(stranger), Err((Step::EnvFileOwner, Errno::EPERM)));
        }
        fs::remove_file(&path).expect("ours");
        assert_eq!(step(Uid::effective()), Err((Step::EnvFile, Errno::ENOENT)));
        fs::create_dir(&path).expect("the name is free");
        assert_eq!(step(Uid::effective()), Err((Step::EnvFileKind, Errno::EINVAL)));
    }
}
