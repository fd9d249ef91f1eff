//! Owns: lines in two stored tables, whose jobs run twice, and the command that ends the other table's jobs.
//! Never: cron's own tables (see `sources`).

use std::collections::HashSet;

use super::planned::TableLine;
use super::sources::OWN;
use crate::cli::context::Failure;
use crate::crontab::write::quoted;
use crate::domain::JobId;
use crate::store::Reader;

/// Up to this many jobs are named; beyond, the table is named.
const JOBS_MAX: usize = 20;

/// The lines that a table shares with another one.
#[derive(Debug)]
pub struct Doubles {
    /// Their number.
    lines: usize,
    /// The source of the other table.
    pub other: String,
    /// The other table's jobs of these lines.
    jobs: Vec<JobId>,
    /// The other table has no other jobs.
    is_all: bool,
}

/// Returns the lines that a table of this source shares with each other stored table.
pub fn doubles(reader: &Reader<'_>, source: &str, lines: &[TableLine<'_>]) -> Result<Vec<Doubles>, Failure> {
    let with_jobs = || lines.iter().filter(|line| line.job.is_some()).map(|line| line.finding.line.text);
    let own: HashSet<&[u8]> = with_jobs().collect();
    let mut all = Vec::new();
    for other in reader.crontab_sources()?.into_iter().filter(|other| other != source) {
        let Some(table) = reader.crontab(&other)? else { continue };
        let mut live = reader.crontab_entries(table.id)?;
        live.retain(|entry| !entry.is_done);
        let same = || live.iter().filter(|entry| own.contains(entry.text.as_slice()));
        let texts: HashSet<&[u8]> = same().map(|entry| entry.text.as_slice()).collect();
        let jobs: Vec<JobId> = same().map(|entry| entry.job).collect();
        if !jobs.is_empty() {
            let lines = with_jobs().filter(|text| texts.contains(text)).count();
            all.push(Doubles { lines, other, is_all: jobs.len() == live.len(), jobs });
        }
    }
    Ok(all)
}

impl Doubles {
    /// Returns the message; the table is called `shown`.
    pub fn sentence(&self, shown: &str, is_stored: bool) -> String {
        let other = if self.other == OWN { "taskq crontab -l" } else { &self.other };
        let (lines, are, jobs) = match (self.lines, is_stored) {
            (1, true) => ("1 line".to_owned(), "is also in", "its job runs"),
            (1, false) => ("1 line".to_owned(), "is also in", "its job would run"),
            (lines, true) => (format!("{lines} lines"), "are also in", "their jobs run"),
            (lines, false) => (format!("{lines} lines"), "are also in", "their jobs would run"),
        };
        format!("{lines} of `{shown}` {are} `{other}`, so {jobs} twice; {}", self.remedy())
    }

    /// Returns the command that ends the jobs of the other table.
    fn remedy(&self) -> String {
        let other = &self.other;
        if other == OWN {
            return if self.is_all {
                "`taskq crontab -r` ends the jobs of the other table".to_owned()
            } else {
                "edit that table with `taskq crontab -e`".to_owned()
            };
        }
        if self.is_all {
            let path = quoted(other.as_bytes());
            let path = String::from_utf8_lossy(&path);
            return format!("`taskq import crontab --remove {path}` ends the jobs of the other table");
        }
        if self.jobs.len() <= JOBS_MAX {
            let jobs: Vec<String> = self.jobs.iter().map(JobId::to_string).collect();
            return format!("`taskq cancel {}` ends the jobs of the other table", jobs.join(" "));
        }
        "edit that table, and import it again".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(other: &str, jobs: std::ops::Range<i64>, is_all: bool) -> String {
        let jobs: Vec<JobId> = jobs.map(JobId).collect();
        Doubles { lines: jobs.len(), other: other.to_owned(), jobs, is_all }.sentence("table", true)
    }

    #[test]
    fn the_jobs_of_the_other_table_can_be_ended() {
        let own = "2 lines of `table` are also in `taskq crontab -l`, so their jobs run twice";
        assert_eq!(
            sentence(OWN, 1..3, true),
            format!("{own}; `taskq crontab -r` ends the jobs of the other table")
        );
        assert_eq!(sentence(OWN, 1..3, false), format!("{own}; edit that table with `taskq crontab -e`"));
        let one = "1 line of `table` is also in `/etc/x`, so its job runs twice";
        assert_eq!(
            sentence("/etc/x", 7..8, false),
            format!("{one}; `taskq cancel 7` ends the jobs of the other table")
        );
        let all = sentence("/no where", 1..3, true);
        let command = "`taskq import crontab --remove '/no where'` ends the jobs of the other table";
        assert!(all.ends_with(command), "{all}");
        let many = sentence("/", 1..100, false);
        assert!(many.ends_with("edit that table, and import it again"), "{many}");
    }
}
