//! What a picture may cost.

use crate::Exceeded;

/// What a picture may cost. Checked on the metadata of a file and on the header of a picture, before
/// anything is read, decoded or allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes a file may have.
    pub bytes: u64,
    /// The most pixels a picture may have.
    pub pixels: u64,
    /// The most pixels a side may have.
    pub side: u32,
    /// The most bytes decoding may take: the buffers of the decoder that grow with the picture, and
    /// the pixels that come out.
    pub memory: u64,
}

/// Files of 64 MiB, 100 million pixels, sides of 65,535 (as far as JPEG goes), 1 GiB of memory.
impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            pixels: 100_000_000,
            side: 65_535,
            memory: 1 << 30,
        }
    }
}

impl Limits {
    /// Whether a picture of this size may be decoded at all.
    pub(crate) fn check_size(&self, width: u32, height: u32) -> Result<(), Exceeded> {
        if width.max(height) > self.side {
            return Err(Exceeded::Side {
                width,
                height,
                limit: self.side,
            });
        }
        if u64::from(width) * u64::from(height) > self.pixels {
            return Err(Exceeded::Pixels {
                width,
                height,
                limit: self.pixels,
            });
        }
        Ok(())
    }

    /// Whether decoding may take that much memory, in bytes.
    pub(crate) fn check_memory(&self, bytes: u64) -> Result<(), Exceeded> {
        if bytes > self.memory {
            return Err(Exceeded::Memory { limit: self.memory });
        }
        Ok(())
    }
}
