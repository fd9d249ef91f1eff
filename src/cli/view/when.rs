//! Owns: event triggers in words: when they fire.
//! Never: the text that is read back (see `domain::EventTrigger`).

use crate::domain::{
    Counter, EventSource, EventTrigger, JobPattern, JobSource, JobStage, MachineState, PathChange,
    PathSource, StreamSource,
};
use crate::shown;

/// Returns when a trigger fires: ``when `inbox` is not empty``.
pub fn when_text(trigger: &EventTrigger) -> String {
    let Counter { count, within, consecutive, or_after, absent } = trigger.counter;
    if let Some(absent) = absent {
        return format!("when {} for {absent}", event_text(&trigger.source, Said::Never));
    }
    if count == 1 {
        return format!("when {}", event_text(&trigger.source, Said::Once));
    }
    let event = event_text(&trigger.source, Said::Often(count));
    let in_a_row = if consecutive { " in a row" } else { "" };
    let within = within.map_or(String::new(), |span| format!(" within {span}"));
    let early = or_after.map_or(String::new(), |span| format!(", or {span} after the first time"));
    format!("when {event}{in_a_row}{within}{early}")
}

/// How often an event comes.
#[derive(Clone, Copy)]
enum Said {
    Once,
    /// So many times, two or more.
    Often(u64),
    /// Not within the span that follows.
    Never,
}

impl Said {
    /// Returns a clause about `thing`, with its verb in the present and in the perfect: `/a` `is created`, or
    /// `has` `been created`.
    fn clause(self, thing: &str, present: &str, has: &str, perfect: &str) -> String {
        match self {
            Self::Once => format!("{thing} {present}"),
            Self::Often(count) => format!("{thing} {has} {perfect} {count} times"),
            Self::Never => format!("{thing} {has} not {perfect}"),
        }
    }
}

fn event_text(source: &EventSource, said: Said) -> String {
    match source {
        EventSource::Path(source) => path_text(source, said),
        EventSource::Job(source) => job_text(source, said),
        EventSource::Emit(name) => said.clause(&format!("event `{name}`"), "is sent", "has", "been sent"),
        EventSource::Stream(source) => stream_text(source, said),
        EventSource::State(state) => {
            let (thing, present, perfect) = match state {
                MachineState::Boot => ("the machine", "has booted", "booted"),
                MachineState::Start => ("the daemon", "starts", "started"),
                MachineState::Online => ("the machine", "goes online", "gone online"),
                MachineState::Ac => ("the machine", "goes on mains power", "gone on mains power"),
                MachineState::Battery => ("the machine", "goes on battery", "gone on battery"),
            };
            said.clause(thing, present, "has", perfect)
        }
    }
}

fn path_text(PathSource { path, change, .. }: &PathSource, said: Said) -> String {
    let path = format!("`{}`", shown::escaped(path));
    let grown =
        |by: &str| said.clause(&path, &format!("has grown by {by}"), "has", &format!("grown by {by}"));
    match change {
        PathChange::Changed => said.clause(&path, "changes", "has", "changed"),
        PathChange::Created => said.clause(&path, "is created", "has", "been created"),
        PathChange::Deleted => said.clause(&path, "is deleted", "has", "been deleted"),
        PathChange::Exists => said.clause(&path, "exists", "has", "been there"),
        PathChange::Nonempty => match said {
            Said::Never => format!("{path} has had no content"),
            Said::Once | Said::Often(_) => said.clause(&path, "is not empty", "has", "had content"),
        },
        PathChange::Bytes(size) => grown(&size.to_string()),
        PathChange::Lines(1) => grown("1 line"),
        PathChange::Lines(lines) => grown(&format!("{lines} lines")),
    }
}

fn job_text(JobSource { jobs, stage }: &JobSource, said: Said) -> String {
    let (one, several) = match jobs {
        JobPattern::One(job) => (format!("`{job}`"), format!("`{job}`")),
        JobPattern::Names(pattern) => {
            let name = shown::escaped(pattern);
            (format!("a job named `{name}`"), format!("jobs named `{name}`"))
        }
        JobPattern::Tagged(tag) => (format!("a job with tag `{tag}`"), format!("jobs with tag `{tag}`")),
    };
    let (present, perfect) = match stage {
        JobStage::Done => ("ends".to_owned(), "ended".to_owned()),
        JobStage::Success => ("succeeds".to_owned(), "succeeded".to_owned()),
        JobStage::Failed => ("fails".to_owned(), "failed".to_owned()),
        JobStage::Started => ("starts".to_owned(), "started".to_owned()),
        JobStage::Overdue(limit) => {
            let limit =
                limit.map_or("much longer than usual".to_owned(), |span| format!("longer than {span}"));
            (format!("takes {limit}"), format!("taken {limit}"))
        }
        JobStage::Silent(span) => {
            (format!("has written nothing for {span}"), format!("written nothing for {span}"))
        }
    };
    match said {
        Said::Once => format!("a run of {one} {present}"),
        Said::Often(count) if matches!(stage, JobStage::Silent(_)) => {
            format!("runs of {several} have {perfect} {count} times")
        }
        Said::Often(count) => format!("{count} runs of {several} have {perfect}"),
        Said::Never => format!("no run of {one} has {perfect}"),
    }
}

fn stream_text(StreamSource { command, pattern, .. }: &StreamSource, said: Said) -> String {
    let command = shown::escaped(command);
    let pattern = pattern.as_ref().map(|pattern| shown::escaped(pattern));
    let that = |verb| pattern.as_ref().map_or(String::new(), |pattern| format!(" that {verb} `{pattern}`"));
    match said {
        Said::Once => format!("`{command}` prints a line{}", that("matches")),
        Said::Often(count) => format!("`{command}` has printed {count} lines{}", that("match")),
        Said::Never => format!("`{command}` has printed no line{}", that("matches")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::job::on::read_event;

    #[test]
    fn a_trigger_reads_as_a_sentence() {
        for (text, when) in [
            ("emit:deploy", "when event `deploy` is sent"),
            ("emit,count=22:x", "when event `x` has been sent 22 times"),
            ("emit,absent=15m:x", "when event `x` has not been sent for 15m"),
            (
                "emit,count=13,or-after=1h:x",
                "when event `x` has been sent 13 times, or 1h after the first time",
            ),
            ("path:/a", "when `/a` changes"),
            ("path,absent=1d:/a", "when `/a` has not changed for 1d"),
            ("path,created,count=2,consecutive:/a", "when `/a` has been created 2 times in a row"),
            ("path,deleted,absent=1h:/a", "when `/a` has not been deleted for 1h"),
            ("path,exists:/a", "when `/a` exists"),
            ("path,exists,absent=1h:/a", "when `/a` has not been there for 1h"),
            ("path,nonempty:inbox", "when `/work/inbox` is not empty"),
            ("path,nonempty,absent=1h:/a", "when `/a` has had no content for 1h"),
            ("path,bytes=10M:/a", "when `/a` has grown by 10M"),
            ("path,lines=1:/a", "when `/a` has grown by 1 line"),
            ("path,lines=5,absent=1h:/a", "when `/a` has not grown by 5 lines for 1h"),
            ("job:backup", "when a run of `backup` ends"),
            ("job,failed,count=3,consecutive:backup", "when 3 runs of `backup` have failed in a row"),
            ("job,failed,count=3:tag=t", "when 3 runs of jobs with tag `t` have failed"),
            ("job,success,absent=26h:backup", "when no run of `backup` has succeeded for 1d2h"),
            ("job,started,absent=1h:web*", "when no run of a job named `web*` has started for 1h"),
            ("job,overdue:backup", "when a run of `backup` takes much longer than usual"),
            ("job,overdue=5m,absent=1d:backup", "when no run of `backup` has taken longer than 5m for 1d"),
            ("job,silent=5m,count=2:backup", "when runs of `backup` have written nothing for 5m 2 times"),
            (
                "stream,match=b.d,count=5,within=10m:tail -f x",
                "when `tail -f x` has printed 5 lines that match `b.d` within 10m",
            ),
            ("stream,absent=10m:tail -f x", "when `tail -f x` has printed no line for 10m"),
            (
                "stream,match=ok,absent=10m:tail -f x",
                "when `tail -f x` has printed no line that matches `ok` for 10m",
            ),
            ("state:online", "when the machine goes online"),
            ("state:ac", "when the machine goes on mains power"),
            ("state,absent=7d:boot", "when the machine has not booted for 7d"),
        ] {
            let trigger = read_event(text, Path::new("/work")).expect(text);
            assert_eq!(when_text(&trigger), when);
        }
    }
}
