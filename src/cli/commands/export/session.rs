//! Owns: which variables have no meaning outside the session in which a job was added.
//! Never: the JSON export, which keeps them: a job must come back unchanged.

use crate::domain::EnvVar;

/// Variables of terminals, desktops, logins, buses and units; of the shell itself; and those that each run
/// sets anew.
const NAMES: &[&str] = &[
    "_",
    "COLORTERM",
    "COLUMNS",
    "DBUS_SESSION_BUS_ADDRESS",
    "DESKTOP_SESSION",
    "DISPLAY",
    "GPG_TTY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LINES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LS_COLORS",
    "MANAGERPID",
    "NOTIFY_SOCKET",
    "OLDPWD",
    "PWD",
    "SHLVL",
    "STY",
    "SYSTEMD_EXEC_PID",
    "TERM",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TERMCAP",
    "TMUX",
    "TMUX_PANE",
    "VTE_VERSION",
    "WAYLAND_DISPLAY",
    "WINDOW",
    "WINDOWID",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "XDG_SEAT",
    "XDG_VTNR",
    "TASKQ_ATTEMPT",
    "TASKQ_JOB",
    "TASKQ_NAME",
    "TASKQ_RUN",
    "TASKQ_SCHEDULED_AT",
    "TASKQ_TRIGGER",
];

const PREFIXES: &[&str] = &["SSH_", "XDG_SESSION_"];

/// Returns the variables to export, as names and values, and adds the names of the others to `dropped`.
///
/// Every shell sets `PWD`. An environment without it was composed on purpose: all of it is exported.
pub(super) fn without<'a>(env: &'a [EnvVar], dropped: &mut Vec<String>) -> Vec<(&'a [u8], &'a [u8])> {
    let mut kept = Vec::with_capacity(env.len());
    let is_shells = env.iter().any(|var| var.starts_with(b"PWD="));
    for var in env {
        let at = var.iter().position(|byte| *byte == b'=').unwrap_or(var.len());
        let (name, value) = (&var[..at], var.get(at + 1..).unwrap_or_default());
        match std::str::from_utf8(name).ok().filter(|name| is_shells && is_of_session(name)) {
            Some(name) if dropped.iter().any(|other| other == name) => {}
            Some(name) => dropped.push(name.to_owned()),
            None => kept.push((name, value)),
        }
    }
    kept
}

fn is_of_session(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
