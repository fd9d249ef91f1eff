//! Owns: the first environments of login sessions and cron jobs.
//! Never: the caller's environment (see `env`).

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::unistd::User;

use crate::domain::{EnvVar, Person};

/// Returns the small environment that cron(8) gives to jobs of `user`; `None`: of the caller.
pub fn clean_environment(user: Option<&Person>) -> Vec<EnvVar> {
    let own_home = || dirs::home_dir().unwrap_or_else(|| PathBuf::from("/")).into_os_string().into_vec();
    let home = user.map_or_else(own_home, |user| user.home.clone());
    let own_name = || User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    let name = user.map(|user| user.name.clone()).or_else(own_name);
    let mut env =
        vec![[b"HOME=", home.as_slice()].concat(), b"SHELL=/bin/sh".to_vec(), b"PATH=/usr/bin:/bin".to_vec()];
    env.extend(name.map(|name| format!("LOGNAME={name}").into_bytes()));
    env
}

/// Returns the variables that pam_env(8) gives to every session: those of `/etc/default/locale` win over
/// those of `/etc/environment`.
pub fn login_environment() -> Vec<EnvVar> {
    let mut vars: Vec<EnvVar> = Vec::new();
    for file in ["/etc/environment", "/etc/default/locale"] {
        for var in login_variables(&fs::read(file).unwrap_or_default()) {
            let name = &var[..=var.iter().position(|byte| *byte == b'=').unwrap_or(0)];
            vars.retain(|known| !known.starts_with(name));
            vars.push(var);
        }
    }
    vars
}

/// Parses such a file. A backslash at the end of a line joins it with the next.
fn login_variables(text: &[u8]) -> Vec<EnvVar> {
    let mut vars = Vec::new();
    let mut joined = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        // A `#` begins a comment also in quotes, as in pam_env(8).
        let comment = line.iter().position(|byte| *byte == b'#');
        joined.extend_from_slice(&line[..comment.unwrap_or(line.len())]);
        if comment.is_some() || joined.pop_if(|last| *last == b'\\').is_none() {
            vars.extend(login_variable(&joined));
            joined.clear();
        }
    }
    vars
}

/// Parses a line. `export ` is removed, and so is a quote at each end of the value, also if the other is
/// missing.
fn login_variable(line: &[u8]) -> Option<EnvVar> {
    let line = line.trim_ascii_start();
    let line = line.strip_prefix(b"export ").unwrap_or(line);
    let equals = line.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')?;
    let (name, value) = (&line[..equals], line[equals..].strip_prefix(b"=").filter(|_| equals > 0)?);
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'');
    let value = match value.split_first() {
        Some((first, rest)) if is_quote(first) => match rest.split_last() {
            Some((last, inner)) if is_quote(last) => inner,
            _ => rest,
        },
        _ => value,
    };
    Some([name, b"=", value].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_sessions_are_parsed_as_by_pam_env() {
        // The values are those of Debian's libpam-modules 1.5.2 for each line.
        for (line, expected) in [
            ("A=b", "A=b"),
            ("  A=b", "A=b"),
            ("export A=b", "A=b"),
            ("exportA=b", "exportA=b"),
            ("A=a=b", "A=a=b"),
            ("A=$HOME", "A=$HOME"),
            ("A=", "A="),
            ("A=  ", "A=  "),
            ("A= a", "A= a"),
            ("A=a\tb\t", "A=a\tb\t"),
            ("A=\"\"", "A="),
            ("A=\" a \"", "A= a "),
            ("A='a\"b'", "A=a\"b"),
            ("A=\"a\"b\"", "A=a\"b"),
            ("A=\"a", "A=a"),
            ("A=\"a\"b", "A=a\"b"),
            ("A='a'\"b", "A=a'\"b"),
            ("A=a\"b\"", "A=a\"b\""),
            ("A=\"a\" ", "A=a\" "),
            ("A=\"", "A="),
            ("A=a # c", "A=a "),
            ("A=a#c", "A=a"),
            ("A=\"a#b\"", "A=a"),
            ("A=\"a\" # c", "A=a\" "),
            ("A=a\\b", "A=a\\b"),
            ("A=x \\\n  y", "A=x   y"),
        ] {
            assert_eq!(login_variables(line.as_bytes()), [expected.as_bytes()], "{line}");
        }
        for line in ["", "# A=b", "A", "=b", "A =b", "A-B=c", "\u{e9}=b", "export  A=b", "export\tA=b"] {
            assert_eq!(login_variables(line.as_bytes()), [] as [EnvVar; 0], "{line}");
        }
    }
}
