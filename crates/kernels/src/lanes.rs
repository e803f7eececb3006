//! Walks over two slices side by side, a vector at a time: what the normalisations, activations
//! and rotations share.
//!
//! Every [`Simd`] has them. A last partial vector is computed in a buffer, so that each component
//! comes out the same wherever in a slice it lies.

use crate::simd::Simd;

/// Functions of two slices, for every tier.
pub(crate) trait Lanes: Simd {
    /// `out[i] = function(a[i], b[i])` for as many components as the shortest slice has.
    #[inline(always)]
    fn zip_into(
        self,
        a: &[f32],
        b: &[f32],
        out: &mut [f32],
        function: impl Fn(Self::F32, Self::F32) -> Self::F32,
    ) {
        let length = a.len().min(b.len()).min(out.len());
        let whole = length - length % Self::LANES;
        for at in (0..whole).step_by(Self::LANES) {
            // SAFETY: `at` and `whole` are multiples of LANES and at < whole, so at + LANES <=
            // whole, and no slice is shorter than that.
            unsafe {
                let value = function(self.load(a.as_ptr().add(at)), self.load(b.as_ptr().add(at)));
                self.store(out.as_mut_ptr().add(at), value);
            }
        }
        if whole < length {
            let a = self.load_first(&a[whole..length]);
            let b = self.load_first(&b[whole..length]);
            self.store_first(&mut out[whole..length], function(a, b));
        }
    }

    /// `values[i] = function(values[i], other[i])` for as many components as the shorter slice has.
    #[inline(always)]
    fn zip_in_place(
        self,
        values: &mut [f32],
        other: &[f32],
        function: impl Fn(Self::F32, Self::F32) -> Self::F32,
    ) {
        let length = values.len().min(other.len());
        let whole = length - length % Self::LANES;
        for at in (0..whole).step_by(Self::LANES) {
            // SAFETY: as in `zip_into`.
            unsafe {
                let value = function(
                    self.load(values.as_ptr().add(at)),
                    self.load(other.as_ptr().add(at)),
                );
                self.store(values.as_mut_ptr().add(at), value);
            }
        }
        if whole < length {
            let value = self.load_first(&values[whole..length]);
            let other = self.load_first(&other[whole..length]);
            self.store_first(&mut values[whole..length], function(value, other));
        }
    }
}

impl<S: Simd> Lanes for S {}
