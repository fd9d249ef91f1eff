//! Owns: the last words of keepers: a file with the instances that ended because nothing was left to keep.
//! Never: what follows from them (see `turn`).
//!
//! A run that was claimed for a keeper which ended so was never started: had it been heard of, the keeper would not have
//! ended. A keeper that was killed leaves no word, and nobody can tell.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::keeper::protocol::KeeperInstance;

const FILE: &str = "keepers.ended";

/// Leaves a keeper's last word. To be said while its socket is still open: whoever finds that closed finds the word.
pub fn bid_farewell(dir: &Path, instance: KeeperInstance) -> io::Result<()> {
    // Appended in one write: the words of two keepers do not mix.
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.join(FILE))?;
    file.write_all(format!("{instance}\n").as_bytes())
}

/// Returns the keepers that have left a word.
pub(super) fn read(dir: &Path) -> Vec<KeeperInstance> {
    let text = fs::read_to_string(dir.join(FILE)).unwrap_or_default();
    // Half a word, as a full disk leaves it, is none.
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.parse().ok()).collect()
}

/// Removes the words once nothing is claimed for those who left them.
pub(super) fn forget(dir: &Path) {
    // Left there they do no harm: no instance comes twice.
    let _ = fs::remove_file(dir.join(FILE));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_until_they_are_forgotten() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(read(dir.path()).is_empty());
        bid_farewell(dir.path(), 7).expect("it is ours");
        bid_farewell(dir.path(), i64::MAX).expect("it is ours");
        assert_eq!(read(dir.path()), [7, i64::MAX]);
        forget(dir.path());
        assert!(read(dir.path()).is_empty());
    }

    #[test]
    fn half_a_word_is_none() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join(FILE), "12\n\nx\n34").expect("it is ours");
        assert_eq!(read(dir.path()), [12]);
    }
}
