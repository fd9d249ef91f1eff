//! Owns: `taskq set`.
//! Never: what the options mean (see `cli::job`).

use clap::Args;
use serde::Serialize;

use crate::cli::args::words;
use crate::cli::changing::{follow_window, refuse_requirement, store};
use crate::cli::context::{Context, Failure};
use crate::cli::import::stored::refuse_line;
use crate::cli::job::change::Unset;
use crate::cli::job::enforce::refuse_unenforced;
use crate::cli::job::first_fires::{refuse_all_of, refuse_uncountable};
use crate::cli::job::jitter;
use crate::cli::job::options::JobOptions;
use crate::cli::job::text::Caller;
use crate::cli::target::{find_job, find_queue};
use crate::cli::view::json::document;
use crate::cli::view::options::option_texts;
use crate::cli::view::tables::trigger_text;
use crate::daemon::{Listening, refused_change, refused_triggers};
use crate::domain::{JobId, NewJob, Span, TriggerSpec};
use crate::error::{Error, Result};
use crate::schedule::Zone;
use crate::shown;
use crate::store::{FirstFire, Writer};
use crate::system::machine;

pub const WHAT: &str = "set job";

/// Change the options of a job
///
/// The options are those of `taskq add`, and what is not given stays. A trigger
/// replaces all triggers of the job, and any other option all its values; --env
/// sets one variable more. A new command comes last, after `--`. The change
/// holds for the waiting runs of the job too; running ones continue as they are.
///
/// Prints what changed: the option, its old and its new value.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    mut_arg("name", |arg| arg.hide(true)),
    mut_arg("hold", |arg| arg.hide(true)),
    override_usage = "\
taskq set JOB [TRIGGER]... [OPTION]... [--unset OPTION]...
       taskq set JOB [TRIGGER]... [OPTION]... [--] COMMAND [ARG]...
       taskq set JOB --first
       taskq set JOB --reset-counter",
    after_help = "\
Examples:
  taskq set backup --cron '30 4 * * *' --timeout 2h
  taskq set backup --unset timeout
  taskq set 12 --priority 10"
)]
pub struct SetArgs {
    /// The job, by id or name
    #[arg(value_name = "JOB")]
    pub job: String,

    /// Return OPTION to its default (can be repeated)
    ///
    /// OPTION is the name of the option in `taskq add`, without its dashes,
    /// as in retry-delay. Another word is answered with all of them.
    #[arg(
        long,
        value_name = "OPTION",
        value_parser = words(Unset::ALL, Unset::as_str, Unset::from_word),
        hide_possible_values = true,
        verbatim_doc_comment
    )]
    pub unset: Vec<Unset>,

    /// Put its waiting runs in front of their queue
    ///
    /// Only callbacks start before them. A later --priority takes the
    /// place back.
    #[arg(long, verbatim_doc_comment)]
    pub first: bool,

    /// Begin the counts of its event triggers anew
    ///
    /// Events that have come and have not fired are forgotten, as are
    /// those that wait for the other triggers of --all-of.
    #[arg(long, verbatim_doc_comment)]
    pub reset_counter: bool,

    #[command(flatten)]
    pub options: JobOptions,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ChangeJson {
    key: &'static str,
    old: Option<String>,
    new: Option<String>,
}

#[derive(Debug, Serialize)]
struct SetJson {
    job: JobId,
    changes: Vec<ChangeJson>,
}

pub fn run(context: &Context<'_>, args: SetArgs) -> Result<u8> {
    let what = format!("{WHAT} `{}`", args.job);
    refuse_verbs(&args, &what)?;
    let here = Caller::here(context, &what)?;
    let (name, unset, first, json) = (args.job, args.unset, args.first, args.json);
    let reset_counter = args.reset_counter;
    let options = args.options;
    let (job, changes) = context.change(&what, |writer| {
        let id = find_job(writer, "set", &name)?;
        refuse_unchangeable(writer, id, &what)?;
        let (mut old, specs) = writer.definition(id)?;
        let view = writer.job(id)?;
        old.name = view.definition.name.clone();
        (old.tags, old.after) = (view.definition.tags.clone(), view.definition.after.clone());
        let mut new = old.clone();
        unset.iter().for_each(|option| option.apply(&mut new));
        let triggers = options.clone().change(&what, &here, &mut new)?;
        find_queue(writer, &what, new.queue.as_str())?;
        if new.after != old.after {
            let refused = refused_change(writer, id, &name, &new.after.dependencies, &what)?;
            refused.map_or(Ok(()), Err)?;
        }
        if let Some(triggers) = &triggers {
            let specs: Vec<&TriggerSpec> = triggers.iter().map(|trigger| &trigger.spec).collect();
            let (name, has_times) = (new.name.as_ref(), new.times.is_some());
            let listening = Listening { what: &what, job: Some(id), name, has_times };
            refused_triggers(writer, &listening, &specs)?.map_or(Ok(()), Err)?;
        }
        refuse_without_trigger(&new, triggers.is_some() || !view.triggers.is_empty(), &what)?;
        let (new_specs, delay) = new_specs((&old, &specs), &new, triggers.as_deref());
        refuse_uncountable(&new, new_specs.iter(), &what)?;
        refuse_all_of(&new, new_specs.iter(), &what)?;
        refuse_requirement(writer, (&old, &new), &what)?;
        if !old.enforce || old.requirement.needs != new.requirement.needs {
            refuse_unenforced(&new, &context.dir, &what)?;
        }
        let mut changes = changes((&old, &specs), (&new, &new_specs), &here.zone);
        if first {
            let new = Some(format!("first in queue {}", new.queue));
            changes.push(ChangeJson { key: "place", old: None, new });
        }
        if reset_counter {
            let new = Some("counts from 0".to_owned());
            changes.push(ChangeJson { key: "counter", old: None, new });
        }
        let options = changes.iter().map(|change| change.key.replace('_', "-").into()).collect();
        store(writer, (id, old.has_items), (&new, options), triggers)?;
        if let Some(delay) = delay {
            writer.set_delay(id, delay)?;
        }
        if old.window() != new.window() || delay.is_some() {
            follow_window(writer, &view, &here, &what)?;
        }
        if reset_counter && !writer.reset_counters(id, here.now)? {
            return Err(Error::conflict(&what, "it has no event trigger")
                .hint(format!("see its triggers with `taskq show {name}`"))
                .into());
        }
        if first && !writer.put_first(id)? {
            return Err(Error::conflict(&what, "it has no waiting run")
                .hint(format!("see its runs with `taskq runs {name}`"))
                .into());
        }
        Ok((id, changes))
    })?;
    if json {
        context.output.json(&document(SetJson { job, changes }))?;
    } else {
        context.output.answer(&changes.iter().map(line).collect::<String>())?;
    }
    Ok(0)
}

/// Refuses the limits of triggers for a job without any.
fn refuse_without_trigger(job: &NewJob, has_trigger: bool, what: &str) -> Result<()> {
    let given =
        [("--until", job.until.is_some()), ("--jitter", job.jitter.is_some()), ("--nth", job.nth.is_some())];
    match given.into_iter().find(|(_, is_given)| *is_given && !has_trigger) {
        Some((option, _)) => Err(Error::usage(what, format!("`{option}` needs a job with a trigger"))),
        None => Ok(()),
    }
}

/// Returns the triggers of a changed job, and the new delay of triggers that stay, if it changes.
fn new_specs(
    (old, old_specs): (&NewJob, &[TriggerSpec]),
    new: &NewJob,
    triggers: Option<&[FirstFire]>,
) -> (Vec<TriggerSpec>, Option<Span>) {
    match triggers {
        Some(triggers) => (triggers.iter().map(|first| first.spec.clone()).collect(), None),
        None if old.jitter == new.jitter => (old_specs.to_vec(), None),
        None => {
            let delay = jitter::delay(new, &machine::machine_id());
            (old_specs.iter().map(|spec| spec.clone().delayed(delay)).collect(), Some(delay))
        }
    }
}

/// Refuses the options of `add` that have a verb of their own.
fn refuse_verbs(args: &SetArgs, what: &str) -> Result<()> {
    let job = &args.job;
    if let Some(name) = &args.options.name {
        return Err(Error::usage(what, "`--name` is not changed by `set`")
            .hint(format!("rename it with `taskq rename {job} {name}`")));
    }
    if args.options.hold {
        return Err(Error::usage(what, "`--hold` is not changed by `set`")
            .hint(format!("pause it with `taskq pause {job}`")));
    }
    if args.unset.is_empty() && !args.first && !args.reset_counter && args.options == JobOptions::default() {
        return Err(Error::usage(what, "there is nothing to change")
            .hint(format!("give the new options, as in `taskq set {job} --timeout 2h`")));
    }
    Ok(())
}

fn refuse_unchangeable(writer: &Writer<'_>, id: JobId, what: &str) -> Result<(), Failure> {
    refuse_line(writer, id, what, "edit the line in")?;
    if writer.is_done(id)? {
        return Err(Error::conflict(what, "it is done")
            .hint("add a new job with `taskq add`, or run this one again with `taskq retry`")
            .into());
    }
    Ok(())
}

/// Returns the options that differ.
fn changes(
    (old, old_triggers): (&NewJob, &[TriggerSpec]),
    (new, new_triggers): (&NewJob, &[TriggerSpec]),
    zone: &Zone,
) -> Vec<ChangeJson> {
    let olds = texts(old, old_triggers, zone);
    let news = texts(new, new_triggers, zone);
    let pairs = olds.into_iter().zip(news).map(|((key, old), (_, new))| ChangeJson { key, old, new });
    let mut changes: Vec<ChangeJson> = pairs.filter(|change| change.old != change.new).collect();
    // The values may be secret.
    let added = |env: &[Vec<u8>], other: &[Vec<u8>]| {
        let names = env
            .iter()
            .filter(|var| !other.contains(var))
            .map(|var| shown::lossy(var.split(|byte| *byte == b'=').next().unwrap_or_default()));
        Some(names.collect::<Vec<_>>().join(", ")).filter(|names| !names.is_empty())
    };
    let (old, new) = (&old.execution.env, &new.execution.env);
    if old != new {
        changes.push(ChangeJson { key: "env", old: added(old, new), new: added(new, old) });
    }
    changes
}

/// Returns each part of a job as text, always in the same order.
fn texts(job: &NewJob, triggers: &[TriggerSpec], zone: &Zone) -> Vec<(&'static str, Option<String>)> {
    let triggers: Vec<String> = triggers.iter().map(|trigger| trigger_text(trigger, zone)).collect();
    let mut texts = vec![
        ("command", Some(shown::command(&job.execution.command))),
        ("triggers", Some(triggers.join("; ")).filter(|text| !text.is_empty())),
        ("start", job.start.map(|start| zone.show(start))),
        ("until", job.until.map(|until| zone.show(until))),
    ];
    texts.extend(option_texts(job));
    texts
}

fn line(change: &ChangeJson) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    format!("{} {} → {}\n", change.key.replace('_', "-"), text(&change.old), text(&change.new))
}
