//! Owns: 32 secret bytes in memory.
//! Never: what they open.
#![expect(
    unsafe_code,
    reason = "memory of its own is needed: pages that are locked and left out of core dumps"
)]

use std::fmt;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize;

/// The length of a secret.
pub const SECRET_BYTES: usize = 32;

/// The kernel rounds it up to a page.
const MAPPED_BYTES: NonZeroUsize = NonZeroUsize::new(SECRET_BYTES).expect("it is not zero");

/// Secret bytes in a page of their own, which is not swapped out, not in a core dump, and wiped when it is
/// dropped.
pub struct Secret {
    page: NonNull<[u8; SECRET_BYTES]>,
    is_locked: bool,
}

// SAFETY: the page belongs to this value alone, and is changed only where the value is made or dropped.
unsafe impl Send for Secret {}
// SAFETY: the same.
unsafe impl Sync for Secret {}

impl Secret {
    /// Takes the bytes over, and wipes them where they were.
    ///
    /// # Panics
    /// If the system has no memory.
    pub fn taken_from(bytes: &mut [u8; SECRET_BYTES]) -> Self {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
        let page = unsafe { mmap_anonymous(None, MAPPED_BYTES, protection, MapFlags::MAP_PRIVATE) };
        let page = page.expect("the system has a page of memory");
        // SAFETY: the mapping is this long.
        let is_locked = unsafe { mlock(page, SECRET_BYTES) }.is_ok();
        // SAFETY: the advice changes nothing of the contents. It begins at a page, as it has to.
        let _ = unsafe { madvise(page, SECRET_BYTES, MmapAdvise::MADV_DONTDUMP) };
        let page = page.cast::<[u8; SECRET_BYTES]>();
        // SAFETY: the mapping is long enough, writable, and nobody else has it.
        unsafe { page.write(*bytes) };
        bytes.zeroize();
        Self { page, is_locked }
    }

    /// Returns random bytes of the system.
    ///
    /// # Panics
    /// If the system has none, as on a kernel older than Linux 3.17 without `/dev/urandom`.
    pub fn random() -> Self {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        Self::taken_from(&mut bytes)
    }

    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        // SAFETY: the page was written when this value was made, and stays until it is dropped.
        unsafe { self.page.as_ref() }
    }

    /// Returns whether it cannot be swapped out. A limit of locked memory may not allow it.
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // SAFETY: the value is being dropped, so nobody borrows its page.
        unsafe { self.page.as_mut() }.zeroize();
        // SAFETY: the page is a mapping of this length, and nothing refers to it any more.
        let _ = unsafe { munmap(self.page.cast(), SECRET_BYTES) };
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        // In constant time.
        self.bytes().iter().zip(other.bytes()).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_moved_out_of_where_it_was() {
        let mut bytes = [7; SECRET_BYTES];
        let secret = Secret::taken_from(&mut bytes);
        assert_eq!((bytes, secret.bytes()), ([0; SECRET_BYTES], &[7; SECRET_BYTES]));
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_ne!(Secret::random(), Secret::random());
    }

    #[test]
    fn its_page_is_locked_and_left_out_of_core_dumps() {
        let secret = Secret::random();
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("proc(5)");
        let start = format!("{:x}-", secret.page.as_ptr() as usize);
        let mut lines = maps.lines().skip_while(|line| !line.starts_with(&start));
        let flags = lines.find(|line| line.starts_with("VmFlags:")).expect("it is a mapping of its own");
        let has = |flag| flags.split_whitespace().any(|word| word == flag);
        assert!(has("dd") && has("lo") == secret.is_locked(), "{flags}");
    }
}
