//! Owns: the tables of anacron(8): reading them and its time stamps, and making jobs of their lines.
//! Never: storing them (see `items`).

mod dates;
mod jobs;
mod source;
mod table;

pub use jobs::anacron_items;
pub use source::{AnacronTable, SYSTEM_TABLE, anacron_table};
