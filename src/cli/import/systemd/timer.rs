//! Owns: the triggers and policies of a timer.
//! Never: its service (see `service`).

use super::bus::{Bus, Unit};
use super::unit_file::{others, values};
use crate::cli::import::items::ItemRefusal;
use crate::domain::{Missed, MissedMode, NewJob, Span, Timestamp, TriggerSpec};
use crate::schedule::{Calendar, parse_calendar};
use crate::shown;
use crate::system::manager::Manager;

/// The keys of timers that have a counterpart. `AccuracySec=` needs none: fires are on time.
const KNOWN: [(&str, &[&str]); 3] = [
    ("Unit", &["Description", "Documentation"]),
    (
        "Timer",
        &[
            "OnCalendar",
            "OnActiveSec",
            "OnBootSec",
            "OnStartupSec",
            "OnUnitActiveSec",
            "OnUnitInactiveSec",
            "Persistent",
            "RandomizedDelaySec",
            "FixedRandomDelay",
            "RemainAfterElapse",
            "AccuracySec",
            "Unit",
        ],
    ),
    ("Install", &["*"]),
];

/// The triggers of a timer, without the delay of their job.
#[derive(Debug, Default)]
pub struct TimerTriggers {
    pub specs: Vec<TriggerSpec>,
    /// How long after the boot the job may start.
    pub after_boot: Option<Span>,
}

/// Reads what fires a timer.
pub fn triggers(
    timer: &Unit,
    bus: &Bus,
    now: Timestamp,
    notes: &mut Vec<String>,
) -> Result<TimerTriggers, ItemRefusal> {
    let mut found = TimerTriggers::default();
    for (expr, calendar) in calendars(timer)? {
        let zone = calendar.zone().map(str::to_owned);
        found.specs.push(TriggerSpec::Calendar { expr, zone, delay: Span::ZERO });
    }
    let last = timer.properties.number("LastTriggerUSec").and_then(|last| i64::try_from(last).ok());
    let last = last.filter(|last| *last > 0).map_or(now, Timestamp::from_micros);
    let monotonics = timer.properties.monotonics();
    let recurs = |(base, _): &(String, u64)| base.starts_with("OnUnit");
    let has_recurring = monotonics.iter().any(recurs);
    for (base, micros) in &monotonics {
        let span = Span::from_micros(*micros);
        match base.as_str() {
            "OnUnitActiveUSec" => {
                found.specs.push(TriggerSpec::Every { period: span, anchor: last, delay: Span::ZERO });
            }
            "OnUnitInactiveUSec" => {
                found.specs.push(TriggerSpec::AfterEnd { period: span, delay: Span::ZERO });
            }
            "OnBootUSec" | "OnStartupUSec" => {
                found.after_boot = Some(found.after_boot.map_or(span, |known| known.min(span)));
                if base == "OnStartupUSec" && bus.manager == Manager::User {
                    notes.push(
                        "OnStartupSec= counts from the first login; taskq counts from the boot".to_owned(),
                    );
                }
            }
            // The first fire of a timer that recurs.
            "OnActiveUSec" if has_recurring || !found.specs.is_empty() => {}
            "OnActiveUSec" => notes.push(format!(
                "OnActiveSec= counts from the start of the timer; add such a job with `--at +{span}`"
            )),
            other => notes.push(format!("`{other}` has no counterpart")),
        }
    }
    if found.after_boot.is_some() && !has_recurring {
        found.specs.push(TriggerSpec::Cron { expr: "@reboot".to_owned(), zone: None, delay: Span::ZERO });
    } else if found.after_boot.is_some() {
        notes.push(
            "OnBootSec= fires after each boot; taskq fires after a boot only if a fire was missed".to_owned(),
        );
    }
    if found.specs.is_empty() {
        return Err(ItemRefusal::of("it has no time at which it fires again"));
    }
    Ok(found)
}

/// Returns the calendars as they are in the unit's files, or else in systemd's normal form.
fn calendars(timer: &Unit) -> Result<Vec<(String, Calendar)>, ItemRefusal> {
    let normal = timer.properties.calendars();
    let written = values(&timer.settings, "Timer", "OnCalendar");
    let read = |text: &str| {
        parse_calendar(text).map_err(|error| ItemRefusal::of(format!("OnCalendar `{text}`: {}", error.cause)))
    };
    let is_same = |written: &str, normal: &Calendar| {
        parse_calendar(written).is_ok_and(|written| written.to_string() == normal.to_string())
    };
    let mut calendars = Vec::new();
    for (index, normal_text) in normal.iter().enumerate() {
        let calendar = read(normal_text)?;
        let text = match written.get(index) {
            Some(text) if written.len() == normal.len() && is_same(text, &calendar) => *text,
            Some(_) | None => normal_text,
        };
        calendars.push((text.split_whitespace().collect::<Vec<_>>().join(" "), calendar));
    }
    Ok(calendars)
}

/// Gives a job the policies of its timer.
pub fn set_policies(job: &mut NewJob, timer: &Unit, specs: &[TriggerSpec], notes: &mut Vec<String>) {
    let has_calendar = specs.iter().any(|spec| matches!(spec, TriggerSpec::Calendar { .. }));
    if has_calendar && !timer.properties.is_on("Persistent") {
        job.policy.missed = Missed { mode: MissedMode::Skip, ..Missed::default() };
    }
    let random = timer.properties.number("RandomizedDelayUSec").filter(|micros| *micros > 0);
    if let Some(random) = random.map(Span::from_micros)
        && !specs.iter().all(TriggerSpec::is_boot)
    {
        job.jitter = Some(random);
        if !timer.properties.is_on("FixedRandomDelay") {
            notes.push(format!(
                "RandomizedDelaySec= draws a delay at each fire; taskq's delay below {} is always the same",
                shown::span(random)
            ));
        }
    } else if random.is_some() {
        notes.push("RandomizedDelaySec= delays no start after a boot in taskq".to_owned());
    }
    let others = others(&timer.settings, &KNOWN);
    if !others.is_empty() {
        notes.push(format!("settings without a counterpart: {}", others.join(", ")));
    }
}
