//! Rows of numbers in a card's memory, and which of them have the greatest inner products with a query.
//!
//! All queries and rows meet in one matrix product. Of its scores, which are too many to bring back, `greatest` finds
//! the few that matter without leaving the device.

mod greatest;

use candle_core::{DType, Device, Tensor};

use crate::device::{SelectedDevice, explained};
use crate::error::ComputeError;

pub use greatest::MOST_GREATEST;
use greatest::greatest;
pub(crate) use greatest::{GROUP, MOST_ON_DEVICE, greatest_group, greatest_on_device};

/// Scores that are computed at a time, so that their memory stays small beside that of many rows.
const MOST_SCORES: usize = 1 << 26;
/// Numbers that are copied at a time: Candle counts those of a copy in 32 bits, and leaves out what is beyond.
const MOST_COPIED: usize = 1 << 30;
/// Rows that there is room for at first; a multiple of a group's.
const FIRST_CAPACITY: usize = 16 * GROUP;

/// Rows of one width on a device.
#[derive(Debug)]
pub struct DeviceRows {
    /// (capacity, width); what lies beyond `len` is zero, or left over.
    rows: Tensor,
    len: usize,
    width: usize,
    device: Device,
}

impl DeviceRows {
    /// No rows yet.
    ///
    /// # Errors
    ///
    /// When the device has no memory for some.
    pub fn new(device: &SelectedDevice, width: usize) -> Result<Self, ComputeError> {
        let device = device.device().clone();
        let rows = room(FIRST_CAPACITY, width, &device);
        Ok(Self {
            rows: rows.map_err(|error| explained(error, &device))?,
            len: 0,
            width,
            device,
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory on the device, in bytes.
    pub fn bytes(&self) -> usize {
        self.rows.elem_count() * self.rows.dtype().size_in_bytes()
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Puts whole rows at `start`, over those that are there and behind the last.
    ///
    /// # Errors
    ///
    /// If `start` is beyond the last row, the rows are not whole, or the device has no memory for them.
    pub fn write(&mut self, start: usize, values: &[f32]) -> Result<(), ComputeError> {
        let count = self.whole_rows(values)?;
        if start > self.len {
            return Err(format!("row {start} would leave a gap behind {} rows", self.len).into());
        }
        if count == 0 {
            return Ok(());
        }
        let written = self.reserve(start + count);
        let written = written.and_then(|()| self.put(start, count, values));
        written.map_err(|error| explained(error, &self.device))?;
        self.len = self.len.max(start + count);
        Ok(())
    }

    /// Forgets the rows from `len` on. Their memory is kept for others.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// For each query (whole rows, one after another) the `k` rows with the greatest inner products, greatest first,
    /// fewer if there are fewer; of equal ones the lower number comes first.
    ///
    /// # Errors
    ///
    /// If `k` is more than [`MOST_GREATEST`], or the device refuses.
    pub fn greatest(
        &self,
        queries: &[f32],
        k: usize,
    ) -> Result<Vec<Vec<(usize, f32)>>, ComputeError> {
        if k > MOST_GREATEST {
            return Err(
                format!("{k} rows are more than the {MOST_GREATEST} found on a device").into(),
            );
        }
        let count = self.whole_rows(queries)?;
        if self.is_empty() || k == 0 {
            return Ok(vec![Vec::new(); count]);
        }
        let at_once = (MOST_SCORES / self.padded()).max(1);
        let groups = queries.chunks(at_once * self.width);
        let found = groups.map(|queries| self.greatest_of(queries, k));
        let found = found.collect::<candle_core::Result<Vec<_>>>();
        let found = found.map_err(|error| explained(error, &self.device))?;
        Ok(found.concat())
    }

    fn greatest_of(
        &self,
        queries: &[f32],
        k: usize,
    ) -> candle_core::Result<Vec<Vec<(usize, f32)>>> {
        let shape = (queries.len() / self.width, self.width);
        let queries = Tensor::from_slice(queries, shape, &self.device)?;
        let rows = self.rows.narrow(0, 0, self.padded())?;
        let scores = queries.matmul(&rows.t()?)?; // (queries, padded rows)
        greatest(scores, self.len, k)
    }

    /// Rows with those that fill up the last group.
    fn padded(&self) -> usize {
        self.len.next_multiple_of(GROUP)
    }

    fn reserve(&mut self, needed: usize) -> candle_core::Result<()> {
        let capacity = self.rows.dim(0)?;
        if needed <= capacity {
            return Ok(());
        }
        let larger = needed.next_multiple_of(GROUP).max(2 * capacity);
        let rows = room(larger, self.width, &self.device)?;
        let at_once = (MOST_COPIED / self.width).max(1);
        for start in (0..self.len).step_by(at_once) {
            let some = self.rows.narrow(0, start, at_once.min(self.len - start))?;
            rows.slice_set(&some, 0, start)?;
        }
        self.rows = rows;
        Ok(())
    }

    fn put(&self, start: usize, count: usize, values: &[f32]) -> candle_core::Result<()> {
        let values = Tensor::from_slice(values, (count, self.width), &self.device)?;
        self.rows.slice_set(&values, 0, start)
    }

    fn whole_rows(&self, values: &[f32]) -> Result<usize, ComputeError> {
        match values.len().is_multiple_of(self.width) {
            true => Ok(values.len() / self.width),
            false => {
                let problem = format!(
                    "{} values are no whole rows of {}",
                    values.len(),
                    self.width
                );
                Err(problem.into())
            }
        }
    }
}

fn room(capacity: usize, width: usize, device: &Device) -> candle_core::Result<Tensor> {
    Tensor::zeros((capacity, width), DType::F32, device)
}

#[cfg(test)]
mod tests;
