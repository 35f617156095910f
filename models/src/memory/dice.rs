//! Random numbers that can be saved with a disk: a disk put back throws the same again.
//!
//! Deliberately not here: seeds from the environment and a word when a test fails; that is [`smd_tests::rng::Rng`].

use smd_tests::rng::Rng;

/// A generator (splitmix64) whose whole state is one number.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x6d65_6d6f_7279_0000)
    }

    pub(super) fn from_rng(rng: &mut Rng) -> Self {
        Self(rng.number())
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.number() % 100 < percent
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (2..=items.len()).rev() {
            let other = self.below(end);
            items.swap(end - 1, other);
        }
    }
}
