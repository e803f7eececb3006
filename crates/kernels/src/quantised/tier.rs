//! What an instruction set has to provide for the products.

use super::layout::{Layout, TILE_ROWS, Tile};
use super::panel::PanelBlock;
use super::rows::RowBlock;

/// Most rows of activations that go through a panel together, in any tier.
pub(super) const MOST_TOKENS: usize = 6;
/// Most panels that are multiplied side by side, in any tier.
pub(super) const MOST_PANELS: usize = 2;

/// The sums of one row of activations with the 16 rows of a tile.
pub(super) type Sums = [f32; TILE_ROWS];

/// The arithmetic of one instruction set. All tiers add up a sum block by block from the first
/// column on, and within a block in whole numbers, so that they differ by the rounding of a fused
/// multiplication only, and [`vector`](Self::vector) and [`panels`](Self::panels) not at all.
pub(super) trait Tier: Copy + Send + Sync {
    /// Rows of activations that go through a panel together; at most [`MOST_TOKENS`].
    const TOKENS: usize;
    /// Panels side by side; at most [`MOST_PANELS`].
    const PANELS: usize;

    /// One row of activations with a tile as it lies in memory.
    fn vector<L: Layout>(self, tile: Tile<'_>, row: &[RowBlock]) -> Sums;

    /// Unpacks a tile for several rows of activations.
    fn unpack<L: Layout>(self, tile: Tile<'_>, panel: &mut [PanelBlock]);

    /// The products of `T` rows with `P` panels, over as many blocks as the shortest has.
    fn panels<L: Layout, const P: usize, const T: usize>(
        self,
        panels: [&[PanelBlock]; P],
        rows: [&[RowBlock]; T],
    ) -> [[Sums; P]; T];
}
