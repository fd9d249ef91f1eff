//! Owns: `taskq signal`.
//! Never: sending a signal (see `keeper`).

use clap::Args;
use nix::sys::signal::Signal;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::target::{self, Target};
use crate::cli::view::json::document;
use crate::daemon::{AtOnce, can_signal, order_at_once};
use crate::domain::{RunId, RunState};
use crate::error::{Error, ErrorKind, Result, describe};
use crate::keeper::protocol::Attempt;
use crate::store::{RunFilter, RunView};

pub const WHAT: &str = "signal";

/// Send a signal to running runs
///
/// All processes of the run get it, also those that have left its process
/// group or session. Of a job, or of indices of an array, each running run gets
/// it. It does not count as a cancel: the outcome is the one that the run makes
/// of it. A run that got STOP keeps its slot, and its --timeout goes on, until
/// CONT.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq signal server HUP
  taskq signal backup.3 SIGUSR1"
)]
pub struct SignalArgs {
    /// The job, run or indices, as in 12, backup.3, 12/7
    #[arg(value_name = "JOB|RUN")]
    pub target: String,

    /// The signal, by name or number, as in HUP, SIGHUP, 1
    #[arg(value_name = "SIGNAL")]
    pub signal: String,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct SignalJson {
    signal: &'static str,
    runs: Vec<String>,
}

pub fn run(context: &Context<'_>, args: &SignalArgs) -> Result<u8> {
    let signal = read_signal(&args.signal)?;
    let (what, runs) = running(context, &args.target)?;
    match can_signal(&context.dir) {
        Some(true) => {}
        Some(false) => {
            let pids: Vec<String> = runs.iter().filter_map(|run| Some(run.pid?.to_string())).collect();
            return Err(Error::conflict(what, "its keeper is an earlier taskq's, which cannot").hint(
                format!("`kill -{} {}` reaches its first process", &signal.as_str()[3..], pids.join(" ")),
            ));
        }
        None => {
            return Err(Error::new(ErrorKind::Unavailable, what, "its keeper is gone")
                .hint("a daemon starts the next one: `taskq daemon`"));
        }
    }
    // Others can only be sent where the processes are.
    if let Some(far) = runs.iter().find_map(|run| run.far.as_ref()).filter(|_| !is_for_hosts(signal)) {
        return Err(Error::conflict(what, format!("it runs on `{}`", far.place))
            .hint("STOP and CONT reach it there, and `taskq cancel` stops it"));
    }
    let order = |run: &RunView| AtOnce::Signal {
        attempt: Attempt::of_run(run.run, run.attempt),
        signal: signal as i32,
    };
    let orders: Vec<AtOnce> = runs.iter().map(order).collect();
    order_at_once(&context.dir, &orders)
        .map_err(|error| Error::new(ErrorKind::Io, what, describe(&error).to_string()))?;
    let runs: Vec<String> = runs.iter().map(|run| run.run.to_string()).collect();
    if args.json {
        context.output.json(&document(SignalJson { signal: signal.as_str(), runs }))?;
    } else {
        context.output.confirm(&format!("sent {signal} to {}", runs.join(", ")));
    }
    Ok(0)
}

/// Returns whether a signal can be sent to a run on a host of an executor.
fn is_for_hosts(signal: Signal) -> bool {
    matches!(signal, Signal::SIGSTOP | Signal::SIGCONT)
}

/// Returns the running runs that are meant, and the words for errors about them.
fn running(context: &Context<'_>, text: &str) -> Result<(String, Vec<RunView>)> {
    context.read(WHAT, |reader| {
        let (kind, mut runs, none) = match target::find(reader, WHAT, text)? {
            Target::Run(run) => {
                let view = reader.run(run)?;
                let none = not_running(view.as_ref(), run);
                ("run ", view.into_iter().collect(), none)
            }
            Target::Job(job) => {
                let filter = RunFilter { job: Some(job), unfinished: true, ..RunFilter::default() };
                ("job ", reader.runs(&filter)?, "it has no running run".to_owned())
            }
            Target::Indices(job, first, last) => {
                let mut runs: Vec<RunView> = Vec::new();
                for (_, run) in reader.runs_of_indices(job, first, last)? {
                    runs.extend(reader.run(run)?);
                }
                ("", runs, "none of them is running".to_owned())
            }
        };
        runs.retain(|run| run.state == RunState::Running);
        runs.sort_by_key(|run| run.run);
        let what = format!("{WHAT} {kind}`{text}`");
        if runs.is_empty() { Err(Error::conflict(what, none).into()) } else { Ok((what, runs)) }
    })
}

fn not_running(view: Option<&RunView>, run: RunId) -> String {
    match view.map(|view| view.state) {
        Some(RunState::Finished) => "it has already finished".to_owned(),
        Some(state) => format!("it is {state}"),
        None => format!("there is no run {run}"),
    }
}

/// Reads a signal: a name, with or without `SIG`, in any case, or a number.
fn read_signal(text: &str) -> Result<Signal> {
    let name = text.to_ascii_uppercase();
    let named = || format!("SIG{}", name.strip_prefix("SIG").unwrap_or(&name)).parse::<Signal>().ok();
    let numbered = || Signal::try_from(text.parse::<i32>().ok()?).ok();
    numbered().or_else(named).ok_or_else(|| {
        let names: Vec<&str> = Signal::iterator().map(|signal| &signal.as_str()[3..]).collect();
        Error::usage(WHAT, format!("there is no signal `{text}`"))
            .hint(format!("it is a number from 1 to 31, or one of {}", names.join(" ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_a_name_with_or_without_sig_or_a_number() {
        for text in ["HUP", "SIGHUP", "hup", "Sighup", "1"] {
            assert_eq!(read_signal(text).expect(text), Signal::SIGHUP);
        }
        for text in ["", "0", "32", "-1", "1.5", "SIG", "SIGSIGHUP", "HUPP", "RTMIN"] {
            assert!(read_signal(text).is_err(), "{text}");
        }
    }
}
