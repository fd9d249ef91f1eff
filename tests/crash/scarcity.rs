//! Owns: a system that has no process or no inode left for the start of a run.
//! Never: a full disk (see `disk`).

use nix::unistd::geteuid;

use crate::check::{count, finish};
use crate::disk::Disk;
use crate::harness::{Daemon, MARKS, Store};
use crate::processes::eventually;
use crate::shared::has;

/// A user without other processes, because the limit counts all processes of a user.
const USER: u32 = 54_321;

#[test]
fn a_start_for_which_there_is_no_process_just_now_is_tried_again() {
    if !has("root", geteuid().is_root()) {
        return;
    }
    let store = Store::of_user(USER);
    let mut command = store.program("bash");
    let script = "ulimit -u 12; exec \"$0\" --dir \"$1\" daemon --slots 20";
    command.args(["-c", script, env!("CARGO_BIN_EXE_taskq")]).arg(&store.dir);
    let mut daemon = Daemon::new(&mut command);
    daemon.line("serving");
    store.add_all(vec![format!("{MARKS}exec sleep 0.1"); 20]);
    let notice = daemon.line("cannot start run");
    assert!(notice.ends_with(": too many processes; trying again for a minute"), "{notice}");
    store.wait_all();
    assert_eq!(count(&store, "run WHERE outcome = 'success'"), 20);
    finish(&store, daemon);
}

#[test]
fn a_start_for_which_there_is_no_inode_just_now_is_tried_again() {
    let store = Store::at("disk/store");
    let disk = store.path("disk");
    let Some(_mounted) = Disk::mount(disk.clone(), "size=16m,nr_inodes=40") else { return };
    let mut daemon = store.daemon();
    assert_eq!(store.run_script(MARKS), 0, "there is a keeper");
    let files = || std::fs::read_dir(store.dir.join("log")).expect("run 1 made it").count();
    eventually("run 1 gives its inodes back", || files() == 0);
    let fillers: Vec<_> = (0..40).map(|n| disk.join(format!("filler{n}"))).collect();
    let filled = fillers.iter().take_while(|path| std::fs::write(path, "").is_ok()).count();
    assert!(filled > 0 && filled < 40, "{filled}");
    store.add(&[], MARKS);
    let notice = daemon.line("cannot start run 2.1 yet");
    assert!(notice.contains("no space left on device"), "{notice}");
    for path in &fillers[..filled] {
        std::fs::remove_file(path).expect("it was made");
    }
    assert_eq!(store.wait("2"), 0);
    finish(&store, daemon);
}
