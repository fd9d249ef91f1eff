//! Owns: the unit of the daemon (systemd.service(5)): its name, its place and its text.
//! Never: systemd itself (see `systemctl`).

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The first line of a unit that may be replaced and removed.
const MARK: &str = "# Written by `taskq service install`";

/// Where an administrator's units are, from systemd.unit(5).
const SYSTEM_UNITS: &str = "/etc/systemd/system";

/// Who runs the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The user's manager.
    User,
    /// The manager of the system, as root.
    System,
}

/// The service of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub scope: Scope,
    /// As in `taskq.service`.
    pub name: String,
    /// The file that `install` writes.
    pub path: PathBuf,
    pub text: String,
}

impl Unit {
    /// Returns the unit of the store in `dir`. `config`: the user's directory for configuration (XDG).
    /// `default_dir`: the store's directory if nobody names one, whose unit is `taskq.service`.
    pub fn of_store(scope: Scope, exe: &Path, dir: &Path, default_dir: Option<&Path>, config: &Path) -> Self {
        let name = match default_dir {
            Some(default) if default == dir => "taskq.service".to_owned(),
            _ => format!("taskq-{}.service", escaped_path(dir)),
        };
        let directory = match scope {
            Scope::User => config.join("systemd/user"),
            Scope::System => PathBuf::from(SYSTEM_UNITS),
        };
        Self { scope, path: directory.join(&name), text: text(scope, exe, dir), name }
    }
}

/// Returns whether this is the text of a unit that `taskq service install` has written.
pub fn is_ours(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Returns a path in the name of a unit, as systemd-escape(1) with `--path` does.
fn escaped_path(path: &Path) -> String {
    let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    let mut escaped = String::new();
    for (at, byte) in parts.collect::<Vec<_>>().join(&b'/').into_iter().enumerate() {
        match byte {
            b'/' => escaped.push('-'),
            b'.' if at == 0 => escaped.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b':' | b'.' => escaped.push(char::from(byte)),
            other => escaped.push_str(&format!("\\x{other:02x}")),
        }
    }
    escaped
}

/// Returns a word of `ExecStart=`: quoted, without specifiers and variables (systemd.service(5)).
fn quoted(word: &Path) -> String {
    let mut quoted = String::from("\"");
    for byte in word.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(*byte)]),
            b'%' => quoted.push_str("%%"),
            b'$' => quoted.push_str("$$"),
            b' '..=b'~' => quoted.push(char::from(*byte)),
            other => quoted.push_str(&format!("\\x{other:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

fn text(scope: Scope, exe: &Path, dir: &Path) -> String {
    let (edit, after, wanted_by) = match scope {
        Scope::User => ("systemctl --user edit", "", "default.target"),
        Scope::System => {
            let after = "After=remote-fs.target nss-user-lookup.target time-set.target\n";
            ("systemctl edit", after, "multi-user.target")
        }
    };
    let (exe, dir) = (quoted(exe), quoted(dir));
    format!(
        "{MARK}, which replaces it. Changes belong into `{edit}`.
[Unit]
Description=taskq: commands at times and in queues
Documentation=man:taskq(1)
{after}StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={exe} --dir {dir} daemon
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2s
# A daemon with nothing to do wakes up only for this.
WatchdogSec=10min
# Running jobs outlive the daemon; the next one records how they end.
KillMode=process
# Each run gets a control group of its own.
Delegate=yes
# A job that is killed for want of memory does not stop the daemon, and no limit counts all jobs together.
OOMPolicy=continue
TasksMax=infinity
# Jobs have the mask of who added them.
UMask=0077

[Install]
WantedBy={wanted_by}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(dir: &str) -> Unit {
        let default = Some(Path::new("/home/a/.local/share/taskq"));
        let exe = Path::new("/home/a/.cargo/bin/taskq");
        Unit::of_store(Scope::User, exe, Path::new(dir), default, Path::new("/home/a/.config"))
    }

    #[test]
    fn each_store_has_a_unit_of_its_own() {
        let default = unit("/home/a/.local/share/taskq");
        assert_eq!(default.path, Path::new("/home/a/.config/systemd/user/taskq.service"));
        assert_eq!(unit("/srv/my-jobs").name, "taskq-srv-my\\x2djobs.service");
        assert_eq!(escaped_path(Path::new("/.a//b c/")), "\\x2ea-b\\x20c");
    }

    #[test]
    fn a_path_with_any_byte_is_one_word_of_the_command() {
        let word = quoted(Path::new("/a b/50%/$x/\"\\/ü\n"));
        assert_eq!(word, r#""/a b/50%%/$$x/\"\\/\xc3\xbc\x0a""#);
    }

    #[test]
    fn a_unit_is_known_by_its_first_line() {
        assert!(is_ours(&unit("/srv/jobs").text));
        assert!(!is_ours("[Unit]\nDescription=taskq\n"));
    }
}
