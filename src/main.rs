//! Owns: the entry of the program, from arguments to exit code. Creates the real clock and the real streams.
//! Never: anything that a library function can do.

use std::ffi::OsString;
use std::process::ExitCode;

use taskq::cli::context::Context;
use taskq::cli::output::Output;
use taskq::cli::{self, Cli};
use taskq::clock::SystemClock;
use taskq::error::Result;
use taskq::memory::{self, Memory};
use taskq::system::env;

#[global_allocator]
static MEMORY: Memory = Memory;

fn main() -> ExitCode {
    memory::reserve_stack();
    #[cfg(target_env = "musl")]
    memory::serve_sqlite();
    let args: Vec<OsString> = std::env::args_os().collect();
    let cli = match cli::parse(args.clone()) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(cli::usage::complain(&args, &error)),
    };
    let output = Output::new(cli.color);
    ExitCode::from(run(cli, &output).unwrap_or_else(|error| {
        output.error(&error);
        error.exit_code()
    }))
}

fn run(cli: Cli, output: &Output) -> Result<u8> {
    let clock = SystemClock::new();
    let dir = env::store_dir(cli.dir.as_deref())?;
    let context = Context { dir: dir.path, is_dir_named: dir.is_named, clock: &clock, output };
    cli::dispatch(&context, cli.command)
}
