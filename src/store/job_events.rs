//! Owns: the events of runs, for the triggers of other jobs.
//! Never: what such an event does (see `listening`), the end of a run itself (see `ends`).

use rusqlite::params;
use serde_json::json;

use super::listening::{HeardEvent, Listener};
use super::{Reader, StoreResult, Writer};
use crate::domain::{
    ArrayId, EventSource, FireId, JobId, JobKey, JobName, JobPattern, JobStage, Occurrence, Outcome, RunId,
    Timestamp,
};

/// A fire that started or ended.
pub(super) struct FireNews {
    pub(super) fire: FireId,
    /// Not after now, also if the clock was set back.
    pub(super) at: Timestamp,
    /// `None`: it has started.
    pub(super) outcome: Option<Outcome>,
}

impl Reader<'_> {
    /// Returns whether a trigger listens to the runs of other jobs.
    pub(super) fn is_listened_to(&self) -> StoreResult<bool> {
        self.has("SELECT 1 FROM trigger WHERE kind = 'job' AND listens IS NOT NULL AND listens = 1", [])
    }

    /// Returns the triggers that listen to the runs of a job.
    pub(super) fn listeners_of_job(&self, job: JobId) -> StoreResult<Vec<Listener>> {
        // A name means the job that has it now.
        let name = match self.job_name(job)? {
            Some(name) if self.find_job(&JobKey::Name(name.clone()))? == Some(job) => Some(name),
            Some(_) | None => None,
        };
        let name = name.as_ref().map(JobName::as_str);
        let id = job.to_string();
        let found = self.listeners(
            "trigger.kind = 'job' AND (trigger.event_key IN (?1, ?2) OR trigger.event_key IS NULL)",
            &[&id, &name],
        )?;
        let mut listeners = Vec::new();
        for listener in found {
            if self.means(&listener, job, name)? {
                listeners.push(listener);
            }
        }
        Ok(listeners)
    }

    fn means(&self, listener: &Listener, job: JobId, name: Option<&str>) -> StoreResult<bool> {
        let EventSource::Job(source) = &listener.event.source else { return Ok(false) };
        match &source.jobs {
            JobPattern::One(_) => Ok(true),
            _ if listener.job == job => Ok(false),
            JobPattern::Names(pattern) => self.has("SELECT 1 WHERE ?1 GLOB ?2", params![name, pattern]),
            JobPattern::Tagged(tag) => {
                self.has("SELECT 1 FROM tag WHERE job_id = ?1 AND tag = ?2", params![job, tag.as_str()])
            }
        }
    }

    fn occurrence_of(&self, news: &FireNews) -> StoreResult<Occurrence> {
        let (job, run) = match news.fire {
            FireId::Run(run) => (run.job, Some(run)),
            FireId::Array { job, .. } => (job, None),
        };
        let job_name = self.job_name(job)?;
        let shown = job_name.as_ref().map_or_else(|| job.to_string(), JobName::to_string);
        let (exit_code, signal): (Option<i32>, Option<i32>) = match run.filter(|_| news.outcome.is_some()) {
            Some(run) => self.one(
                "SELECT exit_code, signal FROM run WHERE job_id = ?1 AND number = ?2",
                params![run.job, run.number],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?,
            None => (None, None),
        };
        let data = json!({
            "job_id": job,
            "job": job_name,
            "run": run.map(|run| run.to_string()),
            "outcome": news.outcome,
            "exit_code": exit_code,
            "signal": signal,
        });
        Ok(Occurrence {
            at: news.at,
            name: run.map_or_else(|| shown.clone(), |run| format!("{shown}.{}", run.number)),
            data: Some(data.to_string()),
            count: 1,
            depth: match news.fire {
                FireId::Run(run) => self.depth_of_run(run)?,
                FireId::Array { array, .. } => self.depth_of_array(array)?,
            },
        })
    }
}

impl Writer<'_> {
    /// Tells the triggers that listen to the first start of a run. An array starts with its first run, and a
    /// callback is no run of its own.
    pub(super) fn tell_start(&self, run: RunId, attempt: u32, at: Timestamp) -> StoreResult<()> {
        if attempt > 1 || !self.is_listened_to()? {
            return Ok(());
        }
        let (array, is_first, is_callback) = self.one(
            "SELECT array_id, NOT EXISTS (SELECT 1 FROM run AS other WHERE other.array_id = run.array_id
                    AND other.id <> run.id AND (other.started_at IS NOT NULL OR other.attempt > 1)),
                callback IS NOT NULL
             FROM run WHERE job_id = ?1 AND number = ?2",
            params![run.job, run.number],
            |row| Ok((row.get::<_, Option<ArrayId>>(0)?, row.get::<_, bool>(1)?, row.get::<_, bool>(2)?)),
        )?;
        if is_callback || array.is_some() && !is_first {
            return Ok(());
        }
        let fire = match array {
            Some(array) => FireId::Array { job: run.job, array },
            None => FireId::Run(run),
        };
        self.tell(&FireNews { fire, at: at.min(self.at), outcome: None }, self.at)
    }

    /// Tells the triggers that listen to a job of a start or an end. One that is too deep in a chain is not
    /// told.
    pub(super) fn tell(&self, news: &FireNews, now: Timestamp) -> StoreResult<()> {
        let job = match news.fire {
            FireId::Run(run) => run.job,
            FireId::Array { job, .. } => job,
        };
        let listeners = self.listeners_of_job(job)?;
        if listeners.is_empty() {
            return Ok(());
        }
        let occurrence = self.occurrence_of(news)?;
        for listener in listeners {
            let EventSource::Job(source) = &listener.event.source else { continue };
            let (is_meant, is_opposite) = match news.outcome {
                Some(outcome) => source.stage.of_end(outcome),
                None => (source.stage == JobStage::Started, false),
            };
            if is_meant || is_opposite {
                let event = HeardEvent { occurrence: occurrence.clone(), is_opposite, is_left_over: false };
                self.hear(&listener, &event, now)?;
            }
        }
        Ok(())
    }
}
