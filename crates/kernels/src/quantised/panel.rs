//! Some columns of a tile, unpacked.
//!
//! Unpacking costs about as much as multiplying with one row of activations. With many rows it is
//! done once, into a panel that stays in the first-level cache.

use crate::aligned::Aligned;

use super::layout::{Layout, STEP_BYTES, STEPS, TILE_ROWS};

/// Blocks of a panel at most: two panels of 768 columns fit into 48 KiB with the activations that
/// pass by.
pub(super) const PANEL_BLOCKS: usize = 20;

/// Unpacked codes, scales and minimums of a tile.
#[derive(Debug)]
pub(super) struct Panel {
    /// Blocks that are filled.
    pub(super) blocks: usize,
    /// A step after another, a byte a code.
    pub(super) codes: Aligned<u8>,
    /// 16 a group.
    pub(super) scales: Aligned<f32>,
    /// 16 a group.
    pub(super) minimums: Aligned<f32>,
}

impl Panel {
    /// Room for [`PANEL_BLOCKS`] blocks of any layout.
    pub(super) fn new() -> Self {
        Self {
            blocks: 0,
            codes: Aligned::zeros(PANEL_BLOCKS * STEPS * STEP_BYTES),
            scales: Aligned::zeros(PANEL_BLOCKS * 2 * TILE_ROWS),
            minimums: Aligned::zeros(PANEL_BLOCKS * 2 * TILE_ROWS),
        }
    }

    /// Whether the planes have what so many blocks of the layout need.
    pub(super) fn has_room_for<L: Layout>(&self, blocks: usize) -> bool {
        let numbers = blocks * L::GROUPS * TILE_ROWS;
        self.codes.len() >= blocks * STEPS * STEP_BYTES
            && self.scales.len() >= numbers
            && self.minimums.len() >= numbers
    }
}
