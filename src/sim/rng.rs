//! Deterministic randomness: independent streams, so that one consumer never shifts the numbers of another.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng as _;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rng(Pcg32);

impl Rng {
    /// The stream `name` of a world.
    pub(crate) fn new(seed: u64, name: u64) -> Self {
        Self(Pcg32::new(seed ^ name.wrapping_mul(0x9e37_79b9_7f4a_7c15), name))
    }

    /// 0 up to (not including) 1.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    /// Between `low` and `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// About normally distributed, mean 0, deviation 1 (a sum of uniforms; tails end at 6).
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// 0 up to (not including) `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.unit() * end as f64) as usize }
    }

    /// A time of at least `low` and less than `low + spread` ms.
    pub(crate) fn ms(&mut self, low: i64, spread: i64) -> i64 {
        low + (self.unit() * spread as f64) as i64
    }

    /// `length` characters of the alphabet that Kubernetes uses in generated names (no vowels, nothing ambiguous).
    pub(crate) fn suffix(&mut self, length: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..length).map(|_| char::from(ALPHABET[self.below(ALPHABET.len())])).collect()
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b, c, d) = (self.0.next_u32(), self.0.next_u32(), self.0.next_u32(), self.0.next_u32());
        format!("{a:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{d:08x}", b >> 16, b & 0xfff, 0x8000 | ((c >> 16) & 0x3fff), c & 0xffff)
    }
}
