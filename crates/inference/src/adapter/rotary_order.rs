//! The two orders of the rows that make queries and keys.
//!
//! A rotation turns pairs of a head's components. They lie half a head apart in the models of
//! transformers, and side by side in GGUF files of llama models, whose converter moves the rows of
//! the matrices. An adapter's rows must be moved like those of the matrix that it changes.

use longtrainer_kernels::RotaryLayout;

/// Heads whose rows are moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnedHeads {
    /// How many there are, from the first row on.
    pub(super) count: usize,
    /// Rows of a head.
    pub(super) head_dim: usize,
    /// Rows of a head that are turned: the first ones.
    pub(super) turned: usize,
}

/// Rows of `width` values in the order of `to`, where they are in that of `from`.
pub(super) fn reorder(
    values: &[f32],
    width: usize,
    heads: TurnedHeads,
    from: RotaryLayout,
    to: RotaryLayout,
) -> Vec<f32> {
    let mut moved = values.to_vec();
    if from == to {
        return moved;
    }
    let half = heads.turned / 2;
    for head in 0..heads.count {
        let first = head * heads.head_dim;
        for pair in 0..half {
            for side in 0..2 {
                let apart = first + side * half + pair;
                let beside = first + 2 * pair + side;
                let (source, target) = match to {
                    RotaryLayout::Interleaved => (apart, beside),
                    RotaryLayout::Halves => (beside, apart),
                };
                let row = &values[source * width..(source + 1) * width];
                moved[target * width..(target + 1) * width].copy_from_slice(row);
            }
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_together_and_apart_again() {
        let heads = TurnedHeads {
            count: 2,
            head_dim: 5,
            turned: 4,
        };
        let rows: Vec<f32> = (0..11).flat_map(|row| [row as f32, 0.5]).collect();
        let [halves, interleaved] = [RotaryLayout::Halves, RotaryLayout::Interleaved];
        let beside = reorder(&rows, 2, heads, halves, interleaved);
        let firsts: Vec<f32> = beside.chunks(2).map(|row| row[0]).collect();
        let expected = [0.0, 2.0, 1.0, 3.0, 4.0, 5.0, 7.0, 6.0, 8.0, 9.0, 10.0];
        assert_eq!(firsts, expected);
        assert_eq!(reorder(&beside, 2, heads, interleaved, halves), rows);
        assert_eq!(reorder(&rows, 2, heads, halves, halves), rows);
    }
}
