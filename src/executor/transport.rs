//! Owns: the command lines that carry a request to a far shell.
//! Never: the request itself, which is their standard input.

use crate::domain::stable_hash;

const SSH: &str = include_str!("ssh.sh");

/// The status of [`ssh`] when nothing was delivered, because no connection was made. Another host can be
/// chosen then.
pub const NOT_DELIVERED: i32 = 75;

/// What ssh(1) is told besides the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SshOptions {
    /// A configuration file in the place of the user's.
    pub config: Option<String>,
    /// Values of `-o`, `Port=2222`. They precede the defaults here, but not those of the shared connection.
    pub options: Vec<String>,
}

/// Returns the command of a shell on this machine.
pub fn local() -> Vec<Vec<u8>> {
    words(&["sh", "-s"])
}

/// Returns the command of a shell on `host`, a destination of ssh(1). Commands for one host started in
/// one directory share a connection: its socket lies there, and it ends a minute after the last of them.
///
/// The status is that of the far shell, 255 if the connection broke, and [`NOT_DELIVERED`].
pub fn ssh(host: &str, options: &SshOptions) -> Vec<Vec<u8>> {
    let socket = socket(host, options);
    let mut argv = words(&["sh", "-c", SSH, "taskq-ssh", &socket, host]);
    if let Some(config) = &options.config {
        argv.extend(words(&["-F", config]));
    }
    for option in &options.options {
        argv.extend(words(&["-o", option]));
    }
    argv
}

/// Returns what a client said last, from its standard error; `None` if it said nothing.
pub fn said(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

/// Returns the name of the socket, short because a socket's path has at most 107 bytes, and ssh(1) adds 17.
fn socket(host: &str, options: &SshOptions) -> String {
    let hash = stable_hash(0, format!("{host}\0{options:?}").as_bytes());
    format!("ssh.{:08x}", hash & 0xffff_ffff)
}

fn words(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
