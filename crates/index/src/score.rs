//! Exact scores: what the kernels compute, made comparable over all metrics.

use longtrainer_kernels::{
    inner_product, inner_product_table, inner_products, squared_l2, squared_l2_table, squared_l2s,
};

use crate::{Metric, Result};

/// Fills `values` with the kernel's values of every query and row, query after query.
pub(crate) fn table(
    metric: Metric,
    queries: &[f32],
    rows: &[f32],
    dimension: usize,
    values: &mut [f32],
) -> Result<()> {
    Ok(match (metric, queries.len() == dimension) {
        (Metric::L2, true) => squared_l2s(queries, rows, values),
        (Metric::L2, false) => squared_l2_table(queries, rows, dimension, values),
        (_, true) => inner_products(queries, rows, values),
        (_, false) => inner_product_table(queries, rows, dimension, values),
    }?)
}

/// The score of one row: the same, bit for bit, as by way of a [`table`].
pub(crate) fn exact(metric: Metric, query: &[f32], row: &[f32]) -> Result<f32> {
    let value = match metric {
        Metric::L2 => squared_l2(query, row),
        Metric::InnerProduct | Metric::Cosine => inner_product(query, row),
    }?;
    Ok(of_value(metric, value, query, row))
}

/// The score for a kernel's value; adding to 0 makes -0 to 0, which ranks equal to it.
#[inline]
pub(crate) fn of_value(metric: Metric, value: f32, query: &[f32], row: &[f32]) -> f32 {
    let value = if value.is_finite() {
        value
    } else {
        wide_value(metric, query, row)
    };
    match metric {
        Metric::InnerProduct => 0.0 + value,
        Metric::Cosine => 0.0 + value.clamp(-1.0, 1.0),
        Metric::L2 => 0.0 - value,
    }
}

/// The value by way of f64, for sums that leave the range of f32 on the way or for good; in the
/// latter case it is the greatest or least finite number.
#[cold]
fn wide_value(metric: Metric, query: &[f32], row: &[f32]) -> f32 {
    let terms = query.iter().zip(row).map(|(&a, &b)| {
        let (a, b) = (f64::from(a), f64::from(b));
        match metric {
            Metric::InnerProduct | Metric::Cosine => a * b,
            Metric::L2 => (a - b) * (a - b),
        }
    });
    terms
        .sum::<f64>()
        .clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// The squared norm, off by no more than f32 is in a sum of as many terms; by way of f64 where f32
/// would overflow or vanish.
pub(crate) fn squared_norm(vector: &[f32]) -> f64 {
    const SAFE: std::ops::Range<f32> = 1e-25..f32::MAX;
    match longtrainer_kernels::squared_norm(vector) {
        square if SAFE.contains(&square) => f64::from(square),
        _ => norm(vector).powi(2),
    }
}

/// The Euclidean norm, by way of f64: no finite vector overflows or vanishes there.
pub(crate) fn norm(vector: &[f32]) -> f64 {
    let squares = vector.iter().map(|&x| f64::from(x) * f64::from(x));
    squares.sum::<f64>().sqrt()
}
