//! Owns: a file of jobs: where it is, and its jobs as they are to be.
//! Never: the store.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::defaults::with_defaults;
use super::entry::{default_problems, job, options, problems};
use super::keep::{KeptVariables, take_keep_env};
use super::problem::Problem;
use super::syntax::{FileKey, FileTable, nearest, tables};
use crate::cli::context::Context;
use crate::cli::job::first_fires::PassedTimes;
use crate::cli::job::keys::Keys;
use crate::cli::job::notes::notes;
use crate::cli::job::text::Caller;
use crate::cli::zone::system_zone;
use crate::domain::{JobName, NewJob};
use crate::error::{Error, Result, describe};
use crate::store::FirstFire;
use crate::system::{login, users};

/// The mask of jobs, as import has it: the caller's is part of the caller's environment.
const UMASK: u32 = 0o022;

/// The name of standard input.
const STDIN: &str = "-";

/// The content of a file, and where it is from.
pub struct Source {
    /// For errors: ``apply `jobs.toml` ``.
    pub what: String,
    /// The absolute path, without symbolic links; `None`: standard input.
    pub path: Option<PathBuf>,
    pub text: Vec<u8>,
}

impl Source {
    /// Reads a file, or standard input for `-`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(file: &Path) -> Result<Self> {
        let is_stdin = file == Path::new(STDIN);
        let what =
            if is_stdin { "apply standard input".to_owned() } else { format!("apply `{}`", file.display()) };
        let failed = |error| Error::not_found(&what, describe(&error));
        if is_stdin {
            let mut text = Vec::new();
            std::io::stdin().lock().read_to_end(&mut text).map_err(failed)?;
            return Ok(Self { what, path: None, text });
        }
        let text = std::fs::read(file).map_err(failed)?;
        // A pipe, as of a process substitution, has no path that means it again.
        let is_file = std::fs::metadata(file).map_err(failed)?.is_file();
        let path = is_file.then(|| std::fs::canonicalize(file)).transpose().map_err(failed)?;
        Ok(Self { what, path, text })
    }

    /// Returns the path as it is stored.
    pub fn key(&self) -> Option<&[u8]> {
        self.path.as_ref().map(|path| path.as_os_str().as_bytes())
    }

    /// Returns the path for events and JSON; `-`: standard input.
    pub fn shown(&self) -> String {
        self.path.as_ref().map_or_else(|| STDIN.to_owned(), |path| path.display().to_string())
    }

    /// Returns what a job has that its file does not say: nothing of the caller's environment, and the
    /// directory of the file.
    ///
    /// # Errors
    /// If the current directory is gone, and it counts.
    pub fn surroundings(&self, context: &Context<'_>) -> Result<Caller> {
        let here = |error| Error::usage(&self.what, format!("the current directory: {}", describe(&error)));
        let cwd = match self.path.as_deref().and_then(Path::parent) {
            Some(dir) => dir.to_owned(),
            None => std::env::current_dir().map_err(here)?,
        };
        Ok(Caller {
            now: context.now(),
            zone: system_zone().0,
            zone_name: None,
            env: login::clean_environment(Some(&users::person(None))),
            cwd,
            umask: UMASK,
            passed: PassedTimes::Kept,
            store: context.dir.clone(),
        })
    }
}

/// A job of a file.
pub struct Entry {
    pub name: JobName,
    pub job: NewJob,
    pub triggers: Vec<FirstFire>,
    /// It is to be paused, or not; `None`: as it is.
    pub hold: Option<bool>,
    /// The file says from when each `every` counts.
    pub has_anchor: bool,
    /// The variables that keep their stored values.
    pub(super) kept: KeptVariables,
    /// The index of its table.
    table: usize,
}

/// The jobs of a file.
pub struct File<'a> {
    pub source: &'a Source,
    pub here: &'a Caller,
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// The names of jobs that cannot be read.
    pub broken: Vec<JobName>,
    tables: Vec<FileTable>,
    defaults: FileTable,
}

impl<'a> File<'a> {
    /// Reads the jobs of a file. All that is wrong with it goes to `problems`.
    pub fn read(source: &'a Source, here: &'a Caller, problems: &mut Vec<Problem>) -> Self {
        let text = match std::str::from_utf8(&source.text) {
            Ok(text) => text,
            Err(error) => {
                problems.push(Problem::new(error.valid_up_to(), "the file is not UTF-8 text"));
                ""
            }
        };
        let found = tables(text, problems);
        let mut defaults = found.defaults.unwrap_or_default();
        let mut keys = Keys::new();
        let context = (here, source.what.as_str());
        refuse_keys(&mut defaults, &keys, problems);
        let default_hold = take_hold(&mut defaults, problems);
        if let Some(kept) = take_keep_env(&mut defaults, problems) {
            problems.push(kept.refused_default());
        }
        if !defaults.keys.is_empty() {
            problems.extend(default_problems(&mut keys, &mut defaults, context));
        }
        let broken = found.broken.iter().filter_map(|name| name.parse().ok()).collect();
        let mut file = Self { source, here, entries: Vec::new(), broken, tables: found.jobs, defaults };
        for index in 0..file.tables.len() {
            let table = &mut file.tables[index];
            refuse_keys(table, &keys, problems);
            let hold = take_hold(table, problems).or(default_hold);
            let kept = take_keep_env(table, problems).unwrap_or_default();
            match entry(&file.tables[index], &file.defaults, &mut keys, context) {
                Ok(entry) => {
                    let kept = kept.beside(&entry.job.execution.env);
                    file.entries.push(Entry { hold, kept, table: index, ..entry });
                }
                Err(found) => {
                    problems.extend(found);
                    file.broken.extend(file.tables[index].name.parse::<JobName>().ok());
                }
            }
        }
        file
    }

    /// Returns where a key of a job is; of a key that it does not have, where the job is.
    pub fn place(&self, entry: &Entry, key: &str) -> usize {
        let table = &self.tables[entry.table];
        let found = table.keys.iter().rev().chain(&self.defaults.keys).find(|found| found.key == key);
        found.map_or(table.at, |found| found.at)
    }

    /// Returns what may be a slip in a job.
    pub fn notes(&self, entry: &Entry, keys: &mut Keys) -> Vec<String> {
        let (table, what) = (&self.tables[entry.table], self.source.what.as_str());
        let given = with_defaults(&table.keys, &self.defaults.keys);
        let read = options(keys, &given, Some(&entry.name), (self.here, what));
        let Ok(options) = read else { return Vec::new() };
        notes(&entry.job, (&options.at, &options.cron), self.here.now, &self.here.zone)
    }
}

fn entry(
    table: &FileTable,
    defaults: &FileTable,
    keys: &mut Keys,
    context: (&Caller, &str),
) -> Result<Entry, Vec<Problem>> {
    let name = table.name.parse::<JobName>();
    let given = with_defaults(&table.keys, &defaults.keys);
    let read = job(keys, &given, name.as_ref().ok(), context);
    match (name, read) {
        (Ok(name), Ok(mut read)) => {
            read.job.tags.sort();
            read.job.tags.dedup();
            let has_anchor = given.iter().any(|key| ["anchor", "start"].contains(&key.key.as_str()));
            let (job, triggers) = (read.job, read.triggers);
            Ok(Entry {
                name,
                job,
                triggers,
                hold: None,
                has_anchor,
                kept: KeptVariables::default(),
                table: 0,
            })
        }
        (name, read) => {
            let mut found = match read {
                Ok(_) => Vec::new(),
                Err(_) => problems(keys, &given, table, context),
            };
            found.extend(name.err().map(|cause| Problem::new(table.at, cause.to_string())));
            Err(found)
        }
    }
}

/// Takes the keys away that there are not, or not in a file. One that is probably another stands for it, so
/// that only the slip is told.
fn refuse_keys(table: &mut FileTable, keys: &Keys, problems: &mut Vec<Problem>) {
    for key in std::mem::take(&mut table.keys) {
        let at = key.key_at;
        match key.key.as_str() {
            "name" => {
                problems.push(Problem::new(at, "the name of a job is that of its table: `[jobs.NAME]`"));
            }
            "replace" => {
                let cause = "there is no `replace` here: a job of the same name is changed";
                problems.push(Problem::new(at, cause));
            }
            name if keys.has(name) => table.keys.push(key),
            name => {
                let (near, problem) = unknown_key(name, at, keys);
                problems.push(problem);
                let is_new = |near: &String| table.keys.iter().all(|key| key.key != *near);
                table.keys.extend(near.filter(is_new).map(|near| FileKey { key: near, ..key }));
            }
        }
    }
}

fn unknown_key(name: &str, at: usize, keys: &Keys) -> (Option<String>, Problem) {
    let mut all = keys.all();
    all.retain(|key| !["name", "replace"].contains(&key.as_str()));
    let cause = format!("there is no key `{name}`");
    match nearest(name, all.iter().map(String::as_str)) {
        Some(near) => (Some(near.to_owned()), Problem::new(at, format!("{cause}; did you mean `{near}`?"))),
        None => {
            let all: Vec<String> = all.iter().map(|key| format!("`{key}`")).collect();
            (None, Problem::new(at, cause).hint(format!("the keys are {}", all.join(", "))))
        }
    }
}

/// Takes `hold` out of the keys: it is no part of a job's definition.
fn take_hold(table: &mut FileTable, problems: &mut Vec<Problem>) -> Option<bool> {
    let index = table.keys.iter().position(|key| key.key == "hold")?;
    let key = table.keys.remove(index);
    let hold = key.value.as_bool();
    if hold.is_none() {
        problems.push(Problem::new(key.at, format!("`hold` takes `true` or `false`, not `{}`", key.value)));
    }
    hold
}
