//! Owns: the commands of `stream` triggers: their processes, and what these print.
//! Never: when one is started, and what a line means (see `watch::Streams`), forking (see `keeper`).

use std::collections::BTreeMap;
use std::time::Duration;

use log::warn;

use super::order::without_own_variables;
use super::sources::{Source, Sources};
use crate::domain::{EventSource, Execution, Span, Timestamp, TriggerId, TriggerKind};
use crate::keeper::{DescriptorLimit, Feeder, FeederOrder};
use crate::shown;
use crate::store::{HeardEvent, Reader, SourceNews, StoreResult};
use crate::watch::{LineEvent, Streams, WantedStream};

/// How long a command that is stopped has until KILL.
const KILL_AFTER: Span = Span::from_seconds(10);

/// The commands of `stream` triggers. They end with the daemon.
pub(super) struct Feeding {
    streams: Streams,
    feeders: BTreeMap<TriggerId, Feeder>,
    /// The limit of descriptors that this process has raised.
    limit: Option<DescriptorLimit>,
}

impl Feeding {
    pub(super) fn new(limit: Option<DescriptorLimit>) -> Self {
        Self { streams: Streams::default(), feeders: BTreeMap::new(), limit }
    }

    /// Adds the descriptors that the daemon waits for.
    pub(super) fn register<'a>(&'a self, sources: &mut Sources<'a>) {
        let fds = self.feeders.values().flat_map(Feeder::fds);
        fds.for_each(|fd| sources.add(Source::Streams, fd));
    }

    /// Returns the time on the monotonic clock at which a command is to be started or killed.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        let kills = self.feeders.values().filter_map(Feeder::wake_at);
        kills.chain(self.streams.next_wake()).min()
    }

    /// Returns whether a command may run.
    pub(super) fn is_idle(&self) -> bool {
        self.feeders.is_empty() && self.streams.next_wake().is_none()
    }

    /// Starts and stops commands for the triggers that listen now.
    pub(super) fn follow(&mut self, reader: &Reader<'_>, now: Duration) -> StoreResult<()> {
        let mut wanted = Vec::new();
        for listener in reader.listeners_of(TriggerKind::Stream)? {
            let EventSource::Stream(source) = listener.event.source else { continue };
            let (definition, _) = reader.definition(listener.job)?;
            let env = without_own_variables(&definition.execution.env);
            wanted.push(WantedStream {
                trigger: listener.trigger,
                job: listener.job,
                job_name: reader.job_name(listener.job)?,
                source,
                execution: Execution { env, ..definition.execution },
                with_opposites: listener.event.counter.consecutive,
            });
        }
        let changes = self.streams.listen(wanted, now);
        for trigger in changes.stops {
            if let Some(feeder) = self.feeders.get_mut(&trigger) {
                feeder.stop(now);
            }
        }
        changes.notices.iter().for_each(|notice| tell(notice));
        Ok(())
    }

    /// Reads what the commands have printed, notices their ends, and starts those that are due.
    pub(super) fn serve(&mut self, now: Duration, wall: Timestamp) -> Vec<SourceNews> {
        let mut news = Vec::new();
        let mut add = |trigger: TriggerId, lines: Vec<LineEvent>| {
            if !lines.is_empty() {
                news.push(SourceNews {
                    trigger,
                    events: lines.into_iter().map(heard).collect(),
                    marks: Vec::new(),
                });
            }
        };
        self.feeders.retain(|trigger, feeder| {
            add(*trigger, self.streams.read(*trigger, &mut feeder.stdout, wall));
            let errors = self.streams.read_errors(*trigger, &mut feeder.stderr, now);
            errors.iter().for_each(|line| tell(line));
            let Some(end) = feeder.advance(now) else { return true };
            let ended = self.streams.ended(*trigger, &shown::process_end(&end), wall, now);
            add(*trigger, ended.events);
            ended.notices.iter().for_each(|notice| tell(notice));
            false
        });
        for due in self.streams.take_starts(now) {
            self.start(&due, now);
        }
        news
    }

    fn start(&mut self, due: &WantedStream, now: Duration) {
        let mut variables = vec![format!("TASKQ_JOB={}", due.job).into_bytes()];
        variables.extend(due.job_name.as_ref().map(|name| format!("TASKQ_NAME={name}").into_bytes()));
        let order = FeederOrder {
            script: &due.source.command,
            execution: &due.execution,
            variables: &variables,
            kill_after: KILL_AFTER,
        };
        match Feeder::start(&order, self.limit, now) {
            Ok(feeder) => drop(self.feeders.insert(due.trigger, feeder)),
            Err(cause) => {
                let notices = self.streams.not_started(due.trigger, &cause, now);
                notices.iter().for_each(|notice| tell(notice));
            }
        }
    }
}

fn heard(line: LineEvent) -> HeardEvent {
    HeardEvent { is_opposite: line.is_opposite, ..HeardEvent::of(line.occurrence) }
}

/// Logs a line that may hold anything.
fn tell(line: &str) {
    warn!("{}", shown::escaped(line));
}
