//! Owns: the source of `path` events: which triggers listen, and what is due for them.
//! Never: the store, counting, firing.
//!
//! A directory is watched, not a file: a file is replaced, and its watch goes with it. It is first watched
//! and then compared with the marks, so that nothing happens unseen between the two.

mod check;
mod edges;
mod event;
mod growth;
mod kernel;
mod ledger;
mod listener;
mod look;
mod names;
mod place;
mod reach;
mod refusal;
mod report;
mod settle;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

pub use check::{check_path, first_marks};
pub use event::{PathEvent, PathNews};
pub use listener::PathListener;
pub use refusal::PathRefusal;

use crate::domain::{PathMark, Timestamp, TriggerId};
use kernel::{Kernel, Notice};
use listener::Listener;
use report::report;

/// Listens for all path triggers of a daemon. Instants are of the monotonic clock.
///
/// Its descriptor is readable when the kernel has something to tell: then `take`, and after that `news`. What
/// `news` has handed out once, it does not hand out again.
#[derive(Debug)]
pub struct PathWatch {
    kernel: Kernel,
    listeners: BTreeMap<TriggerId, Listener>,
    /// Those that have something to do, now or later.
    active: BTreeSet<TriggerId>,
    problems: Vec<(TriggerId, PathRefusal)>,
}

impl PathWatch {
    /// # Errors
    /// Those of inotify_init(2).
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            kernel: Kernel::new()?,
            listeners: BTreeMap::new(),
            active: BTreeSet::new(),
            problems: Vec::new(),
        })
    }

    /// Listens to these triggers and no others. One that it listens to already goes on, unless its source is
    /// another now. For each of the others `marks` is asked for its stored marks. It is watched from now on,
    /// and compared with them by the next `news`.
    ///
    /// # Errors
    /// Those of `marks`. Then only some of the new triggers are listened to; call it again.
    pub fn listen<E>(
        &mut self,
        wanted: Vec<PathListener>,
        mut marks: impl FnMut(TriggerId) -> Result<Vec<(Vec<u8>, PathMark)>, E>,
        now: Duration,
    ) -> Result<(), E> {
        let names: HashSet<TriggerId> = wanted.iter().map(|listener| listener.trigger).collect();
        let is_kept = |trigger: &TriggerId| names.contains(trigger);
        let ended: Vec<TriggerId> = self.listeners.keys().filter(|key| !is_kept(key)).copied().collect();
        ended.into_iter().for_each(|trigger| self.end(trigger));
        for wanted in wanted {
            let trigger = wanted.trigger;
            if let Some(listener) = self.listeners.get_mut(&trigger)
                && listener.source == wanted.source
            {
                listener.with_opposites = wanted.with_opposites;
                continue;
            }
            let marks = marks(trigger)?;
            self.end(trigger);
            let mut listener = Listener::new(wanted, marks, now);
            let problem = listener.prepare(&mut self.kernel, now);
            self.problems.extend(problem.map(|problem| (trigger, problem)));
            self.listeners.insert(trigger, listener);
            self.active.insert(trigger);
        }
        Ok(())
    }

    fn end(&mut self, trigger: TriggerId) {
        if let Some(listener) = self.listeners.remove(&trigger) {
            listener.close(&mut self.kernel);
            self.active.remove(&trigger);
        }
    }

    /// Looks again whether the condition of a level trigger holds, after a run of its job has ended or its
    /// job was resumed. Waits for its `settle`.
    pub fn recheck(&mut self, trigger: TriggerId, now: Duration) {
        let listener = self.listeners.get_mut(&trigger);
        if let Some(listener) = listener.filter(|listener| listener.source.change.is_level()) {
            listener.rescan(now);
            listener.is_rechecked = true;
            self.active.insert(trigger);
        }
    }

    /// Takes in what the kernel has to tell, without waiting.
    pub fn take(&mut self, now: Duration) {
        self.receive(now, &BTreeSet::new());
    }

    /// Of the triggers `scanned`, it may be told what their scan has seen already.
    fn receive(&mut self, now: Duration, scanned: &BTreeSet<TriggerId>) {
        let Self { kernel, listeners, active, .. } = self;
        kernel.read(&mut |notice| {
            let trigger = match notice {
                Notice::Lost { trigger } | Notice::Entry { trigger, .. } => trigger,
                Notice::Overflow => {
                    let watching = listeners.values_mut().filter(|listener| listener.source.poll.is_none());
                    for listener in watching {
                        listener.hear(&notice, now, false);
                        active.insert(listener.trigger);
                    }
                    return;
                }
            };
            if let Some(listener) = listeners.get_mut(&trigger) {
                listener.hear(&notice, now, scanned.contains(&trigger));
                active.insert(trigger);
            }
        });
    }

    /// Returns what is due, and looks at files for that. `wall` is the time that its occurrences get.
    pub fn news(&mut self, now: Duration, wall: Timestamp) -> Vec<PathNews> {
        let mut all: Vec<PathNews> = Vec::new();
        let mut scanned = BTreeSet::new();
        for trigger in self.active.clone() {
            let listener = self.listeners.get_mut(&trigger).expect("only listeners are active");
            let problem = listener.prepare(&mut self.kernel, now);
            self.problems.extend(problem.map(|problem| (trigger, problem)));
            if listener.is_due(now) {
                if listener.is_scan_due {
                    scanned.insert(trigger);
                }
                let is_left_over = std::mem::take(&mut listener.is_rechecked);
                all.push(PathNews { is_left_over, ..report(listener, now, wall) });
            }
        }
        if !scanned.is_empty() {
            self.receive(now, &scanned);
            self.follow_scans(&scanned, &mut all, now, wall);
        }
        self.rest(now);
        all.retain(|news| !news.is_empty());
        all
    }

    /// Adds what happened during the scans, and was perhaps not seen by them.
    fn follow_scans(
        &mut self,
        scanned: &BTreeSet<TriggerId>,
        all: &mut [PathNews],
        now: Duration,
        wall: Timestamp,
    ) {
        for news in all.iter_mut().filter(|news| scanned.contains(&news.trigger)) {
            let listener = self.listeners.get_mut(&news.trigger).expect("it was scanned just now");
            let is_told = listener.source.change.is_level() && !news.events.is_empty();
            if is_told && listener.source.settle.is_none() && !listener.is_scan_due {
                // Its run begins later, and finds that too.
                listener.told.clear();
                listener.clock.stop();
            } else if !listener.told.is_empty() && listener.is_due(now) && !listener.is_scan_due {
                news.append(report(listener, now, wall));
            }
        }
    }

    /// Lets those go that have nothing more to do.
    fn rest(&mut self, now: Duration) {
        for trigger in self.active.clone() {
            let listener = self.listeners.get_mut(&trigger).expect("only listeners are active");
            if listener.wake() == Some(Duration::ZERO) {
                let problem = listener.prepare(&mut self.kernel, now);
                self.problems.extend(problem.map(|problem| (trigger, problem)));
            }
            if listener.wake().is_none() {
                self.active.remove(&trigger);
            }
        }
    }

    /// Returns when `news` has something to do, also if the kernel tells nothing; zero: at once.
    /// `None`: never.
    pub fn next_wake(&self) -> Option<Duration> {
        self.active.iter().filter_map(|trigger| self.listeners.get(trigger)?.wake()).min()
    }

    /// Returns how many directories the kernel watches for it.
    pub fn watches(&self) -> usize {
        self.kernel.count()
    }

    /// Returns the triggers that cannot be watched, each once. They are looked at each minute.
    pub fn take_problems(&mut self) -> Vec<(TriggerId, PathRefusal)> {
        std::mem::take(&mut self.problems)
    }
}

impl AsFd for PathWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kernel.as_fd()
    }
}
