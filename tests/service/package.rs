//! Owns: the package of Debian in a machine: installed, upgraded under a running job, removed.
//! Never: how its release is built (see `packaging/package`).

use std::fs;
use std::process::Command;

use crate::machine::Machine;
use crate::shared::has;
use crate::{UNIT, installed};

const PACKAGED: &str = "/usr/lib/systemd/user/taskq.service";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/package");

/// What the script exits with where a tool is missing.
const UNAVAILABLE: i32 = 77;

/// Builds the package of the program under test into a directory; `None` where that cannot be.
fn package(out: &str) -> Option<String> {
    let can = Command::new("python3").args(["-c", "import tomllib"]).status();
    let is_there = can.is_ok_and(|status| status.success());
    let words = ["deb", "--program", env!("CARGO_BIN_EXE_taskq"), "--out", out];
    let built = is_there.then(|| Command::new(SCRIPT).args(words).output().expect("the script is there"));
    let built = built.filter(|built| built.status.code() != Some(UNAVAILABLE));
    if !has("dpkg", built.is_some()) {
        return None;
    }
    let built = built?;
    assert!(built.status.success(), "{built:?}");
    Some(String::from_utf8(built.stdout).expect("a path of ours").trim().to_owned())
}

/// Boots a machine whose alice has a service of her own, with the package in `/root/taskq.deb`.
fn machine_with_package(name: &str) -> Option<Machine> {
    let out = format!("{}/package-{name}", env!("CARGO_TARGET_TMPDIR"));
    let deb = package(&out)?;
    let machine = installed(name)?;
    machine.copy(&deb, "/root/taskq.deb");
    // Images of containers forbid packages to start and restart services by it.
    machine.root("rm -f /usr/sbin/policy-rc.d").succeeds();
    fs::remove_dir_all(out).expect("it is ours");
    Some(machine)
}

impl Machine {
    fn install_package(&self) {
        let said = self.root("dpkg --install /root/taskq.deb").succeeds();
        assert!(!said.stderr.contains("taskq:"), "{said:?}");
    }
}

#[test]
fn a_package_brings_a_unit_that_takes_the_place_of_the_one_that_install_wrote() {
    let Some(machine) = machine_with_package("packaged") else { return };
    machine.install_package();
    machine.root("rm /usr/local/bin/taskq").succeeds();
    let said = machine.user("taskq service install").succeeds().stdout;
    let replaced = format!("{PACKAGED}: packaged, in place of your own, enabled, restarted, pid ");
    assert!(said.starts_with(&replaced), "{said}");
    assert_eq!(machine.user(&format!("test -e {UNIT}")).status, 1);
    let said = machine.user("taskq service install").succeeds().stdout;
    assert_eq!(said, format!("{PACKAGED}: packaged, enabled, runs already, pid {}", machine.daemon_pid()));
    assert_eq!(machine.user("taskq service print").stdout, machine.user(&format!("cat {PACKAGED}")).stdout);
    let found = machine.user("taskq doctor").stdout;
    assert!(found.contains("`taskq.service` is enabled, and runs"), "{found}");

    let gone = machine.user("taskq service uninstall").succeeds().stdout;
    assert_eq!(gone, format!("{PACKAGED}: stopped, disabled"));
    let absent = machine.user("taskq service uninstall");
    assert!(absent.status == 1 && absent.stderr.contains("`taskq.service` is not installed"), "{absent:?}");
    let found = machine.user("taskq doctor").stdout;
    assert!(found.contains("`taskq.service` is not enabled"), "{found}");

    // A store that has a name has a unit of its own.
    let said = machine.user("taskq --dir jobs service install").succeeds().stdout;
    let own = UNIT.replace("taskq.service", "taskq-home-alice-jobs.service");
    assert!(said.starts_with(&format!("{own}: written, enabled, started, pid ")), "{said}");
}

#[test]
fn a_package_is_upgraded_and_removed_under_a_running_job() {
    let Some(machine) = machine_with_package("upgraded") else { return };
    machine.install_package();
    machine.root("rm /usr/local/bin/taskq").succeeds();
    machine.user("taskq service install; taskq --dir jobs service install").succeeds();
    machine.user("mkfifo go").succeeds();
    let id = machine.add_running("read -r line <go; exit 3");
    let of_jobs = "systemctl --user show --value --property=MainPID taskq-home-alice-jobs";
    let before = (machine.daemon_pid(), machine.user(of_jobs).stdout);
    machine.install_package();
    let after = (machine.daemon_pid(), machine.user(of_jobs).stdout);
    assert!(before.0 != after.0 && before.1 != after.1, "{before:?} {after:?}");
    machine.user("echo >go").succeeds();
    assert_eq!(machine.user(&format!("taskq wait {id}")).status, 3);

    machine.add_running("exec sleep 994");
    machine.root("dpkg --remove taskq").succeeds();
    assert_eq!(machine.user("systemctl --user is-active taskq").stdout, "inactive");
    machine.user("pgrep -fx \"sleep 994\"").succeeds();
    machine.root("dpkg --purge taskq").succeeds();
    machine.user("test -s .local/share/taskq/taskq.db").succeeds();
    assert_eq!(machine.root(&format!("test -e {PACKAGED}")).status, 1);

    // The next installation finds the job, and goes on with it.
    machine.install_package();
    machine.user("taskq service install").succeeds();
    let runs = machine.user("taskq runs").succeeds().stdout;
    assert!(runs.lines().any(|line| line.starts_with("2.1 ") && line.contains("running")), "{runs}");
}

#[test]
fn a_package_has_a_unit_of_the_system_that_root_enables() {
    let Some(machine) = machine_with_package("of-system") else { return };
    machine.install_package();
    machine.root("rm /usr/local/bin/taskq").succeeds();
    assert_eq!(machine.root("systemctl is-enabled taskq").stdout, "disabled");
    let said = machine.root("HOME=/root taskq service install --system").succeeds().stdout;
    let file = "/usr/lib/systemd/system/taskq.service";
    assert!(said.starts_with(&format!("{file}: packaged, enabled, started, pid ")), "{said}");
    machine.root("HOME=/root taskq status").succeeds();
    let pid = machine.root("systemctl show --value --property=MainPID taskq").stdout;
    machine.install_package();
    assert_ne!(machine.root("systemctl show --value --property=MainPID taskq").stdout, pid);
    machine.root("dpkg --purge taskq").succeeds();
    assert_eq!(machine.root("systemctl is-active taskq").stdout, "inactive");
    assert_eq!(machine.root("ls /etc/systemd/system/multi-user.target.wants/taskq.service").status, 2);
}
