//! Owns: questions to a person that are answered by yes or no.
//! Never: when to ask.

use std::io;

use crate::cli::output::Output;
use crate::error::{Error, Result};

/// Asks until the answer is yes or no. `print` shows the question. The end of the input means no.
pub fn is_confirmed(output: &Output, question: &str, print: impl Fn(&str) -> Result<()>) -> Result<bool> {
    loop {
        print(question)?;
        let mut answer = String::new();
        let length =
            io::stdin().read_line(&mut answer).map_err(|error| Error::io("read the answer", &error))?;
        match answer.trim_start().bytes().next() {
            Some(b'y' | b'Y') => return Ok(true),
            Some(b'n' | b'N') => return Ok(false),
            _ if length == 0 => return Ok(false),
            _ => output.talk("Enter Y or N"),
        }
    }
}
