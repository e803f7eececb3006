//! What a decoder's numbers are kept in.
//!
//! On the processor everything is f32: there this code is the reference, and what runs where no kernel does. On a
//! card states, weights and cache of a model in 16 bits stay in its 16 bits, which is what cards multiply fastest and
//! half of what must be read; sums within products are in f32, and so are angles and the weighing of scores. States
//! of a quantised model are f32, as the products with its blocks want them, and its keys and values f16.

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device};

use crate::model_file::ModelFile;

/// What a decoder's numbers are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compute {
    /// States, and matrices that are not quantised.
    pub(super) states: DType,
    /// Keys and values.
    pub(super) cache: DType,
    /// Whether quantised matrices stay in the blocks that the file has them in, or become dense ones.
    pub(super) keeps_blocks: bool,
}

impl Compute {
    /// All in f32.
    pub(super) const F32: Self = Self {
        states: DType::F32,
        cache: DType::F32,
        keeps_blocks: false,
    };

    /// What suits the weights of a file and a device.
    pub(super) fn suiting(file: &ModelFile, device: &Device) -> Self {
        match device {
            Device::Cpu => Self::F32,
            _ => Self::on_a_card(file.tensor_dtype("blk.0.ffn_down.weight")),
        }
    }

    /// What suits a card and matrices of this type.
    pub(crate) fn on_a_card(weights: Option<GgmlDType>) -> Self {
        match weights {
            Some(GgmlDType::BF16) => Self::all(DType::BF16),
            Some(GgmlDType::F16) => Self::all(DType::F16),
            Some(GgmlDType::F32) | None => Self::all(DType::F32),
            Some(_) => Self {
                states: DType::F32,
                cache: DType::F16,
                keeps_blocks: true,
            },
        }
    }

    /// The same, with quantised matrices made dense.
    #[cfg(test)]
    pub(crate) const fn without_blocks(self) -> Self {
        Self {
            keeps_blocks: false,
            ..self
        }
    }

    /// On a card, the same type for all.
    pub(crate) const fn all(dtype: DType) -> Self {
        Self {
            states: dtype,
            cache: dtype,
            keeps_blocks: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_keep_the_type_that_a_model_was_published_in() {
        let of = |dtype| Compute::on_a_card(Some(dtype));
        assert_eq!(of(GgmlDType::BF16), Compute::all(DType::BF16));
        assert_eq!(of(GgmlDType::F16), Compute::all(DType::F16));
        assert_eq!(of(GgmlDType::F32), Compute::all(DType::F32));
        let quantised = of(GgmlDType::Q4K);
        assert_eq!(
            (quantised.states, quantised.cache),
            (DType::F32, DType::F16)
        );
    }
}
