//! Owns: looking up the user of an attempt at its start.
//! Never: becoming that user (see `sys`).

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, User, getgrouplist};

/// The ids of a user, as the system has them now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub uid: Uid,
    /// The group of its entry in passwd(5).
    pub gid: Gid,
    /// All its groups, including `gid`, as initgroups(3) would set them.
    pub groups: Vec<Gid>,
}

/// Finds a user by name.
///
/// # Errors
/// `ENOENT` if there is no such user.
pub fn find(name: &str) -> Result<Credentials, Errno> {
    let c_name = CString::new(name).map_err(|_| Errno::ENOENT)?;
    let user = User::from_name(name)?.ok_or(Errno::ENOENT)?;
    let groups = getgrouplist(&c_name, user.gid)?;
    Ok(Credentials { uid: user.uid, gid: user.gid, groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_with_its_groups_and_a_stranger_is_not() {
        let root = find("root").expect("everyone has one");
        assert!(root.uid.is_root() && root.groups.contains(&root.gid));
        assert_eq!(find("nobody-of-this-name"), Err(Errno::ENOENT));
        assert_eq!(find("a\0b"), Err(Errno::ENOENT));
    }
}
