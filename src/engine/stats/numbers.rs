//! Owns: means, percentiles and quotients.
//! Never: what they are of.

use crate::domain::Span;

/// The mean of spans that are counted one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mean {
    pub count: u64,
    sum_us: u128,
}

impl Mean {
    pub fn sum(&self) -> Span {
        Span::from_micros(u64::try_from(self.sum_us).unwrap_or(u64::MAX))
    }

    pub(super) fn sum_us(&self) -> u128 {
        self.sum_us
    }

    /// Returns the mean, rounded down; `None` of nothing.
    pub fn mean(&self) -> Option<Span> {
        let mean = self.sum_us.checked_div(self.count.into())?;
        Some(Span::from_micros(u64::try_from(mean).unwrap_or(u64::MAX)))
    }

    pub(super) fn extend(&mut self, spans: impl IntoIterator<Item = Span>) {
        for span in spans {
            self.count += 1;
            self.sum_us += u128::from(span.as_micros());
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sum_us += other.sum_us;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanAndP95 {
    pub mean: Span,
    pub p95: Span,
}

impl MeanAndP95 {
    /// Returns both; `None` of nothing. Changes the order of the spans.
    pub fn of(spans: &mut [Span]) -> Option<Self> {
        let mut mean = Mean::default();
        mean.extend(spans.iter().copied());
        Some(Self { mean: mean.mean()?, p95: percentile(spans, 95)? })
    }
}

/// Returns the percentile by the nearest rank: the smallest span that so many percent of all do not exceed.
/// It is one of them, never a value between two. `None` of nothing. Changes the order of the spans.
pub(super) fn percentile(spans: &mut [Span], percent: usize) -> Option<Span> {
    let rank = (spans.len() * percent).div_ceil(100).max(1);
    (rank <= spans.len()).then(|| *spans.select_nth_unstable(rank - 1).1)
}

/// Returns a quotient; `None` if there is nothing to divide by.
pub fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}
