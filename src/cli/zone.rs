//! Owns: the zone of the caller, and the zone of the system.
//! Never: the current time.

use std::hash::{DefaultHasher, Hasher};

use crate::schedule::{ParseError, Zone};
use crate::system::{env, machine};

/// Returns the zone for the caller's times: that of `TZ`, with its name, else the system's.
///
/// # Errors
/// If `TZ` names a zone that this machine does not have.
pub fn caller_zone() -> Result<(Zone, Option<String>), ParseError> {
    match env::tz() {
        Some(name) => Ok((Zone::read(&name)?, Some(name))),
        None => Ok((system_zone().0, None)),
    }
}

/// Returns the system's zone, localtime(5), UTC if there is none, and a text that changes with it.
pub fn system_zone() -> (Zone, String) {
    let localtime = machine::localtime();
    let Ok(zone) = Zone::local(localtime.name.as_deref(), &localtime.tzif) else {
        return (Zone::utc(), "UTC".to_owned());
    };
    let mut rules = DefaultHasher::new();
    rules.write(&localtime.tzif);
    (zone, format!("{} {:016x}", localtime.name.as_deref().unwrap_or("local"), rules.finish()))
}
