//! Scales a vector to length 1, for the cosine.
//!
//! The norm is taken in f64: squares of finite f32 values neither overflow nor vanish there, so
//! every vector but zero has a direction.

use crate::score;

/// Scales a finite vector to length 1, unless it is all zeros; returns the length it had.
pub(crate) fn normalise(vector: &mut [f32]) -> f32 {
    let norm = score::norm(vector);
    if norm > 0.0 {
        for x in vector {
            *x = (f64::from(*x) / norm) as f32;
        }
    }
    norm as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_vectors_keep_their_direction() {
        for scale in [1.0, 2_f32.powi(125), f32::MIN_POSITIVE, f32::from_bits(1)] {
            let mut vector = [3.0 * scale, -4.0 * scale, 0.0];
            normalise(&mut vector);
            assert_eq!(vector, [0.6, -0.8, 0.0]);
        }
    }
}
