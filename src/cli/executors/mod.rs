//! Owns: the definition of an executor, from options of a command line.
//! Never: storing it (see `store`), trying it (see `check`).

pub mod check;

use crate::domain::{Executor, ExecutorHost, ExecutorKind, Needs, Placement};
use crate::error::{Error, Result};
use crate::executor::is_own_option_of_slurm;

/// What is to be set of an executor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutorChanges<'a> {
    /// `HOST` or `HOST=N`, to be added or changed.
    pub hosts: &'a [String],
    pub rundir: Option<&'a str>,
    /// The slots of hosts that name no number.
    pub slots: Option<u32>,
    pub placement: Option<Placement>,
    /// `KEY=VALUE`.
    pub options: &'a [String],
    pub drained: &'a [String],
    pub undrained: &'a [String],
    pub removed_hosts: &'a [String],
    /// The keys of options to be removed.
    pub unset: &'a [String],
}

/// The options of an executor of kind `command`, and whether it needs each.
const TEMPLATES: [(&str, bool); 4] = [("submit", true), ("status", true), ("cancel", true), ("logs", false)];

/// Returns a new executor.
///
/// # Errors
/// It has no host where it needs one, or an option that its kind does not have.
pub fn made(what: &str, kind: ExecutorKind, changes: &ExecutorChanges<'_>) -> Result<Executor> {
    let hosts = if kind != ExecutorKind::Ssh && changes.hosts.is_empty() {
        let slots = changes.slots.unwrap_or(Executor::ENGINE_SLOTS);
        vec![ExecutorHost { name: String::new(), slots, is_draining: false }]
    } else {
        Vec::new()
    };
    let (rundir, placement) = (String::new(), Placement::default());
    let empty = Executor { kind, hosts, rundir, placement, options: Vec::new() };
    changed(what, &empty, changes, &|_| 0)
}

/// Returns an executor with changes. `runs`: how many runs a host has.
///
/// # Errors
/// A host or an option is not there, or cannot be as it is asked.
pub fn changed(
    what: &str,
    before: &Executor,
    changes: &ExecutorChanges<'_>,
    runs: &dyn Fn(&str) -> u32,
) -> Result<Executor> {
    let mut executor = before.clone();
    set_hosts(what, &mut executor, changes, runs)?;
    if let Some(rundir) = changes.rundir {
        check_text(what, "--rundir", rundir)?;
        if rundir != executor.rundir
            && let Some(host) = executor.hosts.iter().find(|host| runs(&host.name) > 0)
        {
            let cause = format!("`--rundir`: there are {} runs in the old one", runs(&host.name));
            return Err(Error::conflict(what, cause).hint("wait until they have ended"));
        }
        rundir.clone_into(&mut executor.rundir);
    }
    executor.placement = changes.placement.unwrap_or(executor.placement);
    for key in changes.unset {
        if executor.values(key).next().is_none() {
            return Err(Error::usage(what, format!("`--unset-opt {key}`: it has no such option")));
        }
        executor.options.retain(|(of, _)| of != key);
    }
    set_options(what, &mut executor, changes.options)?;
    complete(what, &executor)?;
    Ok(executor)
}

fn set_hosts(
    what: &str,
    executor: &mut Executor,
    changes: &ExecutorChanges<'_>,
    runs: &dyn Fn(&str) -> u32,
) -> Result<()> {
    let named = |executor: &Executor, option: &str, name: &str| {
        let found = executor.hosts.iter().position(|host| host.name == name);
        found.ok_or_else(|| {
            let error = Error::usage(what, format!("`{option} {name}`: it has no such host"));
            match executor.hosts_hint() {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })
    };
    for name in changes.removed_hosts {
        let at = named(executor, "--remove-host", name)?;
        if runs(name) > 0 {
            let cause = format!("`--remove-host {name}`: it has {} runs", runs(name));
            return Err(Error::conflict(what, cause)
                .hint(format!("drain it with `--drain {name}`, and remove it when they have ended")));
        }
        executor.hosts.remove(at);
    }
    if let Some(slots) = changes.slots.filter(|_| changes.hosts.is_empty()) {
        executor.hosts.iter_mut().for_each(|host| host.slots = slots);
    }
    for text in changes.hosts {
        let default =
            if executor.kind == ExecutorKind::Ssh { Executor::SLOTS } else { Executor::ENGINE_SLOTS };
        let host = read_host(what, text, changes.slots.unwrap_or(default))?;
        match executor.hosts.iter_mut().find(|other| other.name == host.name) {
            Some(known) => known.slots = host.slots,
            None => executor.hosts.push(host),
        }
    }
    for (names, option, is_draining) in
        [(changes.drained, "--drain", true), (changes.undrained, "--undrain", false)]
    {
        for name in names {
            let at = named(executor, option, name)?;
            executor.hosts[at].is_draining = is_draining;
        }
    }
    Ok(())
}

fn read_host(what: &str, text: &str, default: u32) -> Result<ExecutorHost> {
    let wrong = |cause: String| Error::usage(what, format!("`--host {text}`: {cause}"));
    let (name, slots) = match text.split_once('=') {
        None => (text, default),
        Some((name, slots)) => {
            let slots = slots.parse().ok().filter(|slots| (1..=Executor::SLOTS_MAX).contains(slots));
            let cause =
                || wrong(format!("after `=` is how many runs it may have, 1 to {}", Executor::SLOTS_MAX));
            (name, slots.ok_or_else(cause)?)
        }
    };
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    if name.is_empty() || name.starts_with('-') || name.contains(is_odd) {
        return Err(wrong("it is not the name of a host".to_owned()));
    }
    Ok(ExecutorHost { name: name.to_owned(), slots, is_draining: false })
}

fn check_text(what: &str, option: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.contains(['\n', '\0']) {
        return Err(Error::usage(what, format!("`{option}` is empty, or has a line end")));
    }
    Ok(())
}

fn set_options(what: &str, executor: &mut Executor, options: &[String]) -> Result<()> {
    let mut replaced: Vec<&str> = Vec::new();
    for text in options {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Error::usage(what, format!("`--opt {text}` is not `KEY=VALUE`")));
        };
        check_option(what, executor.kind, key, value)?;
        // The first one of a command line replaces those of earlier ones.
        if !replaced.contains(&key) || key != Executor::OPTION {
            executor.options.retain(|(of, _)| of != key);
        }
        replaced.push(key);
        executor.options.push((key.to_owned(), value.to_owned()));
    }
    Ok(())
}

fn check_option(what: &str, kind: ExecutorKind, key: &str, value: &str) -> Result<()> {
    let wrong = |cause: String| Err(Error::usage(what, format!("`--opt {key}={value}`: {cause}")));
    if value.contains(['\n', '\0']) && kind != ExecutorKind::Command {
        return wrong("it has a line end".to_owned());
    }
    let is_of_ssh = [Executor::CONFIG, Executor::OPTION].contains(&key);
    let known = match kind {
        ExecutorKind::Ssh => is_of_ssh || key == Executor::RESOURCES,
        ExecutorKind::Slurm if is_own_option_of_slurm(key) => {
            return wrong("taskq sets it itself".to_owned());
        }
        ExecutorKind::Slurm => {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            is_of_ssh || !key.is_empty() && !key.starts_with('-') && key.chars().all(is_plain)
        }
        ExecutorKind::Command => is_of_ssh || TEMPLATES.iter().any(|(name, _)| *name == key),
    };
    if !known {
        let names = match kind {
            ExecutorKind::Ssh => "`config`, `option` and `resources`",
            ExecutorKind::Slurm => "those of sbatch(1), without dashes",
            ExecutorKind::Command => "`submit`, `status`, `cancel`, `logs`, `config` and `option`",
        };
        return wrong(format!("the options of type {kind} are {names}"));
    }
    if key == Executor::RESOURCES
        && let Err(error) = value.parse::<Needs>()
    {
        return wrong(error.to_string());
    }
    Ok(())
}

/// Checks that an executor has all that its kind needs.
fn complete(what: &str, executor: &Executor) -> Result<()> {
    let hosts = executor.hosts.len();
    match executor.kind {
        ExecutorKind::Ssh if hosts == 0 => {
            return Err(Error::usage(what, "it needs a host").hint("give `--host HOST`, as ssh(1) knows it"));
        }
        ExecutorKind::Slurm | ExecutorKind::Command if hosts != 1 => {
            let cause = format!("type {} has one host, which has the commands of its engine", executor.kind);
            return Err(Error::usage(what, cause));
        }
        ExecutorKind::Ssh | ExecutorKind::Slurm => {}
        ExecutorKind::Command => {
            let missing = TEMPLATES.iter().find(|(name, is_needed)| {
                *is_needed && executor.values(name).next().is_none_or(str::is_empty)
            });
            if let Some((name, _)) = missing {
                return Err(Error::usage(what, format!("type command needs `--opt {name}=COMMAND`")));
            }
        }
    }
    Ok(())
}

/// Returns what a user should know of an executor.
pub fn warnings(executor: &Executor) -> Vec<String> {
    let has_limit = executor.values("time").next().is_some();
    if executor.kind == ExecutorKind::Slurm && !has_limit {
        let warning =
            "warning: without `--opt time=LIMIT`, a run without `--timeout` may keep its nodes for ever";
        return vec![warning.to_owned()];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn add(kind: ExecutorKind, hosts: &[&str], options: &[&str]) -> Result<Executor> {
        let (hosts, options) = (texts(hosts), texts(options));
        made("add", kind, &ExecutorChanges { hosts: &hosts, options: &options, ..ExecutorChanges::default() })
    }

    #[test]
    fn hosts_have_slots_and_are_drained_and_removed_when_they_have_no_runs() {
        let big = add(ExecutorKind::Ssh, &["a=8", "me@b"], &[]).expect("it is whole");
        let slots = |executor: &Executor| -> Vec<(String, u32, bool)> {
            executor.hosts.iter().map(|host| (host.name.clone(), host.slots, host.is_draining)).collect()
        };
        assert_eq!(slots(&big), [("a".to_owned(), 8, false), ("me@b".to_owned(), 1, false)]);
        let change = |changes: ExecutorChanges<'_>, runs: u32| changed("set", &big, &changes, &|_| runs);
        let (drained, gone) = (texts(&["a"]), texts(&["c"]));
        let drains = ExecutorChanges { drained: &drained, ..ExecutorChanges::default() };
        assert!(slots(&change(drains, 3).expect("it is there"))[0].2);
        let nowhere = ExecutorChanges { drained: &gone, ..ExecutorChanges::default() };
        assert_eq!(
            change(nowhere, 0).expect_err("it is not there").hint.as_deref(),
            Some("it has `a`, `me@b`")
        );
        let removes = ExecutorChanges { removed_hosts: &drained, ..ExecutorChanges::default() };
        assert!(change(removes, 1).is_err());
        assert_eq!(slots(&change(removes, 0).expect("nothing is there")).len(), 1);
    }

    #[test]
    fn what_a_kind_does_not_have_is_refused() {
        for (kind, hosts, options) in [
            (ExecutorKind::Ssh, &[][..], &[][..]),
            (ExecutorKind::Ssh, &["a=0"], &[]),
            (ExecutorKind::Ssh, &["a=many"], &[]),
            (ExecutorKind::Ssh, &["-oProxyCommand=x"], &[]),
            (ExecutorKind::Ssh, &["a b"], &[]),
            (ExecutorKind::Ssh, &["a"], &["partition=main"]),
            (ExecutorKind::Ssh, &["a"], &["resources=gpu"]),
            (ExecutorKind::Ssh, &["a"], &["config"]),
            (ExecutorKind::Slurm, &["a", "b"], &[]),
            (ExecutorKind::Slurm, &[], &["array=1-9"]),
            (ExecutorKind::Slurm, &[], &["chdir=/tmp"]),
            (ExecutorKind::Slurm, &[], &["export=NONE"]),
            (ExecutorKind::Slurm, &[], &["Partition=main"]),
            (ExecutorKind::Slurm, &[], &["--time=1"]),
            (ExecutorKind::Command, &[], &["submit=x", "status=y"]),
        ] {
            assert!(add(kind, hosts, options).is_err(), "{kind} {hosts:?} {options:?}");
        }
        let all = ["submit=x", "status=y", "cancel=z"];
        assert!(add(ExecutorKind::Command, &[], &all).is_ok());
        let slurm = add(ExecutorKind::Slurm, &[], &[]).expect("it is whole");
        assert_eq!((slurm.hosts[0].name.as_str(), warnings(&slurm).len()), ("", 1));
        assert_eq!(warnings(&add(ExecutorKind::Slurm, &[], &["time=1:00"]).expect("it is whole")), [""; 0]);
    }
}
