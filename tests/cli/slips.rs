//! Owns: the answers to the command lines that a new user types wrong, each with a hint for the second try.
//! Never: the rest of the refusals (see `bad_input`).

use crate::harness::Home;

/// A command line as it is typed, the error without its `error: `, and the hint.
type Slip = (&'static str, &'static str, &'static str);

const COMMANDS: &[Slip] = &[
    ("sleep 0", "cannot run `sleep`: there is no such command", "did you mean `taskq add sleep 0`?"),
    ("frobnicate 1", "cannot run `frobnicate`: there is no such command", "see `taskq --help`"),
    ("rm 3", "cannot run `rm`: there is no such command", "did you mean `taskq cancel 3`?"),
    ("delete 3", "cannot run `delete`: there is no such command", "did you mean `taskq cancel 3`?"),
    ("kill 3", "cannot run `kill`: there is no such command", "did you mean `taskq cancel 3`?"),
    ("stop 3", "cannot run `stop`: there is no such command", "did you mean `taskq cancel 3`?"),
    (
        "forget 3",
        "cannot run `forget`: there is no such command",
        "`taskq remove 3` removes a job with its history; `taskq cancel 3` ends it",
    ),
    (
        "edit backup",
        "cannot run `edit`: there is no such command",
        "`taskq set backup OPTION` changes the options and triggers of a job",
    ),
    (
        "reschedule backup --at noon",
        "cannot run `reschedule`: there is no such command",
        "`taskq set backup OPTION` changes the options and triggers of a job",
    ),
    (
        "start backup",
        "cannot run `start`: there is no such command",
        "`taskq resume backup` ends a pause, `taskq run backup` runs it now",
    ),
    ("start", "cannot run `start`: there is no such command", "did you mean `taskq daemon`?"),
    (
        "restart backup",
        "cannot run `restart`: there is no such command",
        "did you mean `taskq retry backup`?",
    ),
    ("history", "cannot run `history`: there is no such command", "did you mean `taskq runs`?"),
    ("ps", "cannot run `ps`: there is no such command", "did you mean `taskq list`?"),
    ("info 3", "cannot run `info`: there is no such command", "did you mean `taskq show 3`?"),
    ("tail 3", "cannot run `tail`: there is no such command", "did you mean `taskq log --tail 10 3`?"),
    ("follow 3", "cannot run `follow`: there is no such command", "did you mean `taskq log -f 3`?"),
    ("cat 3", "cannot run `cat`: there is no such command", "did you mean `taskq log 3`?"),
    (
        "clean",
        "cannot run `clean`: there is no such command",
        "`taskq prune` forgets old runs, `taskq remove JOB` a job with its history",
    ),
    (
        "unpause backup",
        "cannot run `unpause`: there is no such command",
        "did you mean `taskq resume backup`?",
    ),
    (
        "cron",
        "cannot run `cron`: there is no such command",
        "add such a job with `taskq add --cron '15 3 * * *' COMMAND`",
    ),
    (
        "at noon true",
        "cannot run `at`: there is no such command",
        "add such a job with `taskq add --at 'now + 5 minutes' COMMAND`",
    ),
    (
        "parallel 4",
        "cannot run `parallel`: there is no such command",
        "did you mean `taskq queue set default --slots 4`?",
    ),
    ("help nosuch", "cannot run `nosuch`: there is no such command", "see `taskq --help`"),
    ("help rm", "cannot run `rm`: there is no such command", "did you mean `taskq cancel --help`?"),
    ("status 3", "cannot show status: unexpected argument `3`", "did you mean `taskq show 3`?"),
    (
        "queue 4",
        "cannot run `queue 4`: there is no such command",
        "did you mean `taskq queue set default --slots 4`?",
    ),
    ("resources", "cannot run `resources`: there is no such command", "did you mean `taskq resource`?"),
    (
        "resource ls",
        "cannot run `resource ls`: there is no such command",
        "did you mean `taskq resource list`?",
    ),
    (
        "resource add gpu 2",
        "cannot run `resource add`: there is no such command",
        "write how much there is: `taskq resource set NAME=N`",
    ),
];

const OPTIONS: &[Slip] = &[
    ("add --in 20m true", "cannot add job: there is no option `--in`", "did you mean `--at 'in 20m'`?"),
    ("add --delay 5m true", "cannot add job: there is no option `--delay`", "did you mean `--at 'in 5m'`?"),
    ("add --label x true", "cannot add job: there is no option `--label`", "did you mean `--tag`?"),
    ("add --group x true", "cannot add job: there is no option `--group`", "did you mean `--queue`?"),
    (
        "add --depends-on 3 true",
        "cannot add job: there is no option `--depends-on`",
        "did you mean `--after`?",
    ),
    (
        "add --max-retries 3 true",
        "cannot add job: there is no option `--max-retries`",
        "did you mean `--retries`?",
    ),
    ("add --gres gpu=1 true", "cannot add job: there is no option `--gres`", "did you mean `--needs`?"),
    (
        "add --memory 1G true",
        "cannot add job: there is no option `--memory`",
        "book memory with `-R mem=SIZE`; to limit it, add `--enforce`, or `-c 'ulimit -v KIB; COMMAND'`",
    ),
];

const VALUES: &[Slip] = &[
    (
        "list --state failed",
        "cannot list jobs: `--state failed` is not one of `scheduled`, `queued`, `blocked`, `running`, \
         `paused` and `done`",
        "see jobs whose last run failed: `taskq list --failed`",
    ),
    (
        "add --overlap no true",
        "cannot add job: `--overlap no` is not one of `skip`, `wait`, `allow` and `replace`",
        "did you mean `--overlap skip`?",
    ),
    ("add --at 20m true", "cannot add job: `20m` is a span, not a time", "did you mean `in 20m`?"),
    (
        "add --at '20 minutes' true",
        "cannot add job: `20 minutes` is a span, not a time",
        "did you mean `in 20 minutes`?",
    ),
    (
        "add --at '18:00 CET' true",
        "cannot add job: `18:00 CET` is not a time: stopped reading at column 7 (`CET`)",
        "give the zone with `--tz`, as in `--tz Europe/Paris`",
    ),
    (
        "add --at in 20 minutes -- true",
        "cannot add job: `in` is not a time: stopped reading at column 3 (the end): expected a count",
        "quote it: `--at 'in 20 minutes'`",
    ),
    ("add --every 5 minutes -- x", "cannot add job: `5` has no unit", "quote it: `--every '5 minutes'`"),
    (
        "add --cron 15 3 1 1 mon ./backup.sh",
        "cannot add job: `15` has 1 field",
        "quote it: `--cron '15 3 1 1 mon'`",
    ),
    (
        "add --mail root,fialed true",
        "cannot add job: `--mail root,fialed`: `fialed` has no `@`, and there is no such user",
        "did you mean `failed`?",
    ),
    (
        "add --mail nosuch-user true",
        "cannot add job: `--mail nosuch-user`: `nosuch-user` has no `@`, and there is no such user",
        "write the whole address, as in `me@example.org`",
    ),
];

/// Command lines of the same user that mean what they say.
const UNDERSTOOD: &[&str] = &[
    "help",
    "help add",
    "version",
    "ls",
    "list --running",
    "list --state queued,running",
    "runs --failed",
    "runs 2 3",
    "show 2 3",
    "log 3 -n 2",
];

/// Command lines that can be read, and name what there is not: exit 1.
const NAMES: &[Slip] = &[
    ("cancel all", "cannot cancel job `all`: there is no such job", "for all jobs there is `--all`"),
    ("wait all", "cannot wait for job `all`: there is no such job", "for all jobs there is `--all`"),
    ("pause all", "cannot pause job `all`: there is no such job", "for all jobs there is `--all`"),
    ("show all", "cannot show job `all`: there is no such job", "list all jobs with `taskq list --all`"),
];

/// Splits a line as a shell does.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    parts
        .flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// Adds the jobs that the command lines name.
fn add_jobs(home: &Home) {
    home.add(&["--hold", "true"]);
    home.add(&["--hold", "true"]);
    home.add(&["--hold", "--name", "backup", "true"]);
}

#[test]
fn some_command_lines_need_no_hint() {
    let home = Home::new();
    add_jobs(&home);
    for typed in UNDERSTOOD {
        let said = home.taskq(&words(typed)).answer();
        // Job 3 has no output yet.
        let has_none = said.stderr.contains("it has not run yet");
        assert!(said.status == 0 || has_none, "{typed}: {said:?}");
    }
}

#[test]
fn a_wrong_command_line_is_answered_with_the_right_one() {
    let usage = [COMMANDS, OPTIONS, VALUES].concat().into_iter().map(|slip| (slip, 2));
    for ((typed, error, hint), status) in usage.chain(NAMES.iter().map(|slip| (*slip, 1))) {
        let home = Home::new();
        let answer = format!("error: {error}\nhint: {hint}\n");
        home.taskq(&words(typed)).gives(status, "", &answer);
        // What the hint says can be typed next, and is about the same job.
        let second = hint.strip_prefix("did you mean `taskq ").and_then(|rest| rest.strip_suffix("`?"));
        if let Some(second) = second.filter(|second| *second != "daemon") {
            add_jobs(&home);
            let said = home.taskq(&words(second)).answer();
            assert!(said.status != 2 && !said.stderr.contains("no such"), "{typed}: {second}: {said:?}");
        }
    }
}
