//! Owns: making jobs of a crontab and of other schedulers' jobs, and a report of each, for `import` and
//! `crontab`.
//! Never: what a line of a crontab means (see `crontab`).

pub mod anacron;
pub mod at;
mod causes;
pub mod diff;
pub mod doubles;
pub mod items;
pub mod place;
pub mod plan;
pub mod planned;
pub mod report;
pub mod sources;
pub mod stored;
pub mod systemd;

#[cfg(test)]
mod tests;
