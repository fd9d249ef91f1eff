//! Owns: a crontab file, between its bytes and its entries.
//! Never: I/O, or when an entry fires (see `schedule`).
