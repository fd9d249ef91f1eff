//! Owns: the messages between daemon and keeper.
//! Never: their bytes (see `wire`), sockets, or what follows from them (see `daemon`).
//!
//! A daemon must understand the keeper that an earlier taskq has left behind. So variants are only added at
//! the end, fields never change, and a keeper is sent only what its version understands.

use serde::{Deserialize, Serialize};

pub use super::attempt::{Attempt, Task};
pub use super::extras::{GivenOutput, OwnResources, StartExtras};
use crate::domain::{End, Share, Span, StopCause, Timestamp, Usage};
use crate::seal::OutputKeys;

/// The version that both sides name in their `Hello`. A new message or a new extra of a start makes a new
/// version: while an older keeper lives, the daemon claims no run that needs it.
pub const PROTOCOL_VERSION: u32 = 9;

/// The first version whose keepers understand `Signal`.
const VERSION_OF_SIGNALS: u32 = 6;

/// The first version whose keepers understand `Start` and `Seek` as they are now, give the output of each
/// attempt a file of its own, and limit it. An earlier keeper is sent neither: it finishes what it runs.
pub const VERSION_OF_STARTS: u32 = 7;

/// The first version whose keepers know resources, by the extras `Needs` and `Share` and by `Holds`, and the
/// scripts of gates.
const VERSION_OF_REQUIREMENTS: u32 = 8;

/// The first version whose keepers seal outputs.
const VERSION_OF_SEALS: u32 = 9;

/// A keeper's identity: random, positive, new for each keeper process.
pub type KeeperInstance = i64;

/// A keeper that has said hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeeperId {
    pub instance: KeeperInstance,
    pub version: u32,
}

impl KeeperId {
    /// Returns whether it can start attempts, and find those that another keeper started, of a store that is
    /// sealed or not.
    pub fn takes_starts(self, is_sealed: bool) -> bool {
        self.version >= VERSION_OF_STARTS && (!is_sealed || self.knows_seals())
    }

    /// Returns whether it can be given keys, to seal the outputs that it writes.
    pub fn knows_seals(self) -> bool {
        self.version >= VERSION_OF_SEALS
    }

    /// Returns whether runs that need resources can be claimed for it, and scripts of gates given to it, of a
    /// store that is sealed or not.
    pub fn knows_requirements(self, is_sealed: bool) -> bool {
        self.version >= VERSION_OF_REQUIREMENTS && self.takes_starts(is_sealed)
    }

    /// Returns whether it can send any signal.
    pub fn takes_signals(self) -> bool {
        takes_signals(self.version)
    }

    /// Returns whether another keeper should take its place once it has nothing left.
    pub fn is_outdated(self) -> bool {
        self.version < PROTOCOL_VERSION
    }
}

/// Returns whether a keeper of this version can send any signal.
pub fn takes_signals(version: u32) -> bool {
    version >= VERSION_OF_SIGNALS
}

/// Everything needed to start an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartOrder {
    pub attempt: Attempt,
    /// The queue whose slot it needs.
    pub queue: String,
    /// The queue's width. An order starts when fewer than this many tasks of its queue have a process;
    /// until then it stands by, in order of arrival. The newest number, of an order or a `Resize`, counts
    /// for all that stand by.
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

/// The facts by which a keeper finds an attempt of a keeper that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeekOrder {
    pub attempt: Attempt,
    /// The variables that only this attempt's processes have in their environment.
    pub marks: Vec<Vec<u8>>,
    /// Its process and its start, as far as they are known.
    pub started: Option<(u32, Timestamp)>,
    pub queue: String,
    pub slots: u32,
    /// Counted from the start.
    pub timeout: Option<Span>,
    pub kill_after: Span,
}

/// A message of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToKeeper {
    /// The first message of a connection.
    Hello { version: u32 },
    /// Start this attempt. One that is already known is left as it is. One with an unknown extra is
    /// `NotStarted`.
    Start(StartOrder, StartExtras),
    /// TERM, then KILL after the order's `kill_after`; with `now`, KILL at once. One that stands by is
    /// dropped. One that is not known is ignored: its result is on its way, or was acknowledged.
    Stop { attempt: Attempt, now: bool },
    /// Drop this attempt if it stands by, and report `NotStarted`; else ignore it.
    Recall { attempt: Attempt },
    /// These results are committed: forget them.
    Acknowledge { attempts: Vec<Attempt> },
    /// A queue has another width, which counts for all that stand by in it. Running tasks are left alone.
    Resize { queue: String, slots: u32 },
    /// Find the processes of this attempt, report `Unattended` and watch them; else report `Ended`:
    /// `NotStarted` if it never began, `Lost` if it did.
    Seek(SeekOrder),
    /// Send this signal to all processes of the attempt. It does not count as a stop. An attempt without a
    /// process is ignored.
    Signal { attempt: Attempt, signal: i32 },
    /// This attempt has booked this share, so that it needs only a slot. One that does not stand by is left
    /// as it is.
    Give { attempt: Attempt, share: Share },
    /// Seal outputs with the newest of these keys. It comes after the hello of a keeper of a sealed store,
    /// before any start, and again when there are others. `Channel::send_secret` sends it.
    Seal(OutputKeys),
}

/// A process that a keeper has, or an order that stands by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub attempt: Attempt,
    /// Its process and its start; `None` while it stands by.
    pub started: Option<(u32, Timestamp)>,
}

/// An attempt's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub attempt: Attempt,
    /// Its process id, 0 if it had no process.
    pub pid: u32,
    /// When its process was started, if it had one.
    pub started_at: Option<Timestamp>,
    /// When its end was seen.
    pub finished_at: Timestamp,
    pub end: End,
    /// Set if the keeper had sent it a signal before it ended, or had dropped it on a `Stop`.
    pub stopped: Option<StopCause>,
    pub usage: Usage,
    /// The length of its log when it ended: of what is kept of the output, with the marks for what is not.
    /// A standard error of its own is not counted.
    pub output_bytes: u64,
    /// Other processes could still write to one of its outputs then.
    pub is_output_open: bool,
}

impl Ended {
    /// Returns the result of an attempt that had no process.
    pub fn without_process(attempt: Attempt, end: End, finished_at: Timestamp) -> Self {
        Self {
            attempt,
            pid: 0,
            started_at: None,
            finished_at,
            end,
            stopped: None,
            usage: Usage::default(),
            output_bytes: 0,
            is_output_open: false,
        }
    }
}

/// A message of the keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromKeeper {
    /// The answer to `Hello`.
    Hello {
        version: u32,
        instance: KeeperInstance,
        /// All that it runs or has standing by.
        known: Vec<Known>,
        /// Every result that is not acknowledged.
        ended: Vec<Ended>,
    },
    /// An attempt has a process.
    Started {
        attempt: Attempt,
        /// Its process id, also its process group and session.
        pid: u32,
        at: Timestamp,
    },
    /// An attempt is over.
    Ended(Ended),
    /// The answer to `Seek`: the attempt's processes run, and their exit status will stay unknown.
    Unattended {
        attempt: Attempt,
        /// The keeper that watches it from now on.
        keeper: KeeperInstance,
        /// Its process group.
        pid: u32,
        /// When it was started, as far as is known.
        at: Timestamp,
    },
    /// An attempt could not be started just now; it is tried again until it is cancelled, or for a minute.
    Delayed {
        attempt: Attempt,
        /// Why, a fragment for a person.
        cause: String,
    },
    /// An attempt that stood by has this share of a run that has ended. It comes before its `Started`, and
    /// again before each `Hello` until its end is acknowledged; so it always comes before the end of the run
    /// that had the share.
    Holds { attempt: Attempt, share: Share },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wire::{FRAME_BYTES_MAX, FrameError, FrameReader, encode};
    use super::*;
    use crate::domain::{JobId, RunId, Size, Stdin};
    use crate::seal::{DataKey, DataKeys, KeyId};

    fn attempt(job: i64) -> Attempt {
        Attempt::of_run(RunId { job: JobId(job), number: 1 }, 1)
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

    fn tasks() -> impl Strategy<Value = Task> {
        let run = |(job, number)| Task::Run(RunId { job: JobId(job), number });
        prop_oneof![
            any::<i64>().prop_map(Task::Mail),
            any::<i64>().prop_map(Task::Gate),
            any::<i64>().prop_map(Task::Executor),
            (1..i64::MAX, 1..i64::MAX).prop_map(run)
        ]
    }

    fn attempts() -> impl Strategy<Value = Attempt> {
        (tasks(), any::<u32>()).prop_map(|(task, number)| Attempt { task, number })
    }

    fn messages() -> impl Strategy<Value = ToKeeper> {
        let words = || prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6);
        let stdin = prop_oneof![
            Just(Stdin::Null),
            any::<Vec<u8>>().prop_map(Stdin::Path),
            any::<Vec<u8>>().prop_map(Stdin::Text)
        ];
        let limit = any::<Option<u64>>().prop_map(|limit| limit.map(Size::from_bytes));
        let given = prop::option::of(attempts().prop_map(GivenOutput::OfAttempt));
        let more = (limit, any::<Option<i32>>(), any::<Option<Vec<u8>>>(), given);
        let extras = (stdin, any::<Option<String>>(), any::<[bool; 4]>(), more).prop_map(
            |(stdin, user, [cwd_optional, split_output, enforce, has_unknown], more)| {
                let (log_limit, nice, env_file, given) = more;
                let extras =
                    StartExtras { stdin, user, cwd_optional, log_limit, nice, ..StartExtras::default() };
                StartExtras { env_file, given, split_output, enforce, has_unknown, ..extras }
            },
        );
        prop_oneof![
            any::<u32>().prop_map(|version| ToKeeper::Hello { version }),
            (attempts(), any::<bool>()).prop_map(|(attempt, now)| ToKeeper::Stop { attempt, now }),
            (attempts(), any::<i32>()).prop_map(|(attempt, signal)| ToKeeper::Signal { attempt, signal }),
            prop::collection::vec(attempts(), 0..50).prop_map(|attempts| ToKeeper::Acknowledge { attempts }),
            (words(), words(), any::<Option<u64>>(), extras).prop_map(|(argv, env, timeout, extras)| {
                let timeout = timeout.map(Span::from_micros);
                ToKeeper::Start(StartOrder { env, timeout, ..order(argv) }, extras)
            }),
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

        #[test]
        fn the_name_of_a_task_reads_back(task in tasks()) {
            prop_assert_eq!(Task::from_name(&task.to_string()), Some(task));
        }
    }

    #[test]
    fn other_names_are_no_tasks() {
        for other in ["", "12", "a.b", "1.2.3", "mail-", "mail-x", "mail-1.2", "keeper-7.ended"] {
            assert_eq!(Task::from_name(other), None, "{other}");
        }
    }

    fn encoded(message: &impl Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(message, &mut bytes).expect("short enough");
        bytes
    }

    #[test]
    fn what_an_earlier_keeper_is_sent_has_the_bytes_that_it_knows() {
        let mail = Attempt::of_mail(5);
        assert_eq!(encoded(&ToKeeper::Hello { version: 2 }), [2, 0, 0, 0, 0, 2]);
        assert_eq!(encoded(&ToKeeper::Stop { attempt: attempt(3), now: true }), [5, 0, 0, 0, 2, 6, 2, 1, 1]);
        assert_eq!(encoded(&ToKeeper::Recall { attempt: attempt(3) }), [4, 0, 0, 0, 3, 6, 2, 1]);
        assert_eq!(encoded(&ToKeeper::Acknowledge { attempts: vec![mail] }), [5, 0, 0, 0, 4, 1, 0, 10, 1]);
    }

    #[test]
    fn a_sealed_store_needs_a_keeper_that_can_seal() {
        let keeper = |version| KeeperId { instance: 1, version };
        let [old, new] = [VERSION_OF_SEALS - 1, VERSION_OF_SEALS].map(keeper);
        assert_eq!([old, new].map(|keeper| keeper.takes_starts(false)), [true, true]);
        assert_eq!([old, new].map(|keeper| keeper.takes_starts(true)), [false, true]);
        assert_eq!([old, new].map(|keeper| keeper.knows_requirements(true)), [false, true]);
    }

    #[test]
    fn a_message_with_keys_leaves_none_behind_in_the_buffer() {
        let keys = [(KeyId(1), DataKey::random())].into_iter().collect();
        let keys = DataKeys::new(keys).expect("there is one").output_keys();
        let seal = encoded(&ToKeeper::Seal(keys.clone()));
        let mut reader = FrameReader::default();
        reader.push(&seal);
        reader.push(&encoded(&ToKeeper::Hello { version: 9 }));
        assert_eq!(reader.take(), Ok(Some(ToKeeper::Seal(keys))));
        reader.wipe_taken();
        assert_eq!(reader.bytes, encoded(&ToKeeper::Hello { version: 9 }));
        assert_eq!(reader.take(), Ok(Some(ToKeeper::Hello { version: 9 })));
    }

    #[test]
    fn an_extra_of_a_later_version_is_passed_over_and_reported() {
        let user = StartExtras { user: Some("nobody".to_owned()), ..StartExtras::default() };
        let mut list: Vec<Vec<u8>> = user.clone().into();
        assert_eq!(StartExtras::from(list.clone()), user);
        list.insert(0, vec![9, 1, 2, 3]);
        assert_eq!(StartExtras::from(list), StartExtras { has_unknown: true, ..user });
        let longer_than_known = vec![vec![2, 1]];
        assert!(StartExtras::from(longer_than_known).has_unknown);
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_by_either_side_and_leaves_the_buffer_unchanged() {
        let mut out = b"before".to_vec();
        let long = ToKeeper::Start(order(vec![vec![b'x'; FRAME_BYTES_MAX]]), StartExtras::default());
        assert!(matches!(encode(&long, &mut out), Err(FrameError::TooLong(_))));
        assert_eq!(out, b"before");
        let mut reader = FrameReader::default();
        reader.push(&u32::MAX.to_le_bytes());
        assert_eq!(reader.take::<ToKeeper>(), Err(FrameError::TooLong(u32::MAX as usize)));
    }

    #[test]
    fn bytes_after_the_message_in_its_frame_are_corruption() {
        let mut reader = FrameReader::default();
        reader.push(&[3, 0, 0, 0, 0, 1, 9]);
        assert_eq!(reader.take::<ToKeeper>(), Err(FrameError::Corrupt));
    }

    #[test]
    fn a_long_message_leaves_no_large_buffer_behind() {
        let mut reader = FrameReader::default();
        reader.push(&encoded(&ToKeeper::Start(order(vec![vec![b'x'; 1 << 20]]), StartExtras::default())));
        assert!(matches!(reader.take::<ToKeeper>(), Ok(Some(ToKeeper::Start(..)))));
        assert_eq!(reader.take::<ToKeeper>(), Ok(None));
        assert_eq!(reader.bytes.capacity(), 0);
    }
}
