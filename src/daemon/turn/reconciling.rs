//! Owns: what follows from a keeper's hello: its attempts and the claims in the database are made to agree.
//! Never: its other reports.

use std::collections::HashSet;

use super::Turn;
use crate::daemon::mail;
use crate::daemon::order::seek_order;
use crate::domain::{RunId, Share};
use crate::engine::{Recovery, recover};
use crate::keeper::protocol::{Attempt, Ended, KeeperId, Known, ToKeeper};
use crate::store::StoreResult;

impl Turn<'_> {
    /// Compares the claims in the database with the attempts that the keeper has.
    pub(super) fn reconcile(
        &mut self,
        keeper: KeeperId,
        known: &[Known],
        ended: &[Ended],
    ) -> StoreResult<()> {
        let at_keeper: HashSet<Attempt> =
            known.iter().map(|known| known.attempt).chain(ended.iter().map(|ended| ended.attempt)).collect();
        let can_seek = keeper.takes_starts(self.input.is_sealed);
        let (mut adopted, mut requeued, mut sought) = (0, 0, 0);
        for claimed in self.writer.claimed_runs()? {
            let attempt = Attempt::of_run(claimed.run, claimed.attempt);
            let claimed_for = self.input.claimed_for(claimed.keeper, keeper);
            match recover(claimed_for, at_keeper.contains(&attempt), can_seek) {
                Recovery::Adopt => {
                    adopted += 1;
                    let known = known.iter().find(|known| known.attempt == attempt);
                    if let Some(share) =
                        claimed.share.filter(|_| known.is_some_and(|it| it.started.is_none()))
                    {
                        // The daemon that gave it may have died before the keeper was told.
                        self.output.orders.push(ToKeeper::Give { attempt, share });
                    }
                    if claimed.keeper != keeper.instance
                        && let Some((pid, at)) = known.and_then(|known| known.started)
                    {
                        self.writer.record_unattended(
                            claimed.run,
                            claimed.attempt,
                            keeper.instance,
                            pid,
                            at,
                        )?;
                    }
                }
                Recovery::Requeue => {
                    requeued += 1;
                    self.writer.requeue(claimed.run)?;
                    if claimed.stop_wanted {
                        self.writer.cancel_run(claimed.run, false, self.input.now)?;
                    }
                }
                Recovery::Seek => {
                    sought += 1;
                    let start = self.writer.start(claimed.run)?;
                    self.output.orders.push(seek_order(
                        &claimed,
                        start,
                        self.input.default_slots,
                        self.input.files.results,
                    ));
                }
                Recovery::Wait => {}
            }
        }
        for known in known {
            if let Some(started) = known.started {
                self.record_start(known.attempt, started)?;
            }
        }
        self.writer.resend_stops()?;
        self.writer.resend_pauses()?;
        mail::release_unknown(self.writer, &at_keeper)?;
        for attempt in self.input.pipes {
            if !self.is_open(*attempt)? {
                self.acknowledge(*attempt);
            }
        }
        if adopted + requeued + sought > 0 {
            self.notice(format!(
                "found a keeper: runs adopted: {adopted}, queued again: {requeued}, looked for: {sought}"
            ));
        }
        Ok(())
    }

    /// A run is found that nobody else knows of. What it has, it was told in its environment.
    pub(super) fn book_found(&self, run: RunId, pid: u32) -> StoreResult<()> {
        let (needs, share) = self.writer.resources_of(run)?;
        let env = (self.input.environ)(pid);
        // One that cannot be read says less than the store.
        if needs.is_empty() || share.is_some() && env.is_empty() {
            return Ok(());
        }
        self.writer.book(run, &Share::from_variables(&needs, &env))
    }
}
