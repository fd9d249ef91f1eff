//! Owns: the metrics of a store as OpenMetrics text: their names, labels, units and lines of help.
//! Never: reading the store.
//!
//! docs/metrics.md lists them. The node exporter reads the text by the older format of Prometheus, so only
//! gauges, counters and histograms are used. A server that scrapes it has labels `job` and `instance` of its
//! own, which ours must not be. Every queue has every outcome from its beginning, because a
//! counter that appears with 1 has no rate.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::{JobState, Outcome, Timestamp};
use crate::engine::stats::{Histogram, Totals};
use crate::store::{JobHealth, ResourceView};

/// The numbers of a store, at one instant.
#[derive(Debug)]
pub struct Metrics {
    /// When the daemon started; `None` if none runs.
    pub up_since: Option<Timestamp>,
    pub jobs: BTreeMap<JobState, u64>,
    pub queues: Vec<QueueMetrics>,
    pub resources: Vec<ResourceView>,
    pub next_fire_at: Option<Timestamp>,
    pub totals: Totals,
    /// The jobs with metrics of their own.
    pub recurring: Vec<JobHealth>,
    /// How many others of this kind there are.
    pub unlisted: usize,
    pub store_bytes: u64,
}

#[derive(Debug)]
pub struct QueueMetrics {
    pub name: String,
    pub slots: usize,
    pub is_paused: bool,
    pub waiting: u64,
    pub running: u64,
}

impl Metrics {
    /// Returns the whole text, which ends in `# EOF`.
    pub fn into_text(self) -> String {
        let mut registry = Registry::with_prefix("taskq");
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes every text");
        text
    }

    fn of_daemon(&self, families: &mut Families<'_>) -> fmt::Result {
        families.gauge("up", "Whether the daemon runs.", None, &u64::from(self.up_since.is_some()))?;
        let version = [([("version", env!("CARGO_PKG_VERSION"))], 1_u64)];
        families.gauges("build_info", "The version of taskq that has written this.", None, version)?;
        let help = "When the daemon started, since the epoch.";
        families.timestamp("daemon_start_time", help, self.up_since)?;
        let help = "When the next fire or retry is due, since the epoch.";
        families.timestamp("next_fire_timestamp", help, self.next_fire_at)?;
        let help = "The size of the database with its log.";
        families.gauge("store_size", help, Some(&Unit::Bytes), &self.store_bytes)
    }

    fn of_jobs(&self, families: &mut Families<'_>) -> fmt::Result {
        let states = self.jobs.iter().map(|(state, count)| ([("state", state.as_str())], *count));
        families.gauges("jobs", "Jobs, by their state as in `taskq list`.", None, states)?;
        let jobs = || self.recurring.iter().map(|job| ([("name", job.name.as_str())], job));
        let success = jobs().map(|(label, job)| (label, job.succeeded_at.map_or(0.0, since_epoch)));
        let help = "When the last successful run of a job ended, since the epoch; 0: never.";
        families.gauges("job_last_success_timestamp", help, Some(&Unit::Seconds), success)?;
        let failed = |job: &JobHealth| u64::from(job.last.is_some_and(Outcome::is_failure));
        let help = "Whether the last run of a job failed, timed out, could not start or was lost.";
        families.gauges(
            "job_last_run_failed",
            help,
            None,
            jobs().map(|(label, job)| (label, failed(job))),
        )?;
        let help = "Named jobs that fire again and again, beyond those with metrics of their own.";
        families.gauge("jobs_unlisted", help, None, &self.unlisted)
    }

    fn of_queues(&self, families: &mut Families<'_>) -> fmt::Result {
        let each = |number: fn(&QueueMetrics) -> u64| {
            self.queues.iter().map(move |queue| ([("queue", queue.name.as_str())], number(queue)))
        };
        let help = "Runs that a queue starts side by side.";
        families.gauges("queue_slots", help, None, each(|queue| queue.slots as u64))?;
        let help = "Whether a queue is paused.";
        families.gauges("queue_paused", help, None, each(|queue| queue.is_paused.into()))?;
        let help = "Runs that wait for a slot, resources or a gate, of jobs that are not paused.";
        families.gauges("queue_waiting_runs", help, None, each(|queue| queue.waiting))?;
        let help = "Runs with a process.";
        families.gauges("queue_running_runs", help, None, each(|queue| queue.running))?;
        let each = |number: fn(&ResourceView) -> u64| {
            self.resources.iter().map(move |found| ([("resource", found.name.as_str())], number(found)))
        };
        let help = "How much there is of a resource; of `mem` in bytes.";
        families.gauges("resource_capacity", help, None, each(|resource| resource.capacity))?;
        let help = "How much of a resource runs have booked; of `mem` in bytes.";
        families.gauges("resource_booked", help, None, each(|resource| resource.booked))
    }

    fn of_runs(&self, families: &mut Families<'_>) -> fmt::Result {
        let queues: BTreeSet<&str> =
            self.queues.iter().map(|queue| queue.name.as_str()).chain(self.totals.queues()).collect();
        let help = "Runs that have ended, by outcome, without callbacks; each missed fire counts.";
        let mut counters = families.0.encode_descriptor("runs_finished", help, None, MetricType::Counter)?;
        for queue in &queues {
            for outcome in Outcome::ALL {
                let labels = [("queue", *queue), ("outcome", outcome.as_str())];
                let count = self.totals.ended(queue, *outcome);
                counters.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
            }
        }
        let of_each = |histogram: fn(&Totals, &str) -> Histogram| {
            queues.iter().map(move |queue| (*queue, histogram(&self.totals, queue)))
        };
        let help = "How long the processes of a run took, with all attempts.";
        families.histograms("run_duration", help, of_each(Totals::run_times))?;
        let help = "How late a run started: from the time of its fire to its first attempt.";
        families.histograms("run_lateness", help, of_each(Totals::lateness))
    }
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.of_daemon(&mut families)?;
        self.of_jobs(&mut families)?;
        self.of_queues(&mut families)?;
        self.of_runs(&mut families)
    }
}

/// Writes metrics of one name each.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: &impl EncodeGaugeValue,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        metric.encode_gauge(value)
    }

    /// An instant that is not known is left out.
    fn timestamp(&mut self, name: &str, help: &str, at: Option<Timestamp>) -> fmt::Result {
        at.map_or(Ok(()), |at| self.gauge(name, help, Some(&Unit::Seconds), &since_epoch(at)))
    }

    /// Without values, the name is left out too.
    fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = ([(&'static str, &'a str); 1], impl EncodeGaugeValue)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        of_queues: impl Iterator<Item = (&'a str, Histogram)>,
    ) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Histogram)?;
        for (queue, Histogram { count, sum_s, buckets }) in of_queues {
            let labels = [("queue", queue)];
            metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum_s, count, &buckets, None)?;
        }
        Ok(())
    }
}

fn since_epoch(at: Timestamp) -> f64 {
    at.as_micros() as f64 / 1e6
}
