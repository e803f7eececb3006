//! AMX: one instruction multiplies 16 rows of 64 bytes with 16 columns of as many.

use std::hint::black_box;

use crate::amx::{MOST_ROW_BYTES, MOST_ROWS, TileConfig, TileUnit};

/// Independent sums, which hide the latency of the instruction: 52 cycles, of which each product
/// takes 16.
const CHAINS: usize = 4;
/// Columns of a product.
const COLUMNS: usize = MOST_ROW_BYTES / size_of::<i32>();

/// Products of a step.
pub(super) const PRODUCTS: usize = CHAINS * MOST_ROWS * MOST_ROW_BYTES * COLUMNS;

/// Does the steps in registers 0 to 3; the number returned is one of the first's sums.
pub(super) fn sum<U: TileUnit>(unit: &mut U, steps: usize) -> i32 {
    let activations = [black_box([5u8; MOST_ROW_BYTES]); MOST_ROWS];
    let weights = [black_box([3u8; MOST_ROW_BYTES]); MOST_ROWS];
    let mut sums = [[0; COLUMNS]; MOST_ROWS];
    unit.configure(&config());
    // SAFETY: all registers have 16 rows of 64 bytes, and so has each array.
    unsafe {
        unit.load::<4>(activations.as_ptr().cast(), MOST_ROW_BYTES);
        unit.load::<5>(weights.as_ptr().cast(), MOST_ROW_BYTES);
    }
    for _ in 0..steps {
        unit.multiply_signed_unsigned::<0, 4, 5>();
        unit.multiply_signed_unsigned::<1, 4, 5>();
        unit.multiply_signed_unsigned::<2, 4, 5>();
        unit.multiply_signed_unsigned::<3, 4, 5>();
    }
    // SAFETY: as above.
    unsafe { unit.store::<0>(sums.as_mut_ptr().cast(), MOST_ROW_BYTES) };
    sums[0][0]
}

fn config() -> TileConfig {
    let registers = 0..CHAINS + 2;
    registers.fold(TileConfig::new(), |config, register| {
        config.with(register, MOST_ROWS, MOST_ROW_BYTES)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amx::model::ModelUnit;

    #[test]
    fn every_step_is_summed() {
        let row = 5 * 3 * 64;
        assert_eq!(sum(&mut ModelUnit::new(), 0), 0);
        assert_eq!(sum(&mut ModelUnit::new(), 3), 3 * row);
    }
}
