//! Refuses input that an index cannot hold or answer, before anything is changed.

use crate::{Error, Metric, Result};

/// Checks the vectors of an upsert: their number, their ids, and each component.
pub(crate) fn vectors(
    metric: Metric,
    dimension: usize,
    ids: &[u64],
    vectors: &[f32],
) -> Result<()> {
    // A saturated product is longer than any slice, so it is refused as it should be.
    if ids.len().saturating_mul(dimension) != vectors.len() {
        let (ids, received) = (ids.len(), vectors.len());
        return Err(Error::VectorCount {
            ids,
            dimension,
            received,
        });
    }
    if let Some(id) = duplicate(ids) {
        return Err(Error::DuplicateId { id });
    }
    for (&id, vector) in ids.iter().zip(vectors.chunks_exact(dimension)) {
        if let Some(position) = not_finite(vector) {
            return Err(Error::NotFinite { id, position });
        }
        if metric == Metric::Cosine && is_zero(vector) {
            return Err(Error::ZeroVector { id });
        }
    }
    Ok(())
}

/// Magnitudes up to here have products and sums that stay far inside the range of f32.
const GREATEST: f32 = 1e15;

/// Checks that the arithmetic of lists cannot overflow with these vectors.
pub(crate) fn moderate(dimension: usize, ids: &[u64], vectors: &[f32]) -> Result<()> {
    for (&id, vector) in ids.iter().zip(vectors.chunks_exact(dimension)) {
        if let Some(position) = vector.iter().position(|x| x.abs() > GREATEST) {
            return Err(Error::TooGreat { id, position });
        }
    }
    Ok(())
}

/// Whether that arithmetic can do with these queries.
pub(crate) fn are_moderate(queries: &[f32]) -> bool {
    queries.iter().all(|x| x.abs() <= GREATEST)
}

/// Checks each component of whole queries.
pub(crate) fn queries(metric: Metric, dimension: usize, queries: &[f32]) -> Result<()> {
    for (query, vector) in queries.chunks_exact(dimension).enumerate() {
        if let Some(position) = not_finite(vector) {
            return Err(Error::QueryNotFinite { query, position });
        }
        if metric == Metric::Cosine && is_zero(vector) {
            return Err(Error::ZeroQuery { query });
        }
    }
    Ok(())
}

/// The smallest id that stands more than once.
pub(crate) fn duplicate(ids: &[u64]) -> Option<u64> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
}

/// Where the first component is that is NaN or infinite.
pub(crate) fn not_finite(vector: &[f32]) -> Option<usize> {
    vector.iter().position(|x| !x.is_finite())
}

fn is_zero(vector: &[f32]) -> bool {
    vector.iter().all(|&x| x == 0.0)
}
