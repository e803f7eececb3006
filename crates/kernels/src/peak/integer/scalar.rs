//! Plain Rust on arrays of 16-bit numbers, which the compiler vectorises for the target's baseline:
//! no baseline multiplies bytes.

use std::hint::black_box;

const CHAINS: usize = 8;
const LANES: usize = 8;

/// Products of a step.
pub(super) const PRODUCTS: usize = CHAINS * LANES;

/// Does the steps in independent chains.
pub(super) fn sum(steps: usize) -> i32 {
    let factor = black_box(5i16);
    let addend = black_box(3i16);
    let mut chains = [[0i16; LANES]; CHAINS];
    for (number, chain) in chains.iter_mut().enumerate() {
        *chain = [black_box(number as i16); LANES];
    }
    for _ in 0..steps {
        for chain in &mut chains {
            *chain = chain.map(|lane| lane.wrapping_mul(factor).wrapping_add(addend));
        }
    }
    chains.into_iter().flatten().map(i32::from).sum()
}
