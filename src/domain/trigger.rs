//! Owns: the stored form of a trigger.
//! Never: reading its text or finding its fires (see `schedule`).

use serde::{Deserialize, Serialize};

use super::{Span, Timestamp, TriggerKind};

/// A timestamp trigger as a person gave it, in the form that a store keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerSpec {
    /// `--at`: once.
    At {
        /// When.
        at: Timestamp,
    },
    /// `--cron`: a crontab(5) expression, a nickname, or six or seven fields.
    Cron {
        /// The text as given, white space folded.
        expr: String,
        /// The zone's IANA name; `None`: the system's zone, whichever that is.
        zone: Option<String>,
        /// Each fire comes this long after the instant that the expression names (cronie's `RANDOM_DELAY`).
        delay: Span,
    },
    /// `--every`: at `anchor` + n × `period` for n ≥ 1; with `--start`, for n ≥ 0 of the start.
    Every {
        /// The distance of two fires, in real time.
        period: Span,
        /// Where the counting begins; itself not a fire.
        anchor: Timestamp,
    },
}

impl TriggerSpec {
    /// Returns which of the kinds it is.
    pub fn kind(&self) -> TriggerKind {
        match self {
            Self::At { .. } => TriggerKind::At,
            Self::Cron { .. } => TriggerKind::Cron,
            Self::Every { .. } => TriggerKind::Every,
        }
    }
}
