//! Owns: what a trigger hands out of what came.
//! Never: when that is due (see `listener`).

use std::time::Duration;

use super::edges::{Act, EdgeRule, Told};
use super::event::{Incident, PathEvent, PathNews};
use super::growth::{Growth, READ_MAX, by_bytes, by_lines};
use super::listener::Listener;
use super::look::{FileKind, Look, has_content, look_at};
use super::names::{Name, Names};
use super::place::{Place, Scan};
use crate::domain::{Occurrence, PathChange, PathMark, Timestamp};

/// Looks at what came, and takes all that follows from it.
pub(super) fn report(listener: &mut Listener, now: Duration, wall: Timestamp) -> PathNews {
    let told = std::mem::take(&mut listener.told);
    let is_scan = std::mem::take(&mut listener.is_scan_due);
    let was_new = listener.is_new;
    listener.clock.stop();
    listener.last_look = Some(now);
    let rule = match listener.source.change {
        PathChange::Changed => Some(EdgeRule::Changed { is_directory: listener.place.names == Names::All }),
        PathChange::Created => Some(EdgeRule::Created),
        PathChange::Deleted => Some(EdgeRule::Deleted),
        PathChange::Exists | PathChange::Nonempty | PathChange::Bytes(_) | PathChange::Lines(_) => None,
    };
    let events = match (rule, listener.source.change) {
        (Some(rule), _) => edges(listener, rule, &told, is_scan, wall),
        (None, PathChange::Bytes(size)) => grown(listener, Unit::Bytes(size.as_bytes()), now, wall),
        (None, PathChange::Lines(lines)) => grown(listener, Unit::Lines(lines), now, wall),
        (None, change) => {
            listener.is_new = false;
            let found = level(&listener.place, change, &told, is_scan);
            found.map(|found| found.event(change, &listener.place, wall)).into_iter().collect()
        }
    };
    let marks = listener.ledger.take_unstored();
    let is_first_look = was_new && !listener.is_new;
    PathNews { trigger: listener.trigger, events, marks, is_first_look, is_left_over: false }
}

fn edges(
    listener: &mut Listener,
    rule: EdgeRule,
    told: &[Told],
    is_scan: bool,
    wall: Timestamp,
) -> Vec<PathEvent> {
    let Listener { place, ledger, .. } = listener;
    let scan = is_scan.then(|| place.scan());
    if listener.is_new {
        // One that cannot be read stays new until it can be.
        listener.is_new = matches!(scan, None | Some(Scan::Unreadable));
        scan.iter().for_each(|scan| drop(rule.compare(ledger, scan)));
        return Vec::new();
    }
    let mut look = |name: &[u8]| look_at(&place.path(name));
    let is_together = listener.source.settle.is_some() || told.iter().any(|told| told.is_doubtful);
    let mut edges = if is_together {
        rule.collapse(ledger, told, scan == Some(Scan::Missing), &mut look)
    } else {
        rule.follow(ledger, told, &mut look)
    };
    // What was told is of the time before the scan, which finds the rest.
    edges.extend(scan.iter().flat_map(|scan| rule.compare(ledger, scan)));
    let wanted = edges.into_iter().filter_map(|edge| Some((rule.judge(edge.kind)?, edge)));
    wanted
        .filter(|(is_opposite, _)| !is_opposite || listener.with_opposites)
        .map(|(is_opposite, edge)| {
            let path = place.path(&edge.name);
            let (change, look) = (edge.kind.word(), edge.look);
            let incident = Incident { path: &path, change, look, lines: None, count: 1 };
            PathEvent { occurrence: incident.at(wall), is_opposite }
        })
        .collect()
}

/// Where a condition holds.
enum Holding {
    Directory,
    File(Name, Look),
}

impl Holding {
    fn event(self, change: PathChange, place: &Place, wall: Timestamp) -> PathEvent {
        let (path, look) = match self {
            Self::Directory => (place.dir.clone(), None),
            Self::File(name, look) => (place.path(&name), Some(look)),
        };
        let change = if change == PathChange::Exists { "exists" } else { "nonempty" };
        let incident = Incident { path: &path, change, look, lines: None, count: 1 };
        PathEvent { occurrence: incident.at(wall), is_opposite: false }
    }
}

/// Returns where a condition holds: anywhere if all has to be looked at, else where something came.
fn level(place: &Place, change: PathChange, told: &[Told], is_scan: bool) -> Option<Holding> {
    let coming = told.iter().filter(|told| told.act != Act::Gone);
    if place.names == Names::Visible {
        let comes = is_scan || coming.count() > 0;
        let holds = |place: &Place| place.present().is_ok_and(|names| !names.is_empty());
        return (comes && holds(place)).then_some(Holding::Directory);
    }
    let names: Vec<Name> = if is_scan {
        place.present().unwrap_or_default()
    } else {
        coming.map(|told| told.name.clone()).collect()
    };
    names.into_iter().find_map(|name| {
        let path = place.path(&name);
        let look = look_at(&path).look()?;
        let holds = change == PathChange::Exists || has_content(&path, &look);
        holds.then_some(Holding::File(name, look))
    })
}

#[derive(Clone, Copy)]
enum Unit {
    Bytes(u64),
    Lines(u64),
}

fn grown(listener: &mut Listener, unit: Unit, now: Duration, wall: Timestamp) -> Vec<PathEvent> {
    listener.is_new = false;
    let Scan::Found(found) = listener.place.scan() else { return Vec::new() };
    let gone: Vec<Name> =
        listener.ledger.names().filter(|name| !found.contains_key(*name)).cloned().collect();
    for name in gone {
        listener.ledger.remove(&name);
    }
    let mut events = Vec::new();
    let mut budget = READ_MAX;
    for (name, look) in found.iter().filter(|(_, look)| look.kind == FileKind::Regular) {
        let path = listener.place.path(name);
        let mark = listener.ledger.get(name);
        let growth = match unit {
            Unit::Bytes(every) => Ok(by_bytes(mark, look, every)),
            Unit::Lines(every) => by_lines(mark, look, every, &path, &mut budget),
        };
        // One that vanished or cannot be read is looked at again when something happens to it.
        let Ok(Growth { mark, count, is_worth_storing, has_more }) = growth else { continue };
        if is_worth_storing {
            listener.ledger.set(name, mark);
        } else {
            listener.ledger.set_in_memory(name, mark);
        }
        if has_more {
            listener.clock.touch(now);
        }
        if count > 0 {
            let occurrence = growth_occurrence(&path, *look, unit, &mark, count, wall);
            events.push(PathEvent { occurrence, is_opposite: false });
        }
    }
    events
}

fn growth_occurrence(
    path: &std::path::Path,
    look: Look,
    unit: Unit,
    mark: &PathMark,
    count: u64,
    wall: Timestamp,
) -> Occurrence {
    let (change, lines) = match unit {
        Unit::Bytes(_) => ("bytes", None),
        Unit::Lines(_) => ("lines", Some(mark.lines)),
    };
    Incident { path, change, look: Some(look), lines, count }.at(wall)
}
