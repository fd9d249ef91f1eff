//! Owns: what a claimed run is, when a daemon meets a keeper.
//! Never: asking the keeper.

/// What became of the keeper that a run was claimed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimedFor {
    /// It is the one that lives.
    Living,
    /// It ended in order: it had started all that it was told, and its results are in the database.
    Ended,
    /// Nobody knows: it was killed, or the machine went down.
    Gone,
}

/// What becomes of a run that the database has as claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The keeper has it, or its result.
    Adopt,
    /// The keeper that was to start it never heard of it: it was not started.
    Requeue,
    /// The keeper that was to start it is gone: the one that lives looks for its processes.
    Seek,
    /// The keeper that was to start it is gone, and what it knew with it.
    Lose,
}

/// Decides about a claimed run, `known` to the keeper that lives or not; `can_seek`: that keeper finds
/// processes which are not its own.
pub fn recover(claimed_for: ClaimedFor, known: bool, can_seek: bool) -> Recovery {
    match (claimed_for, known) {
        (_, true) => Recovery::Adopt,
        (ClaimedFor::Living | ClaimedFor::Ended, false) => Recovery::Requeue,
        (ClaimedFor::Gone, false) if can_seek => Recovery::Seek,
        (ClaimedFor::Gone, false) => Recovery::Lose,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_keeper_that_is_gone_has_left_is_looked_for() {
        for can_seek in [true, false] {
            assert_eq!(recover(ClaimedFor::Living, true, can_seek), Recovery::Adopt);
            assert_eq!(recover(ClaimedFor::Gone, true, can_seek), Recovery::Adopt);
            assert_eq!(recover(ClaimedFor::Living, false, can_seek), Recovery::Requeue);
            assert_eq!(recover(ClaimedFor::Ended, false, can_seek), Recovery::Requeue);
        }
        assert_eq!(recover(ClaimedFor::Gone, false, true), Recovery::Seek);
        assert_eq!(recover(ClaimedFor::Gone, false, false), Recovery::Lose);
    }
}
