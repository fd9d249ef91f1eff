//! Owns: the sources of a simulated daemon, `src/daemon/watching.rs` in the small: the paths with the real
//! watch, the power supply by a script.
//! Never: what must come of it (see `shadows` and `hearing`).

use std::collections::BTreeMap;

use taskq::daemon::{TurnOutput, WatchedPaths};
use taskq::domain::{EventSource, MachineState, Occurrence, TriggerId, TriggerKind};
use taskq::store::{HeardEvent, SourceNews, SourceStamp};

use crate::folder::{Act, FILES};
use crate::world::World;

/// The states of the power supply, and whether each holds on mains power.
const POWER: [(MachineState, bool); 2] = [(MachineState::Ac, true), (MachineState::Battery, false)];

/// What a daemon's sources know. It dies with the daemon.
#[derive(Debug, Default)]
pub struct Sources {
    /// For which triggers they listen; `None`: not yet.
    stamp: Option<SourceStamp>,
    pub paths: WatchedPaths,
    /// The triggers of each state.
    of_state: BTreeMap<MachineState, Vec<TriggerId>>,
    /// The states that were read.
    pub seen: BTreeMap<MachineState, bool>,
    /// What they have told, and no turn has committed.
    pub news: Vec<SourceNews>,
}

impl World {
    /// Lets the paths tell what they have. Returns whether it was something.
    pub fn serve_paths(&mut self) -> bool {
        let (mono, monotonic, now) = (self.mono, self.monotonic(), self.now());
        let Some(daemon) = &mut self.daemon else { return false };
        let news = daemon.sources.paths.serve(true, monotonic, now);
        for news in &news {
            self.shadows.told(news, &self.folder);
        }
        self.shadows.quiet(mono, &self.folder);
        let texts: Vec<String> = news.iter().map(|news| format!("paths tell {news:?}")).collect();
        let has_news = !news.is_empty();
        daemon.sources.news.extend(news);
        if has_news {
            daemon.pacer.demand_turn();
        }
        texts.into_iter().for_each(|text| self.note(text));
        has_news
    }

    /// Lets the sources listen for the triggers that there are after a turn.
    pub fn follow_sources(&mut self, done: &TurnOutput) {
        let (mono, monotonic) = (self.mono, self.monotonic());
        let Some(daemon) = &mut self.daemon else { return };
        let paths = &mut daemon.sources.paths;
        paths.recheck(&done.stale, monotonic);
        let is_first = daemon.sources.stamp.is_none();
        if daemon.sources.stamp.replace(done.source_stamp) == Some(done.source_stamp) {
            return;
        }
        self.store.read(|reader| paths.follow(reader, monotonic)).expect("readable");
        let listening: Vec<i64> = self.audit.hearing.heard_now().collect();
        self.shadows.follow(&listening, mono);
        self.follow_states(is_first);
    }

    fn follow_states(&mut self, is_first: bool) {
        let boot = self.boot.to_string();
        let (listeners, known) = self
            .store
            .read(|reader| {
                Ok::<_, taskq::store::StoreError>((
                    reader.listeners_of(TriggerKind::State)?,
                    reader.known_states(&boot)?,
                ))
            })
            .expect("readable");
        let Some(daemon) = &mut self.daemon else { return };
        let Sources { of_state, seen, .. } = &mut daemon.sources;
        of_state.clear();
        for listener in listeners {
            if let EventSource::State(state) = listener.event.source {
                of_state.entry(state).or_default().push(listener.trigger);
            }
        }
        seen.retain(|state, _| of_state.contains_key(state));
        if is_first {
            let kept = self.kept_states.as_ref().filter(|(boot, _)| *boot == self.boot);
            let kept = kept.map(|(_, states)| states.clone().into_iter().collect());
            assert_eq!(known, kept, "the states that the last turn has seen");
            for (state, _) in POWER.iter().filter(|(state, _)| of_state.contains_key(state)) {
                seen.insert(*state, known.as_ref().is_some_and(|known| known.contains(&(*state, true))));
            }
        }
        self.read_power();
    }

    /// Tells which states of the power supply are others now. The first value of a state is no change.
    fn read_power(&mut self) {
        let (now, is_on_mains) = (self.now(), self.is_on_mains);
        let Some(daemon) = &mut self.daemon else { return };
        let Sources { of_state, seen, news, .. } = &mut daemon.sources;
        for (state, on_mains) in POWER {
            let Some(triggers) = of_state.get(&state) else { continue };
            let holds = is_on_mains == on_mains;
            if seen.insert(state, holds).is_none_or(|held| held == holds) {
                continue;
            }
            let occurrence = Occurrence { at: now, name: state.to_string(), data: None, count: 1, depth: 0 };
            let event = HeardEvent { is_opposite: !holds, ..HeardEvent::of(occurrence) };
            let of = |trigger: &TriggerId| SourceNews {
                trigger: *trigger,
                events: vec![event.clone()],
                marks: Vec::new(),
            };
            news.extend(triggers.iter().map(of));
        }
        if !news.is_empty() {
            daemon.pacer.demand_turn();
        }
    }

    /// The machine is plugged in, or runs on its battery from now on.
    pub fn switch_power(&mut self) {
        self.is_on_mains = !self.is_on_mains;
        self.note(format!("mains power: {}", self.is_on_mains));
        self.read_power();
        self.settle();
    }

    /// Lets one of these things happen to a file, if it can.
    pub fn touch(&mut self, name: &'static str, act: Act) {
        let act = match act {
            Act::Created => self.folder.write(name),
            Act::Changed => self.folder.replace(name),
            Act::Deleted if self.folder.files.contains_key(name) => self.folder.delete(name),
            Act::Deleted => return,
        };
        self.note(format!("{name} is {act:?}, here: {}", self.folder.is_here));
        if self.folder.is_here {
            self.shadows.hear(name, act, self.mono);
        }
    }

    /// Deletes all files.
    pub fn clear_folder(&mut self) {
        FILES.into_iter().for_each(|name| self.touch(name, Act::Deleted));
        self.settle();
    }

    /// Moves the folder away, with the daemon's watch, or back.
    pub fn shift_folder(&mut self) {
        self.settle();
        self.folder.shift();
        self.note(format!("the folder is here: {}", self.folder.is_here));
        self.shadows.lose(self.mono);
        self.settle();
    }

    /// Lets more happen in the folder than the kernel remembers, and then this.
    pub fn flood_folder(&mut self, acts: &[(&'static str, Act)]) {
        self.settle();
        if self.folder.flood() {
            self.note("the kernel's memory of changes is full");
            self.shadows.lose(self.mono);
        }
        acts.iter().for_each(|(name, act)| self.touch(name, *act));
        self.settle();
    }
}
