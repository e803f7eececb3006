//! LoRA adapters over Candle: what is added to the outputs of a product.

use candle_core::{DType, Device, Result, Tensor};

use super::step::{StepPart, one_after_another};
use crate::adapter::{Fitted, FittedSite, Site, Sites};
use crate::error::ComputeError;

/// An adapter as tensors.
#[derive(Debug)]
pub(crate) struct CandleAdapter {
    blocks: Vec<Sites<LowRankMap>>,
    bytes: usize,
}

impl CandleAdapter {
    /// Moves an adapter that fits the model to its device.
    pub(crate) fn pack(
        device: &Device,
        fitted: &Fitted<'_>,
    ) -> std::result::Result<Self, ComputeError> {
        let blocks = fitted.iter();
        let blocks = blocks.map(|sites| sites.try_map(|site| LowRankMap::pack(device, site)));
        let blocks = blocks.collect::<Result<Vec<_>>>()?;
        let maps = blocks.iter().flat_map(Sites::iter);
        Ok(Self {
            bytes: maps.map(LowRankMap::bytes).sum(),
            blocks,
        })
    }

    /// Memory of the tensors.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The outputs of a product (tokens, outputs), with what the adapters of the parts add to their rows.
pub(super) fn adapted_by(
    parts: &[StepPart<'_>],
    block: usize,
    site: Site,
    input: &Tensor,
    output: Tensor,
) -> Result<Tensor> {
    if parts.iter().all(|part| part.adapter.is_none()) {
        return Ok(output);
    }
    let rows = parts.iter().map(|part| {
        let rows = part.rows_of(&output)?;
        let map = part.adapter.and_then(|(adapter, scale)| {
            let map = adapter.blocks.get(block)?.get(site)?;
            Some((map, scale))
        });
        match map {
            Some((map, scale)) => {
                let delta = map.forward(&part.rows_of(input)?.to_dtype(DType::F32)?, scale)?;
                rows + delta.to_dtype(output.dtype())?
            }
            None => Ok(rows),
        }
    });
    one_after_another(rows.collect::<Result<Vec<_>>>()?)
}

#[derive(Debug)]
struct LowRankMap {
    changes: Vec<Change>,
    outputs: usize,
}

/// Of one of the product's matrices.
#[derive(Debug)]
struct Change {
    /// (inputs, rank)
    a: Tensor,
    /// (rank, outputs)
    b: Tensor,
    scale: f32,
    /// The first output among those of the product.
    offset: usize,
}

impl LowRankMap {
    fn pack(device: &Device, site: &FittedSite<'_>) -> Result<Self> {
        let changes = site.pieces.iter().map(|piece| {
            let (rank, inputs, outputs) = (piece.rank(), piece.inputs(), piece.outputs());
            Ok(Change {
                a: Tensor::from_slice(piece.a(), (rank, inputs), device)?.t()?,
                b: Tensor::from_slice(piece.b(), (outputs, rank), device)?.t()?,
                scale: piece.scale(),
                offset: piece.offset,
            })
        });
        Ok(Self {
            changes: changes.collect::<Result<_>>()?,
            outputs: site.outputs,
        })
    }

    fn bytes(&self) -> usize {
        let tensors = self
            .changes
            .iter()
            .flat_map(|change| [&change.a, &change.b]);
        let bytes = tensors.map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes());
        bytes.sum()
    }

    /// `scale * B A x`: (tokens, inputs) -> (tokens, outputs), zeros where nothing is changed.
    fn forward(&self, input: &Tensor, scale: f32) -> Result<Tensor> {
        let tokens = input.dim(0)?;
        let zeros = |width| Tensor::zeros((tokens, width), DType::F32, input.device());
        let (mut parts, mut end) = (Vec::new(), 0);
        for change in &self.changes {
            if change.offset > end {
                parts.push(zeros(change.offset - end)?);
            }
            let inner = (input.matmul(&change.a)? * f64::from(scale * change.scale))?;
            let delta = inner.matmul(&change.b)?;
            end = change.offset + delta.dim(1)?;
            parts.push(delta);
        }
        if end < self.outputs {
            parts.push(zeros(self.outputs - end)?);
        }
        Tensor::cat(&parts, 1)
    }
}
