//! Owns: outputs that come from other machines, which the daemon writes.
//! Never: those of the processes of this one (see `copier`).

use super::output::OutputFile;
use super::output_files::CHUNK_BYTES_MAX;
use crate::domain::Timestamp;

impl OutputFile {
    /// Appends bytes that come from another machine, and were written there at `at` or before.
    pub fn take(&mut self, bytes: &[u8], at: Timestamp) {
        for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
            // If it cannot be opened, the chunk is dropped and counted.
            let _ = self.open();
            self.record_time(at.as_micros());
            self.write(chunk);
        }
    }

    /// Returns the place after the last byte that it has, also of an earlier daemon.
    pub fn place(&mut self) -> u64 {
        if !self.is_open() {
            // If it cannot be looked at, it cannot be written either.
            let _ = self.look();
        }
        self.end()
    }
}
