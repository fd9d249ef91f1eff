//! Owns: the syntax of a file: TOML, its tables, and each key with its place.
//! Never: what the keys mean.

use std::ops::Range;

use serde_json::{Number, Value};
use strsim::damerau_levenshtein;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Error};

use super::problem::Problem;

/// The keys whose value may be a date of TOML.
const OF_TIMES: [&str; 4] = ["at", "start", "until", "anchor"];

const DEFAULTS: &str = "defaults";
const JOBS: &str = "jobs";

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FileKey {
    pub key: String,
    pub value: Value,
    /// Where the key is.
    pub key_at: usize,
    /// Where the value is.
    pub at: usize,
    /// Of a list, where each of its parts is.
    pub parts_at: Vec<usize>,
}

/// A table of a job, or of the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FileTable {
    pub name: String,
    /// Where its name is.
    pub at: usize,
    /// In the order of the file.
    pub keys: Vec<FileKey>,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub defaults: Option<FileTable>,
    /// In the order of the file.
    pub jobs: Vec<FileTable>,
    /// The names of jobs with an error of the syntax.
    pub broken: Vec<String>,
}

/// Reads the tables of a file. A job with an error of the syntax in it is left out.
pub(super) fn tables(text: &str, problems: &mut Vec<Problem>) -> Tables {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut tables = Tables::default();
    let is_after_error = |key: &Spanned<DeString<'_>>| {
        let starts = errors.iter().filter_map(Error::span).map(|span| span.start);
        starts.min().is_some_and(|first| first < key.span().start)
    };
    for (key, value) in in_order(root.get_ref()) {
        match (key.get_ref().as_ref(), value.get_ref()) {
            (DEFAULTS, DeValue::Table(table)) => tables.defaults = Some(file_table(key, table, problems)),
            (JOBS, DeValue::Table(jobs)) => {
                for (name, value) in in_order(jobs) {
                    match value.get_ref() {
                        DeValue::Table(job) => tables.jobs.push(file_table(name, job, problems)),
                        _ => problems.push(not_a_table(name, &format!("{JOBS}.{}", name.get_ref()))),
                    }
                }
            }
            (DEFAULTS, _) => problems.push(not_a_table(key, DEFAULTS)),
            (JOBS, _) => {
                let cause = "`jobs` is not a table: a job is `[jobs.NAME]`";
                problems.push(Problem::new(key.span().start, cause));
            }
            // It may be a key of a table whose head is broken.
            (_, value) if !value.is_table() && is_after_error(key) => {}
            (other, _) => problems.push(unknown_table(other, key.span().start)),
        }
    }
    if !errors.is_empty() {
        leave_out_broken(&mut tables, &errors);
        problems.extend(syntax_problems(text, errors));
    }
    tables
}

/// Leaves out the tables with errors of the syntax: what else is wrong there may follow from these.
fn leave_out_broken(tables: &mut Tables, errors: &[Error]) {
    let heads = tables.jobs.iter().chain(&tables.defaults).map(|table| table.at);
    let heads: Vec<usize> = heads.collect();
    let starts = errors.iter().map(|error| error.span().map_or(usize::MAX, |span| span.start));
    let broken: Vec<usize> =
        starts.filter_map(|start| heads.iter().copied().filter(|head| *head <= start).max()).collect();
    // Without its defaults, each job may lack something.
    let lacks_defaults = tables.defaults.as_ref().is_some_and(|defaults| broken.contains(&defaults.at));
    let is_broken = |job: &mut FileTable| lacks_defaults || broken.contains(&job.at);
    tables.broken = tables.jobs.extract_if(.., is_broken).map(|job| job.name).collect();
}

fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(&'a Spanned<DeString<'i>>, &'a Spanned<DeValue<'i>>)> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

fn not_a_table(key: &Spanned<DeString<'_>>, name: &str) -> Problem {
    Problem::new(key.span().start, format!("`{name}` is not a table: write `[{name}]`"))
}

fn unknown_table(name: &str, at: usize) -> Problem {
    let cause = match nearest(name, [DEFAULTS, JOBS]) {
        Some(near) => format!("there is no table `{name}`; did you mean `{near}`?"),
        None => format!("there is no table `{name}`: a job is `[jobs.{name}]`, and there is `[defaults]`"),
    };
    Problem::new(at, cause)
}

/// Returns the word that another one is probably meant to be.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips_max = word.len().div_ceil(3);
    let near = known.into_iter().map(|known| (damerau_levenshtein(word, known), known));
    near.filter(|(slips, _)| *slips <= slips_max).min().map(|(_, near)| near)
}

/// Returns the errors of the syntax in our words. The second table of a job goes on where the first one ended
/// for the parser, so that its keys come twice too: that is not told.
fn syntax_problems(text: &str, mut errors: Vec<Error>) -> Vec<Problem> {
    let start = |error: &Error| error.span().map_or(text.len(), |span| span.start);
    errors.sort_by_key(start);
    let mut problems = Vec::new();
    let mut second: Option<usize> = None;
    for error in errors {
        let span: Range<usize> = error.span().unwrap_or(text.len()..text.len());
        let at = span.start;
        if error.message() != "duplicate key" {
            problems.push(Problem::new(at, error.message().replace('\n', " ")));
            continue;
        }
        let key = text.get(span).unwrap_or_default();
        let line = text[..at].rsplit('\n').next().unwrap_or_default().trim_start();
        if line.strip_prefix('[').is_some_and(|line| line.trim_start().starts_with(JOBS)) {
            problems.push(Problem::new(at, format!("there is another job `{key}` above")));
            second = Some(at);
        } else if second.is_none_or(|second| text[second..at].contains("\n[")) {
            problems.push(Problem::new(at, format!("the key `{key}` comes twice")));
        }
    }
    problems
}

fn file_table(name: &Spanned<DeString<'_>>, table: &DeTable<'_>, problems: &mut Vec<Problem>) -> FileTable {
    let mut keys = Vec::with_capacity(table.len());
    for (key, value) in in_order(table) {
        let parts_at = match value.get_ref() {
            DeValue::Array(parts) => parts.iter().map(|part| part.span().start).collect(),
            _ => Vec::new(),
        };
        match json(value.get_ref(), OF_TIMES.contains(&key.get_ref().as_ref())) {
            Ok(json) => keys.push(FileKey {
                key: key.get_ref().as_ref().to_owned(),
                value: json,
                key_at: key.span().start,
                at: value.span().start,
                parts_at,
            }),
            Err(what) => {
                let cause = format!("`{}` does not take {what}", key.get_ref());
                problems.push(Problem::new(value.span().start, cause));
            }
        }
    }
    FileTable { name: name.get_ref().as_ref().to_owned(), at: name.span().start, keys }
}

/// Returns a value as JSON has it, as `add --from` takes it. A date is a text there.
fn json(value: &DeValue<'_>, takes_dates: bool) -> Result<Value, &'static str> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.as_ref().to_owned()),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            Value::from(number.map_err(|_| "so large a number")?)
        }
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            Value::Number(number.ok_or("such a number")?)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) if takes_dates => Value::String(date.to_string()),
        DeValue::Datetime(_) => return Err("a date"),
        DeValue::Array(parts) => {
            let parts = parts.iter().map(|part| json(part.get_ref(), takes_dates));
            Value::Array(parts.collect::<Result<_, _>>()?)
        }
        DeValue::Table(_) => return Err("a table"),
    })
}
