//! Owns: what a claimed run is, when a daemon meets a keeper.
//! Never: asking the keeper.

/// What becomes of a run that the database has as claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The keeper has it, or its result.
    Adopt,
    /// The keeper that was to start it lives and never heard of it: it was not started.
    Requeue,
    /// The keeper that was to start it is gone, and what it knew with it.
    Lose,
}

/// Decides about a run that was claimed for `claimed_for`, when the keeper that lives is `living` and knows the attempt or
/// not.
pub fn recover(claimed_for: i64, living: i64, known: bool) -> Recovery {
    match (claimed_for == living, known) {
        (_, true) => Recovery::Adopt,
        (true, false) => Recovery::Requeue,
        (false, false) => Recovery::Lose,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_keeper_that_is_gone_loses_a_run() {
        assert_eq!(recover(7, 7, true), Recovery::Adopt);
        assert_eq!(recover(7, 7, false), Recovery::Requeue);
        assert_eq!(recover(7, 8, false), Recovery::Lose);
    }
}
