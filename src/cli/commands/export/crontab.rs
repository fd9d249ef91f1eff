//! Owns: jobs as lines of a crontab(5) for the user who asks.
//! Never: how such lines are quoted (see `crontab::write`).
//!
//! A line must do what the job does, under cron's rules: cron starts each fire whatever else runs, in the
//! home directory, with an environment of its own, and makes up for at most three hours of fires.

use super::job::{ExportedJob, Trigger};
use super::session;
use super::warnings::{ExportWarnings, warn_of_policies};
use crate::crontab::write::{MAILTO, OWN, TableJob, Vars, assignment, quoted, write};
use crate::crontab::{MailRule, Variable, environment, mail_rule};
use crate::domain::{
    CommandLine, EnvVar, Mail, MailWhen, MissedMode, Overlap, Person, Policy, QueueName, Span, Stdin,
    Timestamp, TriggerSpec,
};
use crate::schedule::{Dialect, Zone};
use crate::shown::escaped_bytes;
use crate::store::JobView;
use crate::system::{login, machine, users};

/// How many hours of skipped fires cron makes up for after a jump of the clock.
const CRON_MAKES_UP: Span = Span::from_seconds(3 * 3_600);

const UMASK: u32 = 0o022;

/// Words that sh(1) interprets itself as the first word of a command, even if there is such a program.
const SHELL_WORDS: &str = "\
    : . [ alias bg break case cd command continue do done echo elif else esac eval exec exit export \
    false fc fg fi for function getopts hash if in jobs kill local printf pwd read readonly return set \
    shift test then time times trap true type ulimit umask unalias unset until wait while { } !";

/// Writes the jobs as a crontab.
pub(super) fn table(
    jobs: &[ExportedJob],
    now: Timestamp,
    here: &TargetCron,
    warnings: &mut ExportWarnings,
) -> Vec<u8> {
    let writer = Writer { now, here };
    let mut written: Vec<(&ExportedJob, ExportWarnings)> = Vec::new();
    let mut entries = Vec::new();
    let mut dropped = Vec::new();
    for exported in jobs {
        let mut of_job = ExportWarnings::default();
        match writer.entry(exported, &mut dropped, &mut of_job) {
            Ok(entry) => {
                entries.push(entry);
                written.push((exported, of_job));
            }
            Err(why) => warnings.leave_out(&exported.job, format_args!("crontab(5) cannot say {why}")),
        }
    }
    let (text, refused) = write(&entries, &here.base(), here.dialect);
    for (index, (exported, of_job)) in written.into_iter().enumerate() {
        match refused.iter().find(|(other, _)| *other == index) {
            Some((_, why)) => warnings.leave_out(&exported.job, format_args!("crontab(5) cannot say {why}")),
            None => warnings.append(of_job),
        }
    }
    warnings.remark_dropped(&dropped);
    text
}

/// The cron that will read the table.
pub(super) struct TargetCron {
    /// The system's zone, which cron uses.
    pub(super) zone: Zone,
    /// The owner of the table.
    pub(super) owner: Person,
    pub(super) dialect: Dialect,
    /// The environment of every session, which cron's jobs get too.
    pub(super) login: Vec<EnvVar>,
}

impl TargetCron {
    /// Returns the cron of this machine, with a table of this user.
    pub(super) fn of_process(zone: Zone) -> Self {
        let dialect = if machine::has_cronie() { Dialect::Cronie } else { Dialect::Debian };
        Self { zone, owner: users::person(None), dialect, login: login::login_environment() }
    }

    /// Returns the variables that cron sets, with the owner as `MAILTO`.
    fn base(&self) -> Vars {
        let mut vars = Vars::from([(MAILTO.to_vec(), self.owner.name.clone().into_bytes())]);
        for var in environment(&[], &self.owner, &self.login, self.dialect) {
            let at = var.iter().position(|byte| *byte == b'=').unwrap_or(var.len());
            vars.insert(var[..at].to_vec(), var.get(at + 1..).unwrap_or_default().to_vec());
        }
        vars
    }
}

struct Writer<'a> {
    now: Timestamp,
    here: &'a TargetCron,
}

impl Writer<'_> {
    /// Returns a job's entry, or why it cannot have one.
    fn entry(
        &self,
        exported: &ExportedJob,
        dropped: &mut Vec<String>,
        warnings: &mut ExportWarnings,
    ) -> Result<TableJob, String> {
        let job = &exported.job;
        if let Some(user) =
            job.definition.execution.user.as_ref().filter(|user| **user != self.here.owner.name)
        {
            return Err(format!("`--user {user}` in a user's own table"));
        }
        let schedules = self.schedules(exported, warnings)?;
        let mut vars = self.vars(exported, dropped, warnings);
        let (shell, command) = self.command(job, &vars);
        vars.insert(b"SHELL".to_vec(), shell);
        if schedules.iter().any(|schedule| schedule.starts_with('@')) && command.starts_with(b"=") {
            return Err("a command that begins with `=` after a nickname".to_owned());
        }
        let input = match &job.definition.execution.stdin {
            Stdin::Text(text) => Some(text.clone()),
            Stdin::Null | Stdin::Path(_) => None,
        };
        self.warn_of_policies(job, warnings);
        if command.windows(2).any(|pair| pair == b"\\\\" || pair == b"\\%") {
            warnings.remark(
                job,
                match self.here.dialect {
                    Dialect::Debian => {
                        "written for Debian's cron, which turns two backslashes into one; cronie keeps both"
                    }
                    Dialect::Cronie => {
                        "written for cronie, which keeps two backslashes; Debian's cron turns them into one"
                    }
                },
            );
        }
        Ok(TableJob {
            title: job.definition.name.as_ref().map(ToString::to_string),
            schedules,
            vars,
            command,
            input,
            is_off: job.paused_at.is_some(),
        })
    }

    fn schedules(
        &self,
        exported: &ExportedJob,
        warnings: &mut ExportWarnings,
    ) -> Result<Vec<String>, String> {
        let mut schedules = Vec::new();
        let mut lost = Vec::new();
        for trigger in &exported.triggers {
            match self.schedule(trigger) {
                Ok(schedule) => {
                    if let TriggerSpec::Cron { delay, .. } = &trigger.spec
                        && *delay != Span::ZERO
                    {
                        warnings.drop_option(
                            &exported.job,
                            format_args!("crontab(5) cannot say a delay of {delay}"),
                        );
                    }
                    schedules.push(schedule);
                }
                Err(why) => lost.push(why),
            }
        }
        if schedules.is_empty() {
            return Err(if lost.is_empty() {
                "a job without a trigger".to_owned()
            } else {
                lost.join(", nor ")
            });
        }
        for why in lost {
            warnings.drop_option(&exported.job, format_args!("crontab(5) cannot say {why}"));
        }
        Ok(schedules)
    }

    fn schedule(&self, trigger: &Trigger) -> Result<String, String> {
        match &trigger.spec {
            TriggerSpec::At { at, .. } => Err(format!("`--at {at}`")),
            TriggerSpec::Every { period, .. } => Err(format!("`--every {period}`")),
            TriggerSpec::AfterEnd { period, .. } => Err(format!("`--every {period} --after-end`")),
            TriggerSpec::Event(event) => Err(format!("`--on {event}`")),
            TriggerSpec::Calendar { expr, .. } => Err(format!("`--calendar '{expr}'`")),
            TriggerSpec::Cron { expr, .. } if trigger.spec.is_boot() => Ok(expr.clone()),
            TriggerSpec::Cron { expr, .. } if expr.split(' ').count() > 5 => {
                Err(format!("`--cron '{expr}'`: seconds"))
            }
            TriggerSpec::Cron { zone: Some(zone), .. } if zone != self.here.zone.name() => {
                Err(format!("`--tz {zone}`: Debian's cron only has the system's zone, `CRON_TZ` is cronie's"))
            }
            TriggerSpec::Cron { expr, .. } => Ok(expr.clone()),
        }
    }

    /// Returns the variables that a job's lines need.
    fn vars(&self, exported: &ExportedJob, dropped: &mut Vec<String>, warnings: &mut ExportWarnings) -> Vars {
        let job = &exported.job;
        let base = self.here.base();
        let mut vars = Vars::new();
        let mut is_said = false;
        for (name, value) in session::without(&exported.env, dropped) {
            let shown = String::from_utf8_lossy(name);
            if name == MAILTO {
                is_said = self.mails_so(job, name, value);
                if !is_said {
                    warnings
                        .drop_option(job, "crontab(5) cannot say the variable `MAILTO` apart from `--mail`");
                } else {
                    vars.insert(name.to_vec(), value.to_vec());
                }
            } else if (name == b"LOGNAME" || name == b"USER" && self.here.dialect == Dialect::Cronie)
                && base.get(name).is_some_and(|own| own != value)
            {
                warnings.drop_option(
                    job,
                    format_args!("crontab(5) cannot say the variable `{shown}`: cron sets that one"),
                );
            } else if let Err(why) = assignment(name, value) {
                warnings.drop_option(
                    job,
                    format_args!("crontab(5) cannot say the variable `{shown}` because of {why}"),
                );
            } else {
                vars.insert(name.to_vec(), value.to_vec());
            }
        }
        for name in OWN {
            let own = base.get(name).expect("the base has what cron sets");
            vars.entry(name.to_vec()).or_insert_with(|| own.clone());
        }
        if !is_said {
            let mut mailto =
                job.definition.mail.as_ref().map_or(Vec::new(), |mail| mail.to.clone().into_bytes());
            if let Err(why) = assignment(MAILTO, &mailto) {
                warnings.drop_option(
                    job,
                    format_args!("crontab(5) cannot say the addresses of `--mail` because of {why}"),
                );
                mailto.clear();
            }
            // Cron mails the owner without a `MAILTO`.
            if base.get(MAILTO) != Some(&mailto) {
                vars.insert(MAILTO.to_vec(), mailto);
            }
        }
        vars
    }

    /// Tells whether cron mails the same addresses as the job if its table sets this variable.
    fn mails_so(&self, job: &JobView, name: &[u8], value: &[u8]) -> bool {
        let variable = Variable { name: name.to_vec(), value: value.to_vec() };
        let env = environment(
            std::slice::from_ref(&variable),
            &self.here.owner,
            &self.here.login,
            self.here.dialect,
        );
        let rule = mail_rule(&[variable], &env, &self.here.owner, self.here.dialect);
        let is_so = match (rule, &job.definition.mail) {
            (MailRule::To(to), Some(mail)) => to == mail.to,
            (MailRule::Nobody | MailRule::Unsafe, None) => true,
            (MailRule::To(_), None) | (MailRule::Nobody | MailRule::Unsafe, Some(_)) => false,
        };
        is_so && assignment(name, value).is_ok()
    }

    /// Returns the shell for cron, and the command for that shell.
    fn command(&self, job: &JobView, vars: &Vars) -> (Vec<u8>, Vec<u8>) {
        const SH: &[u8] = b"/bin/sh";
        let var = |name: &[u8]| vars.get(name).map(Vec::as_slice).unwrap_or_default();
        let (shell, home) = (var(b"SHELL"), var(b"HOME"));
        let moves = job.definition.execution.cwd != home
            || job.definition.execution.umask != UMASK
            || matches!(job.definition.execution.stdin, Stdin::Path(_));
        let cd = (job.definition.execution.cwd != home)
            .then(|| [b"cd ".to_vec(), quoted(&job.definition.execution.cwd)].concat());
        let umask = (job.definition.execution.umask != UMASK)
            .then(|| format!("umask {:03o}", job.definition.execution.umask).into_bytes());
        let set_shell = (shell != SH).then(|| [b"SHELL=".to_vec(), quoted(shell)].concat());
        let from = match &job.definition.execution.stdin {
            Stdin::Path(path) => Some([b"< ".to_vec(), quoted(path)].concat()),
            Stdin::Null | Stdin::Text(_) => None,
        };
        let mut text = Vec::new();
        let mut put = |part: Option<Vec<u8>>, behind: &[u8]| {
            if let Some(part) = part {
                text.extend(part);
                text.extend(behind);
            }
        };
        match &job.definition.execution.command {
            CommandLine::Argv(words) => match words.as_slice() {
                // The form that an import makes for a table that sets SHELL.
                [program, option, script] if program == shell && option == b"-c" && !moves => {
                    return (program.clone(), trimmed(script).to_vec());
                }
                words => {
                    put(cd, b" && ");
                    put(umask, b" && ");
                    put(set_shell, b" ");
                    put(Some(simple_command(words)), b"");
                    put(from.map(|from| [b" ".to_vec(), from].concat()), b"");
                }
            },
            // It may be a list of commands: `&&` would bind to the first one only.
            CommandLine::Script(script) => {
                put(cd, b" || exit; ");
                put(umask, b"; ");
                put(set_shell, b"; ");
                put(from.map(|from| [b"exec ".to_vec(), from].concat()), b"; ");
                put(Some(trimmed(script).to_vec()), b"");
            }
            CommandLine::Sealed => unreachable!("an export needs the key"),
        }
        (SH.to_vec(), text)
    }

    fn warn_of_policies(&self, job: &JobView, warnings: &mut ExportWarnings) {
        let overlap = job.definition.policy.overlap_of_instants();
        let Policy { overlap: _, missed, timeout, kill_after, start_by: _ } = job.definition.policy;
        let mut unsaid =
            |option: String| warnings.drop_option(job, format_args!("crontab(5) cannot say `{option}`"));
        if overlap != Overlap::Allow {
            unsaid(format!("--overlap {overlap}"));
        }
        let is_cronlike = match missed.mode {
            MissedMode::Once => missed.within.is_none_or(|within| within == CRON_MAKES_UP),
            MissedMode::Skip => true,
            MissedMode::All => false,
        };
        warn_of_policies(job, self.now, &mut unsaid);
        // The queue of imported jobs is as wide as cron.
        if ![QueueName::DEFAULT, QueueName::CRON].contains(&job.definition.queue.as_str()) {
            unsaid(format!("--queue {}", job.definition.queue));
        }
        if !is_cronlike {
            let within = missed.within.map_or(String::new(), |within| format!(",{within}"));
            unsaid(format!("--missed {}{within}", missed.mode));
        }
        if let Some(jitter) = job.definition.jitter {
            unsaid(format!("--jitter {jitter}"));
        }
        if let Some(timeout) = timeout {
            unsaid(format!("--timeout {timeout}"));
        }
        if let Some(path) = &job.definition.execution.env_file {
            unsaid(format!("--env-file {}", escaped_bytes(path)));
        }
        if let Some(nice) = job.definition.execution.nice {
            unsaid(format!("--nice {nice}"));
        }
        if kill_after != Policy::default().kill_after {
            unsaid(format!("--kill-after {kill_after}"));
        }
        if let Some(Mail { to, when: when @ (MailWhen::Failed | MailWhen::Always), .. }) =
            &job.definition.mail
        {
            unsaid(format!("--mail {to},{when}"));
        }
    }
}

/// Writes a program and its arguments so that a shell starts that program, and no builtin.
fn simple_command(words: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let is_shells = index == 0 && SHELL_WORDS.split_ascii_whitespace().any(|own| own.as_bytes() == word);
        if is_shells {
            text.extend(b"exec ");
        }
        if index > 0 {
            text.push(b' ');
        }
        let is_bare = quoted(word) == *word;
        // `A=1` would be an assignment.
        if index == 0 && is_bare && word.contains(&b'=') {
            text.extend([b"'".as_slice(), word, b"'"].concat());
        } else {
            text.extend(quoted(word));
        }
    }
    text
}

/// Removes blanks before a script, as cron does, and newlines after it, which a shell ignores.
fn trimmed(script: &[u8]) -> &[u8] {
    let mut whole = script.trim_ascii_start();
    while let Some(rest) = whole.strip_suffix(b"\n") {
        // After a backslash a newline is not ignored.
        if rest.ends_with(b"\\") {
            break;
        }
        whole = rest;
    }
    whole
}
