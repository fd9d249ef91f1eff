//! Owns: the options of a start that most starts do not need, and their form in messages.
//! Never: the other parts of a start order (see `protocol`).

use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::wire::decode;
use crate::domain::{JobId, Needs, Share, Size, Stdin};

/// The options of a start that most starts do not need.
///
/// In messages it is a list of those extras that differ from the default, each in bytes of its own, so that
/// a keeper can pass over one that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Vec<u8>>", from = "Vec<Vec<u8>>")]
pub struct StartExtras {
    /// What the process reads.
    pub stdin: Stdin,
    /// The user to become, by name, looked up at the start; `None`: the keeper's own.
    pub user: Option<String>,
    /// Where the working directory cannot be entered, `/` will do.
    pub cwd_optional: bool,
    /// How much of the output is kept, if not `NewJob::LOG_LIMIT`.
    pub log_limit: Option<Size>,
    /// The niceness, if not the keeper's.
    pub nice: Option<i32>,
    /// The file with more variables, an absolute path, read at the start.
    pub env_file: Option<Vec<u8>>,
    /// What it reads in place of `stdin`, if that is an output in files.
    pub given: Option<GivenOutput>,
    /// Its standard error has an output of its own.
    pub split_output: bool,
    /// What it has of the resources, or waits for.
    pub resources: Option<Box<OwnResources>>,
    /// It is limited to what it has of CPU and memory, or does not start.
    pub enforce: bool,
    /// One of a later version is among them: the attempt is not started.
    pub has_unknown: bool,
}

/// The resources of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnResources {
    /// If it has booked nothing, what it needs. It stands by until a run of its queue ends with a share that
    /// covers this, and starts in its place with that part of the share.
    pub needs: Needs,
    /// What it has. Its variables say which parts these are.
    pub share: Option<Share>,
}

impl StartExtras {
    /// Returns what it needs before it can start; `None`: a slot is enough.
    pub fn needs(&self) -> Option<&Needs> {
        self.resources.as_deref().map(|resources| &resources.needs).filter(|needs| !needs.is_empty())
    }

    pub fn share(&self) -> Option<&Share> {
        self.resources.as_deref()?.share.as_ref()
    }

    /// Gives it this share, or takes its share away.
    pub fn set_share(&mut self, share: Option<Share>) {
        self.resources.get_or_insert_default().share = share;
    }
}

/// The output of a run that another reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GivenOutput {
    OfAttempt(Attempt),
    /// An array has no output of its own.
    OfArray(JobId),
}

/// Its place in this list is an extra's number in messages.
#[derive(Serialize, Deserialize)]
enum Extra {
    Stdin(Stdin),
    User(String),
    CwdOptional,
    LogLimit(Size),
    Nice(i32),
    EnvFile(Vec<u8>),
    Given(GivenOutput),
    SplitOutput,
    Needs(Needs),
    Share(Share),
    Enforce,
}

/// An extra that no version has.
const UNKNOWN: &[u8] = &[u8::MAX];

impl From<StartExtras> for Vec<Vec<u8>> {
    fn from(extras: StartExtras) -> Self {
        let stdin = (extras.stdin != Stdin::Null).then_some(Extra::Stdin(extras.stdin));
        let user = extras.user.map(Extra::User);
        let cwd_optional = extras.cwd_optional.then_some(Extra::CwdOptional);
        let log_limit = extras.log_limit.map(Extra::LogLimit);
        let nice = extras.nice.map(Extra::Nice);
        let env_file = extras.env_file.map(Extra::EnvFile);
        let given = extras.given.map(Extra::Given);
        let split_output = extras.split_output.then_some(Extra::SplitOutput);
        let OwnResources { needs, share } = extras.resources.map(|own| *own).unwrap_or_default();
        let needs = (!needs.is_empty()).then_some(Extra::Needs(needs));
        let share = share.map(Extra::Share);
        let enforce = extras.enforce.then_some(Extra::Enforce);
        let known = [stdin, user, cwd_optional, log_limit, nice, env_file, given, split_output];
        let known = known.into_iter().chain([needs, share, enforce]).flatten();
        let bytes = known.map(|extra| postcard::to_stdvec(&extra).expect("writing to memory cannot fail"));
        bytes.chain(extras.has_unknown.then(|| UNKNOWN.to_vec())).collect()
    }
}

impl From<Vec<Vec<u8>>> for StartExtras {
    fn from(list: Vec<Vec<u8>>) -> Self {
        let mut extras = Self::default();
        for bytes in list {
            match decode(&bytes) {
                Some(Extra::Stdin(stdin)) => extras.stdin = stdin,
                Some(Extra::User(user)) => extras.user = Some(user),
                Some(Extra::CwdOptional) => extras.cwd_optional = true,
                Some(Extra::LogLimit(limit)) => extras.log_limit = Some(limit),
                Some(Extra::Nice(nice)) => extras.nice = Some(nice),
                Some(Extra::EnvFile(path)) => extras.env_file = Some(path),
                Some(Extra::Given(given)) => extras.given = Some(given),
                Some(Extra::SplitOutput) => extras.split_output = true,
                Some(Extra::Needs(needs)) => extras.resources.get_or_insert_default().needs = needs,
                Some(Extra::Share(share)) => extras.set_share(Some(share)),
                Some(Extra::Enforce) => extras.enforce = true,
                None => extras.has_unknown = true,
            }
        }
        extras
    }
}
