//! Owns: the verbs, one file a verb as it is typed: its arguments, and what it does and answers.
//! Never: what two verbs share (see the rooms beside this one): no verb imports a verb.

pub mod add;
pub mod cancel;
pub mod crontab;
pub mod daemon;
pub mod export;
pub mod import;
pub mod keeper;
pub mod list;
pub mod log;
pub mod next;
pub mod pause;
pub mod queue;
pub mod run;
pub mod runs;
pub mod show;
pub mod status;
pub mod wait;
