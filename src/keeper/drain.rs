//! Owns: the keeper's side of the copying of outputs: which pipes the thread has, and its answers.
//! Never: processes, or the daemon (see `server`), or the copying itself (see `copier`).
//!
//! It is a thread because a slow disk must not hold up a start, a timeout or a cancel. The two sides share
//! only messages: the keeper asks, and the thread answers when an output is in its file. A run that ends at
//! once and writes nothing, of which there may be thousands a second, costs no message at all.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::SigSet;

pub(super) use super::copier::Settled;
use super::copier::{Copier, REQUESTS, Request, Shared, key};
use super::log_directory::LogDirectory;
use super::output_names::OutputId;
use super::process::Outlets;
use super::protocol::Attempt;
use crate::domain::{Size, Timestamp};
use crate::seal::OutputKeys;

/// How long the pipe of a new attempt is left alone. An attempt that writes little and ends by then needs
/// no thread; one that writes much waits no longer than that. A following client allows 50 ms.
const LEFT_ALONE: Duration = Duration::from_millis(5);

/// How many requests may wait while more are likely to follow.
const PENDING_MAX: usize = 256;

/// The pipe, or two of them, of an attempt that has started.
#[derive(Debug)]
pub(super) struct NewPipe {
    pub outlets: Outlets,
    /// How much of its output is kept.
    pub limit: Size,
    pub started_at: Timestamp,
}

/// The keeper's side.
#[derive(Debug)]
pub(super) struct Drain {
    /// Pipes that were not handed over to the thread yet.
    new: HashMap<Attempt, NewPipe>,
    /// When each of them is handed over.
    due: VecDeque<(Duration, Attempt)>,
    /// Attempts whose pipe the thread has had.
    handed_over: HashSet<Attempt>,
    /// Requests for which the thread was not woken up.
    pending: usize,
    requests: Sender<Request>,
    answers: Receiver<Settled>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Drain {
    /// Starts the thread for the output files in `log_dir`.
    ///
    /// # Errors
    /// If the system gives no thread or descriptors.
    pub(super) fn start(log_dir: &LogDirectory) -> io::Result<Self> {
        let event = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let shared = Arc::new(Shared {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            asked: event()?,
            answered: event()?,
            open: AtomicUsize::new(0),
        });
        shared.epoll.add(&shared.asked, EpollEvent::new(EpollFlags::EPOLLIN, REQUESTS))?;
        let (requests, incoming) = mpsc::channel();
        let (outgoing, answers) = mpsc::channel();
        let copier = Copier::new(log_dir.clone(), Arc::clone(&shared), incoming, outgoing);
        // Only the keeper's own thread takes signals.
        let unblocked = SigSet::thread_get_mask()?;
        SigSet::all().thread_block()?;
        let spawned = thread::Builder::new().name("drain".to_owned()).spawn(move || copier.run());
        unblocked.thread_set_mask()?;
        let (thread, pending) = (Some(spawned?), 0);
        let (new, due, handed_over) = Default::default();
        Ok(Self { new, due, handed_over, pending, requests, answers, shared, thread })
    }

    /// Copies from the pipe of an attempt that starts now, beginning a moment later.
    pub(super) fn watch(&mut self, attempt: Attempt, new: NewPipe, now: Duration) {
        self.new.insert(attempt, new);
        self.due.push_back((now + LEFT_ALONE, attempt));
    }

    /// Returns when `watch_due` has something to do.
    pub(super) fn due_at(&mut self) -> Option<Duration> {
        while self.due.pop_front_if(|(_, attempt)| !self.new.contains_key(attempt)).is_some() {}
        self.due.front().map(|(at, _)| *at)
    }

    /// Hands over the pipes that were left alone for long enough.
    pub(super) fn watch_due(&mut self, now: Duration) {
        while let Some((_, attempt)) = self.due.pop_front_if(|(at, _)| *at <= now) {
            self.hand_over(attempt);
        }
    }

    fn hand_over(&mut self, attempt: Attempt) {
        let Some(NewPipe { outlets, limit, started_at }) = self.new.remove(&attempt) else { return };
        self.handed_over.insert(attempt);
        let stderr = outlets.stderr.map(|outlet| (attempt.stderr(), outlet));
        for (output, outlet) in [(attempt.stdout(), outlets.stdout)].into_iter().chain(stderr) {
            self.register(&outlet);
            // No wake-up: an event wakes the thread once there is something to read.
            self.ask(Request::Watch { output, outlet, limit, started_at });
        }
    }

    /// Copies from the pipe of a keeper that is gone.
    pub(super) fn watch_leftover(&mut self, output: OutputId, outlet: File) {
        self.handed_over.insert(output.attempt);
        self.register(&outlet);
        self.ask(Request::WatchLeftover { output, outlet });
        self.wake();
    }

    /// Seals the outputs of the pipes that are watched later.
    pub(super) fn seal(&mut self, keys: OutputKeys) {
        self.ask(Request::Seal(keys));
    }

    /// The event may come before the request is seen; the thread then looks once more.
    fn register(&self, outlet: &File) {
        self.shared.open.fetch_add(1, Ordering::Relaxed);
        let _ = self.shared.epoll.add(outlet, EpollEvent::new(EpollFlags::EPOLLIN, key(outlet)));
    }

    /// Returns the length of the output of a finished attempt. Returns `None` if the thread must first copy
    /// the rest into the file. It sends an answer then.
    pub(super) fn settle(&mut self, attempt: Attempt) -> Option<Settled> {
        if self.new.get(&attempt).is_some_and(|new| new.outlets.were_never_written_to()) {
            let has_stderr_name = self.new.remove(&attempt).is_some_and(|new| new.outlets.stderr.is_some());
            return Some(Settled { attempt, output_bytes: 0, is_open: false, has_stderr_name });
        }
        self.hand_over(attempt);
        self.ask(Request::Settle(attempt));
        self.wake();
        None
    }

    /// Lets the thread remove the name of the attempt's first pipe, at the latest after the next `flush`;
    /// `false`: the thread never had the pipe, and the caller removes the name. The thread must not be asked
    /// then: it would be late, and remove the pipe of a start that comes next.
    pub(super) fn release(&mut self, attempt: Attempt) -> bool {
        let is_handed_over = self.handed_over.remove(&attempt);
        if is_handed_over {
            self.ask(Request::Release(attempt));
        }
        is_handed_over
    }

    /// Wakes the thread up if requests wait; `is_busy`: more are likely to follow in a moment.
    pub(super) fn flush(&mut self, is_busy: bool) {
        if self.pending > if is_busy { PENDING_MAX } else { 0 } {
            self.wake();
        }
    }

    fn ask(&mut self, request: Request) {
        self.requests.send(request).expect("the thread lives as long as this");
        self.pending += 1;
    }

    fn wake(&mut self) {
        self.pending = 0;
        let _ = self.shared.asked.write(1);
    }

    /// Returns the answers that have arrived.
    pub(super) fn answers(&self) -> Vec<Settled> {
        let _ = self.shared.answered.read();
        self.answers.try_iter().collect()
    }

    /// Returns whether any process still holds a pipe.
    pub(super) fn has_open_pipes(&self) -> bool {
        !self.new.is_empty() || self.shared.open.load(Ordering::Relaxed) > 0
    }
}

impl Outlets {
    fn were_never_written_to(&self) -> bool {
        was_never_written_to(&self.stdout) && self.stderr.as_ref().is_none_or(was_never_written_to)
    }
}

/// Returns whether this pipe, of which nothing was read, is empty and no process holds it.
fn was_never_written_to(outlet: &File) -> bool {
    let mut fds = [PollFd::new(outlet.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO) == Ok(1) && fds[0].revents() == Some(PollFlags::POLLHUP)
}

impl AsFd for Drain {
    /// Readable when answers have arrived, or a pipe has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.answered.as_fd()
    }
}

impl Drop for Drain {
    /// Waits until all requests are done.
    fn drop(&mut self) {
        self.ask(Request::Quit);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::Path;

    use super::super::pipe::{Pipe, Pipes};
    use super::super::{output_path, pipe};
    use super::*;
    use crate::domain::NewJob;

    /// Whatever takes this long has hung.
    const PATIENCE_MS: u16 = 20_000;

    fn attempt(job: i64) -> Attempt {
        Attempt::of_mail(job)
    }

    fn new(stdout: File, stderr: Option<File>) -> NewPipe {
        let outlets = Outlets { stdout, stderr };
        NewPipe { outlets, limit: NewJob::LOG_LIMIT, started_at: Timestamp::from_seconds(0) }
    }

    fn make(dir: &Path, output: OutputId) -> Pipe {
        Pipes::new(dir.to_owned()).make(output, None).expect("the name is new")
    }

    /// The answer about an attempt with one output.
    fn one(output_bytes: u64, is_open: bool) -> Settled {
        Settled { attempt: attempt(1), output_bytes, is_open, has_stderr_name: false }
    }

    /// Waits until no process holds a pipe.
    fn wait_for_the_end(drain: &Drain) {
        let mut fds = [PollFd::new(drain.as_fd(), PollFlags::POLLIN)];
        while drain.has_open_pipes() {
            assert_ne!(poll(&mut fds, PollTimeout::from(PATIENCE_MS)), Ok(0), "the pipe has come to its end");
            drain.answers();
        }
    }

    fn settled(drain: &mut Drain, attempt: Attempt) -> Settled {
        if let Some(settled) = drain.settle(attempt) {
            return settled;
        }
        let mut fds = [PollFd::new(drain.as_fd(), PollFlags::POLLIN)];
        loop {
            if let Some(answer) = drain.answers().pop() {
                return answer;
            }
            assert_ne!(poll(&mut fds, PollTimeout::from(PATIENCE_MS)), Ok(0), "no answer");
        }
    }

    #[test]
    fn what_was_written_before_the_end_is_in_the_file_when_the_end_is_reported() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut drain = Drain::start(&LogDirectory::plain(dir.path())).expect("a thread");
        let pipe = make(dir.path(), attempt(1).stdout());
        drain.watch(attempt(1), new(pipe.outlet, None), Duration::ZERO);
        let mut inlet = pipe.inlet;
        inlet.write_all(b"some").expect("there is room");
        let answer = settled(&mut drain, attempt(1));
        assert_eq!(answer, one(4, true));
        assert!(drain.has_open_pipes());
        drain.release(attempt(1));
        drain.flush(false);
        inlet.write_all(b" and more").expect("there is room");
        drop(inlet);
        wait_for_the_end(&drain);
        drop(drain);
        let text = fs::read_to_string(output_path(dir.path(), attempt(1).stdout())).expect("it is there");
        assert_eq!(text, "some and more");
        assert!(
            !pipe::path(dir.path(), attempt(1).stdout()).exists(),
            "its holder is gone, and it was released"
        );
    }

    #[test]
    fn the_end_of_a_pipe_that_was_open_wakes_the_keeper_also_before_its_release() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut drain = Drain::start(&LogDirectory::plain(dir.path())).expect("a thread");
        let pipe = make(dir.path(), attempt(1).stdout());
        drain.watch(attempt(1), new(pipe.outlet, None), Duration::ZERO);
        assert_eq!(settled(&mut drain, attempt(1)), one(0, true));
        drop(pipe.inlet);
        let mut fds = [PollFd::new(drain.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(PATIENCE_MS)), Ok(1), "nothing else would");
        assert!(!drain.has_open_pipes());
    }

    #[test]
    fn a_pipe_without_output_keeps_its_name_until_it_is_released_and_leaves_no_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut drain = Drain::start(&LogDirectory::plain(dir.path())).expect("a thread");
        let pipe = make(dir.path(), attempt(1).stdout());
        drain.watch(attempt(1), new(pipe.outlet, None), Duration::ZERO);
        drop(pipe.inlet);
        assert_eq!(settled(&mut drain, attempt(1)), one(0, false));
        assert!(pipe::path(dir.path(), attempt(1).stdout()).exists() && !drain.has_open_pipes());
        assert!(!drain.release(attempt(1)), "it was never handed over");
        drop(drain);
        fs::remove_file(pipe::path(dir.path(), attempt(1).stdout())).expect("it is ours to remove");
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn the_name_of_a_second_pipe_goes_with_its_last_holder_and_that_of_the_first_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut drain = Drain::start(&LogDirectory::plain(dir.path())).expect("a thread");
        let stdout = make(dir.path(), attempt(1).stdout());
        let mut stderr = make(dir.path(), attempt(1).stderr());
        drain.watch(attempt(1), new(stdout.outlet, Some(stderr.outlet)), Duration::ZERO);
        stderr.inlet.write_all(b"error").expect("there is room");
        drop((stdout.inlet, stderr.inlet));
        assert_eq!(settled(&mut drain, attempt(1)), one(0, false));
        let names = pipe::paths(dir.path(), attempt(1));
        assert_eq!(names.each_ref().map(|name| name.exists()), [true, false]);
        drain.release(attempt(1));
        drop(drain);
        assert!(!names[0].exists(), "it was released");
        let text = fs::read_to_string(output_path(dir.path(), attempt(1).stderr())).expect("it is there");
        assert_eq!(text, "error");
    }

    #[test]
    fn a_second_pipe_that_was_never_written_to_leaves_its_name_to_the_caller() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut drain = Drain::start(&LogDirectory::plain(dir.path())).expect("a thread");
        let stdout = make(dir.path(), attempt(1).stdout());
        let stderr = make(dir.path(), attempt(1).stderr());
        drain.watch(attempt(1), new(stdout.outlet, Some(stderr.outlet)), Duration::ZERO);
        drop((stdout.inlet, stderr.inlet));
        let expected = Settled { has_stderr_name: true, ..one(0, false) };
        assert_eq!(drain.settle(attempt(1)), Some(expected), "without the thread");
    }

    #[test]
    fn the_second_pipe_of_an_earlier_keeper_is_copied_from_without_the_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut stderr = make(dir.path(), attempt(1).stderr());
        stderr.inlet.write_all(b"late").expect("there is room");
        let mut drain = Drain::start(&LogDirectory::plain(dir.path())).expect("a thread");
        drain.watch_leftover(attempt(1).stderr(), stderr.outlet);
        drop(stderr.inlet);
        wait_for_the_end(&drain);
        drop(drain);
        assert!(!pipe::path(dir.path(), attempt(1).stderr()).exists());
        let text = fs::read_to_string(output_path(dir.path(), attempt(1).stderr())).expect("it is there");
        assert_eq!(text, "late");
    }

    #[test]
    fn a_pipe_is_copied_from_while_its_attempt_runs() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut drain = Drain::start(&LogDirectory::plain(dir.path())).expect("a thread");
        let pipe = make(dir.path(), attempt(1).stdout());
        drain.watch(attempt(1), new(pipe.outlet, None), Duration::ZERO);
        let due_at = drain.due_at().expect("it is new");
        drain.watch_due(due_at);
        assert_eq!(drain.due_at(), None);
        let mut inlet = pipe.inlet;
        // Far more than it holds.
        inlet.write_all(&vec![b'x'; 4 << 20]).expect("somebody reads");
        drop(inlet);
        assert_eq!(settled(&mut drain, attempt(1)).output_bytes, 4 << 20);
    }

    #[test]
    fn an_attempt_without_a_pipe_settles_with_the_file_that_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(output_path(dir.path(), attempt(1).stdout()), "of an earlier keeper").expect("ours");
        let mut drain = Drain::start(&LogDirectory::plain(dir.path())).expect("a thread");
        assert_eq!(settled(&mut drain, attempt(1)).output_bytes, 20);
        assert_eq!(settled(&mut drain, attempt(2)).output_bytes, 0);
    }
}
