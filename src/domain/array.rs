//! Owns: the indices of an array, one job that makes a run of each.
//! Never: which of them have run (see `store`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{JobId, RunId};

/// `--array`: the indices of a job, and how many of them run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    pub indices: Indices,
    /// At most so many run at once; `None`: as many as the queue has slots for.
    pub at_once: Option<u32>,
}

/// The numbers `first`, `first + step`, … up to `last`. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indices {
    first: u32,
    /// One of the numbers.
    last: u32,
    /// At least 1.
    step: u32,
}

impl Indices {
    /// The most indices of an array.
    pub const COUNT_MAX: u32 = 1_000_000;

    /// Returns the numbers from `first` to `last` in steps.
    ///
    /// # Errors
    /// If there are none, or more than `COUNT_MAX`.
    pub fn new(first: u32, last: u32, step: u32) -> Result<Self, String> {
        if last < first || step == 0 {
            return Err("has no index".to_owned());
        }
        let indices = Self { first, last: last - (last - first) % step, step };
        if indices.count() > Self::COUNT_MAX {
            return Err(format!("has {} indices, {} are allowed", indices.count(), Self::COUNT_MAX));
        }
        Ok(indices)
    }

    /// Returns the numbers from 1 to `count`.
    ///
    /// # Errors
    /// As `new`.
    pub fn up_to(count: u32) -> Result<Self, String> {
        Self::new(1, count, 1)
    }

    /// Returns these numbers, which ascend, as few ranges.
    pub fn parts(numbers: &[u32]) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for number in numbers {
            match parts.last_mut() {
                Some(part) if part.first == part.last && part.last < *number => {
                    (part.last, part.step) = (*number, number - part.first);
                }
                Some(part) if part.last.checked_add(part.step) == Some(*number) => part.last = *number,
                Some(_) | None => parts.push(Self { first: *number, last: *number, step: 1 }),
            }
        }
        parts
    }

    pub fn first(&self) -> u32 {
        self.first
    }

    pub fn last(&self) -> u32 {
        self.last
    }

    pub fn step(&self) -> u32 {
        self.step
    }

    pub fn count(&self) -> u32 {
        // A range of all numbers has one more than fits.
        ((self.last - self.first) / self.step).saturating_add(1)
    }

    pub fn contains(&self, index: u32) -> bool {
        (self.first..=self.last).contains(&index) && (index - self.first).is_multiple_of(self.step)
    }

    /// Returns those of the numbers that are at least `first` and at most `last`; `None` if there are none.
    pub fn within(&self, first: u32, last: u32) -> Option<Self> {
        let first = self.first.max(first);
        let first = first.checked_add((self.step - (first - self.first) % self.step) % self.step)?;
        Self::new(first, self.last.min(last), self.step).ok()
    }

    /// Returns the numbers without the first `count`; `None` if no more are left.
    pub fn after(&self, count: u32) -> Option<Self> {
        let first = count.checked_mul(self.step).and_then(|by| self.first.checked_add(by))?;
        Self::new(first, self.last, self.step).ok()
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + use<> {
        (self.first..=self.last).step_by(self.step as usize)
    }
}

impl fmt::Display for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            1 => write!(f, "{}-{}", self.first, self.last),
            step => write!(f, "{}-{}:{step}", self.first, self.last),
        }
    }
}

impl fmt::Display for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.indices.fmt(f)?;
        self.at_once.map_or(Ok(()), |at_once| write!(f, "%{at_once}"))
    }
}

impl FromStr for Array {
    type Err = String;

    /// Reads `A-B[:STEP][%MAX]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|_| is_plain)
        };
        let form = || "is not `A-B`, `A-B:STEP` or `A-B%MAX`, as in `1-100:5%4`".to_owned();
        let (rest, at_once) = match text.split_once('%') {
            None => (text, None),
            Some((rest, at_once)) => (rest, Some(number(at_once).ok_or_else(form)?)),
        };
        let (range, step) = match rest.split_once(':') {
            None => (rest, 1),
            Some((range, step)) => (range, number(step).ok_or_else(form)?),
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (number(first).ok_or_else(form)?, number(last).ok_or_else(form)?);
        if at_once == Some(0) {
            return Err("would run none of its indices: at least 1 has to run at once".to_owned());
        }
        Ok(Self { indices: Indices::new(first, last, step)?, at_once })
    }
}

/// The key of a fire of an array, unique in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrayId(pub i64);

/// A fire of a job: a run, or an array of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FireId {
    Run(RunId),
    Array { job: JobId, array: ArrayId },
}

impl FireId {
    pub fn job(self) -> JobId {
        match self {
            Self::Run(run) => run.job,
            Self::Array { job, .. } => job,
        }
    }
}

impl fmt::Display for FireId {
    /// Writes `12.3`; an array is `12`, its job.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => run.fmt(f),
            Self::Array { job, .. } => job.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_shown_in_the_form_that_is_read() {
        for (text, shown, count) in [
            ("1-1000", "1-1000", 1_000),
            ("0-9:3", "0-9:3", 4),
            ("0-11:3%2", "0-9:3%2", 4),
            ("7", "7-7", 1),
            ("1-1000000%64", "1-1000000%64", 1_000_000),
            ("4294967295-4294967295", "4294967295-4294967295", 1),
        ] {
            let array: Array = text.parse().expect(text);
            assert_eq!((array.to_string().as_str(), array.indices.count()), (shown, count));
            assert_eq!(shown.parse(), Ok(array));
        }
        for bad in [
            "",
            "5-1",
            "1-",
            "-3",
            "a-b",
            "1-5:0",
            "1-5%0",
            "1-5:",
            "1-5%",
            "1-1000001",
            "0-4294967295",
            "1..5",
            "+1-5",
            "1-99999999999",
            "1-2-3",
        ] {
            assert!(bad.parse::<Array>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_part_of_the_indices_keeps_their_step() {
        let indices = Indices::new(2, 20, 3).expect("it has some");
        assert_eq!(indices.iter().collect::<Vec<_>>(), [2, 5, 8, 11, 14, 17, 20]);
        let part = |first, last| indices.within(first, last).map(|part| part.to_string());
        assert_eq!(part(0, 7).as_deref(), Some("2-5:3"));
        assert_eq!(part(6, 13).as_deref(), Some("8-11:3"));
        assert_eq!(part(18, 19), None);
        assert_eq!(part(21, 99), None);
        assert_eq!(part(9, 6), None);
        assert_eq!(indices.after(5).map(|rest| rest.to_string()).as_deref(), Some("17-20:3"));
        assert_eq!(indices.after(7), None);
        let parts =
            |numbers: &[u32]| Indices::parts(numbers).iter().flat_map(Indices::iter).collect::<Vec<_>>();
        for numbers in [&[][..], &[5], &[1, 2, 3, 9], &[1, 4, 7, 8, 9, 20], &[0, u32::MAX]] {
            assert_eq!(parts(numbers), numbers);
        }
        assert_eq!(Indices::parts(&[1, 4, 7, 10]), [Indices::new(1, 10, 3).expect("it has some")]);
        assert!(indices.contains(11) && !indices.contains(12) && !indices.contains(23));
    }
}
