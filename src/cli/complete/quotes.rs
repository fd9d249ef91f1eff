//! Owns: the words of a shell's line as the shell will pass them on: without quotes.
//! Never: substitution, which can have effects.

use std::path::Path;

/// Returns a word without its quotes and backslashes; a quote may be open. A leading `~/` is the user's home.
pub fn unquoted(word: &str, home: Option<&Path>) -> String {
    let mut plain = String::new();
    let mut rest = word;
    if let (Some(below), Some(home)) = (word.strip_prefix("~/"), home) {
        plain = format!("{}/", home.display());
        rest = below;
    }
    let mut quote = None;
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '\\') => plain.extend(chars.next()),
            (Some('"'), '\\') => match chars.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => plain.push(escaped),
                other => {
                    plain.push('\\');
                    plain.extend(other);
                }
            },
            (None | Some(_), _) => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_loses_its_quotes() {
        for (word, plain) in [
            ("plain", "plain"),
            ("'a b'", "a b"),
            (r#""a \"b\" \n""#, r#"a "b" \n"#),
            (r"a\ b", "a b"),
            ("\"open", "open"),
            ("--dir='/tmp/a b'/c", "--dir=/tmp/a b/c"),
            ("~/s", "/home/u/s"),
            ("'~/s'", "~/s"),
            ("~", "~"),
        ] {
            assert_eq!(unquoted(word, Some(Path::new("/home/u"))), plain, "{word}");
        }
        assert_eq!(unquoted("~/s", None), "~/s");
    }
}
