//! Owns: the files by which runs get their events, `TASKQ_EVENT_FILE`.
//! Never: which events a run gets (see `engine`).
//!
//! They lie outside the store, whose directory another user than the daemon's cannot enter, in a directory
//! that the system empties when it boots.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::value::RawValue;

use super::results::attempt_of;
use crate::domain::{RunId, Timestamp, TriggerKind};
use crate::keeper::protocol::Attempt;
use crate::store::EventsOfRun;
use crate::system::users::{own_uid, uid_of};

/// How many names of the directory are tried. Another user may have taken one in a directory for everyone.
const NAMES_TRIED: u32 = 10;

const SUFFIX: &str = ".events";

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    kind: TriggerKind,
    name: &'a str,
    data: Option<&'a RawValue>,
    count: u64,
}

/// The file of an attempt that is about to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFile {
    pub attempt: Attempt,
    /// The user of the run; `None`: the daemon's.
    pub user: Option<String>,
    pub events: EventsOfRun,
}

/// Returns the directory for the files of a store, whose own directory has this metadata. `base`: the
/// directory for files of this boot, in which only this user can write, or everyone.
pub(super) fn directory(base: &Path, store: &fs::Metadata) -> PathBuf {
    let uid = own_uid();
    let name = |number: u32| {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        base.join(format!("taskq-{uid}{suffix}"))
    };
    let is_free_or_ours = |path: &PathBuf| match fs::symlink_metadata(path) {
        Ok(found) => found.is_dir() && found.uid() == uid,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    let ours = (0..NAMES_TRIED).map(name).find(is_free_or_ours).unwrap_or_else(|| name(0));
    ours.join(format!("{:x}-{:x}", store.dev(), store.ino()))
}

/// Makes the directory, and the one that it is in, unless they are there.
pub(super) fn make_directory(dir: &Path) -> io::Result<()> {
    let uid = own_uid();
    dir.parent().map_or(Ok(()), |ours| make(ours, uid))?;
    make(dir, uid)
}

/// Makes a directory that only this user can list, unless it is there.
fn make(dir: &Path, uid: u32) -> io::Result<()> {
    // Other users can reach the files of their own runs by name.
    let mode = if uid == 0 { 0o711 } else { 0o700 };
    match DirBuilder::new().mode(mode).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let found = fs::symlink_metadata(dir)?;
    if !found.is_dir() || found.uid() != uid {
        return Err(io::Error::other(format!("`{}` is not ours", dir.display())));
    }
    if found.mode() & 0o7777 != mode {
        fs::set_permissions(dir, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Removes the directory if no run has a file in it.
pub(super) fn remove_directory(dir: &Path) {
    let _ = fs::remove_dir(dir);
}

/// Returns the path of the file of an attempt.
pub(super) fn path(dir: &Path, run: RunId, attempt: u32) -> PathBuf {
    dir.join(format!("{run}.{attempt}{SUFFIX}"))
}

/// Writes the file of an attempt, which its user alone can read.
pub(super) fn write(dir: &Path, file: &EventFile) -> io::Result<()> {
    let Some(run) = file.attempt.run() else { return Ok(()) };
    make_directory(dir)?;
    let path = path(dir, run, file.attempt.number);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut opened = File::options().write(true).create_new(true).mode(0o400).open(&path)?;
    opened.write_all(&lines(&file.events))?;
    if let Some(user) = &file.user {
        let uid = uid_of(user).ok_or_else(|| io::Error::other(format!("there is no user `{user}`")))?;
        fchown(&opened, Some(uid), None)?;
    }
    Ok(())
}

/// Returns the events as JSON lines, in the order in which they came.
pub(super) fn lines(events: &EventsOfRun) -> Vec<u8> {
    let mut lines = Vec::new();
    for (kind, occurrence) in &events.occurrences {
        let data = occurrence.data.as_deref().and_then(|data| serde_json::from_str(data).ok());
        let (at, name, count) = (occurrence.at, occurrence.name.as_str(), occurrence.count);
        let line = Line { at, kind: *kind, name, data, count };
        serde_json::to_writer(&mut lines, &line).expect("writing to memory cannot fail");
        lines.push(b'\n');
    }
    lines
}

/// Removes the file of an attempt that has ended.
pub(super) fn remove(dir: &Path, attempt: Attempt) {
    let Some(run) = attempt.run() else { return };
    let _ = fs::remove_file(path(dir, run, attempt.number));
}

/// Removes the files of attempts that are not open, which an earlier daemon left.
pub(super) fn remove_all_but(dir: &Path, is_open: impl Fn(Attempt) -> bool) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let attempt = name.to_str().and_then(|name| attempt_of(name.strip_suffix(SUFFIX)?));
        if attempt.is_some_and(|attempt| !is_open(attempt)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, Occurrence};

    fn file(attempt: u32) -> EventFile {
        let occurrence = |name: &str, data: Option<&str>| {
            let (at, name, data) =
                (Timestamp::from_seconds(1_772_000_000), name.to_owned(), data.map(str::to_owned));
            (TriggerKind::Emit, Occurrence { at, name, data, count: 2, depth: 0 })
        };
        let occurrences = vec![occurrence("a\"\n", None), occurrence("b", Some("{\"k\":[1,2]}"))];
        let run = RunId { job: JobId(12), number: 3 };
        let attempt = Attempt::of_run(run, attempt);
        EventFile { attempt, user: None, events: EventsOfRun { count: 4, depth: 1, occurrences } }
    }

    #[test]
    fn a_run_finds_its_events_a_line_each_in_their_order() {
        let base = tempfile::tempdir().expect("a directory");
        let store = fs::metadata(base.path()).expect("it is there");
        let dir = directory(base.path(), &store);
        for attempt in [1, 2, 2] {
            write(&dir, &file(attempt)).expect("it is ours");
        }
        let path = path(&dir, RunId { job: JobId(12), number: 3 }, 2);
        let text = fs::read_to_string(&path).expect("it was written");
        let at = "2026-02-25T06:13:20Z";
        let expected = format!(
            "{{\"at\":\"{at}\",\"kind\":\"emit\",\"name\":\"a\\\"\\n\",\"data\":null,\"count\":2}}\n\
             {{\"at\":\"{at}\",\"kind\":\"emit\",\"name\":\"b\",\"data\":{{\"k\":[1,2]}},\"count\":2}}\n"
        );
        assert_eq!(text, expected);
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o400);
        remove_all_but(&dir, |attempt| attempt.number == 1);
        assert!(!path.exists());
        remove(&dir, file(1).attempt);
        assert_eq!(fs::read_dir(&dir).expect("it is there").count(), 0);
    }

    #[test]
    fn a_directory_in_another_form_is_passed_over() {
        let base = tempfile::tempdir().expect("a directory");
        let store = fs::metadata(base.path()).expect("it is there");
        let uid = own_uid();
        std::os::unix::fs::symlink("/", base.path().join(format!("taskq-{uid}"))).expect("the name is free");
        fs::write(base.path().join(format!("taskq-{uid}-1")), "").expect("the name is free");
        let dir = directory(base.path(), &store);
        assert!(dir.starts_with(base.path().join(format!("taskq-{uid}-2"))), "{}", dir.display());
    }
}
