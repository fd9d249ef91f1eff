//! The standard input of a job, its user and its optional directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use nix::unistd::{User, geteuid};
use taskq::domain::{End, Stdin};
use taskq::keeper::protocol::{Ended, StartExtras, StartOrder, ToKeeper};

use crate::harness::{Daemon, Keeper, connected, order};
use crate::shared::has;

fn run(daemon: &mut Daemon, order: StartOrder, stdin: Stdin, user: Option<&str>) -> Ended {
    daemon.send(ToKeeper::Start(
        order,
        StartExtras { stdin, user: user.map(str::to_owned), ..StartExtras::default() },
    ));
    daemon.finish()
}

fn path(path: &Path) -> Stdin {
    Stdin::Path(path.as_os_str().as_encoded_bytes().to_vec())
}

fn refused(ended: Ended) -> String {
    match ended.end {
        End::SpawnFailed { status: 125, cause } => cause,
        other => panic!("it was not refused with 125: {other:?}"),
    }
}

/// Returns whether this process can switch to another user.
fn is_root() -> bool {
    has("root", geteuid().is_root())
}

/// An order that starts in a directory that is open to every user.
fn anywhere(job: i64, script: &str) -> StartOrder {
    order(job, Path::new("/"), &["sh", "-c", script])
}

#[test]
fn a_file_is_opened_anew_at_each_start() {
    let (keeper, mut daemon) = connected();
    let file = keeper.path("file");
    for (job, text) in [(1, "one\n"), (2, "two\n")] {
        fs::write(&file, text).expect("writable");
        assert_eq!(run(&mut daemon, keeper.sh(job, "cat"), path(&file), None).end, End::Exited(0));
        assert_eq!(keeper.output(job), text);
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_named_as_the_cause() {
    let (keeper, mut daemon) = connected();
    let missing = keeper.path("missing");
    let cause = refused(run(&mut daemon, keeper.sh(1, "cat"), path(&missing), None));
    assert_eq!(cause, format!("standard input `{}`: no such file or directory", missing.display()));
    assert!(!keeper.output_path(1).exists(), "no output, no file");
    let cause = refused(run(&mut daemon, keeper.sh(2, "cat"), Stdin::Path(b"a\0b".to_vec()), None));
    assert!(cause.contains("NUL"), "{cause}");
}

#[test]
fn a_fifo_without_a_writer_delays_neither_the_keeper_nor_the_job() {
    let (keeper, mut daemon) = connected();
    let fifo = keeper.fifo("fifo");
    assert_eq!(run(&mut daemon, keeper.sh(1, "cat; echo end"), path(&fifo), None).end, End::Exited(0));
    assert_eq!(keeper.output(1), "end\n");
}

#[test]
fn a_text_of_any_length_is_read_whole_or_not_at_all_without_a_wait() {
    let (keeper, mut daemon) = connected();
    let text = |bytes: usize| Stdin::Text(vec![b'x'; bytes]);
    for (job, bytes) in [(1, 0), (2, 1 << 20), (3, 5 << 20)] {
        assert_eq!(run(&mut daemon, keeper.sh(job, "wc -c"), text(bytes), None).end, End::Exited(0));
        assert_eq!(keeper.output(job), format!("{bytes}\n"));
    }
    assert_eq!(run(&mut daemon, keeper.sh(4, "head -c 1; exit 3"), text(1 << 20), None).end, End::Exited(3));
    assert_eq!(run(&mut daemon, keeper.sh(5, "exit 4"), text(1 << 20), None).end, End::Exited(4));
}

#[test]
fn a_text_is_read_from_its_beginning_also_by_a_script_that_names_no_interpreter() {
    let (keeper, mut daemon) = connected();
    fs::write(keeper.path("tool"), "cat").expect("writable");
    fs::set_permissions(keeper.path("tool"), fs::Permissions::from_mode(0o755)).expect("ours");
    let tool = order(1, keeper.dir.path(), &["./tool"]);
    assert_eq!(run(&mut daemon, tool, Stdin::Text(b"a\nb\n".to_vec()), None).end, End::Exited(0));
    assert_eq!(keeper.output(1), "a\nb\n");
}

#[test]
fn another_user_is_become_with_all_its_groups_and_none_of_roots() {
    if !is_root() {
        return;
    }
    let keeper = Keeper::start_after("exec setpriv --groups 0,4,27 \"$0\" \"$@\"");
    let mut daemon = keeper.daemon();
    let script = "id -u nobody; id -g nobody; id -G nobody; cat; pwd";
    run(&mut daemon, anywhere(1, script), Stdin::Text(b"text\n".to_vec()), None);
    let script = "id -u; id -g; id -G; cat; pwd";
    run(&mut daemon, anywhere(2, script), Stdin::Text(b"text\n".to_vec()), Some("nobody"));
    assert_eq!(keeper.output(1), keeper.output(2));
    // The keeper itself has kept them.
    run(&mut daemon, anywhere(3, "id -G"), Stdin::Null, None);
    assert_eq!(keeper.output(3), "0 4 27\n");
    let saved = "grep -E '^(Uid|Gid|Groups|CapEff):' /proc/self/status";
    run(&mut daemon, anywhere(4, saved), Stdin::Null, Some("nobody"));
    let nobody = User::from_name("nobody").ok().flatten().expect("everyone has one");
    let ids = |id: u32| format!("{id}\t{id}\t{id}\t{id}");
    let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    let expected =
        format!("Uid:\t{}\nGid:\t{}\nGroups:\t{gid} \nCapEff:\t0000000000000000\n", ids(uid), ids(gid));
    assert_eq!(keeper.output(4), expected);
}

#[test]
fn another_user_is_in_the_groups_that_it_is_in_at_the_start() {
    let can_mount =
        || Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !is_root() || !has("mount", can_mount()) {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let group = dir.path().join("group");
    let write = |members: &str| {
        fs::write(
            &group,
            format!("root:x:0:\nnogroup:x:65534:\nadm:x:4:{members}\naudio:x:29:root,{members}\n"),
        )
        .expect("writable");
    };
    write("");
    let prelude = format!(
        "exec unshare -m sh -c 'mount --bind {} /etc/group; exec \"$0\" \"$@\"' \"$0\" \"$@\"",
        group.display()
    );
    let keeper = Keeper::start_after(&prelude);
    let mut daemon = keeper.daemon();
    for (job, members, groups) in [(1, "", "65534\n"), (2, "nobody", "65534 4 29\n"), (3, "", "65534\n")] {
        write(members);
        run(&mut daemon, anywhere(job, "id -G"), Stdin::Null, Some("nobody"));
        assert_eq!(keeper.output(job), groups);
    }
}

#[test]
fn a_directory_that_is_optional_and_cannot_be_entered_is_the_root() {
    let (keeper, mut daemon) = connected();
    let mut begins = |job: i64, cwd: &Path, user: Option<&str>| {
        let extras =
            StartExtras { user: user.map(str::to_owned), cwd_optional: true, ..StartExtras::default() };
        daemon.send(ToKeeper::Start(order(job, cwd, &["pwd"]), extras));
        assert_eq!(daemon.finish().end, End::Exited(0), "{}", cwd.display());
        keeper.output(job)
    };
    let own = format!("{}\n", keeper.dir.path().display());
    let (missing, file) = (keeper.path("missing"), keeper.path("file"));
    fs::write(&file, "").expect("writable");
    assert_eq!(begins(1, keeper.dir.path(), None), own);
    assert_eq!(begins(2, &missing, None), "/\n");
    assert_eq!(begins(3, &file, None), "/\n");
    if !is_root() {
        return;
    }
    fs::set_permissions(keeper.dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    assert_eq!(begins(4, keeper.dir.path(), Some("nobody")), own);
    assert_eq!(begins(5, &missing, Some("nobody")), "/\n");
    fs::set_permissions(keeper.dir.path(), fs::Permissions::from_mode(0o700)).expect("ours");
    assert_eq!(begins(6, keeper.dir.path(), Some("nobody")), "/\n");
}

#[test]
fn what_another_user_may_not_do_is_refused_as_that_user() {
    if !is_root() {
        return;
    }
    let (keeper, mut daemon) = connected();
    fs::set_permissions(keeper.dir.path(), fs::Permissions::from_mode(0o700)).expect("ours");
    let secret = keeper.path("secret");
    fs::write(&secret, "secret\n").expect("writable");
    let nobody = Some("nobody");
    let mut said = |order: StartOrder, stdin: Stdin, user| refused(run(&mut daemon, order, stdin, user));
    let dir = keeper.dir.path().display();
    assert_eq!(
        said(keeper.sh(1, "pwd"), Stdin::Null, nobody),
        format!("working directory `{dir}`: permission denied")
    );
    assert_eq!(
        said(anywhere(2, "cat"), path(&secret), nobody),
        format!("standard input `{dir}/secret`: permission denied")
    );
    assert_eq!(
        said(anywhere(3, "pwd"), Stdin::Null, Some("no-such-user")),
        "user `no-such-user`: there is no such user"
    );
    let missing = order(4, Path::new("/"), &["nosuch"]);
    let ended = run(&mut daemon, missing, Stdin::Null, nobody);
    assert_eq!(ended.end, End::SpawnFailed { status: 127, cause: "`nosuch`: command not found".to_owned() });
    let out_of_reach = format!("{dir}/tool");
    fs::write(&out_of_reach, "#!/bin/sh\n").expect("writable");
    fs::set_permissions(&out_of_reach, fs::Permissions::from_mode(0o755)).expect("ours");
    let ended = run(&mut daemon, order(5, Path::new("/"), &[&out_of_reach]), Stdin::Null, nobody);
    let cause = format!("`{out_of_reach}`: permission denied");
    assert_eq!(ended.end, End::SpawnFailed { status: 126, cause });
}

#[test]
fn another_user_can_open_its_output_once_more_but_its_file_is_the_keepers() {
    if !is_root() {
        return;
    }
    let (keeper, mut daemon) = connected();
    let nobody = User::from_name("nobody").ok().flatten().expect("everyone has one");
    let shared = tempfile::tempdir().expect("a directory");
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let own = shared.path().join("own");
    fs::write(&own, "mine\n").expect("writable");
    std::os::unix::fs::chown(&own, Some(nobody.uid.as_raw()), None).expect("we are root");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).expect("ours");
    let ended = run(
        &mut daemon,
        anywhere(1, "cat; echo more >/dev/stderr; echo last >/dev/stdout"),
        path(&own),
        Some("nobody"),
    );
    assert_eq!(ended.end, End::Exited(0));
    assert_eq!(keeper.output(1), "mine\nmore\nlast\n");
    let output = fs::metadata(keeper.output_path(1)).expect("it is there");
    assert_eq!((output.uid(), output.mode() & 0o777), (0, 0o600));
}

/// Runs a script with a niceness.
fn run_nicely(daemon: &mut Daemon, order: StartOrder, nice: i32, user: Option<&str>) -> Ended {
    let user = user.map(str::to_owned);
    daemon.send(ToKeeper::Start(order, StartExtras { nice: Some(nice), user, ..StartExtras::default() }));
    daemon.finish()
}

#[test]
fn a_niceness_is_that_of_the_run_alone() {
    let (keeper, mut daemon) = connected();
    let own = |daemon: &mut Daemon, job| {
        daemon.run(keeper.sh(job, "nice"));
        keeper.output(job)
    };
    let before = own(&mut daemon, 1);
    assert_eq!(run_nicely(&mut daemon, keeper.sh(2, "umask; exec nice"), 19, None).end, End::Exited(0));
    assert_eq!(keeper.output(2), "0022\n19\n");
    assert_eq!(own(&mut daemon, 3), before);
    if is_root() {
        assert_eq!(
            run_nicely(&mut daemon, anywhere(4, "nice; id -un"), -3, Some("nobody")).end,
            End::Exited(0)
        );
        assert_eq!(keeper.output(4), "-3\nnobody\n");
    }
}

#[test]
fn a_niceness_that_is_not_allowed_is_named_as_the_cause() {
    if !is_root() {
        return;
    }
    let keeper =
        Keeper::start_after("exec setpriv --bounding-set -sys_nice --inh-caps -sys_nice \"$0\" \"$@\"");
    let mut daemon = keeper.daemon();
    let cause = refused(run_nicely(&mut daemon, keeper.sh(1, "nice"), -1, None));
    assert_eq!(cause, "niceness `-1`: only root can go below the daemon's");
    assert!(!keeper.output_path(1).exists(), "nothing began");
}

/// Runs a script with an environment file.
fn run_with(daemon: &mut Daemon, order: StartOrder, file: &Path, user: Option<&str>) -> Ended {
    let env_file = Some(file.as_os_str().as_encoded_bytes().to_vec());
    let user = user.map(str::to_owned);
    daemon.send(ToKeeper::Start(order, StartExtras { env_file, user, ..StartExtras::default() }));
    daemon.finish()
}

#[test]
fn an_environment_file_is_read_anew_at_each_start_and_its_variables_count_last() {
    let (keeper, mut daemon) = connected();
    let file = keeper.path("env");
    for (job, text) in [(1, "one"), (2, "two")] {
        fs::write(&file, format!("WORD={text}\nPATH={}:/bin\n", keeper.dir.path().display())).expect("ours");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
        let tool = keeper.path("tool-of-the-file");
        fs::write(&tool, "#!/bin/sh\necho $WORD\n").expect("ours");
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("ours");
        let order = order(job, keeper.dir.path(), &["tool-of-the-file"]);
        let order = StartOrder { env: vec![b"WORD=of the job".to_vec(), b"PATH=/bin".to_vec()], ..order };
        assert_eq!(run_with(&mut daemon, order, &file, None).end, End::Exited(0));
        assert_eq!(keeper.output(job), format!("{text}\n"));
    }
}

#[test]
fn an_environment_file_that_is_missing_or_that_others_can_write_is_named_as_the_cause() {
    let (keeper, mut daemon) = connected();
    let file = keeper.path("env");
    let mut cause = |job| refused(run_with(&mut daemon, keeper.sh(job, "echo no"), &file, None));
    assert_eq!(cause(1), format!("environment file `{}`: no such file or directory", file.display()));
    fs::write(&file, "A=b").expect("ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).expect("ours");
    assert_eq!(cause(2), format!("environment file `{}`: its group or others can write it", file.display()));
    assert!(!keeper.output_path(2).exists(), "nothing began");
}

#[test]
fn the_environment_file_of_another_user_is_read_with_the_rights_of_that_user() {
    if !is_root() {
        return;
    }
    let (keeper, mut daemon) = connected();
    let file = tempfile::NamedTempFile::new_in("/tmp").expect("a file").into_temp_path();
    fs::write(&file, "WORD=secret\n").expect("ours");
    let script = "echo $WORD; id -G";
    let mut run = |job, mode| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("ours");
        run_with(&mut daemon, anywhere(job, script), &file, Some("nobody"))
    };
    let cause = refused(run(1, 0o600));
    assert_eq!(cause, format!("environment file `{}`: permission denied", file.display()));
    assert_eq!(run(2, 0o644).end, End::Exited(0));
    let nobody = User::from_name("nobody").expect("passwd").expect("everyone has one");
    assert_eq!(keeper.output(2), format!("secret\n{}\n", nobody.gid));
    std::os::unix::fs::chown(&file, Some(nobody.uid.as_raw()), None).expect("we are root");
    assert_eq!(run(3, 0o400).end, End::Exited(0));
    // Somebody else's.
    std::os::unix::fs::chown(&file, Some(nobody.uid.as_raw() - 1), None).expect("we are root");
    let cause = refused(run(4, 0o644));
    assert!(cause.ends_with("it belongs to neither the job's user nor root"), "{cause}");
    // The keeper itself has kept its rights.
    daemon.run(keeper.sh(5, "id -u; cat /proc/$PPID/status | grep -c '^CapEff:.0*$'"));
    assert_eq!(keeper.output(5), "0\n0\n");
}
