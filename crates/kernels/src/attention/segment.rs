//! Attention of encoders: each token to all tokens of its text, and to no others.
//!
//! Texts lie one after another without padding. A task is a text, a head and a tile of queries; it
//! turns the text's keys around, block by block, so that a lane is a position as in the cache.

use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::isa::Supported;
use crate::shape::{require_length, require_rows};
use crate::simd::{Kernel, Simd};
use crate::{Error, Result, Team};

use super::scratch::with_scratch;
use super::tile::{SPAN, Shape, Source, Tile, Visible};

/// Rows of a tile where there are tasks enough: a tile turns all of its text's keys around.
const LARGE_TILE: usize = 240;
/// Rows of a tile where there are few texts and heads.
const SMALL_TILE: usize = 48;
/// Tasks a thread that are enough.
const TASKS_A_THREAD: usize = 3;

/// Attention within texts. `qkv` has a row a token: `heads * head_dim` values of queries, then as
/// many of keys, then as many of values; `out` gets rows of `heads * head_dim`. `lengths` are the
/// texts' numbers of tokens, in the order of the rows. A score is `scale` times the inner product of
/// query and key.
///
/// # Errors
///
/// [`Error::PartialVector`] if `out` is not whole rows; [`Error::Length`] if `qkv` is not three times
/// as long, or if `lengths` do not add up to the number of rows. `out` is then as it was.
pub fn segment_attention(
    team: &Team,
    qkv: &[f32],
    heads: usize,
    head_dim: usize,
    lengths: &[usize],
    scale: f32,
    out: &mut [f32],
) -> Result<()> {
    let cpu = Supported::active();
    segment_attention_on(cpu, team, qkv, heads, head_dim, lengths, scale, out)
}

#[allow(clippy::too_many_arguments)]
pub(super) fn segment_attention_on(
    cpu: Supported,
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
    let job = Job {
        qkv,
        width,
        dim: head_dim,
        scale: scale * std::f32::consts::LOG2_E,
    };
    let tiles = tiles(lengths, heads, team.threads());
    let out = Disjoint::new(out);
    team.run(tiles.len() * heads, |task| {
        let TextTile { text, queries } = &tiles[task / heads];
        let shape = Shape {
            rows: queries.len(),
            dim: head_dim,
        };
        with_scratch(shape.scratch(), |scratch| {
            cpu.run(SegmentTile {
                job: &job,
                text,
                queries,
                head: task % heads,
                tile: Tile::new(shape, scratch),
                out: &out,
            });
        });
    });
    Ok(())
}

/// How many rows of `width` the texts have, if inputs and outputs have as many.
pub(super) fn require_texts(
    width: usize,
    qkv: usize,
    lengths: &[usize],
    out: usize,
) -> Result<usize> {
    let rows = require_rows("out", width, out)?;
    require_length("qkv", out.saturating_mul(3), qkv)?;
    require_total(rows, lengths)?;
    Ok(rows)
}

/// That the texts have as many tokens as there are rows. Rows of no width are none.
fn require_total(rows: usize, lengths: &[usize]) -> Result<()> {
    let total = lengths
        .iter()
        .try_fold(0usize, |total, length| total.checked_add(*length));
    match total == Some(rows) {
        true => Ok(()),
        false => Err(Error::Length {
            argument: "lengths",
            expected: rows,
            received: total.unwrap_or(usize::MAX),
        }),
    }
}

/// A text's rows, and those of them whose queries a tile has.
struct TextTile {
    text: Range<usize>,
    queries: Range<usize>,
}

/// Cuts the texts into tiles of about equal size.
fn tiles(lengths: &[usize], heads: usize, threads: usize) -> Vec<TextTile> {
    let large = lengths.iter().map(|length| length.div_ceil(LARGE_TILE));
    let most = match large.sum::<usize>() * heads < TASKS_A_THREAD * threads {
        true => SMALL_TILE,
        false => LARGE_TILE,
    };
    let mut tiles = Vec::new();
    let mut start = 0;
    for length in lengths {
        let text = start..start + length;
        let size = length.div_ceil(length.div_ceil(most).max(1)).max(1);
        for first in text.clone().step_by(size) {
            tiles.push(TextTile {
                text: text.clone(),
                queries: first..text.end.min(first + size),
            });
        }
        start = text.end;
    }
    tiles
}

struct Job<'a> {
    qkv: &'a [f32],
    width: usize,
    dim: usize,
    scale: f32,
}

impl<'a> Job<'a> {
    /// A head's query (part 0), key (1) or value (2) of a row.
    #[inline(always)]
    fn head(&self, row: usize, part: usize, head: usize) -> &'a [f32] {
        let at = (3 * row + part) * self.width + head * self.dim;
        &self.qkv[at..][..self.dim]
    }
}

struct SegmentTile<'a> {
    job: &'a Job<'a>,
    text: &'a Range<usize>,
    queries: &'a Range<usize>,
    head: usize,
    tile: Tile<'a>,
    out: &'a Disjoint<'a, f32>,
}

impl Kernel for SegmentTile<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            job,
            text,
            queries,
            head,
            mut tile,
            out,
        } = self;
        let source = TextHead {
            job,
            start: text.start,
            head,
        };
        let whole = Visible {
            from: 0,
            to: text.len(),
        };
        for (row, token) in queries.clone().enumerate() {
            tile.set_query(row, job.head(token, 0, head), job.scale);
        }
        tile.attend(simd, &source, |_| whole);
        for (row, token) in queries.clone().enumerate() {
            let at = token * job.width + head * job.dim;
            // SAFETY: each row of each head has its own place, and is in one task.
            tile.finish(simd, row, unsafe { out.part(at, job.dim) });
        }
    }
}

/// A head of a text.
struct TextHead<'a> {
    job: &'a Job<'a>,
    start: usize,
    head: usize,
}

impl Source for TextHead<'_> {
    #[inline(always)]
    fn block<S: Simd>(
        &self,
        _: S,
        first: usize,
        count: usize,
        keys: &mut [f32],
        values: &mut [f32],
    ) {
        let dim = self.job.dim;
        let stride = values.len() / SPAN;
        let row = |position: usize| self.start + first + position;
        let key = |position: usize| self.job.head(row(position), 1, self.head);
        let whole = count - count % SQUARE;
        for position in (0..whole).step_by(SQUARE) {
            let rows = [
                key(position),
                key(position + 1),
                key(position + 2),
                key(position + 3),
            ];
            turn(rows, &mut keys[position..]);
        }
        for position in whole..count {
            let places = keys[position..].iter_mut().step_by(SPAN);
            places.zip(key(position)).for_each(|(to, from)| *to = *from);
        }
        for position in 0..count {
            let value = self.job.head(row(position), 2, self.head);
            values[position * stride..][..dim].copy_from_slice(value);
        }
    }
}

/// Rows that are turned into columns together: squares of them are shuffles of registers.
const SQUARE: usize = 4;

/// Writes rows as columns, `SPAN` values from one component to the next.
#[inline(always)]
fn turn(rows: [&[f32]; SQUARE], to: &mut [f32]) {
    let [a, b, c, d] = rows;
    let squares = a.chunks_exact(SQUARE).zip(b.chunks_exact(SQUARE));
    let squares = squares.zip(c.chunks_exact(SQUARE).zip(d.chunks_exact(SQUARE)));
    for (number, ((a, b), (c, d))) in squares.enumerate() {
        for component in 0..SQUARE {
            let column = [a[component], b[component], c[component], d[component]];
            to[(number * SQUARE + component) * SPAN..][..SQUARE].copy_from_slice(&column);
        }
    }
    for component in a.len() / SQUARE * SQUARE..a.len() {
        let column = [a[component], b[component], c[component], d[component]];
        to[component * SPAN..][..SQUARE].copy_from_slice(&column);
    }
}
