//! Owns: `taskq import at`, `import anacrontab` and `import systemd`.
//! Never: reading these sources, and the changes of their jobs (see `cli::import`).

use std::path::PathBuf;

use clap::{Args, ValueHint};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::import::anacron::{anacron_items, anacron_table};
use crate::cli::import::at::{at_items, at_queue};
use crate::cli::import::items::{ItemDiff, SourceItem, item_diff, store_items};
use crate::cli::import::place::Place;
use crate::cli::import::planned::ImportContext;
use crate::cli::import::report::{TableReport, items_report};
use crate::cli::import::systemd::{find_timers, timer_items};
use crate::cli::view::json::document;
use crate::cli::view::why::NO_DAEMON;
use crate::cli::zone::system_zone;
use crate::daemon::running_daemon;
use crate::error::{Error, ErrorKind, Result};
use crate::shown;

/// What these do, for errors.
pub const AT: &str = "import at";
pub const ANACRONTAB: &str = "import anacrontab";
pub const SYSTEMD: &str = "import systemd";

/// Up to this many names are listed in a sentence.
const NAMES_MAX: usize = 20;

/// The options of each of them.
#[derive(Args, Clone, Copy, Debug)]
pub struct ImportOptions {
    /// Report, and store nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Import the others if some are refused
    #[arg(long)]
    pub keep_going: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Import the jobs in the queue of at(1)
///
/// Each becomes a job that runs once, at the same time, as atd(8) would run
/// it: with its commands, environment, umask, directory and user, its niceness
/// and its mail. A job of batch(1) waits for a load below 1.5. Overdue jobs
/// run at once. Root imports the jobs of all users, from at's spool; others
/// import their own, by `atq` and `at -c`.
///
/// The jobs stay in at's queue until `atrm` removes them there. A repeated
/// import adds only new ones. Their names are at-N, and their tag is `at`.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "taskq import at [OPTION]...",
    after_help = "\
Examples:
  taskq import at --dry-run
  sudo taskq import at --keep-going"
)]
pub struct ImportAtArgs {
    #[command(flatten)]
    pub options: ImportOptions,
}

/// Import a table of anacron(8)
///
/// FILE is an anacrontab(5), as Debian's anacron or cronie's reads it; default:
/// /etc/anacrontab. A line becomes a job that runs once in each period, also
/// after its time if the machine was off. anacron's time stamps say when it is
/// due first. It starts in START_HOURS_RANGE, or else from 07:30 on, and not
/// before its delay has passed since the boot. RANDOM_DELAY is a jitter.
///
/// A repeated import stores the differences: a line finds its job by its id.
/// The jobs have the tag `anacron`.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "taskq import anacrontab [OPTION]... [FILE]",
    after_help = "\
Examples:
  sudo taskq import anacrontab --dry-run
  taskq import anacrontab ~/.anacrontab"
)]
pub struct ImportAnacrontabArgs {
    /// The table; default: /etc/anacrontab
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub options: ImportOptions,
}

/// Import timers of systemd with their services
///
/// UNIT is a timer. The default is each active timer that no package has
/// brought. As root these are timers of the system, else your own. A timer
/// becomes a job with its calendar or spans, and with the commands,
/// environment, directory, user and time limits of its service. A setting
/// without a counterpart is named in a note.
///
/// The timers stay active until `systemctl disable --now` ends them. A
/// repeated import stores the differences. The jobs have the tag `systemd`.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "taskq import systemd [OPTION]... [UNIT]...",
    after_help = "\
Examples:
  taskq import systemd --dry-run
  taskq import systemd backup.timer"
)]
pub struct ImportSystemdArgs {
    /// Timers; `.timer` may be left out
    #[arg(value_name = "UNIT", value_hint = ValueHint::Other)]
    pub units: Vec<String>,

    #[command(flatten)]
    pub options: ImportOptions,
}

/// The entries of a source.
struct Entries<'a> {
    /// For errors: `import at`.
    what: &'static str,
    /// The key of the source in the store.
    source: &'a str,
    /// Its name in messages.
    shown: &'a str,
    /// The head of the places of its entries.
    head: &'static str,
    items: Vec<SourceItem>,
    /// The entries are all that there are.
    is_whole: bool,
    skipped: Vec<Skipped>,
}

/// An entry that is not imported, although it is not in error.
#[derive(Clone, Serialize)]
struct Skipped {
    item: String,
    reason: &'static str,
}

#[derive(Serialize)]
struct Imported {
    stored: bool,
    tables: Vec<TableReport>,
    skipped: Vec<Skipped>,
}

/// Imports the queue of at(1).
pub fn import_at(context: &Context<'_>, args: &ImportAtArgs) -> Result<u8> {
    let here = import_context(context);
    let queue = at_queue(AT)?;
    let items = at_items(&queue.jobs, &here);
    let numbers: Vec<String> = queue
        .jobs
        .iter()
        .zip(&items)
        .filter(|(_, item)| item.planned().is_some())
        .map(|(job, _)| job.number.to_string())
        .collect();
    let running = queue.running.iter();
    let skipped = running.map(|number| Skipped { item: number.to_string(), reason: "at runs it now" });
    let entries = Entries {
        what: AT,
        source: "at",
        shown: "at",
        head: Place::AT_JOB,
        items,
        is_whole: false,
        skipped: skipped.collect(),
    };
    let doubles = (!numbers.is_empty()).then(|| {
        let numbers = numbers.join(" ");
        format!("at has these jobs still, and would run them too: remove them there with `atrm {numbers}`")
    });
    import(context, &entries, &here, args.options, doubles)
}

/// Imports a table of anacron(8).
pub fn import_anacrontab(context: &Context<'_>, args: &ImportAnacrontabArgs) -> Result<u8> {
    let here = import_context(context);
    let table = anacron_table(args.file.as_deref(), ANACRONTAB)?;
    let items = anacron_items(&table.text, &here);
    let doubles = items.iter().any(|item| item.planned().is_some()).then(|| {
        let user = if here.is_root { "" } else { ", as root" };
        format!(
            "anacron reads `{}` still{user}, and would run these jobs too: remove the lines there",
            table.shown
        )
    });
    let entries = Entries {
        what: ANACRONTAB,
        source: &table.key,
        shown: &table.shown,
        head: Place::LINE,
        items,
        is_whole: true,
        skipped: Vec::new(),
    };
    import(context, &entries, &here, args.options, doubles)
}

/// Imports timers of systemd.
pub fn import_systemd(context: &Context<'_>, args: &ImportSystemdArgs) -> Result<u8> {
    let here = import_context(context);
    let (bus, found) = find_timers(&args.units, SYSTEMD)?;
    let items = timer_items(&found.timers, &bus, &here);
    let names: Vec<&str> =
        items.iter().filter_map(|item| item.planned()).map(|planned| planned.item.as_str()).collect();
    let doubles = (!names.is_empty()).then(|| {
        let (systemctl, names) = (bus.manager.systemctl(), names.join(" "));
        format!(
            "systemd has these timers still, and would run them too: end them there with `{systemctl} \
             disable --now {names}`"
        )
    });
    let packages = found.of_packages.into_iter();
    let skipped = packages.map(|item| Skipped { item, reason: "it belongs to a package" }).collect();
    let entries = Entries {
        what: SYSTEMD,
        source: "systemd",
        shown: "systemd",
        head: Place::UNIT,
        items,
        is_whole: false,
        skipped,
    };
    import(context, &entries, &here, args.options, doubles)
}

fn import_context(context: &Context<'_>) -> ImportContext {
    ImportContext::of_process(context.now(), system_zone().0, None)
}

/// Stores the jobs of entries, and reports each entry. `doubles`: the sentence on who else runs them.
fn import(
    context: &Context<'_>,
    entries: &Entries<'_>,
    here: &ImportContext,
    options: ImportOptions,
    doubles: Option<String>,
) -> Result<u8> {
    let has_refusals = entries.items.iter().any(SourceItem::is_refused);
    let is_stored = !options.dry_run && (!has_refusals || options.keep_going);
    let diff = if is_stored { store(context, entries, here)? } else { look(context, entries)? };
    let report = items_report((entries.shown, entries.head), &entries.items, &diff, is_stored);
    print(context, entries, &report, is_stored, options.json)?;
    if let Some(doubles) = doubles.filter(|_| is_stored && !options.json) {
        context.output.talk(&shown::escaped(&doubles));
    }
    match report.failure(entries.what) {
        Some(failure) if options.keep_going => Err(Error { kind: ErrorKind::Conflict, ..failure }),
        Some(failure) => Err(Error {
            hint: failure.hint.or(Some("import the others with `--keep-going`".to_owned())),
            ..failure
        }),
        None => Ok(0),
    }
}

fn store(context: &Context<'_>, entries: &Entries<'_>, here: &ImportContext) -> Result<ItemDiff> {
    // A commit without a change would wake the daemon, and record an event.
    let is_news = |diff: &ItemDiff| {
        !diff.gone.is_empty() || diff.items.iter().flatten().any(|item| item.change.is_news())
    };
    let seen = look(context, entries)?;
    if !is_news(&seen) {
        return Ok(seen);
    }
    context.write(entries.what, |writer| {
        let mut diff = item_diff(writer, entries.source, &entries.items, entries.is_whole)?;
        store_items(writer, entries.source, &entries.items, &mut diff, here.now)?;
        Ok(diff)
    })
}

/// Compares the entries with the store, and changes nothing.
fn look(context: &Context<'_>, entries: &Entries<'_>) -> Result<ItemDiff> {
    if !context.has_store(entries.what)? {
        return Ok(ItemDiff::of_new(&entries.items));
    }
    context.read(entries.what, |reader| item_diff(reader, entries.source, &entries.items, entries.is_whole))
}

fn print(
    context: &Context<'_>,
    entries: &Entries<'_>,
    report: &TableReport,
    is_stored: bool,
    json: bool,
) -> Result<()> {
    if json {
        let (tables, skipped) = (vec![report.clone()], entries.skipped.clone());
        return context.output.json(&document(Imported { stored: is_stored, tables, skipped }));
    }
    let (zone, _) = context.zone(entries.what)?;
    if report.lines.is_empty() {
        context.output.explain_empty(&format!("{} has no jobs to import", entries.shown));
    } else {
        context.output.table(&report.table(&zone))?;
    }
    let sentences = report.sentences(&zone, |_| true);
    if !sentences.is_empty() {
        context.output.answer(&format!("\n{}\n", sentences.join("\n")))?;
    }
    if let Some(first) = entries.skipped.first() {
        let names: Vec<&str> =
            entries.skipped.iter().take(NAMES_MAX).map(|skipped| skipped.item.as_str()).collect();
        let more = if entries.skipped.len() > NAMES_MAX { " …" } else { "" };
        let names = shown::escaped(&names.join(" ")).into_owned();
        context.output.talk(&match entries.what {
            AT => format!("not imported, because at runs them now: {names}{more}"),
            _ => format!(
                "not imported, because they belong to packages: {names}{more}; name one to import it: \
                 `taskq {} {}`",
                entries.what, first.item
            ),
        });
    }
    if !is_stored {
        context.output.talk("nothing was stored");
    } else if running_daemon(&context.dir).is_none() && !report.lines.is_empty() {
        context.output.talk(NO_DAEMON);
    }
    Ok(())
}
