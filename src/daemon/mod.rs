//! Owns: the loop that connects store, engine and keeper, and the sockets of clients. It is the only part of
//! the program that blocks.
//! Never: deciding what runs (see `engine`).

mod adding;
mod agenda;
mod at_once;
mod backup;
mod batching;
mod catch_up;
mod dependencies;
mod doors;
mod event_files;
mod executing;
mod far_order;
mod feeding;
mod following;
mod gating;
mod idle;
mod job_triggers;
mod keeper_side;
mod key_wait;
mod lock;
mod logger;
mod mail;
mod names;
mod order;
mod output_limit;
mod outputs;
mod pacer;
mod poke;
mod pruning;
mod resources;
mod results;
mod run_lines;
#[cfg(test)]
mod run_timers;
mod serve;
mod service;
mod settings;
mod signals;
mod sources;
mod subscription;
mod timer;
mod turn;
mod until_idle;
mod watched_paths;
mod watching;

pub use adding::{AddAnswer, AddRequest, Adding, ClientRequest, add, add_job, add_once};
pub use agenda::{Agenda, Deadline, NextWake, Timer};
pub use at_once::{AtOnce, can_signal, order_at_once};
pub use backup::{BackupDone, CopyPlace, back_up};
pub use catch_up::{Beginning, CatchUp, begin, follow_new_window, resume_job, uncommitted_stops};
pub use dependencies::{check_batch, refused_change};
pub use doors::is_listening;
pub use event_files::EventFile;
pub use executing::{far_request, host_directory};
pub use gating::{GateQuestion, Gating};
pub use job_triggers::{Listening, check_triggers, refused_triggers};
pub use keeper_side::Gone;
pub use lock::{
    DaemonInfo, StoreHold, default_slots, default_slots_of, hold_key, hold_off_daemons, open_store,
    running_daemon,
};
pub use mail::Mailer;
pub use names::{NameClash, free_name};
pub use order::{RunFiles, at_once_pause};
pub use output_limit::{SurplusOutput, SurplusOutputs, prune_outputs, remove_files, surplus_outputs};
pub use outputs::{Excerpt, Excerpts, remove_outputs};
pub use pacer::Pacer;
pub use poke::Poke;
pub use pruning::{ForgottenJob, PrunePlace, PruneStep, Pruning, find_forgotten, forget};
pub use resources::refused_requirement;
pub use serve::serve;
pub use service::{service, service_for};
pub use settings::Settings;
pub use subscription::{Subscription, Unconnected, WaitEnd};
pub use turn::{TurnInput, TurnOutput, turn};
pub use watched_paths::WatchedPaths;

use crate::system::sockets;

/// Returns a random positive number.
pub fn random_id() -> std::io::Result<i64> {
    let mut bytes = [0; 8];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok((i64::from_ne_bytes(bytes) & i64::MAX).max(1))
}
