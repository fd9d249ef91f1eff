//! Owns: the daemon's log lines on stderr.
//! Never: answers for people at a command (see `cli::output`).

use std::io::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Writes lines as the journal wants them, `<N>` in front (sd-daemon(3)), or plain.
#[derive(Debug)]
struct Logger {
    with_levels: bool,
}

/// Sends log lines to stderr from here on. With `with_levels` each starts with its syslog level.
pub(super) fn install(with_levels: bool) {
    // A second daemon in one process does not happen outside tests, and may use the first one's logger there.
    let _ = log::set_boxed_logger(Box::new(Logger { with_levels }));
    log::set_max_level(LevelFilter::Info);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        let text = without_numbers(&record.args().to_string());
        let line =
            if self.with_levels { format!("<{level}>{text}\n") } else { format!("taskq daemon: {text}\n") };
        // A log that cannot be written must not end the daemon.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Returns the text without the numbers that Rust puts behind what the system said, ` (os error 2)`.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::without_numbers;

    #[test]
    fn the_numbers_of_errors_are_left_out() {
        let error = std::io::Error::from_raw_os_error(2);
        let text = format!("cannot start a keeper: {error}; trying again (now)");
        assert_eq!(
            without_numbers(&text),
            "cannot start a keeper: No such file or directory; trying again (now)"
        );
        assert_eq!(without_numbers("told to stop"), "told to stop");
    }
}
