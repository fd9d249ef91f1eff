//! Owns: `taskq why`.
//! Never: changing the store, or deciding what the reason is (see `engine`).

use std::path::Path;

use clap::Args;

use crate::cli::context::{Context, Failure};
use crate::cli::target::{Target, find};
use crate::cli::view::coming::coming_run;
use crate::cli::view::json::document;
use crate::cli::view::times::Times;
use crate::cli::view::why::{NO_DAEMON, Reason, of_begun, of_idle, of_waiting};
use crate::daemon::{default_slots, service, service_for};
use crate::domain::{FireId, JobId, RunId, RunState};
use crate::engine::{IdleFacts, Service, Unmet, first_idle, first_unmet};
use crate::error::Result;
use crate::store::{JobView, Reader};
use crate::system::machine;
use crate::watch::GateMeter;

pub const WHAT: &str = "explain job";

/// How many runs of an earlier keeper are named.
const OLD_RUNS_MAX: usize = 64;

/// Explain why a job or a run does not start
///
/// One line: the first condition that is not met, since when, and which runs
/// have what it waits for. Of a job, it is about the run that comes first, or
/// about the next fire if no run waits. Of an array, a second line says how
/// many other indices wait, and for what.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq why backup
  taskq why 12.3 --json | jq -r .reason"
)]
pub struct WhyArgs {
    /// The job, run or index, as in 12, backup.3, 12/7
    #[arg(value_name = "JOB|RUN")]
    pub target: String,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(context: &Context<'_>, args: &WhyArgs) -> Result<u8> {
    let (zone, _) = context.zone(WHAT)?;
    let times = Times { zone: &zone, now: context.now(), are_whole: false };
    let dir = &context.dir;
    let explain =
        Explain { dir, service: service(dir, context.sealing().is_on()), slots: default_slots(dir), times };
    let reason = context.read(WHAT, |reader| explain.target(reader, &args.target))?;
    if args.json {
        context.output.json(&document(reason))?;
        return Ok(0);
    }
    context.output.answer(&reason.line)?;
    reason.hint.iter().for_each(|hint| context.output.hint(hint));
    Ok(0)
}

/// The surroundings of the store.
struct Explain<'a> {
    dir: &'a Path,
    service: Service,
    /// The slots of a queue without a width.
    slots: usize,
    times: Times<'a>,
}

impl Explain<'_> {
    fn target(&self, reader: &Reader<'_>, text: &str) -> Result<Reason, Failure> {
        let (job, fire, indices) = match find(reader, "explain", text)? {
            Target::Job(job) => (job, reader.first_unfinished(job)?, Some((0, u32::MAX))),
            Target::Run(run) => (run.job, Some(FireId::Run(run)), None),
            Target::Indices(job, first, last) => {
                (job, of_indices(reader, job, (first, last))?, Some((first, last)))
            }
        };
        let view = reader.job(job)?;
        let mut reason = match fire {
            Some(fire) => self.fire(reader, fire)?,
            None => self.idle(&view),
        };
        if let (Some(FireId::Run(run)), Some(indices)) = (fire, indices)
            && let Some((next, count)) = reader.next_of_indices(job, indices, run)?
        {
            reason = reason.with_waiting(count, self.fire(reader, next)?);
        }
        (reason.job, reason.name) = (Some(job), view.definition.name);
        Ok(reason)
    }

    fn fire(&self, reader: &Reader<'_>, fire: FireId) -> Result<Reason, Failure> {
        if let FireId::Run(run) = fire
            && let Some(view) = reader.run(run)?
            && matches!(view.state, RunState::Running | RunState::Finished)
        {
            return Ok(of_begun(&view, reader.run_paused_at(run)?, &self.times));
        }
        let mut facts = reader.unmet_facts(fire, self.service, self.slots, machine::size())?;
        facts.service = service_for(self.service, self.dir, &facts.requirement);
        facts.readings = GateMeter::default().glance(&facts.requirement.gates.iter().cloned().collect());
        let unmet = first_unmet(&facts, self.times.now);
        let old: Vec<RunId> = match unmet {
            Some(Unmet::OldKeeper) => {
                reader.claimed_runs()?.iter().take(OLD_RUNS_MAX).map(|claimed| claimed.run).collect()
            }
            Some(_) | None => Vec::new(),
        };
        Ok(of_waiting(&facts, unmet.as_ref(), &old, &self.times))
    }

    fn idle(&self, job: &JobView) -> Reason {
        let next = coming_run(job);
        let facts = IdleFacts {
            service: self.service,
            done: job.done_at.is_some(),
            paused: job.paused_at.is_some(),
            next_at: next.map(|(at, _)| at),
            listens: job.triggers.iter().any(|trigger| trigger.listener.is_some()),
            start_at: job.definition.start,
            rests_until: job.rests_until,
            awaits_boot: job.triggers.iter().any(|trigger| trigger.spec.is_boot()),
        };
        let mut reason = of_idle(job, first_idle(&facts, self.times.now), next, &self.times);
        if self.service == Service::NoDaemon && !facts.done {
            // A fire that is to come needs a daemon too.
            reason.hint.get_or_insert_with(|| NO_DAEMON.to_owned());
        }
        reason
    }
}

/// Returns the first unfinished run of these indices, or else their last one; of an index without a run, its
/// array.
fn of_indices(reader: &Reader<'_>, job: JobId, (first, last): (u32, u32)) -> Result<Option<FireId>, Failure> {
    let runs = reader.runs_of_indices(job, first, last)?;
    for (_, run) in &runs {
        if reader.run(*run)?.is_some_and(|view| view.state != RunState::Finished) {
            return Ok(Some(FireId::Run(*run)));
        }
    }
    if reader.has_rest_within(job, first, last)? {
        return Ok(reader.first_open_array(job)?);
    }
    Ok(runs.last().map(|(_, run)| FireId::Run(*run)))
}
