//! Owns: the nouns of the program, as types that hold only valid values.
//! Never: I/O, clocks, SQL, imports from another module of the crate.

mod array;
mod callback;
mod decimal;
mod dependency;
mod env_var;
mod event;
mod event_trigger;
mod executor;
mod gate;
mod gate_reading;
mod ids;
mod job;
mod output_kind;
mod path_mark;
mod person;
mod policy;
mod queue_order;
mod requirement;
mod resource;
mod retry;
mod run;
mod size;
mod stable_hash;
mod timestamp;
mod trigger;

pub use array::{Array, ArrayId, FireId, Indices};
pub use callback::{CallbackWhen, Callbacks};
pub use decimal::Decimal;
pub use dependency::{After, AfterCondition, Dependency};
pub use env_var::{EnvVar, value_of};
pub use event::{EndNote, Event, EventId, Happening, JobNote, Word};
pub use event_trigger::{
    Counter, EventName, EventSource, EventTrigger, JobPattern, JobSource, JobStage, MachineState, Occurrence,
    PathChange, PathSource, StreamSource,
};
pub use executor::{Executor, ExecutorHost, ExecutorKind, FarPlace, Placement};
pub use gate::{Gate, Pressure};
pub use gate_reading::{GateMeasure, GateReading};
pub use ids::{
    BundleId, ExecutorName, InvalidId, JobId, JobKey, JobName, JobPart, JobRef, QueueName, RunId, Tag,
    TriggerId,
};
pub use job::{CommandLine, Execution, Mail, MailFormat, MailWhen, NewJob, Stdin};
pub use output_kind::OutputKind;
pub use path_mark::PathMark;
pub use person::Person;
pub use policy::{Missed, MissedMode, Overlap, Policy};
pub use queue_order::{Aging, CALLBACK_RANK, QueueOrder, QueueRule, Rank, RankFacts, RankFrom};
pub use requirement::{GateTimeout, Requirement, RequirementId};
pub use resource::{AMOUNT_MAX, MachineSize, Needs, Portion, ResourceName, Share, read_assignment};
pub use retry::{Retry, RetryCauses};
pub(crate) use run::words;
pub use run::{End, JobState, Outcome, RunState, StopCause, TriggerKind, Usage};
pub use size::Size;
pub use stable_hash::stable_hash;
pub use timestamp::{Span, Timestamp};
pub use trigger::{TriggerSpec, Window};
