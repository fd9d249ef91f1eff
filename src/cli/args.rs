//! Owns: value parsers and groups of arguments that several verbs share.
//! Never: what a verb does with them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, StringValueParser, TypedValueParser};

/// Makes a parser for whole numbers of a range; its complaint goes on behind the option and what was typed.
pub fn number<T>(range: RangeInclusive<T>) -> impl TypedValueParser<Value = T>
where
    T: Copy + Display + FromStr + PartialOrd + Send + Sync + 'static,
{
    StringValueParser::new().try_map(move |text| match text.parse::<T>() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(format!("is not a whole number from {} to {}", range.start(), range.end())),
    })
}

/// Makes a parser for a closed set of words; clap then shows the set in errors and completions.
pub fn words<T>(
    all: &'static [T],
    word: fn(T) -> &'static str,
    read: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(move |value| word(*value)))
        .map(move |text| read(&text).expect("the words that are let through are those that are read"))
}
