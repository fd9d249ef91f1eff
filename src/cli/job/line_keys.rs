//! Owns: the keys of `--from` that are no options.
//! Never: reading them (see `lines`).

use std::ffi::OsString;

use crate::domain::MailFormat;

/// The keys of `--from` that are no options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineKeys {
    /// The instant from which each `every` counts, if not from now or the start.
    pub anchor: Vec<String>,

    /// Start in `/` if the directory is gone.
    pub cwd_optional: bool,

    /// The text of the standard input.
    pub stdin_text: Option<String>,

    /// The whole environment, in place of the caller's.
    pub environment: Option<Vec<OsString>>,

    /// The items of `each`.
    pub items: Option<Vec<OsString>>,

    /// The format of mails, if not ours.
    pub mail_format: Option<MailFormat>,
}
