//! Owns: the files that keepers leave when they exit in order: `keeper-INSTANCE.ended` in the log
//! directory.
//! Never: the conclusions of a daemon.
//!
//! A daemon may die between the commit of a claim and the order. Then its idle keeper exits. Without a marker
//! this keeper would look like a killed one to the next daemon, and the run would count as lost.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::protocol::KeeperInstance;

const PREFIX: &str = "keeper-";
const SUFFIX: &str = ".ended";

fn path(log_dir: &Path, instance: KeeperInstance) -> PathBuf {
    log_dir.join(format!("{PREFIX}{instance}{SUFFIX}"))
}

/// Marks that this keeper has started all that it was sent, and that all its results were acknowledged.
pub(super) fn leave(log_dir: &Path, instance: KeeperInstance) -> io::Result<()> {
    File::create(path(log_dir, instance)).map(drop)
}

/// Returns the keepers whose markers are there.
pub fn exit_markers(log_dir: &Path) -> Vec<KeeperInstance> {
    let entries = fs::read_dir(log_dir).into_iter().flatten().flatten();
    let instance = |entry: fs::DirEntry| {
        entry.file_name().to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
    };
    entries.filter_map(instance).collect()
}

/// Removes markers: every claim for these keepers is settled and committed.
pub fn remove_exit_markers(log_dir: &Path, instances: &[KeeperInstance]) {
    for instance in instances {
        // One that stays is still true.
        let _ = fs::remove_file(path(log_dir, *instance));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_until_it_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("12.3"), "an output").expect("writable");
        leave(dir.path(), 4711).expect("writable");
        assert_eq!(exit_markers(dir.path()), [4711]);
        remove_exit_markers(dir.path(), &[4711]);
        assert_eq!(exit_markers(dir.path()), Vec::<KeeperInstance>::new());
    }
}
