//! Owns: the state of a gate at an instant, as it was read from the machine.
//! Never: reading it (see `watch`), what follows from it (see `engine`).

use std::fmt;

use super::{Decimal, Size};

/// The state of a gate at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateReading {
    Read {
        is_open: bool,
        /// `None` for a gate that is not a comparison.
        measure: Option<GateMeasure>,
    },
    /// A pressure is the difference of two samples, and there is only one yet.
    NotYet,
    /// The machine does not say. The cause, as in ``cannot read `/proc/loadavg`: permission denied``.
    Unreadable(String),
}

/// What was compared with the bound of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateMeasure {
    Load(Decimal),
    Percent(Decimal),
    Memory(Size),
}

impl GateReading {
    /// Returns the reading of a gate that is a comparison.
    pub fn compared(is_open: bool, measure: GateMeasure) -> Self {
        Self::Read { is_open, measure: Some(measure) }
    }

    /// Returns the reading of a gate that is not a comparison.
    pub fn of(is_open: bool) -> Self {
        Self::Read { is_open, measure: None }
    }

    /// Returns whether the gate lets a run start. A gate that could not be read does not.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Read { is_open, .. } => *is_open,
            Self::NotYet | Self::Unreadable(_) => false,
        }
    }
}

/// Writes it for people: `2.31`, `150%`, `1.2G`. A size is rounded down.
impl fmt::Display for GateMeasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(load) => load.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Memory(size) => f.write_str(&size.rounded()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_without_an_answer_is_closed() {
        assert!(GateReading::of(true).is_open() && !GateReading::of(false).is_open());
        assert!(!GateReading::NotYet.is_open());
        assert!(!GateReading::Unreadable("cannot read it".to_owned()).is_open());
    }

    #[test]
    fn a_measure_is_shown_with_its_unit() {
        assert_eq!(GateMeasure::Load(Decimal::from_hundredths(231)).to_string(), "2.31");
        assert_eq!(GateMeasure::Percent(Decimal::from_hundredths(15_000)).to_string(), "150%");
        assert_eq!(GateMeasure::Memory(Size::from_bytes(1_300_000_000)).to_string(), "1.2G");
    }
}
