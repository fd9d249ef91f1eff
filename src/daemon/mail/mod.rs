//! Owns: mails about runs: their text, and their way through the keeper to sendmail(8).
//! Never: which runs deserve one (see `engine::after_end`).

mod compose;
mod queue;

pub use queue::Mailer;
pub(super) use queue::{BODY_BYTES_MAX, Claim, ClaimedMail, claim, record_result, release_unknown};
