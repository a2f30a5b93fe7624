//! Run ids from a seed: unique like random ones, and repeatable in a simulation.

use sha3::{Digest, Sha3_256};

use crate::model::RunId;

/// Makes run ids. The seed must be fresh for each manager, taken from the system's random source.
#[derive(Debug)]
pub(super) struct RunIds {
    seed: u128,
    made: u64,
}

impl RunIds {
    pub(super) fn new(seed: u128) -> Self {
        Self { seed, made: 0 }
    }

    pub(super) fn next(&mut self) -> RunId {
        self.made += 1;
        let digest = Sha3_256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(self.made.to_be_bytes())
            .finalize();
        let mut bits = [0_u8; 16];
        bits.copy_from_slice(&digest[..16]);
        RunId::from_random_bits(u128::from_be_bytes(bits))
    }
}
