//! Owns: `taskq completions`: the scripts by which shells complete.
//! Never: the candidates: the scripts of bash, zsh and fish ask `taskq complete` for them.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::cli::context::Context;
use crate::error::Result;

pub const WHAT: &str = "print completions";

/// Print the completions for a shell
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub shell: Shell,
}

/// The shells with committed completions, and their files in completions/.
pub const COMMITTED: &[(Shell, &str)] =
    &[(Shell::Bash, "taskq.bash"), (Shell::Zsh, "_taskq"), (Shell::Fish, "taskq.fish")];

/// Returns the script for a shell. For one that has no script of ours, it has the verbs and options of the
/// command line `full`.
pub fn completions(full: &Command, shell: Shell) -> Vec<u8> {
    let script = match shell {
        Shell::Bash => include_str!("taskq.bash"),
        Shell::Zsh => include_str!("taskq.zsh"),
        Shell::Fish => include_str!("taskq.fish"),
        _ => return listed(full, shell),
    };
    script.into()
}

fn listed(full: &Command, shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    generate(shell, &mut visible(full), "taskq", &mut text);
    text
}

/// Returns the definitions without hidden verbs, which the generators would offer too.
pub(super) fn visible(full: &Command) -> Command {
    let mut command = Command::new("taskq")
        .bin_name("taskq")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommand_value_name("COMMAND")
        .override_usage(full.get_overridden_usage().cloned().unwrap_or_default())
        .args(full.get_arguments().cloned())
        .subcommands(full.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned());
    for (text, set) in [
        (full.get_about(), Command::about as fn(Command, clap::builder::StyledStr) -> Command),
        (full.get_long_about(), Command::long_about),
        (full.get_after_help(), Command::after_help),
    ] {
        if let Some(text) = text {
            command = set(command, text.clone());
        }
    }
    command
}

/// Prints the completions of the command line `full`.
pub fn run(context: &Context<'_>, args: &CompletionsArgs, full: &Command) -> Result<u8> {
    context.output.answer_bytes(&completions(full, args.shell))?;
    Ok(0)
}
