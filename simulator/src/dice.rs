//! Repeatable chance. Written out here, not taken from a library, so that a seed gives the same data with every release.

/// A stream of numbers that depends on nothing but its keys.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub fn new(keys: &[u64]) -> Self {
        Self(mix(keys))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Both ends included.
    pub fn int(&mut self, low: i64, high: i64) -> i64 {
        low + (self.unit() * (high - low + 1) as f64) as i64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Roughly bell-shaped around 0, never beyond ±`width`.
    pub fn around(&mut self, width: f64) -> f64 {
        (self.unit() + self.unit() + self.unit() - 1.5) / 1.5 * width
    }
}

/// One number from several; the order of the keys counts.
pub(crate) fn mix(keys: &[u64]) -> u64 {
    keys.iter().fold(0x243f_6a88_85a3_08d3, |state, key| scramble(state ^ scramble(key.wrapping_add(0x9e37_79b9_7f4a_7c15))))
}

/// A key for a name (FNV-1a).
pub(crate) fn key(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Bytes for secrets that must be repeatable (keys, tokens): never used for anything outside this simulator.
pub(crate) fn hex(keys: &[u64], bytes: usize) -> String {
    let mut dice = Dice::new(keys);
    let mut out = String::with_capacity(bytes * 2);
    while out.len() < bytes * 2 {
        out.push_str(&format!("{:016x}", dice.next()));
    }
    out.truncate(bytes * 2);
    out
}

fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_keys_give_the_same_numbers_for_ever() {
        assert_eq!(Dice::new(&[1, 2]).next(), Dice::new(&[1, 2]).next());
        assert_ne!(mix(&[1, 2]), mix(&[2, 1]));
        // Pinned: a change here changes everybody's demo data.
        assert_eq!(hex(&[7, key("pinned")], 4), "ebe50b2d");
    }

    #[test]
    fn whole_numbers_stay_inside_both_ends() {
        let mut dice = Dice::new(&[3]);
        let seen: Vec<i64> = (0..1000).map(|_| dice.int(-1, 2)).collect();
        assert_eq!((seen.iter().min(), seen.iter().max()), (Some(&-1), Some(&2)));
    }
}
