//! Owns: warnings about an export, each once, with the jobs that it is about.
//! Never: finding them (see the formats beside this file).

use std::fmt::Display;

use super::job::called;
use crate::domain::{CallbackWhen, JobId, Missed, NewJob, Timestamp};
use crate::shown::quoted;
use crate::store::JobView;

/// Up to this many jobs are all named.
const NAMED_MAX: usize = 5;

/// The number of names from a longer list.
const NAMED_OF_MORE: usize = 3;

#[derive(Default)]
pub(super) struct ExportWarnings {
    facts: Vec<Fact>,
    /// Variables of a login session, which no exported job has.
    dropped: Vec<String>,
    /// The number of jobs that are not exported.
    left_out: usize,
    /// There is a warning about something that is lost, not only a remark.
    pub(super) is_lossy: bool,
}

struct Fact {
    what: String,
    /// The jobs are not exported.
    is_left_out: bool,
    /// The jobs with their names in a message.
    jobs: Vec<(JobId, String)>,
    /// The first time at which it matters, with its words.
    first: Option<(Timestamp, String)>,
}

impl ExportWarnings {
    /// Warns that the export loses a part of a job.
    pub(super) fn drop_option(&mut self, job: &JobView, what: impl Display) {
        self.remark(job, what);
        self.is_lossy = true;
    }

    /// As `drop_option`, for a part that matters only at times. The warning names the first such time.
    pub(super) fn drop_option_from(
        &mut self,
        job: &JobView,
        what: impl Display,
        (at, shown): (Timestamp, String),
    ) {
        let jobs = vec![(job.id, called(job))];
        self.add(Fact { what: what.to_string(), is_left_out: false, jobs, first: Some((at, shown)) });
        self.is_lossy = true;
    }

    /// Adds a remark about a job of which nothing is lost.
    pub(super) fn remark(&mut self, job: &JobView, what: impl Display) {
        self.add(Fact {
            what: what.to_string(),
            is_left_out: false,
            jobs: vec![(job.id, called(job))],
            first: None,
        });
    }

    /// Warns that a job is not exported.
    pub(super) fn leave_out(&mut self, job: &JobView, why: impl Display) {
        self.add(Fact {
            what: why.to_string(),
            is_left_out: true,
            jobs: vec![(job.id, called(job))],
            first: None,
        });
        self.left_out += 1;
        self.is_lossy = true;
    }

    /// Adds variables that no exported job has.
    pub(super) fn remark_dropped(&mut self, names: &[String]) {
        self.dropped.extend(names.iter().map(|name| format!("`{name}`")));
        self.dropped.sort();
    }

    /// Says that another format than JSON loses something.
    pub(super) fn about(mut self, format: &str) -> Self {
        for fact in &mut self.facts {
            fact.what = fact.what.replacen("JSON", format, 1);
        }
        self
    }

    /// Adds the warnings about another job.
    pub(super) fn append(&mut self, other: Self) {
        other.facts.into_iter().for_each(|fact| self.add(fact));
        self.dropped.extend(other.dropped);
        self.left_out += other.left_out;
        self.is_lossy |= other.is_lossy;
    }

    fn add(&mut self, fact: Fact) {
        let is_same = |known: &&mut Fact| known.what == fact.what && known.is_left_out == fact.is_left_out;
        let Some(known) = self.facts.iter_mut().find(is_same) else {
            self.facts.push(fact);
            return;
        };
        if !known.jobs.ends_with(&fact.jobs) {
            known.jobs.extend(fact.jobs);
        }
        known.first = known.first.take().into_iter().chain(fact.first).min();
    }

    /// Returns a sentence for each warning: first those about all `jobs` jobs, then by the first job.
    pub(super) fn sentences(&self, jobs: usize) -> Vec<String> {
        let exported = jobs.saturating_sub(self.left_out);
        let is_of_all = |fact: &Fact| {
            let all = if fact.is_left_out { jobs } else { exported };
            fact.jobs.len() == all && all > 1
        };
        let (of_all, mut of_some): (Vec<&Fact>, Vec<&Fact>) =
            self.facts.iter().partition(|fact| is_of_all(fact));
        let of_all = of_all.into_iter().map(|fact| fact.sentence(&format!("all {} jobs", fact.jobs.len())));
        of_some.sort_by_key(|fact| fact.jobs.first().map(|(id, _)| *id));
        let of_some = of_some.into_iter().map(|fact| fact.sentence(&named(&fact.jobs)));
        let dropped =
            format!("left out of the environments, as they belong to a session: {}", self.dropped.join(", "));
        of_all.chain(of_some).chain((!self.dropped.is_empty()).then_some(dropped)).collect()
    }
}

impl Fact {
    fn sentence(&self, jobs: &str) -> String {
        match (self.is_left_out, self.jobs.len()) {
            (false, _) => {
                let first =
                    self.first.as_ref().map_or(String::new(), |(_, shown)| format!(", first {shown}"));
                format!("{jobs}: {}{first}", self.what)
            }
            (true, 1) => format!("{jobs} is left out: {}", self.what),
            (true, _) => format!("{jobs} are left out: {}", self.what),
        }
    }
}

/// Returns ``job 5 (`backup`)``, or a list of jobs.
fn named(jobs: &[(JobId, String)]) -> String {
    let names: Vec<&str> = jobs.iter().map(|(_, name)| name.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        [job] => format!("job {job}"),
        [first @ .., last] if jobs.len() <= NAMED_MAX => format!("jobs {} and {last}", first.join(", ")),
        more => format!("{} jobs ({}, …)", more.len(), more[..NAMED_OF_MORE].join(", ")),
    }
}

/// Reports the options that neither cron nor systemd has.
pub(super) fn warn_of_policies(job: &JobView, now: Timestamp, unsaid: &mut impl FnMut(String)) {
    if job.definition.policy.missed.grace != Missed::default().grace {
        unsaid(format!("--grace {}", job.definition.policy.missed.grace));
    }
    if let Some(nth) = job.definition.nth {
        unsaid(format!("--nth {nth}"));
    }
    if let Some(times) = job.definition.times {
        unsaid(format!("--times {times}"));
    }
    if let Some(start_by) = job.definition.policy.start_by {
        unsaid(format!("--start-by {start_by}"));
    }
    if job.definition.retry.retries > 0 {
        unsaid(format!("--retries {}", job.definition.retry.retries));
    }
    if job.definition.log_limit != NewJob::LOG_LIMIT {
        unsaid(format!("--log-limit {}", job.definition.log_limit));
    }
    if job.definition.split_output {
        unsaid("--split-output".to_owned());
    }
    if let Some(array) = job.definition.array {
        unsaid(format!("--array {array}"));
    }
    for dependency in &job.definition.after.dependencies {
        unsaid(format!("--after {dependency}"));
        if dependency.gives_stdin {
            unsaid(format!("--stdin-from {}", dependency.on));
        }
    }
    for when in CallbackWhen::ALL {
        if job.definition.callbacks.get(*when).is_some() {
            unsaid(format!("--on-{when}"));
        }
    }
    if job.definition.priority != 0 {
        unsaid(format!("--priority {}", job.definition.priority));
    }
    let needs = &job.definition.requirement.needs;
    if !needs.is_empty() {
        unsaid(format!("--needs {needs}"));
    }
    if job.definition.enforce {
        unsaid("--enforce".to_owned());
    }
    for gate in &job.definition.requirement.gates {
        unsaid(format!("--if {}", quoted(&gate.text())));
    }
    if let Some(expect) = job.definition.expect {
        unsaid(format!("--expect {expect}"));
    }
    if let Some(finish_by) = job.definition.finish_by {
        unsaid(format!("--finish-by {finish_by}"));
    }
    if let Some(start) = job.definition.start.filter(|start| *start > now) {
        unsaid(format!("--start {start}"));
    }
    if let Some(until) = job.definition.until {
        unsaid(format!("--until {until}"));
    }
    if job.paused_at.is_some() {
        unsaid("--hold".to_owned());
    }
    for tag in &job.definition.tags {
        unsaid(format!("--tag {tag}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(facts: &[(&str, bool, std::ops::Range<i64>)]) -> ExportWarnings {
        let mut warnings = ExportWarnings::default();
        for (what, is_left_out, jobs) in facts {
            for job in jobs.clone() {
                let jobs = vec![(JobId(job), job.to_string())];
                warnings.add(Fact { what: (*what).to_owned(), is_left_out: *is_left_out, jobs, first: None });
                warnings.left_out += usize::from(*is_left_out);
            }
        }
        warnings
    }

    #[test]
    fn what_all_jobs_share_is_one_line_with_a_count() {
        let told = warnings(&[("a", false, 1..2), ("b", false, 1..701), ("c", false, 1..396)]).sentences(700);
        assert_eq!(told, ["all 700 jobs: b", "job 1: a", "395 jobs (1, 2, 3, …): c"]);
        let told = warnings(&[("a", false, 1..3), ("a", false, 2..3), ("b", false, 2..4)]).sentences(3);
        assert_eq!(told, ["jobs 1 and 2: a", "jobs 2 and 3: b"]);
        assert_eq!(warnings(&[("a", false, 5..6)]).sentences(1), ["job 5: a"]);
    }

    #[test]
    fn of_what_shows_at_times_the_first_is_told() {
        let mut warnings = ExportWarnings::default();
        for (job, at) in [(1, 30), (2, 10), (2, 20), (3, 40)] {
            let first = Some((Timestamp::from_seconds(at), format!("at {at}")));
            let jobs = vec![(JobId(job), job.to_string())];
            warnings.add(Fact { what: "a".to_owned(), is_left_out: false, jobs, first });
        }
        assert_eq!(warnings.sentences(4), ["jobs 1, 2 and 3: a, first at 10"]);
    }

    #[test]
    fn jobs_that_are_left_out_share_nothing_with_those_that_leave() {
        let told = warnings(&[("a", true, 1..3), ("b", false, 3..6)]).sentences(5);
        assert_eq!(told, ["all 3 jobs: b", "jobs 1 and 2 are left out: a"]);
        assert_eq!(warnings(&[("a", true, 1..9)]).sentences(8), ["all 8 jobs are left out: a"]);
        assert_eq!(warnings(&[("a", true, 4..5)]).sentences(9), ["job 4 is left out: a"]);
    }
}
