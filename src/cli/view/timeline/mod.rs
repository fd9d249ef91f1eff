//! Owns: the picture of the runs of a window of time: facts, their layout in cells, as text, SVG and JSON.
//! Never: reading the store, the clock, writing files.

mod axis;
mod bar;
mod facts;
mod json;
mod kind;
mod load;
mod rows;
mod svg;
#[cfg(test)]
mod tests;
mod text;

pub use bar::{Bar, Window};
pub use facts::{JobFacts, Picture, bar_of_indices, each_bar, first_instant, lines};
pub use json::TimelineJson;
pub use kind::Kind;
pub use svg::svg;
pub use text::{TextError, text};
