//! Owns: the reconciliation of claimed runs when a keeper has said hello to the daemon.
//! Never: asking the keeper.

/// The keeper that a run was claimed for, when one has said hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimedFor {
    /// It is the one that has said hello.
    Greeted,
    /// It is another one that lives.
    Living,
    /// It exited in order: it had started all that it was sent, and its results are in the database.
    Ended,
    /// It was killed, or the machine stopped.
    Gone,
}

/// The decision about a run that is claimed in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The keeper has it, or its result.
    Adopt,
    /// It was not started: it is queued again.
    Requeue,
    /// Its keeper is gone: the one that has said hello looks for its processes.
    Seek,
    /// It stays claimed until a keeper says hello that has it or can look for it.
    Wait,
}

/// Decides about a claimed run. `known`: the keeper that has said hello has it. `can_seek`: that keeper can
/// find processes of other keepers.
pub fn recover(claimed_for: ClaimedFor, known: bool, can_seek: bool) -> Recovery {
    match claimed_for {
        _ if known => Recovery::Adopt,
        ClaimedFor::Greeted | ClaimedFor::Ended => Recovery::Requeue,
        ClaimedFor::Gone if can_seek => Recovery::Seek,
        ClaimedFor::Living | ClaimedFor::Gone => Recovery::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_of_a_keeper_that_is_gone_are_looked_for() {
        use ClaimedFor::{Ended, Gone, Greeted, Living};
        for can_seek in [true, false] {
            for claimed_for in [Greeted, Living, Ended, Gone] {
                assert_eq!(recover(claimed_for, true, can_seek), Recovery::Adopt);
            }
            assert_eq!(recover(Greeted, false, can_seek), Recovery::Requeue);
            assert_eq!(recover(Ended, false, can_seek), Recovery::Requeue);
            assert_eq!(recover(Living, false, can_seek), Recovery::Wait);
        }
        assert_eq!(recover(Gone, false, true), Recovery::Seek);
        assert_eq!(recover(Gone, false, false), Recovery::Wait);
    }
}
