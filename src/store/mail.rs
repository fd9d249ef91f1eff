//! Owns: the queue of mails, from the commit of a run's end until sendmail(8) has accepted the mail.
//! Never: the text of a mail (see `daemon::mail`).

use rusqlite::params;

use super::{Reader, RunView, StoreResult, Writer, codec};
use crate::domain::{Execution, JobId, Mail, RunId, Timestamp};
use crate::engine::OpenMail;

/// A mail to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailToSend {
    pub id: i64,
    pub mail: Mail,
    pub run: RunView,
    pub execution: Execution,
}

/// A mail that was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsentMail {
    pub run: RunId,
    pub cause: String,
}

impl Reader<'_> {
    /// Returns whether a mail waits or is being sent.
    pub fn is_mail_open(&self, id: i64) -> StoreResult<bool> {
        self.has("SELECT 1 FROM mail WHERE id = ?1 AND failed IS NULL", [id])
    }

    /// Returns whether a mail waits that is not claimed.
    pub fn has_waiting_mail(&self) -> StoreResult<bool> {
        self.has("SELECT 1 FROM mail WHERE failed IS NULL AND keeper IS NULL LIMIT 1", [])
    }

    /// Returns how many mails wait or are being sent, and how many could not be sent.
    pub fn count_mails(&self) -> StoreResult<(usize, usize)> {
        self.one("SELECT count(*) FILTER (WHERE failed IS NULL), count(failed) FROM mail", [], |row| {
            let count =
                |at| Ok::<_, rusqlite::Error>(usize::try_from(row.get::<_, i64>(at)?).unwrap_or(usize::MAX));
            Ok((count(0)?, count(1)?))
        })
    }

    /// Returns the mails that are claimed for a keeper.
    pub fn claimed_mails(&self) -> StoreResult<Vec<i64>> {
        self.all("SELECT id FROM mail WHERE failed IS NULL AND keeper IS NOT NULL ORDER BY id", [], |row| {
            row.get(0)
        })
    }

    /// Returns the latest unsent mail about a job.
    pub fn unsent_mail(&self, job: JobId) -> StoreResult<Option<UnsentMail>> {
        self.first(
            "SELECT run.number, mail.failed FROM mail JOIN run ON run.id = mail.run_id
             WHERE run.job_id = ?1 AND mail.failed IS NOT NULL ORDER BY mail.id DESC LIMIT 1",
            [job],
            |row| Ok(UnsentMail { run: RunId { job, number: row.get(0)? }, cause: row.get(1)? }),
        )
    }

    /// Returns the oldest `limit` open mails of each user that has some. A user's claimed mails are its
    /// oldest.
    ///
    /// One step in the index finds each user: the cost does not grow with the number of mails.
    pub fn open_mails(&self, limit: usize) -> StoreResult<Vec<Vec<OpenMail>>> {
        const NEXT: &str = "SELECT user FROM mail WHERE failed IS NULL AND user > ?1 ORDER BY user LIMIT 1";
        // The empty name, the daemon's user, sorts before all others.
        let mut next = Some(String::new());
        let mut users = Vec::new();
        while let Some(user) = next {
            next = self.first(NEXT, [&user], |row| row.get(0))?;
            let mut oldest = self.transaction.prepare_cached(
                "SELECT id, keeper IS NOT NULL FROM mail WHERE failed IS NULL AND user = ?1 ORDER BY id",
            )?;
            let oldest =
                oldest.query_map([&user], |row| Ok(OpenMail { id: row.get(0)?, claimed: row.get(1)? }))?;
            users.push(oldest.take(limit).collect::<rusqlite::Result<_>>()?);
        }
        Ok(users)
    }

    fn mail_to_send(&self, id: i64) -> StoreResult<Option<MailToSend>> {
        let (run, mail) = self.one(
            "SELECT run.job_id, run.number, job.mail_to, job.mail_when, job.mail_format
             FROM mail JOIN run ON run.id = mail.run_id JOIN job ON job.id = run.job_id WHERE mail.id = ?1",
            [id],
            |row| Ok((RunId { job: row.get(0)?, number: row.get(1)? }, codec::mail(row, 2)?)),
        )?;
        let (Some(mail), Some(view)) = (mail, self.run(run)?) else { return Ok(None) };
        Ok(Some(MailToSend { id, mail, run: view, execution: self.start(run)?.job.execution }))
    }
}

impl Writer<'_> {
    /// Queues the mail about a run with this key. `user`: of its job.
    pub(super) fn queue_mail(&self, run_id: i64, user: Option<&str>, now: Timestamp) -> StoreResult<()> {
        self.change(
            "INSERT INTO mail (run_id, queued_at, user) VALUES (?1, ?2, ?3)",
            params![run_id, now, user.unwrap_or_default()],
        )
    }

    /// Claims mails for the keeper `instance`. A mail that its job no longer wants is dropped.
    pub fn claim_mails(&self, ids: &[i64], instance: i64) -> StoreResult<Vec<MailToSend>> {
        let mut claimed = Vec::new();
        for id in ids {
            let Some(mail) = self.mail_to_send(*id)? else {
                self.mail_is_sent(*id)?;
                continue;
            };
            self.change("UPDATE mail SET keeper = ?2 WHERE id = ?1", params![id, instance])?;
            claimed.push(mail);
        }
        Ok(claimed)
    }

    /// Queues a claimed mail again.
    pub fn release_mail(&self, id: i64) -> StoreResult<()> {
        self.change("UPDATE mail SET keeper = NULL WHERE id = ?1 AND failed IS NULL", [id])
    }

    /// Deletes a mail that sendmail(8) has accepted.
    pub fn mail_is_sent(&self, id: i64) -> StoreResult<()> {
        self.change("DELETE FROM mail WHERE id = ?1 AND failed IS NULL", [id])
    }

    /// Marks a mail as failed. Returns its run, unless it was marked before.
    pub fn mail_failed(&self, id: i64, cause: &str) -> StoreResult<Option<RunId>> {
        let changed = self.changed(
            "UPDATE mail SET keeper = NULL, failed = ?2 WHERE id = ?1 AND failed IS NULL",
            params![id, cause],
        )?;
        if changed == 0 {
            return Ok(None);
        }
        self.first(
            "SELECT run.job_id, run.number FROM mail JOIN run ON run.id = mail.run_id WHERE mail.id = ?1",
            [id],
            |row| Ok(RunId { job: row.get(0)?, number: row.get(1)? }),
        )
    }

    /// Marks every waiting mail as failed. Returns how many.
    pub fn waiting_mails_failed(&self, cause: &str) -> StoreResult<usize> {
        self.changed("UPDATE mail SET failed = ?1 WHERE failed IS NULL AND keeper IS NULL", [cause])
    }
}
