//! Owns: making a job of an entry of a crontab, which runs as cron would run it.
//! Never: storing it (see `diff`).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::causes::{Causes, settle};
use super::planned::{Caused, ImportContext, PlannedJob, Shared, TableLine, zone_of};
use crate::crontab::write::MAILTO;
use crate::crontab::{
    Entry, Finding, Layout, MailRule, Note, Options, Timing, Verdict, environment, mail_rule, read,
};
use crate::domain::{CommandLine, Mail, MailFormat, MailWhen, Person, Stdin, TriggerSpec, Window, value_of};
use crate::engine::first_fire;
use crate::schedule::{Dialect, Schedule, compile};
use crate::store::FirstFire;

/// The directory of a job whose `HOME` is not a path; cron would leave it in cron's own directory.
const NO_HOME: &[u8] = b"/";

/// Reads a table, and makes a job of each of its entries. In a table without users they run as `owner`, or
/// as the user of the daemon if that is `None`.
pub fn read_table<'a>(
    text: &'a [u8],
    layout: Layout,
    owner: Option<&'a str>,
    here: &ImportContext,
) -> Vec<TableLine<'a>> {
    let users = Users { find: here.find_user, found: RefCell::default() };
    let options = Options {
        origin: here.origin,
        layout,
        host: here.host,
        knows_user: &|name| users.find(name).is_some(),
    };
    let findings = read(text, &options);
    let mut shared: Option<Rc<Shared>> = None;
    let owner = owner.map(str::as_bytes);
    let mut causes = Causes::default();
    let mut lines = Vec::with_capacity(findings.len());
    for finding in findings {
        let line = table_line(finding, owner, here, &users, &mut shared);
        let caused = line.job.as_ref().map(|job| Rc::clone(&job.shared));
        lines.push(line);
        causes.pass(&lines);
        // The lines below with the same variables cause the same notes.
        if let Some(caused) = caused
            && !caused.is_placed.replace(true)
        {
            caused.notes.iter().for_each(|caused| causes.place(&mut lines, caused));
        }
    }
    settle(&mut lines, here);
    lines
}

/// A cache of users: a table names the same ones often.
struct Users {
    find: fn(&str) -> Option<Person>,
    found: RefCell<HashMap<Vec<u8>, Option<Person>>>,
}

impl Users {
    fn find(&self, name: &[u8]) -> Option<Person> {
        let look_up = || std::str::from_utf8(name).ok().and_then(self.find);
        self.found.borrow_mut().entry(name.to_owned()).or_insert_with(look_up).clone()
    }
}

fn table_line<'a>(
    mut finding: Finding<'a>,
    owner: Option<&'a [u8]>,
    here: &ImportContext,
    users: &Users,
    shared: &mut Option<Rc<Shared>>,
) -> TableLine<'a> {
    let Verdict::Entry(entry) = &mut finding.verdict else { return TableLine { finding, job: None } };
    entry.user = entry.user.or(owner);
    let is_own = entry.user.is_none_or(|user| user == here.own.name.as_bytes());
    let is_known = entry.user.is_none_or(|user| users.find(user).is_some());
    if !is_known || !is_own && !here.is_root {
        let user = String::from_utf8_lossy(entry.user.unwrap_or_default()).into_owned();
        finding.verdict = Verdict::Refused {
            column: 1,
            cause: if is_known {
                format!("only root's daemon can run a job as `{user}`")
            } else {
                format!("the owner of the table, `{user}`, is not a user")
            },
            hint: is_known.then(|| "import it as root".to_owned()),
        };
        return TableLine { finding, job: None };
    }
    let known = shared.take().filter(|known| {
        Rc::ptr_eq(&known.variables, &entry.variables) && known.user.as_deref() == entry.user
    });
    let known = known.unwrap_or_else(|| Rc::new(share(entry, here, users)));
    let first = entry.timing.as_ref().and_then(|timing| first_of(timing, here));
    let job = first.map(|first| planned(entry, first, Rc::clone(&known), here));
    if job.is_none() && entry.timing.is_some() {
        finding.notes.push(Note::NeverFires);
    }
    *shared = Some(known);
    TableLine { finding, job }
}

fn share(entry: &Entry<'_>, here: &ImportContext, users: &Users) -> Shared {
    let user = entry.user.and_then(|name| users.find(name)).unwrap_or_else(|| here.own.clone());
    let env = environment(&entry.variables, &user, &here.login, here.origin);
    let mail = mail_rule(&entry.variables, &env, &user, here.origin);
    let mut notes = Vec::new();
    let mut note = |by: &'static [u8], note| notes.push(Caused { by, note });
    let shown = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    if mail == MailRule::Unsafe {
        let set = entry.variables.iter().find(|variable| variable.name == MAILTO);
        let address = set.map_or_else(String::new, |variable| shown(&variable.value));
        note(MAILTO, Note::UnsafeAddress { origin: here.origin, address });
    }
    let home = value_of(&env, "HOME").unwrap_or_default();
    let is_path = home.starts_with(b"/");
    if !is_path || !(here.is_directory)(Path::new(OsStr::from_bytes(home))) {
        note(b"HOME", Note::HomeMissing(shown(home)));
    }
    // Whether it exists is decided at each start: it may be mounted by then, or gone.
    let cwd = if is_path { home } else { NO_HOME }.to_vec();
    let shell = value_of(&env, "SHELL").unwrap_or_default();
    let shell = if shell.contains(&b'/') {
        shell.to_vec()
    } else {
        // cron starts it by execle(3), which does not search PATH.
        note(b"SHELL", Note::ShellNotFound(shown(shell)));
        [b"./", shell].concat()
    };
    let variables = Rc::clone(&entry.variables);
    let user = entry.user.map(<[u8]>::to_vec);
    Shared { variables, user, env, cwd, shell, mail, notes, is_placed: Cell::new(false) }
}

fn planned(entry: &Entry<'_>, first: FirstFire, shared: Rc<Shared>, here: &ImportContext) -> PlannedJob {
    let text = entry.command.command.clone();
    let command = if shared.shell == b"/bin/sh" {
        CommandLine::Script(text)
    } else {
        CommandLine::Argv(vec![shared.shell.clone(), b"-c".to_vec(), text])
    };
    let is_other = |user: &&[u8]| *user != here.own.name.as_bytes();
    PlannedJob {
        first,
        command,
        stdin: entry.command.stdin.clone().map_or(Stdin::Null, Stdin::Text),
        user: entry.user.filter(is_other).map(|user| String::from_utf8_lossy(user).into_owned()),
        is_fixed: entry.is_fixed,
        mail: mail_of(entry, &shared, here),
        shared,
    }
}

fn mail_of(entry: &Entry<'_>, shared: &Shared, here: &ImportContext) -> Option<Mail> {
    let MailRule::To(to) = &shared.mail else { return None };
    let format = match here.origin {
        Dialect::Debian => MailFormat::Debian,
        Dialect::Cronie => MailFormat::Cronie,
    };
    let when = if entry.mails_failures_only { MailWhen::Failed } else { MailWhen::Output };
    Some(Mail { to: to.clone(), when, format })
}

/// Returns the trigger with its first fire; `None` if it never fires.
fn first_of(timing: &Timing, here: &ImportContext) -> Option<FirstFire> {
    let Timing { expr, zone, delay, schedule: _ } = timing;
    let spec = TriggerSpec::Cron { expr: expr.clone(), zone: zone.clone(), delay: *delay };
    let schedule = compile(&spec).expect("the expression is one of ours");
    if schedule == Schedule::Reboot {
        return Some(FirstFire { spec, next_at: None, boot_id: Some(here.boot_id.clone()), marks: None });
    }
    let zone = zone_of(zone.as_deref(), here);
    let next_at = first_fire(&schedule, &zone, Window::default(), here.now)?;
    Some(FirstFire { spec, next_at: Some(next_at), boot_id: None, marks: None })
}
