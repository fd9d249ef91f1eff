//! Owns: a line of a table with the job that it becomes, and where and as whom tables are read.
//! Never: reading them (see `plan`).

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use crate::crontab::{Finding, MailRule, Note, Variables, Verdict, stable_hash};
use crate::domain::{
    CommandLine, EnvVar, Execution, Mail, Missed, MissedMode, NewJob, Overlap, Policy, QueueName, Span,
    Stdin, Timestamp,
};
use crate::schedule::{Dialect, Zone};
use crate::store::FirstFire;
use crate::system::users::Person;
use crate::system::{login, machine, users};

/// How far back Debian's main loop makes up for fixed jobs: a jump of the clock up to this long passes for
/// daylight saving.
const CATCH_UP: Span = Span::from_seconds(3 * 3_600);

/// cron(8) starts with this mask.
const UMASK: u32 = 0o022;

/// Where and as whom tables are read.
#[derive(Clone)]
pub struct ImportContext {
    /// The current time.
    pub now: Timestamp,
    /// The system's zone.
    pub zone: Zone,
    /// The cron they were written for.
    pub origin: Dialect,
    /// Whose daemon will run the jobs.
    pub own: Person,
    /// The daemon may run jobs as others.
    pub is_root: bool,
    /// What every session gets.
    pub login: Vec<EnvVar>,
    /// Decides the draws of cronie.
    pub host: u64,
    /// The present boot.
    pub boot_id: String,
    /// Looks a user up.
    pub find_user: fn(&str) -> Option<Person>,
    /// Tells whether a directory is there.
    pub is_directory: fn(&Path) -> bool,
}

impl ImportContext {
    /// Looks at this process and machine.
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

/// A line and the job that it becomes.
pub struct TableLine<'a> {
    /// The line, and what there is to say about it.
    pub finding: Finding<'a>,
    /// The job; `None`: the line makes none.
    pub job: Option<PlannedJob>,
}

/// A job to come. What it shares with its neighbours is put together only when it is asked for: ten thousand
/// jobs with a thousand variables each would else be a gigabyte.
pub struct PlannedJob {
    /// Its trigger.
    pub first: FirstFire,
    pub(super) shared: Rc<Shared>,
    pub(super) command: CommandLine,
    pub(super) stdin: Stdin,
    pub(super) user: Option<String>,
    pub(super) is_fixed: bool,
    pub(super) mail: Option<Mail>,
}

impl TableLine<'_> {
    /// Tells whether the line is refused.
    pub fn is_refused(&self) -> bool {
        matches!(self.finding.verdict, Verdict::Refused { .. })
    }
}

/// What all entries of a user under the same variables share.
pub(super) struct Shared {
    pub(super) variables: Variables,
    pub(super) user: Option<Vec<u8>>,
    pub(super) env: Vec<EnvVar>,
    pub(super) cwd: Vec<u8>,
    pub(super) shell: Vec<u8>,
    pub(super) mail: MailRule,
    pub(super) notes: Vec<Caused>,
    /// Its notes stand at their lines.
    pub(super) is_placed: Cell<bool>,
}

/// A note that a variable causes for each job below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Caused {
    /// The variable; where no line sets it, the first job has the note.
    pub by: &'static [u8],
    /// The note.
    pub note: Note,
}

impl PlannedJob {
    /// Returns what the line is known by when its text has changed: who does what.
    pub fn identity(&self) -> (Option<String>, CommandLine) {
        (self.user.clone(), self.command.clone())
    }

    /// Returns the job as it is to be stored.
    pub fn job(&self) -> NewJob {
        let mode = if self.is_fixed { MissedMode::Once } else { MissedMode::Skip };
        let missed = Missed { mode, within: self.is_fixed.then_some(CATCH_UP), ..Missed::default() };
        NewJob {
            name: None,
            tags: Vec::new(),
            execution: Execution {
                command: self.command.clone(),
                cwd: self.shared.cwd.clone(),
                cwd_optional: true,
                env: self.shared.env.clone(),
                umask: UMASK,
                stdin: self.stdin.clone(),
                user: self.user.clone(),
            },
            start: None,
            queue: QueueName::CRON.parse::<QueueName>().expect("it is a name"),
            priority: 0,
            policy: Policy { overlap: Overlap::Allow, missed, ..Policy::default() },
            mail: self.mail.clone(),
            hold: false,
        }
    }
}

/// Returns the zone of a name that was read before; the system's for none.
pub fn zone_of(name: Option<&str>, here: &ImportContext) -> Zone {
    name.and_then(|name| Zone::read(name).ok()).unwrap_or_else(|| here.zone.clone())
}
