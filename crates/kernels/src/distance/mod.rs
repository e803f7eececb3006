//! How near f32 vectors are: inner product and squared Euclidean distance, one to one, one to
//! many, and many to many over contiguous rows.
//!
//! One promise runs through all of it: on one machine and tier, the value for a pair depends on
//! these two vectors only, not on which function computed it, which neighbours it had or how it
//! was aligned. Equal vectors therefore score equally, bit for bit, wherever they lie in an index.
//! Between tiers the values differ by rounding, because sums are taken in another order.
//!
//! NaN and infinite components propagate as IEEE 754 says; finite vectors whose sum leaves the
//! range of f32 give an infinity or NaN. Denormal numbers are kept.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
mod table;
#[cfg(test)]
mod tests;

use crate::isa::Supported;
use crate::shape::require_length;
use crate::{Error, Result};

// What a kernel sums, as its `L2` parameter: products of components or squared differences.
const INNER_PRODUCT: bool = false;
const SQUARED_L2: bool = true;

/// The inner product of two vectors.
///
/// # Errors
///
/// [`Error::Length`] if they have different lengths.
pub fn inner_product(a: &[f32], b: &[f32]) -> Result<f32> {
    one_to_one::<INNER_PRODUCT>(Supported::active(), a, b)
}

/// The squared Euclidean distance of two vectors.
///
/// # Errors
///
/// [`Error::Length`] if they have different lengths.
pub fn squared_l2(a: &[f32], b: &[f32]) -> Result<f32> {
    one_to_one::<SQUARED_L2>(Supported::active(), a, b)
}

/// The squared Euclidean norm of a vector: its inner product with itself.
pub fn squared_norm(vector: &[f32]) -> f32 {
    let mut out = [0.0];
    fill::<INNER_PRODUCT>(Supported::active(), vector, vector, vector.len(), &mut out);
    out[0]
}

/// The inner products of `query` with every row of `rows`, which has `out.len()` rows of
/// `query.len()` components, one after another.
///
/// # Errors
///
/// [`Error::Length`] if `rows` has another length than that; `out` is then as it was.
pub fn inner_products(query: &[f32], rows: &[f32], out: &mut [f32]) -> Result<()> {
    one_to_many::<INNER_PRODUCT>(Supported::active(), query, rows, out)
}

/// The squared Euclidean distances of `query` to every row of `rows`, which has `out.len()` rows
/// of `query.len()` components, one after another.
///
/// # Errors
///
/// [`Error::Length`] if `rows` has another length than that; `out` is then as it was.
pub fn squared_l2s(query: &[f32], rows: &[f32], out: &mut [f32]) -> Result<()> {
    one_to_many::<SQUARED_L2>(Supported::active(), query, rows, out)
}

/// The inner products of every query with every row: `out[q * row_count + r]` is that of query
/// `q` with row `r`. Rows are read once per few queries; a block of rows that fits in the cache
/// makes the work bound by arithmetic instead of memory.
///
/// # Errors
///
/// [`Error::PartialVector`] if `queries` or `rows` are not whole vectors of `dimension`
/// components, [`Error::Length`] if `out` has another length than queries times rows; `out` is
/// then as it was.
pub fn inner_product_table(
    queries: &[f32],
    rows: &[f32],
    dimension: usize,
    out: &mut [f32],
) -> Result<()> {
    many_to_many::<INNER_PRODUCT>(Supported::active(), queries, rows, dimension, out)
}

/// The squared Euclidean distances of every query to every row, laid out as in
/// [`inner_product_table`].
///
/// # Errors
///
/// As [`inner_product_table`].
pub fn squared_l2_table(
    queries: &[f32],
    rows: &[f32],
    dimension: usize,
    out: &mut [f32],
) -> Result<()> {
    many_to_many::<SQUARED_L2>(Supported::active(), queries, rows, dimension, out)
}

fn one_to_one<const L2: bool>(cpu: Supported, a: &[f32], b: &[f32]) -> Result<f32> {
    require_length("b", a.len(), b.len())?;
    let mut out = [0.0];
    fill::<L2>(cpu, a, b, a.len(), &mut out);
    Ok(out[0])
}

fn one_to_many<const L2: bool>(
    cpu: Supported,
    query: &[f32],
    rows: &[f32],
    out: &mut [f32],
) -> Result<()> {
    // A saturated product is longer than any slice, so it is refused as it should be.
    require_length("rows", query.len().saturating_mul(out.len()), rows.len())?;
    fill::<L2>(cpu, query, rows, query.len(), out);
    Ok(())
}

fn many_to_many<const L2: bool>(
    cpu: Supported,
    queries: &[f32],
    rows: &[f32],
    dimension: usize,
    out: &mut [f32],
) -> Result<()> {
    let query_count = vector_count("queries", queries, dimension)?;
    let row_count = vector_count("rows", rows, dimension)?;
    require_length("out", query_count.saturating_mul(row_count), out.len())?;
    fill::<L2>(cpu, queries, rows, dimension, out);
    Ok(())
}

/// Whole vectors in `values`; none has no components, so a dimension of 0 allows no values.
fn vector_count(argument: &'static str, values: &[f32], dimension: usize) -> Result<usize> {
    match values.len().checked_rem(dimension) {
        Some(0) => Ok(values.len() / dimension),
        None if values.is_empty() => Ok(0),
        _ => Err(Error::PartialVector {
            argument,
            dimension,
            received: values.len(),
        }),
    }
}

/// Runs the tier's kernel over checked arguments. The tile heights are what fits in the
/// registers: 32 with AVX-512, 16 with AVX2.
fn fill<const L2: bool>(
    cpu: Supported,
    queries: &[f32],
    rows: &[f32],
    dimension: usize,
    out: &mut [f32],
) {
    if dimension == 0 {
        out.fill(0.0);
        return;
    }
    match cpu {
        Supported::Scalar => {
            table::fill::<_, 1>(scalar::Scalar::<L2>, queries, rows, dimension, out);
        }
        #[cfg(target_arch = "x86_64")]
        Supported::Avx2(proof) => {
            table::fill::<_, 2>(avx2::Avx2::<L2>(proof), queries, rows, dimension, out);
        }
        #[cfg(target_arch = "x86_64")]
        Supported::Avx512(proof) => {
            table::fill::<_, 4>(avx512::Avx512::<L2>(proof), queries, rows, dimension, out);
        }
    }
}
