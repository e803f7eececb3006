//! The rotary embedding of a configuration: base, scaling, and the factors that GGUF files hold as
//! tensors.
//!
//! Files since transformers 5 keep all of it in `rope_parameters`, older ones the base in
//! `rope_theta` and the rest in `rope_scaling`.

use std::f64::consts::TAU;

use candle_core::quantized::gguf_file::Value;

use super::fields::Fields;
use crate::Result;

const KINDS: &str = "default, linear, llama3, longrope";

/// What a configuration says.
#[derive(Debug, Default)]
pub(super) struct Rotary {
    /// Parts of GGUF keys, what the file calls them, and values.
    pub(super) numbers: Vec<(&'static str, String, Value)>,
    /// Tensors that GGUF files have.
    pub(super) factors: Vec<(&'static str, Vec<f32>)>,
}

/// Reads it for heads of a width.
pub(super) fn read(text: &Fields, head_dim: u64) -> Result<Rotary> {
    let parameters = Parameters::read(text)?;
    let mut rotary = Rotary::default();
    let base = parameters.base(text)?;
    rotary.put("rope.freq_base", "rope_theta", base);
    if let Some(base) = parameters.local_base(text)? {
        rotary.put("rope.freq_base_swa", "rope_local_base_freq", base);
    }
    let share = parameters.number("partial_rotary_factor")?;
    let share = share
        .or(text.float("partial_rotary_factor")?)
        .unwrap_or(1.0);
    let width = (head_dim as f64 * share) as u64;
    if share != 1.0 {
        let field = "partial_rotary_factor".to_owned();
        let width = Value::U64(width);
        rotary.numbers.push(("rope.dimension_count", field, width));
    }
    // No head has more.
    let pairs = usize::try_from(width / 2).unwrap_or(0).min(1 << 16);
    rotary.add_scaling(text, &parameters, base, pairs)?;
    Ok(rotary)
}

impl Rotary {
    fn put(&mut self, part: &'static str, field: &str, number: f64) {
        let value = Value::F64(number);
        self.numbers.push((part, field.to_owned(), value));
    }

    fn add_scaling(
        &mut self,
        text: &Fields,
        parameters: &Parameters,
        base: f64,
        pairs: usize,
    ) -> Result<()> {
        let Some(scaling) = &parameters.global else {
            return Ok(());
        };
        match scaling.string("rope_type")?.or(scaling.string("type")?) {
            None | Some("default") => Ok(()),
            Some("linear") => {
                self.scaling_type("linear");
                self.put(
                    "rope.scaling.factor",
                    "rope_scaling.factor",
                    positive(scaling, "factor")?,
                );
                Ok(())
            }
            Some("llama3") => {
                let factors = llama3_factors(scaling, base, pairs)?;
                self.factors.push(("rope_freqs.weight", factors));
                Ok(())
            }
            Some("longrope" | "su") => self.add_long(text, scaling),
            Some(other) => Err(scaling.unsupported("rotary scaling", other, KINDS)),
        }
    }

    fn scaling_type(&mut self, name: &str) {
        let field = "rope_scaling.type".to_owned();
        let value = Value::String(name.to_owned());
        self.numbers.push(("rope.scaling.type", field, value));
    }

    /// LongRoPE (Ding et al. 2024): a set of factors up to the context of the first training, another
    /// beyond it.
    fn add_long(&mut self, text: &Fields, scaling: &Fields) -> Result<()> {
        const ORIGINAL: &str = "original_max_position_embeddings";
        self.scaling_type("longrope");
        for (tensor, name) in [
            ("rope_factors_short.weight", "short_factor"),
            ("rope_factors_long.weight", "long_factor"),
        ] {
            let factors = scaling.floats(name)?;
            let factors = factors.ok_or_else(|| scaling.missing(name))?;
            let factors = factors.into_iter().map(|factor| factor as f32).collect();
            self.factors.push((tensor, factors));
        }
        let original = match scaling.integer(ORIGINAL)? {
            Some(original) => original,
            None => text
                .integer(ORIGINAL)?
                .ok_or_else(|| text.missing(ORIGINAL))?,
        };
        let value = Value::U64(original);
        let part = "rope.scaling.original_context_length";
        self.numbers.push((part, ORIGINAL.to_owned(), value));
        let magnitude = match scaling.float("attention_factor")? {
            Some(stated) => stated,
            None => long_magnitude(text, scaling, original)?,
        };
        self.put(
            "rope.scaling.attn_factor",
            "rope_scaling.attention_factor",
            magnitude,
        );
        Ok(())
    }
}

/// Where the numbers are.
struct Parameters {
    /// Of all blocks, or of those without a window.
    global: Option<Fields>,
    /// Of blocks with a window, where they are others.
    local: Option<Fields>,
}

impl Parameters {
    fn read(text: &Fields) -> Result<Self> {
        let scaling = text.section("rope_scaling")?;
        let Some(parameters) = text.section("rope_parameters")? else {
            return Ok(Self {
                global: scaling,
                local: None,
            });
        };
        Ok(match parameters.section("full_attention")? {
            Some(global) => Self {
                global: Some(global),
                local: parameters.section("sliding_attention")?,
            },
            None => Self {
                global: Some(parameters),
                local: None,
            },
        })
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        match &self.global {
            Some(global) => global.float(name),
            None => Ok(None),
        }
    }

    fn base(&self, text: &Fields) -> Result<f64> {
        let stated = self.number("rope_theta")?;
        Ok(stated.or(text.float("rope_theta")?).unwrap_or(10_000.0))
    }

    fn local_base(&self, text: &Fields) -> Result<Option<f64>> {
        let stated = match &self.local {
            Some(local) => local.float("rope_theta")?,
            None => None,
        };
        Ok(stated.or(text.float("rope_local_base_freq")?))
    }
}

/// Llama 3.1 divides the frequencies of waves longer than the first training's context by `factor`,
/// leaves those of short waves, and goes from one to the other in between.
fn llama3_factors(scaling: &Fields, base: f64, pairs: usize) -> Result<Vec<f32>> {
    let factor = positive(scaling, "factor")?;
    let low = positive(scaling, "low_freq_factor")?;
    let high = positive(scaling, "high_freq_factor")?;
    let original = positive(scaling, "original_max_position_embeddings")?;
    if high <= low {
        return Err(scaling.bad("high_freq_factor", "must be greater than low_freq_factor"));
    }
    let factors = (0..pairs).map(|pair| {
        let wavelength = TAU * base.powf(pair as f64 / pairs as f64);
        // Waves that fit into the context: 1 and more of the short ones' share, 0 and less of the long.
        let share = ((original / wavelength - low) / (high - low)).clamp(0.0, 1.0);
        ((1.0 - share) / factor + share).recip() as f32
    });
    Ok(factors.collect())
}

/// What transformers multiplies rotated components by where the file does not say.
fn long_magnitude(text: &Fields, scaling: &Fields, original: u64) -> Result<f64> {
    let trained = text.float("max_position_embeddings")?.unwrap_or(0.0);
    let stretch = match scaling.float("factor")? {
        Some(factor) => factor,
        None => trained / original as f64,
    };
    Ok(match stretch > 1.0 && original > 1 {
        true => (1.0 + stretch.ln() / (original as f64).ln()).sqrt(),
        false => 1.0,
    })
}

fn positive(scaling: &Fields, name: &str) -> Result<f64> {
    match scaling.float(name)? {
        None => Err(scaling.missing(name)),
        Some(number) if number > 0.0 => Ok(number),
        Some(_) => Err(scaling.bad(name, "must be greater than 0")),
    }
}
