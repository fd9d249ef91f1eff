//! Owns: a user of the machine, as environments and mails show it.
//! Never: looking one up (see `system::users`).

/// The entry of a user in passwd(5), as far as environments and mails need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub home: Vec<u8>,
    pub shell: Vec<u8>,
}
