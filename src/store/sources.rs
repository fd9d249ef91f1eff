//! Owns: what the daemon's sources of events need from the store: who listens, and what was seen before.
//! Never: watching (see `watch`), what an event does (see `listening`).

use rusqlite::params;

use super::listening::{HeardEvent, Listener};
use super::{MetaKey, Reader, StoreResult, Writer};
use crate::domain::{JobId, MachineState, Occurrence, PathMark, Timestamp, TriggerId, TriggerKind};

/// What a source has to tell a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceNews {
    pub trigger: TriggerId,
    /// In the order in which they came.
    pub events: Vec<HeardEvent>,
    /// Of a path: the files whose mark is another now, by name; `None`: it is gone.
    pub marks: Vec<(Vec<u8>, Option<PathMark>)>,
}

/// It differs whenever other triggers listen to the daemon's sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStamp([i64; 3]);

impl Reader<'_> {
    pub fn source_stamp(&self) -> StoreResult<SourceStamp> {
        self.one(
            "SELECT count(*), coalesce(sum(id), 0), coalesce(sum(id * held), 0) FROM trigger
             WHERE listens IS NOT NULL AND listens = 1 AND kind IN ('path', 'stream', 'state')",
            [],
            |row| Ok(SourceStamp([row.get(0)?, row.get(1)?, row.get(2)?])),
        )
    }

    /// Returns the triggers of a kind that listen, but for those of paused jobs.
    pub fn listeners_of(&self, kind: TriggerKind) -> StoreResult<Vec<Listener>> {
        self.listeners("trigger.kind = ?1 AND trigger.held = 0", &[&kind])
    }

    /// Returns whether the files of a path trigger were looked at.
    pub fn is_watched(&self, trigger: TriggerId) -> StoreResult<bool> {
        self.one("SELECT is_watched FROM trigger WHERE id = ?1", [trigger.0], |row| row.get(0))
    }

    /// Returns the marks of the files of a path trigger, by name.
    pub fn path_marks(&self, trigger: TriggerId) -> StoreResult<Vec<(Vec<u8>, PathMark)>> {
        self.all(
            "SELECT name, inode, size, modified_ns, base, lines FROM path_mark WHERE trigger_id = ?1",
            [trigger.0],
            |row| {
                let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
                let mark = PathMark {
                    inode: number(1)?,
                    size: number(2)?,
                    modified_ns: row.get(3)?,
                    base: number(4)?,
                    lines: number(5)?,
                };
                Ok((row.get(0)?, mark))
            },
        )
    }

    /// Returns which states of the machine held when an event of them was last looked for, in this boot.
    pub fn known_states(&self, boot_id: &str) -> StoreResult<Option<Vec<(MachineState, bool)>>> {
        let Some(text) = self.meta(MetaKey::MachineStates)? else { return Ok(None) };
        let mut words = text.split(' ');
        if words.next() != Some(boot_id) {
            return Ok(None);
        }
        let state = |word: &str| {
            let (state, value) = word.split_once('=')?;
            Some((MachineState::from_word(state)?, value == "1"))
        };
        Ok(Some(words.filter_map(state).collect()))
    }
}

impl Writer<'_> {
    /// Gives the news of a source to a trigger, if it still listens.
    pub fn hear_news(&self, news: &SourceNews, now: Timestamp) -> StoreResult<()> {
        if self.listener(news.trigger)?.is_none_or(|listener| listener.held) {
            return Ok(());
        }
        for event in &news.events {
            // Anew for each, because an event changes what counts.
            if let Some(listener) = self.listener(news.trigger)? {
                self.hear(&listener, event, now)?;
            }
        }
        for (name, mark) in &news.marks {
            self.set_mark(news.trigger, name, *mark)?;
        }
        self.change("UPDATE trigger SET is_watched = 1 WHERE id = ?1 AND is_watched = 0", [news.trigger.0])
    }

    /// Remembers the files that are there when a path trigger is added, or its job is resumed.
    pub fn set_first_marks(&self, trigger: TriggerId, marks: &[(Vec<u8>, PathMark)]) -> StoreResult<()> {
        for (name, mark) in marks {
            self.set_mark(trigger, name, Some(*mark))?;
        }
        self.change("UPDATE trigger SET is_watched = 1 WHERE id = ?1", [trigger.0])
    }

    fn set_mark(&self, trigger: TriggerId, name: &[u8], mark: Option<PathMark>) -> StoreResult<()> {
        match mark {
            None => self.change(
                "DELETE FROM path_mark WHERE trigger_id = ?1 AND name = ?2",
                params![trigger.0, name],
            ),
            Some(PathMark { inode, size, modified_ns, base, lines }) => self.change(
                "INSERT OR REPLACE INTO path_mark (trigger_id, name, inode, size, modified_ns, base, lines)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    trigger.0,
                    name,
                    inode.cast_signed(),
                    size.cast_signed(),
                    modified_ns,
                    base.cast_signed(),
                    lines.cast_signed()
                ],
            ),
        }
    }

    /// Forgets the files of a path trigger.
    pub(super) fn forget_marks(&self, trigger: TriggerId) -> StoreResult<()> {
        self.change("DELETE FROM path_mark WHERE trigger_id = ?1", [trigger.0])?;
        self.change("UPDATE trigger SET is_watched = 0 WHERE id = ?1 AND is_watched = 1", [trigger.0])
    }

    /// Lets the path triggers of a job look at their files as if for the first time: what happened during a
    /// pause does not count.
    pub(super) fn watch_anew(&self, job: JobId) -> StoreResult<()> {
        let paths: Vec<TriggerId> = self.all(
            "SELECT id FROM trigger
             WHERE job_id = ?1 AND kind = 'path' AND listens IS NOT NULL AND listens = 1",
            [job],
            |row| row.get(0).map(TriggerId),
        )?;
        paths.into_iter().try_for_each(|trigger| self.forget_marks(trigger))?;
        self.look_again(job)
    }

    /// Lets the daemon look again at the paths of a job, of which a run has ended, or which may begin at
    /// another time: a condition may hold then.
    pub fn look_again(&self, job: JobId) -> StoreResult<()> {
        self.change(
            "UPDATE trigger SET is_stale = 1
             WHERE job_id = ?1 AND kind = 'path' AND listens IS NOT NULL AND listens = 1 AND is_stale = 0",
            [job],
        )
    }

    /// Takes the triggers whose paths are to be looked at again. Those of a job that may not begin yet wait
    /// for that. Those of a job with another run wait for its end: it may be about to do what the condition
    /// asks for.
    pub fn take_stale(&self, now: Timestamp) -> StoreResult<Vec<TriggerId>> {
        let stale: Vec<(TriggerId, JobId)> = self.all(
            "SELECT trigger.id, job_id FROM trigger JOIN job ON job.id = job_id
             WHERE is_stale = 1 AND ifnull(start_at <= ?1, 1)",
            [now],
            |row| Ok((TriggerId(row.get(0)?), JobId(row.get(1)?))),
        )?;
        let mut taken = Vec::new();
        for (trigger, job) in stale {
            if !self.has_unfinished_fire(job)? {
                self.change("UPDATE trigger SET is_stale = 0 WHERE id = ?1", [trigger.0])?;
                taken.push(trigger);
            }
        }
        Ok(taken)
    }

    /// Returns when the next job may begin whose paths are to be looked at then.
    pub fn next_stale(&self, now: Timestamp) -> StoreResult<Option<Timestamp>> {
        self.one(
            "SELECT min(start_at) FROM trigger JOIN job ON job.id = job_id
             WHERE is_stale = 1 AND held = 0 AND start_at > ?1",
            [now],
            |row| row.get(0),
        )
    }

    /// Keeps which states of the machine hold, for the next daemon of this boot.
    pub fn keep_states(
        &self,
        boot_id: &str,
        states: impl Iterator<Item = (MachineState, bool)>,
    ) -> StoreResult<()> {
        let words: Vec<String> =
            states.map(|(state, holds)| format!(" {state}={}", u8::from(holds))).collect();
        self.exchange_meta(MetaKey::MachineStates, &format!("{boot_id}{}", words.concat())).map(|_| ())
    }

    /// Tells the triggers of `state:start` that a daemon has started, and those of `state:boot` that the
    /// machine has booted, unless they know this boot.
    pub fn tell_daemon_start(&self, boot_id: &str, now: Timestamp) -> StoreResult<()> {
        self.rearm_deaf_silences(now)?;
        let started = |state: MachineState| {
            HeardEvent::of(Occurrence { at: now, name: state.to_string(), data: None, count: 1, depth: 0 })
        };
        for listener in self.listeners_of_state(MachineState::Start)? {
            self.hear(&listener, &started(MachineState::Start), now)?;
        }
        for listener in self.listeners_of_state(MachineState::Boot)? {
            let is_news = self.changed(
                "UPDATE trigger SET boot_id = ?2 WHERE id = ?1 AND boot_id IS NOT ?2",
                params![listener.trigger.0, boot_id],
            )? > 0;
            if is_news {
                self.hear(&listener, &started(MachineState::Boot), now)?;
            }
        }
        Ok(())
    }

    /// Lets the triggers whose events nobody has heard without a daemon wait anew for silence.
    fn rearm_deaf_silences(&self, now: Timestamp) -> StoreResult<()> {
        let waiting = self.listeners(
            "trigger.kind IN ('path', 'stream', 'state') AND trigger.timeout_at IS NOT NULL",
            &[],
        )?;
        for listener in waiting {
            if let Some(silent_at) = listener.silent_at(now) {
                self.set_timeout(listener.trigger, Some(silent_at))?;
            }
        }
        Ok(())
    }

    fn listeners_of_state(&self, state: MachineState) -> StoreResult<Vec<Listener>> {
        self.listeners("trigger.kind = 'state' AND trigger.event_key = ?1", &[&state.as_str()])
    }
}
