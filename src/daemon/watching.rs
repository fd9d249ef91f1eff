//! Owns: the daemon's sources of events, and their news until these are committed.
//! Never: noticing an event (see `watch`), or what it does (see `engine` and `store`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use log::warn;

use super::feeding::Feeding;

use super::sources::{Source, Sources};
use super::watched_paths::WatchedPaths;
use crate::domain::{EventSource, MachineState, Occurrence, Timestamp, TriggerId, TriggerKind};
use crate::keeper::DescriptorLimit;
use crate::store::{HeardEvent, Reader, SourceNews, SourceStamp, StoreResult};
use crate::watch::{MachineStates, StateNews, StateWatch};

/// The sources of events, and what they have told.
pub(super) struct Watching {
    boot_id: String,
    /// For which triggers the sources listen; `None`: not yet.
    stamp: Option<SourceStamp>,
    states: StateWatch,
    /// The triggers of each state.
    of_state: BTreeMap<MachineState, Vec<TriggerId>>,
    paths: WatchedPaths,
    feeding: Feeding,
    /// News that no turn has committed, in the order in which they came.
    news: Vec<SourceNews>,
}

impl Watching {
    /// `limit`: the limit of descriptors that this process has raised.
    pub(super) fn new(boot_id: String, limit: Option<DescriptorLimit>) -> Self {
        Self {
            boot_id,
            stamp: None,
            states: StateWatch::new(MachineStates::default()),
            of_state: BTreeMap::new(),
            paths: WatchedPaths::default(),
            feeding: Feeding::new(limit),
            news: Vec::new(),
        }
    }

    /// Adds the descriptors that the daemon waits for.
    pub(super) fn register<'a>(&'a self, sources: &mut Sources<'a>) {
        self.states.fds().for_each(|fd| sources.add(Source::States, fd));
        self.paths.fd().into_iter().for_each(|fd| sources.add(Source::Paths, fd));
        self.feeding.register(sources);
    }

    /// Returns the time on the monotonic clock at which `serve` has something to do; zero: at once.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        [self.paths.next_wake(), self.feeding.next_wake()].into_iter().flatten().min()
    }

    /// Takes in what the sources that are `ready`, or due now, have to tell.
    pub(super) fn serve(&mut self, ready: &[Source], now: Duration, wall: Timestamp) {
        if ready.contains(&Source::States) {
            self.take_states(wall);
        }
        let is_due = |wake: Option<Duration>| wake.is_some_and(|wake| wake <= now);
        if ready.contains(&Source::Streams) || is_due(self.feeding.next_wake()) {
            self.news.append(&mut self.feeding.serve(now, wall));
        }
        let is_ready = ready.contains(&Source::Paths);
        self.news.append(&mut self.paths.serve(is_ready, now, wall));
    }

    /// Looks again at paths of which a condition may still hold.
    pub(super) fn recheck(&mut self, stale: &[TriggerId], now: Duration) {
        self.paths.recheck(stale, now);
    }

    fn take_states(&mut self, now: Timestamp) {
        let news = self.states.take();
        self.note_states(news, now);
    }

    /// Returns what is to be told to triggers in the next turn.
    pub(super) fn news(&self) -> &[SourceNews] {
        &self.news
    }

    /// Returns which states of the machine hold, for the next daemon; `None`: no trigger wants to know.
    pub(super) fn seen_states(&self) -> Option<(&str, &BTreeMap<MachineState, bool>)> {
        (!self.states.seen().is_empty()).then(|| (self.boot_id.as_str(), self.states.seen()))
    }

    /// Forgets the news that a turn has committed.
    pub(super) fn committed(&mut self) {
        self.news.clear();
    }

    /// Listens for the triggers that there are now, if these are others.
    pub(super) fn follow(
        &mut self,
        reader: &Reader<'_>,
        stamp: SourceStamp,
        (now, wall): (Duration, Timestamp),
    ) -> StoreResult<()> {
        // The directory and the variables of a command may have changed without another trigger.
        if self.stamp != Some(stamp) || !self.feeding.is_idle() {
            self.feeding.follow(reader, now)?;
        }
        if self.stamp != Some(stamp) {
            self.follow_states(reader, wall)?;
            self.paths.follow(reader, now)?;
            self.stamp = Some(stamp);
        }
        Ok(())
    }

    fn follow_states(&mut self, reader: &Reader<'_>, now: Timestamp) -> StoreResult<()> {
        self.of_state.clear();
        for listener in reader.listeners_of(TriggerKind::State)? {
            if let EventSource::State(state) = listener.event.source {
                self.of_state.entry(state).or_default().push(listener.trigger);
            }
        }
        if self.stamp.is_none() {
            // In a new boot, nothing holds at first.
            let known = reader.known_states(&self.boot_id)?;
            for state in self.of_state.keys() {
                let held = known.as_ref().map(|known| known.contains(&(*state, true)));
                self.states.assume(*state, held.unwrap_or(false));
            }
        }
        let wanted: BTreeSet<MachineState> = self.of_state.keys().copied().collect();
        let news = self.states.listen(&wanted);
        self.note_states(news, now);
        Ok(())
    }

    fn note_states(&mut self, news: StateNews, now: Timestamp) {
        news.problems.iter().for_each(|problem| warn!("{problem}"));
        for (state, holds) in news.changes {
            let name = state.to_string();
            let occurrence = Occurrence { at: now, name, data: None, count: 1, depth: 0 };
            let event = HeardEvent { is_opposite: !holds, ..HeardEvent::of(occurrence) };
            for trigger in self.of_state.get(&state).into_iter().flatten() {
                let events = vec![event.clone()];
                self.news.push(SourceNews { trigger: *trigger, events, marks: Vec::new() });
            }
        }
    }
}
