//! Owns: `taskq help`.
//! Never: the help texts (see each verb).

use clap::{Args, Command};

use crate::cli::context::Context;
use crate::cli::usage::no_such_verb;
use crate::error::Result;

pub const WHAT: &str = "show help";

/// Show the help of taskq or of a command
#[derive(Args, Debug)]
pub struct HelpArgs {
    /// The command, as in `help queue set`
    #[arg(value_name = "COMMAND")]
    pub verb: Vec<String>,
}

/// Prints the help of a verb of the command line `full`, as `--help` does.
pub fn run(context: &Context<'_>, args: &HelpArgs, mut full: Command) -> Result<u8> {
    full.build();
    let mut command = &mut full;
    for (index, word) in args.verb.iter().enumerate() {
        if command.find_subcommand(word).is_none() {
            return Err(no_such_verb(&args.verb[..=index], &["--help"]));
        }
        command = command.find_subcommand_mut(word).expect("it was found");
    }
    context.output.answer(&command.render_long_help().ansi().to_string())?;
    Ok(0)
}
