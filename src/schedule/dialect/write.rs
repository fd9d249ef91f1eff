//! Owns: a set of values as the text of a field in our grammar.
//! Never: fields that keep their text.

use super::super::vixie::{FIELDS, Field, fold_sunday};

/// The place of the weekday among the five.
const WEEKDAY: usize = 4;

/// Writes a set as a field that begins with `*`. Such a set has the lowest value.
pub(super) fn star(index: usize, set: u64) -> String {
    let Field { low, high, .. } = FIELDS[index];
    let set = fold(index, set);
    let by =
        |step: u32| fold(index, (low..=high).step_by(step as usize).fold(0, |set, value| set | 1 << value));
    if by(1) == set {
        return "*".to_owned();
    }
    if let Some(step) = (2..=high - low).find(|step| by(*step) == set) {
        return format!("*/{step}");
    }
    // A step past the end leaves only the lowest value, and the field is still a star.
    let lowest = format!("*/{}", high + 1);
    match set & !(1 << low) {
        0 => lowest,
        rest => format!("{lowest},{}", list(index, rest)),
    }
}

/// Writes a set that is not empty as values and ranges.
pub(super) fn list(index: usize, set: u64) -> String {
    let set = fold(index, set);
    let text = shortest(set);
    if index == WEEKDAY && set & 1 == 1 {
        // A week that begins with Monday may be shorter: `5-7` for `0,5,6`.
        let from_monday = shortest(set & !1 | 1 << 7);
        if from_monday.len() < text.len() {
            return from_monday;
        }
    }
    text
}

/// Returns one set for all that mean the same: 7 is Sunday too.
fn fold(index: usize, set: u64) -> u64 {
    if index == WEEKDAY { fold_sunday(set) } else { set }
}

fn shortest(set: u64) -> String {
    let values: Vec<u32> = (0..64).filter(|bit| set >> bit & 1 == 1).collect();
    let listed = runs(&values);
    match stepped(&values) {
        Some(stepped) if stepped.len() < listed.len() => stepped,
        _ => listed,
    }
}

/// Writes values as a list, with a range for three or more in a row.
fn runs(values: &[u32]) -> String {
    let runs = values.chunk_by(|one, next| one + 1 == *next).map(|run| match run {
        [first, _, .., last] => format!("{first}-{last}"),
        _ => run.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
    });
    runs.collect::<Vec<_>>().join(",")
}

/// Writes values at equal distances as a range with a step.
fn stepped(values: &[u32]) -> Option<String> {
    let [first, second, .., last] = values else {
        return None;
    };
    let step = second - first;
    values.windows(2).all(|pair| pair[1] - pair[0] == step).then(|| format!("{first}-{last}/{step}"))
}
