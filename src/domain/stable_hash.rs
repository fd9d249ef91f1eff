//! Owns: the hash of bytes that are compared with those of another release, or another process.
//! Never: hash tables: those have the hash of the standard library.

/// Returns a number for bytes that is the same in every release: FNV-1a. `begin`: 0 is its usual start.
pub fn stable_hash(begin: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(begin ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the authors' list of test vectors.
    #[test]
    fn it_is_fnv_1a() {
        assert_eq!(stable_hash(0, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(stable_hash(0, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(stable_hash(0, b"foobar"), 0x8594_4171_f739_67e8);
    }
}
