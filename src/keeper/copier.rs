//! Owns: the thread that copies the output of attempts from their pipes into their files.
//! Never: when a pipe is handed to it (see `drain`).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::stat::umask;

use super::log_directory::{LogDirectory, Sealing};
use super::output::OutputFile;
use super::output_files::CHUNK_BYTES_MAX;
use super::output_names::OutputId;
use super::pipe;
use super::protocol::Attempt;
use super::setup::KEEPER_UMASK;
use crate::domain::{NewJob, OutputKind, Size, Timestamp};
use crate::seal::OutputKeys;

/// How much is read in one call: as much as the pipe of a busy attempt holds.
const READ_BYTES: usize = CHUNK_BYTES_MAX;

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
pub(super) const REQUESTS: u64 = u64::MAX;

/// A message of the keeper to the thread.
pub(super) enum Request {
    /// Copy from this pipe until no process holds it.
    Watch { output: OutputId, outlet: File, limit: Size, started_at: Timestamp },
    /// The same for a pipe of an earlier keeper, which perhaps no process holds.
    WatchLeftover { output: OutputId, outlet: File },
    /// The attempt is over: copy what is in its pipes now, and answer.
    Settle(Attempt),
    /// The attempt's result is committed: remove the first pipe's name once no process holds the pipe.
    Release(Attempt),
    /// Outputs are sealed with these keys from now on.
    Seal(OutputKeys),
    /// End.
    Quit,
}

/// An attempt's output when the attempt was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub attempt: Attempt,
    /// The length of its log, in bytes. A standard error of its own is not counted.
    pub output_bytes: u64,
    /// Other processes hold a pipe and can still write.
    pub is_open: bool,
    /// The pipe of its standard error has its name, and is of no use any more.
    pub has_stderr_name: bool,
}

/// What both sides hold.
#[derive(Debug)]
pub(super) struct Shared {
    /// What the thread waits for: `asked`, and the pipes.
    pub epoll: Epoll,
    pub asked: EventFd,
    pub answered: EventFd,
    /// How many pipes are open.
    pub open: AtomicUsize,
}

pub(super) fn key(outlet: &File) -> u64 {
    u64::try_from(outlet.as_raw_fd()).expect("a descriptor is not negative")
}

/// The pipe of one output, and its file.
struct Stream {
    output: OutputId,
    /// `None`: no process holds the pipe any more.
    outlet: Option<File>,
    file: OutputFile,
    is_wide: bool,
    is_released: bool,
    /// The keeper has an answer by which the pipe is open, or will get none, and may wait for its end alone.
    is_awaited: bool,
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
pub(super) struct Copier {
    log_dir: LogDirectory,
    shared: Arc<Shared>,
    incoming: Receiver<Request>,
    outgoing: Sender<Settled>,
    streams: HashMap<OutputId, Stream>,
    outlets: HashMap<RawFd, OutputId>,
    buffer: Vec<u8>,
}

impl Copier {
    pub(super) fn new(
        log_dir: LogDirectory,
        shared: Arc<Shared>,
        incoming: Receiver<Request>,
        outgoing: Sender<Settled>,
    ) -> Self {
        let (streams, outlets) = Default::default();
        Self { log_dir, shared, incoming, outgoing, streams, outlets, buffer: vec![0; READ_BYTES] }
    }

    pub(super) fn run(mut self) {
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
                Request::Watch { output, outlet, limit, started_at } => {
                    self.watch(output, outlet, limit, Some(started_at));
                }
                Request::WatchLeftover { output, outlet } => {
                    let key = key(&outlet);
                    self.watch(output, outlet, NewJob::LOG_LIMIT, None);
                    // A pipe that no process has held since it was opened gives no event.
                    self.read_pipe(key);
                }
                Request::Settle(attempt) => self.settle(attempt),
                Request::Release(attempt) => self.release(attempt),
                Request::Seal(keys) => {
                    self.streams.values_mut().for_each(|stream| stream.file.seal(&keys));
                    self.log_dir.sealing = Sealing::On(keys);
                }
                Request::Quit => return false,
            }
        }
        true
    }

    fn watch(&mut self, output: OutputId, outlet: File, limit: Size, started_at: Option<Timestamp>) {
        // A mail that an earlier keeper began to send is sent again, with a new pipe.
        self.close(output);
        self.outlets.insert(outlet.as_raw_fd(), output);
        let file = OutputFile::new(&self.log_dir, output, limit, started_at);
        // Only the name of the first pipe is a proof, and stays until the result is committed.
        let is_released = output.kind == OutputKind::Stderr;
        let is_awaited = started_at.is_none();
        let stream = Stream { output, outlet: Some(outlet), file, is_wide: false, is_released, is_awaited };
        self.streams.insert(output, stream);
    }

    /// Reads a pipe that has an event; tells whether it has to be tried again a moment later.
    fn read_pipe(&mut self, key: u64) -> bool {
        let output = RawFd::try_from(key).ok().and_then(|fd| self.outlets.get(&fd)).copied();
        // The pipe's request may not have arrived yet, or it was closed in this turn.
        let Some(stream) = output.and_then(|output| self.streams.get_mut(&output)) else { return false };
        match stream.copy(&mut self.buffer, READS_PER_TURN) {
            Flow::Empty | Flow::More => false,
            Flow::Stuck => true,
            Flow::End => {
                let output = stream.output;
                self.close(output);
                false
            }
        }
    }

    /// No process holds the pipe of an output any more.
    fn close(&mut self, output: OutputId) {
        let Some(stream) = self.streams.get_mut(&output) else { return };
        if let Some(outlet) = stream.outlet.take() {
            let _ = self.shared.epoll.delete(&outlet);
            self.outlets.remove(&outlet.as_raw_fd());
            self.shared.open.fetch_sub(1, Ordering::Relaxed);
        }
        let is_awaited = stream.is_awaited;
        if stream.is_released {
            stream.file.finish();
            self.remove(output);
        }
        if is_awaited {
            let _ = self.shared.answered.write(1);
        }
    }

    fn settle(&mut self, attempt: Attempt) {
        let (output_bytes, is_stdout_open) = self.settle_output(attempt.stdout()).unwrap_or_else(|| {
            (OutputFile::new(&self.log_dir, attempt.stdout(), NewJob::LOG_LIMIT, None).finish(), false)
        });
        // Most attempts have none, and of others it may have ended.
        let is_stderr_open = self.settle_output(attempt.stderr()).is_some_and(|(_, is_open)| is_open);
        let is_open = is_stdout_open || is_stderr_open;
        self.answer(Settled { attempt, output_bytes, is_open, has_stderr_name: false });
    }

    /// Copies what the pipe of an output holds. Returns the length of the output, and whether a process can
    /// still write to it; `None`: no pipe of it is watched.
    fn settle_output(&mut self, output: OutputId) -> Option<(u64, bool)> {
        let stream = self.streams.get_mut(&output)?;
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
                .get_mut(&output)
                .map_or(Flow::End, |stream| stream.copy(&mut self.buffer, reads));
        }
        let stream = self.streams.get_mut(&output)?;
        let bytes = if flow == Flow::End { stream.file.finish() } else { stream.file.settle() };
        if flow == Flow::End {
            self.close(output);
        }
        let open = self.streams.get_mut(&output).filter(|stream| stream.outlet.is_some());
        Some((bytes, open.map(|stream| stream.is_awaited = true).is_some()))
    }

    fn answer(&self, settled: Settled) {
        let _ = self.outgoing.send(settled);
        let _ = self.shared.answered.write(1);
    }

    fn release(&mut self, attempt: Attempt) {
        let output = attempt.stdout();
        match self.streams.get_mut(&output) {
            Some(stream) if stream.outlet.is_some() => stream.is_released = true,
            Some(_) | None => self.remove(output),
        }
    }

    fn remove(&mut self, output: OutputId) {
        self.streams.remove(&output);
        // One that stays is removed after the next hello.
        let _ = fs::remove_file(pipe::path(&self.log_dir.path, output));
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
        for _ in 0..reads {
            // Opened before the read: bytes that were read and not written are lost if the keeper is killed.
            if !self.file.is_open() && has_bytes(outlet) && self.file.open() == Err(Errno::EMFILE) {
                return Flow::Stuck;
            }
            let count = match outlet.read(buffer) {
                Ok(0) => return Flow::End,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Flow::Empty,
                Err(_) => return Flow::End,
            };
            // The system sets it at each write of the attempt, also while no keeper reads.
            if let Ok(pipe) = outlet.metadata() {
                self.file.record_time(pipe.mtime() * 1_000_000 + pipe.mtime_nsec() / 1_000);
            }
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
