//! Owns: the model of path triggers: what the daemon's watch must tell each of them, and when.
//! Never: what becomes of it (see `hearing`), the files themselves (see `folder`).
//!
//! While a folder is watched, each change is told. What happened without a watch, and what the kernel has
//! lost, is found by comparing with what the store remembers: each name is then told at most once.

use std::collections::BTreeMap;

use taskq::domain::{EventSource, EventTrigger, PathChange, Span};
use taskq::store::{HeardEvent, SourceNews};

use crate::folder::{Act, Files, Folder};

/// A path trigger, as it should be.
#[derive(Debug)]
struct Shadow {
    change: PathChange,
    /// What follows the folder in its path.
    pattern: String,
    settle: Option<Span>,
    /// The opposite of an event counts too.
    with_opposites: bool,
    /// The files that the store remembers; `None`: they were never looked at.
    stored: Option<Files>,
    /// `None`: no daemon watches.
    watch: Option<Watch>,
}

/// What a daemon knows.
#[derive(Debug)]
struct Watch {
    known: Option<Files>,
    /// It has not heard all that has happened since.
    must_compare: bool,
    /// What it has heard, and not told yet.
    acts: Vec<(&'static str, Act)>,
    /// When it heard of something last, in microseconds of the monotonic clock; `None`: it has told all.
    since: Option<u64>,
}

/// An event: the name of a file, what happened to it, and whether that is the opposite of what is waited for.
type Telling = (String, &'static str, bool);

impl Shadow {
    fn new(event: &EventTrigger, folder: &Folder) -> Option<Self> {
        let EventSource::Path(source) = &event.source else { return None };
        let root = folder.path();
        let below = source.path.strip_prefix(root.to_str()?)?;
        Some(Self {
            change: source.change,
            pattern: below.trim_start_matches('/').to_owned(),
            settle: source.settle,
            with_opposites: event.counter.consecutive,
            stored: None,
            watch: None,
        })
    }

    fn matches(&self, name: &str) -> bool {
        match self.pattern.strip_prefix('*') {
            Some(end) => name.ends_with(end),
            // The folder itself: all that is in it.
            None => self.pattern.is_empty() || self.pattern == name,
        }
    }

    /// Returns its files as they can be seen; `None`: the folder is not at its place.
    fn seen(&self, folder: &Folder) -> Option<Files> {
        let own = folder.files.iter().filter(|(name, _)| self.matches(name));
        folder.is_here.then(|| own.map(|(name, version)| (*name, *version)).collect())
    }

    fn holds(&self, folder: &Folder) -> bool {
        // Each file has content.
        self.seen(folder).is_some_and(|files| !files.is_empty())
    }

    fn telling(&self, name: &str, act: Act) -> Option<Telling> {
        let word = match act {
            Act::Created => "created",
            Act::Changed => "changed",
            Act::Deleted => "deleted",
        };
        let is_opposite = match (self.change, act) {
            (PathChange::Changed, Act::Created | Act::Changed)
            | (PathChange::Created, Act::Created)
            | (PathChange::Deleted, Act::Deleted) => false,
            (PathChange::Created, Act::Deleted) | (PathChange::Deleted, Act::Created) => true,
            _ => return None,
        };
        (!is_opposite || self.with_opposites).then(|| (name.to_owned(), word, is_opposite))
    }

    /// Returns what there is to tell, and the files that are known after that.
    fn due(&self, watch: &Watch, folder: &Folder) -> (Vec<Telling>, Files) {
        let Some(known) = &watch.known else {
            return (Vec::new(), self.seen(folder).unwrap_or_default());
        };
        if !watch.must_compare && self.settle.is_none() {
            let told = watch.acts.iter().filter_map(|(name, act)| self.telling(name, *act)).collect();
            return (told, self.seen(folder).unwrap_or_else(|| known.clone()));
        }
        let seen = match self.seen(folder) {
            Some(seen) => seen,
            None if self.change == PathChange::Deleted => Files::new(),
            None => return self.due_while_away(watch, known),
        };
        let gone = known.keys().filter(|name| !seen.contains_key(*name)).map(|name| (*name, Act::Deleted));
        let others = seen.iter().filter_map(|(name, version)| match known.get(name) {
            None => Some((*name, Act::Created)),
            Some(before) => (before != version).then_some((*name, Act::Changed)),
        });
        (gone.chain(others).filter_map(|(name, act)| self.telling(name, act)).collect(), seen)
    }

    /// Returns the same while the folder is away: it may be a file system that is not mounted, and only what
    /// was heard before is known.
    fn due_while_away(&self, watch: &Watch, known: &Files) -> (Vec<Telling>, Files) {
        let mut left = known.clone();
        let last: BTreeMap<&'static str, Act> = watch.acts.iter().copied().collect();
        let gone = last.into_iter().filter(|(name, act)| *act == Act::Deleted && left.remove(name).is_some());
        let gone: Vec<(&'static str, Act)> = gone.collect();
        (gone.into_iter().filter_map(|(name, act)| self.telling(name, act)).collect(), left)
    }

    /// The daemon has told this.
    fn told(&mut self, events: &[HeardEvent], folder: &Folder) {
        let Some(watch) = &self.watch else { panic!("nobody watches: {events:?}, {self:?}") };
        let (due, known) = self.due(watch, folder);
        if self.change.is_level() {
            assert!(events.len() <= 1, "a condition is one event: {events:?}");
            assert!(events.is_empty() || self.holds(folder), "{events:?} of {self:?} in {folder:?}");
        } else {
            let mut due = due;
            let mut told: Vec<Telling> = events.iter().map(telling_of).collect();
            if watch.must_compare || self.settle.is_some() {
                due.sort();
                told.sort();
            }
            assert_eq!(told, due, "told by {self:?} in {folder:?}");
        }
        self.is_up_to_date(known);
    }

    fn is_up_to_date(&mut self, known: Files) {
        let watch = self.watch.as_mut().expect("it is watched");
        watch.known = Some(known);
        (watch.must_compare, watch.since) = (false, None);
        watch.acts.clear();
    }
}

fn telling_of(event: &HeardEvent) -> Telling {
    let data = event.occurrence.data.as_deref().expect("a path has data");
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
    let text = |key: &str| data[key].as_str().expect("a text").to_owned();
    let word = match text("change").as_str() {
        "created" => "created",
        "changed" => "changed",
        "deleted" => "deleted",
        other => panic!("{other} is no change"),
    };
    let path = text("path");
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    (name, word, event.is_opposite)
}

/// All path triggers.
#[derive(Debug, Default)]
pub struct Shadows {
    of: BTreeMap<i64, Shadow>,
    /// What the daemon has told, and no turn has committed: each trigger with the files that are known then.
    untold: BTreeMap<i64, Files>,
}

impl Shadows {
    /// There is a new trigger. `is_marked`: the store has its files as they are now.
    pub fn listen(&mut self, trigger: i64, event: &EventTrigger, is_marked: bool, folder: &Folder) {
        let Some(mut shadow) = Shadow::new(event, folder) else { return };
        if is_marked && !shadow.change.is_level() {
            shadow.stored = Some(shadow.seen(folder).unwrap_or_default());
        }
        self.of.insert(trigger, shadow);
    }

    /// A job is resumed: what happened to its files during the pause does not count.
    pub fn resumed(&mut self, triggers: &[i64], folder: &Folder) {
        for trigger in triggers {
            if let Some(shadow) = self.of.get_mut(trigger) {
                shadow.stored = Some(shadow.seen(folder).unwrap_or_default());
            }
        }
    }

    /// The daemon's memory is gone.
    pub fn daemon_dies(&mut self) {
        self.of.values_mut().for_each(|shadow| shadow.watch = None);
        self.untold.clear();
    }

    /// The daemon watches for these triggers from now on, and for no others.
    pub fn follow(&mut self, listening: &[i64], now: u64) {
        for (trigger, shadow) in &mut self.of {
            if !listening.contains(trigger) {
                shadow.watch = None;
            } else if shadow.watch.is_none() {
                let known = shadow.stored.clone();
                shadow.watch = Some(Watch { known, must_compare: true, acts: Vec::new(), since: Some(now) });
            }
        }
    }

    /// Something happened to a file of the folder, which is at its place.
    pub fn hear(&mut self, name: &'static str, act: Act, now: u64) {
        for shadow in self.of.values_mut().filter(|shadow| shadow.matches(name)) {
            if let Some(watch) = &mut shadow.watch {
                watch.acts.push((name, act));
                watch.since = Some(now);
            }
        }
    }

    /// Nobody hears all that happens: the folder is moved, or the kernel's memory is full.
    pub fn lose(&mut self, now: u64) {
        for watch in self.of.values_mut().filter_map(|shadow| shadow.watch.as_mut()) {
            (watch.must_compare, watch.since) = (true, Some(now));
        }
    }

    /// The daemon's watch has told this.
    pub fn told(&mut self, news: &SourceNews, folder: &Folder) {
        let shadow = self.of.get_mut(&news.trigger.0).expect("a path trigger");
        shadow.told(&news.events, folder);
        let known = shadow.watch.as_ref().and_then(|watch| watch.known.clone());
        self.untold.insert(news.trigger.0, known.expect("just told"));
    }

    /// Checks, after the daemon has looked, that there is nothing more to tell.
    pub fn quiet(&mut self, now: u64, folder: &Folder) {
        for (trigger, shadow) in &mut self.of {
            let Some(watch) = &shadow.watch else { continue };
            let (due, known) = shadow.due(watch, folder);
            let is_over =
                |settle: Span| watch.since.is_none_or(|since| now > since + 10 * settle.as_micros());
            if shadow.settle.is_some_and(|settle| !is_over(settle)) {
                continue;
            }
            assert!(shadow.change.is_level() || due.is_empty(), "not told to {trigger}: {due:?}, {shadow:?}");
            shadow.is_up_to_date(known);
        }
    }

    /// A turn has committed what was told, for those of the triggers that listen.
    pub fn committed(&mut self, listens: impl Fn(i64) -> bool) {
        for (trigger, known) in std::mem::take(&mut self.untold) {
            if let Some(shadow) = self.of.get_mut(&trigger).filter(|_| listens(trigger)) {
                shadow.stored = Some(known);
            }
        }
    }

    /// Returns whether the daemon watches for a condition.
    pub fn have_levels(&self) -> bool {
        self.of.values().any(|shadow| shadow.change.is_level() && shadow.watch.is_some())
    }

    /// Returns the triggers of a condition that holds, and of which the daemon should know.
    pub fn holding(&self, folder: &Folder) -> impl Iterator<Item = i64> {
        let is_meant = move |shadow: &Shadow| {
            shadow.change.is_level()
                && shadow.settle.is_none()
                && shadow.watch.is_some()
                && shadow.holds(folder)
        };
        self.of.iter().filter(move |(_, shadow)| is_meant(shadow)).map(|(trigger, _)| *trigger)
    }
}
