//! Owns: tests of printing.
//! Never: the process's own streams.

use std::rc::Rc;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).expect("UTF-8")
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Failing(ErrorKind);

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn output(color: bool) -> (Output, Buffer, Buffer) {
    let (stdout, stderr) = (Buffer::default(), Buffer::default());
    let streams = Streams { stdout_color: color, stderr_color: color, ..Streams::default() };
    (Output::with(streams, Box::new(stdout.clone()), Box::new(stderr.clone())), stdout, stderr)
}

#[test]
fn an_answer_ends_in_one_newline_and_nothing_stays_nothing() {
    let (output, stdout, _) = output(false);
    output.answer("7").expect("a buffer");
    output.answer("8\n").expect("a buffer");
    output.answer("").expect("a buffer");
    assert_eq!(stdout.text(), "7\n8\n");
}

#[test]
fn a_closed_pipe_is_silent_and_known() {
    let stderr = Buffer::default();
    let output =
        Output::with(Streams::default(), Box::new(Failing(ErrorKind::BrokenPipe)), Box::new(stderr.clone()));
    assert!(!output.is_closed());
    assert_eq!(output.answer("x"), Ok(()));
    assert!(output.is_closed());
    assert_eq!(output.answer_bytes(b"y"), Ok(()));
    assert_eq!(stderr.text(), "");
}

#[test]
fn a_full_disk_is_an_error() {
    let output =
        Output::with(Streams::default(), Box::new(Failing(ErrorKind::StorageFull)), Box::new(io::sink()));
    let error = output.answer("x").expect_err("full");
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().starts_with("cannot write standard output: "), "{error}");
}

#[test]
fn an_error_is_one_line_and_its_hint_another() {
    let (output, _, stderr) = output(false);
    let error = Error::not_found("show job `x\u{1b}[2J\ny`", "there is none").hint("see `taskq list`");
    output.error(&error);
    let shown = "error: cannot show job `x\\x1b[2J\\ny`: there is none\nhint: see `taskq list`\n";
    assert_eq!(stderr.text(), shown);
}

#[test]
fn with_colour_the_word_error_is_bold_and_red() {
    let (output, _, stderr) = output(true);
    output.error(&Error::io("read store", &nix::errno::Errno::EACCES.into()));
    assert_eq!(stderr.text(), "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m cannot read store: permission denied\n");
}

#[test]
fn json_is_one_compact_line() {
    #[derive(Serialize)]
    struct Report {
        version: u32,
        jobs: Vec<i64>,
    }
    let (output, stdout, _) = output(true);
    output.json(&Report { version: 1, jobs: vec![7] }).expect("a buffer");
    assert_eq!(stdout.text(), "{\"version\":1,\"jobs\":[7]}\n");
}

#[test]
fn bytes_are_not_touched() {
    let (output, stdout, _) = output(false);
    output.answer_bytes(b"\x1b[31mred\x1b[0m").expect("a buffer");
    assert_eq!(stdout.text(), "\u{1b}[31mred\u{1b}[0m");
}

#[test]
fn colour_wishes_are_obeyed() {
    for (color, auto, wanted) in [
        (Color::Auto, ColorChoice::Never, false),
        (Color::Auto, ColorChoice::Always, true),
        (Color::Always, ColorChoice::Never, true),
        (Color::Never, ColorChoice::Always, false),
    ] {
        assert_eq!(wants_color(color, || auto), wanted, "{color:?}");
    }
}
