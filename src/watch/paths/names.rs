//! Owns: which names of a directory a path trigger means.
//! Never: reading the directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use glob::{MatchOptions, Pattern, PatternError};

/// The name of a file in its directory. It need not be UTF-8.
pub(super) type Name = Vec<u8>;

/// As in a shell: a wildcard does not match a leading dot.
const AS_IN_A_SHELL: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The names that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Names {
    One(Name),
    Matching(Pattern),
    All,
    /// All without a leading dot.
    Visible,
}

impl Names {
    /// Returns whether `name` is meant. To a pattern, each part of it that is not UTF-8 is one character.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Matching(pattern) => {
                pattern.matches_with(&OsStr::from_bytes(name).to_string_lossy(), AS_IN_A_SHELL)
            }
            Self::All => true,
            Self::Visible => !name.starts_with(b"."),
        }
    }
}

/// Returns whether the last part of a path is a pattern, see glob(7).
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Reads the last part of a path, which is a pattern or a name.
///
/// # Errors
/// A `[` without its `]`.
pub(super) fn read_names(name: &str) -> Result<Names, PatternError> {
    if !is_pattern(name) {
        return Ok(Names::One(name.as_bytes().to_vec()));
    }
    // A name has one level, so that `**` is no more than `*`.
    let mut text = name.to_owned();
    while text.contains("**") {
        text = text.replace("**", "*");
    }
    Pattern::new(&text).map(Names::Matching)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &[u8]) -> bool {
        read_names(pattern).expect("the pattern is fine").matches(name)
    }

    #[test]
    fn a_pattern_matches_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.part", false),
            ("*", "a", true),
            ("*", ".a", false),
            ("**", "a", true),
            ("?", ".", false),
            ("[.a]x", ".x", false),
            (".*", ".x", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]*", "beta", true),
            ("[!a-c]*", "beta", false),
            ("[[]x", "[x", true),
            ("a*b*c", "axxbxxc", true),
            ("A*", "a", false),
            ("a.csv", "a.csv", true),
            ("a.csv", "aXcsv", false),
        ] {
            assert_eq!(matches(pattern, name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_name_that_is_not_utf_8_can_match() {
        assert!(matches("*.csv", b"\xff\xfe.csv"));
        assert!(matches("a?b", b"a\xffb"));
        assert!(!matches("*.csv", b"\xff.txt"));
    }

    #[test]
    fn a_bracket_that_does_not_close_is_refused() {
        assert!(read_names("a[b").is_err());
    }
}
