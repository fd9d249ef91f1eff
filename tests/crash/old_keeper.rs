//! Owns: a daemon that finds the keeper of an earlier taskq, played by the test.
//! Never: what that keeper ran.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use taskq::domain::{End, Timestamp, Usage};
use taskq::keeper::protocol::{Ended, FrameReader, FromKeeper, ToKeeper, encode};

use crate::check::count;
use crate::harness::{Daemon, Store};
use crate::processes::{PATIENCE, patiently};

/// The first version of the protocol, which has no orders with extras.
struct OldKeeper {
    stream: UnixStream,
    frames: FrameReader,
}

impl OldKeeper {
    fn say(&mut self, message: &FromKeeper) {
        let mut frame = Vec::new();
        encode(message, &mut frame).expect("short enough");
        self.stream.write_all(&frame).expect("the daemon is there");
    }

    fn hear(&mut self) -> ToKeeper {
        loop {
            if let Some(message) = self.frames.take().expect("the daemon speaks the protocol") {
                return message;
            }
            let mut bytes = [0; 4096];
            let length = self.stream.read(&mut bytes).expect("the daemon has something to say");
            assert_ne!(length, 0, "the daemon has hung up");
            self.frames.push(&bytes[..length]);
        }
    }

    /// Waits for an order to start something, ends it with success, and returns its queue.
    fn run_one(&mut self) -> String {
        loop {
            match self.hear() {
                ToKeeper::Start(order) => {
                    let at = Timestamp::from_seconds(4_000_000_000);
                    self.say(&FromKeeper::Ended(Ended {
                        attempt: order.attempt,
                        pid: 1,
                        started_at: Some(at),
                        finished_at: at,
                        end: End::Exited(0),
                        stopped: None,
                        usage: Usage::default(),
                        output_bytes: 0,
                        is_output_open: false,
                    }));
                    return order.queue;
                }
                ToKeeper::StartWith(order, _) => panic!("an order that it does not understand: {order:?}"),
                _ => {}
            }
        }
    }
}

#[test]
fn the_keeper_of_an_earlier_taskq_is_told_nothing_that_it_does_not_understand() {
    let store = Store::new();
    store.ok(&["queue", "set", "default", "--slots", "2"]);
    let listener = UnixListener::bind(store.dir.join("keeper.sock")).expect("there is no keeper");
    let mut daemon =
        Daemon::new(store.command(&["daemon", "--slots", "2"]).env("TASKQ_SENDMAIL", "/bin/true"));
    let stream = patiently("the daemon comes", move || listener.accept().expect("it is a socket").0);
    stream.set_read_timeout(Some(PATIENCE)).expect("a setting");
    let mut keeper = OldKeeper { stream, frames: FrameReader::default() };
    assert!(matches!(keeper.hear(), ToKeeper::Hello { .. }));
    keeper.say(&FromKeeper::Hello { version: 1, instance: 99, known: Vec::new(), ended: Vec::new() });
    daemon.line("serving");
    store.add(&["--mail", "root,always"], "true");
    assert_eq!(keeper.run_one(), "default");
    assert_eq!(store.wait("1"), 0);
    store.add(&["--stdin", "/dev/null"], "cat");
    let ended = store.run(&["wait", "2"]);
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(125), "{words}");
    assert!(words.contains("spawn_failed, the keeper of an earlier taskq is still there"), "{words}");
    // It has the next one's ear again, and the mail waits for a keeper that can send it.
    store.add(&[], "true");
    assert_eq!(keeper.run_one(), "default");
    assert_eq!(store.wait("3"), 0);
    assert_eq!(count(&store, "mail WHERE keeper IS NULL AND failed IS NULL"), 1);
    drop(keeper);
    daemon.line("the keeper is gone");
    store.until("SELECT count(*) = 0 FROM mail WHERE failed IS NULL", 1);
    store.close(daemon);
}
