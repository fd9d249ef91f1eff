//! Owns: the surprises in a cron's reading, and the words for them.
//! Never: finding them (see `scan`).

use std::fmt;

use super::super::vixie::FIELDS;

/// A part of a field that a cron accepts, but does not read as it seems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// The place of the field among the five, from 0.
    pub field: usize,
    /// The part, as written.
    pub text: String,
    /// The surprise.
    pub quirk: Quirk,
}

/// The surprise in a part of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// Debian's cron reads up to the first unusable character, and skips the rest of the field.
    Skipped { kept: String, skipped: String },
    /// The number does not fit into 32 bits.
    Wrapped { value: i32 },
    /// The range runs backwards: no value is in it.
    Backwards,
    /// The range ends outside the field. cronie checks only the values, and a step can leave out the end.
    EndOutside,
    /// The range runs backwards to 0, which cronie after 1.7.2 reads as 7.
    ZeroAsSeven,
    /// The step is larger than the range, of which one value is left.
    StepBeyond { left: u32 },
    /// The number is random.
    Drawn { value: u32 },
}

/// ``minute `5#2`: Debian's cron reads `5` and skips `#2` ``.
impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, text, quirk } = self;
        write!(f, "{} `{text}`: ", FIELDS[*field].name)?;
        match quirk {
            Quirk::Skipped { kept, skipped } => {
                write!(f, "Debian's cron reads `{kept}` and skips `{skipped}`")
            }
            Quirk::Wrapped { value } => write!(f, "the number is too large and is read as {value}"),
            Quirk::Backwards => f.write_str("the range runs backwards, so no value is in it"),
            Quirk::EndOutside => f.write_str("cronie accepts a range that ends outside the field"),
            Quirk::ZeroAsSeven => {
                f.write_str("cronie reads the end as 7; up to 1.7.2 no value is in the range")
            }
            Quirk::StepBeyond { left } => {
                write!(f, "the step is larger than the range, so only {left} is in it")
            }
            Quirk::Drawn { value } => {
                write!(f, "cronie draws a number each time it loads the table; taskq uses {value}")
            }
        }
    }
}
