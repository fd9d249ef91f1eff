//! Owns: far sides on a Slurm that answers oddly: fake commands, each played by files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use taskq::domain::Span;
use taskq::executor::{Act, Engine, FarName, FarStart, FarState, Known, Part};

use crate::harness::{Far, eventually, shells, start};
use crate::shared::setting;

/// `sbatch` notes what it was told, and answers `FAKE/sbatch.says` with the status of its first word.
const SBATCH: &str = "cat >>\"$FAKE/script\"; echo \"$*\" >>\"$FAKE/submitted\"\n\
                      read -r status words <\"$FAKE/sbatch.says\"; echo \"$words\"; exit $status\n";

/// `squeue` answers `found` to a search for a name, and `queue` otherwise.
const SQUEUE: &str = "[ ! -f \"$FAKE/away\" ] || { echo 'error: Unable to contact' >&2; exit 1; }\n\
                      case \"$*\" in *%F*) cat \"$FAKE/found\" ;; *) cat \"$FAKE/queue\" ;; esac\n";

const SCONTROL: &str = "case \"$*\" in *config*) echo 'MaxArraySize            = 3' ;;\n\
                        *) cat \"$FAKE/job\"; grep -q JobState \"$FAKE/job\" ;; esac\n";

const SCANCEL: &str = "echo \"$*\" >>\"$FAKE/cancelled\"\n";

fn slurm(shell: &[&str]) -> Far {
    let mut far = Far::new(shell);
    let dir = far.path("bin");
    fs::create_dir(&dir).expect("a directory");
    for (tool, script) in
        [("sbatch", SBATCH), ("squeue", SQUEUE), ("scontrol", SCONTROL), ("scancel", SCANCEL)]
    {
        let path = dir.join(tool);
        fs::write(&path, format!("#!/bin/sh\n{script}")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file");
    }
    let path: String = setting("PATH").expect("there is a path");
    far.env.push(("PATH".to_owned(), format!("{}:{path}", dir.display())));
    far.env.push(("FAKE".to_owned(), far.home.path().display().to_string()));
    far.engine = Engine::Slurm { options: vec![("time".to_owned(), "10".to_owned())] };
    for file in ["found", "queue", "job"] {
        play(&far, file, "");
    }
    play(&far, "sbatch.says", "0 4711");
    far
}

fn play(far: &Far, file: &str, text: &str) {
    fs::write(far.path(file), format!("{text}\n")).expect("a file");
}

fn lines(far: &Far, file: &str) -> Vec<String> {
    fs::read_to_string(far.path(file)).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn ask(far: &Far, run: &FarStart) -> Vec<Part> {
    far.ask(vec![Act::Start(Box::new(run.clone()))])
}

const TIMED_OUT: &str =
    "1 sbatch: error: Batch job submission failed: Socket timed out on send/recv operation";

#[test]
fn a_submission_that_timed_out_is_looked_up_before_the_next() {
    for shell in shells() {
        let far = slurm(&shell);
        let run = start(far.name(), "true");
        let name = run.name;
        play(&far, "sbatch.says", TIMED_OUT);
        let parts = ask(&far, &run);
        let [Part::Unsure { cause, .. }] = parts.as_slice() else { panic!("{parts:?}") };
        assert!(cause.contains("Socket timed out"), "{cause}");
        // Nobody knows: it is not submitted again.
        fs::write(far.path("away"), "").expect("a file");
        assert!(matches!(ask(&far, &run).as_slice(), [Part::Unsure { .. }]));
        fs::remove_file(far.path("away")).expect("a file");
        play(&far, "found", "4711\n4711");
        assert_eq!(ask(&far, &run), [Part::Begun { name }]);
        assert_eq!(lines(&far, "submitted").len(), 1);
        assert_eq!(fs::read_to_string(far.of_run(name, "job")).expect("an id"), "4711\n");

        // It never arrived.
        play(&far, "found", "");
        let run = start(far.name(), "true");
        let name = run.name;
        assert!(matches!(ask(&far, &run).as_slice(), [Part::Unsure { .. }]));
        assert_eq!(far.state(name), FarState::None);
        play(&far, "sbatch.says", "0 4712;cluster");
        assert_eq!(ask(&far, &run), [Part::Started { name }]);
        assert_eq!(lines(&far, "submitted").len(), 3);
        assert_eq!(fs::read_to_string(far.of_run(name, "job")).expect("an id"), "4712\n");
    }
}

#[test]
fn large_arrays_come_in_pieces() {
    for shell in shells() {
        let far = slurm(&shell);
        let names: Vec<FarName> = (0..7).map(|_| far.name()).collect();
        let starts = names.iter().map(|name| Act::Start(Box::new(start(*name, "true"))));
        let parts = far.ask(starts.collect());
        assert_eq!(parts, names.iter().map(|name| Part::Started { name: *name }).collect::<Vec<_>>());
        let submitted = lines(&far, "submitted");
        let arrays: Vec<bool> = submitted.iter().map(|line| line.contains("--array=0-2")).collect();
        assert_eq!(arrays, [true, true, false], "{submitted:?}");
        for (line, name) in submitted.iter().zip([names[0], names[3], names[6]]) {
            let head = format!("--parsable --no-requeue -J {name} --comment {name} ");
            assert!(line.starts_with(&head) && line.ends_with(" --time=10"), "{line}");
        }
        let id = |name: FarName| fs::read_to_string(far.of_run(name, "job")).expect("an id");
        assert_eq!([0, 2, 4, 6].map(|n| id(names[n])), ["4711_0\n", "4711_2\n", "4711_1\n", "4711\n"]);
    }
}

#[test]
fn no_odd_answer_is_an_end() {
    for shell in shells() {
        let far = slurm(&shell);
        let run = start(far.name(), "true");
        let name = run.name;
        assert_eq!(ask(&far, &run), [Part::Started { name }]);
        let queue = |words: &str| play(&far, "queue", &format!("{name} 4711 {words}"));
        let state = |known| far.look(name, known, Span::ZERO);
        let unsure = || {
            let parts = state(Known::Nothing);
            assert!(matches!(parts.as_slice(), [Part::Unsure { .. }]), "{parts:?}");
        };
        queue("PENDING Nodes required for job are DOWN, DRAINED");
        let reason = "Slurm job 4711 is PENDING (Nodes required for job are DOWN, DRAINED)".to_owned();
        assert_eq!(far.state(name), FarState::Waiting { reason });
        // Nothing, garbage, and jobs of others.
        for text in ["", "slurm: maintenance\n\u{1b}[1m; $(touch /tmp/x) `id`", "other 4711 COMPLETED None"] {
            play(&far, "queue", text);
            for job in ["", "Zero Bytes were transmitted or received", "JobId=4711 JobState= ExitCode="] {
                play(&far, "job", job);
                unsure();
            }
            play(&far, "job", &format!("JobId=4711 JobName={name} JobState=RUNNING ExitCode=0:0"));
            unsure();
        }
        fs::write(far.path("away"), "").expect("a file");
        unsure();
        fs::remove_file(far.path("away")).expect("a file");
        // A controller that counts from 1 again: this is the job of somebody else.
        assert!(!far.of_run(name, "over").exists());
        play(&far, "job", "JobId=4711 JobName=other JobState=COMPLETED ExitCode=0:0 ");
        unsure();
        eventually("it is gone", || {
            let parts = state(Known::Waiting);
            parts == [Part::State { name, state: FarState::Gone { started: false } }]
        });
        let never = Part::State { name, state: FarState::Never };
        assert_eq!(far.ask(vec![Act::Stop { name, now: false }]), [never, Part::Stopped { name }]);
        assert_eq!(lines(&far, "cancelled"), ["4711"]);
    }
}
