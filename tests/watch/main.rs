//! Owns: path triggers against real directories.
//! Never: waiting. The kernel queues an event before the call that causes it returns. And never a process:
//! until
//! it executes its program, it holds the files that other tests have open, whose end of writing then comes
//! late.

mod changes;
mod checks;
mod directories;
mod growing;
mod levels;
mod loads;
mod model;
mod settling;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tempfile::TempDir;

use taskq::domain::{PathChange, PathMark, PathSource, Span, Timestamp, TriggerId};
use taskq::watch::{PathEvent, PathListener, PathNews, PathWatch};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A directory, a watch, and the marks that a store would have.
struct World {
    _dir: TempDir,
    /// Not that directory itself: other tests delete files beside it, which wakes up a watch.
    dir: PathBuf,
    watch: PathWatch,
    now: Duration,
    wanted: Vec<PathListener>,
    marks: BTreeMap<TriggerId, BTreeMap<Vec<u8>, PathMark>>,
}

impl World {
    fn new() -> Self {
        let outer = tempfile::tempdir().expect("there is room");
        let dir = outer.path().join("of/world");
        fs::create_dir_all(&dir).expect("the directory is ours");
        Self {
            _dir: outer,
            dir,
            watch: PathWatch::new().expect("inotify works"),
            now: 1_000 * SECOND,
            wanted: Vec::new(),
            marks: BTreeMap::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("it can be written");
    }

    fn mkdir(&self, name: &str) {
        fs::create_dir(self.path(name)).expect("it can be made");
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("it is there");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("it is there");
    }

    fn source(&self, path: &str, change: PathChange) -> PathSource {
        let path = self.path(path).to_str().expect("it is UTF-8").to_owned();
        PathSource { path, change, settle: None, poll: None }
    }

    /// Adds a trigger that was looked at before, without having found anything.
    fn listen(&mut self, source: PathSource) -> TriggerId {
        self.listen_as(source, false)
    }

    fn listen_new(&mut self, source: PathSource) -> TriggerId {
        self.listen_as(source, true)
    }

    fn listen_as(&mut self, source: PathSource, is_new: bool) -> TriggerId {
        let trigger = TriggerId(self.wanted.len() as i64 + 1);
        self.wanted.push(PathListener { trigger, source, is_new, with_opposites: false });
        self.apply();
        trigger
    }

    /// Makes the watch listen to what is wanted.
    fn apply(&mut self) {
        let stored = &self.marks;
        let marks = |trigger| {
            let marks = stored.get(&trigger).cloned().unwrap_or_default();
            Ok::<_, Infallible>(marks.into_iter().collect())
        };
        self.watch.listen(self.wanted.clone(), marks, self.now).expect("marks can be read");
    }

    /// The daemon ends, and another one begins.
    fn restart(&mut self) {
        self.watch = PathWatch::new().expect("inotify works");
        self.apply();
    }

    /// Takes in what came, and stores what is due.
    fn news(&mut self) -> Vec<PathNews> {
        self.watch.take(self.now);
        let all = self.watch.news(self.now, Timestamp::from_seconds(7));
        for news in &all {
            let marks = self.marks.entry(news.trigger).or_default();
            for (name, mark) in &news.marks {
                match mark {
                    Some(mark) => marks.insert(name.clone(), *mark),
                    None => marks.remove(name),
                };
            }
            let listener = self.wanted.iter_mut().find(|wanted| wanted.trigger == news.trigger);
            listener.expect("it is listened to").is_new &= !news.is_first_look;
        }
        all
    }

    /// Returns what is due, as `CHANGE NAME`, with `-` before an opposite, and with ` xN` for several.
    fn events(&mut self) -> Vec<String> {
        let news = self.news();
        news.iter().flat_map(|news| &news.events).map(|event| shown(event, &self.dir)).collect()
    }

    fn events_after(&mut self, span: Duration) -> Vec<String> {
        self.now += span;
        self.events()
    }

    /// Returns whether the daemon would sleep for ever.
    fn is_asleep(&self) -> bool {
        self.watch.next_wake().is_none() && !self.is_readable()
    }

    fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(self.watch.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).expect("poll works") > 0
    }
}

fn shown(event: &PathEvent, dir: &Path) -> String {
    let occurrence = &event.occurrence;
    let data: serde_json::Value =
        serde_json::from_str(occurrence.data.as_deref().expect("there is data")).expect("it is JSON");
    assert_eq!(data["path"], occurrence.name.as_str());
    assert_eq!((occurrence.at, occurrence.depth), (Timestamp::from_seconds(7), 0));
    let name = Path::new(&occurrence.name).strip_prefix(dir).expect("it is below the directory");
    let sign = if event.is_opposite { "-" } else { "" };
    let times = if occurrence.count == 1 { String::new() } else { format!(" x{}", occurrence.count) };
    format!("{sign}{} {}{times}", data["change"].as_str().expect("it is a word"), name.display())
}

fn settled(source: PathSource, seconds: u64) -> PathSource {
    PathSource { settle: Some(Span::from_seconds(seconds)), ..source }
}

fn polled(source: PathSource, seconds: u64) -> PathSource {
    PathSource { poll: Some(Span::from_seconds(seconds)), ..source }
}
