//! Owns: the part of the daemon's loop that has to do with the sources of events.
//! Never: what these watch, and how (see `watching`).

use log::warn;

use super::Daemon;
use crate::domain::TriggerId;
use crate::store::SourceStamp;

impl Daemon<'_> {
    /// Lets the sources of events follow the triggers that there are after a turn.
    pub(super) fn follow_sources(&mut self, stamp: SourceStamp, stale: &[TriggerId]) {
        self.watching.committed();
        let (watching, now) = (&mut self.watching, (self.clock.monotonic(), self.clock.now()));
        watching.recheck(stale, now.0);
        if let Err(error) = self.store.read(|reader| watching.follow(reader, stamp, now)) {
            warn!("cannot read the event triggers: {error}");
        }
        self.heed_news();
    }

    /// Takes a turn soon if the sources of events have news.
    pub(super) fn heed_news(&mut self) {
        if !self.watching.news().is_empty() {
            self.pacer.demand_turn();
        }
    }
}
