//! Owns: `taskq man`: manual pages from the definitions of the options and from hand-written sections.
//! Never: the definitions.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::{Arg, Args, Command, ValueHint};
use clap_mangen::Man;

use super::completions::visible;
use crate::cli::context::Context;
use crate::error::{Error, Result};

pub const WHAT: &str = "write manual pages";

/// Write the manual pages to DIR, or print taskq(1)
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write taskq.1, taskq-add.1 and the others here
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub target: Option<PathBuf>,
}

/// The date at the end of the pages: of the last change that a reader would notice.
const DATE: &str = "2026-12-01";

/// The glossary, which comes before everything that uses its words.
const TERMS: &str = include_str!("terms.roff");

const SECTIONS: &str = concat!(include_str!("taskq.roff"), include_str!("json.roff"));

/// The rules by which something starts before something else.
const SCHEDULING: &str = include_str!("scheduling.roff");

/// The types of executors, and what runs there can rely on.
const EXECUTORS: &str = include_str!("executors.roff");

/// Whole tasks, with the commands to paste; `tests/cli/recipes.rs` runs them.
const RECIPES: &str = include_str!("recipes.roff");

/// The longest line of a page's source, for linters and readable diffs.
const SOURCE_COLUMNS: usize = 79;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its file, `taskq-add.1`.
    pub file: String,
    /// Its source, in man(7).
    pub text: String,
}

/// Returns all pages: taskq(1) first, then one for each verb, then those of section 7.
pub fn pages(full: &Command) -> Vec<Page> {
    let mut taskq = visible(full);
    taskq.build();
    let mut pages = vec![page(&taskq)];
    pages.extend(taskq.get_subcommands().map(page));
    let see = &["executor(1)", "add(1)", "why(1)", "scheduling(7)"];
    pages.push(written("executors", EXECUTORS, see));
    pages.push(written("recipes", RECIPES, &["add(1)", "apply(1)", "crontab(1)", "scheduling(7)", "why(1)"]));
    pages.push(written(
        "scheduling",
        SCHEDULING,
        &["add(1)", "queue(1)", "resource(1)", "set(1)", "why(1)", "recipes(7)"],
    ));
    pages
}

/// Returns a page of section 7, which no definition makes: its subject, its text, and the pages to see also.
fn written(subject: &str, text: &str, see: &[&str]) -> Page {
    let title = subject.to_uppercase();
    let version = env!("CARGO_PKG_VERSION");
    let head = format!(".TH TASKQ-{title} 7 {DATE} \"taskq {version}\" \"Miscellaneous\"\n");
    let see: Vec<String> =
        see.iter().map(|page| format!(".BR taskq\\-{}", page.replace('(', " ("))).collect();
    let see = format!(".SH \"SEE ALSO\"\n{}\n", see.join(",\n"));
    Page { file: format!("taskq-{subject}.7"), text: tidy(&format!("{head}{text}{see}")) }
}

fn page(command: &Command) -> Page {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let is_taskq = name == "taskq";
    let shown = if is_taskq { command.clone() } else { without_globals(command) };
    let man = Man::new(shown)
        .title(name.to_uppercase())
        .date(DATE)
        .source(format!("taskq {}", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut text = rendered(&man, is_taskq);
    if is_taskq {
        text.push_str(SECTIONS);
    } else {
        command.get_subcommands().for_each(|verb| push_nested(verb, &mut text));
    }
    push_examples(command, &mut text);
    text.push_str(".SH \"SEE ALSO\"\n");
    text.push_str(match name.as_str() {
        "taskq" => SEE_OTHERS,
        "taskq-add" | "taskq-set" => SEE_SECTION_7,
        _ => "",
    });
    text.push_str(if is_taskq { ".BR cron (8)\n" } else { SEE_TASKQ });
    Page { file: format!("{name}.1"), text: tidy(&text) }
}

const SEE_OTHERS: &str = concat!(
    ".BR at (1),\n.BR crontab (1),\n.BR crontab (5),\n",
    ".BR taskq\\-recipes (7),\n.BR taskq\\-scheduling (7),\n"
);

const SEE_SECTION_7: &str = ".BR taskq\\-recipes (7),\n.BR taskq\\-scheduling (7),\n";

const SEE_TASKQ: &str =
    ".BR taskq (1)\nfor \\-\\-dir, \\-\\-color, times, spans, JSON, exit status, environment and files\n";

/// Hides the options of all verbs, which taskq(1) describes once.
fn without_globals(command: &Command) -> Command {
    let hide = |arg: Arg| {
        let hidden = arg.is_hide_set() || matches!(arg.get_id().as_str(), "dir" | "color");
        arg.hide(hidden)
    };
    command.clone().mut_args(hide)
}

fn rendered(man: &Man, lists_verbs: bool) -> String {
    let mut text = Vec::new();
    let render = |text: &mut Vec<u8>| -> io::Result<()> {
        man.render_title(text)?;
        man.render_name_section(text)?;
        man.render_synopsis_section(text)?;
        man.render_description_section(text)?;
        if lists_verbs {
            text.extend(TERMS.as_bytes());
            man.render_subcommands_section(text)?;
        }
        man.render_options_section(text)
    };
    render(&mut text).expect("a Vec takes all");
    let text = String::from_utf8(text).expect("made of texts");
    // The first paragraph of the description repeats the line under NAME.
    match text.split_once(".SH DESCRIPTION\n").map(|(before, after)| (before, after.split_once(".PP\n"))) {
        Some((before, Some((about, rest)))) if about.lines().count() == 1 => {
            format!("{before}.SH DESCRIPTION\n{rest}")
        }
        Some(_) | None => text,
    }
    .replace(".SH SUBCOMMANDS\n", ".SH COMMANDS\n")
}

/// Adds a section for a nested verb such as `taskq queue set`, which has no page.
fn push_nested(verb: &Command, text: &mut String) {
    let name = verb.get_bin_name().unwrap_or_else(|| verb.get_name());
    let mut description = Vec::new();
    Man::new(verb.clone()).render_description_section(&mut description).expect("a Vec takes all");
    let description = String::from_utf8(description).expect("made of texts");
    let description = description.replace(".SH DESCRIPTION\n", "");
    writeln!(text, ".SH \"{}\"\n{description}", name.to_uppercase()).expect("a String takes all");
    let own = verb.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help").cloned();
    let own = Command::new("options").disable_help_flag(true).args(own);
    if own.get_arguments().next().is_some() {
        let mut options = Vec::new();
        Man::new(own).render_options_section(&mut options).expect("a Vec takes all");
        let options = String::from_utf8(options).expect("made of texts");
        text.push_str(&options.replace(".SH OPTIONS\n", ""));
    }
}

/// Turns the `Examples:` after a help text into a section.
fn push_examples(command: &Command, text: &mut String) {
    let after = |command: &Command| command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let nested = if command.get_name() == "taskq" {
        Vec::new()
    } else {
        command.get_subcommands().map(after).collect()
    };
    let all = std::iter::once(after(command)).chain(nested).collect::<Vec<_>>().join("\n");
    let mut examples: Vec<&str> = Vec::new();
    for example in all.lines().filter_map(|line| line.strip_prefix("  ")) {
        if !examples.contains(&example) {
            examples.push(example);
        }
    }
    text.push_str(".SH EXAMPLES\n.nf\n");
    for line in examples {
        text.push_str(&line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq"));
        text.push('\n');
    }
    text.push_str(".fi\n");
}

/// Removes the generator's preamble before each section, blanks at the ends of lines, and angle brackets
/// around italics; breaks long lines.
fn tidy(text: &str) -> String {
    let is_preamble = |line: &str| line.starts_with(".ie \\n(.g") || line.starts_with(".el .ds Aq");
    let mut tidy = String::with_capacity(text.len());
    let mut verbatim = false;
    for (index, line) in text.lines().enumerate() {
        if is_preamble(line) && index > 1 {
            continue;
        }
        verbatim = (verbatim || line == ".nf") && line != ".fi";
        let line = line.trim_end().replace("\\fI<", "\\fI").replace(">\\fR", "\\fR");
        let line = if line.is_empty() { ".sp".to_owned() } else { line };
        if verbatim || line.starts_with('.') {
            tidy.push_str(&line);
        } else {
            push_filled(&line, &mut tidy);
        }
        tidy.push('\n');
    }
    tidy
}

/// Adds a line of text as lines that are not too long; a formatter joins them again.
fn push_filled(line: &str, out: &mut String) {
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        // A line with such a first character would be a request.
        let may_begin = !word.starts_with(['.', '\'']);
        if used + word.trim_end().len() > SOURCE_COLUMNS && used > 0 && may_begin {
            out.truncate(out.trim_end().len());
            out.push('\n');
            used = 0;
        }
        out.push_str(word);
        used += word.len();
    }
}

fn write_pages(full: &Command, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    pages(full).iter().try_for_each(|page| fs::write(dir.join(&page.file), &page.text))
}

/// Writes the pages of the command line `full`, or prints the first.
pub fn run(context: &Context<'_>, args: &ManArgs, full: &Command) -> Result<u8> {
    match &args.target {
        Some(dir) => {
            write_pages(full, dir)
                .map_err(|error| Error::io(format!("write `{}`", dir.display()), &error))?;
        }
        None => context.output.answer(&pages(full)[0].text)?,
    }
    Ok(0)
}
