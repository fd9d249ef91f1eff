//! Owns: tests of what is refused.
//! Never: whole messages of the command line.

use std::os::unix::fs::symlink;

use super::*;
use taskq::domain::Size;
use taskq::watch::{check_path, first_marks};

fn refusal(world: &World, path: &str, change: PathChange) -> Option<String> {
    world.mkdir("store");
    let refusal = check_path(&world.source(path, change), &world.path("store")).err();
    fs::remove_dir(world.path("store")).expect("it is empty");
    refusal.map(|refusal| {
        refusal.cause.replace(world.dir.to_str().expect("it is UTF-8"), "DIR")
            + &refusal.hint.map(|hint| format!("; {hint}")).unwrap_or_default()
    })
}

#[test]
fn paths_that_can_be_listened_to_are_taken() {
    let world = World::new();
    world.mkdir("a[b");
    for path in ["x", "x/y/z", "*.csv", "a[b/x", "storeroom", "sto[r]e"] {
        assert_eq!(refusal(&world, path, PathChange::Created), None, "{path}");
    }
}

#[test]
fn paths_in_the_store_are_refused() {
    let world = World::new();
    symlink("store", world.path("link")).expect("it can be linked");
    for (path, change) in [
        ("store", PathChange::Nonempty),
        ("store/log/*", PathChange::Created),
        ("store/taskq.db", PathChange::Bytes(Size::from_bytes(1))),
        ("link/x", PathChange::Changed),
    ] {
        let expected = format!("`DIR/{path}` is in the store, which each run changes");
        assert_eq!(refusal(&world, path, change), Some(expected));
    }
}

#[test]
fn a_pattern_before_the_last_part_or_one_that_is_none_is_refused() {
    let world = World::new();
    for (path, expected) in [
        ("*/x.csv", "`DIR/*` is a pattern, and only the last part of a path may be one"),
        ("a[b", "`[` in `a[b` has no `]`; write `[[]` for the character `[`"),
    ] {
        assert_eq!(refusal(&world, path, PathChange::Created).as_deref(), Some(expected));
    }
}

#[test]
fn a_file_as_a_directory_is_refused() {
    let world = World::new();
    world.write("file", "x");
    let refusal = refusal(&world, "file/x", PathChange::Created);
    assert_eq!(refusal.as_deref(), Some("`DIR/file` is not a directory"));
}

#[test]
fn a_file_system_without_inotify_needs_to_be_polled() {
    let source =
        PathSource { path: "/proc/uptime".to_owned(), change: PathChange::Changed, settle: None, poll: None };
    let refusal = check_path(&source, Path::new("/nowhere")).expect_err("proc does not report");
    assert_eq!(refusal.cause, "`/proc` is on proc, which does not report changes");
    assert!(refusal.hint.is_some_and(|hint| hint.contains("`poll=1m`")));
    assert_eq!(check_path(&polled(source, 60), Path::new("/nowhere")), Ok(()));
}

#[test]
fn a_trigger_with_the_marks_of_now_counts_what_comes_before_the_daemon_listens() {
    let mut world = World::new();
    world.write("old", "x");
    let source = world.source("*", PathChange::Created);
    let marks = first_marks(&source).expect("the directory can be read");
    world.marks.insert(TriggerId(1), marks.into_iter().collect());
    world.write("new", "x");
    world.listen(source);
    assert_eq!(world.events(), ["created new"]);
    assert_eq!(first_marks(&world.source("*", PathChange::Exists)), None);
}
