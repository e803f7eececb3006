//! The encoder over Candle, from tokens to vectors: on graphics cards, and as the reference in the tests.

use candle_core::{Device, Tensor};

use super::batch::{self, Batch};
use super::bert::Bert;
use super::folder::ModelFolder;
use super::options::CardPrecision;
use super::pooling::{self, Pooling};
use crate::Result;
use crate::device::explained;
use crate::error::ComputeError;
use crate::tensor_blocks::marks;

/// The encoder over Candle.
#[derive(Debug)]
pub(super) struct CandleBert {
    bert: Bert,
    pooling: Pooling,
    device: Device,
    precision: CardPrecision,
}

/// A batch on its way to the card.
struct Input {
    ids: Tensor,
    marks: Tensor,
    shares: Tensor,
}

/// Batches that are queued on the card before the first one's vectors are waited for.
const QUEUED: usize = 32;

impl CandleBert {
    /// Reads the weights of a folder onto a device.
    pub(super) fn load(
        folder: &ModelFolder,
        device: &Device,
        precision: CardPrecision,
    ) -> Result<Self> {
        Ok(Self {
            bert: Bert::load(folder, device, precision.dtype())?,
            pooling: folder.pooling,
            device: device.clone(),
            precision,
        })
    }

    /// Components of a vector.
    pub(super) fn dimension(&self) -> usize {
        self.bert.dimension()
    }

    /// Memory of the weights.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bert.memory_bytes()
    }

    /// Vectors of texts, in their order.
    pub(super) fn embed(&self, texts: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>, ComputeError> {
        self.check_vocabulary(&texts)?;
        let mut vectors = vec![Vec::new(); texts.len()];
        let batches = batch::by_length(texts, self.bert.positions());
        for batches in batches.chunks(QUEUED) {
            let embedded = self.embed_batches(batches);
            let embedded = embedded.map_err(|error| explained(error, &self.device))?;
            let positions = batches.iter().flat_map(Batch::positions);
            for (position, vector) in positions.zip(embedded) {
                vectors[position] = vector;
            }
        }
        vectors
            .iter_mut()
            .try_for_each(|vector| self.finish(vector))?;
        Ok(vectors)
    }

    /// Vectors of batches, one after the other and each in its order. A card is given all to do before any result is
    /// waited for, so that it need not wait for us between two of them.
    fn embed_batches(&self, batches: &[Batch]) -> candle_core::Result<Vec<Vec<f32>>> {
        let inputs: Vec<Input> = batches
            .iter()
            .map(|batch| self.input(batch))
            .collect::<candle_core::Result<_>>()?;
        let vectors: Vec<Tensor> = inputs
            .iter()
            .map(|input| self.forward(input))
            .collect::<candle_core::Result<_>>()?;
        let mut read = Vec::new();
        for vectors in &vectors {
            read.extend(vectors.to_vec2::<f32>()?);
        }
        Ok(read)
    }

    fn input(&self, batch: &Batch) -> candle_core::Result<Input> {
        let (device, dtype) = (&self.device, self.precision.dtype());
        let (texts, places) = batch.shape();
        let ids = batch.padded_ids(self.bert.padding_id());
        Ok(Input {
            ids: Tensor::from_vec(ids, (texts, places), device)?,
            marks: marks(&batch.padding(), places, dtype, device)?,
            shares: pooling::shares(batch.lengths(), places, device)?,
        })
    }

    /// (texts, hidden), of any length.
    fn forward(&self, input: &Input) -> candle_core::Result<Tensor> {
        let states = self.bert.forward(&input.ids, &input.marks)?; // (texts, tokens, hidden)
        self.pooling.forward(&states, &input.shares)
    }

    /// Makes a vector's length one. One that went beyond what can be computed in is not given out.
    fn finish(&self, vector: &mut [f32]) -> Result<(), ComputeError> {
        if !vector.iter().all(|value| value.is_finite()) {
            let problem = "a vector is no finite numbers: this model cannot be computed in";
            return Err(format!("{problem} {:?}", self.precision).into());
        }
        pooling::normalise(vector);
        Ok(())
    }

    /// Cards read whatever lies where a row would be.
    fn check_vocabulary(&self, texts: &[Vec<u32>]) -> Result<(), ComputeError> {
        let vocabulary = self.bert.vocabulary();
        let mut tokens = texts.iter().flatten();
        match tokens.find(|token| **token as usize >= vocabulary) {
            Some(token) => Err(format!("token {token} is not one of the {vocabulary}").into()),
            None => Ok(()),
        }
    }
}
