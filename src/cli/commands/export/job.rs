//! Owns: a job as it is exported.
//! Never: how a format says it (see the files beside this one).

use crate::domain::{EnvVar, TriggerSpec};
use crate::schedule::{Schedule, Zone};
use crate::store::JobView;

pub(super) struct ExportedJob {
    pub(super) job: JobView,
    pub(super) env: Vec<EnvVar>,
    /// The items of an array.
    pub(super) items: Vec<Vec<u8>>,
    /// The triggers that still fire. A job without any runs once, as soon as possible.
    pub(super) triggers: Vec<Trigger>,
}

/// A trigger that still fires.
pub(super) struct Trigger {
    pub(super) spec: TriggerSpec,
    pub(super) schedule: Schedule,
    pub(super) zone: Zone,
}

/// Returns a job for a message: ``5 (`backup`)``.
pub(super) fn called(job: &JobView) -> String {
    job.definition.name.as_ref().map_or_else(|| job.id.to_string(), |name| format!("{} (`{name}`)", job.id))
}
