//! Owns: the stored form of a trigger.
//! Never: parsing its text or finding its fires (see `schedule`).

use serde::{Deserialize, Serialize};

use super::{EventTrigger, Span, Timestamp, TriggerKind};

/// A trigger as the user gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerSpec {
    /// `--at`: once.
    At {
        /// The instant of the fire, without the delay.
        at: Timestamp,
        /// The fire is this much later (`--jitter`).
        delay: Span,
    },
    /// `--cron`: a crontab(5) expression, a nickname, or six or seven fields.
    Cron {
        /// The text as given, with single spaces.
        expr: String,
        /// The IANA name of the zone; `None`: the system's zone, also when it changes.
        zone: Option<String>,
        /// Each fire is this long after an instant of the expression (`--jitter`, cronie's `RANDOM_DELAY`).
        delay: Span,
    },
    /// `--every`: at `anchor` + n × `period` for n ≥ 1. With `--start`, the anchor is one period before it.
    Every {
        /// The real time between two fires.
        period: Span,
        /// The instant before the first fire. It is not a fire itself.
        anchor: Timestamp,
        /// Each fire is this much later (`--jitter`).
        delay: Span,
    },
    /// `--every` with `--after-end`: this long after the last run has ended. Its first fire is at the start,
    /// or one period after the add.
    AfterEnd {
        /// The real time from the end of a run to the next fire.
        period: Span,
        /// Each fire is this much later (`--jitter`).
        delay: Span,
    },
    /// `--on`: at events. It has no instants, and no delay.
    Event(EventTrigger),
    /// `--calendar`: an expression of systemd.time(7).
    Calendar {
        /// The text as given.
        expr: String,
        /// The name of the zone in the text, or else of `--tz`; `None`: the system's zone, also when it
        /// changes.
        zone: Option<String>,
        /// Each fire is this long after an instant of the expression (`--jitter`).
        delay: Span,
    },
}

/// The stretch of time in which the triggers of a job fire: `--start` and `--until`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// No fire before this instant.
    pub start: Option<Timestamp>,
    /// No fire at or after this instant.
    pub until: Option<Timestamp>,
}

impl Window {
    pub fn contains(self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| at >= start) && !self.has_ended(at)
    }

    /// Returns whether no fire can come at or after `at`.
    pub fn has_ended(self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| at >= until)
    }

    /// Returns `at`, or the last instant before the end of the window if that is earlier.
    pub fn capped(self, at: Timestamp) -> Timestamp {
        self.until.map_or(at, |until| at.min(until - Span::from_micros(1)))
    }
}

impl TriggerSpec {
    pub fn kind(&self) -> TriggerKind {
        match self {
            Self::At { .. } => TriggerKind::At,
            Self::Cron { .. } => TriggerKind::Cron,
            Self::Every { .. } | Self::AfterEnd { .. } => TriggerKind::Every,
            Self::Event(trigger) => trigger.kind(),
            Self::Calendar { .. } => TriggerKind::Calendar,
        }
    }

    /// Returns by how much its fires are later than their nominal times.
    pub fn delay(&self) -> Span {
        match self {
            Self::At { delay, .. }
            | Self::Cron { delay, .. }
            | Self::Calendar { delay, .. }
            | Self::Every { delay, .. }
            | Self::AfterEnd { delay, .. } => *delay,
            Self::Event(_) => Span::ZERO,
        }
    }

    /// Returns the same trigger with another delay. A boot and an event have none.
    pub fn delayed(mut self, by: Span) -> Self {
        let is_boot = self.is_boot();
        match &mut self {
            Self::At { delay, .. }
            | Self::Cron { delay, .. }
            | Self::Calendar { delay, .. }
            | Self::Every { delay, .. }
            | Self::AfterEnd { delay, .. } => *delay = if is_boot { Span::ZERO } else { by },
            Self::Event(_) => {}
        }
        self
    }

    /// Returns the event trigger that it is.
    pub fn event(&self) -> Option<&EventTrigger> {
        match self {
            Self::Event(trigger) => Some(trigger),
            Self::At { .. }
            | Self::Cron { .. }
            | Self::Calendar { .. }
            | Self::Every { .. }
            | Self::AfterEnd { .. } => None,
        }
    }

    /// Returns the name of the zone of its expression, if the text itself does not end with it.
    pub fn zone_beside_text(&self) -> Option<&str> {
        match self {
            Self::Cron { zone, .. } => zone.as_deref(),
            Self::Calendar { expr, zone, .. } => {
                let last = expr.rsplit_once(' ').map(|(_, last)| last);
                let is_in_text = |zone: &&str| last.is_some_and(|last| last.eq_ignore_ascii_case(zone));
                zone.as_deref().filter(|zone| !is_in_text(zone))
            }
            Self::At { .. } | Self::Every { .. } | Self::AfterEnd { .. } | Self::Event(_) => None,
        }
    }

    /// Returns whether it fires after each boot of the machine.
    pub fn is_boot(&self) -> bool {
        matches!(self, Self::Cron { expr, .. } if expr == "@reboot")
    }
}
