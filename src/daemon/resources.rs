//! Owns: the refusal of jobs that need what is not there.
//! Never: reading how large the machine is (its size is passed in).

use crate::domain::{MachineSize, Needs};
use crate::error::Error;
use crate::store::{Reader, StoreResult};

/// Returns why no run with these needs could ever start.
pub fn refused_needs(
    reader: &Reader<'_>,
    needs: &Needs,
    machine: &dyn Fn() -> MachineSize,
    what: &str,
) -> StoreResult<Option<Error>> {
    if needs.is_empty() {
        return Ok(None);
    }
    let capacities = reader.capacities(machine())?;
    for (name, amount) in needs.iter() {
        let Some(capacity) = capacities.get(name) else {
            return Ok(Some(
                Error::not_found(what, format!("there is no resource `{name}`"))
                    .hint(format!("make it with `taskq resource set {name}=N`")),
            ));
        };
        if amount > *capacity {
            let (amount, capacity) = (name.amount_text(amount), name.amount_text(*capacity));
            return Ok(Some(
                Error::usage(what, format!("it needs {name}={amount}, and there is {name}={capacity}"))
                    .hint("`taskq resource` lists how much there is"),
            ));
        }
    }
    Ok(None)
}
