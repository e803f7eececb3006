//! All vectors at least as near as a given score.

use longtrainer_kernels::Team;

use crate::rows::Rows;
use crate::tasks::gather;
use crate::{Hit, Result, score};

/// The rows whose score is `least` or more, nearest first, of equally near ones the smaller id
/// first. Every vector is compared.
pub(crate) fn within(rows: &Rows, query: &[f32], least: f32, team: &Team) -> Result<Vec<Hit>> {
    let found = gather(team, rows.chunks().len(), Vec::new, |found, chunk| {
        visit(rows, chunk, query, least, found)
    })?;
    let mut hits: Vec<Hit> = found.into_iter().flatten().collect();
    hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    Ok(hits)
}

fn visit(rows: &Rows, chunk: usize, query: &[f32], least: f32, found: &mut Vec<Hit>) -> Result<()> {
    let chunk = &rows.chunks()[chunk];
    let vectors = chunk.vectors()?;
    let mut values = vec![0.0; chunk.rows()];
    score::table(rows.metric, query, vectors, rows.dimension, &mut values)?;
    let vectors = vectors.chunks_exact(rows.dimension);
    for (place, ((&id, vector), &value)) in
        chunk.ids()?.iter().zip(vectors).zip(&values).enumerate()
    {
        let score = score::of_value(rows.metric, value, query, vector);
        if score >= least && chunk.is_alive(place) {
            found.push(Hit { id, score });
        }
    }
    Ok(())
}
