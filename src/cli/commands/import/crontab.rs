//! Owns: `taskq import crontab`.
//! Never: the meaning of a crontab (see `crontab`) and the changes of its jobs (see `cli::import`).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde::Serialize;

use crate::cli::args::words;
use crate::cli::context::{Context, Failure};
use crate::cli::import::diff::{Diff, NewTable, diff, remove, store};
use crate::cli::import::doubles::doubles;
use crate::cli::import::plan::read_table;
use crate::cli::import::planned::{ImportContext, TableLine};
use crate::cli::import::report::{TableReport, table_report};
use crate::cli::import::sources::{
    OWN, Source, SystemTables, installed_table, is_crons, system_tables, user_table,
};
use crate::cli::import::stored::{
    StoredTable, find_source, remove_table as remove_stored, stored_tables, table_of,
};
use crate::cli::view::json::document;
use crate::cli::view::why::NO_DAEMON;
use crate::cli::zone::system_zone;
use crate::crontab::Layout;
use crate::daemon::running_daemon;
use crate::error::{Error, ErrorKind, Result};
use crate::schedule::Dialect;
use crate::shown;
use crate::store::Reader;

/// What `import crontab` does, for errors.
pub const CRONTAB: &str = "import crontab";

const LIST: &str = "list crontabs";

/// Import a crontab, and report each of its lines
///
/// FILE is a crontab(5). The default is the output of `crontab -l`; that table,
/// and one from standard input (-), replaces the table of `taskq crontab`. Each
/// line becomes a job that fires, runs and mails as with cron, in the queue
/// `cron`. The report has a row for each line, and a sentence for each meaning
/// that may surprise or differs between crons.
///
/// One refused line keeps the whole table out, unless --keep-going is given.
/// A repeated import stores the differences: unchanged lines keep their jobs
/// with ids and history, and the jobs of removed lines end. A table that was
/// imported from a file is a table of its own, known by the path of that file;
/// --list shows all, and --remove ends one.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "\
taskq import crontab [OPTION]... [FILE|-]
       taskq import crontab --list|--remove TABLE [--json]",
    after_help = "\
Examples:
  taskq import crontab --dry-run
  taskq import crontab ~/old.crontab --from cronie
  sudo taskq import crontab --system"
)]
pub struct ImportCrontabArgs {
    /// The table, or - for stdin; default: what `crontab -l` prints
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub file: Option<PathBuf>,

    /// A system table: the sixth field is a user
    ///
    /// FILE may be a directory such as /etc/cron.d, whose files are read
    /// by the naming rules of its cron. Without FILE: /etc/crontab and
    /// /etc/cron.d. Only root's daemon can run jobs as other users.
    #[arg(long, verbatim_doc_comment)]
    pub system: bool,

    /// Which cron it was written for: debian or cronie
    ///
    /// The two differ in odd lines, CRON_TZ, RANDOM_DELAY, backslashes
    /// and defaults. Default: the cron of the last import of this table,
    /// else the installed one.
    #[arg(
        long,
        value_name = "CRON",
        value_parser = words(Dialect::ALL, Dialect::as_str, Dialect::from_word),
        hide_possible_values = true,
        verbatim_doc_comment
    )]
    pub from: Option<Dialect>,

    /// Report, and store nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Import the other lines if some are refused
    #[arg(long)]
    pub keep_going: bool,

    /// List the tables that are stored, and store nothing
    ///
    /// TABLE is the path of the file, or - for the table of `taskq
    /// crontab`.
    #[arg(
        long,
        verbatim_doc_comment,
        conflicts_with_all = ["file", "system", "from", "dry_run", "keep_going"]
    )]
    pub list: bool,

    /// Remove the stored table of TABLE, and end its jobs
    ///
    /// TABLE is a path that --list prints, or -. Running jobs continue.
    /// The text is kept in the store's directory as crontab.removed.
    #[arg(
        long,
        value_name = "TABLE",
        value_hint = ValueHint::AnyPath,
        verbatim_doc_comment,
        conflicts_with_all = ["list", "file", "system", "from", "dry_run", "keep_going"]
    )]
    pub remove: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Stored {
    tables: Vec<StoredTable>,
}

#[derive(Serialize)]
struct Imported {
    stored: bool,
    tables: Vec<TableReport>,
    skipped: Vec<SkippedFile>,
}

#[derive(Serialize)]
struct SkippedFile {
    file: String,
    reason: String,
}

/// A table with its lines and their jobs.
struct ReadTable<'a> {
    source: &'a Source,
    /// For the cron that the table was written for.
    here: ImportContext,
    lines: Vec<TableLine<'a>>,
}

/// Imports tables, and reports each of their lines.
pub fn run(context: &Context<'_>, args: &ImportCrontabArgs) -> Result<u8> {
    if args.list {
        return list(context, args.json);
    }
    if let Some(table) = &args.remove {
        return remove_table(context, table, args.json);
    }
    let here = ImportContext::of_process(context.now(), system_zone().0, args.from);
    let found = sources(args, &here)?;
    let origins = origins(context, args, &found)?;
    let tables: Vec<ReadTable<'_>> = found
        .tables
        .iter()
        .zip(origins)
        .map(|(source, origin)| {
            let here = ImportContext { origin: origin.unwrap_or(here.origin), ..here.clone() };
            let lines = read_table(&source.text, source.layout, source.owner.as_deref(), &here);
            ReadTable { source, here, lines }
        })
        .collect();
    let has_refusals = tables.iter().flat_map(|table| &table.lines).any(TableLine::is_refused);
    let is_stored = !args.dry_run && (!has_refusals || args.keep_going);
    let reports = if is_stored {
        store_all(context, &tables, &found, &here)?
    } else {
        look_all(context, &tables, &found, &here)?
    };
    print(context, args, is_stored, (&tables, &reports), &found)?;
    tell_of_doubles(context, &tables, is_stored)?;
    let failure = reports.iter().find_map(|report| report.failure(&format!("{CRONTAB} `{}`", report.source)));
    match failure {
        Some(failure) if args.keep_going => Err(Error { kind: ErrorKind::Conflict, ..failure }),
        Some(failure) => Err(Error {
            hint: failure.hint.or(Some("import the other lines with `--keep-going`".to_owned())),
            ..failure
        }),
        None => Ok(0),
    }
}

fn list(context: &Context<'_>, json: bool) -> Result<u8> {
    let tables = context.read(LIST, stored_tables)?;
    if json {
        context.output.json(&document(Stored { tables }))?;
    } else if tables.is_empty() {
        context.output.confirm("no crontab is stored");
    } else {
        context.output.table(&table_of(&tables))?;
    }
    Ok(0)
}

fn remove_table(context: &Context<'_>, table: &Path, json: bool) -> Result<u8> {
    let what = format!("remove table `{}`", table.display());
    context.need_store(&what)?;
    let kept = remove_stored(context, &what, |reader| find_source(reader, &what, table))?;
    if json {
        return list(context, true);
    }
    if let Some(kept) = kept {
        context.output.confirm(&format!("removed; its text is kept in `{}`", kept.display()));
    }
    Ok(0)
}

fn sources(args: &ImportCrontabArgs, here: &ImportContext) -> Result<SystemTables> {
    let table = match (&args.file, args.system) {
        (Some(file), true) if file.as_os_str() == "-" => {
            return Err(Error::usage(
                CRONTAB,
                "a system table is known by its path, and standard input has none",
            )
            .hint("write it to a file and name that"));
        }
        (file, true) => return system_tables(file.as_deref(), here.origin, CRONTAB),
        (Some(file), false) => user_table(file, &format!("{CRONTAB} `{}`", file.display()))?,
        (None, false) => installed_table(CRONTAB)?,
    };
    Ok(SystemTables::of_user(table))
}

/// Returns the named cron, or for each table that of its last import.
fn origins(
    context: &Context<'_>,
    args: &ImportCrontabArgs,
    found: &SystemTables,
) -> Result<Vec<Option<Dialect>>> {
    if args.from.is_some() || !context.has_store(CRONTAB)? {
        return Ok(vec![args.from; found.tables.len()]);
    }
    context.read(CRONTAB, |reader| {
        let origin = |table: &Source| Ok(reader.crontab(&table.key)?.map(|table| table.origin));
        found.tables.iter().map(origin).collect()
    })
}

/// Stores the tables in one transaction.
fn store_all(
    context: &Context<'_>,
    tables: &[ReadTable<'_>],
    found: &SystemTables,
    here: &ImportContext,
) -> Result<Vec<TableReport>> {
    context.write(CRONTAB, |writer| {
        let mut reports = Vec::new();
        for ReadTable { source, here, lines } in tables {
            let mut diff = diff(writer, &source.key, lines)?;
            let table = NewTable { source: &source.key, origin: here.origin, text: &source.text, lines };
            store(writer, &table, &mut diff, here.now)?;
            reports.push(table_report(&source.shown, lines, &diff, true, here));
        }
        for gone in gone_files(writer, found)? {
            remove(writer, &gone.key, here.now)?;
            reports.push(table_report(&gone.key, &[], &gone.diff, true, here));
        }
        Ok(reports)
    })
}

/// A stored table whose file is gone.
struct Gone {
    key: String,
    diff: Diff,
}

fn gone_files(reader: &Reader<'_>, found: &SystemTables) -> std::result::Result<Vec<Gone>, Failure> {
    let mut gone = Vec::new();
    for key in reader.crontab_sources()?.into_iter().filter(|key| found.is_gone(key)) {
        let Some(table) = reader.crontab(&key)? else { continue };
        let diff = Diff { gone: reader.crontab_entries(table.id)?, ..Diff::default() };
        gone.push(Gone { key, diff });
    }
    Ok(gone)
}

/// Compares the tables with the store, and changes nothing.
fn look_all(
    context: &Context<'_>,
    tables: &[ReadTable<'_>],
    found: &SystemTables,
    here: &ImportContext,
) -> Result<Vec<TableReport>> {
    let report = |table: &ReadTable<'_>, diff: &Diff| {
        table_report(&table.source.shown, &table.lines, diff, false, &table.here)
    };
    if !context.has_store(CRONTAB)? {
        return Ok(tables.iter().map(|table| report(table, &Diff::of_new(&table.lines))).collect());
    }
    context.read(CRONTAB, |reader| {
        let of_table =
            |table: &ReadTable<'_>| Ok(report(table, &diff(reader, &table.source.key, &table.lines)?));
        let mut reports = tables.iter().map(of_table).collect::<std::result::Result<Vec<_>, Failure>>()?;
        reports.extend(
            gone_files(reader, found)?
                .iter()
                .map(|gone| table_report(&gone.key, &[], &gone.diff, false, here)),
        );
        Ok(reports)
    })
}

/// Reports lines that are in another table too: their jobs run twice.
fn tell_of_doubles(context: &Context<'_>, tables: &[ReadTable<'_>], is_stored: bool) -> Result<()> {
    if !context.has_store(CRONTAB)? {
        return Ok(());
    }
    let found = context.read(CRONTAB, |reader| {
        let of_table = |table: &ReadTable<'_>| doubles(reader, &table.source.key, &table.lines);
        tables.iter().map(of_table).collect::<std::result::Result<Vec<_>, _>>()
    })?;
    let mut told: HashSet<(&str, &str)> = HashSet::new();
    for (table, doubles) in tables.iter().zip(&found) {
        // Two tables of one import: report the pair once.
        for double in
            doubles.iter().filter(|double| !told.contains(&(double.other.as_str(), &table.source.key)))
        {
            context.output.talk(&shown::escaped(&double.sentence(&table.source.shown, is_stored)));
        }
        told.extend(doubles.iter().map(|double| (table.source.key.as_str(), double.other.as_str())));
    }
    Ok(())
}

fn print(
    context: &Context<'_>,
    args: &ImportCrontabArgs,
    is_stored: bool,
    (tables, reports): (&[ReadTable<'_>], &[TableReport]),
    found: &SystemTables,
) -> Result<()> {
    if args.json {
        let skipped = found.skipped.iter();
        let skipped = skipped
            .map(|(file, reason)| SkippedFile { file: file.display().to_string(), reason: reason.clone() });
        let imported = Imported { stored: is_stored, tables: reports.to_vec(), skipped: skipped.collect() };
        return context.output.json(&document(imported));
    }
    let (zone, _) = context.zone(CRONTAB)?;
    for (index, report) in reports.iter().enumerate() {
        if reports.len() > 1 {
            context.output.answer(&format!("{}{}:\n", if index == 0 { "" } else { "\n" }, report.source))?;
        }
        context.output.table(&report.table(&zone))?;
        let sentences = report.sentences(&zone, |_| true);
        if !sentences.is_empty() {
            context.output.answer(&format!("\n{}\n", sentences.join("\n")))?;
        }
    }
    let ignores = |table: &&ReadTable<'_>| {
        let is_debians = table.here.origin == Dialect::Debian && table.source.layout == Layout::System;
        is_debians && table.lines.iter().any(TableLine::is_refused)
    };
    for table in tables.iter().filter(ignores) {
        context.output.talk(&format!(
            "Debian's cron ignores all of `{}` for the lines that are refused",
            table.source.shown
        ));
    }
    for (file, reason) in &found.skipped {
        context.output.talk(&format!("`{}` is not read: {reason}", file.display()));
    }
    if !is_stored {
        context.output.talk("nothing was stored");
        return Ok(());
    }
    if let [table] = tables
        && !args.system
    {
        context.output.talk(&match table.source.key.as_str() {
            OWN => "stored as the table of `taskq crontab`".to_owned(),
            path => shown::escaped(&format!("stored as the table `{path}`, beside that of `taskq crontab`"))
                .into_owned(),
        });
    }
    if found.tables.iter().any(is_crons) {
        context.output.talk("cron has these tables still: a job that stays in both runs twice");
    }
    if running_daemon(&context.dir).is_none() {
        context.output.talk(NO_DAEMON);
    }
    Ok(())
}
