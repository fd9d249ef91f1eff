//! Owns: adding a job exactly once: by the daemon if one runs, otherwise by the client itself.
//! Never: reading the command line (see `cli`).
//!
//! A client that opens the database pays more than the daemon, which has it open and stores and claims a job
//! in one transaction. A client that receives no answer closes the connection and stores the job itself. The
//! daemon checks under the write lock that the client is still connected. So one of the two stores the job.
//! The other finds it by the random number of the request, which is stored with the job.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use super::dependencies::refused_new;
use super::job_triggers::{Listening, refused_triggers};
use super::lock::open_store;
use super::names::{NameClash, free_name};
use super::poke::Poke;
use super::random_id;
use super::resources::refused_requirement;
use super::sockets::{self, NamedSocket};
use crate::domain::{JobId, JobName, MachineSize, NewJob, QueueName, Timestamp, TriggerSpec};
use crate::engine::after_end;
use crate::error::{Error, Result};
use crate::keeper::wire::{FrameReader, encode};
use crate::store::{Act, FirstFire, Store, StoreResult, Writer};
use crate::system::machine;
use crate::system::users::own_uid;

/// How long a client waits for the daemon's answer before it stores the job itself: longer than any turn of a
/// daemon that works, and short enough for a person.
const PATIENCE: Duration = Duration::from_secs(2);

/// A job that a client sends to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddRequest {
    /// A random number.
    pub id: i64,
    pub job: NewJob,
    pub triggers: Vec<FirstFire>,
    /// If a living job has its name.
    pub clash: NameClash,
}

pub type AddAnswer = Result<JobId>;

/// A request, and the user who sent it.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'a> {
    pub request: &'a AddRequest,
    pub uid: u32,
}

/// The circumstances in which a job is added.
#[derive(Clone, Copy)]
pub struct Adding<'a> {
    /// The operation, for errors: ``add job `backup` ``.
    pub what: &'a str,
    /// Jobs of the same batch that were added before it.
    pub others: &'a [JobId],
    /// If a living job has its name.
    pub clash: NameClash,
    pub request: Option<i64>,
    /// How large the machine is.
    pub machine: &'a dyn Fn() -> MachineSize,
    pub now: Timestamp,
}

/// Stores a job, unless its name is taken, its queue does not exist, or it needs what is not there.
pub fn add_job(
    writer: &Writer<'_>,
    job: &NewJob,
    triggers: &[FirstFire],
    adding: &Adding<'_>,
) -> StoreResult<AddAnswer> {
    if let Some(name) = &job.name
        && let Some(refused) = refused_name(writer, name, adding)?
    {
        return Ok(Err(refused));
    }
    // The default queue always exists, and most jobs use it.
    if job.queue != QueueName::default() && !writer.has_queue(&job.queue)? {
        return Ok(Err(Error::not_found(adding.what, format!("there is no queue `{}`", job.queue))
            .hint(format!("make it with `taskq queue set {} --slots 1`", job.queue))));
    }
    if let Some(refused) = refused_requirement(writer, &job.requirement, adding.machine, adding.what)? {
        return Ok(Err(refused));
    }
    Ok(Ok(writer.add_job(job, triggers, adding.request, adding.now)?))
}

fn refused_name(writer: &Writer<'_>, name: &JobName, adding: &Adding<'_>) -> StoreResult<Option<Error>> {
    let taken = |by: &str| Error::conflict(adding.what, format!("the name `{name}` is taken by {by}"));
    // A batch must not replace its own jobs.
    let holder = free_name(writer, name, adding.clash, adding.others, adding.now)?;
    Ok(holder.map(|job| match adding.others.contains(&job) {
        true => taken("an earlier line"),
        false => taken(&format!("job {job}"))
            .hint("put the new job in its place with `--replace`, or choose another name"),
    }))
}

/// Stores the job of a request.
pub(super) fn add_requested(
    writer: &Writer<'_>,
    request: &AddRequest,
    machine: &dyn Fn() -> MachineSize,
    now: Timestamp,
) -> StoreResult<AddAnswer> {
    let what = request.job.name.as_ref().map_or_else(|| WHAT.to_owned(), |name| format!("{WHAT} `{name}`"));
    let adding =
        Adding { what: &what, others: &[], clash: request.clash, request: Some(request.id), machine, now };
    if !request.job.after.dependencies.is_empty()
        && let Some(refused) = refused_new(writer, &request.job, &what)?
    {
        return Ok(Err(refused));
    }
    let listening = Listening {
        what: &what,
        job: None,
        name: request.job.name.as_ref(),
        has_times: request.job.times.is_some(),
    };
    let specs: Vec<&TriggerSpec> = request.triggers.iter().map(|trigger| &trigger.spec).collect();
    if let Some(refused) = refused_triggers(writer, &listening, &specs)? {
        return Ok(Err(refused));
    }
    add_job(writer, &request.job, &request.triggers, &adding)
}

const WHAT: &str = "add job";

/// Adds one job to the store in `dir`. The job is on disk when this returns.
///
/// # Errors
/// `Conflict` if its name is taken and not to be replaced, `NotFound` if its queue does not exist, `Io` if it
/// cannot be stored.
pub fn add(
    dir: &Path,
    job: NewJob,
    triggers: Vec<FirstFire>,
    clash: NameClash,
    now: Timestamp,
) -> Result<JobId> {
    let id = random_id().map_err(|error| Error::io(WHAT, &error))?;
    let request = AddRequest { id, job, triggers, clash };
    if let Some(answer) = ask(dir, &request) {
        return answer;
    }
    let mut store = open_store(dir, WHAT)?;
    let poke = Poke::will_write(dir).map_err(|error| Error::io(WHAT, &error))?;
    let stored = add_once(&mut store, &request, Act::of_person(own_uid(), now));
    drop(poke);
    stored.map_err(|error| error.during(WHAT))?
}

/// Stores the job of a request without an answer, unless the daemon has stored it.
pub fn add_once(store: &mut Store, request: &AddRequest, act: Act) -> StoreResult<AddAnswer> {
    store.write(act, |writer| match writer.find_request(request.id)? {
        Some(job) => Ok(Ok(job)),
        None => {
            let added = add_requested(writer, request, &machine::size, act.at)?;
            writer.follow_up(after_end, act.at)?;
            Ok(added)
        }
    })
}

/// Sends a request to the daemon, and returns its answer. Returns `None` if no daemon runs or answers; then
/// the connection is closed.
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
        if let Some(answer) = frames.take().ok()? {
            return Some(answer);
        }
    }
}

/// The clients that add jobs through the daemon.
#[derive(Debug)]
pub(super) struct Adders {
    socket: NamedSocket<UnixListener>,
    clients: Vec<Adder>,
    most: usize,
}

#[derive(Debug)]
struct Adder {
    stream: UnixStream,
    /// Its user.
    uid: u32,
    frames: FrameReader,
    request: Option<AddRequest>,
}

impl Adders {
    /// Makes their socket. At most `most` clients are connected at once.
    pub(super) fn bind(dir: &Path, most: usize) -> io::Result<Self> {
        Ok(Self { socket: NamedSocket::new(dir, sockets::ADDS, sockets::listen)?, clients: Vec::new(), most })
    }

    pub(super) fn socket(&self) -> &NamedSocket<UnixListener> {
        &self.socket
    }

    /// Returns the connections whose request is not complete.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.clients.iter().filter(|client| client.request.is_none()).map(|client| client.stream.as_fd())
    }

    /// Accepts the waiting clients, and receives what they have sent. If there are too many, drops the oldest
    /// one without a complete request: that client stores its job itself.
    ///
    /// # Errors
    /// There are no descriptors, or no memory, for one more.
    pub(super) fn accept(&mut self) -> io::Result<()> {
        while let Some(stream) = sockets::accept(&self.socket)? {
            // Without it, the peer is not one that was accepted.
            let Ok(uid) = sockets::peer_uid(&stream) else { continue };
            let mut client = Adder { stream, uid, frames: FrameReader::default(), request: None };
            if !client.receive() {
                continue;
            }
            self.clients.push(client);
            if self.clients.len() > self.most {
                match self.clients.iter().position(|client| client.request.is_none()) {
                    Some(slowest) => drop(self.clients.remove(slowest)),
                    // All of them wait for the next turn. The rest can wait too.
                    None => break,
                }
            }
        }
        Ok(())
    }

    pub(super) fn receive(&mut self) {
        self.clients.retain_mut(Adder::receive);
    }

    /// Returns whether a request is complete.
    pub(super) fn has_requests(&self) -> bool {
        self.clients.iter().any(|client| client.request.is_some())
    }

    /// Makes the socket again if its file is gone. The clients stay connected.
    pub(super) fn mend(&mut self) -> io::Result<()> {
        if self.socket.is_gone() {
            self.accept()?;
            self.socket.renew()?;
        }
        Ok(())
    }

    /// Returns the complete requests.
    pub(super) fn requests(&self) -> Vec<ClientRequest<'_>> {
        let requests = self.clients.iter().filter_map(|client| {
            client.request.as_ref().map(|request| ClientRequest { request, uid: client.uid })
        });
        requests.collect()
    }

    /// Returns whether the client of a request has closed its connection.
    pub(super) fn has_hung_up(&self, request: &AddRequest) -> bool {
        let client = self.clients.iter().find(|client| client.request.as_ref() == Some(request));
        client.is_none_or(|client| {
            let mut fds = [PollFd::new(client.stream.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO) != Ok(0)
        })
    }

    /// Answers the complete requests, in order, and closes their connections.
    pub(super) fn answer(&mut self, answers: impl IntoIterator<Item = AddAnswer>) {
        let mut answers = answers.into_iter();
        self.clients.retain_mut(|client| {
            if client.request.is_none() {
                return true;
            }
            if let Some(answer) = answers.next() {
                let mut frame = Vec::new();
                // A client that does not receive its answer looks for its job in the database.
                let _ = encode(&answer, &mut frame).map(|()| client.stream.write_all(&frame));
            }
            false
        });
    }
}

impl Adder {
    /// Receives its bytes, up to a complete request. Returns `false` if the client has hung up or sent
    /// something else.
    fn receive(&mut self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CommandLine, Execution, Gate, GateTimeout, Span};

    #[test]
    fn a_request_comes_out_as_it_went_in() {
        let plain = NewJob::of(Execution::of(CommandLine::Script(b"true".to_vec())));
        let mut requiring = plain.clone();
        requiring.requirement.needs = "gpu=1,mem=4G".parse().expect("needs");
        requiring.requirement.gates = vec![Gate::read(b"path:\xff", Path::new("/")).expect("a gate")];
        requiring.requirement.gate_timeout =
            Some(GateTimeout { after: Span::from_seconds(60), starts: true });
        for job in [plain, requiring] {
            let request = AddRequest { id: 5, job, triggers: Vec::new(), clash: NameClash::Refuse };
            let (mut frame, mut frames) = (Vec::new(), FrameReader::default());
            encode(&request, &mut frame).expect("short");
            frames.push(&frame);
            assert_eq!(frames.take::<AddRequest>().expect("whole"), Some(request));
        }
    }
}
