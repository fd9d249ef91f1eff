//! Owns: `import at`: which jobs of at's queue it stores, and how they run.
//! Never: the form of at's files (see the tests of `cli::import::at`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use nix::unistd::{Gid, Uid, User, geteuid};

use crate::filter::squeezed;
use crate::harness::{Home, TASKQ};
use crate::shared::has;

/// The spool of Debian's at.
const SPOOL: &str = "/var/spool/cron/atjobs";

/// Writes a program into the directory `bin` of a home.
fn program(home: &Home, name: &str, script: &str) {
    let bin = home.work().join("bin");
    fs::create_dir_all(&bin).expect("it is writable");
    fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).expect("it is writable");
    fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// Returns the file that at 3.2.5 makes of a script of this user.
fn at_file(user: &User, mail: &str, directory: &Path, script: &str) -> String {
    format!(
        "#!/bin/sh\n# atrun uid={} gid={}\n# mail {} {mail}\numask 27\nA=one\\ word; export A\n\
         PATH=/usr/bin:/bin; export PATH\ncd {} || {{\n\t echo 'Execution directory inaccessible' >&2\n\
         \t exit 1\n}}\n{script}\n",
        user.uid,
        user.gid,
        user.name,
        directory.display().to_string().replace('.', "\\."),
    )
}

/// A home of a user who is not root, and taskq run there by that user.
struct NotRoot {
    home: Home,
    user: User,
}

impl NotRoot {
    /// `None` if this test cannot be a user other than root.
    fn new() -> Option<Self> {
        let home = Home::new();
        let uid = if geteuid().is_root() { Uid::from_raw(65_534) } else { geteuid() };
        let user = User::from_uid(uid).ok().flatten();
        let this = Self { home, user: user.filter(|_| has("nobody", true))? };
        this.own(this.home.path());
        let runs = this.taskq(&["version"]).is_ok_and(|output| output.status.success());
        has("nobody", runs).then_some(this)
    }

    fn own(&self, path: &Path) {
        if geteuid().is_root() {
            nix::unistd::chown(path, Some(self.user.uid), Some(self.user.gid)).expect("root may");
        }
        for entry in fs::read_dir(path).into_iter().flatten() {
            self.own(&entry.expect("it can be read").path());
        }
    }

    fn taskq(&self, args: &[&str]) -> std::io::Result<Output> {
        let mut command = if geteuid().is_root() {
            let mut command = self.home.shell("setpriv");
            let ids = [(self.user.uid.as_raw(), "--reuid"), (self.user.gid.as_raw(), "--regid")];
            for (id, option) in ids {
                command.args([option, &id.to_string()]);
            }
            command.args(["--clear-groups", TASKQ]);
            command
        } else {
            self.home.shell(TASKQ)
        };
        let bin = self.home.work().join("bin");
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).args(args).output()
    }

    fn transcript(&self, args: &[&str]) -> String {
        let output = self.taskq(args).expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&self.user.name, "[user]");
        let status = output.status.code().unwrap_or(-1);
        format!("$ {args:?}\n{}{}status {status}\n", text(&output.stdout), text(&output.stderr))
    }
}

#[test]
fn a_user_imports_the_own_queue_by_atq_and_at_c() {
    let Some(this) = NotRoot::new() else { return };
    let work = this.home.work();
    fs::write(work.join("12"), at_file(&this.user, "0", &work, "echo \"$A\"; umask; nice; pwd"))
        .expect("it is writable");
    fs::write(work.join("13"), at_file(&this.user, "-1", &work, "echo batch")).expect("it is writable");
    fs::write(work.join("15"), "echo without a head\n").expect("it is writable");
    program(
        &this.home,
        "atq",
        "test \"$*\" = '-o %s' || exit 1\nprintf '12\\t4070908800 c x\\n13\\t4070912400 B x\\n14\\t1 = x\\n'",
    );
    program(&this.home, "at", &format!("test \"$1\" = -c && cat {}/$2", work.display()));
    this.own(this.home.path());
    let mut said = squeezed(&this.transcript(&["import", "at", "--dry-run"]));
    assert!(!this.home.store().exists());
    said += &squeezed(&this.transcript(&["import", "at"]));
    said += &squeezed(&this.transcript(&["import", "at"]));
    said += &squeezed(&this.transcript(&["list"]));
    insta::assert_snapshot!(said);
    let show = this.taskq(&["show", "at-12", "--json"]).expect("it starts").stdout;
    let show: serde_json::Value = serde_json::from_slice(&show).expect("it is JSON");
    assert_eq!(show["imported"]["source"], "at");
    let job = &show["job"];
    assert_eq!(job["script"], "echo \"$A\"; umask; nice; pwd\n");
    assert_eq!((&job["umask"], &job["nice"]), (&"027".into(), &6.into()), "{job}");
    assert_eq!((&job["mail_to"], &job["mail_when"]), (&this.user.name.clone().into(), &"output".into()));
    let batch = this.taskq(&["show", "at-13", "--json"]).expect("it starts").stdout;
    let batch: serde_json::Value = serde_json::from_slice(&batch).expect("it is JSON");
    assert_eq!(
        (&batch["job"]["if"][0], &batch["job"]["mail_to"]),
        (&"load<1.5".into(), &serde_json::Value::Null)
    );
}

#[test]
fn one_job_in_error_or_no_answer_keeps_the_queue_out() {
    let Some(this) = NotRoot::new() else { return };
    program(&this.home, "atq", "printf '12\\t4070908800 c x\\n'");
    program(&this.home, "at", "echo 'echo without a head'");
    this.own(this.home.path());
    let mut said = squeezed(&this.transcript(&["import", "at"]));
    program(&this.home, "atq", "echo 'You do not have permission to use atq.' >&2; exit 1");
    said += &squeezed(&this.transcript(&["import", "at"]));
    program(&this.home, "atq", "printf '12\\tThu Jan  1 00:00:00 2099 a x\\n'");
    said += &squeezed(&this.transcript(&["import", "at"]));
    insta::assert_snapshot!(said);
    assert!(!this.home.store().exists());
}

/// Runs a script as root, whose spool of at is a directory of this home.
fn with_spool(home: &Home, script: &str) -> Option<Output> {
    let is_root = has("root", geteuid().is_root());
    if !is_root || !Path::new(SPOOL).is_dir() || !Path::new("/usr/bin/at").exists() {
        return None;
    }
    let spool = home.work().join("spool");
    fs::create_dir_all(&spool).expect("it is writable");
    let daemon = User::from_name("daemon").ok().flatten()?;
    nix::unistd::chown(&spool, Some(daemon.uid), Some(Gid::from_raw(daemon.gid.as_raw()))).ok()?;
    let mounted = format!("mount --bind {} {SPOOL} || exit 77\n{script}", spool.display());
    let mut command: Command = home.shell("unshare");
    let path = format!("{}:/usr/bin:/bin", Path::new(TASKQ).parent()?.display());
    let output = command.env("PATH", path).args(["--mount", "sh", "-c", &mounted]).output().ok()?;
    has("mount", output.status.code() != Some(77)).then_some(output)
}

#[test]
fn root_imports_the_spool_and_an_overdue_job_runs_once_as_its_user() {
    let mut home = Home::new();
    let script = "printf 1 >/var/spool/cron/atjobs/.SEQ; chown daemon:daemon /var/spool/cron/atjobs/.SEQ
        export A='it is'
        echo 'echo \"$A\" here; id -un' | at -M -t 202001010000
        chown nobody /var/spool/cron/atjobs/a*
        sed -i \"s/uid=0 gid=0/uid=$(id -u nobody) gid=$(id -g nobody)/\" /var/spool/cron/atjobs/a*
        exec 2>&1; taskq import at";
    let Some(output) = with_spool(&home, script) else { return };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("imported") && said.contains("`atrm "), "{said}");
    // The directory of at's caller is closed to another user; only where it runs is changed.
    home.taskq(&["set", "1", "--cwd", "/"]).answer();
    home.start_daemon(&[]);
    home.taskq(&["wait", "1"]).gives(0, "", "");
    home.taskq(&["log", "1"]).gives(0, "it is here\nnobody\n", "");
    let again = with_spool(&home, "taskq import at --json").expect("it was there before");
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).expect("it is JSON");
    assert_eq!(again["tables"][0]["lines"][0]["result"], "done");
    assert_eq!(home.json(&["list", "-a"])["jobs"].as_array().map(Vec::len), Some(1));
}
