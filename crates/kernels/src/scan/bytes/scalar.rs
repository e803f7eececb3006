//! The truth that the other tiers are tested against, and what other processors run.

use crate::simd::ScalarLanes;

use super::layout::{GROUP, GROUP_BYTES, TILE_ROWS};
use super::sink::Sink;
use super::tier::{Query, RowNumbers, Tier, Tiles};

impl Tier for ScalarLanes {
    const QUERIES: usize = 1;
    const TILES: usize = 1;

    fn one_query(self, tiles: &Tiles<'_>, query: &Query<'_>, sink: &mut impl Sink) {
        for tile in 0..tiles.tile_count() {
            one_tile(tiles, tile, query, sink);
        }
    }

    fn some_queries<const Q: usize, const T: usize>(
        self,
        tiles: &Tiles<'_>,
        first: usize,
        queries: &[Query<'_>; Q],
        sink: &mut impl Sink,
    ) {
        for tile in first..first + T {
            for query in queries {
                one_tile(tiles, tile, query, sink);
            }
        }
    }
}

fn one_tile(tiles: &Tiles<'_>, tile: usize, query: &Query<'_>, sink: &mut impl Sink) {
    let accepted = tiles.accepted(tile);
    if accepted == 0 {
        return;
    }
    let dots = dots(tiles.some_tiles(tile, 1), query);
    let (uppers, lowers) = bounds(&dots, &tiles.row_numbers(tile), query);
    let bar = sink.bar(query.number);
    let reach = |lane: usize| u32::from(uppers[lane] >= bar) << lane;
    let passing = (0..TILE_ROWS).map(reach).sum::<u32>() & accepted;
    if passing != 0 {
        sink.offer_lanes(query.number, tile, passing, &uppers, &lowers);
    }
}

/// The sums of products of a query's codes with those of each row of a tile. On the way they may
/// leave 32 bits; in the end they fit.
fn dots(tile: &[u8], query: &Query<'_>) -> [i32; TILE_ROWS] {
    let mut dots = [query.start; TILE_ROWS];
    let (groups, _) = tile.as_chunks::<GROUP_BYTES>();
    for (codes, query) in groups.iter().zip(query.groups) {
        let query = query
            .to_le_bytes()
            .map(|code| i16::from(code.cast_signed()));
        for (dot, codes) in dots.iter_mut().zip(codes.as_chunks::<GROUP>().0) {
            for (code, query) in codes.iter().zip(query) {
                *dot = dot.wrapping_add(i32::from(i16::from(*code) * query));
            }
        }
    }
    dots
}

/// The upper and lower bounds of the scores of a tile's rows.
fn bounds(
    dots: &[i32; TILE_ROWS],
    rows: &RowNumbers,
    query: &Query<'_>,
) -> ([f32; TILE_ROWS], [f32; TILE_ROWS]) {
    let score = |lane: usize| {
        let factor = rows.factors[lane] * query.weight;
        factor.mul_add(dots[lane] as f32, rows.offsets[lane] + query.base)
    };
    let scores: [f32; TILE_ROWS] = std::array::from_fn(score);
    let with = |slack: f32| std::array::from_fn(|r| rows.slacks[r].mul_add(slack, scores[r]));
    (with(query.slack), with(-query.slack))
}
