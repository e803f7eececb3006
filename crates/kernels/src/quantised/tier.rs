//! What an instruction set has to provide for the products.
//!
//! There are two ways to multiply: a few rows of activations with a tile as it lies in memory, and
//! many with panels, which are tiles that have been unpacked. `product` decides which is taken, and
//! relies on both giving the same bits.

use super::layout::{Layout, TILE_ROWS, Tile};
use super::panel::PanelBlock;
use super::rows::RowBlock;

/// Most rows of activations that go through a panel together, in any tier.
pub(super) const MOST_TOKENS: usize = 6;
/// Most rows of activations that go through a tile together, in any tier.
pub(super) const MOST_IN_PLACE: usize = 8;
/// Most panels that are multiplied side by side, in any tier.
pub(super) const MOST_PANELS: usize = 2;

/// The sums of one row of activations with the 16 rows of a tile.
pub(super) type Sums = [f32; TILE_ROWS];

/// The arithmetic of one instruction set. A sum goes group by group from its start on; to it
/// are added the group's sum of products of codes, exact in whole numbers, times both scales, then the
/// minimum times the activations' sum. [`in_place`](Self::in_place) and [`panels`](Self::panels) so give
/// the same bits. Tiers differ by rounding: some fuse the multiplications and additions, and AVX-512
/// makes 8-bit codes unsigned, which moves part of the sum to the minimum.
pub(super) trait Tier: Copy + Send + Sync {
    /// Up to so many rows of activations the tiles are read as they lie; more are worth unpacking for.
    const FEW: usize;
    /// Rows of activations that go through a tile as it lies together; at most [`MOST_IN_PLACE`].
    const IN_PLACE: usize;
    /// Rows of activations that go through a panel together; at most [`MOST_TOKENS`].
    const TOKENS: usize;
    /// Panels side by side; at most [`MOST_PANELS`].
    const PANELS: usize;
    /// Whether [`unpack`](Self::unpack) leaves codes of 8 bits signed.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // AMX asks, elsewhere in tests only.
    const SIGNED_BYTES: bool;

    /// `N` rows of activations with a tile as it lies in memory, each added to `start`.
    fn in_place<L: Layout, const N: usize>(
        self,
        tile: Tile<'_>,
        rows: [&[RowBlock]; N],
        start: &Sums,
    ) -> [Sums; N];

    /// Unpacks a tile for several rows of activations; only [`panels`](Self::panels) of the same tier
    /// and layout understands the result.
    fn unpack<L: Layout>(self, tile: Tile<'_>, panel: &mut [PanelBlock]);

    /// The products of `T` rows with `P` panels, each added to what its panel starts from, over as many blocks as the shortest has.
    fn panels<L: Layout, const P: usize, const T: usize>(
        self,
        panels: [&[PanelBlock]; P],
        rows: [&[RowBlock]; T],
        starts: &[Sums; P],
    ) -> [[Sums; P]; T];
}
