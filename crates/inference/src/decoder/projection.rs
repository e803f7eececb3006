//! Linear maps that share an input, as one product where that is possible.

use candle_core::quantized::QMatMul;
use candle_core::{Module, Result, Tensor};

/// One or more linear maps of one input; their outputs lie side by side.
#[derive(Debug)]
pub(super) struct Projection {
    matrices: Matrices,
    bias: Option<Tensor>,
}

#[derive(Debug)]
enum Matrices {
    /// All outputs in one f32 matrix: (inputs, outputs), a transposed view of what is in memory,
    /// so that each output's weights lie together.
    Dense(Tensor),
    /// A quantised matrix each, as their types may differ.
    Quantised(Vec<QMatMul>),
}

impl Projection {
    /// Joins matrices of shape (outputs, inputs).
    pub(super) fn dense(matrices: &[Tensor], bias: Option<Tensor>) -> Result<Self> {
        let joined = match matrices {
            [single] => single.clone(),
            several => Tensor::cat(several, 0)?,
        };
        Ok(Self {
            matrices: Matrices::Dense(joined.t()?),
            bias,
        })
    }

    /// Keeps quantised matrices.
    pub(super) fn quantised(matrices: Vec<QMatMul>, bias: Option<Tensor>) -> Self {
        Self {
            matrices: Matrices::Quantised(matrices),
            bias,
        }
    }

    /// (tokens, inputs) -> (tokens, outputs)
    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let output = match &self.matrices {
            Matrices::Dense(matrix) => input.matmul(matrix)?,
            Matrices::Quantised(matrices) => {
                let outputs = matrices.iter().map(|matrix| matrix.forward(input));
                Tensor::cat(&outputs.collect::<Result<Vec<Tensor>>>()?, 1)?
            }
        };
        match &self.bias {
            Some(bias) => output.broadcast_add(bias),
            None => Ok(output),
        }
    }
}
