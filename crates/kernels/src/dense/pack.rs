//! Where the elements of a matrix lie, and how they get there.
//!
//! A tile has 16 rows (outputs). Its elements lie column by column, the 16 of a column together;
//! for bfloat16, whose instruction multiplies pairs, two columns lie side by side: 16 pairs, each of
//! an even column's element and the odd one's. What pads a tile (rows beyond the last, an odd last
//! column, the end of a cache line) is zero.

use std::sync::atomic::{AtomicBool, Ordering};

use super::TILE;
use crate::aligned::{Aligned, LINE, Number};
use crate::disjoint::Disjoint;
use crate::team::Team;

/// Columns that are packed at a time: their part of a tile stays in the first cache while its 16
/// rows are strewn into it.
const BLOCK: usize = 256;

/// The shape of a matrix and the place of each element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// The binary logarithm of the columns that lie side by side: 0 or 1, because divisions would
    /// take most of the time of packing.
    log_side_by_side: usize,
    lines_per_tile: usize,
}

impl Layout {
    pub(super) fn new<B: Number>(rows: usize, columns: usize, pairs: bool) -> Self {
        let side_by_side = if pairs { 2 } else { 1 };
        let step = side_by_side * TILE * size_of::<B>();
        // Saturation matters to no matrix that has elements: their bytes were counted before.
        let bytes = columns.div_ceil(side_by_side).saturating_mul(step);
        Self {
            rows,
            columns,
            log_side_by_side: usize::from(pairs),
            lines_per_tile: bytes.div_ceil(LINE),
        }
    }

    pub(super) fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    /// Bytes of all tiles. A number that is too large for memory stays so.
    fn bytes(&self) -> usize {
        let lines = self.tiles().saturating_mul(self.lines_per_tile);
        lines.saturating_mul(LINE)
    }

    /// Elements from one tile to the next.
    pub(super) fn tile_elements<B: Number>(&self) -> usize {
        self.lines_per_tile * (LINE / size_of::<B>())
    }

    /// Where in its tile an element lies.
    #[inline(always)]
    pub(super) fn position(&self, row_in_tile: usize, column: usize) -> usize {
        let log = self.log_side_by_side;
        ((((column >> log) * TILE) + row_in_tile) << log) + (column & log)
    }
}

/// A matrix in tiles, and whether all of its elements are finite.
pub(super) struct Packed {
    pub(super) storage: Aligned<u8>,
    pub(super) finite: bool,
}

/// Packs the elements, of which `element` gives the one at a row-major index; `exponent` has the
/// bits that are all set in those that are not finite.
pub(super) fn pack<B: Number + Into<u32>>(
    team: &Team,
    layout: Layout,
    exponent: u32,
    element: impl Fn(usize) -> B + Sync,
) -> Packed {
    let mut storage = Aligned::<u8>::zeros(layout.bytes());
    let finite = AtomicBool::new(true);
    let elements = Disjoint::new(storage.seen_as_mut::<B>());
    let length = layout.tile_elements::<B>();
    team.run(layout.tiles(), |tile| {
        // SAFETY: tiles do not overlap, and each is packed by one task.
        let packed = unsafe { elements.part(tile * length, length) };
        if !pack_tile(layout, tile, exponent, &element, packed) {
            finite.store(false, Ordering::Relaxed);
        }
    });
    Packed {
        storage,
        finite: finite.into_inner(),
    }
}

/// Packs a tile; returns whether all of it is finite.
fn pack_tile<B: Number + Into<u32>>(
    layout: Layout,
    tile: usize,
    exponent: u32,
    element: &impl Fn(usize) -> B,
    packed: &mut [B],
) -> bool {
    let rows = tile * TILE..layout.rows.min((tile + 1) * TILE);
    let mut finite = true;
    for first in (0..layout.columns).step_by(BLOCK) {
        let columns = first..layout.columns.min(first + BLOCK);
        for row in rows.clone() {
            for column in columns.clone() {
                let bits = element(row * layout.columns + column);
                finite &= bits.into() & exponent != exponent;
                packed[layout.position(row % TILE, column)] = bits;
            }
        }
    }
    finite
}
