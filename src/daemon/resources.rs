//! Owns: the refusal of jobs that require what is not there.
//! Never: reading how large the machine is (its size is passed in).

use std::collections::BTreeMap;

use crate::domain::{ExecutorName, MachineSize, Needs, Requirement, ResourceName};
use crate::error::Error;
use crate::store::{Reader, StoreResult};

/// Returns why no run with this requirement could ever start.
pub fn refused_requirement(
    reader: &Reader<'_>,
    requirement: &Requirement,
    machine: &dyn Fn() -> MachineSize,
    what: &str,
) -> StoreResult<Option<Error>> {
    let needs = &requirement.needs;
    match &requirement.executor {
        Some(name) => refused_executor(reader, name, requirement, what),
        None if needs.is_empty() => Ok(None),
        None => {
            let hint = |name: &ResourceName| format!("make it with `taskq resource set {name}=N`");
            Ok(refused_needs(needs, &reader.capacities(machine())?, &hint, "`taskq resource`", what))
        }
    }
}

fn refused_executor(
    reader: &Reader<'_>,
    name: &ExecutorName,
    requirement: &Requirement,
    what: &str,
) -> StoreResult<Option<Error>> {
    let Some(executor) = reader.executor(name)? else {
        let known: Vec<String> = reader.executors()?.keys().map(|name| format!("`{name}`")).collect();
        let hint = match known.as_slice() {
            [] => "make one with `taskq executor add`".to_owned(),
            known => format!("there is {}", known.join(", ")),
        };
        return Ok(Some(Error::usage(what, format!("there is no executor `{name}`")).hint(hint)));
    };
    if let Some(host) = &requirement.host
        && !executor.hosts.iter().any(|known| known.name == *host)
    {
        let known: Vec<String> = executor.hosts.iter().map(|host| format!("`{}`", host.name)).collect();
        let cause = format!("executor `{name}` has no host `{host}`");
        return Ok(Some(Error::usage(what, cause).hint(format!("it has {}", known.join(", ")))));
    }
    if !executor.counts_needs() {
        // Its engine knows what there is.
        return Ok(None);
    }
    let capacities = executor.resources();
    let capacities = capacities.iter().map(|(name, amount)| (name.clone(), amount)).collect();
    let hint = |resource: &ResourceName| {
        format!("say what each host has with `taskq executor set {name} --opt resources={resource}=N`")
    };
    Ok(refused_needs(&requirement.needs, &capacities, &hint, "`taskq executor list --json`", what))
}

fn refused_needs(
    needs: &Needs,
    capacities: &BTreeMap<ResourceName, u64>,
    hint: &dyn Fn(&ResourceName) -> String,
    list: &str,
    what: &str,
) -> Option<Error> {
    for (name, amount) in needs.iter() {
        let Some(capacity) = capacities.get(name) else {
            let cause = format!("there is no resource `{name}`");
            return Some(Error::not_found(what, cause).hint(hint(name)));
        };
        if amount > *capacity {
            let (amount, capacity) = (name.amount_text(amount), name.amount_text(*capacity));
            let cause = format!("it needs {name}={amount}, and there is {name}={capacity}");
            return Some(Error::usage(what, cause).hint(format!("{list} lists how much there is")));
        }
    }
    None
}
