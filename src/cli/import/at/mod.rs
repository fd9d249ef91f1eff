//! Owns: the jobs of at(1): its queue, and making jobs of it.
//! Never: storing them (see `items`).

mod jobs;
mod queue;
mod script;

pub use jobs::at_items;
pub use queue::{AtQueue, QueuedJob, at_queue};
