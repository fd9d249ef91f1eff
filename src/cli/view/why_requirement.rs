//! Owns: the words of `why` for what a run requires besides a slot, and for runs in its way.
//! Never: the other reasons (see `why`).

use super::times::Times;
use crate::domain::{FireId, Gate, GateReading, Requirement, RunId, Timestamp};
use crate::engine::ResourceWait;
use crate::shown::escaped;

/// How many runs a line names.
const NAMED_MAX: usize = 3;

/// Returns the name by which a fire is asked for: that of its run, or of the job of its array.
pub(super) fn fire_name(fire: FireId) -> String {
    match fire {
        FireId::Run(run) => run.to_string(),
        FireId::Array { job, .. } => job.to_string(),
    }
}

/// Returns the wait at a gate as a predicate.
pub(super) fn gate_text(
    gate: &Gate,
    reading: &GateReading,
    until: Option<Timestamp>,
    requirement: &Requirement,
    times: &Times<'_>,
) -> String {
    let starts = requirement.gate_timeout.is_some_and(|timeout| timeout.starts);
    let end = match until.map(|until| (until > times.now, times.show(until))) {
        None => String::new(),
        Some((false, at)) if starts => {
            return format!("waits for its turn: its gates have not counted since {at}");
        }
        Some((true, at)) if starts => format!("; from {at} on, its gates do not count"),
        Some((true, at)) => format!("; if a gate is closed at {at}, the run is missed"),
        Some((false, at)) => {
            format!("; its time-out ended at {at}: it is missed if a gate is closed when its turn comes")
        }
    };
    let gate_name = escaped(&gate.to_string()).into_owned();
    format!("waits at the gate `{gate_name}`{}{end}", reading_text(gate, reading, requirement))
}

/// Returns why a gate is closed.
fn reading_text(gate: &Gate, reading: &GateReading, requirement: &Requirement) -> String {
    match (gate, reading) {
        (_, GateReading::Unreadable(cause)) => format!(", which counts as closed: {}", escaped(cause)),
        (Gate::Command(_), _) if requirement.scripts().nth(1).is_some() => {
            ": not each script of its gates has exited with 0 yet".to_owned()
        }
        (Gate::Command(_), _) => ": its script has not exited with 0 yet".to_owned(),
        (_, GateReading::NotYet) => ", which has not been measured yet".to_owned(),
        (Gate::Pressure(..), GateReading::Read { measure: Some(measure), .. }) => {
            format!(": it was {measure} over the last ten seconds")
        }
        (_, GateReading::Read { measure: Some(measure), .. }) => format!(": it is {measure} now"),
        (Gate::Path(_), GateReading::Read { .. }) => ": there is no such file".to_owned(),
        (Gate::Ac, GateReading::Read { .. }) => ": the machine is not on mains power".to_owned(),
        (Gate::Online, GateReading::Read { .. }) => ": there is no default route".to_owned(),
        (
            Gate::Load(_) | Gate::Runnable(_) | Gate::Pressure(..) | Gate::MemFree(_),
            GateReading::Read { measure: None, .. },
        ) => ", which is closed".to_owned(),
    }
}

/// Returns what a fire waits for for which nothing is known to be missing, as a predicate.
pub(super) fn start_text(is_at_gates: bool) -> &'static str {
    if is_at_gates {
        "waits for its turn at its gates, which one run a second passes"
    } else {
        "waits for nothing, and starts in a moment"
    }
}

/// Returns the wait for a resource as a predicate.
pub(super) fn resource_text(wait: &ResourceWait) -> String {
    let amount = |amount: u64| wait.resource.amount_text(amount);
    let (needed, total) = (amount(wait.needed), amount(wait.total));
    let have = if wait.held_by.len() == 1 { "has" } else { "have" };
    let held = match wait.held_by.as_slice() {
        [] => String::new(),
        runs => format!(", {} {have} the rest", listed(runs, runs.len())),
    };
    let free = match wait.kept_for {
        None => format!("{} of {total} is free", amount(wait.free)),
        Some(fire) => {
            format!(
                "{} of {total} is free and kept for {}, which is before it",
                amount(wait.free),
                fire_name(fire)
            )
        }
    };
    format!("waits for {}={needed}: {free}{held}", wait.resource)
}

/// Returns the names of `count` runs of which the first ones are known: `1.1, 2.1, 3.1 and 5 more`.
pub(super) fn listed(runs: &[RunId], count: usize) -> String {
    let names: Vec<String> = runs.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [first @ .., last] if count <= NAMED_MAX && !first.is_empty() => {
            format!("{} and {last}", first.join(", "))
        }
        [only] if count == 1 => only.clone(),
        names => {
            let named = names.len().min(NAMED_MAX);
            format!("{} and {} more", names[..named].join(", "), count - named)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GateMeasure, GateTimeout, Span};
    use crate::schedule::Zone;

    fn requirement(gates: &[&str], starts: bool) -> Requirement {
        let read = |text: &&str| Gate::read(text.as_bytes(), std::path::Path::new("/")).expect("a gate");
        let gate_timeout = Some(GateTimeout { after: Span::from_seconds(60), starts });
        Requirement { gates: gates.iter().map(read).collect(), gate_timeout, ..Requirement::default() }
    }

    #[test]
    fn what_a_gate_measures_reads_as_a_sentence() {
        let times = Times { zone: &Zone::utc(), now: Timestamp::from_seconds(120), are_whole: false };
        let share = GateReading::compared(false, GateMeasure::Percent("41.5".parse().expect("a number")));
        let unreadable = GateReading::Unreadable("cannot read `/proc/x`: no\nway".to_owned());
        for (gate, reading, text) in [
            ("psi.io<20", share, ": it was 41.5% over the last ten seconds"),
            ("ac", GateReading::of(false), ": the machine is not on mains power"),
            ("online", GateReading::of(false), ": there is no default route"),
            ("online", unreadable, r", which counts as closed: cannot read `/proc/x`: no\nway"),
        ] {
            let requirement = requirement(&[gate], false);
            let said = gate_text(&requirement.gates[0], &reading, None, &requirement, &times);
            assert_eq!(said, format!("waits at the gate `{gate}`{text}"));
        }
    }

    #[test]
    fn a_time_out_that_is_over_reads_as_a_sentence() {
        let times = Times { zone: &Zone::utc(), now: Timestamp::from_seconds(120), are_whole: false };
        for (starts, text) in [
            (
                false,
                "waits at the gate `ac`: the machine is not on mains power; its time-out ended at 00:01:00: \
                 it is missed if a gate is closed when its turn comes",
            ),
            (true, "waits for its turn: its gates have not counted since 00:01:00"),
        ] {
            let requirement = requirement(&["ac"], starts);
            let until = Some(Timestamp::from_seconds(60));
            assert_eq!(gate_text(&Gate::Ac, &GateReading::of(false), until, &requirement, &times), text);
        }
    }
}
