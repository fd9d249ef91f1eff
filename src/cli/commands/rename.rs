//! Owns: `taskq rename`.
//! Never: which names are free (see `daemon`).

use clap::Args;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::target::find_job;
use crate::cli::view::json::document;
use crate::daemon::{NameClash, free_name};
use crate::domain::{JobId, JobKey, JobName};
use crate::error::{Error, Result};

pub const WHAT: &str = "rename job";

/// Give a job another name
///
/// Its runs keep their numbers, and its history stays. A name that only jobs
/// have that are done is free.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq rename 12 backup
  taskq rename backup nightly-backup"
)]
pub struct RenameArgs {
    /// The job, by id or name
    #[arg(value_name = "JOB")]
    pub job: String,

    /// Its new name
    ///
    /// 1 to 64 letters, digits, `_` and `-`, at least one not a digit.
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct RenameJson<'a> {
    job: JobId,
    name: &'a JobName,
    was: Option<JobName>,
}

pub fn run(context: &Context<'_>, args: &RenameArgs) -> Result<u8> {
    let what = format!("{WHAT} `{}`", args.job);
    let name: JobName = args.name.parse().map_err(|error| Error::usage(&what, error))?;
    let (job, was) = context.change(&what, |writer| {
        let job = find_job(writer, "rename", &args.job)?;
        let was = writer.name_of(job)?;
        match free_name(writer, &name, NameClash::Refuse, &[], context.now())? {
            Some(holder) if holder != job => {
                return Err(Error::conflict(&what, format!("the name `{name}` is taken by job {holder}"))
                    .hint(format!("give that job another name first: `taskq rename {name} NAME`"))
                    .into());
            }
            Some(_) => {}
            None => {
                // Dependencies by the old name follow, unless they mean another job.
                let old = was.as_ref().map(|was| (was, JobKey::Name(was.clone())));
                if let Some((was, key)) = old
                    && writer.find_job(&key)? == Some(job)
                {
                    writer.rename_in_dependents(was, &name)?;
                }
                writer.rename_job(job, &name)?;
            }
        }
        Ok((job, was))
    })?;
    if args.json {
        return context.output.json(&document(RenameJson { job, name: &name, was })).map(|()| 0);
    }
    let was = was.map_or_else(|| "had no name".to_owned(), |was| format!("was `{was}`"));
    context.output.confirm(&format!("job {job} is `{name}` now; it {was}"));
    Ok(0)
}
