//! Owns: the verbs, one file for each: its arguments, its actions and its answer.
//! Never: code that two verbs share (see the other rooms of `cli`): no verb imports a verb.

use super::generate::{completions, man};

pub mod add;
pub mod apply;
pub mod backup;
pub mod cancel;
pub mod complete;
pub mod crontab;
pub mod daemon;
pub mod doctor;
pub mod emit;
pub mod events;
pub mod executor;
pub mod export;
pub mod help;
pub mod import;
pub mod keeper;
pub mod key;
pub mod list;
pub mod log;
pub mod metrics;
pub mod next;
pub mod overview;
pub mod pause;
pub mod prune;
pub mod queue;
pub mod remove;
pub mod rename;
pub mod resource;
pub mod resume;
pub mod retry;
pub mod run;
pub mod runs;
pub mod service;
pub mod set;
pub mod show;
pub mod signal;
pub mod stats;
pub mod status;
pub mod timeline;
pub mod top;
pub mod version;
pub mod wait;
pub mod why;

/// Returns the words for the errors of a verb: `cannot WHAT: …`. A test makes sure that every verb has some.
pub fn what(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "add" => add::WHAT,
        "apply" => apply::WHAT,
        "backup" => backup::WHAT,
        "cancel" => cancel::WHAT,
        "complete" => complete::WHAT,
        "completions" => completions::WHAT,
        "crontab" => crontab::WHAT,
        "daemon" => daemon::WHAT,
        "doctor" => doctor::WHAT,
        "emit" => emit::WHAT,
        "events" => events::WHAT,
        "executor" | "executor list" => executor::WHAT,
        "executor add" => executor::ADD,
        "executor set" => executor::SET,
        "executor remove" => executor::REMOVE,
        "executor check" => executor::CHECK,
        "export" => export::WHAT,
        "help" => help::WHAT,
        "import" => import::WHAT,
        "import crontab" => import::CRONTAB,
        "import at" => import::AT,
        "import anacrontab" => import::ANACRONTAB,
        "import systemd" => import::SYSTEMD,
        "keeper" => keeper::WHAT,
        "key" => key::STATUS,
        "key init" => key::INIT,
        "key status" => key::STATUS,
        "key rotate" => key::ROTATE,
        "key remove" => key::REMOVE,
        "list" => list::WHAT,
        "log" => log::WHAT,
        "man" => man::WHAT,
        "metrics" => metrics::WHAT,
        "next" => next::WHAT,
        "pause" => pause::WHAT,
        "prune" => prune::WHAT,
        "queue" | "queue list" => queue::WHAT,
        "queue set" => queue::SET,
        "queue remove" => queue::REMOVE,
        "resource" | "resource list" => resource::WHAT,
        "resource set" => resource::SET,
        "resource remove" => resource::REMOVE,
        "remove" => remove::WHAT,
        "rename" => rename::WHAT,
        "resume" => resume::WHAT,
        "retry" => retry::WHAT,
        "run" => run::WHAT,
        "runs" => runs::WHAT,
        "service" => service::WHAT,
        "service install" => service::INSTALL,
        "service print" => service::PRINT,
        "service uninstall" => service::UNINSTALL,
        "set" => set::WHAT,
        "show" => show::WHAT,
        "signal" => signal::WHAT,
        "stats" => stats::WHAT,
        "status" => status::WHAT,
        "timeline" => timeline::WHAT,
        "top" => top::WHAT,
        "version" => version::WHAT,
        "wait" => wait::WHAT,
        "why" => why::WHAT,
        _ => return None,
    })
}
