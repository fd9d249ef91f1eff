//! Owns: `taskq version`.
//! Never: the version (see Cargo.toml).

use clap::{Args, Command};

use crate::cli::context::Context;
use crate::error::Result;

pub const WHAT: &str = "show version";

/// Print the version
#[derive(Args, Debug)]
pub struct VersionArgs {}

/// Prints the version of the command line `full`, as `--version` does.
pub fn run(context: &Context<'_>, full: &Command) -> Result<u8> {
    context.output.answer(&full.render_version())?;
    Ok(0)
}
