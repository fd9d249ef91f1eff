//! The promises one by one, each in a small world of its own.
