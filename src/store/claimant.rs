//! Owns: for what a run is claimed: a keeper, or a host of an executor.
//! Never: claiming it (see `apply`).

use crate::domain::FarPlace;

/// What is to start a run.
#[derive(Clone, Copy)]
pub(super) struct Claimant<'a> {
    pub(super) keeper: i64,
    pub(super) executor: Option<&'a str>,
    pub(super) host: Option<&'a str>,
}

impl<'a> Claimant<'a> {
    /// Returns the host of an executor, or else the keeper.
    pub(super) fn of(keeper: i64, place: Option<&'a FarPlace>) -> Self {
        match place {
            None => Self { keeper, executor: None, host: None },
            Some(FarPlace { executor, host }) => {
                Self { keeper: NO_KEEPER, executor: Some(executor.as_str()), host: Some(host) }
            }
        }
    }
}

/// In place of a keeper's instance: a host of an executor is to start the run.
pub(super) const NO_KEEPER: i64 = 0;
