//! Owns: which zone a person's times are in, and which the system's is.
//! Never: the current time.

use std::hash::{DefaultHasher, Hasher};

use crate::schedule::{ParseError, Zone};
use crate::system::{env, machine};

/// Returns the zone in which the caller reads times, and its name if `TZ` sets one: `TZ`, else the system's
/// zone.
///
/// # Errors
/// If `TZ` names no zone of this machine.
pub fn caller_zone() -> Result<(Zone, Option<String>), ParseError> {
    match env::tz() {
        Some(name) => Ok((Zone::read(&name)?, Some(name))),
        None => Ok((system_zone().0, None)),
    }
}

/// Returns the system's zone, localtime(5), and a text that changes when it does. A system without one is in
/// UTC.
pub fn system_zone() -> (Zone, String) {
    let localtime = machine::localtime();
    let Ok(zone) = Zone::local(localtime.name.as_deref(), &localtime.tzif) else {
        return (Zone::utc(), "UTC".to_owned());
    };
    let mut rules = DefaultHasher::new();
    rules.write(&localtime.tzif);
    (zone, format!("{} {:016x}", localtime.name.as_deref().unwrap_or("local"), rules.finish()))
}
