//! Owns: the thread that copies what attempts write from their pipes into their output files.
//! Never: processes, or the daemon (see `server`).
//!
//! A thread of its own, because a slow disk must not hold up a start, a timeout or a cancel. The two sides
//! share nothing but
//! messages: the keeper asks, the thread answers when a run's output is in its file. A run that ends at once
//! and writes nothing, of which there may be thousands a second, costs no message at all.

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

use super::output::OutputFile;
use super::protocol::Attempt;
use super::{output_path, pipe};

/// How much is read in one call: as much as the pipe of a busy attempt holds.
const READ_BYTES: usize = 256 << 10;

/// How often one pipe is read before the others get their turn.
const READS_PER_TURN: usize = 4;

/// A pipe in which so much is found is a busy one, in bytes: half of what it holds at first.
const BUSY_BYTES: usize = 32 << 10;

/// How many pipes are looked at in one turn.
const EVENTS_PER_TURN: usize = 64;

/// The pause after an output file could not be opened for want of descriptors, in milliseconds.
const DESCRIPTOR_PAUSE_MS: u8 = 10;

/// How often an output whose attempt is over is tried again before it is given up.
const DESCRIPTOR_TRIES: u32 = 100;

/// The event of the keeper's requests; every other is a descriptor.
const REQUESTS: u64 = u64::MAX;

/// What the keeper asks of the thread.
enum Request {
    /// Copy from this pipe until nobody holds it.
    Watch { attempt: Attempt, outlet: File },
    /// The same for a pipe that an earlier keeper has made: perhaps nobody holds it.
    WatchLeftover { attempt: Attempt, outlet: File },
    /// The attempt is over: copy what is in its pipe now, and answer.
    Settle(Attempt),
    /// The attempt's result is committed: its pipe's name goes with the last holder.
    Release(Attempt),
    /// Nothing is left to do.
    Quit,
}

/// What became of an attempt's output when the attempt was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// Which attempt.
    pub attempt: Attempt,
    /// The length of its output file, in bytes.
    pub output_bytes: u64,
    /// Other processes hold the pipe, and can still write.
    pub is_open: bool,
}

/// How long the pipe of a new attempt is left alone: who writes little and ends by then is done with at once,
/// and who writes much waits no longer than that. A following client has its 50 ms.
const LEFT_ALONE: Duration = Duration::from_millis(5);

/// So many names of pipes may be left to be removed while runs go on.
const UNTOLD_MAX: usize = 256;

/// The keeper's side.
#[derive(Debug)]
pub(super) struct Drain {
    /// Pipes that the thread does not know of yet.
    young: HashMap<Attempt, File>,
    /// When it is told of them.
    due: VecDeque<(Duration, Attempt)>,
    /// Attempts that are over and that it never knew of.
    silent: HashSet<Attempt>,
    /// Requests for which the thread was not woken up.
    untold: usize,
    requests: Sender<Request>,
    answers: Receiver<Settled>,
    epoll: Arc<Epoll>,
    asked: Arc<EventFd>,
    answered: Arc<EventFd>,
    open: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Drain {
    /// Starts the thread for the output files in `log_dir`.
    ///
    /// # Errors
    /// If the system gives no thread or descriptors.
    pub(super) fn start(log_dir: &Path) -> io::Result<Self> {
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let event = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Arc::new);
        let (asked, answered) = (event()?, event()?);
        epoll.add(&asked, EpollEvent::new(EpollFlags::EPOLLIN, REQUESTS))?;
        let (requests, incoming) = mpsc::channel();
        let (outgoing, answers) = mpsc::channel();
        let open = Arc::new(AtomicUsize::new(0));
        let copier = Copier {
            log_dir: log_dir.to_owned(),
            epoll: Arc::clone(&epoll),
            asked: Arc::clone(&asked),
            answered: Arc::clone(&answered),
            open: Arc::clone(&open),
            incoming,
            outgoing,
            streams: HashMap::new(),
            outlets: HashMap::new(),
            buffer: vec![0; READ_BYTES],
        };
        // Signals are for the keeper's own thread: it waits for them.
        let unblocked = SigSet::thread_get_mask()?;
        SigSet::all().thread_block()?;
        let spawned = thread::Builder::new().name("drain".to_owned()).spawn(move || copier.run());
        unblocked.thread_set_mask()?;
        let (young, due, silent, untold) = (HashMap::new(), VecDeque::new(), HashSet::new(), 0);
        Ok(Self {
            young,
            due,
            silent,
            untold,
            requests,
            answers,
            epoll,
            asked,
            answered,
            open,
            thread: Some(spawned?),
        })
    }

    /// Copies from the pipe of an attempt that starts now, from a moment later on.
    pub(super) fn watch(&mut self, attempt: Attempt, outlet: File, now: Duration) {
        self.young.insert(attempt, outlet);
        self.due.push_back((now + LEFT_ALONE, attempt));
    }

    /// Returns when `watch_due` has something to do.
    pub(super) fn due_at(&mut self) -> Option<Duration> {
        while self.due.pop_front_if(|(_, attempt)| !self.young.contains_key(attempt)).is_some() {}
        self.due.front().map(|(at, _)| *at)
    }

    /// Tells the thread of the pipes that were left alone for long enough.
    pub(super) fn watch_due(&mut self, now: Duration) {
        while let Some((_, attempt)) = self.due.pop_front_if(|(at, _)| *at <= now) {
            self.hand_over(attempt);
        }
    }

    fn hand_over(&mut self, attempt: Attempt) {
        let Some(outlet) = self.young.remove(&attempt) else { return };
        self.register(&outlet);
        // No wake-up is spent on a request that only counts once there is something to read: an event wakes
        // the thread.
        self.ask(Request::Watch { attempt, outlet });
    }

    /// Copies from the pipe of a keeper that is gone.
    pub(super) fn watch_leftover(&mut self, attempt: Attempt, outlet: File) {
        self.register(&outlet);
        self.ask(Request::WatchLeftover { attempt, outlet });
        self.wake();
    }

    /// The event may come before the request is seen: the thread then looks once more.
    fn register(&self, outlet: &File) {
        self.open.fetch_add(1, Ordering::Relaxed);
        let _ = self.epoll.add(outlet, EpollEvent::new(EpollFlags::EPOLLIN, key(outlet)));
    }

    /// Returns what became of the output of an attempt that is over, or has it answered as soon as what it
    /// has written by now is in its file.
    pub(super) fn settle(&mut self, attempt: Attempt) -> Option<Settled> {
        // Later attempts go on with the file of the first.
        if attempt.number == 1 && self.young.get(&attempt).is_some_and(was_never_written_to) {
            self.young.remove(&attempt);
            self.silent.insert(attempt);
            return Some(Settled { attempt, output_bytes: 0, is_open: false });
        }
        self.hand_over(attempt);
        self.ask(Request::Settle(attempt));
        self.wake();
        None
    }

    /// Lets the name of the attempt's pipe go, at the latest with the next `flush`; `false`: nothing is known
    /// of it here, and whoever asks can remove it.
    pub(super) fn release(&mut self, attempt: Attempt) -> bool {
        let is_silent = self.silent.remove(&attempt);
        if !is_silent {
            self.ask(Request::Release(attempt));
        }
        !is_silent
    }

    /// Sees to it that everything that was asked is done soon; `is_busy`: more is likely to be asked in a
    /// moment.
    pub(super) fn flush(&mut self, is_busy: bool) {
        if self.untold > if is_busy { UNTOLD_MAX } else { 0 } {
            self.wake();
        }
    }

    fn ask(&mut self, request: Request) {
        self.requests.send(request).expect("the thread lives as long as this");
        self.untold += 1;
    }

    fn wake(&mut self) {
        self.untold = 0;
        let _ = self.asked.write(1);
    }

    /// Returns the answers that have come.
    pub(super) fn answers(&self) -> Vec<Settled> {
        let _ = self.answered.read();
        self.answers.try_iter().collect()
    }

    /// Whether some process still holds a pipe.
    pub(super) fn has_open_pipes(&self) -> bool {
        !self.young.is_empty() || self.open.load(Ordering::Relaxed) > 0
    }
}

/// Whether nobody holds this pipe, of which nothing was read, and nothing is in it.
fn was_never_written_to(outlet: &File) -> bool {
    let mut fds = [PollFd::new(outlet.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO) == Ok(1) && fds[0].revents() == Some(PollFlags::POLLHUP)
}

impl AsFd for Drain {
    /// Readable when there are answers, or a pipe has come to its end.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.answered.as_fd()
    }
}

impl Drop for Drain {
    /// Waits until all that was asked is done.
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

/// The output of one attempt on its way.
struct Stream {
    attempt: Attempt,
    /// `None`: nobody holds the pipe any more.
    outlet: Option<File>,
    file: OutputFile,
    is_wide: bool,
    is_released: bool,
}

/// What a turn at a pipe has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Nothing more just now.
    Dry,
    /// More, which has to wait for the others' turns.
    More,
    /// The end: nobody holds it.
    End,
    /// No descriptor for its file just now.
    Stuck,
}

/// The thread.
struct Copier {
    log_dir: PathBuf,
    epoll: Arc<Epoll>,
    asked: Arc<EventFd>,
    answered: Arc<EventFd>,
    open: Arc<AtomicUsize>,
    incoming: Receiver<Request>,
    outgoing: Sender<Settled>,
    streams: HashMap<Attempt, Stream>,
    outlets: HashMap<RawFd, Attempt>,
    buffer: Vec<u8>,
}

impl Copier {
    fn run(mut self) {
        // The keeper changes its file mode creation mask for each start. Without a mask of its own this
        // thread could give a file the mask of a run; where that is refused, the mode of the file is still no
        // wider than it should be.
        let _ = unshare(CloneFlags::CLONE_FS);
        let mut events = [EpollEvent::empty(); EVENTS_PER_TURN];
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(_) => return,
            };
            if !self.obey() {
                return;
            }
            let mut is_stuck = false;
            for event in &events[..count] {
                is_stuck |= self.turn(event.data());
            }
            while is_stuck {
                self.pause();
                is_stuck =
                    self.streams.values_mut().any(|stream| stream.copy(&mut self.buffer, 1) == Flow::Stuck);
            }
        }
    }

    /// Waits until a descriptor may be free again: the keeper has fewer of them for the moment of a start.
    fn pause(&self) {
        let _ = poll(
            &mut [PollFd::new(self.asked.as_fd(), PollFlags::POLLIN)],
            PollTimeout::from(DESCRIPTOR_PAUSE_MS),
        );
        let _ = self.asked.read();
    }

    /// Takes in what was asked; `false`: to end.
    fn obey(&mut self) -> bool {
        let _ = self.asked.read();
        while let Ok(request) = self.incoming.try_recv() {
            match request {
                Request::Watch { attempt, outlet } => self.watch(attempt, outlet),
                Request::WatchLeftover { attempt, outlet } => {
                    let key = key(&outlet);
                    self.watch(attempt, outlet);
                    // Of a pipe that nobody has held since it was opened there is no event; a read tells.
                    self.turn(key);
                }
                Request::Settle(attempt) => self.settle(attempt),
                Request::Release(attempt) => self.release(attempt),
                Request::Quit => return false,
            }
        }
        true
    }

    fn watch(&mut self, attempt: Attempt, outlet: File) {
        // The sending of a mail that an earlier keeper began is begun anew, with a pipe of its own.
        self.close(attempt);
        self.outlets.insert(outlet.as_raw_fd(), attempt);
        let file = OutputFile::new(output_path(&self.log_dir, attempt.run));
        let stream = Stream { attempt, outlet: Some(outlet), file, is_wide: false, is_released: false };
        self.streams.insert(attempt, stream);
    }

    /// Reads a pipe that an event names; tells whether it has to be tried again a moment later.
    fn turn(&mut self, key: u64) -> bool {
        let attempt = RawFd::try_from(key).ok().and_then(|fd| self.outlets.get(&fd)).copied();
        // Of a pipe whose request has not come yet, or that was closed in this very turn.
        let Some(stream) = attempt.and_then(|attempt| self.streams.get_mut(&attempt)) else { return false };
        match stream.copy(&mut self.buffer, READS_PER_TURN) {
            Flow::Dry | Flow::More => false,
            Flow::Stuck => true,
            Flow::End => {
                let attempt = stream.attempt;
                self.close(attempt);
                false
            }
        }
    }

    /// Everybody is gone from the pipe of an attempt.
    fn close(&mut self, attempt: Attempt) {
        let Some(stream) = self.streams.get_mut(&attempt) else { return };
        if let Some(outlet) = stream.outlet.take() {
            let _ = self.epoll.delete(&outlet);
            self.outlets.remove(&outlet.as_raw_fd());
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        if stream.is_released {
            stream.file.finish();
            self.remove(attempt);
            // The keeper may have waited for nothing else.
            let _ = self.answered.write(1);
        }
    }

    fn settle(&mut self, attempt: Attempt) {
        let Some(stream) = self.streams.get_mut(&attempt) else {
            let output_bytes = OutputFile::new(output_path(&self.log_dir, attempt.run)).settle();
            return self.answer(Settled { attempt, output_bytes, is_open: false });
        };
        // What the pipe holds was written before the end. One who writes on in the background must not keep
        // this going.
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
        let _ = self.answered.write(1);
    }

    fn release(&mut self, attempt: Attempt) {
        match self.streams.get_mut(&attempt) {
            Some(stream) if stream.outlet.is_some() => stream.is_released = true,
            Some(_) | None => self.remove(attempt),
        }
    }

    fn remove(&mut self, attempt: Attempt) {
        self.streams.remove(&attempt);
        // Left behind it is released again at the next hello.
        let _ = fs::remove_file(pipe::path(&self.log_dir, attempt));
    }
}

impl Stream {
    /// Returns how many bytes the pipe may hold.
    fn pending(&self) -> usize {
        let size = self.outlet.as_ref().and_then(|outlet| fcntl(outlet, FcntlArg::F_GETPIPE_SZ).ok());
        size.and_then(|size| usize::try_from(size).ok()).unwrap_or(READ_BYTES)
    }

    /// Copies what there is, in at most so many reads.
    fn copy(&mut self, buffer: &mut [u8], reads: usize) -> Flow {
        let Some(mut outlet) = self.outlet.as_ref() else { return Flow::End };
        // Before anything is read: what was read and is not in the file is lost when the keeper is killed.
        if !self.file.is_open() && has_bytes(outlet) && self.file.open() == Err(Errno::EMFILE) {
            return Flow::Stuck;
        }
        for _ in 0..reads {
            let count = match outlet.read(buffer) {
                Ok(0) => return Flow::End,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Flow::Dry,
                Err(_) => return Flow::End,
            };
            self.file.write(&buffer[..count]);
            // Whoever fills a pipe is held up by its size.
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
    use crate::domain::{JobId, RunId};

    /// Whatever takes this long has hung.
    const PATIENCE_MS: u16 = 20_000;

    fn attempt(job: i64) -> Attempt {
        Attempt { run: RunId { job: JobId(job), number: 1 }, number: 1 }
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
    fn what_was_written_before_the_end_is_in_the_file_when_the_end_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut drain = Drain::start(dir.path()).expect("a thread");
        let pipe = Pipes::new(dir.path().to_owned()).make(attempt(1), None).expect("the name is new");
        drain.watch(attempt(1), pipe.outlet, Duration::ZERO);
        let mut inlet = pipe.inlet;
        inlet.write_all(b"some").expect("there is room");
        let told = settled(&mut drain, attempt(1));
        assert_eq!(told, Settled { attempt: attempt(1), output_bytes: 4, is_open: true });
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
        let text = fs::read_to_string(output_path(dir.path(), attempt(1).run)).expect("it is there");
        assert_eq!(text, "some and more");
        assert!(!pipe::path(dir.path(), attempt(1)).exists(), "its holder is gone, and it was released");
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_keeps_its_name_until_it_is_released_and_leaves_no_file() {
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
        fs::write(output_path(dir.path(), attempt(1).run), "of an earlier keeper").expect("ours");
        let mut drain = Drain::start(dir.path()).expect("a thread");
        assert_eq!(settled(&mut drain, attempt(1)).output_bytes, 20);
        assert_eq!(settled(&mut drain, attempt(2)).output_bytes, 0);
    }
}
