//! The block formats of GGUF files, read into codes, scales and minimums.
//!
//! All of them say: a weight is `scale * code + minimum`, with whole codes of 4 to 8 bits and a
//! scale for each group of 32 or 16 weights of a row. They differ in how the bits lie, in whether
//! the minimum is stored or is a fixed number of scales, and in whether the scales are themselves
//! quantised (the K formats, in super-blocks of 256).
//!
//! Source: the structures in ggml's `ggml-common.h` and their `dequantize_row_*` functions.

use half::f16;

use super::layout::{BLOCK, LayoutKind};

/// How a GGUF file holds the weights of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, non_camel_case_types)]
pub enum BlockFormat {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// 32 weights that follow each other in a row: `scale[g] * code + minimum[g]`, with `g` 0 or, in
/// layouts with groups of 16, the half.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    /// Unsigned, but for layouts of 8 bits, whose codes are the bits of an i8.
    pub(super) codes: [u8; BLOCK],
    pub(super) scales: [f16; 2],
    /// Zero in layouts that do not store it.
    pub(super) minimums: [f16; 2],
}

impl Block {
    const ZERO: Block = Block {
        codes: [0; BLOCK],
        scales: [f16::ZERO; 2],
        minimums: [f16::ZERO; 2],
    };

    fn new(codes: [u8; BLOCK], scale: f16, minimum: f16) -> Self {
        Self {
            codes,
            scales: [scale; 2],
            minimums: [minimum; 2],
        }
    }

    /// Rounds values to signed bytes. Values that are no numbers give a scale that is none.
    pub(super) fn round(values: &[f32; BLOCK]) -> Self {
        let is_finite = values.iter().all(|value| value.is_finite());
        let greatest = values
            .iter()
            .fold(0f32, |greatest, value| greatest.max(value.abs()));
        let greatest = if is_finite { greatest } else { f32::NAN };
        let scale = f16::from_f32(greatest / 127.0);
        // The codes are those of the scale as it is stored; one that was rounded down could give 128.
        let inverse = if scale == f16::ZERO {
            0.0
        } else {
            1.0 / scale.to_f32()
        };
        let code = |value: &f32| (value * inverse).round_ties_even().clamp(-127.0, 127.0) as i8;
        Self::new(
            values.each_ref().map(|value| code(value) as u8),
            scale,
            f16::ZERO,
        )
    }

    /// Whether no scale and no minimum is infinite or NaN.
    pub(super) fn is_finite(&self) -> bool {
        let numbers = self.scales.iter().chain(&self.minimums);
        numbers.into_iter().all(|number| number.is_finite())
    }
}

impl BlockFormat {
    /// Every format.
    pub const ALL: [BlockFormat; 8] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// Weights of a block of the file; the length of a row is a multiple of it.
    pub fn block_weights(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// Bytes of a block of the file.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
        }
    }

    /// The layout that its weights are repacked to.
    pub(super) fn layout(self) -> LayoutKind {
        match self {
            Self::Q4_0 => LayoutKind::U4,
            Self::Q4_1 | Self::Q4_K => LayoutKind::U4Min,
            Self::Q5_0 => LayoutKind::U5,
            Self::Q5_1 | Self::Q5_K => LayoutKind::U5Min,
            Self::Q6_K => LayoutKind::U6,
            Self::Q8_0 => LayoutKind::I8,
        }
    }

    /// Reads one block of the file (`block_bytes` long) into the `block_weights / 32` blocks of
    /// `out`. K scales become products of two numbers, rounded to half precision: 2^-11 of the scale,
    /// where a code's own rounding is 2^-5 of it or more.
    pub(super) fn read(self, bytes: &[u8], out: &mut [Block]) {
        match self {
            Self::Q4_0 => out[0] = Block::new(nibbles(&bytes[2..18]), half(bytes, 0), f16::ZERO),
            Self::Q4_1 => {
                out[0] = Block::new(nibbles(&bytes[4..20]), half(bytes, 0), half(bytes, 2))
            }
            Self::Q5_0 => {
                let codes = with_fifth_bit(nibbles(&bytes[6..22]), word(bytes, 2));
                out[0] = Block::new(codes, half(bytes, 0), f16::ZERO);
            }
            Self::Q5_1 => {
                let codes = with_fifth_bit(nibbles(&bytes[8..24]), word(bytes, 4));
                out[0] = Block::new(codes, half(bytes, 0), half(bytes, 2));
            }
            Self::Q8_0 => {
                let mut block = Block::new([0; BLOCK], half(bytes, 0), f16::ZERO);
                block.codes.copy_from_slice(&bytes[2..34]);
                out[0] = block;
            }
            Self::Q4_K => read_4k(bytes, out),
            Self::Q5_K => read_5k(bytes, out),
            Self::Q6_K => read_6k(bytes, out),
        }
    }

    /// A row of the file, block by block of 32.
    pub(super) fn read_row(self, bytes: &[u8], out: &mut Vec<Block>) {
        let blocks = self.block_weights() / BLOCK;
        out.clear();
        for bytes in bytes.chunks_exact(self.block_bytes()) {
            let at = out.len();
            out.resize(at + blocks, Block::ZERO);
            self.read(bytes, &mut out[at..]);
        }
    }
}

fn half(bytes: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The first 16 codes are the low halves of the bytes, the last 16 the high halves.
fn nibbles(bytes: &[u8]) -> [u8; BLOCK] {
    std::array::from_fn(|i| match i {
        0..16 => bytes[i] & 15,
        _ => bytes[i - 16] >> 4,
    })
}

fn with_fifth_bit(codes: [u8; BLOCK], bits: u32) -> [u8; BLOCK] {
    std::array::from_fn(|i| codes[i] | ((((bits >> i) & 1) as u8) << 4))
}

/// Scale and minimum of sub-block `j` of a K block, 6 bits each, from the twelve bytes that hold the
/// sixteen numbers.
fn k_scale_and_minimum(bytes: &[u8], j: usize) -> (f32, f32) {
    let (scale, minimum) = if j < 4 {
        (bytes[j] & 63, bytes[j + 4] & 63)
    } else {
        (
            (bytes[j + 4] & 15) | ((bytes[j - 4] >> 6) << 4),
            (bytes[j + 4] >> 4) | ((bytes[j] >> 6) << 4),
        )
    };
    (scale.into(), minimum.into())
}

fn k_block(bytes: &[u8], j: usize, codes: [u8; BLOCK]) -> Block {
    let (scale, minimum) = k_scale_and_minimum(&bytes[4..16], j);
    Block::new(
        codes,
        f16::from_f32(half(bytes, 0).to_f32() * scale),
        f16::from_f32(-half(bytes, 2).to_f32() * minimum),
    )
}

/// Nibble `j` (0 low, 1 high, 2 low of the next 32 bytes, ...) of each of 32 bytes.
fn k_nibbles(bytes: &[u8], j: usize) -> [u8; BLOCK] {
    let shift = 4 * (j % 2);
    std::array::from_fn(|i| (bytes[j / 2 * BLOCK + i] >> shift) & 15)
}

fn read_4k(bytes: &[u8], out: &mut [Block]) {
    for (j, out) in out.iter_mut().enumerate() {
        *out = k_block(bytes, j, k_nibbles(&bytes[16..144], j));
    }
}

fn read_5k(bytes: &[u8], out: &mut [Block]) {
    let (high, low) = bytes[16..176].split_at(BLOCK);
    for (j, out) in out.iter_mut().enumerate() {
        let mut codes = k_nibbles(low, j);
        for (code, high) in codes.iter_mut().zip(high) {
            *code |= ((high >> j) & 1) << 4;
        }
        *out = k_block(bytes, j, codes);
    }
}

fn read_6k(bytes: &[u8], out: &mut [Block]) {
    let (low, rest) = bytes.split_at(128);
    let (high, rest) = rest.split_at(64);
    let scale = half(rest, 16).to_f32();
    for (j, out) in out.iter_mut().enumerate() {
        // Each half of the super-block has four blocks: two in the low, two in the high nibbles.
        let (part, quarter) = (j / 4, j % 4);
        let low = &low[part * 64 + quarter % 2 * BLOCK..];
        let high = &high[part * BLOCK..];
        let scales = [0, 1].map(|group| {
            let quantised = rest[part * 8 + quarter * 2 + group] as i8;
            f16::from_f32(scale * f32::from(quantised))
        });
        *out = Block {
            codes: std::array::from_fn(|i| {
                let low = (low[i] >> (quarter / 2 * 4)) & 15;
                low | (((high[i] >> (quarter * 2)) & 3) << 4)
            }),
            scales,
            minimums: [f16::ZERO; 2],
        };
    }
}
