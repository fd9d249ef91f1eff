//! Owns: the order of the tree: which room imports which, what has one home, how long files and lines are.
//! Never: what rustfmt, rustc and clippy check (see Cargo.toml and clippy.toml).
//!
//! Each rule has a test that gives it something bad, so that a rule that finds nothing any more is noticed.

#[path = "tidy/imports.rs"]
mod imports;

use std::fs;
use std::path::Path;

use imports::{Graph, Tree, imports, module_of};

/// A file can be read in one sitting; the goal is 500 lines.
const FILE_LINES_MAX: usize = 600;

/// rustfmt leaves strings and comments alone.
const COLUMNS_MAX: usize = 110;

/// The rooms of `src/`, each with the rooms that it imports. `main.rs` and `lib.rs` import every room.
///
/// The pure rooms import neither `clock` nor `system`.
const ORDER: &[(&str, &str)] = &[
    ("domain", ""),
    ("error", "domain"),
    ("clock", "domain error"),
    ("maths", ""),
    ("memory", "error"),
    ("seal", ""),
    ("system", "domain error seal"),
    ("process", ""),
    ("shown", "domain"),
    ("schedule", "domain error"),
    ("crontab", "domain error schedule"),
    ("engine", "domain error schedule crontab"),
    ("store", "domain error clock system seal schedule crontab engine"),
    ("executor", "domain"),
    ("keeper", "domain error clock system seal"),
    ("watch", "domain error clock"),
    ("daemon", "domain error clock system seal shown schedule crontab engine store keeper watch executor"),
    (
        "cli",
        "domain error clock system seal process shown schedule crontab engine store keeper watch executor \
         daemon",
    ),
];

/// Words that stand in few places: a file, or a directory with its slash. Most are lints that are off there.
const HOMES: &[(&str, &[&str])] = &[
    ("unsafe_code", &["src/keeper/sys.rs", "src/maths.rs", "src/memory.rs", "src/seal/secret.rs"]),
    ("rusqlite", &["src/store/", "tests/"]),
    (
        "clippy::disallowed_methods",
        &["src/clock.rs", "src/system/env.rs", "src/keeper/sys.rs", "tests/shared/", "build.rs"],
    ),
    ("clippy::disallowed_types", &["src/lib.rs", "src/process.rs", "src/keeper/", "tests/", "build.rs"]),
    ("clippy::exit", &["tests/keeper/harness.rs"]),
    ("clippy::print_std", &["tests/shared/", "build.rs"]),
];

/// Returns the rules that a file breaks, each with what a person has to know.
fn broken(file: &str, source: &str) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    let mut report =
        |rule, line: usize, text: String| problems.push((rule, format!("{file}:{line}: {text}")));
    let count = source.lines().count();
    if count > FILE_LINES_MAX {
        report("file", count, format!("{count} lines, of which {FILE_LINES_MAX} are allowed"));
    }
    let is_markdown = file.ends_with(".md");
    let mut is_code = false;
    for (text, line) in source.lines().zip(1..) {
        is_code ^= text.trim_start().starts_with("```");
        let columns = text.chars().count();
        let may_be_long = is_markdown && (is_code || text.starts_with('|') || text.contains("]("));
        if columns > COLUMNS_MAX && !may_be_long {
            report("columns", line, format!("{columns} columns, of which {COLUMNS_MAX} are allowed"));
        }
    }
    if file.ends_with(".rs") && !is_tidy(file) {
        check_code(file, source, &mut report);
    }
    problems
}

/// Whether a file holds bad examples.
fn is_tidy(file: &str) -> bool {
    file.starts_with("tests/tidy")
}

fn check_code(file: &str, source: &str, report: &mut impl FnMut(&'static str, usize, String)) {
    let code = source.lines().zip(1..).filter(|(text, _)| !text.trim_start().starts_with("//"));
    for (text, line) in code {
        for (word, homes) in HOMES.iter().filter(|(word, _)| text.contains(word)) {
            if !homes.iter().any(|home| file == *home || home.ends_with('/') && file.starts_with(home)) {
                report("home", line, format!("`{word}` belongs into {}", homes.join(", ")));
            }
        }
        let head = text.split("::").next().unwrap_or_default();
        let is_import =
            head.ends_with("use crate") || head.ends_with("use super") || head.ends_with("use self");
        let is_inline = ["crate::", "super::"].iter().any(|root| text.contains(root));
        if file.starts_with("src/") && is_inline && !is_import {
            report("inline", line, "import it with `use`".to_owned());
        }
    }
    let room = module_of(file).first().cloned().unwrap_or_default();
    let Some((_, allowed)) = ORDER.iter().find(|(name, _)| *name == room) else { return };
    for import in imports(file, source) {
        let other = import.path.first().cloned().unwrap_or_default();
        let is_room = ORDER.iter().any(|(name, _)| *name == other);
        if is_room && other != room && !allowed.split(' ').any(|name| name == other) {
            report("order", import.line, format!("`{room}` must not know `{other}`"));
        }
    }
}

/// Returns the verb whose file this is: `export` for `src/cli/commands/export/units.rs`.
fn verb_of(file: &str) -> Option<&str> {
    let verb = file.strip_prefix("src/cli/commands/")?.split(['/', '.']).next()?;
    (verb != "mod").then_some(verb)
}

/// Returns the rules that the files break together.
fn broken_together(tree: &Tree) -> Vec<(&'static str, String)> {
    let graph = Graph::of(tree);
    let circles = graph.circles();
    let mut problems: Vec<_> = circles.iter().map(|circle| ("circle", circle.join(" and "))).collect();
    for (file, others) in graph.0.iter().filter(|(file, _)| verb_of(file).is_some()) {
        let others =
            others.iter().filter(|other| verb_of(other).is_some_and(|verb| verb_of(file) != Some(verb)));
        problems.extend(others.map(|other| ("verb", format!("{file} imports the verb {other}"))));
    }
    let guide = tree.get("CONTRIBUTING.md").map_or("", String::as_str);
    for (file, source) in tree.iter().filter(|(file, _)| file.starts_with("tests/") && !is_tidy(file)) {
        let settings = source.split("setting").skip(1).filter_map(|rest| rest.split('"').nth(1));
        let unknown = settings.filter(|name| name.starts_with("TASKQ_") && !guide.contains(*name));
        problems
            .extend(unknown.map(|name| ("setting", format!("{name} of {file} is not in CONTRIBUTING.md"))));
    }
    problems
}

/// Reads what people write below a directory of the tree.
fn read_tree(root: &Path, dir: &str, tree: &mut Tree) {
    const WRITTEN: [&str; 5] = [".rs", ".sql", ".sh", ".md", ".py"];
    let entries = fs::read_dir(root.join(dir)).unwrap_or_else(|error| panic!("{dir}: {error}"));
    for entry in entries.map(|entry| entry.expect("the tree is readable")) {
        let file = format!("{dir}/{}", entry.file_name().display()).trim_start_matches("./").to_owned();
        if entry.file_type().expect("the tree is readable").is_dir() {
            if ![".", "fuzz"].contains(&dir) {
                read_tree(root, &file, tree);
            }
        } else if WRITTEN.iter().any(|end| file.ends_with(end)) || file == ".ci/run" {
            tree.insert(file, fs::read_to_string(entry.path()).expect("source is UTF-8"));
        }
    }
}

#[test]
fn the_tree_is_tidy() {
    let mut tree = Tree::new();
    for dir in [".", ".ci", "benches", "docs", "fuzz", "fuzz/fuzz_targets", "src", "tests"] {
        read_tree(Path::new(env!("CARGO_MANIFEST_DIR")), dir, &mut tree);
    }
    assert!(tree.len() > 100, "the tree was not found");
    let mut problems: Vec<_> = tree.iter().flat_map(|(file, source)| broken(file, source)).collect();
    problems.extend(broken_together(&tree));
    let list: Vec<_> = problems.iter().map(|(rule, text)| format!("{text} ({rule})")).collect();
    assert!(list.is_empty(), "\n{}", list.join("\n"));
}

fn rules(problems: Vec<(&'static str, String)>) -> Vec<&'static str> {
    problems.into_iter().map(|(rule, _)| rule).collect()
}

#[test]
fn an_import_against_the_order_is_found() {
    let against = [
        ("src/domain/job.rs", "use crate::error::Error;"),
        ("src/schedule/mod.rs", "use crate::engine::Plan;"),
        ("src/schedule/mod.rs", "use crate::clock::Clock;"),
        ("src/engine/plan.rs", "use crate::{domain::JobId, store};"),
        ("src/store/mod.rs", "use crate::keeper::protocol::Known;"),
        ("src/store/mod.rs", "fn f() {\n    use super::keeper::start;\n}"),
        ("src/store/queries/runs.rs", "pub(crate) use super::super::super::keeper;"),
        ("src/store/mod.rs", "mod inner {\n    use super::super::daemon;\n}"),
        (
            "src/keeper/mod.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::store::{\n        Store,\n    };\n}",
        ),
        ("src/daemon/mod.rs", "use crate::cli::output::Output;"),
        ("src/error.rs", "use crate::system::env;"),
    ];
    for (file, source) in against {
        assert_eq!(rules(broken(file, source)), ["order"], "{file}: {source}");
    }
}

#[test]
fn imports_along_the_order_are_fine() {
    let along = [
        ("src/domain/job.rs", "use super::ids::JobId;\nuse crate::domain::Span;"),
        ("src/engine/plan.rs", "use crate::domain::{JobId, RunId};\nuse crate::schedule::Schedule;"),
        ("src/store/queries/runs.rs", "use super::super::schema;\nuse self::x::y;"),
        ("src/keeper/mod.rs", "mod tests {\n    use super::*;\n}\nuse crate::domain::End;"),
        ("src/cli/commands/add.rs", "use crate::store::Store;\nuse std::fs;\nuse super::keeper::KeeperArgs;"),
        ("src/main.rs", "use taskq::cli;\nuse taskq::store::Store;"),
        ("src/keeper/mod.rs", "// use crate::store;"),
    ];
    for (file, source) in along {
        assert_eq!(rules(broken(file, source)), [""; 0], "{file}: {source}");
    }
}

#[test]
fn a_path_into_another_file_outside_use_is_found() {
    for source in ["fn f(s: &crate::store::Store) {}", "fn f() {\n    super::keeper::start();\n}"] {
        assert_eq!(rules(broken("src/cli/mod.rs", source)), ["inline"], "{source}");
    }
    assert_eq!(rules(broken("src/cli/mod.rs", "pub(crate) fn f() {} // super::x")), ["inline"]);
    assert_eq!(rules(broken("src/cli/mod.rs", "/// See `super::x`.\npub(super) fn f() {}")), [""; 0]);
}

#[test]
fn what_has_a_home_is_found_elsewhere() {
    let bad = [
        ("src/store/mod.rs", "#![expect(unsafe_code)]"),
        ("src/daemon/mod.rs", "use rusqlite::Connection;"),
        ("src/engine/plan.rs", "#[expect(clippy::disallowed_methods)]"),
        ("tests/sim/world.rs", "#![allow(clippy::disallowed_methods)]"),
        ("src/daemon/lock.rs", "#[expect(clippy::disallowed_types)]"),
        ("src/cli/mod.rs", "#[expect(clippy::exit)]"),
        ("src/cli/view/tables.rs", "#[expect(clippy::print_stdout)]"),
    ];
    for (file, source) in bad {
        assert_eq!(rules(broken(file, source)), ["home"], "{file}: {source}");
    }
    assert_eq!(rules(broken("src/store/jobs.rs", "use rusqlite::Connection;")), [""; 0]);
}

#[test]
fn a_long_file_and_a_long_line_are_found() {
    assert_eq!(rules(broken("src/x.rs", &"\n".repeat(600))), [""; 0]);
    assert_eq!(rules(broken("tests/x/y.rs", &"// x\n".repeat(601))), ["file"]);
    let long = "ä".repeat(111);
    for file in ["src/x.rs", "src/x.sql", "benches/peers/peers.py", "x.md", ".ci/run"] {
        assert_eq!(rules(broken(file, &long)), ["columns"], "{file}");
        assert_eq!(rules(broken(file, &long[2..])), [""; 0], "{file}");
    }
    let may = format!("| {long} |\n```sh\n{long}\n```\nSee [this]({long}).\n");
    assert_eq!(rules(broken("x.md", &may)), [""; 0]);
    assert_eq!(rules(broken("x.md", &format!("{may}{long}"))), ["columns"]);
}

fn together(files: &[(&str, &str)]) -> Vec<String> {
    let tree = files.iter().map(|(file, source)| ((*file).to_owned(), (*source).to_owned())).collect();
    broken_together(&tree).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn a_circle_of_imports_is_found() {
    let (a, b, c) = ("src/x/a.rs", "src/x/b.rs", "src/x/c.rs");
    let circle =
        [(a, "use super::b::B;"), (b, "use crate::x::{\n    c::C,\n    d,\n};"), (c, "use super::a::*;")];
    assert_eq!(together(&circle), [format!("{a} and {b} and {c}")]);
    assert_eq!(together(&circle[..2]), [""; 0]);
    // Through the name that a room makes public.
    let room = ("src/x/mod.rs", "mod a;\npub use a::A;");
    assert_eq!(together(&[room, (a, "use super::b::B;"), (b, "use super::A;")]), [format!("{a} and {b}")]);
    // A file may use what the module around it has, and the module its file.
    assert_eq!(together(&[("src/x/mod.rs", "use a::f;"), (a, "use super::Own;")]), [""; 0]);
    let tests = "mod tests {\n    use super::*;\n    use super::super::b::B;\n}";
    assert_eq!(together(&[(a, tests), (b, "")]), [""; 0]);
}

#[test]
fn a_verb_that_imports_a_verb_is_found() {
    let (run, log) = ("src/cli/commands/run.rs", "src/cli/commands/log.rs");
    let export = ("src/cli/commands/export/mod.rs", "use self::units::units;\nuse crate::cli::view::x;");
    let units = ("src/cli/commands/export/units.rs", "use super::losses;");
    assert_eq!(
        together(&[(run, "use super::log::follow;"), (log, "")]),
        [format!("{run} imports the verb {log}")]
    );
    let mix = [
        export,
        units,
        ("src/cli/commands/export/losses.rs", ""),
        ("src/cli/commands/mod.rs", "use run::run;"),
    ];
    assert_eq!(together(&mix), [""; 0]);
}

#[test]
fn a_setting_that_the_guide_does_not_name_is_found() {
    let test = ("tests/x.rs", "fn f() {\n    setting::<u8>(\"TASKQ_NEW\");\n}");
    assert_eq!(together(&[test]), ["TASKQ_NEW of tests/x.rs is not in CONTRIBUTING.md"]);
    assert_eq!(together(&[test, ("CONTRIBUTING.md", "`TASKQ_NEW=N`")]), [""; 0]);
}

#[test]
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
fn the_program_loads_no_library_but_that_of_c() {
    let program = fs::read(env!("CARGO_BIN_EXE_taskq")).expect("cargo has built it");
    let names = |library: &str| program.windows(library.len()).any(|bytes| bytes == library.as_bytes());
    assert!(names("\0libc.so.6\0"), "the names of libraries are looked for in the wrong way");
    // A new function of libm belongs into `src/maths.rs`: each command would pay for the library.
    assert!(!names("\0libm.so.6\0"), "it loads libm");
}
