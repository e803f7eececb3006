//! Between pixels, patches and tokens: the two rearrangements of a vision half.

use super::VisionConfig;

/// Cuts a frame into patches: (3, size, size) -> (patches, 3 * patch * patch). A patch has its rows of
/// red, then those of green, then those of blue, as the weights of the convolution have them.
pub(super) fn patches(config: &VisionConfig, frame: &[f32], out: &mut Vec<f32>) {
    let (size, patch, side) = (config.image_size, config.patch_size, config.side());
    out.clear();
    out.reserve(config.patches() * config.patch_values());
    for row in 0..side {
        for column in 0..side {
            for channel in frame.chunks_exact(size * size) {
                let rows = channel.chunks_exact(size).skip(row * patch).take(patch);
                for pixels in rows {
                    out.extend_from_slice(&pixels[column * patch..(column + 1) * patch]);
                }
            }
        }
    }
}

/// Joins squares of states: (patches, hidden) -> (tokens, scale * scale * hidden), "pixel shuffle". A
/// token has the states of its square row after row, each whole.
pub(super) fn shuffle(config: &VisionConfig, states: &[f32], out: &mut Vec<f32>) {
    let (scale, side, hidden) = (config.scale_factor, config.side(), config.hidden);
    out.clear();
    out.reserve(states.len());
    for row in (0..side).step_by(scale) {
        for column in (0..side).step_by(scale) {
            for down in 0..scale {
                // Neighbours in a row lie side by side.
                let first = (row + down) * side + column;
                out.extend_from_slice(&states[first * hidden..(first + scale) * hidden]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiny_config;
    use super::*;

    /// Patches of a tower whose states say which patch and value they are: `100 * patch + value`.
    #[test]
    fn a_token_has_the_states_of_its_square_in_reading_order() {
        let config = VisionConfig {
            image_size: 48,
            patch_size: 8,
            scale_factor: 3,
            hidden: 2,
            heads: 1,
            ..tiny_config()
        };
        let states: Vec<f32> = (0..36)
            .flat_map(|patch| [patch as f32 * 100.0, patch as f32 * 100.0 + 1.0])
            .collect();
        let mut out = Vec::new();
        shuffle(&config, &states, &mut out);
        let tokens: Vec<Vec<usize>> = out
            .chunks(18)
            .map(|token| {
                let pairs = token.chunks(2).map(|state| {
                    assert_eq!(state[1], state[0] + 1.0, "states stay whole");
                    state[0] as usize / 100
                });
                pairs.collect()
            })
            .collect();
        // Patches are numbered row by row, six to a row.
        assert_eq!(
            tokens,
            [
                vec![0, 1, 2, 6, 7, 8, 12, 13, 14],
                vec![3, 4, 5, 9, 10, 11, 15, 16, 17],
                vec![18, 19, 20, 24, 25, 26, 30, 31, 32],
                vec![21, 22, 23, 27, 28, 29, 33, 34, 35],
            ]
        );
    }

    #[test]
    fn a_patch_has_its_pixels_channel_by_channel_and_what_is_left_over_is_left_out() {
        // Two patches of two pixels a side, and a fifth pixel that no patch has.
        let config = VisionConfig {
            image_size: 5,
            patch_size: 2,
            ..tiny_config()
        };
        let frame: Vec<f32> = (0..75).map(|pixel| pixel as f32).collect();
        let mut out = Vec::new();
        patches(&config, &frame, &mut out);
        assert_eq!(out.len(), 4 * 12);
        let second = [2., 3., 7., 8., 27., 28., 32., 33., 52., 53., 57., 58.];
        assert_eq!(out[12..24], second);
        let last = [12., 13., 17., 18., 37., 38., 42., 43., 62., 63., 67., 68.];
        assert_eq!(out[36..], last);
    }
}
