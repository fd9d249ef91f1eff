//! Owns: sources of events outside the store.
//! Never: what an event makes a job do (see `engine`).

mod zone;

pub use zone::ZoneWatch;
