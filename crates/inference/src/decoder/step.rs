//! One pass through the blocks: whose rows are which, and where their keys and values lie.
//!
//! The rows of all requests go through products, norms and rotations together. Attention is computed for requests
//! with equally many rows at a time: for all those that make a token, in one call. Rows lie so that these are neighbours.

use candle_core::{Device, Result, Tensor};

use super::adapter::CandleAdapter;
use super::cache::{KvCache, Run};
use super::fused::Fused;
use super::rotary::{Angles, Rotary, Span};
use super::sight::Sight;
use crate::engine::{Part, TokenCache};

/// A pass, prepared.
#[derive(Debug)]
pub(super) struct Step<'step> {
    parts: Vec<StepPart<'step>>,
    groups: Vec<Group>,
    /// Keys and values of all requests, block by block: (2 * kv_heads, positions, head_dim).
    tensors: Vec<Tensor>,
    global: View,
    /// In blocks with a window.
    local: Option<View>,
    fused: &'step Fused,
}

/// A request's rows of a step.
#[derive(Debug)]
pub(super) struct StepPart<'step> {
    /// The first of them among the rows of all.
    pub(super) start: usize,
    pub(super) count: usize,
    /// What changes the model for it, and how much.
    pub(super) adapter: Option<(&'step CandleAdapter, f32)>,
}

/// Neighbouring parts with equally many rows.
#[derive(Debug)]
pub(super) struct Group {
    /// The first row.
    pub(super) start: usize,
    pub(super) parts: usize,
    /// Rows of each.
    pub(super) count: usize,
    places: Places,
}

/// Where the keys and values of a group's rows go.
#[derive(Debug)]
enum Places {
    /// Anywhere: (kv_heads, rows, head_dim), each with the place of its row.
    Each(Tensor),
    /// Side by side.
    Runs(Vec<Run>),
}

/// What the tokens of a step look at in one kind of blocks.
#[derive(Debug)]
pub(super) struct View {
    /// Angles of the rows' positions.
    pub(super) angles: Angles,
    /// What each group sees.
    pub(super) sights: Vec<Sight>,
}

/// Of a model, what a step needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepModel<'model> {
    pub(super) rotary: &'model Rotary,
    /// Positions that a token looks at in blocks with a window.
    pub(super) window: Option<usize>,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) device: &'model Device,
    pub(super) fused: &'model Fused,
    /// Whether tokens look at pages where they are.
    pub(super) attends: bool,
}

/// The order in which the parts' rows lie: those with equally many are neighbours, and fewer come first.
pub(super) fn row_order(parts: &[Part<'_, KvCache>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| parts[*index].tokens.len());
    order
}

impl<'step> Step<'step> {
    /// Prepares to read parts, in the order of their rows, whose caches have room for them. `tensors` are those of
    /// their pool.
    pub(super) fn new(
        parts: Vec<&'step Part<'_, KvCache>>,
        tensors: Vec<Tensor>,
        model: StepModel<'step>,
    ) -> Result<Self> {
        let sizes = parts.chunk_by(|one, next| one.tokens.len() == next.tokens.len());
        let members: Vec<Vec<&KvCache>> = sizes
            .map(|parts| parts.iter().map(|part| &*part.cache).collect())
            .collect();
        let parts = step_parts(&parts)?;
        let groups = groups(&parts, &members, model)?;
        let spans = spans(&groups, &members);
        let tables = model.rotary.tables(&spans);
        let view = |is_local: bool, window: Option<usize>| -> Result<View> {
            let groups = groups.iter().zip(&members);
            let sights =
                groups.map(|(group, members)| Sight::new(members, group.count, window, model));
            Ok(View {
                angles: model.rotary.angles(tables.of(is_local))?,
                sights: sights.collect::<Result<_>>()?,
            })
        };
        let local = model.window.map(|window| view(true, Some(window)));
        Ok(Self {
            global: view(false, None)?,
            local: local.transpose()?,
            parts,
            groups,
            tensors,
            fused: model.fused,
        })
    }

    /// How what lies between products is done.
    pub(super) fn fused(&self) -> &Fused {
        self.fused
    }

    /// Whose rows are which.
    pub(super) fn parts(&self) -> &[StepPart<'step>] {
        &self.parts
    }

    /// Those that attention is computed for at a time.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// What tokens look at in blocks with a window, or in the others.
    pub(super) fn view(&self, is_local: bool) -> &View {
        let local = self.local.as_ref().filter(|_| is_local);
        local.unwrap_or(&self.global)
    }

    /// The keys and values of a block: (2 * kv_heads, positions, head_dim).
    pub(super) fn cached(&self, block: usize) -> Result<&Tensor> {
        match self.tensors.get(block) {
            Some(tensor) => Ok(tensor),
            None => candle_core::bail!("the cache has no block {block}"),
        }
    }

    /// Stores the keys and values of all rows in a block: (kv_heads, rows, head_dim) each, in the type of the cache.
    pub(super) fn store(&self, block: usize, keys: &Tensor, values: &Tensor) -> Result<()> {
        let cached = self.cached(block)?;
        let kv_heads = cached.dim(0)? / 2;
        let cached_keys = cached.narrow(0, 0, kv_heads)?;
        let cached_values = cached.narrow(0, kv_heads, kv_heads)?;
        self.groups.iter().try_for_each(|group| {
            group.store(&cached_keys, keys)?;
            group.store(&cached_values, values)
        })
    }
}

impl StepPart<'_> {
    /// Its rows of (tokens, ...).
    pub(super) fn rows_of(&self, all: &Tensor) -> Result<Tensor> {
        all.narrow(0, self.start, self.count)
    }
}

impl Group {
    /// Rows of all its parts.
    pub(super) fn rows(&self) -> usize {
        self.parts * self.count
    }

    fn store(&self, cached: &Tensor, rows: &Tensor) -> Result<()> {
        let own = |start: usize, count: usize| {
            let own = rows.narrow(1, start, count)?;
            own.contiguous()
        };
        match &self.places {
            Places::Each(places) => cached.scatter_set(places, &own(self.start, self.rows())?, 1),
            Places::Runs(runs) => {
                let mut start = self.start;
                for run in runs {
                    cached.slice_set(&own(start, run.count)?, 1, run.place)?;
                    start += run.count;
                }
                Ok(())
            }
        }
    }
}

fn step_parts<'step>(parts: &[&'step Part<'_, KvCache>]) -> Result<Vec<StepPart<'step>>> {
    let mut end = 0;
    let parts = parts.iter().map(|part| {
        let adapter = part.adapter;
        let adapter = adapter.map(|applied| Ok((applied.candle()?, applied.scale)));
        let count = part.tokens.len();
        end += count;
        Ok(StepPart {
            start: end - count,
            count,
            adapter: adapter.transpose().map_err(super::failed)?,
        })
    });
    parts.collect()
}

fn groups(
    parts: &[StepPart<'_>],
    members: &[Vec<&KvCache>],
    model: StepModel<'_>,
) -> Result<Vec<Group>> {
    let mut rest = parts;
    let groups = members.iter().map(|members| {
        let (own, after) = rest.split_at(members.len());
        rest = after;
        let (start, count) = own
            .first()
            .map_or((0, 0), |first| (first.start, first.count));
        let runs = members
            .iter()
            .flat_map(|cache| cache.runs(cache.len(), count));
        Ok(Group {
            start,
            parts: members.len(),
            count,
            places: Places::of(runs.collect(), model)?,
        })
    });
    groups.collect()
}

impl Places {
    /// Runs of several places take a call each, and single places one for all.
    fn of(runs: Vec<Run>, model: StepModel<'_>) -> Result<Self> {
        if runs.len() == 1 || runs.iter().any(|run| run.count > 1) {
            return Ok(Self::Runs(runs));
        }
        // A card has fewer places than 2^32.
        let places: Vec<u32> = runs.iter().map(|run| run.place as u32).collect();
        let rows = places.len();
        let places = Tensor::from_vec(places, (1, rows, 1), model.device)?;
        let places = places.broadcast_as((model.kv_heads, rows, model.head_dim))?;
        Ok(Self::Each(places.contiguous()?))
    }
}

fn spans(groups: &[Group], members: &[Vec<&KvCache>]) -> Vec<Span> {
    let groups = groups.iter().zip(members);
    let spans = groups.flat_map(|(group, members)| {
        members.iter().map(|cache| Span {
            limit: cache.limit(),
            start: cache.len(),
            count: group.count,
        })
    });
    spans.collect()
}

/// Rows, one after another.
pub(super) fn one_after_another(rows: Vec<Tensor>) -> Result<Tensor> {
    match rows.as_slice() {
        [] => candle_core::bail!("a step without tokens"),
        [only] => Ok(only.clone()),
        several => Tensor::cat(several, 0),
    }
}
