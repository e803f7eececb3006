//! A query as tables of the sums that the signs of four components can give.

use crate::isa::Supported;
use crate::scan::require_dimension;
use crate::simd::{Kernel, Simd};
use crate::{Error, Result};

use super::layout::{LINE_COMPONENTS, LINE_TABLES, TABLE_COMPONENTS};

/// Sums of a table: one for each choice of signs.
pub(super) const TABLE_LEN: usize = 1 << TABLE_COMPONENTS;
/// What is added to a rounded sum to make it a byte.
pub(super) const ZERO: u8 = 128;
/// The greatest rounded sum.
const MOST_CODE: f32 = 127.0;

/// The tables of a line: number `t` is bytes `16 t` to `16 t + 15`.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct LineTables(pub(super) [u8; LINE_TABLES * TABLE_LEN]);

/// A rotated query, ready to be scanned with.
#[derive(Debug, Clone, Default)]
pub struct BitQuery {
    dimension: usize,
    tables: Vec<LineTables>,
    /// What a rounded sum is multiplied with.
    scale: f32,
    error: f32,
}

impl BitQuery {
    /// Builds the tables of a rotated query.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`] if it has too many components; [`Error::NotFinite`] if one is infinite or
    /// not a number, or if the magnitudes of four neighbours add up to more than f32 holds.
    pub fn new(rotated: &[f32]) -> Result<Self> {
        let mut query = Self::default();
        query.set(rotated)?;
        Ok(query)
    }

    /// Builds the tables of another query in the same memory.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); the query is then as it was.
    pub fn set(&mut self, rotated: &[f32]) -> Result<()> {
        self.set_on(Supported::active(), rotated)
    }

    pub(super) fn set_on(&mut self, cpu: Supported, rotated: &[f32]) -> Result<()> {
        require_dimension(rotated.len())?;
        let greatest = greatest_sum(rotated).ok_or(Error::NotFinite { row: 0 })?;
        // A query so small that its scale has no inverse has sums that are all error.
        let (scale, inverse) = match greatest / MOST_CODE {
            scale if scale >= f32::MIN_POSITIVE => (scale, 1.0 / scale),
            _ => (0.0, 0.0),
        };
        self.dimension = rotated.len();
        self.scale = scale;
        self.error = greatest_error(rotated.len(), greatest, scale);
        let empty = LineTables([ZERO; LINE_TABLES * TABLE_LEN]);
        let lines = rotated.len().div_ceil(LINE_COMPONENTS);
        self.tables.resize(lines, empty);
        cpu.run(Fill {
            rotated,
            inverse,
            tables: &mut self.tables,
        });
        Ok(())
    }

    /// Components of the query.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The most that the `T` of any row differs from the sum of the query's signed components,
    /// because sums of four were rounded to bytes.
    pub fn error(&self) -> f32 {
        self.error
    }

    pub(super) fn tables(&self) -> &[LineTables] {
        &self.tables
    }

    pub(super) fn scale(&self) -> f32 {
        self.scale
    }

    /// What is taken from the sum of a row's table entries for [`ZERO`].
    pub(super) fn zeros(&self) -> i32 {
        (self.tables.len() * LINE_TABLES) as i32 * i32::from(ZERO)
    }
}

/// The greatest sum of four neighbours' magnitudes; `None` if it is not finite.
fn greatest_sum(rotated: &[f32]) -> Option<f32> {
    let mut greatest = 0u32;
    let (tables, rest) = rotated.as_chunks::<TABLE_COMPONENTS>();
    for four in tables {
        greatest = greatest.max(magnitude(four).to_bits());
    }
    let mut last = [0.0; TABLE_COMPONENTS];
    last[..rest.len()].copy_from_slice(rest);
    let greatest = f32::from_bits(greatest.max(magnitude(&last).to_bits()));
    greatest.is_finite().then_some(greatest)
}

/// The magnitudes of four components, summed as the entries of tables are.
#[inline(always)]
fn magnitude(four: &[f32; TABLE_COMPONENTS]) -> f32 {
    let [a, b, c, d] = four.map(f32::abs);
    ((a + b) + c) + d
}

/// Half a unit of each table, what was lost in summing four numbers, and in scaling the result.
fn greatest_error(dimension: usize, greatest: f32, scale: f32) -> f32 {
    let tables = dimension.div_ceil(TABLE_COMPONENTS) as f32;
    match scale > 0.0 {
        true => tables * (0.5 * scale + 8.0 * f32::EPSILON * greatest) * (1.0 + 1e-4),
        false => tables * greatest,
    }
}

/// Fills tables, all but those of components that are no more.
struct Fill<'a> {
    rotated: &'a [f32],
    inverse: f32,
    tables: &'a mut [LineTables],
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (LineTables(tables), values) in self
            .tables
            .iter_mut()
            .zip(self.rotated.chunks(LINE_COMPONENTS))
        {
            let mut components = [0.0; LINE_COMPONENTS];
            components[..values.len()].copy_from_slice(values);
            let (fours, _) = components.as_chunks::<TABLE_COMPONENTS>();
            for (four, table) in fours.iter().zip(tables.as_chunks_mut::<TABLE_LEN>().0) {
                *table = entries(four, self.inverse);
            }
        }
    }
}

/// The sums of four components with all choices of signs, rounded; bit `i` of an entry's number set
/// is component `i` added, not set subtracted.
#[inline(always)]
fn entries(four: &[f32; TABLE_COMPONENTS], inverse: f32) -> [u8; TABLE_LEN] {
    /// Adding it rounds to whole numbers, ties to even, which are then in the lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    const SIGNS: [[f32; TABLE_LEN]; TABLE_COMPONENTS] = signs();
    let mut entries = [0; TABLE_LEN];
    for (n, entry) in entries.iter_mut().enumerate() {
        let sum = four[0] * SIGNS[0][n] + four[1] * SIGNS[1][n];
        let sum = (sum + four[2] * SIGNS[2][n]) + four[3] * SIGNS[3][n];
        let code = (sum * inverse + ROUNDER).to_bits() as u8;
        *entry = code.wrapping_add(ZERO);
    }
    entries
}

const fn signs() -> [[f32; TABLE_LEN]; TABLE_COMPONENTS] {
    let mut signs = [[-1.0; TABLE_LEN]; TABLE_COMPONENTS];
    let mut n = 0;
    while n < TABLE_LEN {
        let mut i = 0;
        while i < TABLE_COMPONENTS {
            if n >> i & 1 == 1 {
                signs[i][n] = 1.0;
            }
            i += 1;
        }
        n += 1;
    }
    signs
}
