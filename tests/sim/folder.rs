//! Owns: a real folder in a simulated world: its files, and what happens to them.
//! Never: who watches it (see `shadows`).
//!
//! Files and kernel are real. Their times and sizes are not those of the machine, so that a seed makes the
//! same world each time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// The names of files.
pub const FILES: [&str; 4] = ["a.in", "b.in", "c.in", "d.out"];

/// Each file with its version.
pub type Files = BTreeMap<&'static str, u64>;

/// What happened to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Created,
    Changed,
    Deleted,
}

#[derive(Debug)]
pub struct Folder {
    dir: TempDir,
    /// It is at its place, and not elsewhere, as if another file system were mounted over it.
    pub is_here: bool,
    pub files: Files,
    /// Of the file that was written last. No file has the version of another.
    version: u64,
}

impl Folder {
    pub fn new(below: Option<&Path>) -> Self {
        let dir = below.map_or_else(tempfile::tempdir, tempfile::tempdir_in).expect("a directory");
        fs::create_dir(dir.path().join("in")).expect("a directory");
        fs::create_dir(dir.path().join("out")).expect("a directory");
        Self { dir, is_here: true, files: Files::new(), version: 0 }
    }

    /// Returns where it is while it is at its place.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("in")
    }

    fn away(&self) -> PathBuf {
        self.dir.path().join("out").join("in")
    }

    fn file(&self, name: &str) -> PathBuf {
        if self.is_here { self.path().join(name) } else { self.away().join(name) }
    }

    /// Writes a new version of a file, and closes it.
    fn fill(&mut self, path: &Path) {
        self.version += 1;
        let mut file = File::create(path).expect("a file");
        file.write_all(&vec![b'x'; usize::try_from(self.version).expect("small")]).expect("room for it");
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(self.version);
        file.set_modified(modified).expect("its time can be set");
    }

    fn came(&mut self, name: &'static str) -> Act {
        match self.files.insert(name, self.version) {
            Some(_) => Act::Changed,
            None => Act::Created,
        }
    }

    pub fn write(&mut self, name: &'static str) -> Act {
        self.fill(&self.file(name));
        self.came(name)
    }

    /// Puts a file that was written elsewhere in the place of another, which may be there or not.
    pub fn replace(&mut self, name: &'static str) -> Act {
        let elsewhere = self.dir.path().join("new");
        self.fill(&elsewhere);
        fs::rename(&elsewhere, self.file(name)).expect("both are on one file system");
        self.came(name)
    }

    /// Deletes a file that is there.
    pub fn delete(&mut self, name: &'static str) -> Act {
        fs::remove_file(self.file(name)).expect("it is there");
        self.files.remove(name);
        Act::Deleted
    }

    /// Moves it away from its place, or back.
    pub fn shift(&mut self) {
        let (from, to) = if self.is_here { (self.path(), self.away()) } else { (self.away(), self.path()) };
        fs::rename(from, to).expect("its place is empty");
        self.is_here = !self.is_here;
    }

    /// Makes more changes than the kernel remembers: inotify(7). Returns whether it could.
    pub fn flood(&self) -> bool {
        const MOST: usize = 20_000;
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
        let Some(limit) = limit.ok().and_then(|text| text.trim().parse::<usize>().ok()) else { return false };
        if limit > MOST {
            return false;
        }
        let path = self.file(".flood");
        for _ in 0..=limit / 2 {
            drop(File::create(&path).expect("a file"));
            fs::remove_file(&path).expect("it is there");
        }
        true
    }
}
