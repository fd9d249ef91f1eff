//! Owns: jobs as the TOML file that `apply` reads.
//! Never: reading it (see `cli::apply`).
//!
//! A key is left out where `apply` has the same without it, so that a file says what is special.

use serde_json::Value;

use super::job::ExportedJob;
use super::json::{job_line, names};
use super::warnings::ExportWarnings;
use super::{Variables, is_event};
use crate::cli::job::lines::Object;
use crate::cli::job::text::SYSTEM_ZONE;
use crate::cli::output::json_line;
use crate::cli::view::changes::toml_of_key;
use crate::cli::view::options::OptionsLine;
use crate::domain::{CommandLine, EnvVar, Execution, NewJob, Policy};
use crate::shown;
use crate::system::{login, users};

/// Writes the jobs, a table each.
pub(super) fn file(jobs: &[ExportedJob], variables: Variables, warnings: &mut ExportWarnings) -> Vec<u8> {
    let mut written = String::new();
    for exported in jobs {
        let mut of_job = ExportWarnings::default();
        match table(exported, variables, &mut of_job) {
            Ok(table) => {
                if !written.is_empty() {
                    written.push('\n');
                }
                written.push_str(&table);
                warnings.append(of_job.about("TOML"));
            }
            Err(why) => warnings.leave_out(&exported.job, why.replacen("JSON", "TOML", 1)),
        }
    }
    written.into_bytes()
}

fn table(
    exported: &ExportedJob,
    variables: Variables,
    warnings: &mut ExportWarnings,
) -> Result<String, String> {
    let Some(name) = &exported.job.definition.name else {
        return Err("it has no name, and the table of a job is `[jobs.NAME]`".to_owned());
    };
    let line = job_line(exported, (None, variables), warnings)?;
    let Object(pairs) = serde_json::from_slice(&json_line(&line)).expect("it was just written");
    let Object(usual) = usual(exported)?;
    let mut table = format!("[jobs.{name}]\n");
    for (key, value) in pairs {
        let is_usual = usual.iter().any(|(usual, of)| *usual == key && *of == value);
        match key.as_str() {
            "name" | "keep_env" => {}
            "environment" => push_environment(&mut table, (exported, variables), &value)?,
            "tz" if value == SYSTEM_ZONE => {}
            _ if is_usual => {}
            _ => push(&mut table, &key, &value),
        }
    }
    Ok(table)
}

/// Returns the options of a job whose table says nothing of them.
fn usual(exported: &ExportedJob) -> Result<Object, String> {
    let mut job = NewJob::of(Execution::of(CommandLine::Argv(Vec::new())));
    // `/` is not the directory of a file.
    job.execution.cwd.clear();
    let policy = Policy::default();
    job.policy.overlap = match exported.triggers.as_slice() {
        triggers if !triggers.iter().any(is_event) => Some(policy.overlap_of_instants()),
        triggers if triggers.iter().all(is_event) => Some(policy.overlap_of_events()),
        _ => None,
    };
    let line = json_line(&OptionsLine::of(&job)?);
    Ok(serde_json::from_slice(&line).expect("it was just written"))
}

/// Writes the variables beside those that each job of a file has, or all if it lacks one of these.
/// `environment`: of the line.
fn push_environment(
    table: &mut String,
    (exported, variables): (&ExportedJob, Variables),
    environment: &Value,
) -> Result<(), String> {
    let user = users::person(exported.job.definition.execution.user.as_deref());
    let bare = login::clean_environment(Some(&user));
    let has_bare = bare.iter().all(|var| exported.env.contains(var));
    let own: Vec<&EnvVar> = exported.env.iter().filter(|var| !has_bare || !bare.contains(var)).collect();
    if !has_bare {
        push(table, "environment", environment);
    }
    match variables {
        _ if own.is_empty() => {}
        Variables::Named => push(table, "keep_env", &Value::from(names(own)?)),
        Variables::Whole if has_bare => {
            push(table, "env", &own.into_iter().map(|var| shown::lossy(var)).collect());
        }
        Variables::Whole => {}
    }
    Ok(())
}

fn push(table: &mut String, key: &str, value: &Value) {
    let text = value.as_str().and_then(lines).unwrap_or_else(|| toml_of_key(key, value));
    table.push_str(&format!("{key} = {text}\n"));
}

/// Returns a text of several lines as it is, between lines of quotes, if TOML takes it so.
fn lines(text: &str) -> Option<String> {
    let is_plain = |c: char| c == '\n' || c == '\t' || !c.is_control();
    let takes = text.trim_end_matches('\n').contains('\n')
        && text.chars().all(is_plain)
        && !text.contains("'''")
        && !text.ends_with('\'');
    takes.then(|| format!("'''\n{text}'''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_lines_is_written_as_it_is_where_toml_reads_it_back() {
        for (text, written) in [
            ("a\nb", "'''\na\nb'''"),
            ("a\nb\n", "'''\na\nb\n'''"),
            ("\n\ta\n", "'''\n\n\ta\n'''"),
            ("a\n", r#""a\n""#),
            ("a\r\nb", r#""a\r\nb""#),
            ("a\nb'", r#""a\nb'""#),
            ("a'''\nb", r#""a'''\nb""#),
            ("\"\\\u{7f}\u{1}", r#""\"\\\u007f\u0001""#),
        ] {
            let mut table = String::new();
            push(&mut table, "script", &Value::from(text));
            assert_eq!(table, format!("script = {written}\n"));
            let read = toml::de::DeTable::parse(&table).expect("TOML");
            let read = read.get_ref().get("script").and_then(|value| value.get_ref().as_str());
            assert_eq!(read, Some(text));
        }
    }
}
