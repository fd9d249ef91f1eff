//! Owns: the program's entry.
//! Never: anything a library function can do.

fn main() {}
