//! Weights that follow from nothing but their number.

/// `count` values from `-size` to `size`, the same every time, by a linear congruential generator.
pub(super) fn values(count: usize, size: f32) -> Vec<f32> {
    let mut state = 0x5EED_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * size
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// The size of values with which a map of so many inputs keeps the size of what it is given.
pub(super) fn size_for(inputs: usize) -> f32 {
    (3.0 / inputs.max(1) as f32).sqrt()
}
