//! Owns: the record of what real processes do to the files of a store, and of what they acknowledge.
//! Never: what becomes of it (see `disk` and `check`).

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::check::{self, STORE, database, facts};
use crate::disk::{Cut, Disk, Random, Record, Tree};
use crate::harness::Store;
use crate::processes::patiently;
use crate::shared::has;

/// Returns record.c as a library, where it can be compiled and preloaded.
fn library() -> Option<&'static str> {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    let library = concat!(env!("CARGO_TARGET_TMPDIR"), "/record.so");
    let compile = || {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/power/record.c");
        let aside = format!("{library}.{}", std::process::id());
        let mut cc = Command::new("cc");
        let status = cc.args(["-O1", "-shared", "-fPIC", source, "-o", &aside, "-ldl"]).status();
        // It is for the GNU C library, and nothing can be preloaded into a program that is linked statically.
        let can_preload = cfg!(all(target_env = "gnu", target_pointer_width = "64"));
        let is_compiled = can_preload && status.is_ok_and(|status| status.success());
        has("cc", is_compiled && fs::rename(aside, library).is_ok())
    };
    IS_THERE.get_or_init(compile).then_some(library)
}

/// A store on a disk, and the record of it.
pub struct World {
    pub store: Store,
    record: PathBuf,
}

impl World {
    /// Makes one whose disk holds this, as if it had always been there; `None` where nothing can be
    /// recorded.
    pub fn new(tree: &Tree) -> Option<Self> {
        let library = library()?;
        let mut store = Store::at(&format!("disk{STORE}"));
        let (record, disk) = (store.path("record"), store.path("disk"));
        check::write(tree, &disk);
        store.variables = vec![
            ("LD_PRELOAD", library.into()),
            ("TASKQ_RECORD", record.clone().into()),
            ("TASKQ_RECORD_BELOW", disk.clone().into()),
        ];
        let world = Self { store, record };
        for path in tree.keys() {
            world.take_over(&disk.join(path.trim_start_matches('/')));
        }
        Some(world)
    }

    /// Records what is there as made and synced.
    fn take_over(&self, path: &Path) {
        let number = |path: &Path| usize::try_from(fs::metadata(path).expect("it is there").ino());
        let inode = number(path).expect("64 bits");
        let parent = number(path.parent().expect("it is in one")).expect("64 bits");
        let name = path.file_name().and_then(|name| name.to_str()).expect("our names are UTF-8");
        let (op, data) = check::read_file(path).map_or(("mkdir", Vec::new()), |data| ("create", data));
        self.append(&Record { op, inode, parent, name, ..Record::default() });
        if op == "create" {
            self.append(&Record { op: "write", inode, data: &data, ..Record::default() });
            self.append(&Record { op: "sync", inode, ..Record::default() });
        }
        if path != self.store.path("disk") {
            self.append(&Record { op: "sync", inode: parent, ..Record::default() });
        }
    }

    fn append(&self, record: &Record<'_>) {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(&self.record).expect("the directory is ours");
        file.lock().expect("the processes of a store unlock it");
        file.write_all(&record.bytes()).expect("there is room");
    }

    /// From here on there seems to be this much room on the disk: little makes a short log.
    pub fn has_room(&mut self, bytes: u64) {
        self.store.variables.push(("TASKQ_RECORD_FREE", OsString::from(bytes.to_string())));
    }

    /// Runs a command that adds jobs with these scripts, and returns what it answered; it is killed after so
    /// many records.
    pub fn add(&self, arguments: &[&str], scripts: &[String], kill_after: Option<usize>) -> Output {
        let mut command = self.store.command(arguments);
        command.envs(kill_after.map(|records| ("TASKQ_RECORD_KILL", records.to_string())));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
        let data = scripts.join("\n");
        let pid = child.id() as usize;
        self.append(&Record { op: "jobs", pid, data: data.as_bytes(), ..Record::default() });
        let output = patiently("a command ends", move || child.wait_with_output().expect("it is ours"));
        // Whoever was killed may have committed without having synced it. The next commit syncs both.
        if output.status.code().is_some() {
            self.look();
        }
        output
    }

    /// Runs a command that must succeed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let answer = self.store.ok(arguments);
        self.look();
        answer
    }

    /// Waits for a job or a run, and returns the status that `wait` ends with.
    pub fn wait(&self, target: &str) -> i32 {
        let status = self.store.wait(target);
        self.look();
        status
    }

    /// What can be seen now is promised: a commit that another process sees is on disk.
    pub fn look(&self) {
        // SQLite would make a log, unrecorded.
        if self.store.dir.join("taskq.db-wal").exists()
            && let Ok(facts) = database(&self.store.dir).and_then(|database| facts(&database))
        {
            let data = facts.into_iter().collect::<Vec<_>>().join("\n");
            self.append(&Record { op: "facts", data: data.as_bytes(), ..Record::default() });
        }
    }

    /// Returns the record, which accounts for all that is there now.
    pub fn end(self) -> Vec<u8> {
        let bytes = fs::read(&self.record).expect("it is there");
        let mut disk = Disk::default();
        let records = Record::read_all(&bytes);
        records.iter().for_each(|record| disk.apply(record));
        let (recorded, mut found) = (disk.cut(Cut::Everything, &mut Random(0)), Tree::new());
        check::read(&self.store.path("disk"), "", &mut found);
        assert!(recorded.keys().eq(found.keys()), "{:?}, not {:?}", recorded.keys(), found.keys());
        for (path, content) in &found {
            assert!(recorded[path] == *content, "`{path}` was written to, and that is not in the record");
        }
        bytes
    }
}
