//! Owns: numbers with at most two decimals, and their texts.
//! Never: their units and limits.

use std::fmt;
use std::str::FromStr;

/// A number of hundredths, at least 0. The kernel shows load averages and pressure with two decimals too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Decimal(u64);

impl Decimal {
    pub const fn from_hundredths(hundredths: u64) -> Self {
        Self(hundredths)
    }

    pub const fn as_hundredths(self) -> u64 {
        self.0
    }
}

/// Reads a number without a sign and an exponent, with a digit on each side of the point: `2`, `0.5`, `1.25`.
impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        hundredths(text)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a number with at most two decimals: write it as `1.5`"))
    }
}

fn hundredths(text: &str) -> Option<u64> {
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (text, None),
    };
    let number = |digits: &str| {
        let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| is_plain)
    };
    let rest = match decimals {
        None => 0,
        Some(decimals) => number(decimals)? * [0, 10, 1].get(decimals.len())?,
    };
    number(whole)?.checked_mul(100)?.checked_add(rest)
}

/// Writes the shortest text that reads back.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{whole}"),
            _ if rest.is_multiple_of(10) => write!(f, "{whole}.{}", rest / 10),
            _ => write!(f, "{whole}.{rest:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_decimal_has_at_most_two_decimals() {
        for (text, hundredths) in [("0", 0), ("2", 200), ("0.5", 50), ("1.25", 125), ("007.05", 705)] {
            assert_eq!(text.parse(), Ok(Decimal(hundredths)), "{text}");
        }
        let huge = u64::MAX.to_string();
        let long = format!("1.{huge}0");
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1.+5", "1.234", "1e3", "1,5", " 1", "inf", &huge, &long]
        {
            assert!(bad.parse::<Decimal>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_decimal_is_written_as_short_as_possible() {
        for (hundredths, text) in [(0, "0"), (5, "0.05"), (50, "0.5"), (200, "2"), (231, "2.31")] {
            assert_eq!(Decimal(hundredths).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn the_text_of_a_decimal_reads_back(hundredths in any::<u64>()) {
            let decimal = Decimal(hundredths);
            prop_assert_eq!(decimal.to_string().parse(), Ok(decimal));
        }
    }
}
