//! Owns: the variables whose values a file leaves to the store: the key `keep_env`.
//! Never: the other keys of a job (see `entry`).
//!
//! `export` writes the names only, so that a file can be read by others. A file without the values must not
//! take them from a job.

use super::problem::Problem;
use super::syntax::FileTable;
use crate::cli::job::keys::{KEEP_ENV, listed, names_to_keep};
use crate::domain::{EnvVar, JobName};

const HINT: &str = "give them in `env`, or export with `--with-environment`";

/// The variables of a job that keep their stored values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeptVariables {
    names: Vec<String>,
    /// Where the key is.
    at: usize,
    /// The environment as the file has it.
    given: Vec<EnvVar>,
}

impl KeptVariables {
    /// Returns them for a job with this environment in its file.
    pub(super) fn beside(self, given: &[EnvVar]) -> Self {
        // Most jobs keep none.
        let given = if self.names.is_empty() { Vec::new() } else { given.to_vec() };
        Self { given, ..self }
    }

    /// Returns the problem of default values that each job has of its own.
    pub(super) fn refused_default(&self) -> Problem {
        Problem::new(self.at, format!("`{KEEP_ENV}` belongs into the table of a job"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the environment of the job. `stored`: of the job in the store, if there is one. A variable
    /// that it does not have is a problem.
    pub(super) fn environment(
        &self,
        job: &JobName,
        stored: Option<&[EnvVar]>,
    ) -> (Vec<EnvVar>, Option<Problem>) {
        let vars = stored.unwrap_or_default();
        let is_kept = |var: &&EnvVar| self.names.iter().any(|name| name.as_bytes() == name_of(var));
        let given = self.given.iter().filter(|var| !is_kept(var));
        let env = given.chain(vars.iter().filter(is_kept)).cloned().collect();
        let is_missing = |name: &&String| vars.iter().all(|var| name_of(var) != name.as_bytes());
        let missing: Vec<String> = self.names.iter().filter(is_missing).cloned().collect();
        let problem = || Problem::new(self.at, nothing_to_keep(job, stored.is_some(), &missing)).hint(HINT);
        (env, (!missing.is_empty()).then(problem))
    }
}

fn nothing_to_keep(job: &JobName, is_stored: bool, missing: &[String]) -> String {
    let names = listed(missing);
    match is_stored {
        true => format!("the stored job `{job}` has no value of {names} to keep"),
        false => format!("there is no job `{job}` in the store whose values of {names} could be kept"),
    }
}

fn name_of(var: &[u8]) -> &[u8] {
    var.split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// Takes `keep_env` out of the keys of a table.
pub(super) fn take_keep_env(table: &mut FileTable, problems: &mut Vec<Problem>) -> Option<KeptVariables> {
    let index = table.keys.iter().position(|key| key.key == KEEP_ENV)?;
    let key = table.keys.remove(index);
    let names = match names_to_keep(&key.value) {
        Ok(names) => names,
        Err(cause) => {
            problems.push(Problem::new(key.at, cause));
            return None;
        }
    };
    let given = table.keys.iter().filter(|key| key.key == "env").flat_map(|key| {
        let texts = key.value.as_array().map_or(std::slice::from_ref(&key.value), Vec::as_slice);
        texts.iter().filter_map(|text| text.as_str()?.split('=').next())
    });
    let given: Vec<&str> = given.collect();
    let both: Vec<String> = names.iter().filter(|name| given.contains(&name.as_str())).cloned().collect();
    if !both.is_empty() {
        problems.push(Problem::new(key.at, format!("{} in both `env` and `{KEEP_ENV}`", are(&both))));
    }
    Some(KeptVariables { names, at: key.at, given: Vec::new() })
}

fn are(names: &[String]) -> String {
    format!("{} {}", listed(names), if names.len() == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(texts: &[&str]) -> Vec<EnvVar> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn what_is_kept_goes_before_what_each_job_of_a_file_has() {
        let names = ["A", "HOME", "C"].map(str::to_owned).to_vec();
        let kept = KeptVariables { names, at: 0, given: env(&["HOME=/root", "B=1"]) };
        let job = "a".parse().expect("it is a name");
        let (whole, problem) =
            kept.environment(&job, Some(&env(&["A=x=y", "HOME=/home", "AB=1", "A=twice"])));
        assert_eq!(whole, env(&["B=1", "A=x=y", "HOME=/home", "A=twice"]));
        let cause = problem.map(|problem| problem.cause);
        assert_eq!(cause.as_deref(), Some("the stored job `a` has no value of `C` to keep"));
    }
}
