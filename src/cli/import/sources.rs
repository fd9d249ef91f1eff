//! Owns: reading tables from a file, standard input, crontab(1), or the system's directories with their
//! naming rules.
//! Never: their content.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::crontab::Layout;
use crate::error::{Error, Result, describe};
use crate::process;
use crate::schedule::Dialect;
use crate::system::users;

/// The source of the user's own table, that of crontab(1).
pub const OWN: &str = "";

/// No person writes a larger file.
const BYTES_MAX: u64 = 64 << 20;

/// Nor a longer one. The report of each line takes a kilobyte of memory.
const LINES_MAX: usize = 200_000;

/// The directories of users' tables: of Debian's cron, of cronie on SUSE, and of other cronies.
const SPOOLS: [&str; 3] = ["/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron"];

const CRONTAB: &str = "/etc/crontab";

const CRON_D: &str = "/etc/cron.d";

/// A file that keeps an empty directory in a Debian package.
const PLACEHOLDER: &[u8] = b".placeholder";

/// The name of crontab(1)'s table in messages.
const INSTALLED: &str = "crontab -l";

#[derive(Debug)]
pub struct Source {
    /// The path of its file without links, or `OWN`.
    pub key: String,
    /// Its name in messages.
    pub shown: String,
    pub text: Vec<u8>,
    pub layout: Layout,
    /// The user of a table in cron's spool directory.
    pub owner: Option<String>,
}

/// The system's tables.
#[derive(Debug, Default)]
pub struct SystemTables {
    /// The tables that cron reads.
    pub tables: Vec<Source>,
    /// The files that it does not read, each with the reason.
    pub skipped: Vec<(PathBuf, String)>,
    /// The files, and directories of files, where this import looked.
    places: Vec<PathBuf>,
    /// Existing files that could not be read.
    unread: Vec<String>,
}

impl SystemTables {
    pub fn of_user(table: Source) -> Self {
        Self { tables: vec![table], ..Self::default() }
    }

    /// Tells whether the file of an imported table is gone, if this import looked there.
    pub fn is_gone(&self, key: &str) -> bool {
        let path = Path::new(key);
        let is_looked_for = self.places.iter().any(|place| place == path || path.parent() == Some(place));
        is_looked_for
            && self.tables.iter().all(|table| table.key != key)
            && !self.unread.iter().any(|unread| unread == key)
    }
}

/// Reads a table of one user from a file, or from standard input (`-`). Errors say that `what` was being
/// done.
pub fn user_table(file: &Path, what: &str) -> Result<Source> {
    if file == Path::new("-") {
        let text = read_all(io::stdin().lock()).map_err(|error| Error::io(what, &error))?;
        return Ok(Source {
            key: OWN.to_owned(),
            shown: "standard input".to_owned(),
            text,
            layout: Layout::User,
            owner: None,
        });
    }
    read_file(file, Layout::User).map_err(|error| Error::io(what, &error))
}

/// Reads this user's table of crontab(1).
pub fn installed_table(what: &str) -> Result<Source> {
    let failure = |cause: String| {
        Error::not_found(what, cause)
            .hint("name a file, or `-` for standard input: `taskq import crontab FILE`")
    };
    let finished = process::run("crontab", &["-l"])
        .map_err(|error| failure(format!("`crontab`: {}", describe(&error))))?;
    if finished.status != 0 {
        return Err(failure(format!("`crontab -l`: {}", String::from_utf8_lossy(&finished.stderr).trim())));
    }
    Ok(Source {
        key: OWN.to_owned(),
        shown: "crontab -l".to_owned(),
        text: finished.stdout,
        layout: Layout::User,
        owner: None,
    })
}

/// Reads the tables of the system: `path`, or `/etc/crontab` and `/etc/cron.d`. In a directory the rules of
/// its cron decide which files are tables.
pub fn system_tables(path: Option<&Path>, origin: Dialect, what: &str) -> Result<SystemTables> {
    let mut found = SystemTables::default();
    if let Some(path) = path {
        let failure = |error: io::Error| Error::io(format!("{what} `{}`", path.display()), &error);
        if fs::metadata(path).map_err(failure)?.is_dir() {
            found.directory(path, origin).map_err(failure)?;
        } else {
            found.tables.push(read_file(path, Layout::System).map_err(failure)?);
        }
        return Ok(found);
    }
    found.places.push(PathBuf::from(CRONTAB));
    if fs::symlink_metadata(CRONTAB).is_ok() {
        found.file(Path::new(CRONTAB));
    }
    let directory = Path::new(CRON_D);
    match found.directory(directory, origin) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => found.places.push(directory.to_owned()),
        Err(error) => return Err(Error::io(format!("{what} `{CRON_D}`"), &error)),
        Ok(()) => {}
    }
    Ok(found)
}

impl SystemTables {
    fn directory(&mut self, path: &Path, origin: Dialect) -> io::Result<()> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        files.sort();
        self.places.push(fs::canonicalize(path)?);
        for file in files {
            let name = file.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
            if is_table_name(name, origin) {
                self.file(&file);
            } else if name != PLACEHOLDER {
                let reason = match origin {
                    Dialect::Debian => "Debian's cron only reads names of letters, digits, `_` and `-`",
                    Dialect::Cronie => "cronie does not read such names",
                };
                self.skipped.push((file, reason.to_owned()));
            }
        }
        Ok(())
    }

    /// Reads a system table if cron would read it.
    fn file(&mut self, file: &Path) {
        match read_trusted(file) {
            Ok(Ok(table)) => self.tables.push(table),
            Ok(Err(reason)) => self.skipped.push((file.to_owned(), reason)),
            Err(error) => {
                self.unread.extend(key_of(file).ok());
                self.skipped.push((file.to_owned(), describe(&error)));
            }
        }
    }
}

/// Reads a file that cron trusts, or returns why it does not. It checks the open file, which cannot change.
fn read_trusted(path: &Path) -> io::Result<Result<Source, String>> {
    let link = fs::symlink_metadata(path)?;
    let file = match File::open(path) {
        Err(error) if link.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
            return Ok(Err("its link has no target".to_owned()));
        }
        file => file?,
    };
    let target = file.metadata()?;
    let is_trusted = |metadata: &Metadata| metadata.uid() == 0 || !users::is_root();
    let reason = if !target.is_file() {
        "it is not a regular file"
    } else if !is_trusted(&link) || !is_trusted(&target) {
        "it does not belong to root"
    } else if target.mode() & 0o022 != 0 {
        "its group or others may write to it"
    } else if target.nlink() > 1 && !link.is_symlink() {
        "it has several hard links"
    } else {
        let (key, shown) = (key_of(path)?, path.display().to_string());
        return Ok(Ok(Source { key, shown, text: read_all(file)?, layout: Layout::System, owner: None }));
    };
    Ok(Err(reason.to_owned()))
}

/// Tells whether a cron reads files of this name in `/etc/cron.d`.
fn is_table_name(name: &[u8], origin: Dialect) -> bool {
    match origin {
        Dialect::Debian => {
            name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        }
        Dialect::Cronie => {
            let ends = [b"~".as_slice(), b".rpmsave", b".rpmorig", b".rpmnew"];
            !name.starts_with(b".") && !name.starts_with(b"#") && !ends.iter().any(|end| name.ends_with(end))
        }
    }
}

fn read_file(file: &Path, layout: Layout) -> io::Result<Source> {
    let key = key_of(file)?;
    let text = read_all(File::open(file)?)?;
    let owner = if layout == Layout::User { owner_of(&key) } else { None };
    Ok(Source { key, shown: file.display().to_string(), text, layout, owner })
}

/// Returns the key of a file: its path without links.
fn key_of(file: &Path) -> io::Result<String> {
    let path = fs::canonicalize(file)?.into_os_string();
    path.into_string()
        .map_err(|_| io::Error::other("its path is not UTF-8, so that no later import would find it"))
}

/// Tells whether cron reads this table too.
pub fn is_crons(source: &Source) -> bool {
    let path = Path::new(&source.key);
    let is_systems = path == Path::new(CRONTAB) || path.parent() == Some(Path::new(CRON_D));
    is_systems || source.owner.is_some() || source.shown == INSTALLED
}

/// Returns the user of a table in cron's spool directory, where its name is the user's.
fn owner_of(path: &str) -> Option<String> {
    let path = Path::new(path);
    let is_spool = SPOOLS.iter().any(|spool| path.parent() == Some(Path::new(spool)));
    Some(path.file_name().filter(|_| is_spool)?.to_str()?.to_owned())
}

fn read_all(from: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from.take(BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::other(format!(
            "it has more than {} MiB: it is not a crontab",
            BYTES_MAX >> 20
        )));
    }
    if text.iter().filter(|byte| **byte == b'\n').nth(LINES_MAX).is_some() {
        return Err(io::Error::other(format!("it has more than {LINES_MAX} lines: it is not a crontab")));
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
        assert_eq!(
            (owner_of("/home/alice/crontab"), owner_of("/var/spool/cron/crontabs/x/alice")),
            (None, None)
        );
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
