//! Owns: reading bundles of events, and finding out to whom each belongs.
//! Never: which events belong together (see `hearing`).

use std::collections::BTreeMap;

use taskq::domain::Timestamp;

use crate::listeners::Part;
use crate::rows::{ArrayRow, Database, Row, TriggerRow};

/// What has a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// By the id of its row.
    Run(i64),
    Array(i64),
    /// The events of a job that wait for a run.
    Gathered(i64),
    /// The events that a trigger has counted.
    Counting(i64),
}

/// The row of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub id: i64,
    pub job: i64,
    pub count: u64,
    pub places: u64,
    pub depth: u32,
    pub first_at: Option<Timestamp>,
}

/// The state of a job whose events have gathered, or that rests.
#[derive(Clone, Copy, Debug)]
pub struct Gathering {
    pub job: i64,
    pub gathered: Option<i64>,
    pub rests_until: Option<Timestamp>,
}

impl Database {
    fn headers(&self) -> Vec<Header> {
        let sql = "SELECT id, job_id, count, places, depth, first_at FROM bundle ORDER BY id";
        self.query(sql, &[], |row| {
            Ok(Header {
                id: row.get(0)?,
                job: row.get(1)?,
                count: row.get::<_, i64>(2)?.cast_unsigned(),
                places: row.get::<_, i64>(3)?.cast_unsigned(),
                depth: row.get(4)?,
                first_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_micros),
            })
        })
    }

    fn parts(&self, bundle: i64) -> Vec<Part> {
        let sql = "SELECT at, kind, name, data, count FROM occurrence WHERE bundle_id = ?1 ORDER BY place";
        self.query(sql, &[bundle], |row| {
            Ok(Part {
                at: Timestamp::from_micros(row.get(0)?),
                kind: row.get(1)?,
                name: row.get(2)?,
                data: row.get(3)?,
                count: row.get::<_, i64>(4)?.cast_unsigned(),
            })
        })
    }

    pub fn gathering(&self) -> Vec<Gathering> {
        let sql = "SELECT id, gathered, rests_until FROM job
            WHERE gathered IS NOT NULL OR rests_until IS NOT NULL";
        self.query(sql, &[], |row| {
            let rests_until: Option<i64> = row.get(2)?;
            let rests_until = rests_until.map(Timestamp::from_micros);
            Ok(Gathering { job: row.get(0)?, gathered: row.get(1)?, rests_until })
        })
    }
}

/// The bundles as they were at the last look.
#[derive(Debug, Default)]
pub struct Bundles {
    read: BTreeMap<i64, (Header, Vec<Part>)>,
    owners: BTreeMap<Owner, i64>,
}

impl Bundles {
    /// Reads the bundles that have changed.
    pub fn scan(&mut self, db: &Database) {
        let before = std::mem::take(&mut self.read);
        for header in db.headers() {
            let known = before.get(&header.id).filter(|(known, _)| *known == header);
            let parts = known.map_or_else(|| db.parts(header.id), |(_, parts)| parts.clone());
            let count: u64 = parts.iter().map(|part| part.count).sum();
            assert_eq!(count, header.count, "the count of {header:?}: {parts:?}");
            self.read.insert(header.id, (header, parts));
        }
    }

    /// Finds out to whom each belongs. Each belongs to one, and to one of its job.
    pub fn find_owners<'a>(
        &mut self,
        rows: impl Iterator<Item = &'a Row>,
        arrays: impl Iterator<Item = &'a ArrayRow>,
        triggers: &[TriggerRow],
        gathering: &[Gathering],
    ) {
        let runs = rows.filter_map(|row| Some((Owner::Run(row.id), row.bundle?)));
        let arrays = arrays.filter_map(|array| Some((Owner::Array(array.id), array.bundle?)));
        let counting = triggers.iter().filter_map(|row| Some((Owner::Counting(row.id), row.counting?)));
        let gathered = gathering.iter().filter_map(|job| Some((Owner::Gathered(job.job), job.gathered?)));
        self.owners = runs.chain(arrays).chain(counting).chain(gathered).collect();
        let mut owned: BTreeMap<i64, Owner> = BTreeMap::new();
        for (owner, bundle) in &self.owners {
            let other = owned.insert(*bundle, *owner);
            assert_eq!(other, None, "bundle {bundle} belongs to {owner:?} too");
            assert!(self.read.contains_key(bundle), "{owner:?} has a bundle that is gone");
        }
        let orphans: Vec<_> = self.read.iter().filter(|(id, _)| !owned.contains_key(id)).collect();
        assert!(orphans.is_empty(), "bundles that belong to nobody: {orphans:?}");
    }

    /// Returns the bundle of an owner.
    pub fn of(&self, owner: Owner) -> Option<&(Header, Vec<Part>)> {
        self.owners.get(&owner).map(|bundle| &self.read[bundle])
    }

    pub fn get(&self, bundle: i64) -> Option<&(Header, Vec<Part>)> {
        self.read.get(&bundle)
    }

    /// Returns the bundle of an array.
    pub fn of_array(&self, array: i64) -> Option<i64> {
        self.owners.get(&Owner::Array(array)).copied()
    }

    /// Returns how many events a job has in all its bundles.
    pub fn events_of(&self, job: i64) -> u64 {
        self.read.values().filter(|(header, _)| header.job == job).map(|(header, _)| header.count).sum()
    }

    pub fn owners(&self) -> impl Iterator<Item = Owner> {
        self.owners.keys().copied()
    }

    /// Checks that nothing has changed but what was seen.
    pub fn at_the_end(&self, db: &Database) {
        for (id, (_, parts)) in &self.read {
            assert_eq!(&db.parts(*id), parts, "bundle {id} changed");
        }
    }
}
