//! The truth that the other instruction sets are tested against, and what processors other than
//! x86-64 run.
//!
//! Sums are kept in independent lanes: that is what lets the compiler use the target's vectors
//! (floating-point addition may not be reordered by it), and it rounds less than one long sum.

use super::table::Tile;

const LANES: usize = 16;

/// Plain Rust; `L2` chooses squared differences over products.
#[derive(Clone, Copy)]
pub(super) struct Scalar<const L2: bool>;

impl<const L2: bool> Tile for Scalar<L2> {
    fn tile<const Q: usize, const R: usize>(
        self,
        queries: [&[f32]; Q],
        rows: [&[f32]; R],
    ) -> [[f32; R]; Q] {
        queries.map(|query| rows.map(|row| pair::<L2>(query, row)))
    }
}

fn pair<const L2: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += term::<L2>(a[lane], b[lane]);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += term::<L2>(*a, *b);
    }
    sums.iter().sum()
}

#[inline]
fn term<const L2: bool>(a: f32, b: f32) -> f32 {
    match L2 {
        true => (a - b) * (a - b),
        false => a * b,
    }
}
