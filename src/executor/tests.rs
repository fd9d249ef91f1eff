//! Owns: requests as text, and answers of all kinds.

use proptest::prelude::*;

use super::*;
use crate::domain::{JobId, OutputKind, RunId, Span, Timestamp};

const TOKEN: StoreToken = StoreToken(0xa1b2_c3d4_e5f6_0718);
const HELLO: &str = "taskq-far 1 a1b2c3d4e5f60718 1772418900250000 boot-1 big\n";

fn name(number: i64) -> FarName {
    FarName { store: TOKEN, run: RunId { job: JobId(7), number }, attempt: 1 }
}

fn start(number: i64) -> FarStart {
    FarStart {
        name: name(number),
        job: "build".to_owned(),
        argv: vec![b"printf".to_vec(), b"it's\n".to_vec()],
        env: vec![b"A=1 2".to_vec(), b"a-b=no".to_vec(), b"UID=0".to_vec(), b"none".to_vec()],
        cwd: Some(b"/srv/it's".to_vec()),
        cwd_optional: false,
        umask: 0o27,
        nice: Some(5),
        stdin: b"\0\xff'\n".to_vec(),
        files: vec![("TASKQ_EVENT_FILE".to_owned(), b"{}\n".to_vec())],
        timeout: Some(Span::from_millis(1_500)),
        kill_after: Span::from_seconds(5),
        needs: vec![("cpu".to_owned(), 2), ("mem".to_owned(), 1_025), ("gpu".to_owned(), 1)],
        split_output: true,
    }
}

fn request(engine: Engine, acts: Vec<Act>) -> String {
    let request = Request { token: TOKEN, serial: 1, rundir: b"runs".to_vec(), engine, acts };
    let text = String::from_utf8(request.to_bytes()).expect("data is octal");
    text.split_once("TASKQ_END\n}\n").expect("the program comes first").1.to_owned()
}

fn read(records: &str) -> Vec<Part> {
    Answer::read(format!("{HELLO}{records}").as_bytes(), TOKEN).parts
}

#[test]
fn a_name_reads_back_and_has_one_form() {
    let text = name(12).to_string();
    assert_eq!(text, "a1b2c3d4e5f60718.7.12.1");
    assert_eq!(text.parse(), Ok(name(12)));
    for bad in ["", "a1b2c3d4e5f60718.7.12", "a1b2c3d4e5f60718.7.012.1", "A1B2C3D4E5F60718.7.12.1"] {
        assert!(bad.parse::<FarName>().is_err(), "{bad}");
    }
    assert!(format!("{text}.1").parse::<FarName>().is_err());
    assert!(format!("{text}/../x").parse::<FarName>().is_err());
}

#[test]
fn each_act_is_a_line_that_ends_with_a_dot() {
    let far = name(1);
    let look = LookAt { name: far, known: Known::Running, stdout_from: 4, stderr_from: 0 };
    let acts = vec![
        Act::Look { runs: vec![look], wait: Span::from_seconds(30), bytes_max: 1_000 },
        Act::Start(Box::new(start(1))),
        Act::Stop { name: far, now: false },
        Act::Signal { name: far, signal: FarSignal::Continue },
        Act::Forget { name: far },
    ];
    let text = request(Engine::Direct, acts);
    assert!(text.lines().all(|line| line.ends_with(" .")), "{text}");
    let name = far.to_string();
    let lines: Vec<String> =
        text.lines().map(|line| line.replace(&name, "N")).filter(|line| !line.starts_with("begin")).collect();
    assert_eq!(
        lines,
        [
            "prepare N .",
            "put N settings 'taskq_timeout=1.500 taskq_after=5 taskq_umask=027 taskq_nice=5\\n\
             taskq_split=yes taskq_optional= taskq_has_cwd=yes\\n\
             taskq_cwd=\\0047/srv/it\\0047\\\\\\0047\\0047s\\0047\\n' .",
            "put N command 'export A=\\00471 2\\0047\\n\
             export TASKQ_EVENT_FILE=\"$taskq_try/file.1\"\\n\
             export TASKQ_RESULT_FILE=\"$taskq_run/result\"\\n\
             set -- \\0047printf\\0047 \\0047it\\0047\\\\\\0047\\0047s\\n\\0047\\n' .",
            "put N stdin '\\0000\\0377\\0047\\n' .",
            "put N file.1 '{}\\n' .",
            "start N .",
            "stop N stop .",
            "signal N CONT .",
            "forget N .",
            "look 3000 1000 7.1.1:4:0:r .",
            "finish .",
        ]
    );
}

#[test]
fn starts_of_one_job_and_equal_needs_are_one_submission() {
    let options = vec![("partition".to_owned(), "main".to_owned()), ("exclusive".to_owned(), String::new())];
    let engine = Engine::Slurm { options };
    let other = FarStart { needs: Vec::new(), timeout: None, ..start(3) };
    let acts = [start(1), other, start(2)].map(|start| Act::Start(Box::new(start))).to_vec();
    let text = request(engine, acts);
    let lines: Vec<&str> =
        text.lines().filter(|line| line.starts_with("submit") || line.starts_with("warn")).collect();
    let (one, two, three) = (name(1), name(2), name(3));
    assert!(lines[0].starts_with("warn 'Slurm has no time limit"), "{lines:?}");
    assert_eq!(
        lines[1..],
        [
            format!("submit 2 '--partition=main' '--exclusive' {three} ."),
            format!(
                "submit 6 '--partition=main' '--exclusive' '--time=3' '--cpus-per-task=2' '--mem=2K' \
                 '--gres=gpu:1' {one} {two} ."
            ),
        ]
    );
}

#[test]
fn every_record_is_read() {
    let far = name(1);
    let records = "started N\nbegun N\nnotstarted N no \x1b[1mspace\nunsure N ask again\nnone N\nnever N\n\
                   waiting N Slurm job 4711 is PENDING (Resources)\nrunning N 1772418900000000 4711\n\
                   unattended N 12\ngone N started\nended N 137 1 2 kill supervisor\n\
                   ended N 7 - - itself engine\noutput N err 2 5 3\na\nb\nresult N 0\n\nstopped N\n\
                   signaled N\nforgotten N\nproblem cannot write\nwarning slow\n";
    let state = |state| Part::State { name: far, state };
    let (started, at) = (Some(Timestamp::from_micros(1)), Some(Timestamp::from_micros(2)));
    let killed = FarState::Ended { code: 137, started, at, stopped: Some(FarStop::Kill), by_engine: false };
    let by_engine = FarState::Ended { code: 7, started: None, at: None, stopped: None, by_engine: true };
    assert_eq!(
        read(&records.replace(" N", &format!(" {far}"))),
        [
            Part::Started { name: far },
            Part::Begun { name: far },
            Part::NotStarted { name: far, cause: "no  [1mspace".to_owned() },
            Part::Unsure { name: far, cause: "ask again".to_owned() },
            state(FarState::None),
            state(FarState::Never),
            state(FarState::Waiting { reason: "Slurm job 4711 is PENDING (Resources)".to_owned() }),
            state(FarState::Running { since: Timestamp::from_seconds(1_772_418_900), pid: 4711 }),
            state(FarState::Unattended { pid: 12 }),
            state(FarState::Gone { started: true }),
            state(killed),
            state(by_engine),
            Part::Output { name: far, kind: OutputKind::Stderr, from: 2, size: 5, data: b"a\nb".to_vec() },
            Part::Result { name: far, data: Vec::new() },
            Part::Stopped { name: far },
            Part::Signaled { name: far },
            Part::Forgotten { name: far },
            Part::Problem { cause: "cannot write".to_owned() },
            Part::Warning { cause: "slow".to_owned() },
        ]
    );
}

#[test]
fn a_banner_is_passed_over_and_no_greeting_is_no_answer() {
    let far = name(1);
    let answer = Answer::read(format!("Welcome!\nbye\nnone {far}\n{HELLO}none {far}\n").as_bytes(), TOKEN);
    assert_eq!(answer.greeted.as_ref().map(|greeting| greeting.host.as_str()), Some("big"));
    assert_eq!((answer.parts.len(), answer.is_whole), (1, false));
    assert!(Answer::read(format!("{HELLO}bye {TOKEN}\n").as_bytes(), TOKEN).is_whole);
    for other in [format!("none {far}\nbye {TOKEN}\n"), HELLO.replace("a1b2", "a1b3"), String::new()] {
        assert_eq!(Answer::read(other.as_bytes(), TOKEN), Answer::default());
    }
}

#[test]
fn what_is_not_well_formed_or_of_another_store_is_no_record() {
    let far = name(1);
    let other = far.to_string().replace("a1b2", "b1b2");
    for bad in [
        format!("none {other}"),
        format!("none {far} x"),
        format!("ended {far} 256 1 2 itself supervisor"),
        format!("ended {far} 0 1 2 itself"),
        format!("ended {far} +0 1 2 itself supervisor"),
        format!("running {far} 1 -5"),
        format!("gone {far}"),
        format!(" started {far}"),
        "started".to_owned(),
        String::new(),
    ] {
        assert_eq!(read(&format!("{bad}\n")), [], "{bad}");
    }
}

#[test]
fn bytes_of_a_job_are_never_taken_for_records() {
    let far = name(1);
    let forged = format!("ended {far} 0 1 2 itself supervisor\nbye {TOKEN}\n");
    let length = forged.len();
    let whole = format!("output {far} out 0 {length} {length}\n{forged}\nnone {far}\n");
    assert_eq!(read(&whole).len(), 2);
    for bad in [
        format!("output {far} out 0 {length} {}\n{forged}\n", length - 2),
        format!("output {far} out 0 {length} x\n{forged}\n"),
        format!("output {far} out 0 {length}\n{forged}\n"),
        format!("output {far} out 0 {length} {}\n{forged}\n", u64::MAX),
    ] {
        let answer = Answer::read(format!("{HELLO}{bad}").as_bytes(), TOKEN);
        assert_eq!((answer.parts.len(), answer.is_whole), (0, false), "{bad}");
    }
}

fn arbitrary_record() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let far = name(1);
    prop_oneof![
        Just((format!("started {far}\n").into_bytes(), true)),
        Just((format!("ended {far} 7 1 2 itself supervisor\n").into_bytes(), true)),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(move |data| {
            let length = data.len();
            let head = format!("output {far} out 0 {length} {length}\n").into_bytes();
            ([head, data, b"\n".to_vec()].concat(), true)
        }),
        "[a-z ]{0,12}\n".prop_map(|line| (line.into_bytes(), false)),
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_the_reading_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        Answer::read(&bytes, TOKEN);
        let answer = Answer::read(&[HELLO.as_bytes(), &bytes].concat(), TOKEN);
        prop_assert!(!answer.is_whole);
    }

    #[test]
    fn whole_records_count_in_any_order_and_a_cut_loses_only_what_it_cuts(
        records in proptest::collection::vec(arbitrary_record(), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let count = records.iter().filter(|(_, is_record)| *is_record).count();
        let mut bytes = HELLO.as_bytes().to_vec();
        bytes.extend(records.iter().flat_map(|(record, _)| record.clone()));
        bytes.extend_from_slice(format!("bye {TOKEN}\n").as_bytes());
        let whole = Answer::read(&bytes, TOKEN);
        prop_assert_eq!((whole.parts.len(), whole.is_whole), (count, true));
        let part = Answer::read(&bytes[..cut.index(bytes.len())], TOKEN);
        prop_assert!(!part.is_whole && part.parts == whole.parts[..part.parts.len()]);
    }
}
