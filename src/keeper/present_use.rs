//! Owns: what the processes of a run use at present.
//! Never: what they have used when they have ended (see `account`), limiting it.

use super::procfs::{of_ticks, page_bytes, processes_of_session};
use crate::domain::Span;

/// What the processes of a run use, as proc_pid_stat(5) shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresentUse {
    /// Of the processes that are there, and of their children that were waited for.
    pub cpu: Span,
    /// The sum of their resident sets. Memory that they share counts for each.
    pub rss_bytes: u64,
    pub processes: usize,
}

/// Returns what the processes use that are still in the session of a run, whose first process is `leader`;
/// `None` if there are none.
pub fn present_use(leader: u32) -> Option<PresentUse> {
    let (mut ticks, mut pages, mut processes) = (0, 0, 0);
    for process in processes_of_session(leader) {
        ticks += process.cpu_ticks;
        pages += process.rss_pages;
        processes += 1;
    }
    let cpu = Span::from_micros(u64::try_from(of_ticks(ticks).as_micros()).unwrap_or(u64::MAX));
    (processes > 0).then(|| PresentUse { cpu, rss_bytes: pages * page_bytes(), processes })
}

#[cfg(test)]
mod tests {
    use nix::unistd;

    use super::*;

    #[test]
    fn our_own_session_uses_something() {
        let session = unistd::getsid(None).expect("we have a session").as_raw();
        let used = present_use(session.cast_unsigned()).expect("we run");
        assert!(used.processes >= 1 && used.rss_bytes >= 4_096, "{used:?}");
        assert_eq!(present_use(u32::MAX), None);
    }
}
