//! Owns: a line of a table with its job, and the context in which tables are read.
//! Never: reading them (see `plan`).

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use crate::crontab::{Finding, MailRule, Note, Variables, Verdict};
use crate::domain::{
    CommandLine, EnvVar, Execution, Mail, Missed, MissedMode, NewJob, Overlap, Person, Policy, QueueName,
    Span, Stdin, Timestamp, stable_hash,
};
use crate::schedule::{Dialect, Zone};
use crate::store::FirstFire;
use crate::system::{login, machine, users};

/// How far back Debian's cron makes up for jobs at fixed times: it takes a shorter jump of the clock for
/// daylight saving.
const CATCH_UP: Span = Span::from_seconds(3 * 3_600);

const UMASK: u32 = 0o022;

/// The machine and the user for which tables are read.
#[derive(Clone)]
pub struct ImportContext {
    pub now: Timestamp,
    pub zone: Zone,
    /// The cron that the tables were written for.
    pub origin: Dialect,
    pub own: Person,
    /// The daemon may run jobs as other users.
    pub is_root: bool,
    /// The environment of every session.
    pub login: Vec<EnvVar>,
    /// The seed for cronie's random delays.
    pub host: u64,
    pub boot_id: String,
    pub find_user: fn(&str) -> Option<Person>,
    pub is_directory: fn(&Path) -> bool,
}

impl ImportContext {
    /// Returns the context of this process on this machine.
    pub fn of_process(now: Timestamp, zone: Zone, origin: Option<Dialect>) -> Self {
        let installed = if machine::has_cronie() { Dialect::Cronie } else { Dialect::Debian };
        Self {
            now,
            zone,
            origin: origin.unwrap_or(installed),
            own: users::person(None),
            is_root: users::is_root(),
            login: login::login_environment(),
            host: stable_hash(0, machine::machine_id().as_bytes()),
            boot_id: machine::boot_id(),
            find_user: users::find_person,
            is_directory: Path::is_dir,
        }
    }
}

/// A line and its job, if it makes one.
pub struct TableLine<'a> {
    pub finding: Finding<'a>,
    pub job: Option<PlannedJob>,
}

/// A job of a table. `job` makes its environment on demand: ten thousand jobs with a thousand variables each
/// would take a gigabyte.
pub struct PlannedJob {
    pub first: FirstFire,
    pub(super) shared: Rc<Shared>,
    pub(super) command: CommandLine,
    pub(super) stdin: Stdin,
    pub(super) user: Option<String>,
    pub(super) is_fixed: bool,
    pub(super) mail: Option<Mail>,
}

impl TableLine<'_> {
    pub fn is_refused(&self) -> bool {
        matches!(self.finding.verdict, Verdict::Refused { .. })
    }
}

/// The part that entries of one user under the same variables share.
pub(super) struct Shared {
    pub(super) variables: Variables,
    pub(super) user: Option<Vec<u8>>,
    pub(super) env: Vec<EnvVar>,
    pub(super) cwd: Vec<u8>,
    pub(super) shell: Vec<u8>,
    pub(super) mail: MailRule,
    pub(super) notes: Vec<Caused>,
    /// The notes are at their lines.
    pub(super) is_placed: Cell<bool>,
}

/// A note that a variable causes for the jobs below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Caused {
    /// The variable. If no line sets it, the note is at the first job.
    pub by: &'static [u8],
    pub note: Note,
}

impl PlannedJob {
    /// Returns the identity of an edited line: the user and the command.
    pub fn identity(&self) -> (Option<String>, CommandLine) {
        (self.user.clone(), self.command.clone())
    }

    /// Returns the job to store.
    pub fn job(&self) -> NewJob {
        let mode = if self.is_fixed { MissedMode::Once } else { MissedMode::Skip };
        let missed = Missed { mode, within: self.is_fixed.then_some(CATCH_UP), ..Missed::default() };
        let execution = Execution {
            command: self.command.clone(),
            cwd: self.shared.cwd.clone(),
            cwd_optional: true,
            env: self.shared.env.clone(),
            env_file: None,
            umask: UMASK,
            nice: None,
            stdin: self.stdin.clone(),
            user: self.user.clone(),
        };
        NewJob {
            queue: QueueName::CRON.parse::<QueueName>().expect("it is a name"),
            policy: Policy { overlap: Some(Overlap::Allow), missed, ..Policy::default() },
            mail: self.mail.clone(),
            ..NewJob::of(execution)
        }
    }
}

/// Returns the zone of a name that is known to be valid, or the system's.
pub fn zone_of(name: Option<&str>, here: &ImportContext) -> Zone {
    name.and_then(|name| Zone::read(name).ok()).unwrap_or_else(|| here.zone.clone())
}
