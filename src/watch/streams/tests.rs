//! Owns: tests of `streams`: what is started, stopped and read, and when.
//! Never: processes (see `keeper::feeder`).

use std::io;

use super::*;
use crate::domain::CommandLine;

const TRIGGER: TriggerId = TriggerId(1);

fn wanted(trigger: i64, command: &str, pattern: Option<&str>) -> WantedStream {
    WantedStream {
        trigger: TriggerId(trigger),
        job: JobId(7),
        job_name: Some("ban".parse().expect("it is a name")),
        source: StreamSource {
            command: command.to_owned(),
            pattern: pattern.map(str::to_owned),
            restart: StreamSource::RESTART,
        },
        execution: Execution::of(CommandLine::Argv(vec![b"true".to_vec()])),
        with_opposites: false,
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const WALL: Timestamp = Timestamp::MIN;

/// Returns streams with one command that has been started.
fn running(stream: &WantedStream) -> Streams {
    let mut streams = Streams::default();
    assert_eq!(streams.listen(vec![stream.clone()], at(0)), Changes::default());
    assert_eq!(streams.next_wake(), Some(at(0)));
    assert_eq!(streams.take_starts(at(0)), std::slice::from_ref(stream));
    assert_eq!((streams.take_starts(at(0)), streams.next_wake()), (Vec::new(), None));
    streams
}

/// Gives these bytes, one slice a read, and then blocks.
struct Pipe<'a>(Vec<&'a [u8]>);

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let bytes = self.0.remove(0);
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

fn data(events: &[LineEvent]) -> Vec<&str> {
    events.iter().filter_map(|event| event.occurrence.data.as_deref()).collect()
}

#[test]
fn the_lines_of_a_running_command_are_events() {
    let mut streams = running(&wanted(1, "cmd", Some("^[ab]")));
    let events = streams.read(TRIGGER, &mut Pipe(vec![b"a\nc\nb", b"b\r\n", b"a"]), WALL);
    assert_eq!(data(&events), [r#"{"line":"a"}"#, r#"{"line":"bb"}"#]);
    assert_eq!((events[0].occurrence.at, events[0].occurrence.name.as_str()), (WALL, "cmd"));
    // The end of the output ends the line.
    assert_eq!(data(&streams.read(TRIGGER, &mut Pipe(vec![b"1", b""]), WALL)), [r#"{"line":"a1"}"#]);
    assert_eq!(streams.ended(TRIGGER, "exited", WALL, at(1)).events, []);
    assert_eq!(streams.read(TriggerId(2), &mut Pipe(vec![b"a\n"]), WALL), []);
}

#[test]
fn the_end_of_a_command_that_others_still_write_for_ends_its_line() {
    let mut streams = running(&wanted(1, "cmd", None));
    assert_eq!(streams.read(TRIGGER, &mut Pipe(vec![b"begun"]), WALL), []);
    let end = streams.ended(TRIGGER, "exited", WALL, at(1));
    assert_eq!(data(&end.events), [r#"{"line":"begun"}"#]);
    streams.take_starts(at(2));
    assert_eq!(data(&streams.read(TRIGGER, &mut Pipe(vec![b"new\n"]), WALL)), [r#"{"line":"new"}"#]);
}

#[test]
fn a_flood_is_read_in_parts_and_nothing_is_lost() {
    let mut streams = running(&wanted(1, "yes", None));
    let mut flood = io::repeat(b'\n').take(100_000);
    let mut lines = 0;
    loop {
        let events = streams.read(TRIGGER, &mut flood, WALL);
        assert!(events.len() <= LINES_AT_ONCE + READ_BYTES);
        lines += events.len();
        if events.is_empty() {
            break;
        }
    }
    assert_eq!(lines, 100_000);
    let mut endless = io::repeat(b'x');
    assert_eq!(streams.read(TRIGGER, &mut endless, WALL), []);
    assert_eq!(streams.read_errors(TRIGGER, &mut endless, at(0)), [""; 0]);
}

#[test]
fn a_command_starts_again_after_its_end_later_each_time() {
    let mut streams = running(&wanted(1, "cmd", None));
    let label = "stream `cmd` of job 7 ban";
    let mut now = at(3);
    for (how, wait) in
        [("exited with status 1", 1), ("was killed by SIGKILL", 2), ("exited with status 0", 4)]
    {
        let end = streams.ended(TRIGGER, how, WALL, now);
        assert_eq!(end.notices, [format!("{label} {how}; starting it again in {wait}s")]);
        now += at(wait);
        assert_eq!(streams.next_wake(), Some(now));
        assert_eq!(streams.take_starts(now - Duration::from_micros(1)), []);
        assert_eq!(streams.take_starts(now).len(), 1);
    }
    let notices = streams.not_started(TRIGGER, "too many processes", now);
    assert_eq!(notices, [format!("cannot start {label}: too many processes; trying again in 8s")]);
    assert_eq!(streams.take_starts(now + at(8)).len(), 1);
    let end = streams.ended(TRIGGER, "exited", WALL, now + at(99));
    assert_eq!(end.notices, [format!("{label} exited; starting it again in 1s")]);
}

#[test]
fn standard_error_goes_to_the_log_and_names_its_stream() {
    let command = format!("\n{}\nmore", "x".repeat(61));
    let mut streams = running(&WantedStream { job_name: None, ..wanted(1, &command, None) });
    let label = format!("stream `{}…` of job 7", "x".repeat(60));
    let logged = streams.read_errors(TRIGGER, &mut Pipe(vec![b"bad\nwor"]), at(0));
    assert_eq!(logged, [format!("{label}: bad")]);
    let notices = streams.ended(TRIGGER, "exited", WALL, at(0)).notices;
    assert_eq!(notices, [format!("{label}: wor"), format!("{label} exited; starting it again in 1s")]);
}

#[test]
fn a_command_that_is_not_wanted_any_more_is_stopped_and_forgotten() {
    let mut streams = running(&wanted(1, "cmd", None));
    assert_eq!(streams.listen(Vec::new(), at(5)).stops, [TRIGGER]);
    assert_eq!(streams.listen(Vec::new(), at(5)), Changes::default());
    assert_eq!(streams.read(TRIGGER, &mut Pipe(vec![b"late\n"]), WALL), []);
    assert_eq!(streams.ended(TRIGGER, "exited", WALL, at(6)), StreamEnd::default());
    assert_eq!((streams.next_wake(), streams.0.len()), (None, 0));
    // One that waits is forgotten at once.
    let mut streams = running(&wanted(1, "cmd", None));
    streams.ended(TRIGGER, "exited", WALL, at(1));
    assert_eq!(streams.listen(Vec::new(), at(1)), Changes::default());
    assert_eq!(streams.next_wake(), None);
}

#[test]
fn another_command_starts_after_the_end_of_the_one_before() {
    let mut streams = running(&wanted(1, "cmd", None));
    let other = wanted(1, "other", None);
    assert_eq!(streams.listen(vec![other.clone()], at(5)).stops, [TRIGGER]);
    assert_eq!((streams.take_starts(at(9)), streams.next_wake()), (Vec::new(), None));
    assert_eq!(streams.ended(TRIGGER, "exited", WALL, at(9)), StreamEnd::default());
    assert_eq!(streams.take_starts(at(9)), [other]);
    // Wanted again while it is stopped.
    let same = wanted(1, "cmd", None);
    let mut streams = running(&same);
    assert_eq!(streams.listen(Vec::new(), at(5)).stops, [TRIGGER]);
    assert_eq!(streams.listen(vec![same.clone()], at(5)), Changes::default());
    assert_eq!(streams.not_started(TRIGGER, "too late", at(6)), [""; 0]);
    assert_eq!(streams.take_starts(at(6)), [same]);
}

#[test]
fn only_what_the_process_was_started_with_stops_it() {
    let stream = wanted(1, "cmd", None);
    let execution = |change: fn(&mut Execution)| {
        let mut other = stream.clone();
        change(&mut other.execution);
        other
    };
    let mut slower = stream.clone();
    slower.source.restart = Span::from_seconds(9);
    for (other, stops) in [
        (stream.clone(), false),
        (wanted(1, "cmd", Some("x")), false),
        (WantedStream { job_name: None, ..stream.clone() }, false),
        (WantedStream { with_opposites: true, ..stream.clone() }, false),
        (slower.clone(), false),
        (execution(|execution| execution.command = CommandLine::Script(b"other".to_vec())), false),
        (execution(|execution| execution.umask = 0), true),
        (execution(|execution| execution.env.push(b"A=b".to_vec())), true),
        (execution(|execution| execution.user = Some("nobody".to_owned())), true),
        (wanted(1, "other", None), true),
    ] {
        let mut streams = running(&stream);
        let changes = streams.listen(vec![other.clone()], at(1));
        assert_eq!(changes.stops.len(), usize::from(stops), "{other:?}");
    }
    let mut streams = running(&stream);
    streams.listen(vec![slower], at(1));
    assert!(streams.ended(TRIGGER, "exited", WALL, at(2)).notices[0].ends_with(" in 9s"));
    let mut streams = running(&stream);
    streams.listen(vec![wanted(1, "cmd", Some("b"))], at(1));
    let events = streams.read(TRIGGER, &mut Pipe(vec![b"a\nb\n"]), WALL);
    assert_eq!(data(&events), [r#"{"line":"b"}"#]);
}

#[test]
fn a_stream_with_a_pattern_that_cannot_be_used_is_refused_once() {
    let refused = wanted(1, "cmd", Some(r"\w{1000}{100}"));
    let mut streams = Streams::default();
    let notices = streams.listen(vec![refused.clone(), wanted(2, "other", None)], at(0)).notices;
    assert!(notices[0].starts_with("cannot listen to stream `cmd` of job 7 ban: "), "{notices:?}");
    assert_eq!(streams.listen(vec![refused.clone()], at(0)), Changes::default());
    assert_eq!((streams.take_starts(at(9)), streams.next_wake()), (Vec::new(), None));
    // The other one is not wanted any more, and the refused one gets a pattern.
    assert_eq!(streams.listen(vec![wanted(1, "cmd", Some("x"))], at(9)), Changes::default());
    assert_eq!(streams.take_starts(at(9)).len(), 1);
    assert_eq!(streams.listen(vec![refused], at(9)).stops, [TRIGGER]);
    assert_eq!(streams.ended(TRIGGER, "exited", WALL, at(9)).notices.len(), 1);
    assert_eq!(streams.next_wake(), None);
}
