//! Owns: a daemon that finds the keeper of an earlier taskq, which the test plays.
//! Never: messages of a later daemon to the present keeper (see `tests/keeper`).

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use taskq::domain::{End, JobId, RunId, StopCause, Timestamp};
use taskq::keeper::lock::try_lock;
use taskq::keeper::protocol::{
    Attempt, Ended, FromKeeper, Known, PROTOCOL_VERSION, ToKeeper, VERSION_OF_STARTS,
};
use taskq::keeper::wire::{FrameReader, encode};

use crate::check::{count, run};
use crate::harness::{Daemon, MARKS, Store};
use crate::processes::{PATIENCE, eventually, is_asleep, patiently};

const INSTANCE: i64 = 99;

struct OldKeeper {
    stream: UnixStream,
    frames: FrameReader,
}

impl OldKeeper {
    fn report(&mut self, message: &FromKeeper) {
        let mut frame = Vec::new();
        encode(message, &mut frame).expect("short enough");
        self.stream.write_all(&frame).expect("the daemon is there");
    }

    /// Returns the next message that is not about the width of a queue, or `None` if the daemon hangs up. The
    /// message must belong to the first version.
    fn receive(&mut self) -> Option<ToKeeper> {
        loop {
            match self.frames.take().expect("the daemon sends messages of the protocol") {
                Some(ToKeeper::Resize { .. }) => {}
                Some(message @ (ToKeeper::Start(..) | ToKeeper::Seek(_))) => {
                    panic!("an order that it does not understand: {message:?}")
                }
                Some(message) => return Some(message),
                None => {
                    let mut bytes = [0; 4096];
                    let length = self.stream.read(&mut bytes).expect("the daemon sends something");
                    if length == 0 {
                        return None;
                    }
                    self.frames.push(&bytes[..length]);
                }
            }
        }
    }
}

fn attempt(job: i64) -> Attempt {
    Attempt::of_run(RunId { job: JobId(job), number: 1 }, 1)
}

#[test]
fn an_upgrade_under_running_jobs_delays_what_is_new_and_loses_nothing() {
    let store = Store::new();
    for job in [1, 2] {
        store.add(&[], "sleep 1000");
        let running = "UPDATE run SET state = 'running', keeper = ?2, claimed_at = queued_at,
            started_at = queued_at, pid = 4000000 WHERE job_id = ?1";
        store.database().execute(running, (job, INSTANCE)).expect("it is ours");
    }
    let socket = store.dir.join("keeper.sock");
    let listener = UnixListener::bind(&socket).expect("there is no keeper");
    let mut daemon =
        Daemon::new(store.command(&["daemon", "--slots", "9"]).env("TASKQ_SENDMAIL", "/bin/true"));
    let (stream, listener) =
        patiently("the daemon comes", move || (listener.accept().expect("it is a socket").0, listener));
    stream.set_read_timeout(Some(PATIENCE)).expect("a setting");
    let mut keeper = OldKeeper { stream, frames: FrameReader::default() };
    assert_eq!(keeper.receive(), Some(ToKeeper::Hello { version: PROTOCOL_VERSION }));
    let at = Timestamp::from_seconds(1_700_000_000);
    let known = [1, 2].map(|job| Known { attempt: attempt(job), started: Some((4_000_000, at)) }).to_vec();
    let (version, ended) = (VERSION_OF_STARTS - 1, Vec::new());
    keeper.report(&FromKeeper::Hello { version, instance: INSTANCE, known, ended });
    daemon.line("runs adopted: 2, queued again: 0, looked for: 0");

    // Nothing is claimed for it, and the daemon does not try again and again.
    store.add(&["--mail", "root,always"], MARKS);
    store.add(&["--stdin", "/dev/null"], &format!("{MARKS}cat"));
    store.round();
    eventually("the daemon sleeps", || is_asleep(daemon.pid()));
    assert_eq!(count(&store, "run WHERE state = 'queued' AND keeper IS NULL"), 2);

    // It holds its lock, and does not say its version there.
    let lock = File::create(store.dir.join("keeper.lock")).expect("ours");
    assert!(try_lock(&lock).expect("ours"));
    assert_eq!(
        store.refused(&["signal", "1.1", "HUP"]),
        "error: cannot signal run `1.1`: its keeper is an earlier taskq's, which cannot\n\
         hint: `kill -HUP 4000000` reaches its first process\n"
    );
    drop(lock);

    store.ok(&["cancel", "1"]);
    assert_eq!(keeper.receive(), Some(ToKeeper::Stop { attempt: attempt(1), now: false }));
    for (job, end, stopped) in [(1, End::Signaled(15), Some(StopCause::Cancelled)), (2, End::Exited(7), None)]
    {
        let ended = Ended::without_process(attempt(job), end, Timestamp::from_seconds(1_700_000_009));
        keeper.report(&FromKeeper::Ended(Ended { stopped, started_at: Some(at), ..ended }));
        assert_eq!(keeper.receive(), Some(ToKeeper::Acknowledge { attempts: vec![attempt(job)] }));
    }
    assert_eq!(run(&store, "1.1").end(), ("cancelled", None, Some(15)));
    assert_eq!(run(&store, "2.1").end(), ("failed", Some(7), None));

    // It has nothing left, so that the daemon lets it go: it exits, and another takes its place.
    assert_eq!(keeper.receive(), None);
    fs::remove_file(&socket).expect("it is ours");
    drop((keeper, listener));
    for job in ["3", "4"] {
        assert_eq!(store.wait(job), 0);
    }
    assert_eq!(store.markers().len(), 2);
    store.until("SELECT count(*) = 0 FROM mail WHERE failed IS NULL", 1);
    store.close(daemon);
}
