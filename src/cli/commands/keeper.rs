//! Owns: `taskq keeper`, which only the daemon runs.
//! Never: the keeper itself (see `keeper`).

use clap::Args;

use crate::cli::context::Context;
use crate::error::{Error, Result};
use crate::keeper::{KeeperConfig, adopt_stdin_listener, serve};

pub const WHAT: &str = "run keeper";

/// Start, reap and remember the processes of runs
#[derive(Args, Debug)]
pub struct KeeperArgs {
    /// The identity of this keeper
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub instance: i64,

    /// The soft limit of descriptors that jobs get
    #[arg(long, value_name = "N")]
    pub descriptors: Option<u64>,

    /// Wait for the keys of outputs, which the daemon sends
    #[arg(long)]
    pub sealed: bool,
}

/// Serves daemons until it has no runs and no results left.
pub fn run(context: &Context<'_>, args: &KeeperArgs) -> Result<u8> {
    let failure = |error: std::io::Error| Error::io(WHAT, &error);
    let listener = adopt_stdin_listener()
        .map_err(|error| failure(error).hint("the daemon starts it: `taskq daemon`"))?;
    let KeeperArgs { instance, descriptors, sealed: is_sealed } = *args;
    let config = KeeperConfig { dir: context.dir.clone(), instance, descriptors, is_sealed };
    serve(listener, config, context.clock).map_err(failure)?;
    Ok(0)
}
