//! Owns: the way from the text of a crontab to jobs and a report of every line, for `import` and `crontab`.
//! Never: what a line means (see `crontab`).

mod causes;
pub mod doubles;
pub mod jobs;
pub mod report;
pub mod sources;
pub mod tables;
