//! From bytes to what the vision tower was trained on.

use super::ProcessorSettings;
use super::resize::Canvas;

/// The normalised value of each byte, for each channel. A byte has but 256 values, so a table gives
/// what transformers computes, to the bit, with one look-up a value.
#[derive(Debug, Clone)]
pub(super) struct Normaliser {
    tables: Box<[[f32; 256]; 3]>,
}

impl Normaliser {
    /// Scaled in 64 bits, rounded to 32, then normalised in 32: numpy's order.
    pub(super) fn new(settings: &ProcessorSettings) -> Self {
        let mut tables = Box::new([[0.0; 256]; 3]);
        for (channel, table) in tables.iter_mut().enumerate() {
            for (byte, value) in table.iter_mut().enumerate() {
                let scaled = (byte as f64 * settings.rescale) as f32;
                *value = (scaled - settings.mean[channel]) / settings.std[channel];
            }
        }
        Self { tables }
    }

    /// A frame `(3, size, size)` from the pixels at a row and a column on.
    pub(super) fn fill(
        &self,
        frame: &mut [f32],
        size: usize,
        canvas: &Canvas<'_>,
        (top, left): (usize, usize),
    ) {
        let (red, rest) = frame.split_at_mut(size * size);
        let (green, blue) = rest.split_at_mut(size * size);
        let [reds, greens, blues] = &*self.tables;
        let rows = red
            .chunks_exact_mut(size)
            .zip(green.chunks_exact_mut(size))
            .zip(blue.chunks_exact_mut(size));
        for (row, ((red, green), blue)) in rows.enumerate() {
            let pixels = canvas.row(top + row, left, size);
            let values = red.iter_mut().zip(green).zip(blue);
            for (((red, green), blue), &[r, g, b]) in values.zip(pixels) {
                *red = reds[usize::from(r)];
                *green = greens[usize::from(g)];
                *blue = blues[usize::from(b)];
            }
        }
    }
}
