//! Owns: the service of systemd, in a machine with a real systemd (`machine.sh`): installed, restarted,
//! killed, upgraded, rebooted.
//! Never: what the daemon does without systemd (see `cli`, `crash`).

#![allow(clippy::disallowed_types, reason = "tests start programs")]

#[path = "../shared/mod.rs"]
mod shared;

mod machine;
mod package;

use std::fs;

use machine::{Answer, Machine};

const UNIT: &str = "/home/alice/.config/systemd/user/taskq.service";

/// Installs the service for alice, who lingers.
fn installed(name: &str) -> Option<Machine> {
    let machine = Machine::boot(name)?;
    let said = machine.user("taskq service install").succeeds();
    assert!(said.stdout.starts_with(&format!("{UNIT}: written, enabled, started, pid ")), "{said:?}");
    assert_eq!(said.stderr, "");
    Some(machine)
}

impl Machine {
    fn daemon_pid(&self) -> String {
        self.user("systemctl --user show --value --property=MainPID taskq").succeeds().stdout
    }

    /// Waits for systemd to start another daemon than this, which no event announces.
    fn await_other_daemon(&self, pid: &str) {
        let is_there =
            "p=$(systemctl --user show --value --property=MainPID taskq) && taskq status >/dev/null";
        let script = format!("until {is_there} && [ $p != {pid} ]; do sleep 0.1; done");
        self.user(&format!("timeout 60 sh -c '{script}'")).succeeds();
    }

    /// Adds a job that runs, and returns its id once it does.
    fn add_running(&self, command: &str) -> String {
        self.user("mkfifo -m 600 started 2>/dev/null");
        let id = self.user(&format!("taskq add -c 'echo >started; {command}'")).succeeds().stdout;
        self.user("read -r line <started").succeeds();
        id
    }
}

#[test]
fn the_service_is_installed_once_and_leaves_running_jobs_when_it_goes() {
    let Some(machine) = installed("install") else { return };
    let pid = machine.daemon_pid();
    let again = machine.user("taskq service install").succeeds();
    assert_eq!(again.stdout, format!("{UNIT}: unchanged, enabled, runs already, pid {pid}"));
    let printed = machine.user("taskq service print").succeeds().stdout;
    assert_eq!(printed, machine.user(&format!("cat {UNIT}")).stdout);

    let id = machine.add_running("exec sleep 1000");
    let gone = machine.user("taskq service uninstall").succeeds();
    assert_eq!(gone.stdout, format!("{UNIT}: stopped, disabled, removed; 1 running job continues"));
    assert_eq!(machine.user("taskq status").status, 3);
    machine.user("pgrep -x sleep").succeeds();
    let absent = machine.user("taskq service uninstall");
    assert_eq!((absent.status, absent.stdout.as_str()), (1, ""));
    assert!(absent.stderr.contains("`taskq.service` is not installed"), "{absent:?}");

    machine.user("taskq service install").succeeds();
    machine.user(&format!("taskq cancel {id} --now --wait")).succeeds();
    assert_eq!(machine.user("pgrep -x sleep").status, 1);
}

#[test]
fn a_unit_that_is_not_ours_and_a_second_daemon_are_left_as_they_are() {
    let Some(machine) = Machine::boot("foreign") else { return };
    machine.user(&format!("mkdir -p {}; echo '[Unit]' >{UNIT}", UNIT.rsplit_once('/').expect("a path").0));
    for verb in ["install", "uninstall"] {
        let refused = machine.user(&format!("taskq service {verb}"));
        let said = format!("cannot {verb} service: `{UNIT}` is there, and taskq has not written it");
        assert!(refused.status == 1 && refused.stderr.contains(&said), "{refused:?}");
    }
    assert_eq!(machine.user(&format!("cat {UNIT}")).stdout, "[Unit]");
    machine.user(&format!("rm {UNIT}")).succeeds();

    machine
        .user("taskq daemon >/dev/null 2>&1 </dev/null & until taskq status >/dev/null; do :; done")
        .succeeds();
    let refused = machine.user("taskq service install");
    assert!(refused.status == 1 && refused.stderr.contains("another daemon, pid "), "{refused:?}");
    assert_eq!(machine.user(&format!("test -e {UNIT}")).status, 1);
    let of_system = machine.user("taskq service install --system");
    assert!(of_system.stderr.contains("only root has services of the system"), "{of_system:?}");
}

#[test]
fn jobs_outlive_restarts_kills_upgrades_and_a_daemon_that_hangs() {
    let Some(machine) = installed("outlive") else { return };
    machine.user("mkfifo go").succeeds();
    let id = machine.add_running("read -r line <go; exit 3");
    machine.user("systemctl --user restart taskq").succeeds();

    // Restarted by systemd, also when only the watchdog notices.
    let pid = machine.daemon_pid();
    machine.user(&format!("kill -9 {pid}")).succeeds();
    machine.await_other_daemon(&pid);
    let drop_in = "mkdir -p .config/systemd/user/taskq.service.d && \
                   printf '[Service]\\nWatchdogSec=1s\\n' >.config/systemd/user/taskq.service.d/w.conf";
    machine.user(drop_in).succeeds();
    machine.user("systemctl --user daemon-reload && systemctl --user restart taskq").succeeds();
    let pid = machine.daemon_pid();
    machine.user(&format!("kill -STOP {pid}")).succeeds();
    machine.await_other_daemon(&pid);

    // Another binary in the place of the one that runs.
    let before = machine.daemon_pid();
    machine.root("cp /usr/local/bin/taskq /usr/local/bin/new && mv /usr/local/bin/new /usr/local/bin/taskq");
    let upgraded = machine.user("taskq service install").succeeds();
    assert!(upgraded.stdout.contains(": unchanged, enabled, restarted, pid "), "{upgraded:?}");
    assert_ne!(before, machine.daemon_pid());

    machine.user("echo >go").succeeds();
    assert_eq!(machine.user(&format!("taskq wait {id}")).status, 3);
    let journal = machine.user("journalctl --user --no-pager --unit taskq --output cat").succeeds().stdout;
    for expected in ["status=9/KILL", "Watchdog timeout", "runs adopted: 1"] {
        assert!(journal.contains(expected), "{expected}: {journal}");
    }
    for unexpected in ["left-over process", "remains running"] {
        assert!(!journal.contains(unexpected), "{journal}");
    }
    // The levels of the daemon's lines are those of the journal.
    let warnings = machine.user("journalctl --user --no-pager -p warning _COMM=taskq").succeeds().stdout;
    assert!(!warnings.contains("serving"), "{warnings}");
}

#[test]
fn a_run_has_a_control_group_in_a_scope_of_its_keeper_and_all_of_it_is_killed() {
    let Some(machine) = installed("groups") else { return };
    let id =
        machine.add_running("trap \"\" TERM; setsid setsid sleep 998 & (setsid sleep 999 &) ; sleep 997");
    let of_job = machine.user("cat /proc/$(pgrep -fx \"sleep 997\")/cgroup").succeeds().stdout;
    assert!(of_job.contains("/app.slice/taskq-keeper-"), "{of_job}");
    let of_daemon = machine.user(&format!("cat /proc/{}/cgroup", machine.daemon_pid())).succeeds().stdout;
    assert!(of_daemon.contains("/app.slice/taskq.service"), "{of_daemon}");
    machine.user(&format!("taskq cancel {id} --now --wait")).succeeds();
    assert_eq!(machine.user("pgrep -x sleep").status, 1);

    // Only its group tells whose this is, also after the death of the keeper that made it.
    let hidden = "(env -i setsid setsid sleep 996 >/dev/null 2>&1 </dev/null &) ; exec sleep 995";
    let id = machine.add_running(hidden);
    machine.user("pkill -KILL -f \"^/usr/local/bin/taskq .* keeper\"").succeeds();
    machine.user("timeout 60 sh -c \"until taskq runs | grep unattended; do sleep 0.1; done\"").succeeds();
    machine.user(&format!("taskq cancel {id} --now --wait")).succeeds();
    assert_eq!(machine.user("pgrep -x sleep").status, 1);
}

#[test]
fn a_reboot_records_how_runs_ended_and_starts_what_was_due() {
    let Some(machine) = installed("reboot") else { return };
    machine.user("taskq queue set q --slots 1").succeeds();
    machine.user("taskq add --name boot --cron @reboot -- cat /proc/sys/kernel/random/boot_id").succeeds();
    let stubborn = "trap \"sleep 0.2; exit 7\" TERM; echo >started; while :; do sleep 0.1; done";
    machine.user("mkfifo started").succeeds();
    machine.user(&format!("taskq add --queue q --name stubborn -c '{stubborn}'")).succeeds();
    machine.user("read -r line <started").succeeds();
    machine.user("taskq add --queue q --name queued -- true").succeeds();
    machine.user("taskq add --name due --at '+2s' -- true").succeeds();
    machine.reboot();
    // All that was due has ended; the daemon came without a login.
    machine.user("taskq wait queued due boot --timeout 60s").succeeds();
    let runs = machine.user("taskq runs --full").succeeds().stdout;
    let line = |name: &str| -> Vec<&str> {
        let lines: Vec<&str> = runs.lines().filter(|line| line.contains(name)).collect();
        assert_eq!(lines.len(), 1, "{runs}");
        lines[0].split_whitespace().collect()
    };
    assert_eq!(line("stubborn").last(), Some(&"7"), "{runs}");
    for name in ["boot", "queued", "due"] {
        assert!(line(name).contains(&"success"), "{runs}");
    }
    let this_boot = machine.root("cat /proc/sys/kernel/random/boot_id").stdout;
    assert_eq!(machine.user("taskq log boot").succeeds().stdout, this_boot);
}

#[test]
fn root_has_a_service_of_the_system() {
    let Some(machine) = Machine::boot("system") else { return };
    let said = machine.root("taskq service install --system").succeeds();
    assert!(
        said.stdout.starts_with("/etc/systemd/system/taskq.service: written, enabled, started"),
        "{said:?}"
    );
    let run = "id=$(HOME=/root taskq add -c \"cat /proc/self/cgroup\"); taskq wait $id; taskq log $id";
    let group = machine.root(&format!("export HOME=/root; {run}")).succeeds().stdout;
    assert!(group.contains("/system.slice/taskq-keeper-"), "{group}");
    machine.root("HOME=/root taskq service uninstall --system").succeeds();
}

#[test]
fn a_service_of_the_system_gets_the_key_as_an_encrypted_credential() {
    let Some(machine) = Machine::boot("credential") else { return };
    machine.root("taskq key init && taskq add -- echo secret").succeeds();
    let refused = machine.user("taskq service install --credential");
    assert!(refused.status == 1 && refused.stderr.contains("the store is not sealed"), "{refused:?}");
    machine.root("taskq service install --system --credential").succeeds();
    let key = machine.root("cat ~/.config/taskq/key").stdout;
    let credential = machine.root("cat /etc/credstore.encrypted/taskq.service.key").stdout;
    assert!(
        !credential.is_empty() && !credential.contains(key.trim_end().rsplit(' ').next().expect("a key"))
    );
    // Only systemd can give it the key now.
    machine.root("mv ~/.config/taskq/key /root/away && systemctl restart taskq.service").succeeds();
    machine.root("TASKQ_KEY_FILE=/root/away taskq wait --timeout 60s 1").succeeds();
    assert_eq!(machine.root("TASKQ_KEY_FILE=/root/away taskq log 1").stdout, "secret");
    machine.root("taskq service uninstall --system").succeeds();
    let left = machine.root("ls /etc/credstore.encrypted /etc/systemd/system/taskq.service.d 2>/dev/null");
    assert!(!left.stdout.contains("key"), "{left:?}");
}

#[test]
fn who_does_not_linger_is_told_so() {
    let Some(machine) = Machine::boot("linger") else { return };
    machine.user("true").succeeds();
    // systemd would end her manager too, which stays as long as she has a session.
    machine.root("rm /var/lib/systemd/linger/alice").succeeds();
    let Answer { stderr, .. } = machine.user_as_is("taskq service install").succeeds();
    assert!(
        stderr.contains("note: lingering is off") && stderr.contains("`loginctl enable-linger`"),
        "{stderr}"
    );
}

#[test]
fn the_machine_of_these_tests_is_a_copy() {
    assert!(fs::metadata("/home/alice").is_err(), "the tests make alice only in their machine");
}
