//! Owns: the stored form of a trigger.
//! Never: parsing its text or finding its fires (see `schedule`).

use serde::{Deserialize, Serialize};

use super::{Span, Timestamp, TriggerKind};

/// A timestamp trigger as the user gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerSpec {
    /// `--at`: once.
    At {
        /// The instant of the fire.
        at: Timestamp,
    },
    /// `--cron`: a crontab(5) expression, a nickname, or six or seven fields.
    Cron {
        /// The text as given, with single spaces.
        expr: String,
        /// The IANA name of the zone; `None`: the system's zone, also when it changes.
        zone: Option<String>,
        /// Each fire is this long after an instant of the expression (cronie's `RANDOM_DELAY`).
        delay: Span,
    },
    /// `--every`: at `anchor` + n × `period` for n ≥ 1. With `--start`, the anchor is one period before it.
    Every {
        /// The real time between two fires.
        period: Span,
        /// The instant before the first fire. It is not a fire itself.
        anchor: Timestamp,
    },
}

impl TriggerSpec {
    pub fn kind(&self) -> TriggerKind {
        match self {
            Self::At { .. } => TriggerKind::At,
            Self::Cron { .. } => TriggerKind::Cron,
            Self::Every { .. } => TriggerKind::Every,
        }
    }

    /// Returns whether it fires after each boot of the machine.
    pub fn is_boot(&self) -> bool {
        matches!(self, Self::Cron { expr, .. } if expr == "@reboot")
    }
}
