//! Owns: bytes as words and as data of a shell script.
//! Never: what they mean.

/// Returns the word that a POSIX shell reads as these bytes. A shell has no NUL, so that NUL is left out.
pub fn word(bytes: &[u8]) -> Vec<u8> {
    let mut word = vec![b'\''];
    for &byte in bytes {
        match byte {
            0 => {}
            b'\'' => word.extend_from_slice(b"'\\''"),
            byte => word.push(byte),
        }
    }
    word.push(b'\'');
    word
}

/// Returns the quoted argument of `printf %b` that prints these bytes.
pub fn data(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() + bytes.len() / 4 + 2);
    text.push(b'\'');
    for &byte in bytes {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b' '..=b'~' if byte != b'\'' => text.push(byte),
            byte => text.extend_from_slice(format!("\\0{byte:03o}").as_bytes()),
        }
    }
    text.push(b'\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_data_are_quoted() {
        assert_eq!(word(b"a'b\0 c"), b"'a'\\''b c'");
        assert_eq!(data(b"a'\\\n\0\xff%"), br"'a\0047\\\n\0000\0377%'");
    }
}
