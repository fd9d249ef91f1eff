//! Owns: the variables that cron gives a job, and the addresses that it mails.
//! Never: reading them from anywhere.

use super::address::is_safe;
use super::assignment::Variable;
use crate::domain::{EnvVar, Person};
use crate::schedule::Dialect;

/// Whom cron mails the output of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailRule {
    /// These addresses, or the job's user.
    To(String),
    Nobody,
    /// Nobody: an address has characters that cron does not give to sendmail(8).
    Unsafe,
}

/// Returns the environment of a job: the table's variables, then those of cron, then `login`, which
/// pam_env(8) sets for every session. The first of a name wins, but a table cannot set the name of the user.
/// No name is twice in `table`.
pub fn environment(table: &[Variable], person: &Person, login: &[EnvVar], dialect: Dialect) -> Vec<EnvVar> {
    let path: &[u8] = match dialect {
        Dialect::Debian => b"/usr/bin:/bin",
        Dialect::Cronie => b"/usr/bin:/bin:/usr/sbin:/sbin",
    };
    let name = person.name.as_bytes();
    let mut own: Vec<(&[u8], &[u8])> =
        table.iter().map(|variable| (variable.name.as_slice(), variable.value.as_slice())).collect();
    let defaults: [(&[u8], &[u8]); 3] = [(b"SHELL", b"/bin/sh"), (b"HOME", &person.home), (b"PATH", path)];
    for default in defaults {
        if !own.iter().any(|(known, _)| *known == default.0) {
            own.push(default);
        }
    }
    let users: &[&[u8]] = match dialect {
        Dialect::Debian => &[b"LOGNAME"],
        Dialect::Cronie => &[b"LOGNAME", b"USER"],
    };
    for user in users {
        match own.iter_mut().find(|(known, _)| known == user) {
            Some((_, old)) => *old = name,
            None => own.push((user, name)),
        }
    }
    let name_of = |var: &'_ EnvVar| var.iter().position(|byte| *byte == b'=').unwrap_or(var.len());
    let is_own = |var: &EnvVar| own.iter().any(|(known, _)| *known == &var[..name_of(var)]);
    let login = login.iter().filter(|var| !is_own(var)).cloned();
    own.iter().map(|(name, value)| [name, b"=".as_slice(), value].concat()).chain(login).collect()
}

/// Returns the value of a table's variable.
pub(super) fn value<'a>(table: &'a [Variable], name: &[u8]) -> Option<&'a [u8]> {
    table.iter().find(|variable| variable.name == name).map(|variable| variable.value.as_slice())
}

/// Returns whom cron mails: the addresses of `MAILTO`, or the user. cronie expands `$NAME` in `MAILTO`.
pub fn mail_rule(table: &[Variable], env: &[EnvVar], person: &Person, dialect: Dialect) -> MailRule {
    let Some(to) = value(table, b"MAILTO") else { return MailRule::To(person.name.clone()) };
    let to = match dialect {
        Dialect::Debian => to.to_vec(),
        Dialect::Cronie => expanded(to, env),
    };
    match String::from_utf8(to) {
        Ok(to) if to.is_empty() => MailRule::Nobody,
        Ok(to) if is_safe(to.as_bytes(), dialect) => MailRule::To(to),
        Ok(_) | Err(_) => MailRule::Unsafe,
    }
}

/// Replaces `$NAME` and `${NAME}` by the job's variables, and by nothing if there is no such variable.
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
