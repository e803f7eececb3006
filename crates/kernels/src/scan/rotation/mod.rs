//! A random orthogonal map that costs as little as sorting: signs and Hadamard transforms.
//!
//! Bits keep the signs of components only, which says most about a vector when its components are
//! alike in size; a random rotation makes them so, whatever the vector was. A full matrix would cost
//! the square of the dimension. Instead, each of three rounds flips signs at random and mixes blocks
//! of a power of two by the Hadamard transform (Ailon and Chazelle, *SIAM Journal on Computing*,
//! 2009, and in structured rotations since). Where the dimension is no power of two, a round has two
//! overlapping blocks, the first components and the last.

#[cfg(test)]
mod tests;
mod transform;

use crate::Result;
use crate::isa::Supported;
use crate::scan::require_dimension;
use crate::shape::require_rows;
use crate::simd::{Kernel, Simd};

use transform::transform;

/// Rounds of sign flips and transforms.
const ROUNDS: usize = 3;

/// A rotation of vectors of one dimension: norms and inner products stay, but for rounding.
///
/// It is part of the index's file format: the same dimension and seed give the same rotation for
/// ever. With `d` the dimension and `b` the greatest power of two that is not more than it, each of
/// three rounds does, in this order,
///
/// 1. multiply each component by its sign of the round;
/// 2. replace the first `b` components by their Hadamard transform in natural order, divided by the
///    square root of `b`;
/// 3. if `b < d`, do the same with the last `b` components.
///
/// The signs come from splitmix64 (Steele, Lea and Flood, OOPSLA 2014) with the seed as its first
/// state: its outputs in turn, the bits of each from the lowest up, are the signs of the components
/// of the first round, then, from a new output on, those of the second, then of the third. A set bit
/// is a negative sign.
///
/// In f32, a transform multiplies with the reciprocal of the square root, then takes sums and
/// differences of components 1, 2, 4, ... apart in this order. So a rotated vector is the same, bit for
/// bit, on each machine.
#[derive(Debug, Clone)]
pub struct Rotation {
    dimension: usize,
    seed: u64,
    /// Round after round, a sign a component: 1 or -1.
    signs: Vec<f32>,
}

impl Rotation {
    /// The rotation of this dimension and seed.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`](crate::Error::Dimension) if the dimension is more than any codes have.
    pub fn new(dimension: usize, seed: u64) -> Result<Self> {
        require_dimension(dimension)?;
        let mut state = seed;
        let mut signs = Vec::with_capacity(ROUNDS * dimension);
        for _ in 0..ROUNDS {
            for first in (0..dimension).step_by(64) {
                let bits = splitmix64(&mut state);
                let sign = |i| match bits >> i & 1 {
                    0 => 1.0,
                    _ => -1.0,
                };
                signs.extend((0..64.min(dimension - first)).map(sign));
            }
        }
        Ok(Self {
            dimension,
            seed,
            signs,
        })
    }

    /// Components of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// What the signs were drawn with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Rotates vectors, one after another, in place.
    ///
    /// # Errors
    ///
    /// [`Error::PartialVector`](crate::Error::PartialVector) if they are not whole vectors; they are
    /// then as they were.
    pub fn apply(&self, vectors: &mut [f32]) -> Result<()> {
        self.apply_on(Supported::active(), vectors)
    }

    fn apply_on(&self, cpu: Supported, vectors: &mut [f32]) -> Result<()> {
        if require_rows("vectors", self.dimension, vectors.len())? > 0 {
            let rotation = self;
            cpu.run(Rotate { rotation, vectors });
        }
        Ok(())
    }
}

/// Steps the state and returns the next output.
fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Rotates vectors of a dimension that is not 0.
struct Rotate<'a> {
    rotation: &'a Rotation,
    vectors: &'a mut [f32],
}

impl Kernel for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let dimension = self.rotation.dimension;
        let block = 1 << dimension.ilog2();
        for vector in self.vectors.chunks_exact_mut(dimension) {
            for signs in self.rotation.signs.chunks_exact(dimension) {
                for (value, sign) in vector.iter_mut().zip(signs) {
                    *value *= sign;
                }
                transform(simd, &mut vector[..block]);
                if block < dimension {
                    transform(simd, &mut vector[dimension - block..]);
                }
            }
        }
    }
}
