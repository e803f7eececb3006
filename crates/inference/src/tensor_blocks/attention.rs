//! Attention among all tokens of a text, or all patches of a frame.

use candle_core::{Result, Tensor};
use candle_nn::ops::softmax_last_dim;

use super::bytes;
use super::loader::{Loader, Map};
use super::marked::{MARKS, MASK, ONE};

/// Scores that are kept at once: 128 MB in 16 bits. More texts, or longer ones, are done one slice after another.
const MOST_SCORES: usize = 1 << 26;

/// The maps of attention. Each head is wider by [`MARKS`] rows than its values are: to a score they add one times the
/// mask of the token that is looked at, and to what a head has gathered the sum of its shares, which is one, for the
/// bias of the map that follows.
#[derive(Debug)]
pub(crate) struct Attention {
    /// (queries, keys and values of all heads, hidden + [`MARKS`]); queries are scaled by `1 / sqrt(head's width)`.
    inputs: Tensor,
    /// (heads, hidden)
    output: Tensor,
    heads: usize,
}

impl Attention {
    /// Reads the maps for queries, keys, values, and of what was gathered.
    pub(crate) fn load(
        loader: &Loader<'_>,
        names: [String; 4],
        hidden: usize,
        heads: usize,
    ) -> crate::Result<Self> {
        let [queries, keys, values, output] = &names;
        let width = hidden / heads;
        let scale = 1.0 / (width as f32).sqrt();
        let mut rows = Vec::with_capacity(3 * heads * (width + MARKS) * (hidden + MARKS));
        for (name, scale, mark) in [(queries, scale, ONE), (keys, 1.0, MASK), (values, 1.0, ONE)] {
            let map = loader.map(name, hidden, hidden)?;
            push_heads(&mut rows, &map, width, scale, mark);
        }
        let gathered = heads * (width + MARKS);
        let input_names = [queries, keys, values].map(String::as_str).join(", ");
        let dims = [3 * gathered, hidden + MARKS];
        let output_rows = turned(&loader.map(output, hidden, hidden)?, width);
        Ok(Self {
            inputs: loader.place(&input_names, rows, &dims)?,
            output: loader.place(output, output_rows, &[gathered, hidden])?,
            heads,
        })
    }

    /// Memory of the weights.
    pub(crate) fn bytes(&self) -> usize {
        bytes(&self.inputs) + bytes(&self.output)
    }

    /// (texts, tokens, hidden + [`MARKS`]) -> (texts, tokens, hidden)
    pub(crate) fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let (texts, tokens, _) = states.dims3()?;
        let (gathered, hidden) = self.output.dims2()?;
        let [queries, keys, values] = self.heads(states)?;
        let mixed = mix(&queries, &keys, &values, MOST_SCORES)?;
        let mixed = mixed.reshape((texts, gathered, tokens))?.t()?;
        // On the processor Candle takes a batch with one right side for rows that lie one after the other.
        let mixed = match mixed.device().is_cpu() {
            true => mixed.contiguous()?,
            false => mixed,
        };
        mixed.matmul(&self.output.broadcast_as((texts, gathered, hidden))?)
    }

    /// Queries, keys and values, each (texts * heads, head's width, tokens): written transposed, the heads of a text
    /// lie one after the other, and nothing need be copied.
    fn heads(&self, states: &Tensor) -> Result<[Tensor; 3]> {
        let (texts, tokens, inputs) = states.dims3()?;
        let gathered = self.output.dim(0)?;
        let seen = states.t()?;
        let map = |first: usize, rows: usize| {
            let rows = self.inputs.narrow(0, first, rows)?;
            rows.broadcast_as((texts, rows.dim(0)?, inputs))?
                .matmul(&seen)
        };
        // With one text, the three lie one after the other too.
        let joined = (texts == 1).then(|| map(0, 3 * gathered)).transpose()?;
        let part = |index: usize| -> Result<Tensor> {
            let part = match &joined {
                Some(joined) => joined.narrow(1, index * gathered, gathered)?,
                None => map(index * gathered, gathered)?,
            };
            part.reshape((texts * self.heads, gathered / self.heads, tokens))
        };
        Ok([part(0)?, part(1)?, part(2)?])
    }
}

/// Appends a map's rows, scaled and with the bias where the states' mark is one, and after those of each head one that
/// takes over the mark, and zeros.
fn push_heads(rows: &mut Vec<f32>, map: &Map, width: usize, scale: f32, mark: usize) {
    let hidden = map.bias.len();
    let mut push = |values: &[f32], at: usize, value: f32| {
        rows.extend(values.iter().map(|value| value * scale));
        rows.extend((0..MARKS).map(|column| if column == at { value } else { 0.0 }));
    };
    let nothing = vec![0f32; hidden];
    let heads = map.rows.chunks_exact(width * hidden);
    for (head, biases) in heads.zip(map.bias.chunks_exact(width)) {
        for (row, bias) in head.chunks_exact(hidden).zip(biases) {
            push(row, ONE, bias * scale);
        }
        push(&nothing, mark, 1.0);
        (1..MARKS).for_each(|_| push(&nothing, ONE, 0.0));
    }
}

/// The map of what heads have gathered: a row for each of their rows, the bias in the first head's sum of shares.
fn turned(map: &Map, width: usize) -> Vec<f32> {
    let hidden = map.bias.len();
    let mut rows = Vec::new();
    for head in 0..hidden / width {
        for input in head * width..(head + 1) * width {
            rows.extend((0..hidden).map(|output| map.rows[output * hidden + input]));
        }
        match head {
            0 => rows.extend_from_slice(&map.bias),
            _ => rows.extend(std::iter::repeat_n(0.0, hidden)),
        }
        rows.extend(std::iter::repeat_n(0.0, (MARKS - 1) * hidden));
    }
    rows
}

/// What each head gathers, (heads of all texts, width, tokens), with at most so many scores at once: of several heads
/// where they fit, else of some of one head's queries.
pub(super) fn mix(queries: &Tensor, keys: &Tensor, values: &Tensor, most: usize) -> Result<Tensor> {
    let (heads, _, tokens) = queries.dims3()?;
    let together = most / (tokens * tokens).max(1);
    if together >= heads {
        return mix_at_once(queries, keys, values);
    }
    let mut mixed = Vec::new();
    for first in (0..heads).step_by(together.max(1)) {
        let count = together.max(1).min(heads - first);
        let [queries, keys, values] =
            [queries, keys, values].map(|all| all.narrow(0, first, count));
        let (queries, keys, values) = (queries?, keys?, values?);
        mixed.push(match together {
            0 => mix_in_slices(&queries, &keys, &values, (most / tokens).max(1))?,
            _ => mix_at_once(&queries, &keys, &values)?,
        });
    }
    Tensor::cat(&mixed, 0)
}

fn mix_in_slices(queries: &Tensor, keys: &Tensor, values: &Tensor, most: usize) -> Result<Tensor> {
    let tokens = queries.dim(2)?;
    let slices = (0..tokens).step_by(most).map(|first| {
        let queries = queries.narrow(2, first, most.min(tokens - first))?;
        mix_at_once(&queries.contiguous()?, keys, values)
    });
    Tensor::cat(&slices.collect::<Result<Vec<_>>>()?, 2)
}

fn mix_at_once(queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
    let scores = queries.t()?.matmul(keys)?; // (heads, tokens that look, tokens looked at)
    values.matmul(&softmax_last_dim(&scores)?.t()?)
}
