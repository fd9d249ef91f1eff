//! Owns: catching up with a world that has changed: another boot, another zone, a clock that was set back
//! far; a job that was paused.
//! Never: late fires, which a turn finds.

use log::info;

use crate::domain::{End, EventSource, JobId, Span, Timestamp, Window};
use crate::engine::{
    AttemptFacts, Plan, after_end, after_step_back, conclude, deadlines_after_step_back, follow_window,
    follow_zone, resume, retry_after_step_back, run_timers_after_step_back,
};
use crate::keeper::protocol::{Attempt, KeeperInstance, ToKeeper};
use crate::schedule::Zone;
use crate::store::{
    Act, Applied, AttemptEnd, ClaimedRun, EndedOutput, MetaKey, PlannedAre, Store, StoreError, StoreResult,
    Writer,
};
use crate::watch::first_marks;

/// A larger backward step of the clock means that the old time was wrong: fires are planned again. A smaller
/// one is a correction: the plan stays (cron(8)'s rule).
pub(super) const STEP_BACK: Span = Span::from_seconds(3 * 3_600);

/// The facts for the start of a daemon.
pub struct Beginning<'a> {
    /// Which boot of the machine this is.
    pub boot_id: &'a str,
    pub zone: &'a Zone,
    /// Keepers that exited with nothing left to report.
    pub ended_keepers: &'a [KeeperInstance],
    pub now: Timestamp,
}

/// Prepares the store once, before the first turn.
pub fn begin(store: &mut Store, beginning: &Beginning<'_>) -> StoreResult<()> {
    store.write(Act::of_daemon(beginning.now), |writer| {
        if writer.latest_queued_at()?.is_some_and(|latest| latest > beginning.now + STEP_BACK) {
            notice_step_back(writer, beginning.zone, beginning.now)?;
        }
        notice_copy(writer, beginning.now)?;
        notice_boot(writer, beginning.boot_id, beginning.ended_keepers, beginning.now)
    })
}

/// The changes that have made planned fires wrong, until they are planned again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatchUp {
    /// The clock was set back by more than a correction.
    pub is_set_back: bool,
    /// The system's zone may have changed.
    pub zone_may_differ: bool,
}

impl CatchUp {
    /// Plans wrong fires again. `zone` is the known zone, and becomes the present one.
    ///
    /// # Errors
    /// If the store fails, the next call does the rest.
    pub fn write(
        &mut self,
        store: &mut Store,
        zone: &mut Zone,
        read_zone: impl FnOnce() -> (Zone, String),
        now: Timestamp,
    ) -> StoreResult<()> {
        if self.is_set_back {
            store.write(Act::of_daemon(now), |writer| notice_step_back(writer, zone, now))?;
            self.is_set_back = false;
        }
        if self.zone_may_differ {
            let (present, fingerprint) = read_zone();
            let act = Act::of_daemon(now);
            if store.write(act, |writer| notice_zone(writer, &fingerprint, &present, now))? {
                info!("the system's zone is `{}`", present.name());
            }
            *zone = present;
            self.zone_may_differ = false;
        }
        Ok(())
    }
}

/// Returns the stops for the keeper that cannot be committed.
pub fn uncommitted_stops(store: &mut Store) -> Vec<ToKeeper> {
    let stop = |(run, number, now)| ToKeeper::Stop { attempt: Attempt::of_run(run, number), now };
    let stops =
        store.read(|reader| Ok::<_, StoreError>(reader.unsent_stops()?.into_iter().map(stop).collect()));
    stops.unwrap_or_default()
}

/// Why a run has no end in a copy of the store.
const COPIED: &str = "the store is a copy, which was made during the run";

/// Ends the claimed runs of a copied store that no daemon has served. Their processes are those of the
/// original, which may live beside it: they must not be looked for by what they have in common with these.
fn notice_copy(writer: &Writer<'_>, now: Timestamp) -> StoreResult<()> {
    if writer.take_meta(MetaKey::Copied)?.is_none() {
        return Ok(());
    }
    for claimed in writer.claims()? {
        record_end(writer, &claimed, &End::LostThere(COPIED.to_owned()), now)?;
    }
    writer.follow_up(after_end, now)
}

/// Ends runs that were claimed before the last boot as `lost`, because their keeper and processes are gone.
/// Fires `@reboot` triggers. The claims of keepers in `ended`, which exited in order, were never started.
fn notice_boot(
    writer: &Writer<'_>,
    boot_id: &str,
    ended: &[KeeperInstance],
    now: Timestamp,
) -> StoreResult<()> {
    let known = writer.exchange_meta(MetaKey::Boot, boot_id)?;
    // A store that was never served has nothing claimed.
    if known.is_some_and(|known| known != boot_id) {
        for claimed in writer.claimed_runs()?.iter().filter(|claimed| !ended.contains(&claimed.keeper)) {
            record_end(writer, claimed, &End::Lost, now)?;
        }
        writer.follow_up(after_end, now)?;
    }
    writer.fire_reboots(boot_id, now)?;
    writer.tell_daemon_start(boot_id, now)?;
    writer.follow_up(after_end, now)
}

/// Records the end of an attempt of which nobody else will report one.
fn record_end(writer: &Writer<'_>, claimed: &ClaimedRun, how: &End, now: Timestamp) -> StoreResult<()> {
    let Some(open) = writer.open_attempt(claimed.run, claimed.attempt)? else { return Ok(()) };
    let facts = AttemptFacts {
        run: claimed.run,
        attempt: claimed.attempt,
        finished_at: now,
        stop_wanted: open.stop_wanted,
        retry: open.retry,
    };
    let end = AttemptEnd {
        run: claimed.run,
        attempt: claimed.attempt,
        recorded_start: open.recorded_start,
        started: claimed.started,
        finished_at: now,
        usage: None,
        output_bytes: None,
        output: EndedOutput::default(),
        result: None,
    };
    writer.record_end(&end, &conclude(how, None, &facts))
}

/// Plans the coming fires in the system's zone again if the zone has changed, and returns whether it has. Due
/// fires stay due. `fingerprint` changes when the zone does.
fn notice_zone(writer: &Writer<'_>, fingerprint: &str, zone: &Zone, now: Timestamp) -> StoreResult<bool> {
    if writer.exchange_meta(MetaKey::SystemZone, fingerprint)?.as_deref() == Some(fingerprint) {
        return Ok(false);
    }
    let plan = follow_zone(now, &writer.planned(PlannedAre::InSystemZone, now, zone)?);
    apply_new_fires(writer, &plan, now)?;
    Ok(true)
}

/// Plans recurring fires, retries, the latest times of starts, and looks at runs again on a clock that was
/// set back far.
fn notice_step_back(writer: &Writer<'_>, system_zone: &Zone, now: Timestamp) -> StoreResult<()> {
    let fires = after_step_back(now, &writer.planned(PlannedAre::Recurring, now, system_zone)?);
    apply_new_fires(writer, &fires, now)?;
    let retries = retry_after_step_back(now, &writer.retrying_runs()?);
    writer.apply(&retries, None, now, &mut Applied::default())?;
    writer.timeouts_after_step_back(now)?;
    let deadlines = deadlines_after_step_back(now, &writer.deadlines()?);
    writer.apply(&deadlines, None, now, &mut Applied::default())?;
    let looks = run_timers_after_step_back(now, &writer.run_timers()?);
    writer.apply(&looks, None, now, &mut Applied::default())
}

/// Remembers the files of a job that resumes as they are now, so that what happens from now on counts, also
/// before the daemon looks.
fn mark_paths(writer: &Writer<'_>, job: JobId) -> StoreResult<()> {
    for trigger in writer.triggers(job)? {
        let Some(EventSource::Path(source)) = trigger.spec.event().map(|event| &event.source) else {
            continue;
        };
        if let Some(marks) = first_marks(source).filter(|_| trigger.listener.is_some()) {
            writer.set_first_marks(trigger.id, &marks)?;
        }
    }
    Ok(())
}

/// Plans the coming fires of a job again whose window was `old` before. Due fires stay due.
pub fn follow_new_window(
    writer: &Writer<'_>,
    job: JobId,
    old: Window,
    (boot_id, system_zone): (&str, &Zone),
    now: Timestamp,
) -> StoreResult<()> {
    let planned = writer.planned(PlannedAre::OfJob(job), now, system_zone)?;
    if old.has_ended(now) {
        writer.rearm_reboots(job, boot_id)?;
    }
    writer.look_again(job)?;
    apply_new_fires(writer, &follow_window(now, old, &planned), now)
}

/// Applies a plan of coming fires, after which a job may have none left.
fn apply_new_fires(writer: &Writer<'_>, plan: &Plan, now: Timestamp) -> StoreResult<()> {
    writer.apply(plan, None, now, &mut Applied::default())?;
    for (trigger, _) in plan.advanced.iter().filter(|(_, next_at)| next_at.is_none()) {
        writer.note_end(*trigger)?;
    }
    writer.follow_up(after_end, now)
}

/// Lets a job fire again. The fires during its pause become one `skipped` run of each trigger. Returns
/// whether the job was paused, or why one of its schedules can no longer be read. In that case the caller
/// must roll back.
pub fn resume_job(
    writer: &Writer<'_>,
    job: JobId,
    system_zone: &Zone,
    now: Timestamp,
) -> StoreResult<Result<bool, String>> {
    if !writer.resume_job(job)? {
        return Ok(Ok(false));
    }
    mark_paths(writer, job)?;
    writer.rearm_silences(job, now)?;
    writer.release_gathered(job, now)?;
    match resume(now, &writer.due_of_job(job, now, system_zone)?) {
        Ok(plan) => writer.apply(&plan, None, now, &mut Applied::default()).map(|()| Ok(true)),
        Err(cause) => Ok(Err(cause)),
    }
}
