//! Owns: what a part of the picture stands for, and the sign and colour of each.
//! Never: where it is drawn.

use anstyle::{AnsiColor, Style};

use crate::cli::output::style::outcome_style;
use crate::domain::Outcome;

/// What a cell shows. Of several in one cell, the last in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Waiting,
    Coming,
    Success,
    Running,
    /// It runs, and its keeper is gone.
    Unattended,
    Skipped,
    Cancelled,
    Missed,
    Lost,
    SpawnFailed,
    TimedOut,
    Failed,
}

impl Kind {
    /// All of them, in the order of a legend.
    pub const ALL: [Self; 12] = [
        Self::Success,
        Self::Failed,
        Self::TimedOut,
        Self::SpawnFailed,
        Self::Lost,
        Self::Cancelled,
        Self::Missed,
        Self::Skipped,
        Self::Running,
        Self::Unattended,
        Self::Waiting,
        Self::Coming,
    ];

    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Failed => Self::Failed,
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Missed => Self::Missed,
            Outcome::Skipped => Self::Skipped,
            Outcome::SpawnFailed => Self::SpawnFailed,
            Outcome::Lost => Self::Lost,
        }
    }

    fn outcome(self) -> Option<Outcome> {
        Outcome::ALL.iter().copied().find(|outcome| Self::of(*outcome) == self)
    }

    /// Returns its word in legends.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Coming => "coming",
            Self::Running => "running",
            Self::Unattended => "unattended",
            other => other.outcome().map_or("", Outcome::as_str),
        }
    }

    /// Returns the sign that tells it apart without colour: the end of a run, or the place of a fire.
    pub fn sign(self) -> char {
        match self {
            Self::Waiting => '┄',
            Self::Coming => '▹',
            Self::Success => '█',
            Self::Running => '▒',
            Self::Unattended => '░',
            Self::Skipped => '-',
            Self::Cancelled => 'c',
            Self::Missed => '○',
            Self::Lost => '?',
            Self::SpawnFailed => '!',
            Self::TimedOut => 't',
            Self::Failed => '✗',
        }
    }

    pub fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Waiting => Style::new().dimmed(),
            Self::Coming | Self::Running => color(AnsiColor::Cyan),
            Self::Unattended => color(AnsiColor::Magenta),
            other => other.outcome().map_or(Style::new(), outcome_style),
        }
    }
}
