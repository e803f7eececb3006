//! The truth that the other tiers are tested against, and what other processors run.

use crate::simd::ScalarLanes;

use super::layout::{BLOCK, Layout, STEPS, TILE_ROWS, Tile};
use super::panel::PanelBlock;
use super::rows::RowBlock;
use super::tier::{Sums, Tier};

impl Tier for ScalarLanes {
    const FEW: usize = 2;
    const IN_PLACE: usize = 1;
    const TOKENS: usize = 4;
    const PANELS: usize = 1;
    const SIGNED_BYTES: bool = true;

    fn in_place<L: Layout, const N: usize>(
        self,
        tile: Tile<'_>,
        rows: [&[RowBlock]; N],
        start: &Sums,
    ) -> [Sums; N] {
        rows.map(|row| vector::<L>(tile, row, start))
    }

    fn unpack<L: Layout>(self, tile: Tile<'_>, panel: &mut [PanelBlock]) {
        for (index, block) in panel.iter_mut().enumerate() {
            for row in 0..TILE_ROWS {
                for column in 0..BLOCK {
                    let code = tile.code::<L>(index, row, column);
                    block.codes[column / 4][row * 4 + column % 4] = code;
                }
                for group in 0..L::GROUPS {
                    let (scale, minimum) = tile.scale_and_minimum::<L>(index, group, row);
                    block.scales[group][row] = scale;
                    block.minimums[group][row] = minimum;
                }
            }
        }
    }

    fn panels<L: Layout, const P: usize, const T: usize>(
        self,
        panels: [&[PanelBlock]; P],
        rows: [&[RowBlock]; T],
        starts: &[Sums; P],
    ) -> [[Sums; P]; T] {
        rows.map(|row| std::array::from_fn(|p| one_panel::<L>(panels[p], row, starts[p])))
    }
}

/// One row with a tile.
fn vector<L: Layout>(tile: Tile<'_>, row: &[RowBlock], start: &Sums) -> Sums {
    std::array::from_fn(|r| {
        let mut sum = start[r];
        for (index, block) in row.iter().enumerate() {
            for group in 0..L::GROUPS {
                let width = BLOCK / L::GROUPS;
                let columns = group * width..(group + 1) * width;
                let products = columns.map(|column| {
                    let code = L::value(tile.code::<L>(index, r, column));
                    code * i32::from(block.codes[column])
                });
                let (scale, minimum) = tile.scale_and_minimum::<L>(index, group, r);
                sum += (scale * block.scale) * products.sum::<i32>() as f32;
                sum += minimum * block.group_sum::<L>(group);
            }
        }
        sum
    })
}

/// One row with one panel, group by group as in [`in_place`](Tier::in_place).
fn one_panel<L: Layout>(panel: &[PanelBlock], row: &[RowBlock], mut sums: Sums) -> Sums {
    let steps = STEPS / L::GROUPS;
    for (weights, block) in panel.iter().zip(row) {
        for group in 0..L::GROUPS {
            let mut whole = [0i32; TILE_ROWS];
            for step in group * steps..(group + 1) * steps {
                let activations = &block.codes[step * 4..step * 4 + 4];
                for (whole, codes) in whole.iter_mut().zip(weights.codes[step].chunks_exact(4)) {
                    for (code, activation) in codes.iter().zip(activations) {
                        *whole += L::value(*code) * i32::from(*activation);
                    }
                }
            }
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum += (weights.scales[group][r] * block.scale) * whole[r] as f32;
                *sum += weights.minimums[group][r] * block.group_sum::<L>(group);
            }
        }
    }
    sums
}
