//! Owns: the users of this machine (passwd(5)), and the one of this process.
//! Never: switching to a user (see `keeper`).

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::unistd::User;

use crate::domain::Person;

impl From<User> for Person {
    fn from(user: User) -> Self {
        let bytes = |path: PathBuf| path.into_os_string().into_vec();
        Self { name: user.name, home: bytes(user.dir), shell: bytes(user.shell) }
    }
}

pub fn find_person(name: &str) -> Option<Person> {
    User::from_name(name).ok().flatten().map(Person::from)
}

/// Returns the user of this name; `None`: of this process. Without an entry in passwd(5) the name of the
/// latter is its number, and the home is `/`.
pub fn person(name: Option<&str>) -> Person {
    let found = match name {
        Some(name) => find_person(name),
        None => User::from_uid(nix::unistd::geteuid()).ok().flatten().map(Person::from),
    };
    found.unwrap_or_else(|| Person {
        name: name.map_or_else(|| nix::unistd::geteuid().to_string(), str::to_owned),
        home: b"/".to_vec(),
        shell: b"/bin/sh".to_vec(),
    })
}

/// Returns the user of this process.
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Returns the number of the user of this name.
pub fn uid_of(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

/// Returns the number of a user's group.
pub fn group_of(uid: u32) -> Option<u32> {
    User::from_uid(uid.into()).ok().flatten().map(|user| user.gid.as_raw())
}

/// Returns the name of a user; `None` without an entry in passwd(5).
pub fn name_of(uid: u32) -> Option<String> {
    User::from_uid(uid.into()).ok().flatten().map(|user| user.name)
}

/// Returns whether this process runs as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
