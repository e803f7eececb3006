//! A tile, unpacked.
//!
//! Unpacking costs about as much as multiplying with one row of activations. With many rows it is
//! done once, into a panel that stays in the nearest caches, where all that a block needs lies
//! together.

use super::layout::{BLOCK, STEP_BYTES, STEPS, TILE_ROWS};

/// A block of a tile.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct PanelBlock {
    /// Step after step, a byte a code, signed or not as the tier that unpacked it likes.
    pub(super) codes: [[u8; STEP_BYTES]; STEPS],
    /// Of each group; layouts with one group have nothing in the second.
    pub(super) scales: [[f32; TILE_ROWS]; 2],
    /// Of each group, as the scales; they fit the codes, whether they were stored or not.
    pub(super) minimums: [[f32; TILE_ROWS]; 2],
}

impl PanelBlock {
    const ZERO: PanelBlock = PanelBlock {
        codes: [[0; STEP_BYTES]; STEPS],
        scales: [[0.0; TILE_ROWS]; 2],
        minimums: [[0.0; TILE_ROWS]; 2],
    };
}

/// Unpacked blocks of a tile, from the first column on. The memory is kept from tile to tile.
#[derive(Debug)]
pub(super) struct Panel {
    blocks: Vec<PanelBlock>,
}

impl Panel {
    pub(super) const fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    /// As many blocks as a row of so many columns has, to be overwritten.
    pub(super) fn resize(&mut self, columns: usize) -> &mut [PanelBlock] {
        self.blocks.resize(columns / BLOCK, PanelBlock::ZERO);
        &mut self.blocks
    }

    pub(super) fn blocks(&self) -> &[PanelBlock] {
        &self.blocks
    }
}
