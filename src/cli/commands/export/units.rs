//! Owns: values in systemd's unit files: systemd.syntax(7), the quoting of systemd.service(5).
//! Never: where the values of a job go.

/// Returns a word of `ExecStart=`, where `%` begins a specifier and `$` a variable. Bytes that are not text
/// can be escaped there.
pub(super) fn argument(word: &[u8]) -> String {
    let is_bare = |byte: &u8| byte.is_ascii_alphanumeric() || b"+,-./:=@_^".contains(byte);
    if !word.is_empty() && word.iter().all(is_bare) {
        return String::from_utf8(word.to_vec()).expect("they are ASCII");
    }
    format!("\"{}\"", escaped(word).replace('$', "$$"))
}

/// Returns `NAME=VALUE` for `Environment=`, or `None` if systemd would not accept it.
pub(super) fn variable(name: &[u8], value: &[u8]) -> Option<String> {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let is_name = name.first().is_some_and(is_letter)
        && name.iter().all(|byte| is_letter(byte) || byte.is_ascii_digit());
    if !is_name || std::str::from_utf8(value).is_err() {
        return None;
    }
    Some(format!("\"{}={}\"", String::from_utf8_lossy(name), escaped(value)))
}

/// Returns a path, or `None` if a line cannot hold it.
pub(super) fn path(path: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(path).ok()?;
    let is_cut = text.ends_with(|c: char| c == '\\' || c.is_ascii_whitespace());
    (!is_cut && !text.contains(char::is_control)).then(|| text.replace('%', "%%"))
}

/// Returns a text for `StandardInputText=`, which adds a newline. `None` for input that is not text, or that
/// does not end in a newline.
pub(super) fn input_text(input: &[u8]) -> Option<String> {
    std::str::from_utf8(input).ok()?;
    let text = escaped(input.strip_suffix(b"\n")?);
    // The line is trimmed.
    let inner = text.trim_matches(' ');
    let at = text.len() - text.trim_start_matches(' ').len();
    let spaces = |count: usize| "\\s".repeat(count);
    Some(spaces(at) + inner + &spaces(text.len() - at - inner.len()))
}

/// Returns one line without special characters, for a description or a comment.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && *c != '\\').collect::<String>().replace('%', "%%")
}

/// Returns bytes in base64, for `StandardInputData=`.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number =
            (0..3).fold(0_usize, |number, index| number << 8 | usize::from(*group.get(index).unwrap_or(&0)));
        for place in 0..4 {
            let digit = char::from(DIGITS[number >> (18 - 6 * place) & 63]);
            text.push(if place <= group.len() { digit } else { '=' });
        }
    }
    text
}

/// Escapes as in C, and doubles the percent signs.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => text.extend(['\\', c]),
                '%' => text.push_str("%%"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                _ if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
                _ => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_quoted_and_nothing_in_it_is_expanded() {
        assert_eq!(argument(b"a=b/c"), "a=b/c");
        assert_eq!(argument(b""), "\"\"");
        assert_eq!(argument(b";"), "\";\"");
        assert_eq!(argument(b"$HOME %h \"x\" \\\n\xff"), "\"$$HOME %%h \\\"x\\\" \\\\\\n\\xff\"");
    }

    #[test]
    fn a_variable_has_a_name_and_a_text() {
        assert_eq!(variable(b"A", b"50% $x\n"), Some("\"A=50%% $x\\n\"".to_owned()));
        assert_eq!(variable(b"A%%", b"1"), None);
        assert_eq!(variable(b"A", b"\xff"), None);
    }

    #[test]
    fn an_input_is_text_where_it_can_be() {
        assert_eq!(input_text(b"  a\n %b \n"), Some("\\s\\sa\\n %%b\\s".to_owned()));
        assert_eq!(input_text(b"\n"), Some(String::new()));
        assert_eq!(input_text(b"  \n"), Some("\\s\\s".to_owned()));
        assert_eq!(input_text(b"a"), None);
        assert_eq!(input_text(b"\xff\n"), None);
    }

    #[test]
    fn bytes_are_base64_where_text_does_not_do() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_path_that_a_line_would_cut_is_refused() {
        assert_eq!(path(b"/a b/50%"), Some("/a b/50%%".to_owned()));
        for bad in ["/a ", "/a\\", "/a\nb"] {
            assert_eq!(path(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
