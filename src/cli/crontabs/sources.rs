//! Owns: where tables come from: a file, standard input, crontab(1), the system's directories and their naming rules.
//! Never: what is in them.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::output::text::io_cause;
use crate::config;
use crate::crontab::Layout;
use crate::error::{Error, Result};
use crate::keeper::foreground::listen_to;
use crate::schedule::Dialect;

/// The source of the table of crontab(1), the user's own.
pub const OWN: &str = "";

/// A larger file is none that a person wrote.
const BYTES_MAX: u64 = 64 << 20;

/// Where Debian's cron and cronie keep the tables of users.
const SPOOLS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];

/// A table that was read.
#[derive(Debug)]
pub struct Source {
    /// What it is stored under: the file's absolute path, or `OWN`.
    pub key: String,
    /// What it is called.
    pub shown: String,
    /// The file.
    pub text: Vec<u8>,
    /// Its form.
    pub layout: Layout,
    /// Whose table it is, if its place says so: the user that cron runs its jobs as.
    pub owner: Option<String>,
}

/// The system's tables.
#[derive(Debug, Default)]
pub struct SystemTables {
    /// Those that cron reads.
    pub tables: Vec<Source>,
    /// Those that it does not, each with the reason.
    pub skipped: Vec<(PathBuf, String)>,
    /// The directories that were looked through.
    pub directories: Vec<PathBuf>,
}

/// Reads a table of one user from a file, `-`: standard input; `what` is being done.
pub fn user_table(file: &Path, what: &str) -> Result<Source> {
    if file == Path::new("-") {
        let text = read_all(io::stdin().lock()).map_err(|error| Error::io(what, io_cause(&error)))?;
        return Ok(Source {
            key: OWN.to_owned(),
            shown: "standard input".to_owned(),
            text,
            layout: Layout::User,
            owner: None,
        });
    }
    read_file(file, Layout::User).map_err(|error| Error::io(what, io_cause(&error)))
}

/// Reads the table that crontab(1) has for this user.
pub fn installed_table(what: &str) -> Result<Source> {
    let failure = |cause: String| {
        Error::not_found(what, cause).hint("name a file, or `-` for standard input: `taskq import crontab FILE`")
    };
    let said = listen_to("crontab", &["-l"]).map_err(|error| failure(format!("`crontab`: {}", io_cause(&error))))?;
    if said.status != 0 {
        return Err(failure(format!("`crontab -l`: {}", String::from_utf8_lossy(&said.stderr).trim())));
    }
    Ok(Source {
        key: OWN.to_owned(),
        shown: "crontab -l".to_owned(),
        text: said.stdout,
        layout: Layout::User,
        owner: None,
    })
}

/// Reads the tables of the system: `path`, or `/etc/crontab` and `/etc/cron.d`. In a directory the rules of its cron hold.
pub fn system_tables(path: Option<&Path>, origin: Dialect, what: &str) -> Result<SystemTables> {
    let mut found = SystemTables::default();
    let defaults = [PathBuf::from("/etc/crontab"), PathBuf::from("/etc/cron.d")];
    let named = path.map(Path::to_owned);
    let paths = named.as_ref().map_or(defaults.as_slice(), std::slice::from_ref);
    for path in paths {
        let failure = |error: io::Error| Error::io(format!("{what} `{}`", path.display()), io_cause(&error));
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {}
            Err(error) => return Err(failure(error)),
            Ok(metadata) if metadata.is_dir() => {
                found.directories.push(std::path::absolute(path).map_err(failure)?);
                directory(path, origin, &mut found).map_err(failure)?;
            }
            Ok(_) => found.tables.push(read_file(path, Layout::System).map_err(failure)?),
        }
    }
    Ok(found)
}

fn directory(path: &Path, origin: Dialect, found: &mut SystemTables) -> io::Result<()> {
    let mut names: Vec<PathBuf> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    names.sort();
    for file in names {
        match refusal(&file, origin) {
            Some(reason) => found.skipped.push((file, reason)),
            None => match read_file(&file, Layout::System) {
                Ok(table) => found.tables.push(table),
                Err(error) => found.skipped.push((file, io_cause(&error))),
            },
        }
    }
    Ok(())
}

/// Returns why cron does not read a file of `/etc/cron.d`; `None`: it does.
fn refusal(file: &Path, origin: Dialect) -> Option<String> {
    let name = file.file_name()?.as_bytes();
    if !is_table_name(name, origin) {
        return Some(match origin {
            Dialect::Debian => "Debian's cron reads names of letters, digits, `_` and `-` only".to_owned(),
            Dialect::Cronie => "cronie reads no such name".to_owned(),
        });
    }
    let link = fs::symlink_metadata(file).ok()?;
    let target = match fs::metadata(file) {
        Ok(target) => target,
        Err(error) => return Some(io_cause(&error)),
    };
    let is_trusted = |metadata: &Metadata| metadata.uid() == 0 || !config::is_root();
    let reason = if !target.is_file() {
        "it is no regular file"
    } else if !is_trusted(&link) || !is_trusted(&target) {
        "it does not belong to root"
    } else if target.mode() & 0o022 != 0 {
        "its group or others may write to it"
    } else if target.nlink() > 1 && !link.is_symlink() {
        "it has several hard links"
    } else {
        return None;
    };
    Some(reason.to_owned())
}

/// Tells whether a cron reads a file of this name in `/etc/cron.d`.
fn is_table_name(name: &[u8], origin: Dialect) -> bool {
    match origin {
        Dialect::Debian => name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')),
        Dialect::Cronie => {
            let ends = [b"~".as_slice(), b".rpmsave", b".rpmorig", b".rpmnew"];
            !name.starts_with(b".") && !name.starts_with(b"#") && !ends.iter().any(|end| name.ends_with(end))
        }
    }
}

fn read_file(file: &Path, layout: Layout) -> io::Result<Source> {
    let key = std::path::absolute(file)?.to_string_lossy().into_owned();
    let text = read_all(File::open(file)?)?;
    let owner = if layout == Layout::User { owner_of(&key) } else { None };
    Ok(Source { key, shown: file.display().to_string(), text, layout, owner })
}

/// Returns the user that a table belongs to: in cron's spool it has its user's name.
fn owner_of(path: &str) -> Option<String> {
    let path = Path::new(path);
    let is_spool = SPOOLS.iter().any(|spool| path.parent() == Some(Path::new(spool)));
    Some(path.file_name().filter(|_| is_spool)?.to_str()?.to_owned())
}

fn read_all(from: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from.take(BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {} MiB: this is no crontab", BYTES_MAX >> 20)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_in_crons_spool_is_its_users() {
        assert_eq!(owner_of("/var/spool/cron/crontabs/alice").as_deref(), Some("alice"));
        assert_eq!(owner_of("/var/spool/cron/bob").as_deref(), Some("bob"));
        assert_eq!((owner_of("/home/alice/crontab"), owner_of("/var/spool/cron/crontabs/x/alice")), (None, None));
    }

    #[test]
    fn each_cron_reads_names_of_its_own_in_cron_d() {
        let names: [(&str, bool, bool); 9] = [
            ("plain", true, true),
            ("with-dash_under", true, true),
            ("123", true, true),
            ("foo.conf", false, true),
            (".hidden", false, false),
            ("backup~", false, false),
            ("x.rpmsave", false, false),
            ("#x#", false, false),
            ("x.dpkg-old", false, true),
        ];
        for (name, debian, cronie) in names {
            assert_eq!(is_table_name(name.as_bytes(), Dialect::Debian), debian, "{name}");
            assert_eq!(is_table_name(name.as_bytes(), Dialect::Cronie), cronie, "{name}");
        }
    }
}
