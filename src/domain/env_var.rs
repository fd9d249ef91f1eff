//! Owns: the variables of an environment.
//! Never: which of them a job has.

/// One variable of an environment, `NAME=VALUE` as in environ(7).
pub type EnvVar = Vec<u8>;

/// Returns the value of a variable: the last one if several have the name.
pub fn value_of<'a>(env: &'a [EnvVar], name: &str) -> Option<&'a [u8]> {
    env.iter().rev().find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}
