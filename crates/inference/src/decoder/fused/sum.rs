//! The sum of two states, and its norm.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{Fused, plain};
use crate::decoder::norm::RmsNorm;

impl Fused {
    /// The sum, in the type of the states, and the norm of the sum: (rows, width) each.
    pub(in crate::decoder) fn added_and_normed(
        &self,
        states: &Tensor,
        more: &Tensor,
        norm: &RmsNorm,
    ) -> Result<(Tensor, Tensor)> {
        if self.is_on {
            let op = AddedAndNormed {
                fused: self,
                epsilon: norm.epsilon,
            };
            let both = states.apply_op3_no_bwd(more, &norm.scale, &op)?;
            return Ok((both.get(0)?, both.get(1)?));
        }
        let sum = (states + more)?;
        let normed = norm.forward(&sum)?;
        Ok((sum, normed))
    }
}

struct AddedAndNormed<'fused> {
    #[cfg_attr(
        not(feature = "cuda"),
        expect(dead_code, reason = "it holds a card's kernels")
    )]
    fused: &'fused Fused,
    epsilon: f32,
}

impl CustomOp3 for AddedAndNormed<'_> {
    fn name(&self) -> &'static str {
        "added and normed"
    }

    fn cpu_fwd(
        &self,
        states: &CpuStorage,
        layout: &Layout,
        more: &CpuStorage,
        more_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let states = plain::numbers(states, layout)?;
        let more = plain::numbers(more, more_layout)?;
        let scale = plain::numbers(scale, scale_layout)?;
        let mut both: Vec<f32> = states
            .iter()
            .zip(more)
            .map(|(one, other)| one + other)
            .collect();
        let sums = both.clone();
        for sums in sums.chunks(width) {
            let squares: f32 = sums.iter().map(|sum| sum * sum).sum();
            let root = (squares / width as f32 + self.epsilon).sqrt();
            both.extend(
                sums.iter()
                    .zip(scale)
                    .map(|(sum, scale)| sum / root * scale),
            );
        }
        plain::given(both, (2, rows, width))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        states: &candle_core::CudaStorage,
        layout: &Layout,
        more: &candle_core::CudaStorage,
        more_layout: &Layout,
        scale: &candle_core::CudaStorage,
        scale_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use super::card::{by_type, given, view};
        let kernels = self.fused.kernels()?;
        let (rows, width) = layout.shape().dims2()?;
        let both = by_type!(states, T => {
            let (scale, more) = (view::<T>(scale, scale_layout)?, view::<T>(more, more_layout)?);
            let states_view = view::<T>(states, layout)?;
            given(kernels.added_and_normed(&states_view, &more, &scale, self.epsilon), states)
        });
        Ok((both?, (2, rows, width).into()))
    }
}
