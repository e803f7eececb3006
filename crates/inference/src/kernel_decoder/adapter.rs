//! LoRA adapters on our kernels: the rows of requests that have one, after each product.
//!
//! The two narrow products are dense and in the precision of the file. Like all products here they give
//! a row the same bits in any company, and rows without an adapter are not touched.

use std::ops::Range;

use longtrainer_kernels::{DenseFormat, DenseMatrix, Linear, QuantisedRows, Team, add};

use crate::adapter::{Fitted, FittedSite, Site, Sites};
use crate::engine::Part;
use crate::error::ComputeError;
use crate::rows::{map_rows, try_rows};

/// An adapter, packed for products.
#[derive(Debug)]
pub(crate) struct KernelAdapter {
    blocks: Vec<Sites<LowRankMap>>,
}

impl KernelAdapter {
    /// Packs an adapter that fits the model.
    pub(crate) fn pack(team: &Team, fitted: &Fitted<'_>) -> Result<Self, ComputeError> {
        let blocks = fitted.iter();
        let blocks = blocks.map(|sites| sites.try_map(|site| LowRankMap::pack(team, site)));
        Ok(Self {
            blocks: blocks.collect::<Result<_, _>>()?,
        })
    }

    /// Memory of the matrices.
    pub(crate) fn bytes(&self) -> usize {
        let maps = self.blocks.iter().flat_map(Sites::iter);
        maps.map(LowRankMap::bytes).sum()
    }

    fn map(&self, block: usize, site: Site) -> Option<&LowRankMap> {
        self.blocks.get(block)?.get(site)
    }
}

/// What is added to the outputs of a product.
#[derive(Debug)]
struct LowRankMap {
    /// (ranks, inputs): the `A` of all matrices of the product that are changed.
    a: Linear,
    changes: Vec<Change>,
    /// Outputs of the product.
    outputs: usize,
}

/// Of one of the product's matrices.
#[derive(Debug)]
struct Change {
    /// (outputs, rank)
    b: Linear,
    /// What of the outputs of `a` goes in.
    ranks: Range<usize>,
    scale: f32,
    /// The first output among those of the product.
    offset: usize,
}

impl LowRankMap {
    fn pack(team: &Team, site: &FittedSite<'_>) -> Result<Self, ComputeError> {
        let (mut downs, mut changes, mut ranks) = (Vec::new(), Vec::new(), 0);
        for piece in &site.pieces {
            let [a_format, b_format] = piece.formats();
            let (rank, inputs, outputs) = (piece.rank(), piece.inputs(), piece.outputs());
            downs.push(pack(team, a_format, piece.a(), rank, inputs)?.into());
            let b = pack(team, b_format, piece.b(), outputs, rank)?;
            changes.push(Change {
                b: Linear::new(vec![b.into()])?,
                ranks: ranks..ranks + rank,
                scale: piece.scale(),
                offset: piece.offset,
            });
            ranks += rank;
        }
        Ok(Self {
            a: Linear::new(downs)?,
            changes,
            outputs: site.outputs,
        })
    }

    fn bytes(&self) -> usize {
        let changes = self.changes.iter().map(|change| change.b.bytes());
        self.a.bytes() + changes.sum::<usize>()
    }

    /// Adds `scale * B A x` to the outputs of the rows `x`.
    fn add_to(
        &self,
        team: &Team,
        scale: f32,
        input: &[f32],
        out: &mut [f32],
        scratch: &mut LowRankScratch,
    ) -> Result<(), ComputeError> {
        let LowRankScratch {
            rounded,
            inner,
            part,
            delta,
        } = scratch;
        map_rows(&self.a, team, input, rounded, inner)?;
        for change in &self.changes {
            let scale = scale * change.scale;
            part.clear();
            for row in inner.chunks_exact(self.a.rows()) {
                part.extend(row[change.ranks.clone()].iter().map(|value| scale * value));
            }
            map_rows(&change.b, team, part, rounded, delta)?;
            let width = change.b.rows();
            try_rows(team, out, self.outputs, |first, run| {
                let rows = run.chunks_exact_mut(self.outputs);
                let deltas = delta[first * width..].chunks_exact(width);
                rows.zip(deltas).try_for_each(|(row, delta)| {
                    add(&mut row[change.offset..change.offset + width], delta)
                })
            })?;
        }
        Ok(())
    }
}

fn pack(
    team: &Team,
    format: DenseFormat,
    values: &[f32],
    rows: usize,
    columns: usize,
) -> longtrainer_kernels::Result<DenseMatrix> {
    DenseMatrix::from_f32(team, format, values, rows, columns)
}

/// Buffers of the narrow products.
#[derive(Debug, Default)]
pub(super) struct LowRankScratch {
    /// Nothing is quantised here, but every product wants it.
    rounded: QuantisedRows,
    /// Outputs of `A`.
    inner: Vec<f32>,
    /// Those of one matrix, scaled.
    part: Vec<f32>,
    /// What is added to its outputs.
    delta: Vec<f32>,
}

/// Rows of a step whose requests have an adapter.
#[derive(Debug)]
pub(super) struct AdaptedRows<'step> {
    rows: Range<usize>,
    adapter: &'step KernelAdapter,
    scale: f32,
}

impl<'step> AdaptedRows<'step> {
    /// Those of all parts; neighbours with the same adapter together.
    pub(super) fn of<C>(parts: &[Part<'step, C>]) -> Result<Vec<Self>, ComputeError> {
        let mut adapted: Vec<Self> = Vec::new();
        let mut end = 0;
        for part in parts {
            let start = end;
            end += part.tokens.len();
            let Some(applied) = part.adapter else {
                continue;
            };
            let (adapter, scale) = (applied.kernels()?, applied.scale);
            match adapted.last_mut() {
                Some(last) if last.rows.end == start && last.is(adapter, scale) => {
                    last.rows.end = end;
                }
                _ => adapted.push(Self {
                    rows: start..end,
                    adapter,
                    scale,
                }),
            }
        }
        Ok(adapted)
    }

    fn is(&self, adapter: &KernelAdapter, scale: f32) -> bool {
        std::ptr::eq(self.adapter, adapter) && self.scale == scale
    }

    /// Adds to the outputs of a product, of the rows that this is about; both are of all rows.
    pub(super) fn add_to(
        &self,
        team: &Team,
        block: usize,
        site: Site,
        input: &[f32],
        out: &mut [f32],
        scratch: &mut LowRankScratch,
    ) -> Result<(), ComputeError> {
        let Some(map) = self.adapter.map(block, site) else {
            return Ok(());
        };
        let Range { start, end } = self.rows;
        let inputs = map.a.columns();
        let input = &input[start * inputs..end * inputs];
        let out = &mut out[start * map.outputs..end * map.outputs];
        map.add_to(team, self.scale, input, out, scratch)
    }
}
