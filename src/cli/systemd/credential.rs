//! Owns: the user's key as an encrypted credential of the service (systemd.exec(5)): its file, and the
//! drop-in by which the unit gets it.
//! Never: the unit (see `unit`), or what the key opens (see `seal`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::unit::Unit;
use crate::error::{Error, Result, describe};
use crate::process;
use crate::system::key_file::CREDENTIAL;
use crate::system::manager::Manager;

/// Where the system's encrypted credentials are.
const SYSTEM_CREDENTIALS: &str = "/etc/credstore.encrypted";

/// The credential of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    manager: Manager,
    /// The encrypted key.
    file: PathBuf,
    drop_in: PathBuf,
}

impl Credential {
    /// `config`: the user's directory for configuration (XDG).
    pub fn of(unit: &Unit, config: &Path) -> Self {
        let directory = match unit.manager {
            Manager::User => config.join("credstore.encrypted"),
            Manager::System => PathBuf::from(SYSTEM_CREDENTIALS),
        };
        let mut drop_ins = unit.path.clone().into_os_string();
        drop_ins.push(".d");
        Self {
            manager: unit.manager,
            file: directory.join(format!("{}.key", unit.name)),
            drop_in: PathBuf::from(drop_ins).join("key.conf"),
        }
    }

    /// Encrypts the key in `key_file` for this machine, and gives it to the service at its next start.
    ///
    /// # Errors
    /// `Io`, with the words of systemd-creds(1).
    pub fn give(&self, key_file: &Path, what: &str) -> Result<()> {
        let io = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| Error::io(format!("{what}: write `{path}`"), &error)
        };
        for path in [&self.file, &self.drop_in] {
            let directory = path.parent().expect("it is below a directory");
            fs::create_dir_all(directory).map_err(io(directory))?;
        }
        let of_user: &[&str] = match self.manager {
            Manager::User => &["--user"],
            Manager::System => &[],
        };
        let name = format!("--name={CREDENTIAL}");
        let (key, file) = (key_file.display().to_string(), self.file.display().to_string());
        let args = [of_user, &["encrypt", &name, "--", &key, &file]].concat();
        let failed = |words: &str| {
            let error = Error::io(what, &io::Error::other(format!("systemd-creds(1): {words}")));
            match self.manager {
                Manager::User => error.hint(
                    "systemd before 256 has encrypted credentials for services of the system alone: \
                     leave out `--credential`, and the daemon reads the file of the key",
                ),
                Manager::System => error,
            }
        };
        let finished = process::run("systemd-creds", &args).map_err(|error| failed(&describe(&error)))?;
        if finished.status != 0 {
            let stderr = String::from_utf8_lossy(&finished.stderr);
            return Err(failed(stderr.lines().next().unwrap_or("it has failed").trim_end_matches('.')));
        }
        fs::write(&self.drop_in, self.text()).map_err(io(&self.drop_in))
    }

    fn text(&self) -> String {
        let file = self.file.display();
        format!(
            "# Written by `taskq service install --credential`.\n[Service]\n\
             LoadCredentialEncrypted={CREDENTIAL}:{file}\n"
        )
    }

    /// Takes the key away from the service. Returns whether it had one.
    ///
    /// # Errors
    /// `Io` if a file cannot be removed.
    pub fn take_away(&self, what: &str) -> Result<bool> {
        let mut was_there = false;
        for path in [&self.drop_in, &self.file] {
            match fs::remove_file(path) {
                Ok(()) => was_there = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io(format!("{what}: remove `{}`", path.display()), &error)),
            }
        }
        // Another drop-in may be beside it.
        let _ = self.drop_in.parent().map(fs::remove_dir);
        Ok(was_there)
    }
}
