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
        let text = record.args();
        let line =
            if self.with_levels { format!("<{level}>{text}\n") } else { format!("taskq daemon: {text}\n") };
        // A log that cannot be written must not end the daemon.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}
