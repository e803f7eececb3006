//! The feed-forward part: to more values, through an activation, and back.

use candle_core::{DType, Result, Tensor};

use super::bytes;
use super::loader::Loader;
use super::marked::{MARKS, ONE};

/// What is done to each value between the two maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// The Gaussian error linear unit (Hendrycks and Gimpel 2016).
    Gelu,
    /// The same, by a hyperbolic tangent.
    GeluTanh,
    /// Nothing for what is negative.
    Relu,
}

/// A value that every activation leaves as it is, in f16 and bf16 too: it carries the second map's bias past them.
const STEADY: f32 = 8.0;

/// Two maps with an activation between them.
#[derive(Debug)]
pub(crate) struct FeedForward {
    /// (hidden + [`MARKS`], inner + [`MARKS`]), a transposed view. One inner value is [`STEADY`].
    up: Tensor,
    /// (inner + [`MARKS`], hidden), a transposed view.
    down: Tensor,
    activation: Activation,
}

impl FeedForward {
    /// Reads both maps.
    pub(crate) fn load(
        loader: &Loader<'_>,
        [up, down]: [String; 2],
        (hidden, inner): (usize, usize),
        activation: Activation,
    ) -> crate::Result<Self> {
        let map = loader.map(&up, inner, hidden)?;
        let mut rows = Vec::with_capacity((inner + MARKS) * (hidden + MARKS));
        for (row, bias) in map.rows.chunks_exact(hidden).zip(&map.bias) {
            rows.extend_from_slice(row);
            rows.extend((0..MARKS).map(|mark| if mark == ONE { *bias } else { 0.0 }));
        }
        let steady = rows.len() + hidden + ONE;
        rows.resize((inner + MARKS) * (hidden + MARKS), 0.0);
        rows[steady] = STEADY;
        let up_rows = loader.place(&up, rows, &[inner + MARKS, hidden + MARKS])?;

        let map = loader.map(&down, hidden, inner)?;
        let mut rows = Vec::with_capacity((inner + MARKS) * hidden);
        for (row, bias) in map.rows.chunks_exact(inner).zip(&map.bias) {
            rows.extend_from_slice(row);
            rows.push(bias / STEADY);
            rows.extend([0.0; MARKS - 1]);
        }
        let down_rows = loader.place(&down, rows, &[hidden, inner + MARKS])?;

        let turned = |name: &str, rows: Tensor| {
            let turned = rows.t();
            turned.map_err(|error| loader.source.bad(name, error.to_string()))
        };
        Ok(Self {
            up: turned(&up, up_rows)?,
            down: turned(&down, down_rows)?,
            activation,
        })
    }

    /// Memory of the weights.
    pub(crate) fn bytes(&self) -> usize {
        bytes(&self.up) + bytes(&self.down)
    }

    /// (texts, tokens, hidden + [`MARKS`]) -> (texts, tokens, hidden)
    pub(crate) fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let (texts, tokens, width) = states.dims3()?;
        let inner = states.reshape((texts * tokens, width))?.matmul(&self.up)?;
        let inner = match self.activation {
            Activation::Gelu => inner.gelu_erf()?,
            // In 16 bits Candle adds one to what is nearly minus one.
            Activation::GeluTanh => inner
                .to_dtype(DType::F32)?
                .gelu()?
                .to_dtype(inner.dtype())?,
            Activation::Relu => inner.relu()?,
        };
        let outputs = inner.matmul(&self.down)?;
        outputs.reshape((texts, tokens, self.down.dim(1)?))
    }
}
