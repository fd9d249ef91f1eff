//! Owns: `taskq executor`.
//! Never: what is said to hosts (see `executor`), or which one a run gets (see `engine`).

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::args::{number, words};
use crate::cli::context::Context;
use crate::cli::executors::check::{self, CheckJson};
use crate::cli::executors::{ExecutorChanges, changed, made, warnings};
use crate::cli::in_use::refuse_used;
use crate::cli::view::executors::{ExecutorJson, ExecutorView, executor_table};
use crate::cli::view::json::document;
use crate::cli::view::times::Times;
use crate::daemon::host_directory;
use crate::domain::{Executor, ExecutorKind, ExecutorName, FarPlace, Placement};
use crate::error::{Error, Result};
use crate::shown::counted;
use crate::store::{Reader, StoreResult, Users};

pub const WHAT: &str = "list executors";

/// What `executor add` does, for errors.
pub const ADD: &str = "add executor";

/// What `executor set` does, for errors.
pub const SET: &str = "set executor";

/// What `executor remove` does, for errors.
pub const REMOVE: &str = "remove executor";

/// What `executor check` does, for errors.
pub const CHECK: &str = "check executor";

#[derive(Serialize)]
struct Executors {
    executors: Vec<ExecutorJson>,
}

#[derive(Serialize)]
struct Checks {
    executor: ExecutorName,
    checks: Vec<CheckJson>,
}

/// List where else runs can run, or set that up
///
/// An executor is a set of hosts that ssh(1) reaches, a Slurm cluster, or
/// another engine by commands of yours. The runs of a job with --executor
/// run there; nothing of taskq is installed over there. See
/// taskq-executors(7).
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND",
    override_usage = "\
taskq executor [list] [--json]
       taskq executor add NAME --type ssh|slurm|command [OPTIONS]
       taskq executor set NAME [OPTIONS]
       taskq executor remove NAME
       taskq executor check NAME",
    after_help = "\
Examples:
  taskq executor add big --type ssh --host big=8 --host small=2
  taskq executor check big
  taskq add --executor big -- ./train.sh"
)]
pub struct ExecutorArgs {
    /// The default is `list`.
    #[command(subcommand)]
    pub command: Option<ExecutorCommand>,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ExecutorCommand {
    /// List the executors and their hosts
    List(ExecutorListArgs),
    /// Make an executor
    Add(ExecutorAddArgs),
    /// Change an executor, or drain a host of it
    Set(ExecutorSetArgs),
    /// Remove an executor that no job names
    Remove(ExecutorRemoveArgs),
    /// Try an executor from end to end
    Check(ExecutorCheckArgs),
}

/// List the executors and their hosts
///
/// A host is `up` until it does not answer: then it is `unreachable`, gets
/// no new runs, and is asked again for as long as a run is there, or waits
/// for it. Its runs go on.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq executor list
  taskq executor list --json"
)]
pub struct ExecutorListArgs {}

/// The options of an executor.
#[derive(Args, Debug)]
pub struct ExecutorOptions {
    /// A host of ssh(1), and its slots (can be repeated)
    #[arg(long = "host", value_name = "HOST[=N]")]
    pub hosts: Vec<String>,

    /// The directory of the runs over there
    ///
    /// From the home, if it is relative; default: .local/state/taskq/far.
    /// Of Slurm, the nodes must share it.
    #[arg(long, value_name = "DIR", verbatim_doc_comment)]
    pub rundir: Option<String>,

    /// How many runs may be there at once
    ///
    /// Of each host that names no number; default: 1, of an engine with a
    /// queue of its own 1000.
    #[arg(long, value_name = "N", value_parser = number(1..=Executor::SLOTS_MAX), verbatim_doc_comment)]
    pub slots: Option<u32>,

    /// Which host a run gets: most-free or sticky
    ///
    /// `most-free`: that with the most free slots. `sticky`: the same one
    /// for all runs of a job as far as it has a slot, so that what they
    /// left there is found again.
    #[arg(
        long,
        value_name = "HOW",
        value_parser = words(Placement::ALL, Placement::as_str, Placement::from_word),
        hide_possible_values = true,
        verbatim_doc_comment
    )]
    pub place: Option<Placement>,

    /// An option of the type (can be repeated)
    ///
    /// ssh: config=FILE (ssh -F), option=… (ssh -o), resources=gpu=2,mem=8G
    /// (what each host has for --needs). slurm: those of sbatch(1), as
    /// partition=main or time=2:00:00. command: submit=, status=, cancel=,
    /// logs=, each a command for sh(1).
    #[arg(long = "opt", value_name = "KEY=VALUE", verbatim_doc_comment)]
    pub options: Vec<String>,
}

/// Make an executor
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  taskq executor add db1 --type ssh --host backup@db1
  taskq executor add hpc --type slurm --opt partition=main --opt time=2:00:00")]
pub struct ExecutorAddArgs {
    /// A name of 1 to 64 letters, digits, `_` and `-`
    #[arg(value_name = "NAME")]
    pub name: String,

    /// What it is: ssh, slurm or command
    #[arg(
        long = "type",
        value_name = "TYPE",
        value_parser = words(ExecutorKind::ALL, ExecutorKind::as_str, ExecutorKind::from_word),
        hide_possible_values = true
    )]
    pub kind: ExecutorKind,

    #[command(flatten)]
    pub options: ExecutorOptions,
}

/// Change an executor, or drain a host of it
///
/// A host that drains keeps its runs, and gets no more.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq executor set big --drain small
  taskq executor set big --host new=4"
)]
pub struct ExecutorSetArgs {
    /// The executor
    #[arg(value_name = "NAME")]
    pub name: String,

    #[command(flatten)]
    pub options: ExecutorOptions,

    /// Give a host no more runs (can be repeated)
    #[arg(long, value_name = "HOST")]
    pub drain: Vec<String>,

    /// Give such a host runs again (can be repeated)
    #[arg(long, value_name = "HOST")]
    pub undrain: Vec<String>,

    /// Remove a host that has no runs (can be repeated)
    #[arg(long, value_name = "HOST")]
    pub remove_host: Vec<String>,

    /// Remove an option of the type (can be repeated)
    #[arg(long, value_name = "KEY")]
    pub unset_opt: Vec<String>,
}

/// Remove an executor that no job names
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  taskq executor remove big
  taskq executor remove hpc --json")]
pub struct ExecutorRemoveArgs {
    /// The executor
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Try an executor from end to end
///
/// On each host it starts two small runs, and says whether it can be
/// reached, how long that takes, whether exit 7 comes back, whether a run
/// can be stopped gracefully, whether a second start of the same run is
/// refused, and whether its output is whole. Exit status 1 if not.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq executor check big
  taskq executor check hpc --json"
)]
pub struct ExecutorCheckArgs {
    /// The executor
    #[arg(value_name = "NAME")]
    pub name: String,
}

pub fn run(context: &Context<'_>, args: &ExecutorArgs) -> Result<u8> {
    match &args.command {
        None | Some(ExecutorCommand::List(_)) => list(context, args.json),
        Some(ExecutorCommand::Add(add)) => add_executor(context, add, args.json),
        Some(ExecutorCommand::Set(set)) => set_up(context, set, args.json),
        Some(ExecutorCommand::Remove(remove)) => remove_executor(context, remove, args.json),
        Some(ExecutorCommand::Check(check)) => check_executor(context, check, args.json),
    }
}

fn name_of(what: &str, text: &str) -> Result<ExecutorName> {
    text.parse().map_err(|error| Error::usage(what, error))
}

fn changes(options: &ExecutorOptions) -> ExecutorChanges<'_> {
    let ExecutorOptions { hosts, rundir, slots, place, options } = options;
    ExecutorChanges {
        hosts,
        rundir: rundir.as_deref(),
        slots: *slots,
        placement: *place,
        options,
        ..ExecutorChanges::default()
    }
}

fn add_executor(context: &Context<'_>, args: &ExecutorAddArgs, json: bool) -> Result<u8> {
    let what = format!("{ADD} `{}`", args.name);
    let name = name_of(&what, &args.name)?;
    let executor = made(&what, args.kind, &changes(&args.options))?;
    context.write(&what, |writer| {
        if writer.executor(&name)?.is_some() {
            return Err(Error::conflict(&what, "there is one already")
                .hint(format!("change it with `taskq executor set {name}`"))
                .into());
        }
        Ok(writer.set_executor(&name, &executor)?)
    })?;
    warnings(&executor).iter().for_each(|warning| context.output.talk(warning));
    if json {
        return list(context, true);
    }
    let hosts = match executor.hosts.as_slice() {
        [only] if only.name.is_empty() => String::new(),
        hosts => format!(" with {}", counted(hosts.len(), "host")),
    };
    context
        .output
        .confirm(&format!("made executor `{name}`{hosts}; try it with `taskq executor check {name}`"));
    Ok(0)
}

fn set_up(context: &Context<'_>, args: &ExecutorSetArgs, json: bool) -> Result<u8> {
    let what = format!("{SET} `{}`", args.name);
    let name = name_of(&what, &args.name)?;
    let changes = ExecutorChanges {
        drained: &args.drain,
        undrained: &args.undrain,
        removed_hosts: &args.remove_host,
        unset: &args.unset_opt,
        ..changes(&args.options)
    };
    if changes == ExecutorChanges::default() {
        return Err(Error::usage(&what, "nothing to set is given")
            .hint("give a `--host`, a `--drain`, or another option"));
    }
    let executor = context.change(&what, |writer| {
        let Some(before) = writer.executor(&name)? else { return Err(unknown(writer, &what)?.into()) };
        let counts = writer.far_counts()?;
        let runs = |host: &str| {
            let place = FarPlace { executor: name.clone(), host: host.to_owned() };
            counts.get(&place).copied().unwrap_or(0)
        };
        let after = changed(&what, &before, &changes, &runs)?;
        writer.set_executor(&name, &after)?;
        Ok(after)
    })?;
    warnings(&executor).iter().for_each(|warning| context.output.talk(warning));
    if json {
        return list(context, true);
    }
    context.output.confirm(&format!("changed executor `{name}`"));
    Ok(0)
}

/// Returns the refusal of a name that no executor has, with those that there are.
fn unknown(reader: &Reader<'_>, what: &str) -> StoreResult<Error> {
    Ok(Error::not_found(what, "there is no such executor").hint(reader.executors_hint()?))
}

fn remove_executor(context: &Context<'_>, args: &ExecutorRemoveArgs, json: bool) -> Result<u8> {
    let what = format!("{REMOVE} `{}`", args.name);
    let name = name_of(&what, &args.name)?;
    context.change(&what, |writer| {
        if writer.executor(&name)?.is_none() {
            return Err(unknown(writer, &what)?.into());
        }
        let Users { jobs, first, run } = writer.executor_users(&name)?;
        let words = ["runs there, and is not done", "run there, and are not done"];
        let way = |first| format!("change each with `taskq set {first} --unset executor`");
        refuse_used(&what, (jobs, first), words, way)?;
        if let Some(run) = run {
            return Err(Error::conflict(&what, format!("run {run} is there")).into());
        }
        Ok(writer.remove_executor(&name)?)
    })?;
    if json {
        return list(context, true);
    }
    context.output.confirm(&format!("removed executor `{name}`"));
    Ok(0)
}

fn views(reader: &Reader<'_>) -> StoreResult<Vec<ExecutorView>> {
    let (counts, unreachable) = (reader.far_counts()?, reader.unreachable()?);
    let view = |(name, executor)| ExecutorView {
        name,
        executor,
        counts: counts.clone(),
        unreachable: unreachable.clone(),
    };
    Ok(reader.executors()?.into_iter().map(view).collect())
}

fn list(context: &Context<'_>, json: bool) -> Result<u8> {
    let views = context.read(WHAT, |reader| Ok(views(reader)?))?;
    if json {
        let executors = views.iter().map(ExecutorJson::new).collect();
        context.output.json(&document(Executors { executors }))?;
    } else {
        let (zone, _) = context.zone(WHAT)?;
        let times = Times { zone: &zone, now: context.now(), are_whole: false };
        context.output.table(&executor_table(&views, &times))?;
    }
    Ok(0)
}

fn check_executor(context: &Context<'_>, args: &ExecutorCheckArgs, json: bool) -> Result<u8> {
    let what = format!("{CHECK} `{}`", args.name);
    let name = name_of(&what, &args.name)?;
    let executor = context.read(&what, |reader| match reader.executor(&name)? {
        Some(executor) => Ok(executor),
        None => Err(unknown(reader, &what)?.into()),
    })?;
    let dir = host_directory(&context.dir).map_err(|error| Error::io(&what, &error))?;
    let mut all_good = true;
    let mut checks = Vec::new();
    for host in &executor.hosts {
        let mut answers = false;
        check::host(&what, (&executor, host), (&dir, &|| context.monotonic()), &mut |found| {
            all_good &= found.is_good();
            answers |= found.is_good();
            if !json {
                context.output.answer(&found.line())?;
            }
            checks.push(found.json());
            Ok(())
        })?;
        let place = FarPlace { executor: name.clone(), host: host.name.clone() };
        if answers {
            // So that runs which wait for it need not wait until the daemon asks it again.
            context.change(&what, |writer| Ok(writer.set_reachable(&place, None, context.now())?))?;
        }
    }
    if json {
        context.output.json(&document(Checks { executor: name, checks }))?;
    }
    Ok(u8::from(!all_good))
}
