//! Owns: whole tables against `crontab -n`, and the corpus against what was measured of it: what Debian's cron takes is what we
//! find nothing in that it refuses, and its first error is where our first one is.
//! Never: what a table means.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use taskq::crontab::{Finding, Layout, Line, Note, Options, Syntax, Verdict, lines, read};
use taskq::schedule::Dialect;

use super::random::Random;
use super::{LINES_MAX, check, no_crontab, times};

const TABLES: usize = 2_400;

/// Debian's cron looks at so many bytes for an assignment.
const ASSIGNMENT_MAX: usize = 998;

/// Who there is on every Debian.
const USERS: [&[u8]; 5] = [b"root", b"daemon", b"nobody", b"www-data", b"backup"];

/// The first thing in a table that Debian's cron refuses.
#[derive(Debug)]
struct Refusal {
    /// The line, from 1.
    line: usize,
    /// Debian's words, where we know them.
    what: Option<String>,
}

fn refusal_of(finding: &Finding<'_>) -> Option<Refusal> {
    let line = finding.line.number;
    let what = finding.notes.iter().find_map(|note| match note {
        Note::RefusedBy { by: Dialect::Debian, what } => Some(what.clone()),
        _ => None,
    });
    let is_refused = matches!(finding.verdict, Verdict::Refused { .. });
    (is_refused || what.is_some()).then_some(Refusal { line, what })
}

fn first_refusal(table: &[u8], layout: Layout) -> Option<Refusal> {
    let options = Options { origin: Dialect::Debian, layout, host: 0, knows_user: &|name| USERS.contains(&name) };
    read(table, &options).iter().find_map(refusal_of)
}

/// Tells whether Debian's cron reads something else here than a file of lines, and we a line that is refused.
fn has_a_line_apart(table: &[u8]) -> bool {
    lines(table).any(|line| has_nul_that_counts(&line) || ends_with_an_opening_quote(&line))
}

/// Debian's cron takes a NUL for the end of a line: what stands behind it is another line. We take it for no text.
fn has_nul_that_counts(line: &Line<'_>) -> bool {
    line.text.contains(&0) && line.syntax(Dialect::Debian, Layout::User) != Syntax::Nothing
}

/// Behind a quote that opens and ends its line, Debian's cron reads on in what is left of the line before.
fn ends_with_an_opening_quote(line: &Line<'_>) -> bool {
    let blanks = line.text.iter().take_while(|byte| b" \t".contains(byte)).count();
    let text = &line.text[blanks..];
    let Some((b'"' | b'\'', before)) = text[..text.len().min(ASSIGNMENT_MAX)].split_last() else { return false };
    // With something in the place of the quote it is an assignment of just that.
    let instead = [before, b"x"].concat();
    let syntax = Line { text: &instead, ..*line }.syntax(Dialect::Debian, Layout::User);
    before.is_empty() || matches!(syntax, Syntax::Assignment { value, .. } if value == b"x")
}

/// Returns how the first error of `crontab -n` differs from ours.
fn difference(told: &str, ours: &Refusal) -> Option<String> {
    if told.starts_with("new crontab file is missing newline") {
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

#[test]
fn debians_crontab_takes_a_table_exactly_when_we_find_nothing_that_it_refuses() {
    if let Some(reason) = no_crontab() {
        eprintln!("skipped: {reason}");
        return;
    }
    let mut random = Random(3);
    let real = real_lines();
    let (mut taken, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..TABLES * times() {
        let table = random.odd_table(&real);
        match first_refusal(&table, Layout::User) {
            None if table.is_empty() || table.ends_with(b"\n") => taken.push(table),
            Some(_) if has_a_line_apart(&table) => {}
            refusal => alone.push((table, refusal)),
        }
    }
    assert!(taken.len() > TABLES / 4 && alone.len() > TABLES / 4, "both kinds are tried");
    let mut differences: Vec<String> = taken.chunks(LINES_MAX / 4).filter_map(refused_one).collect();
    differences.extend(thread::scope(|scope| {
        let parts: Vec<_> = alone.chunks(alone.len().div_ceil(4)).map(|part| scope.spawn(|| compare(part))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("it only compares")).collect::<Vec<_>>()
    }));
    println!("{} taken at once, {} alone", taken.len(), alone.len());
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
fn refused_one(tables: &[Vec<u8>]) -> Option<String> {
    let first = check(&tables.concat()).err()?;
    let alone = tables.iter().find_map(|table| Some((table, check(table).err()?)));
    let (table, told) = alone.map_or((String::new(), first), |(table, told)| (table.escape_ascii().to_string(), told));
    Some(format!("\"{table}\": it says {told:?}, and we take it"))
}

/// Asks about tables one by one: those that we refuse, and those that end without a newline.
fn compare(part: &[(Vec<u8>, Option<Refusal>)]) -> Vec<String> {
    let differences = part.iter().filter_map(|(table, ours)| {
        let difference = match (check(table), ours) {
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
        let [file, verdict, text] = verdict.splitn(3, '\t').collect::<Vec<_>>()[..] else { panic!("{verdict}") };
        let table = fs::read(corpus().join(file)).expect("it is in the corpus");
        let layout = if file.starts_with("system/") { Layout::System } else { Layout::User };
        let difference = match (verdict, first_refusal(&table, layout)) {
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
