//! States with marks beside them: a column that is one, which carries the biases of a product, and a column that
//! says which tokens nobody may look at.

use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor};

/// Columns beside the states. Two are used; cards read rows fastest that begin at multiples of 16 bytes.
pub(super) const MARKS: usize = 8;
/// The column that is one.
pub(super) const ONE: usize = 0;
/// The column that is [`UNSEEN`] for padding and nothing for tokens.
pub(super) const MASK: usize = 1;
/// What is added to the scores of padding: no score outweighs it, its exponential is nothing, and f16 holds it.
const UNSEEN: f32 = -30_000.0;

/// Marks for texts of so many places, (texts, places, [`MARKS`]), of which `padding` says which are none.
pub(crate) fn marks(
    padding: &[Range<usize>],
    places: usize,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    let mut marks = vec![0f32; padding.len() * places * MARKS];
    let texts = marks.chunks_exact_mut((places * MARKS).max(1));
    for (text, padding) in texts.zip(padding) {
        for (place, marks) in text.chunks_exact_mut(MARKS).enumerate() {
            marks[ONE] = 1.0;
            marks[MASK] = if padding.contains(&place) {
                UNSEEN
            } else {
                0.0
            };
        }
    }
    let marks = Tensor::from_vec(marks, (padding.len(), places, MARKS), &Device::Cpu)?;
    marks.to_dtype(dtype)?.to_device(device)
}

/// States with their marks, in memory that is written over layer by layer.
pub(crate) struct Marked {
    /// (texts, places, hidden + [`MARKS`])
    buffer: Tensor,
}

impl Marked {
    /// Room for states of a width beside marks.
    pub(crate) fn new(marks: &Tensor, hidden: usize) -> Result<Self> {
        let (texts, places, _) = marks.dims3()?;
        let shape = (texts, places, hidden + MARKS);
        let buffer = Tensor::zeros(shape, marks.dtype(), marks.device())?;
        buffer.slice_set(marks, 2, hidden)?;
        Ok(Self { buffer })
    }

    /// The states, (texts, places, hidden), with the marks. What was put in before is gone: products that read it
    /// have been queued before this is.
    pub(crate) fn put(&self, states: &Tensor) -> Result<&Tensor> {
        self.buffer.slice_set(states, 2, 0)?;
        Ok(&self.buffer)
    }
}
