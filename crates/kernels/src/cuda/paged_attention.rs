//! Attention of one token of each text over the pages in which keys and values lie (`paged_attention.cu`).

use std::ops::RangeInclusive;

use cudarc::driver::{CudaSlice, CudaView, DevicePtr, PushKernelArg};

use super::error::CardError;
use super::kernels::{CardKernels, CardNumber};
use super::launch::{all_counted, blocks, counted, length, multiple, wrong_length};
use crate::PAGE_TOKENS;

/// Blocks that keep a large card busy: positions are split until there are so many.
const ENOUGH_BLOCKS: usize = 1024;
/// Fewer positions are not worth a block of their own, and more keep one for so long that everybody waits for it.
const SPLIT: RangeInclusive<usize> = 64..=2048;
/// As in `paged_attention.cu`.
const MOST_SPLITS: usize = 64;
/// Heads are loaded in pieces of up to so many bytes.
const ALIGNMENT: u64 = 16;
const _: () = assert!(PAGE_TOKENS == 128, "as in paged_attention.cu");

/// Whose tokens look at what, one of each part.
#[derive(Debug, Clone, Copy)]
pub struct PagedShape {
    /// Texts.
    pub parts: usize,
    /// Heads of keys, and as many of values.
    pub key_heads: usize,
    /// Query heads of a key head.
    pub group: usize,
    /// Components of a head.
    pub width: usize,
    /// Rows of the queries, of which the parts have some that are neighbours.
    pub rows: usize,
    /// The first of them.
    pub first_row: usize,
    /// Pages of each part in the table, of [`PAGE_TOKENS`] positions each.
    pub pages: usize,
    /// How many positions up to its own a token looks at.
    pub window: usize,
    /// Scores are kept within it by a hyperbolic tangent.
    pub cap: Option<f32>,
}

impl PagedShape {
    fn heads(&self) -> usize {
        self.key_heads * self.group
    }

    /// Positions that there are pages for.
    fn longest(&self) -> usize {
        self.pages * PAGE_TOKENS
    }

    fn check(&self, queries: usize, cached: usize, table: usize) -> Result<(), CardError> {
        let page = 2 * self.key_heads * PAGE_TOKENS * self.width;
        multiple("cached", cached, page)?;
        multiple("parts", self.parts * self.longest(), 1)?;
        length("queries", queries, self.heads() * self.rows * self.width)?;
        length("table", table, self.parts * (1 + self.pages))?;
        match self.first_row + self.parts <= self.rows {
            true => Ok(()),
            false => Err(wrong_length("rows", self.rows, self.first_row + self.parts)),
        }
    }

    /// Into how many stretches of positions a block's work is split, if so many blocks would do it.
    fn splits(&self, blocks: usize) -> usize {
        let longest = self.longest();
        let wanted = (ENOUGH_BLOCKS / blocks).max(longest.div_ceil(*SPLIT.end()));
        wanted.clamp(1, longest.div_ceil(*SPLIT.start()).min(MOST_SPLITS))
    }
}

impl CardKernels {
    /// Whether there is attention over pages for heads of this width.
    pub fn attends<T: CardNumber>(&self, width: usize) -> bool {
        let kernels = T::of(self).attention.as_ref();
        kernels.is_some_and(|kernels| kernels.kernel(width, 1).is_some())
    }

    /// What one token of each part gets of the values that it looks at: (parts, key_heads * group * width).
    ///
    /// `queries` are (key_heads * group, rows, width), scaled; `cached` is (2 * key_heads, places, width), keys before
    /// values, in pages of so many places; `table` is (parts, 1 + pages): the position of the part's token, counted from
    /// the first that is shown, and the numbers of the pages that are shown, as many as the longest part has.
    ///
    /// # Errors
    ///
    /// As [`Self::masked_softmax`], and if [`Self::attends`] says no.
    pub fn paged_attention<T: CardNumber>(
        &self,
        queries: &CudaView<'_, T>,
        cached: &CudaView<'_, T>,
        table: &CudaView<'_, u32>,
        shape: &PagedShape,
    ) -> Result<CudaSlice<T>, CardError> {
        shape.check(queries.len(), cached.len(), table.len())?;
        for heads in [queries, cached] {
            let (place, _wait) = heads.device_ptr(&self.stream);
            if !place.is_multiple_of(ALIGNMENT) {
                return Err(CardError::Alignment);
            }
        }
        let kernels = T::of(self).attention.as_ref();
        let kernel = kernels.and_then(|kernels| kernels.kernel(shape.width, shape.group));
        let Some((kernels, kernel)) = kernels.zip(kernel) else {
            return Err(CardError::Width { width: shape.width });
        };
        let bundles = shape.parts * shape.key_heads * shape.group.div_ceil(kernel.heads);
        let splits = shape.splits(bundles);
        let rows_out = shape.parts * shape.heads();
        let mut out = self.room(rows_out * shape.width)?;
        let sums = match splits {
            1 => None,
            _ => Some(self.room::<f32>(rows_out * splits * (shape.width + 2))?),
        };

        counted(shape.longest())?;
        let places = cached.len() / (2 * shape.key_heads * shape.width);
        let stride = shape.longest().div_ceil(splits);
        let sizes = [
            shape.parts,
            shape.key_heads,
            shape.group,
            shape.rows,
            shape.first_row,
        ];
        let [parts, key_heads, group, rows, first_row] = all_counted(sizes)?;
        let sizes = [places, shape.pages, splits, stride, shape.width];
        let [places, pages, splits_counted, stride, width] = all_counted(sizes)?;
        let window = u32::try_from(shape.window).unwrap_or(u32::MAX);
        let cap = shape.cap.unwrap_or(0.0);
        let nowhere = 0u64;
        let mut launch = self.stream.launch_builder(&kernel.function);
        launch.arg(queries).arg(cached).arg(table).arg(&mut out);
        match &sums {
            Some(sums) => launch.arg(sums),
            None => launch.arg(&nowhere),
        };
        launch.arg(&parts).arg(&key_heads).arg(&group).arg(&rows);
        launch.arg(&first_row).arg(&places).arg(&pages);
        launch
            .arg(&window)
            .arg(&cap)
            .arg(&splits_counted)
            .arg(&stride);
        // SAFETY: these are the kernel's parameters. Blocks are the splits of bundles of heads of key heads of parts,
        // each of which has its query rows, its row of the table and its place in `out`, or in `sums` where there is
        // more than one split. The kernel keeps what the table says within the tensors.
        unsafe { launch.launch(blocks(bundles * splits)?) }?;

        if let Some(sums) = &sums {
            let mut launch = self.stream.launch_builder(&kernels.joined_splits);
            launch
                .arg(sums)
                .arg(&mut out)
                .arg(&splits_counted)
                .arg(&width);
            // SAFETY: these are the kernel's parameters. A block reads the splits of a head of a part, and writes its
            // row.
            unsafe { launch.launch(blocks(rows_out)?) }?;
        }
        Ok(out)
    }
}
