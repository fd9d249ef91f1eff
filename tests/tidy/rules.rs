//! Owns: the rules about where things may stand in the tree.
//! Never: reading files.

use super::scan::{PathUse, Token, blank, functions, paths, test_only, tokens};

/// A function fits a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// A file can be read in one sitting; the goal is 500.
const FILE_LINES_MAX: usize = 600;

/// What each module may name of the others. Who is not here is above the order: `main.rs` and `lib.rs`.
///
/// `clock`, `error` and `system` are leaves, but the pure modules may not use the two that look at the world.
const ORDER: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("error", &["domain"]),
    ("clock", &["domain", "error"]),
    ("memory", &["error"]),
    ("system", &["domain", "error"]),
    ("process", &[]),
    ("schedule", &["domain", "error"]),
    ("crontab", &["domain", "error", "schedule"]),
    ("engine", &["domain", "error", "schedule", "crontab"]),
    ("store", &["domain", "error", "clock", "system", "schedule", "crontab", "engine"]),
    ("keeper", &["domain", "error", "clock"]),
    ("watch", &["domain", "error", "clock"]),
    (
        "daemon",
        &["domain", "error", "clock", "system", "schedule", "crontab", "engine", "store", "keeper", "watch"],
    ),
    (
        "cli",
        &[
            "domain", "error", "clock", "system", "process", "schedule", "crontab", "engine", "store",
            "keeper", "watch", "daemon",
        ],
    ),
];

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which rule.
    pub rule: &'static str,
    /// `src/x.rs:12: …`, for a person.
    pub text: String,
}

/// Whether code for tests has to obey a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tests {
    Obey,
    Exempt,
}

/// Something that may be named in one place only.
struct Home {
    rule: &'static str,
    tests: Tests,
    /// Where it may be: a file, or a directory with its slash.
    home: &'static str,
    is_it: fn(&PathUse) -> bool,
}

const HOMES: &[Home] = &[
    Home { rule: "now", tests: Tests::Obey, home: "src/clock.rs", is_it: is_now },
    Home { rule: "sleep", tests: Tests::Obey, home: "nowhere", is_it: is_sleep },
    Home { rule: "env", tests: Tests::Exempt, home: "src/system/env.rs", is_it: is_environment },
    Home {
        rule: "exit",
        tests: Tests::Obey,
        home: "src/main.rs",
        is_it: |path| has(path, &["process"], &["exit"]),
    },
    Home {
        rule: "sql",
        tests: Tests::Exempt,
        home: "src/store/",
        is_it: |path| path.segments[0] == "rusqlite",
    },
    Home { rule: "process", tests: Tests::Exempt, home: "src/keeper/", is_it: is_process },
];

/// Programs that a command waits for: the one file outside the keeper that starts processes.
const FOREGROUND: &str = "src/process.rs";

/// Checks one file: `path` from the root of the tree, with slashes.
pub fn check(path: &str, source: &str) -> Vec<Problem> {
    let blanked = blank(source);
    let tokens = tokens(&blanked);
    let mut problems = Vec::new();
    let mut report = |rule, line: usize, text: String| {
        problems.push(Problem { rule, text: format!("{path}:{line}: {text}") });
    };
    let lines = source.lines().count();
    if lines > FILE_LINES_MAX {
        report("file", lines, format!("a file of {lines} lines, of which {FILE_LINES_MAX} are allowed"));
    }
    for function in functions(&tokens).iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
        let text =
            format!("`{}` has {} lines, {FUNCTION_LINES_MAX} are allowed", function.name, function.lines);
        report("function", function.line, text);
    }
    let module = module_of(path);
    let module: Vec<&str> = module.iter().map(String::as_str).collect();
    for used in paths(&tokens, &module) {
        let is_test = used.in_test || is_test_file(path);
        check_homes(path, &used, is_test, &mut report);
        if let Some(text) = against_the_order(&module, &used) {
            report("order", used.line, text);
        }
    }
    check_words(path, &tokens, &mut report);
    problems
}

/// The end of a process that is refused memory: the one file outside the keeper that may hold `unsafe`.
const UNSAFE_MEMORY: &str = "src/memory.rs";

/// Returns the files that hold `unsafe` and may not: there may be one in the keeper, and `UNSAFE_MEMORY`.
pub fn check_unsafe<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Problem> {
    let holds_unsafe = |source: &str| tokens(&blank(source)).iter().any(|token| token.text == "unsafe");
    let mut seen = None;
    let mut problems = Vec::new();
    for (path, _) in files.filter(|(_, source)| holds_unsafe(source)) {
        if path == UNSAFE_MEMORY {
            continue;
        }
        if !path.starts_with("src/keeper/") {
            problems.push(Problem { rule: "unsafe", text: format!("{path}: `unsafe` outside the keeper") });
        } else if let Some(first) = seen.replace(path) {
            problems.push(Problem {
                rule: "unsafe",
                text: format!("{path}: `unsafe` in a second file, besides {first}"),
            });
        }
    }
    problems
}

fn check_homes(
    path: &str,
    used: &PathUse,
    is_test: bool,
    report: &mut impl FnMut(&'static str, usize, String),
) {
    for home in HOMES {
        let at_home = path == home.home
            || (home.rule == "process" && path == FOREGROUND)
            || (home.home.ends_with('/') && path.starts_with(home.home));
        // Tests outside src/ watch real processes and may look at a clock for that; nothing at all may sleep.
        let applies = path.starts_with("src/") || home.rule == "sleep";
        let is_exempt = is_test && home.tests == Tests::Exempt;
        if applies && !at_home && !is_exempt && used.is_reached && (home.is_it)(used) {
            report(
                home.rule,
                used.line,
                format!("`{}` belongs into {}", used.segments.join("::"), home.home),
            );
        }
    }
}

fn check_words(path: &str, tokens: &[Token], report: &mut impl FnMut(&'static str, usize, String)) {
    const PRINTING: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];
    if !path.starts_with("src/") || is_test_file(path) {
        return;
    }
    let in_test = test_only(tokens);
    for (index, token) in tokens.iter().enumerate().filter(|(index, _)| !in_test[*index]) {
        let next = tokens.get(index + 1).map(|token| token.text);
        let after_next = tokens.get(index + 2).map(|token| token.text);
        let is_macro = next == Some("!") && after_next != Some("=");
        if PRINTING.contains(&token.text) && is_macro && !path.starts_with("src/cli/output/") {
            report("print", token.line, format!("`{}!` belongs into src/cli/output/", token.text));
        }
        let is_method = index > 0 && matches!(tokens[index - 1].text, "." | "::");
        if token.text == "unwrap" && is_method {
            report(
                "unwrap",
                token.line,
                "`unwrap` says nothing: `expect` says why it cannot fail".to_owned(),
            );
        }
    }
}

fn against_the_order(module: &[&str], used: &PathUse) -> Option<String> {
    let own = *module.first()?;
    let (_, allowed) = ORDER.iter().find(|(name, _)| *name == own)?;
    let other = match used.segments.as_slice() {
        [root, other, ..] if root == "crate" || root == "taskq" => other.as_str(),
        _ => return None,
    };
    let is_module = ORDER.iter().any(|(name, _)| *name == other);
    let is_against = is_module && other != own && !allowed.contains(&other);
    is_against.then(|| format!("`{own}` must not know `{other}`"))
}

fn module_of(path: &str) -> Vec<String> {
    let Some(inside) = path.strip_prefix("src/").and_then(|inside| inside.strip_suffix(".rs")) else {
        return Vec::new();
    };
    let mut parts: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "main" | "lib")) {
        parts.pop();
    }
    parts
}

fn is_test_file(path: &str) -> bool {
    !path.starts_with("src/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Whether one of `owners` is directly followed by one of `names`.
fn has(path: &PathUse, owners: &[&str], names: &[&str]) -> bool {
    path.segments
        .windows(2)
        .any(|pair| owners.contains(&pair[0].as_str()) && names.contains(&pair[1].as_str()))
}

fn is_now(path: &PathUse) -> bool {
    has(path, &["SystemTime", "Instant", "Utc", "Local", "Zoned", "Timestamp"], &["now", "today"])
}

fn is_sleep(path: &PathUse) -> bool {
    const SLEEPS: [&str; 7] =
        ["sleep", "sleep_ms", "sleep_until", "usleep", "nanosleep", "clock_nanosleep", "park_timeout"];
    path.segments.last().is_some_and(|last| SLEEPS.contains(&last.as_str()))
}

fn is_environment(path: &PathUse) -> bool {
    has(path, &["env"], &["var", "vars", "var_os", "vars_os"])
}

fn is_process(path: &PathUse) -> bool {
    const FORKS: [&str; 4] = ["fork", "vfork", "posix_spawn", "posix_spawnp"];
    has(path, &["process"], &["Command"])
        || path.segments.len() > 1 && path.segments.last().is_some_and(|last| FORKS.contains(&last.as_str()))
}
