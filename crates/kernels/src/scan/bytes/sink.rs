//! Where rows go whose scores pass the bar: shortlists, or the single best row of each query.

use crate::scan::positions::RowIds;
use crate::scan::shortlist::Shortlist;

use super::layout::TILE_ROWS;
use super::tier::Lanes;

/// Takes rows.
pub(super) trait Sink {
    /// Rows whose upper bound is less need not be offered for this query of the scan.
    fn bar(&self, query: usize) -> f32;

    /// Takes a row, or not.
    fn offer(&mut self, query: usize, position: usize, upper: f32, lower: f32);

    /// Offers those rows of a tile that a mask selects. The rare case of a scan, so that it stays out
    /// of its loop.
    #[cold]
    #[inline(never)]
    fn offer_lanes(
        &mut self,
        query: usize,
        tile: usize,
        mut lanes: u32,
        uppers: &Lanes,
        lowers: &Lanes,
    ) {
        while lanes != 0 {
            let lane = lanes.trailing_zeros() as usize % TILE_ROWS;
            self.offer(query, tile * TILE_ROWS + lane, uppers[lane], lowers[lane]);
            lanes &= lanes - 1;
        }
    }
}

/// A shortlist a query.
pub(super) struct Shortlists<'a> {
    pub(super) shortlists: &'a mut [Shortlist],
    pub(super) rows: RowIds<'a>,
}

impl Sink for Shortlists<'_> {
    #[inline(always)]
    fn bar(&self, query: usize) -> f32 {
        self.shortlists[query].bar()
    }

    #[inline(always)]
    fn offer(&mut self, query: usize, position: usize, upper: f32, lower: f32) {
        self.shortlists[query].offer(self.rows.row(position), upper, lower);
    }
}

/// The row that scores best, and its score, for each query.
pub(super) struct Nearest<'a> {
    pub(super) best: &'a mut [(u32, f32)],
    pub(super) rows: RowIds<'a>,
}

impl Nearest<'_> {
    /// No row, and what every score reaches.
    pub(super) const NONE: (u32, f32) = (u32::MAX, f32::NEG_INFINITY);
}

impl Sink for Nearest<'_> {
    #[inline(always)]
    fn bar(&self, query: usize) -> f32 {
        self.best[query].1
    }

    #[inline(always)]
    fn offer(&mut self, query: usize, position: usize, upper: f32, _: f32) {
        let row = self.rows.row(position);
        let (best_row, best) = &mut self.best[query];
        if upper > *best || (upper == *best && row < *best_row) {
            (*best_row, *best) = (row, upper);
        }
    }
}
