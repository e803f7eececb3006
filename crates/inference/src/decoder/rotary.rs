//! Rotary position embedding (Su et al. 2021).
//!
//! Angles are computed for the tokens of a step, not kept in a table for the whole context: a step
//! needs few of them, and a context of 128,000 tokens would need 64 MB.

use candle_core::{Device, Result, Tensor};

use longtrainer_kernels::RotaryLayout;

use super::config::DecoderConfig;
use super::rotary_config::RotaryConfig;
use super::weights::Weights;

const FACTORS: &str = "rope_freqs.weight";
const LONG_FACTORS: &str = "rope_factors_long.weight";
const SHORT_FACTORS: &str = "rope_factors_short.weight";

/// The frequencies of a model.
#[derive(Debug)]
pub(crate) struct Rotary {
    global: Frequencies,
    /// What requests of more than so many tokens get instead (LongRoPE, Ding et al. 2024).
    long: Option<(usize, Frequencies)>,
    /// Those of blocks with a window, where they are others.
    local: Option<Frequencies>,
    magnitude: f32,
    score_scale: f32,
    layout: RotaryLayout,
    device: Device,
}

/// Radians a position, one a pair.
type Frequencies = Vec<f64>;

/// What frequencies are divided by, one a pair.
struct Factors {
    usual: Vec<f32>,
    /// In requests of more than so many tokens.
    long: Option<(usize, Vec<f32>)>,
}

/// Cosines and sines of the angles of a step's tokens, each (tokens, rotated components / 2).
#[derive(Debug)]
pub(crate) struct AngleTable {
    /// Values of a row.
    pub(crate) pairs: usize,
    pub(crate) cosines: Vec<f32>,
    pub(crate) sines: Vec<f32>,
}

/// Where a request's tokens of a step stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Tokens that the request may come to.
    pub(crate) limit: usize,
    /// The first token's position.
    pub(crate) start: usize,
    pub(crate) count: usize,
}

/// The angles of a step in all blocks.
#[derive(Debug)]
pub(crate) struct AngleTables {
    global: AngleTable,
    local: Option<AngleTable>,
}

/// The same for one kind of blocks, as tensors, all multiplied by the root of what scores are scaled by: so queries and
/// keys that both are turned by them have scaled scores, at no cost.
#[derive(Debug, Clone)]
pub(super) struct Angles {
    pub(super) cosines: Tensor,
    pub(super) sines: Tensor,
    pub(super) layout: RotaryLayout,
    /// That root, for components that are not turned.
    pub(super) scale: f32,
}

impl Rotary {
    /// Frequencies `base^(-2 i / width)`, divided by the factors that a file may hold: Llama 3.1
    /// stretches the slow ones, Phi-3 has two sets, for short and for long requests.
    pub(crate) fn load(config: &DecoderConfig, weights: &Weights<'_>) -> crate::Result<Self> {
        let rotary = &config.rotary;
        let factors = Factors::load(rotary, weights)?;
        let global = |factors: &[f32]| frequencies(rotary.base, rotary.scale, factors);
        let local_base = rotary.local_base.filter(|_| config.window.is_some());
        Ok(Self {
            global: global(&factors.usual),
            long: factors.long.map(|(most, long)| (most, global(&long))),
            local: local_base.map(|base| frequencies(base, 1.0, &vec![1.0; rotary.width / 2])),
            magnitude: rotary.magnitude,
            score_scale: config.score_scale,
            layout: rotary.layout,
            device: weights.device().clone(),
        })
    }

    /// How rotary pairs lie.
    pub(crate) fn layout(&self) -> RotaryLayout {
        self.layout
    }

    /// The angles of the tokens of some requests, one after another.
    pub(crate) fn tables(&self, spans: &[Span]) -> AngleTables {
        let local = self.local.as_ref();
        AngleTables {
            global: self.table(spans, |span| self.global(span.limit)),
            local: local.map(|local| self.table(spans, |_| local)),
        }
    }

    /// Which frequencies a request of at most `limit` tokens gets: keys of different kinds do not go
    /// together.
    pub(crate) fn kind(&self, limit: usize) -> u64 {
        u64::from(self.long_for(limit).is_some())
    }

    fn global(&self, limit: usize) -> &Frequencies {
        self.long_for(limit).unwrap_or(&self.global)
    }

    fn long_for(&self, limit: usize) -> Option<&Frequencies> {
        let long = self.long.as_ref();
        let long = long.filter(|(original, _)| limit > *original);
        long.map(|(_, frequencies)| frequencies)
    }

    fn table<'a>(
        &self,
        spans: &[Span],
        frequencies: impl Fn(&Span) -> &'a Frequencies,
    ) -> AngleTable {
        let magnitude = f64::from(self.magnitude);
        let mut table = AngleTable {
            pairs: self.global.len(),
            cosines: Vec::new(),
            sines: Vec::new(),
        };
        for span in spans {
            for position in span.start..span.start + span.count {
                for frequency in frequencies(span) {
                    let (sine, cosine) = (position as f64 * frequency).sin_cos();
                    table.cosines.push((cosine * magnitude) as f32);
                    table.sines.push((sine * magnitude) as f32);
                }
            }
        }
        table
    }

    /// A table of angles as tensors.
    pub(super) fn angles(&self, table: &AngleTable) -> Result<Angles> {
        let root = self.score_scale.sqrt();
        let tensor = |values: &[f32]| {
            let scaled: Vec<f32> = values.iter().map(|value| value * root).collect();
            Tensor::from_vec(scaled, ((), table.pairs), &self.device)
        };
        Ok(Angles {
            cosines: tensor(&table.cosines)?,
            sines: tensor(&table.sines)?,
            layout: self.layout,
            scale: root,
        })
    }
}

impl Factors {
    fn load(rotary: &RotaryConfig, weights: &Weights<'_>) -> crate::Result<Self> {
        let pairs = rotary.width / 2;
        if weights.has(LONG_FACTORS) || weights.has(SHORT_FACTORS) {
            let Some(original) = rotary.original_context else {
                let problem = "the file does not say up to which context they hold: \
                               rope.scaling.original_context_length is missing";
                return Err(weights.bad(SHORT_FACTORS, problem));
            };
            return Ok(Self {
                usual: positive(weights, SHORT_FACTORS, pairs)?,
                long: Some((original, positive(weights, LONG_FACTORS, pairs)?)),
            });
        }
        let usual = match weights.has(FACTORS) {
            true => positive(weights, FACTORS, pairs)?,
            false => vec![1.0; pairs],
        };
        Ok(Self { usual, long: None })
    }
}

fn positive(weights: &Weights<'_>, name: &str, pairs: usize) -> crate::Result<Vec<f32>> {
    let factors = weights.vector(name, pairs)?;
    match factors.iter().all(|factor| *factor > 0.0) {
        true => Ok(factors),
        false => Err(weights.bad(name, "factors must be greater than 0")),
    }
}

/// `base^(-i / pairs)` over factor and scale, one for each factor.
fn frequencies(base: f32, scale: f32, factors: &[f32]) -> Frequencies {
    let pairs = factors.len() as f64;
    let numbered = factors.iter().enumerate();
    let frequencies = numbered.map(|(pair, factor)| {
        let exponent = -(pair as f64) / pairs;
        f64::from(base).powf(exponent) / f64::from(*factor) / f64::from(scale)
    });
    frequencies.collect()
}

impl AngleTables {
    /// The angles in blocks with a window, or in the others.
    pub(crate) fn of(&self, is_local: bool) -> &AngleTable {
        let local = self.local.as_ref().filter(|_| is_local);
        local.unwrap_or(&self.global)
    }
}
