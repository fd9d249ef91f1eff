//! Owns: the callbacks of a job: the scripts that run after a run of it has ended.
//! Never: deciding on an end (see `engine`).

use serde::{Deserialize, Serialize};

use super::run::words;

/// When a callback runs: `--on-success`, `--on-failure`, `--on-finish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackWhen {
    Success,
    /// It failed, timed out, could not be started or was lost.
    Failure,
    /// However it ended, if it began.
    Finish,
}

words!(CallbackWhen { Success = "success", Failure = "failure", Finish = "finish" });

/// The scripts of a job, each for `/bin/sh -c`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callbacks {
    pub success: Option<Vec<u8>>,
    pub failure: Option<Vec<u8>>,
    pub finish: Option<Vec<u8>>,
}

impl Callbacks {
    /// Returns the script for an end.
    pub fn get(&self, when: CallbackWhen) -> Option<&Vec<u8>> {
        match when {
            CallbackWhen::Success => self.success.as_ref(),
            CallbackWhen::Failure => self.failure.as_ref(),
            CallbackWhen::Finish => self.finish.as_ref(),
        }
    }

    /// Returns the place of the script for an end.
    pub fn get_mut(&mut self, when: CallbackWhen) -> &mut Option<Vec<u8>> {
        match when {
            CallbackWhen::Success => &mut self.success,
            CallbackWhen::Failure => &mut self.failure,
            CallbackWhen::Finish => &mut self.finish,
        }
    }
}
