//! Owns: the verbs, one file a verb as it is typed: its arguments, and what it does and answers.
//! Never: what two verbs share (see the rooms beside this one): no verb imports a verb.

use super::generate::{completions, man};

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
pub mod resume;
pub mod run;
pub mod runs;
pub mod show;
pub mod status;
pub mod wait;

/// Returns what a verb does, as errors say it; a test asks for every verb that there is.
pub fn what(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "add" => add::WHAT,
        "cancel" => cancel::WHAT,
        "completions" => completions::WHAT,
        "crontab" => crontab::WHAT,
        "daemon" => daemon::WHAT,
        "export" => export::WHAT,
        "import" => import::WHAT,
        "import crontab" => import::CRONTAB,
        "keeper" => keeper::WHAT,
        "list" => list::WHAT,
        "log" => log::WHAT,
        "man" => man::WHAT,
        "next" => next::WHAT,
        "pause" => pause::WHAT,
        "queue" | "queue list" => queue::WHAT,
        "queue set" => queue::SET,
        "resume" => resume::WHAT,
        "run" => run::WHAT,
        "runs" => runs::WHAT,
        "show" => show::WHAT,
        "status" => status::WHAT,
        "wait" => wait::WHAT,
        _ => return None,
    })
}
