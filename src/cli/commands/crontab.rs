//! Owns: `taskq crontab`, with the messages, the questions and the editor of crontab(1).
//! Never: the meaning of a table and the changes of its jobs (see `cli::import`).

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, ValueHint};

use crate::cli::context::{Context, Failure};
use crate::cli::import::diff::{Diff, NewTable, diff, store};
use crate::cli::import::doubles::doubles;
use crate::cli::import::plan::read_table;
use crate::cli::import::planned::{ImportContext, TableLine};
use crate::cli::import::report::table_report;
use crate::cli::import::sources::{OWN, user_table};
use crate::cli::import::stored::{
    others_sentence, remove_table as remove_stored, stored_tables, write_private,
};
use crate::cli::question::is_confirmed;
use crate::cli::zone::system_zone;
use crate::crontab::{self, Layout};
use crate::error::{Error, Result};
use crate::process::edit;
use crate::shown;
use crate::store::CrontabView;
use crate::system::{env, users};

pub const WHAT: &str = "run crontab";

const INSTALL: &str = "install crontab";

/// The text that `-e` starts with if there is no table.
const TEMPLATE: &[u8] = b"# m h  dom mon dow   command\n";

/// Install, list, edit or remove the crontab
///
/// Works as crontab(1), for the jobs of taskq: `alias crontab='taskq crontab'`.
/// The table is kept byte for byte. Unchanged lines keep their jobs with ids and
/// history. A table with an error in a line is not installed. Notes about lines
/// that may surprise go to standard error.
///
/// FILE, or standard input (-), replaces the table. Standard input is the
/// default if it is not a terminal.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("operation").args(["file", "list", "edit", "remove"]),
    override_usage = "\
taskq crontab [-n] [FILE|-]
       taskq crontab -l|-e|-r [-i]",
    after_help = "\
Examples:
  taskq crontab my.crontab
  (taskq crontab -l; echo '15 3 * * * backup') | taskq crontab -"
)]
pub struct CrontabArgs {
    /// The new table, -: standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,

    /// Print the table
    #[arg(short = 'l')]
    pub list: bool,

    /// Edit the table with $VISUAL or $EDITOR, and install it
    ///
    /// A table with errors may be edited again.
    #[arg(short = 'e', verbatim_doc_comment)]
    pub edit: bool,

    /// Remove the table and end its jobs; asks on a terminal
    ///
    /// Running jobs continue. The text is kept in the store's directory
    /// as crontab.removed.
    #[arg(short = 'r', verbatim_doc_comment)]
    pub remove: bool,

    /// Ask before removing, even without a terminal
    #[arg(short = 'i')]
    pub ask: bool,

    /// Check the new table, and install nothing
    #[arg(short = 'n', conflicts_with_all = ["list", "edit", "remove"])]
    pub check: bool,

    /// Only your own name is accepted: a store has one user
    #[arg(short = 'u', value_name = "USER")]
    pub user: Option<String>,
}

/// Does what crontab(1) does.
pub fn run(context: &Context<'_>, args: &CrontabArgs) -> Result<u8> {
    if let Some(user) = args.user.as_ref().filter(|user| **user != users::person(None).name) {
        return Err(Error::not_found(
            format!("use the crontab of `{user}`"),
            "this store has the jobs of another user",
        )
        .hint(format!("as root: `su {user} -c 'taskq crontab …'`")));
    }
    if args.list {
        return list(context);
    }
    if args.edit {
        return edit_table(context);
    }
    if args.remove {
        return remove_table(context, args.ask);
    }
    let file = match &args.file {
        Some(file) => file.as_path(),
        None if context.output.streams().stdin_is_terminal => {
            return Err(Error::usage(INSTALL, "no file is named, and standard input is a terminal")
                .hint("name a file, or `-l`, `-e`, `-r`"));
        }
        None => Path::new("-"),
    };
    let source = user_table(file, &format!("{INSTALL} `{}`", file.display()))?;
    let shown = file.display().to_string();
    if args.check {
        return check(context, &source.text, &shown);
    }
    Ok(match install(context, &source.text, &shown, None)? {
        Installed::Stored => 0,
        Installed::Refused | Installed::Overtaken => 1,
    })
}

fn stored(context: &Context<'_>) -> Result<Option<CrontabView>> {
    const WHAT: &str = "read crontab";
    if !context.has_store(WHAT)? {
        return Ok(None);
    }
    context.read(WHAT, |reader| Ok(reader.crontab(OWN)?))
}

fn none_there(context: &Context<'_>) -> u8 {
    context.output.talk(&format!("no crontab for {}", users::person(None).name));
    1
}

/// A table that was imported from a file is not the one that crontab(1) prints, but may be meant.
fn tell_of_others(context: &Context<'_>) -> Result<()> {
    let tables = context.read("list crontabs", stored_tables)?;
    if let Some(others) = others_sentence(&tables) {
        context.output.talk(&shown::escaped(&format!("{others}; see `taskq import crontab --list`")));
    }
    Ok(())
}

fn list(context: &Context<'_>) -> Result<u8> {
    context.need_store("list crontab")?;
    let Some(table) = stored(context)? else {
        let status = none_there(context);
        tell_of_others(context)?;
        return Ok(status);
    };
    context.output.answer_bytes(&table.text)?;
    if context.output.streams().stderr_is_terminal {
        tell_of_others(context)?;
    }
    Ok(0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installed {
    Stored,
    /// A line has an error.
    Refused,
    /// Another table was installed meanwhile.
    Overtaken,
}

/// The new table is read for the same cron as the installed one.
fn import_context(context: &Context<'_>) -> Result<ImportContext> {
    let origin = stored(context)?.map(|table| table.origin);
    Ok(ImportContext::of_process(context.now(), system_zone().0, origin))
}

/// Installs a table; errors call it `shown`. With `before`, only if that is still the installed text.
fn install(
    context: &Context<'_>,
    text: &[u8],
    shown: &str,
    before: Option<Option<&[u8]>>,
) -> Result<Installed> {
    let here = import_context(context)?;
    let lines = read_table(text, Layout::User, None, &here);
    if complain(context, &lines, shown, &here) {
        return Ok(Installed::Refused);
    }
    let stored = context.write(INSTALL, |writer| {
        let old = writer.crontab(OWN)?.map(|table| table.text);
        if before.is_some_and(|before| before != old.as_deref()) {
            return Ok(None);
        }
        let mut diff = diff(writer, OWN, &lines)?;
        store(
            writer,
            &NewTable { source: OWN, origin: here.origin, text, lines: &lines },
            &mut diff,
            here.now,
        )?;
        let report = table_report(shown, &lines, &diff, true, &here);
        Ok::<_, Failure>(Some((old.unwrap_or_default(), report, doubles(writer, OWN, &lines)?)))
    })?;
    let Some((old, report, doubles)) = stored else { return Ok(Installed::Overtaken) };
    // The notes about the old lines were printed when those were installed.
    let old: HashSet<&[u8]> = crontab::lines(&old).map(|line| line.text).collect();
    let (zone, _) = context.zone(INSTALL)?;
    for sentence in report.sentences(&zone, |number| !old.contains(lines[number - 1].finding.line.text)) {
        context.output.talk(&sentence);
    }
    for double in doubles {
        context.output.talk(&shown::escaped(&double.sentence("taskq crontab -l", true)));
    }
    Ok(Installed::Stored)
}

/// Reports the refused lines. Returns whether there are any.
fn complain(context: &Context<'_>, lines: &[TableLine<'_>], shown: &str, here: &ImportContext) -> bool {
    if !lines.iter().any(TableLine::is_refused) {
        return false;
    }
    let report = table_report(shown, lines, &Diff::of_new(lines), false, here);
    for (line, reason) in report.refused_lines() {
        context.output.talk(&shown::escaped(&format!("\"{shown}\":{line}: {reason}")));
    }
    context.output.talk("errors in crontab file, can't install.");
    true
}

fn check(context: &Context<'_>, text: &[u8], shown: &str) -> Result<u8> {
    let here = import_context(context)?;
    if complain(context, &read_table(text, Layout::User, None, &here), shown, &here) {
        return Ok(1);
    }
    context.output.talk("The syntax of the crontab file was successfully checked.");
    Ok(0)
}

fn remove_table(context: &Context<'_>, must_ask: bool) -> Result<u8> {
    context.need_store("remove crontab")?;
    if stored(context)?.is_none() {
        return Ok(none_there(context));
    }
    let streams = context.output.streams();
    if streams.stdin_is_terminal || must_ask {
        let question = format!("crontab: really delete {}'s crontab? (y/n) ", users::person(None).name);
        if !ask(context, &question)? {
            return Ok(0);
        }
    }
    let kept = remove_stored(context, "remove crontab", |_| Ok(OWN.to_owned()))?;
    if let Some(kept) = kept {
        context.output.confirm(&format!("the table is kept in `{}`", kept.display()));
    }
    Ok(0)
}

/// Asks on standard output, as crontab(1) does.
fn ask(context: &Context<'_>, question: &str) -> Result<bool> {
    is_confirmed(context.output, question, |question| context.output.answer_bytes(question.as_bytes()))
}

fn edit_table(context: &Context<'_>) -> Result<u8> {
    const WHAT: &str = "edit crontab";
    let failure = |error: io::Error| Error::io(WHAT, &error);
    let before = stored(context)?.map(|table| table.text);
    if before.is_none() {
        context.output.talk(&format!("no crontab for {} - using an empty one", users::person(None).name));
        // The edit needs the store's directory.
        context.open(WHAT)?;
    }
    // The process id alone may be that of an edit that was left.
    let dir = context.dir.join(format!("edit-{}-{}", std::process::id(), context.now().as_micros()));
    fs::DirBuilder::new().mode(0o700).create(&dir).map_err(failure)?;
    let file = dir.join("crontab");
    let begun = before.as_deref().unwrap_or(TEMPLATE);
    let edited = write_private(&file, begun)
        .map_err(failure)
        .and_then(|()| edit_until_good(context, &file, begun, before.as_deref()));
    let is_kept = match &edited {
        Ok((_, is_kept)) => *is_kept,
        // Never delete somebody's edits because of an error.
        Err(_) => fs::read(&file).is_ok_and(|text| text != begun),
    };
    if is_kept {
        context.output.talk(&format!("crontab: edits left in {}", file.display()));
    } else {
        let _ = fs::remove_dir_all(&dir);
    }
    edited.map(|(status, _)| status)
}

/// Runs the editor until the table is installed, unchanged or given up. Returns the exit status, and whether
/// to keep the edited file.
fn edit_until_good(
    context: &Context<'_>,
    file: &Path,
    begun: &[u8],
    before: Option<&[u8]>,
) -> Result<(u8, bool)> {
    let editor = env::editor();
    let failure = |error: io::Error| Error::io("edit crontab", &error);
    loop {
        let status = edit(&editor, file).map_err(failure)?;
        if status != 0 {
            context.output.talk(&format!("crontab: \"{}\" exited with status {status}", editor.display()));
            return Ok((1, false));
        }
        let text = fs::read(file).map_err(failure)?;
        if text == begun {
            context.output.talk("No modification made");
            return Ok((0, false));
        }
        context.output.talk("crontab: installing new crontab");
        match install(context, &text, &file.display().to_string(), Some(before))? {
            Installed::Stored => return Ok((0, false)),
            Installed::Overtaken => {
                context.output.talk("another crontab was installed meanwhile, can't install.");
                return Ok((1, true));
            }
            Installed::Refused if ask(context, "Do you want to retry the same edit? (y/n) ")? => {}
            Installed::Refused => return Ok((1, true)),
        }
    }
}
