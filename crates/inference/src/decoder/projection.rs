//! Linear maps that share an input, as one product where that is possible.
//!
//! Candle's product of a single row runs on one thread. It is bound by memory, and one thread does
//! not use all of that, so such a product is cut into one share of outputs a thread. Each output is
//! the same sum whoever computes it, so answers do not depend on the number of threads.

use candle_core::quantized::QMatMul;
use candle_core::{DType, Module, Result, Tensor};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

/// Weights of a matrix that are worth sharing out; fewer are read in the time a thread takes to wake.
const WORTH_SHARING: usize = 256 * 1024;

/// One or more linear maps of one input; their outputs lie side by side.
#[derive(Debug)]
pub(super) struct Projection {
    matrices: Matrices,
    bias: Option<Tensor>,
}

#[derive(Debug)]
enum Matrices {
    /// All outputs in one matrix: (inputs, outputs), a transposed view of what is in memory,
    /// so that each output's weights lie together. `shares` are views of the same memory, each with
    /// some of the outputs.
    Dense { whole: Tensor, shares: Vec<Tensor> },
    /// Quantised matrices, neighbours of different types.
    Quantised(Vec<QMatMul>),
}

impl Projection {
    /// A matrix (outputs, inputs).
    pub(super) fn dense(matrix: Tensor, bias: Option<Tensor>) -> Result<Self> {
        Ok(Self {
            matrices: Matrices::Dense {
                whole: matrix.t()?,
                shares: shares(&matrix)?,
            },
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

    /// Memory of the matrices.
    pub(super) fn weight_bytes(&self) -> usize {
        match &self.matrices {
            Matrices::Dense { whole, .. } => whole.elem_count() * whole.dtype().size_in_bytes(),
            Matrices::Quantised(matrices) => matrices.iter().map(quantised_bytes).sum(),
        }
    }

    /// (tokens, inputs) -> (tokens, outputs)
    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let output = match &self.matrices {
            Matrices::Dense { shares, .. } if input.dim(0)? == 1 && shares.len() > 1 => {
                let outputs = shares.par_iter().map(|share| input.matmul(share));
                Tensor::cat(&outputs.collect::<Result<Vec<Tensor>>>()?, 1)?
            }
            Matrices::Dense { whole, .. } => input.matmul(whole)?,
            Matrices::Quantised(matrices) => {
                // The products with blocks take and give f32.
                let rows = input.to_dtype(DType::F32)?;
                let outputs = matrices.iter().map(|matrix| matrix.forward(&rows));
                let outputs = outputs.collect::<Result<Vec<Tensor>>>()?;
                joined(&outputs)?.to_dtype(input.dtype())?
            }
        };
        match &self.bias {
            Some(bias) => output.broadcast_add(bias),
            None => Ok(output),
        }
    }
}

/// Outputs side by side.
fn joined(outputs: &[Tensor]) -> Result<Tensor> {
    match outputs {
        [only] => Ok(only.clone()),
        several => Tensor::cat(several, 1),
    }
}

fn quantised_bytes(matrix: &QMatMul) -> usize {
    match matrix {
        QMatMul::QTensor(tensor) => tensor.storage_size_in_bytes(),
        QMatMul::Tensor(tensor) | QMatMul::TensorF16(tensor) => {
            tensor.elem_count() * tensor.dtype().size_in_bytes()
        }
    }
}

/// Cuts (outputs, inputs) into transposed views, one a thread.
fn shares(matrix: &Tensor) -> Result<Vec<Tensor>> {
    if !matrix.device().is_cpu() || matrix.elem_count() < WORTH_SHARING {
        return Ok(Vec::new());
    }
    let shares = matrix.chunk(rayon::current_num_threads(), 0)?;
    shares.iter().map(Tensor::t).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn shared_out_products_are_the_whole_product() {
        let device = Device::Cpu;
        let matrix = Tensor::rand(-1f32, 1.0, (1027, 512), &device).unwrap();
        let bias = Tensor::rand(-1f32, 1.0, 1027, &device).unwrap();
        let rows = Tensor::rand(-1f32, 1.0, (2, 512), &device).unwrap();
        let projection = Projection::dense(matrix, Some(bias)).unwrap();
        assert!(
            !shares(&Tensor::zeros((1027, 512), candle_core::DType::F32, &device).unwrap())
                .unwrap()
                .is_empty()
        );
        let together = projection.forward(&rows).unwrap().to_vec2::<f32>().unwrap();
        for (index, expected) in together.iter().enumerate() {
            let row = rows.narrow(0, index, 1).unwrap();
            let alone = projection.forward(&row).unwrap().to_vec2::<f32>().unwrap();
            for (alone, expected) in alone[0].iter().zip(expected) {
                assert!((alone - expected).abs() < 1e-4);
            }
        }
    }
}
