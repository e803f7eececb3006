//! From a picture to the frames that a vision model of the Idefics3 family (SmolVLM) looks at.
//!
//! The steps are those of transformers' `Idefics3ImageProcessorPil` (5.23; the one that resizes with
//! Pillow), in order: the longest edge is brought to a length; both sides are rounded up to whole tiles,
//! without keeping the aspect; more than one tile is cut into tiles, row by row, and the whole picture,
//! squeezed into a tile, comes last; values are scaled and normalised. Each resize rounds to 8 bits, so
//! several in a row are not the same as one, and none is left out. A resize to the same size changes
//! nothing and is not done.
//!
//! Resizing goes along rows, then along columns, as Pillow did when the models were trained. Pillow 13
//! turns that around for some sizes.

mod config;
mod error;
mod layout;
mod normalise;
mod resize;
mod settings;

use crate::{Detail, RgbImage};
use layout::Size;
use normalise::Normaliser;
use resize::Canvas;

pub use error::ProcessorError;
pub use settings::{Filter, ProcessorSettings};

/// Cuts pictures into the frames of one vision model.
#[derive(Debug, Clone)]
pub struct Processor {
    settings: ProcessorSettings,
    normaliser: Normaliser,
}

/// The frames of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Frames {
    /// Rows of tiles; none where the picture is one frame.
    pub rows: usize,
    /// Columns of tiles; none where the picture is one frame.
    pub columns: usize,
    /// Pixels a side of a frame.
    pub size: usize,
    /// Normalised values `(frames, 3, size, size)`: the tiles row by row, then the whole picture.
    pub pixels: Vec<f32>,
}

impl Frames {
    /// How many there are: the tiles, and the whole picture.
    pub fn count(&self) -> usize {
        self.rows * self.columns + 1
    }

    /// One frame, `(3, size, size)`. None beyond the last.
    pub fn frame(&self, index: usize) -> Option<&[f32]> {
        self.pixels
            .chunks_exact(3 * self.size * self.size)
            .nth(index)
    }
}

impl Processor {
    /// By plain numbers, as a GGUF file has them.
    ///
    /// # Errors
    ///
    /// A number that makes no sense, by its name.
    pub fn new(settings: ProcessorSettings) -> Result<Self, ProcessorError> {
        settings.check()?;
        let normaliser = Normaliser::new(&settings);
        Ok(Self {
            settings,
            normaliser,
        })
    }

    /// By a checkpoint's `preprocessor_config.json`, or by its `processor_config.json` where that has
    /// the image processor within. What is missing is as transformers has it; other fields are ignored.
    ///
    /// # Errors
    ///
    /// What is no JSON, an image processor of another family, and numbers that make no sense, by name.
    pub fn from_json(json: &str) -> Result<Self, ProcessorError> {
        Self::new(config::settings(json)?)
    }

    /// What it works by.
    pub fn settings(&self) -> &ProcessorSettings {
        &self.settings
    }

    /// Rows and columns of tiles of a picture of a size; none of either where it is one frame.
    pub fn layout(&self, width: u32, height: u32, detail: Detail) -> (usize, usize) {
        let plan = self.plan(Size { width, height }, detail);
        (plan.rows, plan.columns)
    }

    /// The frames of a picture.
    ///
    /// # Errors
    ///
    /// [`ProcessorError::Resize`] where the resizing library refuses, which no picture is known to do.
    pub fn frames(&self, image: &RgbImage, detail: Detail) -> Result<Frames, ProcessorError> {
        let plan = self.plan(Size::of(image), detail);
        let mut canvas = Canvas::new(image, self.settings.filter);
        canvas.resize(plan.first)?;
        canvas.resize(plan.second)?;

        let size = self.settings.tile as usize;
        let mut frames = Frames {
            rows: plan.rows,
            columns: plan.columns,
            size,
            pixels: vec![0.0; (plan.rows * plan.columns + 1) * 3 * size * size],
        };
        self.fill(&mut frames, &mut canvas)?;
        Ok(frames)
    }

    /// The tiles, row by row, then the whole.
    fn fill(&self, frames: &mut Frames, canvas: &mut Canvas<'_>) -> Result<(), ProcessorError> {
        let size = frames.size;
        let columns = frames.columns.max(1);
        let tiles = frames.rows * frames.columns;
        let (tiles, whole) = frames.pixels.split_at_mut(tiles * 3 * size * size);
        for (index, frame) in tiles.chunks_exact_mut(3 * size * size).enumerate() {
            let corner = (index / columns * size, index % columns * size);
            self.normaliser.fill(frame, size, canvas, corner);
        }
        canvas.resize(Size::square(self.settings.tile))?;
        self.normaliser.fill(whole, size, canvas, (0, 0));
        Ok(())
    }

    /// The sizes that a picture goes through. Low is one frame whatever the tile, so it is never split.
    fn plan(&self, size: Size, detail: Detail) -> layout::Plan {
        let ProcessorSettings {
            tile, longest_edge, ..
        } = self.settings;
        let longest = match detail {
            Detail::Low => tile.min(longest_edge),
            Detail::Auto => (2 * tile).min(longest_edge),
            Detail::High => longest_edge,
        };
        let splits = self.settings.splits && detail != Detail::Low;
        layout::Plan::new(size, longest, tile, splits)
    }
}
