//! What the tokens of some requests look at: which keys and values, and which of these are theirs to see.
//!
//! Where a device has attention over pages, requests that make a token look at them where they are. Elsewhere only one that
//! is alone and whose pages lie side by side looks at these where they are. Others' pages are brought
//! together, as many for each as the longest has; what a mask hides of them counts for nothing.

use candle_core::{Device, Result, Tensor};

use super::cache::KvCache;
use super::fused::Seen;
use super::step::StepModel;
use crate::engine::{BLOCK_TOKENS, TokenCache};

/// What the tokens of a group look at in one kind of blocks.
#[derive(Debug)]
pub(super) enum Sight {
    /// One token of each part, at pages where they are.
    Paged {
        /// Where each part's token stands, counted from its first page, and the numbers of its pages: (parts, 1 + pages).
        table: Tensor,
        window: usize,
    },
    Shown(Shown),
}

/// Keys and values that are shown to all tokens of their parts.
#[derive(Debug)]
pub(super) struct Shown {
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
        if count == 1 && model.attends {
            let table = table(caches, window, model.device)?;
            return Ok(Self::Paged { table, window });
        }
        if let [cache] = caches
            && let Some(shown) = Shown::of_one(cache, count, window, model)?
        {
            return Ok(Self::Shown(shown));
        }
        Shown::of_all(caches, count, window, model).map(Self::Shown)
    }
}

impl Shown {
    /// What tokens of a request look at where it is, if that lies side by side.
    fn of_one(
        cache: &KvCache,
        count: usize,
        window: usize,
        model: StepModel<'_>,
    ) -> Result<Option<Self>> {
        let stand = Stand::new(cache, window);
        let length = cache.len() + count - stand.first;
        let [run] = cache.runs(stand.first, length)[..] else {
            return Ok(None);
        };
        Ok(Some(Self {
            source: Source::Run(run.place),
            parts: 1,
            length,
            seen: seen(&[stand], count, length, window, model)?,
        }))
    }

    /// What tokens of several requests look at, brought together.
    fn of_all(
        caches: &[&KvCache],
        count: usize,
        window: usize,
        model: StepModel<'_>,
    ) -> Result<Self> {
        let stands = caches.iter().map(|cache| Stand::at_page(cache, window));
        let stands: Vec<Stand> = stands.collect();
        let pages = pages(caches, &stands, count);
        let length = pages.first().map_or(0, Vec::len) * BLOCK_TOKENS;
        let pages = pages.concat();
        let pages_count = pages.len();
        Ok(Self {
            source: Source::Pages(Tensor::from_vec(pages, pages_count, model.device)?),
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

impl Stand {
    /// Shown is what the first token looks at, and what is behind it.
    fn new(cache: &KvCache, window: usize) -> Self {
        Self {
            position: cache.len(),
            first: (cache.len() + 1).saturating_sub(window),
        }
    }

    /// The same, from the beginning of a page.
    fn at_page(cache: &KvCache, window: usize) -> Self {
        let stand = Self::new(cache, window);
        Self {
            first: stand.first / BLOCK_TOKENS * BLOCK_TOKENS,
            ..stand
        }
    }

    /// Positions that are shown before the first token. A card has room for fewer than 2^32.
    fn lead(&self) -> u32 {
        (self.position - self.first) as u32
    }
}

/// Numbers of the pages that each part is shown, filled up to equally many with pages that it has already: those of
/// others may be no numbers.
fn pages(caches: &[&KvCache], stands: &[Stand], count: usize) -> Vec<Vec<u32>> {
    let pages = caches.iter().zip(stands);
    let pages = pages.map(|(cache, stand)| cache.page_numbers(stand.first, stand.position + count));
    let mut pages: Vec<Vec<u32>> = pages.collect();
    let longest = pages.iter().map(Vec::len).max().unwrap_or(0);
    for pages in &mut pages {
        let first = pages.first().copied().unwrap_or(0);
        pages.resize(longest, first);
    }
    pages
}

/// Where each part's token stands and which pages it is shown: (parts, 1 + pages).
fn table(caches: &[&KvCache], window: usize, device: &Device) -> Result<Tensor> {
    let stands = caches.iter().map(|cache| Stand::at_page(cache, window));
    let stands: Vec<Stand> = stands.collect();
    let rows = stands.iter().zip(pages(caches, &stands, 1));
    let rows = rows.flat_map(|(stand, pages)| std::iter::once(stand.lead()).chain(pages));
    let numbers: Vec<u32> = rows.collect();
    let columns = numbers.len() / stands.len().max(1);
    Tensor::from_vec(numbers, (stands.len(), columns), device)
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
