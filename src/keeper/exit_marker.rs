//! Owns: the files by which keepers that ended in order say so, `keeper-INSTANCE.ended` in the log directory.
//! Never: what a daemon makes of them.
//!
//! A daemon may die between the commit of a claim and the order, and its idle keeper then ends. Without a
//! word of it the next daemon could not tell this from a keeper that was killed, and its run would be lost
//! that was never started.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::protocol::KeeperInstance;

const BEFORE: &str = "keeper-";
const BEHIND: &str = ".ended";

fn path(log_dir: &Path, instance: KeeperInstance) -> PathBuf {
    log_dir.join(format!("{BEFORE}{instance}{BEHIND}"))
}

/// Says that this keeper started all that it was told to, and that every result of it was acknowledged.
pub(super) fn leave(log_dir: &Path, instance: KeeperInstance) -> io::Result<()> {
    File::create(path(log_dir, instance)).map(drop)
}

/// Returns the keepers that ended in order and were not forgotten.
pub fn exit_markers(log_dir: &Path) -> Vec<KeeperInstance> {
    let Ok(entries) = fs::read_dir(log_dir) else { return Vec::new() };
    let instance = |entry: io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name();
        name.to_str()?.strip_prefix(BEFORE)?.strip_suffix(BEHIND)?.parse().ok()
    };
    entries.filter_map(instance).collect()
}

/// Forgets them: every claim that was for them is settled and committed.
pub fn remove_exit_markers(log_dir: &Path, instances: &[KeeperInstance]) {
    for instance in instances {
        // Left behind it is true still.
        let _ = fs::remove_file(path(log_dir, *instance));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_farewell_is_read_until_it_is_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("12.3"), "an output").expect("writable");
        leave(dir.path(), 4711).expect("writable");
        assert_eq!(exit_markers(dir.path()), [4711]);
        remove_exit_markers(dir.path(), &[4711]);
        assert_eq!(exit_markers(dir.path()), Vec::<KeeperInstance>::new());
    }
}
