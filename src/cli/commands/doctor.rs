//! Owns: `taskq doctor`.
//! Never: what is looked at (see `cli/health`).

use clap::Args;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::health::finding::{Finding, Level};
use crate::cli::health::{jobs, surroundings};
use crate::cli::view::json::document;
use crate::cli::zone::system_zone;
use crate::error::Result;
use crate::store::StoreError;

pub const WHAT: &str = "examine store";

/// Check the store, the daemon and the machine
///
/// Looks at the database (whole), the files (who may read them), the key, the
/// disk, the daemon, its service of systemd, lingering, the clock, the zone,
/// mails, jobs that fail or never fire, and programs that are not there. A
/// line for each, with its level and what to do: `ok`, `note` (it may be as it
/// should) or `fault`. The exit status is 1 if there is a fault.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq doctor
  taskq doctor --json | jq '.findings[] | select(.level == \"fault\")'"
)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Doctor<'a> {
    findings: &'a [Finding],
}

pub fn run(context: &Context<'_>, args: &DoctorArgs) -> Result<u8> {
    let findings = examine(context)?;
    if args.json {
        context.output.json(&document(Doctor { findings: &findings }))?;
    } else {
        let lines: String = findings.iter().map(Finding::line).collect();
        context.output.answer(&lines)?;
    }
    Ok(u8::from(findings.iter().any(|finding| finding.level == Level::Fault)))
}

fn examine(context: &Context<'_>) -> Result<Vec<Finding>> {
    let dir = &context.dir;
    let (zone, tz) = context.zone(WHAT)?;
    let mut findings = Vec::new();
    let (mut of_jobs, mut has_jobs) = (Vec::new(), false);
    if context.has_store(WHAT)? {
        let of_files = surroundings::of_files(dir);
        let mut store = context.open(WHAT)?;
        let free = store.free_bytes();
        let look = store.read(|reader| {
            let database = surroundings::of_database(reader)?;
            let bytes = reader.stored_output_bytes()?;
            let (of_jobs, has_jobs) = (jobs::of_store(reader)?, reader.count_living_jobs()? > 0);
            Ok((database, surroundings::of_key(reader)?, bytes, of_jobs, has_jobs))
        });
        let (database, key, bytes, found, some) = look.map_err(|error: StoreError| error.during(WHAT))?;
        findings.extend([database, of_files]);
        findings.extend(key);
        findings.extend(surroundings::of_disk(dir, free, bytes));
        (of_jobs, has_jobs) = (found, some);
    } else {
        context.need_store(WHAT)?;
        let text = format!("there is none yet in `{}`", dir.display());
        findings.push(Finding::note("store", text, "`taskq add` makes one"));
    }
    findings.push(surroundings::of_daemon(dir, has_jobs));
    findings.extend(surroundings::of_service(dir, WHAT));
    findings.extend(surroundings::of_clock(&zone, tz.as_deref(), &system_zone().0));
    findings.extend(of_jobs);
    Ok(findings)
}
