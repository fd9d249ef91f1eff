//! Owns: the variables that cron gives a job, and whom it mails.
//! Never: reading them from anywhere.

use super::table::Variable;
use crate::domain::EnvVar;
use crate::schedule::Dialect;

/// The user that a job runs as: what cron takes from passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The home directory.
    pub home: Vec<u8>,
}

/// Whom cron mails the output of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailRule {
    /// These addresses, or the job's user.
    To(String),
    /// Nobody: `MAILTO` is empty.
    Nobody,
    /// Nobody: an address has characters that cron does not give to sendmail(8).
    Unsafe,
}

/// What cron sets where a table does not.
const SHELL: &[u8] = b"/bin/sh";

fn default_path(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::Debian => b"/usr/bin:/bin",
        Dialect::Cronie => b"/usr/bin:/bin:/usr/sbin:/sbin",
    }
}

/// Returns the environment of a job: `login`, which pam_env(8) sets for every session, then the table's own variables, then
/// what cron sets. What comes later wins, but `SHELL`, `HOME` and `PATH` of a table stay.
pub fn environment(table: &[Variable], account: &Account, login: &[EnvVar], dialect: Dialect) -> Vec<EnvVar> {
    let mut own: Vec<(&[u8], &[u8])> = Vec::new();
    for variable in table {
        set(&mut own, &variable.name, &variable.value);
    }
    let name = account.name.as_bytes();
    let defaults: [(&[u8], &[u8]); 3] = [(b"SHELL", SHELL), (b"HOME", &account.home), (b"PATH", default_path(dialect))];
    for (variable, value) in defaults {
        if !own.iter().any(|(known, _)| *known == variable) {
            own.push((variable, value));
        }
    }
    set(&mut own, b"LOGNAME", name);
    if dialect == Dialect::Cronie {
        set(&mut own, b"USER", name);
    }
    let own_names: Vec<&[u8]> = own.iter().map(|(known, _)| *known).collect();
    let is_own = |var: &EnvVar| own_names.contains(&var.split(|byte| *byte == b'=').next().unwrap_or_default());
    let joined = own.iter().map(|(name, value)| [name, b"=".as_slice(), value].concat());
    joined.chain(login.iter().filter(|var| !is_own(var)).cloned()).collect()
}

fn set<'a>(vars: &mut Vec<(&'a [u8], &'a [u8])>, name: &'a [u8], value: &'a [u8]) {
    match vars.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => vars.push((name, value)),
    }
}

/// Returns the value of a table's variable.
pub(super) fn value<'a>(table: &'a [Variable], name: &[u8]) -> Option<&'a [u8]> {
    table.iter().rev().find(|variable| variable.name == name).map(|variable| variable.value.as_slice())
}

/// Returns whom cron mails: `MAILTO`, else the user. cronie expands `$NAME` in it.
pub fn mail_rule(table: &[Variable], env: &[EnvVar], account: &Account, dialect: Dialect) -> MailRule {
    let Some(to) = value(table, b"MAILTO") else { return MailRule::To(account.name.clone()) };
    let to = match dialect {
        Dialect::Debian => to.to_vec(),
        Dialect::Cronie => expanded(to, env),
    };
    match String::from_utf8(to) {
        Ok(to) if to.is_empty() => MailRule::Nobody,
        Ok(to) if is_safe(&to) => MailRule::To(to),
        Ok(_) | Err(_) => MailRule::Unsafe,
    }
}

/// Tells whether cron gives this to sendmail(8) as an argument (`safe_p` of its source).
fn is_safe(to: &str) -> bool {
    !to.starts_with('-') && to.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@!:%-.,_+".contains(&byte))
}

/// Replaces `$NAME` and `${NAME}` by the job's variables; one that is not set is left out.
fn expanded(text: &[u8], env: &[EnvVar]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        out.extend_from_slice(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let is_braced = rest.first() == Some(&b'{');
        let from = &rest[usize::from(is_braced)..];
        let length = from.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let prefix = [&from[..length], b"="].concat();
        if let Some(value) = env.iter().find_map(|var| var.strip_prefix(prefix.as_slice())) {
            out.extend_from_slice(value);
        }
        rest = &from[length..];
        if is_braced {
            rest = rest.strip_prefix(b"}").unwrap_or(rest);
        }
    }
    out.extend_from_slice(rest);
    out
}
