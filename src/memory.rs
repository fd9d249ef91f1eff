//! Owns: the exit of a process that gets no more memory: one line on standard error, and an exit status.
//! Never: saving memory, or counting it.
//!
//! By default Rust prints a backtrace and aborts. The hook that could replace this (`alloc_error_hook`) is
//! not stable, and no crate offers just this. So the program has an allocator of its own, which calls the
//! system's, or dlmalloc where the system is musl.

#![expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait, and _exit(2) has no safe form")]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::io;

#[cfg(not(target_env = "musl"))]
use std::alloc::System as Allocator;

#[cfg(target_env = "musl")]
use dlmalloc::GlobalDlmalloc as Allocator;
use nix::fcntl::{self, OFlag};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::stat::Mode;
use nix::unistd;

use crate::error::ErrorKind;

/// The allocator. The process exits when it gets no memory.
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

// SAFETY: every call goes to `Allocator`, which keeps the contract of the trait. A call in which
// the process exits breaks no part of it.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: `Allocator` has the same contract as this method.
        granted(unsafe { Allocator.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        granted(unsafe { Allocator.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`; every pointer of this allocator came from `Allocator`.
        granted(unsafe { Allocator.realloc(pointer, layout, size) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as in `realloc`.
        unsafe { Allocator.dealloc(pointer, layout) }
    }
}

/// Makes SQLite use the same allocator, before it does anything: musl's costs a turn of the daemon a tenth of
/// a millisecond, and a command that opens the store half of one. Without memory, SQLite reports an error.
#[cfg(target_env = "musl")]
pub fn serve_sqlite() {
    of_sqlite::install();
}

/// The methods that SQLite asks for, sqlite3_mem_methods.
#[cfg(target_env = "musl")]
mod of_sqlite {
    use std::alloc::{GlobalAlloc, Layout};
    use std::ffi::{c_int, c_void};
    use std::ptr;

    use super::Allocator;

    /// Before each block is its size, which SQLite asks for. Blocks keep the alignment of malloc(3).
    const HEAD_BYTES: usize = 16;

    /// SQLITE_CONFIG_MALLOC
    const CONFIG_MALLOC: c_int = 4;

    #[repr(C)]
    struct Methods {
        malloc: unsafe extern "C" fn(c_int) -> *mut c_void,
        free: unsafe extern "C" fn(*mut c_void),
        realloc: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
        size: unsafe extern "C" fn(*mut c_void) -> c_int,
        round_up: unsafe extern "C" fn(c_int) -> c_int,
        init: unsafe extern "C" fn(*mut c_void) -> c_int,
        shutdown: unsafe extern "C" fn(*mut c_void),
        data: *mut c_void,
    }

    unsafe extern "C" {
        fn sqlite3_config(option: c_int, ...) -> c_int;
    }

    pub fn install() {
        let methods =
            Methods { malloc, free, realloc, size, round_up, init, shutdown, data: ptr::null_mut() };
        // SAFETY: SQLite is not in use yet, and copies the methods.
        let status = unsafe { sqlite3_config(CONFIG_MALLOC, &raw const methods) };
        assert_eq!(status, 0, "SQLite is configured before its first use");
    }

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(HEAD_BYTES + bytes, HEAD_BYTES).expect("a size of SQLite is below 2 GiB")
    }

    fn length(bytes: c_int) -> usize {
        usize::try_from(bytes).expect("SQLite asks for a positive size")
    }

    /// Writes the size of a new block, and returns what follows it.
    ///
    /// # Safety
    /// `block` is null, or a block of `layout(bytes)`.
    unsafe fn begin(block: *mut u8, bytes: usize) -> *mut c_void {
        if block.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: the block is aligned, and its head has room for a number.
        unsafe {
            block.cast::<usize>().write(bytes);
            block.add(HEAD_BYTES).cast()
        }
    }

    /// Returns the block that a pointer of SQLite is in, and its size.
    ///
    /// # Safety
    /// `begin` has returned the pointer, and the block lives.
    unsafe fn block_of(pointer: *mut c_void) -> (*mut u8, usize) {
        // SAFETY: the head is there.
        unsafe {
            let block = pointer.cast::<u8>().sub(HEAD_BYTES);
            (block, block.cast::<usize>().read())
        }
    }

    // SAFETY of the methods: SQLite gives back pointers that it got here, and each once.

    unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
        let bytes = length(bytes);
        unsafe { begin(Allocator.alloc(layout(bytes)), bytes) }
    }

    unsafe extern "C" fn free(pointer: *mut c_void) {
        if !pointer.is_null() {
            unsafe {
                let (block, bytes) = block_of(pointer);
                Allocator.dealloc(block, layout(bytes));
            }
        }
    }

    unsafe extern "C" fn realloc(pointer: *mut c_void, bytes: c_int) -> *mut c_void {
        let bytes = length(bytes);
        unsafe {
            let (block, before) = block_of(pointer);
            begin(Allocator.realloc(block, layout(before), HEAD_BYTES + bytes), bytes)
        }
    }

    unsafe extern "C" fn size(pointer: *mut c_void) -> c_int {
        // SQLite asked for this size itself.
        unsafe { block_of(pointer).1 as c_int }
    }

    unsafe extern "C" fn round_up(bytes: c_int) -> c_int {
        bytes.saturating_add(7) & !7
    }

    unsafe extern "C" fn init(_data: *mut c_void) -> c_int {
        0
    }

    unsafe extern "C" fn shutdown(_data: *mut c_void) {}
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
