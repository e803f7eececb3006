//! Attention within texts with the processor's bfloat16 instruction.
//!
//! Two regions of the team. The first rounds and packs each head, so that a product finds its pairs:
//!
//! ```text
//! queries  [head][group of 12 tokens][pair of components][token of the group]
//! keys     [head][block of 16 tokens][pair of components][token of the block]
//! values   [head][pair of tokens][component]
//! ```
//!
//! So a product follows one pointer for all queries: twelve would be more than there are registers for.
//! In the second region a task is a head and some queries of a text. A span of positions passes by at a time:
//! scores of 12 queries stay in registers for all components, and so do their outputs for all positions
//! of the span. Texts are filled up to whole blocks
//! and groups with zeros; positions that are none have weights of zero.

mod pack;
mod part;
mod vectors;

use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::isa::HasBf16;
use crate::{Result, Team};

use super::scratch::{with_call_scratch, with_scratch};
use super::segment::require_texts;

use pack::pack;
use part::Part;

/// Lanes of a vector: positions of a block of keys, components of a vector of values.
const LANES: usize = 16;
/// Queries that are computed together: 24 sums and what they are made of fill the registers.
const GROUP: usize = 12;
/// Tokens that a task packs: whole blocks and whole groups.
const PACK: usize = 48;
/// Positions that all queries of a task look at before the next; a multiple of [`LANES`].
const SPAN: usize = 256;
/// Queries of a task: a multiple of [`GROUP`]. Their outputs and a span's keys and values stay in the
/// second cache.
const TASK: usize = 8 * GROUP;

#[allow(clippy::too_many_arguments)]
pub(super) fn attend(
    proof: HasBf16,
    team: &Team,
    qkv: &[f32],
    heads: usize,
    head_dim: usize,
    lengths: &[usize],
    scale: f32,
    out: &mut [f32],
) -> Result<()> {
    let width = heads.saturating_mul(head_dim);
    if require_texts(width, qkv.len(), lengths, out.len())? == 0 {
        return Ok(());
    }
    let texts = texts(lengths);
    let job = Job {
        qkv,
        width,
        heads,
        dim: head_dim,
        padded: head_dim.next_multiple_of(LANES),
        scale: scale * std::f32::consts::LOG2_E,
        packed: texts.iter().map(Text::packed).sum(),
    };
    with_call_scratch(job.scratch(), |scratch| {
        let packed = as_bits(scratch);
        pack(proof, team, &job, &texts, packed);
        look(proof, team, &job, &texts, packed, out);
    });
    Ok(())
}

/// A text's rows, and where they begin among the packed ones.
struct Text {
    rows: Range<usize>,
    start: usize,
}

impl Text {
    /// Rows that are packed for it.
    fn packed(&self) -> usize {
        self.rows.len().next_multiple_of(PACK)
    }
}

fn texts(lengths: &[usize]) -> Vec<Text> {
    let (mut row, mut start) = (0, 0);
    let texts = lengths.iter().map(|length| {
        let text = Text {
            rows: row..row + length,
            start,
        };
        row += length;
        start += text.packed();
        text
    });
    texts.collect()
}

/// The same memory as pairs of bfloat16.
fn as_bits(scratch: &mut [f32]) -> &mut [u32] {
    // SAFETY: both have four bytes and the same alignment, and every pattern is a value of either.
    unsafe { std::slice::from_raw_parts_mut(scratch.as_mut_ptr().cast(), scratch.len()) }
}

struct Job<'a> {
    qkv: &'a [f32],
    /// Values of a row of one kind.
    width: usize,
    heads: usize,
    dim: usize,
    /// `dim`, filled up to whole vectors.
    padded: usize,
    scale: f32,
    /// Rows of all texts, filled up.
    packed: usize,
}

impl<'a> Job<'a> {
    /// Pairs of a row of a head, filled up.
    fn pairs(&self) -> usize {
        self.padded / 2
    }

    /// Pairs of all rows, of queries as of keys and of values.
    fn all(&self) -> usize {
        self.heads * self.packed * self.pairs()
    }

    fn scratch(&self) -> usize {
        3 * self.all()
    }

    /// A head's query (part 0), key (1) or value (2) of a row.
    #[inline(always)]
    fn head(&self, row: usize, part: usize, head: usize) -> &'a [f32] {
        let at = (3 * row + part) * self.width + head * self.dim;
        &self.qkv[at..][..self.dim]
    }
}

/// Attends, a head and some queries of a text a task.
fn look(
    proof: HasBf16,
    team: &Team,
    job: &Job<'_>,
    texts: &[Text],
    packed: &[u32],
    out: &mut [f32],
) {
    let (queries, rest) = packed.split_at(job.all());
    let (keys, values) = rest.split_at(job.all());
    let tasks: Vec<(&Text, Range<usize>)> = texts
        .iter()
        .flat_map(|text| {
            let starts = text.rows.clone().step_by(TASK);
            starts.map(move |start| (text, start..text.rows.end.min(start + TASK)))
        })
        .collect();
    let out = Disjoint::new(out);
    // All tasks of a head follow each other, so that its keys and values stay near.
    team.run(job.heads * tasks.len(), |task| {
        let (head, (text, rows)) = (task / tasks.len(), &tasks[task % tasks.len()]);
        let pairs = job.pairs();
        let start = (head * job.packed + text.start) * pairs;
        let first = start + (rows.start - text.rows.start) * pairs;
        let part = Part {
            queries: &queries[first..][..rows.len().next_multiple_of(GROUP) * pairs],
            keys: &keys[start..][..text.packed() * pairs],
            values: &values[start..][..text.packed() * pairs],
            positions: text.rows.len(),
            dim: job.dim,
            padded: job.padded,
        };
        with_scratch(part.scratch(), |scratch| {
            part.attend(proof, scratch);
            for (row, outputs) in rows.clone().zip(scratch.chunks_exact(job.padded)) {
                // SAFETY: each row of each head has its own place, and is in one task.
                let place = unsafe { out.part(row * job.width + head * job.dim, job.dim) };
                place.copy_from_slice(&outputs[..job.dim]);
            }
        });
    });
}
