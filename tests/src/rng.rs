//! A small seeded generator of random numbers (splitmix64), so that a failing run can be had again.
//!
//! The seed is printed when a test fails; `SMD_TEST_SEED` sets it.

use std::ops::Range;

/// A generator; equal seeds give equal numbers for ever.
#[derive(Debug)]
pub struct Rng {
    seed: u64,
    state: u64,
}

impl Rng {
    /// Starts at `SMD_TEST_SEED`, or at `default` when that is not set.
    pub fn from_env_or(default: u64) -> Self {
        let seed = match std::env::var("SMD_TEST_SEED") {
            Ok(text) => text.parse().expect("SMD_TEST_SEED is a number"),
            Err(_) => default,
        };
        Self { seed, state: seed }
    }

    /// Starts at a seed, whatever the environment says.
    pub fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// A generator for another purpose, whose numbers do not depend on how many were drawn here.
    pub fn fork(&self, purpose: u64) -> Self {
        let mut child = Self { seed: self.seed, state: self.seed ^ purpose.wrapping_mul(0xa076_1d64_78bd_642f) };
        child.number();
        child
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in the range, which is not empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start)
    }

    /// An index below `len`, which is not 0.
    pub fn index(&mut self, len: usize) -> usize {
        (self.number() % len as u64) as usize
    }

    /// True `percent` times of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.number() % 100 < percent
    }

    /// One of the items; there is at least one.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// `len` random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(&self.number().to_le_bytes());
        }
        out.truncate(len);
        out
    }
}

impl Drop for Rng {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("random numbers came from SMD_TEST_SEED={}", self.seed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn equal_seeds_give_equal_numbers_and_forks_differ() {
        let mut one = Rng::from_env_or(7);
        let mut two = Rng::from_env_or(7);
        let mut fork = two.fork(1);
        assert_eq!(one.number(), two.number());
        assert_ne!(one.number(), fork.number());
        assert_eq!(one.bytes(13).len(), 13);
    }
}
