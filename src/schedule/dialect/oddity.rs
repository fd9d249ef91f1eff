//! Owns: what is surprising in a cron's reading, and the words for it.
//! Never: finding it.

use std::fmt;

use super::super::vixie::FIELDS;

/// A part of a field that a cron accepts and that means something else than it seems to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// Which of the five, from 0.
    pub field: usize,
    /// The part of the field, as it was written.
    pub text: String,
    /// What the cron makes of it.
    pub quirk: Quirk,
}

/// What a cron makes of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// Debian's cron reads up to the first character that it has no use for, and skips the rest of the field.
    Skipped {
        /// What is read.
        kept: String,
        /// What is not.
        skipped: String,
    },
    /// A number that does not fit into 32 bits.
    Wrapped {
        /// What is left of it.
        value: i32,
    },
    /// A range that runs backwards: no value is in it.
    Backwards,
    /// A range that ends outside the field: cronie minds only the values in it, and a step can leave the end
    /// out.
    EndOutside,
    /// A range that runs backwards down to 0, which cronie after 1.7.2 takes for 7.
    ZeroAsSeven,
    /// A step past the end of its range.
    StepBeyond {
        /// The one value that is left.
        left: u32,
    },
    /// A random number.
    Drawn {
        /// The number.
        value: u32,
    },
}

/// `minute `5#2`: Debian's cron reads `5` and skips `#2``.
impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, text, quirk } = self;
        write!(f, "{} `{text}`: ", FIELDS[*field].name)?;
        match quirk {
            Quirk::Skipped { kept, skipped } => {
                write!(f, "Debian's cron reads `{kept}` and skips `{skipped}`")
            }
            Quirk::Wrapped { value } => write!(f, "the number is too large and is read as {value}"),
            Quirk::Backwards => f.write_str("the range runs backwards and names nothing"),
            Quirk::EndOutside => f.write_str("cronie does not mind that the range ends outside the field"),
            Quirk::ZeroAsSeven => {
                f.write_str("cronie reads the end as 7; up to 1.7.2 the range names nothing")
            }
            Quirk::StepBeyond { left } => {
                write!(f, "the step leaves the range at once, so only {left} is in it")
            }
            Quirk::Drawn { value } => {
                write!(f, "cronie draws a number whenever it loads the table; here it is {value}")
            }
        }
    }
}
