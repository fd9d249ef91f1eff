//! Owns: whole tables against `crontab -n` of Debian's cron and `crontab -T` of cronie, and the corpus
//! against what was measured of it: what a cron takes is what we find nothing in that it refuses, and its
//! first error is where our first one is.
//! Never: what a table means.

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

/// Debian's cron looks at so many bytes for an assignment.
const ASSIGNMENT_MAX: usize = 998;

/// Who there is on every Debian.
const USERS: [&[u8]; 5] = [b"root", b"daemon", b"nobody", b"www-data", b"backup"];

/// So many tables are asked about at once: cronie takes 1,000 assignments, and Debian's cron 10,000 lines.
const TABLES_AT_ONCE: usize = 1_000;

/// The first thing in a table that its cron refuses.
#[derive(Debug)]
struct Refusal {
    /// The line, from 1.
    line: usize,
    /// The cron's words, where we know them.
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

/// Tells whether a cron reads something else here than a file of lines, and we a line that is refused.
fn has_a_line_apart(table: &[u8], origin: Dialect) -> bool {
    lines(table).any(|line| {
        has_nul_that_counts(&line, origin)
            || ends_with_an_opening_quote(&line, origin)
            || origin == Dialect::Cronie && (sets_zone(&line) || line.text.contains(&b'~'))
    })
}

/// cronie takes what is no zone for UTC, and `~` up to a number outside the field if its draw falls inside.
/// We do not.
fn sets_zone(line: &Line<'_>) -> bool {
    let syntax = line.syntax(Dialect::Cronie, Layout::User);
    matches!(syntax, Syntax::Assignment(variable) if variable.name == b"CRON_TZ")
}

/// The crons take a NUL for the end of a line: what stands behind it is another line. We take it for no text.
fn has_nul_that_counts(line: &Line<'_>, origin: Dialect) -> bool {
    line.text.contains(&0) && line.syntax(origin, Layout::User) != Syntax::Nothing
}

/// Behind a quote that opens and ends its line, the crons read on in what is left of the line before.
fn ends_with_an_opening_quote(line: &Line<'_>, origin: Dialect) -> bool {
    let blanks = line.text.iter().take_while(|byte| b" \t".contains(byte)).count();
    let text = &line.text[blanks..];
    let length = if origin == Dialect::Debian { text.len().min(ASSIGNMENT_MAX) } else { text.len() };
    let Some((b'"' | b'\'', before)) = text[..length].split_last() else { return false };
    // With something in the place of the quote it is an assignment of just that.
    let instead = [before, b"x"].concat();
    let syntax = Line { text: &instead, ..*line }.syntax(origin, Layout::User);
    before.is_empty() || matches!(syntax, Syntax::Assignment(variable) if variable.value == b"x")
}

/// Returns how the first error of `crontab -n` differs from ours.
fn difference(told: &str, ours: &Refusal) -> Option<String> {
    if told.starts_with("new crontab file is missing newline") || told.ends_with(": premature EOF") {
        // It is told as soon as the end is met, and we may have found another thing in that line.
        return None;
    }
    let told = told.strip_prefix("\"-\":").unwrap_or(told);
    let (number, what) = told.split_once(": ").unwrap_or((told, ""));
    // An error inside a line comes before its newline is counted.
    let is_there = number.parse().is_ok_and(|number: usize| (number..=number + 1).contains(&ours.line));
    let is_same = ours.what.as_ref().is_none_or(|ours| ours == what);
    (!is_there || !is_same).then(|| format!("it says {told:?}, we {ours:?}"))
}

/// A cron that can be asked.
#[derive(Clone, Copy)]
struct Peer {
    dialect: Dialect,
    /// Asks about a table; the error is the first that it tells.
    check: fn(&[u8]) -> Result<(), String>,
}

#[test]
fn debians_crontab_takes_a_table_exactly_when_we_find_nothing_that_it_refuses() {
    if has_crontab() {
        agree(Peer { dialect: Dialect::Debian, check });
    }
}

#[test]
fn cronies_crontab_takes_a_table_exactly_when_we_find_nothing_that_it_refuses() {
    let said = run(&cronie(), &["-V"], b"");
    let version = said.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    if has("cronie", version.starts_with(b"cronie") && check_cronie(b"* * * * * x\n") == Ok(())) {
        agree(Peer { dialect: Dialect::Cronie, check: check_cronie });
    }
}

fn cronie() -> String {
    setting("TASKQ_CRONIE").unwrap_or_else(|| "crontab".to_owned())
}

/// Asks `crontab -T`, which has to go back in what it reads, and so takes no pipe.
fn check_cronie(table: &[u8]) -> Result<(), String> {
    let mut file = NamedTempFile::new().map_err(|error| error.to_string())?;
    file.write_all(table).map_err(|error| error.to_string())?;
    let path = file.path().to_str().expect("it has a plain name");
    let output = run(&cronie(), &["-T", path], b"").ok_or("there is no crontab")?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr).replace(path, "-");
    Err(told.lines().find(|line| !line.starts_with("Warning: ")).unwrap_or_default().to_owned())
}

fn agree(peer: Peer) {
    // A longer run tries others, too.
    let mut random = Random(2 + times() as u64);
    let real = real_lines();
    let (mut taken, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..TABLES * times() {
        let table = random.odd_table(&real);
        match first_refusal(&table, peer.dialect, Layout::User) {
            None if table.is_empty() || table.ends_with(b"\n") => taken.push(table),
            Some(_) if has_a_line_apart(&table, peer.dialect) => {}
            refusal => alone.push((table, refusal)),
        }
    }
    assert!(taken.len() > TABLES / 4 && alone.len() > TABLES / 4, "both kinds are tried");
    let mut differences: Vec<String> =
        taken.chunks(TABLES_AT_ONCE).filter_map(|tables| refused_one(peer, tables)).collect();
    differences.extend(thread::scope(|scope| {
        let parts = alone.chunks(alone.len().div_ceil(4));
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || compare(peer, part))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("it only compares")).collect::<Vec<_>>()
    }));
    note(&format!("{}: {} taken at once, {} alone", peer.dialect.as_str(), taken.len(), alone.len()));
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(40)].join("\n"));
}

/// Returns the lines of the corpus's tables of users.
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

/// Asks about tables that we take, all at once; returns the first that is refused.
fn refused_one(peer: Peer, tables: &[Vec<u8>]) -> Option<String> {
    let first = (peer.check)(&tables.concat()).err()?;
    let alone = tables.iter().find_map(|table| Some((table, (peer.check)(table).err()?)));
    let (table, told) =
        alone.map_or((String::new(), first), |(table, told)| (table.escape_ascii().to_string(), told));
    Some(format!("\"{table}\": it says {told:?}, and we take it"))
}

/// Asks about tables one by one: those that we refuse, and those that end without a newline.
fn compare(peer: Peer, part: &[(Vec<u8>, Option<Refusal>)]) -> Vec<String> {
    let differences = part.iter().filter_map(|(table, ours)| {
        let difference = match ((peer.check)(table), ours) {
            (Ok(()), None) => None,
            (Err(told), Some(ours)) => difference(&told, ours),
            (told, ours) => Some(format!("it says {told:?}, and we find {ours:?}")),
        };
        difference.map(|difference| format!("\"{}\": {difference}", table.escape_ascii()))
    });
    differences.collect()
}

#[test]
fn the_corpus_is_taken_and_refused_as_debians_cron_did() {
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
