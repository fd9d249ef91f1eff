//! Owns: how JSON looks: compact, one document a line.
//! Never: keys (see the verbs).

use serde::Serialize;

/// Returns the document on one line, with its newline.
pub fn line(document: &impl Serialize) -> Vec<u8> {
    let mut line =
        serde_json::to_vec(document).expect("reports have string keys and cannot fail to serialize");
    line.push(b'\n');
    line
}
