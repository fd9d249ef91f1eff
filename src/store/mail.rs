//! Owns: the mails that wait to be sent: from the commit of a run's end until sendmail(8) has taken them.
//! Never: what they say (see `daemon::mail`).

use rusqlite::{OptionalExtension, params};

use super::{Reader, RunView, StoreResult, Writer, codec};
use crate::domain::{Execution, JobId, Mail, RunId, Timestamp};
use crate::engine::OpenMail;

/// A mail to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailToSend {
    /// Its key.
    pub id: i64,
    /// To whom, and in which form.
    pub mail: Mail,
    /// The run that it is about.
    pub run: RunView,
    /// What that run was started with.
    pub execution: Execution,
}

/// A mail that was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsentMail {
    /// The run that it was about.
    pub run: RunId,
    /// Why.
    pub cause: String,
}

/// A mail that a keeper was told to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedMail {
    /// Its key.
    pub id: i64,
    /// Which keeper.
    pub keeper: i64,
}

impl Reader<'_> {
    /// Tells whether a mail waits or is being sent.
    pub fn is_mail_open(&self, id: i64) -> StoreResult<bool> {
        let mut statement =
            self.transaction.prepare("SELECT 1 FROM mail WHERE id = ?1 AND failed IS NULL")?;
        Ok(statement.exists([id])?)
    }

    /// Tells whether a mail waits and no keeper was told of it.
    pub fn has_waiting_mail(&self) -> StoreResult<bool> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT 1 FROM mail WHERE failed IS NULL AND keeper IS NULL LIMIT 1")?;
        Ok(statement.exists([])?)
    }

    /// Returns the mails that a keeper was told to send and that nothing was heard of.
    pub fn claimed_mails(&self) -> StoreResult<Vec<ClaimedMail>> {
        let mut statement = self
            .transaction
            .prepare("SELECT id, keeper FROM mail WHERE failed IS NULL AND keeper IS NOT NULL ORDER BY id")?;
        let claimed =
            statement.query_map([], |row| Ok(ClaimedMail { id: row.get(0)?, keeper: row.get(1)? }))?;
        Ok(claimed.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the latest mail about a job that was not sent.
    pub fn unsent_mail(&self, job: JobId) -> StoreResult<Option<UnsentMail>> {
        let mut statement = self.transaction.prepare(
            "SELECT run.number, mail.failed FROM mail JOIN run ON run.id = mail.run_id
             WHERE run.job_id = ?1 AND mail.failed IS NOT NULL ORDER BY mail.id DESC LIMIT 1",
        )?;
        let unsent = statement.query_row([job], |row| {
            Ok(UnsentMail { run: RunId { job, number: row.get(0)? }, cause: row.get(1)? })
        });
        Ok(unsent.optional()?)
    }

    /// Returns the oldest `limit` open mails of each user that has some. A user's claimed mails are its oldest.
    ///
    /// One step in the index finds each user: the cost does not grow with the number of mails.
    pub fn open_mails(&self, limit: usize) -> StoreResult<Vec<Vec<OpenMail>>> {
        const NEXT: &str = "SELECT user FROM mail WHERE failed IS NULL AND user > ?1 ORDER BY user LIMIT 1";
        // The empty name, the daemon's user, sorts before all others.
        let mut next = Some(String::new());
        let mut users = Vec::new();
        while let Some(user) = next {
            next = self.transaction.prepare_cached(NEXT)?.query_row([&user], |row| row.get(0)).optional()?;
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
        let mut statement = self.transaction.prepare_cached(
            "SELECT run.job_id, run.number, job.mail_to, job.mail_when, job.mail_format
             FROM mail JOIN run ON run.id = mail.run_id JOIN job ON job.id = run.job_id WHERE mail.id = ?1",
        )?;
        let (run, mail) = statement.query_row([id], |row| {
            Ok((RunId { job: row.get(0)?, number: row.get(1)? }, codec::mail(row, 2)?))
        })?;
        let (Some(mail), Some(view)) = (mail, self.run(run)?) else { return Ok(None) };
        Ok(Some(MailToSend { id, mail, run: view, execution: self.start(run)?.job.execution }))
    }
}

impl Writer<'_> {
    /// Queues the mail about a run, by its key, of a job with this user.
    pub(super) fn queue_mail(&self, run_id: i64, user: Option<&str>, now: Timestamp) -> StoreResult<()> {
        self.transaction
            .prepare_cached("INSERT INTO mail (run_id, queued_at, user) VALUES (?1, ?2, ?3)")?
            .execute(params![run_id, now, user.unwrap_or_default()])?;
        Ok(())
    }

    /// Claims mails for the keeper `instance`. A mail that its job no longer wants is dropped.
    pub fn claim_mails(&self, ids: &[i64], instance: i64) -> StoreResult<Vec<MailToSend>> {
        let mut claimed = Vec::new();
        for id in ids {
            let Some(mail) = self.mail_to_send(*id)? else {
                self.mail_is_sent(*id)?;
                continue;
            };
            self.transaction
                .prepare_cached("UPDATE mail SET keeper = ?2 WHERE id = ?1")?
                .execute(params![id, instance])?;
            claimed.push(mail);
        }
        Ok(claimed)
    }

    /// Puts a claimed mail back among the waiting.
    pub fn release_mail(&self, id: i64) -> StoreResult<()> {
        self.transaction
            .prepare_cached("UPDATE mail SET keeper = NULL WHERE id = ?1 AND failed IS NULL")?
            .execute([id])?;
        Ok(())
    }

    /// Forgets a mail: sendmail(8) has it.
    pub fn mail_is_sent(&self, id: i64) -> StoreResult<()> {
        self.transaction
            .prepare_cached("DELETE FROM mail WHERE id = ?1 AND failed IS NULL")?
            .execute([id])?;
        Ok(())
    }

    /// Gives a mail up. Returns the run that it was about, unless that was known.
    pub fn mail_failed(&self, id: i64, cause: &str) -> StoreResult<Option<RunId>> {
        let changed = self
            .transaction
            .prepare_cached("UPDATE mail SET keeper = NULL, failed = ?2 WHERE id = ?1 AND failed IS NULL")?
            .execute(params![id, cause])?;
        if changed == 0 {
            return Ok(None);
        }
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT run.job_id, run.number FROM mail JOIN run ON run.id = mail.run_id WHERE mail.id = ?1",
            )?
            .query_row([id], |row| Ok(RunId { job: row.get(0)?, number: row.get(1)? }))
            .optional()?)
    }

    /// Gives up every mail that no keeper was told of. Returns how many.
    pub fn waiting_mails_failed(&self, cause: &str) -> StoreResult<usize> {
        Ok(self
            .transaction
            .prepare_cached("UPDATE mail SET failed = ?1 WHERE failed IS NULL AND keeper IS NULL")?
            .execute([cause])?)
    }
}
