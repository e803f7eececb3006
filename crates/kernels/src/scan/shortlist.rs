//! The rows that may be among the k best, when of each row only bounds of its score are known.

/// A row whose score lies between two bounds; neither is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The row's number.
    pub row: u32,
    /// No less than the score.
    pub upper: f32,
    /// No more than the score.
    pub lower: f32,
}

/// Collects the rows whose upper bound reaches the k-th greatest lower bound.
///
/// A row below that bar cannot be among the k best: k others are at least as good. Where both bounds
/// are the score itself, what is kept are the k best and whoever ties with the k-th.
///
/// Rows are appended to a buffer. When it is full, the bar is raised by a selection in linear time
/// and who is under it leaves; the buffer grows if more than half stay. So an offer takes constant
/// time on average, and until the next selection the bar is lower than it could be, never higher.
#[derive(Debug, Clone)]
pub struct Shortlist {
    k: usize,
    bar: f32,
    /// Candidates at which the next selection is due.
    limit: usize,
    candidates: Vec<Candidate>,
    /// Lower bounds during a selection; the memory is kept.
    lowers: Vec<f32>,
}

/// Candidates beyond twice k before the first selection: with a small k, selections would be too
/// frequent.
const ROOM: usize = 48;

impl Shortlist {
    /// An empty shortlist for the `k` best rows; of 0 rows, nothing is ever kept.
    pub fn new(k: usize) -> Self {
        let mut shortlist = Self {
            k,
            bar: f32::NEG_INFINITY,
            limit: 0,
            candidates: Vec::new(),
            lowers: Vec::new(),
        };
        shortlist.clear();
        shortlist
    }

    /// Forgets all rows; k and the memory stay.
    pub fn clear(&mut self) {
        self.candidates.clear();
        self.limit = self.k.saturating_mul(2).saturating_add(ROOM);
        self.bar = match self.k {
            0 => f32::INFINITY,
            _ => f32::NEG_INFINITY,
        };
    }

    /// How many best rows it is for.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Rows with a lesser upper bound are out. Negative infinity at first, and never falls.
    #[inline]
    pub fn bar(&self) -> f32 {
        self.bar
    }

    /// Takes a row unless its upper bound is below the bar or NaN. A lower bound that is NaN or
    /// above the upper one bounds nothing and counts as negative infinity.
    #[inline]
    pub fn offer(&mut self, row: u32, upper: f32, lower: f32) {
        if upper >= self.bar {
            let lower = match lower <= upper {
                true => lower,
                false => f32::NEG_INFINITY,
            };
            self.candidates.push(Candidate { row, upper, lower });
            if self.candidates.len() >= self.limit {
                self.make_room();
            }
        }
    }

    /// Takes what another shortlist holds, as if its rows had been offered here. For all of them to
    /// count, the other must be for no fewer best rows.
    pub fn merge(&mut self, other: &Shortlist) {
        for candidate in &other.candidates {
            self.offer(candidate.row, candidate.upper, candidate.lower);
        }
    }

    /// Raises the bar as far as it goes and returns who reaches it, by falling upper bound, then by
    /// rising row. More rows may be offered afterwards.
    pub fn finish(&mut self) -> &[Candidate] {
        self.prune();
        self.candidates
            .sort_unstable_by(|a, b| b.upper.total_cmp(&a.upper).then(a.row.cmp(&b.row)));
        &self.candidates
    }

    /// Prunes, and sees to it that as many offers as candidates are left pass before the next time.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self) {
        self.prune();
        self.limit = self.limit.max(self.candidates.len().saturating_mul(2));
    }

    /// Raises the bar to the k-th greatest lower bound and drops who is under it. The k rows that
    /// have the greatest lower bounds stay, so the bar never depends on who left.
    fn prune(&mut self) {
        if self.k == 0 {
            self.candidates.clear();
        }
        if self.k == 0 || self.candidates.len() < self.k {
            return;
        }
        self.lowers.clear();
        let lowers = self.candidates.iter().map(|candidate| candidate.lower);
        self.lowers.extend(lowers);
        let descending = |a: &f32, b: &f32| b.total_cmp(a);
        let (_, bar, _) = self.lowers.select_nth_unstable_by(self.k - 1, descending);
        let bar = self.bar.max(*bar);
        self.bar = bar;
        self.candidates.retain(|candidate| candidate.upper >= bar);
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// What a full sort keeps: all whose upper bound reaches the k-th greatest lower bound.
    fn expected(offers: &[(u32, f32, f32)], k: usize) -> Vec<Candidate> {
        if k == 0 {
            return Vec::new();
        }
        let mut lowers: Vec<f32> = offers.iter().map(|offer| offer.2).collect();
        lowers.sort_by(|a, b| b.total_cmp(a));
        let bar = lowers.get(k - 1).copied().unwrap_or(f32::NEG_INFINITY);
        let mut kept: Vec<Candidate> = offers
            .iter()
            .filter(|offer| offer.1 >= bar)
            .map(|&(row, upper, lower)| Candidate { row, upper, lower })
            .collect();
        kept.sort_by(|a, b| b.upper.total_cmp(&a.upper).then(a.row.cmp(&b.row)));
        kept
    }

    fn offers(rng: &mut StdRng, count: usize, slack: f32) -> Vec<(u32, f32, f32)> {
        let offer = |row| {
            // Few distinct scores, so that there are ties.
            let score = rng.random_range(-20..20) as f32 / 4.0;
            let slack = slack * rng.random_range(0.0..1.0f32);
            (row, score + slack, score - slack)
        };
        (0..count as u32).map(offer).collect()
    }

    #[test]
    fn what_is_kept_is_what_a_sort_keeps() {
        let mut rng = StdRng::seed_from_u64(1);
        for k in [0, 1, 2, 10, 100, 1000] {
            for count in [0, 1, 9, 10, 11, 68, 500, 5000] {
                for slack in [0.0, 0.5, 100.0] {
                    let offers = offers(&mut rng, count, slack);
                    let mut shortlist = Shortlist::new(k);
                    for &(row, upper, lower) in &offers {
                        let before = shortlist.bar();
                        shortlist.offer(row, upper, lower);
                        assert!(shortlist.bar() >= before);
                    }
                    assert_eq!(shortlist.finish(), expected(&offers, k), "{k} of {count}");
                    shortlist.clear();
                    assert_eq!(shortlist.finish(), []);
                }
            }
        }
    }

    #[test]
    fn merged_parts_are_the_whole() {
        let mut rng = StdRng::seed_from_u64(2);
        let offers = offers(&mut rng, 3000, 0.3);
        let mut whole = Shortlist::new(7);
        for part in offers.chunks(701) {
            let mut shortlist = Shortlist::new(7);
            for &(row, upper, lower) in part {
                shortlist.offer(row, upper, lower);
            }
            whole.merge(&shortlist);
        }
        assert_eq!(whole.finish(), expected(&offers, 7));
    }

    #[test]
    fn nan_and_infinities_do_no_harm() {
        let mut shortlist = Shortlist::new(2);
        shortlist.offer(0, f32::NAN, f32::NAN);
        shortlist.offer(1, f32::INFINITY, f32::NAN);
        shortlist.offer(2, f32::NEG_INFINITY, f32::NEG_INFINITY);
        shortlist.offer(3, 1.0, 2.0);
        let rows: Vec<u32> = shortlist.finish().iter().map(|kept| kept.row).collect();
        assert_eq!(rows, [1, 3, 2]);
        for row in 4..500 {
            shortlist.offer(row, f32::NAN, 0.0);
            shortlist.offer(row, 3.0, 3.0);
        }
        assert!(shortlist.finish().iter().all(|kept| kept.upper >= 3.0));
        assert_eq!(shortlist.bar(), 3.0);
    }

    #[test]
    fn no_rows_are_kept_of_none() {
        let mut shortlist = Shortlist::new(0);
        for row in 0..1000 {
            shortlist.offer(row, f32::INFINITY, f32::INFINITY);
        }
        assert_eq!(shortlist.finish(), []);
        assert_eq!(shortlist.bar(), f32::INFINITY);
    }
}
