//! Owns: one path trigger: what it watches, what came and is not looked at yet, and when that is due.
//! Never: reading from inotify (see `kernel`), what becomes an event (see `report`).

use std::time::Duration;

use inotify::{EventMask, WatchMask};

use super::edges::{Act, Told};
use super::kernel::{Holds, Kernel, Notice, Role};
use super::ledger::Ledger;
use super::names::{Name, Names};
use super::place::{Place, Scan, place_of};
use super::reach::Wanted;
use super::refusal::{PathRefusal, limit_refusal};
use super::settle::SettleClock;
use crate::domain::{PathChange, PathMark, PathSource, Span, TriggerId};

/// Files that are being written are told of no more often than this, because each write would be a wake-up.
const WRITES_INTERVAL: Duration = Duration::from_millis(100);

/// How often a directory is looked at for which the kernel has no room for a watch.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// No more of what was told is kept while changes settle. More than that is found by a scan.
const TOLD_MAX: usize = 10_000;

/// A trigger to listen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathListener {
    pub trigger: TriggerId,
    pub source: PathSource,
    /// It was never looked at. Its first look makes marks, and reports nothing for `changed`, `created` and
    /// `deleted`.
    pub is_new: bool,
    /// The opposite of an event is wanted too: of `created` that a file is deleted, and the other way round.
    pub with_opposites: bool,
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) trigger: TriggerId,
    pub(super) source: PathSource,
    pub(super) with_opposites: bool,
    pub(super) is_new: bool,
    /// It is looked at again because a run has ended.
    pub(super) is_rechecked: bool,
    pub(super) place: Place,
    pub(super) ledger: Ledger,
    pub(super) clock: SettleClock,
    /// In the order of arrival.
    pub(super) told: Vec<Told>,
    /// All files have to be looked at.
    pub(super) is_scan_due: bool,
    pub(super) last_look: Option<Duration>,
    holds: Holds,
    /// The events of files that it is told of.
    held: Option<WatchMask>,
    needs_watch: bool,
    /// Until then it is not told of writes.
    deaf_until: Option<Duration>,
    retry_at: Option<Duration>,
    next_poll: Option<Duration>,
    polled: Option<Scan>,
}

impl Listener {
    pub(super) fn new(wanted: PathListener, marks: Vec<(Name, PathMark)>, now: Duration) -> Self {
        let source = wanted.source;
        let mut clock = SettleClock::new(source.settle);
        clock.touch(now);
        Self {
            trigger: wanted.trigger,
            with_opposites: wanted.with_opposites,
            is_new: wanted.is_new,
            is_rechecked: false,
            place: place_of(&source, None),
            ledger: Ledger::new(marks),
            clock,
            told: Vec::new(),
            is_scan_due: true,
            last_look: None,
            holds: Holds::default(),
            held: None,
            needs_watch: true,
            deaf_until: None,
            retry_at: None,
            next_poll: source.poll.map(|poll| now.saturating_add(poll.as_duration())),
            polled: None,
            source,
        }
    }

    pub(super) fn counts_growth(&self) -> bool {
        matches!(self.source.change, PathChange::Bytes(_) | PathChange::Lines(_))
    }

    /// Returns whether its first look only makes marks, which nothing may delay.
    fn is_first_look_due(&self) -> bool {
        self.is_new && self.is_scan_due && !self.source.change.is_level() && !self.counts_growth()
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.is_first_look_due() || self.clock.due().is_some_and(|due| due <= now)
    }

    /// Returns when there is something to do; zero: at once.
    pub(super) fn wake(&self) -> Option<Duration> {
        let is_urgent = self.is_first_look_due() || self.source.poll.is_none() && self.has_wrong_watch();
        if is_urgent {
            return Some(Duration::ZERO);
        }
        [self.clock.due(), self.next_poll, self.deaf_until, self.retry_at].into_iter().flatten().min()
    }

    fn has_wrong_watch(&self) -> bool {
        self.needs_watch || self.held != Some(self.mask()) && self.retry_at.is_none()
    }

    /// Returns the events of files that matter to it now.
    fn mask(&self) -> WatchMask {
        let comes = WatchMask::CREATE | WatchMask::MOVED_TO;
        let goes = WatchMask::DELETE | WatchMask::MOVED_FROM;
        let is_inside = !matches!(self.place.names, Names::One(_) | Names::Matching(_));
        let mut mask = match self.source.change {
            PathChange::Exists => comes,
            PathChange::Nonempty if is_inside => comes,
            PathChange::Nonempty => comes | WatchMask::CLOSE_WRITE,
            PathChange::Created | PathChange::Deleted => comes | goes,
            PathChange::Changed | PathChange::Bytes(_) | PathChange::Lines(_) => {
                comes | goes | WatchMask::CLOSE_WRITE
            }
        };
        // Files that are still being written do not settle.
        let is_settling = self.source.settle.is_some() && self.clock.is_running();
        if is_settling {
            mask |= WatchMask::CLOSE_WRITE;
        }
        if self.deaf_until.is_none() && (is_settling || self.counts_growth()) {
            mask |= WatchMask::MODIFY;
        }
        mask
    }

    /// Makes it look at everything.
    pub(super) fn rescan(&mut self, now: Duration) {
        self.is_scan_due = true;
        self.clock.touch(now);
    }

    /// Takes note of what the kernel told.
    pub(super) fn hear(&mut self, notice: &Notice<'_>, now: Duration, is_doubtful: bool) {
        let (role, mask, name) = match notice {
            Notice::Overflow | Notice::Lost { .. } => {
                self.needs_watch = true;
                return self.rescan(now);
            }
            Notice::Entry { role, mask, name, .. } => (*role, *mask, *name),
        };
        match role {
            Role::Search(way) | Role::Parent(way) => {
                if way == name {
                    self.needs_watch = true;
                    self.rescan(now);
                }
            }
            Role::Inside(file) => self.push(file.clone(), Act::Filled, is_doubtful, now),
            Role::Target(_, link, target) if mask.contains(EventMask::MODIFY) => {
                self.hear_write(target == name && self.place.names.matches(link), now);
            }
            Role::Entries(_) if mask.contains(EventMask::MODIFY) => {
                self.hear_write(self.place.names.matches(name), now);
            }
            Role::Target(_, link, target) => {
                if target == name && act_of(mask) != Some(Act::Gone) {
                    self.push(link.clone(), Act::Written, is_doubtful, now);
                } else if target == name {
                    self.push(link.clone(), Act::Gone, is_doubtful, now);
                }
            }
            Role::Entries(_) => {
                if let Some(act) = act_of(mask).filter(|_| self.place.names.matches(name)) {
                    self.hear_entry(name, act, mask, is_doubtful, now);
                }
            }
            Role::Ancestor => {}
        }
    }

    fn hear_entry(&mut self, name: &[u8], act: Act, mask: EventMask, is_doubtful: bool, now: Duration) {
        // It may be a directory, whose content counts, or a link that leads elsewhere.
        let is_new_name = matches!(act, Act::Made | Act::Arrived);
        let may_lead_on = matches!(self.place.names, Names::One(_)) || mask.contains(EventMask::ISDIR);
        self.needs_watch |= is_new_name && may_lead_on;
        self.push(name.to_vec(), act, is_doubtful, now);
    }

    fn push(&mut self, name: Name, act: Act, is_doubtful: bool, now: Duration) {
        self.clock.touch(now);
        if self.told.len() >= TOLD_MAX && self.source.settle.is_some() {
            self.told.clear();
            self.is_scan_due = true;
        }
        self.told.push(Told { name, act, is_doubtful });
    }

    /// Takes note of a write, and stops listening to writes for a while.
    fn hear_write(&mut self, is_ours: bool, now: Duration) {
        let last = self.last_look.filter(|_| self.counts_growth() && self.source.settle.is_none());
        let until = last.unwrap_or_default().saturating_add(WRITES_INTERVAL);
        if last.is_some() && until > now {
            // The look comes when it listens again.
            self.deaf_until = Some(until);
            return;
        }
        if is_ours && (self.counts_growth() || self.clock.is_running()) {
            self.clock.touch(now);
        }
        // A short `settle` is not to end while writes are not heard.
        let settle = self.source.settle.map_or(WRITES_INTERVAL, Span::as_duration);
        self.deaf_until = Some(now.saturating_add(WRITES_INTERVAL.min(settle / 10)));
    }

    /// Does what is due before looking: watches, and notices what no event tells of.
    pub(super) fn prepare(&mut self, kernel: &mut Kernel, now: Duration) -> Option<PathRefusal> {
        if self.deaf_until.is_some_and(|until| until <= now) {
            self.deaf_until = None;
            // What was written meanwhile was not told.
            if self.counts_growth() && self.source.settle.is_none() {
                self.clock.touch(now);
            }
        }
        if self.source.poll.is_some() {
            self.poll(now);
            return None;
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.needs_watch = true;
            self.rescan(now);
        }
        if self.has_wrong_watch() { self.watch(kernel, now) } else { None }
    }

    /// Watches what has to be watched now. Returns why it could not.
    fn watch(&mut self, kernel: &mut Kernel, now: Duration) -> Option<PathRefusal> {
        let was_failing = self.retry_at.is_some();
        self.update_place(now);
        let mask = self.mask();
        let wanted = Wanted {
            trigger: self.trigger,
            place: &self.place,
            mask,
            with_content: self.source.change == PathChange::Nonempty,
        };
        let mut holds = Holds::default();
        let outcome = wanted.hold(kernel, &mut holds);
        kernel.release(self.trigger, std::mem::replace(&mut self.holds, holds));
        (self.held, self.needs_watch) = (Some(mask), false);
        match outcome {
            Ok(()) => {
                self.retry_at = None;
                None
            }
            Err(error) => {
                self.retry_at = Some(now.saturating_add(RETRY_INTERVAL));
                (!was_failing).then(|| limit_refusal(&self.place.dir, &error))
            }
        }
    }

    /// Finds out whether the path is a directory, whose entries count.
    fn update_place(&mut self, now: Duration) {
        let place = place_of(&self.source, Some(&self.place));
        if place != self.place {
            // Its marks are of files elsewhere.
            self.ledger.clear();
            self.told.clear();
            self.place = place;
            self.rescan(now);
        }
    }

    fn poll(&mut self, now: Duration) {
        let is_poll_due = self.next_poll.is_none_or(|at| at <= now);
        if !is_poll_due && !self.is_due(now) {
            return;
        }
        if is_poll_due {
            self.next_poll = self.source.poll.map(|poll| now.saturating_add(poll.as_duration()));
        }
        self.update_place(now);
        let scan = Some(self.place.scan());
        if self.polled != scan {
            let is_first = self.polled.is_none();
            self.polled = scan;
            if !is_first {
                self.rescan(now);
            }
        }
    }

    /// Gives up its watches.
    pub(super) fn close(self, kernel: &mut Kernel) {
        kernel.release(self.trigger, self.holds);
    }
}

fn act_of(mask: EventMask) -> Option<Act> {
    let acts = [
        (EventMask::CREATE, Act::Made),
        (EventMask::CLOSE_WRITE, Act::Written),
        (EventMask::MOVED_TO, Act::Arrived),
        (EventMask::MOVED_FROM, Act::Gone),
        (EventMask::DELETE, Act::Gone),
    ];
    acts.iter().find(|(bit, _)| mask.contains(*bit)).map(|(_, act)| *act)
}
