//! Whether an adapter fits a model, and its rows in the model's order.

use std::collections::BTreeMap;

use longtrainer_kernels::DenseFormat;

use super::low_rank::LowRank;
use super::rotary_order::{TurnedHeads, reorder};
use super::sites::{Site, Sites};
use super::target::Target;
use super::{Adapter, Contents};
use crate::decoder::DecoderConfig;
use crate::{Error, Result};

/// An adapter as a model needs it, before it is packed: a product for each of the blocks' products.
pub(crate) type Fitted<'adapter> = Vec<Sites<FittedSite<'adapter>>>;

/// The changes of matrices that share an input.
#[derive(Debug)]
pub(crate) struct FittedSite<'adapter> {
    /// Outputs of all the matrices together.
    pub(crate) outputs: usize,
    /// The changes of some of them.
    pub(crate) pieces: Vec<Piece<'adapter>>,
}

/// The change of one of them.
#[derive(Debug)]
pub(crate) struct Piece<'adapter> {
    low_rank: &'adapter LowRank,
    /// (outputs, rank), the rows in the model's order.
    b: Vec<f32>,
    /// The first of the outputs among those of all matrices.
    pub(crate) offset: usize,
}

impl Piece<'_> {
    /// (rank, inputs)
    pub(crate) fn a(&self) -> &[f32] {
        &self.low_rank.a.values
    }

    /// (outputs, rank)
    pub(crate) fn b(&self) -> &[f32] {
        &self.b
    }

    pub(crate) fn rank(&self) -> usize {
        self.low_rank.rank()
    }

    pub(crate) fn inputs(&self) -> usize {
        self.low_rank.inputs()
    }

    pub(crate) fn outputs(&self) -> usize {
        self.low_rank.outputs()
    }

    /// What the product is multiplied by.
    pub(crate) fn scale(&self) -> f32 {
        self.low_rank.scale
    }

    /// What holds the values of both matrices as exactly as the file does.
    pub(crate) fn formats(&self) -> [DenseFormat; 2] {
        [self.low_rank.a.format, self.low_rank.b.format]
    }
}

/// A model that adapters are to fit.
#[derive(Debug)]
pub(super) struct Model<'model> {
    pub(super) name: &'model str,
    pub(super) architecture: &'model str,
    pub(super) config: &'model DecoderConfig,
}

impl Model<'_> {
    /// The adapter, if the model has all matrices that it changes, in its shapes.
    pub(super) fn fit<'adapter>(&self, adapter: &'adapter Adapter) -> Result<Fitted<'adapter>> {
        let contents = adapter.contents();
        let misfit = |problem: String| Error::AdapterMismatch {
            adapter: adapter.name().to_owned(),
            model: self.name.to_owned(),
            problem,
        };
        if let Some(architecture) = &contents.architecture
            && architecture != self.architecture
        {
            let problem = format!(
                "it is for models of architecture {architecture}, not {}",
                self.architecture
            );
            return Err(misfit(problem));
        }
        let mut left: BTreeMap<&Target, &LowRank> = contents.pairs.iter().collect();
        let blocks = (0..self.config.blocks)
            .map(|block| Sites::from_each(|site| self.fit_site(contents, block, site, &mut left)));
        let blocks = blocks.collect::<Result<_, String>>().map_err(misfit)?;
        match left.first_key_value() {
            None => Ok(blocks),
            Some((_, pair)) => Err(misfit(format!(
                "the model has no matrix for tensor {} in its {} blocks",
                pair.a.tensor, self.config.blocks
            ))),
        }
    }

    fn fit_site<'adapter>(
        &self,
        contents: &Contents,
        block: usize,
        site: Site,
        left: &mut BTreeMap<&Target, &'adapter LowRank>,
    ) -> Result<Option<FittedSite<'adapter>>, String> {
        let (parts, inputs) = self.parts(site);
        let (mut pieces, mut outputs) = (Vec::new(), 0);
        for (part, width) in parts {
            let pair = left
                .keys()
                .find(|target| target.block == block && target.part == part);
            if let Some(target) = pair.copied()
                && let Some(low_rank) = left.remove(target)
            {
                check_shape(low_rank, inputs, width)?;
                pieces.push(Piece {
                    b: self.reordered(contents, &part, low_rank),
                    low_rank,
                    offset: outputs,
                });
            }
            outputs += width;
        }
        Ok((!pieces.is_empty()).then_some(FittedSite { outputs, pieces }))
    }

    /// The matrices of a product and the widths of their outputs, and that of their input.
    fn parts(&self, site: Site) -> (Vec<(String, usize)>, usize) {
        let config = self.config;
        let name = |part: &str| part.to_owned();
        let queries = config.heads * config.head_dim;
        match site {
            Site::QueryKeyValue => (config.attention_parts(&name), config.hidden),
            Site::AttentionOutput => (vec![(name("attn_output"), config.hidden)], queries),
            Site::GateUp => (config.feed_forward_parts(&name), config.hidden),
            Site::Down => (vec![(name("ffn_down"), config.hidden)], config.feed_forward),
        }
    }

    fn reordered(&self, contents: &Contents, part: &str, low_rank: &LowRank) -> Vec<f32> {
        let config = self.config;
        let heads = TurnedHeads {
            count: match part {
                "attn_q" => config.heads,
                "attn_k" => config.kv_heads,
                "attn_qkv" => config.heads + config.kv_heads,
                _ => 0,
            },
            head_dim: config.head_dim,
            turned: config.rotary.width,
        };
        let (from, to) = (contents.layout, config.rotary.layout);
        reorder(&low_rank.b.values, low_rank.rank(), heads, from, to)
    }
}

fn check_shape(low_rank: &LowRank, inputs: usize, outputs: usize) -> Result<(), String> {
    let rank = low_rank.rank();
    for (factor, expected) in [
        (&low_rank.a, [rank, inputs]),
        (&low_rank.b, [outputs, rank]),
    ] {
        let found = [factor.rows, factor.columns];
        if found != expected {
            let tensor = &factor.tensor;
            return Err(format!(
                "tensor {tensor} has shape {found:?}, but must have {expected:?}"
            ));
        }
    }
    Ok(())
}
