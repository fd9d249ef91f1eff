//! Owns: the daemon's log lines on stderr.
//! Never: the answers of commands (see `cli::output`).

use std::io::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Writes lines that begin with `<N>` for the journal (sd-daemon(3)), or plain lines.
#[derive(Debug)]
struct Logger {
    with_levels: bool,
}

/// Makes log lines go to stderr. With `with_levels` each starts with its syslog level.
pub(super) fn install(with_levels: bool) {
    // Only tests have a second daemon in one process. It may use the first one's logger.
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
