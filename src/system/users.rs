//! Owns: the users of this machine, passwd(5), and which of them this process is.
//! Never: switching to one (see `keeper`).

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::unistd::User;

/// A user, as far as environments and mails are about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name in passwd(5).
    pub name: String,
    /// The home directory.
    pub home: Vec<u8>,
    /// The login shell.
    pub shell: Vec<u8>,
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        let bytes = |path: PathBuf| path.into_os_string().into_vec();
        Self { name: user.name, home: bytes(user.dir), shell: bytes(user.shell) }
    }
}

/// Finds a user by name.
pub fn find_person(name: &str) -> Option<Person> {
    User::from_name(name).ok().flatten().map(Person::from)
}

/// Returns a user of this name, or the one that this process runs as; one that is in no passwd(5) has a
/// number for a name and no home.
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

/// Tells whether this process may do anything.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
