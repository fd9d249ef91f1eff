//! Owns: which waiting mails are sent next.
//! Never: the text of a mail (see `daemon::mail`), SQL.

/// A mail that waits or is being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenMail {
    pub id: i64,
    /// A keeper is sending it.
    pub claimed: bool,
}

/// Picks waiting mails, so that at most `limit` are under way, and at most `limit_of_user` of each user.
///
/// `users` holds the oldest open mails of each user, at least `limit_of_user` where there are so many. The
/// oldest of each user comes first, then the second of each.
pub fn pick_mails(users: &[Vec<OpenMail>], limit: usize, limit_of_user: usize) -> Vec<i64> {
    let places = users.iter().flat_map(|mails| mails.iter().take(limit_of_user).enumerate());
    let (claimed, mut waiting): (Vec<_>, Vec<_>) = places.partition(|(_, mail)| mail.claimed);
    waiting.sort_unstable_by_key(|(place, mail)| (*place, mail.id));
    waiting.iter().map(|(_, mail)| mail.id).take(limit.saturating_sub(claimed.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mails(ids: &[i64], claimed: bool) -> Vec<OpenMail> {
        ids.iter().map(|id| OpenMail { id: *id, claimed }).collect()
    }

    #[test]
    fn users_take_turns_and_the_quotas_of_all_and_of_each_are_kept() {
        let busy = [mails(&[1], true), mails(&[3, 4], false)].concat();
        let users = [busy, mails(&[2, 5, 6], false), mails(&[7], false)];
        assert_eq!(pick_mails(&users, 10, 2), [2, 7, 3, 5]);
        assert_eq!(pick_mails(&users, 3, 2), [2, 7]);
        assert_eq!(pick_mails(&users, 1, 2), [] as [i64; 0]);
    }
}
