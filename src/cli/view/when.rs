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
    let event = event_text(&trigger.source);
    if let Some(absent) = absent {
        return format!("when for {absent} it has not come that {event}");
    }
    if count == 1 {
        return format!("when {event}");
    }
    let in_a_row = if consecutive { " in a row" } else { "" };
    let within = within.map_or(String::new(), |span| format!(" within {span}"));
    let early = or_after.map_or(String::new(), |span| format!(", or {span} after the first time"));
    format!("when for the {} time{in_a_row}{within} {event}{early}", ordinal(count))
}

fn event_text(source: &EventSource) -> String {
    match source {
        EventSource::Path(source) => path_text(source),
        EventSource::Job(source) => job_text(source),
        EventSource::Emit(name) => format!("event `{name}` is sent"),
        EventSource::Stream(StreamSource { command, pattern, .. }) => {
            let pattern =
                pattern.as_ref().map(|pattern| format!(" that matches `{}`", shown::escaped(pattern)));
            format!("`{}` prints a line{}", shown::escaped(command), pattern.unwrap_or_default())
        }
        EventSource::State(state) => match state {
            MachineState::Boot => "the machine has booted",
            MachineState::Start => "the daemon starts",
            MachineState::Online => "the machine goes online",
            MachineState::Ac => "it gets mains power",
            MachineState::Battery => "it goes on battery",
        }
        .to_owned(),
    }
}

fn path_text(PathSource { path, change, .. }: &PathSource) -> String {
    let path = shown::escaped(path);
    match change {
        PathChange::Changed => format!("`{path}` changes"),
        PathChange::Created => format!("`{path}` is created"),
        PathChange::Deleted => format!("`{path}` is deleted"),
        PathChange::Exists => format!("`{path}` exists"),
        PathChange::Nonempty => format!("`{path}` is not empty"),
        PathChange::Bytes(size) => format!("`{path}` has grown by {size}"),
        PathChange::Lines(lines) => format!("`{path}` has grown by {lines} lines"),
    }
}

fn job_text(JobSource { jobs, stage }: &JobSource) -> String {
    let whose = match jobs {
        JobPattern::One(job) => format!("a run of `{job}`"),
        JobPattern::Names(pattern) => format!("a run of a job `{}`", shown::escaped(pattern)),
        JobPattern::Tagged(tag) => format!("a run of a job with tag `{tag}`"),
    };
    match stage {
        JobStage::Done => format!("{whose} ends"),
        JobStage::Success => format!("{whose} succeeds"),
        JobStage::Failed => format!("{whose} fails"),
        JobStage::Started => format!("{whose} starts"),
        JobStage::Overdue(None) => format!("{whose} takes much longer than before"),
        JobStage::Overdue(Some(span)) => format!("{whose} takes longer than {span}"),
        JobStage::Silent(span) => format!("{whose} has written nothing for {span}"),
    }
}

fn ordinal(number: u64) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
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
            ("emit,count=22:x", "when for the 22nd time event `x` is sent"),
            ("path,nonempty:inbox", "when `/work/inbox` is not empty"),
            ("path,bytes=10M:/a", "when `/a` has grown by 10M"),
            (
                "job,failed,count=3,consecutive:backup",
                "when for the 3rd time in a row a run of `backup` fails",
            ),
            (
                "job,success,absent=26h:backup",
                "when for 1d2h it has not come that a run of `backup` succeeds",
            ),
            (
                "stream,match=b.d,count=5,within=10m:tail -f x",
                "when for the 5th time within 10m `tail -f x` prints a line that matches `b.d`",
            ),
            (
                "emit,count=13,or-after=1h:x",
                "when for the 13th time event `x` is sent, or 1h after the first time",
            ),
            ("state:online", "when the machine goes online"),
        ] {
            let trigger = read_event(text, Path::new("/work")).expect(text);
            assert_eq!(when_text(&trigger), when);
        }
    }
}
