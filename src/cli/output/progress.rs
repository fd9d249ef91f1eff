//! Owns: the progress bar of a wait on a terminal.
//! Never: output into a pipe.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::domain::Span;
use crate::shown;

/// How often the bar is redrawn while no run ends, so that its times stay correct.
const REDRAW: Duration = Duration::from_secs(1);

/// A bar on stderr, which disappears when dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// Shows a bar for `total` runs. `expected`: how long it takes until the first of them has ended; `None`:
    /// nobody knows.
    pub fn new(total: usize, expected: Option<Span>) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs in {elapsed}{pace}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("pace", move |state: &ProgressState, out: &mut dyn Write| {
                let pace = match state.pos() {
                    0 => outlook(expected, state.elapsed()),
                    ended => pace(ended, state.len().unwrap_or(0), state.elapsed()),
                };
                // That the bar cannot be written is not an error.
                let _ = out.write_str(&pace);
            });
        let bar = ProgressBar::new(total as u64).with_style(style);
        bar.enable_steady_tick(REDRAW);
        Self(bar)
    }

    /// Shows how many runs are left. The bar gets longer if runs are added during the wait.
    pub fn show(&self, left: usize) {
        let left = left as u64;
        let length = self.0.length().unwrap_or(0).max(left);
        self.0.set_length(length);
        self.0.set_position(length - left);
    }

    /// Hides the bar while `print` runs.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Returns `, about 2m left` until a run takes longer than expected.
fn outlook(expected: Option<Span>, elapsed: Duration) -> String {
    let left = expected.map(|expected| expected.as_duration().saturating_sub(elapsed).as_secs());
    match left {
        None | Some(0) => String::new(),
        Some(seconds) => format!(", about {} left", shown::span(Span::from_seconds(seconds))),
    }
}

/// Returns `, 4.2/s, 1m 10s left`. `ended`: at least 1.
fn pace(ended: u64, total: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds <= 0.0 {
        return String::new();
    }
    let per_second = ended as f64 / seconds;
    let rate = match per_second {
        1.0.. => format!("{per_second:.1}/s"),
        _ if per_second * 60.0 >= 1.0 => format!("{:.1}/min", per_second * 60.0),
        _ => format!("{:.1}/h", per_second * 3_600.0),
    };
    let left = total.saturating_sub(ended) as f64 / per_second;
    format!(", {rate}, {} left", shown::span(Span::from_seconds(left.round() as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_what_was_done_so_far() {
        let paced = |ended, total, seconds| pace(ended, total, Duration::from_secs(seconds));
        assert_eq!(paced(1, 5, 0), "");
        assert_eq!(paced(40, 100, 10), ", 4.0/s, 15s left");
        assert_eq!(paced(2, 4, 60), ", 2.0/min, 1m left");
        assert_eq!(paced(1, 3, 7_200), ", 0.5/h, 4h left");
        assert_eq!(paced(3, 3, 1), ", 3.0/s, 0s left");
    }

    #[test]
    fn before_the_first_end_the_bar_tells_what_is_expected() {
        let told = |expected, seconds| outlook(expected, Duration::from_secs(seconds));
        let minutes = Some(Span::from_seconds(150));
        assert_eq!(
            (told(minutes, 0), told(minutes, 140)),
            (", about 2m 30s left".into(), ", about 10s left".into())
        );
        assert_eq!((told(minutes, 150), told(None, 5)), (String::new(), String::new()));
    }
}
