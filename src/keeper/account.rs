//! Owns: the user that an attempt runs as, looked up at its start.
//! Never: becoming that user (see `sys`).

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User, getgrouplist};

use super::path_search::{self, Refusal};
use crate::error::describe_errno;

/// A user as the system knows it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user's number.
    pub uid: Uid,
    /// The group of its entry in passwd(5).
    pub gid: Gid,
    /// All the groups it is in, that one among them: what initgroups(3) would set.
    pub groups: Vec<Gid>,
}

/// Finds a user by name.
///
/// # Errors
/// The refusal that becomes the attempt's end, if there is no such user (any more).
pub fn find(name: &str) -> Result<Credentials, Refusal> {
    let refusal = |why: &str| {
        let mut refusal = Refusal::new(path_search::OTHER, name.as_bytes(), why);
        refusal.cause.insert_str(0, "user ");
        refusal
    };
    let c_name = CString::new(name).map_err(|_| refusal("a NUL byte in its name"))?;
    let user = User::from_name(name).map_err(|errno| refusal(&describe_errno(errno)))?;
    let user = user.ok_or_else(|| refusal("there is no such user"))?;
    let groups = getgrouplist(&c_name, user.gid).map_err(|errno| refusal(&describe_errno(errno)))?;
    Ok(Credentials { uid: user.uid, gid: user.gid, groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_with_its_groups_and_a_stranger_is_refused() {
        let root = find("root").expect("everyone has one");
        assert!(root.uid.is_root() && root.groups.contains(&root.gid));
        let refusal = find("nobody-of-this-name").expect_err("there is none");
        assert_eq!(refusal.cause, "user `nobody-of-this-name`: there is no such user");
        assert!(find("a\0b").is_err());
    }
}
