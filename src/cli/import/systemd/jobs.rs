//! Owns: making a job of a timer and its service.
//! Never: asking systemd (see `bus`).

use std::path::Path;

use super::bus::{Bus, TimerUnit};
use super::{service, timer};
use crate::cli::import::items::{
    ItemRefusal, ItemVerdict, PlannedItem, SourceItem, first_fires, imported_job,
};
use crate::cli::import::place::Place;
use crate::cli::import::planned::ImportContext;
use crate::cli::job::jitter;
use crate::domain::{Gate, Span, TriggerSpec};
use crate::shown;
use crate::store::FirstFire;
use crate::system::machine;

/// The tag of its jobs.
const TAG: &str = "systemd";

/// Makes a job of each timer.
pub fn timer_items(timers: &[TimerUnit], bus: &Bus, here: &ImportContext) -> Vec<SourceItem> {
    timers.iter().map(|unit| timer_item(unit, bus, here)).collect()
}

fn timer_item(unit: &TimerUnit, bus: &Bus, here: &ImportContext) -> SourceItem {
    let place = Place::Unit(unit.timer.name.clone());
    let mut notes = Vec::new();
    match planned(unit, bus, here, &mut notes) {
        Ok(Some(planned)) => {
            let text = shown::command(&planned.job.execution.command);
            SourceItem { place, text, verdict: ItemVerdict::Job(Box::new(planned)), notes }
        }
        Ok(None) => {
            notes.push("it never fires again, so it has no job".to_owned());
            SourceItem { place, text: String::new(), verdict: ItemVerdict::NeverFires, notes }
        }
        Err(refusal) => {
            SourceItem { place, text: String::new(), verdict: ItemVerdict::Refused(refusal), notes }
        }
    }
}

fn planned(
    unit: &TimerUnit,
    bus: &Bus,
    here: &ImportContext,
    notes: &mut Vec<String>,
) -> Result<Option<PlannedItem>, ItemRefusal> {
    let properties = &unit.timer.properties;
    match properties.text("LoadState") {
        "loaded" => {}
        "not-found" => {
            let list = format!("list them with `{} list-timers --all`", bus.manager.systemctl());
            return Err(ItemRefusal::of("there is no such timer").hint(list));
        }
        other => return Err(ItemRefusal::of(format!("systemd cannot load it: it is `{other}`"))),
    }
    let service = unit.service.as_ref().ok_or_else(|| {
        ItemRefusal::of(format!(
            "it starts `{}`, which is not a service that is there",
            properties.text("Unit")
        ))
    })?;
    let found = timer::triggers(&unit.timer, bus, here.now, notes)?;
    let basis = basis(&found.specs);
    let name = unit.timer.name.trim_end_matches(".timer");
    let mut job = imported_job(name, TAG, service::execution(service, bus, here, notes)?);
    timer::set_policies(&mut job, &unit.timer, &found.specs, notes);
    service::set_policies(&mut job, service, notes);
    if let Some(after) = found.after_boot.filter(|after| *after > Span::ZERO) {
        let seconds = after.as_micros().div_ceil(1_000_000);
        let script = format!("cmd:read -r up rest </proc/uptime; [ \"${{up%%.*}}\" -ge {seconds} ]");
        job.requirement.gates.push(Gate::read(script.as_bytes(), Path::new("/")).expect("it is a gate"));
    }
    let delay = jitter::delay(&job, &machine::machine_id());
    let specs = found.specs.into_iter().map(|spec| spec.delayed(delay)).collect();
    let Some(triggers) = first_fires(specs, here) else { return Ok(None) };
    let next_at = triggers.iter().filter_map(|first: &FirstFire| first.next_at).min();
    let item = unit.timer.name.clone();
    Ok(Some(PlannedItem { item, basis, is_once: false, job, triggers, next_at }))
}

/// Returns the texts that the triggers are made of. The instant from which a span counts is not among them.
fn basis(specs: &[TriggerSpec]) -> String {
    let text = |spec: &TriggerSpec| match spec {
        TriggerSpec::Every { period, .. } => format!("every {period}"),
        TriggerSpec::AfterEnd { period, .. } => format!("every {period} after end"),
        TriggerSpec::Calendar { expr, .. } | TriggerSpec::Cron { expr, .. } => expr.clone(),
        TriggerSpec::At { at, .. } => at.to_string(),
        TriggerSpec::Event(event) => event.to_string(),
    };
    specs.iter().map(text).collect::<Vec<_>>().join("\n")
}
