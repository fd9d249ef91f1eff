//! Owns: what daemon and keeper say to each other, and how it is framed.
//! Never: sockets (see `server`), or meaning (see `daemon`).
//!
//! A frame is a little-endian u32 length and that many bytes of postcard. A daemon of a later release must
//! understand the keeper that an earlier one left behind, so variants are only ever added at the end, and
//! fields never change.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::{End, RunId, Span, Stdin, StopCause, Timestamp, Usage};

/// The version that both sides name in their `Hello`.
pub const PROTOCOL_VERSION: u32 = 3;

/// The first version whose keepers understand `StartWith`.
pub const VERSION_OF_EXTRAS: u32 = 2;

/// The first version whose keepers give each attempt a pipe whose name proves that it began, and understand
/// `Seek`.
pub const VERSION_OF_PIPES: u32 = 3;

/// A keeper's identity: random, positive, new for each keeper process.
pub type KeeperInstance = i64;

/// A keeper that has said hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeeperId {
    /// Which keeper.
    pub instance: KeeperInstance,
    /// Its `PROTOCOL_VERSION`: an earlier taskq's keeper understands less.
    pub version: u32,
}

impl KeeperId {
    /// Tells whether it understands orders with extras.
    pub fn takes_extras(self) -> bool {
        self.version >= VERSION_OF_EXTRAS
    }

    /// Tells whether it makes a pipe before each start, and finds what another keeper has left behind.
    pub fn has_pipes(self) -> bool {
        self.version >= VERSION_OF_PIPES
    }
}

/// One attempt of one run: what a start, a stop and a result are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// The run.
    pub run: RunId,
    /// Which try of it, from 1.
    pub number: u32,
}

/// Everything needed to start an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartOrder {
    /// Which attempt.
    pub attempt: Attempt,
    /// The queue whose slots it needs.
    pub queue: String,
    /// The queue's width: an order starts when fewer than this many runs of its queue have a process here;
    /// until then it stands by, in order of arrival. The newest word, of an order or a `Resize`, counts for
    /// all that stand by, so that a queue made wider or narrower is so at once and nothing overtakes.
    pub slots: u32,
    /// The program, looked up in the `PATH` of `env` as execvp(3) would, and its arguments.
    pub argv: Vec<Vec<u8>>,
    /// The whole environment, `NAME=VALUE`.
    pub env: Vec<Vec<u8>>,
    /// The working directory, absolute.
    pub cwd: Vec<u8>,
    /// The file mode creation mask.
    pub umask: u32,
    /// TERM to the process group this long after the start.
    pub timeout: Option<Span>,
    /// KILL to the process group this long after a TERM.
    pub kill_after: Span,
}

/// What an attempt is started with that most have no need of. The default is what `Start` means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartExtras {
    /// What the process reads.
    pub stdin: Stdin,
    /// The user to become, by name, looked up at the start; `None`: the keeper's own.
    pub user: Option<String>,
    /// Where the working directory cannot be entered, `/` will do.
    pub cwd_optional: bool,
}

/// What a keeper must know to find an attempt that another keeper, which is gone, was told to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeekOrder {
    /// Which attempt.
    pub attempt: Attempt,
    /// The keeper that was told to start it.
    pub keeper: KeeperInstance,
    /// That keeper made a pipe before each start (`VERSION_OF_PIPES`): without one the attempt never began.
    pub has_pipe: bool,
    /// Its process and its start, as far as they are known.
    pub started: Option<(u32, Timestamp)>,
    /// As in `StartOrder`.
    pub queue: String,
    /// As in `StartOrder`.
    pub slots: u32,
    /// As in `StartOrder`, counted from the start.
    pub timeout: Option<Span>,
    /// As in `StartOrder`.
    pub kill_after: Span,
}

/// What the daemon says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToKeeper {
    /// The first message of a connection.
    Hello {
        /// The daemon's `PROTOCOL_VERSION`.
        version: u32,
    },
    /// Start this attempt. One that is already known is left as it is.
    Start(StartOrder),
    /// TERM, then KILL after the order's `kill_after`; with `now`, KILL at once. One that stands by is
    /// dropped. One that is not known is ignored: its result is on its way, or was acknowledged.
    Stop {
        /// Which attempt.
        attempt: Attempt,
        /// KILL at once.
        now: bool,
    },
    /// Drop this attempt if it stands by, and say `NotStarted`; else ignore it.
    Recall {
        /// Which attempt.
        attempt: Attempt,
    },
    /// These results are committed: forget them.
    Acknowledge {
        /// Which attempts.
        attempts: Vec<Attempt>,
    },
    /// A queue has another width, which counts for all that stand by in it. What runs goes on.
    Resize {
        /// Which queue.
        queue: String,
        /// Its width from now on, as in `StartOrder`.
        slots: u32,
    },
    /// As `Start`, with more; since version 2.
    StartWith(StartOrder, StartExtras),
    /// Find the processes of this attempt, say `Unattended` and watch them; else say `Ended`: `NotStarted` if
    /// it never began, `Lost` if it did. Since version 3.
    Seek(SeekOrder),
}

impl ToKeeper {
    /// Makes the order to start an attempt: the one that every keeper understands, where that says it all.
    pub fn start(order: StartOrder, extras: StartExtras) -> Self {
        if extras == StartExtras::default() { Self::Start(order) } else { Self::StartWith(order, extras) }
    }

    /// Returns the order, if this is one to start an attempt.
    pub fn as_start(&self) -> Option<&StartOrder> {
        match self {
            Self::Start(order) | Self::StartWith(order, _) => Some(order),
            Self::Hello { .. }
            | Self::Stop { .. }
            | Self::Recall { .. }
            | Self::Acknowledge { .. }
            | Self::Resize { .. }
            | Self::Seek(_) => None,
        }
    }
}

/// A process that a keeper has, or an order that stands by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Which attempt.
    pub attempt: Attempt,
    /// Its process and its start; `None` while it stands by.
    pub started: Option<(u32, Timestamp)>,
}

/// An attempt's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which attempt.
    pub attempt: Attempt,
    /// Its process id, 0 where there was none.
    pub pid: u32,
    /// When its process was started; `None` where there was none.
    pub started_at: Option<Timestamp>,
    /// When its end was seen.
    pub finished_at: Timestamp,
    /// How it ended.
    pub end: End,
    /// Set if the keeper had sent it a signal before it ended, or had dropped it on a `Stop`.
    pub stopped: Option<StopCause>,
    /// What it used.
    pub usage: Usage,
    /// The size of its output file when it ended; without output there is no file.
    pub output_bytes: u64,
    /// Other processes could still write to its output then.
    pub is_output_open: bool,
}

/// What the keeper says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromKeeper {
    /// The answer to `Hello`.
    Hello {
        /// The keeper's `PROTOCOL_VERSION`.
        version: u32,
        /// Which keeper this is.
        instance: KeeperInstance,
        /// All that it runs or has standing by.
        known: Vec<Known>,
        /// Every result that is not acknowledged.
        ended: Vec<Ended>,
    },
    /// An attempt has a process.
    Started {
        /// Which attempt.
        attempt: Attempt,
        /// Its process id, also its process group.
        pid: u32,
        /// When.
        at: Timestamp,
    },
    /// An attempt is over.
    Ended(Ended),
    /// The answer to `Seek`: the attempt's processes run, and nobody will know their exit status. Since
    /// version 3.
    Unattended {
        /// Which attempt.
        attempt: Attempt,
        /// The keeper that watches them from now on.
        keeper: KeeperInstance,
        /// Their process group.
        pid: u32,
        /// When it was started, as far as is known.
        at: Timestamp,
    },
    /// An attempt could not be started just now; it is tried again until it is cancelled or for a minute.
    /// Since version 3.
    Delayed {
        /// Which attempt.
        attempt: Attempt,
        /// Why, a fragment for a person.
        cause: String,
    },
}

/// The longest frame, without its length. Linux takes at most 6 MiB of arguments and environment together
/// (execve(2)), so that no order which could be started is longer.
pub const FRAME_BYTES_MAX: usize = 8 << 20;

/// A buffer that grew beyond this gives its memory back once it is empty.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// The bytes of a frame's length.
const HEAD_BYTES: usize = 4;

/// Why bytes are not a conversation: a fragment for a person. There is no going on after one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than `FRAME_BYTES_MAX`.
    #[error("a message of {0} bytes is longer than the {FRAME_BYTES_MAX} that one may have")]
    TooLong(usize),
    /// Not a message, or more than one.
    #[error("a message that is none of the protocol's")]
    Corrupt,
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Appends `message` to `out` as one frame; on failure `out` is as it was.
///
/// # Errors
///
/// `TooLong` where the other side would refuse it.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let head = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    let mut framed =
        postcard::to_extend(message, std::mem::take(out)).expect("writing to memory cannot fail");
    let length = framed.len() - head - HEAD_BYTES;
    if length > FRAME_BYTES_MAX {
        framed.truncate(head);
        *out = framed;
        return Err(FrameError::TooLong(length));
    }
    let length_field = u32::try_from(length).expect("FRAME_BYTES_MAX fits in a u32");
    framed[head..head + HEAD_BYTES].copy_from_slice(&length_field.to_le_bytes());
    *out = framed;
    Ok(())
}

/// Bytes as they come in, messages as they are complete. It holds no more than it was given: a length alone
/// reserves nothing.
#[derive(Debug, Default)]
pub struct FrameReader {
    bytes: Vec<u8>,
    /// Everything before this was read.
    start: usize,
}

impl FrameReader {
    /// Takes the next bytes, cut wherever they may be.
    pub fn push(&mut self, bytes: &[u8]) {
        // Moved down only when the consumed part outweighs the rest: each byte is moved at most once on
        // average.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next message, or `None` while it is incomplete.
    ///
    /// # Errors
    ///
    /// `TooLong` and `Corrupt`; the connection is then of no more use.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let unread = &self.bytes[self.start..];
        let Some((head, rest)) = unread.split_first_chunk::<HEAD_BYTES>() else {
            self.release();
            return Ok(None);
        };
        let length = u32::from_le_bytes(*head) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong(length));
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let (message, left) = postcard::take_from_bytes(frame).map_err(|_| FrameError::Corrupt)?;
        if !left.is_empty() {
            return Err(FrameError::Corrupt);
        }
        self.start += HEAD_BYTES + length;
        Ok(Some(message))
    }

    fn release(&mut self) {
        if self.start == self.bytes.len() {
            self.start = 0;
            recycle(&mut self.bytes);
        }
    }
}

/// Empties a buffer for its next use, and gives its memory back if one large message had made it grow.
pub(super) fn recycle(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT_BYTES_MAX {
        *buffer = Vec::new();
    } else {
        buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::JobId;

    fn attempt(job: i64) -> Attempt {
        Attempt { run: RunId { job: JobId(job), number: 1 }, number: 1 }
    }

    fn order(argv: Vec<Vec<u8>>) -> StartOrder {
        StartOrder {
            attempt: attempt(1),
            queue: "default".to_owned(),
            slots: 1,
            argv,
            env: Vec::new(),
            cwd: b"/".to_vec(),
            umask: 0o022,
            timeout: None,
            kill_after: Span::from_seconds(10),
        }
    }

    fn messages() -> impl Strategy<Value = ToKeeper> {
        let words = || prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6);
        prop_oneof![
            any::<u32>().prop_map(|version| ToKeeper::Hello { version }),
            (any::<i64>(), any::<bool>())
                .prop_map(|(job, now)| ToKeeper::Stop { attempt: attempt(job), now }),
            prop::collection::vec(any::<i64>(), 0..50)
                .prop_map(|jobs| ToKeeper::Acknowledge { attempts: jobs.into_iter().map(attempt).collect() }),
            (words(), words(), any::<Option<u64>>()).prop_map(|(argv, env, timeout)| {
                ToKeeper::Start(StartOrder { env, timeout: timeout.map(Span::from_micros), ..order(argv) })
            }),
            (words(), any::<Vec<u8>>(), any::<Option<String>>(), any::<bool>()).prop_map(
                |(argv, text, user, cwd_optional)| {
                    ToKeeper::start(order(argv), StartExtras { stdin: Stdin::Text(text), user, cwd_optional })
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_the_bytes_are_cut(
            sent in prop::collection::vec(messages(), 0..20),
            cuts in prop::collection::vec(1usize..200, 1..20),
        ) {
            let mut bytes = Vec::new();
            for message in &sent {
                encode(message, &mut bytes).expect("short enough");
            }
            let (mut reader, mut received, mut rest) = (FrameReader::default(), Vec::new(), bytes.as_slice());
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                reader.push(now);
                while let Some(message) = reader.take::<ToKeeper>().expect("what was encoded is sound") {
                    received.push(message);
                }
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(received, sent);
            prop_assert!(reader.bytes.is_empty());
        }

        #[test]
        fn no_bytes_at_all_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut reader = FrameReader::default();
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.take::<ToKeeper>() {}
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_by_either_side_and_leaves_the_buffer_alone() {
        let mut out = b"before".to_vec();
        let long = ToKeeper::Start(order(vec![vec![b'x'; FRAME_BYTES_MAX]]));
        assert!(matches!(encode(&long, &mut out), Err(FrameError::TooLong(_))));
        assert_eq!(out, b"before");
        let mut reader = FrameReader::default();
        reader.push(&u32::MAX.to_le_bytes());
        assert_eq!(reader.take::<ToKeeper>(), Err(FrameError::TooLong(u32::MAX as usize)));
    }

    #[test]
    fn an_order_without_extras_is_one_that_keepers_of_the_first_version_understand() {
        let mut bytes = Vec::new();
        let plain = ToKeeper::start(order(Vec::new()), StartExtras::default());
        encode(&plain, &mut bytes).expect("short enough");
        assert_eq!((plain, bytes[HEAD_BYTES]), (ToKeeper::Start(order(Vec::new())), 1));
    }

    #[test]
    fn bytes_behind_the_message_in_its_frame_are_corruption() {
        let mut reader = FrameReader::default();
        reader.push(&[3, 0, 0, 0, 0, 1, 9]);
        assert_eq!(reader.take::<ToKeeper>(), Err(FrameError::Corrupt));
    }

    #[test]
    fn a_long_message_leaves_no_large_buffer_behind() {
        let (mut reader, mut bytes) = (FrameReader::default(), Vec::new());
        encode(&ToKeeper::Start(order(vec![vec![b'x'; 1 << 20]])), &mut bytes).expect("short enough");
        reader.push(&bytes);
        assert!(matches!(reader.take::<ToKeeper>(), Ok(Some(ToKeeper::Start(_)))));
        assert_eq!(reader.take::<ToKeeper>(), Ok(None));
        assert_eq!(reader.bytes.capacity(), 0);
    }
}
