//! Owns: the unit of the daemon (systemd.service(5)): its name, its place and its text.
//! Never: systemd itself (see `systemctl`).

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::system::manager::Manager;

/// The first line of a unit that may be replaced and removed.
const MARK: &str = "# Written by `taskq service install`";

const MARK_OF_INSTALL: &str = "# Written by `taskq service install`, which replaces it.";

const MARK_OF_PACKAGE: &str =
    "# The package taskq brings this. `taskq service install` enables and starts it.";

/// Where an administrator's units are, from systemd.unit(5).
const SYSTEM_UNITS: &str = "/etc/systemd/system";

/// The program that a package installs.
const PACKAGED_EXE: &str = "/usr/bin/taskq";

/// The store in the unit of a package: that of the manager's user, without XDG variables.
const STORE_BELOW_HOME: &str = ".local/share/taskq";

/// The unit of the store that a user has without naming one.
const DEFAULT_NAME: &str = "taskq.service";

/// The service of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub manager: Manager,
    /// As in `taskq.service`.
    pub name: String,
    /// The file that `install` writes, if no package has brought one.
    pub path: PathBuf,
    pub text: String,
    /// The file of a package, if it starts the same daemon.
    pub packaged: Option<PathBuf>,
}

impl Unit {
    /// Returns the unit of the store in `dir`. `config`: the user's directory for configuration (XDG).
    /// `default_dir`: the store's directory if nobody names one, whose unit is `taskq.service`.
    pub fn of_store(
        manager: Manager,
        exe: &Path,
        dir: &Path,
        default_dir: Option<&Path>,
        config: &Path,
    ) -> Self {
        let name = match default_dir {
            Some(default) if default == dir => DEFAULT_NAME.to_owned(),
            _ => format!("taskq-{}.service", escaped_path(dir)),
        };
        let directory = match manager {
            Manager::User => config.join("systemd/user"),
            Manager::System => PathBuf::from(SYSTEM_UNITS),
        };
        let text = text(manager, MARK_OF_INSTALL, exe, &quoted(dir));
        Self { manager, path: directory.join(&name), text, name, packaged: None }
    }

    /// Returns this unit with the file and the text of a package, if that starts the same daemon: this
    /// program, for the store below `home`, which nobody has to name.
    pub fn or_packaged(
        mut self,
        exe: &Path,
        dir: &Path,
        home: &Path,
        read: impl Fn(&Path) -> Option<String>,
    ) -> Self {
        if self.name == DEFAULT_NAME && dir == home.join(STORE_BELOW_HOME) {
            let file = packaged_path(self.manager);
            let text =
                read(&file).filter(|text| start_line(text) == start_line(&of_package(self.manager, exe)));
            if let Some(text) = text {
                (self.text, self.packaged) = (text, Some(file));
            }
        }
        self
    }

    /// Returns the file that systemd reads.
    pub fn file(&self) -> &Path {
        self.packaged.as_deref().unwrap_or(&self.path)
    }
}

/// Returns the text of the unit that a package brings.
pub fn packaged_text(manager: Manager) -> String {
    of_package(manager, Path::new(PACKAGED_EXE))
}

fn of_package(manager: Manager, exe: &Path) -> String {
    // `%h` is the home of the manager's user.
    text(manager, MARK_OF_PACKAGE, exe, &format!("\"%h/{STORE_BELOW_HOME}\""))
}

/// Returns where a package puts its unit, from systemd.unit(5).
fn packaged_path(manager: Manager) -> PathBuf {
    let directory = match manager {
        Manager::User => "/usr/lib/systemd/user",
        Manager::System => "/usr/lib/systemd/system",
    };
    Path::new(directory).join(DEFAULT_NAME)
}

fn start_line(unit: &str) -> Option<&str> {
    unit.lines().find(|line| line.starts_with("ExecStart="))
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

/// `dir`: a word of `ExecStart=`.
fn text(manager: Manager, mark: &str, exe: &Path, dir: &str) -> String {
    let (edit, after, wanted_by) = match manager {
        Manager::User => ("systemctl --user edit", "", "default.target"),
        Manager::System => {
            let after = "After=remote-fs.target nss-user-lookup.target time-set.target\n";
            ("systemctl edit", after, "multi-user.target")
        }
    };
    let exe = quoted(exe);
    format!(
        "{mark} Changes belong into `{edit}`.
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
        Unit::of_store(Manager::User, exe, Path::new(dir), default, Path::new("/home/a/.config"))
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
    fn the_unit_of_a_package_is_used_if_it_starts_this_program_for_the_same_store() {
        let (home, dir) = (Path::new("/home/a"), Path::new("/home/a/.local/share/taskq"));
        let chosen = |exe: &str, dir: &Path, text: Option<&str>| {
            let unit = unit(dir.to_str().expect("it is text"));
            unit.or_packaged(Path::new(exe), dir, home, |_| text.map(str::to_owned)).packaged
        };
        let packaged = packaged_text(Manager::User);
        let file = Some(PathBuf::from("/usr/lib/systemd/user/taskq.service"));
        assert_eq!(chosen("/usr/bin/taskq", dir, Some(&packaged)), file);
        assert_eq!(chosen("/usr/bin/taskq", dir, None), None);
        assert_eq!(chosen("/home/a/.cargo/bin/taskq", dir, Some(&packaged)), None);
        assert_eq!(chosen("/usr/bin/taskq", Path::new("/srv/jobs"), Some(&packaged)), None);
        assert_eq!(chosen("/usr/bin/taskq", dir, Some("[Service]\n")), None);
    }

    #[test]
    fn a_unit_is_known_by_its_first_line() {
        assert!(is_ours(&unit("/srv/jobs").text));
        assert!(!is_ours("[Unit]\nDescription=taskq\n"));
        assert!(!is_ours(&packaged_text(Manager::User)));
    }
}
