//! Owns: catching up with a world that has changed: another boot, another zone, a clock that was set back far; a
//! job that was paused.
//! Never: late fires, which a turn finds.

use crate::domain::{JobId, Timestamp};
use crate::engine::{after_end, after_step_back, follow_zone, resume};
use crate::keeper::protocol::KeeperInstance;
use crate::schedule::Zone;
use crate::store::{Applied, MetaKey, PlannedAre, StoreResult, Writer};

/// Ends as `lost` what was claimed before the machine was last started, since no keeper and no process of it
/// can be left; fires what `@reboot` asks for. Keepers that `ended` in order had started nothing that is still
/// claimed.
pub fn notice_boot(
    writer: &Writer<'_>,
    boot_id: &str,
    ended: &[KeeperInstance],
    now: Timestamp,
) -> StoreResult<()> {
    let known = writer.exchange_meta(MetaKey::Boot, boot_id)?;
    // A store that was never served has nothing claimed.
    if known.is_some_and(|known| known != boot_id) {
        for claimed in writer.claimed_runs()?.iter().filter(|claimed| !ended.contains(&claimed.keeper)) {
            writer.record_lost(claimed.run, now)?;
        }
        writer.follow_up(after_end, now)?;
    }
    writer.fire_reboots(boot_id, now)
}

/// Plans the coming fires in the system's zone anew if that is another than when they were planned. Fires that
/// are due stay due. Returns whether it is; `fingerprint` changes when the zone does.
pub fn notice_zone(writer: &Writer<'_>, fingerprint: &str, zone: &Zone, now: Timestamp) -> StoreResult<bool> {
    if writer.exchange_meta(MetaKey::SystemZone, fingerprint)?.as_deref() == Some(fingerprint) {
        return Ok(false);
    }
    let plan = follow_zone(now, &writer.planned(PlannedAre::InSystemZone, now, zone)?);
    writer.apply(&plan, None, now, &mut Applied::default())?;
    Ok(true)
}

/// Plans recurring fires anew on a clock that was set back far.
pub fn notice_step_back(writer: &Writer<'_>, system_zone: &Zone, now: Timestamp) -> StoreResult<()> {
    let plan = after_step_back(now, &writer.planned(PlannedAre::Recurring, now, system_zone)?);
    writer.apply(&plan, None, now, &mut Applied::default())
}

/// Lets a job fire again. What its pause swallowed is one `skipped` run a trigger. Returns whether the job was
/// paused; or why one of its schedules cannot be read any more, after which the transaction is to be given up.
pub fn resume_job(
    writer: &Writer<'_>,
    job: JobId,
    system_zone: &Zone,
    now: Timestamp,
) -> StoreResult<Result<bool, String>> {
    if !writer.resume_job(job)? {
        return Ok(Ok(false));
    }
    match resume(now, &writer.due_of_job(job, now, system_zone)?) {
        Ok(plan) => writer.apply(&plan, None, now, &mut Applied::default()).map(|()| Ok(true)),
        Err(cause) => Ok(Err(cause)),
    }
}
