//! Owns: `taskq emit`.
//! Never: what an event does to a job (see `engine`).

use std::io::Read;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::args::number;
use crate::cli::context::Context;
use crate::cli::view::json::document;
use crate::domain::{Counter, EventName, InvalidId, JobId, Occurrence};
use crate::error::{Error, Result, describe};
use crate::system::env;

pub const WHAT: &str = "emit event";

/// Send an event to the jobs that listen to it
///
/// Every job with `--on emit:NAME` counts it. When the command returns, the
/// event is on disk, and the runs that it causes are queued, also without a
/// daemon. Those runs find its data in $TASKQ_EVENT_FILE.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  taskq emit deploy version=1.4 host=web1
  taskq emit --by 250 rows-added
  curl -s https://example.org/state | taskq emit state --data -

Exit status: 0 done, 1 no job listens to it."
)]
pub struct EmitArgs {
    /// The name of the event
    ///
    /// 1 to 64 letters, digits, `_`, `-` and `.`.
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Its data, an object of texts
    #[arg(value_name = "KEY=VALUE", conflicts_with = "data")]
    pub pairs: Vec<String>,

    /// Send N events at once; default: 1
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number(1..=Counter::COUNT_MAX),
        verbatim_doc_comment
    )]
    pub by: Option<u64>,

    /// Read its data from standard input
    ///
    /// JSON is kept as it is, and anything else as a text. It has at most
    /// 64 KiB.
    #[arg(
        long,
        value_name = "-",
        allow_hyphen_values = true,
        value_parser = ["-"],
        hide_possible_values = true,
        verbatim_doc_comment
    )]
    pub data: Option<String>,

    /// Exit with 0 also if no job listens to it
    #[arg(long)]
    pub quiet: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct EmitJson<'a> {
    event: &'a str,
    count: u64,
    /// The jobs that listen to it.
    jobs: Vec<JobId>,
}

pub fn run(context: &Context<'_>, args: &EmitArgs) -> Result<u8> {
    let what = format!("{WHAT} `{}`", args.name);
    let name: EventName = args.name.parse().map_err(|error: InvalidId| Error::usage(&what, error))?;
    let data = read_data(args, &what)?;
    let depth = env::chain_depth();
    let count = args.by.unwrap_or(1);
    let occurrence = Occurrence { at: context.now(), name: name.to_string(), data, count, depth };
    if depth >= Occurrence::DEPTH_MAX {
        let cause = format!("it comes from the last of {depth} runs of which each caused the next");
        return Err(Error::conflict(&what, cause).hint("see what caused what with `taskq events`"));
    }
    let jobs = context.change(&what, |writer| {
        if !writer.has_listener_of_emit(&name)? {
            if args.quiet {
                return Ok(Vec::new());
            }
            return Err(Error::not_found(&what, format!("no job listens to `{name}`"))
                .hint(format!("add one with `taskq add --on emit:{name} COMMAND`, or give `--quiet`"))
                .into());
        }
        Ok(writer.emit(&name, &occurrence, context.now())?)
    })?;
    if args.json {
        context.output.json(&document(EmitJson { event: name.as_str(), count, jobs }))?;
    }
    Ok(0)
}

/// Returns the data of the event as JSON; `None` if it has none.
fn read_data(args: &EmitArgs, what: &str) -> Result<Option<String>> {
    let data = if args.data.is_some() {
        let mut bytes = Vec::new();
        let limit = Occurrence::DATA_BYTES_MAX as u64 + 1;
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::usage(what, format!("its data: {}", describe(&error))))?;
        check_length(bytes.len(), what)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::usage(what, "its data is not UTF-8"))?;
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    } else if args.pairs.is_empty() {
        return Ok(None);
    } else {
        let mut object = Map::new();
        for pair in &args.pairs {
            let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                return Err(Error::usage(what, format!("`{pair}` is not `KEY=VALUE`"))
                    .hint("an event has one name; give its data as in `taskq emit deploy version=1.4`"));
            };
            if object.insert(key.to_owned(), value.into()).is_some() {
                return Err(Error::usage(what, format!("`{key}` is given twice")));
            }
        }
        Value::Object(object)
    };
    let data = data.to_string();
    check_length(data.len(), what)?;
    Ok(Some(data))
}

fn check_length(bytes: usize, what: &str) -> Result<()> {
    if bytes <= Occurrence::DATA_BYTES_MAX {
        return Ok(());
    }
    let cause = format!("its data has more than {} bytes", Occurrence::DATA_BYTES_MAX);
    Err(Error::usage(what, cause).hint("write it to a file, and send the name of the file"))
}
