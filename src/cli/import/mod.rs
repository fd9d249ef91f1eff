//! Owns: the way from the text of a crontab to jobs and a report of every line, for `import` and `crontab`.
//! Never: what a line means (see `crontab`).

mod causes;
pub mod diff;
pub mod doubles;
pub mod plan;
pub mod planned;
pub mod report;
pub mod sources;

#[cfg(test)]
mod tests;
