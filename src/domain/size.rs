//! Owns: numbers of bytes, and their texts, `500K` to `2G`.
//! Never: their limits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The units, from large to small: binary, as with head(1) and systemd.
const UNITS: [(char, u64); 4] = [('T', 1 << 40), ('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size(u64);

impl Size {
    /// The largest size: the largest number in a column of the database.
    pub const MAX: Self = Self(i64::MAX.cast_unsigned());

    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// Returns the size for people, rounded down: `900`, `4.2K`, `17M`.
    pub fn rounded(self) -> String {
        let Some((unit, size)) = UNITS.iter().find(|(_, size)| self.0 >= *size) else {
            return self.0.to_string();
        };
        let tenths = u128::from(self.0) * 10 / u128::from(*size);
        if tenths < 100 {
            format!("{}.{}{unit}", tenths / 10, tenths % 10)
        } else {
            format!("{}{unit}", tenths / 10)
        }
    }
}

/// Reads a whole number of bytes, or one with a unit, in capitals or not: `4096`, `500K`, `10m`.
impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = text.chars().last().map_or('0', |last| last.to_ascii_uppercase());
        let unit = UNITS.iter().find(|(name, _)| *name == unit);
        let number = if unit.is_some() { &text[..text.len() - 1] } else { text };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("`{text}` is not a size: write it as `4096`, `500K`, `10M` or `1G`"));
        }
        let bytes = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit.map_or(1, |(_, size)| *size)));
        let size = bytes.map(Self).filter(|size| *size <= Self::MAX);
        size.ok_or_else(|| format!("`{text}` is too large a size"))
    }
}

/// Writes the size with the largest unit of which it is a multiple.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, size)| self.0 > 0 && self.0.is_multiple_of(*size)) {
            Some((name, size)) => write!(f, "{}{name}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_binary_unit_or_is_in_bytes() {
        for (text, bytes) in
            [("0", 0), ("4096", 4_096), ("1K", 1_024), ("10m", 10 << 20), ("3G", 3 << 30), ("2T", 2 << 40)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for bad in ["", "K", "-1", "+1", "1.5M", "10MB", "10MiB", "1 M", "ten", "1ß", "99999999999T"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_text_of_a_size_reads_back() {
        for (bytes, text) in [(0, "0"), (1, "1"), (1_024, "1K"), (1_536, "1536"), (10 << 20, "10M")] {
            assert_eq!(Size(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Size(bytes)));
        }
        assert_eq!(Size::MAX.to_string().parse(), Ok(Size::MAX));
    }
}
