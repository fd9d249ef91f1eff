//! Owns: making jobs of a crontab, and a report of each of its lines, for `import` and `crontab`.
//! Never: what a line means (see `crontab`).

mod causes;
pub mod diff;
pub mod doubles;
pub mod plan;
pub mod planned;
pub mod report;
pub mod sources;
pub mod stored;

#[cfg(test)]
mod tests;
