//! Owns: the stored tables as such: listing and removing them.
//! Never: reading new ones (see `sources`).

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::diff::remove;
use super::sources::OWN;
use crate::cli::context::{Context, Failure};
use crate::cli::output::{Column, Table, TableCell};
use crate::crontab::lines;
use crate::domain::JobId;
use crate::error::{Error, Result};
use crate::store::Reader;

/// The text of the table that was removed last.
const REMOVED: &str = "crontab.removed";

/// What `--remove` calls the table of `taskq crontab`, and `--list` prints for it.
const OWN_SHOWN: &str = "-";

#[derive(Debug, Serialize)]
pub struct StoredTable {
    /// The path of its file, `null` for the table of `taskq crontab`.
    source: Option<String>,
    cron: &'static str,
    lines: usize,
    /// Its jobs that still fire.
    jobs: usize,
}

/// Returns the stored tables, that of `taskq crontab` first.
pub fn stored_tables(reader: &Reader<'_>) -> std::result::Result<Vec<StoredTable>, Failure> {
    let mut tables = Vec::new();
    for source in reader.crontab_sources()? {
        let Some(table) = reader.crontab(&source)? else { continue };
        let entries = reader.crontab_entries(table.id)?;
        tables.push(StoredTable {
            lines: lines(&table.text).count(),
            source: Some(source).filter(|source| source != OWN),
            cron: table.origin.as_str(),
            jobs: entries.iter().filter(|entry| !entry.is_done).count(),
        });
    }
    Ok(tables)
}

pub fn table_of(tables: &[StoredTable]) -> Table {
    let mut table = Table::new([
        Column::left("TABLE"),
        Column::left("CRON"),
        Column::right("LINES"),
        Column::right("JOBS"),
    ]);
    for stored in tables {
        table.push([
            TableCell::new(stored.source.as_deref().unwrap_or(OWN_SHOWN)),
            TableCell::new(stored.cron),
            TableCell::new(stored.lines.to_string()),
            TableCell::new(stored.jobs.to_string()),
        ]);
    }
    table
}

/// Returns what other tables a person may look for: `2 other tables are stored: /etc/crontab, /root/tab`.
pub fn others_sentence(tables: &[StoredTable]) -> Option<String> {
    let others: Vec<&str> = tables.iter().filter_map(|table| table.source.as_deref()).collect();
    let are = match others.len() {
        0 => return None,
        1 => "1 other table is stored",
        count => return Some(format!("{count} other tables are stored: {}", others.join(", "))),
    };
    Some(format!("{are}: {}", others[0]))
}

/// Finds the stored table that a person names: by the path of its file, which may be gone, or `-`.
pub fn find_source(reader: &Reader<'_>, what: &str, text: &Path) -> std::result::Result<String, Failure> {
    let sources = reader.crontab_sources()?;
    let absolute = || std::path::absolute(text).ok();
    let candidates = [fs::canonicalize(text).ok(), absolute(), Some(PathBuf::from(text))];
    let is_named = |source: &&String| match source.as_str() {
        OWN => text == Path::new(OWN_SHOWN),
        source => candidates.iter().flatten().any(|path| path == Path::new(source)),
    };
    sources.iter().find(is_named).cloned().ok_or_else(|| {
        Error::not_found(what, "no such table is stored")
            .hint("list the tables with `taskq import crontab --list`")
            .into()
    })
}

/// Refuses to change a job that is a line of a stored table. `act`: what is to be done there instead.
pub fn refuse_line(
    reader: &Reader<'_>,
    job: JobId,
    what: &str,
    act: &str,
) -> std::result::Result<(), Failure> {
    let Some((_, line)) = reader.crontab_line(job)? else { return Ok(()) };
    Err(Error::conflict(what, format!("it is line {line} of a stored crontab"))
        .hint(format!("{act} its table, with `taskq crontab -e` or by importing the file again"))
        .into())
}

/// Removes a stored table, ends its jobs, and keeps its text in the store's directory. Returns the file with
/// the text, or `None` if there was no such table.
pub fn remove_table(
    context: &Context<'_>,
    what: &str,
    find: impl Fn(&Reader<'_>) -> std::result::Result<String, Failure>,
) -> Result<Option<PathBuf>> {
    let backup = context.dir.join(REMOVED);
    context.write(what, |writer| {
        // Read under the lock: the table may have changed since a question.
        let source = find(writer)?;
        let Some(table) = writer.crontab(&source)? else { return Ok::<_, Failure>(None) };
        keep(&backup, &table.text)
            .map_err(|error| Error::io(format!("keep the table in `{}`", backup.display()), &error))?;
        remove(writer, &source, context.now())?;
        Ok(Some(backup.clone()))
    })
}

/// Writes a file atomically: an older one stays until this one is complete.
fn keep(path: &Path, text: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    write_private(&aside, text)?;
    fs::rename(&aside, path)
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}
