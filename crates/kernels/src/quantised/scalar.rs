//! The truth that the other tiers are tested against, and what other processors run.

use crate::simd::ScalarLanes;

use super::layout::{BLOCK, Layout, STEP_BYTES, STEPS, TILE_ROWS, Tile};
use super::panel::Panel;
use super::rows::Row;
use super::tier::{Sums, Tier};

impl Tier for ScalarLanes {
    const TOKENS: usize = 4;
    const PANELS: usize = 1;

    fn vector<L: Layout>(self, tile: Tile<'_>, row: Row<'_>) -> Sums {
        std::array::from_fn(|r| {
            let mut sum = 0.0;
            for (block, codes) in row.codes.chunks_exact(BLOCK).enumerate() {
                for group in 0..L::GROUPS {
                    let width = BLOCK / L::GROUPS;
                    let columns = group * width..(group + 1) * width;
                    let products = columns.map(|column| {
                        weight_code::<L>(tile.code::<L>(block, r, column))
                            * i32::from(codes[column])
                    });
                    let (scale, minimum) = tile.scale_and_minimum::<L>(block, group, r);
                    sum += (scale * row.scales[block]) * products.sum::<i32>() as f32;
                    sum += minimum * row.sums[block * L::GROUPS + group];
                }
            }
            sum
        })
    }

    fn unpack<L: Layout>(self, tile: Tile<'_>, panel: &mut Panel) {
        let blocks = tile.codes.len() / L::CODE_BYTES;
        for block in 0..blocks {
            for row in 0..TILE_ROWS {
                for column in 0..BLOCK {
                    let at = (block * STEPS + column / 4) * STEP_BYTES + row * 4 + column % 4;
                    panel.codes[at] = tile.code::<L>(block, row, column);
                }
                for group in 0..L::GROUPS {
                    let at = (block * L::GROUPS + group) * TILE_ROWS + row;
                    let (scale, minimum) = tile.scale_and_minimum::<L>(block, group, row);
                    panel.scales[at] = scale;
                    panel.minimums[at] = minimum;
                }
            }
        }
        panel.blocks = blocks;
    }

    fn panels<L: Layout, const P: usize, const T: usize>(
        self,
        panels: [&Panel; P],
        rows: [Row<'_>; T],
        sums: &mut [[Sums; P]; T],
    ) {
        for (row, sums) in rows.iter().zip(sums) {
            for (panel, sums) in panels.iter().zip(sums) {
                one_panel::<L>(panel, *row, sums);
            }
        }
    }
}

fn one_panel<L: Layout>(panel: &Panel, row: Row<'_>, sums: &mut Sums) {
    let steps = STEPS / L::GROUPS;
    for group in 0..panel.blocks * L::GROUPS {
        let mut whole = [0i32; TILE_ROWS];
        for step in group * steps..(group + 1) * steps {
            let activations = &row.codes[step * 4..step * 4 + 4];
            let codes = &panel.codes[step * STEP_BYTES..(step + 1) * STEP_BYTES];
            for (whole, codes) in whole.iter_mut().zip(codes.chunks_exact(4)) {
                for (code, activation) in codes.iter().zip(activations) {
                    *whole += weight_code::<L>(*code) * i32::from(*activation);
                }
            }
        }
        let scale = row.scales[group / L::GROUPS];
        for (r, sum) in sums.iter_mut().enumerate() {
            let at = group * TILE_ROWS + r;
            *sum += (panel.scales[at] * scale) * whole[r] as f32;
            *sum += panel.minimums[at] * row.sums[group];
        }
    }
}

fn weight_code<L: Layout>(code: u8) -> i32 {
    if L::BITS == 8 {
        (code as i8).into()
    } else {
        code.into()
    }
}
