//! Owns: reading the text of an event trigger, `KIND[,OPTION]…:ARG`.
//! Never: its words and its form (see `domain::EventTrigger`), whether the job that it names exists.

use std::path::Path;

use crate::domain::{
    Counter, EventSource, EventTrigger, InvalidId, JobPattern, JobRef, JobSource, JobStage, MachineState,
    PathChange, PathSource, Size, Span, StreamSource, Tag,
};
use crate::error::describe;
use crate::schedule::parse_span;

/// The kinds that `--on` takes, each with its own options.
pub const KINDS: [(&str, &[&str]); 5] = [
    (
        "path",
        &["changed", "created", "deleted", "exists", "nonempty", "settle=", "bytes=", "lines=", "poll="],
    ),
    ("job", &["done", "success", "failed", "started", "overdue", "overdue=", "silent="]),
    ("emit", &[]),
    ("stream", &["match=", "restart="]),
    ("state", &[]),
];

/// The options of each kind.
pub const COUNTERS: [&str; 5] = ["count=", "within=", "consecutive", "or-after=", "absent="];

/// The longest ARG, in bytes: the longest path of Linux.
const ARG_BYTES_MAX: usize = 4096;

/// An option as it is written: its name, and its value after `=`.
struct Given {
    name: String,
    value: Option<String>,
}

/// Reads the text. A path is relative to `cwd`.
///
/// # Errors
/// What is wrong, and what is accepted.
pub fn read_event(text: &str, cwd: &Path) -> Result<EventTrigger, String> {
    let (kind, options, arg) = split(text)?;
    let Some((_, own)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        let kinds: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        return Err(format!("`{kind}` is not a kind of event: {}", listed(&kinds)));
    };
    if arg.is_empty() {
        return Err(format!("there is nothing after `{kind}:`"));
    }
    if arg.len() > ARG_BYTES_MAX || arg.contains('\0') {
        return Err(format!("what follows `{kind}:` has more than {ARG_BYTES_MAX} bytes, or a NUL byte"));
    }
    let accepted: Vec<&str> = own.iter().chain(&COUNTERS).copied().collect();
    for given in &options {
        check_option(given, kind, &accepted)?;
    }
    let mut options = Options(options);
    let counter = options.counter()?;
    let source = match kind {
        "path" => EventSource::Path(options.path(arg, cwd)?),
        "job" => EventSource::Job(options.job(arg)?),
        "emit" => EventSource::Emit(arg.parse().map_err(|error: InvalidId| error.to_string())?),
        "stream" => EventSource::Stream(options.stream(arg)?),
        _ => EventSource::State(read_state(arg)?),
    };
    if let Some(left) = options.0.first() {
        return Err(format!("`{}` is given twice, or beside another that excludes it", left.name));
    }
    check_counter(&source, &counter)?;
    Ok(EventTrigger { source, counter })
}

/// Splits the text into its kind, its options, and its ARG, which begins after the first `:` that no `\\`
/// precedes.
fn split(text: &str) -> Result<(&str, Vec<Given>, &str), String> {
    let Some(end) = text.find([',', ':']) else {
        return Err(format!("`{text}` is not `KIND[,OPTION]…:ARG`, as in `emit:deploy`"));
    };
    let (kind, mut rest) = (&text[..end], &text[end..]);
    let mut options = Vec::new();
    while let Some(option) = rest.strip_prefix(',') {
        let (value, after) = unescaped(option)
            .ok_or_else(|| format!("`{text}` has no `:` after its options, as in `emit,count=3:deploy`"))?;
        options.push(match value.split_once('=') {
            Some((name, value)) => Given { name: name.to_owned(), value: Some(value.to_owned()) },
            None => Given { name: value, value: None },
        });
        rest = after;
    }
    Ok((kind, options, &rest[1..]))
}

/// Returns the text up to the first `,` or `:`, in which `\\,` and `\\:` stand for these, and the rest.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            ',' | ':' => return Some((value, &text[at..])),
            '\\' => match chars.next_if(|(_, next)| matches!(next, ',' | ':')) {
                Some((_, sign)) => value.push(sign),
                None => {
                    value.push(c);
                    // A second backslash escapes nothing.
                    value.extend(chars.next_if(|(_, next)| *next == '\\').map(|(_, next)| next));
                }
            },
            _ => value.push(c),
        }
    }
    None
}

fn check_option(given: &Given, kind: &str, accepted: &[&str]) -> Result<(), String> {
    let Given { name, value } = given;
    let written = if value.is_some() { format!("{name}=") } else { name.clone() };
    if accepted.contains(&written.as_str()) {
        return Ok(());
    }
    let other = if value.is_some() { name.clone() } else { format!("{name}=") };
    if accepted.contains(&other.as_str()) {
        let needs = if value.is_some() { "takes no value" } else { "needs a value" };
        return Err(format!("`{name}` {needs}"));
    }
    if let Some((owner, _)) = KINDS.iter().find(|(_, own)| own.contains(&written.as_str())) {
        return Err(format!("`{name}` is an option of `{owner}`, not of `{kind}`"));
    }
    Err(format!("`{name}` is not an option of `{kind}`: {}", listed(accepted)))
}

/// Returns the words of a set, for a sentence.
fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let (last, others) = quoted.split_last().expect("no set is empty");
    format!("it is {} or {last}", others.join(", "))
}

/// The options that are not read yet.
struct Options(Vec<Given>);

impl Options {
    /// Takes an option out, with its value.
    fn take(&mut self, name: &str) -> Option<Option<String>> {
        let index = self.0.iter().position(|given| given.name == name)?;
        Some(self.0.remove(index).value)
    }

    fn is_given(&mut self, name: &str) -> bool {
        self.take(name).is_some()
    }

    fn value(&mut self, name: &str) -> Option<String> {
        self.take(name).flatten()
    }

    fn span(&mut self, name: &str) -> Result<Option<Span>, String> {
        let Some(text) = self.value(name) else { return Ok(None) };
        parse_span(&text).map(Some).map_err(|error| format!("`{name}=`: {error}"))
    }

    /// Reads a number from 1 to `max`.
    fn number(&mut self, name: &str, max: u64) -> Result<Option<u64>, String> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_plain && (1..=max).contains(number));
        number.map(Some).ok_or_else(|| format!("`{name}={text}` is not a number from 1 to {max}"))
    }

    fn counter(&mut self) -> Result<Counter, String> {
        let count = self.number("count", Counter::COUNT_MAX)?;
        let counter = Counter {
            count: count.unwrap_or(1),
            within: self.span("within")?,
            consecutive: self.is_given("consecutive"),
            or_after: self.span("or-after")?,
            absent: self.span("absent")?,
        };
        let given = [
            ("within=", counter.within.is_some()),
            ("or-after=", counter.or_after.is_some()),
            ("consecutive", counter.consecutive),
        ];
        if let Some((name, _)) = given.iter().find(|(_, is_given)| *is_given && counter.count == 1) {
            return Err(format!("`{name}` needs `count=` of 2 or more"));
        }
        if counter.absent.is_some() && count.is_some() {
            return Err("`absent=` fires when no event comes, and `count=` when some have come".to_owned());
        }
        if let (Some(within), Some(or_after)) = (counter.within, counter.or_after)
            && or_after >= within
        {
            return Err(format!(
                "`or-after={or_after}` is not shorter than `within={within}`, after which the first event \
                counts no more"
            ));
        }
        Ok(counter)
    }

    fn path(&mut self, arg: &str, cwd: &Path) -> Result<PathSource, String> {
        let mut changes = Vec::new();
        let plain = [
            ("changed", PathChange::Changed),
            ("created", PathChange::Created),
            ("deleted", PathChange::Deleted),
            ("exists", PathChange::Exists),
            ("nonempty", PathChange::Nonempty),
        ];
        for (name, change) in plain {
            if self.is_given(name) {
                changes.push((name, change));
            }
        }
        if let Some(text) = self.value("bytes") {
            let size: Size = text.parse().map_err(|cause| format!("`bytes=`: {cause}"))?;
            if size.as_bytes() == 0 {
                return Err("`bytes=0`: a file grows by 1 byte or more".to_owned());
            }
            changes.push(("bytes", PathChange::Bytes(size)));
        }
        if let Some(lines) = self.number("lines", Counter::COUNT_MAX)? {
            changes.push(("lines", PathChange::Lines(lines)));
        }
        if let [(first, _), (second, _), ..] = changes[..] {
            return Err(format!("`{first}` and `{second}` exclude each other: repeat `--on` for both"));
        }
        let path = std::path::absolute(cwd.join(arg)).map_err(|error| describe(&error))?;
        let path = path.into_os_string().into_string();
        Ok(PathSource {
            path: path.map_err(|path| format!("`{}` is not UTF-8", path.display()))?,
            change: changes.first().map_or(PathChange::default(), |(_, change)| *change),
            settle: self.span("settle")?,
            poll: self.span("poll")?,
        })
    }

    fn job(&mut self, arg: &str) -> Result<JobSource, String> {
        let mut stages = Vec::new();
        let plain = [
            ("done", JobStage::Done),
            ("success", JobStage::Success),
            ("failed", JobStage::Failed),
            ("started", JobStage::Started),
        ];
        for (name, stage) in plain {
            if self.is_given(name) {
                stages.push((name, stage));
            }
        }
        if let Some(value) = self.take("overdue") {
            let span = value.map(|text| parse_span(&text)).transpose();
            let span = span.map_err(|error| format!("`overdue=`: {error}"))?;
            stages.push(("overdue", JobStage::Overdue(span)));
        }
        if let Some(span) = self.span("silent")? {
            stages.push(("silent", JobStage::Silent(span)));
        }
        if let [(first, _), (second, _), ..] = stages[..] {
            return Err(format!("`{first}` and `{second}` exclude each other: repeat `--on` for both"));
        }
        let stage = stages.first().map_or(JobStage::default(), |(_, stage)| *stage);
        Ok(JobSource { jobs: read_jobs(arg)?, stage })
    }

    fn stream(&mut self, arg: &str) -> Result<StreamSource, String> {
        let pattern = self.value("match");
        if let Some(pattern) = &pattern {
            check_regex(pattern)?;
        }
        let restart = self.span("restart")?.unwrap_or(StreamSource::RESTART);
        Ok(StreamSource { command: arg.to_owned(), pattern, restart })
    }
}

fn read_jobs(arg: &str) -> Result<JobPattern, String> {
    if let Some(tag) = arg.strip_prefix("tag=") {
        let tag: Tag = tag.parse().map_err(|error: InvalidId| error.to_string())?;
        return Ok(JobPattern::Tagged(tag));
    }
    if arg.contains(['*', '?', '[']) {
        return Ok(JobPattern::Names(arg.to_owned()));
    }
    let named: JobRef = arg.parse().map_err(|error: InvalidId| error.to_string())?;
    named
        .whole()
        .map(JobPattern::One)
        .map_err(|job| format!("`{arg}` names a part of a job: name the job, `{job}`"))
}

fn read_state(arg: &str) -> Result<MachineState, String> {
    MachineState::from_word(arg).ok_or_else(|| {
        let words: Vec<&str> = MachineState::ALL.iter().map(|state| state.as_str()).collect();
        format!("`{arg}` is not a state: {}", listed(&words))
    })
}

/// Checks a regular expression.
///
/// # Errors
/// The column of what is wrong, from 1.
fn check_regex(pattern: &str) -> Result<(), String> {
    let (column, cause) = match regex_syntax::Parser::new().parse(pattern) {
        // A small one can be too large in the form in which it is used.
        Ok(_) => match regex::bytes::Regex::new(pattern) {
            Ok(_) => return Ok(()),
            Err(error) => (1, error.to_string().lines().last().unwrap_or_default().to_owned()),
        },
        Err(regex_syntax::Error::Parse(error)) => (error.span().start.column, error.kind().to_string()),
        Err(regex_syntax::Error::Translate(error)) => (error.span().start.column, error.kind().to_string()),
        Err(error) => (1, error.to_string()),
    };
    Err(format!("`match={pattern}`: column {column}: {cause}"))
}

/// Refuses `consecutive` where nothing is the opposite of an event.
fn check_counter(source: &EventSource, counter: &Counter) -> Result<(), String> {
    let has_opposite = match source {
        EventSource::Job(job) => matches!(job.stage, JobStage::Success | JobStage::Failed),
        EventSource::Path(path) => matches!(path.change, PathChange::Created | PathChange::Deleted),
        EventSource::Stream(stream) => stream.pattern.is_some(),
        EventSource::State(state) => {
            matches!(state, MachineState::Ac | MachineState::Battery | MachineState::Online)
        }
        EventSource::Emit(_) => false,
    };
    if counter.consecutive && !has_opposite {
        return Err(
            "`consecutive` needs events that have an opposite: `success` or `failed` of `job`, `created` \
            or `deleted` of `path`, `match=` of `stream`, or `ac`, `battery` and `online`"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<EventTrigger, String> {
        read_event(text, Path::new("/work"))
    }

    #[test]
    fn a_trigger_is_shown_in_the_form_that_is_read() {
        for (text, shown) in [
            ("emit:deploy", "emit:deploy"),
            ("emit,count=20:deploy.done", "emit,count=20:deploy.done"),
            ("emit,count=3,within=1h,or-after=10m:x", "emit,count=3,within=1h,or-after=10m:x"),
            ("path:inbox/*.csv", "path:/work/inbox/*.csv"),
            ("path,changed,settle=2s:/etc/site.conf", "path,settle=2s:/etc/site.conf"),
            ("path,nonempty,poll=1m:/mnt/nfs", "path,nonempty,poll=1m:/mnt/nfs"),
            ("path,bytes=10M:app.log", "path,bytes=10M:/work/app.log"),
            ("path,lines=100:a:b,c", "path,lines=100:/work/a:b,c"),
            ("job:backup", "job:backup"),
            ("job,done:12", "job:12"),
            ("job,failed,count=3,consecutive:backup", "job,failed,count=3,consecutive:backup"),
            ("job,success,absent=1d2h:backup", "job,success,absent=1d2h:backup"),
            ("job,failed:*", "job,failed:*"),
            ("job,started:tag=nightly", "job,started:tag=nightly"),
            ("job,overdue:b", "job,overdue:b"),
            ("job,overdue=1h:b", "job,overdue=1h:b"),
            ("job,silent=10m:b", "job,silent=10m:b"),
            ("stream:journalctl -fn0, -u ssh: x", "stream:journalctl -fn0, -u ssh: x"),
            (
                r"stream,match=a{1\,3}\:\d+,restart=5s:tail -f x",
                r"stream,match=a{1\,3}\:\d+,restart=5s:tail -f x",
            ),
            ("state:online", "state:online"),
        ] {
            let trigger = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(trigger.to_string(), shown);
            assert_eq!(read(shown), Ok(trigger));
        }
    }

    #[test]
    fn what_is_not_a_trigger_is_refused_with_what_is_accepted() {
        for (text, cause) in [
            ("", "is not `KIND[,OPTION]…:ARG`"),
            ("emit", "is not `KIND[,OPTION]…:ARG`"),
            ("paht:inbox", "it is `path`, `job`, `emit`, `stream` or `state`"),
            ("emit:", "there is nothing after `emit:`"),
            ("emit,count=3", "has no `:` after its options"),
            ("emit,count=3,within=10m,or-after=10m:x", "is not shorter than `within=10m`"),
            ("emit,cuont=3:x", "it is `count=`, `within=`, `consecutive`, `or-after=` or `absent=`"),
            ("emit,count=0:x", "not a number from 1 to"),
            ("emit,count:x", "`count` needs a value"),
            ("job,failed=1:x", "`failed` takes no value"),
            ("emit,within=10m:x", "`within=` needs `count=`"),
            ("emit,bytes=10M:x", "`bytes` is an option of `path`, not of `emit`"),
            ("emit,count=2,consecutive:x", "needs events that have an opposite"),
            ("emit,count=2,count=3:x", "`count` is given twice"),
            ("path,created,deleted:x", "exclude each other"),
            ("path,bytes=0:x", "`bytes=0`"),
            ("path,settle=2:x", "`settle=`: `2` has no unit"),
            ("job:a.1", "names a part of a job"),
            ("job:tag=a b", "is not one of the letters"),
            ("stream,match=a(b:x", "column 2"),
            ("state:lunch", "it is `boot`, `start`, `online`, `ac` or `battery`"),
            ("emit,absent=1h,count=3:x", "`absent=` fires when no event comes"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(cause), "{text}: {error}");
        }
        let long = "x".repeat(300);
        assert!(read(&format!("emit:{long}")).expect_err("long").contains("has 300"));
    }
}
