//! Softmax of the scores that a token may look at.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};

use super::{Fused, plain};

/// What some tokens see of the positions that their parts are shown.
#[derive(Debug)]
pub(crate) enum Seen {
    /// All.
    All,
    /// Where it is 0 and not negative infinity: (parts, 1, tokens, positions).
    Mask(Tensor),
    /// `window` positions up to a token's own.
    UpToOwn {
        /// The position of each part's first token, counted from the first that is shown: (parts).
        leads: Tensor,
        window: usize,
    },
}

/// Whose scores they are: rows are (kv_heads * parts, group * tokens).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scored {
    pub(crate) parts: usize,
    pub(crate) group: usize,
    pub(crate) tokens: usize,
    /// The number of the first token among all that its part has in this step.
    pub(crate) first: usize,
    /// Scores are kept within it by a hyperbolic tangent.
    pub(crate) cap: Option<f64>,
}

impl Fused {
    /// The shares of scores (kv_heads * parts, group * tokens, positions), in their type.
    pub(in crate::decoder) fn shares(
        &self,
        scores: Tensor,
        seen: &Seen,
        of: Scored,
    ) -> Result<Tensor> {
        if let Seen::UpToOwn { leads, window } = seen {
            let op = MaskedSoftmax {
                fused: self,
                of,
                window: *window,
            };
            return scores.apply_op2_no_bwd(leads, &op);
        }
        let dtype = scores.dtype();
        let mut scores = scores.to_dtype(DType::F32)?;
        if let Some(cap) = of.cap {
            scores = ((scores / cap)?.tanh()? * cap)?;
        }
        if let Seen::Mask(mask) = seen {
            scores = masked(&scores, mask, of)?;
        }
        candle_nn::ops::softmax_last_dim(&scores)?.to_dtype(dtype)
    }
}

fn masked(scores: &Tensor, mask: &Tensor, of: Scored) -> Result<Tensor> {
    let (rows, columns, positions) = scores.dims3()?;
    let mask = mask
        .narrow(2, of.first, of.tokens)?
        .narrow(3, 0, positions)?;
    let shape = [rows / of.parts, of.parts, of.group, of.tokens, positions];
    let masked = scores.reshape(shape.as_slice())?.broadcast_add(&mask)?;
    masked.reshape((rows, columns, positions))
}

struct MaskedSoftmax<'fused> {
    #[cfg_attr(
        not(feature = "cuda"),
        expect(dead_code, reason = "it holds a card's kernels")
    )]
    fused: &'fused Fused,
    of: Scored,
    window: usize,
}

impl CustomOp2 for MaskedSoftmax<'_> {
    fn name(&self) -> &'static str {
        "masked softmax"
    }

    fn cpu_fwd(
        &self,
        scores: &CpuStorage,
        layout: &Layout,
        leads: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let CpuStorage::U32(leads) = leads else {
            candle_core::bail!("leads are whole numbers");
        };
        let Scored {
            group,
            tokens,
            first,
            cap,
            ..
        } = self.of;
        let positions = layout.dims().last().copied().unwrap_or(1);
        let scores = plain::numbers(scores, layout)?;
        let mut shares = vec![0.0; scores.len()];
        let rows = scores.chunks(positions).zip(shares.chunks_mut(positions));
        for (row, (scores, shares)) in rows.enumerate() {
            let lead = leads[row / tokens / group % leads.len()] as usize;
            let end = (lead + first + row % tokens + 1).min(positions);
            let seen = end.saturating_sub(self.window)..end;
            let capped = scores[seen.clone()].iter().map(|score| match cap {
                Some(cap) => cap as f32 * (score / cap as f32).tanh(),
                None => *score,
            });
            let capped: Vec<f32> = capped.collect();
            let most = capped.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = capped.iter().map(|score| (score - most).exp()).sum();
            for (share, score) in shares[seen].iter_mut().zip(capped) {
                *share = (score - most).exp() / sum;
            }
        }
        plain::given(shares, layout.shape())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        scores: &candle_core::CudaStorage,
        layout: &Layout,
        leads: &candle_core::CudaStorage,
        leads_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use super::card::{by_type, given, view};
        let kernels = self.fused.kernels()?;
        let leads = view::<u32>(leads, leads_layout)?;
        let shape = longtrainer_kernels::SoftmaxShape {
            parts: self.of.parts,
            group: self.of.group,
            tokens: self.of.tokens,
            first_token: self.of.first,
            positions: layout.dims().last().copied().unwrap_or(1),
            window: self.window,
            cap: self.of.cap.map(|cap| cap as f32),
        };
        let shares = by_type!(scores, T => {
            given(kernels.masked_softmax(&view::<T>(scores, layout)?, &leads, &shape), scores)
        });
        Ok((shares?, layout.shape().clone()))
    }
}
