//! Owns: whole tables against `crontab -n` of Debian's cron and `crontab -T` of cronie, and the corpus
//! against its measured answers. A cron accepts a table exactly if we find nothing that it refuses, and its
//! first error is in the line of our first one.
//! Never: the meaning of a table.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use taskq::crontab::{Finding, Layout, Line, Options, Syntax, Verdict, lines, read};
use taskq::schedule::Dialect;
use tempfile::NamedTempFile;

use super::random::Random;
use super::shared::{has, note, setting};
use super::{check, has_crontab, run, times};

const TABLES: usize = 2_400;

/// Debian's cron reads no more bytes of an assignment.
const ASSIGNMENT_MAX: usize = 998;

/// Users of every Debian.
const USERS: [&[u8]; 5] = [b"root", b"daemon", b"nobody", b"www-data", b"backup"];

/// Tables in one call: cronie accepts 1,000 assignments, and Debian's cron 10,000 lines.
const TABLES_AT_ONCE: usize = 1_000;

/// The first line that a cron refuses, from 1, with its words if we know them.
#[derive(Debug)]
struct Refusal {
    line: usize,
    what: Option<String>,
}

fn refusal_of(finding: &Finding<'_>, origin: Dialect) -> Option<Refusal> {
    let line = finding.line.number;
    let what = finding.notes.iter().find_map(|note| note.refusal_by(origin)).map(str::to_owned);
    let is_refused = matches!(finding.verdict, Verdict::Refused { .. });
    (is_refused || what.is_some()).then_some(Refusal { line, what })
}

fn first_refusal(table: &[u8], origin: Dialect, layout: Layout) -> Option<Refusal> {
    let options = Options { origin, layout, host: 0, knows_user: &|name| USERS.contains(&name) };
    read(table, &options).iter().find_map(|finding| refusal_of(finding, origin))
}

/// Returns whether the table has a line that we read differently from its cron on purpose.
fn has_a_line_apart(table: &[u8], origin: Dialect) -> bool {
    lines(table).any(|line| {
        has_nul_that_counts(&line, origin)
            || ends_with_an_opening_quote(&line, origin)
            || origin == Dialect::Cronie && (sets_zone(&line) || line.text.contains(&b'~'))
    })
}

/// cronie reads a bad zone as UTC, and accepts `~` up to a number outside the field if its draw falls inside.
/// We refuse both.
fn sets_zone(line: &Line<'_>) -> bool {
    let syntax = line.syntax(Dialect::Cronie, Layout::User);
    matches!(syntax, Syntax::Assignment(variable) if variable.name == b"CRON_TZ")
}

/// The crons read a NUL as the end of a line, and the rest as another line. We refuse it.
fn has_nul_that_counts(line: &Line<'_>, origin: Dialect) -> bool {
    line.text.contains(&0) && line.syntax(origin, Layout::User) != Syntax::Nothing
}

/// After a quote that opens and ends its line, the crons read on in the rest of the line before.
fn ends_with_an_opening_quote(line: &Line<'_>, origin: Dialect) -> bool {
    let blanks = line.text.iter().take_while(|byte| b" \t".contains(byte)).count();
    let text = &line.text[blanks..];
    let length = if origin == Dialect::Debian { text.len().min(ASSIGNMENT_MAX) } else { text.len() };
    let Some((b'"' | b'\'', before)) = text[..length].split_last() else { return false };
    // With another character in place of the quote it is an assignment of that character.
    let instead = [before, b"x"].concat();
    let syntax = Line { text: &instead, ..*line }.syntax(origin, Layout::User);
    before.is_empty() || matches!(syntax, Syntax::Assignment(variable) if variable.value == b"x")
}

/// Returns the difference between the first error of `crontab -n` and ours.
fn difference(error: &str, ours: &Refusal) -> Option<String> {
    if error.starts_with("new crontab file is missing newline") || error.ends_with(": premature EOF") {
        // cron reports it at the end of the file, while we may have found another error in that line.
        return None;
    }
    let error = error.strip_prefix("\"-\":").unwrap_or(error);
    let (number, what) = error.split_once(": ").unwrap_or((error, ""));
    // An error inside a line comes before its newline is counted.
    let is_there = number.parse().is_ok_and(|number: usize| (number..=number + 1).contains(&ours.line));
    let is_same = ours.what.as_ref().is_none_or(|ours| ours == what);
    (!is_there || !is_same).then(|| format!("cron reports {error:?}, and we {ours:?}"))
}

/// A cron on this machine.
#[derive(Clone, Copy)]
struct Peer {
    dialect: Dialect,
    /// Checks a table. The error is the first that the cron reports.
    check: fn(&[u8]) -> Result<(), String>,
}

#[test]
fn debians_crontab_accepts_a_table_exactly_if_we_find_nothing_that_it_refuses() {
    if has_crontab() {
        agree(Peer { dialect: Dialect::Debian, check });
    }
}

#[test]
fn cronies_crontab_accepts_a_table_exactly_if_we_find_nothing_that_it_refuses() {
    let version = run(&cronie(), &["-V"], b"")
        .map(|output| [output.stdout, output.stderr].concat())
        .unwrap_or_default();
    if has("cronie", version.starts_with(b"cronie") && check_cronie(b"* * * * * x\n") == Ok(())) {
        agree(Peer { dialect: Dialect::Cronie, check: check_cronie });
    }
}

fn cronie() -> String {
    setting("TASKQ_CRONIE").unwrap_or_else(|| "crontab".to_owned())
}

/// Calls `crontab -T`, which seeks in its input and so needs a file.
fn check_cronie(table: &[u8]) -> Result<(), String> {
    let mut file = NamedTempFile::new().map_err(|error| error.to_string())?;
    file.write_all(table).map_err(|error| error.to_string())?;
    let path = file.path().to_str().expect("it has a plain name");
    let output = run(&cronie(), &["-T", path], b"").ok_or("there is no crontab")?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr).replace(path, "-");
    Err(errors.lines().find(|line| !line.starts_with("Warning: ")).unwrap_or_default().to_owned())
}

fn agree(peer: Peer) {
    // A longer run tries other tables, too.
    let mut random = Random(2 + times() as u64);
    let real = real_lines();
    let (mut accepted, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..TABLES * times() {
        let table = random.odd_table(&real);
        match first_refusal(&table, peer.dialect, Layout::User) {
            None if table.is_empty() || table.ends_with(b"\n") => accepted.push(table),
            Some(_) if has_a_line_apart(&table, peer.dialect) => {}
            refusal => alone.push((table, refusal)),
        }
    }
    assert!(accepted.len() > TABLES / 4 && alone.len() > TABLES / 4, "both kinds are tried");
    let mut differences: Vec<String> =
        accepted.chunks(TABLES_AT_ONCE).filter_map(|tables| refused_one(peer, tables)).collect();
    differences.extend(thread::scope(|scope| {
        let parts = alone.chunks(alone.len().div_ceil(4));
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || compare(peer, part))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("it only compares")).collect::<Vec<_>>()
    }));
    note(&format!("{}: {} accepted at once, {} alone", peer.dialect.as_str(), accepted.len(), alone.len()));
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(40)].join("\n"));
}

/// Returns the lines of the user tables in the corpus.
fn real_lines() -> Vec<Vec<u8>> {
    let files = fs::read_dir(corpus().join("user")).expect("it is there");
    let mut paths: Vec<_> = files.map(|file| file.expect("it is listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "crontab"));
    paths.sort();
    let tables = paths.iter().map(|path| fs::read(path).expect("it is a file"));
    tables.flat_map(|table| lines(&table).map(|line| line.text.to_vec()).collect::<Vec<_>>()).collect()
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Checks all tables that we accept in one call. Returns the first that is refused.
fn refused_one(peer: Peer, tables: &[Vec<u8>]) -> Option<String> {
    let first = (peer.check)(&tables.concat()).err()?;
    let alone = tables.iter().find_map(|table| Some((table, (peer.check)(table).err()?)));
    let (table, error) =
        alone.map_or((String::new(), first), |(table, error)| (table.escape_ascii().to_string(), error));
    Some(format!("\"{table}\": cron reports {error:?}, and we accept it"))
}

/// Checks tables one by one: those that we refuse, and those that end without a newline.
fn compare(peer: Peer, part: &[(Vec<u8>, Option<Refusal>)]) -> Vec<String> {
    let differences = part.iter().filter_map(|(table, ours)| {
        let difference = match ((peer.check)(table), ours) {
            (Ok(()), None) => None,
            (Err(error), Some(ours)) => difference(&error, ours),
            (answer, ours) => Some(format!("cron reports {answer:?}, and we find {ours:?}")),
        };
        difference.map(|difference| format!("\"{}\": {difference}", table.escape_ascii()))
    });
    differences.collect()
}

#[test]
fn the_corpus_is_accepted_and_refused_as_by_debians_cron() {
    let verdicts = fs::read_to_string(corpus().join("debian.tsv")).expect("it is there");
    let mut differences = Vec::new();
    for verdict in verdicts.lines().skip(1) {
        let [file, verdict, text] = verdict.splitn(3, '\t').collect::<Vec<_>>()[..] else {
            panic!("{verdict}")
        };
        let table = fs::read(corpus().join(file)).expect("it is in the corpus");
        let layout = if file.starts_with("system/") { Layout::System } else { Layout::User };
        let difference = match (verdict, first_refusal(&table, Dialect::Debian, layout)) {
            ("accepted", None) => None,
            ("refused", Some(ours)) if layout == Layout::User => difference(text, &ours),
            // The log of the daemon has no line numbers.
            ("refused", Some(_)) => None,
            (verdict, ours) => Some(format!("it is {verdict} by Debian, and we find {ours:?}")),
        };
        differences.extend(difference.map(|difference| format!("{file}: {difference}")));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
