//! Owns: the count of `--nth`, which goes on through the fires of all triggers of a job.
//! Never: the fires themselves (see `due_nth`).

/// The count of `--nth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NthFacts {
    /// Every so many fires one runs; at least 1.
    pub nth: u32,
    /// How many fires were passed over since the last one that ran; below `nth`.
    pub passed: u32,
}

impl NthFacts {
    /// Counts a fire, and returns whether it runs.
    pub fn counts_fire(&mut self) -> bool {
        self.passed = (self.passed + 1) % self.nth;
        self.passed == 0
    }
}
