//! The gate of a feed-forward part.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

use super::{Fused, plain};
use crate::decoder::architecture::Activation;

impl Fused {
    /// `activation(gate) * up` of rows in which both lie side by side: (rows, 2 * width) to (rows, width).
    pub(in crate::decoder) fn gated(
        &self,
        both: &Tensor,
        activation: Activation,
    ) -> Result<Tensor> {
        if self.is_on {
            let fused = self;
            return both.apply_op1_no_bwd(&Gated { fused, activation });
        }
        let width = both.dim(1)? / 2;
        let gate = both.narrow(1, 0, width)?;
        let gate = match activation {
            Activation::Silu => gate.silu()?,
            // In 16 bits Candle adds one to what is nearly minus one.
            Activation::GeluTanh => gate.to_dtype(DType::F32)?.gelu()?.to_dtype(gate.dtype())?,
        };
        gate * both.narrow(1, width, width)?
    }
}

struct Gated<'fused> {
    #[cfg_attr(
        not(feature = "cuda"),
        expect(dead_code, reason = "it holds a card's kernels")
    )]
    fused: &'fused Fused,
    activation: Activation,
}

impl CustomOp1 for Gated<'_> {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(&self, both: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, columns) = layout.shape().dims2()?;
        let both = plain::numbers(both, layout)?;
        let gated = both.chunks(columns).flat_map(|row| {
            let (gates, ups) = row.split_at(columns / 2);
            gates
                .iter()
                .zip(ups)
                .map(|(gate, up)| match self.activation {
                    Activation::Silu => gate / (1.0 + (-gate).exp()) * up,
                    Activation::GeluTanh => {
                        let root = std::f32::consts::FRAC_2_PI.sqrt();
                        let inner = root * (gate + 0.044_715 * gate.powi(3));
                        0.5 * gate * (1.0 + inner.tanh()) * up
                    }
                })
        });
        plain::given(gated.collect(), (rows, columns / 2))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        both: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use super::card::{by_type, given, view};
        use longtrainer_kernels::Gate;
        let kernels = self.fused.kernels()?;
        let (rows, columns) = layout.shape().dims2()?;
        let gate = match self.activation {
            Activation::Silu => Gate::Silu,
            Activation::GeluTanh => Gate::GeluTanh,
        };
        let gated = by_type!(both, T => {
            given(kernels.gated(&view::<T>(both, layout)?, columns / 2, gate), both)
        });
        Ok((gated?, (rows, columns / 2).into()))
    }
}
