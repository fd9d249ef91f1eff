//! Owns: the order of the tree: who may import whom, what has one home, how long things get.
//! Never: style that rustfmt and clippy see.
//!
//! Each rule has a test here that feeds it something bad, so that a checker that sees nothing is seen.

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/scan.rs"]
mod scan;

use std::fs;
use std::path::Path;

use rules::{check, check_unsafe};
use scan::{blank, functions, paths, tokens};

/// Reads every Rust file below a directory of the tree.
fn read_tree(root: &Path, dir: &str, files: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(root.join(dir)) else {
        return;
    };
    for entry in entries {
        let entry = entry.expect("the tree is readable");
        let path = format!("{dir}/{}", entry.file_name().display());
        if entry.file_type().expect("the tree is readable").is_dir() {
            read_tree(root, &path, files);
        } else if path.ends_with(".rs") {
            files.push((path, fs::read_to_string(entry.path()).expect("source is UTF-8")));
        }
    }
}

#[test]
fn the_tree_is_tidy() {
    let mut files = Vec::new();
    for dir in ["src", "tests", "benches", "fuzz/fuzz_targets"] {
        read_tree(Path::new(env!("CARGO_MANIFEST_DIR")), dir, &mut files);
    }
    assert!(files.len() > 10, "the tree was not found");
    let mut problems: Vec<_> = files.iter().flat_map(|(path, source)| check(path, source)).collect();
    problems.extend(check_unsafe(files.iter().map(|(path, source)| (path.as_str(), source.as_str()))));
    let list: Vec<_> =
        problems.iter().map(|problem| format!("{} ({})", problem.text, problem.rule)).collect();
    assert!(list.is_empty(), "\n{}", list.join("\n"));
}

/// Returns the rules that a source breaks.
fn broken(path: &str, source: &str) -> Vec<&'static str> {
    check(path, source).into_iter().map(|problem| problem.rule).collect()
}

#[test]
fn an_import_against_the_order_is_found() {
    let against = [
        ("src/domain/job.rs", "use crate::error::Error;"),
        ("src/schedule/mod.rs", "use crate::engine::Plan;"),
        ("src/schedule/mod.rs", "use crate::clock::Clock;"),
        ("src/engine/plan.rs", "use crate::{domain::JobId, store};"),
        ("src/store/mod.rs", "use crate::keeper::protocol::Known;"),
        ("src/store/mod.rs", "fn f() { super::keeper::start(); }"),
        ("src/store/queries/runs.rs", "use super::super::super::keeper;"),
        ("src/store/mod.rs", "mod inner { use super::super::daemon; }"),
        ("src/keeper/mod.rs", "fn f(s: &crate::store::Store) {}"),
        ("src/keeper/mod.rs", "#[cfg(test)] mod tests { use crate::store::Store; }"),
        ("src/daemon/mod.rs", "use crate::cli::output::Output;"),
        ("src/error.rs", "use crate::system::env;"),
    ];
    for (path, source) in against {
        assert_eq!(broken(path, source), ["order"], "{path}: {source}");
    }
}

#[test]
fn imports_along_the_order_are_fine() {
    let along = [
        ("src/domain/job.rs", "use super::ids::JobId; use crate::domain::Span;"),
        ("src/engine/plan.rs", "use crate::domain::{JobId, RunId}; use crate::schedule::Schedule;"),
        ("src/store/mod.rs", "use crate::engine::{Plan, Snapshot};"),
        ("src/store/queries/runs.rs", "use super::super::schema; use self::x::y;"),
        ("src/keeper/mod.rs", "use crate::domain::End; use crate::clock::Clock;"),
        (
            "src/cli/add.rs",
            "use crate::store::Store; use crate::daemon::poke; use super::keeper::KeeperArgs;",
        ),
        ("src/main.rs", "use taskq::cli; use taskq::store::Store;"),
        ("src/lib.rs", "pub mod store; pub use crate::keeper::x;"),
        ("src/keeper/mod.rs", "// use crate::store\nconst TEXT: &str = \"crate::store::x\";"),
    ];
    for (path, source) in along {
        assert_eq!(broken(path, source), [""; 0], "{path}: {source}");
    }
}

#[test]
fn a_long_function_is_found() {
    let function =
        |lines: usize| format!("fn long(x: [u8; 2]) -> u8 {{\n{}}}\n", "    x();\n".repeat(lines - 2));
    assert_eq!(broken("src/x.rs", &function(70)), [""; 0]);
    assert_eq!(broken("src/x.rs", &function(71)), ["function"]);
    assert_eq!(broken("tests/x.rs", &function(71)), ["function"]);
    assert_eq!(broken("src/x.rs", &format!("#[cfg(test)] mod tests {{ {} }}", function(71))), ["function"]);
    let declared = format!("trait T {{ fn short(&self); {} }}", "\n".repeat(100));
    assert_eq!(broken("src/x.rs", &declared), [""; 0]);
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(broken("src/x.rs", &"\n".repeat(600)), [""; 0]);
    assert_eq!(broken("src/x.rs", &"\n".repeat(601)), ["file"]);
    assert_eq!(broken("tests/x/y.rs", &"// x\n".repeat(601)), ["file"]);
}

#[test]
fn a_look_at_the_clock_outside_its_home_is_found() {
    let looks = [
        "fn f() { std::time::SystemTime::now(); }",
        "use std::time::Instant; fn f() { Instant::now(); }",
        "use chrono::Utc; fn f() { let t = Utc::now(); }",
        "fn f() { x.unwrap_or_else(chrono::Local::now); }",
        "fn f() { jiff::Zoned::now(); }",
        "fn f() { jiff::Timestamp::now(); }",
        "use std::time::Instant as Watch; fn f() { Watch::now(); }",
    ];
    for source in looks {
        assert_eq!(broken("src/engine/plan.rs", source), ["now"], "{source}");
        assert_eq!(broken("src/clock.rs", source), [""; 0], "{source}");
    }
    assert_eq!(broken("src/x.rs", "fn f(clock: &dyn Clock) { let now = clock.now(); plan(now); }"), [""; 0]);
    assert_eq!(broken("src/x.rs", "#[cfg(test)] mod tests { fn f() { Instant::now(); } }"), ["now"]);
}

#[test]
fn sleep_is_found_everywhere() {
    for path in ["src/daemon/mod.rs", "tests/cli/x.rs", "benches/x.rs", "src/x/tests.rs"] {
        assert_eq!(broken(path, "fn f() { std::thread::sleep(d); }"), ["sleep"], "{path}");
    }
    assert_eq!(broken("tests/x.rs", "use std::thread::sleep;"), ["sleep"]);
    assert_eq!(broken("tests/x.rs", "#[test] fn f() { libc::nanosleep(x); sleep(y); }"), ["sleep", "sleep"]);
    assert_eq!(broken("tests/x.rs", "fn f() { run(\"sleep 1\"); } // sleep(1)"), [""; 0]);
    assert_eq!(broken("src/x.rs", "fn f(sleep: Span) { let x = S { sleep }; x.sleep(); }"), [""; 0]);
}

#[test]
fn the_environment_is_read_in_one_place() {
    let reads = [
        "fn f() { std::env::var(x); }",
        "use std::env; fn f() { env::vars_os(); }",
        "use std::env::{args_os, var_os};",
    ];
    for source in reads {
        assert_eq!(broken("src/cli/add.rs", source), ["env"], "{source}");
        assert_eq!(broken("src/system/env.rs", source), [""; 0], "{source}");
        assert_eq!(broken("tests/x.rs", source), [""; 0], "{source}");
    }
    assert_eq!(
        broken("src/cli/add.rs", "const V: &str = env!(\"X\"); fn f() { std::env::args_os(); }"),
        [""; 0]
    );
}

#[test]
fn only_main_exits() {
    let source = "fn f() { std::process::exit(1); }";
    assert_eq!(broken("src/cli/mod.rs", source), ["exit"]);
    assert_eq!(
        broken("src/cli/mod.rs", "use std::process::{self, ExitCode}; fn f() { process::exit(1) }"),
        ["exit"]
    );
    assert_eq!(broken("src/main.rs", source), [""; 0]);
    assert_eq!(broken("src/cli/mod.rs", "use std::process::ExitCode;"), [""; 0]);
}

#[test]
fn only_the_output_module_prints() {
    for name in ["print", "println", "eprint", "eprintln", "dbg"] {
        let source = format!("fn f() {{ {name}!(x); }}");
        assert_eq!(broken("src/cli/list.rs", &source), ["print"], "{name}");
        assert_eq!(broken("src/cli/output/mod.rs", &source), [""; 0], "{name}");
        assert_eq!(
            broken("src/cli/list.rs", &format!("#[cfg(test)] mod t {{ {source} }}")),
            [""; 0],
            "{name}"
        );
        assert_eq!(broken("src/cli/list.rs", &format!("/* {source} */ // {name}!()")), [""; 0], "{name}");
    }
    assert_eq!(broken("src/cli/list.rs", "#[cfg(not(test))] fn f() { println!(x); }"), ["print"]);
}

#[test]
fn sql_stays_in_the_store() {
    assert_eq!(broken("src/daemon/mod.rs", "use rusqlite::Connection;"), ["sql"]);
    assert_eq!(broken("src/daemon/mod.rs", "fn f(e: rusqlite::Error) {}"), ["sql"]);
    assert_eq!(broken("src/store/jobs.rs", "use rusqlite::Connection;"), [""; 0]);
    assert_eq!(broken("tests/crash/x.rs", "use rusqlite::Connection;"), [""; 0]);
}

#[test]
fn only_the_keeper_starts_processes() {
    let starts = [
        "use std::process::Command;",
        "fn f() { std::process::Command::new(x); }",
        "use std::process; fn f() { process::Command::new(x); }",
        "use nix::unistd::{fork, setsid};",
        "fn f() { libc::posix_spawn(x); }",
    ];
    for source in starts {
        assert!(broken("src/daemon/mod.rs", source).contains(&"process"), "{source}");
        assert_eq!(broken("src/keeper/start.rs", source), [""; 0], "{source}");
    }
    assert_eq!(broken("src/cli/man.rs", "use clap::Command; fn f() { Command::new(x); }"), [""; 0]);
}

#[test]
fn unsafe_stands_in_one_file_of_the_keeper_and_in_the_allocator() {
    let bad = "fn f() { unsafe { x() } }";
    let rules = |files: &[(&str, &str)]| check_unsafe(files.iter().copied()).len();
    assert_eq!(
        rules(&[("src/keeper/start.rs", bad), ("src/x.rs", "// unsafe\nconst X: &str = \"unsafe\";")]),
        0
    );
    assert_eq!(rules(&[("src/store/mod.rs", bad)]), 1);
    assert_eq!(rules(&[("tests/x.rs", bad)]), 1);
    assert_eq!(rules(&[("src/keeper/raw.rs", bad), ("src/memory.rs", bad)]), 0);
    assert_eq!(
        rules(&[("src/keeper/memory.rs", bad), ("src/keeper/raw.rs", bad), ("src/memory.rs", bad)]),
        1
    );
    assert_eq!(rules(&[("src/store/memory.rs", bad)]), 1);
    assert_eq!(rules(&[("src/keeper/start.rs", bad), ("src/keeper/raw.rs", bad)]), 1);
}

#[test]
fn unwrap_is_for_tests() {
    assert_eq!(broken("src/x.rs", "fn f() { x().unwrap(); }"), ["unwrap"]);
    assert_eq!(broken("src/x.rs", "fn f() { y.map(Option::unwrap) }"), ["unwrap"]);
    for source in [
        "fn f() { x.unwrap_or(1); }",
        "#[cfg(test)] mod t { fn f() { x.unwrap(); } }",
        "#[test] fn f() { x.unwrap(); }",
    ] {
        assert_eq!(broken("src/x.rs", source), [""; 0], "{source}");
    }
    assert_eq!(broken("src/x.rs", "#[cfg(test)] mod t;\nfn f() { x.unwrap(); }"), ["unwrap"]);
    assert_eq!(broken("src/x.rs", "#[cfg(test)] fn a(x: [u8; 1]) {}\nfn f() { x.unwrap(); }"), ["unwrap"]);
}

#[test]
fn comments_strings_and_characters_are_no_code() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"a("b\"c", d)"#, "a(      , d)"),
        (r##"a(r#"b"c"#, d)"##, "a(        , d)"),
        (r#"a(b"x", c"y", br"\")"#, "a(    ,     ,      )"),
        (r"a('x', '\'', b'{', '\u{7d}')", "a(   ,     ,     ,         )"),
        ("fn f<'a>(x: &'a str, r#type: u8)", "fn f<'a>(x: &'a str, r#type: u8)"),
        ("var\"x\"", "var   "),
        ("\"a\nb\" c", "  \n   c"),
    ];
    for (source, blanked) in cases {
        assert_eq!(blank(source), blanked, "{source}");
    }
}

#[test]
fn paths_are_read_as_they_are_meant() {
    let source = "use a::{self, b::{c as d, e}, f::*}; fn g() { d::h(); ::i::j(); k.l(); super::m::n(); }";
    let blanked = blank(source);
    let found: Vec<_> =
        paths(&tokens(&blanked), &["x", "y"]).into_iter().filter(|path| path.is_reached).collect();
    let found: Vec<_> = found.iter().map(|path| path.segments.join("::")).collect();
    assert_eq!(found, ["a", "a::b::c", "a::b::e", "a::f::*", "a::b::c::h", "i::j", "crate::x::m::n"]);
}

#[test]
fn functions_are_measured_from_their_name_to_their_brace() {
    let blanked =
        blank("struct S { f: fn(u8) }\nimpl S {\n    fn a(&self) {\n        let x = || { 1 };\n    }\n}\n");
    let found = functions(&tokens(&blanked));
    assert_eq!(found.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect::<Vec<_>>(), [("a", 3, 3)]);
}
