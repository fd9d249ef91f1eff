//! Owns: `taskq resource`.
//! Never: which run gets what (see `engine`).

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::in_use::refuse_used;
use crate::cli::view::json::document;
use crate::cli::view::resources::{ResourceJson, resource_table};
use crate::domain::{MachineSize, ResourceName, read_assignment};
use crate::error::{Error, Result};
use crate::store::ResourceUsers;
use crate::system::machine;

pub const WHAT: &str = "list resources";

/// What `resource set` does, for errors.
pub const SET: &str = "set resource";

/// What `resource remove` does, for errors.
pub const REMOVE: &str = "remove resource";

#[derive(Serialize)]
struct Resources {
    resources: Vec<ResourceJson>,
}

/// List what jobs can book, or set how much there is
///
/// A run books the resources that its job needs (`taskq add --needs`), and
/// starts when so much is free. `cpu` (the CPUs) and `mem` (nine tenths of
/// the memory) are there without being set. The first run that does not fit
/// keeps what it needs: those behind it get what is left.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND",
    override_usage = "\
taskq resource [list] [--json]
       taskq resource set NAME=N...
       taskq resource remove NAME",
    after_help = "\
Examples:
  taskq resource
  taskq resource set gpu=2 lic=1
  taskq add -R gpu=1,mem=1G -- ./train.sh"
)]
pub struct ResourceArgs {
    /// The default is `list`.
    #[command(subcommand)]
    pub command: Option<ResourceCommand>,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ResourceCommand {
    /// List the resources, with who has them
    List(ResourceListArgs),
    /// Make resources, or change how much there is
    Set(ResourceSetArgs),
    /// Remove a resource that no job needs
    Remove(ResourceRemoveArgs),
}

/// List the resources, with who has them
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  taskq resource list
  taskq resource list --json")]
pub struct ResourceListArgs {}

/// Make resources, or change how much there is
///
/// The parts of a resource with at most 1024 are counted from 0, and a run
/// is told which it has. A run that has some keeps them when there is less.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq resource set gpu=2 lic=1
  taskq resource set mem=24G"
)]
pub struct ResourceSetArgs {
    /// A name (1 to 32 small letters, digits, `_`) and how much there is
    #[arg(value_name = "NAME=N", required = true)]
    pub resources: Vec<String>,
}

/// Remove a resource that no job needs
///
/// Of `cpu` and `mem`, there is as much as the machine has from then on.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq resource remove gpu
  taskq resource remove mem"
)]
pub struct ResourceRemoveArgs {
    /// The resource
    #[arg(value_name = "NAME")]
    pub name: String,
}

pub fn run(context: &Context<'_>, args: &ResourceArgs) -> Result<u8> {
    match &args.command {
        None | Some(ResourceCommand::List(_)) => list(context, args.json),
        Some(ResourceCommand::Set(set)) => set_up(context, set, args.json),
        Some(ResourceCommand::Remove(remove)) => remove_resource(context, remove, args.json),
    }
}

/// A resource as it is set.
struct Change {
    name: ResourceName,
    /// `None`: it is new.
    before: Option<u64>,
    now: u64,
    users: ResourceUsers,
}

fn set_up(context: &Context<'_>, args: &ResourceSetArgs, json: bool) -> Result<u8> {
    let mut wanted: Vec<(ResourceName, u64)> = Vec::new();
    for text in &args.resources {
        let (name, amount) = read_assignment(text).map_err(|error| Error::usage(SET, error))?;
        if wanted.iter().any(|(other, _)| *other == name) {
            return Err(Error::usage(SET, format!("`{name}` is named twice")));
        }
        wanted.push((name, amount));
    }
    let machine = machine::size();
    let changes = context.write(SET, |writer| {
        let known = writer.capacities(machine)?;
        let mut changes = Vec::new();
        for (name, now) in &wanted {
            writer.set_resource(name, *now)?;
            let (before, users) = (known.get(name).copied(), writer.resource_users(name)?);
            changes.push(Change { name: name.clone(), before, now: *now, users });
        }
        Ok(changes)
    })?;
    for change in &changes {
        if let Some(warning) = shortage(&change.name, change.now, &change.users) {
            context.output.talk(&warning);
        }
    }
    if json {
        return list(context, true);
    }
    for Change { name, before, now, .. } in &changes {
        let amount = |amount: u64| name.amount_text(amount);
        context.output.confirm(&match before {
            None => format!("made resource `{name}`, {}", amount(*now)),
            Some(before) => format!("resource `{name}` is {} now, {} before", amount(*now), amount(*before)),
        });
    }
    Ok(0)
}

/// Returns the warning about jobs that need more than there is.
fn shortage(name: &ResourceName, now: u64, users: &ResourceUsers) -> Option<String> {
    let first = users.first.filter(|_| users.most > now)?;
    let most = name.amount_text(users.most);
    Some(match users.jobs {
        1 => format!("warning: job {first} needs {name}={most}, and cannot start"),
        jobs => {
            format!("warning: of {jobs} jobs that need `{name}`, some need up to {most}, and cannot start")
        }
    })
}

fn remove_resource(context: &Context<'_>, args: &ResourceRemoveArgs, json: bool) -> Result<u8> {
    let what = format!("{REMOVE} `{}`", args.name);
    let name: ResourceName = args.name.parse().map_err(|error| Error::usage(&what, error))?;
    let machine = machine::size();
    let (left, users) = context.change(&what, |writer| {
        let found = writer.resources(machine)?.into_iter().find(|resource| resource.name == name);
        let Some(resource) = found else {
            return Err(Error::not_found(&what, "there is no such resource")
                .hint("`taskq resource` lists them")
                .into());
        };
        let left = machine.capacities().get(&name).copied();
        if resource.is_built_in {
            return Err(Error::conflict(&what, "it is as large as the machine, and was not set").into());
        }
        let users = writer.resource_users(&name)?;
        if left.is_none() {
            let words = ["needs it, and is not done", "need it, and are not done"];
            let way = |first| format!("change each with `taskq set {first} --unset needs`");
            refuse_used(&what, (users.jobs, users.first), words, way)?;
            if let Some(run) = resource.holders.first() {
                return Err(Error::conflict(&what, format!("run {run} has some of it")).into());
            }
        }
        writer.remove_resource(&name)?;
        Ok((left, users))
    })?;
    if let Some(warning) = left.and_then(|left| shortage(&name, left, &users)) {
        context.output.talk(&warning);
    }
    if json {
        return list(context, true);
    }
    context.output.confirm(&match left {
        None => format!("removed resource `{name}`"),
        Some(left) => format!("resource `{name}` is as the machine has it, {}", name.amount_text(left)),
    });
    Ok(0)
}

fn list(context: &Context<'_>, json: bool) -> Result<u8> {
    let machine: MachineSize = machine::size();
    let resources = context.read(WHAT, |reader| Ok(reader.resources(machine)?))?;
    if json {
        let resources = resources.iter().map(ResourceJson::new).collect();
        context.output.json(&document(Resources { resources }))?;
    } else {
        context.output.table(&resource_table(&resources))?;
    }
    Ok(0)
}
