//! Owns: `taskq keeper`, which only the daemon types.
//! Never: the keeper itself (see `keeper`).

use clap::Args;

/// Start, reap and remember the processes of runs
#[derive(Args, Debug)]
pub struct KeeperArgs {
    /// The identity of this keeper
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub instance: i64,
}
