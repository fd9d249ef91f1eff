//! Owns: numbers as bars of block characters: sparklines, bars, and the outcomes of a row of runs.
//! Never: where the numbers come from.

/// In eight heights.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns a bar of `number` where `most` has the full height. Only none has no bar.
pub fn height(number: u64, most: u64) -> Option<char> {
    let eighths = (u128::from(number) * 8).div_ceil(u128::from(most.max(1)));
    let index = usize::try_from(eighths).unwrap_or(8).min(8).checked_sub(1)?;
    Some(HEIGHTS[index])
}

/// Returns a bar for each number, in eight heights; a dot for none.
pub fn sparkline(numbers: &[u64]) -> String {
    let most = numbers.iter().copied().max().unwrap_or(0);
    numbers.iter().map(|number| height(*number, most).unwrap_or('·')).collect()
}

/// Returns a bar of `count` where `most` has `room` columns, to an eighth of a column. Only none has no bar.
pub fn bar(count: u64, most: u64, room: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (u128::from(count) * u128::from(room) * 8).div_ceil(u128::from(most.max(1)));
    let (whole, rest) = ((eighths / 8) as usize, (eighths % 8) as usize);
    "█".repeat(whole) + EIGHTHS[rest]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_number_has_a_bar_and_none_a_dot() {
        assert_eq!(sparkline(&[0, 1, 4, 8, 100, 50]), "·▁▁▁█▄");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&[0, 0]), "··");
        assert_eq!(sparkline(&[u64::MAX, 1]), "█▁");
    }

    #[test]
    fn a_bar_is_exact_to_an_eighth() {
        assert_eq!(
            (bar(1, 16, 2), bar(9, 16, 2), bar(16, 16, 2), bar(0, 16, 2)),
            ("▏".into(), "█▏".into(), "██".into(), String::new())
        );
    }

    proptest! {
        #[test]
        fn a_larger_number_never_has_a_lower_bar(a: u64, b: u64, most: u64) {
            let most = most.max(a).max(b);
            let (low, high) = (height(a.min(b), most), height(a.max(b), most));
            let place = |bar: Option<char>| bar.map(|bar| HEIGHTS.iter().position(|height| *height == bar));
            prop_assert!(place(low) <= place(high));
            prop_assert_eq!(high.is_none(), a.max(b) == 0);
        }
    }
}
