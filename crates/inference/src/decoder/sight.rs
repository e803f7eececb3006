//! What the tokens of some requests look at: which keys and values, and which of these are theirs to see.
//!
//! A request that is alone and whose pages lie side by side looks at them where they are. Others' pages are brought
//! together, as many for each as the longest has; what a mask hides of them counts for nothing.

use candle_core::{Device, Result, Tensor};

use super::cache::KvCache;
use super::fused::Seen;
use super::step::StepModel;
use crate::engine::{BLOCK_TOKENS, TokenCache};

/// What the tokens of a group look at in one kind of blocks.
#[derive(Debug)]
pub(super) struct Sight {
    source: Source,
    parts: usize,
    /// Positions that each part is shown.
    length: usize,
    /// What of them the tokens may look at.
    pub(super) seen: Seen,
}

#[derive(Debug)]
enum Source {
    /// From this place on.
    Run(usize),
    /// In these pages, part by part equally many.
    Pages(Tensor),
}

/// Where a part's tokens stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stand {
    /// The first token's position.
    pub(super) position: usize,
    /// The first position that is shown.
    pub(super) first: usize,
}

impl Sight {
    /// What `count` tokens of each of these requests look at: all that is before them, or the last `window` positions.
    pub(super) fn new(
        caches: &[&KvCache],
        count: usize,
        window: Option<usize>,
        model: StepModel<'_>,
    ) -> Result<Self> {
        let window = window.unwrap_or(usize::MAX);
        let first_of = |cache: &KvCache| (cache.len() + 1).saturating_sub(window);
        if let [cache] = caches {
            let (first, end) = (first_of(cache), cache.len() + count);
            if let [run] = cache.runs(first, end - first).as_slice() {
                let stand = Stand {
                    position: cache.len(),
                    first,
                };
                return Ok(Self {
                    source: Source::Run(run.place),
                    parts: 1,
                    length: end - first,
                    seen: seen(&[stand], count, end - first, window, model)?,
                });
            }
        }
        let pages = caches
            .iter()
            .map(|cache| cache.page_numbers(first_of(cache), cache.len() + count));
        let pages: Vec<Vec<u32>> = pages.collect();
        let longest = pages.iter().map(Vec::len).max().unwrap_or(0);
        let length = longest * BLOCK_TOKENS;
        let stands = caches.iter().map(|cache| Stand {
            position: cache.len(),
            first: first_of(cache) / BLOCK_TOKENS * BLOCK_TOKENS,
        });
        let stands: Vec<Stand> = stands.collect();
        Ok(Self {
            source: Source::Pages(page_table(pages, longest, model.device)?),
            parts: caches.len(),
            length,
            seen: seen(&stands, count, length, window, model)?,
        })
    }

    /// Keys and values (kv_heads * parts, positions, head_dim) each, of those of all requests (2 * kv_heads,
    /// positions, head_dim).
    pub(super) fn of(&self, cached: &Tensor) -> Result<(Tensor, Tensor)> {
        let (heads, positions, head_dim) = cached.dims3()?;
        let kv_heads = heads / 2;
        let shown = match &self.source {
            Source::Run(place) => cached.narrow(1, *place, self.length)?,
            Source::Pages(pages) => {
                let width = BLOCK_TOKENS * head_dim;
                let cached = cached.reshape((heads, positions / BLOCK_TOKENS, width))?;
                let shown = cached.index_select(pages, 1)?; // (heads, parts * pages of each, width)
                shown.reshape((heads * self.parts, self.length, head_dim))?
            }
        };
        let half = kv_heads * self.parts;
        Ok((shown.narrow(0, 0, half)?, shown.narrow(0, half, half)?))
    }
}

/// Page numbers of all parts, filled up with pages that they have already: those of others may be no numbers.
fn page_table(pages: Vec<Vec<u32>>, longest: usize, device: &Device) -> Result<Tensor> {
    let filled_up = pages.into_iter().flat_map(|mut pages| {
        let first = pages.first().copied().unwrap_or(0);
        pages.resize(longest, first);
        pages
    });
    let numbers: Vec<u32> = filled_up.collect();
    let count = numbers.len();
    Tensor::from_vec(numbers, count, device)
}

/// What `count` tokens of each part see of `length` positions.
fn seen(
    stands: &[Stand],
    count: usize,
    length: usize,
    window: usize,
    model: StepModel<'_>,
) -> Result<Seen> {
    if model.fused.is_on() {
        // A card has room for fewer positions than 2^32.
        let leads = stands
            .iter()
            .map(|stand| (stand.position - stand.first) as u32);
        let leads = Tensor::from_vec(leads.collect(), stands.len(), model.device)?;
        return Ok(Seen::UpToOwn { leads, window });
    }
    match stands {
        // A single token may look at all that is shown to it alone.
        [stand] if count == 1 && stand.position + 1 - stand.first == length => Ok(Seen::All),
        _ => mask(stands, count, length, window, model.device).map(Seen::Mask),
    }
}

/// A token looks at `window` positions up to its own. Computed on the device: for a long prompt it is large.
pub(super) fn mask(
    stands: &[Stand],
    count: usize,
    length: usize,
    window: usize,
    device: &Device,
) -> Result<Tensor> {
    // From a part's first shown position to its first token; exact up to 2^24, further than any context.
    let lead = stands
        .iter()
        .map(|stand| (stand.position - stand.first) as f32);
    let lead = Tensor::from_vec(lead.collect(), (stands.len(), 1, 1, 1), device)?;
    let tokens = numbers(count, device)?.reshape((1, 1, count, 1))?;
    let positions = numbers(length, device)?.reshape((1, 1, 1, length))?;
    // How far back each position is from each token.
    let back = lead.broadcast_add(&tokens)?.broadcast_sub(&positions)?;
    let mut mask = hidden_where(&back.lt(0f32)?)?;
    if window < length {
        mask = (mask + hidden_where(&back.ge(window as f32)?)?)?;
    }
    Ok(mask)
}

fn hidden_where(hidden: &Tensor) -> Result<Tensor> {
    let value = |value: f32| {
        let value = Tensor::full(value, (), hidden.device())?;
        value.broadcast_as(hidden.shape())
    };
    hidden.where_cond(&value(f32::NEG_INFINITY)?, &value(0.0)?)
}

fn numbers(count: usize, device: &Device) -> Result<Tensor> {
    Tensor::arange(0f32, count as f32, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(stands: &[(usize, usize)], count: usize, length: usize, window: usize) -> Vec<String> {
        let stands = stands.iter().map(|(position, first)| Stand {
            position: *position,
            first: *first,
        });
        let stands: Vec<Stand> = stands.collect();
        let mask = mask(&stands, count, length, window, &Device::Cpu).unwrap();
        let rows = mask
            .reshape(((), length))
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        let rows = rows.into_iter().map(|row| {
            let marks = row.into_iter().map(|value| match value {
                0.0 => 'x',
                f32::NEG_INFINITY => '.',
                _ => '?',
            });
            marks.collect()
        });
        rows.collect()
    }

    #[test]
    fn tokens_look_back_and_not_ahead() {
        assert_eq!(seen(&[(2, 0)], 2, 4, usize::MAX), ["xxx.", "xxxx"]);
        assert_eq!(seen(&[(2, 0), (0, 0)], 1, 4, usize::MAX), ["xxx.", "x..."]);
    }

    #[test]
    fn windows_end_behind_them() {
        assert_eq!(seen(&[(3, 0)], 2, 6, 2), ["..xx..", "...xx."]);
        assert_eq!(seen(&[(9, 8)], 1, 4, 2), ["xx.."]);
    }
}
