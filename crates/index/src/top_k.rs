//! The `k` nearest of the hits offered, in memory for `k` of them.
//!
//! The order is total (score, then smaller id), so the result does not depend on the order of the
//! offers: threads may each keep their own and have them merged.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::Hit;

/// A bounded heap with the farthest hit kept on top.
#[derive(Debug, Clone)]
pub(crate) struct TopK {
    limit: usize,
    kept: BinaryHeap<Ranked>,
    /// Hits with lesser scores are out: one comparison decides nearly every offer.
    bar: f32,
}

impl TopK {
    pub(crate) fn new(limit: usize) -> TopK {
        let bar = match limit {
            0 => f32::INFINITY,
            _ => f32::NEG_INFINITY,
        };
        TopK {
            limit,
            kept: BinaryHeap::new(),
            bar,
        }
    }

    /// A hit with a lesser score would not be kept.
    #[inline]
    pub(crate) fn bar(&self) -> f32 {
        self.bar
    }

    /// Keeps `hit`, whose score is finite, if it is among the nearest so far.
    #[inline]
    pub(crate) fn offer(&mut self, hit: Hit) {
        if hit.score >= self.bar {
            self.insert(hit);
        }
    }

    fn insert(&mut self, hit: Hit) {
        if self.kept.len() < self.limit {
            self.kept.push(Ranked(hit));
        } else if let Some(mut farthest) = self.kept.peek_mut()
            && Ranked(hit) < *farthest
        {
            *farthest = Ranked(hit);
        }
        if self.kept.len() == self.limit {
            self.bar = self
                .kept
                .peek()
                .map_or(self.bar, |farthest| farthest.0.score);
        }
    }

    /// Keeps the nearest of both.
    pub(crate) fn merge(mut self, other: TopK) -> TopK {
        for Ranked(hit) in other.kept {
            self.offer(hit);
        }
        self
    }

    /// What was kept, nearest first.
    pub(crate) fn into_hits(self) -> Vec<Hit> {
        self.kept
            .into_sorted_vec()
            .into_iter()
            .map(|Ranked(hit)| hit)
            .collect()
    }
}

/// A hit ordered by rank: the nearer is the lesser, and of equally near ones the smaller id.
#[derive(Debug, Clone, Copy)]
struct Ranked(Hit);

impl Ord for Ranked {
    #[inline]
    fn cmp(&self, other: &Ranked) -> Ordering {
        other
            .0
            .score
            .total_cmp(&self.0.score)
            .then(self.0.id.cmp(&other.0.id))
    }
}

impl PartialOrd for Ranked {
    #[inline]
    fn partial_cmp(&self, other: &Ranked) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Ranked) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(limit: usize, offers: &[(u64, f32)]) -> Vec<u64> {
        let mut top = TopK::new(limit);
        for &(id, score) in offers {
            top.offer(Hit { id, score });
        }
        top.into_hits().into_iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn keeps_the_nearest_and_of_equals_the_smaller_ids() {
        let offers = [(5, 1.0), (4, 1.0), (1, 0.5), (9, 2.0), (2, 1.0)];
        assert_eq!(kept(3, &offers), [9, 2, 4]);
        assert_eq!(kept(9, &offers), [9, 2, 4, 5, 1]);
        assert!(kept(0, &offers).is_empty());
    }

    #[test]
    fn merging_equals_offering_everything_to_one() {
        let offers: Vec<_> = (0..40u64).map(|id| (id, (id * 7 % 5) as f32)).collect();
        for cut in 0..offers.len() {
            let (left, right) = offers.split_at(cut);
            let fill = |offers: &[(u64, f32)]| {
                let mut top = TopK::new(6);
                offers
                    .iter()
                    .for_each(|&(id, score)| top.offer(Hit { id, score }));
                top
            };
            let merged = fill(left).merge(fill(right)).into_hits();
            assert_eq!(merged, fill(&offers).into_hits());
        }
    }
}
