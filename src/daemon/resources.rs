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
        let error = Error::usage(what, format!("there is no executor `{name}`"));
        return Ok(Some(error.hint(reader.executors_hint()?)));
    };
    if let Some(host) = &requirement.host
        && !executor.hosts.iter().any(|known| known.name == *host)
    {
        let error = Error::usage(what, format!("executor `{name}` has no host `{host}`"));
        return Ok(Some(match executor.hosts_hint() {
            Some(hint) => error.hint(hint),
            None => error,
        }));
    }
    if !executor.counts_needs() {
        // Its engine knows what there is.
        return Ok(None);
    }
    let hint = |resource: &ResourceName| {
        format!("say what each host has with `taskq executor set {name} --opt resources={resource}=N`")
    };
    Ok(refused_needs(&requirement.needs, &executor.capacities(), &hint, "`taskq executor list --json`", what))
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
