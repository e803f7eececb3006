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

    /// (texts, tokens, hidden) -> (texts, hidden), summed in f32. `shares` are what each token counts.
    pub(super) fn forward(self, states: &Tensor, shares: &Tensor) -> Result<Tensor> {
        match self {
            Self::Cls => states.narrow(1, 0, 1)?.squeeze(1)?.to_dtype(DType::F32),
            // A product with the shares sums and divides at once.
            Self::Mean => shares.matmul(&states.to_dtype(DType::F32)?)?.squeeze(1),
        }
    }
}

/// What each token of texts of these lengths counts in their mean, (texts, 1, tokens).
pub(super) fn shares(lengths: &[usize], longest: usize, device: &Device) -> Result<Tensor> {
    let mut shares = Vec::with_capacity(lengths.len() * longest);
    for length in lengths {
        let share = 1.0 / (*length).max(1) as f32;
        shares.extend((0..longest).map(|place| if place < *length { share } else { 0.0 }));
    }
    Tensor::from_vec(shares, (lengths.len(), 1, longest), device)
}

/// Divides a vector by its length. As in PyTorch, lengths under 1e-12 count as that, so that a zero vector stays
/// one.
pub(super) fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let scale = 1.0 / length.max(1e-12);
    vector.iter_mut().for_each(|value| *value *= scale);
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

    fn pooled(pooling: Pooling, lengths: &[usize]) -> Vec<Vec<f32>> {
        let shares = shares(lengths, 3, &Device::Cpu).unwrap();
        let pooled = pooling.forward(&states(), &shares).unwrap();
        pooled.to_vec2::<f32>().unwrap()
    }

    #[test]
    fn the_mean_leaves_padding_out() {
        let pooled = pooled(Pooling::Mean, &[2, 3]);
        for (row, expected) in pooled.iter().zip([[2.0, 3.0], [7.0, 8.0]]) {
            for (value, expected) in row.iter().zip(expected) {
                assert!((value - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn cls_takes_the_first_token() {
        assert_eq!(pooled(Pooling::Cls, &[2, 3]), [[1.0, 2.0], [5.0, 6.0]]);
    }

    #[test]
    fn slices_are_pooled_as_tensors_are() {
        let states = states();
        for pooling in [Pooling::Mean, Pooling::Cls] {
            let mut expected = pooled(pooling, &[3, 3]);
            for (text, expected) in expected.iter_mut().enumerate() {
                normalise(expected);
                let states = states.get(text).unwrap().flatten_all().unwrap();
                let found = pooling.pool(&states.to_vec1::<f32>().unwrap(), 2);
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - *expected).abs() < 1e-6);
                }
            }
        }
        assert_eq!(Pooling::Mean.pool(&[0.0; 4], 2), [0.0, 0.0]);
    }

    #[test]
    fn vectors_get_unit_length_and_zero_stays_zero() {
        let mut vectors = [[3.0f32, 4.0], [0.0, 0.0]];
        vectors.iter_mut().for_each(|vector| normalise(vector));
        for (found, expected) in vectors.iter().flatten().zip([0.6, 0.8, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-7);
        }
    }
}
