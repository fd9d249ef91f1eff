//! Owns: which of its outputs an attempt writes to.
//! Never: their bytes.

/// One of the outputs of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutputKind {
    /// The standard output, and without `--split-output` the standard error too.
    #[default]
    Stdout,
    /// The standard error of an attempt with `--split-output`.
    Stderr,
}
