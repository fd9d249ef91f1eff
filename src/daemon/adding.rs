//! Owns: adding a job: by the daemon, if one runs, else by the client itself; exactly once either way.
//! Never: reading what a person typed (see `cli`).
//!
//! The daemon has the database open, its statements prepared and its next commit coming: a job handed to it
//! is stored and claimed in one transaction. A client that gets no answer stores the job itself. It hangs up
//! first, and the daemon looks for that while it holds the write lock: so one of the two stores the job, and
//! the other sees that it did, by the random `request` number that the row carries.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use super::lock::open_store;
use super::poke::Poke;
use super::random_id;
use super::sockets::{self, Bound};
use crate::domain::{JobId, JobKey, NewJob, QueueName, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::keeper::wire::{FrameReader, encode};
use crate::store::{FirstFire, Store, StoreResult, Writer};

/// How long a client waits for the daemon's answer before it stores the job itself: longer than any turn that
/// goes on, shorter than a person's patience with one that does not.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a client hands to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddRequest {
    /// Random: tells this request from every other.
    pub id: i64,
    pub job: NewJob,
    pub triggers: Vec<FirstFire>,
}

pub type AddAnswer = Result<JobId>;

/// How a job comes to be added.
#[derive(Clone, Copy, Debug)]
pub struct Adding<'a> {
    /// What is being done, for errors: ``add job `backup` ``.
    pub what: &'a str,
    /// Jobs of the same batch that were added before it.
    pub others: &'a [JobId],
    pub request: Option<i64>,
    pub now: Timestamp,
}

/// Stores a job, unless its name is taken or its queue is not there.
pub fn add_job(
    writer: &Writer<'_>,
    job: &NewJob,
    triggers: &[FirstFire],
    adding: &Adding<'_>,
) -> StoreResult<AddAnswer> {
    if let Some(name) = &job.name
        && let Some(taken) = writer.find_job(&JobKey::Name(name.clone()))?
    {
        let by = if adding.others.contains(&taken) {
            "an earlier line".to_owned()
        } else {
            format!("job {taken}")
        };
        return Ok(Err(Error::conflict(adding.what, format!("the name `{name}` is taken by {by}"))));
    }
    // The default queue is always there, and nearly always meant.
    if job.queue != QueueName::default() && !writer.has_queue(&job.queue)? {
        return Ok(Err(Error::not_found(adding.what, format!("there is no queue `{}`", job.queue))
            .hint(format!("make it with `taskq queue set {} --slots 1`", job.queue))));
    }
    Ok(Ok(writer.add_job(job, triggers, adding.request, adding.now)?))
}

/// Stores the job of a request.
pub(super) fn add_requested(
    writer: &Writer<'_>,
    request: &AddRequest,
    now: Timestamp,
) -> StoreResult<AddAnswer> {
    let what = request.job.name.as_ref().map_or_else(|| WHAT.to_owned(), |name| format!("{WHAT} `{name}`"));
    let adding = Adding { what: &what, others: &[], request: Some(request.id), now };
    add_job(writer, &request.job, &request.triggers, &adding)
}

const WHAT: &str = "add job";

/// Adds one job to the store in `dir`; it is on disk when this returns.
///
/// # Errors
/// `Conflict` if its name is taken, `NotFound` if its queue is not there, `Io` if it cannot be stored.
pub fn add(dir: &Path, job: NewJob, triggers: Vec<FirstFire>, now: Timestamp) -> Result<JobId> {
    let id = random_id().map_err(|error| Error::io(WHAT, &error))?;
    let request = AddRequest { id, job, triggers };
    if let Some(answer) = ask(dir, &request) {
        return answer;
    }
    let mut store = open_store(dir, WHAT)?;
    let poke = Poke::will_write(dir).map_err(|error| Error::io(WHAT, &error))?;
    let stored = add_once(&mut store, &request, now);
    drop(poke);
    stored.map_err(|error| error.during(WHAT))?
}

/// Stores the job of a request that the daemon did not answer, unless the daemon has stored it.
pub fn add_once(store: &mut Store, request: &AddRequest, now: Timestamp) -> StoreResult<AddAnswer> {
    store.write(|writer| match writer.find_request(request.id)? {
        Some(job) => Ok(Ok(job)),
        None => add_requested(writer, request, now),
    })
}

/// Hands a request to the daemon; `None` if there is none, or it does not answer. The connection is closed
/// then.
fn ask(dir: &Path, request: &AddRequest) -> Option<AddAnswer> {
    let mut stream = sockets::connect(dir, sockets::ADDS).ok().filter(sockets::has_trusted_peer)?;
    let mut frame = Vec::new();
    encode(request, &mut frame).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(&frame).ok()?;
    let mut frames = FrameReader::default();
    let mut bytes = [0; 4096];
    loop {
        let length = stream.read(&mut bytes).ok().filter(|length| *length > 0)?;
        frames.push(&bytes[..length]);
        if let Some(answer) = frames.take::<WireAnswer>().ok()? {
            return Some(answer.into());
        }
    }
}

/// An answer as it goes over the socket.
#[derive(Debug, Serialize, Deserialize)]
enum WireAnswer {
    Added(JobId),
    Refused { kind: ErrorKind, what: String, cause: String, hint: Option<String> },
}

impl From<WireAnswer> for AddAnswer {
    fn from(answer: WireAnswer) -> Self {
        match answer {
            WireAnswer::Added(job) => Ok(job),
            WireAnswer::Refused { kind, what, cause, hint } => Err(Error { kind, what, cause, hint }),
        }
    }
}

impl From<AddAnswer> for WireAnswer {
    fn from(answer: AddAnswer) -> Self {
        match answer {
            Ok(job) => Self::Added(job),
            Err(Error { kind, what, cause, hint }) => Self::Refused { kind, what, cause, hint },
        }
    }
}

/// The daemon's side: clients that add jobs.
#[derive(Debug)]
pub(super) struct AddSocket {
    listener: UnixListener,
    bound: Bound,
    clients: Vec<Client>,
    /// How many are let in at once.
    most: usize,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    frames: FrameReader,
    request: Option<AddRequest>,
}

impl AddSocket {
    pub(super) fn bind(dir: &Path, most: usize) -> io::Result<Self> {
        let (listener, bound) = listen(dir)?;
        Ok(Self { listener, bound, clients: Vec::new(), most })
    }

    /// Returns where those come who want in.
    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Returns those who have not said everything.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.clients.iter().filter(|client| client.request.is_none()).map(|client| client.stream.as_fd())
    }

    pub(super) fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Lets in everybody who has come and may, and takes in what they send. Where that is too many, the first
    /// of those who have not said everything goes: it stores its job itself.
    ///
    /// # Errors
    /// There are no descriptors, or no memory, for one more.
    pub(super) fn accept(&mut self) -> io::Result<()> {
        while let Some(stream) = sockets::accept(&self.listener)? {
            let mut client = Client { stream, frames: FrameReader::default(), request: None };
            if !client.read() {
                continue;
            }
            self.clients.push(client);
            if self.clients.len() > self.most {
                match self.clients.iter().position(|client| client.request.is_none()) {
                    Some(slowest) => drop(self.clients.remove(slowest)),
                    // All of them wait for the next turn; so may the rest.
                    None => break,
                }
            }
        }
        Ok(())
    }

    pub(super) fn receive(&mut self) {
        self.clients.retain_mut(Client::read);
    }

    /// Tells whether a request is complete.
    pub(super) fn has_requests(&self) -> bool {
        self.clients.iter().any(|client| client.request.is_some())
    }

    /// Listens again where the name is gone; whoever has come stays.
    pub(super) fn mend(&mut self, dir: &Path) -> io::Result<()> {
        if self.bound.is_gone() {
            self.accept()?;
            (self.listener, self.bound) = listen(dir)?;
        }
        Ok(())
    }

    /// Returns the requests that are complete.
    pub(super) fn requests(&self) -> Vec<&AddRequest> {
        self.clients.iter().filter_map(|client| client.request.as_ref()).collect()
    }

    /// Tells whether the client of a request has hung up.
    pub(super) fn has_hung_up(&self, request: &AddRequest) -> bool {
        let client = self.clients.iter().find(|client| client.request.as_ref() == Some(request));
        client.is_none_or(|client| {
            let mut fds = [PollFd::new(client.stream.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO) != Ok(0)
        })
    }

    /// Answers the complete requests, in order, and is done with their clients.
    pub(super) fn answer(&mut self, answers: impl IntoIterator<Item = AddAnswer>) {
        let mut answers = answers.into_iter();
        self.clients.retain_mut(|client| {
            if client.request.is_none() {
                return true;
            }
            if let Some(answer) = answers.next() {
                let mut frame = Vec::new();
                // A client that is gone before its answer asks the database.
                let _ =
                    encode(&WireAnswer::from(answer), &mut frame).map(|()| client.stream.write_all(&frame));
            }
            false
        });
    }
}

fn listen(dir: &Path) -> io::Result<(UnixListener, Bound)> {
    let listener = sockets::listen(dir, sockets::ADDS)?;
    listener.set_nonblocking(true)?;
    Ok((listener, Bound::of(dir, sockets::ADDS)?))
}

impl Client {
    /// Reads what has come; `false` if the client is gone or talks nonsense.
    fn read(&mut self) -> bool {
        if self.request.is_some() {
            return true;
        }
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(length) => self.frames.push(&bytes[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
            match self.frames.take() {
                Ok(Some(request)) => {
                    self.request = Some(request);
                    return true;
                }
                Ok(None) => {}
                Err(_) => return false,
            }
        }
    }
}
