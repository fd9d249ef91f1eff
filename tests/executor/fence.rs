//! Owns: a run starts once, whatever is repeated, delayed, or at the same time.

use std::fs;
use std::time::Duration;

use taskq::domain::Span;
use taskq::executor::{Act, FarState, FarStop, Known, Part};

use crate::harness::{Far, answer, eventually, fifo, hear, release, shells, start};
use crate::shared::{await_ready, note};

fn lines(far: &Far) -> usize {
    fs::read_to_string(far.path("marker")).unwrap_or_default().lines().count()
}

#[test]
fn a_repeated_start_is_refused_also_after_the_end_and_after_it_was_forgotten() {
    for shell in shells() {
        let far = Far::new(&shell);
        let start = start(far.name(), "echo ran >>$HOME/marker");
        let name = far.begin(start.clone());
        let again = || far.ask(vec![Act::Start(Box::new(start.clone()))]);
        assert_eq!(again(), [Part::Begun { name }]);
        assert_eq!(far.end(name).code, 0);
        assert_eq!(again(), [Part::Begun { name }]);
        assert_eq!(far.ask(vec![Act::Forget { name }]), [Part::Forgotten { name }]);
        assert_eq!(far.ask(vec![Act::Forget { name }]), [Part::Forgotten { name }]);
        assert_eq!(again(), [Part::Begun { name }]);
        assert_eq!(far.state(name), FarState::None);
        assert_eq!(fs::read_dir(far.of_run(name, "")).expect("a directory").count(), 2);
        assert_eq!(lines(&far), 1, "{shell:?}");
    }
}

#[test]
fn of_twenty_starts_at_once_one_starts() {
    for shell in shells() {
        let far = Far::new(&shell);
        let start = start(far.name(), "echo ran >>$HOME/marker");
        let name = start.name;
        let shells: Vec<_> = (0..20).map(|_| far.send(vec![Act::Start(Box::new(start.clone()))])).collect();
        let parts: Vec<Part> = shells.into_iter().flat_map(answer).collect();
        let started = parts.iter().filter(|part| **part == Part::Started { name }).count();
        let begun = parts.iter().filter(|part| **part == Part::Begun { name }).count();
        assert_eq!((started, begun), (1, 19), "{parts:?}");
        assert_eq!(far.end(name).code, 0);
        assert_eq!(lines(&far), 1);
    }
}

#[test]
fn a_run_that_was_stopped_before_its_start_never_starts() {
    for shell in shells() {
        let far = Far::new(&shell);
        let start = start(far.name(), "echo ran >>$HOME/marker");
        let name = start.name;
        let never = Part::State { name, state: FarState::Never };
        let stop = far.ask(vec![Act::Stop { name, now: false }]);
        assert_eq!(stop, [never, Part::Stopped { name }]);
        assert_eq!(far.ask(vec![Act::Start(Box::new(start))]), [Part::Begun { name }]);
        assert_eq!(far.state(name), FarState::Never);
        assert_eq!(lines(&far), 0);
    }
}

#[test]
fn the_run_outlives_the_shell_that_started_it() {
    for shell in shells() {
        let far = Far::new(&shell);
        let (here, there) = (far.path("here"), far.path("there"));
        fifo(&here);
        fifo(&there);
        let name = far.start("echo begun >$HOME/there; read go <$HOME/here; echo ran >>$HOME/marker; exit 7");
        assert_eq!(hear(&there), "begun");
        assert!(matches!(far.state(name), FarState::Running { .. }));
        release(&here);
        assert_eq!(far.end(name).code, 7);
        assert_eq!(lines(&far), 1);
    }
}

#[test]
fn a_request_that_is_cut_anywhere_starts_a_run_once_and_no_other() {
    let far = Far::new(&["sh", "-s"]);
    // The name of the first run is the start of that of the second.
    let names: Vec<_> = (0..12).map(|_| far.name()).collect();
    let whole = start(names[11], "echo ran >>$HOME/marker");
    let bytes =
        far.bytes(vec![Act::Start(Box::new(whole.clone())), Act::Stop { name: names[10], now: true }]);
    let begin = bytes.windows(7).position(|window| window == b"\nbegin ").expect("the first act");
    for cut in (begin..bytes.len()).step_by(7).chain(bytes.len() - 120..bytes.len()) {
        let mut shell = far.shell();
        let mut input = shell.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut input, &bytes[..cut]).expect("the shell reads");
        drop(input);
        shell.wait_with_output().expect("it ends");
    }
    far.ask(vec![Act::Start(Box::new(whole))]);
    assert_eq!(far.end(names[11]).code, 0);
    assert_eq!(lines(&far), 1);
    for other in &names[..10] {
        assert!(!far.of_run(*other, "").exists(), "{other}");
    }
}

#[test]
fn a_start_and_a_stop_at_once_end_in_one_way() {
    for shell in shells() {
        let far = Far::new(&shell);
        for n in 0..20 {
            let run = start(far.name(), "echo ran >>$HOME/marker; exec sleep 1000");
            let name = run.name;
            let stop = Act::Stop { name, now: n % 2 == 0 };
            let acts = [vec![Act::Start(Box::new(run))], vec![stop.clone()]];
            let shells = if n % 3 == 0 {
                vec![far.send(acts.concat())]
            } else {
                acts.map(|acts| far.send(acts)).into()
            };
            shells.into_iter().for_each(|shell| drop(answer(shell)));
            let mut ends = Vec::new();
            eventually("its end", || {
                ends = far.look(name, Known::Nothing, Span::ZERO);
                let is_end = |part: &Part| match part {
                    Part::State { state: FarState::Never, .. } => true,
                    Part::State { state: FarState::Ended { code, stopped, .. }, .. } => {
                        assert!([137, 143].contains(code), "{code}");
                        assert!(matches!(stopped, Some(FarStop::Stop | FarStop::Kill)));
                        true
                    }
                    Part::State { state: FarState::Running { .. } | FarState::Waiting { .. }, .. } => false,
                    other => panic!("{other:?}"),
                };
                ends.iter().any(is_end)
            });
            let never = [Part::State { name, state: FarState::Never }];
            let marker = fs::read_to_string(far.path("marker")).unwrap_or_default();
            fs::remove_file(far.path("marker")).ok();
            assert!(marker == "ran\n" && ends != never || marker.is_empty(), "{ends:?} {marker}");
        }
    }
}

#[test]
fn the_fence_of_what_was_forgotten_goes_after_a_day() {
    let far = Far::new(&["sh", "-s"]);
    let (old, new) = (far.name(), far.name());
    far.ask(vec![Act::Forget { name: old }, Act::Forget { name: new }]);
    let mark = far.of_run(old, "forgotten");
    let touched = std::process::Command::new("touch").args(["-d", "2 days ago"]).arg(mark).status();
    assert!(touched.expect("touch").success());
    // Not at each request.
    far.ask(vec![Act::Forget { name: new }]);
    assert!(far.of_run(old, "").exists());
    fs::remove_file(far.of_run(old, "").with_file_name(format!("{}.swept", crate::harness::TOKEN)))
        .expect("it swept");
    far.ask(vec![Act::Forget { name: new }]);
    assert!(!far.of_run(old, "").exists() && far.of_run(new, "started").exists());
}

#[test]
fn a_far_shell_that_is_killed_at_any_time_starts_no_run_twice() {
    for shell in shells() {
        let far = Far::new(&shell);
        let mut resent = 0;
        for millis in 0..25_u8 {
            let marker = far.path(&format!("marker{millis}"));
            let run = start(far.name(), &format!("echo ran >>{}", marker.display()));
            let name = run.name;
            let acts = vec![Act::Start(Box::new(run))];
            let mut first = far.send(acts.clone());
            await_ready(&mut [], Duration::from_millis(u64::from(millis)));
            first.kill().expect("it was started");
            first.wait().expect("it was killed");
            match far.ask(acts).as_slice() {
                [Part::Started { .. }] => resent += 1,
                [Part::Begun { .. }] => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(far.end(name).code, 0);
            assert_eq!(fs::read_to_string(marker).expect("it ran"), "ran\n");
        }
        note(&format!("{shell:?}: {resent} of 25 had not started"));
    }
}
