//! Owns: sources of events outside the store.
//! Never: what an event makes a job do (see `engine`).

mod backoff;
mod error_lines;
mod gates;
mod line_event;
mod line_reader;
mod paths;
mod states;
mod streams;
mod zone;

pub use backoff::Backoff;
pub use gates::GateMeter;
pub use line_event::LineEvent;
pub use paths::{PathEvent, PathListener, PathNews, PathRefusal, PathWatch, check_path, first_marks};
pub use states::{MachineStates, StateNews, StateWatch};
pub use streams::{Changes, StreamEnd, Streams, WantedStream};
pub use zone::ZoneWatch;
