//! Owns: the only source of chance in the simulated world: splitmix64, from one seed.

/// A pseudo-random number generator; equal seeds give equal worlds.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Returns a number in `low..=high`; each order of magnitude is equally likely.
    pub fn span(&mut self, low: u64, high: u64) -> u64 {
        let bits = (high / low.max(1)).max(1).ilog2() + 1;
        let limit = low.max(1) << self.below(u64::from(bits) + 1);
        low + self.below(limit.min(high) - low.min(limit) + 1)
    }

    /// Returns true so many times in a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let index = self.below(of.len() as u64) as usize;
        &of[index]
    }
}
