//! Owns: how instants read in tables: short beside the current time, or whole.
//! Never: the current time.

use crate::domain::{Timestamp, TriggerSpec};
use crate::schedule::{Reading, Zone};
use crate::shown;

/// How a person reads times now.
pub struct Times<'a> {
    /// Of the reader's clock.
    pub zone: &'a Zone,
    pub now: Timestamp,
    /// With date and offset, whatever the day.
    pub are_whole: bool,
}

impl Times<'_> {
    /// Returns an instant by the reader's clock: `Mon 03:15`.
    pub fn show(&self, at: Timestamp) -> String {
        self.by(self.zone, at)
    }

    /// Returns the fire of a trigger by the clock of the trigger's own zone, with the zone's name if the
    /// reader has another: `Mon 03:15 Asia/Tokyo`.
    pub fn show_fire(&self, trigger: &TriggerSpec, at: Timestamp) -> String {
        let Some(zone) = own_zone(trigger) else { return self.show(at) };
        self.named(&zone, self.by(&zone, at))
    }

    /// Adds the name of a zone to a time by its clock, if the reader has another.
    pub fn named(&self, zone: &Zone, time: String) -> String {
        if zone.name() == self.zone.name() { time } else { format!("{time} {}", zone.name()) }
    }

    /// Returns a reading of a clock in `zone`, to the second.
    pub fn exact(&self, zone: &Zone, reading: Reading) -> String {
        reading.short_and_exact(zone.reading(self.now))
    }

    /// Returns the time from now until an instant.
    pub fn left(&self, at: Timestamp) -> String {
        shown::span(at.since(self.now))
    }

    fn by(&self, zone: &Zone, at: Timestamp) -> String {
        if self.are_whole { zone.show(at) } else { zone.reading(at).short(zone.reading(self.now)) }
    }
}

/// Returns the zone in which a trigger was written, if it has one of its own.
pub fn own_zone(trigger: &TriggerSpec) -> Option<Zone> {
    match trigger {
        TriggerSpec::Cron { zone, .. } | TriggerSpec::Calendar { zone, .. } => Zone::find(zone.as_ref()?),
        TriggerSpec::At { .. }
        | TriggerSpec::Every { .. }
        | TriggerSpec::AfterEnd { .. }
        | TriggerSpec::Event(_) => None,
    }
}
