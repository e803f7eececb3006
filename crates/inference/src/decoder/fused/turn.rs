//! Heads that are turned by the angles of their tokens, scaled, and put into the type of the cache.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor};
use longtrainer_kernels::RotaryLayout;

use super::{Fused, plain};
use crate::decoder::rotary::Angles;

impl Fused {
    /// Heads (heads, tokens, width), side by side, turned and scaled, in a type; components beyond the angles are scaled
    /// alone.
    pub(in crate::decoder) fn turned(
        &self,
        heads: &Tensor,
        angles: &Angles,
        dtype: DType,
    ) -> Result<Tensor> {
        if self.is_on {
            let op = Turned {
                fused: self,
                layout: angles.layout,
                scale: angles.scale,
                dtype,
            };
            return heads.apply_op3_no_bwd(&angles.cosines, &angles.sines, &op);
        }
        let heads = heads.to_dtype(DType::F32)?;
        let (turned, width) = (2 * angles.cosines.dim(1)?, heads.dim(2)?);
        if turned == width {
            return rotated(&heads, angles)?.to_dtype(dtype);
        }
        let rotated = rotated(&heads.narrow(2, 0, turned)?.contiguous()?, angles)?;
        let rest = heads.narrow(2, turned, width - turned)?;
        Tensor::cat(&[rotated, (rest * f64::from(angles.scale))?], 2)?.to_dtype(dtype)
    }
}

fn rotated(heads: &Tensor, angles: &Angles) -> Result<Tensor> {
    let batch = heads.unsqueeze(0)?;
    let (cosines, sines) = (&angles.cosines, &angles.sines);
    let rotated = match angles.layout {
        RotaryLayout::Interleaved => candle_nn::rotary_emb::rope_i(&batch, cosines, sines),
        RotaryLayout::Halves => candle_nn::rotary_emb::rope(&batch, cosines, sines),
    };
    rotated?.squeeze(0)
}

#[cfg_attr(
    not(feature = "cuda"),
    expect(dead_code, reason = "the plain version has one type")
)]
struct Turned<'fused> {
    fused: &'fused Fused,
    layout: RotaryLayout,
    scale: f32,
    dtype: DType,
}

impl CustomOp3 for Turned<'_> {
    fn name(&self) -> &'static str {
        "turned"
    }

    fn cpu_fwd(
        &self,
        heads: &CpuStorage,
        layout: &Layout,
        cosines: &CpuStorage,
        angles_layout: &Layout,
        sines: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, tokens, width) = layout.shape().dims3()?;
        let pairs = angles_layout.shape().dims2()?.1;
        let cosines = plain::numbers(cosines, angles_layout)?;
        let sines = plain::numbers(sines, angles_layout)?;
        let mut heads = plain::numbers(heads, layout)?.to_vec();
        for (row, head) in heads.chunks_mut(width).enumerate() {
            for pair in 0..pairs {
                let (one, other) = match self.layout {
                    RotaryLayout::Interleaved => (2 * pair, 2 * pair + 1),
                    RotaryLayout::Halves => (pair, pair + pairs),
                };
                let angle = row % tokens * pairs + pair;
                let (cosine, sine) = (cosines[angle], sines[angle]);
                let (x, y) = (head[one], head[other]);
                head[one] = x * cosine - y * sine;
                head[other] = x * sine + y * cosine;
            }
            head[2 * pairs..]
                .iter_mut()
                .for_each(|component| *component *= self.scale);
        }
        plain::given(heads, layout.shape())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        heads: &candle_core::CudaStorage,
        layout: &Layout,
        cosines: &candle_core::CudaStorage,
        cosines_layout: &Layout,
        sines: &candle_core::CudaStorage,
        sines_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use super::card::{given, view};
        use candle_core::backend::BackendStorage;
        use half::{bf16, f16};
        let kernels = self.fused.kernels()?;
        let (_, tokens, width) = layout.shape().dims3()?;
        let turn = longtrainer_kernels::Turn {
            cosines: &view(cosines, cosines_layout)?,
            sines: &view(sines, sines_layout)?,
            tokens,
            width,
            layout: self.layout,
            scale: self.scale,
        };
        let turned = match (heads.dtype(), self.dtype) {
            (DType::F32, DType::F32) => {
                given::<f32>(kernels.turned(&view::<f32>(heads, layout)?, &turn), heads)
            }
            (DType::F32, DType::F16) => {
                given::<f16>(kernels.turned(&view::<f32>(heads, layout)?, &turn), heads)
            }
            (DType::F16, DType::F16) => {
                given::<f16>(kernels.turned(&view::<f16>(heads, layout)?, &turn), heads)
            }
            (DType::BF16, DType::BF16) => {
                given::<bf16>(kernels.turned(&view::<bf16>(heads, layout)?, &turn), heads)
            }
            (from, to) => candle_core::bail!("no kernel turns heads in {from:?} to {to:?}"),
        };
        Ok((turned?, layout.shape().clone()))
    }
}
