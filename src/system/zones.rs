//! Owns: the names of the time zones of this machine.
//! Never: their rules (see `schedule`).

use std::fs::{self, DirEntry};
use std::path::Path;

/// Where the zones are, one file each, as tzselect(8) has them.
const DIRECTORY: &str = "/usr/share/zoneinfo";

/// Returns the names of zones that begin with a text, sorted. No file is read, and only directories in which
/// such names can be.
pub fn like(start: &str) -> Vec<String> {
    let mut names = Vec::new();
    collect(Path::new(DIRECTORY), "", start, &mut names);
    names.sort();
    names
}

fn collect(directory: &Path, prefix: &str, start: &str, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let Some(name) = zone_part(&entry) else { continue };
        let full = format!("{prefix}{name}");
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let below = format!("{full}/");
            if below.starts_with(start) || start.starts_with(&below) {
                collect(&entry.path(), &below, start, names);
            }
        } else if full.starts_with(start) {
            names.push(full);
        }
    }
}

/// Returns the name of an entry that is a zone or a directory of zones. Tables, links to the local zone and
/// the directories of other readings of the same zones begin with a small letter or have a point.
fn zone_part(entry: &DirEntry) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    let is_zone = name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.contains('.');
    is_zone.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_their_first_letters() {
        if !Path::new(DIRECTORY).is_dir() {
            return;
        }
        let all = like("");
        assert!(all.iter().any(|zone| zone == "UTC") && all.iter().any(|zone| zone == "Europe/Berlin"));
        assert!(all.iter().any(|zone| zone == "America/Argentina/Salta"));
        assert!(!all.iter().any(|zone| zone.starts_with("posix") || zone.contains('.')), "{all:?}");
        assert_eq!(like("Europe/Berl"), ["Europe/Berlin"]);
        assert_eq!(like("America/Argentina/Sal"), ["America/Argentina/Salta"]);
    }
}
