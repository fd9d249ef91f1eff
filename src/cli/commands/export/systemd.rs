//! Owns: jobs as service units, and as the timer and path units that start them.
//! Never: quoting (see `units`), calendar lines (see `schedule`), path lines (see `paths`).

use std::fmt::Write;

use super::job::{ExportedJob, Trigger, called};
use super::paths::{self, PathKey, PathLine};
use super::warnings::{self, ExportWarnings};
use super::{session, units};
use crate::cli::view::tables::trigger_text;
use crate::domain::{
    CommandLine, Counter, EventSource, MachineState, MissedMode, Overlap, QueueName, Span, Stdin, Timestamp,
    TriggerSpec,
};
use crate::schedule::{Schedule, Zone};
use crate::store::JobView;

/// How far ahead to look at changes of the clock: ten years.
const HORIZON: Span = Span::from_seconds(3_652 * 86_400);

/// Writes the units of each job: its service, and a timer and a path unit for the triggers that need one.
pub(super) fn units(jobs: &[ExportedJob], now: Timestamp, warnings: &mut ExportWarnings) -> Vec<u8> {
    let mut text = String::new();
    let mut dropped = Vec::new();
    for exported in jobs {
        let mut of_job = ExportWarnings::default();
        let unit = unit_name(&exported.job);
        let is_taken = |other: &ExportedJob| other.job.id != exported.job.id && unit_name(&other.job) == unit;
        let written = if exported.job.definition.name.is_none() && jobs.iter().any(is_taken) {
            Err(format!("another job is called `{unit}`"))
        } else {
            job_units(exported, &unit, now, &mut dropped, &mut of_job)
        };
        match written {
            Ok(units) => {
                let gap = if text.is_empty() { "" } else { "\n" };
                text.push_str(gap);
                text.push_str(&units);
                warnings.append(of_job);
            }
            Err(why) => warnings.leave_out(&exported.job, why),
        }
    }
    warnings.remark_dropped(&dropped);
    text.into_bytes()
}

fn unit_name(job: &JobView) -> String {
    job.definition.name.as_ref().map_or_else(|| format!("taskq-{}", job.id), ToString::to_string)
}

/// What starts a service.
#[derive(Default)]
struct Starts {
    /// Lines of its timer.
    timer: Vec<String>,
    /// Lines of its path unit.
    paths: Vec<PathLine>,
    at_boot: bool,
}

impl Starts {
    fn are_none(&self) -> bool {
        self.timer.is_empty() && self.paths.is_empty() && !self.at_boot
    }
}

fn job_units(
    exported: &ExportedJob,
    unit: &str,
    now: Timestamp,
    dropped: &mut Vec<String>,
    warnings: &mut ExportWarnings,
) -> Result<String, String> {
    let job = &exported.job;
    let starts = starts(exported, now, warnings)?;
    let is_held = job.paused_at.is_some();
    let description = units::plain(&format!("job {}", called(job)).replace('`', ""));
    let mut text = format!("# {unit}.service\n[Unit]\nDescription=taskq {description}\n");
    if !starts.paths.is_empty() {
        // The default stops the path unit for good after 5 starts within 10 seconds.
        text.push_str("StartLimitIntervalSec=0\n");
    }
    text.push_str("\n[Service]\nType=oneshot\n");
    text.push_str(&service(exported, dropped, warnings)?);
    let install =
        |target: &str| if is_held { String::new() } else { format!("\n[Install]\nWantedBy={target}\n") };
    if starts.at_boot {
        warnings.remark(job, "units of a user start at boot only with lingering (`loginctl enable-linger`)");
        text.push_str(&install("default.target"));
    }
    if !starts.timer.is_empty() {
        text.push_str(&format!("\n# {unit}.timer\n[Unit]\nDescription=Timer of taskq {description}\n"));
        text.push_str(&timer(job, &starts.timer));
        text.push_str(&install("timers.target"));
    }
    if !starts.paths.is_empty() {
        text.push_str(&format!("\n# {unit}.path\n[Unit]\nDescription=Path of taskq {description}\n"));
        let lines = starts.paths.iter().map(|line| line.text() + "\n").collect::<String>();
        text.push_str(&format!("\n[Path]\n{lines}"));
        text.push_str(&install("paths.target"));
        warn_of_paths(job, &starts.paths, warnings);
    }
    warn_of_policies(job, now, warnings);
    Ok(text)
}

/// Returns the section of a timer with these lines.
fn timer(job: &JobView, lines: &[String]) -> String {
    let mut text = "\n[Timer]\n".to_owned();
    for line in lines {
        text.push_str(&format!("{line}\n"));
    }
    if let Some(jitter) = job.definition.jitter {
        text.push_str(&format!("RandomizedDelaySec={jitter}\nFixedRandomDelay=true\n"));
    }
    let persistent = job.definition.policy.missed.mode != MissedMode::Skip;
    text.push_str(&format!("AccuracySec=1us\nPersistent={persistent}\n"));
    text
}

/// Returns what all triggers are for systemd.
fn starts(exported: &ExportedJob, now: Timestamp, warnings: &mut ExportWarnings) -> Result<Starts, String> {
    let mut starts = Starts::default();
    let mut lost = Vec::new();
    if exported.job.definition.all_of {
        return Err("systemd cannot say `--all-of`".to_owned());
    }
    for trigger in &exported.triggers {
        if is_boot(trigger) {
            starts.at_boot = true;
        } else if let Some(line) = trigger.spec.event().and_then(paths::line) {
            starts.paths.push(line);
        } else if let Some(found) = of_trigger(trigger) {
            for line in found {
                if !starts.timer.contains(&line) {
                    starts.timer.push(line);
                }
            }
        } else {
            lost.push(unsayable(trigger));
        }
    }
    if starts.are_none() {
        let lost = if lost.is_empty() { "a job without a trigger".to_owned() } else { lost.join(", nor ") };
        return Err(format!("systemd cannot say {lost}"));
    }
    for lost in lost {
        warnings.drop_option(&exported.job, format_args!("systemd cannot say {lost}"));
    }
    for trigger in &exported.triggers {
        if let Some(first) = trigger.schedule.first_unlike_systemd(now, now + HORIZON, &trigger.zone) {
            let spec = trigger_text(&trigger.spec, &trigger.zone);
            warnings.drop_option_from(
                &exported.job,
                "systemd fires at other times when the clock changes",
                (first, format!("for `{spec}` at {}", trigger.zone.show(first))),
            );
        }
    }
    Ok(starts)
}

/// Returns whether a trigger fires once after each boot.
fn is_boot(trigger: &Trigger) -> bool {
    let by_state = trigger.spec.event().is_some_and(|event| {
        event.source == EventSource::State(MachineState::Boot) && event.counter == Counter::default()
    });
    by_state || trigger.schedule == Schedule::Reboot
}

fn of_trigger(trigger: &Trigger) -> Option<Vec<String>> {
    let zone = trigger.spec.zone_beside_text();
    // systemd does not know zones in POSIX notation, which have no name.
    if zone.is_some_and(|zone| Zone::named(zone).is_err()) {
        return None;
    }
    match &trigger.spec {
        // As it was given, not as it is normalised.
        TriggerSpec::Calendar { expr, .. } => {
            let zone = zone.map_or(String::new(), |name| format!(" {name}"));
            return Some(vec![format!("OnCalendar={expr}{zone}")]);
        }
        TriggerSpec::AfterEnd { period, .. } => {
            return Some(vec![format!("OnActiveSec={period}"), format!("OnUnitInactiveSec={period}")]);
        }
        TriggerSpec::Cron { .. }
        | TriggerSpec::At { .. }
        | TriggerSpec::Every { .. }
        | TriggerSpec::Event(_) => {}
    }
    let lines = trigger.schedule.on_calendar(zone)?;
    Some(lines.into_iter().map(|line| format!("OnCalendar={line}")).collect())
}

fn unsayable(trigger: &Trigger) -> String {
    match &trigger.spec {
        TriggerSpec::At { at, .. } => format!("`--at {at}`"),
        TriggerSpec::Cron { delay, .. } if *delay != Span::ZERO => format!("a delay of {delay}"),
        TriggerSpec::Cron { zone, .. } | TriggerSpec::Calendar { zone, .. } => {
            format!("`--tz {}`", zone.as_deref().unwrap_or_default())
        }
        TriggerSpec::AfterEnd { period, .. } => format!("`--every {period} --after-end`"),
        TriggerSpec::Event(event) => format!("`--on {event}`"),
        TriggerSpec::Every { period, .. } => {
            format!("`--every {period}`, whose times differ from day to day and week to week")
        }
    }
}

/// Returns the lines of the service after its type.
fn service(
    exported: &ExportedJob,
    dropped: &mut Vec<String>,
    warnings: &mut ExportWarnings,
) -> Result<String, String> {
    let job = &exported.job;
    let unwritable = |what: &str| format!("systemd cannot say the name of its {what}");
    let mut text = String::new();
    let mut line = |key: &str, value: &str| writeln!(text, "{key}={value}").expect("a String takes all");
    line("ExecStart", &exec_start(&job.definition.execution.command)?);
    let cwd = units::path(&job.definition.execution.cwd).ok_or_else(|| unwritable("directory"))?;
    line(
        "WorkingDirectory",
        &format!("{}{cwd}", if job.definition.execution.cwd_optional { "-" } else { "" }),
    );
    for (name, value) in session::without(&exported.env, dropped) {
        match units::variable(name, value) {
            Some(variable) => line("Environment", &variable),
            None => {
                let name = String::from_utf8_lossy(name);
                warnings.drop_option(job, format_args!("systemd cannot say the variable `{name}`"));
            }
        }
    }
    if let Some(path) = &job.definition.execution.env_file {
        let path = units::path(path).ok_or_else(|| unwritable("environment file"))?;
        line("EnvironmentFile", &path);
    }
    line("UMask", &format!("{:04o}", job.definition.execution.umask));
    if let Some(nice) = job.definition.execution.nice {
        line("Nice", &nice.to_string());
    }
    if let Some(user) = &job.definition.execution.user {
        line("User", user);
    }
    match &job.definition.execution.stdin {
        Stdin::Null => {}
        Stdin::Path(path) => {
            line("StandardInput", &format!("file:{}", units::path(path).ok_or_else(|| unwritable("input"))?));
        }
        Stdin::Text(input) => {
            line("StandardInput", "data");
            match units::input_text(input) {
                Some(input) => line("StandardInputText", &input),
                None => line("StandardInputData", &units::base64(input)),
            }
        }
    }
    if let Some(timeout) = job.definition.policy.timeout {
        line("TimeoutStartSec", &timeout.to_string());
    }
    line("TimeoutStopSec", &job.definition.policy.kill_after.to_string());
    Ok(text)
}

/// Returns the command line. systemd takes an absolute path or searches its own directories, so env(1)
/// searches those of the job.
fn exec_start(command: &CommandLine) -> Result<String, String> {
    let words: Vec<&[u8]> = match command {
        CommandLine::Script(script) => vec![b"/bin/sh", b"-c", script],
        CommandLine::Sealed => unreachable!("an export needs the key"),
        CommandLine::Argv(words) => {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let program = words[0];
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+,-./:=@_".contains(byte);
            if program.starts_with(b"/") && program.iter().all(is_plain) {
                words
            } else if program.contains(&b'=') || program.starts_with(b"-") {
                // env(1) would take the first word for a variable or an option.
                [&[b"/bin/sh".as_slice(), b"-c", b"exec \"$0\" \"$@\""], &*words].concat()
            } else {
                [&[b"/usr/bin/env".as_slice()], &*words].concat()
            }
        }
    };
    Ok(words.into_iter().map(units::argument).collect::<Vec<_>>().join(" "))
}

/// Names the differences between path units and path triggers.
fn warn_of_paths(job: &JobView, lines: &[PathLine], warnings: &mut ExportWarnings) {
    if lines.iter().any(|line| !line.key.is_level()) {
        let is_skipped = job.definition.policy.overlap == Some(Overlap::Skip);
        let during = if is_skipped { "" } else { "its service runs or " };
        warnings.drop_option(
            job,
            format_args!("systemd loses changes of a path that come while {during}its path unit is stopped"),
        );
        let also = "systemd fires also when a file of PathChanged= is deleted or has other attributes";
        warnings.drop_option(job, also);
    }
    if lines.iter().any(|line| line.key.is_level()) {
        warnings.remark(job, "systemd never slows down a job that leaves its condition as it is");
    }
    if lines.iter().any(|line| line.key == PathKey::NotEmpty) {
        warnings.remark(job, "systemd passes over backup files such as `x~` in DirectoryNotEmpty=");
    }
    let words = match &job.definition.execution.command {
        CommandLine::Script(script) => std::slice::from_ref(script),
        CommandLine::Argv(words) => words,
        CommandLine::Sealed => unreachable!("an export needs the key"),
    };
    let reads_events = |word: &Vec<u8>| word.windows(11).any(|part| part == b"TASKQ_EVENT");
    if words.iter().any(reads_events) {
        warnings.drop_option(job, "systemd cannot say the variables `TASKQ_EVENT…`");
    }
}

fn warn_of_policies(job: &JobView, now: Timestamp, warnings: &mut ExportWarnings) {
    let policy = &job.definition.policy;
    let mut unsaid =
        |option: String| warnings.drop_option(job, format_args!("systemd cannot say `{option}`"));
    let is_of_events = !job.triggers.is_empty() && job.triggers.iter().all(|own| own.spec.event().is_some());
    let is_said = |overlap: &Overlap| match overlap {
        Overlap::Skip => true,
        // The default of events. What is lost even so, `warn_of_paths` says.
        Overlap::Wait => is_of_events,
        Overlap::Allow | Overlap::Replace => false,
    };
    if let Some(overlap) = policy.overlap.filter(|overlap| !is_said(overlap)) {
        unsaid(format!("--overlap {overlap}"));
    }
    match (policy.missed.mode, policy.missed.within) {
        (MissedMode::Once, None) | (MissedMode::Skip, _) => {}
        (mode, Some(within)) => unsaid(format!("--missed {mode},{within}")),
        (mode, None) => unsaid(format!("--missed {mode}")),
    }
    if ![QueueName::DEFAULT, QueueName::CRON].contains(&job.definition.queue.as_str()) {
        unsaid(format!("--queue {}", job.definition.queue));
    }
    warnings::warn_of_policies(job, now, &mut unsaid);
    if let Some(mail) = &job.definition.mail {
        unsaid(format!("--mail {},{}", mail.to, mail.when));
    }
}
