//! Owns: reading at(1)'s queue: root from its spool, others by atq(1) and `at -c`.
//! Never: the content of a job (see `script`).

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::script::{SpoolName, spool_name};
use crate::domain::Timestamp;
use crate::error::{Error, Result, describe};
use crate::process;
use crate::system::users;

/// The spools of at on Debian, on Fedora, and on SUSE.
const SPOOLS: [&str; 3] = ["/var/spool/cron/atjobs", "/var/spool/at", "/var/spool/atjobs"];

/// A larger file is not a script that a person has written.
const BYTES_MAX: u64 = 16 << 20;

/// The permission by which at marks a complete file.
const OWNER_EXECUTES: u32 = 0o100;

/// A job in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedJob {
    pub number: u32,
    pub queue: char,
    pub at: Timestamp,
    /// The owner of its file; `None`: the caller.
    pub uid: Option<u32>,
    /// Its text, or why it cannot be read.
    pub text: Result<Vec<u8>, String>,
}

/// at's queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtQueue {
    pub jobs: Vec<QueuedJob>,
    /// The jobs that run at present.
    pub running: Vec<u32>,
}

/// Reads the queue. Errors say that `what` was being done.
pub fn at_queue(what: &str) -> Result<AtQueue> {
    let spool = SPOOLS.iter().map(Path::new).find(|spool| spool.is_dir());
    match spool.filter(|_| users::is_root()) {
        Some(spool) => read_spool(spool).map_err(|error| {
            Error::io(what, &error).hint(format!("the spool of at is `{}`", spool.display()))
        }),
        None => listed_queue(what),
    }
}

fn read_spool(spool: &Path) -> io::Result<AtQueue> {
    let mut queue = AtQueue::default();
    for entry in fs::read_dir(spool)? {
        let path = entry?.path();
        let name = path.file_name().map(OsStrExt::as_bytes).and_then(spool_name);
        let Some(SpoolName { queue: letter, number, at }) = name else { continue };
        let found = match fs::symlink_metadata(&path) {
            // It has begun to run meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        if letter == '=' {
            queue.running.push(number);
        } else if found.is_file() && found.mode() & OWNER_EXECUTES != 0 {
            let text = if found.len() > BYTES_MAX {
                Err(format!("its file has more than {} MiB", BYTES_MAX >> 20))
            } else {
                fs::read(&path).map_err(|error| format!("its file: {}", describe(&error)))
            };
            queue.jobs.push(QueuedJob { number, queue: letter, at, uid: Some(found.uid()), text });
        }
    }
    // While a job runs, it has two names.
    let running = &queue.running;
    queue.jobs.retain(|job| !running.contains(&job.number));
    queue.jobs.sort_by_key(|job| (job.at, job.number));
    queue.running.sort_unstable();
    Ok(queue)
}

fn listed_queue(what: &str) -> Result<AtQueue> {
    let run = |program: &str, args: &[&str]| match process::run(program, args) {
        Err(error) => Err(format!("`{program}`: {}", describe(&error))),
        Ok(finished) if finished.status != 0 => {
            let said = String::from_utf8_lossy(&finished.stderr);
            let said = said.lines().next().unwrap_or("it failed and said nothing").trim().to_owned();
            Err(format!("`{}`: {said}", [&[program], args].concat().join(" ")))
        }
        Ok(finished) => Ok(finished.stdout),
    };
    let refuse =
        |cause: String| Error::not_found(what, cause).hint("check `atq`; at.allow(5) says who may use it");
    let list = run("atq", &["-o", "%s"]).map_err(refuse)?;
    let mut queue = AtQueue::default();
    for line in String::from_utf8_lossy(&list).lines().filter(|line| !line.trim().is_empty()) {
        let (number, at, letter) = listed_job(line).ok_or_else(|| {
            refuse(format!("`atq` printed `{line}`, which is not a job, a time and a queue"))
        })?;
        if letter == '=' {
            queue.running.push(number);
            continue;
        }
        let text = run("at", &["-c", &number.to_string()]);
        queue.jobs.push(QueuedJob { number, queue: letter, at, uid: None, text });
    }
    queue.jobs.sort_by_key(|job| (job.at, job.number));
    Ok(queue)
}

/// Reads a line of `atq -o %s`: `12`, a tab, and `1796156940 a alice`.
fn listed_job(line: &str) -> Option<(u32, Timestamp, char)> {
    let mut words = line.split_ascii_whitespace();
    let (number, at, queue) = (words.next()?, words.next()?, words.next()?);
    let mut signs = queue.chars();
    let letter = signs.next().filter(|letter| letter.is_ascii_alphabetic() || *letter == '=')?;
    let is_whole = signs.next().is_none();
    Some((number.parse().ok()?, Timestamp::from_seconds(at.parse().ok()?), letter)).filter(|_| is_whole)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_spool_has_complete_jobs_running_ones_and_other_files() {
        let spool = tempfile::tempdir().expect("there is a temporary directory");
        let write = |name: &str, mode: u32| {
            let path = spool.path().join(name);
            fs::write(&path, name).expect("it is a new file");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
        };
        write(".SEQ", 0o600);
        write("b0000201c8c3ad", 0o700);
        write("a0000101c8c3ac", 0o700);
        write("a0000301c8c3ac", 0o600);
        write("c0000401c8c3ac", 0o700);
        write("=0000401c8c3ac", 0o700);
        let queue = read_spool(spool.path()).expect("it can be read");
        let found: Vec<(u32, char)> = queue.jobs.iter().map(|job| (job.number, job.queue)).collect();
        assert_eq!((found, queue.running), (vec![(1, 'a'), (2, 'b')], vec![4]));
        assert_eq!(queue.jobs[0].text, Ok(b"a0000101c8c3ac".to_vec()));
        assert!(read_spool(&spool.path().join("none")).is_err());
    }

    #[test]
    fn a_line_of_atq_is_a_job_a_time_and_a_queue() {
        let at = Timestamp::from_seconds(1_796_156_940);
        assert_eq!(listed_job("4\t1796156940 D root"), Some((4, at, 'D')));
        assert_eq!(listed_job("4\t1796156940 = root"), Some((4, at, '=')));
        for other in ["4\tTue Dec  1 20:29:00 2026 a root", "", "x 1 a", "4 1796156940 ab root"] {
            assert_eq!(listed_job(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_line_of_atq_panics(line: String) {
            let _ = listed_job(&line);
        }
    }
}
