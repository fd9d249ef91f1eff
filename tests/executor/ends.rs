//! Owns: how runs end, and what they get.

use std::fs;

use taskq::domain::{OutputKind, Span};
use taskq::executor::{Act, FarStart, FarStop, Part};

use crate::harness::{End, Far, fifo, hear, shells, start};

/// Runs a script with other properties in each shell.
fn each(script: &str, change: impl Fn(&Far, &mut FarStart), check: impl Fn(&Far, &End)) {
    for shell in shells() {
        let far = Far::new(&shell);
        let mut start = start(far.name(), script);
        change(&far, &mut start);
        let end = far.run(start);
        check(&far, &end);
    }
}

#[test]
fn the_status_is_that_of_a_shell() {
    let cases = [
        ("exit 7", 7),
        ("true", 0),
        ("kill -SEGV $$", 139),
        ("exec /no/such", 127),
        ("exec /etc/passwd", 126),
    ];
    for (script, code) in cases {
        each(script, |_, _| {}, |_, end| assert_eq!((end.code, end.stopped), (code, None), "{script}"));
    }
    each(
        "",
        |_, start| start.argv = vec![b"no-such-program".to_vec(), b"x".to_vec()],
        |_, end| {
            assert_eq!(end.code, 127);
            assert!(end.text().contains("no-such-program"), "{end:?}");
        },
    );
}

#[test]
fn the_environment_the_input_and_the_arguments_come_as_they_are() {
    let all: Vec<u8> = (1..=255).collect();
    let value = [b"A=it's \"quoted\"\n$HOME `id` \\".as_slice(), &all].concat();
    let change = |_: &Far, start: &mut FarStart| {
        start.argv = vec![
            b"sh".to_vec(),
            b"-c".to_vec(),
            b"printf %s \"$A\" \"$1\"; cat; cat \"$TASKQ_EVENT_FILE\"; umask".to_vec(),
            b"-".to_vec(),
            all.clone(),
        ];
        start.env =
            vec![value.clone(), b"UID=7".to_vec(), b"PPID=1".to_vec(), b"BASH_FUNC_x%%=() {".to_vec()];
        start.stdin = (0..=255).cycle().take(70_000).collect();
        start.files = vec![("TASKQ_EVENT_FILE".to_owned(), b"{\"a\":1}\n".to_vec())];
        start.umask = 0o27;
    };
    each("", change, |_, end| {
        let stdin: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let expected = [&value[2..], &all, &stdin, b"{\"a\":1}\n0027\n"].concat();
        assert_eq!(end.code, 0);
        assert!(end.stdout == expected, "{:?}", String::from_utf8_lossy(&end.stdout[..400]));
    });
}

#[test]
fn the_directory_is_that_of_the_job_or_the_home() {
    let is_in = |far: &Far, end: &End, dir: &str| {
        let dir = far.path(dir).canonicalize().expect("a directory");
        assert_eq!(end.text().trim_end(), dir.display().to_string());
    };
    let cwd = |far: &Far| far.path("it's").display().to_string().into_bytes();
    each("pwd -P", |_, _| {}, |far, end| is_in(far, end, ""));
    each(
        "pwd -P",
        |far, start| {
            fs::create_dir(far.path("it's")).expect("a directory");
            start.cwd = Some(cwd(far));
        },
        |far, end| is_in(far, end, "it's"),
    );
    each(
        "pwd -P",
        |far, start| (start.cwd, start.cwd_optional) = (Some(cwd(far)), true),
        |far, end| is_in(far, end, ""),
    );
    for shell in shells() {
        let far = Far::new(&shell);
        let mut start = start(far.name(), "true");
        start.cwd = Some(cwd(&far));
        let name = start.name;
        let parts = far.ask(vec![Act::Start(Box::new(start))]);
        let cause = format!("cannot enter the directory `{}`", far.path("it's").display());
        assert_eq!(parts, [Part::NotStarted { name, cause: cause.clone() }]);
        let later = far.look(name, Default::default(), Span::ZERO);
        assert_eq!(later, [Part::NotStarted { name, cause }]);
    }
}

#[test]
fn a_stop_is_term_and_after_a_while_kill() {
    for shell in shells() {
        let far = Far::new(&shell);
        let pipe = far.path("pipe");
        fifo(&pipe);
        let loops = "echo ready >$HOME/pipe; while :; do sleep 1; done";
        let cases = [
            (format!("trap 'exit 42' TERM; {loops}"), false, 42, FarStop::Stop),
            (format!("trap '' TERM; {loops}"), false, 137, FarStop::Stop),
            (loops.to_owned(), false, 143, FarStop::Stop),
            (format!("trap 'exit 42' TERM; {loops}"), true, 137, FarStop::Kill),
        ];
        for (script, is_now, code, why) in cases {
            let mut start = start(far.name(), &script);
            if code == 137 {
                start.kill_after = Span::from_millis(300);
            }
            let name = far.begin(start);
            assert_eq!(hear(&pipe), "ready");
            assert_eq!(far.ask(vec![Act::Stop { name, now: is_now }]), [Part::Stopped { name }]);
            let end = far.end(name);
            assert_eq!((end.code, end.stopped), (code, Some(why)), "{script} {shell:?}");
            assert_eq!(far.ask(vec![Act::Stop { name, now: is_now }]), [Part::Stopped { name }]);
        }
        // One that takes its time is ended at once after all.
        let name = far.begin(start(far.name(), &format!("trap '' TERM; {loops}")));
        assert_eq!(hear(&pipe), "ready");
        far.ask(vec![Act::Stop { name, now: false }, Act::Stop { name, now: true }]);
        assert_eq!(far.end(name).code, 137);
    }
}

#[test]
fn a_timeout_stops_as_a_stop_does() {
    let millis = Span::from_millis;
    let timeout = |_: &Far, start: &mut FarStart| {
        (start.timeout, start.kill_after) = (Some(millis(300)), millis(300));
    };
    each("exec sleep 1000", timeout, |_, end| {
        assert_eq!((end.code, end.stopped), (143, Some(FarStop::Timeout)));
    });
    each("trap '' TERM; while :; do sleep 1; done", timeout, |_, end| {
        assert_eq!((end.code, end.stopped), (137, Some(FarStop::Timeout)));
    });
    // What it leaves in its group ends too.
    each("(trap '' TERM; sleep 1000 >/dev/null; sleep 1001) & exec sleep 1000", timeout, |_, end| {
        assert_eq!((end.code, end.stopped), (143, Some(FarStop::Timeout)));
    });
    each(
        "exit 3",
        |_, start| start.timeout = Some(Span::from_seconds(500)),
        |_, end| assert_eq!((end.code, end.stopped), (3, None)),
    );
}

#[test]
fn commands_heed_the_signals_that_a_terminal_sends() {
    for signal in ["INT", "QUIT", "HUP", "PIPE"] {
        let script = format!("sh -c 'kill -{signal} $$; echo ignored'");
        for shell in shells() {
            // busybox(1) has no tool that resets them, but there is another env(1) here.
            let far = Far::new(&shell);
            let end = far.run(start(far.name(), &script));
            assert!(end.code > 128, "{signal} {shell:?} {end:?}");
        }
    }
}

#[test]
fn the_standard_error_can_be_kept_apart() {
    let script = "echo one; echo two >&2";
    each(script, |_, _| {}, |_, end| assert_eq!((end.text().as_str(), end.stderr.len()), ("one\ntwo\n", 0)));
    each(
        script,
        |_, start| start.split_output = true,
        |_, end| assert_eq!((end.text().as_str(), end.stderr.as_slice()), ("one\n", b"two\n".as_slice())),
    );
}

#[test]
fn the_result_comes_with_the_end() {
    let script = "printf 'rows=\\0003' >\"$TASKQ_RESULT_FILE\"";
    each(
        script,
        |_, _| {},
        |_, end| {
            assert!(
                end.parts
                    .iter()
                    .any(|part| matches!(part, Part::Result { data, .. } if data == b"rows=\x003"))
            );
        },
    );
    let large = "head -c 70000 /dev/zero >\"$TASKQ_RESULT_FILE\"";
    each(
        large,
        |_, _| {},
        |_, end| {
            assert!(
                end.parts
                    .iter()
                    .any(|part| matches!(part, Part::Result { data, .. } if data.len() == 65_536))
            );
            assert!(
                !end.parts.iter().any(|part| matches!(part, Part::Output { kind: OutputKind::Stderr, .. }))
            );
        },
    );
}
