//! From the states of tokens to one vector of unit length.

use candle_core::{DType, Device, Result, Tensor};

/// How the states of a text become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// The mean over the text's tokens, padding left out.
    Mean,
    /// The state of the first token.
    Cls,
}

impl Pooling {
    /// One text's states, a row of `hidden` values a token, to its vector of unit length. As in
    /// PyTorch, a length under 1e-12 counts as that, so that a zero vector stays one.
    pub(super) fn pool(self, states: &[f32], hidden: usize) -> Vec<f32> {
        let tokens = match self {
            Self::Cls => 1,
            Self::Mean => states.len() / hidden,
        };
        let mut vector = vec![0f32; hidden];
        for state in states.chunks_exact(hidden).take(tokens) {
            vector
                .iter_mut()
                .zip(state)
                .for_each(|(sum, value)| *sum += value);
        }
        let share = 1.0 / tokens.max(1) as f32;
        let length = vector
            .iter()
            .map(|sum| (sum * share) * (sum * share))
            .sum::<f32>()
            .sqrt();
        let scale = share / length.max(1e-12);
        vector.iter_mut().for_each(|value| *value *= scale);
        vector
    }

    /// (texts, tokens, hidden) -> (texts, hidden)
    pub(super) fn forward(self, states: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        match self {
            Self::Cls => states.narrow(1, 0, 1)?.squeeze(1),
            Self::Mean => {
                // A product with the shares of each token sums and divides at once.
                let shares = shares(lengths, states.dim(1)?, states.device())?; // (texts, 1, tokens)
                shares.matmul(states)?.squeeze(1)
            }
        }
    }
}

fn shares(lengths: &[usize], longest: usize, device: &Device) -> Result<Tensor> {
    let mut shares = Vec::with_capacity(lengths.len() * longest);
    for length in lengths {
        let share = 1.0 / (*length).max(1) as f32;
        shares.extend((0..longest).map(|place| if place < *length { share } else { 0.0 }));
    }
    Tensor::from_vec(shares, (lengths.len(), 1, longest), device)
}

/// Divides each row of (texts, hidden) by its length. As in PyTorch, lengths under 1e-12 count as
/// that, so that a zero vector stays one.
pub(super) fn normalise(vectors: &Tensor) -> Result<Tensor> {
    let vectors = vectors.to_dtype(DType::F32)?;
    let lengths = vectors.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-12f64)?;
    vectors.broadcast_div(&lengths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> Tensor {
        let values = [
            1.0f32, 2.0, 3.0, 4.0, 100.0, 200.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0,
        ];
        Tensor::from_slice(&values, (2, 3, 2), &Device::Cpu).unwrap()
    }

    #[test]
    fn the_mean_leaves_padding_out() {
        let pooled = Pooling::Mean.forward(&states(), &[2, 3]).unwrap();
        let pooled = pooled.to_vec2::<f32>().unwrap();
        for (row, expected) in pooled.iter().zip([[2.0, 3.0], [7.0, 8.0]]) {
            for (value, expected) in row.iter().zip(expected) {
                assert!((value - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn cls_takes_the_first_token() {
        let pooled = Pooling::Cls.forward(&states(), &[2, 3]).unwrap();
        assert_eq!(pooled.to_vec2::<f32>().unwrap(), [[1.0, 2.0], [5.0, 6.0]]);
    }

    #[test]
    fn slices_are_pooled_as_tensors_are() {
        let states = states();
        for pooling in [Pooling::Mean, Pooling::Cls] {
            let expected = normalise(&pooling.forward(&states, &[3, 3]).unwrap()).unwrap();
            let expected = expected.to_vec2::<f32>().unwrap();
            for (text, expected) in expected.iter().enumerate() {
                let states = states.get(text).unwrap().flatten_all().unwrap();
                let found = pooling.pool(&states.to_vec1::<f32>().unwrap(), 2);
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-6);
                }
            }
        }
        assert_eq!(Pooling::Mean.pool(&[0.0; 4], 2), [0.0, 0.0]);
    }

    #[test]
    fn rows_get_unit_length_and_zero_stays_zero() {
        let rows = Tensor::new(&[[3.0f32, 4.0], [0.0, 0.0]], &Device::Cpu).unwrap();
        let rows = normalise(&rows).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows, [[0.6, 0.8], [0.0, 0.0]]);
    }
}
