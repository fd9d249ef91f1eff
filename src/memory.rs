//! Owns: the exit of a process that gets no more memory: one line on standard error, and an exit status.
//! Never: saving memory, or counting it.
//!
//! By default Rust prints a backtrace and aborts. The hook that could replace this (`alloc_error_hook`) is
//! not stable, and no crate offers just this. So the program has an allocator of its own, which calls the
//! system's.

#![expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait, and _exit(2) has no safe form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::io;

use nix::fcntl::{self, OFlag};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::stat::Mode;
use nix::unistd;

use crate::error::ErrorKind;

/// The system's allocator. The process exits when it gets no memory.
pub struct Memory;

/// More stack than any command needs.
const STACK_BYTES: usize = 1024 * 1024;

const PAGE_BYTES: usize = 4096;

/// The largest stack frame of `touch_stack`: unoptimized code has several copies of a page.
const FRAME_BYTES_MAX: usize = 8 * PAGE_BYTES;

/// How much of its own command line a process reads before it exits. Verb and options come first.
const COMMAND_LINE_BYTES: usize = 1024;

/// Grows the stack to the size that a command needs, if the memory of the process is limited.
///
/// A stack that cannot grow later raises SIGSEGV, and the user gets no message.
pub fn reserve_stack() {
    let limit = |resource| getrlimit(resource).map_or(RLIM_INFINITY, |(soft, _)| soft);
    // The limit of the stack may be too low for this.
    if limit(Resource::RLIMIT_AS) != RLIM_INFINITY && limit(Resource::RLIMIT_STACK) / 4 >= STACK_BYTES as u64
    {
        // Without room for it, this prints the message and exits.
        drop(black_box(Vec::<u8>::with_capacity(STACK_BYTES + FRAME_BYTES_MAX)));
        let here = 0_u8;
        touch_stack(std::ptr::from_ref(black_box(&here)).addr());
    }
}

/// Writes to the stack page by page, so that the system grows it to `STACK_BYTES` below `top`.
#[inline(never)]
fn touch_stack(top: usize) {
    let page = black_box([0_u8; PAGE_BYTES]);
    if top - page.as_ptr().addr() < STACK_BYTES {
        touch_stack(top);
    }
    black_box(&page);
}

// SAFETY: every call goes to the system's allocator, which keeps the contract of the trait. A call in which
// the process exits breaks no part of it.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: `System` has the same contract as this method.
        granted(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        granted(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`; every pointer of this allocator came from `System`.
        granted(unsafe { System.realloc(pointer, layout, size) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as in `realloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn granted(pointer: *mut u8) -> *mut u8 {
    if pointer.is_null() {
        exhausted();
    }
    pointer
}

/// Prints the message and exits, without allocating.
#[cold]
fn exhausted() -> ! {
    let mut line = [0; COMMAND_LINE_BYTES];
    let (words, kind) = if passes_on_a_status(own_command_line(&mut line)) {
        (
            "error: cannot wait: out of memory; the outcome is unknown, and running jobs continue\n",
            ErrorKind::Unavailable,
        )
    } else {
        ("error: cannot continue: out of memory\n", ErrorKind::Io)
    };
    // If the line cannot be written, the status still reports the failure.
    let _ = unistd::write(io::stderr(), words.as_bytes());
    // SAFETY: _exit(2) is safe in any state of the process. exit(3) would run handlers that allocate.
    unsafe { libc::_exit(libc::c_int::from(kind.exit_code())) }
}

/// Returns the beginning of this process's command line, each word ended by NUL.
fn own_command_line(buffer: &mut [u8]) -> &[u8] {
    let length = fcntl::open(c"/proc/self/cmdline", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        .and_then(|file| unistd::read(&file, buffer));
    &buffer[..length.unwrap_or(0)]
}

/// Returns whether a command exits with the status of a run. Its own failure must not look like that status.
fn passes_on_a_status(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == 0).skip(1);
    let verb = loop {
        match words.next() {
            Some(b"--dir" | b"--color") => drop(words.next()),
            Some(option) if option.starts_with(b"-") => {}
            verb => break verb,
        }
    };
    let mut options = words.take_while(|word| word != b"--");
    match verb {
        Some(b"wait") => true,
        Some(b"run") => options.any(|word| word == b"--wait" || word == b"--follow"),
        Some(b"log") => options.any(|word| word == b"-f" || word == b"--follow"),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_passes_on_the_status_of_a_run_is_recognized() {
        let passes_on =
            |words: &str| passes_on_a_status(format!("taskq {words}").replace(' ', "\0").as_bytes());
        for words in [
            "wait 1",
            "--dir wait wait 1",
            "--color=never wait",
            "run 1 --wait",
            "run --follow a",
            "log -f 1",
        ] {
            assert!(passes_on(words), "{words}");
        }
        for words in ["", "list", "--dir wait list", "add wait", "run 1", "run -- --wait", "log 1", "--dir"] {
            assert!(!passes_on(words), "{words}");
        }
    }

    #[test]
    fn the_own_command_line_is_cut_to_the_buffer() {
        let mut buffer = [0; 8];
        assert_eq!(own_command_line(&mut buffer).len(), 8);
    }
}
