//! Owns: where the user's key is, and reading and writing its file.
//! Never: what it opens (see `seal`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use super::users::own_uid;
use super::{env, users};
use crate::error::describe;
use crate::seal::{InvalidKeyText, KEY_TEXT_BYTES_MAX, UserKey};

/// The name of the key among the credentials of a service (systemd.exec(5)).
pub const CREDENTIAL: &str = "taskq.key";

/// A file that has, or may get, the user's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    pub path: PathBuf,
    /// systemd has made it for this service, and nobody can change it.
    pub is_credential: bool,
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyFileError {
    #[error("there is no key in {}", places(.0))]
    NotThere(Vec<PathBuf>),
    #[error("`{}`: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: String },
    #[error("`{}` can be read by others: its mode is {mode:o}", path.display())]
    OpenToOthers { path: PathBuf, mode: u32 },
    #[error("`{}` belongs to user {uid}", path.display())]
    OfAnother { path: PathBuf, uid: u32 },
    #[error("`{}`: {error}", path.display())]
    Invalid { path: PathBuf, error: InvalidKeyText },
    #[error("`{}` has no key", path.display())]
    Empty { path: PathBuf },
}

fn places(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    if shown.is_empty() { "a directory of this user: there is none".to_owned() } else { shown.join(" or ") }
}

impl KeyFileError {
    /// Returns what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotThere(_) => "put the key back there, or name its file with `TASKQ_KEY_FILE`".to_owned(),
            Self::OpenToOthers { path, .. } => format!("close it with `chmod 600 {}`", path.display()),
            Self::Unreadable { .. } | Self::OfAnother { .. } | Self::Invalid { .. } | Self::Empty { .. } => {
                "put the key into that file again, or name another file with `TASKQ_KEY_FILE`".to_owned()
            }
        }
    }
}

/// Returns the files in which the key may be, in the order in which they are looked at. The first one that
/// exists has it: a credential of the service, `TASKQ_KEY_FILE`, `taskq/key` in the user's directory for
/// configuration.
pub fn candidates() -> Vec<KeyFile> {
    let variable = |name: &str| env::variable(name.as_ref()).filter(|value| !value.is_empty());
    let credential = variable("CREDENTIALS_DIRECTORY").map(|dir| Path::new(&dir).join(CREDENTIAL));
    let named = variable("TASKQ_KEY_FILE").map(PathBuf::from);
    let credential = credential.map(|path| KeyFile { path, is_credential: true });
    let others = named.into_iter().chain(default_path());
    credential.into_iter().chain(others.map(|path| KeyFile { path, is_credential: false })).collect()
}

/// Returns the file for a key that nobody has named; `None`: there is no home directory.
pub fn default_path() -> Option<PathBuf> {
    Some(env::config_dir()?.join("taskq/key"))
}

/// Returns the file with the key; `None`: there is none.
pub fn find() -> Option<KeyFile> {
    candidates().into_iter().find(|file| file.path.symlink_metadata().is_ok())
}

/// Reads the keys of the user, the newest one first.
///
/// # Errors
/// If there is no file with a key, or it is not the user's alone.
pub fn user_keys() -> Result<Vec<UserKey>, KeyFileError> {
    match find() {
        Some(file) => read(&file),
        None => Err(KeyFileError::NotThere(candidates().into_iter().map(|file| file.path).collect())),
    }
}

/// Reads the keys of a file, the newest one first. There is at least one.
///
/// # Errors
/// If it cannot be read, has something else, or is not the user's alone.
pub fn read(file: &KeyFile) -> Result<Vec<UserKey>, KeyFileError> {
    let path = file.path.clone();
    let unreadable = |error: io::Error| KeyFileError::Unreadable {
        path: file.path.clone(),
        cause: describe(&error).to_string(),
    };
    let opened = File::open(&path).map_err(unreadable)?;
    let found = opened.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(KeyFileError::Unreadable { path, cause: "it is not a regular file".to_owned() });
    }
    // An access list of systemd's lets the user of a service read a credential, and shows as the group's.
    let others = if file.is_credential { 0o007 } else { 0o077 };
    if found.mode() & others != 0 {
        return Err(KeyFileError::OpenToOthers { path, mode: found.mode() & 0o7777 });
    }
    if ![own_uid(), 0].contains(&found.uid()) && !users::is_root() {
        return Err(KeyFileError::OfAnother { path, uid: found.uid() });
    }
    // At once, so that no part of it is left where a growing buffer was.
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_TEXT_BYTES_MAX as usize + 1));
    opened.take(KEY_TEXT_BYTES_MAX).read_to_end(&mut text).map_err(unreadable)?;
    match UserKey::all_of(&text) {
        Ok(keys) if keys.is_empty() => Err(KeyFileError::Empty { path }),
        Ok(keys) => Ok(keys),
        Err(error) => Err(KeyFileError::Invalid { path, error }),
    }
}

/// Writes a file with these keys in the place of the one that is there, or of none. It is on disk when this
/// returns, and at no time a part of it alone.
pub fn write(path: &Path, keys: &[UserKey]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".new.{}", std::process::id()));
    let aside = directory.join(name);
    let mut text = Zeroizing::new(String::with_capacity(KEY_TEXT_BYTES_MAX as usize));
    text.push_str("# The key of a store of taskq(1). Without it nobody can read what is sealed there.\n");
    keys.iter().for_each(|key| text.push_str(&key.line()));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside);
    let written = written.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_read_as_they_were_written_and_by_their_user_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = KeyFile { path: dir.path().join("taskq/key"), is_credential: false };
        let keys = vec![UserKey::random(), UserKey::random()];
        assert!(matches!(read(&file), Err(KeyFileError::Unreadable { .. })));
        write(&file.path, &keys).expect("ours");
        assert_eq!(read(&file).as_ref(), Ok(&keys));
        write(&file.path, &keys[..1]).expect("ours");
        assert_eq!(read(&file).as_deref(), Ok(&keys[..1]));
        assert_eq!(fs::read_dir(dir.path().join("taskq")).expect("ours").count(), 1);

        let mode = |mode| fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)).expect("ours");
        mode(0o640);
        let refused = read(&file).expect_err("a group can read it");
        assert!(matches!(refused, KeyFileError::OpenToOthers { mode: 0o640, .. }), "{refused}");
        assert_eq!(read(&KeyFile { is_credential: true, ..file.clone() }).as_deref(), Ok(&keys[..1]));
        mode(0o600);
        fs::write(&file.path, "# nothing\n").expect("ours");
        assert!(matches!(read(&file), Err(KeyFileError::Empty { .. })));
        fs::write(&file.path, "secret\n").expect("ours");
        let refused = read(&file).expect_err("it is no key").to_string();
        assert!(refused.ends_with("line 1 is not `taskq-key-1` and 64 hexadecimal digits"), "{refused}");
        assert!(!refused.contains("secret"));
    }
}
