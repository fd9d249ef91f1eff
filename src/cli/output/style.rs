//! Owns: colours of texts.
//! Never: whether they are shown (see `output`).

use anstyle::{AnsiColor, Style};

use crate::domain::Outcome;

/// Returns the text in this style. `answer`, `talk` and tables remove it if colour is off.
pub fn paint(style: Style, text: &str) -> String {
    if style.is_plain() { text.to_owned() } else { format!("{style}{text}{style:#}") }
}

/// Returns the colour of an outcome: green for success, red for a failure, yellow for a run that did not run.
pub fn outcome_color(outcome: Outcome) -> AnsiColor {
    match outcome {
        Outcome::Success => AnsiColor::Green,
        Outcome::Failed | Outcome::TimedOut | Outcome::SpawnFailed | Outcome::Lost => AnsiColor::Red,
        Outcome::Cancelled | Outcome::Missed | Outcome::Skipped => AnsiColor::Yellow,
    }
}

pub fn outcome_style(outcome: Outcome) -> Style {
    Style::new().fg_color(Some(outcome_color(outcome).into()))
}
