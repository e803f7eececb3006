//! The truth that the other tiers are tested against, and what other processors run.

use crate::scan::shortlist::Shortlist;

use super::call::BitScan;
use super::layout::{BLOCK_ROWS, HALF_ROWS, LINE_BYTES};
use super::query::{LineTables, TABLE_LEN};

pub(super) fn scan(scan: &BitScan<'_>, shortlist: &mut Shortlist) {
    for block in 0..scan.block_count() {
        let mut accepted = scan.accepted(block);
        if accepted == 0 {
            continue;
        }
        let sums = sums(scan.blocks(block, 1), scan.query.tables());
        while accepted != 0 {
            let r = accepted.trailing_zeros() as usize;
            let position = block * BLOCK_ROWS + r;
            let t = (sums[r] - scan.query.zeros()) as f32 * scan.query.scale();
            let offset = scan.offsets.map_or(0.0, |offsets| offsets[position]);
            let score = scan.factors[position].mul_add(t, offset + scan.base);
            shortlist.offer(scan.rows.row(position), score, score);
            accepted &= accepted - 1;
        }
    }
}

/// The sums of table entries that the rows of a block choose.
fn sums(block: &[u8], tables: &[LineTables]) -> [i32; BLOCK_ROWS] {
    let mut sums = [0; BLOCK_ROWS];
    let (low, high) = sums.split_at_mut(HALF_ROWS);
    for (line, LineTables(tables)) in block.as_chunks::<LINE_BYTES>().0.iter().zip(tables) {
        let quarters = line.as_chunks::<HALF_ROWS>().0;
        for (bytes, table) in quarters.iter().zip(tables.as_chunks::<TABLE_LEN>().0) {
            for ((low, high), byte) in low.iter_mut().zip(high.iter_mut()).zip(bytes) {
                *low += i32::from(table[usize::from(byte & 15)]);
                *high += i32::from(table[usize::from(byte >> 4)]);
            }
        }
    }
    sums
}
