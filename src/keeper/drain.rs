//! Owns: the thread that copies the output of attempts from their pipes into their files.
//! Never: processes, or the daemon (see `server`).
//!
//! It is a thread because a slow disk must not hold up a start, a timeout or a cancel. The two sides share
//! only messages: the keeper asks, and the thread answers when an output is in its file. A run that ends at
//! once and writes nothing, of which there may be thousands a second, costs no message at all.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::SigSet;
use nix::sys::stat::umask;

use super::output::OutputFile;
use super::protocol::Attempt;
use super::setup::KEEPER_UMASK;
use super::{output_path, pipe};

/// How much is read in one call: as much as the pipe of a busy attempt holds.
const READ_BYTES: usize = 256 << 10;

/// How often one pipe is read before the others are.
const READS_PER_TURN: usize = 4;

/// A pipe that holds this many bytes is busy: half of its first size.
const BUSY_BYTES: usize = 32 << 10;

/// How many pipes are read in one turn.
const EVENTS_PER_TURN: usize = 64;

/// The pause after an output file could not be opened for want of descriptors, in milliseconds.
const DESCRIPTOR_PAUSE_MS: u8 = 10;

/// How often the output of a finished attempt is tried again before it is given up.
const DESCRIPTOR_TRIES: u32 = 100;

/// The key of the keeper's requests; every other is a descriptor.
const REQUESTS: u64 = u64::MAX;

/// A message of the keeper to the thread.
enum Request {
    /// Copy from this pipe until no process holds it.
    Watch { attempt: Attempt, outlet: File },
    /// The same for a pipe of an earlier keeper, which perhaps no process holds.
    WatchLeftover { attempt: Attempt, outlet: File },
    /// The attempt is over: copy what is in its pipe now, and answer.
    Settle(Attempt),
    /// The attempt's result is committed: remove the pipe's name once no process holds the pipe.
    Release(Attempt),
    /// End.
    Quit,
}

/// An attempt's output when the attempt was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub attempt: Attempt,
    /// The length of its output file, in bytes.
    pub output_bytes: u64,
    /// Other processes hold the pipe and can still write.
    pub is_open: bool,
}

/// How long the pipe of a new attempt is left alone. An attempt that writes little and ends by then needs
/// no thread; one that writes much waits no longer than that. A following client allows 50 ms.
const LEFT_ALONE: Duration = Duration::from_millis(5);

/// How many requests may wait while more are likely to follow.
const PENDING_MAX: usize = 256;

/// The keeper's side.
#[derive(Debug)]
pub(super) struct Drain {
    /// Pipes that were not handed over to the thread yet.
    new: HashMap<Attempt, File>,
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

/// What both sides hold.
#[derive(Debug)]
struct Shared {
    /// What the thread waits for: `asked`, and the pipes.
    epoll: Epoll,
    asked: EventFd,
    answered: EventFd,
    /// How many pipes are open.
    open: AtomicUsize,
}

impl Drain {
    /// Starts the thread for the output files in `log_dir`.
    ///
    /// # Errors
    /// If the system gives no thread or descriptors.
    pub(super) fn start(log_dir: &Path) -> io::Result<Self> {
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
        let copier = Copier {
            log_dir: log_dir.to_owned(),
            shared: Arc::clone(&shared),
            incoming,
            outgoing,
            streams: HashMap::new(),
            outlets: HashMap::new(),
            buffer: vec![0; READ_BYTES],
        };
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
    pub(super) fn watch(&mut self, attempt: Attempt, outlet: File, now: Duration) {
        self.new.insert(attempt, outlet);
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
        let Some(outlet) = self.new.remove(&attempt) else { return };
        self.handed_over.insert(attempt);
        self.register(&outlet);
        // No wake-up: an event wakes the thread once there is something to read.
        self.ask(Request::Watch { attempt, outlet });
    }

    /// Copies from the pipe of a keeper that is gone.
    pub(super) fn watch_leftover(&mut self, attempt: Attempt, outlet: File) {
        self.handed_over.insert(attempt);
        self.register(&outlet);
        self.ask(Request::WatchLeftover { attempt, outlet });
        self.wake();
    }

    /// The event may come before the request is seen; the thread then looks once more.
    fn register(&self, outlet: &File) {
        self.shared.open.fetch_add(1, Ordering::Relaxed);
        let _ = self.shared.epoll.add(outlet, EpollEvent::new(EpollFlags::EPOLLIN, key(outlet)));
    }

    /// Returns the length of the output of a finished attempt. Returns `None` if the thread must first copy
    /// the rest into the file. It sends an answer then.
    pub(super) fn settle(&mut self, attempt: Attempt) -> Option<Settled> {
        if self.new.get(&attempt).is_some_and(was_never_written_to) {
            self.new.remove(&attempt);
            return Some(Settled { attempt, output_bytes: 0, is_open: false });
        }
        self.hand_over(attempt);
        self.ask(Request::Settle(attempt));
        self.wake();
        None
    }

    /// Lets the thread remove the name of the attempt's pipe, at the latest after the next `flush`;
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

fn key(outlet: &File) -> u64 {
    u64::try_from(outlet.as_raw_fd()).expect("a descriptor is not negative")
}

/// The pipe of one attempt, and its file.
struct Stream {
    attempt: Attempt,
    /// `None`: no process holds the pipe any more.
    outlet: Option<File>,
    file: OutputFile,
    is_wide: bool,
    is_released: bool,
}

/// What a read of a pipe has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Nothing more just now.
    Empty,
    /// More, which waits until the others were read.
    More,
    /// The end: no process holds it.
    End,
    /// No free descriptor for its file just now.
    Stuck,
}

/// The thread.
struct Copier {
    log_dir: PathBuf,
    shared: Arc<Shared>,
    incoming: Receiver<Request>,
    outgoing: Sender<Settled>,
    streams: HashMap<Attempt, Stream>,
    outlets: HashMap<RawFd, Attempt>,
    buffer: Vec<u8>,
}

impl Copier {
    fn run(mut self) {
        // The keeper changes its umask for each start, perhaps at this moment, and this thread must not
        // make a file under the umask of a run. If a umask of its own is refused, the mode is still not too
        // wide.
        if unshare(CloneFlags::CLONE_FS).is_ok() {
            umask(KEEPER_UMASK);
        }
        let mut events = [EpollEvent::empty(); EVENTS_PER_TURN];
        loop {
            let count = match self.shared.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(_) => return,
            };
            if !self.take_requests() {
                return;
            }
            let mut is_stuck = false;
            for event in &events[..count] {
                is_stuck |= self.read_pipe(event.data());
            }
            while is_stuck {
                self.pause();
                is_stuck =
                    self.streams.values_mut().any(|stream| stream.copy(&mut self.buffer, 1) == Flow::Stuck);
            }
        }
    }

    /// Waits until a descriptor may be free again: the keeper's limit is lower for the moment of a start.
    fn pause(&self) {
        let _ = poll(
            &mut [PollFd::new(self.shared.asked.as_fd(), PollFlags::POLLIN)],
            PollTimeout::from(DESCRIPTOR_PAUSE_MS),
        );
        let _ = self.shared.asked.read();
    }

    /// Does what was asked; `false`: end.
    fn take_requests(&mut self) -> bool {
        let _ = self.shared.asked.read();
        while let Ok(request) = self.incoming.try_recv() {
            match request {
                Request::Watch { attempt, outlet } => self.watch(attempt, outlet),
                Request::WatchLeftover { attempt, outlet } => {
                    let key = key(&outlet);
                    self.watch(attempt, outlet);
                    // A pipe that no process has held since it was opened gives no event.
                    self.read_pipe(key);
                }
                Request::Settle(attempt) => self.settle(attempt),
                Request::Release(attempt) => self.release(attempt),
                Request::Quit => return false,
            }
        }
        true
    }

    fn watch(&mut self, attempt: Attempt, outlet: File) {
        // A mail that an earlier keeper began to send is sent again, with a new pipe.
        self.close(attempt);
        self.outlets.insert(outlet.as_raw_fd(), attempt);
        let file = OutputFile::new(output_path(&self.log_dir, attempt));
        let stream = Stream { attempt, outlet: Some(outlet), file, is_wide: false, is_released: false };
        self.streams.insert(attempt, stream);
    }

    /// Reads a pipe that has an event; tells whether it has to be tried again a moment later.
    fn read_pipe(&mut self, key: u64) -> bool {
        let attempt = RawFd::try_from(key).ok().and_then(|fd| self.outlets.get(&fd)).copied();
        // The pipe's request may not have arrived yet, or it was closed in this turn.
        let Some(stream) = attempt.and_then(|attempt| self.streams.get_mut(&attempt)) else { return false };
        match stream.copy(&mut self.buffer, READS_PER_TURN) {
            Flow::Empty | Flow::More => false,
            Flow::Stuck => true,
            Flow::End => {
                let attempt = stream.attempt;
                self.close(attempt);
                false
            }
        }
    }

    /// No process holds the pipe of an attempt any more.
    fn close(&mut self, attempt: Attempt) {
        let Some(stream) = self.streams.get_mut(&attempt) else { return };
        if let Some(outlet) = stream.outlet.take() {
            let _ = self.shared.epoll.delete(&outlet);
            self.outlets.remove(&outlet.as_raw_fd());
            self.shared.open.fetch_sub(1, Ordering::Relaxed);
        }
        if stream.is_released {
            stream.file.finish();
            self.remove(attempt);
            // The keeper may wait for this alone.
            let _ = self.shared.answered.write(1);
        }
    }

    fn settle(&mut self, attempt: Attempt) {
        let Some(stream) = self.streams.get_mut(&attempt) else {
            let output_bytes = OutputFile::new(output_path(&self.log_dir, attempt)).settle();
            return self.answer(Settled { attempt, output_bytes, is_open: false });
        };
        // Read what the pipe holds now and no more: a background process may write for ever.
        let reads = stream.pending().div_ceil(READ_BYTES) + 1;
        let mut flow = stream.copy(&mut self.buffer, reads);
        for _ in 0..DESCRIPTOR_TRIES {
            if flow != Flow::Stuck {
                break;
            }
            self.pause();
            flow = self
                .streams
                .get_mut(&attempt)
                .map_or(Flow::End, |stream| stream.copy(&mut self.buffer, reads));
        }
        let Some(stream) = self.streams.get_mut(&attempt) else { return };
        let output_bytes = stream.file.settle();
        if flow == Flow::End {
            self.close(attempt);
        }
        let is_open = self.streams.get(&attempt).is_some_and(|stream| stream.outlet.is_some());
        self.answer(Settled { attempt, output_bytes, is_open });
    }

    fn answer(&self, settled: Settled) {
        let _ = self.outgoing.send(settled);
        let _ = self.shared.answered.write(1);
    }

    fn release(&mut self, attempt: Attempt) {
        match self.streams.get_mut(&attempt) {
            Some(stream) if stream.outlet.is_some() => stream.is_released = true,
            Some(_) | None => self.remove(attempt),
        }
    }

    fn remove(&mut self, attempt: Attempt) {
        self.streams.remove(&attempt);
        // One that stays is removed after the next hello.
        let _ = fs::remove_file(pipe::path(&self.log_dir, attempt));
    }
}

impl Stream {
    /// Returns how many bytes the pipe may hold.
    fn pending(&self) -> usize {
        let size = self.outlet.as_ref().and_then(|outlet| fcntl(outlet, FcntlArg::F_GETPIPE_SZ).ok());
        size.and_then(|size| usize::try_from(size).ok()).unwrap_or(READ_BYTES)
    }

    /// Copies what the pipe holds, in at most so many reads.
    fn copy(&mut self, buffer: &mut [u8], reads: usize) -> Flow {
        let Some(mut outlet) = self.outlet.as_ref() else { return Flow::End };
        // Opened before the read: bytes that were read and not written are lost if the keeper is killed.
        if !self.file.is_open() && has_bytes(outlet) && self.file.open() == Err(Errno::EMFILE) {
            return Flow::Stuck;
        }
        for _ in 0..reads {
            let count = match outlet.read(buffer) {
                Ok(0) => return Flow::End,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Flow::Empty,
                Err(_) => return Flow::End,
            };
            self.file.write(&buffer[..count]);
            // A writer that fills its pipe waits because of the pipe's size.
            if count >= BUSY_BYTES && !std::mem::replace(&mut self.is_wide, true) {
                let _ = fcntl(outlet, FcntlArg::F_SETPIPE_SZ(i32::try_from(READ_BYTES).unwrap_or(i32::MAX)));
            }
        }
        Flow::More
    }
}

fn has_bytes(outlet: &File) -> bool {
    let mut fds = [PollFd::new(outlet.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok()
        && fds[0].revents().is_some_and(|found| found.contains(PollFlags::POLLIN))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::poll::PollTimeout;

    use super::super::pipe::Pipes;
    use super::*;

    /// Whatever takes this long has hung.
    const PATIENCE_MS: u16 = 20_000;

    fn attempt(job: i64) -> Attempt {
        Attempt::of_mail(job)
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
        let mut drain = Drain::start(dir.path()).expect("a thread");
        let pipe = Pipes::new(dir.path().to_owned()).make(attempt(1), None).expect("the name is new");
        drain.watch(attempt(1), pipe.outlet, Duration::ZERO);
        let mut inlet = pipe.inlet;
        inlet.write_all(b"some").expect("there is room");
        let answer = settled(&mut drain, attempt(1));
        assert_eq!(answer, Settled { attempt: attempt(1), output_bytes: 4, is_open: true });
        assert!(drain.has_open_pipes());
        drain.release(attempt(1));
        drain.flush(false);
        inlet.write_all(b" and more").expect("there is room");
        drop(inlet);
        let mut fds = [PollFd::new(drain.as_fd(), PollFlags::POLLIN)];
        while drain.has_open_pipes() {
            assert_ne!(poll(&mut fds, PollTimeout::from(PATIENCE_MS)), Ok(0), "the pipe has come to its end");
            drain.answers();
        }
        drop(drain);
        let text = fs::read_to_string(output_path(dir.path(), attempt(1))).expect("it is there");
        assert_eq!(text, "some and more");
        assert!(!pipe::path(dir.path(), attempt(1)).exists(), "its holder is gone, and it was released");
    }

    #[test]
    fn a_pipe_without_output_keeps_its_name_until_it_is_released_and_leaves_no_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut drain = Drain::start(dir.path()).expect("a thread");
        let pipe = Pipes::new(dir.path().to_owned()).make(attempt(1), None).expect("the name is new");
        drain.watch(attempt(1), pipe.outlet, Duration::ZERO);
        drop(pipe.inlet);
        assert_eq!(
            settled(&mut drain, attempt(1)),
            Settled { attempt: attempt(1), output_bytes: 0, is_open: false }
        );
        assert!(pipe::path(dir.path(), attempt(1)).exists() && !drain.has_open_pipes());
        assert!(!drain.release(attempt(1)), "it was never handed over");
        drop(drain);
        fs::remove_file(pipe::path(dir.path(), attempt(1))).expect("it is ours to remove");
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn a_pipe_is_copied_from_while_its_attempt_runs() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut drain = Drain::start(dir.path()).expect("a thread");
        let pipe = Pipes::new(dir.path().to_owned()).make(attempt(1), None).expect("the name is new");
        drain.watch(attempt(1), pipe.outlet, Duration::ZERO);
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
        fs::write(output_path(dir.path(), attempt(1)), "of an earlier keeper").expect("ours");
        let mut drain = Drain::start(dir.path()).expect("a thread");
        assert_eq!(settled(&mut drain, attempt(1)).output_bytes, 20);
        assert_eq!(settled(&mut drain, attempt(2)).output_bytes, 0);
    }
}
