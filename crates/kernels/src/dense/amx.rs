//! bfloat16 with AMX: one instruction multiplies 16 tokens with the 16 rows of a tile, over 32 columns.
//!
//! ```text
//! A  up to 16 tokens x 16 pairs of columns   inputs, rounded, as `pairs` has them
//! B  16 pairs of columns x 16 rows           a part of a tile as it lies in the matrix
//! C  up to 16 tokens x 16 rows               sums in f32
//! ```
//!
//! Two A and two B make four C, which stay in their registers while A and B pass by: four loads of 1 KiB
//! for four products. A product takes 16 cycles on Sapphire Rapids by Intel's figures, so loads come to
//! 64 bytes a cycle, which the first cache supplies twice over. Hence columns are taken 512 at a time, so
//! that two tiles of them (32 KiB) stay there while all tokens pass by; between such parts the sums wait
//! in the output, as in `many`.
//!
//! The instruction sums the even and the odd columns of a part of 32 apart, adds both and then what was
//! there before: other roundings than those of AVX-512, of the same size. So that a token's result does
//! not depend on the tokens beside it, a few tokens go this way too; a product of one token waits for
//! memory, and the unit takes weights faster than that brings them.

use std::ops::Range;

use super::pairs::{LINE_PAIRS, RoundedPairs};
use super::product::Task;
use super::{DenseMatrix, TILE};
use crate::amx::{MOST_ROW_BYTES, MOST_ROWS, TileConfig, TileUnit};
use crate::isa::Supported;
use crate::simd::{Kernel, Simd};

/// RoundedPairs of columns that all tokens are multiplied with before the next.
const PART_PAIRS: usize = 256;
/// Tokens whose inputs of such a part are 256 KiB, which the second cache holds.
const CHUNK: usize = 256;
/// Tokens that two registers take.
const BLOCK: usize = 2 * MOST_ROWS;

/// What a C register holds.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Sums([[f32; TILE]; MOST_ROWS]);

/// What a B register holds.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Weights([[u16; 2 * TILE]; LINE_PAIRS]);

/// Multiplies inputs that have been rounded; panics if they have not. `cpu` is the tier that moves the
/// sums.
pub(super) fn product<U: TileUnit>(cpu: Supported, unit: &mut U, task: Task<'_>) {
    let pairs = task.inputs.pairs();
    assert!(pairs.is_some() || task.inputs.tokens() == 0);
    if let Some(pairs) = pairs {
        cpu.run(Walk {
            unit,
            task: &task,
            pairs,
            configured: (0, 0),
            sums: [Sums([[0.0; TILE]; MOST_ROWS]); 4],
            last: [Weights([[0; 2 * TILE]; LINE_PAIRS]); 2],
        });
    }
}

/// The way through a task.
struct Walk<'walk, 'task, U> {
    unit: &'walk mut U,
    task: &'walk Task<'task>,
    pairs: &'walk RoundedPairs,
    /// The rows of both A registers.
    configured: (usize, usize),
    /// The C registers, on their way from and to the output.
    sums: [Sums; 4],
    /// The last pairs of two tiles, if they are fewer than a register's; zeros after them.
    last: [Weights; 2],
}

/// Some tokens against some neighbouring tiles, over some pairs of columns.
#[derive(Clone)]
struct Part {
    tokens: Range<usize>,
    tiles: Range<usize>,
    pairs: Range<usize>,
}

impl<U: TileUnit> Kernel for Walk<'_, '_, U> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        match S::LANES {
            TILE => self.all::<S, 1>(simd),
            _ => self.all::<S, 2>(simd),
        }
    }
}

impl<U: TileUnit> Walk<'_, '_, U> {
    /// Chunk by chunk of tokens and part by part of columns, two tiles after two. `V` vectors are the
    /// outputs of a tile. Without columns there is one empty part, which stores what the sums start
    /// from.
    #[inline(always)]
    fn all<S: Simd, const V: usize>(&mut self, simd: S) {
        let pairs = self.task.matrix.columns().div_ceil(2);
        for tokens in runs(0..self.task.inputs.tokens(), CHUNK) {
            for part in 0..pairs.div_ceil(PART_PAIRS).max(1) {
                let first = part * PART_PAIRS;
                for tiles in runs(self.task.tiles.clone(), 2) {
                    let part = Part {
                        tokens: tokens.clone(),
                        tiles,
                        pairs: first..pairs.min(first + PART_PAIRS),
                    };
                    self.two_tiles::<S, V>(simd, part);
                }
            }
        }
    }

    /// One or two tiles, with block by block of the tokens.
    #[inline(always)]
    fn two_tiles<S: Simd, const V: usize>(&mut self, simd: S, part: Part) {
        for (last, tile) in self.last.iter_mut().zip(part.tiles.clone()) {
            copy_last(self.task.matrix, tile, part.pairs.clone(), last);
        }
        for tokens in runs(part.tokens.clone(), BLOCK) {
            self.configure(tokens.len());
            let block = Part {
                tokens,
                ..part.clone()
            };
            match (block.tokens.len() > MOST_ROWS, block.tiles.len() > 1) {
                (true, true) => self.block::<S, V, 2, 2>(simd, &block),
                (true, false) => self.block::<S, V, 2, 1>(simd, &block),
                (false, true) => self.block::<S, V, 1, 2>(simd, &block),
                (false, false) => self.block::<S, V, 1, 1>(simd, &block),
            }
        }
    }

    /// Gives the registers the rows of so many tokens. C are 0 to 3, the second two those of the second
    /// A, which are 4 and 5; B are 6 and 7.
    fn configure(&mut self, tokens: usize) {
        let rows = (tokens.min(MOST_ROWS), tokens.saturating_sub(MOST_ROWS));
        if rows == self.configured {
            return;
        }
        let config = TileConfig::new()
            .with(0, rows.0, MOST_ROW_BYTES)
            .with(1, rows.0, MOST_ROW_BYTES)
            .with(2, rows.1, MOST_ROW_BYTES)
            .with(3, rows.1, MOST_ROW_BYTES)
            .with(4, rows.0, MOST_ROW_BYTES)
            .with(5, rows.1, MOST_ROW_BYTES)
            .with(6, LINE_PAIRS, MOST_ROW_BYTES)
            .with(7, LINE_PAIRS, MOST_ROW_BYTES);
        self.unit.configure(&config);
        self.configured = rows;
    }

    /// The products of `M` registers of tokens with `N` tiles.
    #[inline(always)]
    fn block<S: Simd, const V: usize, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        part: &Part,
    ) {
        self.start::<S, V, 0>(simd, part);
        if N == 2 {
            self.start::<S, V, 1>(simd, part);
        }
        if M == 2 {
            self.start::<S, V, 2>(simd, part);
        }
        if M == 2 && N == 2 {
            self.start::<S, V, 3>(simd, part);
        }
        self.multiply::<M, N>(part);
        self.finish::<0>();
        if N == 2 {
            self.finish::<1>();
        }
        if M == 2 {
            self.finish::<2>();
        }
        if M == 2 && N == 2 {
            self.finish::<3>();
        }
        for m in 0..M {
            for n in 0..N {
                self.output::<S, V>(simd, part, m, n);
            }
        }
    }

    /// Runs through the pairs of columns. The registers have been started.
    #[inline(always)]
    fn multiply<const M: usize, const N: usize>(&mut self, part: &Part) {
        let whole = part.pairs.len() / LINE_PAIRS;
        let weights = part
            .tiles
            .clone()
            .map(|tile| self.task.matrix.tile::<u16>(tile));
        let mut tiles = [&[][..]; 2];
        for (tile, weights) in tiles.iter_mut().zip(weights) {
            *tile = &weights[part.pairs.start * 2 * TILE..part.pairs.end * 2 * TILE];
        }
        for step in 0..whole {
            let at = step * (LINE_PAIRS * 2 * TILE);
            let mut weights = [std::ptr::null(); 2];
            for n in 0..N {
                weights[n] = tiles[n][at..at + LINE_PAIRS * 2 * TILE].as_ptr();
            }
            // SAFETY: N tiles have this step.
            unsafe { self.step::<M, N>(part, part.pairs.start + step * LINE_PAIRS, weights) };
        }
        if !part.pairs.len().is_multiple_of(LINE_PAIRS) {
            let last = self
                .last
                .each_ref()
                .map(|Weights(last)| last.as_ptr().cast());
            // SAFETY: the copies have the size of a register.
            unsafe { self.step::<M, N>(part, part.pairs.start + whole * LINE_PAIRS, last) };
        }
    }

    /// Multiplies 16 pairs of columns.
    ///
    /// # Safety
    ///
    /// The first `N` of `weights` are valid for reads of a register.
    #[inline(always)]
    unsafe fn step<const M: usize, const N: usize>(
        &mut self,
        part: &Part,
        pair: usize,
        weights: [*const u16; 2],
    ) {
        let stride = self.pairs.stride() * size_of::<u32>();
        let (tokens, rows) = (part.tokens.start, self.configured);
        // SAFETY: the caller promises the weights; `tokens` has checked that there are 64 bytes of as
        // many tokens as the registers have rows.
        unsafe {
            self.unit.load::<6>(weights[0].cast(), MOST_ROW_BYTES);
            self.unit
                .load::<4>(self.pairs.tokens(tokens, rows.0, pair).cast(), stride);
            self.unit.multiply_bf16::<0, 4, 6>();
            if N == 2 {
                self.unit.load::<7>(weights[1].cast(), MOST_ROW_BYTES);
                self.unit.multiply_bf16::<1, 4, 7>();
            }
            if M == 2 {
                let second = self.pairs.tokens(tokens + rows.0, rows.1, pair);
                self.unit.load::<5>(second.cast(), stride);
                self.unit.multiply_bf16::<2, 5, 6>();
            }
            if M == 2 && N == 2 {
                self.unit.multiply_bf16::<3, 5, 7>();
            }
        }
    }

    /// Sets register C, of A number `C / 2` and B number `C % 2`, to what its sums start from.
    #[inline(always)]
    fn start<S: Simd, const V: usize, const C: usize>(&mut self, simd: S, part: &Part) {
        let column = 2 * part.pairs.start;
        if self.task.starts_from_zero(column) {
            return self.unit.zero::<C>();
        }
        let (tokens, tile) = (self.tokens(part, C / 2), part.tiles.start + C % 2);
        let Sums(sums) = &mut self.sums[C];
        for (token, sums) in tokens.zip(sums.iter_mut()) {
            let start: [S::F32; V] = self.task.start(simd, token, tile, column);
            for (start, sums) in start.into_iter().zip(sums.chunks_exact_mut(S::LANES)) {
                // SAFETY: a chunk has LANES values.
                unsafe { simd.store(sums.as_mut_ptr(), start) };
            }
        }
        // SAFETY: no register has more than 16 rows of 64 bytes, which these are.
        unsafe { self.unit.load::<C>(sums.as_ptr().cast(), MOST_ROW_BYTES) };
    }

    /// Stores register C.
    #[inline(always)]
    fn finish<const C: usize>(&mut self) {
        let Sums(sums) = &mut self.sums[C];
        // SAFETY: as in `start`.
        unsafe {
            self.unit
                .store::<C>(sums.as_mut_ptr().cast(), MOST_ROW_BYTES)
        };
    }

    /// Moves the stored sums of a register's tokens to the output.
    #[inline(always)]
    fn output<S: Simd, const V: usize>(&mut self, simd: S, part: &Part, m: usize, n: usize) {
        let Sums(sums) = &self.sums[2 * m + n];
        for (token, sums) in self.tokens(part, m).zip(sums) {
            let mut vectors = [simd.zero(); V];
            for (vector, sums) in vectors.iter_mut().zip(sums.chunks_exact(S::LANES)) {
                // SAFETY: a chunk has LANES values.
                *vector = unsafe { simd.load(sums.as_ptr()) };
            }
            self.task.store(simd, token, part.tiles.start + n, vectors);
        }
    }

    /// The tokens of A register number `m`.
    #[inline(always)]
    fn tokens(&self, part: &Part, m: usize) -> Range<usize> {
        let first = part.tokens.start + m * MOST_ROWS;
        first..part.tokens.end.min(first + MOST_ROWS)
    }
}

/// A range, cut into runs of a length; the last may be shorter.
#[inline(always)]
fn runs(range: Range<usize>, length: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range
        .step_by(length)
        .map(move |first| first..end.min(first + length))
}

/// Copies what is left of a tile's pairs after whole registers; what follows them becomes zeros.
fn copy_last(matrix: &DenseMatrix, tile: usize, pairs: Range<usize>, last: &mut Weights) {
    let first = pairs.end - pairs.len() % LINE_PAIRS;
    let weights = &matrix.tile::<u16>(tile)[first * 2 * TILE..pairs.end * 2 * TILE];
    let (copied, zeros) = last.0.as_flattened_mut().split_at_mut(weights.len());
    copied.copy_from_slice(weights);
    zeros.fill(0);
}
