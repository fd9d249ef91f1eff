//! Owns: the first fires of triggers, and the refusals of triggers that go with no other option.
//! Never: the texts of triggers (see `text`).

use std::sync::LazyLock;

use super::jitter;
use crate::cli::context::parse_failure;
use crate::cli::view::tables::trigger_text;
use crate::cli::view::times::own_zone;
use crate::domain::{EventSource, EventTrigger, MachineState, NewJob, Timestamp, TriggerSpec, Window};
use crate::engine::first_fire;
use crate::error::{Error, Result};
use crate::schedule::{Schedule, Zone, compile};
use crate::store::FirstFire;
use crate::system::machine;
use crate::watch::first_marks;

/// Of a directory with more files, the daemon makes the first marks: a client's message must not be too long.
const MARKS_MAX: usize = 20_000;

/// What becomes of a time that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedTimes {
    Refused,
    /// It belongs to a file that is read again and again. So no text of a time may depend on the present one,
    /// and a trigger may have no fire to come.
    Kept,
}

/// Where and when a first fire is looked for.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub zone: &'a Zone,
    pub window: Window,
    pub now: Timestamp,
    pub passed: PassedTimes,
}

/// Returns a trigger with its first fire.
///
/// # Errors
/// If it has none, and that is refused.
pub(super) fn first_of(spec: TriggerSpec, look: Look<'_>, what: &str) -> Result<FirstFire> {
    let Look { zone, window, now, passed } = look;
    let schedule = compile(&spec).map_err(|error| parse_failure(what, error))?;
    let own_zone = own_zone(&spec);
    let zone = own_zone.as_ref().unwrap_or(zone);
    let next_at = match (&schedule, &spec) {
        // `now` is due, although it is not after this instant.
        (Schedule::At(at), _) => Some(*at).filter(|at| !window.has_ended(*at)),
        (Schedule::Reboot, _) => {
            let boot_id = Some(machine::boot_id());
            return Ok(FirstFire { spec, next_at: None, boot_id, marks: None });
        }
        (Schedule::Events, _) => {
            let absent = spec.event().and_then(|event| event.counter.absent);
            let next_at = absent.map(|absent| window.start.map_or(now, |start| start.max(now)) + absent);
            let is_boot = |event: &EventTrigger| event.source == EventSource::State(MachineState::Boot);
            let boot_id = spec.event().filter(|event| is_boot(event)).map(|_| machine::boot_id());
            let marks = spec.event().and_then(|event| match &event.source {
                EventSource::Path(source) => first_marks(source).filter(|marks| marks.len() <= MARKS_MAX),
                _ => None,
            });
            return Ok(FirstFire { spec, next_at, boot_id, marks });
        }
        (Schedule::AfterEnd { .. }, _) if let Some(start) = window.start => {
            Some(start + spec.delay()).filter(|at| !window.has_ended(*at))
        }
        (Schedule::AfterEnd { .. }, _) => first_fire(&schedule, zone, window, now),
        (
            Schedule::Cron(_) | Schedule::Calendar(_) | Schedule::Every { .. } | Schedule::Delayed { .. },
            _,
        ) => first_fire(&schedule, zone, window, now),
    };
    match passed {
        PassedTimes::Refused if next_at.is_none() => Err(never_fires(&spec, zone, window, now, what)),
        PassedTimes::Kept if matches!(spec, TriggerSpec::At { .. }) => {
            let next_at = next_at.filter(|at| *at >= now);
            Ok(FirstFire { spec, next_at, boot_id: None, marks: None })
        }
        PassedTimes::Refused | PassedTimes::Kept => {
            Ok(FirstFire { spec, next_at, boot_id: None, marks: None })
        }
    }
}

/// Returns the error for a trigger without a fire in its window.
pub fn never_fires(spec: &TriggerSpec, zone: &Zone, window: Window, now: Timestamp, what: &str) -> Error {
    let schedule = match compile(spec) {
        Ok(schedule) => schedule,
        Err(error) => return parse_failure(what, error),
    };
    match first_fire(&schedule, zone, Window { until: None, ..window }, now) {
        Some(first) => refused_end(what, spec, first, zone),
        None => {
            let option = match spec {
                TriggerSpec::Calendar { .. } => "--calendar 'Mon..Fri 09:30'",
                TriggerSpec::Cron { .. }
                | TriggerSpec::At { .. }
                | TriggerSpec::Every { .. }
                | TriggerSpec::AfterEnd { .. }
                | TriggerSpec::Event(_) => "--cron '15 3 * * *'",
            };
            Error::usage(what, format!("`{}` never fires", trigger_text(spec, zone)))
                .hint(format!("preview a schedule with `taskq next {option}`"))
        }
    }
}

/// Refuses `--nth` where no fire comes again, or where it counts from a run that `--nth` would pass over.
pub fn refuse_uncountable<'a>(
    job: &NewJob,
    mut triggers: impl Iterator<Item = &'a TriggerSpec> + Clone,
    what: &str,
) -> Result<()> {
    if job.nth.is_none() {
        return Ok(());
    }
    if triggers.clone().any(|trigger| matches!(trigger, TriggerSpec::AfterEnd { .. })) {
        return Err(Error::usage(what, "`--nth` does not go with `--after-end`"));
    }
    if triggers.all(|trigger| matches!(trigger, TriggerSpec::At { .. } | TriggerSpec::Event(_))) {
        let cause = "`--nth` needs a trigger that fires again: `--cron`, `--calendar` or `--every`";
        return Err(Error::usage(what, cause));
    }
    Ok(())
}

/// Refuses `--all-of` without several event triggers, or beside another trigger, which would not wait.
pub fn refuse_all_of<'a>(
    job: &NewJob,
    triggers: impl Iterator<Item = &'a TriggerSpec> + Clone,
    what: &str,
) -> Result<()> {
    if !job.all_of {
        return Ok(());
    }
    if triggers.clone().any(|trigger| trigger.event().is_none()) {
        return Err(Error::usage(what, "`--all-of` goes with `--on` alone"));
    }
    if triggers.count() < 2 {
        return Err(Error::usage(what, "`--all-of` needs two or more `--on`"));
    }
    Ok(())
}

/// Returns the triggers with the delay of their job, and their first fires.
pub(super) fn delayed(
    job: &NewJob,
    triggers: Vec<FirstFire>,
    look: Look<'_>,
    what: &str,
) -> Result<Vec<FirstFire>> {
    if job.jitter.is_none() {
        return Ok(triggers);
    }
    let has_none = |trigger: &FirstFire| trigger.spec.is_boot() || trigger.spec.event().is_some();
    if triggers.iter().all(has_none) && !triggers.is_empty() {
        return Err(Error::usage(what, "`--jitter` delays neither `@reboot` nor events"));
    }
    // A file may have thousands of such jobs.
    static MACHINE_ID: LazyLock<String> = LazyLock::new(machine::machine_id);
    let by = jitter::delay(job, &MACHINE_ID);
    let look = Look { window: job.window(), ..look };
    triggers.into_iter().map(|trigger| first_of(trigger.spec.delayed(by), look, what)).collect()
}

/// Returns the error for a trigger whose first fire is not before the end of its job.
pub fn refused_end(what: &str, spec: &TriggerSpec, first: Timestamp, zone: &Zone) -> Error {
    let cause = format!("`{}` has no fire before `--until`", trigger_text(spec, zone));
    Error::usage(what, cause).hint(format!("its first fire would be at {}", zone.show(first)))
}
