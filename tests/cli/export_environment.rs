//! Owns: exports without the values of environments: what they print, and that applying them loses no value.
//! Never: the rest of the formats (see `export` and `apply_again`).

use std::fs;

use crate::harness::Home;

/// Two jobs with a secret: one has cron's environment beside it, the other that of its caller.
fn with_secrets() -> Home {
    let home = Home::new();
    let toml = "[jobs.bare]\ncommand = ['x']\ncron = '@daily'\nenv = ['TOKEN=s3cret', 'A=']\n\
                [jobs.plain]\ncommand = ['z']\ncron = '@weekly'\n";
    assert_eq!(home.taskq(&["apply", "-"]).stdin(toml).answer().status, 0);
    home.add(&["--name", "full", "--cron", "@hourly", "--env", "TOKEN=s3cret", "-c", "y"]);
    home
}

fn export(home: &Home, args: &[&str]) -> String {
    let answer = home.taskq(&[&["export"], args].concat()).answer();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{args:?}");
    answer.stdout
}

#[test]
fn toml_and_json_name_variables_and_print_their_values_only_when_asked() {
    let home = with_secrets();
    let toml = export(&home, &["toml"]);
    assert!(!toml.contains("s3cret"), "{toml}");
    assert!(toml.contains("[jobs.bare]\ncommand = [\"x\"]\n"), "{toml}");
    assert!(toml.contains("keep_env = [\"TOKEN\", \"A\"]\n"), "{toml}");
    let full = toml.split("[jobs.full]").nth(1).expect("it is the last");
    assert!(full.contains("environment = []\nkeep_env = [\"") && full.contains("\"PATH\""), "{toml}");
    let plain = toml.split("[jobs.plain]").nth(1).and_then(|rest| rest.split("[jobs.").next());
    assert!(plain.is_some_and(|plain| !plain.contains("env")), "{toml}");
    let json = export(&home, &["json"]);
    assert!(!json.contains("s3cret") && !json.contains("/bin"), "{json}");
    assert!(json.contains("\"environment\":[],\"keep_env\":[\""), "{json}");
    for format in ["toml", "json"] {
        let whole = export(&home, &[format, "--with-environment"]);
        assert_eq!(whole.matches("TOKEN=s3cret").count(), 2, "{whole}");
        assert!(!whole.contains("keep_env"), "{whole}");
    }
    for format in ["crontab", "systemd"] {
        home.taskq(&["export", format, "--with-environment"]).gives(
            2,
            "",
            "error: cannot export jobs: `--with-environment` is for `json` and `toml`\n\
             hint: crontabs and units always have the values of the environments\n",
        );
    }
}

#[test]
fn a_file_without_values_leaves_those_of_the_store_alone() {
    let home = with_secrets();
    let whole = export(&home, &["json", "--with-environment"]);
    let toml = export(&home, &["toml"]);
    // Nothing of the caller's gets in either.
    let apply = |toml: &str| home.taskq(&["apply", "-"]).env("TOKEN", "wrong").stdin(toml).answer();
    let unchanged = apply(&toml);
    assert_eq!((unchanged.status, unchanged.stdout.as_str()), (0, "= 3 unchanged\n"), "{unchanged:?}");
    assert_eq!(export(&home, &["json", "--with-environment"]), whole);
    let edited = toml.replace("cron = \"@daily\"", "cron = \"@monthly\"");
    assert_eq!(apply(&edited).stdout, "~ bare: cron \"@daily\" → \"@monthly\"\n= 2 unchanged\n");
    let changed = whole.replacen("@daily", "@monthly", 1);
    assert_eq!(export(&home, &["json", "--with-environment"]), changed);
    // A name that is no longer there is a variable that the job loses.
    assert_eq!(
        apply(&edited.replace("keep_env = [\"TOKEN\", \"A\"]", "env = \"A=\"")).stdout,
        "~ bare: env TOKEN → none\n= 2 unchanged\n"
    );
}

#[test]
fn values_that_are_nowhere_are_refused_and_nothing_is_stored() {
    let home = with_secrets();
    let toml = export(&home, &["toml", "bare"]);
    let refused = |cause: &str| {
        let line = toml.lines().position(|line| line.starts_with("keep_env")).expect("it is there") + 1;
        format!(
            "error: cannot apply standard input: line {line}, column 12: {cause}\n\
             hint: give them in `env`, or export with `--with-environment`\n"
        )
    };
    home.taskq(&["--dir", "../other", "apply", "-"]).stdin(toml.as_str()).gives(
        2,
        "",
        &refused("there is no job `bare` in the store whose values of `TOKEN` and `A` could be kept"),
    );
    assert_eq!(home.taskq(&["set", "bare", "--clean-env"]).answer().status, 0);
    let none = "the stored job `bare` has no value of `TOKEN` and `A` to keep";
    home.taskq(&["apply", "-"]).stdin(toml.as_str()).gives(2, "", &refused(none));
    let json = export(&home, &["json", "full"]);
    let answer = home.taskq(&["--dir", "../other", "add", "--from", "-"]).stdin(json).answer();
    assert_eq!((answer.status, answer.stdout.as_str()), (2, ""));
    assert!(
        answer
            .stderr
            .starts_with("error: cannot add the job in line 1 of standard input: it lacks the values of `")
            && answer.stderr.ends_with("hint: `taskq export json --with-environment` prints them\n"),
        "{}",
        answer.stderr
    );
    assert!(
        !home.path().join("other/taskq.db").exists()
            || home.json(&["--dir", "../other", "list"])["jobs"].as_array().is_some_and(Vec::is_empty)
    );
}

#[test]
fn a_variable_is_kept_or_given_and_each_job_says_so_itself() {
    let home = with_secrets();
    let toml = "[defaults]\nkeep_env = 'A'\n[jobs.bare]\nscript = 'x'\ncron = '@daily'\n\
                env = ['TOKEN=new']\nkeep_env = ['TOKEN', 'A']\n\
                [jobs.plain]\nscript = 'x'\nkeep_env = 1\n";
    fs::write(home.work().join("jobs.toml"), toml).expect("it is ours");
    home.taskq(&["apply", "jobs.toml"]).gives(
        2,
        "",
        "error: cannot apply `jobs.toml`: line 2, column 12: `keep_env` belongs into the table of a job\n\
         error: cannot apply `jobs.toml`: line 7, column 12: `TOKEN` is in both `env` and `keep_env`\n\
         error: cannot apply `jobs.toml`: line 8, column 7: job 2 has a trigger, and a job without one runs \
         once: cancel it first, or give this one another name\n\
         error: cannot apply `jobs.toml`: line 10, column 12: `keep_env` takes a string or a list of \
         strings, not `1`\n",
    );
}
