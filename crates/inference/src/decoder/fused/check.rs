//! That what is done in one comes to what Candle's operators come to, on small tensors of a device.

use candle_core::{DType, Device, Result, Tensor};
use longtrainer_kernels::RotaryLayout;

use super::Fused;
use super::attention::Lookers;
use super::softmax::{Scored, Seen};
use crate::decoder::architecture::Activation;
use crate::decoder::norm::RmsNorm;
use crate::decoder::rotary::Angles;
use crate::decoder::sight::{Stand, mask};
use crate::engine::BLOCK_TOKENS;

/// Tokens of each part, and where the parts' first tokens stand among the positions.
const TOKENS: usize = 4;
const LEADS: [u32; 3] = [0, 17, 296];
const POSITIONS: usize = 300;

/// Where the tokens of some parts stand, and their pages.
const FEW_PARTS: [[u32; 4]; 3] = [[0, 4, 4, 4], [299, 3, 5, 1], [128, 0, 2, 2]];
const PAGES: usize = 6;

/// So many that none of them is split.
fn many_parts() -> Result<Tensor> {
    let rows = (0..520u32).flat_map(|part| [part % BLOCK_TOKENS as u32, part % PAGES as u32]);
    Tensor::from_vec(rows.collect::<Vec<u32>>(), ((), 2), &Device::Cpu)
}

/// An error that says what is wrong, if anything is.
pub(super) fn check(fused: &Fused, device: &Device) -> Result<()> {
    let dtypes: &[DType] = match device {
        // The plain versions have one type.
        Device::Cpu => &[DType::F32],
        _ => &[DType::F32, DType::F16, DType::BF16],
    };
    dtypes.iter().try_for_each(|dtype| {
        let check = Check {
            fused,
            device,
            dtype: *dtype,
        };
        check.turned(*dtype)?;
        check.gated()?;
        check.added_and_normed()?;
        check.shares(None, usize::MAX)?;
        check.shares(Some(2.0), 5)?;
        let few = Tensor::new(&FEW_PARTS, &Device::Cpu)?;
        check.attended(1, &few, None, usize::MAX)?;
        check.attended(2, &few, None, usize::MAX)?;
        check.attended(3, &few, Some(2.0), 200)?;
        check.attended(5, &few, None, usize::MAX)?;
        check.attended(1, &many_parts()?, None, usize::MAX)
    })?;
    let quantised = Check {
        fused,
        device,
        dtype: DType::F32,
    };
    match device {
        Device::Cpu => Ok(()),
        _ => quantised.turned(DType::F16),
    }
}

struct Check<'fused> {
    fused: &'fused Fused,
    device: &'fused Device,
    dtype: DType,
}

impl Check<'_> {
    fn turned(&self, to: DType) -> Result<()> {
        for (layout, pairs) in [(RotaryLayout::Interleaved, 32), (RotaryLayout::Halves, 20)] {
            let angles = Angles {
                cosines: self.random(&[5, pairs])?.to_dtype(DType::F32)?,
                sines: self.random(&[5, pairs])?.to_dtype(DType::F32)?,
                layout,
                scale: 0.5,
            };
            let heads = self.random(&[3, 5, 64])?;
            self.compare("turned", |fused| fused.turned(&heads, &angles, to))?;
        }
        Ok(())
    }

    fn gated(&self) -> Result<()> {
        let both = self.random(&[5, 2 * 150])?;
        for activation in [Activation::Silu, Activation::GeluTanh] {
            // In f32 there: in 16 bits Candle's operators round more than once.
            let exact = both.to_dtype(DType::F32)?;
            self.compare("gated", |fused| match fused.is_on() {
                true => fused.gated(&both, activation),
                false => fused.gated(&exact, activation),
            })?;
        }
        Ok(())
    }

    fn added_and_normed(&self) -> Result<()> {
        let (states, more) = (self.random(&[5, 600])?, self.random(&[5, 600])?);
        let norm = RmsNorm {
            scale: self.random(&[600])?,
            epsilon: 1e-5,
        };
        self.compare("added", |fused| {
            Ok(fused.added_and_normed(&states, &more, &norm)?.0)
        })?;
        self.compare("normed", |fused| {
            Ok(fused.added_and_normed(&states, &more, &norm)?.1)
        })
    }

    fn shares(&self, cap: Option<f64>, window: usize) -> Result<()> {
        let (kv_heads, group, first, tokens) = (2, 2, 1, TOKENS - 1);
        let stands = LEADS.map(|lead| Stand {
            position: lead as usize,
            first: 0,
        });
        let mask = mask(&stands, TOKENS, POSITIONS, window, self.device)?;
        let leads = Tensor::new(&LEADS, self.device)?;
        let of = Scored {
            parts: LEADS.len(),
            group,
            tokens,
            first,
            cap,
        };
        let scores = self.random(&[kv_heads * LEADS.len(), group * tokens, POSITIONS])?;
        let mask = Seen::Mask(mask);
        let leads = Seen::UpToOwn { leads, window };
        self.compare("shares", |fused| match fused.is_on() {
            true => fused.shares(scores.clone(), &leads, of),
            false => fused.shares(scores.clone(), &mask, of),
        })
    }

    /// Against the plain version, on the processor.
    fn attended(
        &self,
        group: usize,
        table: &Tensor,
        cap: Option<f64>,
        window: usize,
    ) -> Result<()> {
        const KV_HEADS: usize = 2;
        let parts = table.dim(0)?;
        let lookers = Lookers {
            first_row: 1,
            window,
            cap,
        };
        let widths = [64, 96, 128, 256].into_iter();
        for width in widths.filter(|width| self.fused.attends(*width, self.dtype)) {
            let queries = self.random(&[KV_HEADS * group, parts + 2, width])?;
            let queries = (queries * (width as f64).powf(-0.5))?;
            let cached = self.random(&[2 * KV_HEADS, PAGES * BLOCK_TOKENS, width])?;
            let plain = |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32);
            let (plain_queries, plain_cached) = (plain(&queries)?, plain(&cached)?);
            let expected = Fused::on_processor();
            let expected = expected.attended(&plain_queries, &plain_cached, table, lookers)?;
            let table = table.to_device(self.device)?;
            self.compare("attended", |fused| match fused.is_on() {
                true => fused.attended(&queries, &cached, &table, lookers),
                false => Ok(expected.clone()),
            })?;
        }
        Ok(())
    }

    fn random(&self, shape: &[usize]) -> Result<Tensor> {
        let numbers = Tensor::rand(-2f32, 2.0, shape, &Device::Cpu)?;
        numbers.to_device(self.device)?.to_dtype(self.dtype)
    }

    fn compare(&self, what: &str, compute: impl Fn(&Fused) -> Result<Tensor>) -> Result<()> {
        let (found, expected) = (compute(self.fused)?, compute(&Fused::default())?);
        if found.dims() != expected.dims() {
            candle_core::bail!("{what}: {found:?} instead of {expected:?}");
        }
        // Of each number, and of small ones.
        let (share, least) = match (self.dtype, found.dtype()) {
            (DType::BF16, _) => (0.02, 0.002),
            (DType::F16, _) | (_, DType::F16) => (0.003, 0.0005),
            _ => (1e-4, 1e-5),
        };
        // Compared here: a card's maximum passes over what is no number.
        let numbers = |tensor: Tensor| tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>();
        for (found, expected) in numbers(found)?.into_iter().zip(numbers(expected)?) {
            let is_close = (found - expected).abs() <= share * expected.abs() + least;
            if !is_close {
                let dtype = self.dtype;
                candle_core::bail!("{what} in {dtype:?}: {found} instead of {expected}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_versions_are_right() {
        check(&Fused::on_processor(), &Device::Cpu).unwrap();
    }
}
