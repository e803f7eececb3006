//! The shapes of the tile registers, in the 64 bytes that `LDTILECFG` reads.

use super::{MOST_ROW_BYTES, MOST_ROWS, REGISTERS};

/// Palette 1 is eight registers of at most 16 rows of 64 bytes, the one that processors have.
const PALETTE: u8 = 1;

/// What every register holds. The fields and their places are those of the manual, which has room for
/// 16 registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct TileConfig {
    palette: u8,
    /// Where an instruction goes on that an interrupt has stopped: for the processor to write.
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 2 * REGISTERS],
    rows: [u8; 2 * REGISTERS],
}

const _: () = assert!(size_of::<TileConfig>() == 64);

impl TileConfig {
    /// No register has a shape.
    pub(crate) const fn new() -> Self {
        Self {
            palette: PALETTE,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 2 * REGISTERS],
            rows: [0; 2 * REGISTERS],
        }
    }

    /// The same, but for the shape of one register; panics if there is no such register or shape. A
    /// register without rows is not used.
    pub(crate) const fn with(mut self, register: usize, rows: usize, row_bytes: usize) -> Self {
        assert!(register < REGISTERS && rows <= MOST_ROWS && row_bytes <= MOST_ROW_BYTES);
        // Rows of no bytes are an error to the processor.
        self.row_bytes[register] = if rows == 0 { 0 } else { row_bytes as u16 };
        self.rows[register] = if row_bytes == 0 { 0 } else { rows as u8 };
        self
    }
}
