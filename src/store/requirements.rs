//! Owns: the rows of resources, requirements and shares.
//! Never: which run gets what (see `engine`).

use std::collections::BTreeMap;

use rusqlite::params;

use super::codec::{requirement, share};
use super::definition::{Cells, REQUIREMENTS, requirement_column};
use super::{Reader, StoreResult, Writer};
use crate::domain::{
    Happening, JobId, MachineSize, Needs, Portion, Requirement, RequirementId, ResourceName, RunId, Share,
};
use crate::engine::Supply;

/// A resource, as a user asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceView {
    pub name: ResourceName,
    pub capacity: u64,
    /// Nobody has set it: it is as large as the machine.
    pub is_built_in: bool,
    pub booked: u64,
    /// The claimed runs that have some of it, oldest first.
    pub holders: Vec<RunId>,
}

impl Reader<'_> {
    /// Returns all requirements that jobs have or had.
    pub fn requirements(&self) -> StoreResult<BTreeMap<RequirementId, Requirement>> {
        let rows = self.all(REQUIREMENTS, [], |row| Ok((row.get(0)?, requirement(row, 1)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// Returns how much there is of each resource, `cpu` and `mem` as the machine has them if nobody has set
    /// them.
    pub fn capacities(&self, machine: MachineSize) -> StoreResult<BTreeMap<ResourceName, u64>> {
        let mut capacities = machine.capacities();
        capacities.extend(self.set_capacities()?);
        Ok(capacities)
    }

    fn set_capacities(&self) -> StoreResult<BTreeMap<ResourceName, u64>> {
        let rows = self.all("SELECT name, capacity FROM resource", [], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// Returns what the runs have booked that are claimed for a keeper, oldest first.
    pub(super) fn booked(&self) -> StoreResult<Vec<(RunId, Share)>> {
        self.all(
            "SELECT job_id, number, share FROM run
             WHERE state <> 'finished' AND share IS NOT NULL AND keeper <> 0 ORDER BY id",
            [],
            |row| {
                let run = RunId { job: row.get(0)?, number: row.get(1)? };
                Ok((run, share(row, 2)?.expect("it is not NULL")))
            },
        )
    }

    /// Returns how much there is of each resource, and how much of it is free beside what is `booked`.
    pub(super) fn supply(&self, machine: MachineSize, booked: &[(RunId, Share)]) -> StoreResult<Supply> {
        Ok(Supply::new(self.capacities(machine)?, booked.iter().map(|(_, share)| share)))
    }

    /// Returns all resources, sorted by name.
    pub fn resources(&self, machine: MachineSize) -> StoreResult<Vec<ResourceView>> {
        let (set, booked) = (self.set_capacities()?, self.booked()?);
        let view = |(name, capacity): (ResourceName, u64)| {
            let of = |share: &Share| share.portion(&name).map_or(0, Portion::amount);
            ResourceView {
                capacity,
                is_built_in: !set.contains_key(&name),
                booked: booked.iter().map(|(_, share)| of(share)).sum(),
                holders: booked.iter().filter(|(_, share)| of(share) > 0).map(|(run, _)| *run).collect(),
                name,
            }
        };
        Ok(self.capacities(machine)?.into_iter().map(view).collect())
    }

    /// Returns what a run needs, and what it has booked.
    pub fn resources_of(&self, run: RunId) -> StoreResult<(Needs, Option<Share>)> {
        let found = self.first(
            &format!(
                "SELECT {}, share FROM run WHERE job_id = ?1 AND number = ?2",
                requirement_column(Cells::Shown, "run.requirement_id")
            ),
            params![run.job, run.number],
            |row| Ok((requirement(row, 0)?.needs, share(row, 1)?)),
        )?;
        Ok(found.unwrap_or_default())
    }
}

impl Writer<'_> {
    /// Gives a job this requirement in place of the one it has.
    pub(super) fn set_requirement(&self, job: JobId, requirement: &Requirement) -> StoreResult<()> {
        let id = self.intern_requirement(job, requirement)?;
        let before: RequirementId =
            self.one("SELECT requirement_id FROM job WHERE id = ?1", [job], |row| row.get(0))?;
        if before == id {
            return Ok(());
        }
        self.change("UPDATE job SET requirement_id = ?2 WHERE id = ?1", params![job, id])?;
        self.forget_requirement(before)
    }

    fn intern_requirement(&self, job: JobId, requirement: &Requirement) -> StoreResult<RequirementId> {
        if requirement.is_none() {
            return Ok(RequirementId::NONE);
        }
        let data = serde_json::to_string(requirement).expect("writing to memory cannot fail");
        let owner = if requirement.scripts().next().is_some() { job } else { JobId(0) };
        // Of its own job, for which there are few, every row is opened.
        let found = self.first(
            "SELECT id FROM requirement WHERE job_id = ?2
                AND iif(?2 = 0, data, opened_text('requirement.data', id, 0, data)) = ?1",
            params![data, owner],
            |row| row.get(0),
        )?;
        if let Some(id) = found {
            return Ok(id);
        }
        self.change(
            "INSERT INTO requirement (data, job_id, id)
             VALUES (iif(?2 = 0, ?1, sealed('requirement.data', ?3, 0, ?1)), ?2, ?3)",
            params![data, owner, self.random_sealed_id()],
        )?;
        Ok(RequirementId(self.transaction.last_insert_rowid()))
    }

    /// Gives the unfinished runs of a job the requirement that it has now.
    pub(super) fn require_anew(&self, job: JobId) -> StoreResult<()> {
        self.change(
            "UPDATE run SET requirement_id = (SELECT requirement_id FROM job WHERE id = ?1)
             WHERE job_id = ?1 AND state <> 'finished' AND callback IS NULL",
            [job],
        )?;
        self.change(
            "UPDATE array SET requirement_id = (SELECT requirement_id FROM job WHERE id = ?1)
             WHERE job_id = ?1 AND finished_at IS NULL",
            [job],
        )
    }

    /// Forgets a requirement that no job has any more.
    pub(super) fn forget_requirement(&self, id: RequirementId) -> StoreResult<()> {
        if id == RequirementId::NONE {
            return Ok(());
        }
        self.change(
            "DELETE FROM requirement WHERE id = ?1
                AND NOT EXISTS (SELECT 1 FROM job WHERE requirement_id = ?1 AND requirement_id <> 0)",
            [id],
        )
    }

    /// A claimed run has this share of the resources.
    pub fn book(&self, run: RunId, share: &Share) -> StoreResult<()> {
        let data = serde_json::to_string(share).expect("writing to memory cannot fail");
        self.change(
            "UPDATE run SET share = ?3
             WHERE job_id = ?1 AND number = ?2 AND state <> 'finished' AND keeper IS NOT NULL",
            params![run.job, run.number, data],
        )
    }

    /// Makes a resource, or changes how much there is of it. Returns how much there was, if it was set.
    pub fn set_resource(&self, name: &ResourceName, capacity: u64) -> StoreResult<Option<u64>> {
        let before = self.first("SELECT capacity FROM resource WHERE name = ?1", [name.as_str()], |row| {
            Ok(row.get::<_, i64>(0)?.cast_unsigned())
        })?;
        if before != Some(capacity) {
            self.change(
                "INSERT OR REPLACE INTO resource (name, capacity) VALUES (?1, ?2)",
                params![name.as_str(), capacity.cast_signed()],
            )?;
            self.record(&Happening::ResourceSet { resource: name.to_string(), capacity });
        }
        Ok(before)
    }

    /// Removes a resource that was set. Of `cpu` and `mem`, as much is there then as the machine has.
    pub fn remove_resource(&self, name: &ResourceName) -> StoreResult<()> {
        self.change("DELETE FROM resource WHERE name = ?1", [name.as_str()])?;
        self.record(&Happening::ResourceRemoved { resource: name.to_string() });
        Ok(())
    }
}
