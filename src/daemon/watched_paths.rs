//! Owns: the paths that the daemon watches, for the triggers that are in the store.
//! Never: noticing a change (see `watch`), or what it does (see `engine` and `store`).

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use log::warn;

use crate::domain::{EventSource, Timestamp, TriggerId, TriggerKind};
use crate::error::describe;
use crate::store::{HeardEvent, Reader, SourceNews, StoreResult};
use crate::watch::{PathEvent, PathListener, PathNews, PathWatch};

/// The source of `path` events. Instants are of the monotonic clock.
#[derive(Debug, Default)]
pub struct WatchedPaths {
    /// `None`: no trigger wants it, or there are no descriptors for it.
    watch: Option<PathWatch>,
}

impl WatchedPaths {
    /// Returns the descriptor that is readable when the kernel has something to tell.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Returns when `serve` has something to do, also if the kernel tells nothing; zero: at once.
    pub fn next_wake(&self) -> Option<Duration> {
        self.watch.as_ref().and_then(PathWatch::next_wake)
    }

    /// Returns what is due, each once. `is_ready`: the descriptor is readable. `wall` is the time of the
    /// events.
    pub fn serve(&mut self, is_ready: bool, now: Duration, wall: Timestamp) -> Vec<SourceNews> {
        let Some(watch) = &mut self.watch else { return Vec::new() };
        if is_ready {
            watch.take(now);
        }
        let is_due = watch.next_wake().is_some_and(|wake| wake <= now);
        let news = if is_due { watch.news(now, wall) } else { Vec::new() };
        for (trigger, problem) in watch.take_problems() {
            let hint = problem.hint.map_or(String::new(), |hint| format!("; {hint}"));
            warn!("cannot watch the path of trigger {}: {}{hint}", trigger.0, problem.cause);
        }
        news.into_iter().map(source_news).collect()
    }

    /// Looks again at paths of which a condition may still hold.
    pub fn recheck(&mut self, stale: &[TriggerId], now: Duration) {
        if let Some(watch) = &mut self.watch {
            stale.iter().for_each(|trigger| watch.recheck(*trigger, now));
        }
    }

    /// Watches the paths of the triggers that there are now.
    ///
    /// # Errors
    /// The store cannot be read. Then only some of the new ones are watched; call it again.
    pub fn follow(&mut self, reader: &Reader<'_>, now: Duration) -> StoreResult<()> {
        let mut wanted = Vec::new();
        for listener in reader.listeners_of(TriggerKind::Path)? {
            let (trigger, with_opposites) = (listener.trigger, listener.event.counter.consecutive);
            if let EventSource::Path(source) = listener.event.source {
                let is_new = !reader.is_watched(trigger)?;
                wanted.push(PathListener { trigger, source, is_new, with_opposites });
            }
        }
        if wanted.is_empty() {
            self.watch = None;
            return Ok(());
        }
        if self.watch.is_none() {
            let opened = PathWatch::new();
            self.watch = opened.inspect_err(|error| warn!("cannot watch paths: {}", describe(error))).ok();
        }
        let Some(watch) = &mut self.watch else { return Ok(()) };
        watch.listen(wanted, |trigger| reader.path_marks(trigger), now)
    }
}

fn source_news(news: PathNews) -> SourceNews {
    let is_left_over = news.is_left_over;
    let heard = |event: PathEvent| HeardEvent {
        occurrence: event.occurrence,
        is_opposite: event.is_opposite,
        is_left_over,
    };
    SourceNews {
        trigger: news.trigger,
        events: news.events.into_iter().map(heard).collect(),
        marks: news.marks,
    }
}
