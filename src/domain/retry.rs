//! Owns: the policy of a job for attempts that fail.
//! Never: deciding on an attempt (see `engine`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Span;

/// `--retries`, `--retry-delay` and `--retry-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How many attempts may follow the first one.
    pub retries: u32,
    /// The pause after the first attempt. It doubles after each further one.
    pub delay: Span,
    /// The longest pause, at least `delay`.
    pub delay_max: Span,
    /// The ends that are retried; `None`: every failure, but not `lost`.
    pub on: Option<RetryCauses>,
}

impl Retry {
    /// The most retries. With the longest default pause, this takes years.
    pub const RETRIES_MAX: u32 = 1_000_000;

    /// Returns the longest pause if only the shortest is given.
    pub fn delay_max_for(delay: Span) -> Span {
        delay.max(Self::default().delay_max)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { retries: 0, delay: Span::from_seconds(10), delay_max: Span::from_seconds(600), on: None }
    }
}

/// A list of ends that are retried, such as `1,75-78,signal`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryCauses {
    /// A bit for each exit status.
    statuses: [u64; 4],
    pub signal: bool,
    pub timeout: bool,
    pub lost: bool,
}

impl RetryCauses {
    /// Returns whether an exit status is in the list.
    pub fn has_status(&self, status: i32) -> bool {
        u8::try_from(status).is_ok_and(|status| self.statuses[word(status)] & bit(status) != 0)
    }

    /// Returns the runs of neighbouring statuses in the list, each by its first and last.
    fn ranges(&self) -> Vec<(u8, u8)> {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for status in (1..=u8::MAX).filter(|status| self.has_status(i32::from(*status))) {
            match ranges.last_mut() {
                Some((_, last)) if *last == status - 1 => *last = status,
                Some(_) | None => ranges.push((status, status)),
            }
        }
        ranges
    }
}

fn word(status: u8) -> usize {
    usize::from(status / 64)
}

fn bit(status: u8) -> u64 {
    1 << (status % 64)
}

impl fmt::Display for RetryCauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses = self.ranges().into_iter().map(|(first, last)| match last - first {
            0 => first.to_string(),
            _ => format!("{first}-{last}"),
        });
        let words = [(self.signal, "signal"), (self.timeout, "timeout"), (self.lost, "lost")];
        let words = words.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word.to_owned());
        f.write_str(&statuses.chain(words).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for RetryCauses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut causes = Self::default();
        for part in text.split(',').map(str::trim) {
            match part {
                "signal" => causes.signal = true,
                "timeout" => causes.timeout = true,
                "lost" => causes.lost = true,
                _ => {
                    let (first, last) = statuses(part).ok_or_else(|| {
                        format!(
                            "has `{part}`, which is not an exit status from 1 to 255, a range such as \
                             `75-78`, or one of `signal`, `timeout` and `lost`"
                        )
                    })?;
                    (first..=last).for_each(|status| causes.statuses[word(status)] |= bit(status));
                }
            }
        }
        Ok(causes)
    }
}

/// Reads an exit status or a range of them. 0 is a success, and a range runs forwards.
fn statuses(part: &str) -> Option<(u8, u8)> {
    let status = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status: &u8| is_plain && *status > 0)
    };
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_causes_is_shown_in_the_form_that_is_read() {
        for (text, shown) in [
            ("1,75-78,signal,timeout,lost", "1,75-78,signal,timeout,lost"),
            ("lost, 3,2,1, 255", "1-3,255,lost"),
            ("63-65,64", "63-65"),
            ("1-255", "1-255"),
            ("signal", "signal"),
        ] {
            let causes: RetryCauses = text.parse().expect(text);
            assert_eq!(causes.to_string(), shown);
            assert_eq!(shown.parse(), Ok(causes));
        }
        let causes: RetryCauses = "1,75-78".parse().expect("valid");
        let found: Vec<i32> = (-1..300).filter(|status| causes.has_status(*status)).collect();
        assert_eq!(found, [1, 75, 76, 77, 78]);
    }

    #[test]
    fn a_list_with_another_word_is_refused_whole() {
        for bad in ["", "1,", "0", "256", "0-3", "78-75", "1-", "-1", "+1", "1-2-3", "failure", "Signal"] {
            assert!(bad.parse::<RetryCauses>().is_err(), "{bad}");
        }
    }
}
