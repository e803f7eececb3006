//! The product of a few rows with a panel of columns: both halves of attention are one. Scores are
//! queries times keys; outputs are weights times values.
//!
//! A row's values are broadcast against vectors of the panel, and as many sums as the registers hold
//! stay in them over the whole depth: 6 rows by 4 vectors where there are 32 registers, by 2 where
//! there are 16. That is enough independent sums to keep two multiply-add units busy, and each loaded
//! vector is used 6 times. A panel may be of f32 or of halves, which are widened on their way.

use crate::simd::Simd;

use super::pool::BLOCK;
use super::weights::Shares;

/// Rows that are computed together.
pub(super) const GROUP: usize = 6;

/// A matrix whose rows are read by vectors.
pub(super) trait Panel: Copy {
    /// The `LANES` values of `row` from `column` on, which is a multiple of `LANES`.
    ///
    /// # Safety
    ///
    /// The panel has that row and those columns.
    unsafe fn load<S: Simd>(self, simd: S, row: usize, column: usize) -> S::F32;
}

/// f32, row after row.
#[derive(Clone, Copy)]
pub(super) struct Wide {
    pub(super) start: *const f32,
    pub(super) stride: usize,
}

impl Panel for Wide {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, simd: S, row: usize, column: usize) -> S::F32 {
        // SAFETY: the caller promises the place.
        unsafe { simd.load(self.start.add(row * self.stride + column)) }
    }
}

/// Halves, row after row: a page's values.
#[derive(Clone, Copy)]
pub(super) struct Halves {
    pub(super) start: *const u16,
    pub(super) stride: usize,
}

impl Panel for Halves {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, simd: S, row: usize, column: usize) -> S::F32 {
        // SAFETY: the caller promises the place.
        unsafe { simd.load_f16(self.start.add(row * self.stride + column)) }
    }
}

/// Halves in blocks of 16 columns, row after row within a block: a page's keys, whose rows are
/// components and whose columns are positions.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    pub(super) start: *const u16,
    /// Rows of a block.
    pub(super) rows: usize,
}

impl Panel for Blocks {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, simd: S, row: usize, column: usize) -> S::F32 {
        let at = (column / BLOCK * self.rows + row) * BLOCK + column % BLOCK;
        // SAFETY: the caller promises the place; LANES divides BLOCK, so a vector stays in its block.
        unsafe { simd.load_f16(self.start.add(at)) }
    }
}

/// The left factor: some rows of `depth` values, `stride` from one to the next.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub(super) start: *const f32,
    pub(super) stride: usize,
    pub(super) depth: usize,
}

/// Where a product goes: as many rows, `stride` from one to the next, of `width` values, a multiple
/// of `LANES`.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) start: *mut f32,
    pub(super) stride: usize,
    pub(super) width: usize,
}

/// `target = shares.former * target + shares.page * (left * panel)` for `R` rows, with shares a row;
/// without them, `target = left * panel`, and what is there is not read.
///
/// # Safety
///
/// `left` is valid for reads of `R` rows, `target` for reads and writes of `R` rows, and the panel
/// has `left.depth` rows of `target.width` columns. Nothing else uses what `target` points to.
#[inline(always)]
pub(super) unsafe fn product<S: Simd, P: Panel, const R: usize>(
    simd: S,
    left: Left,
    panel: P,
    target: Target,
    shares: Option<Shares<R>>,
) {
    let mut at = 0;
    // SAFETY, for the three calls: the columns from `at` on that a call computes end at
    // `target.width` at the latest; the rest is the caller's promise.
    if S::REGISTERS >= 32 {
        while at + 4 * S::LANES <= target.width {
            // SAFETY: see above.
            unsafe { columns::<S, P, R, 4>(simd, left, panel, target, at, &shares) };
            at += 4 * S::LANES;
        }
    }
    while at + 2 * S::LANES <= target.width {
        // SAFETY: see above.
        unsafe { columns::<S, P, R, 2>(simd, left, panel, target, at, &shares) };
        at += 2 * S::LANES;
    }
    if at + S::LANES <= target.width {
        // SAFETY: see above.
        unsafe { columns::<S, P, R, 1>(simd, left, panel, target, at, &shares) };
    }
}

/// `V` vectors of columns of the product. Its loops over `R` and `V` are written with indices so that
/// they unroll completely and the sums stay in registers.
///
/// # Safety
///
/// As [`product`], and `at + V * LANES <= target.width`.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn columns<S: Simd, P: Panel, const R: usize, const V: usize>(
    simd: S,
    left: Left,
    panel: P,
    target: Target,
    at: usize,
    shares: &Option<Shares<R>>,
) {
    let mut sums = [[simd.zero(); V]; R];
    // SAFETY: all rows are below R, all columns below `at + V * LANES`, and all depths below
    // `left.depth`, which the caller promises to exist.
    unsafe {
        for k in 0..left.depth {
            let mut vectors = [simd.zero(); V];
            for v in 0..V {
                vectors[v] = panel.load(simd, k, at + v * S::LANES);
            }
            for r in 0..R {
                let value = simd.splat(*left.start.add(r * left.stride + k));
                for v in 0..V {
                    sums[r][v] = simd.mul_add(value, vectors[v], sums[r][v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                let place = target.start.add(r * target.stride + at + v * S::LANES);
                let value = match shares {
                    Some(shares) => shares.join(simd, r, simd.load(place), sums[r][v]),
                    None => sums[r][v],
                };
                simd.store(place, value);
            }
        }
    }
}
