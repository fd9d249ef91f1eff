//! Owns: a store whose directory or files are exchanged or removed during use, or belong to another user.
//! Never: their content.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::harness::{MARKS, Store, chmod, open, served};
use crate::shared::note;
use crate::users::nobody;

/// How often root looks while another user exchanges the directory.
const LOOKS: usize = 150;

/// Asserts that commands fail for this reason.
fn is_refused(store: &Store, words: &str) {
    store.refuses(&[&["list"], &["status"], &["add", "true"], &["cancel", "--all"], &["daemon"]], words);
}

/// Makes a store of root and a store of another user, with one job each, in a directory of that user.
fn two_stores(nobody: u32) -> (Store, Store) {
    let (mut roots, mut others) = (Store::at("place/roots"), Store::of_user(nobody));
    others.add(&["--hold", "--name", "others-job"], MARKS);
    roots.add(&["--hold", "--name", "roots-job"], MARKS);
    chmod(roots.base.path(), 0o755);
    std::os::unix::fs::chown(roots.path("place"), Some(nobody), Some(nobody)).expect("we are root");
    fs::rename(&others.dir, roots.path("place/others")).expect("one file system");
    others.dir = roots.path("place/others");
    // What is exchanged, and the name by which root finds it.
    roots.dir = roots.path("place/entry");
    (roots, others)
}

/// Exchanges two names again and again while root lists and adds.
fn look_while_exchanged(roots: &Store, one: &Path, other: &Path) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)
                    .expect("both are there");
            }
        });
        let (mut answered, mut refused) = (0, 0);
        for look in 0..LOOKS {
            let verb = if look % 3 == 0 { &["add", "--hold", "-c", MARKS][..] } else { &["list", "--all"] };
            let output = roots.run(verb);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let is_others = text.contains("others-job");
            (answered, refused) =
                if output.status.success() { (answered + 1, refused) } else { (answered, refused + 1) };
            if is_others {
                is_over.store(true, Ordering::Relaxed);
            }
            assert!(!is_others, "look {look}: {text}");
        }
        is_over.store(true, Ordering::Relaxed);
        note(&format!("{answered} answered, {refused} refused"));
    });
}

#[test]
fn root_never_opens_another_users_store_through_a_symlink_that_he_exchanges() {
    let Some(nobody) = nobody() else { return };
    let (roots, mut others) = two_stores(nobody);
    let (entry, spare) = (roots.path("place/entry"), roots.path("place/spare"));
    symlink(roots.path("place/roots"), &entry).expect("the name is new");
    symlink(&others.dir, &spare).expect("the name is new");
    look_while_exchanged(&roots, &entry, &spare);
    others.become_user(Some(nobody));
    assert_eq!(others.ok(&["list", "--all"]).lines().count(), 2, "nothing was added to the other's");
}

#[test]
fn root_never_opens_another_users_store_where_he_exchanges_the_directories() {
    let Some(nobody) = nobody() else { return };
    let (mut roots, mut others) = two_stores(nobody);
    roots.dir = roots.path("place/roots");
    look_while_exchanged(&roots, &roots.dir, &others.dir);
    others.become_user(Some(nobody));
    let whose = |dir: &Path| fs::metadata(dir).map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata));
    if whose(&others.dir).expect("it is there") != nobody {
        others.dir = roots.dir.clone();
    }
    // See `store::open_files`: SQLite may have made root's what stands beside the database.
    for name in ["taskq.db-wal", "taskq.db-shm"] {
        std::os::unix::fs::chown(others.dir.join(name), Some(nobody), Some(nobody)).expect("it is there");
    }
    assert_eq!(others.ok(&["list", "--all"]).lines().count(), 2, "nothing was added to the other's");
}

#[test]
fn a_database_that_is_a_symlink_or_a_directory_is_refused() {
    let store = Store::new();
    store.add(&["--hold"], MARKS);
    let (database, elsewhere) = (store.dir.join("taskq.db"), store.path("elsewhere"));
    fs::rename(&database, &elsewhere).expect("it is there");
    symlink(&elsewhere, &database).expect("the name is free");
    is_refused(&store, "taskq.db` is not a regular file");
    fs::remove_file(&database).expect("it is there");
    fs::create_dir(&database).expect("the name is free");
    is_refused(&store, "taskq.db` is not a regular file");
}

#[test]
fn a_database_that_belongs_to_somebody_else_is_refused() {
    let Some(nobody) = nobody() else { return };
    let store = Store::new();
    store.add(&["--hold"], MARKS);
    std::os::unix::fs::chown(store.dir.join("taskq.db"), Some(nobody), None).expect("we are root");
    is_refused(&store, &format!("taskq.db` belongs to user {nobody}, not to user 0"));
}

/// Changes the store of a daemon, adds a job, and checks that the daemon exits for this reason and has
/// acknowledged no job that is in no store.
fn ends_with_the_reason(act: impl Fn(&Store), words: &str) -> Store {
    let (store, mut daemon) = served();
    store.add(&["--hold"], MARKS);
    act(&store);
    let added = store.run(&["add", "-c", MARKS]);
    daemon.line(words);
    assert_eq!(daemon.ends(), Some(1), "{words}");
    // Nothing is acknowledged that is in no store.
    let id = String::from_utf8_lossy(&added.stdout).trim().to_owned();
    if added.status.success() {
        assert!(store.ok(&["show", &id]).contains(MARKS.trim_end()), "{words}: {id}");
    }
    assert_eq!(store.markers(), [""; 0], "{words}: nothing was started");
    store
}

#[test]
fn a_daemon_whose_database_or_log_was_removed_acknowledges_nothing_and_ends_with_the_reason() {
    for name in ["taskq.db", "taskq.db-wal", "taskq.db-shm"] {
        let remove = |store: &Store| fs::remove_file(store.dir.join(name)).expect("it is there");
        ends_with_the_reason(remove, &format!("{name}` was removed while it was in use"));
    }
}

#[test]
fn a_daemon_whose_database_was_replaced_ends_with_the_reason() {
    let replace = |store: &Store| {
        fs::copy(store.dir.join("taskq.db"), store.path("copy")).expect("it is there");
        fs::rename(store.path("copy"), store.dir.join("taskq.db")).expect("one file system");
    };
    ends_with_the_reason(replace, "taskq.db` was replaced by another file while it was in use");
}

#[test]
fn a_daemon_whose_directory_was_replaced_ends_with_the_reason_and_the_new_one_has_what_is_added() {
    let replace = |store: &Store| {
        fs::rename(&store.dir, store.path("away")).expect("one file system");
        fs::create_dir(&store.dir).expect("the name is free");
        chmod(&store.dir, 0o700);
        // So that the client finds the daemon all the same.
        symlink(store.path("away/adds.sock"), store.dir.join("adds.sock")).expect("the name is free");
    };
    let store = ends_with_the_reason(replace, "store` was removed or replaced while it was in use");
    assert!(store.dir.join("adds.sock").is_symlink(), "what another made is not removed");
    assert!(!store.path("away/adds.sock").exists(), "its own is");
}

#[test]
fn a_directory_of_outputs_that_was_removed_is_made_again() {
    let store = Store::new();
    store.fifos(&["gate"]);
    let mut daemon = store.daemon();
    fs::remove_dir_all(store.dir.join("log")).expect("it is there");
    store.add(&[], &format!("{MARKS}echo out; read x <gate"));
    open(store.gate("gate"));
    daemon.line("the directory `log` was gone: made it again");
    assert_eq!(store.wait("1"), 0);
    assert_eq!(store.ok(&["log", "1"]), "out");
    assert_eq!(fs::metadata(store.dir.join("log")).expect("it is there").permissions().mode() & 0o777, 0o700);
    store.close(daemon);
}
